//! Black-box checks and benchmarks for any archive that speaks DICOMweb and DIMSE.
//!
//! `check` runs numbered cases, each named after the clause of the standard that it holds the archive to; `bench` measures how
//! fast an archive stores, finds and gives back. Both see an archive only as a peer would: through HTTP and an association.
//! Nothing here comes from our own packages, so a fault that the archive and its tests might share is not shared by the judge.
//!
//! Two promises shape the code:
//!
//! * **No case assumes its own identifiers.** An archive may replace UIDs, names and dates while it de-identifies. What was
//!   stored is found through the archive's own answers ([`discover`]) and keys are matched on the values that it gives back.
//! * **A case says why.** A verdict is pass, fail with what was seen, or not applicable with the reason; never silence.
//!
//! ```text
//! target    where the archive is, and as whom we speak
//! web       HTTP client, multipart, DICOM JSON as a peer reads them
//! dimse     association and command sets of a Service Class User
//! data_set  encoding of the objects that we make ourselves; phantom draws their pixels
//! discover  what the archive calls an instance that was sent
//! world     what is stored before the first case, shared by all
//! cases     the cases, one file a service
//! bench     the measurements
//! report    verdicts as text and JSON
//! ```

pub mod bench;
pub mod cases;
pub mod data_set;
pub mod dicom_json;
pub mod dimse;
pub mod discover;
pub mod multipart;
pub mod phantom;
pub mod report;
pub mod sample;
pub mod target;
pub mod web;
pub mod world;
