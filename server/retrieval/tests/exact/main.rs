//! The index against brute force, over its public interface as the server sees it. The scan exists here only.
#![cfg(feature = "faiss")]

mod oracle;

use isocenter_retrieval::{Code64, Error, Hit, Indexes, MAX_HITS};
use oracle::Oracle;
use proptest::collection::vec;
use proptest::prelude::*;

const MODEL: &str = "model";

/// A step in the life of the indexes. Images belong to the collection that their number says, as in the database.
#[derive(Debug, Clone)]
enum Step {
    Insert(i64, u64),
    InsertAll(Vec<(i64, u64)>),
    Remove(i64),
    Forget(i64),
    Search { code: u64, k: usize, collections: Vec<i64> },
    SearchEven { code: u64, k: usize },
}

/// Codes that crowd together, so that nearly every distance is a tie, mixed with codes from everywhere.
fn code() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0u64..4, 0u32..64).prop_map(|(centre, bit)| (centre * 0x5555_5555_5555_5555) ^ (1 << bit)),
        0u64..3,
    ]
}

fn image() -> impl Strategy<Value = i64> {
    0i64..400
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (image(), code()).prop_map(|(id, code)| Step::Insert(id, code)),
        4 => vec((image(), code()), 0..120).prop_map(Step::InsertAll),
        3 => image().prop_map(Step::Remove),
        1 => (0i64..3).prop_map(Step::Forget),
        4 => (code(), 0usize..60, vec(0i64..4, 0..4))
            .prop_map(|(code, k, collections)| Step::Search { code, k, collections }),
        2 => (code(), 0usize..30).prop_map(|(code, k)| Step::SearchEven { code, k }),
    ]
}

fn collection_of(image: i64) -> i64 {
    image % 3
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_search_answers_as_brute_force_does(steps in vec(step(), 1..80)) {
        let (indexes, mut oracle) = (Indexes::new(), Oracle::default());
        for step in steps {
            match step {
                Step::Insert(id, code) => {
                    indexes.insert(collection_of(id), MODEL, id, code).unwrap();
                    oracle.insert(collection_of(id), id, code);
                }
                Step::InsertAll(rows) => for collection in 0..3 {
                    let rows: Vec<_> = rows.iter().filter(|(id, _)| collection_of(*id) == collection).collect();
                    let coded: Vec<_> = rows.iter().map(|(id, code)| (*id, Code64(*code))).collect();
                    indexes.insert_all(collection, MODEL, &coded).unwrap();
                    rows.iter().for_each(|(id, code)| oracle.insert(collection, *id, *code));
                },
                Step::Remove(id) => {
                    indexes.remove(collection_of(id), MODEL, id).unwrap();
                    oracle.remove(collection_of(id), id);
                }
                Step::Forget(collection) => {
                    indexes.forget(collection).unwrap();
                    oracle.forget(collection);
                }
                Step::Search { code, k, collections } => {
                    let hits = indexes.search(&collections, MODEL, code, k).unwrap();
                    prop_assert_eq!(hits, oracle.search(&collections, code, k, |_| true));
                }
                Step::SearchEven { code, k } => {
                    let hits = indexes.search_where(&[0, 1, 2], MODEL, code, k, |id| id % 2 == 0).unwrap();
                    prop_assert_eq!(hits, oracle.search(&[0, 1, 2], code, k, |id| id % 2 == 0));
                }
            }
            for collection in 0..3 {
                prop_assert_eq!(indexes.count(collection, MODEL), oracle.count(collection));
            }
        }
    }
}

/// A stream of numbers that looks random and is always the same.
fn numbers(mut state: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[test]
fn a_loaded_index_answers_a_thousand_questions_as_brute_force_does() {
    let rows: Vec<(i64, u64)> = (1..=4000).zip(numbers(1)).collect();
    let (indexes, mut oracle) = (Indexes::new(), Oracle::default());
    assert_eq!(indexes.load(7, MODEL, rows.iter().copied()).unwrap(), 4000);
    rows.iter().for_each(|(id, code)| oracle.insert(7, *id, *code));
    for (code, k) in numbers(2).take(1000).zip([1, 10, 100].into_iter().cycle()) {
        assert_eq!(
            indexes.search(&[7], MODEL, code, k).unwrap(),
            oracle.search(&[7], code, k, |_| true)
        );
    }
}

#[test]
fn of_many_equal_codes_those_with_the_lowest_ids_are_given() {
    let indexes = Indexes::new();
    // the lowest ids stand last
    indexes.load(1, MODEL, (1..=5000).rev().map(|id| (id, 42u64))).unwrap();
    let ids: Vec<i64> = indexes
        .search(&[1], MODEL, 42, 10)
        .unwrap()
        .iter()
        .map(|hit| hit.id)
        .collect();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>());
}

#[test]
fn loading_again_replaces_what_was_there() {
    let indexes = Indexes::new();
    indexes.load(1, MODEL, [(1, 5u64), (2, 6)]).unwrap();
    indexes.load(1, MODEL, [(3, 5u64)]).unwrap();
    assert_eq!(
        indexes.search(&[1], MODEL, 5, 9).unwrap(),
        [Hit {
            distance: 0,
            id: 3,
            collection: 1
        }]
    );
}

#[test]
fn of_several_codes_of_one_image_the_last_counts() {
    let indexes = Indexes::new();
    indexes.insert(1, MODEL, 9, 1).unwrap();
    indexes.insert_all(1, MODEL, &[(9, Code64(8)), (9, Code64(1))]).unwrap();
    assert_eq!(
        indexes.search(&[1], MODEL, 1, 9).unwrap(),
        [Hit {
            distance: 0,
            id: 9,
            collection: 1
        }]
    );
}

#[test]
fn collections_and_models_that_are_not_named_are_not_answered_from() {
    let indexes = Indexes::new();
    indexes.insert(1, MODEL, 1, 0).unwrap();
    indexes.insert(2, MODEL, 2, 0).unwrap();
    indexes.insert(1, "another", 3, 0).unwrap();
    let ids = |collections: &[i64], model| -> Vec<i64> {
        indexes
            .search(collections, model, 0, 9)
            .unwrap()
            .iter()
            .map(|hit| hit.id)
            .collect()
    };
    assert_eq!(ids(&[1], MODEL), [1]);
    assert_eq!(ids(&[2, 1, 2, 99], MODEL), [1, 2]);
    assert_eq!(ids(&[], MODEL), [0; 0]);
    assert_eq!(ids(&[1], "another"), [3]);
    assert_eq!(ids(&[1], "unknown"), [0; 0]);
}

#[test]
fn an_answer_has_a_largest_size() {
    let asked = MAX_HITS + 1;
    assert_eq!(
        Indexes::new().search(&[1], MODEL, 0, asked),
        Err(Error::TooManyHits { asked, most: MAX_HITS })
    );
}

#[test]
fn an_image_removed_is_not_found_however_many_leave() {
    let (indexes, mut oracle) = (Indexes::new(), Oracle::default());
    let rows: Vec<(i64, u64)> = (0..3000).zip(numbers(3)).collect();
    indexes.load(1, MODEL, rows.iter().copied()).unwrap();
    rows.iter().for_each(|(id, code)| oracle.insert(1, *id, *code));
    // passes the clean-up of dead positions several times
    for (id, code) in &rows[..2900] {
        indexes.remove(1, MODEL, *id).unwrap();
        oracle.remove(1, *id);
        assert_eq!(
            indexes.search(&[1], MODEL, *code, 3).unwrap(),
            oracle.search(&[1], *code, 3, |_| true)
        );
    }
    assert_eq!(indexes.count(1, MODEL), 100);
}

#[test]
fn searches_go_on_while_images_come_and_go() {
    let indexes = Indexes::new();
    // images 0..1000 stay, those above come and go
    let stay: Vec<(i64, u64)> = (0..1000).zip(numbers(4)).collect();
    indexes.load(1, MODEL, stay.iter().copied()).unwrap();
    let mut oracle = Oracle::default();
    stay.iter().for_each(|(id, code)| oracle.insert(1, *id, *code));

    std::thread::scope(|scope| {
        for thread in 0..2 {
            let indexes = &indexes;
            scope.spawn(move || {
                for (n, code) in (0..).zip(numbers(5 + thread).take(1500)) {
                    let id = 1000 + i64::try_from(thread).unwrap() * 10_000 + n % 700;
                    indexes.insert(1, MODEL, id, code).unwrap();
                    indexes.remove(1, MODEL, id - (n % 2)).unwrap();
                }
            });
        }
        for thread in 0..2 {
            let (indexes, oracle) = (&indexes, &oracle);
            scope.spawn(move || {
                for code in numbers(50 + thread).take(400) {
                    let hits = indexes.search_where(&[1], MODEL, code, 5, |id| id < 1000).unwrap();
                    assert_eq!(hits, oracle.search(&[1], code, 5, |id| id < 1000));
                    let all = indexes.search(&[1], MODEL, code, 50).unwrap();
                    assert_eq!(all.len(), 50);
                    assert!(all.is_sorted());
                }
            });
        }
    });
}
