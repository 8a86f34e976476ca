//! One question takes one core. Alone in its process, so that no other test's threads are counted.
#![cfg(all(feature = "faiss", target_os = "linux"))]

use isocenter_retrieval::Indexes;

#[test]
fn a_search_starts_no_helper_threads() {
    let indexes = Indexes::new();
    indexes
        .load(1, "model", (0..200_000i64).map(|id| (id, id.cast_unsigned())))
        .unwrap();
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    indexes.search(&[1], "model", 7, 5).unwrap();
    // OpenMP keeps helpers alive once it has started them, one for each other core
    assert_eq!(threads(), before);
}
