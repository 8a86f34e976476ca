//! Where everything lies in a file or data set: found by one walk over element headers, values untouched.

use dicom_core::{Tag, VR};

use super::element::Syntax;
use super::meta::{self, FileMeta};
use super::walk::{Guard, Walk};
use super::window::Window;
use super::{ByteSource, Error};
use crate::uid::TransferSyntaxUid;

/// Bounds on what is read. The defaults suit the largest objects met in practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all elements outside of the pixel data.
    pub header_bytes: u64,
    /// Sequences within sequences.
    pub depth: u16,
    /// Bytes of a deflated data set after inflating.
    pub inflated_bytes: u64,
    /// Elements, items and fragments together.
    pub items: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 64 << 20,
            depth: 64,
            inflated_bytes: 64 << 20,
            items: 2_000_000,
        }
    }
}

/// How much of PS3.10 section 7.1 a file keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part10Form {
    /// Preamble, `DICM`, file meta group.
    Full,
    /// A file meta group without preamble or without `DICM`.
    NoPreamble,
    /// Neither: a bare data set. Its syntax was guessed, or given by who carried it.
    NoMeta,
}

/// One item of encapsulated pixel data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Where its value begins, from the start of the source.
    pub offset: u64,
    /// Length of its value, padding included.
    pub len: u32,
}

/// The element that holds the samples of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelData {
    /// Samples as they are: (7FE0,0010), or (7FE0,0008) and (7FE0,0009) of floating point.
    Native {
        /// Which of the three.
        tag: Tag,
        /// Value representation as written, OW where the syntax has none.
        vr: VR,
        /// Where the element begins.
        element_offset: u64,
        /// Where its value begins.
        value_offset: u64,
        /// Declared length of the value; all of it is there.
        value_len: u64,
    },
    /// A sequence of fragments, PS3.5 A.4.
    Encapsulated {
        /// Where the element begins.
        element_offset: u64,
        /// The place after the sequence delimiter.
        end_offset: u64,
        /// The offsets of the first item; empty where it is.
        basic_offset_table: Vec<u32>,
        /// The items after it.
        fragments: Vec<Fragment>,
        /// Whether the source ends after a whole fragment, where the sequence delimiter should stand: every fragment is
        /// there, and still nobody can say that the object is.
        unterminated: bool,
    },
}

impl PixelData {
    /// Returns where the element begins.
    pub fn element_offset(&self) -> u64 {
        match self {
            Self::Native { element_offset, .. } | Self::Encapsulated { element_offset, .. } => *element_offset,
        }
    }

    /// Returns the place after the element.
    pub fn end_offset(&self) -> u64 {
        match self {
            Self::Native {
                value_offset,
                value_len,
                ..
            } => value_offset.saturating_add(*value_len),
            Self::Encapsulated { end_offset, .. } => *end_offset,
        }
    }
}

/// Where everything lies; offsets count from the start of the source.
///
/// Of a deflated data set only the outside is known: [`inflate`](super::inflate) it and lay out what comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// How much of a PS3.10 file it is.
    pub form: Part10Form,
    /// What the file meta group says.
    pub meta: FileMeta,
    /// The transfer syntax: as named, else as guessed.
    pub transfer_syntax_uid: TransferSyntaxUid,
    /// Where the data set begins.
    pub data_set_offset: u64,
    /// The pixel data, where there is some at the top level.
    pub pixel_data: Option<PixelData>,
    /// Where elements after the pixel data begin; `None` where nothing follows them.
    pub tail_offset: Option<u64>,
    /// Bytes after the last whole element.
    pub trailing_bytes: u64,
    /// Whether the data set is written in another way than its transfer syntax says (implicit for explicit VR, big for
    /// little endian). It is read as it is written; whoever keeps its bytes must not keep the label.
    pub mislabelled: bool,
    /// How it is written.
    pub(super) syntax: Syntax,
}

impl Layout {
    /// Returns whether the file is a DICOMDIR, PS3.10 section 8: a directory, not an instance.
    pub fn is_media_directory(&self) -> bool {
        self.meta.media_storage_sop_class_uid.as_deref() == Some("1.2.840.10008.1.3.10")
    }
}

/// Finds where everything lies in a PS3.10 file, or in a bare data set that somebody saved as a file.
///
/// # Errors
/// [`Error::NotDicom`] where nothing looks like DICOM, [`Error::CutOff`] where the bytes end too early, other variants
/// where the structure is broken or a limit is met.
pub fn layout_part10(source: &dyn ByteSource, limits: &Limits) -> Result<Layout, Error> {
    let mut window = Window::new(source);
    let start = meta::read(&mut window)?;
    walk(window, limits, start)
}

/// Finds where everything lies in a data set as C-STORE carries it: no preamble, no meta, the syntax known.
///
/// # Errors
/// As [`layout_part10`].
pub fn layout_data_set(
    source: &dyn ByteSource,
    transfer_syntax_uid: &TransferSyntaxUid,
    limits: &Limits,
) -> Result<Layout, Error> {
    let start = meta::Start {
        form: Part10Form::NoMeta,
        meta: FileMeta::default(),
        transfer_syntax_uid: transfer_syntax_uid.clone(),
        data_set_offset: 0,
    };
    walk(Window::new(source), limits, start)
}

/// Returns how the data set of a transfer syntax is written. Encapsulated, retired and unknown ones are Explicit VR
/// Little Endian, PS3.5 A.4.
pub(super) fn syntax_of(uid: &TransferSyntaxUid) -> Syntax {
    Syntax {
        explicit: uid.is_explicit_vr(),
        little: uid.is_little_endian(),
    }
}

fn walk(mut window: Window<'_>, limits: &Limits, start: meta::Start) -> Result<Layout, Error> {
    let meta::Start {
        form,
        meta,
        transfer_syntax_uid,
        data_set_offset,
    } = start;
    let syntax = syntax_of(&transfer_syntax_uid);
    let mut layout = Layout {
        form,
        meta,
        transfer_syntax_uid,
        data_set_offset,
        pixel_data: None,
        tail_offset: None,
        trailing_bytes: 0,
        mislabelled: false,
        syntax,
    };
    if !layout.transfer_syntax_uid.is_deflated() {
        let syntax = meta::as_written(&mut window, data_set_offset, layout.syntax)?;
        layout.mislabelled = syntax != layout.syntax;
        layout.syntax = syntax;
        let top = Walk::new(window, limits).top(data_set_offset, syntax, &mut Guard)?;
        layout.pixel_data = top.pixel_data;
        layout.tail_offset = top.tail_offset;
        layout.trailing_bytes = top.trailing_bytes;
    }
    Ok(layout)
}
