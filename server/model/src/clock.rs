//! Time, handed in so that tests of shifts, expiry and embargo are exact.

use chrono::{DateTime, Utc};

/// A source of the present time.
pub trait Clock: Send + Sync {
    /// Returns the time now, in UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
