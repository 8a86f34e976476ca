//! Ways to name an element in an argument.
//!
//! A keyword, `00100010`, `10,10`, each also in `()`, `[]` or `{}`; `0009[CREATOR]02`; the name that a script gives to a
//! private rule; `this`; a path `Seq::Seq::Element`, always through first items; `root:` before a path.

use std::collections::HashMap;

use dicom_object::InMemDicomObject;

use super::{java, names, values};

/// Names that a script gives to private elements, in lower case, resolved for one object.
pub(crate) type PrivateNames = HashMap<String, u32>;

/// Returns the tag that a name stands for; 0 is none, as in CTP.
pub(crate) fn standard(name: &str) -> u32 {
    let mut name = java::trim(name);
    for (open, close) in [('{', '}'), ('[', ']'), ('(', ')')] {
        if name.len() > 1 && name.starts_with(open) && name.ends_with(close) {
            name = name.get(1..name.len() - 1).unwrap_or_default();
            if open != '{' {
                name = java::trim(name);
            }
            break;
        }
    }
    if let Some(tag) = names::tag_of(name) {
        return tag;
    }
    let hex = |text: &str, least: usize, most: usize| {
        let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| u32::from_str_radix(text, 16).unwrap_or(0))
    };
    if let Some(tag) = hex(name, 1, 8) {
        return tag;
    }
    match name.split_once(',') {
        Some((group, element)) => match (hex(group, 0, 4), hex(element, 1, 4)) {
            (Some(group), Some(element)) => (group << 16) | element,
            _ => 0,
        },
        None => 0,
    }
}

/// A private element by its creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Private {
    pub(crate) group: u16,
    pub(crate) creator: String,
    pub(crate) element: u8,
}

impl Private {
    /// Reads `gggg[creator]ee`, with or without brackets around and commas between.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut name = name;
        for (open, close) in [('[', ']'), ('(', ')')] {
            if name.len() > 1 && name.starts_with(open) && name.ends_with(close) {
                name = java::trim(name.get(1..name.len() - 1)?);
                break;
            }
        }
        let (group, rest) = name.split_once('[')?;
        let (creator, element) = rest.split_once(']')?;
        let group = group.strip_suffix(',').unwrap_or(group);
        let element = element.strip_prefix(',').unwrap_or(element);
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        if !(1..=4).contains(&group.len()) || element.len() > 2 || !hex(group) || !hex(element) {
            return None;
        }
        let group = u16::from_str_radix(group, 16).ok().filter(|group| group % 2 == 1)?;
        let element = if element.is_empty() {
            0
        } else {
            u8::from_str_radix(element, 16).ok()?
        };
        Some(Self {
            group,
            creator: java::trim(creator).to_owned(),
            element,
        })
    }

    /// Returns the tag in a data set whose creator owns a block there.
    pub(crate) fn resolve(&self, data_set: &InMemDicomObject) -> u32 {
        let group = u32::from(self.group) << 16;
        (1..=0xFF_u32)
            .find(|block| values::first_text(data_set, group | block).is_some_and(|owner| owner == self.creator))
            .map_or(0, |block| group | (block << 8) | u32::from(self.element))
    }
}

/// Returns the tag of a name in a data set, 0 if there is none.
pub(crate) fn resolve(name: &str, private_names: &PrivateNames, data_set: &InMemDicomObject) -> u32 {
    match standard(name) {
        0 => match private_names.get(&java::trim(name).to_lowercase()) {
            Some(tag) => *tag,
            None => Private::parse(name).map_or(0, |private| private.resolve(data_set)),
        },
        tag => tag,
    }
}

/// Returns whether a name could ever stand for an element.
pub(crate) fn is_name(name: &str, private_names: &[String]) -> bool {
    let name = java::trim(name);
    if matches!(name, "" | "this") {
        return true;
    }
    let path = name.strip_prefix("root:").unwrap_or(name);
    path.split("::").all(|step| {
        let step = java::trim(step);
        let named = private_names.iter().any(|name| *name == step.to_lowercase());
        standard(step) != 0 || named || Private::parse(step).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_has_many_names() {
        for name in [
            "PatientName",
            "00100010",
            "(0010,0010)",
            "[0010,0010]",
            "{PatientName}",
            "10,10",
            "100010",
            " PatientName ",
        ] {
            assert_eq!(standard(name), 0x0010_0010, "{name}");
        }
        for name in [
            "",
            "patientname",
            "this",
            "0010,00100",
            "001000100",
            "0009[X]02",
            "(",
            "[]",
        ] {
            assert_eq!(standard(name), 0, "{name}");
        }
    }

    #[test]
    fn private_elements_are_named_by_their_creator() {
        let expected = Private {
            group: 9,
            creator: "GEMS_IDEN_01".to_owned(),
            element: 2,
        };
        for name in [
            "0009[GEMS_IDEN_01]02",
            "(9,[GEMS_IDEN_01]2)",
            "[0009,[ GEMS_IDEN_01 ],02]",
            "9[GEMS_IDEN_01]02",
        ] {
            assert_eq!(Private::parse(name).as_ref(), Some(&expected), "{name}");
        }
        for name in ["0010[X]02", "[X]02", "00009[X]02", "0009[X]002", "0009X02", ""] {
            assert_eq!(Private::parse(name), None, "{name}");
        }
    }
}
