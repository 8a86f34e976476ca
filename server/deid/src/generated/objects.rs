//! The generator: a token for every VR, and objects that hold one in every place.

use std::collections::HashSet;

use dicom_core::header::Header;
use dicom_core::smallvec::smallvec;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::options::Options;
use crate::script::Step;
use crate::table::{self, Attribute};
use crate::{beyond, value};

pub(super) const STEM_TEXT: &str = "zqxjk";
pub(super) const STEM_OTHER: &str = "vwqpf";
pub(super) const STEM_DIGITS: &str = "97531";
pub(super) const STEM_UID: &str = "2.999.77.";
/// Shifted dates are at least a year earlier.
pub(super) const STEM_DATE: &str = "2099";
pub(super) const STEM_TIME: &str = ".86420";
/// Rare characters that GB 18030 and UTF-8 both write.
pub(super) const STEM_HAN: &str = "龘";
pub(super) const STEM_HAN_GB: &[u8] = &[0xFD, 0x98];

const MAGIC_U32: u32 = 0x97F3_A5C1;
const MAGIC_U64: u64 = 0x97F3_A5C1_D2E4_B687;
const MAGIC_F32: u32 = 0x4BF3_A5C1;
const MAGIC_F64: u64 = 0x41F3_A5C1_D2E4_B687;

/// The bytes of binary tokens in little endian.
pub(super) fn magics() -> [Vec<u8>; 6] {
    [
        MAGIC_U32.to_le_bytes().to_vec(),
        MAGIC_U64.to_le_bytes().to_vec(),
        MAGIC_F32.to_le_bytes().to_vec(),
        MAGIC_F64.to_le_bytes().to_vec(),
        [0xC1, 0xA5, 0xF3, 0x97].to_vec(), // the two halves of US and SS
        [0xF3, 0x97, 0xC1, 0xA5].to_vec(), // an attribute tag
    ]
}

/// Sequences that rules keep, for going down: functional groups, references, content, private ones.
const WAYS_DOWN: [Tag; 5] = [
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::REFERENCED_SERIES_SEQUENCE,
    Tag(0x0029, 0x1010),
    // Stack Sequence of Philips Imaging DD 001, safe by E.3.10-1
    Tag(0x2001, 0x105F),
];

pub(super) const JAPANESE: &str = "ISO 2022 IR 6\\ISO 2022 IR 87";
pub(super) const KOREAN: &str = "\\ISO 2022 IR 149";
pub(super) const CHARACTER_SETS: [&str; 7] = ["", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", JAPANESE, KOREAN];
/// Rare characters that the sets with escapes write, in place of [`STEM_HAN`].
pub(super) const STEM_KANJI: &str = "龠";
pub(super) const STEM_HANGUL: &str = "힝";

/// Returns text as a character set with escapes writes it (PS3.5 H.3 and I.2); the escape of Korean stands anew behind each
/// delimiter.
fn with_escapes(character_set: &str, text: &str) -> Vec<u8> {
    if character_set == JAPANESE {
        return encoding_rs::ISO_2022_JP.encode(text).0.into_owned();
    }
    let mut out = Vec::new();
    for part in text.split_inclusive(['^', '=', '\\']) {
        if !part.is_ascii() {
            out.extend_from_slice(b"\x1B$)C");
        }
        out.extend_from_slice(&encoding_rs::EUC_KR.encode(part).0);
    }
    out
}

pub(super) struct Generator {
    state: u64,
    count: u32,
    /// Tokens are always the same, and stand in the patient's attributes.
    one_patient: bool,
    character_set: &'static str,
    seed: u64,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            // no two objects share a token
            count: (seed as u32 % 700).wrapping_mul(16_384),
            one_patient: false,
            character_set: CHARACTER_SETS[seed as usize % CHARACTER_SETS.len()],
            seed,
        }
    }

    pub(super) fn of_one_patient(seed: u64) -> Self {
        Self {
            one_patient: true,
            ..Self::new(seed)
        }
    }

    /// Returns how many tokens were made.
    pub(super) fn tokens(&self) -> u32 {
        self.count - Self::new(self.seed).count
    }

    pub(super) fn character_set(&self) -> &'static str {
        self.character_set
    }

    /// xorshift: reproducible, and good enough for choosing.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) as usize % bound.max(1)
    }

    fn letters(&mut self) -> String {
        self.count += 1;
        let mut number = if self.one_patient { 7 } else { self.count };
        let mut out = String::new();
        while out.len() < 5 {
            out.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        out
    }

    fn digits(&mut self) -> String {
        self.count += 1;
        format!(
            "{STEM_DIGITS}{:06}",
            if self.one_patient { 7 } else { self.count % 1_000_000 }
        )
    }

    /// A character that is in no Latin text, where the character set has one.
    fn han(&self) -> Option<&'static str> {
        match self.character_set {
            "ISO_IR 192" | "GB18030" | "GBK" => Some(STEM_HAN),
            JAPANESE => Some(STEM_KANJI),
            KOREAN => Some(STEM_HANGUL),
            _ => None,
        }
    }

    /// Text as the writer shall write it: what it cannot encode itself is bytes already.
    fn text(&self, text: String) -> PrimitiveValue {
        match self.character_set {
            JAPANESE | KOREAN => PrimitiveValue::U8(with_escapes(self.character_set, &text).into()),
            _ => text.into(),
        }
    }

    fn name(&mut self) -> String {
        let (family, given) = (self.letters(), self.letters());
        let mut name = format!("Z{}{family}^V{}{given}", &STEM_TEXT[1..], &STEM_OTHER[1..]);
        if let Some(han) = self.han() {
            name.push_str(&format!("={han}{han}^{han}"));
        }
        name
    }

    /// A name in another order, a number, and prose around them.
    fn sentence(&mut self) -> String {
        let (family, given, digits) = (self.letters(), self.letters(), self.digits());
        let han = self.han().unwrap_or_default().repeat(3);
        format!(
            "{han} V{}{given} Z{}{family} no. {digits}",
            &STEM_OTHER[1..].to_uppercase(),
            &STEM_TEXT[1..]
        )
    }

    fn date(&mut self) -> String {
        self.count += 1;
        let number = if self.one_patient { 7 } else { self.count };
        format!("{STEM_DATE}{:02}{:02}", 1 + number % 12, 1 + number / 12 % 28)
    }

    /// A value of a VR that holds a token, as far as the VR lets it.
    pub(super) fn value(&mut self, vr: VR) -> PrimitiveValue {
        let low = |count: u32| (count & 0x7FFF) as u16;
        match vr {
            VR::PN => {
                let name = self.name();
                self.text(name)
            }
            VR::DA => self.date().into(),
            VR::DT => format!("{}1200{STEM_TIME}+0100", self.date())
                .replace("1200.", "120000.")
                .into(),
            VR::TM => {
                self.count += 1;
                format!("120000{STEM_TIME}").into()
            }
            VR::UI => {
                self.count += 1;
                format!("{STEM_UID}{}", self.count).into()
            }
            VR::DS | VR::IS => self.digits().into(),
            VR::AS | VR::CS | VR::AE => self.digits().into(),
            VR::SH => format!("Z{}{}", &STEM_TEXT[1..], self.letters()).into(),
            VR::UR => format!("https://{STEM_TEXT}{}", self.letters()).into(),
            VR::US | VR::OW => {
                self.count += 1;
                PrimitiveValue::U16(smallvec![0xA5C1, 0x97F3, low(self.count), 9, 9])
            }
            VR::SS => {
                self.count += 1;
                PrimitiveValue::I16(smallvec![
                    0xA5C1_u16 as i16,
                    0x97F3_u16 as i16,
                    low(self.count) as i16,
                    9,
                    9
                ])
            }
            VR::UL | VR::OL => {
                self.count += 1;
                PrimitiveValue::U32(smallvec![MAGIC_U32, self.count])
            }
            VR::SL => {
                self.count += 1;
                PrimitiveValue::I32(smallvec![MAGIC_U32 as i32, self.count as i32])
            }
            VR::UV | VR::OV => {
                self.count += 1;
                PrimitiveValue::U64(smallvec![MAGIC_U64, u64::from(self.count)])
            }
            VR::SV => {
                self.count += 1;
                PrimitiveValue::I64(smallvec![MAGIC_U64 as i64, i64::from(self.count)])
            }
            VR::FL | VR::OF => {
                self.count += 1;
                PrimitiveValue::F32(smallvec![f32::from_bits(MAGIC_F32), self.count as f32])
            }
            VR::FD | VR::OD => {
                self.count += 1;
                PrimitiveValue::F64(smallvec![f64::from_bits(MAGIC_F64), f64::from(self.count)])
            }
            VR::AT => {
                self.count += 1;
                PrimitiveValue::Tags(smallvec![Tag(0x97F3, 0xA5C1), Tag(0x97F3, low(self.count))])
            }
            VR::OB | VR::UN => {
                let sentence = self.sentence();
                match self.text(sentence) {
                    PrimitiveValue::Str(text) => PrimitiveValue::U8(text.into_bytes().into()),
                    bytes => bytes,
                }
            }
            _ => {
                let sentence = self.sentence();
                self.text(sentence)
            }
        }
    }

    fn element(&mut self, tag: Tag, vr: VR) -> InMemElement {
        if vr == VR::SQ {
            let kinds = [
                (tags::PERSON_NAME, VR::PN),
                (tags::TEXT_VALUE, VR::UT),
                (tags::REFERENCED_SOP_INSTANCE_UID, VR::UI),
                (tags::DATE, VR::DA),
            ];
            let item: Vec<_> = kinds
                .iter()
                .map(|(tag, vr)| DataElement::new(*tag, *vr, self.value(*vr)))
                .collect();
            return sequence(tag, vec![InMemDicomObject::from_element_iter(item)]);
        }
        DataElement::new(tag, vr, self.value(vr))
    }

    /// The VR an element is sent with: mostly its own, else UN, bytes, or some text.
    fn sent(&mut self, vr: VR) -> VR {
        if vr == VR::SQ || self.one_patient {
            return vr;
        }
        match self.below(8) {
            0 => VR::UN,
            1 => VR::OB,
            2 => [VR::LO, VR::UT, VR::PN, VR::SH, VR::DA, VR::UI, VR::UL, VR::FD][self.below(8)],
            _ => vr,
        }
    }

    fn tag_of(&mut self, attribute: Attribute, depth: usize) -> Option<Tag> {
        match attribute {
            Attribute::Single(tag) if tag.0 < 4 || tag == tags::ENCAPSULATED_DOCUMENT => None,
            Attribute::Single(tag) => Some(tag),
            _ if depth > 0 => None,
            Attribute::Curves => Some(Tag(0x5000 + 2 * self.below(16) as u16, 0x3000)),
            Attribute::OverlayData => Some(Tag(0x6000 + 2 * self.below(16) as u16, 0x3000)),
            Attribute::OverlayComments => Some(Tag(0x6000 + 2 * self.below(16) as u16, 0x4000)),
            Attribute::Private => Some(Tag(0x0029, 0x1011)),
        }
    }

    /// Returns the rows that every object holds.
    pub(super) fn rows(&self) -> HashSet<Tag> {
        let mut copy = Self::new(self.seed);
        table::rows()
            .iter()
            .filter_map(|row| copy.tag_of(row.attribute, 0))
            .collect()
    }

    pub(super) fn patient(&mut self) -> Vec<InMemElement> {
        let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
        let mut elements = vec![
            text(
                tags::SOP_CLASS_UID,
                VR::UI,
                ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.3"][self.seed as usize % 3],
            ),
            text(tags::MODALITY, VR::CS, "CT"),
        ];
        if !self.character_set.is_empty() {
            elements.push(text(tags::SPECIFIC_CHARACTER_SET, VR::CS, self.character_set));
        }
        elements
    }

    fn level(&mut self, depth: usize, deepest: usize) -> Vec<InMemElement> {
        let mut elements = Vec::with_capacity(700);
        for row in table::rows() {
            if let Some(tag) = self.tag_of(row.attribute, depth) {
                let own = if row.attribute == Attribute::Private {
                    VR::LO
                } else {
                    row.vr
                };
                let vr = self.sent(own);
                elements.push(self.element(tag, vr));
            }
        }
        // Beyond the table: prose, names and dates that it does not list; private text, bytes and numbers.
        for (tag, vr) in [
            (tags::TEXT_VALUE, VR::UT),
            (tags::EVALUATOR_NAME, VR::PN),
            (tags::SECONDARY_REVIEW_DATE, VR::DA),
            (Tag(0x0008, 0x9999), VR::LO),
            (Tag(0x0029, 0x1012), VR::OB),
            (Tag(0x0029, 0x1013), VR::UN),
            (Tag(0x0029, 0x1014), VR::LT),
            (Tag(0x0031, 0x1014), VR::LT),
            (Tag(0x7FE1, 0x1014), VR::LT),
            (Tag(0xFFFA, 0xFFFA), VR::SQ),
            (Tag(0xFFFC, 0xFFFC), VR::OB),
        ] {
            elements.push(self.element(tag, vr));
        }
        let creator = |tag, name: &str| DataElement::new(tag, VR::LO, PrimitiveValue::from(name));
        elements.push(creator(Tag(0x0029, 0x0010), "ACME HEADER"));
        elements.push(creator(Tag(0x2001, 0x0010), "Philips Imaging DD 001"));
        elements.push(creator(Tag(0x7FE1, 0x0010), "ACME TAIL"));
        if depth < deepest {
            let way = WAYS_DOWN[(depth + self.seed as usize) % WAYS_DOWN.len()];
            let item = InMemDicomObject::from_element_iter(self.level(depth + 1, deepest));
            elements.retain(|element| element.tag() != way);
            elements.push(sequence(way, vec![item]));
        }
        elements
    }

    /// Returns an object with a token in each row at each depth.
    pub(super) fn object(&mut self, deepest: usize) -> InMemDicomObject {
        let mut elements = self.level(0, deepest);
        let fixed = self.patient();
        elements.retain(|element| !fixed.iter().any(|other| other.tag() == element.tag()));
        elements.extend(fixed);
        InMemDicomObject::from_element_iter(elements)
    }

    /// Returns elements that neither the table nor a rule beyond it changes.
    pub(super) fn unnamed(&mut self) -> Vec<InMemElement> {
        let mut elements = Vec::new();
        for group in [0x0018_u16, 0x0020, 0x0028, 0x0040, 0x0054, 0x3004, 0x300A] {
            for number in 0x0001..=0xFFFF_u16 {
                let tag = Tag(group, number);
                let Some(vr) = value::standard_vr(tag).filter(|_| table::row(tag).is_none()) else {
                    continue;
                };
                let kept = matches!(beyond::decide(tag, vr, Options::default()).step, Step::Keep { .. });
                if !kept || beyond::dropped(tag, 0).is_some() || tag == tags::VERIFICATION_FLAG {
                    continue;
                }
                let small = self.below(90) as u16;
                let value = match vr {
                    VR::DS => format!("{small}.25").into(),
                    VR::IS => small.to_string().into(),
                    VR::CS => "ALPHA\\BETA".into(),
                    VR::SH | VR::LO => "echo planar".into(),
                    VR::US => PrimitiveValue::from(small),
                    VR::FD => PrimitiveValue::from(f64::from(small) + 0.5),
                    VR::FL => PrimitiveValue::from(f32::from(small) + 0.5),
                    _ => continue,
                };
                elements.push(DataElement::new(tag, vr, value));
            }
        }
        elements
    }
}

pub(super) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
}
