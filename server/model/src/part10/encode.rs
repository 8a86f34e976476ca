//! The way back: an object as bytes, and our own file meta group.
//!
//! Elements come in ascending order, sequences with defined lengths. Left out are what readers must not trust or what
//! belongs elsewhere: group lengths (retired), trailing padding, group 0002 and the top-level pixel data, which the
//! caller puts between the two halves.
//!
//! Text is written in the set that the object declares. Where that set lacks a character, or would need the escapes of
//! ISO 2022, the whole object is written in UTF-8 and says so in (0008,0005).

use dicom_core::header::Header;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{Tag, VR};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::Error;
use super::element::{ITEM, SEQUENCE_DELIMITER, Syntax, UNDEFINED, has_long_length};
use super::layout::syntax_of;
use super::text::{Charset, to_latin1};
use super::walk::is_top_pixel_data;
use crate::ae_title::AeTitle;
use crate::uid::TransferSyntaxUid;

/// Names this implementation, PS3.7 D.3.3.2.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.232837714863094387325763905183120484497";
/// Its version, at most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str = "ISOCENTER_0_1";

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const UTF_8: &str = "ISO_IR 192";

/// A data set without its pixel data, in the two halves between which they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenHeader {
    /// Elements up to the pixel data.
    pub before: Vec<u8>,
    /// Elements after them.
    pub after: Vec<u8>,
}

/// Writes everything but the top-level pixel data of an object. For a deflated syntax this is the data set to deflate.
///
/// # Errors
/// [`Error::Unwritable`] where a value does not fit its value representation, [`Error::TooLarge`] beyond 32-bit lengths.
pub fn write_header(
    object: &InMemDicomObject,
    transfer_syntax_uid: &TransferSyntaxUid,
) -> Result<WrittenHeader, Error> {
    let syntax = syntax_of(transfer_syntax_uid);
    let mut written = Writer { syntax, utf_8: false }.halves(object);
    if let Err(Fail::NeedsUtf8) = written {
        written = Writer { syntax, utf_8: true }.halves(object);
    }
    written.map_err(|fail| match fail {
        Fail::Error(error) => error,
        Fail::NeedsUtf8 => Error::Unsupported {
            what: "text beyond Unicode",
        },
    })
}

/// Writes the header of a native pixel data element; `len` bytes of value must follow, an even number.
///
/// # Errors
/// [`Error::TooLarge`] where `len` does not fit 32 bits.
pub fn write_native_pixel_header(
    tag: Tag,
    vr: VR,
    len: u64,
    transfer_syntax_uid: &TransferSyntaxUid,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(12);
    let syntax = syntax_of(transfer_syntax_uid);
    Writer { syntax, utf_8: false }.head(&mut out, tag, vr, length(len)?);
    Ok(out)
}

/// What our own file meta group says.
#[derive(Debug, Clone, Copy)]
pub struct NewFileMeta<'a> {
    /// SOP Class UID of the object.
    pub sop_class_uid: &'a str,
    /// SOP Instance UID of the object.
    pub sop_instance_uid: &'a str,
    /// Transfer syntax of the data set that follows.
    pub transfer_syntax_uid: &'a TransferSyntaxUid,
    /// Who sent it, where that may be said.
    pub source_ae_title: Option<&'a AeTitle>,
}

/// Writes a zero preamble, `DICM` and the file meta group, PS3.10 7.1: what stands before a data set in a file.
pub fn write_file_meta(meta: &NewFileMeta<'_>) -> Vec<u8> {
    let writer = Writer {
        syntax: Syntax::EXPLICIT_LITTLE,
        utf_8: false,
    };
    let mut group = Vec::with_capacity(256);
    writer.head(&mut group, Tag(2, 1), VR::OB, 2);
    group.extend_from_slice(&[0, 1]);
    let mut text = |element: u16, vr: VR, value: &str| {
        let bytes = padded(value.as_bytes().to_vec(), vr);
        // values are UIDs and titles of at most 64 bytes
        writer.head(&mut group, Tag(2, element), vr, u32::try_from(bytes.len()).unwrap_or(0));
        group.extend_from_slice(&bytes);
    };
    text(0x0002, VR::UI, meta.sop_class_uid);
    text(0x0003, VR::UI, meta.sop_instance_uid);
    text(0x0010, VR::UI, meta.transfer_syntax_uid.as_str());
    text(0x0012, VR::UI, IMPLEMENTATION_CLASS_UID);
    text(0x0013, VR::SH, IMPLEMENTATION_VERSION_NAME);
    if let Some(title) = meta.source_ae_title {
        text(0x0016, VR::AE, title.as_str());
    }
    let mut out = vec![0; 128];
    out.extend_from_slice(b"DICM");
    writer.head(&mut out, Tag(2, 0), VR::UL, 4);
    out.extend_from_slice(&u32::try_from(group.len()).unwrap_or(0).to_le_bytes());
    out.append(&mut group);
    out
}

enum Fail {
    NeedsUtf8,
    Error(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

struct Writer {
    syntax: Syntax,
    utf_8: bool,
}

fn length(len: u64) -> Result<u32, Error> {
    let fits = u32::try_from(len).ok().filter(|len| *len != UNDEFINED);
    fits.ok_or(Error::TooLarge {
        what: "value",
        limit: u64::from(UNDEFINED - 1),
    })
}

/// Text is padded with a space, UIDs and bytes with zero, PS3.5 6.2.
fn padded(mut bytes: Vec<u8>, vr: VR) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(if takes_charset(vr) || takes_ascii(vr) && vr != VR::UI {
            b' '
        } else {
            0
        });
    }
    bytes
}

/// Text in the declared character set.
fn takes_charset(vr: VR) -> bool {
    matches!(vr, VR::LO | VR::SH | VR::PN | VR::UC | VR::LT | VR::ST | VR::UT)
}

/// Text in the default repertoire.
fn takes_ascii(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, TM, UI, UR};
    matches!(vr, AE | AS | CS | DA | DS | DT | IS | TM | UI | UR)
}

impl Writer {
    fn halves(&self, object: &InMemDicomObject) -> Result<WrittenHeader, Fail> {
        let (before, after) = self.data_set(object, &Charset::default(), true)?;
        Ok(WrittenHeader { before, after })
    }

    fn data_set(&self, object: &InMemDicomObject, outer: &Charset, top: bool) -> Result<(Vec<u8>, Vec<u8>), Fail> {
        let mut charset = outer.clone();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut unsaid = self.utf_8 && top;
        for element in object {
            let tag = element.tag();
            if top && is_top_pixel_data(tag) || tag.0 == 2 || tag.1 == 0 || tag == Tag(0xFFFC, 0xFFFC) {
                continue;
            }
            if unsaid && tag >= SPECIFIC_CHARACTER_SET {
                unsaid = false;
                self.primitive(
                    &mut before,
                    SPECIFIC_CHARACTER_SET,
                    VR::CS,
                    &PrimitiveValue::from(UTF_8),
                    &charset,
                )?;
            }
            let out = if top && tag > Tag(0x7FE0, 0x0010) {
                &mut after
            } else {
                &mut before
            };
            if tag == SPECIFIC_CHARACTER_SET {
                if let Some(value) = element.value().primitive() {
                    charset = Charset::parse(&value.to_raw_str());
                }
                if self.utf_8 {
                    if !top {
                        self.primitive(out, tag, VR::CS, &PrimitiveValue::from(UTF_8), &charset)?;
                    }
                    continue;
                }
            }
            self.element(out, element, &charset)?;
        }
        Ok((before, after))
    }

    fn element(&self, out: &mut Vec<u8>, element: &InMemElement, charset: &Charset) -> Result<(), Fail> {
        let tag = element.tag();
        match element.value() {
            Value::Primitive(value) => self.primitive(out, tag, element.vr(), value, charset),
            Value::Sequence(sequence) => {
                let mut content = Vec::new();
                for item in sequence.items() {
                    let (bytes, _) = self.data_set(item, charset, false)?;
                    self.item(&mut content, ITEM, length(bytes.len() as u64)?);
                    content.extend_from_slice(&bytes);
                }
                self.head(out, tag, VR::SQ, length(content.len() as u64)?);
                out.append(&mut content);
                Ok(())
            }
            Value::PixelSequence(sequence) => {
                self.head(out, tag, VR::OB, UNDEFINED);
                let table: Vec<u8> = sequence.offset_table().iter().flat_map(|v| self.u32(*v)).collect();
                self.item(out, ITEM, length(table.len() as u64)?);
                out.extend_from_slice(&table);
                for fragment in sequence.fragments() {
                    let bytes = padded(fragment.clone(), VR::OB);
                    self.item(out, ITEM, length(bytes.len() as u64)?);
                    out.extend_from_slice(&bytes);
                }
                self.item(out, SEQUENCE_DELIMITER, 0);
                Ok(())
            }
        }
    }

    fn primitive(
        &self,
        out: &mut Vec<u8>,
        tag: Tag,
        vr: VR,
        value: &PrimitiveValue,
        charset: &Charset,
    ) -> Result<(), Fail> {
        let bytes = padded(self.value(tag, vr, value, charset)?, vr);
        // a sequence that holds bytes was none; and what is too long for 16 bits is UN, PS3.5 6.2.2 note
        let no_room = !has_long_length(vr) && bytes.len() > usize::from(u16::MAX);
        let vr = if no_room || (vr == VR::SQ && !bytes.is_empty()) {
            VR::UN
        } else {
            vr
        };
        self.head(out, tag, vr, length(bytes.len() as u64)?);
        out.extend_from_slice(&bytes);
        Ok(())
    }

    fn value(&self, tag: Tag, vr: VR, value: &PrimitiveValue, charset: &Charset) -> Result<Vec<u8>, Fail> {
        use PrimitiveValue as P;
        match value {
            P::Empty => return Ok(Vec::new()),
            P::U8(bytes) => return Ok(bytes.to_vec()),
            _ => {}
        }
        if takes_charset(vr) {
            let text = text(value);
            if self.utf_8 {
                return Ok(text.into_bytes());
            }
            return charset
                .encode(&text)
                .map(|bytes| bytes.into_owned())
                .ok_or(Fail::NeedsUtf8);
        }
        if takes_ascii(vr) {
            let text = text(value);
            return Ok(to_latin1(&text).unwrap_or_else(|| text.into_bytes()));
        }
        if let Some(bytes) = self.as_they_are(vr, value) {
            return Ok(bytes);
        }
        // an editor may have left a number as text, or in another width
        let converted = match vr {
            VR::US | VR::OW => value.to_multi_int::<u16>().ok().map(|v| self.each(v, u16::to_le_bytes)),
            VR::SS => value.to_multi_int::<i16>().ok().map(|v| self.each(v, i16::to_le_bytes)),
            VR::UL | VR::OL => value.to_multi_int::<u32>().ok().map(|v| self.each(v, u32::to_le_bytes)),
            VR::SL => value.to_multi_int::<i32>().ok().map(|v| self.each(v, i32::to_le_bytes)),
            VR::UV | VR::OV => value.to_multi_int::<u64>().ok().map(|v| self.each(v, u64::to_le_bytes)),
            VR::SV => value.to_multi_int::<i64>().ok().map(|v| self.each(v, i64::to_le_bytes)),
            VR::FL | VR::OF => value.to_multi_float32().ok().map(|v| self.each(v, f32::to_le_bytes)),
            VR::FD | VR::OD => value.to_multi_float64().ok().map(|v| self.each(v, f64::to_le_bytes)),
            _ => None,
        };
        let reason = "value does not fit its value representation";
        converted.ok_or(Fail::Error(Error::Unwritable {
            group: tag.0,
            element: tag.1,
            reason,
        }))
    }

    /// Returns the bytes of a value whose kind is that of its value representation.
    fn as_they_are(&self, vr: VR, value: &PrimitiveValue) -> Option<Vec<u8>> {
        use PrimitiveValue as P;
        let any = matches!(vr, VR::OB | VR::UN | VR::SQ);
        Some(match value {
            P::U16(v) if any || matches!(vr, VR::US | VR::OW) => self.each(v.iter().copied(), u16::to_le_bytes),
            P::I16(v) if any || matches!(vr, VR::SS | VR::OW) => self.each(v.iter().copied(), i16::to_le_bytes),
            P::U32(v) if any || matches!(vr, VR::UL | VR::OL) => self.each(v.iter().copied(), u32::to_le_bytes),
            P::I32(v) if any || vr == VR::SL => self.each(v.iter().copied(), i32::to_le_bytes),
            P::U64(v) if any || matches!(vr, VR::UV | VR::OV) => self.each(v.iter().copied(), u64::to_le_bytes),
            P::I64(v) if any || vr == VR::SV => self.each(v.iter().copied(), i64::to_le_bytes),
            P::F32(v) if any || matches!(vr, VR::FL | VR::OF) => self.each(v.iter().copied(), f32::to_le_bytes),
            P::F64(v) if any || matches!(vr, VR::FD | VR::OD) => self.each(v.iter().copied(), f64::to_le_bytes),
            P::Tags(v) if any || vr == VR::AT => self.each(v.iter().flat_map(|t| [t.0, t.1]), u16::to_le_bytes),
            P::Str(_) | P::Strs(_) | P::Date(_) | P::Time(_) | P::DateTime(_) if any => {
                let text = text(value);
                to_latin1(&text).unwrap_or_else(|| text.into_bytes())
            }
            _ => return None,
        })
    }

    /// Returns the bytes of numbers. The conversion is a type of its own, so that it is compiled into the loop: tables of
    /// samples are long.
    fn each<T, const N: usize>(&self, values: impl IntoIterator<Item = T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        let values = values.into_iter();
        let mut out = Vec::with_capacity(values.size_hint().0 * N);
        for value in values {
            let mut bytes = bytes(value);
            if !self.syntax.little {
                bytes.reverse();
            }
            out.extend_from_slice(&bytes);
        }
        out
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.syntax.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.syntax.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    fn item(&self, out: &mut Vec<u8>, tag: Tag, len: u32) {
        out.extend_from_slice(&self.u16(tag.0));
        out.extend_from_slice(&self.u16(tag.1));
        out.extend_from_slice(&self.u32(len));
    }

    fn head(&self, out: &mut Vec<u8>, tag: Tag, vr: VR, len: u32) {
        if !self.syntax.explicit {
            return self.item(out, tag, len);
        }
        out.extend_from_slice(&self.u16(tag.0));
        out.extend_from_slice(&self.u16(tag.1));
        out.extend_from_slice(&vr.to_bytes());
        if has_long_length(vr) {
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&self.u32(len));
        } else {
            // longer values were turned into UN before
            out.extend_from_slice(&self.u16(u16::try_from(len).unwrap_or(u16::MAX)));
        }
    }
}

fn text(value: &PrimitiveValue) -> String {
    match value {
        PrimitiveValue::Str(text) => text.clone(),
        PrimitiveValue::Strs(parts) => parts.join("\\"),
        other => other.to_raw_str().into_owned(),
    }
}
