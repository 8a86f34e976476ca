//! Named places where tests end the process or wait, to ask: was success answered, and is the object there, whole?
//!
//! Without the feature `faults` this is nothing at all. With it, `ISOCENTER_FAULT=after_put:5` aborts the process when it
//! passes `after_put` for the fifth time.

/// Passes a named place.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn fault_point(_name: &'static str) {}

/// Passes a named place; aborts the process where the environment asks for it.
#[cfg(feature = "faults")]
pub(crate) fn fault_point(name: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    static ASKED: LazyLock<Option<(String, AtomicI64)>> = LazyLock::new(|| {
        let asked = std::env::var("ISOCENTER_FAULT").ok()?;
        let (place, times) = asked.split_once(':')?;
        Some((place.to_owned(), AtomicI64::new(times.parse().ok()?)))
    });
    if let Some((place, left)) = &*ASKED
        && place == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}
