//! How to de-identify, as the command line says it: a profile or a script with its inputs, and the secret.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use isocenter_deid::ctp::{
    Anonymizer, Inputs, LookupTable, Mode, Parameters, ParseError, PixelScript, RunningIntegers, Script,
};
use isocenter_deid::{Profile, Pseudonyms, Secret};
use sha2::{Digest as _, Sha256};

/// Files of rules above this size are none.
const MOST_BYTES: u64 = 64 << 20;

/// The issuer of all patient IDs of a run, unless another is given. Not empty, so that it wins over (0010,0021): of the
/// files of one patient some may name their issuer and some not, and all must get one pseudonym.
pub(crate) const ISSUER: &str = "isocenter deid";

/// How faithful to CTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeFlag {
    /// Items are always entered, digests are keyed, what fails is held
    Strict,
    /// Element by element what CTP writes, with its leaks
    Compat,
}

impl From<ModeFlag> for Mode {
    fn from(flag: ModeFlag) -> Self {
        match flag {
            ModeFlag::Strict => Self::Strict,
            ModeFlag::Compat => Self::Compat,
        }
    }
}

/// What a script needs beside itself.
#[derive(Debug, Args)]
pub(crate) struct ScriptInputs {
    /// How faithful to CTP a script is run
    #[arg(long, value_enum, default_value = "strict")]
    pub(crate) mode: ModeFlag,
    /// Parameters of the script: a properties file, or a script whose parameters are taken
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// Lookup table of the script: a properties file, or CSV where the name ends in .csv
    #[arg(long, value_name = "FILE")]
    pub(crate) lookup: Option<PathBuf>,
}

impl ScriptInputs {
    /// Reads the files. `script` is whose lookup table it is, if any is.
    pub(crate) fn read(&self, script: Option<&Script>) -> anyhow::Result<Inputs> {
        let mut inputs = Inputs::default();
        if let Some(path) = &self.params {
            inputs.parameters = Parameters::parse(&text(path)?).with_context(|| path.display().to_string())?;
        }
        if let Some(path) = &self.lookup {
            inputs.lookup = Some(Arc::new(lookup_table(path, script)?));
        }
        // running numbers are CTP's; strict mode refuses a function that answers by what it was asked before
        if self.mode == ModeFlag::Compat {
            inputs.integers = Some(Arc::new(RunningIntegers::default()));
        }
        Ok(inputs)
    }
}

/// Profile or script.
#[derive(Debug, Args)]
pub(crate) struct Rules {
    /// Built-in profile (obia, basic, retain-uids) or a TOML file [default: obia]
    #[arg(long, value_name = "NAME", conflicts_with = "script")]
    profile: Option<String>,
    /// Script of RSNA's CTP, XML or properties
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    #[command(flatten)]
    inputs: ScriptInputs,
    /// Pixel script of CTP: signatures of devices, and the regions to hide
    #[arg(long, value_name = "FILE")]
    pixel_script: Option<PathBuf>,
}

/// Rules that were read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) profile: Arc<Profile>,
    pub(crate) pixel_script: Option<PixelScript>,
    pub(crate) mode: Mode,
    /// Whether the answer for an object depends on those before it, as that of `@integer` does.
    pub(crate) in_order: bool,
}

impl Rules {
    /// Reads profile or script, and the pixel script.
    pub(crate) fn load(&self) -> anyhow::Result<Loaded> {
        let mode = self.inputs.mode.into();
        let (profile, in_order) = match &self.script {
            None => {
                ensure!(
                    self.inputs.params.is_none() && self.inputs.lookup.is_none(),
                    "--params and --lookup are of a script: name one with --script"
                );
                (profile(self.profile.as_deref().unwrap_or("obia"))?, false)
            }
            Some(path) => {
                let script = script(path, mode)?;
                let in_order = script.rules().any(|rule| rule.text().contains("@integer"));
                let inputs = self.inputs.read(Some(&script))?;
                let anonymizer = Anonymizer::new(script, mode, inputs).map_err(|faults| refused(path, &faults))?;
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                (Arc::new(Profile::from_ctp(&name, anonymizer)), in_order)
            }
        };
        let pixel_script = self.pixel_script.as_deref();
        Ok(Loaded {
            profile,
            pixel_script: pixel_script.map(|path| read_pixel_script(path, mode)).transpose()?,
            mode,
            in_order,
        })
    }
}

/// Reads a lookup table, as CSV where the name says so. `script` is whose table it is, if any is.
pub(crate) fn lookup_table(path: &Path, script: Option<&Script>) -> anyhow::Result<LookupTable> {
    let rows = text(path)?;
    let is_csv = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("csv"));
    Ok(if is_csv {
        LookupTable::parse_csv(&rows, script.and_then(only_key_type).as_deref())
    } else {
        LookupTable::parse(&rows)
    })
}

/// Reads a script as the mode takes it.
pub(crate) fn script(path: &Path, mode: Mode) -> anyhow::Result<Script> {
    let text = text(path)?;
    // strict mode refuses with all faults at once, when parameters and tables are known
    Script::parse_compat(&text)
        .with_context(|| path.display().to_string())
        .with_context(|| match mode {
            Mode::Strict => "the script is refused",
            Mode::Compat => "the script cannot be read",
        })
}

fn read_pixel_script(path: &Path, mode: Mode) -> anyhow::Result<PixelScript> {
    let text = text(path)?;
    match mode {
        Mode::Strict => PixelScript::parse(&text).with_context(|| path.display().to_string()),
        Mode::Compat => Ok(PixelScript::parse_compat(&text)),
    }
}

fn profile(name: &str) -> anyhow::Result<Arc<Profile>> {
    if let Some(profile) = Profile::builtin(name) {
        ensure!(
            !profile.changes_nothing(),
            "profile {name} changes nothing: there is nothing to run"
        );
        return Ok(profile);
    }
    let path = Path::new(name);
    if !path.is_file() {
        bail!("no profile {name}: there are obia, basic, retain-uids, and TOML files by their path");
    }
    let profile = Profile::parse(&text(path)?).with_context(|| name.to_owned())?;
    Ok(Arc::new(profile))
}

/// Says why strict mode refuses a script.
fn refused(path: &Path, faults: &[ParseError]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    anyhow::anyhow!("{} is refused:{}", path.display(), lines.concat())
}

/// Reads a file of rules. Scripts of sites are as often in Latin-1 as in UTF-8.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let named = || path.display().to_string();
    let size = std::fs::metadata(path).with_context(named)?.len();
    ensure!(
        size <= MOST_BYTES,
        "{}: larger than {} MiB",
        path.display(),
        MOST_BYTES >> 20
    );
    let bytes = std::fs::read(path).with_context(named)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    })
}

/// Returns the key type of a script's lookups, where all have the same.
fn only_key_type(script: &Script) -> Option<String> {
    let mut found: Option<String> = None;
    for rule in script.rules() {
        for call in rule.text().split("@lookup(").skip(1) {
            let arguments = call.split(')').next().unwrap_or_default();
            let key_type = arguments.split(',').nth(1)?.trim().to_owned();
            if found.as_ref().is_some_and(|known| *known != key_type) {
                return None;
            }
            found = Some(key_type);
        }
    }
    found
}

/// Returns the replacements, keyed by a file or by a random key that is forgotten with the process.
pub(crate) fn pseudonyms(secret_file: Option<&Path>) -> anyhow::Result<Pseudonyms> {
    let key = match secret_file {
        Some(path) => key_of(&std::fs::read(path).with_context(|| path.display().to_string())?)
            .with_context(|| path.display().to_string())?,
        None => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).context("no random numbers")?;
            key
        }
    };
    Ok(Pseudonyms::new(&Secret::new(key), ""))
}

/// Returns the key that a file holds: 32 bytes, or 64 hexadecimal digits, as they are; anything else is digested.
fn key_of(bytes: &[u8]) -> anyhow::Result<[u8; 32]> {
    if let Ok(key) = <[u8; 32]>::try_from(bytes) {
        return Ok(key);
    }
    let trimmed = bytes.trim_ascii();
    ensure!(!trimmed.is_empty(), "the secret is empty");
    let mut key = [0; 32];
    if hex::decode_to_slice(trimmed, &mut key).is_ok() {
        return Ok(key);
    }
    Ok(Sha256::digest(trimmed).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_bytes_digits_or_words() {
        let raw: Vec<u8> = (0..32).collect();
        assert_eq!(key_of(&raw).unwrap().to_vec(), raw);
        assert_eq!(
            key_of(format!("{}\n", hex::encode(&raw)).as_bytes()).unwrap().to_vec(),
            raw
        );
        assert_eq!(key_of(b"correct horse\n").unwrap(), key_of(b"correct horse").unwrap());
        assert_ne!(key_of(b"correct horse").unwrap(), key_of(b"battery staple").unwrap());
        assert!(key_of(b" \n").is_err());
    }

    #[test]
    fn the_key_type_of_a_table_is_known_where_there_is_one() {
        let of = |text: &str| only_key_type(&Script::parse_compat(text).unwrap());
        let rule = |tag: &str, text: &str| format!("<e en=\"T\" t=\"{tag}\" n=\"x\">{text}</e>");
        let one = rule("00100020", "@lookup(this,ptid)");
        assert_eq!(of(&format!("<script>{one}</script>")).as_deref(), Some("ptid"));
        let other = rule("00080050", "@lookup(this, acc, keep)");
        assert_eq!(of(&format!("<script>{one}{other}</script>")), None);
        assert_eq!(of("<script></script>"), None);
    }

    #[test]
    fn a_profile_that_changes_nothing_or_is_not_there_is_no_profile() {
        assert!(profile("none").is_err());
        assert!(profile("no-such-profile").is_err());
        assert_eq!(profile("basic").unwrap().name(), "basic");
    }
}
