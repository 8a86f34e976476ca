//! Without Faiss there is no answer: nothing scans in its place.
#![cfg(not(feature = "faiss"))]

use isocenter_retrieval::{Error, Indexes};

#[test]
fn every_call_says_that_there_is_no_index() {
    let indexes = Indexes::new();
    assert_eq!(indexes.load(1, "model", [(1, 0u64)]), Err(Error::NotBuilt));
    assert_eq!(
        indexes.load(1, "model", std::iter::empty::<(i64, u64)>()),
        Err(Error::NotBuilt)
    );
    assert_eq!(indexes.insert(1, "model", 1, 0), Err(Error::NotBuilt));
    assert_eq!(indexes.remove(1, "model", 1), Err(Error::NotBuilt));
    assert_eq!(indexes.forget(1), Err(Error::NotBuilt));
    assert_eq!(indexes.search(&[], "model", 0, 0), Err(Error::NotBuilt));
    assert_eq!(indexes.search(&[1], "model", 0, 5), Err(Error::NotBuilt));
}
