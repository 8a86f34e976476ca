//! Hiding pixels: the implementation of [`isocenter_deid::PixelEditor`].
//!
//! What it promises:
//!
//! - Outside the regions nothing changes: samples where the coding is lossless, coefficients where it is blocks (the mask
//!   then grows to whole blocks). Lossy frames are never decoded and coded lossily again.
//! - A coding that has no encoder here is stored without loss in one that has, and the answer says which.
//! - What cannot be edited is an error, never a copy.
//! - One frame is in memory at a time, and of native pixel data a window of it. What did not change is passed on as a
//!   range of the source, not copied.
//!
//! With a rewrite, bits that hold no sample are cleared (old overlays, 60xx,0102, lie there), offset tables are made
//! anew, and text leaves the headers of streams; the latter also for objects in which nothing is hidden, without touching
//! their coded samples. A frame that cannot be followed from its first byte to its last is an error there too: nobody can
//! say then that it holds no text.
//!
//! | module | holds |
//! | --- | --- |
//! | `mask`, `fill`, `arrangement` | which pixels, set to what, where in the bytes |
//! | `native` | pixel data that is not encapsulated |
//! | `frames`, `parts` | pixel data that is; the pieces of the new element |
//! | `dct`, `huffman` | JPEG blocks |
//! | `lossless`, `rle` | encoders |
//! | `strip`, `code_stream`, `surplus` | text in and around streams |

use std::io::Write;

use isocenter_deid::{EditedPixels, PixelEdit, PixelEditor, PixelObject};
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{ByteSource, Layout, PixelData};

use crate::{Error, PixelFacts, decode};

mod arrangement;
mod code_stream;
mod dct;
mod fill;
mod frames;
mod huffman;
mod lossless;
mod mask;
mod native;
mod parts;
mod rle;
mod strip;
mod surplus;
#[cfg(test)]
mod tests;

/// Edits the pixels of an object; `None` where nothing has to change.
///
/// New bytes go to `scratch`, which is only written to; the answer says which of its ranges stand where.
///
/// # Errors
/// [`Error::Unsupported`] where there is no way to edit this coding, [`Error::Damaged`] and [`Error::Codec`] where the
/// pixels are not what the header says, [`Error::Source`] where bytes cannot be read or written. Nothing of the object may
/// go out then, if anything had to be hidden in it.
pub fn edit_pixels(
    facts: &PixelFacts,
    layout: &Layout,
    source: &dyn ByteSource,
    edit: &PixelEdit<'_>,
    scratch: &mut dyn Write,
) -> Result<Option<EditedPixels>, Error> {
    match &layout.pixel_data {
        None => Ok(None),
        Some(PixelData::Native { .. }) => native::edit(facts, layout, source, edit, scratch),
        Some(PixelData::Encapsulated { .. }) => frames::edit(facts, layout, source, edit, scratch),
    }
}

/// The editor of this package.
#[derive(Debug, Clone, Copy, Default)]
pub struct Editor;

impl PixelEditor for Editor {
    fn can_edit(&self, transfer_syntax_uid: &TransferSyntaxUid) -> bool {
        decode::can_decode(transfer_syntax_uid)
    }

    fn edit(
        &self,
        object: PixelObject<'_>,
        edit: &PixelEdit<'_>,
        scratch: &mut dyn Write,
    ) -> Result<Option<EditedPixels>, isocenter_deid::Error> {
        let facts = match PixelFacts::from_header(object.header) {
            // no picture: nothing can be shown of it
            Err(_) if edit.regions.is_empty() && !edit.clean_streams => return Ok(None),
            facts => facts,
        };
        let edited = facts.and_then(|facts| edit_pixels(&facts, object.layout, object.source, edit, scratch));
        edited.map_err(|error| said(&error, &object.layout.transfer_syntax_uid))
    }
}

fn said(error: &Error, ts: &TransferSyntaxUid) -> isocenter_deid::Error {
    match error {
        Error::Source(kind) => isocenter_deid::Error::Source(*kind),
        error => isocenter_deid::Error::PixelsNotEditable {
            transfer_syntax_uid: ts.as_str().to_owned(),
            reason: error.reason(),
        },
    }
}

/// Returns why the pixels of an object cannot be edited, whatever they show; `None` where the editor can try.
pub(crate) fn not_editable(layout: &Layout) -> Option<isocenter_deid::Error> {
    let ts = &layout.transfer_syntax_uid;
    let coded = matches!(layout.pixel_data, Some(PixelData::Encapsulated { .. }));
    (coded && !Editor.can_edit(ts)).then(|| said(&frames::no_way(ts), ts))
}
