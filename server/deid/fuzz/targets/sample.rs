//! The object that scripts are applied to: one value of each kind, nested, private, long and empty.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_deid::ctp::Object;

pub fn data_set() -> InMemDicomObject {
    let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
    let item = InMemDicomObject::from_element_iter([
        text(tags::PATIENT_NAME, VR::PN, "Quellmann^Inner"),
        text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4.6"),
        text(Tag(0x0011, 0x0010), VR::LO, "ACME"),
        text(Tag(0x0011, 0x1001), VR::LO, "Quellmann inside"),
    ]);
    let items = DataSetSequence::new(vec![item], Length::UNDEFINED);
    InMemDicomObject::from_element_iter([
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.3.1"),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5"),
        text(tags::STUDY_DATE, VR::DA, "20040119"),
        text(tags::ACQUISITION_DATE_TIME, VR::DT, "20040119120000.5+0100"),
        text(tags::STUDY_TIME, VR::TM, "120000"),
        text(tags::ACCESSION_NUMBER, VR::SH, ""),
        text(tags::MODALITY, VR::CS, "US"),
        text(tags::MANUFACTURER, VR::LO, "ACME"),
        text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY"),
        text(tags::STUDY_DESCRIPTION, VR::LO, "abdomen of Quellmann"),
        text(tags::PATIENT_NAME, VR::PN, "Quellmann^Erna"),
        text(tags::PATIENT_ID, VR::LO, "2188878"),
        text(tags::PATIENT_BIRTH_DATE, VR::DA, "19731025"),
        text(tags::PATIENT_AGE, VR::AS, "031Y"),
        text(tags::PATIENT_WEIGHT, VR::DS, "71.5"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4.1"),
        text(tags::SERIES_NUMBER, VR::IS, "3"),
        DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(480_u16)),
        DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(640_u16)),
        text(Tag(0x0009, 0x0010), VR::LO, "GEMS_IDEN_01"),
        text(Tag(0x0009, 0x1002), VR::SH, "Quellmann CT"),
        DataElement::new(tags::REFERENCED_IMAGE_SEQUENCE, VR::SQ, items),
    ])
}

pub fn object(data_set: &InMemDicomObject) -> Object<'_> {
    Object {
        data_set,
        meta: None,
        has_pixel_data: true,
        issuer: "HOSPITAL",
    }
}
