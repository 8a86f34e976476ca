//! Private attributes that are known: their VR, and whether they are safe.
//!
//! Two sources in one file (`data/private_attributes.txt`): Table E.3.10-1 of PS3.15 2026d, which says what is safe, and the
//! private tag knowledge base of Posda, which knows the VR of many more and says of some what becomes of them. Where the two
//! disagree the standard wins. Creators match without regard to case and blanks.

use std::collections::HashMap;
use std::sync::LazyLock;

use dicom_core::VR;

use crate::tag_map::TagMap;

pub(crate) const SOURCE: &str = include_str!("../data/private_attributes.txt");

/// What is known of the safety of a private attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// Listed in Table E.3.10-1.
    Standard,
    /// Posda keeps it.
    Keep,
    /// Posda removes it.
    Remove,
    /// Posda empties it.
    Empty,
    /// Nothing.
    Unknown,
}

/// A known private attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) vr: Option<VR>,
    pub(crate) safety: Safety,
}

/// The known attributes of one creator.
#[derive(Debug)]
pub(crate) struct Block(TagMap<Entry>);

static BLOCKS: LazyLock<HashMap<&'static str, Block>> = LazyLock::new(|| {
    let mut blocks: HashMap<&'static str, Vec<(u32, Entry)>> = HashMap::new();
    let mut creator = "";
    for line in SOURCE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('=') {
            creator = name;
            continue;
        }
        let block = blocks.entry(creator).or_default();
        block.extend(line.split(' ').filter_map(entry));
    }
    blocks
        .into_iter()
        .map(|(creator, entries)| (creator, Block(entries.into_iter().collect())))
        .collect()
});

/// `GGGGEEVRs`: group, element in its block, VR, safety.
fn entry(word: &str) -> Option<(u32, Entry)> {
    let (number, rest) = word.split_at_checked(6)?;
    let (vr, safety) = rest.split_at_checked(2)?;
    let safety = match safety {
        "s" => Safety::Standard,
        "k" => Safety::Keep,
        "x" => Safety::Remove,
        "z" => Safety::Empty,
        "-" => Safety::Unknown,
        _ => return None,
    };
    let number = u32::from_str_radix(number, 16).ok()?;
    Some((
        number,
        Entry {
            vr: vr.parse().ok(),
            safety,
        },
    ))
}

/// Returns a creator as it is compared: without blanks, in capitals.
pub(crate) fn normalised(creator: &str) -> String {
    creator
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '\0')
        .flat_map(char::to_uppercase)
        .collect()
}

/// Returns what is known of a creator's attributes; the creator as [`normalised`].
pub(crate) fn block(creator: &str) -> Option<&'static Block> {
    BLOCKS.get(creator)
}

impl Block {
    /// Returns what is known of an attribute by group and element in its block.
    pub(crate) fn find(&self, group: u16, element: u8) -> Option<Entry> {
        self.0.get_number(u32::from(group) << 8 | u32::from(element)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_attributes_of_both_sources_are_there() {
        let all = || BLOCKS.values().flat_map(|block| block.0.values());
        let count = |safety| all().filter(|entry| entry.safety == safety).count();
        assert_eq!(count(Safety::Standard), 479);
        assert!(count(Safety::Keep) > 1000 && count(Safety::Remove) > 500 && count(Safety::Unknown) > 8000);
        assert!(BLOCKS.len() > 400 && !BLOCKS.contains_key(""));
        assert!(all().filter(|entry| entry.vr.is_none()).count() < 500);
    }

    #[test]
    fn an_attribute_is_found_however_its_creator_is_spelled() {
        let creator = normalised("philips pet  Private GROUP ");
        let factor = block(&creator).unwrap().find(0x7053, 0x00).unwrap();
        assert_eq!((factor.vr, factor.safety), (Some(VR::DS), Safety::Standard));
        assert!(block("NOBODY").is_none() && block(&creator).unwrap().find(0x7055, 0).is_none());
    }
}
