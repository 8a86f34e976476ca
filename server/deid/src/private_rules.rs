//! What becomes of a private attribute: the order of rules of the deid reference, section 12.
//!
//! 1. The collection's own list of what goes.
//! 2. Private Data Element Characteristics (0008,0300): what the object itself declares safe, and the actions it asks for.
//! 3. The collection's own list of what stays.
//! 4. Table E.3.10-1 of PS3.15; then the knowledge base of Posda.
//! 5. Numbers, where the profile keeps numbers.
//! 6. All else goes.
//!
//! Nobody's word is taken for a value. What may stay is read like any public value of its VR: dates shift, UIDs are mapped,
//! text and numbers that repeat anything known go, bytes stay only if they hold nothing that reads as text. An attribute of
//! VR UN has the VR of the knowledge base; sequences in it are parsed. Items of a sequence that is listed as safe go through
//! all rules again, those of another through the rule for numbers.

use std::collections::{HashMap, HashSet};

use dicom_core::header::Header;
use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{Limits, layout_data_set, read_header};
use isocenter_model::uid::transfer_syntax;

use crate::descriptor::{self, Cleaned};
use crate::dictionary::{self, Entry, Safety};
use crate::executor::{Executor, Level, sequence_element};
use crate::known::MOST_DEPTH;
use crate::options::ConfidentialityOption as O;
use crate::profile::PrivateRule;
use crate::pseudonym::trim;
use crate::report::Action;
use crate::{date, private, value};

/// A private attribute as people write it in a list: group, creator, element in its block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PrivateAttribute {
    group: u16,
    creator: String,
    element: u8,
}

impl PrivateAttribute {
    /// Understands `0019,GEMS_ACQU_01,23`: group and element in hexadecimal, the creator between.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (group, rest) = text.split_once(',')?;
        let (creator, element) = rest.rsplit_once(',')?;
        let group = u16::from_str_radix(group.trim(), 16)
            .ok()
            .filter(|group| group % 2 == 1)?;
        let creator = dictionary::normalised(creator);
        let element = u8::from_str_radix(element.trim(), 16).ok()?;
        (!creator.is_empty()).then_some(Self {
            group,
            creator,
            element,
        })
    }
}

/// A collection's own lists.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrivateLists {
    pub(crate) keep: HashSet<PrivateAttribute>,
    pub(crate) remove: HashSet<PrivateAttribute>,
}

/// What (0008,0300) says of one block.
#[derive(Debug, Default)]
struct Declared {
    safe: bool,
    elements: HashSet<u8>,
    actions: HashMap<u8, char>,
}

/// What an object declares of its private attributes, PS3.3 C.12.1.1.7.
#[derive(Debug, Default)]
pub(crate) struct Characteristics(HashMap<(u16, String), Declared>);

impl Characteristics {
    pub(crate) fn of(data_set: &InMemDicomObject) -> Self {
        let mut all = Self::default();
        let items = data_set
            .get(tags::PRIVATE_DATA_ELEMENT_CHARACTERISTICS_SEQUENCE)
            .and_then(|element| element.items());
        for item in items.unwrap_or_default().iter().take(1024) {
            let text = |tag| {
                item.get(tag)
                    .and_then(|element| element.value().to_str().ok())
                    .unwrap_or_default()
            };
            let group = item
                .get(tags::PRIVATE_GROUP_REFERENCE)
                .and_then(|element| element.value().to_int::<u16>().ok());
            let Some(group) = group else { continue };
            let key = (group, dictionary::normalised(&text(tags::PRIVATE_CREATOR_REFERENCE)));
            let declared = all.0.entry(key).or_default();
            declared.safe |= trim(&text(tags::BLOCK_IDENTIFYING_INFORMATION_STATUS)) == "SAFE";
            declared
                .elements
                .extend(elements(item, tags::NONIDENTIFYING_PRIVATE_ELEMENTS));
            let actions = item
                .get(tags::DEIDENTIFICATION_ACTION_SEQUENCE)
                .and_then(|element| element.items());
            for action in actions.unwrap_or_default().iter().take(1024) {
                let letter = action
                    .get(tags::DEIDENTIFICATION_ACTION)
                    .and_then(|element| element.value().to_str().ok());
                let letter = letter.and_then(|letter| trim(&letter).chars().next()).unwrap_or('X');
                declared
                    .actions
                    .extend(elements(action, tags::IDENTIFYING_PRIVATE_ELEMENTS).map(|element| (element, letter)));
            }
        }
        all
    }
}

fn elements(item: &InMemDicomObject, tag: Tag) -> impl Iterator<Item = u8> {
    let numbers = item
        .get(tag)
        .and_then(|element| element.value().to_multi_int::<u16>().ok());
    // Whether they are written with the block or without, the low byte is the element in its block.
    numbers
        .unwrap_or_default()
        .into_iter()
        .map(|number| number.to_be_bytes()[1])
}

/// What the rules say of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ruling {
    Remove(&'static str),
    Empty(&'static str),
    Dummy(&'static str),
    Keep(&'static str),
    Numbers,
}

/// The block of private attributes that the walk is in.
#[derive(Debug, Default)]
pub(crate) struct Block {
    creator_tag: Option<Tag>,
    /// The creator as it is compared; `None` where there is none that may stay.
    creator: Option<String>,
    /// What is known of the creator's attributes.
    known: Option<&'static dictionary::Block>,
    written: bool,
}

impl Executor<'_> {
    pub(crate) fn private_element(
        &mut self,
        data_set: &InMemDicomObject,
        element: &InMemElement,
        level: &Level,
        block: &mut Block,
        out: &mut Vec<InMemElement>,
    ) {
        let tag = element.tag();
        if self.script.private() == PrivateRule::Remove || level.scrub {
            self.removed(tag, "private");
            return;
        }
        if (0x0010..=0x00FF).contains(&tag.1) {
            return; // a creator: it stays if an element of its block does
        }
        // PS3.5 7.8.1: the block of (gggg,bbee) is reserved by (gggg,00bb).
        let creator_tag = Tag(tag.0, tag.1 >> 8);
        if block.creator_tag != Some(creator_tag) {
            let creator = data_set.get(creator_tag).filter(|_| tag.1 >= 0x1000);
            let creator = creator.and_then(|creator| self.creator(creator));
            *block = Block {
                creator_tag: Some(creator_tag),
                known: creator.as_deref().and_then(dictionary::block),
                creator,
                written: false,
            };
        }
        let Some(name) = &block.creator else {
            self.removed(tag, "private without creator");
            return;
        };
        let entry = block.known.and_then(|known| known.find(tag.0, tag.1.to_be_bytes()[1]));
        let Some(kept) = self.ruled(element, name, entry, level) else {
            return;
        };
        if !std::mem::replace(&mut block.written, true) {
            out.extend(data_set.get(creator_tag).cloned());
        }
        out.push(kept);
    }

    /// A creator is a short text of a maker; one that repeats something known is not.
    fn creator(&self, element: &InMemElement) -> Option<String> {
        let Value::Primitive(value @ (PrimitiveValue::Str(_) | PrimitiveValue::Strs(_))) = element.value() else {
            return None;
        };
        match value::texts(value, VR::LO)?.as_slice() {
            [text] => {
                let text = trim(text);
                let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
                let good = !text.is_empty() && text.len() <= 64 && printable && !self.known.in_text(text);
                good.then(|| dictionary::normalised(text))
            }
            _ => None,
        }
    }

    fn ruling(&self, tag: Tag, creator: &str, known: Option<Entry>) -> Ruling {
        let element = tag.1.to_be_bytes()[1];
        let rule = self.script.private();
        let (lists, numbers) = match rule {
            PrivateRule::Remove => return Ruling::Remove("private"),
            PrivateRule::KeepNumeric => (false, true),
            PrivateRule::KeepSafe => (true, false),
            PrivateRule::KeepSafeAndNumeric => (true, true),
        };
        let named = || PrivateAttribute {
            group: tag.0,
            creator: creator.to_owned(),
            element,
        };
        let own = self.script.private_lists();
        let listed = |list: &HashSet<PrivateAttribute>| !list.is_empty() && list.contains(&named());
        if own.is_some_and(|own| listed(&own.remove)) {
            return Ruling::Remove("private, by the collection's list");
        }
        let declared = match self.characteristics.0.is_empty() {
            true => None,
            false => self.characteristics.0.get(&(tag.0, creator.to_owned())),
        };
        if lists && let Some(declared) = declared {
            match declared.actions.get(&element) {
                Some('D') => return Ruling::Dummy("private, declared identifying"),
                Some('Z') => return Ruling::Empty("private, declared identifying"),
                // UIDs are mapped wherever they stay.
                Some('U') => return Ruling::Keep("declared identifying"),
                Some(_) => return Ruling::Remove("private, declared identifying"),
                None if declared.safe || declared.elements.contains(&element) => return Ruling::Keep("declared safe"),
                None => {}
            }
        }
        if own.is_some_and(|own| listed(&own.keep)) {
            return Ruling::Keep("collection's list");
        }
        match known.map(|entry| entry.safety) {
            Some(Safety::Remove) => Ruling::Remove("private, known to identify"),
            Some(Safety::Empty) => Ruling::Empty("private, known to identify"),
            Some(Safety::Standard) if lists => Ruling::Keep("E.3.10-1"),
            Some(Safety::Keep) if lists => Ruling::Keep("knowledge base"),
            _ if numbers => Ruling::Numbers,
            _ => Ruling::Remove("private"),
        }
    }

    fn ruled(
        &mut self,
        element: &InMemElement,
        creator: &str,
        known: Option<Entry>,
        level: &Level,
    ) -> Option<InMemElement> {
        let tag = element.tag();
        let ruling = self.ruling(tag, creator, known);
        let vr = match element.vr() {
            VR::UN => known.and_then(|entry| entry.vr).unwrap_or(VR::UN),
            vr => vr,
        };
        match ruling {
            Ruling::Remove(rule) => self.removed(tag, rule),
            Ruling::Empty(rule) => {
                self.report.record(&self.path, tag, Action::Emptied, rule);
                self.report.keep_private(&self.path, tag, rule);
                Some(empty(tag, vr))
            }
            Ruling::Dummy(rule) => {
                let Value::Primitive(value) = element.value() else {
                    return self.removed(tag, rule);
                };
                self.report.record(&self.path, tag, Action::Dummied, rule);
                self.report.keep_private(&self.path, tag, rule);
                Some(DataElement::new(tag, vr, value::dummy(vr, value)))
            }
            Ruling::Keep(rule) => self.private_value(element, vr, level, Some(rule)),
            Ruling::Numbers => self.private_value(element, vr, level, None),
        }
    }

    /// Keeps what may stay of a private value; `rule` is `None` where only numbers may.
    fn private_value(
        &mut self,
        element: &InMemElement,
        vr: VR,
        level: &Level,
        rule: Option<&'static str>,
    ) -> Option<InMemElement> {
        let tag = element.tag();
        let unread = element.vr() == VR::UN && vr != VR::UN;
        match element.value() {
            Value::Sequence(sequence) => self.private_items(tag, sequence.items(), level, rule),
            Value::Primitive(PrimitiveValue::U8(bytes)) if unread && vr == VR::SQ => match parsed(tag, bytes) {
                Some(items) => self.private_items(tag, &items, level, rule),
                None => self.removed(tag, "private, not parsed"),
            },
            Value::Primitive(value) => {
                let read = match value {
                    PrimitiveValue::U8(bytes) if unread => {
                        let Some(value) = understood(vr, bytes) else {
                            return self.removed(tag, "private, not what its VR says");
                        };
                        value
                    }
                    value => value.clone(),
                };
                let kept = if private::is_numeric(vr) {
                    private::is_harmless(vr, &read, &self.known).then(|| DataElement::new(tag, vr, read))
                } else if rule.is_some() {
                    self.private_other(tag, vr, read, level)
                } else {
                    None
                };
                match &kept {
                    Some(_) => self.report.keep_private(&self.path, tag, rule.unwrap_or("numbers")),
                    None => self.report.record(&self.path, tag, Action::Removed, "private"),
                }
                kept
            }
            Value::PixelSequence(_) => self.removed(tag, "fragments"),
        }
    }

    fn private_items(
        &mut self,
        tag: Tag,
        items: &[InMemDicomObject],
        level: &Level,
        rule: Option<&'static str>,
    ) -> Option<InMemElement> {
        if level.depth >= MOST_DEPTH {
            return self.removed(tag, "nested too deep");
        }
        let below = Level {
            depth: level.depth + 1,
            private: level.private || rule.is_none(),
            parent: Some(tag),
            ..level.clone()
        };
        let before = self.report.private_count();
        let items = self.items(tag, items, &below);
        let holds_something = items.iter().any(|item| item.iter().next().is_some());
        if !holds_something {
            return self.removed(tag, "private");
        }
        // Also where only public elements are in it, a private sequence stays.
        if self.report.private_count() == before {
            self.report.keep_private(&self.path, tag, rule.unwrap_or("numbers"));
        }
        Some(sequence_element(tag, items))
    }

    /// A listed value that is no number.
    fn private_other(&mut self, tag: Tag, vr: VR, value: PrimitiveValue, level: &Level) -> Option<InMemElement> {
        let options = self.script.options();
        let texts = || {
            value::texts(&value, vr)
                .filter(|texts| texts.iter().all(|text| value::is_decoded(text, vr, level.declared)))
        };
        match vr {
            _ if value.calculate_byte_len() == 0 => Some(empty(tag, vr)),
            VR::UI if options.has(O::RetainUids) => Some(DataElement::new(tag, vr, value)),
            VR::UI => self.map_uids(tag, &value, "private UID"),
            VR::DA | VR::DT => {
                let shift = if vr == VR::DA { date::shift_da } else { date::shift_dt };
                let days = if options.has(O::RetainLongitudinalModifiedDates) {
                    self.shift
                } else if options.has(O::RetainLongitudinalFullDates) {
                    0
                } else {
                    return None;
                };
                let texts = texts()?;
                let moved: Option<Vec<String>> = texts.iter().map(|text| shift(trim(text), days)).collect();
                self.report.record(&self.path, tag, Action::DateShifted, "private date");
                Some(DataElement::new(tag, vr, value::from_texts(moved?)))
            }
            VR::TM => {
                let dates =
                    options.has(O::RetainLongitudinalModifiedDates) || options.has(O::RetainLongitudinalFullDates);
                let good = dates && texts()?.iter().all(|text| date::is_tm(trim(text)));
                good.then(|| DataElement::new(tag, vr, value))
            }
            VR::CS | VR::SH | VR::LO | VR::ST | VR::LT | VR::UT | VR::UC => {
                let how = self.how(vr);
                let texts = texts()?;
                let clean = texts
                    .iter()
                    .all(|text| descriptor::clean(text, &self.known, how) == Cleaned::Untouched);
                self.non_ascii |= clean && texts.iter().any(|text| !text.is_ascii());
                clean.then(|| {
                    let texts = texts.into_iter().map(std::borrow::Cow::into_owned).collect();
                    DataElement::new(tag, vr, value::from_texts(texts))
                })
            }
            VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => {
                let bytes = value.to_bytes();
                let clean = bytes.len() <= MOST_BLOB && !reads_as_text(&bytes) && !self.known.in_bytes(&bytes);
                clean.then(|| DataElement::new(tag, vr, value.clone()))
            }
            // Names, titles of applications, addresses, ages: not what a list of safe attributes is for.
            _ => None,
        }
    }
}

/// Larger blobs are not read, and so do not stay.
const MOST_BLOB: usize = 4 << 20;

fn empty(tag: Tag, vr: VR) -> InMemElement {
    match vr {
        VR::SQ => DataElement::new(
            tag,
            VR::SQ,
            DataSetSequence::new(Vec::<InMemDicomObject>::new(), Length::defined(0)),
        ),
        vr => DataElement::new(tag, vr, PrimitiveValue::Empty),
    }
}

/// Returns whether bytes hold words: eight printable characters in a row of which six are letters or digits, also with a
/// zero byte between them. Samples and coordinates rarely do.
fn reads_as_text(bytes: &[u8]) -> bool {
    let run = |bytes: &mut dyn Iterator<Item = u8>| {
        let (mut printable, mut plain) = (0_u32, 0_u32);
        for byte in bytes {
            if byte == b' ' || byte.is_ascii_graphic() {
                printable += 1;
                plain += u32::from(byte.is_ascii_alphanumeric());
            } else {
                (printable, plain) = (0, 0);
            }
            if printable >= 8 && plain >= 6 {
                return true;
            }
        }
        false
    };
    let wide = |offset: usize| {
        let pairs: Vec<u8> = bytes
            .get(offset..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| match pair {
                [low, 0] => *low,
                _ => 0,
            })
            .collect();
        run(&mut pairs.into_iter())
    };
    run(&mut bytes.iter().copied()) || wide(0) || wide(1)
}

/// Reads bytes of VR UN as what the knowledge base says they are: little endian (PS3.5 6.2.2), text in ASCII.
fn understood(vr: VR, bytes: &[u8]) -> Option<PrimitiveValue> {
    fn numbers<const N: usize, T, C: FromIterator<T>>(bytes: &[u8], from: fn([u8; N]) -> T) -> Option<C> {
        bytes.len().is_multiple_of(N).then(|| {
            bytes
                .chunks_exact(N)
                .filter_map(|n| n.try_into().ok())
                .map(from)
                .collect()
        })
    }
    match vr {
        VR::US => numbers(bytes, u16::from_le_bytes).map(PrimitiveValue::U16),
        VR::SS => numbers(bytes, i16::from_le_bytes).map(PrimitiveValue::I16),
        VR::UL => numbers(bytes, u32::from_le_bytes).map(PrimitiveValue::U32),
        VR::SL => numbers(bytes, i32::from_le_bytes).map(PrimitiveValue::I32),
        VR::UV => numbers(bytes, u64::from_le_bytes).map(PrimitiveValue::U64),
        VR::SV => numbers(bytes, i64::from_le_bytes).map(PrimitiveValue::I64),
        VR::FL => numbers(bytes, f32::from_le_bytes).map(PrimitiveValue::F32),
        VR::FD => numbers(bytes, f64::from_le_bytes).map(PrimitiveValue::F64),
        VR::AT => {
            let tag = |b: [u8; 4]| Tag(u16::from_le_bytes([b[0], b[1]]), u16::from_le_bytes([b[2], b[3]]));
            numbers(bytes, tag).map(PrimitiveValue::Tags)
        }
        VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => {
            Some(PrimitiveValue::U8(bytes.iter().copied().collect()))
        }
        VR::SQ => None,
        vr => {
            let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())?;
            let single = matches!(vr, VR::ST | VR::LT | VR::UT | VR::UR);
            let split = if single { vec![text] } else { text.split('\\').collect() };
            Some(value::from_texts(
                split.into_iter().map(|text| trim(text).to_owned()).collect(),
            ))
        }
    }
}

/// Parses bytes of VR UN as a sequence in Implicit VR Little Endian, PS3.5 6.2.2.
fn parsed(tag: Tag, bytes: &[u8]) -> Option<Vec<InMemDicomObject>> {
    let mut data_set = Vec::with_capacity(bytes.len() + 16);
    for half in [tag.0, tag.1, 0xFFFF, 0xFFFF] {
        data_set.extend_from_slice(&half.to_le_bytes());
    }
    data_set.extend_from_slice(bytes);
    for half in [0xFFFE_u16, 0xE0DD, 0, 0] {
        data_set.extend_from_slice(&half.to_le_bytes());
    }
    let implicit = TransferSyntaxUid::parse(transfer_syntax::IMPLICIT_VR_LITTLE_ENDIAN).ok()?;
    let limits = Limits::default();
    let layout = layout_data_set(&data_set, &implicit, &limits).ok()?;
    let object = read_header(&data_set, &layout, &limits).ok()?;
    object.get(tag).and_then(|element| element.items()).map(<[_]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_attributes_by_group_creator_and_element() {
        let attribute = PrivateAttribute::parse("0019, gems_acqu 01 ,23");
        assert_eq!(
            attribute,
            Some(PrivateAttribute {
                group: 0x19,
                creator: "GEMS_ACQU01".to_owned(),
                element: 0x23
            })
        );
        for bad in ["", "0019", "0018,A,23", "0019,,23", "0019,A,123", "x,A,1"] {
            assert_eq!(PrivateAttribute::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_in_bytes_are_seen() {
        assert!(reads_as_text(b"\x00\x01Quellmann\x00"));
        let wide: Vec<u8> = "Quellmann".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(reads_as_text(&wide) && reads_as_text(&[&[7], wide.as_slice()].concat()));
        let samples: Vec<u8> = (1000..3000_u16).flat_map(u16::to_le_bytes).collect();
        assert!(!reads_as_text(&samples) && !reads_as_text(b"ab\x00cd"));
    }

    #[test]
    fn unknown_bytes_are_read_as_the_dictionary_says() {
        assert_eq!(
            understood(VR::US, &[1, 2]),
            Some(PrimitiveValue::U16([0x0201].as_slice().into()))
        );
        assert_eq!(understood(VR::FD, &[0; 7]), None);
        assert_eq!(
            understood(VR::DS, b"1.5\\2 "),
            Some(PrimitiveValue::Strs(
                ["1.5".to_owned(), "2".to_owned()].as_slice().into()
            ))
        );
        assert_eq!(understood(VR::LO, &[0xC3, 0xA9]), None);
        let item = [
            0xFE, 0xFF, 0x00, 0xE0, 10, 0, 0, 0, 0x08, 0, 0x60, 0, 2, 0, 0, 0, b'C', b'T',
        ];
        let items = parsed(Tag(0x0009, 0x1010), &item).unwrap();
        assert_eq!(items.len(), 1);
        assert!(items[0].get(tags::MODALITY).is_some());
        assert!(parsed(Tag(0x0009, 0x1010), b"no items").is_none());
    }
}
