//! Verdicts, and how a run of cases is told: a table for people, JSON for programs.

use serde::Serialize;
use std::fmt::Write as _;

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The archive did something else than the clause asks for; says what was seen.
    Fail(String),
    /// The case cannot be judged on this archive; says why.
    NotApplicable(String),
}

/// The verdict of one case.
pub type Verdict = Result<(), Objection>;

impl From<anyhow::Error> for Objection {
    fn from(error: anyhow::Error) -> Self {
        Self::Fail(format!("{error:#}"))
    }
}

/// Returns a failure unless the condition holds; the text says what was seen.
///
/// # Errors
/// [`Objection::Fail`] when the condition does not hold.
pub fn expect(holds: bool, seen: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Objection::Fail(seen())) }
}

/// Returns an objection that the case does not apply, and why.
pub fn not_applicable(reason: impl Into<String>) -> Objection {
    Objection::NotApplicable(reason.into())
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The clause is kept.
    Pass,
    /// The clause is broken.
    Fail,
    /// The clause could not be judged.
    NotApplicable,
}

/// One case and its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// Number of the case, by part and clause of the standard.
    pub id: &'static str,
    /// The clause or table that the case holds the archive to.
    pub clause: &'static str,
    /// What is checked, as a sentence.
    pub title: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, or why the case does not apply; empty for a pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long the case took, in milliseconds.
    pub duration_ms: u64,
}

impl CaseReport {
    /// Returns the report of a case from its verdict.
    pub fn new(
        id: &'static str,
        clause: &'static str,
        title: &'static str,
        verdict: Verdict,
        duration_ms: u64,
    ) -> Self {
        let (outcome, reason) = match verdict {
            Ok(()) => (Outcome::Pass, String::new()),
            Err(Objection::Fail(reason)) => (Outcome::Fail, reason),
            Err(Objection::NotApplicable(reason)) => (Outcome::NotApplicable, reason),
        };
        Self {
            id,
            clause,
            title,
            outcome,
            reason,
            duration_ms,
        }
    }
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this program.
    pub version: &'static str,
    /// Start of the run, UTC.
    pub started: String,
    /// Root of the DICOMweb service.
    pub web: String,
    /// The Storage SCP.
    pub dimse: Option<String>,
    /// Whether the archive kept or replaced the identifiers sent to it, when that could be seen.
    pub identity: Option<&'static str>,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that could not be judged.
    pub not_applicable: usize,
    /// Every case.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Returns how many cases ended so.
    pub fn count(cases: &[CaseReport], outcome: Outcome) -> usize {
        cases.iter().filter(|case| case.outcome == outcome).count()
    }

    /// Returns the line that closes a run.
    pub fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} not applicable",
            self.passed, self.failed, self.not_applicable
        )
    }
}

/// Returns the line of one case in the table.
pub fn line(case: &CaseReport) -> String {
    let word = match case.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::NotApplicable => "n/a ",
    };
    let mut text = format!("{word}  {:<18} {:<24} {}", case.id, case.clause, case.title);
    if !case.reason.is_empty() {
        let _ = write!(text, "\n      {}", case.reason.replace('\n', "\n      "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_what_was_seen_and_a_pass_says_nothing() {
        let failed = CaseReport::new("A-1", "1", "t", Err(Objection::Fail("saw 500".into())), 3);
        assert_eq!(failed.outcome, Outcome::Fail);
        assert!(line(&failed).contains("saw 500"));
        let passed = CaseReport::new("A-1", "1", "t", Ok(()), 3);
        assert_eq!(line(&passed).lines().count(), 1);
    }
}
