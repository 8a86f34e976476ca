//! Profiles: Table E.1-1 with chosen options, compiled into a script; and the four that are built in.
//!
//! | name | Basic profile and | for |
//! | --- | --- | --- |
//! | `basic` | nothing | what must hold everywhere: no dates, no descriptions, no private attributes |
//! | `obia` | Modified Dates, Patient Characteristics, Clean Descriptors, Structured Content and Graphics; private attributes that are known to be safe, and numbers | the default: intervals, age, sex, size, weight and what was scanned and found stay |
//! | `retain-uids` | all of `obia`, Retain UIDs | objects that others already refer to |
//! | `none` | (changes nothing) | data that was de-identified before; an operator attests it |
//!
//! Which way an "unless" goes (Z/D, X/Z, X/D, X/Z/D) depends on the attribute's type in the IOD; `iod` knows it for 140
//! storage classes. Where it does not, the stricter way is taken that is always valid: D for Z/D, X/D and X/Z/D, Z for X/Z
//! (deid reference, section 10, fallback b), and the report says so. For X/Z/U* the sequence stays with mapped UIDs whatever
//! its type: a mapped reference tells nothing, and without it images lose their plans, reports and sources.
//!
//! Where two chosen options disagree on an attribute, Clean wins over Keep: a device's calibration date under Retain Device
//! Identity and Modified Dates is shifted.

use std::sync::{Arc, LazyLock};

use dicom_core::{Tag, VR};
use sha2::{Digest, Sha256};

use crate::documents::DocumentRule;
use crate::iod::{self, Type};
use crate::options::{ConfidentialityOption as O, Options};
use crate::private_rules::PrivateLists;
use crate::script::{Base, Decision, Script, Step};
use crate::table::{self, Attribute, BasicAction, OptionAction, Row};
use crate::tag_map::TagMap;
use crate::{Error, ctp, dictionary, sr};

/// Counts up when the engine's behaviour changes, so that a profile's hash does.
const ENGINE: &str = "isocenter-deid/2";

/// What becomes of private attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivateRule {
    /// All go.
    Remove,
    /// Those that hold nothing but numbers stay, after checks that the numbers are no identifier and no date.
    KeepNumeric,
    /// Those stay that the object, the collection, PS3.15 E.3.10 or the knowledge base say are safe, after checks.
    KeepSafe,
    /// Both.
    KeepSafeAndNumeric,
}

/// All that a profile consists of.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) options: Options,
    pub(crate) private: PrivateRule,
    pub(crate) documents: DocumentRule,
    pub(crate) lists: PrivateLists,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            options: Options::default(),
            private: PrivateRule::Remove,
            documents: DocumentRule::Hold,
            lists: PrivateLists::default(),
        }
    }
}

impl Settings {
    /// Returns what a built-in profile consists of; `none` consists of nothing.
    pub(crate) fn builtin(name: &str) -> Option<Self> {
        let mut options = vec![
            O::RetainLongitudinalModifiedDates,
            O::RetainPatientCharacteristics,
            O::CleanDescriptors,
            O::CleanStructuredContent,
            O::CleanGraphics,
        ];
        match name {
            "basic" => return Some(Self::default()),
            "obia" => {}
            "retain-uids" => options.push(O::RetainUids),
            _ => return None,
        }
        Some(Self {
            options: Options::of(&options),
            private: PrivateRule::KeepSafeAndNumeric,
            documents: DocumentRule::Blank,
            lists: PrivateLists::default(),
        })
    }
}

/// A named, hashed script that can be applied to any number of data sets.
#[derive(Debug)]
pub struct Profile {
    name: String,
    hash: [u8; 32],
    script: Option<Box<dyn Script>>,
    ctp: Option<Box<ctp::Anonymizer>>,
    pixels: Option<Box<ctp::PixelScript>>,
}

impl Profile {
    /// Makes a profile of a script in CTP's language, so that whoever applies profiles can apply it.
    pub fn from_ctp(name: &str, anonymizer: ctp::Anonymizer) -> Self {
        let mode = match anonymizer.mode() {
            ctp::Mode::Strict => "strict",
            ctp::Mode::Compat => "compat",
        };
        let mut hash = Sha256::new();
        for part in [ENGINE, name, mode] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(anonymizer.digest());
        Self {
            name: name.to_owned(),
            hash: hash.finalize().into(),
            script: None,
            ctp: Some(Box::new(anonymizer)),
            pixels: None,
        }
    }

    /// Adds a pixel script: the devices that somebody looked at, and what is hidden of their images. `text` is the script's.
    #[must_use]
    pub(crate) fn with_pixels(mut self, script: ctp::PixelScript, text: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(b"pixel script")
            .chain_update(text.as_bytes());
        self.hash = hash.finalize().into();
        self.pixels = Some(Box::new(script));
        self
    }

    /// Returns the pixel script, if the profile has one.
    pub fn pixel_script(&self) -> Option<&ctp::PixelScript> {
        self.pixels.as_deref()
    }

    /// Returns the script in CTP's language, if the profile is one.
    pub fn ctp(&self) -> Option<&ctp::Anonymizer> {
        self.ctp.as_deref()
    }

    /// Returns a built-in profile: `basic`, `obia`, `retain-uids` or `none`.
    pub fn builtin(name: &str) -> Option<Arc<Self>> {
        static BUILTIN: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
            ["basic", "obia", "retain-uids"]
                .into_iter()
                .filter_map(|name| Some(Arc::new(Profile::compile(name, Settings::builtin(name)?))))
                .chain([Arc::new(Profile {
                    name: "none".to_owned(),
                    hash: hash("none", &Settings::default()),
                    script: None,
                    ctp: None,
                    pixels: None,
                })])
                .collect()
        });
        BUILTIN.iter().find(|profile| profile.name == name).cloned()
    }

    /// Makes a profile from the Basic profile and options. Encapsulated documents are held.
    ///
    /// # Errors
    /// Fails when both longitudinal options are chosen.
    pub fn from_options(name: &str, options: Options, private: PrivateRule) -> Result<Self, Error> {
        let settings = Settings {
            options,
            private,
            ..Settings::default()
        };
        Self::from_settings(name, settings)
    }

    pub(crate) fn from_settings(name: &str, mut settings: Settings) -> Result<Self, Error> {
        let options = settings.options;
        if options.has(O::RetainLongitudinalFullDates) && options.has(O::RetainLongitudinalModifiedDates) {
            return Err(Error::ExclusiveOptions);
        }
        if options.has(O::RetainSafePrivate) {
            settings.private = match settings.private {
                PrivateRule::Remove | PrivateRule::KeepSafe => PrivateRule::KeepSafe,
                PrivateRule::KeepNumeric | PrivateRule::KeepSafeAndNumeric => PrivateRule::KeepSafeAndNumeric,
            };
        }
        Ok(Self::compile(name, settings))
    }

    fn compile(name: &str, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            hash: hash(name, &settings),
            script: Some(Box::new(TableScript::new(settings))),
            ctp: None,
            pixels: None,
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
        self.script.is_none() && self.ctp.is_none()
    }

    pub(crate) fn script(&self) -> Option<&dyn Script> {
        self.script.as_deref()
    }

    /// Returns a profile with another script, for tests of the engine.
    #[cfg(test)]
    pub(crate) fn with_script(name: &str, script: Box<dyn Script>) -> Self {
        Self {
            name: name.to_owned(),
            hash: [0; 32],
            script: Some(script),
            ctp: None,
            pixels: None,
        }
    }
}

fn hash(name: &str, settings: &Settings) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [ENGINE, name, table::SOURCE, iod::SOURCE, sr::SOURCE, dictionary::SOURCE] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(settings.options.bits().to_le_bytes());
    hash.update([settings.private as u8, settings.documents as u8]);
    for list in [&settings.lists.keep, &settings.lists.remove] {
        let mut sorted: Vec<_> = list.iter().collect();
        sorted.sort_unstable();
        for attribute in sorted {
            hash.update(format!("{attribute:?}").as_bytes());
        }
        hash.update([0]);
    }
    hash.finalize().into()
}

/// Table E.1-1 under a set of options.
#[derive(Debug)]
pub(crate) struct TableScript {
    settings: Settings,
    /// By tag as a number, sorted.
    decisions: TagMap<Decided>,
}

#[derive(Debug, Clone, Copy)]
struct Decided {
    /// Where no type is known.
    decision: Decision,
    /// The action of the Basic profile, where it depends on the type.
    conditional: Option<BasicAction>,
    identifies: bool,
}

impl TableScript {
    pub(crate) fn new(settings: Settings) -> Self {
        let decisions = table::rows()
            .iter()
            .filter_map(|row| match row.attribute {
                Attribute::Single(tag) => {
                    let decision = decide(row, tag, settings.options);
                    let replaced = matches!(decision.step, Step::Do(_)) || row.vr == VR::AE;
                    let conditional = matches!(
                        row.basic,
                        BasicAction::ZOrD | BasicAction::XOrZ | BasicAction::XOrD | BasicAction::XOrZOrD
                    );
                    let decided = Decided {
                        decision,
                        conditional: conditional.then_some(row.basic),
                        identifies: identifies(row) && replaced,
                    };
                    Some((table::number(tag), decided))
                }
                // The walk treats these groups as wholes: no option in force keeps any of them.
                Attribute::Curves | Attribute::OverlayData | Attribute::OverlayComments | Attribute::Private => None,
            })
            .collect();
        Self { settings, decisions }
    }

    fn find(&self, tag: Tag) -> Option<&Decided> {
        self.decisions.get(tag)
    }
}

impl Script for TableScript {
    fn decide(&self, tag: Tag) -> Option<Decision> {
        self.find(tag).map(|decided| decided.decision)
    }

    fn identifies(&self, tag: Tag) -> bool {
        self.find(tag).is_some_and(|decided| decided.identifies)
    }

    fn options(&self) -> Options {
        self.settings.options
    }

    fn private(&self) -> PrivateRule {
        self.settings.private
    }

    fn decide_by_type(&self, tag: Tag, kind: Option<Type>) -> Option<Decision> {
        let decided = self.find(tag)?;
        let (Some(action), Some(kind)) = (decided.conditional, kind) else {
            return Some(decided.decision);
        };
        let base = by_type(action, kind);
        let step = match decided.decision.step {
            Step::Do(_) => Step::Do(base),
            Step::Keep { .. } => Step::Keep { otherwise: base },
            Step::Clean { .. } => Step::Clean { otherwise: base },
        };
        Some(Decision {
            step,
            ..decided.decision
        })
    }

    fn private_lists(&self) -> Option<&PrivateLists> {
        Some(&self.settings.lists)
    }

    fn documents(&self) -> DocumentRule {
        self.settings.documents
    }
}

/// Returns which way a conditional action goes for a type, PS3.15 Table E.1-1a.
fn by_type(action: BasicAction, kind: Type) -> Base {
    match (action, kind) {
        (BasicAction::ZOrD | BasicAction::XOrD | BasicAction::XOrZOrD, Type::One) => Base::Dummy,
        (BasicAction::ZOrD, _) => Base::Empty,
        // Type 1 has no place in the table for X/Z; a dummy conforms.
        (BasicAction::XOrZ, Type::One) => Base::Dummy,
        (BasicAction::XOrZ | BasicAction::XOrZOrD, Type::Two) => Base::Empty,
        // Empty does not conform to what X/D was written for, and neither does a missing attribute.
        (BasicAction::XOrD, Type::Two) => Base::Dummy,
        _ => Base::Remove,
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
    let is_text = matches!(
        row.vr,
        VR::LO | VR::SH | VR::ST | VR::LT | VR::UT | VR::UC | VR::CS | VR::SQ
    );
    match option {
        O::RetainLongitudinalModifiedDates => {
            matches!(row.vr, VR::DA | VR::DT | VR::TM | VR::SQ) || tag == Tag(0x0008, 0x0201)
        }
        // Recorded sound and the like is no text.
        O::CleanDescriptors | O::RetainPatientCharacteristics => is_text,
        // AE titles name an institution's machines; a title of the same form that says nothing takes their place.
        O::RetainDeviceIdentity => row.vr == VR::AE || is_text,
        O::CleanStructuredContent | O::CleanGraphics => row.vr == VR::SQ,
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
    fn free_text_is_cleaned_and_recordings_are_not() {
        for tag in [
            Tag(0x0010, 0x21B0),
            Tag(0x0020, 0x4000),
            Tag(0x0008, 0x2111),
            Tag(0x0010, 0x2110),
            Tag(0x0008, 0x1030),
        ] {
            let cleaned = Step::Clean {
                otherwise: Base::Remove,
            };
            assert_eq!(step("obia", tag), cleaned, "{tag}");
            assert_eq!(step("basic", tag), Step::Do(Base::Remove), "{tag}");
        }
        assert_eq!(
            table::rows()
                .iter()
                .filter(|row| row.vr == VR::OB && row.option(O::CleanDescriptors).is_some())
                .filter_map(|row| match row.attribute {
                    Attribute::Single(tag) => Some(step("obia", tag)),
                    _ => None,
                })
                .collect::<Vec<_>>(),
            [Step::Do(Base::Remove); 2]
        );
    }

    #[test]
    fn conditional_actions_go_by_the_type_of_the_attribute() {
        let profile = Profile::builtin("basic").unwrap();
        let by_type = |tag, kind| profile.script().unwrap().decide_by_type(tag, kind).unwrap().step;
        let series_date = Tag(0x0008, 0x0021);
        assert_eq!(by_type(series_date, Some(Type::Three)), Step::Do(Base::Remove));
        assert_eq!(by_type(series_date, Some(Type::One)), Step::Do(Base::Dummy));
        assert_eq!(by_type(series_date, None), Step::Do(Base::Dummy));
        let content_date = Tag(0x0008, 0x0023);
        assert_eq!(by_type(content_date, Some(Type::Two)), Step::Do(Base::Empty));
        assert_eq!(by_type(content_date, Some(Type::One)), Step::Do(Base::Dummy));
        let operators = Tag(0x0008, 0x1070);
        assert_eq!(by_type(operators, Some(Type::Two)), Step::Do(Base::Empty));
        assert_eq!(by_type(operators, Some(Type::Three)), Step::Do(Base::Remove));
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
        for option in O::ALL {
            assert!(
                Profile::from_options("t", Options::of(&[option]), PrivateRule::Remove).is_ok(),
                "{option:?}"
            );
            assert_eq!(O::named(option.name()), Some(option));
        }
        let safe = Profile::from_options("t", Options::of(&[O::RetainSafePrivate]), PrivateRule::Remove).unwrap();
        assert_eq!(safe.script().unwrap().private(), PrivateRule::KeepSafe);
    }
}
