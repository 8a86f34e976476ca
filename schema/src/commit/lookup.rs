//! What is known of a group before it is sealed.

use std::collections::{BTreeSet, HashMap, HashSet};

use isocenter_model::{
    CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, SeriesInstanceUid, SopClassUid,
    SopInstanceUid, StudyAccession, StudyInstanceUid,
};
use isocenter_storage::KeyId;
use sea_orm::FromQueryResult;

use crate::sql::Sql;
use crate::{Error, ImageState, Reader, Result, collections};

/// What is asked about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Keyed digest of the SOP Instance UID as sent.
    pub sent_digest: [u8; 32],
    /// Keyed digest of the data set as received.
    pub content_digest: [u8; 32],
    /// Keyed reference of the patient.
    pub individual: [u8; 32],
    /// SOP Instance UID that it is to have in the archive, where another object may have been given the same: by a script, say.
    pub sop_instance_uid: Option<SopInstanceUid>,
    /// Study Instance UID in the archive.
    pub study_instance_uid: StudyInstanceUid,
    /// Series Instance UID in the archive.
    pub series_instance_uid: SeriesInstanceUid,
}

/// An image of that sent UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownImage {
    /// Its accession.
    pub accession: ImageAccession,
    /// Its state.
    pub state: ImageState,
    /// What it was made from: equal is a duplicate, another one a conflict.
    pub content_digest: [u8; 32],
    /// Its SOP class.
    pub sop_class_uid: SopClassUid,
    /// Its UID in the archive.
    pub sop_instance_uid: SopInstanceUid,
    /// Its series.
    pub series_instance_uid: SeriesInstanceUid,
    /// Its study.
    pub study_instance_uid: StudyInstanceUid,
}

/// An individual of that reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIndividual {
    /// Its accession.
    pub accession: IndividualAccession,
    /// Its key.
    pub key_id: KeyId,
    /// Whether it was erased: what is sent for it is refused.
    pub erased: bool,
    /// Patient's Name in the archive, to find contradictions (Q203).
    pub patient_name: String,
    /// Patient's Birth Date in the archive.
    pub birth_date: String,
    /// Patient's Sex in the archive.
    pub sex: String,
}

/// A study of that UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownStudy {
    /// Its accession.
    pub accession: StudyAccession,
    /// Accession of its individual.
    pub individual: IndividualAccession,
    /// Keyed reference of its patient: another one than the probe's is Q202 or Q206.
    pub pseudonym: [u8; 32],
}

/// A series of that UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSeries {
    /// Its accession.
    pub accession: SeriesAccession,
    /// Its study: another one than the probe's is Q206.
    pub study_instance_uid: StudyInstanceUid,
    /// Its modality.
    pub modality: String,
}

/// What is known of a group. What is not in a map is not in the collection.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Images by the digest of the UID as sent.
    pub images: HashMap<[u8; 32], KnownImage>,
    /// Whose SOP Instance UIDs in the archive these are: digests of UIDs as sent, of all known images.
    pub uids: HashMap<SopInstanceUid, [u8; 32]>,
    /// Digests of UID and content of what waits in quarantine.
    pub quarantined: HashSet<([u8; 32], [u8; 32])>,
    /// Individuals by keyed reference.
    pub individuals: HashMap<[u8; 32], KnownIndividual>,
    /// Studies by UID.
    pub studies: HashMap<StudyInstanceUid, KnownStudy>,
    /// Series by UID; more than one where a contradiction was let in by a person.
    pub series: HashMap<SeriesInstanceUid, Vec<KnownSeries>>,
}

#[derive(FromQueryResult)]
struct ObjectRow {
    sent_digest: Vec<u8>,
    accession: Option<String>,
    state: Option<i16>,
    content_digest: Vec<u8>,
    sop_class_uid: Option<String>,
    sop_instance_uid: Option<String>,
    series_instance_uid: Option<String>,
    study_instance_uid: Option<String>,
}

#[derive(FromQueryResult)]
struct IndividualRow {
    pseudonym: Vec<u8>,
    accession: String,
    key_id: Vec<u8>,
    erased_at: Option<i64>,
    patient_name: String,
    patient_birth_date: String,
    patient_sex: String,
}

#[derive(FromQueryResult)]
struct StudyRow {
    study_instance_uid: String,
    accession: String,
    individual: String,
    pseudonym: Vec<u8>,
}

#[derive(FromQueryResult)]
struct SeriesRow {
    series_instance_uid: String,
    accession: String,
    study_instance_uid: String,
    modality: String,
}

/// Returns everything that the collection knows of a group.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn lookup(db: &impl Reader, collection: &CollectionAccession, probes: &[Probe]) -> Result<Known> {
    let mut known = Known::default();
    lookup_objects(db, collection, probes, &mut known).await?;
    lookup_parents(db, collection, probes, &mut known).await?;
    Ok(known)
}

/// Adds what is known of the objects themselves: images and what waits in quarantine. One statement for 400 of them.
///
/// # Errors
/// As [`lookup`].
pub async fn lookup_objects(
    db: &impl Reader,
    collection: &CollectionAccession,
    probes: &[Probe],
    known: &mut Known,
) -> Result<()> {
    let id = collections::id_of(db, collection).await?;
    for probes in probes.chunks(400) {
        images(db, id, probes, known).await?;
    }
    Ok(())
}

/// Adds what is known of individuals, studies and series.
///
/// # Errors
/// As [`lookup`].
pub async fn lookup_parents(
    db: &impl Reader,
    collection: &CollectionAccession,
    probes: &[Probe],
    known: &mut Known,
) -> Result<()> {
    let id = collections::id_of(db, collection).await?;
    for probes in probes.chunks(400) {
        individuals(db, id, probes, known).await?;
        studies(db, id, probes, known).await?;
        series(db, id, probes, known).await?;
    }
    Ok(())
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> BTreeSet<T> {
    values.collect()
}

async fn images(db: &impl Reader, collection: i64, probes: &[Probe], known: &mut Known) -> Result<()> {
    const IMAGES: &str = "SELECT i.sent_digest, i.accession, i.state, b.content_digest, i.sop_class_uid, \
        i.sop_instance_uid, r.series_instance_uid, s.study_instance_uid FROM image i JOIN blob b ON b.image_id = i.id \
        JOIN series r ON r.id = i.series_id JOIN study s ON s.id = r.study_id WHERE i.collection_id = ";
    let mut sql = Sql::new(db.kind(), IMAGES);
    let digests = distinct(probes.iter().map(|p| p.sent_digest));
    sql.bind(collection)
        .push(" AND i.sent_digest IN ")
        .bind_list(digests.iter().map(|d| d.to_vec()));
    // What waits in quarantine comes as rows without a state.
    sql.push(
        " UNION ALL SELECT q.sent_digest, NULL, NULL, q.content_digest, NULL, NULL, NULL, NULL \
         FROM quarantine_item q WHERE q.collection_id = ",
    );
    let digests = distinct(probes.iter().map(|p| p.content_digest));
    sql.bind(collection)
        .push(" AND q.state = 'waiting' AND q.content_digest IN ");
    sql.bind_list(digests.iter().map(|d| d.to_vec()));
    let uids = distinct(
        probes
            .iter()
            .filter_map(|p| p.sop_instance_uid.as_ref())
            .map(SopInstanceUid::as_str),
    );
    if !uids.is_empty() {
        sql.push(" UNION ALL ").push(IMAGES).bind(collection);
        sql.push(" AND i.sop_instance_uid IN ").bind_list(uids);
    }
    for row in sql.all::<ObjectRow>(db).await? {
        let sent = digest(row.sent_digest)?;
        let content_digest = digest(row.content_digest)?;
        let Some(state) = row.state else {
            known.quarantined.insert((sent, content_digest));
            continue;
        };
        let text = |text: Option<String>| text.unwrap_or_default();
        let image = KnownImage {
            accession: parsed(ImageAccession::parse(&text(row.accession)))?,
            state: ImageState::from_code(state).ok_or(Error::Damaged("unknown state of an image"))?,
            content_digest,
            sop_class_uid: parsed(SopClassUid::parse(&text(row.sop_class_uid)))?,
            sop_instance_uid: parsed(SopInstanceUid::parse(&text(row.sop_instance_uid)))?,
            series_instance_uid: parsed(SeriesInstanceUid::parse(&text(row.series_instance_uid)))?,
            study_instance_uid: parsed(StudyInstanceUid::parse(&text(row.study_instance_uid)))?,
        };
        known.uids.insert(image.sop_instance_uid.clone(), sent);
        known.images.insert(sent, image);
    }
    Ok(())
}

async fn individuals(db: &impl Reader, collection: i64, probes: &[Probe], known: &mut Known) -> Result<()> {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT pseudonym, accession, key_id, erased_at, patient_name, patient_birth_date, patient_sex \
         FROM individual WHERE collection_id = ",
    );
    let pseudonyms = distinct(probes.iter().map(|p| p.individual));
    sql.bind(collection)
        .push(" AND pseudonym IN ")
        .bind_list(pseudonyms.iter().map(|p| p.to_vec()));
    for row in sql.all::<IndividualRow>(db).await? {
        let individual = KnownIndividual {
            accession: parsed(IndividualAccession::parse(&row.accession))?,
            key_id: key_id(row.key_id)?,
            erased: row.erased_at.is_some(),
            patient_name: row.patient_name,
            birth_date: row.patient_birth_date,
            sex: row.patient_sex,
        };
        known.individuals.insert(digest(row.pseudonym)?, individual);
    }
    Ok(())
}

async fn studies(db: &impl Reader, collection: i64, probes: &[Probe], known: &mut Known) -> Result<()> {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT s.study_instance_uid, s.accession, n.accession AS individual, n.pseudonym FROM study s \
         JOIN individual n ON n.id = s.individual_id WHERE s.collection_id = ",
    );
    let uids = distinct(probes.iter().map(|p| p.study_instance_uid.as_str()));
    sql.bind(collection)
        .push(" AND s.study_instance_uid IN ")
        .bind_list(uids);
    for row in sql.all::<StudyRow>(db).await? {
        let study = KnownStudy {
            accession: parsed(StudyAccession::parse(&row.accession))?,
            individual: parsed(IndividualAccession::parse(&row.individual))?,
            pseudonym: digest(row.pseudonym)?,
        };
        known
            .studies
            .insert(parsed(StudyInstanceUid::parse(&row.study_instance_uid))?, study);
    }
    Ok(())
}

async fn series(db: &impl Reader, collection: i64, probes: &[Probe], known: &mut Known) -> Result<()> {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT r.series_instance_uid, r.accession, s.study_instance_uid, r.modality FROM series r \
         JOIN study s ON s.id = r.study_id WHERE s.collection_id = ",
    );
    let uids = distinct(probes.iter().map(|p| p.series_instance_uid.as_str()));
    sql.bind(collection)
        .push(" AND r.series_instance_uid IN ")
        .bind_list(uids)
        .push(" ORDER BY r.id");
    for row in sql.all::<SeriesRow>(db).await? {
        let series = KnownSeries {
            accession: parsed(SeriesAccession::parse(&row.accession))?,
            study_instance_uid: parsed(StudyInstanceUid::parse(&row.study_instance_uid))?,
            modality: row.modality,
        };
        let uid = parsed(SeriesInstanceUid::parse(&row.series_instance_uid))?;
        known.series.entry(uid).or_default().push(series);
    }
    Ok(())
}

pub(crate) fn parsed<T, E>(value: std::result::Result<T, E>) -> Result<T> {
    value.map_err(|_| Error::Damaged("an identifier is malformed"))
}

pub(crate) fn digest(bytes: Vec<u8>) -> Result<[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| Error::Damaged("a digest has another length"))
}

pub(crate) fn key_id(bytes: Vec<u8>) -> Result<KeyId> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Error::Damaged("a key id has another length"))?;
    Ok(KeyId::from_bytes(bytes))
}
