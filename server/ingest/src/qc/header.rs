//! Is the object whole, and does its header say who and what it is?

use dicom_core::dictionary::UidDictionary;
use dicom_dictionary_std::{StandardSopClassDictionary, tags};
use dicom_object::InMemDicomObject;
use isocenter_imaging::PixelFacts;
use isocenter_model::arrival::Form;
use isocenter_model::part10::{Layout, Part10Form, PixelData};

use super::{Finding, Severity, meta};
use crate::attributes::text;

/// What the collection lets pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Unknown and private SOP classes may be released: a `none` collection, or one that allows the class.
    pub(crate) unknown_sop_classes: bool,
    /// Text that an object says is burned in is decided on later: with the pixels, or the document that becomes an empty one.
    pub(crate) burned_in: bool,
}

/// Returns what is to be said of one object by itself, before de-identification.
pub(crate) fn check(
    header: &InMemDicomObject,
    layout: &Layout,
    pixels: Option<&PixelFacts>,
    arrived: &Form,
    allow: Allowance,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if *arrived == Form::Part10 {
        form(layout, &mut findings);
    }
    encoding(layout, &mut findings);
    identifiers(header, allow, &mut findings);
    meta::check(header, layout, &mut findings);
    pixel_length(layout, pixels, &mut findings);
    if !allow.burned_in {
        says_burned_in(header, &mut findings);
    }
    findings
}

fn form(layout: &Layout, findings: &mut Vec<Finding>) {
    match layout.form {
        Part10Form::NoPreamble => findings.push(Finding::new("Q104", Severity::Warn, "no preamble")),
        Part10Form::NoMeta => findings.push(Finding::new(
            "Q104",
            Severity::Warn,
            "no file meta; transfer syntax sniffed",
        )),
        _ => {}
    }
}

fn encoding(layout: &Layout, findings: &mut Vec<Finding>) {
    if layout.mislabelled {
        findings.push(Finding::new(
            "Q106",
            Severity::Hold,
            "data set is not written in its transfer syntax",
        ));
    }
    if matches!(
        layout.pixel_data,
        Some(PixelData::Encapsulated { unterminated: true, .. })
    ) {
        findings.push(Finding::new(
            "Q102",
            Severity::Block,
            "pixel data ends without its sequence delimiter",
        ));
    }
    if layout.trailing_bytes > 0 {
        let detail = format!("{} bytes after the last element", layout.trailing_bytes);
        findings.push(Finding::new("Q102", Severity::Block, detail));
    }
}

fn identifiers(header: &InMemDicomObject, allow: Allowance, findings: &mut Vec<Finding>) {
    if text(header, tags::PATIENT_ID).trim().is_empty() {
        findings.push(Finding::new(
            "Q201",
            Severity::Block,
            "(0010,0020) PatientID missing or empty",
        ));
    }
    if text(header, tags::MODALITY).is_empty() {
        findings.push(Finding::new(
            "Q404",
            Severity::Block,
            "(0008,0060) Modality missing or empty, Type 1",
        ));
    }
    let sop_class = text(header, tags::SOP_CLASS_UID);
    if StandardSopClassDictionary.by_uid(&sop_class).is_none() && !allow.unknown_sop_classes {
        findings.push(Finding::new(
            "Q107",
            Severity::Hold,
            "(0008,0016) unknown or private SOP class",
        ));
    }
}

fn pixel_length(layout: &Layout, pixels: Option<&PixelFacts>, findings: &mut Vec<Finding>) {
    match (pixels, &layout.pixel_data) {
        (Some(facts), Some(_)) => {
            if let Err(mismatch) = isocenter_imaging::check_lengths(facts, layout) {
                findings.push(Finding::new("Q102", Severity::Block, mismatch.to_string()));
            }
        }
        (None, Some(_)) => {
            findings.push(Finding::new(
                "Q102",
                Severity::Block,
                "pixel data without rows, columns or bits allocated",
            ));
        }
        _ => {}
    }
}

/// Asked of `none` collections: an object that says so itself contradicts the operator's attestation.
fn says_burned_in(header: &InMemDicomObject, findings: &mut Vec<Finding>) {
    if text(header, tags::BURNED_IN_ANNOTATION).eq_ignore_ascii_case("YES") {
        findings.push(Finding::new(
            "Q509",
            Severity::Hold,
            "(0028,0301) BurnedInAnnotation is YES",
        ));
    }
}
