//! Many needles in one text.
//!
//! Few are looked for one by one, which needs no preparation. More than [`FEW`] become an automaton that reads a text once,
//! however many there are: what one object says of its patient must not multiply the cost of reading it.

use std::collections::HashSet;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Up to so many a search for each is faster than building an automaton.
const FEW: usize = 40;
/// Of a longer needle only so much is looked for; what repeats the whole repeats its beginning.
const MOST_BYTES: usize = 64;

/// Returns the part of a text that is looked for.
pub(crate) fn beginning(text: &str) -> &str {
    let end = (0..=MOST_BYTES).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The search for those needles of a set that are wanted.
#[derive(Debug)]
pub(crate) struct Search {
    wanted: fn(&str) -> bool,
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl Search {
    pub(crate) const fn new(wanted: fn(&str) -> bool) -> Self {
        Self {
            wanted,
            automaton: OnceLock::new(),
        }
    }

    fn automaton(&self, needles: &HashSet<String>) -> Option<&AhoCorasick> {
        if needles.len() <= FEW {
            return None;
        }
        let build = || {
            let wanted = needles.iter().filter(|needle| (self.wanted)(needle));
            // It takes memory for every character of a needle, so it is the smallest kind. Where it cannot be built (too many
            // of them, which the bounds of `Known` exclude) each is looked for.
            AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::NoncontiguousNFA))
                .build(wanted)
                .ok()
        };
        self.automaton.get_or_init(build).as_ref()
    }

    /// Returns whether any of the needles is in a text. The set must be the same each time.
    pub(crate) fn is_in(&self, needles: &HashSet<String>, text: &str) -> bool {
        match self.automaton(needles) {
            Some(automaton) => automaton.is_match(text),
            None => needles
                .iter()
                .any(|needle| needle.len() <= text.len() && (self.wanted)(needle) && text.contains(needle.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_found_alike() {
        let search = || Search::new(|needle| needle.len() >= 6);
        for count in [FEW, FEW + 1, 4000] {
            let needles: HashSet<String> = (0..count)
                .map(|n| format!("abc{n:04}"))
                .chain(["xy".to_owned()])
                .collect();
            let (few, many) = (search(), search());
            for (text, is) in [
                ("..abc0007..", true),
                ("abc0007", true),
                ("abc00", false),
                ("xy", false),
                ("", false),
            ] {
                assert_eq!(many.is_in(&needles, text), is, "{count} {text}");
                let two: HashSet<String> = ["abc0007".to_owned(), "xy".to_owned()].into();
                assert_eq!(few.is_in(&two, text), is, "{text}");
            }
        }
    }

    #[test]
    fn the_beginning_ends_between_characters() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"a".repeat(100)).len(), 64);
        assert_eq!(beginning(&"欧".repeat(100)).len(), 63);
    }
}
