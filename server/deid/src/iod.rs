//! Types of attributes by IOD, for the actions of Table E.1-1 that depend on them: Z/D, X/Z, X/D and X/Z/D.
//!
//! The types are derived from PS3.3 (`data/iod_types_2020.txt`, 140 storage classes). Where usage of a module or a
//! condition decides, the strictest type counts, so that what is written is valid in each case. A class that the file does
//! not know, or an attribute in a sequence that it does not know, has no type; then the action that is always valid is
//! taken. An attribute that the IOD of a known class does not have at top level is of Type 3: nothing requires it.

use std::collections::HashMap;
use std::sync::LazyLock;

use dicom_core::Tag;

use crate::table::number;
use crate::tag_map::TagMap;

pub(crate) const SOURCE: &str = include_str!("../data/iod_types_2020.txt");
const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";

/// What an IOD asks of an attribute, PS3.5 7.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// With a value.
    One,
    /// There, perhaps empty.
    Two,
    /// Optional.
    Three,
}

struct Attribute {
    usual: Type,
    others: HashMap<&'static str, Type>,
}

struct Types {
    classes: Vec<&'static str>,
    top: TagMap<Attribute>,
    nested: HashMap<(u32, u32), Type>,
}

/// What the lines of the file say.
#[derive(Default)]
struct Lines {
    classes: Vec<&'static str>,
    top: Vec<(u32, Attribute)>,
    nested: HashMap<(u32, u32), Type>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut lines = Lines::default();
    for line in SOURCE.lines().filter(|line| !line.starts_with('#')) {
        // A line that does not parse leaves its attribute without a type; a test counts them.
        let _ = read(&mut lines, line);
    }
    Types {
        classes: lines.classes,
        top: lines.top.into_iter().collect(),
        nested: lines.nested,
    }
});

fn read(types: &mut Lines, line: &'static str) -> Option<()> {
    let (kind, rest) = line.split_once(' ')?;
    let mut words = rest.split(' ');
    match kind {
        "classes" => types.classes = words.collect(),
        "top" => {
            let tag = tag(words.next()?)?;
            let usual = kind_of(words.next()?)?;
            let mut others = HashMap::new();
            for word in words {
                let (of, classes) = word.split_once(':')?;
                let of = kind_of(of)?;
                others.extend(classes.split(',').map(|class| (class, of)));
            }
            types.top.push((tag, Attribute { usual, others }));
        }
        "in" => {
            let (parent, of) = (tag(words.next()?)?, tag(words.next()?)?);
            types.nested.insert((parent, of), kind_of(words.next()?)?);
        }
        _ => return None,
    }
    Some(())
}

fn tag(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn kind_of(text: &str) -> Option<Type> {
    match text {
        "1" => Some(Type::One),
        "2" => Some(Type::Two),
        "3" => Some(Type::Three),
        _ => None,
    }
}

/// A storage class whose IOD is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class(&'static str);

impl Class {
    /// Returns the class of a SOP Class UID, if its IOD is known.
    pub(crate) fn of(sop_class_uid: &str) -> Option<Self> {
        let short = sop_class_uid.strip_prefix(STORAGE).unwrap_or(sop_class_uid);
        TYPES
            .classes
            .iter()
            .find(|class| **class == short)
            .map(|class| Self(class))
    }
}

/// Returns the type of an attribute at top level, or in an item of `parent`; `None` where nothing is known of it.
pub(crate) fn type_of(class: Option<Class>, parent: Option<Tag>, tag: Tag) -> Option<Type> {
    match parent {
        Some(parent) => TYPES.nested.get(&(number(parent), number(tag))).copied(),
        None => {
            let class = class?;
            let attribute = TYPES.top.get(tag)?;
            Some(attribute.others.get(class.0).copied().unwrap_or(attribute.usual))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{self, BasicAction};

    #[test]
    fn every_conditional_attribute_has_types() {
        let conditional = table::rows()
            .iter()
            .filter(|row| {
                matches!(
                    row.basic,
                    BasicAction::ZOrD | BasicAction::XOrZ | BasicAction::XOrD | BasicAction::XOrZOrD
                )
            })
            .count();
        assert_eq!(TYPES.top.values().len(), conditional);
        assert_eq!(TYPES.classes.len(), 140);
        assert!(TYPES.nested.len() > 50);
    }

    #[test]
    fn types_are_those_of_the_standard() {
        let ct = Class::of("1.2.840.10008.5.1.4.1.1.2");
        let pet = Class::of("1.2.840.10008.5.1.4.1.1.128");
        let enhanced = Class::of("1.2.840.10008.5.1.4.1.1.2.1");
        assert!(ct.is_some() && Class::of("1.2.3").is_none());
        let series_date = Tag(0x0008, 0x0021);
        assert_eq!(type_of(ct, None, series_date), Some(Type::Three));
        assert_eq!(type_of(pet, None, series_date), Some(Type::One));
        assert_eq!(type_of(enhanced, None, Tag(0x0008, 0x002A)), Some(Type::One));
        assert_eq!(type_of(ct, None, Tag(0x0010, 0x0020)), Some(Type::Two));
        assert_eq!(type_of(None, None, series_date), None);
        let machine = Tag(0x300A, 0x00B2);
        assert_eq!(type_of(ct, Some(Tag(0x300A, 0x00B0)), machine), Some(Type::Two));
        assert_eq!(type_of(ct, Some(Tag(0x0008, 0x1140)), machine), None);
    }
}
