//! Instances to send: made here, or read from files and given new UIDs.

use crate::data_set::{self, DataSet, EXPLICIT_VR_LITTLE_ENDIAN, tags};
use crate::phantom::{Phantom, uid};
use anyhow::{Result, anyhow};
use bytes::Bytes;
use dicom_dictionary_std::tags as names;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use std::path::{Path, PathBuf};

/// CT Image Storage (PS3.4 B.5).
pub const CT_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
/// Nuclear Medicine Image Storage: the plainest class that is multi-frame by nature.
pub const NM_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.20";

/// One instance as it is sent: a Part 10 file and what must be known about it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID as sent.
    pub sop_instance_uid: String,
    /// Series Instance UID as sent.
    pub series_instance_uid: String,
    /// Study Instance UID as sent.
    pub study_instance_uid: String,
    /// Transfer Syntax UID of the data set.
    pub transfer_syntax_uid: String,
    /// The whole file.
    pub file: Bytes,
    /// The encoded data set alone, as C-STORE carries it.
    pub data_set: Bytes,
    /// Where a file came from.
    pub path: Option<PathBuf>,
}

impl Sample {
    /// Returns the sample of a data set that this program made.
    pub fn from_data_set(set: &DataSet, transfer_syntax_uid: &str) -> Self {
        let file = Bytes::from(set.file(transfer_syntax_uid));
        let offset = data_set::data_set_offset(&file).unwrap_or(file.len());
        Self {
            sop_class_uid: set.value_text(tags::SOP_CLASS_UID),
            sop_instance_uid: set.value_text(tags::SOP_INSTANCE_UID),
            series_instance_uid: set.value_text(tags::SERIES_INSTANCE_UID),
            study_instance_uid: set.value_text(tags::STUDY_INSTANCE_UID),
            transfer_syntax_uid: transfer_syntax_uid.to_owned(),
            data_set: file.slice(offset..),
            file,
            path: None,
        }
    }

    /// Returns the sample of a file, as it lies on disk.
    ///
    /// # Errors
    /// When the file cannot be read or lacks one of its UIDs: such a file is no matter for these checks.
    pub fn read(path: &Path) -> Result<Self> {
        let file = Bytes::from(std::fs::read(path)?);
        let offset = data_set::data_set_offset(&file).ok_or_else(|| anyhow!("no Part 10 file"))?;
        let (object, transfer_syntax_uid) = header(&file)?;
        let of = |tag| -> Result<String> {
            // As bytes: a file may hold its UIDs under VR UN.
            let bytes = object.element(tag)?.to_bytes()?;
            let text = String::from_utf8_lossy(&bytes).trim_end_matches([' ', '\0']).to_owned();
            if text.is_empty() {
                Err(anyhow!("a UID is empty"))
            } else {
                Ok(text)
            }
        };
        Ok(Self {
            sop_class_uid: of(names::SOP_CLASS_UID)?,
            sop_instance_uid: of(names::SOP_INSTANCE_UID)?,
            series_instance_uid: of(names::SERIES_INSTANCE_UID)?,
            study_instance_uid: of(names::STUDY_INSTANCE_UID)?,
            transfer_syntax_uid,
            data_set: file.slice(offset..),
            file,
            path: Some(path.to_owned()),
        })
    }

    /// Returns the same instance under UIDs that belong to `key`, so that an archive takes it for a new one.
    ///
    /// # Errors
    /// When the file cannot be decoded and encoded again by the library.
    pub fn renewed(&self, key: &str) -> Result<Self> {
        use dicom_core::{DataElement, PrimitiveValue, VR};
        let mut object = parsed(&self.file)?;
        let (study, series, instance) = (
            uid(&[key, &self.study_instance_uid]),
            uid(&[key, &self.series_instance_uid]),
            uid(&[key, &self.sop_instance_uid]),
        );
        for (tag, value) in [
            (names::STUDY_INSTANCE_UID, &study),
            (names::SERIES_INSTANCE_UID, &series),
            (names::SOP_INSTANCE_UID, &instance),
        ] {
            object.put(DataElement::new(tag, VR::UI, PrimitiveValue::from(value.as_str())));
        }
        object.update_meta(|meta| meta.media_storage_sop_instance_uid.clone_from(&instance));
        let mut file = Vec::with_capacity(self.file.len() + 256);
        object.write_all(&mut file)?;
        let file = Bytes::from(file);
        let offset = data_set::data_set_offset(&file).ok_or_else(|| anyhow!("the file meta group was not written"))?;
        Ok(Self {
            sop_instance_uid: instance,
            series_instance_uid: series,
            study_instance_uid: study,
            data_set: file.slice(offset..),
            file,
            ..self.clone()
        })
    }
}

/// Returns a file as the library reads it, behind a file meta group of our own with the same UIDs.
fn parsed(file: &[u8]) -> Result<DefaultDicomObject> {
    let offset = data_set::data_set_offset(file).ok_or_else(|| anyhow!("no Part 10 file"))?;
    let of = |element| data_set::file_meta_text(file, element);
    let syntax = of(0x0010).ok_or_else(|| anyhow!("the file meta group names no transfer syntax"))?;
    let (class, instance) = (of(0x0002).unwrap_or_default(), of(0x0003).unwrap_or_default());
    let clean = data_set::part10(&class, &instance, &syntax, file.get(offset..).unwrap_or_default());
    Ok(dicom_object::from_reader(clean.as_slice())?)
}

/// Returns the pixel data of a Part 10 file: the value of a native element, or the fragments of an encapsulated one joined.
///
/// # Errors
/// When the file cannot be decoded or has no pixel data.
pub fn pixel_data(file: &[u8]) -> Result<Vec<u8>> {
    let object = parsed(file)?;
    let element = object.element(names::PIXEL_DATA)?;
    if let Some(fragments) = element.fragments() {
        return Ok(fragments.concat());
    }
    Ok(element.to_bytes()?.into_owned())
}

/// Returns the header of a Part 10 file and its transfer syntax.
///
/// # Errors
/// When the file cannot be decoded.
pub fn header(file: &[u8]) -> Result<(InMemDicomObject, String)> {
    let object = parsed(file)?;
    let syntax = object.meta().transfer_syntax().trim_end_matches([' ', '\0']).to_owned();
    Ok((object.into_inner(), syntax))
}

/// Makes the studies that checks and benchmarks send. Everything follows from the key.
#[derive(Clone, Debug)]
pub struct Maker {
    key: String,
    phantom: Phantom,
    columns: u16,
    rows: u16,
}

impl Maker {
    /// Returns a maker of images of that size.
    pub fn new(key: &str, columns: u16, rows: u16) -> Self {
        Self {
            key: key.to_owned(),
            phantom: Phantom::new(columns, rows, key),
            columns,
            rows,
        }
    }

    /// Returns the attributes that every object of a study has in common.
    pub fn study(&self, study: &str) -> DataSet {
        let number = crate::phantom::Numbers::named(&[&self.key, study, "number"]).draw();
        let mut set = DataSet::default();
        set.text(tags::SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")
            .text((0x0008, 0x0008), "CS", "ORIGINAL\\PRIMARY\\AXIAL")
            .text(
                tags::STUDY_DATE,
                "DA",
                format!("2019{:02}{:02}", 1 + number % 12, 1 + (number >> 8) % 28),
            )
            .text(tags::STUDY_TIME, "TM", format!("{:02}3015", 8 + (number >> 16) % 10))
            .text(tags::ACCESSION_NUMBER, "SH", format!("C{:09}", number % 1_000_000_000))
            .text((0x0008, 0x0070), "LO", "Isocenter")
            .text((0x0008, 0x0090), "PN", "")
            .text((0x0008, 0x1030), "LO", "Conformance")
            .text(tags::PATIENT_NAME, "PN", format!("Phantom^{:06}", number % 1_000_000))
            .text(
                tags::PATIENT_ID,
                "LO",
                format!("CONF{:012}", (number >> 4) % 1_000_000_000_000),
            )
            .text((0x0010, 0x0030), "DA", "")
            .text((0x0010, 0x0040), "CS", "O")
            .text((0x0018, 0x5100), "CS", "HFS")
            .text(tags::STUDY_INSTANCE_UID, "UI", uid(&[&self.key, study]))
            .text((0x0020, 0x0010), "SH", format!("{}", number % 100_000))
            .text((0x0020, 0x0052), "UI", uid(&[&self.key, study, "frame of reference"]))
            .text((0x0028, 0x0301), "CS", "NO");
        set
    }

    /// Returns one CT image; `number` is its place in the series, from 1.
    pub fn ct(&self, study: &str, series: u32, number: u32) -> DataSet {
        let series_name = format!("series {series}");
        let instance = uid(&[&self.key, study, &series_name, &number.to_string()]);
        let position = f64::from(number) * 1.25 - 300.0;
        let mut set = self.study(study);
        let date = set.value_text(tags::STUDY_DATE);
        let time = set.value_text(tags::STUDY_TIME);
        set.text(tags::SOP_CLASS_UID, "UI", CT_IMAGE_STORAGE)
            .text(tags::SOP_INSTANCE_UID, "UI", &instance)
            .text((0x0008, 0x0021), "DA", &date)
            .text((0x0008, 0x0022), "DA", &date)
            .text((0x0008, 0x0023), "DA", &date)
            .text((0x0008, 0x0031), "TM", &time)
            .text((0x0008, 0x0032), "TM", &time)
            .text((0x0008, 0x0033), "TM", &time)
            .text(tags::MODALITY, "CS", "CT")
            .text((0x0018, 0x0050), "DS", "1.25")
            .text((0x0018, 0x0060), "DS", "120")
            .text(tags::SERIES_INSTANCE_UID, "UI", uid(&[&self.key, study, &series_name]))
            .text(tags::SERIES_NUMBER, "IS", series.to_string())
            .text((0x0020, 0x0012), "IS", "1")
            .text(tags::INSTANCE_NUMBER, "IS", number.to_string())
            .text((0x0020, 0x0032), "DS", format!("-190\\-190\\{position}"))
            .text((0x0020, 0x0037), "DS", "1\\0\\0\\0\\1\\0")
            .text((0x0020, 0x1040), "LO", "")
            .text((0x0020, 0x1041), "DS", format!("{position}"))
            .unsigned_short((0x0028, 0x0002), 1)
            .text((0x0028, 0x0004), "CS", "MONOCHROME2")
            .unsigned_short((0x0028, 0x0010), self.rows)
            .unsigned_short((0x0028, 0x0011), self.columns)
            .text((0x0028, 0x0030), "DS", "0.742\\0.742")
            .unsigned_short((0x0028, 0x0100), 16)
            .unsigned_short((0x0028, 0x0101), 12)
            .unsigned_short((0x0028, 0x0102), 11)
            .unsigned_short((0x0028, 0x0103), 0)
            .text((0x0028, 0x1050), "DS", "40")
            .text((0x0028, 0x1051), "DS", "400")
            .text((0x0028, 0x1052), "DS", "-1024")
            .text((0x0028, 0x1053), "DS", "1")
            .text((0x0028, 0x1054), "LO", "HU")
            .bytes(tags::PIXEL_DATA, "OW", self.phantom.ct_slice(&instance, number));
        set
    }

    /// Returns a multi-frame image whose frames have an odd number of bytes, so that padding between frames would show.
    pub fn odd_frames(&self, study: &str, series: u32, frames: u16) -> DataSet {
        let (columns, rows) = (33_u16, 21_u16);
        let mut set = self.ct(study, series, 1);
        let mut pixels = Vec::new();
        for frame in 0..frames {
            let mut numbers = crate::phantom::Numbers::named(&[&self.key, "nm", &frame.to_string()]);
            for place in 0..usize::from(columns) * usize::from(rows) {
                let ramp = u8::try_from(place / 4 % 200).unwrap_or(0);
                pixels.push(ramp.saturating_add(u8::try_from(numbers.draw() % 50).unwrap_or(0)));
            }
        }
        set.text(tags::SOP_CLASS_UID, "UI", NM_IMAGE_STORAGE)
            .text((0x0008, 0x0008), "CS", "ORIGINAL\\PRIMARY\\STATIC\\EMISSION")
            .text(tags::MODALITY, "CS", "NM")
            .text((0x0028, 0x0008), "IS", frames.to_string())
            .unsigned_short((0x0028, 0x0010), rows)
            .unsigned_short((0x0028, 0x0011), columns)
            .unsigned_short((0x0028, 0x0100), 8)
            .unsigned_short((0x0028, 0x0101), 8)
            .unsigned_short((0x0028, 0x0102), 7)
            .text((0x0028, 0x1050), "DS", "128")
            .text((0x0028, 0x1051), "DS", "256")
            .remove((0x0028, 0x1052))
            .remove((0x0028, 0x1053))
            .remove((0x0028, 0x1054))
            .remove((0x0018, 0x0060))
            .bytes(tags::PIXEL_DATA, "OB", pixels);
        set
    }

    /// Returns a series of CT images as samples in Explicit VR Little Endian.
    pub fn ct_series(&self, study: &str, series: u32, count: u32) -> Vec<Sample> {
        (1..=count)
            .map(|number| Sample::from_data_set(&self.ct(study, series, number), EXPLICIT_VR_LITTLE_ENDIAN))
            .collect()
    }
}

/// Returns a key that no earlier run used.
pub fn fresh_key() -> String {
    use std::hash::{BuildHasher, Hasher};
    let noise = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{}-{noise:016x}", chrono::Utc::now().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_image_is_whole_and_its_pixels_come_back() {
        let maker = Maker::new("k", 64, 48);
        let set = maker.ct("s", 1, 1);
        let sample = Sample::from_data_set(&set, EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(pixel_data(&sample.file).unwrap(), set.value(tags::PIXEL_DATA).unwrap());
        assert_eq!(
            sample.data_set.len() + data_set::data_set_offset(&sample.file).unwrap(),
            sample.file.len()
        );
    }

    #[test]
    fn a_renewed_instance_has_other_uids_and_the_same_pixels() {
        let sample = Sample::from_data_set(&Maker::new("k", 64, 48).ct("s", 1, 1), EXPLICIT_VR_LITTLE_ENDIAN);
        let renewed = sample.renewed("again").unwrap();
        assert_ne!(renewed.sop_instance_uid, sample.sop_instance_uid);
        assert_eq!(pixel_data(&renewed.file).unwrap(), pixel_data(&sample.file).unwrap());
        let (header, syntax) = header(&renewed.file).unwrap();
        assert_eq!(syntax, EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(
            header.element_by_name("SOPInstanceUID").unwrap().to_str().unwrap(),
            renewed.sop_instance_uid
        );
    }

    #[test]
    fn odd_frames_really_have_an_odd_length() {
        let set = Maker::new("k", 64, 48).odd_frames("s", 2, 5);
        assert_eq!(33 * 21 % 2, 1);
        assert_eq!(set.value(tags::PIXEL_DATA).unwrap().len(), (33 * 21 * 5) + 1);
    }
}
