//! A parsed search: the same for QIDO-RS (PS3.18 10.6) and C-FIND (PS3.4 C.4.1).
//!
//! A protocol parses its own syntax into a [`Query`]; schema turns a query and a [`crate::rights::Visibility`] into SQL.
//! Matching rules are those of PS3.4 C.2.2.2. Texts are compared after Unicode NFC, person names also without case.

use crate::{Level, SeriesInstanceUid, StudyInstanceUid};

/// How values of a key are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Exact text; wildcards allowed.
    Text,
    /// Person name: component groups, no case.
    PersonName,
    /// Code string that may have several values; any of them matches.
    Codes,
    /// UID: one or a list, never a wildcard.
    Uid,
    /// `YYYYMMDD`, ranges allowed.
    Date,
    /// `HHMMSS.FFFFFF`, ranges and partial values allowed.
    Time,
    /// Integer.
    Number,
}

macro_rules! keys {
    ($($name:ident, $level:ident, $tag:literal, $kind:ident;)*) => {
        /// An attribute that can be matched on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Key {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name,
            )*
        }

        impl Key {
            /// Every key.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the attribute's keyword, PS3.6.
            pub fn keyword(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Returns the attribute's tag as group and element in one number.
            pub fn tag(self) -> u32 {
                match self { $(Self::$name => $tag),* }
            }

            /// Returns the level that the attribute belongs to. Patient attributes belong to the study here.
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level),* }
            }

            /// Returns how its values are compared.
            pub fn kind(self) -> KeyKind {
                match self { $(Self::$name => KeyKind::$kind),* }
            }
        }
    };
}

keys! {
    StudyInstanceUID, Study, 0x0020_000D, Uid;
    StudyDate, Study, 0x0008_0020, Date;
    StudyTime, Study, 0x0008_0030, Time;
    AccessionNumber, Study, 0x0008_0050, Text;
    ModalitiesInStudy, Study, 0x0008_0061, Codes;
    ReferringPhysicianName, Study, 0x0008_0090, PersonName;
    StudyDescription, Study, 0x0008_1030, Text;
    PatientName, Study, 0x0010_0010, PersonName;
    PatientID, Study, 0x0010_0020, Text;
    PatientBirthDate, Study, 0x0010_0030, Date;
    PatientSex, Study, 0x0010_0040, Text;
    StudyID, Study, 0x0020_0010, Text;
    SeriesInstanceUID, Series, 0x0020_000E, Uid;
    Modality, Series, 0x0008_0060, Text;
    SeriesNumber, Series, 0x0020_0011, Number;
    SeriesDescription, Series, 0x0008_103E, Text;
    BodyPartExamined, Series, 0x0018_0015, Text;
    ProtocolName, Series, 0x0018_1030, Text;
    Manufacturer, Series, 0x0008_0070, Text;
    ManufacturerModelName, Series, 0x0008_1090, Text;
    PerformedProcedureStepStartDate, Series, 0x0040_0244, Date;
    PerformedProcedureStepStartTime, Series, 0x0040_0245, Time;
    ScheduledProcedureStepID, Series, 0x0040_0009, Text;
    RequestedProcedureID, Series, 0x0040_1001, Text;
    SOPInstanceUID, Instance, 0x0008_0018, Uid;
    SOPClassUID, Instance, 0x0008_0016, Uid;
    InstanceNumber, Instance, 0x0020_0013, Number;
    NumberOfFrames, Instance, 0x0028_0008, Number;
    Rows, Instance, 0x0028_0010, Number;
    Columns, Instance, 0x0028_0011, Number;
}

impl Key {
    /// Returns the key of that keyword (case matters, as in PS3.6) or of that tag in 8 hexadecimal digits (case does not).
    pub fn find(name: &str) -> Option<Self> {
        let by_tag = (name.len() == 8).then(|| u32::from_str_radix(name, 16).ok()).flatten();
        Self::ALL
            .iter()
            .copied()
            .find(|key| key.keyword() == name || Some(key.tag()) == by_tag)
    }
}

/// How one key must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Anything, also nothing: an empty value or a lone `*`.
    Universal,
    /// This value.
    Equals(String),
    /// This pattern of `*` (any characters) and `?` (one character). `%` and `_` are ordinary.
    Wildcard(String),
    /// Any of these UIDs.
    AnyOf(Vec<String>),
    /// From and to, both inclusive; `None` is open. Dates as `YYYYMMDD`, times as `HHMMSS.FFFFFF` filled up.
    Range(Option<String>, Option<String>),
}

/// Which attributes rows hold beyond those they must.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Include {
    /// `includefield=all`.
    pub all: bool,
    /// Tags asked for, as group and element in one number.
    pub tags: Vec<u32>,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What one row stands for.
    pub level: Level,
    /// The study in the path, `/studies/{study}/series`.
    pub study: Option<StudyInstanceUid>,
    /// The series in the path.
    pub series: Option<SeriesInstanceUid>,
    /// All must hold.
    pub matching: Vec<(Key, Rule)>,
    /// Whether person names match by the beginning of any part (`fuzzymatching=true`).
    pub fuzzy: bool,
    /// Attributes asked for.
    pub include: Include,
    /// At most so many rows; `None` is the server's own limit.
    pub limit: Option<u64>,
    /// Rows to skip.
    pub offset: u64,
}

impl Query {
    /// Returns a query that matches everything at a level.
    pub fn all(level: Level) -> Self {
        Self {
            level,
            study: None,
            series: None,
            matching: Vec::new(),
            fuzzy: false,
            include: Include::default(),
            limit: None,
            offset: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_keyword_and_by_tag_in_either_case() {
        assert_eq!(Key::find("PatientID"), Some(Key::PatientID));
        assert_eq!(Key::find("0020000d"), Some(Key::StudyInstanceUID));
        assert_eq!(Key::find("0020000D"), Some(Key::StudyInstanceUID));
        assert_eq!(Key::find("patientid"), None);
    }

    #[test]
    fn no_two_keys_share_a_tag() {
        let mut tags: Vec<u32> = Key::ALL.iter().map(|key| key.tag()).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), Key::ALL.len());
    }
}
