//! The walk: one pass over a data set, into every item, building a new one.
//!
//! For each element, the first that applies:
//!
//! 1. Structure goes (group lengths, signatures, padding, overlays, curves: [`beyond::dropped`]).
//! 2. A private element goes, or stays as numbers ([`private`]).
//! 3. Patient ID and name become the pseudonym.
//! 4. The script decides; else the rules beyond the table, by the VR of PS3.6.
//!
//! "Keep" and "clean" are then tried on the value: it must decode, be what its VR says, and repeat nothing known. If it is
//! not, the action that the Basic profile has for the attribute is done.
//!
//! Structured reports need no rules of their own without Clean Structured Content: containers, codes and numbers stay, the
//! table and the VRs take names, text, dates and UIDs out of content items. With it, the concept of an item decides on its
//! value ([`sr`]). Items keep their places where others refer to them by position. A verified report becomes unverified,
//! since its observers go.

use std::borrow::Cow;

use dicom_core::header::Header;
use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::holds::{self, Held};
use crate::iod::{self, Class};
use crate::known::{Known, MOST_DEPTH};
use crate::options::ConfidentialityOption as O;
use crate::private_rules::{Block, Characteristics};
use crate::profile::Profile;
use crate::pseudonym::{Pseudonyms, trim};
use crate::report::{Action, Path, Report};
use crate::script::{Base, Decision, Script, Step};
use crate::sr::{self, ContentItem};
use crate::value::{self, Repertoire};
use crate::{beyond, date, documents, marks, private};

/// What is known of an object's pixels without decoding them.
#[derive(Debug, Clone, Copy)]
pub struct PixelFacts<'a> {
    /// The transfer syntax, empty if unknown.
    pub transfer_syntax_uid: &'a str,
    /// Whether what they show is decided apart, by [`plan_pixels`](crate::plan_pixels) and its verdict. Then an object that
    /// says of itself that text is burned in is not held here: it goes out if that text was found and hidden.
    pub judged: bool,
}

/// What de-identification must know beside the data set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Issuer of patient IDs of the source. It wins over (0010,0021), which is used where this is empty.
    pub issuer: &'a str,
    /// The pixels, where there are any.
    pub pixels: Option<PixelFacts<'a>>,
}

/// A de-identified data set.
#[derive(Debug)]
pub struct Deidentified {
    /// The data set, without pixel data.
    pub data_set: InMemDicomObject,
    /// What was done.
    pub report: Report,
    /// Whether anything was changed.
    pub changed: bool,
}

/// Returns the issuer that a patient's pseudonym and dates are derived with.
pub fn issuer_of_patient_id<'a>(header: &'a InMemDicomObject, cx: &Context<'a>) -> Cow<'a, str> {
    match trim(cx.issuer) {
        "" => top_level(header, tags::ISSUER_OF_PATIENT_ID),
        issuer => Cow::Borrowed(issuer),
    }
}

fn top_level(header: &InMemDicomObject, tag: Tag) -> Cow<'_, str> {
    let text = header.get(tag).and_then(|element| element.value().to_str().ok());
    match text {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(trim(text)),
        Some(Cow::Owned(text)) => Cow::Owned(trim(&text).to_owned()),
        None => Cow::Borrowed(""),
    }
}

/// De-identifies a data set without its pixel data.
///
/// # Errors
/// When no rule makes the object safe; the reason holds no patient data.
pub fn deidentify(
    header: &InMemDicomObject,
    profile: &Profile,
    pseudonyms: &Pseudonyms,
    cx: &Context<'_>,
) -> Result<Deidentified, Held> {
    if let Some(anonymizer) = profile.ctp() {
        return anonymizer.deidentify(header, profile, pseudonyms, cx);
    }
    let mut report = Report::new(profile);
    let Some(script) = profile.script() else {
        return Ok(Deidentified {
            data_set: header.clone(),
            report,
            changed: false,
        });
    };
    holds::check(header, cx, script.documents())?;
    report.pixel_risks = holds::pixel_risks(header);
    let class = Class::of(&top_level(header, tags::SOP_CLASS_UID));
    if class.is_none() {
        report.warn("types of attributes unknown: the stricter action was taken where the table offers several");
    }
    let issuer = issuer_of_patient_id(header, cx);
    let id = top_level(header, tags::PATIENT_ID);
    let shift = if id.is_empty() {
        report.warn("no patient ID: dates are shifted by the study");
        pseudonyms.date_shift_days(&issuer, &top_level(header, tags::STUDY_INSTANCE_UID))
    } else {
        pseudonyms.date_shift_days(&issuer, &id)
    };
    let mut executor = Executor {
        script,
        pseudonyms,
        known: Known::collect(header, script),
        class,
        characteristics: Characteristics::of(header),
        positions_count: sr::has_references_by_position(header),
        document: header
            .get(tags::ENCAPSULATED_DOCUMENT)
            .and_then(|_| documents::blank(header)),
        issuer,
        shift,
        report,
        path: Path::default(),
        non_ascii: false,
    };
    let mut elements = executor.data_set(header, &Level::default());
    executor.finish(profile, header, &mut elements);
    Ok(Deidentified {
        data_set: InMemDicomObject::from_element_iter(elements),
        report: executor.report,
        changed: true,
    })
}

/// Where the walk is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    pub(crate) depth: usize,
    /// The sequence whose item this is.
    pub(crate) parent: Option<Tag>,
    /// What its concept says of the value of a content item.
    pub(crate) content: Option<ContentItem>,
    /// Inside a private sequence, where only numbers stay.
    pub(crate) private: bool,
    /// Inside a sequence that names somebody: every value becomes a dummy.
    pub(crate) scrub: bool,
    /// What the text is written in, as declared here or above.
    pub(crate) declared: Repertoire,
    /// The pseudonym of the patient of this item or above.
    pub(crate) patient: Option<String>,
}

pub(crate) struct Executor<'a> {
    pub(crate) script: &'a dyn Script,
    pub(crate) pseudonyms: &'a Pseudonyms,
    pub(crate) known: Known,
    class: Option<Class>,
    pub(crate) characteristics: Characteristics,
    /// Whether content items are referenced by their position.
    positions_count: bool,
    /// What takes the place of an encapsulated document.
    document: Option<Cow<'static, [u8]>>,
    issuer: Cow<'a, str>,
    pub(crate) shift: i64,
    pub(crate) report: Report,
    pub(crate) path: Path,
    /// Whether kept text needs more than ASCII.
    pub(crate) non_ascii: bool,
}

impl Executor<'_> {
    fn data_set(&mut self, data_set: &InMemDicomObject, above: &Level) -> Vec<InMemElement> {
        let mut level = above.clone();
        if let Some(element) = data_set.get(tags::SPECIFIC_CHARACTER_SET) {
            level.declared = Repertoire::of(&element.value().to_str().unwrap_or_default());
        }
        match top_level(data_set, tags::PATIENT_ID) {
            id if id.is_empty() => {}
            id => level.patient = Some(self.pseudonyms.patient_id(&self.issuer, &id)),
        }
        level.content = match sr::content_item(data_set, self.script.options()) {
            ContentItem::ByAttribute => None,
            decided => Some(decided),
        };
        let mut out = Vec::with_capacity(data_set.iter().size_hint().0.min(512));
        let mut block = Block::default();
        for element in data_set.iter() {
            let tag = element.tag();
            #[cfg(test)]
            if self.script.is_broken_at(tag) {
                out.push(element.clone());
                continue;
            }
            if let Some(rule) = beyond::dropped(tag, level.depth) {
                self.report.record(&self.path, tag, Action::Removed, rule);
            } else if tag.0 % 2 == 1 {
                self.private_element(data_set, element, &level, &mut block, &mut out);
            } else {
                out.extend(self.element(element, &level));
            }
        }
        out
    }

    fn element(&mut self, element: &InMemElement, level: &Level) -> Option<InMemElement> {
        let tag = element.tag();
        if level.scrub {
            return self.scrubbed(element, level);
        }
        if tag.0 == 0x7FE0 {
            return Some(element.clone());
        }
        let standard = match value::standard_vr(tag) {
            Some(vr) => vr,
            None => return self.removed(tag, "not in the standard"),
        };
        if level.private && standard != VR::SQ && !private::is_numeric(standard) {
            return self.removed(tag, "not a number in a private sequence");
        }
        match tag {
            tags::PATIENT_ID | tags::PATIENT_NAME => return Some(self.pseudonym(element, level)),
            tags::VERIFICATION_FLAG => {
                self.report.record(&self.path, tag, Action::Dummied, "observers");
                return Some(DataElement::new(tag, VR::CS, PrimitiveValue::from("UNVERIFIED")));
            }
            tags::VERIFYING_OBSERVER_SEQUENCE => return self.removed(tag, "observers"),
            tags::ENCAPSULATED_DOCUMENT | tags::ENCAPSULATED_DOCUMENT_LENGTH if self.document.is_some() => {
                return self.empty_document(tag);
            }
            // nothing of the document is left; the attribute is of Type 1 there (PS3.3 C.24.2)
            tags::BURNED_IN_ANNOTATION if self.document.is_some() && level.depth == 0 => {
                self.report.record(&self.path, tag, Action::Dummied, "empty document");
                return Some(DataElement::new(tag, VR::CS, PrimitiveValue::from("NO")));
            }
            _ => {}
        }
        let kind = iod::type_of(self.class, level.parent, tag);
        let decision = match level.content.filter(|_| sr::holds_value(tag)) {
            Some(content) => Some(of_content(content)),
            None => self.script.decide_by_type(tag, kind),
        };
        match element.value() {
            Value::PixelSequence(_) => self.removed(tag, "fragments"),
            Value::Sequence(items) => {
                if standard != VR::SQ {
                    return self.removed(tag, "not a sequence");
                }
                let decision = decision.unwrap_or_else(|| beyond::decide(tag, VR::SQ, self.script.options()));
                self.sequence(tag, items, decision, level)
            }
            Value::Primitive(value) => {
                let listed = decision.is_some();
                let Some(vr) = value::effective_vr(element.vr(), standard, listed) else {
                    return self.unbelievable(tag, standard, value, decision);
                };
                let decision = decision.unwrap_or_else(|| beyond::decide(tag, vr, self.script.options()));
                self.primitive(element, vr, value, decision, level)
            }
        }
    }

    // --- sequences ---

    fn sequence(
        &mut self,
        tag: Tag,
        sequence: &DataSetSequence<InMemDicomObject>,
        decision: Decision,
        level: &Level,
    ) -> Option<InMemElement> {
        if level.depth >= MOST_DEPTH {
            return self.removed(tag, "nested too deep");
        }
        let mut below = Level {
            depth: level.depth + 1,
            parent: Some(tag),
            ..level.clone()
        };
        let items = match decision.step {
            Step::Do(Base::Remove | Base::MapUid) => return self.removed(tag, decision.rule),
            Step::Do(Base::Empty) => {
                self.report.record(&self.path, tag, Action::Emptied, decision.rule);
                Vec::new()
            }
            // A dummy of a sequence that names somebody is one item of dummies. Others are built by the rules themselves:
            // nothing that identifies stays in their items.
            Step::Do(Base::Dummy) if names_somebody(tag) || sr::holds_value(tag) => {
                below.scrub = true;
                self.report.record(&self.path, tag, Action::Dummied, decision.rule);
                self.items(tag, sequence.items().get(..1).unwrap_or_default(), &below)
            }
            Step::Do(Base::Dummy | Base::Items) | Step::Keep { .. } | Step::Clean { .. } => {
                self.items(tag, sequence.items(), &below)
            }
        };
        Some(sequence_element(tag, items))
    }

    /// What takes the place of a document, and its length.
    fn empty_document(&mut self, tag: Tag) -> Option<InMemElement> {
        let document = self.document.as_deref().unwrap_or_default();
        let (vr, value) = if tag == tags::ENCAPSULATED_DOCUMENT {
            (VR::OB, PrimitiveValue::U8(document.iter().copied().collect()))
        } else {
            (
                VR::UL,
                PrimitiveValue::from(u32::try_from(document.len()).unwrap_or_default()),
            )
        };
        self.report.record(&self.path, tag, Action::Dummied, "empty document");
        Some(DataElement::new(tag, vr, value))
    }

    pub(crate) fn items(&mut self, tag: Tag, items: &[InMemDicomObject], level: &Level) -> Vec<InMemDicomObject> {
        let mut out = Vec::with_capacity(items.len());
        let content = matches!(tag, tags::CONTENT_SEQUENCE | tags::ACQUISITION_CONTEXT_SEQUENCE);
        for (index, item) in items.iter().enumerate() {
            if content && !self.positions_count && sr::content_item(item, self.script.options()) == ContentItem::Remove
            {
                self.path.enter(tag, index);
                self.report
                    .record(&self.path, tags::VALUE_TYPE, Action::Removed, "E.3.4-1 X");
                self.path.leave();
                continue;
            }
            self.path.enter(tag, index);
            out.push(InMemDicomObject::from_element_iter(self.data_set(item, level)));
            self.path.leave();
        }
        out
    }

    /// Every value becomes a dummy of its VR, except what says what kind of thing it is.
    fn scrubbed(&mut self, element: &InMemElement, level: &Level) -> Option<InMemElement> {
        let tag = element.tag();
        let vr = value::standard_vr(tag)?;
        match element.value() {
            Value::Sequence(sequence) if vr == VR::SQ && level.depth < MOST_DEPTH => {
                let below = Level {
                    depth: level.depth + 1,
                    ..level.clone()
                };
                let items = self.items(tag, sequence.items(), &below);
                Some(sequence_element(tag, items))
            }
            Value::Primitive(value) if vr == VR::UI => self.map_uids(tag, value, "scrubbed"),
            Value::Primitive(value) if vr != VR::SQ => {
                let dummy = match value {
                    PrimitiveValue::Empty => PrimitiveValue::Empty,
                    value => value::dummy(vr, value),
                };
                Some(DataElement::new(tag, vr, dummy))
            }
            _ => None,
        }
    }

    // --- the end ---

    fn finish(&mut self, profile: &Profile, header: &InMemDicomObject, elements: &mut Vec<InMemElement>) {
        let options = self.script.options();
        if options.has(O::RetainPatientCharacteristics) {
            self.add_age(header, elements);
        }
        elements.extend(marks::elements(
            profile.name(),
            options,
            !self.report.private_kept.is_empty(),
        ));
        if self.non_ascii {
            // All text was decoded on the way in; the writer encodes by this element (PS3.3 C.12.1.1.2).
            elements.push(DataElement::new(
                tags::SPECIFIC_CHARACTER_SET,
                VR::CS,
                PrimitiveValue::from("ISO_IR 192"),
            ));
        }
    }

    /// The birth date goes; the age it gave at the study may stay (deid reference, section 10).
    fn add_age(&mut self, header: &InMemDicomObject, elements: &mut Vec<InMemElement>) {
        if !top_level(header, tags::PATIENT_AGE).is_empty() {
            return;
        }
        let day = |tag| date::parse_da(&top_level(header, tag));
        let at = day(tags::STUDY_DATE).or_else(|| day(tags::SERIES_DATE));
        let (Some(birth), Some(at)) = (day(tags::PATIENT_BIRTH_DATE), at) else {
            return;
        };
        if let Some(age) = date::age(birth, at) {
            elements.retain(|element| element.tag() != tags::PATIENT_AGE);
            elements.push(DataElement::new(tags::PATIENT_AGE, VR::AS, PrimitiveValue::from(age)));
            self.report
                .record(&self.path, tags::PATIENT_AGE, Action::Added, "age for birth date");
        }
    }
}

/// Sequences whose items name a person, an institution or a source; of them not even the codes stay.
fn names_somebody(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0008, 0x0082 | 0x1072) | Tag(0x0034, 0x0001) | Tag(0x0040, 0x1101 | 0xA073)
    )
}

/// Returns the decision on the value of a content item.
fn of_content(content: ContentItem) -> Decision {
    let otherwise = Base::Dummy;
    let (step, rule) = match content {
        ContentItem::Remove | ContentItem::Dummy | ContentItem::ByAttribute => (Step::Do(otherwise), "E.3.4-1 D"),
        ContentItem::Clean => (Step::Clean { otherwise }, "E.3.4-1 C"),
        ContentItem::Keep => (Step::Keep { otherwise }, "E.3.4-1 K"),
    };
    Decision { step, rule }
}

pub(crate) fn sequence_element(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
}
