//! From a path or an accession to what is read: blob, frame map, ready-made metadata.
//!
//! One image is one query. Many are a list of row ids first (eight bytes each, in the order of answers), then batches; no
//! connection is held while a slow reader takes his time, and every batch applies the visibility anew.

use std::collections::HashMap;

use futures::{Stream, stream};
use isocenter_model::rights::Visibility;
use isocenter_model::{
    CollectionAccession, ImageAccession, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid,
    TransferSyntaxUid,
};
use isocenter_storage::{BlobRef, InArchive};
use sea_orm::FromQueryResult;

use crate::commit::lookup::parsed;
use crate::commit::rows::dereference;
use crate::numbers::Numbered;
use crate::search::visible::Sight;
use crate::sql::Sql;
use crate::{Database, Error, ImageState, Reader, Result, collections};

/// What a path names: a study, a series or an instance; levels that it leaves out are all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// The study.
    pub study: Option<StudyInstanceUid>,
    /// The series.
    pub series: Option<SeriesInstanceUid>,
    /// The instance.
    pub instance: Option<SopInstanceUid>,
}

/// An image with all that reading it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageEntry {
    /// Its row: the number of its accession.
    pub id: i64,
    /// Its accession.
    pub accession: ImageAccession,
    /// Its collection.
    pub collection: CollectionAccession,
    /// Row of its collection.
    pub collection_id: i64,
    /// Its state.
    pub state: ImageState,
    /// Its study.
    pub study_instance_uid: StudyInstanceUid,
    /// Its series.
    pub series_instance_uid: SeriesInstanceUid,
    /// Itself.
    pub sop_instance_uid: SopInstanceUid,
    /// Its class.
    pub sop_class_uid: SopClassUid,
    /// Transfer syntax of the stored object.
    pub transfer_syntax_uid: TransferSyntaxUid,
    /// Number of Frames.
    pub number_of_frames: Option<i64>,
    /// Where its bytes lie.
    pub blob: BlobRef<InArchive>,
    /// Bytes of the stored file before the value of the pixel data.
    pub header_len: u64,
    /// Where its frames lie; imaging reads it.
    pub frame_map: Vec<u8>,
}

/// The ready-made metadata of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataRow {
    /// The image's row.
    pub id: i64,
    /// Its collection.
    pub collection: CollectionAccession,
    /// Its study.
    pub study_instance_uid: StudyInstanceUid,
    /// Its series.
    pub series_instance_uid: SeriesInstanceUid,
    /// Itself.
    pub sop_instance_uid: SopInstanceUid,
    /// Transfer syntax of the stored object.
    pub transfer_syntax_uid: TransferSyntaxUid,
    /// Number of Frames.
    pub number_of_frames: Option<i64>,
    /// Deflated DICOM JSON with splice points.
    pub record: Vec<u8>,
}

/// Images that a batch reads.
const BATCH: usize = 200;

#[derive(FromQueryResult)]
struct Found {
    id: i64,
    study_id: i64,
}

/// Returns the rows of the images that a path names and the caller may see, in the order of answers. Where two
/// collections in sight hold what the path names, the lowest accession wins.
///
/// # Errors
/// When the engine fails.
pub async fn ids_of(db: &impl Reader, visibility: &Visibility, path: &Path) -> Result<Vec<i64>> {
    let sight = Sight::new(visibility);
    let mut sql = Sql::new(
        db.kind(),
        "SELECT i.id, s.id AS study_id FROM image i JOIN series r ON r.id = i.series_id \
         JOIN study s ON s.id = r.study_id WHERE ",
    );
    sight.image(&mut sql, "i");
    if let Some(study) = &path.study {
        sql.push(" AND s.study_instance_uid = ").bind(study.as_str());
    }
    if let Some(series) = &path.series {
        sql.push(" AND r.series_instance_uid = ").bind(series.as_str());
    }
    if let Some(instance) = &path.instance {
        sql.push(" AND i.sop_instance_uid = ").bind(instance.as_str());
    }
    if path == &Path::default() {
        return Err(Error::BadQuery("a path that names nothing"));
    }
    sql.push(
        " ORDER BY s.id, r.series_number IS NULL, r.series_number, r.series_instance_uid, \
         i.instance_number IS NULL, i.instance_number, i.sop_instance_uid",
    );
    let rows: Vec<Found> = sql.all(db).await?;
    let first = rows.first().map(|row| row.study_id);
    Ok(rows
        .into_iter()
        .filter(|row| Some(row.study_id) == first)
        .map(|row| row.id)
        .collect())
}

#[derive(FromQueryResult)]
struct EntryRow {
    id: i64,
    accession: String,
    collection: String,
    collection_id: i64,
    state: i16,
    study_instance_uid: String,
    series_instance_uid: String,
    sop_instance_uid: String,
    sop_class_uid: String,
    transfer_syntax_uid: String,
    number_of_frames: Option<i64>,
    reference: Vec<u8>,
    header_len: i64,
    frame_map: Vec<u8>,
}

fn entries(db: &impl Reader, sight: &Sight<'_>) -> Sql {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT i.id, i.accession, c.accession AS collection, i.collection_id, i.state, s.study_instance_uid, \
         r.series_instance_uid, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.number_of_frames, \
         b.reference, b.header_len, b.frame_map FROM image i JOIN blob b ON b.image_id = i.id \
         JOIN series r ON r.id = i.series_id JOIN study s ON s.id = r.study_id \
         JOIN collection c ON c.id = i.collection_id WHERE ",
    );
    sight.image(&mut sql, "i");
    sql
}

fn entry(row: EntryRow) -> Result<ImageEntry> {
    Ok(ImageEntry {
        id: row.id,
        accession: parsed(ImageAccession::parse(&row.accession))?,
        collection: collections::parse(&row.collection)?,
        collection_id: row.collection_id,
        state: ImageState::from_code(row.state).ok_or(Error::Damaged("unknown state of an image"))?,
        study_instance_uid: parsed(StudyInstanceUid::parse(&row.study_instance_uid))?,
        series_instance_uid: parsed(SeriesInstanceUid::parse(&row.series_instance_uid))?,
        sop_instance_uid: parsed(SopInstanceUid::parse(&row.sop_instance_uid))?,
        sop_class_uid: parsed(SopClassUid::parse(&row.sop_class_uid))?,
        transfer_syntax_uid: parsed(TransferSyntaxUid::parse(&row.transfer_syntax_uid))?,
        number_of_frames: row.number_of_frames,
        blob: dereference(&row.reference)?,
        header_len: u64::try_from(row.header_len).map_err(|_| Error::Damaged("a header's length is negative"))?,
        frame_map: row.frame_map,
    })
}

/// Returns one instance, in one query.
///
/// # Errors
/// When the engine fails.
pub async fn instance(
    db: &impl Reader,
    visibility: &Visibility,
    study: &StudyInstanceUid,
    series: &SeriesInstanceUid,
    instance: &SopInstanceUid,
) -> Result<Option<ImageEntry>> {
    let mut sql = entries(db, &Sight::new(visibility));
    sql.push(" AND i.sop_instance_uid = ").bind(instance.as_str());
    sql.push(" AND r.series_instance_uid = ").bind(series.as_str());
    sql.push(" AND s.study_instance_uid = ")
        .bind(study.as_str())
        .push(" ORDER BY s.id LIMIT 1");
    sql.one::<EntryRow>(db).await?.map(entry).transpose()
}

/// Returns one image by its accession.
///
/// # Errors
/// When the engine fails.
pub async fn by_accession(
    db: &impl Reader,
    visibility: &Visibility,
    accession: &ImageAccession,
) -> Result<Option<ImageEntry>> {
    let Ok(id) = accession.number() else { return Ok(None) };
    let mut sql = entries(db, &Sight::new(visibility));
    sql.push(" AND i.id = ")
        .bind(id)
        .push(" AND i.accession = ")
        .bind(accession.as_str());
    sql.one::<EntryRow>(db).await?.map(entry).transpose()
}

/// Returns images by row, in the order of `ids`; those that are not there or not in sight are left out. For the hits of an
/// index of codes.
///
/// # Errors
/// When the engine fails.
pub async fn by_ids(db: &impl Reader, visibility: &Visibility, ids: &[i64]) -> Result<Vec<ImageEntry>> {
    let sight = Sight::new(visibility);
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let mut sql = entries(db, &sight);
        sql.push(" AND i.id IN ").bind_list(ids.iter().copied());
        for row in sql.all::<EntryRow>(db).await? {
            found.insert(row.id, entry(row)?);
        }
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Returns the images that a path names and the caller may see, in the order of answers. For a study that may be large,
/// [`stream_of`] keeps memory flat.
///
/// # Errors
/// When the engine fails.
pub async fn images_of(db: &impl Reader, visibility: &Visibility, path: &Path) -> Result<Vec<ImageEntry>> {
    let ids = ids_of(db, visibility, path).await?;
    by_ids(db, visibility, &ids).await
}

/// Returns the same images in batches.
///
/// # Errors
/// When the engine fails.
pub async fn stream_of(
    db: &Database,
    visibility: &Visibility,
    path: &Path,
) -> Result<impl Stream<Item = Result<Vec<ImageEntry>>> + Send + 'static> {
    let ids = ids_of(db, visibility, path).await?;
    let start = (db.clone(), visibility.clone(), ids.into_iter());
    Ok(stream::try_unfold(start, |(db, visibility, mut ids)| async move {
        let batch: Vec<i64> = ids.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(None);
        }
        let entries = by_ids(&db, &visibility, &batch).await?;
        Ok(Some((entries, (db, visibility, ids))))
    }))
}

/// Returns the ready-made metadata of the images that a path names and the caller may see, in batches, in the order of
/// answers.
///
/// # Errors
/// When the engine fails.
pub async fn metadata_of(
    db: &Database,
    visibility: &Visibility,
    path: &Path,
) -> Result<impl Stream<Item = Result<Vec<MetadataRow>>> + Send + 'static> {
    let ids = ids_of(db, visibility, path).await?;
    let start = (db.clone(), visibility.clone(), ids.into_iter());
    Ok(stream::try_unfold(start, |(db, visibility, mut ids)| async move {
        let batch: Vec<i64> = ids.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(None);
        }
        let rows = metadata_by_ids(&db, &visibility, &batch).await?;
        Ok(Some((rows, (db, visibility, ids))))
    }))
}

#[derive(FromQueryResult)]
struct Metadata {
    id: i64,
    collection: String,
    study_instance_uid: String,
    series_instance_uid: String,
    sop_instance_uid: String,
    transfer_syntax_uid: String,
    number_of_frames: Option<i64>,
    record: Vec<u8>,
}

/// Returns the ready-made metadata of images by row, in the order of `ids`; those that are not there or not in sight are left
/// out.
///
/// # Errors
/// When the engine fails.
pub async fn metadata_by_ids(db: &impl Reader, visibility: &Visibility, ids: &[i64]) -> Result<Vec<MetadataRow>> {
    let sight = Sight::new(visibility);
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(BATCH) {
        let mut sql = Sql::new(
            db.kind(),
            "SELECT i.id, c.accession AS collection, s.study_instance_uid, r.series_instance_uid, i.sop_instance_uid, \
             i.transfer_syntax_uid, i.number_of_frames, a.record FROM image i JOIN image_metadata a ON a.image_id = i.id \
             JOIN series r ON r.id = i.series_id JOIN study s ON s.id = r.study_id \
             JOIN collection c ON c.id = i.collection_id WHERE ",
        );
        sight.image(&mut sql, "i");
        sql.push(" AND i.id IN ").bind_list(ids.iter().copied());
        for row in sql.all::<Metadata>(db).await? {
            let metadata = MetadataRow {
                id: row.id,
                collection: collections::parse(&row.collection)?,
                study_instance_uid: parsed(StudyInstanceUid::parse(&row.study_instance_uid))?,
                series_instance_uid: parsed(SeriesInstanceUid::parse(&row.series_instance_uid))?,
                sop_instance_uid: parsed(SopInstanceUid::parse(&row.sop_instance_uid))?,
                transfer_syntax_uid: parsed(TransferSyntaxUid::parse(&row.transfer_syntax_uid))?,
                number_of_frames: row.number_of_frames,
                record: row.record,
            };
            found.insert(metadata.id, metadata);
        }
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Returns the de-identification report and the provenance of an image, both JSON. For curators: the caller has checked.
///
/// # Errors
/// When the engine fails.
pub async fn report_of(db: &impl Reader, image: i64) -> Result<Option<(String, String)>> {
    let mut sql = Sql::new(
        db.kind(),
        "SELECT d.body, p.body FROM image_metadata a JOIN deid_report d ON d.id = a.deid_report_id \
         JOIN provenance p ON p.id = a.provenance_id WHERE a.image_id = ",
    );
    sql.bind(image);
    match sql.rows(db).await?.first() {
        None => Ok(None),
        Some(row) => Ok(Some((row.try_get_by_index(0)?, row.try_get_by_index(1)?))),
    }
}
