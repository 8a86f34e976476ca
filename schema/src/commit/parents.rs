//! Individual, study and series of each image of a group: those there are, and those to make.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{EntityTrait, FromQueryResult, Set};

use crate::commit::group::{Accessions, Fate};
use crate::commit::lookup::digest;
use crate::entity::archive::{individual, series, study};
use crate::numbers::Numbered;
use crate::record::ImageRecord;
use crate::search::fold::{self, FoldedName};
use crate::sql::Sql;
use crate::{Reader, Result, Transaction, instant};

/// An image whose parents have rows.
pub(super) struct Placed<'a> {
    pub(super) index: usize,
    pub(super) record: &'a ImageRecord,
    pub(super) study: i64,
    pub(super) series: i64,
}

#[derive(Default)]
struct Parents {
    /// by pseudonym: row, and whether it was erased
    individuals: HashMap<[u8; 32], (i64, bool)>,
    /// by UID: row and pseudonym
    studies: HashMap<String, (i64, [u8; 32])>,
    /// by UID: row and study; a UID may be in two studies where a person let it in
    series: HashMap<String, Vec<(i64, i64)>>,
}

#[derive(FromQueryResult)]
struct Row {
    series_id: i64,
    series_instance_uid: String,
    study_id: i64,
    study_instance_uid: String,
    individual_id: i64,
    pseudonym: Vec<u8>,
    erased_at: Option<i64>,
}

#[derive(FromQueryResult)]
struct StudyRow {
    study_id: i64,
    study_instance_uid: String,
    individual_id: i64,
    pseudonym: Vec<u8>,
    erased_at: Option<i64>,
}

#[derive(FromQueryResult)]
struct IndividualRow {
    id: i64,
    pseudonym: Vec<u8>,
    erased_at: Option<i64>,
}

/// Finds or makes the parents. Images that contradict what is there get their fate, and are not among the result.
pub(super) async fn place<'a>(
    tx: &Transaction,
    collection: i64,
    images: &[(usize, &'a ImageRecord)],
    accessions: Accessions,
    set: &mut (impl FnMut(usize, Fate) + Send),
) -> Result<Vec<Placed<'a>>> {
    let mut known = find(tx, collection, images).await?;
    let mut placed = Vec::with_capacity(images.len());
    let (mut individuals, mut studies, mut many_series) = (Vec::new(), Vec::new(), Vec::new());
    for (index, record) in images {
        let pseudonym = record.individual.pseudonym;
        let study_uid = record.study.study_instance_uid.as_str();
        let series_uid = record.series.series_instance_uid.as_str();
        if known.individuals.get(&pseudonym).is_some_and(|(_, erased)| *erased) {
            set(*index, Fate::Erased);
            continue;
        }
        let study = known.studies.get(study_uid).copied();
        if study.is_some_and(|(_, of)| of != pseudonym) {
            set(*index, Fate::StudyOfAnother);
            continue;
        }
        let elsewhere = known.series.get(series_uid).map_or(&[][..], Vec::as_slice);
        let series = study.and_then(|(id, _)| elsewhere.iter().find(|(_, study)| *study == id));
        if series.is_none() && !elsewhere.is_empty() {
            set(*index, Fate::SeriesElsewhere);
            continue;
        }
        if accessions == Accessions::AsFound {
            let recorded = &record.accessions;
            let individual = known.individuals.get(&pseudonym).map(|(id, _)| *id);
            let moved = individual.is_some_and(|id| recorded.individual.number() != Ok(id))
                || study.is_some_and(|(id, _)| recorded.study.number() != Ok(id))
                || series.is_some_and(|(id, _)| recorded.series.number() != Ok(*id));
            if moved {
                set(*index, Fate::Moved);
                continue;
            }
        }
        if let (Some((study, _)), Some((series, _))) = (study, series) {
            placed.push(Placed {
                index: *index,
                record,
                study,
                series: *series,
            });
            continue;
        }
        let individual = match known.individuals.get(&pseudonym) {
            Some((id, _)) => *id,
            None => {
                let id = record.accessions.individual.number()?;
                individuals.push(individual_row(id, collection, record));
                known.individuals.insert(pseudonym, (id, false));
                id
            }
        };
        let study = match study {
            Some((id, _)) => id,
            None => {
                let id = record.accessions.study.number()?;
                studies.push(study_row(id, collection, individual, record));
                known.studies.insert(study_uid.to_owned(), (id, pseudonym));
                id
            }
        };
        let series = record.accessions.series.number()?;
        many_series.push(series_row(series, collection, study, record));
        known
            .series
            .entry(series_uid.to_owned())
            .or_default()
            .push((series, study));
        placed.push(Placed {
            index: *index,
            record,
            study,
            series,
        });
    }
    let executor = tx.executor();
    if !individuals.is_empty() {
        individual::Entity::insert_many(individuals)
            .exec_without_returning(&executor)
            .await?;
    }
    if !studies.is_empty() {
        study::Entity::insert_many(studies)
            .exec_without_returning(&executor)
            .await?;
    }
    if !many_series.is_empty() {
        series::Entity::insert_many(many_series)
            .exec_without_returning(&executor)
            .await?;
    }
    Ok(placed)
}

/// Most images go into a series that is there: one query then finds all three. Only for the others it takes two more.
async fn find(tx: &Transaction, collection: i64, images: &[(usize, &ImageRecord)]) -> Result<Parents> {
    let mut known = Parents::default();
    let uids: BTreeSet<&str> = images
        .iter()
        .map(|(_, r)| r.series.series_instance_uid.as_str())
        .collect();
    let mut sql = Sql::new(
        tx.kind(),
        "SELECT r.id AS series_id, r.series_instance_uid, s.id AS study_id, s.study_instance_uid, \
         n.id AS individual_id, n.pseudonym, n.erased_at FROM series r JOIN study s ON s.id = r.study_id \
         JOIN individual n ON n.id = s.individual_id WHERE s.collection_id = ",
    );
    sql.bind(collection)
        .push(" AND r.series_instance_uid IN ")
        .bind_list(uids);
    for row in sql.all::<Row>(tx).await? {
        let pseudonym = digest(row.pseudonym)?;
        known
            .individuals
            .insert(pseudonym, (row.individual_id, row.erased_at.is_some()));
        known.studies.insert(row.study_instance_uid, (row.study_id, pseudonym));
        known
            .series
            .entry(row.series_instance_uid)
            .or_default()
            .push((row.series_id, row.study_id));
    }
    let unknown = |uid: &&str| !known.studies.contains_key(*uid);
    let uids: BTreeSet<&str> = images
        .iter()
        .map(|(_, r)| r.study.study_instance_uid.as_str())
        .filter(unknown)
        .collect();
    if !uids.is_empty() {
        let mut sql = Sql::new(
            tx.kind(),
            "SELECT s.id AS study_id, s.study_instance_uid, n.id AS individual_id, n.pseudonym, n.erased_at \
             FROM study s JOIN individual n ON n.id = s.individual_id WHERE s.collection_id = ",
        );
        sql.bind(collection)
            .push(" AND s.study_instance_uid IN ")
            .bind_list(uids);
        for row in sql.all::<StudyRow>(tx).await? {
            let pseudonym = digest(row.pseudonym)?;
            known
                .individuals
                .insert(pseudonym, (row.individual_id, row.erased_at.is_some()));
            known.studies.insert(row.study_instance_uid, (row.study_id, pseudonym));
        }
    }
    let unknown = |p: &&[u8; 32]| !known.individuals.contains_key(*p);
    let pseudonyms: BTreeSet<&[u8; 32]> = images
        .iter()
        .map(|(_, r)| &r.individual.pseudonym)
        .filter(unknown)
        .collect();
    if !pseudonyms.is_empty() {
        let mut sql = Sql::new(
            tx.kind(),
            "SELECT id, pseudonym, erased_at FROM individual WHERE collection_id = ",
        );
        sql.bind(collection)
            .push(" AND pseudonym IN ")
            .bind_list(pseudonyms.into_iter().map(|p| p.to_vec()));
        for row in sql.all::<IndividualRow>(tx).await? {
            known
                .individuals
                .insert(digest(row.pseudonym)?, (row.id, row.erased_at.is_some()));
        }
    }
    Ok(known)
}

fn individual_row(id: i64, collection: i64, record: &ImageRecord) -> individual::ActiveModel {
    let facts = &record.individual;
    let name = FoldedName::new(&facts.patient_name);
    individual::ActiveModel {
        id: Set(id),
        accession: Set(record.accessions.individual.to_string()),
        collection_id: Set(collection),
        pseudonym: Set(facts.pseudonym.to_vec()),
        key_id: Set(facts.key_id.as_bytes().to_vec()),
        patient_id: Set(fold::text(&facts.patient_id)),
        patient_name: Set(fold::text(&facts.patient_name)),
        patient_name_folded: Set(name.alphabetic),
        patient_name_ideographic: Set(name.ideographic),
        patient_name_phonetic: Set(name.phonetic),
        patient_name_parts: Set(name.parts),
        patient_birth_date: Set(fold::text(&facts.birth_date)),
        patient_sex: Set(fold::text(&facts.sex)),
        erased_at: Set(None),
        received_at: Set(instant::micros(record.received_at)),
    }
}

fn study_row(id: i64, collection: i64, individual: i64, record: &ImageRecord) -> study::ActiveModel {
    let (facts, patient) = (&record.study, &record.individual);
    let name = FoldedName::new(&patient.patient_name);
    let physician = FoldedName::new(&facts.referring_physician_name);
    study::ActiveModel {
        id: Set(id),
        accession: Set(record.accessions.study.to_string()),
        collection_id: Set(collection),
        individual_id: Set(individual),
        study_instance_uid: Set(facts.study_instance_uid.to_string()),
        study_date: Set(fold::text(&facts.study_date)),
        study_time: Set(fold::time(&facts.study_time)),
        accession_number: Set(fold::text(&facts.accession_number)),
        referring_physician_name: Set(fold::text(&facts.referring_physician_name)),
        referring_physician_name_folded: Set(physician.alphabetic),
        referring_physician_name_ideographic: Set(physician.ideographic),
        referring_physician_name_phonetic: Set(physician.phonetic),
        referring_physician_name_parts: Set(physician.parts),
        study_description: Set(fold::text(&facts.study_description)),
        patient_id: Set(fold::text(&patient.patient_id)),
        patient_name: Set(fold::text(&patient.patient_name)),
        patient_name_folded: Set(name.alphabetic),
        patient_name_ideographic: Set(name.ideographic),
        patient_name_phonetic: Set(name.phonetic),
        patient_name_parts: Set(name.parts),
        patient_birth_date: Set(fold::text(&patient.birth_date)),
        patient_sex: Set(fold::text(&patient.sex)),
        study_id: Set(fold::text(&facts.study_id)),
        images_released: Set(0),
        images_awaiting: Set(0),
        received_at: Set(instant::micros(record.received_at)),
        attributes: Set(facts.attributes.clone()),
    }
}

fn series_row(id: i64, collection: i64, study: i64, record: &ImageRecord) -> series::ActiveModel {
    let facts = &record.series;
    series::ActiveModel {
        id: Set(id),
        accession: Set(record.accessions.series.to_string()),
        collection_id: Set(collection),
        study_id: Set(study),
        series_instance_uid: Set(facts.series_instance_uid.to_string()),
        modality: Set(fold::text(&facts.modality)),
        series_number: Set(facts.series_number),
        series_description: Set(fold::text(&facts.series_description)),
        body_part_examined: Set(fold::text(&facts.body_part_examined)),
        protocol_name: Set(fold::text(&facts.protocol_name)),
        manufacturer: Set(fold::text(&facts.manufacturer)),
        manufacturer_model_name: Set(fold::text(&facts.manufacturer_model_name)),
        performed_procedure_step_start_date: Set(fold::text(&facts.performed_procedure_step_start_date)),
        performed_procedure_step_start_time: Set(fold::time(&facts.performed_procedure_step_start_time)),
        scheduled_procedure_step_id: Set(fold::text(&facts.scheduled_procedure_step_id)),
        requested_procedure_id: Set(fold::text(&facts.requested_procedure_id)),
        images_released: Set(0),
        images_awaiting: Set(0),
        received_at: Set(instant::micros(record.received_at)),
        attributes: Set(facts.attributes.clone()),
    }
}
