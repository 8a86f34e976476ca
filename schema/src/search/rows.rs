//! What a row of an answer holds, and the statements that read it for the rows of one page.
//!
//! Each statement applies the visibility itself: between finding a page and reading it, rights may have changed, and then
//! the row is left out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use isocenter_model::{
    CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, SeriesInstanceUid, SopClassUid,
    SopInstanceUid, StudyAccession, StudyInstanceUid, TransferSyntaxUid,
};
use sea_orm::FromQueryResult;

use crate::commit::lookup::parsed;
use crate::search::visible::Sight;
use crate::sql::Sql;
use crate::{Error, ImageState, Reader, Result, collections, instant};

/// An individual, as a row at the patient level. Counts are of what the caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndividualRow {
    /// Its row.
    pub id: i64,
    /// Its accession.
    pub accession: IndividualAccession,
    /// Its collection.
    pub collection: CollectionAccession,
    /// Patient ID.
    pub patient_id: String,
    /// Patient's Name.
    pub patient_name: String,
    /// Patient's Birth Date.
    pub patient_birth_date: String,
    /// Patient's Sex.
    pub patient_sex: String,
    /// Number of Patient Related Studies (0020,1200).
    pub studies: u64,
    /// Number of Patient Related Series (0020,1202).
    pub series: u64,
    /// Number of Patient Related Instances (0020,1204).
    pub images: u64,
}

/// A study. Counts and modalities are of what the caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyRow {
    /// Its row.
    pub id: i64,
    /// Its accession.
    pub accession: StudyAccession,
    /// Its collection.
    pub collection: CollectionAccession,
    /// Accession of its individual.
    pub individual: IndividualAccession,
    /// Study Instance UID.
    pub study_instance_uid: StudyInstanceUid,
    /// Study Date.
    pub study_date: String,
    /// Study Time, filled up to microseconds; as written it is in the attributes.
    pub study_time: String,
    /// Study Description.
    pub study_description: String,
    /// Patient ID.
    pub patient_id: String,
    /// Patient's Name.
    pub patient_name: String,
    /// Modalities in Study (0008,0061), sorted.
    pub modalities: Vec<String>,
    /// Number of Study Related Series (0020,1206).
    pub series: u64,
    /// Number of Study Related Instances (0020,1208).
    pub images: u64,
    /// How many of those are released.
    pub images_released: u64,
    /// When its first image arrived.
    pub received_at: DateTime<Utc>,
    /// DICOM JSON object of the patient's and study's elements.
    pub attributes: String,
}

/// A series. Counts are of what the caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRow {
    /// Its row.
    pub id: i64,
    /// Row of its study.
    pub study_id: i64,
    /// Its accession.
    pub accession: SeriesAccession,
    /// Series Instance UID.
    pub series_instance_uid: SeriesInstanceUid,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub series_number: Option<i64>,
    /// Series Description.
    pub series_description: String,
    /// Body Part Examined.
    pub body_part_examined: String,
    /// Number of Series Related Instances (0020,1209).
    pub images: u64,
    /// How many of those are released.
    pub images_released: u64,
    /// DICOM JSON object of the series' elements.
    pub attributes: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRow {
    /// Its row: the number of its accession.
    pub id: i64,
    /// Row of its series.
    pub series_id: i64,
    /// Its accession.
    pub accession: ImageAccession,
    /// Its state.
    pub state: ImageState,
    /// SOP Instance UID.
    pub sop_instance_uid: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class_uid: SopClassUid,
    /// Transfer syntax of the stored object.
    pub transfer_syntax_uid: TransferSyntaxUid,
    /// Number of Frames.
    pub number_of_frames: Option<i64>,
    /// DICOM JSON object of the instance's elements.
    pub attributes: String,
}

/// Rows that one statement reads at most.
const BATCH: usize = 1000;

pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[derive(FromQueryResult)]
struct Study {
    id: i64,
    accession: String,
    collection: String,
    individual: String,
    study_instance_uid: String,
    study_date: String,
    study_time: String,
    study_description: String,
    patient_id: String,
    patient_name: String,
    images: i64,
    images_released: i64,
    received_at: i64,
    attributes: String,
}

#[derive(FromQueryResult)]
struct SeriesOf {
    study_id: i64,
    modality: String,
    series: i64,
}

/// Reads studies by row.
pub(super) async fn studies(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<HashMap<i64, Arc<StudyRow>>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT r.study_id, r.modality, COUNT(*) AS series FROM series r WHERE ",
        );
        sight.counted(&mut sql, "r");
        sql.push(" AND r.study_id IN ").bind_list(ids.iter().copied());
        sql.push(" GROUP BY r.study_id, r.modality ORDER BY r.study_id, r.modality");
        let mut series: BTreeMap<i64, (u64, Vec<String>)> = BTreeMap::new();
        for row in sql.all::<SeriesOf>(db).await? {
            let of = series.entry(row.study_id).or_default();
            of.0 += unsigned(row.series);
            if !row.modality.is_empty() {
                of.1.push(row.modality);
            }
        }
        let mut sql = Sql::new(
            db.kind(),
            "SELECT s.id, s.accession, c.accession AS collection, n.accession AS individual, s.study_instance_uid, \
             s.study_date, s.study_time, s.study_description, s.patient_id, s.patient_name, s.images_released, \
             s.received_at, s.attributes, ",
        );
        sight.count(&mut sql, "s");
        sql.push(" AS images FROM study s JOIN collection c ON c.id = s.collection_id ");
        sql.push("JOIN individual n ON n.id = s.individual_id WHERE ");
        sight.counted(&mut sql, "s");
        sql.push(" AND s.id IN ").bind_list(ids.iter().copied());
        for row in sql.all::<Study>(db).await? {
            let (series, modalities) = series.remove(&row.id).unwrap_or_default();
            let study = StudyRow {
                id: row.id,
                accession: parsed(StudyAccession::parse(&row.accession))?,
                collection: collections::parse(&row.collection)?,
                individual: parsed(IndividualAccession::parse(&row.individual))?,
                study_instance_uid: parsed(StudyInstanceUid::parse(&row.study_instance_uid))?,
                study_date: row.study_date,
                study_time: row.study_time,
                study_description: row.study_description,
                patient_id: row.patient_id,
                patient_name: row.patient_name,
                modalities,
                series,
                images: unsigned(row.images),
                images_released: unsigned(row.images_released),
                received_at: instant::utc(row.received_at)?,
                attributes: row.attributes,
            };
            found.insert(study.id, Arc::new(study));
        }
    }
    Ok(found)
}

#[derive(FromQueryResult)]
struct Series {
    id: i64,
    study_id: i64,
    accession: String,
    series_instance_uid: String,
    modality: String,
    series_number: Option<i64>,
    series_description: String,
    body_part_examined: String,
    images: i64,
    images_released: i64,
    attributes: String,
}

/// Reads series by row.
pub(super) async fn series(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<HashMap<i64, Arc<SeriesRow>>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT r.id, r.study_id, r.accession, r.series_instance_uid, r.modality, r.series_number, \
             r.series_description, r.body_part_examined, r.images_released, r.attributes, ",
        );
        sight.count(&mut sql, "r");
        sql.push(" AS images FROM series r WHERE ");
        sight.counted(&mut sql, "r");
        sql.push(" AND r.id IN ").bind_list(ids.iter().copied());
        for row in sql.all::<Series>(db).await? {
            let series = SeriesRow {
                id: row.id,
                study_id: row.study_id,
                accession: parsed(SeriesAccession::parse(&row.accession))?,
                series_instance_uid: parsed(SeriesInstanceUid::parse(&row.series_instance_uid))?,
                modality: row.modality,
                series_number: row.series_number,
                series_description: row.series_description,
                body_part_examined: row.body_part_examined,
                images: unsigned(row.images),
                images_released: unsigned(row.images_released),
                attributes: row.attributes,
            };
            found.insert(series.id, Arc::new(series));
        }
    }
    Ok(found)
}

#[derive(FromQueryResult)]
struct Image {
    id: i64,
    series_id: i64,
    accession: String,
    state: i16,
    sop_instance_uid: String,
    sop_class_uid: String,
    transfer_syntax_uid: String,
    number_of_frames: Option<i64>,
    attributes: String,
}

/// Reads images by row.
pub(super) async fn images(db: &impl Reader, sight: &Sight<'_>, ids: &[i64]) -> Result<HashMap<i64, ImageRow>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT i.id, i.series_id, i.accession, i.state, i.sop_instance_uid, i.sop_class_uid, \
             i.transfer_syntax_uid, i.number_of_frames, a.attributes FROM image i \
             JOIN image_metadata a ON a.image_id = i.id WHERE ",
        );
        sight.image(&mut sql, "i");
        sql.push(" AND i.id IN ").bind_list(ids.iter().copied());
        for row in sql.all::<Image>(db).await? {
            let image = ImageRow {
                id: row.id,
                series_id: row.series_id,
                accession: parsed(ImageAccession::parse(&row.accession))?,
                state: ImageState::from_code(row.state).ok_or(Error::Damaged("unknown state of an image"))?,
                sop_instance_uid: parsed(SopInstanceUid::parse(&row.sop_instance_uid))?,
                sop_class_uid: parsed(SopClassUid::parse(&row.sop_class_uid))?,
                transfer_syntax_uid: parsed(TransferSyntaxUid::parse(&row.transfer_syntax_uid))?,
                number_of_frames: row.number_of_frames,
                attributes: row.attributes,
            };
            found.insert(image.id, image);
        }
    }
    Ok(found)
}

#[derive(FromQueryResult)]
struct Individual {
    id: i64,
    accession: String,
    collection: String,
    patient_id: String,
    patient_name: String,
    patient_birth_date: String,
    patient_sex: String,
    studies: i64,
    series: i64,
    images: i64,
}

/// Reads individuals by row.
pub(super) async fn individuals(
    db: &impl Reader,
    sight: &Sight<'_>,
    ids: &[i64],
) -> Result<HashMap<i64, Arc<IndividualRow>>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT n.id, n.accession, c.accession AS collection, n.patient_id, n.patient_name, n.patient_birth_date, \
             n.patient_sex, t.studies, t.series, t.images FROM individual n JOIN collection c ON c.id = n.collection_id \
             JOIN (SELECT s.individual_id, COUNT(*) AS studies, CAST(SUM(",
        );
        sight.count(&mut sql, "s");
        sql.push(") AS BIGINT) AS images, CAST(SUM((SELECT COUNT(*) FROM series r WHERE r.study_id = s.id AND ");
        sight.counted(&mut sql, "r");
        sql.push(")) AS BIGINT) AS series FROM study s WHERE ");
        sight.counted(&mut sql, "s");
        sql.push(" AND s.individual_id IN ").bind_list(ids.iter().copied());
        sql.push(" GROUP BY s.individual_id) t ON t.individual_id = n.id");
        for row in sql.all::<Individual>(db).await? {
            let individual = IndividualRow {
                id: row.id,
                accession: parsed(IndividualAccession::parse(&row.accession))?,
                collection: collections::parse(&row.collection)?,
                patient_id: row.patient_id,
                patient_name: row.patient_name,
                patient_birth_date: row.patient_birth_date,
                patient_sex: row.patient_sex,
                studies: unsigned(row.studies),
                series: unsigned(row.series),
                images: unsigned(row.images),
            };
            found.insert(individual.id, Arc::new(individual));
        }
    }
    Ok(found)
}
