//! The two counters that studies and series carry: images released, and images awaiting (pending or held).
//!
//! They are what visibility is decided by, so they change in the transaction that changes the images, under the
//! collection's lock. [`recount`] works them out from the images again.

use std::collections::BTreeMap;

use crate::sql::{Batch, Sql};
use crate::{ImageState, Kind, Reader, Result, Transaction};

/// By how much counters grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    studies: BTreeMap<i64, (i64, i64)>,
    series: BTreeMap<i64, (i64, i64)>,
}

impl Counts {
    pub(crate) fn add(&mut self, study: i64, series: i64, state: ImageState) {
        let (released, awaiting) = (i64::from(state == ImageState::Released), i64::from(state.is_awaiting()));
        for counts in [
            self.studies.entry(study).or_default(),
            self.series.entry(series).or_default(),
        ] {
            counts.0 += released;
            counts.1 += awaiting;
        }
    }
}

/// Adds to the counters, one statement a table.
pub(crate) fn add(batch: &mut Batch, kind: Kind, counts: &Counts) {
    add_to(batch, kind, "series", &counts.series);
    add_to(batch, kind, "study", &counts.studies);
}

fn add_to(batch: &mut Batch, kind: Kind, table: &'static str, counts: &BTreeMap<i64, (i64, i64)>) {
    if counts.is_empty() {
        return;
    }
    let mut sql = Sql::new(kind, "UPDATE ");
    sql.push(table)
        .push(" SET images_released = images_released + v.column2, ");
    sql.push("images_awaiting = images_awaiting + v.column3 FROM (VALUES ");
    for (i, (id, (released, awaiting))) in counts.iter().enumerate() {
        sql.push(if i == 0 { "(CAST(" } else { ", (CAST(" }).bind(*id);
        sql.push(" AS BIGINT), CAST(")
            .bind(*released)
            .push(" AS BIGINT), CAST(")
            .bind(*awaiting)
            .push(" AS BIGINT))");
    }
    sql.push(") AS v WHERE ").push(table).push(".id = v.column1");
    batch.push(sql);
}

/// Works the counters of these series, and of their studies, out again.
pub(crate) async fn recount(tx: &Transaction, series: &[i64]) -> Result<()> {
    for series in series.chunks(500) {
        let mut sql = Sql::new(
            tx.kind(),
            "UPDATE series SET \
             images_released = (SELECT COUNT(*) FROM image i WHERE i.series_id = series.id AND i.state = 3), \
             images_awaiting = (SELECT COUNT(*) FROM image i WHERE i.series_id = series.id AND i.state IN (0, 1)) \
             WHERE id IN ",
        );
        sql.bind_list(series.iter().copied());
        sql.execute(tx).await?;
        let mut sql = Sql::new(
            tx.kind(),
            "UPDATE study SET images_released = \
             (SELECT CAST(COALESCE(SUM(r.images_released), 0) AS BIGINT) FROM series r WHERE r.study_id = study.id), \
             images_awaiting = \
             (SELECT CAST(COALESCE(SUM(r.images_awaiting), 0) AS BIGINT) FROM series r WHERE r.study_id = study.id) \
             WHERE id IN (SELECT study_id FROM series WHERE id IN ",
        );
        sql.bind_list(series.iter().copied()).push(")");
        sql.execute(tx).await?;
    }
    Ok(())
}
