//! Planned failures: named points at which a test ends the process, fills the disk or takes the store away.
//!
//! A plan is handed in when the storage is opened and is empty unless somebody wrote one; nothing here reads the
//! environment. `after_put=abort@3` ends the process when the third pack is durable but not yet answered;
//! `before_put=unavailable*2` takes the store away for two puts; `before_flush=delay:50` waits 50 ms there, always.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// A place where a failure can be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// A pack is about to be sealed.
    BeforePut,
    /// Local folder: all bytes of a pack are written, none is flushed.
    BeforeFlush,
    /// Local folder: the bytes are on the disk under a temporary name.
    BeforeRename,
    /// Local folder: the pack has its name, but the folder is not flushed.
    BeforeFolderFlush,
    /// The pack is durable and the caller not yet told.
    AfterPut,
    /// A key is about to be written to the key store.
    BeforeKey,
    /// The key is durable and the caller not yet told.
    AfterKey,
    /// A key is about to be destroyed.
    BeforeDestroy,
    /// The key is destroyed and the caller not yet told.
    AfterDestroy,
}

impl Point {
    /// All points, for tests that walk them.
    pub const ALL: [Self; 9] = [
        Self::BeforePut,
        Self::BeforeFlush,
        Self::BeforeRename,
        Self::BeforeFolderFlush,
        Self::AfterPut,
        Self::BeforeKey,
        Self::AfterKey,
        Self::BeforeDestroy,
        Self::AfterDestroy,
    ];

    /// Returns its name in a written plan.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforePut => "before_put",
            Self::BeforeFlush => "before_flush",
            Self::BeforeRename => "before_rename",
            Self::BeforeFolderFlush => "before_folder_flush",
            Self::AfterPut => "after_put",
            Self::BeforeKey => "before_key",
            Self::AfterKey => "after_key",
            Self::BeforeDestroy => "before_destroy",
            Self::AfterDestroy => "after_destroy",
        }
    }
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The process ends at once, as with kill -9.
    Abort,
    /// The store says that it is full.
    NoSpace,
    /// The store does not answer.
    Unavailable,
    /// The store takes its time.
    Delay(Duration),
}

#[derive(Debug)]
struct Rule {
    point: Point,
    action: Action,
    /// How many passes are let through first.
    skip: u64,
    /// How many passes are then hit.
    times: u64,
    passed: AtomicU64,
}

/// Failures by point; empty unless a test wrote some.
#[derive(Debug, Default)]
pub struct Plan(Vec<Rule>);

impl Plan {
    /// Adds a failure that hits every pass.
    #[must_use]
    pub fn always(self, point: Point, action: Action) -> Self {
        self.with(point, action, 0, u64::MAX)
    }

    /// Adds a failure that hits `times` passes after letting `skip` through.
    #[must_use]
    pub fn with(mut self, point: Point, action: Action, skip: u64, times: u64) -> Self {
        self.0.push(Rule {
            point,
            action,
            skip,
            times,
            passed: AtomicU64::new(0),
        });
        self
    }

    fn due(&self, point: Point) -> Option<Action> {
        self.0
            .iter()
            .filter(|rule| rule.point == point)
            .fold(None, |due, rule| {
                let pass = rule.passed.fetch_add(1, Ordering::Relaxed);
                let hit = pass >= rule.skip && pass - rule.skip < rule.times;
                due.or(hit.then_some(rule.action))
            })
    }

    /// Passes a point on a thread that may wait.
    pub(crate) fn pass_blocking(&self, point: Point) -> Result<()> {
        match self.due(point) {
            None => Ok(()),
            Some(Action::Abort) => std::process::abort(),
            Some(Action::NoSpace) => Err(Error::NoSpace),
            Some(Action::Unavailable) => Err(Error::unavailable("planned failure")),
            Some(Action::Delay(time)) => {
                std::thread::sleep(time);
                Ok(())
            }
        }
    }

    /// Passes a point in a task.
    pub(crate) async fn pass(&self, point: Point) -> Result<()> {
        match self.due(point) {
            None => Ok(()),
            Some(Action::Abort) => std::process::abort(),
            Some(Action::NoSpace) => Err(Error::NoSpace),
            Some(Action::Unavailable) => Err(Error::unavailable("planned failure")),
            Some(Action::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
        }
    }
}

impl FromStr for Plan {
    type Err = Error;

    /// Reads `point=action[@first][*times]`, separated by commas.
    fn from_str(text: &str) -> Result<Self> {
        let mut plan = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let bad = || Error::Settings {
                reason: format!("planned failure {item:?} is not point=action[@first][*times]"),
            };
            let (point, action) = item.split_once('=').ok_or_else(bad)?;
            let point = Point::ALL.into_iter().find(|p| p.name() == point).ok_or_else(bad)?;
            let (action, times) = match action.split_once('*') {
                Some((action, times)) => (action, times.parse().map_err(|_| bad())?),
                None => (action, u64::MAX),
            };
            let (action, first) = match action.split_once('@') {
                Some((action, first)) => (action, first.parse::<u64>().map_err(|_| bad())?),
                None => (action, 1),
            };
            let action = match action.split_once(':') {
                None if action == "abort" => Action::Abort,
                None if action == "no_space" => Action::NoSpace,
                None if action == "unavailable" => Action::Unavailable,
                Some(("delay", millis)) => Action::Delay(Duration::from_millis(millis.parse().map_err(|_| bad())?)),
                _ => return Err(bad()),
            };
            plan = plan.with(point, action, first.saturating_sub(1), times);
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_hits_the_passes_it_names() {
        let plan: Plan = "after_put=no_space@2*2, before_put=unavailable".parse().unwrap();
        let hits: Vec<bool> = (0..5).map(|_| plan.pass_blocking(Point::AfterPut).is_err()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(matches!(
            plan.pass_blocking(Point::BeforePut),
            Err(Error::Unavailable { .. })
        ));
        assert!(plan.pass_blocking(Point::BeforeKey).is_ok());
    }

    #[test]
    fn nonsense_in_a_plan_is_an_error() {
        for bad in [
            "after_put",
            "nowhere=abort",
            "after_put=explode",
            "after_put=delay:x",
            "after_put=abort@x",
        ] {
            assert!(bad.parse::<Plan>().is_err(), "{bad}");
        }
        for point in Point::ALL {
            assert!(format!("{}=delay:0", point.name()).parse::<Plan>().is_ok());
        }
    }
}
