//! The checks, one file per question that is asked of an object (`qc.md` section 3).
//!
//! Each finding has the stable code of its check, how grave it is, and a detail that names the thing without repeating a
//! value. A check never fails open: one that cannot run is a finding that holds the object.
//!
//! | file | asks | codes |
//! | --- | --- | --- |
//! | [`header`] | is it whole, does it say who and what it is | Q102 Q104 Q107 Q201 Q404 Q405 Q509 |
//! | [`meta`] | does the file meta group speak of the same object | Q105 |
//! | [`duplicate`] | was it here before, with the same or with other content | Q301 Q302 |
//! | [`patient_mix`] | do study, series and patient fit those that are here | Q202 Q206 |

pub(crate) mod duplicate;
pub(crate) mod header;
mod meta;
pub(crate) mod patient_mix;

use isocenter_schema::record::FindingRecord;
pub use isocenter_schema::record::Severity;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable code of the check.
    pub check: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The thing that was found: a tag, a count, an offset; never a patient's value.
    pub detail: String,
}

impl Finding {
    /// Returns the row that the database and the pack carry.
    pub(crate) fn record(&self) -> FindingRecord {
        FindingRecord {
            check: self.check.to_owned(),
            severity: self.severity,
            detail: self.detail.clone(),
        }
    }

    pub(crate) fn new(check: &'static str, severity: Severity, detail: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            detail: detail.into(),
        }
    }
}

/// Returns the gravest finding that keeps the object out of the archive, if any does.
pub(crate) fn keeps_out(findings: &[Finding]) -> Option<&Finding> {
    findings
        .iter()
        .filter(|finding| finding.severity >= Severity::Hold)
        .max_by_key(|finding| finding.severity)
}
