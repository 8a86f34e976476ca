//! Image retrieval: a frame becomes a short code, and codes are found again by how few bits they differ in.
//!
//! Two things live here. [`perceptual_hash`] turns a gray picture into 64 bits that survive scaling and brightness, and
//! says of a blank frame that it has none. [`Indexes`] keeps one Faiss binary flat index per collection and model and
//! answers exactly: the nearest codes of the collections named by the caller, ordered by distance and then by image id,
//! the same answer every time.
//!
//! Rights are the choice of collections: an index that is not named is not read, so neither hits nor timing tell of what
//! the caller may not see. Which collections those are, and whether a hit is still there, is the server's to decide. The
//! database is the truth: nothing here is ever written to disk, and at start the server loads every index from its rows.
//!
//! There is no second engine. The codes are held by Faiss alone, so an answer can come from nowhere else; without the
//! feature `faiss` every call answers [`Error::NotBuilt`]. The brute-force scan that proves the answers lives in
//! `tests/`, outside what is shipped.
//!
//! This package never opens DICOM objects: imaging decodes and windows a frame, and hands over its 8-bit gray samples.

mod blank;
mod code;
mod collection;
mod error;
#[cfg(feature = "faiss")]
mod faiss_index;
mod indexes;
#[cfg(not(feature = "faiss"))]
mod not_built;
mod perceptual;
mod picture;

pub use code::Code64;
pub use error::Error;
pub use indexes::{Hit, Indexes, MAX_HITS};
pub use perceptual::{PERCEPTUAL_MODEL, perceptual_hash};
pub use picture::GrayPicture;
