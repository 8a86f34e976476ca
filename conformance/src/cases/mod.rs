//! The cases. Each is numbered after the part and clause that it holds the archive to, and stands in the file of its service.
//!
//! A number, once given, stays: reports of different versions are compared by it. A case that was wrong is taken out and its
//! number is not used again.

mod access;
mod association;
mod c_store;
mod files;
mod metadata;
mod negotiation;
mod rendered;
mod retrieve;
mod search;
mod search_paging;
mod store;
mod store_faults;

use crate::report::{CaseReport, Verdict};
use crate::world::World;
use futures::future::BoxFuture;
use std::time::Instant;

/// One case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Number, by part and clause.
    pub id: &'static str,
    /// The clause or table.
    pub clause: &'static str,
    /// What is checked, as a sentence.
    pub title: &'static str,
    /// The check.
    run: for<'a> fn(&'a World) -> BoxFuture<'a, Verdict>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Case {
    /// Runs the case.
    pub async fn judge(&self, world: &World) -> CaseReport {
        let start = Instant::now();
        let verdict = (self.run)(world).await;
        CaseReport::new(
            self.id,
            self.clause,
            self.title,
            verdict,
            u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        )
    }
}

/// Writes a table of cases: number, clause, title, function.
macro_rules! cases {
    ($($id:literal, $clause:literal, $title:literal, $run:path;)*) => {
        pub(super) const CASES: &[crate::cases::Case] = &[
            $(crate::cases::Case { id: $id, clause: $clause, title: $title, run: |world| Box::pin($run(world)) }),*
        ];
    };
}
use cases;

/// Returns every case, in the order in which they run.
pub fn all() -> Vec<Case> {
    [
        store::CASES,
        store_faults::CASES,
        search::CASES,
        search_paging::CASES,
        retrieve::CASES,
        metadata::CASES,
        rendered::CASES,
        negotiation::CASES,
        access::CASES,
        association::CASES,
        c_store::CASES,
        files::CASES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_used_once_and_names_its_part() {
        let cases = all();
        let numbers: std::collections::BTreeSet<_> = cases.iter().map(|case| case.id).collect();
        assert_eq!(numbers.len(), cases.len());
        assert!(cases.iter().all(|case| case.id.starts_with("PS3.")), "{cases:?}");
    }
}
