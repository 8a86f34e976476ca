//! A group's records, in their order, each to its table.

use isocenter_model::ImageAccession;
use isocenter_storage::{Durable, PackName};

use crate::audit::{self, AuditEvent};
use crate::commit::{parents, rows};
use crate::jobs::{self, NewJob};
use crate::numbers::{self, Numbered, Sequence};
use crate::record::{ImageRecord, QuarantineRecord, Record};
use crate::sql::Sql;
use crate::{Error, Reader, Result, Transaction, collections, counters, instant, states};

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It has a row now.
    Inserted,
    /// The same content is there already, under this accession; no row was made.
    SameContent(ImageAccession),
    /// The same UID as sent is there with other content (Q302); no row was made.
    OtherContent(ImageAccession),
    /// Another object of the collection has this SOP Instance UID already (Q206); no row was made.
    UidTaken(ImageAccession),
    /// The study belongs to another individual (Q202, Q206); no row was made.
    StudyOfAnother,
    /// The series belongs to another study (Q206); no row was made.
    SeriesElsewhere,
    /// The individual was erased; no row was made.
    Erased,
    /// The same object waits in quarantine already; no row was made.
    QuarantinedBefore,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// One for each record, in their order; empty when the pack had been applied before.
    pub fates: Vec<Fate>,
    /// Whether the pack had been applied before: nothing was changed.
    pub applied_before: bool,
}

/// Writes the rows of a group, its jobs and its audit events. The caller commits, and answers nobody before.
///
/// # Errors
/// [`Error::NotFound`] when a record's collection is not there; [`Error::Raced`] when the transaction should be tried
/// again; else when the engine fails.
pub async fn group(
    tx: &Transaction,
    durable: &Durable,
    records: &[Record],
    jobs: &[NewJob],
    audit: &[AuditEvent],
) -> Result<Committed> {
    let size = i64::try_from(durable.size()).map_err(|_| Error::BadValue("the pack is too large"))?;
    if !remember(tx, durable.pack(), size, records.len()).await? {
        return Ok(Committed {
            fates: Vec::new(),
            applied_before: true,
        });
    }
    let fates = apply(tx, durable.pack(), records).await?;
    jobs::enqueue(tx, jobs).await?;
    audit::append(tx, audit).await?;
    Ok(Committed {
        fates,
        applied_before: false,
    })
}

/// Writes the rows of a pack that was read back from the store, at start-up or to rebuild the database. Raises the number
/// sequences above the pack's accessions.
///
/// # Errors
/// As [`group`].
pub async fn replay(tx: &Transaction, durable: &Durable, records: &[Record], jobs: &[NewJob]) -> Result<Committed> {
    let committed = group(tx, durable, records, jobs, &[]).await?;
    let mut highest = std::collections::BTreeMap::<Sequence, i64>::new();
    for record in records {
        match record {
            Record::Image(image) => {
                let a = &image.accessions;
                let of_image = [
                    (Sequence::Individual, a.individual.number()?),
                    (Sequence::Study, a.study.number()?),
                    (Sequence::Series, a.series.number()?),
                    (Sequence::Image, a.image.number()?),
                ];
                for (kind, number) in of_image {
                    let top = highest.entry(kind).or_default();
                    *top = number.max(*top);
                }
            }
            Record::Collection(collection) => {
                let top = highest.entry(Sequence::Collection).or_default();
                *top = collection.accession.number()?.max(*top);
            }
            Record::Quarantine(_) | Record::Release(_) => {}
        }
    }
    for (kind, number) in highest {
        numbers::raise(tx, kind, number).await?;
    }
    Ok(committed)
}

async fn remember(tx: &Transaction, pack: &PackName, size: i64, records: usize) -> Result<bool> {
    let mut sql = Sql::new(tx.kind(), "INSERT INTO pack (name, size, records, applied_at) VALUES (");
    sql.bind(pack.as_bytes().to_vec()).push(", ").bind(size).push(", ");
    sql.bind(i64::try_from(records).unwrap_or(i64::MAX))
        .push(", ")
        .push(instant::now(tx.kind()));
    sql.push(") ON CONFLICT DO NOTHING");
    Ok(sql.execute(tx).await? == 1)
}

/// The kind of record that is batched with its neighbours.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Batch<'a> {
    Images(&'a str),
    Quarantine(&'a str),
    Single,
}

fn batch(record: &Record) -> Batch<'_> {
    match record {
        Record::Image(image) => Batch::Images(image.collection.as_str()),
        Record::Quarantine(item) => Batch::Quarantine(item.collection.as_str()),
        Record::Collection(_) | Record::Release(_) => Batch::Single,
    }
}

pub(crate) async fn apply(tx: &Transaction, pack: &PackName, records: &[Record]) -> Result<Vec<Fate>> {
    let mut fates = vec![Fate::Inserted; records.len()];
    // a collection or a release is a border: what stands before it is applied before it
    let mut start = 0;
    for run in records.chunk_by(|a, b| batch(a) != Batch::Single && batch(b) != Batch::Single) {
        match run {
            [Record::Collection(collection)] => collections::put(tx, collection).await?,
            [Record::Release(release)] => states::apply(tx, release).await?,
            run => {
                // sorted by collection, so that two writers take the locks in the same order
                let mut indexed: Vec<(usize, &Record)> = (start..).zip(run).collect();
                indexed.sort_by_key(|(_, record)| batch(record));
                for part in indexed.chunk_by(|a, b| batch(a.1) == batch(b.1)) {
                    batched(tx, pack, part, &mut fates).await?;
                }
            }
        }
        start += run.len();
    }
    Ok(fates)
}

async fn batched(tx: &Transaction, pack: &PackName, part: &[(usize, &Record)], fates: &mut [Fate]) -> Result<()> {
    let mut images: Vec<(usize, &ImageRecord)> = Vec::new();
    let mut items: Vec<(usize, &QuarantineRecord)> = Vec::new();
    for (index, record) in part {
        match record {
            Record::Image(image) => images.push((*index, image)),
            Record::Quarantine(item) => items.push((*index, item)),
            Record::Collection(_) | Record::Release(_) => {}
        }
    }
    let mut set = |index: usize, fate: Fate| {
        if let Some(slot) = fates.get_mut(index) {
            *slot = fate;
        }
    };
    if let Some((_, first)) = images.first() {
        let collection = collections::id_in(tx, &first.collection).await?;
        tx.lock_collection(collection).await?;
        for images in images.chunks(rows::CHUNK) {
            let placed = parents::place(tx, collection, images, &mut set).await?;
            let counts = rows::images(tx, collection, pack, &placed, &mut set).await?;
            counters::add(tx, &counts).await?;
        }
    }
    if let Some((_, first)) = items.first() {
        let collection = collections::id_in(tx, &first.collection).await?;
        tx.lock_collection(collection).await?;
        for items in items.chunks(rows::CHUNK) {
            rows::quarantine(tx, collection, pack, items, &mut set).await?;
        }
    }
    Ok(())
}
