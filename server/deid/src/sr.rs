//! Content of structured reports under the Clean Structured Content Option, PS3.15 E.3.4: what becomes of an item by the
//! code of its concept.
//!
//! The table (`data/ps315_e3_4_1_2020.csv`) is Table E.3.4-1 of about edition 2020. Of items that it does not list, text is
//! cleaned like any other prose, and the rest is decided by its attributes: names and UIDs are replaced, dates shift, codes
//! and numbers stay.
//!
//! References (IMAGE, COMPOSITE, WAVEFORM, UIDREF) stay whatever the table says, with mapped UIDs: a mapped reference is a
//! dummy of the right kind, and the report still points to its images. An item goes only where no item of the document is
//! referenced by its position; else its value becomes a dummy.

use std::collections::HashMap;
use std::sync::LazyLock;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::options::{ConfidentialityOption as O, Options};
use crate::table::OptionAction;

pub(crate) const SOURCE: &str = include_str!("../data/ps315_e3_4_1_2020.csv");

/// What becomes of a content item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentItem {
    /// The item goes, or its value becomes a dummy.
    Remove,
    /// The value becomes a dummy.
    Dummy,
    /// The value is cleaned, or shifted.
    Clean,
    /// The value stays if it repeats nothing known.
    Keep,
    /// Nothing is said: the attributes decide.
    ByAttribute,
}

struct Concept {
    removed: bool,
    options: [Option<OptionAction>; 7],
}

/// The options that the table has columns for, in its order.
const COLUMNS: [O; 7] = [
    O::RetainUids,
    O::RetainDeviceIdentity,
    O::RetainInstitutionIdentity,
    O::RetainPatientCharacteristics,
    O::RetainLongitudinalFullDates,
    O::RetainLongitudinalModifiedDates,
    O::CleanDescriptors,
];

type Key = (&'static str, &'static str, &'static str);

static CONCEPTS: LazyLock<HashMap<Key, Concept>> = LazyLock::new(|| {
    SOURCE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse)
        .collect()
});

fn parse(line: &'static str) -> Option<(Key, Concept)> {
    let mut cells = line.split(',');
    let key = (cells.next()?, cells.next()?, cells.next()?);
    // X/D: an item that a template requires cannot be told from another; where it goes nothing is left that could tell.
    let removed = match cells.next()? {
        "X" => true,
        "D" | "X/D" => false,
        _ => return None,
    };
    let mut options = [None; 7];
    for option in &mut options {
        *option = match cells.next()? {
            "" => None,
            "K" => Some(OptionAction::Keep),
            "C" => Some(OptionAction::Clean),
            _ => return None,
        };
    }
    Some((key, Concept { removed, options }))
}

fn text(data_set: &InMemDicomObject, tag: Tag) -> String {
    let value = data_set.get(tag).and_then(|element| element.value().to_str().ok());
    value.map_or_else(String::new, |text| crate::pseudonym::trim(&text).to_owned())
}

/// Returns what becomes of a content item; a data set that is none is decided by its attributes.
pub(crate) fn content_item(item: &InMemDicomObject, options: Options) -> ContentItem {
    if !options.has(O::CleanStructuredContent) {
        return ContentItem::ByAttribute;
    }
    let value_type = text(item, tags::VALUE_TYPE);
    let concept = item
        .get(tags::CONCEPT_NAME_CODE_SEQUENCE)
        .and_then(|element| element.items()?.first());
    let Some(concept) = concept.filter(|_| !value_type.is_empty()) else {
        return ContentItem::ByAttribute;
    };
    if matches!(value_type.as_str(), "IMAGE" | "COMPOSITE" | "WAVEFORM" | "UIDREF") {
        return ContentItem::ByAttribute;
    }
    let (code, scheme) = (
        text(concept, tags::CODE_VALUE),
        text(concept, tags::CODING_SCHEME_DESIGNATOR),
    );
    let Some(row) = find(&code, &scheme, &value_type) else {
        return ContentItem::ByAttribute;
    };
    let mut chosen = None;
    for (option, action) in COLUMNS.iter().zip(row.options) {
        match action.filter(|_| options.has(*option)) {
            Some(OptionAction::Clean) => return ContentItem::Clean,
            Some(OptionAction::Keep) => chosen = Some(ContentItem::Keep),
            None => {}
        }
    }
    chosen.unwrap_or(if row.removed {
        ContentItem::Remove
    } else {
        ContentItem::Dummy
    })
}

fn find(code: &str, scheme: &str, value_type: &str) -> Option<&'static Concept> {
    // The map's keys are static; a lookup by borrowed text goes through the values of one code.
    static BY_CODE: LazyLock<HashMap<&'static str, Vec<Key>>> = LazyLock::new(|| {
        let mut by_code: HashMap<&'static str, Vec<Key>> = HashMap::new();
        for key in CONCEPTS.keys() {
            by_code.entry(key.0).or_default().push(*key);
        }
        by_code
    });
    let key = BY_CODE
        .get(code)?
        .iter()
        .find(|key| key.1 == scheme && key.2 == value_type)?;
    CONCEPTS.get(key)
}

/// The attribute that holds the value of a content item.
pub(crate) fn holds_value(tag: Tag) -> bool {
    matches!(
        tag,
        tags::TEXT_VALUE
            | tags::PERSON_NAME
            | tags::DATE
            | tags::TIME
            | tags::DATE_TIME
            | tags::CONCEPT_CODE_SEQUENCE
            | tags::MEASURED_VALUE_SEQUENCE
    )
}

/// Returns whether any content item is referenced by its position, (0040,DB73).
pub(crate) fn has_references_by_position(document: &InMemDicomObject) -> bool {
    fn inside(item: &InMemDicomObject, depth: usize) -> bool {
        if item.get(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER).is_some() {
            return true;
        }
        let content = item.get(tags::CONTENT_SEQUENCE).and_then(|element| element.items());
        depth < crate::known::MOST_DEPTH
            && content.is_some_and(|items| items.iter().any(|item| inside(item, depth + 1)))
    }
    inside(document, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, Length, PrimitiveValue, VR};

    fn item(code: &str, value_type: &str) -> InMemDicomObject {
        let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
        let concept = InMemDicomObject::from_element_iter([
            text(tags::CODE_VALUE, VR::SH, code),
            text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
        ]);
        InMemDicomObject::from_element_iter([
            text(tags::VALUE_TYPE, VR::CS, value_type),
            DataElement::new(
                tags::CONCEPT_NAME_CODE_SEQUENCE,
                VR::SQ,
                DataSetSequence::new(vec![concept], Length::UNDEFINED),
            ),
        ])
    }

    #[test]
    fn concepts_are_decided_by_code_and_options() {
        assert_eq!(
            CONCEPTS.len(),
            SOURCE.lines().filter(|line| !line.starts_with('#')).count()
        );
        let alone = Options::of(&[O::CleanStructuredContent]);
        let with_text = Options::of(&[O::CleanStructuredContent, O::CleanDescriptors]);
        let accession = item("121022", "TEXT");
        let comment = item("121106", "TEXT");
        assert_eq!(content_item(&accession, with_text), ContentItem::Remove);
        assert_eq!(content_item(&comment, with_text), ContentItem::Clean);
        assert_eq!(content_item(&comment, alone), ContentItem::Remove);
        assert_eq!(content_item(&comment, Options::default()), ContentItem::ByAttribute);
        assert_eq!(content_item(&item("0", "TEXT"), alone), ContentItem::ByAttribute);
        let dates = Options::of(&[O::CleanStructuredContent, O::RetainLongitudinalFullDates]);
        assert_eq!(content_item(&item("111018", "DATE"), dates), ContentItem::Keep);
        assert_eq!(content_item(&item("111018", "DATE"), alone), ContentItem::Dummy);
    }
}
