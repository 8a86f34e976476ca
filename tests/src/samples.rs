//! Instances that we make ourselves: valid CT images with known pixels and, where asked for, a marker in every element
//! that can identify somebody.

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR, dicom_value};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// What a sample says of itself.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Patient ID.
    pub patient_id: String,
    /// Patient's Name.
    pub patient_name: String,
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub series: String,
    /// SOP Instance UID.
    pub instance: String,
    /// Instance Number.
    pub number: u32,
    /// Rows and columns.
    pub size: u16,
    /// Text that stands in every identifying element; none for a plain sample.
    pub marker: Option<String>,
}

impl Sample {
    /// Returns the sample of a patient, study and number; UIDs follow from these.
    pub fn new(patient: u32, study: u32, number: u32) -> Self {
        let root = format!("1.2.826.0.1.3680043.10.1559.{patient}.{study}");
        Self {
            patient_id: format!("HOSP{patient:05}"),
            patient_name: format!("Sample^Patient{patient}"),
            study: root.clone(),
            series: format!("{root}.1"),
            instance: format!("{root}.1.{number}"),
            number,
            size: 32,
            marker: None,
        }
    }

    /// Makes the picture larger.
    #[must_use]
    pub fn sized(mut self, size: u16) -> Self {
        self.size = size;
        self
    }

    /// Plants a marker in every identifying element.
    #[must_use]
    pub fn marked(mut self, marker: &str) -> Self {
        self.marker = Some(marker.to_owned());
        self.patient_id = format!("{marker}ID");
        self.patient_name = format!("{marker}^{marker}");
        self
    }

    /// Returns its path below the root of DICOMweb, where it is kept under its own UIDs.
    pub fn path(&self) -> String {
        format!(
            "/studies/{}/series/{}/instances/{}",
            self.study, self.series, self.instance
        )
    }

    /// Returns the stored samples, little endian: stripes whose direction and width depend on the instance.
    pub fn pixels(&self) -> Vec<u8> {
        let size = u32::from(self.size);
        let (across, down) = (13 + self.number * 29, 7 + self.number * 53);
        let value = |i: u32| ((i % size) * across + (i / size) * down + self.number * 101) % 4096;
        (0..size * size).flat_map(|i| (value(i) as u16).to_le_bytes()).collect()
    }

    /// Returns the PS3.10 file, Explicit VR Little Endian.
    pub fn file(&self) -> Vec<u8> {
        let object = self.object();
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax("1.2.840.10008.1.2.1")
            .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
            .media_storage_sop_instance_uid(self.instance.clone());
        let file = object.with_meta(meta).expect("a valid file meta group");
        let mut out = Vec::new();
        file.write_all(&mut out).expect("writing to memory");
        out
    }

    /// Returns the data set.
    pub fn object(&self) -> InMemDicomObject {
        let text = |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        let number = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let mut o = InMemDicomObject::from_element_iter([
            text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
            text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
            text(tags::SOP_INSTANCE_UID, VR::UI, &self.instance),
            text(tags::STUDY_DATE, VR::DA, "20240115"),
            text(tags::STUDY_TIME, VR::TM, "101500"),
            text(tags::ACCESSION_NUMBER, VR::SH, ""),
            text(tags::MODALITY, VR::CS, "CT"),
            text(tags::MANUFACTURER, VR::LO, "Isocenter"),
            text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
            text(tags::STUDY_DESCRIPTION, VR::LO, "CT PELVIS"),
            text(tags::SERIES_DESCRIPTION, VR::LO, "AXIAL 5 mm"),
            text(tags::PATIENT_NAME, VR::PN, &self.patient_name),
            text(tags::PATIENT_ID, VR::LO, &self.patient_id),
            text(tags::PATIENT_BIRTH_DATE, VR::DA, "19610203"),
            text(tags::PATIENT_SEX, VR::CS, "F"),
            text(tags::PATIENT_AGE, VR::AS, "062Y"),
            text(tags::SLICE_THICKNESS, VR::DS, "5"),
            text(tags::KVP, VR::DS, "120"),
            text(tags::STUDY_INSTANCE_UID, VR::UI, &self.study),
            text(tags::SERIES_INSTANCE_UID, VR::UI, &self.series),
            text(tags::STUDY_ID, VR::SH, "1"),
            text(tags::SERIES_NUMBER, VR::IS, "1"),
            text(tags::INSTANCE_NUMBER, VR::IS, &self.number.to_string()),
            text(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                &format!("0\\0\\{}", self.number * 5),
            ),
            text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
            text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &format!("{}.9", self.study)),
            text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
            number(tags::SAMPLES_PER_PIXEL, 1),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            number(tags::ROWS, self.size),
            number(tags::COLUMNS, self.size),
            text(tags::PIXEL_SPACING, VR::DS, "1\\1"),
            number(tags::BITS_ALLOCATED, 16),
            number(tags::BITS_STORED, 12),
            number(tags::HIGH_BIT, 11),
            number(tags::PIXEL_REPRESENTATION, 0),
            text(tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
            text(tags::RESCALE_SLOPE, VR::DS, "1"),
        ]);
        let words: Vec<u16> = self
            .pixels()
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .collect();
        o.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(words.into()),
        ));
        if let Some(marker) = &self.marker {
            plant(&mut o, marker);
        }
        o
    }
}

/// Puts the marker into elements of every identifying kind: top level, nested, private, dates aside.
fn plant(object: &mut InMemDicomObject, marker: &str) {
    let short: String = marker.chars().take(16).collect();
    for (tag, vr) in [
        (tags::ACCESSION_NUMBER, VR::SH),
        (tags::INSTITUTION_NAME, VR::LO),
        (tags::INSTITUTION_ADDRESS, VR::ST),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
        (tags::REFERRING_PHYSICIAN_TELEPHONE_NUMBERS, VR::SH),
        (tags::STATION_NAME, VR::SH),
        (tags::PERFORMING_PHYSICIAN_NAME, VR::PN),
        (tags::OPERATORS_NAME, VR::PN),
        (Tag(0x0010, 0x1000), VR::LO),
        (tags::OTHER_PATIENT_NAMES, VR::PN),
        (tags::PATIENT_ADDRESS, VR::LO),
        (tags::PATIENT_TELEPHONE_NUMBERS, VR::SH),
        (tags::PATIENT_COMMENTS, VR::LT),
        (tags::IMAGE_COMMENTS, VR::LT),
        (tags::DEVICE_SERIAL_NUMBER, VR::LO),
        (tags::REQUESTING_PHYSICIAN, VR::PN),
        (tags::ADMISSION_ID, VR::LO),
        (Tag(0x0009, 0x0010), VR::LO),
        (Tag(0x0009, 0x1001), VR::LO),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(short.as_str())));
    }
    let inner = InMemDicomObject::from_element_iter([
        DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::from(short.as_str())),
        DataElement::new(tags::PATIENT_ID, VR::LO, PrimitiveValue::from(short.as_str())),
    ]);
    let outer = InMemDicomObject::from_element_iter([
        DataElement::new(
            tags::REQUESTED_PROCEDURE_DESCRIPTION,
            VR::LO,
            PrimitiveValue::from(short.as_str()),
        ),
        DataElement::new(
            tags::REFERENCED_PATIENT_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(vec![inner]),
        ),
    ]);
    object.put(DataElement::new(
        tags::REQUEST_ATTRIBUTES_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(vec![outer]),
    ));
    object.put(DataElement::new(
        Tag(0x0009, 0x1002),
        VR::IS,
        dicom_value!(Strs, ["42"]),
    ));
}

/// Returns the bytes of the pixel data of a PS3.10 file in a native little endian syntax.
pub fn pixels_of(file: &[u8]) -> Vec<u8> {
    let object = dicom_object::from_reader(file).expect("a DICOM file");
    object
        .element(tags::PIXEL_DATA)
        .expect("pixel data")
        .to_bytes()
        .expect("native")
        .into_owned()
}
