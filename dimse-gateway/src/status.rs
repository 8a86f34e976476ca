//! DIMSE statuses, and the one table from what became of an instance to what its sender is told.
//!
//! Senders retry A7xx for ever and delete their copy on 0000, so the table keeps to two rules: success only for what is
//! durable, and A7xx only for what another try can cure.

use dicom_core::Tag;
use isocenter_model::Outcome;
use isocenter_model::arrival::Refusal;

/// A DIMSE status (0000,0900).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Success.
    pub const SUCCESS: Self = Self(0x0000);
    /// Processing failure, PS3.7 C.5.5.
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// SOP class not supported, PS3.7 C.5.6.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// Not authorized, PS3.7 C.5.
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// Unrecognized operation, PS3.7 C.5.
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// Storage: out of resources, PS3.4 B.2.3.
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// Storage: data set does not match SOP class, PS3.4 B.2.3.
    pub const DATA_SET_MISMATCH: Self = Self(0xA900);
    /// Storage: cannot understand, PS3.4 B.2.3.
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);
    /// Storage, a warning: kept, though not as the data set claims to be, PS3.4 B.2.3.
    pub const STORED_WITH_MISMATCH: Self = Self(0xB007);

    /// Returns whether the sender may forget its copy: success, or a warning that says that the instance was kept.
    pub fn is_kept(self) -> bool {
        self == Self::SUCCESS || self.0 & 0xF000 == 0xB000
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Status({:04X})", self.0)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// What a response says: a status, and for people why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: Status,
    /// Error Comment (0000,0902), at most 64 characters; never patient data.
    pub comment: Option<String>,
    /// Offending Element (0000,0901), where one is known.
    pub offending_element: Option<Tag>,
}

impl Verdict {
    /// Returns plain success.
    pub fn success() -> Self {
        Self {
            status: Status::SUCCESS,
            comment: None,
            offending_element: None,
        }
    }

    /// Returns a status with a comment. What the comment names as `(gggg,eeee)` becomes the offending element.
    pub fn new(status: Status, comment: &str) -> Self {
        Self {
            status,
            comment: line_of_64(comment),
            offending_element: first_tag(comment),
        }
    }
}

/// Storage service, PS3.4 B.2.3.
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // An object above the limit stays above it: an answer that is not retried for ever (dimse.md 3.2).
            Refusal::Unreadable | Refusal::CutOff | Refusal::TooLarge => Self::CANNOT_UNDERSTAND,
            Refusal::MissingUid | Refusal::Mismatch => Self::DATA_SET_MISMATCH,
            Refusal::NotAuthorised => Self::NOT_AUTHORIZED,
            Refusal::OutOfResources => Self::OUT_OF_RESOURCES,
            // Internal, and whatever is added to the closed set later: no success by accident.
            _ => Self::PROCESSING_FAILURE,
        }
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into(), reason(refusal))
    }
}

/// What each outcome answers: the C-STORE column of the table in DESIGN section 4.
impl From<&Outcome> for Verdict {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Stored { .. } | Outcome::Kept { .. } => Self::success(),
            Outcome::Conflict { .. } => Self::new(
                Status::STORED_WITH_MISMATCH,
                "SOP Instance UID is in use with other content; kept for review",
            ),
            Outcome::Refused { refusal, detail, .. } if detail.trim().is_empty() => (*refusal).into(),
            Outcome::Refused { refusal, detail, .. } => Self::new((*refusal).into(), detail),
        }
    }
}

/// Returns what a refusal means, where nobody gave a detail.
fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Unreadable => "data set cannot be read",
        Refusal::CutOff => "data set ends before its last element does",
        Refusal::MissingUid => "a required UID is missing or malformed",
        Refusal::Mismatch => "UIDs of command and data set differ",
        Refusal::TooLarge => "instance is larger than the limit",
        Refusal::NotAuthorised => "not authorized to store here",
        Refusal::OutOfResources => "out of resources, send again later",
        _ => "internal failure",
    }
}

/// Returns the text as the value of an LO: at most 64 characters of the default repertoire, no backslash (PS3.5 6.2).
fn line_of_64(text: &str) -> Option<String> {
    let line: String = text
        .chars()
        .map(|c| match c {
            '\\' => '/',
            ' '..='~' => c,
            _ if c.is_control() => ' ',
            _ => '?',
        })
        .take(64)
        .collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Returns the first `(gggg,eeee)` of a text.
fn first_tag(text: &str) -> Option<Tag> {
    text.match_indices('(').find_map(|(at, _)| {
        let inside = text.get(at + 1..at + 11)?.strip_suffix(')')?;
        let (group, element) = inside.split_once(',')?;
        let number = |hex: &str| {
            let digits = hex.len() == 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u16::from_str_radix(hex, 16).ok()).flatten()
        };
        Some(Tag(number(group)?, number(element)?))
    })
}

#[cfg(test)]
mod tests {
    use isocenter_model::arrival::{InstanceUids, SentUids};
    use isocenter_model::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

    use super::*;

    fn stored(coerced: bool, duplicate: bool) -> Outcome {
        Outcome::Stored {
            sent: SentUids::default(),
            archived: InstanceUids {
                sop_class_uid: SopClassUid::parse("1.2").unwrap(),
                study_instance_uid: StudyInstanceUid::parse("1.3").unwrap(),
                series_instance_uid: SeriesInstanceUid::parse("1.4").unwrap(),
                sop_instance_uid: SopInstanceUid::parse("1.5").unwrap(),
            },
            coerced,
            duplicate,
            released: false,
        }
    }

    fn refused(refusal: Refusal, detail: &str) -> Outcome {
        Outcome::Refused {
            sent: SentUids::default(),
            refusal,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn what_is_durable_is_success_whether_changed_or_there_already_or_held() {
        for outcome in [
            stored(false, false),
            stored(true, false),
            stored(false, true),
            Outcome::Kept {
                sent: SentUids::default(),
                check: "Q201",
            },
        ] {
            assert_eq!(Verdict::from(&outcome), Verdict::success());
        }
    }

    #[test]
    fn a_conflict_is_a_warning_and_counts_as_kept() {
        let verdict = Verdict::from(&Outcome::Conflict {
            sent: SentUids::default(),
        });
        assert_eq!(verdict.status, Status(0xB007));
        assert!(verdict.status.is_kept());
    }

    #[test]
    fn every_refusal_has_its_status_and_none_counts_as_kept() {
        for (refusal, status) in [
            (Refusal::Unreadable, 0xC000),
            (Refusal::CutOff, 0xC000),
            (Refusal::MissingUid, 0xA900),
            (Refusal::Mismatch, 0xA900),
            (Refusal::TooLarge, 0xC000),
            (Refusal::NotAuthorised, 0x0124),
            (Refusal::OutOfResources, 0xA700),
            (Refusal::Internal, 0x0110),
        ] {
            let verdict = Verdict::from(&refused(refusal, ""));
            assert_eq!(verdict.status, Status(status), "{refusal:?}");
            assert!(!verdict.status.is_kept());
            assert!(verdict.comment.is_some_and(|comment| comment.len() <= 64));
        }
    }

    #[test]
    fn a_comment_is_one_line_of_64_characters() {
        let verdict = Verdict::from(&refused(Refusal::Unreadable, &"a\\\né".repeat(30)));
        let comment = verdict.comment.unwrap();
        assert_eq!(comment.len(), 64);
        assert!(comment.starts_with("a/ ?a/ ?"));
    }

    #[test]
    fn a_tag_in_the_detail_is_the_offending_element() {
        let verdict = Verdict::from(&refused(
            Refusal::MissingUid,
            "(x) Study Instance UID (0020,000D) is empty",
        ));
        assert_eq!(verdict.offending_element, Some(Tag(0x0020, 0x000D)));
        for none in ["(0020,000)", "(0020,000G)", "(", "(+020,000D)", "(é020,000D)"] {
            assert_eq!(first_tag(none), None, "{none}");
        }
    }
}
