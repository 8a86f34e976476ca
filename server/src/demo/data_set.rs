//! What all images of the demo have in common: the modules of PS3.3 about patient, study, series, equipment and SOP
//! instance, and how a data set becomes a file of PS3.10.

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;

use super::noise::mix;
use super::person::Person;
use super::phantom::Sex;

/// A data set in the making.
pub(super) struct DataSet(InMemDicomObject);

impl DataSet {
    pub(super) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// Sets an attribute, with the VR that PS3.6 gives it.
    pub(super) fn set(&mut self, tag: Tag, value: impl Into<PrimitiveValue>) {
        let vr = StandardDataDictionary
            .by_tag(tag)
            .map_or(VR::UN, |entry| entry.vr().relaxed());
        self.0.put(DataElement::new(tag, vr, value.into()));
    }

    /// Sets attributes whose values are text.
    pub(super) fn set_all(&mut self, values: &[(Tag, &str)]) {
        for (tag, value) in values {
            self.set(*tag, *value);
        }
    }

    /// Sets a sequence.
    pub(super) fn set_items(&mut self, tag: Tag, items: Vec<DataSet>) {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }

    /// Sets the pixel data: 16-bit words, or bytes, of which there must be an even number.
    pub(super) fn set_pixels(&mut self, pixels: Pixels) {
        let (vr, value) = match pixels {
            Pixels::Words(words) => (VR::OW, PrimitiveValue::U16(words.into())),
            Pixels::Bytes(bytes) => (VR::OB, PrimitiveValue::U8(bytes.into())),
        };
        self.0.put(DataElement::new(tags::PIXEL_DATA, vr, value));
    }

    /// Returns the file.
    #[expect(
        clippy::expect_used,
        reason = "no input reaches this: the values are ours, and every kind is tested"
    )]
    pub(super) fn into_part10(self) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let file = self.0.with_meta(meta).expect("a data set of ours has its UIDs");
        let mut part10 = Vec::new();
        file.write_all(&mut part10)
            .expect("a data set of ours can be written to memory");
        part10
    }
}

/// Pixel data before it is written.
pub(super) enum Pixels {
    Words(Vec<u16>),
    Bytes(Vec<u8>),
}

/// One study of a person.
pub(super) struct Study<'a> {
    pub(super) person: &'a Person,
    pub(super) modality: &'static str,
    /// Which study of the person this is.
    pub(super) number: u16,
    pub(super) description: (&'static str, &'static str),
    /// Manufacturer and model of the device that does not exist.
    pub(super) device: (&'static str, &'static str),
}

/// One series of a study.
pub(super) struct Series {
    pub(super) number: u16,
    pub(super) description: (&'static str, &'static str),
}

impl Study<'_> {
    fn day(&self) -> NaiveDate {
        self.person.first_day + Days::new(u64::from(self.number) * 3)
    }

    fn time(&self, seconds: u16) -> NaiveTime {
        let minute = mix(self.person.seed ^ u64::from(self.number)) % 480;
        let start = NaiveTime::default() + TimeDelta::hours(8) + TimeDelta::minutes(minute.cast_signed());
        start + TimeDelta::seconds(i64::from(seconds))
    }

    /// Returns the UID of a thing of this study.
    pub(super) fn uid(&self, thing: &str, numbers: [u16; 2]) -> String {
        let text = format!("{} {} {thing} {numbers:?}", self.person.id, self.number);
        uid(self.person.seed, text.as_bytes())
    }

    fn text(&self, (english, chinese): (&'static str, &'static str)) -> &'static str {
        if self.person.chinese { chinese } else { english }
    }

    /// Returns a data set that says all but what the picture shows. Instance numbers start at 1.
    pub(super) fn instance(&self, series: &Series, sop_class: &str, instance: u16) -> DataSet {
        let mut set = DataSet::new();
        let person = self.person;
        let (day, time) = (date(self.day()), |seconds| {
            self.time(seconds).format("%H%M%S").to_string()
        });
        let begun = series.number.saturating_mul(240);
        let taken = time(begun.saturating_add(instance.saturating_mul(2)));

        // SOP Common (PS3.3 C.12.1) and General Image (C.7.6.1)
        set.set_all(&[
            (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
            (tags::SOP_CLASS_UID, sop_class),
            // "a quality control or phantom image"; Synthetic Data (0008,001C) is too new for validators in use
            (tags::QUALITY_CONTROL_IMAGE, "YES"),
            (tags::BURNED_IN_ANNOTATION, "NO"),
            (tags::LOSSY_IMAGE_COMPRESSION, "00"),
            (tags::ACQUISITION_DATE, &day),
            (tags::ACQUISITION_TIME, &taken),
            (tags::CONTENT_DATE, &day),
            (tags::CONTENT_TIME, &taken),
        ]);
        set.set(tags::SOP_INSTANCE_UID, self.uid("instance", [series.number, instance]));
        set.set(tags::INSTANCE_NUMBER, instance.to_string());

        // Patient (C.7.1.1) and Patient Study (C.7.2.2)
        set.set_all(&[
            (tags::PATIENT_NAME, &person.name),
            (tags::PATIENT_ID, &person.id),
            (tags::ISSUER_OF_PATIENT_ID, "ISOCENTER DEMO"),
            (tags::PATIENT_BIRTH_DATE, &date(person.birth_date)),
            (
                tags::PATIENT_SEX,
                if person.anatomy.sex == Sex::Female { "F" } else { "M" },
            ),
            (tags::PATIENT_AGE, &person.age_on(self.day())),
            (tags::PATIENT_WEIGHT, &format!("{:.1}", person.weight_kg)),
            (tags::PATIENT_SIZE, &format!("{:.2}", person.height_m)),
            (
                tags::PATIENT_COMMENTS,
                self.text(("Phantom, not a person", "模体，并非真人")),
            ),
        ]);

        // General Study (C.7.2.1)
        set.set_all(&[
            (tags::STUDY_DATE, &day),
            (tags::STUDY_TIME, &time(0)),
            (
                tags::ACCESSION_NUMBER,
                &format!("DEMO{:08}", mix(person.seed ^ u64::from(self.number)) % 100_000_000),
            ),
            (
                tags::REFERRING_PHYSICIAN_NAME,
                self.text(("Nobody^Nora", "Meiren^Yisheng=梅仁^医生")),
            ),
            (tags::STUDY_ID, &self.number.to_string()),
            (tags::STUDY_DESCRIPTION, self.text(self.description)),
        ]);
        set.set(tags::STUDY_INSTANCE_UID, self.uid("study", [0, 0]));

        // General Series (C.7.3.1)
        set.set_all(&[
            (tags::MODALITY, self.modality),
            (tags::SERIES_NUMBER, &series.number.to_string()),
            (tags::SERIES_DATE, &day),
            (tags::SERIES_TIME, &time(begun)),
            (tags::SERIES_DESCRIPTION, self.text(series.description)),
            (tags::BODY_PART_EXAMINED, "PELVIS"),
            (tags::OPERATORS_NAME, "Nobody^Otto"),
        ]);
        set.set(tags::SERIES_INSTANCE_UID, self.uid("series", [series.number, 0]));

        // General Equipment (C.7.5.1)
        set.set_all(&[
            (tags::MANUFACTURER, self.device.0),
            (tags::MANUFACTURER_MODEL_NAME, self.device.1),
            (
                tags::INSTITUTION_NAME,
                self.text(("Isocenter Demo Hospital", "等中心示例医院")),
            ),
            (tags::STATION_NAME, &format!("DEMO{}", self.modality)),
            (tags::DEVICE_SERIAL_NUMBER, "0000"),
            (tags::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION")),
        ]);
        set
    }

    /// Adds where an axial slice lies: Frame of Reference (C.7.4.1) and Image Plane (C.7.6.2).
    ///
    /// `corner` is the centre of the first pixel in the patient's coordinates: to the left, to the back, up (mm).
    pub(super) fn place(&self, set: &mut DataSet, corner: [f32; 3], pixel_mm: f32, spacing_mm: f32) {
        set.set(tags::FRAME_OF_REFERENCE_UID, self.uid("frame of reference", [0, 0]));
        set.set_all(&[
            (tags::POSITION_REFERENCE_INDICATOR, ""),
            (tags::PATIENT_POSITION, "HFS"),
            (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0"),
        ]);
        let [x, y, z] = corner;
        set.set(tags::IMAGE_POSITION_PATIENT, format!("{x:.3}\\{y:.3}\\{z:.3}"));
        set.set(tags::SLICE_LOCATION, format!("{z:.3}"));
        set.set(tags::PIXEL_SPACING, format!("{pixel_mm:.5}\\{pixel_mm:.5}"));
        set.set(tags::SLICE_THICKNESS, format!("{spacing_mm:.3}"));
        set.set(tags::SPACING_BETWEEN_SLICES, format!("{spacing_mm:.3}"));
    }
}

/// Sets the attributes of a gray or colour matrix (Image Pixel, C.7.6.3).
pub(super) fn matrix(set: &mut DataSet, rows: u16, columns: u16, photometric: &str, stored: u16) {
    let samples: u16 = if photometric == "RGB" { 3 } else { 1 };
    set.set(tags::SAMPLES_PER_PIXEL, samples);
    set.set(tags::PHOTOMETRIC_INTERPRETATION, photometric);
    if samples > 1 {
        set.set(tags::PLANAR_CONFIGURATION, 0u16);
    }
    set.set(tags::ROWS, rows);
    set.set(tags::COLUMNS, columns);
    set.set(tags::BITS_ALLOCATED, if stored > 8 { 16u16 } else { 8 });
    set.set(tags::BITS_STORED, stored);
    set.set(tags::HIGH_BIT, stored - 1);
    set.set(tags::PIXEL_REPRESENTATION, 0u16);
}

fn date(day: NaiveDate) -> String {
    day.format("%Y%m%d").to_string()
}

/// Returns a UID of the form that PS3.5 B.2 derives from a UUID, here one of version 8 made of hashes.
fn uid(seed: u64, text: &[u8]) -> String {
    let half = |start: u64| {
        text.iter()
            .fold(mix(seed ^ start), |hash, byte| mix(hash ^ u64::from(*byte)))
    };
    let bits = u128::from(half(1)) << 64 | u128::from(half(2));
    let uuid = bits & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
    format!("2.25.{uuid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_those_of_uuids_and_differ() {
        let first = uid(1, b"a");
        assert_eq!(first, uid(1, b"a"));
        assert!(first != uid(2, b"a") && first != uid(1, b"b"));
        let uuid: u128 = first.strip_prefix("2.25.").unwrap().parse().unwrap();
        assert_eq!(((uuid >> 76) & 0xf, (uuid >> 62) & 0x3), (8, 2));
        assert!(first.len() <= 64);
    }
}
