//! Markers planted in every attribute of Table E.1-1, at every place and under every VR, and searched for in the bytes that
//! come out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what fails here should fail loudly"
)]

use std::sync::Arc;

use dicom_core::smallvec::smallvec;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use isocenter_deid::table::{self, Attribute, OptionAction, Row};
use isocenter_deid::{
    ConfidentialityOption as O, Context, Deidentified, Held, Options, PrivateRule, Profile, Pseudonyms, Secret,
    deidentify,
};

const FAMILY: &str = "Zqxvson";
const PATIENT: &str = "ZX4711AB";
const BIRTH: &str = "19870605";
const PHONE: &str = "06131-998877";
const UID: &str = "1.2.826.0.1.99.4711.8";

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&Secret::new([7; 32]), "OBIA0001")
}

fn apply(header: &InMemDicomObject, profile: &Profile) -> Result<Deidentified, Held> {
    deidentify(header, profile, &pseudonyms(), &Context::default())
}

fn text(tag: Tag, vr: VR, text: &str) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
}

fn base() -> Vec<InMemElement> {
    vec![
        text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
        text(tags::SOP_INSTANCE_UID, VR::UI, UID),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.99.4711.9"),
        text(tags::STUDY_DATE, VR::DA, "20040119"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PATIENT_NAME, VR::PN, &format!("{FAMILY}^Wolfram")),
        text(tags::PATIENT_ID, VR::LO, PATIENT),
        text(tags::PATIENT_BIRTH_DATE, VR::DA, BIRTH),
        text(tags::PATIENT_TELEPHONE_NUMBERS, VR::SH, PHONE),
        text(tags::MANUFACTURER, VR::LO, "Acme"),
    ]
}

/// A value of a VR that carries the patient's identity as far as the VR lets it.
fn marked(vr: VR) -> PrimitiveValue {
    match vr {
        VR::PN => format!("{FAMILY}^Wolfram").into(),
        VR::DA => BIRTH.into(),
        VR::DT => format!("{BIRTH}123456.5+0100").into(),
        VR::TM => BIRTH.into(), // illegal as a time, and a date
        VR::AS => PATIENT.into(),
        VR::UI => UID.into(),
        VR::DS | VR::IS => BIRTH.into(),
        VR::CS => "ZX4711AB".into(),
        VR::UR => format!("https://pacs/{PATIENT}").into(),
        VR::SH => "ZX4711AB Zqxvson".into(),
        VR::AE => "ZX4711AB".into(),
        VR::FD | VR::OD => PrimitiveValue::F64(smallvec![19870605.0]),
        VR::FL | VR::OF => PrimitiveValue::F32(smallvec![19870604.0, 5.0]),
        VR::UL | VR::OL => PrimitiveValue::U32(smallvec![19870605]),
        VR::SL => PrimitiveValue::I32(smallvec![19870605]),
        VR::UV | VR::OV => PrimitiveValue::U64(smallvec![19870605]),
        VR::SV => PrimitiveValue::I64(smallvec![19870605]),
        VR::US | VR::OW => PrimitiveValue::U16(FAMILY.encode_utf16().collect()),
        VR::SS => PrimitiveValue::I16(FAMILY.encode_utf16().map(|u| u as i16).collect()),
        VR::AT => PrimitiveValue::Tags(smallvec![Tag(0x1987, 0x0605)]),
        VR::OB | VR::UN => PrimitiveValue::U8(format!("{FAMILY} {PATIENT} {BIRTH} {UID}!").bytes().collect()),
        _ => format!("{FAMILY}, {PATIENT}, {BIRTH}, {UID}, {PHONE}").into(),
    }
}

fn needles() -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = [FAMILY, "Wolfram", PATIENT, BIRTH, PHONE, "06131998877", UID]
        .iter()
        .flat_map(|needle| {
            let wide: Vec<u8> = needle.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [needle.as_bytes().to_vec(), needle.to_uppercase().into_bytes(), wide]
        })
        .collect();
    needles.push(19870605_u32.to_le_bytes().to_vec());
    needles.push(19870605_f64.to_le_bytes().to_vec());
    needles.push(19870604_f32.to_le_bytes().to_vec());
    needles.push(vec![0x87, 0x19, 0x05, 0x06]);
    needles
}

fn encode(object: &InMemDicomObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    object
        .write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased())
        .unwrap();
    bytes
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn places(elements: Vec<InMemElement>) -> Vec<(&'static str, InMemDicomObject)> {
    let item = |elements: &[InMemElement]| InMemDicomObject::from_element_iter(elements.to_vec());
    let with = |extra: Vec<InMemElement>| {
        let mut all = base();
        all.extend(extra);
        InMemDicomObject::from_element_iter(all)
    };
    let creator = || text(Tag(0x0029, 0x0010), VR::LO, "ACME HEADER");
    // A functional group that no rule removes, a private sequence, and one in the other.
    let shared = |elements: &[InMemElement]| sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![item(elements)]);
    let private = |elements: &[InMemElement]| sequence(Tag(0x0029, 0x1010), vec![item(elements)]);
    vec![
        ("at top level", with(elements.clone())),
        ("in an item", with(vec![shared(&elements)])),
        (
            "in an item of a private sequence",
            with(vec![creator(), private(&elements)]),
        ),
        (
            "in a private sequence of an item",
            with(vec![shared(&[creator(), private(&elements)])]),
        ),
    ]
}

fn tag_of(row: &Row) -> Option<Tag> {
    match row.attribute {
        Attribute::Single(tag) => Some(tag),
        Attribute::Curves => Some(Tag(0x5002, 0x3000)),
        Attribute::OverlayData => Some(Tag(0x6002, 0x3000)),
        Attribute::OverlayComments => Some(Tag(0x6002, 0x4000)),
        Attribute::Private => Some(Tag(0x0029, 0x1011)),
    }
}

/// Rows that are sequences are planted with an item of text; else `None` means the element is left out.
fn planted(row: &Row, vr: VR) -> Option<InMemElement> {
    let tag = tag_of(row)?;
    // What holds an object as a whole is tested beside; the base has these already.
    if tag == tags::ENCAPSULATED_DOCUMENT || tag.0 <= 0x0003 && vr == VR::SQ {
        return None;
    }
    Some(match vr {
        VR::SQ => sequence(
            tag,
            vec![InMemDicomObject::from_element_iter([
                text(tags::CODE_VALUE, VR::SH, PATIENT),
                text(tags::CODE_MEANING, VR::LO, FAMILY),
                text(tags::PERSON_NAME, VR::PN, FAMILY),
                text(tags::TEXT_VALUE, VR::UT, &format!("{FAMILY} {PHONE}")),
                text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, UID),
                text(tags::DATE, VR::DA, BIRTH),
            ])],
        ),
        vr => DataElement::new(tag, vr, marked(vr)),
    })
}

fn profiles() -> Vec<Arc<Profile>> {
    ["basic", "obia"]
        .iter()
        .map(|name| Profile::builtin(name).unwrap())
        .collect()
}

#[track_caller]
fn nothing_is_left(profile: &Profile, object: &InMemDicomObject, what: &str) {
    let before = encode(object);
    let out = apply(object, profile).unwrap_or_else(|held| panic!("{what}: {held}"));
    let after = encode(&out.data_set);
    for needle in needles() {
        let lost = String::from_utf8_lossy(&needle).into_owned();
        assert!(
            !contains(&after, &needle),
            "{} {what}: {lost:?} is left",
            profile.name()
        );
    }
    assert!(
        needles().iter().any(|needle| contains(&before, needle)),
        "{what}: nothing was planted"
    );
    let report = serde_json::to_string(&out.report).unwrap();
    for needle in [FAMILY, PATIENT, BIRTH, PHONE, UID] {
        assert!(!report.contains(needle), "{what}: the report repeats {needle}");
    }
}

#[test]
fn no_marker_survives_in_any_row_of_the_table_at_any_place() {
    for row in table::rows() {
        let Some(element) = planted(row, row.vr) else { continue };
        for (place, object) in places(vec![element]) {
            for profile in profiles() {
                nothing_is_left(&profile, &object, &format!("{} {place}", row.keyword));
            }
        }
    }
}

#[test]
fn no_marker_survives_under_any_vr() {
    const VRS: [VR; 34] = [
        VR::AE,
        VR::AS,
        VR::AT,
        VR::CS,
        VR::DA,
        VR::DS,
        VR::DT,
        VR::FD,
        VR::FL,
        VR::IS,
        VR::LO,
        VR::LT,
        VR::OB,
        VR::OD,
        VR::OF,
        VR::OL,
        VR::OV,
        VR::OW,
        VR::PN,
        VR::SH,
        VR::SL,
        VR::SQ,
        VR::SS,
        VR::ST,
        VR::SV,
        VR::TM,
        VR::UC,
        VR::UI,
        VR::UL,
        VR::UN,
        VR::UR,
        VR::US,
        VR::UT,
        VR::UV,
    ];
    for vr in VRS {
        let elements: Vec<_> = table::rows()
            .iter()
            .filter(|row| {
                !base()
                    .iter()
                    .any(|element| Some(dicom_core::header::Header::tag(element)) == tag_of(row))
            })
            .filter_map(|row| planted(row, vr))
            .collect();
        for (place, object) in places(elements) {
            for profile in profiles() {
                nothing_is_left(&profile, &object, &format!("all rows as {vr:?} {place}"));
            }
        }
    }
}

#[test]
fn markers_beyond_the_table_do_not_survive_either() {
    // Attributes that stay by themselves: a device's, a code's, a label's, a retired one, and what the standard has not.
    let attributes = [
        (tags::MANUFACTURER, VR::LO),
        (tags::SOFTWARE_VERSIONS, VR::LO),
        (tags::CODE_MEANING, VR::LO),
        (tags::LONG_CODE_VALUE, VR::UC),
        (tags::SEGMENT_LABEL, VR::LO),
        (tags::SEGMENT_DESCRIPTION, VR::ST),
        (tags::TRACKING_ID, VR::UT),
        (tags::BODY_PART_EXAMINED, VR::CS),
        (tags::TEXT_VALUE, VR::UT),
        (tags::EVALUATOR_NAME, VR::PN),
        (tags::SECONDARY_REVIEW_DATE, VR::DA),
        (tags::DOCUMENT_TITLE, VR::ST),
        (tags::RETRIEVE_URL, VR::UR),
        (tags::ICC_PROFILE, VR::OB),
        (tags::SOP_CLASS_UID, VR::LO),
        (Tag(0x0008, 0x9999), VR::LO),
        (Tag(0x0008, 0x9998), VR::UN),
        (Tag(0x6000, 0x0022), VR::LO),
        (Tag(0x6000, 0x1500), VR::LO),
        (Tag(0x0029, 0x0011), VR::LO),
        (Tag(0x0029, 0x1101), VR::LO),
        (Tag(0x0029, 0x1102), VR::DS),
        (Tag(0x0029, 0x1103), VR::UL),
        (Tag(0x0029, 0x1104), VR::US),
        (Tag(0x0029, 0x1105), VR::FD),
        (Tag(0x0029, 0x1106), VR::AT),
        (Tag(0x0029, 0x1107), VR::UN),
        (Tag(0x0007, 0x1107), VR::LO),
    ];
    for (tag, vr) in attributes {
        let elements = vec![
            DataElement::new(tag, vr, marked(vr)),
            text(Tag(0x0029, 0x0010), VR::LO, "ACME HEADER"),
        ];
        for (place, object) in places(elements) {
            for profile in profiles() {
                nothing_is_left(&profile, &object, &format!("{tag} {place}"));
            }
        }
    }
}

#[test]
fn rows_that_an_option_keeps_survive_at_top_level_and_in_items() {
    let options = [
        O::RetainUids,
        O::RetainDeviceIdentity,
        O::RetainInstitutionIdentity,
        O::RetainPatientCharacteristics,
        O::RetainLongitudinalFullDates,
    ];
    let mut tried = 0;
    for option in options {
        let profile = Profile::from_options("one option", Options::of(&[option]), PrivateRule::Remove).unwrap();
        for row in table::rows() {
            let Attribute::Single(tag) = row.attribute else {
                continue;
            };
            if row.option(option) != Some(OptionAction::Keep) || matches!(tag.0, 0x0000 | 0x0002) {
                continue;
            }
            let value: PrimitiveValue = match row.vr {
                VR::UI => "1.2.3.4.5.6.7".into(),
                VR::DA => "20110203".into(),
                VR::TM => "112233.4".into(),
                VR::DT => "20110203112233.4".into(),
                VR::DS => "1.75".into(),
                VR::US => PrimitiveValue::from(4_u16),
                VR::AS => "044Y".into(),
                VR::CS => if tag == tags::PATIENT_SEX { "F" } else { "YES" }.into(),
                VR::SQ => PrimitiveValue::Empty,
                VR::OB => PrimitiveValue::U8(smallvec![1, 2, 3, 4]),
                VR::SH if tag == tags::TIMEZONE_OFFSET_FROM_UTC => "+0100".into(),
                _ => "Kept 12".into(),
            };
            let (element, expected) = if row.vr == VR::SQ {
                let code = text(tags::CODE_VALUE, VR::SH, "KEPT");
                let element = sequence(tag, vec![InMemDicomObject::from_element_iter([code])]);
                (element, "KEPT".to_owned())
            } else {
                let text = value.to_str().into_owned();
                (DataElement::new(tag, row.vr, value), text)
            };
            for (place, object) in places(vec![element]).into_iter().take(2) {
                let out = apply(&object, &profile).unwrap().data_set;
                let found = match place {
                    "at top level" => out.get(tag).cloned(),
                    _ => out
                        .get(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
                        .and_then(|group| group.items()?.first()?.get(tag).cloned()),
                };
                let found = found.unwrap_or_else(|| panic!("{} {place} is gone under {option:?}", row.keyword));
                let text = match found.items() {
                    Some(items) => items[0].get(tags::CODE_VALUE).unwrap().to_str().unwrap().into_owned(),
                    None => found.value().to_str().unwrap().into_owned(),
                };
                assert_eq!(text, expected, "{} {place}", row.keyword);
                tried += 1;
            }
        }
    }
    assert!(tried > 2 * 280, "{tried}");
}

#[test]
fn implicit_vr_output_holds_no_marker_either() {
    let elements: Vec<_> = table::rows().iter().filter_map(|row| planted(row, row.vr)).collect();
    let mut all = base();
    all.extend(elements);
    let object = InMemDicomObject::from_element_iter(all);
    let mut bytes = Vec::new();
    let out = apply(&object, &Profile::builtin("obia").unwrap()).unwrap().data_set;
    out.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
        .unwrap();
    for needle in needles() {
        assert!(!contains(&bytes, &needle));
    }
}
