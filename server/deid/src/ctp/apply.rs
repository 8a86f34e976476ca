//! Applying a script to an object, and one expression to it.

use dicom_core::header::Header;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_model::part10::Layout;

use super::check::Anonymizer;
use super::evaluate::{Evaluator, Thrown};
use super::inputs::Mode;
use super::walk::Walk;
use super::{expression, values};
use crate::documents::DocumentRule;
use crate::executor::{Context, Deidentified, issuer_of_patient_id};
use crate::holds::{self, Held};
use crate::pseudonym::Pseudonyms;
use crate::report::Report;
use crate::{Profile, table};

/// An object that a script is applied to.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// The data set; pixel data may be in it or not.
    pub data_set: &'a InMemDicomObject,
    /// The file meta information as elements, where there is any.
    pub meta: Option<&'a InMemDicomObject>,
    /// Whether the object has (7FE0,0010), in the data set or beside it.
    pub has_pixel_data: bool,
    /// Issuer of patient IDs, which keyed dates are derived with.
    pub issuer: &'a str,
}

/// What a script decided.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// A new data set.
    Done(Box<Deidentified>),
    /// The script asks to let the object pass as it is. In strict mode nobody may follow that without a policy.
    Skip,
    /// The object must not go out.
    Held(Held),
}

impl Anonymizer {
    /// Applies the script to an object. `report` is where it is told what was done.
    pub(crate) fn apply_with(&self, object: &Object<'_>, pseudonyms: &Pseudonyms, report: Report) -> Outcome {
        let with_character_set;
        let data_set = if has_character_set(object.data_set) {
            object.data_set
        } else {
            let mut copy = object.data_set.clone();
            let value = PrimitiveValue::from("ISO_IR 100");
            copy.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, value));
            with_character_set = copy;
            &with_character_set
        };
        let pixels = object.has_pixel_data || data_set.get(tags::PIXEL_DATA).is_some();
        let evaluator = Evaluator::new(self, pseudonyms, object.issuer, object.meta, data_set, pixels);
        let mut walk = Walk::new(evaluator, report);
        match walk.whole(data_set) {
            Ok(elements) => Outcome::Done(Box::new(Deidentified {
                data_set: InMemDicomObject::from_element_iter(elements),
                report: walk.report(),
                changed: true,
            })),
            Err(thrown) if thrown.is_skip() => Outcome::Skip,
            Err(thrown) => Outcome::Held(walk.held(&thrown)),
        }
    }

    /// Applies the script to an object.
    pub fn apply(&self, name: &str, object: &Object<'_>, pseudonyms: &Pseudonyms) -> Outcome {
        self.apply_with(object, pseudonyms, Report::named(name, self.script().hash()))
    }

    /// Applies the script where a profile is applied: what a script would pass over is held, and so is in strict mode
    /// what no rule makes safe.
    pub(crate) fn deidentify(
        &self,
        header: &InMemDicomObject,
        profile: &Profile,
        pseudonyms: &Pseudonyms,
        cx: &Context<'_>,
    ) -> Result<Deidentified, Held> {
        if self.mode() == Mode::Strict {
            holds::check(header, cx, DocumentRule::Hold)?;
        }
        let mut report = Report::named(profile.name(), profile.hash());
        report.pixel_risks = holds::pixel_risks(header);
        let meta = cx.pixels.map(|pixels| {
            let text = PrimitiveValue::from(pixels.transfer_syntax_uid);
            InMemDicomObject::from_element_iter([DataElement::new(tags::TRANSFER_SYNTAX_UID, VR::UI, text)])
        });
        let issuer = issuer_of_patient_id(header, cx);
        let object = Object {
            data_set: header,
            meta: meta.as_ref(),
            has_pixel_data: cx.pixels.is_some(),
            issuer: &issuer,
        };
        match self.apply_with(&object, pseudonyms, report) {
            Outcome::Done(done) => {
                if self.mode() == Mode::Strict {
                    holds::check_written(header, &done.data_set, cx.pixels.is_some())?;
                }
                Ok(*done)
            }
            Outcome::Held(held) => Err(held),
            Outcome::Skip => Err(Held {
                check: "Q511",
                reason: "the script passes this object over, and no policy says where to".to_owned(),
            }),
        }
    }

    /// Evaluates one expression, standing at an element of the object or at none.
    ///
    /// # Errors
    /// What the expression throws; in strict mode also what makes a script be refused.
    pub fn evaluate(
        &self,
        text: &str,
        at: Option<Tag>,
        object: &Object<'_>,
        pseudonyms: &Pseudonyms,
    ) -> Result<String, Thrown> {
        let expression = expression::parse(&super::source::Sourced::verbatim(text));
        if self.mode() == Mode::Strict
            && let Some(complaint) = self.check_expression(&expression)
        {
            return Err(Thrown::new(complaint, "the expression is refused"));
        }
        let pixels = object.has_pixel_data || object.data_set.get(tags::PIXEL_DATA).is_some();
        // Rules live as long as the evaluator; this expression does, too.
        let mut evaluator = Evaluator::new(self, pseudonyms, object.issuer, object.meta, object.data_set, pixels);
        evaluator.evaluate(&expression.parts, at.map_or(0, table::number))
    }
}

fn has_character_set(data_set: &InMemDicomObject) -> bool {
    let declared = data_set.get(tags::SPECIFIC_CHARACTER_SET).and_then(values::text);
    declared.is_some_and(|text| !text.is_empty())
}

/// Returns file meta information as the elements that expressions read.
pub fn meta_elements(meta: &dicom_object::FileMetaTable) -> InMemDicomObject {
    let elements = meta.to_element_iter().filter_map(|element| {
        let value = element.value().primitive()?.clone();
        Some(DataElement::new(element.tag(), element.vr(), value))
    });
    InMemDicomObject::from_element_iter(elements)
}

/// Returns what a file says of itself before its data set, as the elements that expressions and filters read; of an object
/// that came without it the transfer syntax.
pub fn elements_of_meta(layout: &Layout) -> InMemDicomObject {
    let meta = &layout.meta;
    let syntax = Some(layout.transfer_syntax_uid.as_str().to_owned());
    let elements = [
        (0x0002, VR::UI, meta.media_storage_sop_class_uid.clone()),
        (0x0003, VR::UI, meta.media_storage_sop_instance_uid.clone()),
        (0x0010, VR::UI, meta.transfer_syntax_uid.clone().or(syntax)),
        (0x0012, VR::UI, meta.implementation_class_uid.clone()),
        (0x0013, VR::SH, meta.implementation_version_name.clone()),
        (0x0016, VR::AE, meta.source_application_entity_title.clone()),
    ];
    InMemDicomObject::from_element_iter(
        elements.into_iter().filter_map(|(element, vr, value)| {
            Some(DataElement::new(Tag(2, element), vr, PrimitiveValue::from(value?)))
        }),
    )
}
