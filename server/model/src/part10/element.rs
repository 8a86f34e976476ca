//! One element header, PS3.5 section 7.1, as it is met in practice.
//!
//! Real data holds value representations that no edition defines, reserved bytes that are not zero, and VR "UN" for
//! elements that everybody knows. An element is taken whenever exactly one reading of its header makes sense; what it
//! cannot name becomes UN, so that nothing is lost.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::Error;
use super::window::Window;

/// The length that means "until the delimiter".
pub(super) const UNDEFINED: u32 = u32::MAX;
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);
pub(super) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// How element headers and numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) explicit: bool,
    pub(super) little: bool,
}

impl Syntax {
    pub(super) const IMPLICIT_LITTLE: Self = Self {
        explicit: false,
        little: true,
    };
    pub(super) const EXPLICIT_LITTLE: Self = Self {
        explicit: true,
        little: true,
    };
    pub(super) const EXPLICIT_BIG: Self = Self {
        explicit: true,
        little: false,
    };

    pub(super) fn u16(self, bytes: &[u8]) -> u16 {
        let a = bytes.first_chunk::<2>().copied().unwrap_or_default();
        if self.little {
            u16::from_le_bytes(a)
        } else {
            u16::from_be_bytes(a)
        }
    }

    pub(super) fn u32(self, bytes: &[u8]) -> u32 {
        let a = bytes.first_chunk::<4>().copied().unwrap_or_default();
        if self.little {
            u32::from_le_bytes(a)
        } else {
            u32::from_be_bytes(a)
        }
    }

    pub(super) fn tag(self, bytes: &[u8]) -> Tag {
        Tag(self.u16(bytes), bytes.get(2..).map_or(0, |b| self.u16(b)))
    }
}

/// One element header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) tag: Tag,
    /// What the value is, as far as the header or the dictionary tells.
    pub(super) vr: VirtualVr,
    /// UN was written where the dictionary knows better; such a value is Implicit VR Little Endian (PS3.5 6.2.2).
    pub(super) from_un: bool,
    /// Whether VR and length were read without guessing.
    pub(super) sure: bool,
    pub(super) value_offset: u64,
    pub(super) len: u32,
}

impl Head {
    pub(super) fn is_undefined(&self) -> bool {
        self.len == UNDEFINED
    }

    pub(super) fn end(&self) -> u64 {
        self.value_offset.saturating_add(u64::from(self.len))
    }
}

/// Why there is no header at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// The bytes end within it.
    Short,
    /// No reading of the bytes makes sense.
    Nonsense,
}

/// Whether the length field has 32 bits after two reserved bytes, PS3.5 table 7.1-1.
pub(super) fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// Returns what the dictionary says of a tag; private elements are UN but for their creators, PS3.5 7.8.1.
pub(super) fn known_vr(tag: Tag) -> VirtualVr {
    if tag.1 == 0 {
        return VirtualVr::Exact(VR::UL);
    }
    if tag.0 % 2 == 1 {
        let creator = (0x0010..=0x00FF).contains(&tag.1);
        return VirtualVr::Exact(if creator { VR::LO } else { VR::UN });
    }
    StandardDataDictionary
        .by_tag(tag)
        .map_or(VirtualVr::Exact(VR::UN), |entry| entry.vr())
}

/// Reads the element header at `at`; `end` is where the enclosing item or data set ends.
pub(super) fn head(window: &mut Window<'_>, at: u64, end: u64, syntax: Syntax) -> Result<Result<Head, NoHead>, Error> {
    if end.saturating_sub(at) < 8 {
        return Ok(Err(NoHead::Short));
    }
    let Some(first) = window.peek(at, 8)?.and_then(|b| b.first_chunk::<8>()).copied() else {
        return Ok(Err(NoHead::Short));
    };
    let tag = syntax.tag(&first);
    let (_, rest) = first.split_at(4);
    let plain = |vr, len| Head {
        tag,
        vr,
        from_un: false,
        sure: true,
        value_offset: at.saturating_add(8),
        len,
    };
    // items and delimiters have no VR in any syntax, PS3.5 7.5
    if tag.0 == 0xFFFE || !syntax.explicit {
        let vr = if tag.0 == 0xFFFE {
            VirtualVr::Exact(VR::UN)
        } else {
            known_vr(tag)
        };
        return Ok(Ok(plain(vr, syntax.u32(rest))));
    }
    let (code, short) = rest.split_at(2);
    let short_len = u32::from(syntax.u16(short));
    let code = code.first_chunk::<2>().copied().unwrap_or_default();
    let long = |window: &mut Window<'_>| -> Result<Option<u32>, Error> {
        Ok(window.peek(at.saturating_add(8), 4)?.map(|b| syntax.u32(b)))
    };
    if let Some(vr) = VR::from_binary(code) {
        if !has_long_length(vr) {
            return Ok(Ok(plain(VirtualVr::Exact(vr), short_len)));
        }
        let Some(len) = long(window)? else {
            return Ok(Err(NoHead::Short));
        };
        let (vr, from_un) = match (vr, known_vr(tag)) {
            (VR::UN, known) if tag.1 != 0 && known != VirtualVr::Exact(VR::UN) => (known, true),
            _ => (VirtualVr::Exact(vr), false),
        };
        return Ok(Ok(Head {
            vr,
            from_un,
            value_offset: at.saturating_add(12),
            ..plain(vr, len)
        }));
    }
    // A VR nobody knows. New ones are promised to have the long form (PS3.5 6.2, note); the short form and a header
    // without any VR are met in practice. The first reading after which something sensible follows is taken.
    let letters = code.iter().all(u8::is_ascii_uppercase);
    let unknown = |value_offset: u64, len: u32| Head {
        vr: VirtualVr::Exact(VR::UN),
        sure: false,
        value_offset,
        ..plain(VirtualVr::Exact(VR::UN), len)
    };
    let long_form = match long(window)? {
        Some(len) if short_len == 0 => Some(unknown(at.saturating_add(12), len)),
        _ => None,
    };
    let short_form = unknown(at.saturating_add(8), short_len);
    let no_vr = Head {
        vr: known_vr(tag),
        ..unknown(at.saturating_add(8), syntax.u32(rest))
    };
    let candidates = if letters {
        [long_form, Some(short_form), None]
    } else {
        [Some(no_vr), long_form, Some(short_form)]
    };
    for head in candidates.into_iter().flatten() {
        if !head.is_undefined() && head.end() <= end && follows(window, head.end(), end, tag, syntax)? {
            return Ok(Ok(head));
        }
    }
    Ok(Err(NoHead::Nonsense))
}

/// Returns whether the bytes at `at` can come after an element `before`: the end, a delimiter, or a header with a known
/// VR and a greater tag.
fn follows(window: &mut Window<'_>, at: u64, end: u64, before: Tag, syntax: Syntax) -> Result<bool, Error> {
    if at == end {
        return Ok(true);
    }
    let Some(bytes) = window.peek(at, 8)? else {
        return Ok(false);
    };
    let tag = syntax.tag(bytes);
    let vr = bytes
        .get(4..6)
        .and_then(|b| b.first_chunk::<2>())
        .copied()
        .unwrap_or_default();
    let known = VR::from_binary(vr).is_some() || vr.iter().all(u8::is_ascii_uppercase);
    Ok(tag.0 == 0xFFFE || (tag > before && known))
}
