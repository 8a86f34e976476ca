//! The marks of a de-identified object, PS3.15 E.1.1: (0012,0062), (0012,0063), (0012,0064) and (0028,0303).

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::options::{BASIC_PROFILE_CODE, ConfidentialityOption as O, Options};
use crate::table;

/// Returns the elements that mark a data set as de-identified. What stood there before is replaced: two histories of marks
/// in one object contradict each other (full and modified dates), and only the last one can be vouched for.
pub(crate) fn elements(profile: &str, options: Options, private_kept: bool) -> Vec<InMemElement> {
    let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
    let codes = std::iter::once(BASIC_PROFILE_CODE)
        .chain(
            options
                .iter()
                .filter(|option| *option != O::RetainSafePrivate)
                .map(O::code),
        )
        .chain(private_kept.then(|| O::RetainSafePrivate.code()));
    let mut codes: Vec<_> = codes.collect();
    codes.sort_unstable();
    codes.dedup();
    let items: Vec<InMemDicomObject> = codes
        .into_iter()
        .map(|(value, meaning)| {
            InMemDicomObject::from_element_iter([
                text(tags::CODE_VALUE, VR::SH, value),
                text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
                text(tags::CODE_MEANING, VR::LO, meaning),
            ])
        })
        .collect();
    let method = [format!("Isocenter profile {profile}"), table::EDITION.to_owned()];
    // Values of LO are 64 characters at most, PS3.5 6.2.
    let method: Vec<String> = method.iter().map(|value| value.chars().take(64).collect()).collect();
    let modified = if options.has(O::RetainLongitudinalFullDates) {
        "UNMODIFIED"
    } else if options.has(O::RetainLongitudinalModifiedDates) {
        "MODIFIED"
    } else {
        "REMOVED"
    };
    vec![
        text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"),
        DataElement::new(
            tags::DEIDENTIFICATION_METHOD,
            VR::LO,
            PrimitiveValue::Strs(method.into_iter().collect()),
        ),
        DataElement::new(
            tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
            VR::SQ,
            DataSetSequence::new(items, Length::UNDEFINED),
        ),
        text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, VR::CS, modified),
    ]
}
