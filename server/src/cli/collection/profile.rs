//! The de-identification profile on the command line: a built-in one by name, or files that are read and checked at once.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use isocenter_deid::{Definition, Profile, Rules};

use crate::archive::ChosenProfile;

/// Largest file that is read: a little more than the texts may have together, so that the check can say so.
const MOST_BYTES: u64 = 9 << 20;

/// Which profile.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// De-identification profile: obia, basic, retain-uids, or none for data already de-identified (attested by you); or a
    /// file: options in TOML (FILE.toml), or else a script in CTP's language, as XML or properties, run in strict mode
    #[arg(long, value_name = "NAME|FILE", default_value = "obia")]
    profile: PathBuf,
    /// Parameters of the script, as properties or in a script
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    /// Lookup table of the script
    #[arg(long, value_name = "FILE")]
    lookup: Option<PathBuf>,
    /// Pixel script: devices, and the regions of their images that are hidden
    #[arg(long, value_name = "FILE")]
    pixel_script: Option<PathBuf>,
}

impl Choice {
    /// Reads the files.
    pub(super) fn read(self) -> anyhow::Result<ChosenProfile> {
        if let Some(name) = self.profile.to_str().filter(|name| Profile::builtin(name).is_some()) {
            anyhow::ensure!(
                self.params.is_none() && self.lookup.is_none(),
                "--params and --lookup go with a script, and {name} is a built-in profile"
            );
            let Some(devices) = &self.pixel_script else {
                return Ok(name.into());
            };
            anyhow::ensure!(name != "none", "a collection that changes nothing hides nothing: --pixel-script goes with a profile");
            // another profile than the built-in one, so it may not have its name
            let text = format!("name = '{name} and devices'\nextends = '{name}'\n");
            return own(Rules::Options { text }, Some(devices), &devices.display().to_string());
        }
        let shown = self.profile.display();
        anyhow::ensure!(self.profile.exists(), "no profile and no file of that name: {shown}");
        let text = text(&self.profile)?;
        let rules = if self
            .profile
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("toml"))
        {
            anyhow::ensure!(
                self.params.is_none() && self.lookup.is_none(),
                "--params and --lookup go with a script, and {shown} holds options"
            );
            Rules::Options { text }
        } else {
            let name = self
                .profile
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            Rules::Script {
                name: name.to_owned(),
                text,
                parameters: self.params.as_deref().map(self::text).transpose()?,
                lookup: self.lookup.as_deref().map(self::text).transpose()?,
            }
        };
        own(rules, self.pixel_script.as_deref(), &shown.to_string())
    }
}

/// Returns a profile that was read and checked; `shown` says whose faults they are.
fn own(rules: Rules, devices: Option<&Path>, shown: &str) -> anyhow::Result<ChosenProfile> {
    let definition = Definition {
        rules,
        pixel_script: devices.map(text).transpose()?,
    };
    definition.compile().with_context(|| shown.to_owned())?;
    Ok(ChosenProfile::Own(Box::new(definition)))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    file.take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .with_context(|| path.display().to_string())?;
    String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(profile: &Path) -> Choice {
        Choice {
            profile: profile.to_owned(),
            params: None,
            lookup: None,
            pixel_script: None,
        }
    }

    #[test]
    fn a_name_is_a_name_and_a_file_is_a_file() {
        assert!(matches!(choice(Path::new("basic")).read().unwrap(), ChosenProfile::BuiltIn(name) if name == "basic"));
        let missing = choice(Path::new("no-such-profile")).read().unwrap_err().to_string();
        assert!(missing.contains("no-such-profile"), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        let toml = folder.path().join("own.toml");
        std::fs::write(&toml, "name = 'own'\nextends = 'obia'\n").unwrap();
        assert!(
            matches!(choice(&toml).read().unwrap(), ChosenProfile::Own(own) if matches!(own.rules, Rules::Options { .. }))
        );
        let beside = Choice {
            lookup: Some(toml.clone()),
            ..choice(&toml)
        };
        assert!(beside.read().unwrap_err().to_string().contains("--lookup"));
        let of = |lookup, devices, profile| {
            let choice = Choice {
                lookup,
                pixel_script: devices,
                ..choice(Path::new(profile))
            };
            choice.read()
        };
        assert!(of(Some(toml), None, "obia").unwrap_err().to_string().contains("built-in"));
        let devices = folder.path().join("devices.script");
        std::fs::write(&devices, "{ Modality.equals(\"US\") } (0,0,9,9)\n").unwrap();
        for name in ["obia", "basic", "retain-uids"] {
            let ChosenProfile::Own(own) = of(None, Some(devices.clone()), name).unwrap() else {
                panic!("{name} without its devices");
            };
            let compiled = own.compile().unwrap();
            assert!(compiled.pixel_script().is_some() && compiled.name().starts_with(name));
        }
        assert!(of(None, Some(devices), "none").is_err());
    }

    #[test]
    fn faults_of_a_file_are_told_with_file_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("site.script");
        std::fs::write(&script, "set.[0010,0010]PatientName=@nothing()\n").unwrap();
        let told = format!("{:#}", choice(&script).read().unwrap_err());
        assert!(
            told.contains("site.script") && told.contains("line 1, column "),
            "{told}"
        );
        std::fs::write(&script, b"\xff\xfe").unwrap();
        assert!(choice(&script).read().unwrap_err().to_string().contains("UTF-8"));
    }
}
