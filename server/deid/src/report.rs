//! What was done to one object: counts, and where which rule acted. Never a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use dicom_core::Tag;
use serde::{Deserialize, Serialize};

use crate::holds::PixelRisk;
use crate::policy::PixelReport;
use crate::profile::Profile;
use crate::table;

/// What was done to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Removed, with all items.
    Removed,
    /// Made empty.
    Emptied,
    /// Replaced by a dummy.
    Dummied,
    /// Each UID was mapped.
    UidMapped,
    /// A date or date and time was shifted.
    DateShifted,
    /// Text lost what identifies.
    Cleaned,
    /// A patient's name or identifier was replaced by the pseudonym.
    Pseudonymized,
    /// An element that was not there was added.
    Added,
    /// A script wrote another value.
    Scripted,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where: `00081140[0].00081155`, items from 0.
    pub path: String,
    /// What.
    pub action: Action,
    /// Why: an action of Table E.1-1, or a rule of this package by name.
    pub rule: Cow<'static, str>,
}

/// What was done to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the profile.
    pub profile: String,
    /// Hash of the profile, in hexadecimal.
    pub profile_hash: String,
    /// Name and version of this package.
    pub engine: String,
    /// Edition of the table; empty where nothing was changed.
    pub table: String,
    /// How often what was done.
    pub counts: BTreeMap<Action, u32>,
    /// Where; the first [`Report::MOST_CHANGES`].
    pub changes: Vec<Change>,
    /// Changes that are counted and not listed.
    pub changes_left_out: u32,
    /// Private elements that stay, by path and rule; the first of them.
    pub private_kept: Vec<String>,
    /// How many private elements stay.
    pub private_count: u32,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// What the pixels may show.
    pub pixel_risks: Vec<PixelRisk>,
    /// What was done about the pixels; `None` where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<PixelReport>,
}

impl Report {
    /// Most changes that are listed.
    pub const MOST_CHANGES: usize = 1000;
    /// Most private elements and warnings that are listed.
    pub(crate) const MOST_NOTES: usize = 200;

    pub(crate) fn new(profile: &Profile) -> Self {
        let table = if profile.changes_nothing() { "" } else { table::EDITION };
        Self {
            table: table.to_owned(),
            ..Self::named(profile.name(), profile.hash())
        }
    }

    /// Makes a report on something that is no table.
    pub(crate) fn named(name: &str, hash: [u8; 32]) -> Self {
        Self {
            profile: name.to_owned(),
            profile_hash: hex::encode(hash),
            engine: concat!("isocenter-deid ", env!("CARGO_PKG_VERSION")).to_owned(),
            table: String::new(),
            counts: BTreeMap::new(),
            changes: Vec::new(),
            changes_left_out: 0,
            private_kept: Vec::new(),
            private_count: 0,
            warnings: Vec::new(),
            pixel_risks: Vec::new(),
            pixels: None,
        }
    }

    pub(crate) fn record(&mut self, path: &Path, tag: Tag, action: Action, rule: &'static str) {
        *self.counts.entry(action).or_default() += 1;
        if self.changes.len() < Self::MOST_CHANGES {
            self.changes.push(Change {
                path: path.of(tag),
                action,
                rule: Cow::Borrowed(rule),
            });
        } else {
            self.changes_left_out += 1;
        }
    }

    pub(crate) fn keep_private(&mut self, path: &Path, tag: Tag, rule: &str) {
        self.private_count = self.private_count.saturating_add(1);
        if self.private_kept.len() < Self::MOST_NOTES {
            let mut line = path.of(tag);
            line.push(' ');
            line.push_str(rule);
            self.private_kept.push(line);
        }
    }

    /// Returns how many private elements stay, listed or not.
    pub(crate) fn private_count(&self) -> u32 {
        self.private_count
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        if self.warnings.len() < Self::MOST_NOTES {
            self.warnings.push(text.into());
        }
    }
}

/// The sequences and items that the walk is in.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<(Tag, usize)>);

impl Path {
    pub(crate) fn enter(&mut self, tag: Tag, item: usize) {
        self.0.push((tag, item));
    }

    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    pub(crate) fn of(&self, tag: Tag) -> String {
        let mut path = String::with_capacity(8 + 12 * self.0.len());
        for (tag, item) in &self.0 {
            push(&mut path, *tag);
            // Writing to a String does not fail.
            let _ = write!(path, "[{item}].");
        }
        push(&mut path, tag);
        path
    }
}

/// Appends a tag in eight hexadecimal digits. The formatter of the library takes several times as long, and a report has
/// hundreds.
fn push(path: &mut String, tag: Tag) {
    let number = table::number(tag);
    let digit = |shift: u32| char::from_digit(number >> shift & 0xF, 16).map(|digit| digit.to_ascii_uppercase());
    path.extend([28, 24, 20, 16, 12, 8, 4, 0].into_iter().filter_map(digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_sequences_items_and_the_element() {
        let mut path = Path::default();
        assert_eq!(path.of(Tag(0x7FE0, 0x0010)), "7FE00010");
        path.enter(Tag(0x0008, 0x1140), 12);
        path.enter(Tag(0xFFFA, 0x00AB), 0);
        assert_eq!(path.of(Tag(0x0008, 0x1155)), "00081140[12].FFFA00AB[0].00081155");
        path.leave();
        assert_eq!(path.of(Tag(0x0008, 0x1155)), "00081140[12].00081155");
    }
}
