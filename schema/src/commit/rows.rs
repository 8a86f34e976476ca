//! The rows of images and quarantined objects, many in a statement.

use std::collections::{BTreeMap, HashMap, HashSet};

use isocenter_model::ImageAccession;
use isocenter_storage::{BlobRef, PackName};
use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QueryTrait, Set};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::commit::group::Fate;
use crate::commit::lookup::{digest, parsed};
use crate::commit::parents::Placed;
use crate::counters::Counts;
use crate::entity::archive::{blob, deid_report, image, image_metadata, provenance};
use crate::entity::curation::{finding, quarantine_item};
use crate::numbers::Numbered;
use crate::record::{FindingRecord, QuarantineRecord};
use crate::sql::{Batch, Sql};
use crate::{Error, Reader, Result, Transaction, instant};

/// Rows in one statement. More is slower, and SQLite has a limit of bound values.
pub(super) const CHUNK: usize = 100;

/// Kinds of shared texts.
const REPORT: &str = "report";
const SOURCE: &str = "source";

/// Version of a stored reference to a blob.
const REFERENCE: u8 = 1;

/// Returns a reference as its column holds it.
pub(crate) fn reference<A>(blob: &BlobRef<A>) -> Result<Vec<u8>>
where
    BlobRef<A>: Serialize,
{
    postcard::to_extend(blob, vec![REFERENCE]).map_err(|_| Error::BadValue("a blob reference cannot be encoded"))
}

/// Returns the reference that a column holds.
pub(crate) fn dereference<A>(bytes: &[u8]) -> Result<BlobRef<A>>
where
    BlobRef<A>: DeserializeOwned,
{
    match bytes.split_first() {
        Some((&REFERENCE, body)) => {
            postcard::from_bytes(body).map_err(|_| Error::Damaged("a blob reference cannot be decoded"))
        }
        _ => Err(Error::Damaged("a blob reference has an unknown version")),
    }
}

/// Inserts images, and returns by how much the counters of their series grow.
pub(super) async fn images(
    tx: &Transaction,
    collection: i64,
    pack: &PackName,
    placed: &[Placed<'_>],
    batch: &mut Batch,
    set: &mut (impl FnMut(usize, Fate) + Send),
) -> Result<Counts> {
    let mut counts = Counts::default();
    if placed.is_empty() {
        return Ok(counts);
    }
    let now = instant::micros(chrono::Utc::now());
    let rows = placed
        .iter()
        .map(|p| image_row(p, collection, now))
        .collect::<Result<Vec<_>>>()?;
    let mut insert = image::Entity::insert_many(rows).into_query();
    insert
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .returning(Query::returning().column(image::Column::Id));
    let mut inserted = HashSet::new();
    for row in tx.executor().query_all(&insert).await? {
        inserted.insert(row.try_get_by_index::<i64>(0)?);
    }
    // a number that occurs twice in one group is one insert: the second is told like any other that is there already
    let mut rest: Vec<&Placed<'_>> = Vec::new();
    let mut fresh: Vec<&Placed<'_>> = Vec::new();
    for p in placed {
        if inserted.remove(&p.record.accessions.image.number()?) {
            fresh.push(p);
        } else {
            rest.push(p);
        }
    }
    if !rest.is_empty() {
        // what earlier parts of the group left to write must be seen
        std::mem::replace(batch, Batch::new(tx.kind())).run(tx).await?;
        explain(tx, collection, &rest, &fresh, set).await?;
    }
    if fresh.is_empty() {
        return Ok(counts);
    }
    let reports = missing(tx, REPORT, fresh.iter().map(|p| p.record.deid_report.as_str()));
    if !reports.is_empty() {
        let row = |(id, body): (&i64, &&str)| deid_report::ActiveModel {
            id: Set(*id),
            body: Set((*body).to_owned()),
        };
        let mut insert = deid_report::Entity::insert_many(reports.iter().map(row)).into_query();
        batch.build(insert.on_conflict(OnConflict::new().do_nothing().to_owned()));
        tx.learn_texts(reports.into_keys());
    }
    provenances(tx, batch, fresh.iter().map(|p| p.record.provenance.as_str()));
    let rows = fresh.iter().map(|p| blob_row(p, pack)).collect::<Result<Vec<_>>>()?;
    batch.insert::<blob::Entity>(rows);
    let rows = fresh.iter().map(|p| metadata_row(p)).collect::<Result<Vec<_>>>()?;
    batch.insert::<image_metadata::Entity>(rows);
    let mut findings = Vec::new();
    for p in &fresh {
        let image = p.record.accessions.image.number()?;
        let about = About {
            image: Some(image),
            series: Some(p.series),
            quarantine: None,
        };
        findings.extend(p.record.findings.iter().map(|f| finding_row(collection, about, f, now)));
        counts.add(p.study, p.series, p.record.state);
    }
    insert_findings(batch, findings);
    Ok(counts)
}

#[derive(FromQueryResult)]
struct There {
    id: i64,
    accession: String,
    sent_digest: Vec<u8>,
    sop_instance_uid: String,
    content_digest: Option<Vec<u8>>,
}

/// Finds out why images were not inserted.
async fn explain(
    tx: &Transaction,
    collection: i64,
    rest: &[&Placed<'_>],
    fresh: &[&Placed<'_>],
    set: &mut (impl FnMut(usize, Fate) + Send),
) -> Result<()> {
    let mut sql = Sql::new(
        tx.kind(),
        "SELECT i.id, i.accession, i.sent_digest, i.sop_instance_uid, b.content_digest FROM image i \
         LEFT JOIN blob b ON b.image_id = i.id WHERE i.collection_id = ",
    );
    sql.bind(collection).push(" AND (i.sent_digest IN ");
    sql.bind_list(rest.iter().map(|p| p.record.sent_digest.to_vec()))
        .push(" OR i.sop_instance_uid IN ");
    sql.bind_list(rest.iter().map(|p| p.record.image.sop_instance_uid.as_str()))
        .push(")");
    // the rows of this very group have no blob yet
    let mut contents: HashMap<i64, [u8; 32]> = HashMap::new();
    for p in fresh {
        contents.insert(p.record.accessions.image.number()?, p.record.content_digest);
    }
    let mut by_digest = HashMap::new();
    let mut by_uid = HashMap::new();
    for row in sql.all::<There>(tx).await? {
        let accession = parsed(ImageAccession::parse(&row.accession))?;
        let content = match row.content_digest {
            Some(bytes) => Some(digest(bytes)?),
            None => contents.get(&row.id).copied(),
        };
        by_digest.insert(digest(row.sent_digest)?, (accession.clone(), content));
        by_uid.insert(row.sop_instance_uid, accession);
    }
    for p in rest {
        let fate = match by_digest.get(&p.record.sent_digest) {
            Some((there, content)) if *content == Some(p.record.content_digest) => Fate::SameContent(there.clone()),
            Some((there, _)) => Fate::OtherContent(there.clone()),
            None => match by_uid.get(p.record.image.sop_instance_uid.as_str()) {
                Some(there) => Fate::UidTaken(there.clone()),
                None => return Err(Error::Raced("image number".to_owned())),
            },
        };
        set(p.index, fate);
    }
    Ok(())
}

fn image_row(p: &Placed<'_>, collection: i64, now: i64) -> Result<image::ActiveModel> {
    let facts = &p.record.image;
    Ok(image::ActiveModel {
        id: Set(p.record.accessions.image.number()?),
        accession: Set(p.record.accessions.image.to_string()),
        collection_id: Set(collection),
        study_id: Set(p.study),
        series_id: Set(p.series),
        state: Set(p.record.state.code()),
        sop_instance_uid: Set(facts.sop_instance_uid.to_string()),
        sop_class_uid: Set(facts.sop_class_uid.to_string()),
        transfer_syntax_uid: Set(facts.transfer_syntax_uid.to_string()),
        instance_number: Set(facts.instance_number),
        number_of_frames: Set(facts.number_of_frames),
        rows: Set(facts.rows),
        columns: Set(facts.columns),
        bits_allocated: Set(facts.bits_allocated),
        sent_digest: Set(p.record.sent_digest.to_vec()),
        received_at: Set(instant::micros(p.record.received_at)),
        changed_at: Set(now),
    })
}

fn blob_row(p: &Placed<'_>, pack: &PackName) -> Result<blob::ActiveModel> {
    Ok(blob::ActiveModel {
        image_id: Set(p.record.accessions.image.number()?),
        pack: Set(pack.as_bytes().to_vec()),
        reference: Set(reference(&p.record.blob)?),
        bytes: Set(i64::try_from(p.record.blob.plain_len()).map_err(|_| Error::BadValue("an object is too large"))?),
        header_len: Set(i64::try_from(p.record.header_len).map_err(|_| Error::BadValue("a header is too large"))?),
        content_digest: Set(p.record.content_digest.to_vec()),
        pixel_digest: Set(p.record.pixel_digest.to_vec()),
        frame_map: Set(p.record.frame_map.clone()),
    })
}

fn metadata_row(p: &Placed<'_>) -> Result<image_metadata::ActiveModel> {
    Ok(image_metadata::ActiveModel {
        image_id: Set(p.record.accessions.image.number()?),
        deid_report_id: Set(shared_id(REPORT, &p.record.deid_report)),
        provenance_id: Set(shared_id(SOURCE, &p.record.provenance)),
        attributes: Set(p.record.image.attributes.clone()),
        record: Set(p.record.metadata.clone()),
    })
}

/// Returns the id of a text that many rows share: 63 bits of its digest, so that no row must be read to know it.
/// What kind of text it is goes in, so that a report and a provenance which read the same have two ids.
fn shared_id(kind: &str, text: &str) -> i64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(
        Sha256::new()
            .chain_update(kind)
            .chain_update([0])
            .chain_update(text)
            .finalize(),
    ) {
        *to = from;
    }
    i64::from_be_bytes(bytes) & i64::MAX
}

/// Returns the texts that may have no row yet.
fn missing<'a>(tx: &Transaction, kind: &str, texts: impl Iterator<Item = &'a str>) -> BTreeMap<i64, &'a str> {
    let remembered = tx.memory().texts.read();
    // neighbours are mostly equal, and comparing is cheaper than hashing
    let mut map = BTreeMap::new();
    let mut last = None;
    for text in texts {
        if last != Some(text) {
            let id = shared_id(kind, text);
            if !remembered.contains(&id) {
                map.insert(id, text);
            }
            last = Some(text);
        }
    }
    map
}

fn provenances<'a>(tx: &Transaction, batch: &mut Batch, texts: impl Iterator<Item = &'a str>) {
    let sources = missing(tx, SOURCE, texts);
    if sources.is_empty() {
        return;
    }
    let row = |(id, body): (&i64, &&str)| provenance::ActiveModel {
        id: Set(*id),
        body: Set((*body).to_owned()),
    };
    let mut insert = provenance::Entity::insert_many(sources.iter().map(row)).into_query();
    batch.build(insert.on_conflict(OnConflict::new().do_nothing().to_owned()));
    tx.learn_texts(sources.into_keys());
}

#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) image: Option<i64>,
    pub(crate) series: Option<i64>,
    pub(crate) quarantine: Option<i64>,
}

pub(crate) fn finding_row(collection: i64, about: About, found: &FindingRecord, now: i64) -> finding::ActiveModel {
    finding::ActiveModel {
        collection_id: Set(collection),
        image_id: Set(about.image),
        series_id: Set(about.series),
        quarantine_id: Set(about.quarantine),
        check_code: Set(found.check.clone()),
        severity: Set(found.severity.as_str().to_owned()),
        detail: Set(found.detail.clone()),
        state: Set("open".to_owned()),
        decided_by: Set(String::new()),
        created_at: Set(now),
        ..Default::default()
    }
}

pub(crate) fn insert_findings(batch: &mut Batch, rows: Vec<finding::ActiveModel>) {
    for chunk in rows.chunks(CHUNK) {
        batch.insert::<finding::Entity>(chunk.to_vec());
    }
}

/// Inserts quarantined objects and their findings.
pub(super) async fn quarantine(
    tx: &Transaction,
    collection: i64,
    pack: &PackName,
    items: &[(usize, &QuarantineRecord)],
    batch: &mut Batch,
    set: &mut (impl FnMut(usize, Fate) + Send),
) -> Result<()> {
    let now = instant::micros(chrono::Utc::now());
    provenances(tx, batch, items.iter().map(|(_, item)| item.provenance.as_str()));
    let rows = items
        .iter()
        .map(|(_, item)| item_row(collection, pack, item))
        .collect::<Result<Vec<_>>>()?;
    let mut insert = quarantine_item::Entity::insert_many(rows).into_query();
    insert
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .returning(Query::returning().columns([
            quarantine_item::Column::Id,
            quarantine_item::Column::SentDigest,
            quarantine_item::Column::ContentDigest,
        ]));
    let mut inserted: HashMap<(Vec<u8>, Vec<u8>), i64> = HashMap::new();
    for row in tx.executor().query_all(&insert).await? {
        let key = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        inserted.insert(key, row.try_get_by_index(0)?);
    }
    let mut findings = Vec::new();
    for (index, item) in items {
        let Some(id) = inserted.remove(&(item.sent_digest.to_vec(), item.content_digest.to_vec())) else {
            set(*index, Fate::QuarantinedBefore);
            continue;
        };
        let about = About {
            image: None,
            series: None,
            quarantine: Some(id),
        };
        findings.extend(item.findings.iter().map(|f| finding_row(collection, about, f, now)));
    }
    insert_findings(batch, findings);
    Ok(())
}

fn item_row(collection: i64, pack: &PackName, item: &QuarantineRecord) -> Result<quarantine_item::ActiveModel> {
    let text = |uid: Option<&str>| Set(uid.unwrap_or_default().to_owned());
    Ok(quarantine_item::ActiveModel {
        collection_id: Set(collection),
        content_digest: Set(item.content_digest.to_vec()),
        sent_digest: Set(item.sent_digest.to_vec()),
        individual: Set(item.individual.map(|p| p.to_vec())),
        check_code: Set(item.findings.first().map(|f| f.check.clone()).unwrap_or_default()),
        state: Set("waiting".to_owned()),
        sop_class_uid: text(item.sop_class_uid.as_ref().map(AsRef::as_ref)),
        transfer_syntax_uid: text(item.transfer_syntax_uid.as_ref().map(AsRef::as_ref)),
        pack: Set(pack.as_bytes().to_vec()),
        reference: Set(reference(&item.blob)?),
        bytes: Set(i64::try_from(item.blob.plain_len()).map_err(|_| Error::BadValue("an object is too large"))?),
        provenance_id: Set(shared_id(SOURCE, &item.provenance)),
        received_at: Set(instant::micros(item.received_at)),
        decided_at: Set(None),
        decided_by: Set(String::new()),
        comment: Set(String::new()),
        ..Default::default()
    })
}
