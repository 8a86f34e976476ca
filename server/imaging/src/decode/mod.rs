//! From the bytes of one frame to samples.
//!
//! Native samples, RLE and deflated frames are read by our own code; JPEG, JPEG-LS and JPEG 2000 by the codecs that
//! dicom-transfer-syntax-registry wraps, called directly. Its wrappers copy a frame of any size into a buffer of the
//! expected one, refuse good frames that compress better than 64 to 1, convert RGB that carries a JFIF marker, and leave
//! JPEG-LS planes as planes; all of it is settled here, before and after the call.

pub(crate) mod bits;
pub(crate) mod codec;
mod colour;
mod jpeg12;
mod native;
pub(crate) mod probe;
mod rle;
#[cfg(test)]
mod tests;

use isocenter_model::uid::{TransferSyntaxUid, transfer_syntax as uid};

use crate::{Error, Frame, Photometric, PixelFacts, Samples};

/// The largest frame that is decoded, in bytes of its samples.
const LARGEST: u64 = 1 << 28;

/// How the frames of a transfer syntax are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Native { little: bool },
    Rle,
    Deflated,
    Jpeg,
    JpegLs,
    Jpeg2000,
}

pub(crate) fn coding(ts: &TransferSyntaxUid) -> Option<Coding> {
    let uid = ts.as_str();
    if ts.is_native() {
        return Some(Coding::Native {
            little: ts.is_little_endian(),
        });
    }
    match uid {
        // Encapsulated Uncompressed Explicit VR Little Endian, PS3.5 A.4.11
        "1.2.840.10008.1.2.1.98" => return Some(Coding::Native { little: true }),
        uid::RLE_LOSSLESS => return Some(Coding::Rle),
        // Deflated Image Frame Compression, PS3.5 A.4.13
        "1.2.840.10008.1.2.8.1" => return Some(Coding::Deflated),
        _ => {}
    }
    let number = uid.strip_prefix("1.2.840.10008.1.2.4.")?.parse::<u32>().ok()?;
    match number {
        50..=70 => Some(Coding::Jpeg),
        80 | 81 => Some(Coding::JpegLs),
        90..=93 | 201..=203 => Some(Coding::Jpeg2000),
        _ => None,
    }
}

/// Returns whether frames of a transfer syntax can be decoded at all.
pub fn can_decode(ts: &TransferSyntaxUid) -> bool {
    coding(ts).is_some()
}

/// Samples as they came out of a frame.
pub(crate) struct Raw {
    /// Little endian, pixel after pixel.
    pub(crate) bytes: Vec<u8>,
    /// Bits that each sample takes in `bytes`: 1, 8, 16, 32 or 64.
    pub(crate) allocated: u16,
    /// The lowest bit of a sample.
    pub(crate) low_bit: u16,
    /// Bits of a sample that count.
    pub(crate) stored: u16,
    /// What three samples mean.
    pub(crate) space: Space,
}

/// What three samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Rgb,
    Ybr,
    YbrPartial,
}

impl Space {
    fn of(photometric: Photometric) -> Self {
        match photometric {
            Photometric::YbrFull | Photometric::YbrFull422 => Self::Ybr,
            Photometric::YbrPartial => Self::YbrPartial,
            _ => Self::Rgb,
        }
    }
}

fn check_size(facts: &PixelFacts) -> Result<(), Error> {
    let samples = facts.pixels().saturating_mul(u64::from(facts.samples_per_pixel));
    let bytes = samples.saturating_mul(u64::from(facts.bits_allocated)).div_ceil(8);
    // samples are widened to 32 bits, so single bits count as more
    if bytes.max(samples) > LARGEST {
        Err(Error::TooLarge { bytes, limit: LARGEST })
    } else {
        Ok(())
    }
}

pub(crate) fn raw(facts: &PixelFacts, ts: &TransferSyntaxUid, frame: &[u8]) -> Result<Raw, Error> {
    check_size(facts)?;
    if !matches!(facts.samples_per_pixel, 1 | 3) {
        return Err(Error::Unsupported {
            what: "other than one or three samples per pixel",
        });
    }
    match coding(ts).ok_or(Error::Unsupported {
        what: "transfer syntax",
    })? {
        Coding::Native { little } => native::read(facts, little, frame.to_vec()),
        Coding::Rle => native::read_planes(facts, rle::decode(facts, frame)?),
        Coding::Deflated => native::read(facts, true, codec::inflate(facts, frame)?),
        Coding::Jpeg => codec::jpeg(facts, frame),
        Coding::JpegLs => codec::jpeg_ls(facts, frame),
        Coding::Jpeg2000 => codec::jpeg_2000(facts, frame),
    }
}

/// Decodes one frame.
///
/// # Errors
/// [`Error::Unsupported`] for what no codec here reads, [`Error::Damaged`] or [`Error::Codec`] for frames that are not
/// what their header says, [`Error::TooLarge`] beyond a gigabyte of samples.
pub fn decode_frame(facts: &PixelFacts, ts: &TransferSyntaxUid, frame: &[u8]) -> Result<Frame, Error> {
    let raw = raw(facts, ts, frame)?;
    Ok(Frame {
        width: u32::from(facts.columns),
        height: u32::from(facts.rows),
        samples: samples(facts, &raw)?,
    })
}

fn samples(facts: &PixelFacts, raw: &Raw) -> Result<Samples, Error> {
    if facts.samples_per_pixel == 3 {
        return Ok(Samples::Rgb(colour::to_rgb(facts, raw)?));
    }
    Ok(match (native::gray(facts, raw)?, &facts.palette) {
        (Samples::Gray(values), Some(palette)) if facts.photometric_interpretation == Photometric::PaletteColor => {
            Samples::Rgb(values.into_iter().flat_map(|v| palette.at(v)).collect())
        }
        (gray, _) => gray,
    })
}

/// Decodes one frame and hands its samples on in bands of rows, from the top: widened samples take many times the memory
/// of coded ones. Ends early, with `false`, where `take` says so.
pub(crate) fn in_bands(
    facts: &PixelFacts,
    ts: &TransferSyntaxUid,
    frame: &[u8],
    take: &mut dyn FnMut(Samples) -> bool,
) -> Result<bool, Error> {
    /// Samples of a band, about.
    const BAND: usize = 1 << 18;
    let mut raw = raw(facts, ts, frame)?;
    let each = usize::from(facts.columns) * usize::from(facts.samples_per_pixel);
    // eight rows of single bits end with a byte
    let rows = (BAND / each.max(1)).clamp(8, 1 << 15) / 8 * 8;
    let bytes = std::mem::take(&mut raw.bytes);
    let band_len = rows * each * usize::from(raw.allocated) / 8;
    let mut band = facts.clone();
    let mut left = usize::from(facts.rows);
    for part in bytes.chunks(band_len.max(1)) {
        let here = rows.min(left);
        left -= here;
        if here == 0 {
            break;
        }
        band.rows = u16::try_from(here).unwrap_or(u16::MAX);
        raw.bytes = part.to_vec();
        if !take(samples(&band, &raw)?) {
            return Ok(false);
        }
    }
    if left > 0 {
        return Err(Error::Damaged {
            what: "frame is shorter than rows and columns need",
        });
    }
    Ok(true)
}

/// Returns one frame as native little endian samples without padding, as an octet stream holds it.
///
/// Stored native samples keep their colour space, subsampling and planes, for the metadata describe them. Decoded colour
/// comes as RGB, in planes where Planar Configuration says so.
///
/// # Errors
/// As [`decode_frame`].
pub fn to_native(facts: &PixelFacts, ts: &TransferSyntaxUid, frame: &[u8]) -> Result<Vec<u8>, Error> {
    check_size(facts)?;
    if let Some(Coding::Native { little }) = coding(ts) {
        return native::little_endian(facts, little, frame.to_vec());
    }
    let raw = raw(facts, ts, frame)?;
    let mut bytes = native::widen(raw.bytes, raw.allocated, facts.bits_allocated)?;
    if facts.samples_per_pixel == 3 {
        if raw.space != Space::Rgb && facts.bits_allocated == 8 {
            colour::convert(raw.space, &mut bytes);
        }
        if facts.planar_configuration == 1 {
            bytes = colour::to_planes(&bytes, usize::from(facts.bits_allocated / 8));
        }
    }
    Ok(bytes)
}
