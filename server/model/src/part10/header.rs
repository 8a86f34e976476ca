//! Everything but the pixel data, as an object.
//!
//! Each element of the source is in the object, whatever it is: a number whose length is no multiple of its size stays
//! as bytes under UN, text that does not decode keeps its bytes as characters, elements before and after the pixel data
//! stand side by side. Values stay as written: dates and decimal strings are text. UN is replaced by what the dictionary
//! knows (PS3.5 6.2.2), so that a rule for a tag meets it whatever its sender called it.

use dicom_core::dictionary::VirtualVr;
use dicom_core::header::Length;
use dicom_core::value::{C, DataSetSequence, PixelFragmentSequence, PrimitiveValue, Value};
use dicom_core::{Tag, VR};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::element::{Head, PIXEL_DATA, Syntax};
use super::layout::layout_data_set;
use super::text::{Charset, latin1};
use super::walk::{Fragments, Visitor, Walk};
use super::window::Window;
use super::{ByteSource, Error, Layout, Limits, inflate};
use crate::uid::{TransferSyntaxUid, transfer_syntax};

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);

/// Returns the data set without its top-level pixel data, text decoded; a deflated one is inflated first.
///
/// # Errors
/// As [`layout_part10`](super::layout_part10): all lengths are guarded again on the way.
pub fn read_header(source: &dyn ByteSource, layout: &Layout, limits: &Limits) -> Result<InMemDicomObject, Error> {
    if layout.transfer_syntax_uid.is_deflated() {
        let plain = inflate(source, layout, limits)?;
        let explicit =
            TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN).map_err(|_| Error::Unsupported {
                what: "transfer syntax",
            })?;
        let layout = layout_data_set(&plain, &explicit, limits)?;
        return read_header(&plain, &layout, limits);
    }
    let mut builder = Builder::new();
    let mut walk = Walk::new(Window::new(source), limits);
    walk.top(layout.data_set_offset, layout.syntax, &mut builder)?;
    Ok(builder.finish())
}

/// What is open: an item (or the data set) under construction, and the sequence in it that is being read.
struct Level {
    object: InMemDicomObject,
    charset: Charset,
    signed: bool,
    sequence: Option<(Tag, Vec<InMemDicomObject>)>,
}

struct Builder {
    levels: Vec<Level>,
}

impl Builder {
    fn new() -> Self {
        let object = InMemDicomObject::new_empty();
        Self {
            levels: vec![Level {
                object,
                charset: Charset::default(),
                signed: false,
                sequence: None,
            }],
        }
    }

    fn finish(mut self) -> InMemDicomObject {
        self.levels
            .drain(..)
            .next()
            .map_or_else(InMemDicomObject::new_empty, |level| level.object)
    }

    fn put(&mut self, element: InMemElement) {
        if let Some(level) = self.levels.last_mut() {
            level.object.put(element);
        }
    }
}

impl Visitor for Builder {
    fn value(&mut self, window: &mut Window<'_>, head: &Head, syntax: Syntax) -> Result<(), Error> {
        let bytes = window.value(head.value_offset, head.len)?;
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let vr = exact_vr(head, level);
        let (vr, value) = primitive(vr, bytes, syntax, &level.charset);
        if head.tag == SPECIFIC_CHARACTER_SET {
            level.charset = Charset::parse(&value.to_raw_str());
        }
        if head.tag == PIXEL_REPRESENTATION {
            level.signed = value.to_int::<u16>().is_ok_and(|v| v == 1);
        }
        self.put(InMemElement::new_with_len(head.tag, vr, Length(head.len), value));
        Ok(())
    }

    fn begin_sequence(&mut self, tag: Tag) {
        if let Some(level) = self.levels.last_mut() {
            level.sequence = Some((tag, Vec::new()));
        }
    }

    fn begin_item(&mut self) {
        // an item inherits the character set, PS3.3 C.12.1.1.2, and the meaning of US or SS
        let (charset, signed) = self
            .levels
            .last()
            .map(|l| (l.charset.clone(), l.signed))
            .unwrap_or_default();
        self.levels.push(Level {
            object: InMemDicomObject::new_empty(),
            charset,
            signed,
            sequence: None,
        });
    }

    fn end_item(&mut self) {
        let item = self.levels.pop();
        let sequence = self.levels.last_mut().and_then(|level| level.sequence.as_mut());
        if let (Some(item), Some((_, items))) = (item, sequence) {
            items.push(item.object);
        }
    }

    fn end_sequence(&mut self) {
        if let Some((tag, items)) = self.levels.last_mut().and_then(|level| level.sequence.take()) {
            self.put(InMemElement::new(
                tag,
                VR::SQ,
                DataSetSequence::new(items, Length::UNDEFINED),
            ));
        }
    }

    fn fragments(&mut self, window: &mut Window<'_>, tag: Tag, vr: VR, found: &Fragments) -> Result<(), Error> {
        let mut fragments: C<Vec<u8>> = C::new();
        for fragment in &found.fragments {
            fragments.push(window.value(fragment.offset, fragment.len)?);
        }
        let table: C<u32> = found.basic_offset_table.iter().copied().collect();
        let value: Value<InMemDicomObject, Vec<u8>> = PixelFragmentSequence::new(table, fragments).into();
        self.put(InMemElement::new_with_len(tag, vr, Length::UNDEFINED, value));
        Ok(())
    }
}

/// Settles what the dictionary leaves open, PS3.5 A.1 and PS3.6.
fn exact_vr(head: &Head, level: &Level) -> VR {
    match head.vr {
        VirtualVr::Exact(vr) => vr,
        VirtualVr::Xs if level.signed => VR::SS,
        VirtualVr::Xs => VR::US,
        // LUT data and descriptors in implicit VR: words either way
        VirtualVr::Lt => VR::US,
        _ if head.tag == PIXEL_DATA => VR::OW,
        _ => VR::OW,
    }
}

/// Returns the numbers that bytes are, where they come out even. The conversions are types of their own, so that they are
/// compiled into the loop: tables of samples are long.
fn words<T, const N: usize>(
    bytes: &[u8],
    syntax: Syntax,
    little: impl Fn([u8; N]) -> T,
    big: impl Fn([u8; N]) -> T,
) -> Option<C<T>>
where
    [T; 2]: smallvec::Array<Item = T>,
{
    let (chunks, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return None;
    }
    let numbers = chunks.iter().copied();
    Some(match (chunks.len(), syntax.little) {
        (..=2, true) => numbers.map(little).collect(),
        (..=2, false) => numbers.map(big).collect(),
        (_, true) => C::from_vec(numbers.map(little).collect()),
        (_, false) => C::from_vec(numbers.map(big).collect()),
    })
}

/// Turns bytes into a value; numbers that do not come out even stay bytes, under UN.
fn primitive(vr: VR, bytes: Vec<u8>, syntax: Syntax, charset: &Charset) -> (VR, PrimitiveValue) {
    use PrimitiveValue as P;
    if bytes.is_empty() {
        // a sequence that is no sequence keeps its name: it is empty either way
        return (vr, P::Empty);
    }
    let b = bytes.as_slice();
    let value = match vr {
        VR::LO | VR::SH | VR::PN | VR::UC => Some(strings(charset.decode(b, vr == VR::PN))),
        VR::LT | VR::ST | VR::UT => Some(P::Str(charset.decode(b, false))),
        VR::UR => Some(P::Str(latin1(b))),
        VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::TM | VR::UI => Some(strings(latin1(b))),
        VR::US | VR::OW => words(b, syntax, u16::from_le_bytes, u16::from_be_bytes).map(P::U16),
        VR::SS => words(b, syntax, i16::from_le_bytes, i16::from_be_bytes).map(P::I16),
        VR::UL | VR::OL => words(b, syntax, u32::from_le_bytes, u32::from_be_bytes).map(P::U32),
        VR::SL => words(b, syntax, i32::from_le_bytes, i32::from_be_bytes).map(P::I32),
        VR::UV | VR::OV => words(b, syntax, u64::from_le_bytes, u64::from_be_bytes).map(P::U64),
        VR::SV => words(b, syntax, i64::from_le_bytes, i64::from_be_bytes).map(P::I64),
        VR::FL | VR::OF => words(b, syntax, f32::from_le_bytes, f32::from_be_bytes).map(P::F32),
        VR::FD | VR::OD => words(b, syntax, f64::from_le_bytes, f64::from_be_bytes).map(P::F64),
        VR::AT => {
            let (chunks, rest) = b.as_chunks::<4>();
            rest.is_empty()
                .then(|| P::Tags(chunks.iter().map(|c| syntax.tag(c)).collect()))
        }
        VR::OB | VR::UN => return (vr, P::U8(bytes.into())),
        VR::SQ => None,
    };
    match value {
        Some(value) => (vr, value),
        None => (VR::UN, P::U8(bytes.into())),
    }
}

fn strings(text: String) -> PrimitiveValue {
    if text.contains('\\') {
        PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect())
    } else {
        PrimitiveValue::Strs(std::iter::once(text).collect())
    }
}
