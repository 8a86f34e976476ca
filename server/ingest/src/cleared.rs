//! The value that says: this object was de-identified and passed every check that is asked on the way in.
//!
//! Its fields are private to this file and [`prepare`](crate::prepare) is the only caller of its only maker, so an object
//! that skipped a step cannot reach the archive area: the committer takes nothing else.

use isocenter_model::arrival::InstanceUids;
use isocenter_schema::record::{ImageFacts, SeriesFacts, StudyFacts};
use isocenter_storage::Body;

use crate::qc::{self, Finding};

/// The patient as the archive will know it; the committer adds the key.
pub(crate) struct PatientFacts {
    pub(crate) pseudonym: [u8; 32],
    pub(crate) patient_id: String,
    pub(crate) patient_name: String,
    pub(crate) birth_date: String,
    pub(crate) sex: String,
}

/// What the archive will hold of one instance, before accessions and sealing.
pub(crate) struct Parts {
    pub(crate) uids: InstanceUids,
    pub(crate) body: Body,
    pub(crate) header_len: u64,
    /// Encoded; imaging reads it.
    pub(crate) frame_map: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) patient: PatientFacts,
    pub(crate) study: StudyFacts,
    pub(crate) series: SeriesFacts,
    pub(crate) image: ImageFacts,
    pub(crate) deid_report: String,
    pub(crate) coerced: bool,
}

/// An instance that passed de-identification and every check of the way in.
pub(crate) struct Cleared {
    parts: Parts,
    findings: Vec<Finding>,
}

impl Cleared {
    /// Takes the parts of an object whose findings keep it out of nowhere; gives them back otherwise.
    pub(crate) fn new(parts: Parts, findings: Vec<Finding>) -> Result<Self, Vec<Finding>> {
        if qc::keeps_out(&findings).is_some() {
            Err(findings)
        } else {
            Ok(Self { parts, findings })
        }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
