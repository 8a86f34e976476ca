//! What the index knows of an instance: the columns that QIDO-RS and C-FIND match on, and the DICOM JSON that their rows
//! hold, cut by level. All of it is read from the header that goes into the archive, after de-identification.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::metadata;

/// Returns the text of an element, all values joined by a backslash, without padding; empty where there is none.
pub(crate) fn text(header: &InMemDicomObject, tag: Tag) -> String {
    // `get`, not `element_opt`: that one makes an error, with a backtrace, of every element that is not there
    header
        .get(tag)
        .and_then(|element| {
            element
                .to_str()
                .ok()
                .map(|text| text.trim_matches([' ', '\0']).to_owned())
        })
        .unwrap_or_default()
}

/// Returns the first value of an element as a whole number, where it is one.
pub(crate) fn integer(header: &InMemDicomObject, tag: Tag) -> Option<i64> {
    let text = text(header, tag);
    let first = text.split('\\').next().unwrap_or("").trim();
    first
        .parse::<i64>()
        .ok()
        .or_else(|| first.parse::<f64>().ok().filter(|n| n.fract() == 0.0).map(|n| n as i64))
}

/// Returns a text of the first item of a sequence.
pub(crate) fn text_in(header: &InMemDicomObject, sequence: Tag, tag: Tag) -> String {
    header
        .get(sequence)
        .and_then(|element| {
            element
                .items()
                .and_then(|items| items.first())
                .map(|item| text(item, tag))
        })
        .unwrap_or_default()
}

/// Patient and study attributes of a row, PS3.18 Table 10.6.3-3 and what viewers ask for besides.
const STUDY_ROW: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::INSTITUTION_NAME,
];

/// Series attributes of a row, PS3.18 Table 10.6.3-4 and what viewers ask for besides.
const SERIES_ROW: &[Tag] = &[
    tags::MODALITY,
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::SERIES_DESCRIPTION,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::BODY_PART_EXAMINED,
    tags::PROTOCOL_NAME,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::LATERALITY,
    tags::FRAME_OF_REFERENCE_UID,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
];

/// Instance attributes of a row, PS3.18 Table 10.6.3-5 and what viewers ask for besides.
const INSTANCE_ROW: &[Tag] = &[
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::ACQUISITION_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::SLICE_LOCATION,
    tags::SLICE_THICKNESS,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::PIXEL_SPACING,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
    tags::COMPLETION_FLAG,
    tags::VERIFICATION_FLAG,
];

/// Returns the patient and study part of a search row as a DICOM JSON object.
pub(crate) fn study_json(header: &InMemDicomObject) -> String {
    metadata::select_json(header, |tag| STUDY_ROW.contains(&tag))
}

/// Returns the series part of a search row as a DICOM JSON object.
pub(crate) fn series_json(header: &InMemDicomObject) -> String {
    metadata::select_json(header, |tag| SERIES_ROW.contains(&tag))
}

/// Returns the instance part of a search row as a DICOM JSON object.
pub(crate) fn instance_json(header: &InMemDicomObject) -> String {
    metadata::select_json(header, |tag| INSTANCE_ROW.contains(&tag))
}
