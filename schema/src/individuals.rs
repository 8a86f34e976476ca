//! Individuals: found by what the archive calls them, and erased.
//!
//! Erasure has two halves. Storage destroys the key, and with it every sealed byte; here everything derived that lies in
//! rows goes: metadata, attributes, frame maps, codes, findings, what waits in quarantine. The rows of the individual, its
//! studies, series and images stay as tombstones without content: accessions are never used again, and the keyed reference
//! blocks what is sent later.

use isocenter_model::{CollectionAccession, IndividualAccession};
use isocenter_storage::KeyId;
use sea_orm::FromQueryResult;

use crate::commit::lookup::{key_id, parsed};
use crate::numbers::Numbered;
use crate::sql::Sql;
use crate::{Error, ImageState, Reader, Result, Transaction, collections, counters, instant, settings};

/// An individual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Individual {
    /// Its row: the number of its accession.
    pub id: i64,
    /// Its accession.
    pub accession: IndividualAccession,
    /// Its collection.
    pub collection: CollectionAccession,
    /// Its key.
    pub key_id: KeyId,
    /// Patient ID in the archive.
    pub patient_id: String,
    /// Whether it was erased.
    pub erased: bool,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    accession: String,
    collection: String,
    key_id: Vec<u8>,
    patient_id: String,
    erased_at: Option<i64>,
}

fn select(db: &impl Reader) -> Sql {
    Sql::new(
        db.kind(),
        "SELECT n.id, n.accession, c.accession AS collection, n.key_id, n.patient_id, n.erased_at FROM individual n \
         JOIN collection c ON c.id = n.collection_id WHERE ",
    )
}

fn shown(row: Row) -> Result<Individual> {
    Ok(Individual {
        id: row.id,
        accession: parsed(IndividualAccession::parse(&row.accession))?,
        collection: collections::parse(&row.collection)?,
        key_id: key_id(row.key_id)?,
        patient_id: row.patient_id,
        erased: row.erased_at.is_some(),
    })
}

/// Returns an individual by its accession.
///
/// # Errors
/// When the engine fails.
pub async fn get(db: &impl Reader, accession: &IndividualAccession) -> Result<Option<Individual>> {
    let Ok(id) = accession.number() else { return Ok(None) };
    let mut sql = select(db);
    sql.push("n.id = ")
        .bind(id)
        .push(" AND n.accession = ")
        .bind(accession.as_str());
    sql.one::<Row>(db).await?.map(shown).transpose()
}

/// Returns an individual by the keyed reference of its patient.
///
/// # Errors
/// [`Error::NotFound`] when there is no such collection; else when the engine fails.
pub async fn by_pseudonym(
    db: &impl Reader,
    collection: &CollectionAccession,
    pseudonym: &[u8; 32],
) -> Result<Option<Individual>> {
    let id = collections::id_of(db, collection).await?;
    let mut sql = select(db);
    sql.push("n.collection_id = ")
        .bind(id)
        .push(" AND n.pseudonym = ")
        .bind(pseudonym.to_vec());
    sql.one::<Row>(db).await?.map(shown).transpose()
}

/// Takes everything derived from an individual out of the rows, and leaves the block. Storage destroys the key after this
/// was committed; both may run twice.
///
/// # Errors
/// [`Error::NotFound`] when there is no such individual; else when the engine fails.
pub async fn erase(tx: &Transaction, accession: &IndividualAccession) -> Result<Individual> {
    let individual = get(tx, accession).await?.ok_or(Error::NotFound("individual"))?;
    let collection = collections::id_in(tx, &individual.collection).await?;
    tx.lock_collection(collection).await?;
    let id = individual.id;
    for table in ["blob", "image_metadata", "hash_code", "finding"] {
        let mut sql = Sql::new(tx.kind(), "DELETE FROM ");
        sql.push(table)
            .push(" WHERE image_id IN (SELECT i.id FROM image i JOIN series r ON r.id = i.series_id ");
        sql.push("JOIN study s ON s.id = r.study_id WHERE s.individual_id = ")
            .bind(id)
            .push(")");
        sql.execute(tx).await?;
    }
    let of_series =
        "series_id IN (SELECT r.id FROM series r JOIN study s ON s.id = r.study_id WHERE s.individual_id = ";
    let mut sql = Sql::new(tx.kind(), "DELETE FROM finding WHERE ");
    sql.push(of_series).bind(id).push(")");
    sql.execute(tx).await?;
    let mut sql = Sql::new(tx.kind(), "UPDATE image SET state = ");
    sql.bind(ImageState::Discarded.code())
        .push(", changed_at = ")
        .push(instant::now(tx.kind()));
    sql.push(" WHERE ").push(of_series).bind(id).push(")");
    sql.execute(tx).await?;
    let mut sql = Sql::new(
        tx.kind(),
        "DELETE FROM finding WHERE quarantine_id IN (SELECT q.id FROM quarantine_item q JOIN individual n \
         ON n.pseudonym = q.individual AND n.collection_id = q.collection_id WHERE n.id = ",
    );
    sql.bind(id).push(")");
    sql.execute(tx).await?;
    let mut sql = Sql::new(tx.kind(), "DELETE FROM quarantine_item WHERE collection_id = ");
    sql.bind(collection)
        .push(" AND individual = (SELECT pseudonym FROM individual WHERE id = ")
        .bind(id)
        .push(")");
    sql.execute(tx).await?;
    blank(tx, id).await?;
    let mut sql = Sql::new(
        tx.kind(),
        "SELECT r.id FROM series r JOIN study s ON s.id = r.study_id WHERE s.individual_id = ",
    );
    sql.bind(id);
    let rows = sql.rows(tx).await?;
    let series = rows
        .iter()
        .map(|row| Ok(row.try_get_by_index(0)?))
        .collect::<Result<Vec<i64>>>()?;
    counters::recount(tx, &series).await?;
    settings::bump(tx).await?;
    Ok(individual)
}

/// Empties every text that says something.
async fn blank(tx: &Transaction, id: i64) -> Result<()> {
    const PATIENT: &str = "patient_id = '', patient_name = '', patient_name_folded = '', patient_name_ideographic = '', \
                           patient_name_phonetic = '', patient_name_parts = '', patient_birth_date = '', patient_sex = ''";
    let mut sql = Sql::new(tx.kind(), "UPDATE individual SET ");
    sql.push(PATIENT)
        .push(", erased_at = ")
        .push(instant::now(tx.kind()))
        .push(" WHERE id = ")
        .bind(id);
    sql.execute(tx).await?;
    let mut sql = Sql::new(
        tx.kind(),
        "UPDATE series SET series_description = '', protocol_name = '', scheduled_procedure_step_id = '', \
         requested_procedure_id = '', performed_procedure_step_start_date = '', performed_procedure_step_start_time = '', \
         attributes = '{}' WHERE study_id IN (SELECT id FROM study WHERE individual_id = ",
    );
    sql.bind(id).push(")");
    sql.execute(tx).await?;
    let mut sql = Sql::new(tx.kind(), "UPDATE study SET ");
    sql.push(PATIENT);
    sql.push(
        ", study_date = '', study_time = '', accession_number = '', referring_physician_name = '', \
         referring_physician_name_folded = '', referring_physician_name_ideographic = '', \
         referring_physician_name_phonetic = '', referring_physician_name_parts = '', study_description = '', \
         study_id = '', attributes = '{}' WHERE individual_id = ",
    );
    sql.bind(id);
    sql.execute(tx).await?;
    Ok(())
}
