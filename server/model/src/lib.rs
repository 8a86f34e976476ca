//! The words and ports of Isocenter.
//!
//! Every package speaks in these types and none of them does I/O. A value that came from a peer (a UID, an AE title, a
//! query, a stranger's bytes) is parsed here, once, by the only constructor there is; from then on its type says that it
//! was checked. The ports ([`InstanceSink`]) are the seams between packages that must not know each other: the gateway
//! hands fragments to a sink and never learns that there is a database behind it.
//!
//! | module | holds |
//! | --- | --- |
//! | [`uid`], [`ae_title`], [`accession`], [`level`] | identifiers and the levels of the DICOM information model |
//! | [`arrival`] | how one instance enters: where from, for which collection, and what became of it |
//! | [`part10`] | a stranger's bytes: length guard, tolerant file meta, header, where the pixels lie |
//! | [`query`] | a parsed search, the same for QIDO-RS and C-FIND |
//! | [`rights`] | who may do what: one pure function, and its value [`rights::Visibility`] |
//! | [`fault`] | the small closed set of ways in which things fail |
//! | [`clock`] | time and randomness, handed in so that tests are exact |

pub mod accession;
pub mod ae_title;
pub mod arrival;
pub mod clock;
pub mod fault;
pub mod level;
pub mod part10;
pub mod query;
pub mod rights;
pub mod uid;

pub use accession::{CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, StudyAccession};
pub use ae_title::AeTitle;
pub use arrival::{Arrival, InstanceSink, InstanceWriter, Outcome, Route, Source};
pub use clock::{Clock, SystemClock};
pub use fault::{Classify, Fault};
pub use level::Level;
pub use uid::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
