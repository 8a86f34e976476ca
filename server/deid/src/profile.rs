//! Profiles: Table E.1-1 with chosen options, compiled into a script; and the four that are built in.
//!
//! | name | Basic profile and | for |
//! | --- | --- | --- |
//! | `basic` | nothing | what must hold everywhere: no dates, no descriptions, no private attributes |
//! | `obia` | Modified Dates, Patient Characteristics, Clean Descriptors; numeric private attributes | the default: intervals, age, sex, size, weight and what was scanned stay |
//! | `retain-uids` | all of `obia`, Retain UIDs | objects that others already refer to |
//! | `none` | (changes nothing) | data that was de-identified before; an operator attests it |
//!
//! Which way an "unless" goes (Z/D, X/D, ...) depends on the attribute's type in the IOD. We have no IOD tables yet and so
//! take the stricter way that is always valid: D for Z/D, X/D and X/Z/D, Z for X/Z, and for X/Z/U* the sequence with
//! mapped UIDs (deid reference, section 10, fallback b). Each report says so.
//!
//! Where two chosen options disagree on an attribute, Clean wins over Keep: a device's calibration date under Retain Device
//! Identity and Modified Dates is shifted.

use std::sync::{Arc, LazyLock};

use dicom_core::{Tag, VR};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::options::{ConfidentialityOption as O, Options};
use crate::script::{Base, Decision, Script, Step};
use crate::table::{self, Attribute, BasicAction, OptionAction, Row};

/// Counts up when the engine's behaviour changes, so that a profile's hash does.
const ENGINE: &str = "isocenter-deid/1";

/// What becomes of private attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivateRule {
    /// All go.
    Remove,
    /// Those that hold nothing but numbers stay, after checks that the numbers are no identifier and no date.
    KeepNumeric,
}

/// A named, hashed script that can be applied to any number of data sets.
#[derive(Debug)]
pub struct Profile {
    name: String,
    hash: [u8; 32],
    script: Option<Box<dyn Script>>,
}

impl Profile {
    /// Returns a built-in profile: `basic`, `obia`, `retain-uids` or `none`.
    pub fn builtin(name: &str) -> Option<Arc<Self>> {
        static BUILTIN: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
            let obia = [
                O::RetainLongitudinalModifiedDates,
                O::RetainPatientCharacteristics,
                O::CleanDescriptors,
            ];
            let mut retain_uids = obia.to_vec();
            retain_uids.push(O::RetainUids);
            [
                ("basic", Options::default(), PrivateRule::Remove),
                ("obia", Options::of(&obia), PrivateRule::KeepNumeric),
                ("retain-uids", Options::of(&retain_uids), PrivateRule::KeepNumeric),
            ]
            .into_iter()
            .map(|(name, options, private)| Arc::new(Profile::compile(name, options, private)))
            .chain([Arc::new(Profile {
                name: "none".to_owned(),
                hash: hash("none", Options::default(), PrivateRule::Remove),
                script: None,
            })])
            .collect()
        });
        BUILTIN.iter().find(|profile| profile.name == name).cloned()
    }

    /// Makes a profile from the Basic profile and options.
    ///
    /// # Errors
    /// Fails when both longitudinal options are chosen, or one that this engine does not carry out and so must not claim
    /// (Clean Graphics, Clean Structured Content; Retain Safe Private is claimed by itself where a private attribute stays).
    pub fn from_options(name: &str, options: Options, private: PrivateRule) -> Result<Self, Error> {
        if options.has(O::RetainLongitudinalFullDates) && options.has(O::RetainLongitudinalModifiedDates) {
            return Err(Error::ExclusiveOptions);
        }
        for option in [O::CleanGraphics, O::CleanStructuredContent, O::RetainSafePrivate] {
            if options.has(option) {
                let (code, meaning) = option.code();
                return Err(Error::OptionNotCarriedOut { code, meaning });
            }
        }
        Ok(Self::compile(name, options, private))
    }

    fn compile(name: &str, options: Options, private: PrivateRule) -> Self {
        Self {
            name: name.to_owned(),
            hash: hash(name, options, private),
            script: Some(Box::new(TableScript::new(options, private))),
        }
    }

    /// Returns the profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a digest of the table, the options and the engine: equal hashes give equal output for equal input.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Returns whether the profile passes every data set as it is.
    pub fn changes_nothing(&self) -> bool {
        self.script.is_none()
    }

    pub(crate) fn script(&self) -> Option<&dyn Script> {
        self.script.as_deref()
    }
}

fn hash(name: &str, options: Options, private: PrivateRule) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [ENGINE, name, table::SOURCE] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(options.bits().to_le_bytes());
    hash.update([matches!(private, PrivateRule::KeepNumeric).into()]);
    hash.finalize().into()
}

/// Table E.1-1 under a set of options.
#[derive(Debug)]
struct TableScript {
    options: Options,
    private: PrivateRule,
    /// (tag as a number, decision, whether it identifies), sorted.
    decisions: Vec<(u32, Decision, bool)>,
}

impl TableScript {
    fn new(options: Options, private: PrivateRule) -> Self {
        let mut decisions: Vec<_> = table::rows()
            .iter()
            .filter_map(|row| match row.attribute {
                Attribute::Single(tag) => {
                    let decision = decide(row, tag, options);
                    let identifies = identifies(row) && matches!(decision.step, Step::Do(_));
                    Some((table::number(tag), decision, identifies))
                }
                // The walk treats these groups as wholes: no option in force keeps any of them.
                Attribute::Curves | Attribute::OverlayData | Attribute::OverlayComments | Attribute::Private => None,
            })
            .collect();
        decisions.sort_unstable_by_key(|(number, ..)| *number);
        Self {
            options,
            private,
            decisions,
        }
    }

    fn find(&self, tag: Tag) -> Option<&(u32, Decision, bool)> {
        let index = self
            .decisions
            .binary_search_by_key(&table::number(tag), |(number, ..)| *number)
            .ok()?;
        self.decisions.get(index)
    }
}

impl Script for TableScript {
    fn decide(&self, tag: Tag) -> Option<Decision> {
        self.find(tag).map(|(_, decision, _)| *decision)
    }

    fn identifies(&self, tag: Tag) -> bool {
        self.find(tag).is_some_and(|(.., identifies)| *identifies)
    }

    fn options(&self) -> Options {
        self.options
    }

    fn private(&self) -> PrivateRule {
        self.private
    }
}

fn decide(row: &Row, tag: Tag, options: Options) -> Decision {
    let (base, rule) = match row.basic {
        BasicAction::X => (Base::Remove, "E.1-1 X"),
        BasicAction::Z => (Base::Empty, "E.1-1 Z"),
        BasicAction::D => (Base::Dummy, "E.1-1 D"),
        BasicAction::U => (Base::MapUid, "E.1-1 U"),
        BasicAction::ZOrD => (Base::Dummy, "E.1-1 Z/D"),
        BasicAction::XOrZ => (Base::Empty, "E.1-1 X/Z"),
        BasicAction::XOrD => (Base::Dummy, "E.1-1 X/D"),
        BasicAction::XOrZOrD => (Base::Dummy, "E.1-1 X/Z/D"),
        BasicAction::XOrZOrU => (Base::Items, "E.1-1 X/Z/U*"),
    };
    let mut chosen = None;
    for option in options.iter() {
        match row.option(option) {
            Some(OptionAction::Clean) if cleanable(row, tag, option) => {
                return Decision {
                    step: Step::Clean { otherwise: base },
                    rule: "E.1-1 C",
                };
            }
            Some(OptionAction::Clean) => {
                chosen = None;
                break;
            }
            Some(OptionAction::Keep) => chosen = Some(Step::Keep { otherwise: base }),
            None => {}
        }
    }
    match chosen {
        Some(step) => Decision { step, rule: "E.1-1 K" },
        None => Decision {
            step: Step::Do(base),
            rule,
        },
    }
}

/// Returns whether we clean a value that an option would let us clean. In doubt the Basic profile's action stands.
fn cleanable(row: &Row, tag: Tag, option: O) -> bool {
    match option {
        O::RetainLongitudinalModifiedDates => {
            matches!(row.vr, VR::DA | VR::DT | VR::TM | VR::SQ) || tag == Tag(0x0008, 0x0201)
        }
        // Free text of any length is written by people about people. So are the short texts on a patient's history, visit,
        // reasons and results; what was scanned, planned or drawn is described by technicians and devices.
        O::CleanDescriptors => match row.vr {
            VR::SQ | VR::CS => true,
            VR::LO | VR::SH => {
                !matches!(tag.0, 0x0010 | 0x0012 | 0x0038 | 0x4008)
                    && !matches!(
                        tag,
                        Tag(0x0008, 0x1080) | Tag(0x0032, 0x1030 | 0x1033) | Tag(0x0040, 0x1002 | 0x2001)
                    )
            }
            _ => false,
        },
        // AE titles name an institution's machines; allergies, needs and states of a patient are free text.
        _ => false,
    }
}

/// Returns whether a row's value, where it does not stay, names somebody or something that must not be repeated.
fn identifies(row: &Row) -> bool {
    let describes = [
        O::CleanDescriptors,
        O::RetainPatientCharacteristics,
        O::RetainLongitudinalFullDates,
        O::RetainUids,
    ]
    .iter()
    .any(|option| row.option(*option).is_some());
    let named = matches!(
        row.vr,
        VR::PN | VR::LO | VR::SH | VR::AE | VR::UC | VR::ST | VR::LT | VR::UT | VR::UR
    );
    named && !describes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(profile: &str, tag: Tag) -> Step {
        let profile = Profile::builtin(profile).unwrap();
        profile.script().unwrap().decide(tag).unwrap().step
    }

    #[test]
    fn the_built_in_profiles_have_names_and_different_hashes() {
        let mut hashes = Vec::new();
        for name in ["basic", "obia", "retain-uids", "none"] {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(profile.name(), name);
            assert_eq!(profile.changes_nothing(), name == "none");
            hashes.push(profile.hash());
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 4);
        assert!(Profile::builtin("Basic").is_none());
    }

    #[test]
    fn options_override_the_basic_profile() {
        let study_date = Tag(0x0008, 0x0020);
        assert_eq!(step("basic", study_date), Step::Do(Base::Empty));
        assert_eq!(step("obia", study_date), Step::Clean { otherwise: Base::Empty });
        let study_uid = Tag(0x0020, 0x000D);
        assert_eq!(step("obia", study_uid), Step::Do(Base::MapUid));
        assert_eq!(
            step("retain-uids", study_uid),
            Step::Keep {
                otherwise: Base::MapUid
            }
        );
        // no option keeps a birth date, PS3.15 E.3.6
        assert_eq!(step("retain-uids", Tag(0x0010, 0x0030)), Step::Do(Base::Empty));
    }

    #[test]
    fn free_text_is_never_cleaned_but_removed() {
        for tag in [
            Tag(0x0010, 0x21B0),
            Tag(0x0020, 0x4000),
            Tag(0x0008, 0x2111),
            Tag(0x0010, 0x2110),
        ] {
            assert_eq!(step("obia", tag), Step::Do(Base::Remove), "{tag}");
        }
        let study_description = Tag(0x0008, 0x1030);
        assert_eq!(
            step("obia", study_description),
            Step::Clean {
                otherwise: Base::Remove
            }
        );
    }

    #[test]
    fn clean_wins_over_keep() {
        let both = Options::of(&[O::RetainDeviceIdentity, O::RetainLongitudinalModifiedDates]);
        let profile = Profile::from_options("t", both, PrivateRule::Remove).unwrap();
        let decision = profile.script().unwrap().decide(Tag(0x0018, 0x1200)).unwrap();
        assert_eq!(
            decision.step,
            Step::Clean {
                otherwise: Base::Remove
            }
        );
    }

    #[test]
    fn options_that_cannot_be_honoured_are_refused() {
        let dates = Options::of(&[O::RetainLongitudinalFullDates, O::RetainLongitudinalModifiedDates]);
        assert_eq!(
            Profile::from_options("t", dates, PrivateRule::Remove).unwrap_err(),
            Error::ExclusiveOptions
        );
        for option in [O::CleanGraphics, O::CleanStructuredContent] {
            assert!(Profile::from_options("t", Options::of(&[option]), PrivateRule::Remove).is_err());
        }
    }
}
