//! A group's records, in their order, each to its table.

use isocenter_model::ImageAccession;
use isocenter_storage::{Durable, PackName};

use crate::audit::{self, AuditEvent};
use crate::commit::{parents, rows};
use crate::jobs::{self, NewJob};
use crate::numbers::{self, Numbered, Sequence};
use crate::record::{ImageRecord, QuarantineRecord, Record};
use crate::sql::{Batch, Sql};
use crate::{Error, Kind, Reader, Result, Transaction, collections, counters, instant, states};

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
    /// Individual, study or series have other accessions than the record says: it was made from what is no longer so. No row
    /// was made. Only of new groups; what is replayed is taken as it is.
    Moved,
    /// The same object waits in quarantine already; no row was made.
    QuarantinedBefore,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// One for each record, in their order; empty when the pack had been applied before.
    pub fates: Vec<Fate>,
    /// Whether the pack had been applied before, which only a replay finds: nothing was changed.
    pub applied_before: bool,
}

/// Writes the rows of a new group, its jobs and its audit events. The caller commits, and answers nobody before.
///
/// Six messages to SQLite whatever the size of the group: begin, find the parents, insert the images, read the end of the
/// audit chain, all that nobody needs an answer to, commit.
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
    let fates = groups(tx, &[(durable, records)], jobs, audit).await?;
    Ok(Committed {
        fates: fates.into_iter().flatten().collect(),
        applied_before: false,
    })
}

/// Writes the rows of several new groups, each with its pack, as [`group`] does: what is durable by the time the last
/// transaction ends can share the next. Returns the fates of each group's records.
///
/// # Errors
/// As [`group`].
pub async fn groups(
    tx: &Transaction,
    groups: &[(&Durable, &[Record])],
    jobs: &[NewJob],
    audit: &[AuditEvent],
) -> Result<Vec<Vec<Fate>>> {
    let mut later = Batch::new(tx.kind());
    let mut fates = Vec::with_capacity(groups.len());
    for (durable, records) in groups {
        later.push(remember(tx.kind(), durable, records.len())?);
        fates.push(write(tx, durable.pack(), records, Accessions::AsFound, &mut later).await?);
    }
    jobs::enqueue_in(tx, &mut later, jobs).await?;
    audit::append_in(tx, &mut later, audit).await?;
    later.run(tx).await?;
    Ok(fates)
}

/// Writes the rows of a pack that was read back from the store, at start-up or to rebuild the database. Raises the number
/// sequences above the pack's accessions.
///
/// # Errors
/// As [`group`].
pub async fn replay(tx: &Transaction, durable: &Durable, records: &[Record], jobs: &[NewJob]) -> Result<Committed> {
    if remember(tx.kind(), durable, records.len())?.execute(tx).await? == 0 {
        return Ok(Committed {
            fates: Vec::new(),
            applied_before: true,
        });
    }
    let mut batch = Batch::new(tx.kind());
    let fates = write(tx, durable.pack(), records, Accessions::AsRecorded, &mut batch).await?;
    jobs::enqueue_in(tx, &mut batch, jobs).await?;
    batch.run(tx).await?;
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
            Record::Quarantine(_) | Record::Release(_) | Record::Profile(_) => {}
        }
    }
    for (kind, number) in highest {
        numbers::raise(tx, kind, number).await?;
    }
    Ok(Committed {
        fates,
        applied_before: false,
    })
}

/// Returns the insert of a pack's row; it changes nothing where the pack was applied before.
fn remember(kind: Kind, durable: &Durable, records: usize) -> Result<Sql> {
    let size = i64::try_from(durable.size()).map_err(|_| Error::BadValue("the pack is too large"))?;
    let mut sql = Sql::new(kind, "INSERT INTO pack (name, size, records, applied_at) VALUES (");
    sql.bind(durable.pack().as_bytes().to_vec())
        .push(", ")
        .bind(size)
        .push(", ");
    sql.bind(i64::try_from(records).unwrap_or(i64::MAX))
        .push(", ")
        .push(instant::now(kind));
    sql.push(") ON CONFLICT DO NOTHING");
    Ok(sql)
}

/// What is done with a record whose individual, study or series have other accessions in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accessions {
    /// It is not written: it was sealed by what the database said a moment ago, and that has changed.
    AsFound,
    /// It is written to the parents that are there: it was acknowledged once, and stays.
    AsRecorded,
}

/// The kind of record that is batched with its neighbours.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Neighbours<'a> {
    Images(&'a str),
    Quarantine(&'a str),
    Single,
}

fn neighbours(record: &Record) -> Neighbours<'_> {
    match record {
        Record::Image(image) => Neighbours::Images(image.collection.as_str()),
        Record::Quarantine(item) => Neighbours::Quarantine(item.collection.as_str()),
        Record::Collection(_) | Record::Release(_) | Record::Profile(_) => Neighbours::Single,
    }
}

/// Writes records alone: no pack, no jobs, no audit.
pub(crate) async fn apply(tx: &Transaction, pack: &PackName, records: &[Record]) -> Result<Vec<Fate>> {
    let mut later = Batch::new(tx.kind());
    let fates = write(tx, pack, records, Accessions::AsRecorded, &mut later).await?;
    later.run(tx).await?;
    Ok(fates)
}

async fn write(
    tx: &Transaction,
    pack: &PackName,
    records: &[Record],
    accessions: Accessions,
    later: &mut Batch,
) -> Result<Vec<Fate>> {
    let mut fates = vec![Fate::Inserted; records.len()];
    // a collection, its profile or a release is a border: what stands before it is applied before it
    let mut start = 0;
    for run in records.chunk_by(|a, b| neighbours(a) != Neighbours::Single && neighbours(b) != Neighbours::Single) {
        match run {
            [Record::Collection(collection)] => collections::put(tx, collection).await?,
            [Record::Profile(profile)] => collections::put_profile(tx, profile).await?,
            [Record::Release(release)] => {
                // it changes images whose rows may still be waiting to be written
                std::mem::replace(later, Batch::new(tx.kind())).run(tx).await?;
                states::apply(tx, release).await?;
            }
            run => {
                // sorted by collection, so that two writers take the locks in the same order
                let mut indexed: Vec<(usize, &Record)> = (start..).zip(run).collect();
                indexed.sort_by_key(|(_, record)| neighbours(record));
                for part in indexed.chunk_by(|a, b| neighbours(a.1) == neighbours(b.1)) {
                    batched(tx, pack, part, accessions, later, &mut fates).await?;
                }
            }
        }
        start += run.len();
    }
    Ok(fates)
}

async fn batched(
    tx: &Transaction,
    pack: &PackName,
    part: &[(usize, &Record)],
    accessions: Accessions,
    later: &mut Batch,
    fates: &mut [Fate],
) -> Result<()> {
    let mut images: Vec<(usize, &ImageRecord)> = Vec::new();
    let mut items: Vec<(usize, &QuarantineRecord)> = Vec::new();
    for (index, record) in part {
        match record {
            Record::Image(image) => images.push((*index, image)),
            Record::Quarantine(item) => items.push((*index, item)),
            Record::Collection(_) | Record::Release(_) | Record::Profile(_) => {}
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
            let placed = parents::place(tx, collection, images, accessions, &mut set).await?;
            let counts = rows::images(tx, collection, pack, &placed, later, &mut set).await?;
            counters::add(later, tx.kind(), &counts);
        }
    }
    if let Some((_, first)) = items.first() {
        let collection = collections::id_in(tx, &first.collection).await?;
        tx.lock_collection(collection).await?;
        for items in items.chunks(rows::CHUNK) {
            rows::quarantine(tx, collection, pack, items, later, &mut set).await?;
        }
    }
    Ok(())
}
