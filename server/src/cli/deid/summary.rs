//! What a run says at the end: counts, and what its owner must know. Names of files are the owner's own.

use std::collections::BTreeMap;

use isocenter_deid::{Action, Report};
use serde::Serialize;

/// An object that did not go out. Names the original: only for who has the originals.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeldObject {
    /// Its file, below the input.
    pub(crate) file: String,
    /// Its SOP Instance UID as received, where it could be read.
    pub(crate) sop_instance_uid: Option<String>,
    /// Code of the check that holds it.
    pub(crate) check: &'static str,
    /// Why.
    pub(crate) reason: String,
}

/// An object that went out and that a person should look at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ToReview {
    /// Its file below the output.
    pub(crate) file: String,
    /// Why.
    pub(crate) reasons: Vec<String>,
}

/// What a run came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) profile: String,
    pub(crate) profile_hash: String,
    /// Whether a second run gives the same UIDs, identifiers and dates.
    pub(crate) second_run_matches: bool,
    /// Files that were looked at.
    pub(crate) files: u64,
    pub(crate) written: u64,
    pub(crate) written_bytes: u64,
    /// Objects held by a rule.
    pub(crate) held: u64,
    /// Files that are DICOM and could not be read.
    pub(crate) unreadable: u64,
    /// Objects of a SOP Instance UID that another object of this run has.
    pub(crate) duplicates: u64,
    /// How often what was done, over all objects.
    pub(crate) actions: BTreeMap<Action, u64>,
    /// Objects in whose pixels something was hidden.
    pub(crate) pixels_hidden: u64,
    /// Checks that held objects, and how many.
    pub(crate) held_by: BTreeMap<String, u64>,
    pub(crate) review: Vec<ToReview>,
    pub(crate) not_dicom: Vec<String>,
    /// Directories of media (DICOMDIR): not copied, since they name originals.
    pub(crate) media_directories: Vec<String>,
    /// Links and the like: not followed.
    pub(crate) passed_over: Vec<String>,
    pub(crate) seconds: f64,
    #[serde(skip)]
    pub(crate) output: String,
}

impl Summary {
    pub(crate) fn add(&mut self, report: &Report) {
        for (action, count) in &report.counts {
            *self.actions.entry(*action).or_default() += u64::from(*count);
        }
        let hidden = report.pixels.as_ref().is_some_and(|pixels| !pixels.regions.is_empty());
        self.pixels_hidden += u64::from(hidden);
    }

    /// Returns whether every object of the input went out.
    pub(crate) fn is_all(&self) -> bool {
        self.held == 0 && self.unreadable == 0
    }

    /// Returns the summary for people.
    pub(crate) fn text(&self) -> String {
        let objects = self.written + self.held + self.unreadable;
        let mut lines = vec![format!(
            "{} of {objects} objects de-identified with {} into {} ({:.1} MiB, {:.1} s)",
            self.written,
            self.profile,
            self.output,
            self.written_bytes as f64 / f64::from(1 << 20),
            self.seconds,
        )];
        let mut say = |line: String| lines.push(line);
        if !self.is_all() {
            say(format!(
                "not written: {} held, {} unreadable; {}/held.json says which and why, and names originals: do not pass it on",
                self.held, self.unreadable, self.output,
            ));
            for (reason, count) in &self.held_by {
                say(format!("  {count} x {reason}"));
            }
        }
        if self.pixels_hidden > 0 {
            say(format!("pixels were hidden in {} objects", self.pixels_hidden));
        }
        if !self.review.is_empty() {
            say(format!(
                "{} objects should be looked at by a person before they are passed on:",
                self.review.len()
            ));
            few(&mut say, self.review.iter().map(|review| &review.file));
        }
        if self.duplicates > 0 {
            say(format!(
                "{} objects have the SOP Instance UID of another one; all are kept",
                self.duplicates
            ));
        }
        for (what, names) in [
            ("files are not DICOM and were not copied", &self.not_dicom),
            ("media directories (DICOMDIR) were not copied", &self.media_directories),
            ("links were not followed", &self.passed_over),
        ] {
            if !names.is_empty() {
                say(format!("{} {what}:", names.len()));
                few(&mut say, names.iter());
            }
        }
        if !self.second_run_matches {
            say(
                "no --secret-file: a random key was used and is forgotten; a second run will not match this one"
                    .to_owned(),
            );
        }
        lines.join("\n")
    }
}

/// Says the first few names.
fn few<'a>(say: &mut impl FnMut(String), names: impl ExactSizeIterator<Item = &'a String>) {
    const FEW: usize = 10;
    let more = names.len().saturating_sub(FEW);
    for name in names.take(FEW) {
        say(format!("  {}", name.escape_debug()));
    }
    if more > 0 {
        say(format!("  and {more} more (--json names all)"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_its_owner_must_know() {
        let summary = Summary {
            written: 3,
            held: 1,
            held_by: BTreeMap::from([("Q508 a document".to_owned(), 1)]),
            not_dicom: (0..12).map(|n| format!("note\u{1b}{n}")).collect(),
            ..Summary::default()
        };
        let text = summary.text();
        for part in ["3 of 4", "1 x Q508", "and 2 more", "will not match", "held.json"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}') && !summary.is_all());
        let all = Summary {
            second_run_matches: true,
            ..Summary::default()
        };
        assert!(all.is_all() && !all.text().contains("will not match"));
    }
}
