//! How one instance enters the archive, and what became of it.
//!
//! Every way in (C-STORE, STOW-RS, import, demo) makes an [`Arrival`], opens an [`InstanceWriter`] on the one
//! [`InstanceSink`], hands over the bytes as they come and asks for the [`Outcome`]. An outcome is what the peer may be
//! told; each protocol has a table from outcome to status (DESIGN section 4).
//!
//! The order of the promises: when `finish` returns [`Outcome::Stored`], [`Outcome::Kept`] or [`Outcome::Conflict`], the
//! bytes are on stable storage and the rows are committed. Dropping a writer before `finish` leaves nothing behind.

use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    AeTitle, CollectionAccession, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid,
};

/// Where a called AE title or a token leads: the collection, and the issuer of patient IDs of that source.
///
/// The issuer wins over (0010,0021), so that two hospitals' `12345` are two Individuals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The collection that the instance is submitted to.
    pub collection: CollectionAccession,
    /// Issuer of patient IDs of this source; empty where none was set.
    pub issuer: String,
}

/// The door by which an instance came. Kept as provenance; never shown to the public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A C-STORE over a DIMSE association.
    Dimse {
        /// The peer that opened the association.
        calling_ae_title: AeTitle,
        /// The title of ours that it asked for.
        called_ae_title: AeTitle,
        /// The peer's address.
        peer: IpAddr,
    },
    /// A part of a STOW-RS request.
    Stow {
        /// Public id of the token that was shown.
        token: String,
    },
    /// `isocenter collection import`, `isocenter demo` or a portal upload.
    Import,
}

/// How the bytes that follow are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A PS3.10 file: preamble, prefix, file meta, data set.
    Part10,
    /// A bare data set, as C-STORE carries it, in the transfer syntax of its presentation context.
    DataSet {
        /// Transfer syntax of the accepted presentation context.
        transfer_syntax_uid: TransferSyntaxUid,
        /// Affected SOP Class UID of the command.
        affected_sop_class_uid: SopClassUid,
        /// Affected SOP Instance UID of the command.
        affected_sop_instance_uid: SopInstanceUid,
    },
}

/// What is known of an instance before its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Where it goes.
    pub route: Route,
    /// Where it came from.
    pub source: Source,
    /// How its bytes are laid out.
    pub form: Form,
    /// The only study that is accepted, where the request named one (`POST /studies/{study}`).
    pub bound_to_study: Option<StudyInstanceUid>,
    /// Size in bytes, where the peer told; a hint, never trusted.
    pub size_hint: Option<u64>,
}

/// The UIDs of one instance, all four levels of reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceUids {
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: SopClassUid,
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: StudyInstanceUid,
    /// Series Instance UID (0020,000E).
    pub series_instance_uid: SeriesInstanceUid,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: SopInstanceUid,
}

/// Class and instance as the peer sent them, as far as they could be read. Answers repeat these, never the new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentUids {
    /// SOP Class UID as sent.
    pub sop_class_uid: Option<SopClassUid>,
    /// SOP Instance UID as sent.
    pub sop_instance_uid: Option<SopInstanceUid>,
}

/// Why nothing was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Not DICOM, zero bytes, nonsense lengths. Check Q101.
    Unreadable,
    /// The bytes end before the object does. Check Q102.
    CutOff,
    /// A required UID is missing, empty or malformed. Check Q105.
    MissingUid,
    /// The data set's UIDs are not those of the command or of the request's study.
    Mismatch,
    /// The object is larger than the limit.
    TooLarge,
    /// The principal may not write to that collection, or the collection takes nothing.
    NotAuthorised,
    /// No space, store or database away: the peer should send again.
    OutOfResources,
    /// A fault of ours.
    Internal,
}

/// What became of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// In the archive, durable and committed.
    Stored {
        /// UIDs as sent.
        sent: SentUids,
        /// UIDs in the archive; they differ from the sent ones where de-identification maps them.
        archived: InstanceUids,
        /// Whether any element was changed, WarningReason B000.
        coerced: bool,
        /// Whether the same content was there already.
        duplicate: bool,
        /// Whether it is already visible to everyone who may see the collection.
        released: bool,
    },
    /// Kept sealed in quarantine or held, with the code of the check that asks for it (`Q201`).
    Kept {
        /// UIDs as sent.
        sent: SentUids,
        /// Code of the check, `qc.md` section 3.
        check: &'static str,
    },
    /// Same SOP Instance UID, other content: kept in quarantine, the first copy stays. B007.
    Conflict {
        /// UIDs as sent.
        sent: SentUids,
    },
    /// Nothing was kept.
    Refused {
        /// UIDs as sent, as far as they could be read.
        sent: SentUids,
        /// Why.
        refusal: Refusal,
        /// What exactly, for people: a tag, an offset, a limit; never patient data. At most 64 characters for DIMSE.
        detail: String,
    },
}

/// Takes the bytes of one instance.
#[async_trait]
pub trait InstanceWriter: Send {
    /// Takes the next bytes. Waits where the budget of bytes in flight is spent.
    ///
    /// # Errors
    /// A refusal that is final for this instance: too large, or no space. The caller reads the rest of the object away
    /// and answers.
    async fn write(&mut self, fragment: Bytes) -> Result<(), Refusal>;

    /// Ends the instance and waits until its fate is durable.
    async fn finish(self: Box<Self>) -> Outcome;
}

/// The one way in.
#[async_trait]
pub trait InstanceSink: Send + Sync {
    /// Finds where a called AE title leads; `None` when nobody configured it (association rejected 1/1/7).
    ///
    /// # Errors
    /// [`Refusal::OutOfResources`] when the database does not answer.
    async fn route(&self, called: &AeTitle, calling: &AeTitle, peer: IpAddr) -> Result<Option<Route>, Refusal>;

    /// Opens a writer for one instance.
    ///
    /// # Errors
    /// When the instance is refused before its first byte: no space, or the collection takes nothing.
    async fn begin(&self, arrival: Arrival) -> Result<Box<dyn InstanceWriter>, Refusal>;
}
