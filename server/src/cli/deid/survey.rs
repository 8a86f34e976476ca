//! What a folder of objects holds: every element with its values and how often, patients, machines, marks.
//!
//! Memory is bounded whatever the folder or collection: of each element the first so many values are kept and the others
//! counted, up to limits, for each element and for all together, beyond which the count says "at least".

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash as _, Hasher as _};

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::header::Header as _;
use dicom_core::value::Value;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use serde::Serialize;

use super::collection::CollectionReport;
use super::object::text;

/// Most values of an element that are counted apart.
const MOST_COUNTED: usize = 100_000;
/// Most values that are counted apart in all.
const MOST_COUNTED_IN_ALL: usize = 4_000_000;
/// Bytes that paths and the values shown may take in all.
const MOST_SHOWN_IN_ALL: usize = 64 << 20;
/// Pairs of an element and a machine that are counted.
const MOST_PAIRS: usize = 500_000;
/// Patients, studies and series that are counted apart.
const MOST_PARENTS: usize = 2_000_000;
/// Most elements, by path.
const MOST_ELEMENTS: usize = 50_000;
/// Most machines.
const MOST_MACHINES: usize = 5_000;
/// Characters of a value that are shown.
const MOST_SHOWN: usize = 200;

/// One element of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) path: String,
    pub(crate) vr: VR,
    pub(crate) keyword: &'static str,
    pub(crate) private: bool,
    pub(crate) value: String,
}

/// What one object holds.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) patient: u64,
    pub(crate) study: u64,
    pub(crate) series: u64,
    pub(crate) machine: (String, String, String),
    pub(crate) is_marked: bool,
    pub(crate) elements: Vec<Met>,
}

pub(crate) fn digest(value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Seen {
    /// Collects the elements of an object, those of items too.
    pub(crate) fn of(header: &InMemDicomObject) -> Self {
        let of = |tag| text(header, tag);
        let mut seen = Self {
            patient: digest(&of(tags::PATIENT_ID)),
            study: digest(&of(tags::STUDY_INSTANCE_UID)),
            series: digest(&of(tags::SERIES_INSTANCE_UID)),
            machine: (
                of(tags::MANUFACTURER),
                of(tags::MANUFACTURER_MODEL_NAME),
                of(tags::MODALITY),
            ),
            is_marked: of(tags::PATIENT_IDENTITY_REMOVED) == "YES",
            elements: Vec::new(),
        };
        seen.walk(header, "");
        seen
    }

    fn walk(&mut self, data_set: &InMemDicomObject, above: &str) {
        for element in data_set.iter() {
            let tag = element.tag();
            let path = format!("{above}{}", named(data_set, tag));
            let value = match element.value() {
                Value::Primitive(value) if is_shown(element.vr()) => cut(&value.to_str()),
                Value::Primitive(value) => format!("{} bytes", value.calculate_byte_len()),
                Value::Sequence(items) => format!("{} items", items.items().len()),
                Value::PixelSequence(_) => "fragments".to_owned(),
            };
            if let Value::Sequence(items) = element.value() {
                let below = format!("{path}.");
                for item in items.items() {
                    self.walk(item, &below);
                }
            }
            self.elements.push(Met {
                path,
                vr: element.vr(),
                keyword: keyword(tag),
                private: tag.0 % 2 == 1 || above.contains('['),
                value,
            });
        }
    }
}

/// Returns the name of an attribute in the dictionary; empty if it has none.
pub(crate) fn keyword(tag: Tag) -> &'static str {
    StandardDataDictionary.by_tag(tag).map_or("", |entry| entry.alias())
}

/// Returns whether a value is text or a number; others are shown by their size.
pub(crate) fn is_shown(vr: VR) -> bool {
    !matches!(vr, VR::OB | VR::OW | VR::OD | VR::OF | VR::OL | VR::OV | VR::UN)
}

pub(crate) fn cut(text: &str) -> String {
    let text = text.trim_matches([' ', '\0']);
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Returns a tag as text; of a private one with its creator, `0019[GEMS_ACQU_01]04`, since its block says nothing.
fn named(data_set: &InMemDicomObject, tag: Tag) -> String {
    let creator = creator_of(tag).map(|creator| text(data_set, creator));
    path_of(tag, creator.as_deref())
}

/// Returns where the creator of a private element stands.
pub(crate) fn creator_of(Tag(group, element): Tag) -> Option<Tag> {
    (group % 2 == 1 && element >= 0x1000).then_some(Tag(group, element >> 8))
}

/// Returns a tag as text, of a private element with what its creator says.
pub(crate) fn path_of(Tag(group, element): Tag, creator: Option<&str>) -> String {
    match creator {
        Some(creator) => format!("{group:04X}[{}]{:02X}", cut(creator), element & 0xFF),
        None => format!("{group:04X}{element:04X}"),
    }
}

/// An element of the folder.
#[derive(Debug, Serialize)]
pub(crate) struct ElementLine {
    /// Tags from the outside in, without the numbers of items.
    pub(crate) path: String,
    pub(crate) keyword: &'static str,
    pub(crate) vr: String,
    pub(crate) private: bool,
    /// How many objects have it.
    pub(crate) objects: u64,
    /// How often it is met, items counted apart.
    pub(crate) times: u64,
    /// Different values; at least so many where `unique_is_least`.
    pub(crate) unique: u64,
    pub(crate) unique_is_least: bool,
    /// The first values met, sorted.
    pub(crate) values: Vec<ValueLine>,
    /// On which machines.
    pub(crate) machines: Vec<OfMachine>,
}

/// How many objects of a machine have an element.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OfMachine {
    /// Its place in the list of machines, from 0.
    pub(crate) machine: usize,
    pub(crate) objects: u64,
}

/// A value of an element.
#[derive(Debug, Serialize)]
pub(crate) struct ValueLine {
    pub(crate) value: String,
    pub(crate) times: u64,
    /// The first file that has it; of a collection the accession of the image.
    pub(crate) first_file: String,
}

/// A machine.
#[derive(Debug, Serialize)]
pub(crate) struct MachineLine {
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    pub(crate) modality: String,
    pub(crate) objects: u64,
}

/// A file that is not in the report.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) file: String,
    pub(crate) reason: String,
}

/// What a folder or a collection holds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// What the archive knows of the collection; nothing of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collection: Option<Box<CollectionReport>>,
    pub(crate) objects: u64,
    pub(crate) patients: u64,
    pub(crate) studies: u64,
    pub(crate) series: u64,
    /// Objects that (0012,0062) does not call de-identified.
    pub(crate) not_marked: u64,
    pub(crate) machines: Vec<MachineLine>,
    pub(crate) elements: Vec<ElementLine>,
    /// Elements beyond the limit, which are not listed.
    pub(crate) elements_left_out: u64,
    pub(crate) left_out: Vec<LeftOut>,
    /// Files beyond the limit, which are not listed.
    pub(crate) left_out_not_listed: u64,
}

#[derive(Default)]
struct Element {
    keyword: &'static str,
    private: bool,
    objects: u64,
    last_object: u64,
    times: u64,
    values: BTreeMap<String, (u64, String)>,
    unique: HashSet<u64>,
    /// There are more values than were counted.
    is_least: bool,
    /// Objects by machine, in the order in which machines were met.
    machines: BTreeMap<usize, u64>,
}

/// Collects objects, one after the other.
pub(crate) struct Survey {
    most_values: usize,
    private_values: bool,
    elements: BTreeMap<(String, String), Element>,
    /// In which order it was met, and its objects.
    machines: BTreeMap<(String, String, String), (usize, u64)>,
    counted: usize,
    shown: usize,
    pairs: usize,
    patients: BTreeSet<u64>,
    studies: BTreeSet<u64>,
    series: BTreeSet<u64>,
    report: Report,
}

impl Survey {
    /// Begins one that shows at most so many values of an element, and those of private ones if asked to.
    pub(crate) fn new(most_values: usize, private_values: bool) -> Self {
        Self {
            most_values,
            private_values,
            elements: BTreeMap::new(),
            machines: BTreeMap::new(),
            counted: 0,
            shown: 0,
            pairs: 0,
            patients: BTreeSet::new(),
            studies: BTreeSet::new(),
            series: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// Adds an object.
    pub(crate) fn add(&mut self, file: &str, seen: Seen) {
        self.report.objects += 1;
        self.report.not_marked += u64::from(!seen.is_marked);
        for (all, one) in [
            (&mut self.patients, seen.patient),
            (&mut self.studies, seen.study),
            (&mut self.series, seen.series),
        ] {
            if all.len() < MOST_PARENTS {
                all.insert(one);
            }
        }
        let met_before = self.machines.len();
        let machine = (met_before < MOST_MACHINES || self.machines.contains_key(&seen.machine)).then(|| {
            let (order, objects) = self.machines.entry(seen.machine).or_insert((met_before, 0));
            *objects += 1;
            *order
        });
        for met in seen.elements {
            self.element(file, met, machine);
        }
    }

    fn element(&mut self, file: &str, met: Met, machine: Option<usize>) {
        let key = (met.path, met.vr.to_string().to_owned());
        if !self.elements.contains_key(&key) {
            if self.elements.len() >= MOST_ELEMENTS || self.shown >= MOST_SHOWN_IN_ALL {
                self.report.elements_left_out += 1;
                return;
            }
            self.shown += key.0.len() + 256; // what an element takes beside its path
        }
        let element = self.elements.entry(key).or_default();
        (element.keyword, element.private) = (met.keyword, met.private);
        element.times += 1;
        if element.last_object != self.report.objects {
            element.last_object = self.report.objects;
            element.objects += 1;
            if let Some(machine) = machine
                && (self.pairs < MOST_PAIRS || element.machines.contains_key(&machine))
            {
                let objects = element.machines.entry(machine).or_default();
                self.pairs += usize::from(*objects == 0);
                *objects += 1;
            }
        }
        let value = digest(&met.value);
        if !element.unique.contains(&value) {
            if element.unique.len() < MOST_COUNTED && self.counted < MOST_COUNTED_IN_ALL {
                element.unique.insert(value);
                self.counted += 1;
            } else {
                element.is_least = true;
            }
        }
        if met.private && !self.private_values {
            return;
        }
        if let Some((times, _)) = element.values.get_mut(&met.value) {
            *times += 1;
        } else if element.values.len() < self.most_values && self.shown < MOST_SHOWN_IN_ALL {
            self.shown += met.value.len() + file.len() + 128; // what a line of a table takes beside its texts
            element.values.insert(met.value, (1, file.to_owned()));
        }
    }

    /// Adds what the archive knows of the collection whose objects these are.
    pub(crate) fn of_collection(&mut self, collection: CollectionReport) {
        self.report.collection = Some(Box::new(collection));
    }

    /// Says that a file is not in the report.
    pub(crate) fn leave_out(&mut self, file: &str, reason: &str) {
        if self.report.left_out.len() < MOST_ELEMENTS {
            self.report.left_out.push(LeftOut {
                file: file.to_owned(),
                reason: reason.to_owned(),
            });
        } else {
            self.report.left_out_not_listed += 1;
        }
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Report {
        let value = |(value, (times, first_file))| ValueLine {
            value,
            times,
            first_file,
        };
        // machines are told in the order of their names
        let mut places = vec![0; self.machines.len()];
        for (place, (order, _)) in self.machines.values().enumerate() {
            if let Some(slot) = places.get_mut(*order) {
                *slot = place;
            }
        }
        let of_machines = |machines: BTreeMap<usize, u64>| {
            let mut all: Vec<OfMachine> = machines
                .into_iter()
                .filter_map(|(order, objects)| {
                    let machine = *places.get(order)?;
                    Some(OfMachine { machine, objects })
                })
                .collect();
            all.sort_by_key(|of| of.machine);
            all
        };
        let element = |((path, vr), element): ((String, String), Element)| ElementLine {
            path,
            vr,
            keyword: element.keyword,
            private: element.private,
            objects: element.objects,
            times: element.times,
            unique: element.unique.len() as u64,
            unique_is_least: element.is_least,
            values: element.values.into_iter().map(value).collect(),
            machines: of_machines(element.machines),
        };
        let machine = |((manufacturer, model, modality), (_, objects))| MachineLine {
            manufacturer,
            model,
            modality,
            objects,
        };
        Report {
            patients: self.patients.len() as u64,
            studies: self.studies.len() as u64,
            series: self.series.len() as u64,
            machines: self.machines.into_iter().map(machine).collect(),
            elements: self.elements.into_iter().map(element).collect(),
            ..self.report
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, Length, PrimitiveValue};

    use super::*;

    fn object(id: &str, note: &str) -> InMemDicomObject {
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        let item = || InMemDicomObject::from_element_iter([text(tags::CODE_MEANING, VR::LO, note)]);
        InMemDicomObject::from_element_iter([
            text(tags::PATIENT_ID, VR::LO, id),
            text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"),
            text(Tag(0x0019, 0x0010), VR::LO, "ACME 1"),
            text(Tag(0x0019, 0x1004), VR::LO, "private words"),
            DataElement::new(
                tags::ICON_IMAGE_SEQUENCE,
                VR::SQ,
                DataSetSequence::new(vec![item(), item()], Length::UNDEFINED),
            ),
        ])
    }

    pub(crate) fn survey(private_values: bool) -> Report {
        let mut survey = Survey::new(2, private_values);
        for (n, id) in ["A", "B", "C", "A"].iter().enumerate() {
            survey.add(&format!("{n}.dcm"), Seen::of(&object(id, "=HYPERLINK(\"<b>\")")));
        }
        survey.leave_out("notes.txt", "not DICOM");
        survey.finish()
    }

    #[test]
    fn values_are_counted_by_element_and_the_first_are_shown() {
        let report = survey(false);
        assert_eq!((report.objects, report.patients, report.not_marked), (4, 3, 0));
        let of = |path: &str| report.elements.iter().find(|element| element.path == path).unwrap();
        let id = of("00100020");
        assert_eq!((id.objects, id.unique, id.values.len()), (4, 3, 2));
        assert_eq!(
            (
                id.values[0].value.as_str(),
                id.values[0].times,
                id.values[0].first_file.as_str()
            ),
            ("A", 2, "0.dcm")
        );
        let nested = of("00880200.00080104");
        assert_eq!((nested.objects, nested.times, nested.keyword), (4, 8, "CodeMeaning"));
        assert_eq!(nested.machines, [OfMachine { machine: 0, objects: 4 }]);
    }

    #[test]
    fn private_values_are_shown_only_where_asked_for() {
        let values = |report: &Report| {
            let private = report
                .elements
                .iter()
                .find(|element| element.path == "0019[ACME 1]04")
                .unwrap();
            assert!(private.private && private.unique == 1);
            private.values.len()
        };
        assert_eq!((values(&survey(false)), values(&survey(true))), (0, 1));
    }
}
