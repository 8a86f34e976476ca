//! What a header says about pixels: PS3.3 C.7.6.3 Image Pixel, C.11.1 Modality LUT, C.11.2 VOI LUT.
//!
//! Of objects with functional groups (PS3.3 C.7.6.16) the rescale and the window of the shared group are taken, else
//! those of the first frame.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Photometric Interpretation (0028,0004), PS3.3 C.7.6.3.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Photometric {
    /// The smallest value is white.
    Monochrome1,
    /// The smallest value is black.
    Monochrome2,
    /// Values are places in three tables.
    PaletteColor,
    /// Red, green, blue.
    Rgb,
    /// Luminance and two differences, full range.
    YbrFull,
    /// The same, with half of the differences.
    YbrFull422,
    /// The retired range of television.
    YbrPartial,
    /// The irreversible transformation of JPEG 2000, undone by its decoder.
    YbrIct,
    /// The reversible one.
    YbrRct,
    /// Anything else.
    Other,
}

impl Photometric {
    fn parse(text: &str) -> Self {
        match text {
            "MONOCHROME1" => Self::Monochrome1,
            "MONOCHROME2" => Self::Monochrome2,
            "PALETTE COLOR" => Self::PaletteColor,
            "RGB" => Self::Rgb,
            "YBR_FULL" => Self::YbrFull,
            "YBR_FULL_422" => Self::YbrFull422,
            "YBR_PARTIAL_422" | "YBR_PARTIAL_420" => Self::YbrPartial,
            "YBR_ICT" => Self::YbrIct,
            "YBR_RCT" => Self::YbrRct,
            _ => Self::Other,
        }
    }
}

/// How a window maps values to brightness, PS3.3 C.11.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WindowFunction {
    /// LINEAR, C.11.2.1.2.1.
    #[default]
    Linear,
    /// LINEAR_EXACT, C.11.2.1.3.2.
    LinearExact,
    /// SIGMOID, C.11.2.1.3.1.
    Sigmoid,
}

/// A value of interest window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051).
    pub width: f64,
    /// VOI LUT Function (0028,1056).
    pub function: WindowFunction,
}

/// A lookup table, PS3.3 C.11.1.1: of the modality or of values of interest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lut {
    /// The value that the first entry stands for.
    pub first: i32,
    /// Bits of an entry.
    pub bits: u16,
    /// The entries; never empty.
    pub entries: Vec<u16>,
}

impl Lut {
    /// Returns the entry of a value; values outside take the nearest.
    pub fn at(&self, value: i32) -> u16 {
        let place = usize::try_from(value.saturating_sub(self.first)).unwrap_or(0);
        let last = self.entries.len().saturating_sub(1);
        self.entries.get(place.min(last)).copied().unwrap_or(0)
    }
}

/// The tables of PALETTE COLOR, PS3.3 C.7.9, in 8 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Palette {
    /// The value that the first colour stands for.
    pub first: i32,
    /// Red, green, blue of each.
    pub colours: Vec<[u8; 3]>,
}

impl Palette {
    /// Returns the colour of a value; values outside take the nearest.
    pub fn at(&self, value: i32) -> [u8; 3] {
        let place = usize::try_from(value.saturating_sub(self.first)).unwrap_or(0);
        let last = self.colours.len().saturating_sub(1);
        self.colours.get(place.min(last)).copied().unwrap_or_default()
    }
}

/// What a header says about pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelFacts {
    /// Rows (0028,0010).
    pub rows: u16,
    /// Columns (0028,0011).
    pub columns: u16,
    /// Samples per Pixel (0028,0002).
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101), at most Bits Allocated.
    pub bits_stored: u16,
    /// High Bit (0028,0102), or what it must be where the header contradicts itself.
    pub high_bit: u16,
    /// Pixel Representation (0028,0103): 1 for two's complement.
    pub pixel_representation: u16,
    /// Photometric Interpretation (0028,0004).
    pub photometric_interpretation: Photometric,
    /// Planar Configuration (0028,0006): 1 for plane after plane.
    pub planar_configuration: u16,
    /// Number of Frames (0028,0008), 1 where absent.
    pub number_of_frames: u32,
    /// Samples are floating point: (7FE0,0008) or (7FE0,0009).
    pub float: bool,
    /// Rescale Slope and Intercept (0028,1053) and (0028,1052).
    pub rescale: Option<(f64, f64)>,
    /// Modality LUT Sequence (0028,3000).
    pub modality_lut: Option<Lut>,
    /// Windows, the first of which is the one to show.
    pub windows: Vec<Window>,
    /// VOI LUT Sequence (0028,3010).
    pub voi_lut: Option<Lut>,
    /// Pixel Padding Value and Range Limit (0028,0120) and (0028,0121): values that mean nothing.
    pub padding: Option<(i32, i32)>,
    /// The palette.
    pub palette: Option<Palette>,
    /// Extended Offset Table (7FE0,0001), for the making of a frame map only.
    #[serde(skip)]
    pub extended_offsets: Vec<u64>,
}

impl PixelFacts {
    /// Reads the facts from a header.
    ///
    /// # Errors
    /// [`Error::Attribute`] where Rows, Columns or Bits Allocated are missing or zero, or a number is none.
    pub fn from_header(header: &InMemDicomObject) -> Result<Self, Error> {
        let bits_allocated = needed(header, tags::BITS_ALLOCATED, "Bits Allocated")?;
        let samples_per_pixel = optional(header, tags::SAMPLES_PER_PIXEL, "Samples per Pixel")?
            .unwrap_or(1)
            .max(1);
        let bits_stored = optional(header, tags::BITS_STORED, "Bits Stored")?.unwrap_or(bits_allocated);
        let bits_stored = if (1..=bits_allocated).contains(&bits_stored) {
            bits_stored
        } else {
            bits_allocated
        };
        let high_bit = optional(header, tags::HIGH_BIT, "High Bit")?.unwrap_or(bits_stored - 1);
        let high_bit = if (bits_stored - 1..bits_allocated).contains(&high_bit) {
            high_bit
        } else {
            bits_stored - 1
        };
        let photometric = header
            .get(tags::PHOTOMETRIC_INTERPRETATION)
            .and_then(|e| e.to_str().ok());
        let photometric = photometric
            .as_deref()
            .map(|t| t.trim_matches([' ', '\0']))
            .filter(|t| !t.is_empty());
        let otherwise = if samples_per_pixel == 3 {
            Photometric::Rgb
        } else {
            Photometric::Monochrome2
        };
        let photometric_interpretation = photometric.map_or(otherwise, Photometric::parse);
        let pixel_representation = optional(header, tags::PIXEL_REPRESENTATION, "Pixel Representation")?
            .filter(|v| *v == 1)
            .unwrap_or(0);
        let palette = match photometric_interpretation {
            Photometric::PaletteColor => palette(header),
            _ => None,
        };
        Ok(Self {
            rows: needed(header, tags::ROWS, "Rows")?,
            columns: needed(header, tags::COLUMNS, "Columns")?,
            samples_per_pixel,
            bits_allocated,
            bits_stored,
            high_bit,
            pixel_representation,
            photometric_interpretation,
            planar_configuration: optional(header, tags::PLANAR_CONFIGURATION, "Planar Configuration")?.unwrap_or(0),
            number_of_frames: optional(header, tags::NUMBER_OF_FRAMES, "Number of Frames")?
                .unwrap_or(1u32)
                .max(1),
            float: false,
            rescale: rescale(header),
            modality_lut: lut(header, tags::MODALITY_LUT_SEQUENCE),
            windows: windows(header),
            voi_lut: lut(header, tags::VOILUT_SEQUENCE),
            padding: padding(header),
            palette,
            extended_offsets: extended_offsets(header),
        })
    }

    /// Returns whether samples are two's complement.
    pub fn is_signed(&self) -> bool {
        self.pixel_representation == 1
    }

    /// Returns the pixels of one frame.
    pub fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Returns the bits of one native frame. 4:2:2 has two samples a pixel instead of three.
    pub fn frame_bits(&self) -> u64 {
        let halved = matches!(
            self.photometric_interpretation,
            Photometric::YbrFull422 | Photometric::YbrPartial
        );
        let samples = if halved && self.samples_per_pixel == 3 {
            2
        } else {
            u64::from(self.samples_per_pixel)
        };
        self.pixels()
            .saturating_mul(samples)
            .saturating_mul(u64::from(self.bits_allocated))
    }

    /// Returns the bytes of all native frames together, without padding.
    pub fn expected_len(&self) -> u64 {
        self.frame_bits()
            .saturating_mul(u64::from(self.number_of_frames))
            .div_ceil(8)
    }
}

fn optional<T: TryFrom<i64>>(header: &InMemDicomObject, tag: Tag, name: &'static str) -> Result<Option<T>, Error> {
    let Some(value) = header.get(tag).and_then(|e| e.value().primitive()) else {
        return Ok(None);
    };
    let text = value.to_raw_str();
    if text.trim_matches([' ', '\0']).is_empty() {
        return Ok(None);
    }
    let number = value.to_int::<i64>().ok().and_then(|number| T::try_from(number).ok());
    number.map(Some).ok_or(Error::Attribute { name })
}

fn needed(header: &InMemDicomObject, tag: Tag, name: &'static str) -> Result<u16, Error> {
    optional(header, tag, name)?
        .filter(|v| *v > 0)
        .ok_or(Error::Attribute { name })
}

/// Returns the places where an attribute of a functional group macro may stand: at the top, in the shared group, in the
/// first frame's.
fn macro_items(header: &InMemDicomObject, sequence: Tag) -> Vec<&InMemDicomObject> {
    let mut places = vec![header];
    for groups in [
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    ] {
        let group = header.get(groups).and_then(|e| e.items()).and_then(<[_]>::first);
        let item = group
            .and_then(|g| g.get(sequence))
            .and_then(|e| e.items())
            .and_then(<[_]>::first);
        places.extend(item);
    }
    places
}

fn floats(header: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let values = header
        .get(tag)
        .and_then(|e| e.to_multi_float64().ok())
        .unwrap_or_default();
    values.into_iter().filter(|v| v.is_finite()).collect()
}

fn rescale(header: &InMemDicomObject) -> Option<(f64, f64)> {
    macro_items(header, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE)
        .into_iter()
        .find_map(|place| {
            let slope = floats(place, tags::RESCALE_SLOPE).first().copied();
            let intercept = floats(place, tags::RESCALE_INTERCEPT).first().copied();
            if slope.is_none() && intercept.is_none() {
                return None;
            }
            // a slope of zero would make every picture one gray
            Some((slope.filter(|s| *s != 0.0).unwrap_or(1.0), intercept.unwrap_or(0.0)))
        })
}

fn windows(header: &InMemDicomObject) -> Vec<Window> {
    let found = macro_items(header, tags::FRAME_VOILUT_SEQUENCE)
        .into_iter()
        .map(|place| {
            let function = place.get(tags::VOILUT_FUNCTION).and_then(|e| e.to_str().ok());
            let function = match function.as_deref().map(str::trim) {
                Some("LINEAR_EXACT") => WindowFunction::LinearExact,
                Some("SIGMOID") => WindowFunction::Sigmoid,
                _ => WindowFunction::Linear,
            };
            let pairs = floats(place, tags::WINDOW_CENTER)
                .into_iter()
                .zip(floats(place, tags::WINDOW_WIDTH));
            let pairs = pairs.filter(|(_, width)| *width > 0.0);
            pairs
                .map(|(center, width)| Window {
                    center,
                    width,
                    function,
                })
                .collect::<Vec<_>>()
        });
    found
        .into_iter()
        .find(|windows| !windows.is_empty())
        .unwrap_or_default()
}

/// Reads three numbers of a LUT Descriptor: entries (0 means 65536), first value, bits. The second is signed where the
/// pixels are, whatever the value representation says.
fn descriptor(header: &InMemDicomObject, tag: Tag, signed: bool) -> Option<(usize, i32, u16)> {
    let values = header.get(tag)?.to_multi_int::<i64>().ok()?;
    let [entries, first, bits] = values.as_slice() else {
        return None;
    };
    let word = |v: &i64| u16::try_from(v & 0xFFFF).unwrap_or(0);
    let entries = match word(entries) {
        0 => 65_536,
        n => usize::from(n),
    };
    let first = if signed {
        i32::from(word(first).cast_signed())
    } else {
        i32::from(word(first))
    };
    Some((entries, first, word(bits)))
}

/// Reads LUT data: words, or bytes that senders of 8-bit tables pack two in a word.
fn words(header: &InMemDicomObject, tag: Tag, entries: usize) -> Option<Vec<u16>> {
    let bytes = header.get(tag)?.to_bytes().ok()?.into_owned();
    if bytes.len() >= entries.saturating_mul(2) {
        return Some(
            bytes
                .chunks_exact(2)
                .take(entries)
                .map(|c| c.iter().rev().fold(0, |v, b| v << 8 | u16::from(*b)))
                .collect(),
        );
    }
    (bytes.len() >= entries).then(|| bytes.iter().take(entries).map(|b| u16::from(*b)).collect())
}

fn lut(header: &InMemDicomObject, sequence: Tag) -> Option<Lut> {
    let item = header.get(sequence)?.items()?.first()?;
    let signed = optional::<u16>(header, tags::PIXEL_REPRESENTATION, "").ok().flatten() == Some(1);
    let (entries, first, bits) = descriptor(item, tags::LUT_DESCRIPTOR, signed)?;
    let entries = words(item, tags::LUT_DATA, entries)?;
    (!entries.is_empty() && (1..=16).contains(&bits)).then_some(Lut { first, bits, entries })
}

fn palette(header: &InMemDicomObject) -> Option<Palette> {
    let tables = [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ];
    let mut planes = Vec::new();
    let mut first = 0;
    for (described, data) in tables {
        let (entries, start, bits) = descriptor(header, described, false)?;
        first = start;
        let table = words(header, data, entries)?;
        // some say 16 bits and mean the lower 8
        let small = table.iter().all(|v| *v < 256);
        let to_8 = |v: u16| u8::try_from(if bits > 8 && !small { v >> 8 } else { v & 0xFF }).unwrap_or(u8::MAX);
        planes.push(table.into_iter().map(to_8).collect::<Vec<u8>>());
    }
    let [red, green, blue] = planes.as_slice() else {
        return None;
    };
    let colours: Vec<_> = red
        .iter()
        .zip(green)
        .zip(blue)
        .map(|((r, g), b)| [*r, *g, *b])
        .collect();
    (!colours.is_empty()).then_some(Palette { first, colours })
}

fn padding(header: &InMemDicomObject) -> Option<(i32, i32)> {
    let value = |tag| header.get(tag).and_then(|e| e.to_int::<i32>().ok());
    let one = value(tags::PIXEL_PADDING_VALUE)?;
    let other = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(one);
    Some((one.min(other), one.max(other)))
}

fn extended_offsets(header: &InMemDicomObject) -> Vec<u64> {
    let element = header.get(Tag(0x7FE0, 0x0001));
    element.and_then(|e| e.to_multi_int::<u64>().ok()).unwrap_or_default()
}
