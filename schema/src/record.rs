//! The unit of commit: one record per image, quarantined object, collection, release or profile of a collection's own.
//!
//! A commit group hands the same records to two places: sealed into the pack that carries the bodies, and to
//! [`crate::commit::group`]. So the database can be rebuilt from the store alone, by applying the records of every pack in
//! the order of the packs' names. A record is therefore complete: it names its parents by accession and repeats their
//! facts; the first record of a study or series decides what the row says ("first wins", a later difference is a finding).
//!
//! Encoded form: one version byte, then postcard. A new field means a new version and a reader for the old one. Version 2
//! knows one kind of record more, behind the others, so the same reader reads version 1.

use chrono::{DateTime, Utc};
use isocenter_model::rights::Access;
use isocenter_model::{
    CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, SeriesInstanceUid, SopClassUid,
    SopInstanceUid, StudyAccession, StudyInstanceUid, TransferSyntaxUid,
};
use isocenter_storage::{BlobRef, CollectionKeyId, InArchive, InQuarantine, KeyId};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Version of the encoded form that this program writes.
pub const VERSION: u8 = 2;

/// State of an image, DESIGN section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageState {
    /// In the archive; slow checks or a release are outstanding.
    Pending,
    /// In the archive; its series waits for a person.
    Held,
    /// As received, sealed, outside the archive.
    Quarantined,
    /// Visible to everyone who may see its collection.
    Released,
    /// Replaced by a revision of itself.
    Superseded,
    /// Taken back after release.
    Withdrawn,
    /// Dropped; the row stays so that its accession is never used again.
    Discarded,
}

impl ImageState {
    /// Every state, in the order of its code in the database.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Held,
        Self::Quarantined,
        Self::Released,
        Self::Superseded,
        Self::Withdrawn,
        Self::Discarded,
    ];

    /// Returns the code that the database keeps.
    pub fn code(self) -> i16 {
        match self {
            Self::Pending => 0,
            Self::Held => 1,
            Self::Quarantined => 2,
            Self::Released => 3,
            Self::Superseded => 4,
            Self::Withdrawn => 5,
            Self::Discarded => 6,
        }
    }

    /// Returns the state of that code.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Returns the word that answers and pages use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
            Self::Discarded => "discarded",
        }
    }

    /// Returns whether the image is in the archive and not yet released: what curators see beside the released.
    pub fn is_awaiting(self) -> bool {
        matches!(self, Self::Pending | Self::Held)
    }
}

/// Severity of a finding, `qc.md` section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Info,
    /// Shown to the reviewer, stops nothing.
    Warn,
    /// The series waits for a person.
    Hold,
    /// Goes to quarantine.
    Block,
}

impl Severity {
    /// Returns the word that the database and answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Hold => "hold",
            Self::Block => "block",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// Code of the check, `Q201`.
    pub check: String,
    /// How much it matters.
    pub severity: Severity,
    /// Machine-readable detail; never patient data.
    pub detail: String,
}

/// Accessions of an image and of what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accessions {
    /// The individual.
    pub individual: IndividualAccession,
    /// The study.
    pub study: StudyAccession,
    /// The series.
    pub series: SeriesAccession,
    /// The image.
    pub image: ImageAccession,
}

/// The individual as the archive knows it: after de-identification. Absent values are empty texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndividualFacts {
    /// Keyed reference of issuer and patient ID as sent: the same for the same patient, meaningless without the key.
    pub pseudonym: [u8; 32],
    /// Key under which everything of this individual is sealed.
    pub key_id: KeyId,
    /// Patient ID in the archive.
    pub patient_id: String,
    /// Patient's Name in the archive.
    pub patient_name: String,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex.
    pub sex: String,
}

/// What a study row says. Absent values are empty texts; the patient's part is in [`IndividualFacts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyFacts {
    /// Study Instance UID in the archive.
    pub study_instance_uid: StudyInstanceUid,
    /// Study Date, `YYYYMMDD`.
    pub study_date: String,
    /// Study Time, as written.
    pub study_time: String,
    /// Accession Number (0008,0050): the hospital's, not the archive's.
    pub accession_number: String,
    /// Referring Physician's Name.
    pub referring_physician_name: String,
    /// Study Description.
    pub study_description: String,
    /// Study ID.
    pub study_id: String,
    /// DICOM JSON object of the patient's and study's elements for a search row, without counts and URLs.
    pub attributes: String,
}

/// What a series row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesFacts {
    /// Series Instance UID in the archive.
    pub series_instance_uid: SeriesInstanceUid,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub series_number: Option<i64>,
    /// Series Description.
    pub series_description: String,
    /// Body Part Examined.
    pub body_part_examined: String,
    /// Protocol Name.
    pub protocol_name: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Manufacturer's Model Name.
    pub manufacturer_model_name: String,
    /// Performed Procedure Step Start Date, `YYYYMMDD`.
    pub performed_procedure_step_start_date: String,
    /// Performed Procedure Step Start Time, as written.
    pub performed_procedure_step_start_time: String,
    /// Scheduled Procedure Step ID of the first item of the Request Attributes Sequence.
    pub scheduled_procedure_step_id: String,
    /// Requested Procedure ID of the same item.
    pub requested_procedure_id: String,
    /// DICOM JSON object of the series' elements for a search row, without counts and URLs.
    pub attributes: String,
}

/// What an image row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// SOP Instance UID in the archive.
    pub sop_instance_uid: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class_uid: SopClassUid,
    /// Transfer syntax of the stored object.
    pub transfer_syntax_uid: TransferSyntaxUid,
    /// Instance Number.
    pub instance_number: Option<i64>,
    /// Number of Frames.
    pub number_of_frames: Option<i64>,
    /// Rows.
    pub rows: Option<i64>,
    /// Columns.
    pub columns: Option<i64>,
    /// Bits Allocated.
    pub bits_allocated: Option<i64>,
    /// DICOM JSON object of the instance's elements for a search row, without URLs.
    pub attributes: String,
}

/// An image that cleared: everything the database says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Its accession and those of its parents.
    pub accessions: Accessions,
    /// The collection that it was submitted to.
    pub collection: CollectionAccession,
    /// Whose it is.
    pub individual: IndividualFacts,
    /// Its study.
    pub study: StudyFacts,
    /// Its series.
    pub series: SeriesFacts,
    /// The image itself.
    pub image: ImageFacts,
    /// Keyed digest of the SOP Instance UID as sent: what duplicates are found by, unique in a collection.
    pub sent_digest: [u8; 32],
    /// Keyed digest of the data set as received, DESIGN section 4: what tells a duplicate from a conflict.
    pub content_digest: [u8; 32],
    /// Keyed digest of the pixels.
    pub pixel_digest: [u8; 32],
    /// State in which it enters.
    pub state: ImageState,
    /// Where its bytes lie.
    pub blob: BlobRef<InArchive>,
    /// Bytes of the stored PS3.10 file before the value of the pixel data.
    pub header_len: u64,
    /// Where its frames lie; opaque here, imaging reads it.
    #[serde(with = "as_bytes")]
    pub frame_map: Vec<u8>,
    /// Ready-made metadata: deflated DICOM JSON with splice points for URLs; opaque here.
    #[serde(with = "as_bytes")]
    pub metadata: Vec<u8>,
    /// De-identification report as JSON. Equal reports are kept once, so it should not repeat what differs per image.
    pub deid_report: String,
    /// What the checks found.
    pub findings: Vec<FindingRecord>,
    /// Where it came from, as JSON. Equal ones are kept once.
    pub provenance: String,
    /// When its last byte arrived.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub received_at: DateTime<Utc>,
}

/// An object that waits outside the archive, sealed as it was received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    /// The collection that it was submitted to.
    pub collection: CollectionAccession,
    /// Keyed digest of the SOP Instance UID as sent; of the whole content where there was none.
    pub sent_digest: [u8; 32],
    /// Keyed digest of the data set as received.
    pub content_digest: [u8; 32],
    /// Keyed reference of the patient as sent, where one was: what erasure finds it by.
    pub individual: Option<[u8; 32]>,
    /// Why it waits; the first is what the peer was told.
    pub findings: Vec<FindingRecord>,
    /// SOP class as sent.
    pub sop_class_uid: Option<SopClassUid>,
    /// Transfer syntax as received.
    pub transfer_syntax_uid: Option<TransferSyntaxUid>,
    /// Where its bytes lie.
    pub blob: BlobRef<InQuarantine>,
    /// Where it came from, as JSON.
    pub provenance: String,
    /// When its last byte arrived.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub received_at: DateTime<Utc>,
}

/// How images of a collection are released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseRule {
    /// By a person.
    Manual,
    /// In the transaction that commits them, where no slow check applies.
    Automatic,
}

/// What becomes of the objects as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Originals {
    /// Not kept.
    None,
    /// Kept sealed until release.
    UntilRelease,
    /// Kept sealed for so many days.
    Days(u32),
}

/// Life of a collection, DESIGN section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Indistinguishable from none.
    Draft,
    /// Its page, counts and metadata are public.
    Announced,
    /// Released.
    Released,
    /// Tombstone.
    Withdrawn,
}

/// An AE title that leads to a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRecord {
    /// Called AE title.
    pub ae_title: String,
    /// Issuer of patient IDs of what comes this way; empty where none was set.
    pub issuer: String,
}

/// A collection: everything the database says about it but its contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionRecord {
    /// Its accession.
    pub accession: CollectionAccession,
    /// Its title.
    pub title: String,
    /// Name of the de-identification profile.
    pub profile: String,
    /// How its images are released.
    pub release: ReleaseRule,
    /// Who may read what is released.
    pub access: Access,
    /// What becomes of the objects as received.
    pub originals: Originals,
    /// Issuer of patient IDs where the source has none of its own; empty for none.
    pub issuer: String,
    /// Key that wraps the keys of its individuals.
    pub collection_key_id: CollectionKeyId,
    /// Who attested that the data are de-identified already, profile `none`; the mark stays for ever.
    pub attested: Option<String>,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Nothing of it is public before this instant.
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub embargo_until: Option<DateTime<Utc>>,
    /// Private or unknown SOP classes that it may release.
    pub allowed_sop_classes: Vec<SopClassUid>,
    /// AE titles that lead to it.
    pub routes: Vec<RouteRecord>,
    /// When it was made.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub created_at: DateTime<Utc>,
}

/// What a change of state reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// A whole collection.
    Collection,
    /// These studies of the collection.
    Studies(Vec<StudyAccession>),
    /// These series of the collection.
    Series(Vec<SeriesAccession>),
    /// These images of the collection.
    Images(Vec<ImageAccession>),
}

/// A release, or any other change of the state of images that a rebuilt database must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// The collection.
    pub collection: CollectionAccession,
    /// What of it.
    pub scope: Scope,
    /// Only images in these states.
    pub from: Vec<ImageState>,
    /// The state they have from now on.
    pub to: ImageState,
    /// When.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
}

/// The de-identification profile that a collection brings itself, beside its [`CollectionRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRecord {
    /// The collection.
    pub collection: CollectionAccession,
    /// The profile's texts, sealed under the collection's key; opaque here. They may name patients.
    #[serde(with = "as_bytes")]
    pub sealed: Vec<u8>,
}

/// One row of a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// An image that cleared.
    Image(Box<ImageRecord>),
    /// An object that waits outside the archive.
    Quarantine(Box<QuarantineRecord>),
    /// A collection was made or changed; the newest record of an accession holds.
    Collection(Box<CollectionRecord>),
    /// The state of images changed.
    Release(Box<ReleaseRecord>),
    /// A collection has a profile of its own; the newest record of a collection holds.
    Profile(Box<ProfileRecord>),
}

impl Record {
    /// Returns the bytes that a pack carries.
    ///
    /// # Errors
    /// Never in practice: every field has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        postcard::to_extend(self, vec![VERSION]).map_err(|_| Error::Record("cannot be encoded"))
    }

    /// Returns the record that a pack carries.
    ///
    /// # Errors
    /// [`Error::Record`] when the version is unknown, the bytes end early, or some are left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((1..=VERSION, body)) => {
                let (record, rest) = postcard::take_from_bytes(body).map_err(|_| Error::Record("cannot be decoded"))?;
                if rest.is_empty() {
                    Ok(record)
                } else {
                    Err(Error::Record("has bytes left over"))
                }
            }
            Some(_) => Err(Error::Record("has a version that this program does not know")),
            None => Err(Error::Record("is empty")),
        }
    }
}

/// Bytes as bytes: serde's own way writes a `Vec<u8>` one element at a time. The encoded form is the same.
mod as_bytes {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests;
