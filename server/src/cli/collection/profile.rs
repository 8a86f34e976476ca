//! The de-identification profile on the command line: a built-in one by name, or files that are read and checked at once.
//!
//! Files are read as `deid run` reads them, so that what was tried there is what the collection gets.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use isocenter_deid::ctp::Script;
use isocenter_deid::{Definition, Profile, Rules};

use super::super::deid::rules::{lookup_table, text};
use crate::archive::ChosenProfile;

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
    /// Lookup table of the script: properties, or CSV where the name ends in .csv
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
            anyhow::ensure!(
                name != "none",
                "a collection that changes nothing hides nothing: --pixel-script goes with a profile"
            );
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
            // a script that cannot be read is told as such when all is compiled
            let script = Script::parse_compat(&text).ok();
            let table = |path: &Path| Ok::<_, anyhow::Error>(lookup_table(path, script.as_ref())?.to_properties());
            let lookup = self.lookup.as_deref().map(table);
            Rules::Script {
                name: name.to_owned(),
                text,
                parameters: self.params.as_deref().map(self::text).transpose()?,
                lookup: lookup.transpose()?,
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
        assert!(
            of(Some(toml), None, "obia")
                .unwrap_err()
                .to_string()
                .contains("built-in")
        );
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
        // of a site that writes Latin-1
        std::fs::write(&script, b"set.[0008,0080]Institution=Universit\xe4t\n").unwrap();
        assert!(choice(&script).read().is_ok());
    }

    #[test]
    fn a_lookup_table_may_be_csv_as_in_deid_run() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("trial.script");
        std::fs::write(&script, "set.[0010,0020]PatientID=@lookup(this,ptid)\n").unwrap();
        let of = |name: &str, rows: &str| {
            let lookup = folder.path().join(name);
            std::fs::write(&lookup, rows).unwrap();
            let choice = Choice {
                lookup: Some(lookup),
                ..choice(&script)
            };
            match choice.read().unwrap() {
                ChosenProfile::Own(own) => own.compile().unwrap().hash(),
                ChosenProfile::BuiltIn(name) => panic!("{name}"),
            }
        };
        assert_eq!(
            of("t.csv", "HOSP1,T1\nHOSP2,T2\n"),
            of("t.properties", "ptid/HOSP2=T2\nptid/HOSP1=T1\n")
        );
    }
}
