//! Encoding of the objects that we make ourselves.
//!
//! Small on purpose: elements of known VR in tag order, no sequences, no compression. A check has to know every byte that
//! it sends, and some checks need bytes that a well-behaved library refuses to write.

use std::collections::BTreeMap;

/// Explicit VR Little Endian (PS3.5 A.2).
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Implicit VR Little Endian (PS3.5 A.1).
pub const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";

/// A tag as (group, element).
pub type Tag = (u16, u16);

/// Common tags, under the standard's keywords.
pub mod tags {
    #![expect(missing_docs, reason = "the names are the standard's keywords")]
    use super::Tag;
    pub const SPECIFIC_CHARACTER_SET: Tag = (0x0008, 0x0005);
    pub const SOP_CLASS_UID: Tag = (0x0008, 0x0016);
    pub const SOP_INSTANCE_UID: Tag = (0x0008, 0x0018);
    pub const STUDY_DATE: Tag = (0x0008, 0x0020);
    pub const STUDY_TIME: Tag = (0x0008, 0x0030);
    pub const ACCESSION_NUMBER: Tag = (0x0008, 0x0050);
    pub const MODALITY: Tag = (0x0008, 0x0060);
    pub const PATIENT_NAME: Tag = (0x0010, 0x0010);
    pub const PATIENT_ID: Tag = (0x0010, 0x0020);
    pub const STUDY_INSTANCE_UID: Tag = (0x0020, 0x000D);
    pub const SERIES_INSTANCE_UID: Tag = (0x0020, 0x000E);
    pub const SERIES_NUMBER: Tag = (0x0020, 0x0011);
    pub const INSTANCE_NUMBER: Tag = (0x0020, 0x0013);
    pub const PIXEL_DATA: Tag = (0x7FE0, 0x0010);
}

#[derive(Clone, Debug)]
struct Element {
    vr: [u8; 2],
    value: Vec<u8>,
}

/// A data set: elements in tag order.
#[derive(Clone, Debug, Default)]
pub struct DataSet {
    elements: BTreeMap<Tag, Element>,
}

impl DataSet {
    /// Sets a text element; the value is padded to even length as its VR asks (PS3.5 6.2).
    pub fn text(&mut self, tag: Tag, vr: &str, value: impl AsRef<str>) -> &mut Self {
        let mut bytes = value.as_ref().as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == "UI" { 0 } else { b' ' });
        }
        self.bytes(tag, vr, bytes)
    }

    /// Sets an element of VR US.
    pub fn unsigned_short(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.bytes(tag, "US", value.to_le_bytes().to_vec())
    }

    /// Sets an element from its encoded value, which has even length (an odd one is padded with zero).
    pub fn bytes(&mut self, tag: Tag, vr: &str, mut value: Vec<u8>) -> &mut Self {
        if value.len() % 2 == 1 {
            value.push(0);
        }
        let mut name = [b'U', b'N'];
        for (to, from) in name.iter_mut().zip(vr.bytes()) {
            *to = from;
        }
        self.elements.insert(tag, Element { vr: name, value });
        self
    }

    /// Removes an element.
    pub fn remove(&mut self, tag: Tag) -> &mut Self {
        self.elements.remove(&tag);
        self
    }

    /// Returns the encoded value of an element.
    pub fn value(&self, tag: Tag) -> Option<&[u8]> {
        self.elements.get(&tag).map(|element| element.value.as_slice())
    }

    /// Returns the text of an element without its padding.
    pub fn value_text(&self, tag: Tag) -> String {
        let text = String::from_utf8_lossy(self.value(tag).unwrap_or_default()).into_owned();
        text.trim_end_matches([' ', '\0']).to_owned()
    }

    /// Returns the data set in Explicit VR Little Endian.
    pub fn explicit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_capacity());
        for (tag, element) in &self.elements {
            put_explicit(&mut out, *tag, element.vr, &element.value);
        }
        out
    }

    /// Returns the data set in Implicit VR Little Endian.
    pub fn implicit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_capacity());
        for (tag, element) in &self.elements {
            put_implicit(&mut out, *tag, &element.value);
        }
        out
    }

    /// Returns a Part 10 file of this data set in one of the two syntaxes that this module writes.
    pub fn file(&self, transfer_syntax_uid: &str) -> Vec<u8> {
        let body = if transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN {
            self.implicit()
        } else {
            self.explicit()
        };
        let class = self.value_text(tags::SOP_CLASS_UID);
        let instance = self.value_text(tags::SOP_INSTANCE_UID);
        part10(&class, &instance, transfer_syntax_uid, &body)
    }

    fn encoded_capacity(&self) -> usize {
        self.elements.values().map(|element| element.value.len() + 12).sum()
    }
}

/// Returns a Part 10 file around an encoded data set (PS3.10 7.1).
pub fn part10(sop_class_uid: &str, sop_instance_uid: &str, transfer_syntax_uid: &str, data_set: &[u8]) -> Vec<u8> {
    let mut meta = DataSet::default();
    meta.bytes((0x0002, 0x0001), "OB", vec![0, 1])
        .text((0x0002, 0x0002), "UI", sop_class_uid)
        .text((0x0002, 0x0003), "UI", sop_instance_uid)
        .text((0x0002, 0x0010), "UI", transfer_syntax_uid)
        .text((0x0002, 0x0012), "UI", crate::dimse::IMPLEMENTATION_CLASS_UID)
        .text((0x0002, 0x0013), "SH", crate::dimse::IMPLEMENTATION_VERSION_NAME);
    let meta = meta.explicit();
    let mut file = Vec::with_capacity(144 + meta.len() + data_set.len());
    file.resize(128, 0);
    file.extend_from_slice(b"DICM");
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX);
    put_explicit(&mut file, (0x0002, 0x0000), *b"UL", &length.to_le_bytes());
    file.extend_from_slice(&meta);
    file.extend_from_slice(data_set);
    file
}

fn put_explicit(out: &mut Vec<u8>, tag: Tag, vr: [u8; 2], value: &[u8]) {
    out.extend_from_slice(&tag.0.to_le_bytes());
    out.extend_from_slice(&tag.1.to_le_bytes());
    out.extend_from_slice(&vr);
    // PS3.5 7.1.2: these carry two reserved bytes and a 32-bit length, all others a 16-bit length.
    if matches!(
        &vr,
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
    ) {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    } else {
        out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    }
    out.extend_from_slice(value);
}

/// Appends an element in Implicit VR Little Endian, as command sets use it too (PS3.7 6.3.1).
pub fn put_implicit(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    out.extend_from_slice(&tag.0.to_le_bytes());
    out.extend_from_slice(&tag.1.to_le_bytes());
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(value);
}

/// Returns where the data set of a Part 10 file begins, or `None` when it has no preamble and group length.
pub fn data_set_offset(file: &[u8]) -> Option<usize> {
    if file.get(128..132)? != b"DICM" || file.get(132..138)? != [2, 0, 0, 0, b'U', b'L'] {
        return None;
    }
    let length = u32::from_le_bytes(file.get(140..144)?.try_into().ok()?);
    let offset = 144usize.checked_add(length as usize)?;
    (offset <= file.len()).then_some(offset)
}

/// Returns an element of the file meta group as text, read without judging it.
///
/// Libraries refuse a whole file for a Source Application Entity Title of 18 characters, which real files have.
pub fn file_meta_text(file: &[u8], element: u16) -> Option<String> {
    let mut rest = file.get(144..data_set_offset(file)?)?;
    while let Some((head, after)) = rest.split_at_checked(8) {
        let number = u16::from_le_bytes(head.get(2..4)?.try_into().ok()?);
        // Of the VRs that the group uses only OB and UN have a long length.
        let long = matches!(head.get(4..6)?, b"OB" | b"UN");
        let (length, after) = if long {
            let (length, after) = after.split_at_checked(4)?;
            (u32::from_le_bytes(length.try_into().ok()?) as usize, after)
        } else {
            (usize::from(u16::from_le_bytes(head.get(6..8)?.try_into().ok()?)), after)
        };
        let (value, after) = after.split_at_checked(length)?;
        if number == element {
            return Some(String::from_utf8_lossy(value).trim_end_matches(['\0', ' ']).to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_ae_title_that_is_too_long_does_not_hide_the_transfer_syntax() {
        let mut meta = DataSet::default();
        meta.bytes((2, 1), "OB", vec![0, 1])
            .text((2, 0x10), "UI", "1.2.3")
            .text((2, 0x16), "AE", " ".repeat(18));
        let meta = meta.explicit();
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        put_explicit(
            &mut file,
            (2, 0),
            *b"UL",
            &u32::try_from(meta.len()).unwrap().to_le_bytes(),
        );
        file.extend_from_slice(&meta);
        assert_eq!(file_meta_text(&file, 0x10).as_deref(), Some("1.2.3"));
        assert_eq!(file_meta_text(&file, 0x12), None);
        assert_eq!(file_meta_text(&file[..150], 0x10), None);
    }

    #[test]
    fn what_is_written_is_read_by_an_independent_library() {
        let mut set = DataSet::default();
        set.text(tags::SOP_CLASS_UID, "UI", "1.2.840.10008.5.1.4.1.1.2")
            .text(tags::SOP_INSTANCE_UID, "UI", "2.25.7")
            .text(tags::PATIENT_NAME, "PN", "Test^One")
            .unsigned_short((0x0028, 0x0010), 48)
            .bytes(tags::PIXEL_DATA, "OW", vec![1, 2, 3, 4]);
        for syntax in [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN] {
            let file = set.file(syntax);
            let object = dicom_object::from_reader(file.as_slice()).unwrap();
            assert_eq!(
                object.element_by_name("PatientName").unwrap().to_str().unwrap(),
                "Test^One"
            );
            assert_eq!(object.element_by_name("Rows").unwrap().to_int::<u16>().unwrap(), 48);
            assert_eq!(object.meta().transfer_syntax().trim_end_matches('\0'), syntax);
            let body = file.get(data_set_offset(&file).unwrap()..).unwrap();
            assert_eq!(
                body,
                if syntax == EXPLICIT_VR_LITTLE_ENDIAN {
                    set.explicit()
                } else {
                    set.implicit()
                }
            );
        }
    }
}
