//! The insert pass, and (0012,0064): what a script adds.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::Header;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::evaluate::Thrown;
use super::script::Rule;
use super::walk::{CODES, PIXEL_DATA, Walk, line};
use super::{java, values, write};
use crate::report::Action;
use crate::table;

impl<'a> Walk<'a> {
    pub(super) fn inserted(&mut self, data_set: &'a InMemDicomObject) -> Result<Vec<InMemElement>, Thrown> {
        let mut rules: Vec<(u32, &'a Rule)> = self.evaluator.rules.iter().map(|(tag, rule)| (*tag, *rule)).collect();
        rules.sort_unstable_by_key(|(tag, _)| *tag);
        let mut out = Vec::new();
        for (number, rule) in rules {
            let outside = !(0x0008_0000..PIXEL_DATA).contains(&number);
            if outside || data_set.get(values::tag(number)).is_some() {
                continue;
            }
            self.evaluator.line = rule.line;
            let element = self.insert(values::tag(number), rule)?;
            if let Some(element) = element {
                self.record(element.tag(), Action::Added, line(rule));
                out.push(element);
            }
        }
        Ok(out)
    }

    fn insert(&mut self, tag: Tag, rule: &'a Rule) -> Result<Option<InMemElement>, Thrown> {
        let text = java::trim(&rule.text);
        let vr = dictionary_vr(tag);
        if vr != VR::SQ && text.starts_with("@always()") {
            let value = self.evaluator.evaluate(&rule.expression.parts, table::number(tag))?;
            if value == "@keep()" || value == "@remove()" {
                return Ok(None);
            }
            let blank = value.starts_with("@blank(") || value == "@empty()";
            let value = if blank { "" } else { value.as_str() };
            return self.put(tag, vr, value);
        }
        if vr == VR::SQ && text.starts_with("@always()@require()") {
            return Ok(write::put(tag, VR::SQ, ""));
        }
        if vr == VR::SQ && text.starts_with("@always()@call") {
            self.evaluator.evaluate(&rule.expression.parts, table::number(tag))?;
            return Ok(None);
        }
        if table::number(tag) == CODES {
            return self.codes(rule, None);
        }
        Ok(None)
    }

    /// (0012,0064): codes joined by `/`; `reset` drops what was there.
    pub(super) fn codes(
        &mut self,
        rule: &'a Rule,
        element: Option<&'a InMemElement>,
    ) -> Result<Option<InMemElement>, Thrown> {
        let tag = values::tag(CODES);
        let existing = match element {
            Some(element) if self.strict() => Some(self.processed(element)?),
            other => other.cloned(),
        };
        match rule.text.as_str() {
            text if java::trim(text).is_empty() => return Ok(existing),
            "@remove()" => return Ok(None),
            "@keep()" => return Ok(existing),
            _ => {}
        }
        let value = self.evaluator.evaluate(&rule.expression.parts, CODES)?;
        let mut items: Vec<InMemDicomObject> = match existing.as_ref().map(|element| element.value().items()) {
            None => Vec::new(),
            Some(Some(items)) => items.to_vec(),
            // Not a sequence: CTP gives up.
            Some(None) => return Ok(existing),
        };
        for code in java::split(java::trim(&value), '/') {
            let code = java::trim(code);
            if code.eq_ignore_ascii_case("reset") {
                items.clear();
                continue;
            }
            let (scheme, meaning) = match meaning_of(code) {
                Some(meaning) => ("DCM", meaning),
                None => ("UNKNOWN", "UNKNOWN"),
            };
            let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
            items.push(InMemDicomObject::from_element_iter([
                text(tags::CODE_VALUE, VR::SH, code),
                text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme),
                text(tags::CODE_MEANING, VR::LO, meaning),
            ]));
        }
        if element.is_some() {
            self.record(tag, Action::Scripted, line(rule));
        }
        Ok(Some(DataElement::new(
            tag,
            VR::SQ,
            DataSetSequence::new(items, Length::UNDEFINED),
        )))
    }
}

/// What CTP writes as the meaning of a code.
fn meaning_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "113100" => "Basic Application Confidentiality Profile",
        "113101" => "Clean Pixel Data Option",
        "113102" => "Clean Recognizable Visual Features Option",
        "113103" => "Clean Graphics Option",
        "113104" => "Clean Structured Content Option",
        "113105" => "Clean Descriptors Option",
        "113106" => "Retain Longitudinal Temporal Information Full Dates Option",
        "113107" => "Retain Longitudinal Temporal Information Modified Dates Option",
        "113108" => "Retain Patient Characteristics Option",
        "113109" => "Retain Device Identity Option",
        "113110" => "Retain UIDs",
        "113111" => "Retain Safe Private Option",
        "113112" => "Retain Institution Identity Option",
        _ => return None,
    })
}

/// The VR that an inserted element gets; SH where the dictionary leaves a choice or knows nothing.
fn dictionary_vr(tag: Tag) -> VR {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.and_then(|entry| entry.vr().exact()).unwrap_or(VR::SH)
}
