//! A stranger's bytes, read with care: PS3.10 files and bare data sets.
//!
//! What this module promises, for any input whatsoever: no panic, memory bounded by [`Limits`] and not by what a length
//! field claims, time linear in the size of the header (native pixel data and fragments are jumped over, never read),
//! and no loss without a word: what does not end properly is [`Error::CutOff`], what follows the last element is counted
//! in [`Layout::trailing_bytes`].
//!
//! It reads what other readers read: files without preamble, without file meta group or with one that lies about its
//! length, AE titles of eighteen spaces, missing transfer syntaxes, value representations that no edition defines, retired
//! and unknown encapsulated syntaxes (Explicit VR Little Endian, PS3.5 A.4), delimiters that are missing or too many.
//!
//! Parser and writer are our own, because those of dicom-object allocate a declared length before they read it, stop at
//! a long AE title, split multi-byte text at any backslash byte, and cannot keep what does not decode. They use its
//! object model, so everybody else works with [`InMemDicomObject`](dicom_object::InMemDicomObject) as usual.
//!
//! | file | holds |
//! | --- | --- |
//! | `element` | one element header; value representations that nobody knows |
//! | `walk` | the walk over lengths that guard and parser share |
//! | `meta` | the file meta group, tolerantly; guessing the syntax where none is named |
//! | `layout` | where everything lies |
//! | `inflate` | Deflated Explicit VR Little Endian, with a cap |
//! | `header` | everything but the pixel data as an object |
//! | `text` | character sets, PS3.3 C.12.1.1.2 |
//! | `encode` | the way back, and our own file meta group |
//! | `swap` | byte order of native samples |

mod element;
mod encode;
mod error;
mod header;
mod inflate;
mod layout;
mod meta;
mod source;
mod swap;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod window;

pub use encode::{
    IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, NewFileMeta, WrittenHeader, write_file_meta, write_header,
    write_native_pixel_header,
};
pub use error::Error;
pub use header::read_header;
pub use inflate::inflate;
pub use layout::{Fragment, Layout, Limits, Part10Form, PixelData, layout_data_set, layout_part10};
pub use meta::FileMeta;
pub use source::ByteSource;
pub use swap::swap_native;
