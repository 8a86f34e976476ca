//! Where the pages of long answers ended.
//!
//! A client asks for a page by its offset, and the engine would walk over everything before it: the last page of two million
//! rows costs two million. But who asks for a deep page has mostly just read the one before. So it is remembered behind which
//! row that one ended, and the walk begins there. What was remembered holds while the change number is the same and for some
//! minutes; it is a place in an order and nothing else, and what is seen from there on is decided anew.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use isocenter_model::Level;
use isocenter_model::query::{Include, Query};
use isocenter_model::rights::Visibility;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::speaks_of;

/// Ends that are remembered; the one that was used longest ago goes first.
const REMEMBERED: usize = 256;
/// How long one is good. Nobody reads a page for longer.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// A question and who asks it, page left aside. A digest: what people search for is kept nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question([u8; 32]);

impl Question {
    /// Returns the question where its answer is in the order of row ids.
    pub(crate) fn of(query: &Query, visibility: &Visibility) -> Option<Self> {
        let by_id = match query.level {
            Level::Series => query.study.is_none(),
            Level::Instance => !speaks_of(query, Level::Study) && !speaks_of(query, Level::Series),
            Level::Patient | Level::Study => false,
        };
        let whole = Query {
            limit: None,
            offset: 0,
            include: Include::default(),
            ..query.clone()
        };
        by_id.then(|| Self(Sha256::digest(format!("{whole:?}{visibility:?}")).into()))
    }
}

#[derive(Debug, Clone, Copy)]
struct End {
    question: Question,
    change: u64,
    offset: u64,
    id: i64,
    at: Instant,
}

/// The ends that a process remembers.
#[derive(Debug, Default)]
pub(crate) struct Ends(Mutex<VecDeque<End>>);

impl Ends {
    /// Returns the row behind which to begin, and how many rows are before it: none more than `offset`.
    pub(crate) fn before(&self, question: Question, change: u64, offset: u64) -> Option<(i64, u64)> {
        let ends = self.0.lock();
        let good = ends.iter().filter(|end| {
            end.question == question && end.change == change && end.offset <= offset && end.at.elapsed() < GOOD_FOR
        });
        good.max_by_key(|end| end.offset).map(|end| (end.id, end.offset))
    }

    /// Remembers that a page ended behind a row, with so many before.
    pub(crate) fn remember(&self, question: Question, change: u64, offset: u64, id: i64) {
        let mut ends = self.0.lock();
        ends.retain(|end| (end.question, end.offset) != (question, offset));
        if ends.len() >= REMEMBERED {
            ends.pop_front();
        }
        let at = Instant::now();
        ends.push_back(End {
            question,
            change,
            offset,
            id,
            at,
        });
    }
}

#[cfg(test)]
mod tests {
    use isocenter_model::rights::{Principal, visibility};

    use super::*;

    fn question(level: Level) -> Option<Question> {
        Question::of(&Query::all(level), &visibility(&Principal::Anonymous))
    }

    #[test]
    fn the_nearest_end_before_is_taken_while_nothing_changed() {
        let ends = Ends::default();
        let (images, series) = (question(Level::Instance).unwrap(), question(Level::Series).unwrap());
        assert_ne!(images, series);
        ends.remember(images, 7, 2000, 20);
        ends.remember(images, 7, 3000, 30);
        ends.remember(series, 7, 2500, 25);
        assert_eq!(ends.before(images, 7, 1999), None);
        assert_eq!(ends.before(images, 7, 2000), Some((20, 2000)));
        assert_eq!(ends.before(images, 7, 9000), Some((30, 3000)));
        assert_eq!(ends.before(images, 8, 9000), None);
        // What was asked last says where it is.
        ends.remember(images, 8, 3000, 31);
        assert_eq!(ends.before(images, 8, 3000), Some((31, 3000)));
        assert_eq!(ends.before(images, 7, 9000), Some((20, 2000)));
    }

    #[test]
    fn little_is_remembered_however_much_is_asked() {
        let ends = Ends::default();
        let images = question(Level::Instance).unwrap();
        for offset in 0..2 * REMEMBERED as u64 {
            ends.remember(images, 1, offset, 1);
        }
        assert_eq!(ends.0.lock().len(), REMEMBERED);
        assert_eq!(ends.before(images, 1, 10), None);
    }

    #[test]
    fn an_order_other_than_that_of_ids_has_no_such_place() {
        assert_eq!(question(Level::Study), None);
        assert_eq!(question(Level::Patient), None);
        let of_a_study = Query {
            study: Some("1.2.3".parse().unwrap()),
            ..Query::all(Level::Instance)
        };
        assert_eq!(Question::of(&of_a_study, &visibility(&Principal::Anonymous)), None);
    }
}
