//! Applying a script to a data set: the insert pass, then the walk.
//!
//! For each element of the original, the first that applies:
//!
//! | # | condition | result |
//! | --- | --- | --- |
//! | 1 | private groups go, private, no rule, not kept | removed |
//! | 2 | what no rule names goes, no rule, not kept | removed |
//! | 3 | overlays go and it is one; in strict mode curves as well | removed, even with a rule |
//! | 4 | a rule | evaluated; (0012,0064) is a list of codes |
//! | 5 | else | left; in strict mode its items are walked |
//!
//! CTP enters items only where a rule says `@process()`. Strict mode enters every item of every sequence that stays, with
//! the same table, and treats what follows the pixel data like everything before it.

use std::borrow::Cow;

use dicom_core::header::Header;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::check::Anonymizer;
use super::evaluate::{Evaluator, Thrown};
use super::script::{Keep, Rule, Target};
use super::{java, values, write};
use crate::holds::Held;
use crate::known::{Known, MOST_DEPTH};
use crate::report::{Action, Change, Path, Report};
use crate::{Profile, private, table, value};

/// (0012,0064), De-identification Method Code Sequence.
pub(crate) const CODES: u32 = 0x0012_0064;
/// (7FE0,0010), Pixel Data.
pub(crate) const PIXEL_DATA: u32 = 0x7FE0_0010;
/// Most blanks that `@blank(n)` writes.
const MOST_BLANKS: usize = 55;

/// A walk through one object.
pub(super) struct Walk<'a> {
    pub(super) evaluator: Evaluator<'a>,
    report: Report,
    path: Path,
    /// What is known of the patient, collected when it is first asked for.
    known: Option<Known>,
}

/// What becomes of an element.
enum Fate {
    Keep,
    Remove(Cow<'static, str>),
    Evaluate,
    /// Kept only because a dictionary calls it safe.
    KeepIfSafe,
}

pub(super) fn line(rule: &Rule) -> Cow<'static, str> {
    Cow::Owned(format!("script line {}", rule.line))
}

impl<'a> Walk<'a> {
    pub(super) fn new(evaluator: Evaluator<'a>, report: Report) -> Self {
        Self {
            evaluator,
            report,
            path: Path::default(),
            known: None,
        }
    }

    /// Does the insert pass and the walk.
    pub(super) fn whole(&mut self, data_set: &'a InMemDicomObject) -> Result<Vec<InMemElement>, Thrown> {
        let inserted = self.inserted(data_set)?;
        let mut elements = self.data_set(data_set)?;
        elements.extend(inserted);
        self.tell_differences();
        Ok(elements)
    }

    pub(super) fn report(self) -> Report {
        self.report
    }

    pub(super) fn held(&self, thrown: &Thrown) -> Held {
        Held {
            check: "Q511",
            reason: format!("script line {}: {}", self.evaluator.line, thrown.reason),
        }
    }

    pub(super) fn strict(&self) -> bool {
        self.evaluator.is_strict()
    }

    fn setup(&self) -> &'a Anonymizer {
        self.evaluator.setup
    }

    pub(super) fn record(&mut self, tag: Tag, action: Action, rule: Cow<'static, str>) {
        *self.report.counts.entry(action).or_default() += 1;
        if self.report.changes.len() < Report::MOST_CHANGES {
            let path = self.path.of(tag);
            self.report.changes.push(Change { path, action, rule });
        } else {
            self.report.changes_left_out += 1;
        }
    }

    fn tell_differences(&mut self) {
        for (line, how) in std::mem::take(&mut self.evaluator.differences) {
            let place = if line == 0 {
                "script".to_owned()
            } else {
                format!("script line {line}")
            };
            self.report.warn(format!("{place}: unlike CTP, {how}"));
        }
    }

    /// The rule of an element; strict mode finds private ones by the creator of the data set they are in.
    fn rule(&self, data_set: &InMemDicomObject, tag: Tag) -> Option<&'a Rule> {
        if self.strict()
            && let Some(private) = values::private_of(data_set, tag)
        {
            let target = Target::Private(private.group, private.creator, private.element);
            if let Some(rule) = self.setup().script().rules.get(&target) {
                return Some(rule);
            }
            return self.setup().script().rules.get(&Target::Tag(table::number(tag)));
        }
        self.evaluator.rules.get(&table::number(tag)).copied()
    }

    fn data_set(&mut self, data_set: &'a InMemDicomObject) -> Result<Vec<InMemElement>, Thrown> {
        let mut out = Vec::with_capacity(data_set.iter().size_hint().0.min(512));
        let mut creators: Vec<(u16, String)> = Vec::new();
        for element in data_set.iter() {
            let tag = element.tag();
            let number = table::number(tag);
            let behind = self.evaluator.reading.is_top() && self.evaluator.reading.pixels && number >= PIXEL_DATA;
            if number == PIXEL_DATA && behind {
                out.push(element.clone());
                continue;
            }
            if tag.1 == 0 || self.evaluator.reading.is_top() && matches!(number, 0xFFFA_FFFA | 0xFFFC_FFFC) && behind {
                // Group lengths; signatures and padding behind the pixel data.
                self.record(tag, Action::Removed, Cow::Borrowed("structure"));
                continue;
            }
            if behind && !self.strict() {
                self.behind_pixels(element, &mut creators, &mut out);
                continue;
            }
            let fate = self.fate(data_set, element);
            if let Some(rule) = self.rule(data_set, tag) {
                self.evaluator.line = rule.line;
            }
            match fate {
                Fate::Remove(why) => self.record(tag, Action::Removed, why),
                Fate::Keep => out.push(self.left(element)?),
                Fate::KeepIfSafe if self.is_harmless(element) => {
                    self.report.keep_private(&self.path, tag, "safe by the list");
                    out.push(self.left(element)?);
                }
                Fate::KeepIfSafe => {
                    self.evaluator.line = 0;
                    self.evaluator
                        .differs("a safe private element that may identify was removed");
                    self.record(
                        tag,
                        Action::Removed,
                        Cow::Borrowed("safe by the list and not by its value"),
                    );
                }
                Fate::Evaluate => out.extend(self.evaluated(data_set, element)?),
            }
        }
        if self.strict() {
            self.drop_empty_blocks(&mut out);
        }
        Ok(out)
    }

    fn fate(&self, data_set: &InMemDicomObject, element: &InMemElement) -> Fate {
        let tag = element.tag();
        let script = self.setup().script();
        let has_rule = self.rule(data_set, tag).is_some();
        let is_private = tag.0 % 2 == 1;
        let creator_block = is_private && tag.1 & 0xFF00 == 0;
        let safe_kept = script.keeps.contains(&Keep::SafePrivate) && {
            let private = values::private_of(data_set, tag);
            creator_block || private.is_some_and(|private| self.setup().private().is_safe(&private))
        };
        let overlay = tag.0 & 0xFF00 == 0x6000;
        let curve = tag.0 & 0xFF00 == 0x5000;
        let private_goes = script.removes("privategroups");
        let kept = script.keeps_group(tag.0)
            || matches!(
                tag,
                tags::SOP_CLASS_UID | tags::SOP_INSTANCE_UID | tags::STUDY_INSTANCE_UID
            )
            || matches!(tag.0, 0x0002 | 0x0028 | 0x7FE0)
            || overlay && !script.removes("overlays") && !(is_private && private_goes)
            || curve && !script.removes("curves") && !(is_private && private_goes);
        let removed = |what: &'static str| Fate::Remove(Cow::Borrowed(what));
        if private_goes && is_private && !has_rule && !(kept || safe_kept) {
            return removed("private groups");
        }
        if script.removes("unspecifiedelements") && !has_rule && !(kept || safe_kept) {
            return removed("no rule");
        }
        if overlay && script.removes("overlays") {
            return removed("overlays");
        }
        if curve && script.removes("curves") && self.strict() {
            return removed("curves");
        }
        if has_rule {
            return Fate::Evaluate;
        }
        let only_safe = safe_kept && !kept && !creator_block;
        if only_safe && self.strict() && (private_goes || script.removes("unspecifiedelements")) {
            return Fate::KeepIfSafe;
        }
        Fate::Keep
    }

    /// Leaves an element as it is; in strict mode with its items walked.
    fn left(&mut self, element: &'a InMemElement) -> Result<InMemElement, Thrown> {
        if self.strict() && write::is_sequence(element) {
            self.evaluator.line = 0;
            return self.processed(element);
        }
        Ok(element.clone())
    }

    /// Walks the items of a sequence.
    pub(super) fn processed(&mut self, element: &'a InMemElement) -> Result<InMemElement, Thrown> {
        let Some(items) = element.value().items() else {
            return Ok(element.clone());
        };
        if self.evaluator.reading.stack.len() > MOST_DEPTH {
            return Err(Thrown::strict("items are nested too deep"));
        }
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.path.enter(element.tag(), index);
            self.evaluator.reading.stack.push(item);
            let elements = self.data_set(item);
            self.evaluator.reading.stack.pop();
            self.path.leave();
            out.push(InMemDicomObject::from_element_iter(elements?));
        }
        let sequence = DataSetSequence::new(out, Length::UNDEFINED);
        Ok(DataElement::new(element.tag(), VR::SQ, sequence))
    }

    fn evaluated(
        &mut self,
        data_set: &'a InMemDicomObject,
        element: &'a InMemElement,
    ) -> Result<Option<InMemElement>, Thrown> {
        let tag = element.tag();
        let Some(rule) = self.rule(data_set, tag) else {
            return Ok(Some(element.clone()));
        };
        if table::number(tag) == CODES {
            return self.codes(rule, Some(element));
        }
        self.evaluator.process = false;
        let value = self.evaluator.evaluate(&rule.expression.parts, table::number(tag))?;
        let processes = std::mem::take(&mut self.evaluator.process);
        let value = java::trim(&value);
        if value.contains("@remove()") {
            self.record(tag, Action::Removed, line(rule));
            return Ok(None);
        }
        let sequence = write::is_sequence(element);
        let own = |walk: &mut Self| match processes && sequence {
            true => walk.processed(element),
            false => walk.left(element),
        };
        if value == "@keep()" {
            return own(self).map(Some);
        }
        let blanks;
        let text = match value.strip_prefix("@blank(") {
            Some(rest) => {
                blanks = " ".repeat(blanks_of(rest)?);
                blanks.as_str()
            }
            None if value == "@empty()" => "",
            None => value,
        };
        if sequence && tag.0 % 2 == 0 {
            if self.strict() && text.is_empty() {
                self.evaluator.differs("a sequence is emptied");
                self.record(tag, Action::Emptied, line(rule));
                return Ok(write::put(tag, VR::SQ, ""));
            }
            // CTP leaves the sequence where it is told to empty it, and where it is told to write text into it.
            if self.strict() {
                return Err(Thrown::strict("a rule writes text into a sequence"));
            }
            return own(self).map(Some);
        }
        match self.put(tag, element.vr(), text)? {
            Some(new) => {
                let action = if java::trim(text).is_empty() {
                    Action::Emptied
                } else {
                    Action::Scripted
                };
                self.record(tag, action, line(rule));
                Ok(Some(new))
            }
            None => own(self).map(Some),
        }
    }

    /// Writes a text; nothing, where CTP leaves the element as it was.
    pub(super) fn put(&mut self, tag: Tag, vr: VR, text: &str) -> Result<Option<InMemElement>, Thrown> {
        let element = if tag.0 % 2 == 1 {
            let current = self.evaluator.reading.current();
            let private = current.and_then(|data_set| values::private_of(data_set, tag));
            let known = private.and_then(|private| self.setup().private().vr(&private, vr));
            write::put_private(tag, known, text)
        } else if vr == VR::PN && text.is_empty() && !self.strict() {
            // The toolkit of CTP cannot write an empty name.
            Some(DataElement::new(tag, vr, PrimitiveValue::from(" ")))
        } else {
            write::put(tag, vr, text)
        };
        if element.is_none() {
            if self.strict() {
                return Err(Thrown::strict("the value of a rule is not one of the element's VR"));
            }
            let path = self.path.of(tag);
            let line = self.evaluator.line;
            self.report.warn(format!(
                "script line {line}: {path} does not take the value and stays as it was"
            ));
        }
        Ok(element)
    }

    /// What CTP does with elements after the pixel data, which it does not read: it copies or drops them.
    fn behind_pixels(
        &mut self,
        element: &'a InMemElement,
        creators: &mut Vec<(u16, String)>,
        out: &mut Vec<InMemElement>,
    ) {
        let tag = element.tag();
        let script = self.setup().script();
        let private_goes = script.removes("privategroups");
        let safe_stays = script.keeps.contains(&Keep::SafePrivate);
        let is_private = tag.0 % 2 == 1;
        if is_private && tag.1 & 0xFF00 == 0 {
            creators.retain(|(group, _)| *group == tag.0);
            creators.insert(0, (tag.0, values::text(element).unwrap_or_default()));
            if !private_goes || safe_stays {
                out.push(element.clone());
            }
            return;
        }
        let creator = creators.first().filter(|(group, _)| *group == tag.0);
        let safe = creator.is_some_and(|(group, creator)| {
            let element = u8::try_from(tag.1 & 0xFF).unwrap_or_default();
            self.setup()
                .private()
                .get(*group, creator, element)
                .is_some_and(|entry| entry.safe)
        });
        let rule = self.evaluator.rules.get(&table::number(tag));
        let goes = is_private && private_goes && !(safe_stays && safe)
            || rule.is_none() && script.removes("unspecifiedelements")
            || rule.is_some_and(|rule| rule.text.starts_with("@remove()"));
        if goes {
            self.record(tag, Action::Removed, Cow::Borrowed("after the pixel data"));
        } else {
            out.push(element.clone());
        }
    }

    /// Whether a private element that a list calls safe repeats nothing that is known of the patient.
    fn is_harmless(&mut self, element: &InMemElement) -> bool {
        let known = self.known.get_or_insert_with(|| {
            let top = self.evaluator.reading.stack.first();
            match (
                top,
                Profile::builtin("basic").as_ref().and_then(|profile| profile.script()),
            ) {
                (Some(top), Some(script)) => Known::collect(top, script),
                _ => Known::default(),
            }
        });
        let vr = element.vr();
        match element.value().primitive() {
            None => true, // a sequence: its items are walked
            Some(value) if private::is_numeric(vr) => private::is_harmless(vr, value, known),
            Some(value) => value::texts(value, vr)
                .is_some_and(|texts| !matches!(vr, VR::PN) && texts.iter().all(|text| !known.in_text(text))),
        }
    }

    /// Drops private creators whose block has no element left.
    fn drop_empty_blocks(&mut self, out: &mut Vec<InMemElement>) {
        let used: std::collections::HashSet<(u16, u16)> = out
            .iter()
            .map(|element| element.tag())
            .filter(|tag| tag.0 % 2 == 1 && tag.1 >= 0x0100)
            .map(|tag| (tag.0, tag.1 >> 8))
            .collect();
        let mut gone = Vec::new();
        out.retain(|element| {
            let tag = element.tag();
            let stays = tag.0 % 2 == 0 || tag.1 >= 0x0100 || used.contains(&(tag.0, tag.1));
            if !stays {
                gone.push(tag);
            }
            stays
        });
        for tag in gone {
            self.record(tag, Action::Removed, Cow::Borrowed("creator of an empty block"));
        }
    }
}

/// The number of blanks in `@blank(n)`, read from behind the parenthesis.
fn blanks_of(rest: &str) -> Result<usize, Thrown> {
    let Some((number, _)) = rest.split_once(')') else {
        return Ok(0);
    };
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    match java::parse_int(&format!("0{digits}")).and_then(|n| usize::try_from(n).ok()) {
        Some(n) => Ok(n.min(MOST_BLANKS)),
        None => Err(Thrown::new(
            format!("For input string: \"0{digits}\""),
            "@blank has no number",
        )),
    }
}
