//! What became of an instance, in the words of STOW-RS: one table, PS3.18 10.5.3 and Annex I.
//!
//! [`item`] maps one outcome to a success or failure with its reason; [`status`] maps all of a request to the HTTP status. Both
//! are pure. A client that was told 200 or 202 with the item among the successes may forget its copy: the outcome is only
//! made after the bytes are durable and the rows are committed.

use actix_web::http::StatusCode;
use isocenter_model::arrival::{InstanceUids, Refusal, SentUids};
use isocenter_model::{Outcome, SopClassUid, SopInstanceUid};

/// WarningReason: coercion of data elements, PS3.18 Table I.2-2.
pub const COERCED: u16 = 0xB000;
/// WarningReason: data set does not match SOP class; here: the same UID came with other content, the first copy stays.
pub const CONFLICT: u16 = 0xB007;
/// WarningReason, private to this archive: kept sealed until a person has looked at it.
pub const KEPT_FOR_REVIEW: u16 = 0xB100;

/// FailureReason: refused, out of resources, PS3.18 Table I.2-1.
pub const OUT_OF_RESOURCES: u16 = 0xA700;
/// FailureReason: a required UID is missing or empty.
pub const MISSING_UID: u16 = 0xA900;
/// FailureReason: the UIDs are not those of the request.
pub const OTHER_STUDY: u16 = 0xA901;
/// FailureReason: cannot understand.
pub const CANNOT_UNDERSTAND: u16 = 0xC000;
/// FailureReason: processing failure, PS3.7 Annex C.
pub const PROCESSING_FAILURE: u16 = 0x0110;
/// FailureReason: refused, not authorised, PS3.7 Annex C.
pub const NOT_AUTHORISED: u16 = 0x0124;

/// How one instance stands in the answer. The UIDs are those that were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// In ReferencedSOPSequence (0008,1199).
    Success {
        /// UIDs as sent.
        sent: SentUids,
        /// WarningReason (0008,1196).
        warning: Option<u16>,
        /// Where it lies in the archive; absent where it cannot be retrieved.
        archived: Option<InstanceUids>,
    },
    /// In FailedSOPSequence (0008,1198).
    Failure {
        /// UIDs as sent, as far as they could be read.
        sent: SentUids,
        /// FailureReason (0008,1197).
        reason: u16,
        /// What kind of refusal.
        refusal: Refusal,
    },
}

/// Returns the FailureReason of a refusal.
pub fn failure_reason(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::Unreadable | Refusal::CutOff => CANNOT_UNDERSTAND,
        Refusal::MissingUid => MISSING_UID,
        Refusal::Mismatch => OTHER_STUDY,
        Refusal::OutOfResources => OUT_OF_RESOURCES,
        // An object above the limit stays above it: out of resources would be sent again for ever.
        Refusal::TooLarge => CANNOT_UNDERSTAND,
        Refusal::NotAuthorised => NOT_AUTHORISED,
        _ => PROCESSING_FAILURE,
    }
}

/// Returns how an outcome stands in the answer.
pub fn item(outcome: Outcome) -> Item {
    match outcome {
        Outcome::Stored {
            sent,
            archived,
            coerced,
            duplicate,
            ..
        } => Item::Success {
            sent,
            // What was there already is not changed a second time.
            warning: (coerced && !duplicate).then_some(COERCED),
            archived: Some(archived),
        },
        Outcome::Kept { sent, .. } => Item::Success {
            sent,
            warning: Some(KEPT_FOR_REVIEW),
            archived: None,
        },
        Outcome::Conflict { sent } => Item::Success {
            sent,
            warning: Some(CONFLICT),
            archived: None,
        },
        Outcome::Refused { sent, refusal, .. } => Item::Failure {
            sent,
            reason: failure_reason(refusal),
            refusal,
        },
    }
}

/// Returns the HTTP status of a request with these items; there is at least one.
pub fn status(items: &[Item]) -> StatusCode {
    let mut refusals = items.iter().filter_map(|item| match item {
        Item::Failure { refusal, .. } => Some(*refusal),
        Item::Success { .. } => None,
    });
    let failed = refusals.clone().count();
    if failed == 0 {
        let warned = items
            .iter()
            .any(|item| matches!(item, Item::Success { warning: Some(_), .. }));
        return if warned { StatusCode::ACCEPTED } else { StatusCode::OK };
    }
    if failed < items.len() {
        return StatusCode::ACCEPTED;
    }
    let all = |refusal| refusals.clone().all(|one| one == refusal);
    match () {
        () if all(Refusal::OutOfResources) => StatusCode::SERVICE_UNAVAILABLE,
        () if all(Refusal::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        () if all(Refusal::NotAuthorised) => StatusCode::FORBIDDEN,
        () if refusals.all(|one| one == Refusal::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
        () => StatusCode::CONFLICT,
    }
}

/// Returns the sent UIDs as texts, empty where they could not be read.
pub fn sent_texts(sent: &SentUids) -> (&str, &str) {
    (
        sent.sop_class_uid.as_ref().map_or("", SopClassUid::as_str),
        sent.sop_instance_uid.as_ref().map_or("", SopInstanceUid::as_str),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use isocenter_model::{SeriesInstanceUid, StudyInstanceUid};

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

    fn refused(refusal: Refusal) -> Outcome {
        Outcome::Refused {
            sent: SentUids::default(),
            refusal,
            detail: String::new(),
        }
    }

    fn kept() -> Outcome {
        Outcome::Kept {
            sent: SentUids::default(),
            check: "Q201",
        }
    }

    fn conflict() -> Outcome {
        Outcome::Conflict {
            sent: SentUids::default(),
        }
    }

    #[test]
    fn every_outcome_alone_answers_as_the_table_of_the_design_says() {
        for (outcome, reason, http) in [
            (stored(false, false), None, 200),
            (stored(false, true), None, 200),
            (stored(true, true), None, 200),
            (stored(true, false), Some(45056), 202),
            (kept(), Some(45312), 202),
            (conflict(), Some(45063), 202),
            (refused(Refusal::Unreadable), Some(49152), 409),
            (refused(Refusal::CutOff), Some(49152), 409),
            (refused(Refusal::MissingUid), Some(43264), 409),
            (refused(Refusal::Mismatch), Some(43265), 409),
            (refused(Refusal::TooLarge), Some(49152), 413),
            (refused(Refusal::OutOfResources), Some(42752), 503),
            (refused(Refusal::NotAuthorised), Some(292), 403),
            (refused(Refusal::Internal), Some(272), 500),
        ] {
            let item = item(outcome.clone());
            let said = match &item {
                Item::Success { warning, .. } => *warning,
                Item::Failure { reason, .. } => Some(*reason),
            };
            assert_eq!(said, reason, "{outcome:?}");
            assert_eq!(status(&[item]).as_u16(), http, "{outcome:?}");
        }
    }

    #[test]
    fn together_they_answer_as_the_table_of_the_design_says() {
        let of = |outcomes: Vec<Outcome>| status(&outcomes.into_iter().map(item).collect::<Vec<_>>()).as_u16();
        assert_eq!(of(vec![stored(false, false), stored(false, true)]), 200);
        assert_eq!(of(vec![stored(false, false), kept()]), 202);
        assert_eq!(of(vec![stored(false, false), refused(Refusal::Unreadable)]), 202);
        assert_eq!(of(vec![conflict(), refused(Refusal::OutOfResources)]), 202);
        assert_eq!(
            of(vec![refused(Refusal::Unreadable), refused(Refusal::OutOfResources)]),
            409
        );
        assert_eq!(
            of(vec![refused(Refusal::OutOfResources), refused(Refusal::OutOfResources)]),
            503
        );
        assert_eq!(of(vec![refused(Refusal::Internal), refused(Refusal::MissingUid)]), 409);
    }

    #[test]
    fn only_what_is_in_the_archive_says_where_it_lies() {
        assert!(matches!(
            item(stored(true, false)),
            Item::Success { archived: Some(_), .. }
        ));
        for outcome in [kept(), conflict()] {
            assert!(matches!(item(outcome), Item::Success { archived: None, .. }));
        }
    }
}
