//! The foreign codecs, each behind the same three guards: what the stream announces is what the header says, a panic
//! stays here, and what comes out has the size that was computed.

use std::borrow::Cow;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::probe::{self, Announced};
use super::{Raw, Space, native};
use crate::{Error, Photometric, PixelFacts};

/// End of image, the last marker of JPEG and JPEG-LS.
const END: [u8; 2] = [0xFF, 0xD9];

/// Runs a codec so that its panic is an error.
fn isolated<T>(codec: &'static str, run: impl FnOnce() -> Option<T>) -> Result<T, Error> {
    let outcome = catch_unwind(AssertUnwindSafe(run));
    outcome.ok().flatten().ok_or(Error::Codec { codec })
}

pub(crate) fn agrees(facts: &PixelFacts, announced: Option<Announced>) -> Result<Announced, Error> {
    let announced = announced.ok_or(Error::Damaged {
        what: "no code stream of this transfer syntax",
    })?;
    let same_size = announced.width == u32::from(facts.columns) && announced.height == u32::from(facts.rows);
    if !same_size {
        return Err(Error::Damaged {
            what: "code stream has other rows or columns",
        });
    }
    if announced.components != facts.samples_per_pixel {
        return Err(Error::Damaged {
            what: "code stream has other samples per pixel",
        });
    }
    if announced.precision > facts.bits_allocated.max(8) {
        return Err(Error::Damaged {
            what: "code stream has more bits than are allocated",
        });
    }
    Ok(announced)
}

fn finish(facts: &PixelFacts, announced: Announced, bytes: Vec<u8>, space: Space) -> Result<Raw, Error> {
    let allocated = if announced.precision <= 8 { 8 } else { 16 };
    let wanted = facts.pixels() * u64::from(facts.samples_per_pixel) * u64::from(allocated / 8);
    if bytes.len() as u64 != wanted {
        return Err(Error::Damaged {
            what: "decoded frame is of another size",
        });
    }
    // a stream of fewer bits than the header stores has its sign where its own bits end
    let stored = facts.bits_stored.min(allocated).min(announced.precision.max(1));
    Ok(Raw {
        bytes,
        allocated,
        low_bit: 0,
        stored,
        space,
    })
}

/// Inflates a frame of Deflated Image Frame Compression; never more than the frame needs.
pub(crate) fn inflate(facts: &PixelFacts, frame: &[u8]) -> Result<Vec<u8>, Error> {
    let wanted = facts.frame_bits().div_ceil(8);
    let mut out = Vec::new();
    let read = flate2::read::DeflateDecoder::new(frame)
        .take(wanted)
        .read_to_end(&mut out);
    match read {
        Ok(n) if n as u64 == wanted => Ok(out),
        _ => Err(Error::Damaged { what: "deflate stream" }),
    }
}

/// Decodes JPEG, ISO 10918-1: baseline, extended and progressive of 8 and 12 bits, lossless of up to 16.
pub(super) fn jpeg(facts: &PixelFacts, frame: &[u8]) -> Result<Raw, Error> {
    let announced = agrees(facts, probe::jpeg(frame))?;
    let bytes = isolated("JPEG", || {
        if announced.precision == 12 && !announced.lossless {
            let samples = super::jpeg12::decode(frame)?;
            return Some(samples.into_iter().flat_map(u16::to_le_bytes).collect());
        }
        let mut decoder = jpeg_decoder::Decoder::new(frame);
        if facts.samples_per_pixel == 3 {
            // leaves three components alone: what they mean is settled below, JFIF markers know nothing of DICOM
            // (the codec's own `None` panics)
            decoder.set_color_transform(jpeg_decoder::ColorTransform::RGB);
        }
        let bytes = decoder.decode().ok()?;
        // the codec gives words in the order of this machine
        let words = || {
            bytes
                .as_chunks::<2>()
                .0
                .iter()
                .flat_map(|b| u16::from_ne_bytes(*b).to_le_bytes())
                .collect()
        };
        Some(if announced.precision > 8 { words() } else { bytes })
    })?;
    let ybr = match facts.photometric_interpretation {
        // the header says RGB; no encoder subsamples that
        Photometric::Rgb => announced.subsampled && !announced.says_rgb,
        Photometric::YbrFull | Photometric::YbrFull422 => !announced.says_rgb,
        _ => false,
    };
    finish(facts, announced, bytes, if ybr { Space::Ybr } else { Space::Rgb })
}

/// Decodes JPEG-LS, ISO 14495-1.
pub(super) fn jpeg_ls(facts: &PixelFacts, frame: &[u8]) -> Result<Raw, Error> {
    let announced = agrees(facts, probe::jpeg(frame))?;
    // CharLS 2.4.5 runs for a minute where a stream ends without a marker; one that follows ends it at once
    let ended = if frame.ends_with(&END) {
        Cow::Borrowed(frame)
    } else {
        Cow::Owned([frame, &END].concat())
    };
    let mut bytes = isolated("JPEG-LS", || charls::CharLS::default().decode(&ended).ok())?;
    if facts.samples_per_pixel == 3 && !announced.interleaved {
        let width = if announced.precision <= 8 { 1 } else { 2 };
        bytes = super::colour::to_pixels(&bytes, width);
    }
    finish(facts, announced, bytes, Space::of(facts.photometric_interpretation))
}

/// Encodes pixels, little endian, as JPEG-LS without loss; `None` where the encoder fails.
pub(crate) fn encode_jpeg_ls(facts: &PixelFacts, precision: u16, pixels: &[u8]) -> Option<Vec<u8>> {
    let width = if precision <= 8 { 1 } else { 2 };
    let wanted = facts.pixels() * u64::from(facts.samples_per_pixel) * width;
    if pixels.len() as u64 != wanted || !(2..=16).contains(&precision) {
        return None;
    }
    let info = charls::FrameInfo {
        width: u32::from(facts.columns),
        height: u32::from(facts.rows),
        bits_per_sample: i32::from(precision),
        component_count: i32::from(facts.samples_per_pixel),
    };
    let encoded = isolated("JPEG-LS", || {
        let mut encoder = charls::CharLS::default();
        if facts.samples_per_pixel > 1 {
            encoder.set_interleave_mode(charls::InterleaveMode::Sample).ok()?;
        }
        encoder.encode(info, 0, pixels).ok()
    });
    encoded.ok()
}

/// Decodes JPEG 2000 and HTJ2K, ISO 15444-1 and -15.
pub(super) fn jpeg_2000(facts: &PixelFacts, frame: &[u8]) -> Result<Raw, Error> {
    let announced = agrees(facts, probe::jpeg_2000(frame))?;
    if announced.subsampled {
        return Err(Error::Unsupported {
            what: "subsampled JPEG 2000",
        });
    }
    let pixels = usize::try_from(facts.pixels()).unwrap_or(usize::MAX);
    let bytes = isolated("JPEG 2000", || {
        let image = jpeg2k::Image::from_bytes(frame).ok()?;
        let components = image.components();
        let fits = components.len() == usize::from(facts.samples_per_pixel)
            && components.iter().all(|component| component.data().len() == pixels);
        if !fits {
            return None;
        }
        let mut planes = Vec::new();
        for component in components {
            let values = component.data().iter().map(|v| v.to_le_bytes());
            if announced.precision <= 8 {
                planes.extend(values.map(|[low, ..]| low));
            } else {
                planes.extend(values.flat_map(|[low, high, ..]| [low, high]));
            }
        }
        Some(planes)
    })?;
    let width = if announced.precision <= 8 { 1 } else { 2 };
    let bytes = if facts.samples_per_pixel == 3 {
        super::colour::to_pixels(&bytes, width)
    } else {
        bytes
    };
    // the transformations that JPEG 2000 defines are undone by the codec, PS3.5 8.2.4
    let space = Space::of(facts.photometric_interpretation);
    let mut raw = finish(facts, announced, bytes, space)?;
    if announced.signed && !facts.is_signed() {
        raw.stored = facts.bits_stored;
    }
    if facts.bits_allocated == 1 {
        // single bits come as bytes
        raw.bytes = native::widen(raw.bytes, 8, 1)?;
        raw.allocated = 1;
    }
    Ok(raw)
}
