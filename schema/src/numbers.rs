//! Accession numbers: drawn in blocks, never twice.
//!
//! A block is reserved in a flushed transaction of its own before anything is sealed under its numbers, so a crash leaves
//! a gap and never a number used twice.

use std::ops::Range;

use isocenter_model::{CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, StudyAccession};

use crate::sql::Sql;
use crate::{Database, Error, Reader, Result, Transaction};

/// What numbers are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sequence {
    /// Collections.
    Collection,
    /// Individuals.
    Individual,
    /// Studies.
    Study,
    /// Series.
    Series,
    /// Images.
    Image,
}

impl Sequence {
    fn name(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Individual => "individual",
            Self::Study => "study",
            Self::Series => "series",
            Self::Image => "image",
        }
    }
}

/// Reserves `n` numbers, in a flushed transaction of its own. Numbers begin with 1.
///
/// # Errors
/// When the engine fails; then no number was given out.
pub async fn reserve(db: &Database, kind: Sequence, n: u64) -> Result<Range<u64>> {
    let tx = db.begin_write().await?;
    let range = reserve_in(&tx, kind, n).await?;
    tx.commit().await?;
    Ok(range)
}

/// Reserves `n` numbers in a transaction that the caller flushes before he uses one.
///
/// # Errors
/// When the engine fails.
pub async fn reserve_in(tx: &Transaction, kind: Sequence, n: u64) -> Result<Range<u64>> {
    let count = i64::try_from(n).map_err(|_| Error::BadValue("too many numbers at once"))?;
    let mut sql = Sql::new(tx.kind(), "INSERT INTO counter (name, next) VALUES (");
    sql.bind(kind.name())
        .push(", CAST(")
        .bind(count)
        .push(" AS BIGINT) + 1");
    sql.push(") ON CONFLICT (name) DO UPDATE SET next = counter.next + ")
        .bind(count)
        .push(" RETURNING next");
    let next: i64 = sql.value(tx).await?.ok_or(Error::Damaged("a counter vanished"))?;
    let next = u64::try_from(next).map_err(|_| Error::Damaged("a counter is negative"))?;
    Ok(next.saturating_sub(n)..next)
}

/// Lets no number up to and including this one be drawn again: a rebuilt database has the accessions of its packs.
///
/// # Errors
/// When the engine fails.
pub async fn raise(tx: &Transaction, kind: Sequence, used: i64) -> Result<()> {
    let mut sql = Sql::new(tx.kind(), "INSERT INTO counter (name, next) VALUES (");
    sql.bind(kind.name()).push(", CAST(").bind(used).push(" AS BIGINT) + 1");
    sql.push(") ON CONFLICT (name) DO UPDATE SET next = excluded.next WHERE counter.next < excluded.next");
    sql.execute(tx).await?;
    Ok(())
}

/// An accession whose number is the row's id.
pub trait Numbered {
    /// Returns the accession as text.
    fn text(&self) -> &str;

    /// Returns the number in the accession: the id of its row.
    ///
    /// # Errors
    /// [`Error::BadValue`] when it does not fit 63 bits.
    fn number(&self) -> Result<i64> {
        let digits = self.text().trim_start_matches(|c: char| c.is_ascii_uppercase());
        digits
            .parse()
            .map_err(|_| Error::BadValue("the number of an accession is too large"))
    }
}

macro_rules! numbered {
    ($($name:ident),*) => { $(impl Numbered for $name { fn text(&self) -> &str { self.as_str() } })* };
}
numbered!(
    CollectionAccession,
    IndividualAccession,
    StudyAccession,
    SeriesAccession,
    ImageAccession
);
