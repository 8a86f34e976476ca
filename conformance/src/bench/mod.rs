//! Measurements: how fast an archive stores, finds and gives back, alone or in turn with a peer.
//!
//! What keeps the figures honest:
//!
//! * All bytes are made and all connections are open before a clock starts.
//! * Every storing case sends instances that the archive has not seen, the same bytes to both sides.
//! * With a peer, rounds alternate which side begins, and the ratio is taken inside a round: on a shared machine only ratios
//!   of one run mean something.
//! * A failed answer is counted apart and never makes a rate better. After storing, a search counts what is visible.

mod ingest;
mod measure;
mod read;

pub use measure::Figure;

use crate::sample::{Maker, Sample, fresh_key};
use crate::target::Target;
use crate::web::Web;
use anyhow::{Result, ensure};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// One archive that is measured.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its name in the tables.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// Its processes, for CPU time and memory; may be empty.
    pub pids: Vec<u32>,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Instances that each storing case sends.
    pub instances: u32,
    /// Rows and columns of the made images.
    pub size: u16,
    /// Files to send instead of made images.
    pub files: Vec<PathBuf>,
    /// Rounds of each case.
    pub rounds: u32,
    /// Seconds that each reading case lasts.
    pub seconds: f64,
    /// Prefixes of the cases to run; empty means all.
    pub only: Vec<String>,
}

impl Plan {
    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| case.starts_with(only.as_str()))
    }

    /// Whether any reading case is wanted, so that a series for them has to be stored.
    fn wants_reading(&self) -> bool {
        read::CASES.iter().any(|case| self.wants(case.name))
    }
}

/// A side with what is needed to talk to it.
pub(crate) struct Measured<'a> {
    side: &'a Side,
    web: Web,
    series: Option<read::Series>,
}

/// All rounds of one case on one side.
#[derive(Clone, Debug, Serialize)]
pub struct SideFigures {
    /// Name of the side.
    pub name: String,
    /// Every round.
    pub rounds: Vec<Figure>,
}

impl SideFigures {
    /// Returns the round with the median rate.
    pub fn median(&self) -> Option<&Figure> {
        let mut sorted: Vec<&Figure> = self.rounds.iter().collect();
        sorted.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }
}

/// How the first side compares with the second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Median over the rounds of first rate divided by second rate.
    pub median: f64,
    /// The lowest round.
    pub lowest: f64,
    /// The highest round.
    pub highest: f64,
}

/// One case on all sides.
#[derive(Clone, Debug, Serialize)]
pub struct CaseFigures {
    /// Name of the case.
    pub case: &'static str,
    /// What the rate counts.
    pub unit: &'static str,
    /// The sides, in the order given.
    pub sides: Vec<SideFigures>,
    /// First side against second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Version of this program.
    pub version: &'static str,
    /// Start, UTC.
    pub started: String,
    /// Instances of each storing case.
    pub instances: u32,
    /// Mean size of an instance sent, in bytes.
    pub instance_bytes: usize,
    /// Seconds of each reading case.
    pub seconds: f64,
    /// The cases.
    pub cases: Vec<CaseFigures>,
}

/// Runs the plan on one or two sides; `told` hears of each figure as it comes.
///
/// # Errors
/// When an archive cannot be reached or a file cannot be read. A case that fails on one side is told and left out there.
pub async fn run(sides: &[Side], plan: &Plan, told: impl Fn(&str)) -> Result<Results> {
    ensure!(!sides.is_empty(), "nothing to measure");
    let key = fresh_key();
    let source = Source::new(&key, plan)?;
    let started = chrono::Utc::now().to_rfc3339();
    let mut measured = Vec::new();
    for side in sides {
        measured.push(Measured {
            side,
            web: Web::new(&side.target.web, side.target.token.as_deref())?,
            series: None,
        });
    }
    let mut cases: Vec<CaseFigures> = Vec::new();
    for case in ingest::CASES.iter().filter(|case| plan.wants(case.name)) {
        let mut figures = CaseFigures::new(case.name, "instances", sides);
        for round in 0..plan.rounds {
            let samples = source.series(&format!("{} {round}", case.name))?;
            for index in order(measured.len(), round) {
                let Some(side) = measured.get(index) else { continue };
                match ingest::measure(side, case, &samples).await {
                    Ok(figure) => figures.add(index, figure, &told),
                    Err(error) => told(&format!("{} on {}: {error:#}", case.name, side.side.name)),
                }
            }
        }
        cases.push(figures);
    }
    if plan.wants_reading() {
        let samples = source.series("to read")?;
        for side in &mut measured {
            match read::store_series(&side.web, &samples).await {
                Ok(series) => side.series = Some(series),
                Err(error) => told(&format!("nothing to read on {}: {error:#}", side.side.name)),
            }
        }
        for case in read::CASES.iter().filter(|case| plan.wants(case.name)) {
            let mut figures = CaseFigures::new(case.name, "answers", sides);
            for round in 0..plan.rounds {
                for index in order(measured.len(), round) {
                    let Some(side) = measured.get(index) else { continue };
                    let Some(series) = &side.series else { continue };
                    match read::measure(side, series, case, plan.seconds).await {
                        Ok(figure) => figures.add(index, figure, &told),
                        Err(error) => told(&format!("{} on {}: {error:#}", case.name, side.side.name)),
                    }
                }
            }
            cases.push(figures);
        }
    }
    cases.iter_mut().for_each(CaseFigures::compare);
    Ok(Results {
        version: env!("CARGO_PKG_VERSION"),
        started,
        instances: plan.instances,
        instance_bytes: source.instance_bytes()?,
        seconds: plan.seconds,
        cases,
    })
}

/// A B, then B A, then A B: what warms up or slows down meanwhile meets both alike.
fn order(sides: usize, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sides).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Where the instances come from.
struct Source {
    key: String,
    maker: Maker,
    instances: u32,
    files: Vec<Sample>,
}

impl Source {
    fn new(key: &str, plan: &Plan) -> Result<Self> {
        let files = plan
            .files
            .iter()
            .map(|path| Sample::read(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            key: key.to_owned(),
            maker: Maker::new(key, plan.size, plan.size),
            instances: plan.instances,
            files,
        })
    }

    /// Returns instances under a name that no other series has. Files are taken round and round, each time under new UIDs.
    fn series(&self, name: &str) -> Result<Vec<Sample>> {
        if self.files.is_empty() {
            return Ok(self.maker.ct_series(name, 1, self.instances));
        }
        let lap = |number: usize| format!("{} {name} {}", self.key, number / self.files.len());
        let taken = self.files.iter().cycle().take(usize::try_from(self.instances)?);
        taken
            .enumerate()
            .map(|(number, file)| file.renewed(&lap(number)))
            .collect()
    }

    fn instance_bytes(&self) -> Result<usize> {
        if self.files.is_empty() {
            return Ok(self
                .maker
                .ct_series("size", 1, 1)
                .first()
                .map_or(0, |sample| sample.file.len()));
        }
        Ok(self.files.iter().map(|sample| sample.file.len()).sum::<usize>() / self.files.len())
    }
}

impl CaseFigures {
    fn new(case: &'static str, unit: &'static str, sides: &[Side]) -> Self {
        let sides = sides
            .iter()
            .map(|side| SideFigures {
                name: side.name.clone(),
                rounds: Vec::new(),
            })
            .collect();
        Self {
            case,
            unit,
            sides,
            ratio: None,
        }
    }

    fn add(&mut self, index: usize, figure: Figure, told: &impl Fn(&str)) {
        if let Some(side) = self.sides.get_mut(index) {
            told(&format!(
                "{:<28} {:<12} {:>9.1} {}/s",
                self.case, side.name, figure.rate_per_s, self.unit
            ));
            side.rounds.push(figure);
        }
    }

    fn compare(&mut self) {
        let [first, second] = self.sides.as_slice() else { return };
        let mut ratios: Vec<f64> = first
            .rounds
            .iter()
            .zip(&second.rounds)
            .filter(|(_, peer)| peer.rate_per_s > 0.0)
            .map(|(ours, peer)| ours.rate_per_s / peer.rate_per_s)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let middle = ratios.get(ratios.len().saturating_sub(1) / 2);
        if let (Some(&median), Some(&lowest), Some(&highest)) = (middle, ratios.first(), ratios.last()) {
            self.ratio = Some(Ratio {
                median,
                lowest,
                highest,
            });
        }
    }
}

impl Results {
    /// Returns the figures as a table in Markdown: for each case and side the round with the median rate.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} instances of {} bytes a storing case, {} s a reading case\n\n| case | archive | rate /s | p50 ms | p99 ms | CPU ms | memory MiB | failed | not visible |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
            self.instances, self.instance_bytes, self.seconds
        );
        for case in &self.cases {
            for side in &case.sides {
                let Some(figure) = side.median() else {
                    let _ = writeln!(text, "| {} | {} | - | - | - | - | - | - | - |", case.case, side.name);
                    continue;
                };
                let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
                let _ = writeln!(
                    text,
                    "| {} | {} | {:.1} | {:.2} | {:.2} | {} | {} | {} | {} |",
                    case.case,
                    side.name,
                    figure.rate_per_s,
                    figure.p50_ms,
                    figure.p99_ms,
                    optional(figure.cpu_ms_each),
                    optional(figure.memory_mib),
                    figure.failures,
                    figure
                        .not_visible
                        .map_or_else(|| "-".to_owned(), |count| count.to_string()),
                );
            }
            if let Some(ratio) = case.ratio {
                let _ = writeln!(
                    text,
                    "| {} | **ratio** | **{:.2}** ({:.2} - {:.2}) | | | | | | |",
                    case.case, ratio.median, ratio.lowest, ratio.highest
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rates: &[f64]) -> SideFigures {
        let rounds = rates
            .iter()
            .map(|&rate_per_s| Figure {
                rate_per_s,
                ..Figure::default()
            })
            .collect();
        SideFigures {
            name: "x".into(),
            rounds,
        }
    }

    #[test]
    fn the_ratio_is_taken_inside_each_round() {
        // The machine slowed to a tenth in round two; the ratio must not notice.
        let mut case = CaseFigures {
            case: "c",
            unit: "u",
            sides: vec![figures(&[200.0, 20.0, 220.0]), figures(&[100.0, 10.0, 100.0])],
            ratio: None,
        };
        case.compare();
        assert_eq!(
            case.ratio.unwrap(),
            Ratio {
                median: 2.0,
                lowest: 2.0,
                highest: 2.2
            }
        );
    }

    #[test]
    fn rounds_alternate_who_begins() {
        assert_eq!(order(2, 0), [0, 1]);
        assert_eq!(order(2, 1), [1, 0]);
    }

    #[test]
    fn no_two_series_share_an_instance() {
        let plan = Plan {
            instances: 4,
            size: 16,
            files: Vec::new(),
            rounds: 1,
            seconds: 1.0,
            only: Vec::new(),
        };
        let source = Source::new("k", &plan).unwrap();
        let uids: std::collections::BTreeSet<_> = ["a", "b"]
            .iter()
            .flat_map(|name| source.series(name).unwrap())
            .map(|sample| sample.sop_instance_uid)
            .collect();
        assert_eq!(uids.len(), 8);
    }
}
