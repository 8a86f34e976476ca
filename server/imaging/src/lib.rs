//! Pictures: where the frames of an object lie, what their bytes mean, and how they look.
//!
//! Three steps that need nothing of each other's insides:
//!
//! 1. [`PixelFacts`] are read from a header once, and [`FrameMap`] from the layout of the object. The map is stored beside
//!    the object, so that one frame of a gigabyte is found without reading the others, and holds the facts, so that the
//!    header need not be read again.
//! 2. [`decode_frame`] and [`to_native`] turn the bytes of one frame into samples.
//! 3. [`render`], [`thumbnail`] and [`gray8`] turn samples into pictures.
//!
//! A fourth, [`Editor`], goes the other way: it hides regions of the pixels in the coded object, for `isocenter-deid`;
//! [`clean_pixels`] looks for text, asks what follows, and edits.
//!
//! Frame bytes come from strangers, and codecs are large: what a code stream announces is compared with Rows, Columns,
//! Samples per Pixel and Bits Allocated before a codec may allocate, what it returns is compared again, and it runs
//! behind a panic boundary. A panic that is caught there still reaches the panic hook of the process: the program
//! installs one that writes no data.
//!
//! Nothing here keeps anything between two calls.

mod check;
mod clean;
mod decode;
mod error;
mod facts;
mod frame;
mod frame_map;
mod redact;
mod render;
#[cfg(test)]
mod samples;
mod text;

pub use check::{LengthMismatch, check_lengths};
pub use clean::{Cleaned, clean_pixels, clean_searched_pixels, search_pixels};
pub use decode::{can_decode, decode_frame, to_native};
pub use error::Error;
pub use facts::{Lut, Palette, Photometric, PixelFacts, Window, WindowFunction};
pub use frame::{Frame, Samples};
pub use frame_map::FrameMap;
pub use redact::{Editor, edit_pixels};
pub use render::{Format, Gray8, RenderOptions, Viewport, gray8, render, thumbnail};
pub use text::{Found, Plane, Shapes, Tesseract, TextBox, TextDetector, find_text};
