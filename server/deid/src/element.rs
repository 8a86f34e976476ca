//! One value: trying to keep or clean it, and the Basic profile's action where it may not stay.
//!
//! A value stays only if it decodes, is what its VR says, and repeats nothing known of the patient. Every reason why it
//! does not is a rule with a name in the report.

use std::borrow::Cow;

use data_encoding::BASE32_NOPAD;
use dicom_core::header::Header;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;

use crate::descriptor::{self, Cleaned, Dates, How};
use crate::executor::{Executor, Level};
use crate::options::ConfidentialityOption as O;
use crate::pseudonym::trim;
use crate::report::Action;
use crate::script::{Base, Decision, Step};
use crate::value::{self, Class};
use crate::{beyond, date};

/// What became of a value that may stay.
enum Kept {
    AsIs,
    Changed(PrimitiveValue, Action),
    No(&'static str),
}

impl Executor<'_> {
    pub(crate) fn primitive(
        &mut self,
        element: &InMemElement,
        vr: VR,
        value: &PrimitiveValue,
        decision: Decision,
        level: &Level,
    ) -> Option<InMemElement> {
        let tag = element.tag();
        if is_empty(value) && decision.step != Step::Do(Base::Remove) {
            return Some(DataElement::new(tag, vr, PrimitiveValue::Empty));
        }
        match decision.step {
            Step::Do(base) => self.base(tag, vr, value, base, decision.rule),
            Step::Keep { otherwise } => match self.keep(tag, vr, value, level) {
                Kept::AsIs if element.vr() == vr => Some(element.clone()),
                Kept::AsIs => match value {
                    // UN under a VR of numbers: the bytes are what they are.
                    PrimitiveValue::U8(_) if value::class(vr) == Class::Binary => Some(element.clone()),
                    _ => {
                        let texts = value::texts(value, vr)?;
                        let texts = texts.into_iter().map(Cow::into_owned).collect();
                        Some(DataElement::new(tag, vr, value::from_texts(texts)))
                    }
                },
                Kept::Changed(value, action) => {
                    self.report.record(&self.path, tag, action, decision.rule);
                    Some(DataElement::new(tag, vr, value))
                }
                Kept::No(rule) => self.base(tag, vr, value, otherwise, rule),
            },
            Step::Clean { otherwise } => match self.clean(tag, vr, value, level) {
                Kept::AsIs => Some(DataElement::new(tag, vr, value.clone())),
                Kept::Changed(value, action) => {
                    self.report.record(&self.path, tag, action, decision.rule);
                    Some(DataElement::new(tag, vr, value))
                }
                Kept::No(rule) => self.base(tag, vr, value, otherwise, rule),
            },
        }
    }

    fn base(
        &mut self,
        tag: Tag,
        vr: VR,
        value: &PrimitiveValue,
        base: Base,
        rule: &'static str,
    ) -> Option<InMemElement> {
        let (action, value) = match base {
            Base::Remove | Base::Items => return self.removed(tag, rule),
            Base::Empty => (Action::Emptied, PrimitiveValue::Empty),
            Base::Dummy => (Action::Dummied, value::dummy(vr, value)),
            Base::MapUid => return self.map_uids(tag, value, rule),
        };
        self.report.record(&self.path, tag, action, rule);
        Some(DataElement::new(tag, vr, value))
    }

    fn keep(&mut self, tag: Tag, vr: VR, value: &PrimitiveValue, level: &Level) -> Kept {
        match value::class(vr) {
            Class::Sequence => Kept::No("not a sequence"),
            Class::Binary if self.known.in_public_binary(value) => Kept::No("known value in bytes"),
            Class::Binary => match value {
                PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => Kept::No("text in a binary attribute"),
                _ => Kept::AsIs,
            },
            Class::Text => {
                let Some(texts) = value::texts(value, vr) else {
                    return Kept::No("not decoded");
                };
                if !texts.iter().all(|text| value::is_decoded(text, vr, level.declared)) {
                    return Kept::No("not decoded");
                }
                let kept = self.keep_texts(tag, vr, &texts);
                self.non_ascii |= matches!(kept, Kept::AsIs) && texts.iter().any(|text| !text.is_ascii());
                kept
            }
        }
    }

    fn keep_texts(&self, tag: Tag, vr: VR, texts: &[Cow<'_, str>]) -> Kept {
        let each = |good: fn(&str) -> bool, rule| {
            let all = texts
                .iter()
                .map(|text| trim(text))
                .all(|text| text.is_empty() || good(text));
            if all { Kept::AsIs } else { Kept::No(rule) }
        };
        match vr {
            // A file may call any text a UID or a date; what a rule keeps as text does not stay as such.
            VR::UI | VR::DA | VR::DT if !value::standard_vr(tag).is_some_and(|standard| is_like(vr, standard)) => {
                Kept::No("VR against the standard")
            }
            VR::UI => each(beyond::is_uid, "not a UID"),
            VR::DA => each(|text| date::shift_da(text, 0).is_some(), "illegal date"),
            VR::DT => each(|text| date::shift_dt(text, 0).is_some(), "illegal date"),
            VR::TM => each(date::is_tm, "illegal time"),
            VR::DS | VR::IS if texts.iter().any(|text| self.known.in_public_number(text)) => Kept::No("known value"),
            VR::DS | VR::IS => each(value::is_numeric_text, "not a number"),
            VR::PN => Kept::No("a name"),
            VR::AS => match texts {
                [text] => match date::limited_age(trim(text)) {
                    Some(age) if age == trim(text) => Kept::AsIs,
                    Some(age) => Kept::Changed(age.into(), Action::Cleaned),
                    None => Kept::No("not an age"),
                },
                _ => Kept::No("not an age"),
            },
            VR::CS => {
                let coded = texts.iter().all(|text| text.len() <= 64 && !self.known.in_code(text));
                let sex = tag != tags::PATIENT_SEX
                    || texts
                        .iter()
                        .all(|text| matches!(trim(text), "M" | "F" | "O" | "U" | ""));
                if coded && sex {
                    Kept::AsIs
                } else {
                    Kept::No("known value")
                }
            }
            _ => {
                if texts.iter().any(|text| self.known.in_text(text)) {
                    Kept::No("known value")
                } else {
                    Kept::AsIs
                }
            }
        }
    }

    fn clean(&mut self, tag: Tag, vr: VR, value: &PrimitiveValue, level: &Level) -> Kept {
        let Some(texts) = value::texts(value, vr) else {
            return Kept::No("not decoded");
        };
        if !texts.iter().all(|text| value::is_decoded(text, vr, level.declared)) {
            return Kept::No("not decoded");
        }
        match vr {
            VR::DA => self.shift(tag, &texts, date::shift_da),
            VR::DT => self.shift(tag, &texts, date::shift_dt),
            // Whole days move, so times stay.
            VR::TM => self.keep_texts(tag, vr, &texts),
            VR::SH if tag == tags::TIMEZONE_OFFSET_FROM_UTC => {
                let legal = texts.iter().all(|text| date::is_zone(trim(text)));
                if legal { Kept::AsIs } else { Kept::No("not a zone") }
            }
            VR::CS => self.keep_texts(tag, vr, &texts),
            VR::AE => self.titles(&texts),
            _ => self.describe(vr, &texts),
        }
    }

    /// Returns how text of a VR is cleaned in this object.
    pub(crate) fn how(&self, vr: VR) -> How {
        let options = self.script.options();
        let dates = if options.has(O::RetainLongitudinalModifiedDates) {
            Dates::Shift(self.shift)
        } else if options.has(O::RetainLongitudinalFullDates) {
            Dates::Keep
        } else {
            Dates::Remove
        };
        How {
            dates,
            prose: matches!(vr, VR::ST | VR::LT | VR::UT | VR::UC),
        }
    }

    /// Titles of applications: others of the same form, the same for the same title (PS3.15 E.3.8, code C).
    fn titles(&self, texts: &[Cow<'_, str>]) -> Kept {
        let one = |text: &Cow<'_, str>| match trim(text) {
            "" => String::new(),
            title => {
                let digest = self.pseudonyms.digest("ae-title", &[title.as_bytes()]);
                let (eight, _) = digest.split_at(8);
                format!("AE{}", BASE32_NOPAD.encode(eight))
            }
        };
        Kept::Changed(value::from_texts(texts.iter().map(one).collect()), Action::Cleaned)
    }

    fn shift(&mut self, tag: Tag, texts: &[Cow<'_, str>], shift: fn(&str, i64) -> Option<String>) -> Kept {
        let mut shifted = Vec::with_capacity(texts.len());
        for text in texts {
            match trim(text) {
                "" => shifted.push(String::new()),
                text => match shift(text, self.shift) {
                    Some(date) => shifted.push(date),
                    None => {
                        self.report.warn(format!("{} not a date", self.path.of(tag)));
                        return Kept::No("illegal date");
                    }
                },
            }
        }
        Kept::Changed(value::from_texts(shifted), Action::DateShifted)
    }

    fn describe(&mut self, vr: VR, texts: &[Cow<'_, str>]) -> Kept {
        let how = self.how(vr);
        let without_dates = How {
            dates: Dates::Remove,
            ..how
        };
        let mut rest = Vec::with_capacity(texts.len());
        let mut changed = false;
        for text in texts {
            let mut cleaned = descriptor::clean(text, &self.known, how);
            // A shifted day can be a digit longer than it was; where that is too long for the VR, dates go.
            if matches!(&cleaned, Cleaned::Rest(rest) if rest.chars().count() > text.chars().count()) {
                cleaned = descriptor::clean(text, &self.known, without_dates);
            }
            match cleaned {
                Cleaned::Untouched => rest.push(text.clone().into_owned()),
                Cleaned::Rest(text) => {
                    changed = true;
                    rest.push(text);
                }
                Cleaned::Nothing => return Kept::No("nothing left of a description"),
            }
        }
        self.non_ascii |= rest.iter().any(|text| !text.is_ascii());
        if changed {
            Kept::Changed(value::from_texts(rest), Action::Cleaned)
        } else {
            Kept::AsIs
        }
    }

    pub(crate) fn map_uids(&mut self, tag: Tag, value: &PrimitiveValue, rule: &'static str) -> Option<InMemElement> {
        let Some(texts) = value::texts(value, VR::UI) else {
            return self.removed(tag, "not decoded");
        };
        let mut changed = false;
        let mapped = texts.iter().map(|text| {
            let uid = trim(text);
            let class = beyond::holds_class_uid(tag) || beyond::is_standard_uid(uid);
            if uid.is_empty() || class && beyond::is_uid(uid) {
                uid.to_owned()
            } else {
                changed = true;
                self.pseudonyms.uid(uid)
            }
        });
        let mapped = value::from_texts(mapped.collect());
        if changed {
            self.report.record(&self.path, tag, Action::UidMapped, rule);
        }
        Some(DataElement::new(tag, VR::UI, mapped))
    }

    pub(crate) fn pseudonym(&mut self, element: &InMemElement, level: &Level) -> InMemElement {
        let tag = element.tag();
        let vr = if tag == tags::PATIENT_ID { VR::LO } else { VR::PN };
        let filled = element.value().primitive().is_some_and(|value| !is_empty(value));
        let value = match (&level.patient, filled) {
            (Some(pseudonym), true) => PrimitiveValue::from(pseudonym.as_str()),
            _ => PrimitiveValue::Empty,
        };
        self.report.record(&self.path, tag, Action::Pseudonymized, "pseudonym");
        DataElement::new(tag, vr, value)
    }

    /// A value whose VR contradicts the standard: nothing of it stays, but a required attribute keeps a dummy.
    pub(crate) fn unbelievable(
        &mut self,
        tag: Tag,
        standard: VR,
        value: &PrimitiveValue,
        decision: Option<Decision>,
    ) -> Option<InMemElement> {
        let rule = "VR against the standard";
        match decision.map(|decision| decision.step.base()) {
            Some(base @ (Base::Empty | Base::Dummy)) if standard != VR::SQ => {
                self.base(tag, standard, value, base, rule)
            }
            _ => self.removed(tag, rule),
        }
    }

    pub(crate) fn removed(&mut self, tag: Tag, rule: &'static str) -> Option<InMemElement> {
        self.report.record(&self.path, tag, Action::Removed, rule);
        None
    }
}

/// Returns whether two VRs say the same: both UIDs, or both dates.
fn is_like(vr: VR, standard: VR) -> bool {
    let date = |vr| matches!(vr, VR::DA | VR::DT);
    vr == standard || date(vr) && date(standard)
}

fn is_empty(value: &PrimitiveValue) -> bool {
    match value {
        PrimitiveValue::Empty => true,
        PrimitiveValue::Str(text) => trim(text).is_empty(),
        PrimitiveValue::Strs(texts) => texts.iter().all(|text| trim(text).is_empty()),
        value => value.calculate_byte_len() == 0,
    }
}
