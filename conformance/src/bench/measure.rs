//! Figures: rate, percentiles, and what the archive's processes used meanwhile.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What one round of a case came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figure {
    /// Good answers or stored instances a second.
    pub rate_per_s: f64,
    /// Median time of one request, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// Good answers or stored instances.
    pub done: usize,
    /// Requests or instances that failed.
    pub failures: usize,
    /// Length of the round, in seconds.
    pub wall_s: f64,
    /// CPU time of the archive's processes for one, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_each: Option<f64>,
    /// Proportional memory of the archive's processes after the round, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<f64>,
    /// Stored instances that a search did not show afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_visible: Option<usize>,
}

/// What one worker saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Time of each request that succeeded.
    pub(super) times: Vec<Duration>,
    /// Instances or answers that succeeded; a request may carry several.
    pub(super) done: usize,
    /// Instances or answers that failed.
    pub(super) failures: usize,
}

impl Tally {
    /// Adds what another worker saw.
    pub(super) fn merge(&mut self, other: Self) {
        self.times.extend(other.times);
        self.done += other.done;
        self.failures += other.failures;
    }

    /// Returns the figure of a round of that length.
    pub(super) fn figure(mut self, wall: Duration) -> Figure {
        self.times.sort_unstable();
        let wall_s = wall.as_secs_f64();
        Figure {
            rate_per_s: if wall_s > 0.0 { count(self.done) / wall_s } else { 0.0 },
            p50_ms: percentile(&self.times, 50),
            p99_ms: percentile(&self.times, 99),
            done: self.done,
            failures: self.failures,
            wall_s,
            ..Figure::default()
        }
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The nearest-rank percentile of sorted times, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// CPU time of processes and all their descendants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    cpu: Duration,
}

impl Usage {
    /// Returns the usage now, or `None` when no process was named or none can be read.
    pub(super) fn now(pids: &[u32]) -> Option<Self> {
        if pids.is_empty() {
            return None;
        }
        // utime and stime are counted in USER_HZ, which Linux fixes at 100 for /proc.
        let ticks: u64 = family(pids)
            .iter()
            .filter_map(|pid| ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
            .sum();
        Some(Self {
            cpu: Duration::from_millis(ticks * 10),
        })
    }

    /// Fills CPU time since `before` and memory now into a figure.
    pub(super) fn charge(before: Option<Self>, pids: &[u32], figure: &mut Figure) {
        let (Some(before), Some(after)) = (before, Self::now(pids)) else {
            return;
        };
        if figure.done > 0 {
            figure.cpu_ms_each = Some(after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e3 / count(figure.done));
        }
        let kib: u64 = family(pids)
            .iter()
            .filter_map(|pid| proportional_kib(&std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?))
            .sum();
        figure.memory_mib = Some(f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0);
    }
}

/// Returns the processes and their descendants.
fn family(roots: &[u32]) -> Vec<u32> {
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some(parent) = after_name(&stat).nth(1).and_then(|field| field.parse().ok()) {
            parents.insert(pid, parent);
        }
    }
    let mut family: Vec<u32> = roots.to_vec();
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        let children: Vec<u32> = parents
            .iter()
            .filter(|&(pid, of)| *of == parent && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        family.extend(children);
        at += 1;
    }
    family
}

/// The fields of /proc/PID/stat behind the command name, which may itself hold spaces and brackets.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit(')').next().unwrap_or_default().split_whitespace()
}

fn ticks(stat: &str) -> Option<u64> {
    let mut fields = after_name(stat).skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn proportional_kib(rollup: &str) -> Option<u64> {
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), 50.0);
        assert_eq!(percentile(&times, 99), 99.0);
        assert_eq!(percentile(&times[..1], 99), 1.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn a_command_name_with_brackets_does_not_shift_the_fields() {
        assert_eq!(ticks("7 (a ) b) S 1 7 7 0 -1 0 0 0 0 0 30 12 0 0"), Some(42));
    }

    #[test]
    fn our_own_process_uses_memory() {
        let mut figure = Figure {
            done: 1,
            ..Figure::default()
        };
        let pids = [std::process::id()];
        Usage::charge(Usage::now(&pids), &pids, &mut figure);
        assert!(figure.memory_mib.unwrap() > 0.5);
    }
}
