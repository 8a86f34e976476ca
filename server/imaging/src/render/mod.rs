//! From samples to pictures, in the order of PS3.4 N.2: modality, values of interest, presentation; then source box,
//! scaling and coding.

mod gray;
mod scale;

use crate::{Error, Frame, PixelFacts, Samples, Window};

/// Coding of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `image/jpeg`.
    #[default]
    Jpeg,
    /// `image/png`.
    Png,
}

/// The box into which a picture is scaled, PS3.18 8.3.5.1.3. Its proportions are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Width of the box.
    pub width: u32,
    /// Height of the box.
    pub height: u32,
    /// Left, top, width and height of the part of the frame to show; a negative width or height flips it.
    pub source: Option<(f64, f64, f64, f64)>,
}

/// What is asked of a rendered picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RenderOptions {
    /// The window; else that of the header, else the range of values.
    pub window: Option<Window>,
    /// The box; else the size of the frame.
    pub viewport: Option<Viewport>,
    /// JPEG quality, 1 to 100; else 90.
    pub quality: Option<u8>,
    /// Coding.
    pub format: Format,
}

/// A gray picture of 8 bits: as it is shown, black at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gray8 {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row after row.
    pub data: Vec<u8>,
}

/// A picture of 8 bits and one or three channels.
struct Picture {
    width: u32,
    height: u32,
    channels: usize,
    data: Vec<u8>,
}

/// The largest side of a picture: more no client shows, and a JPEG cannot hold more.
const LONGEST_SIDE: u32 = 16_384;

fn picture(frame: &Frame, facts: &PixelFacts, window: Option<Window>) -> Picture {
    let (channels, data) = match &frame.samples {
        Samples::Rgb(data) => (3, data.clone()),
        Samples::Gray(values) => (1, gray::show(values, facts, window)),
        Samples::GrayWide(values) => (1, gray::show_wide(values, facts, window)),
    };
    Picture {
        width: frame.width,
        height: frame.height,
        channels,
        data,
    }
}

/// Draws a frame.
///
/// # Errors
/// [`Error::Parameter`] where an option is out of range, [`Error::Encode`] where the picture cannot be coded.
pub fn render(frame: &Frame, facts: &PixelFacts, options: &RenderOptions) -> Result<Vec<u8>, Error> {
    let quality = options.quality.unwrap_or(90);
    if !(1..=100).contains(&quality) {
        return Err(Error::Parameter { name: "quality" });
    }
    if options
        .window
        .is_some_and(|w| !(w.width.is_finite() && w.center.is_finite()) || w.width <= 0.0)
    {
        return Err(Error::Parameter { name: "window" });
    }
    let mut picture = picture(frame, facts, options.window);
    if let Some(viewport) = options.viewport {
        picture = scale::fit(picture, viewport)?;
    }
    if picture.width.max(picture.height) > LONGEST_SIDE {
        let side = Viewport {
            width: LONGEST_SIDE,
            height: LONGEST_SIDE,
            source: None,
        };
        picture = scale::fit(picture, side)?;
    }
    match options.format {
        Format::Jpeg => jpeg(&picture, quality),
        Format::Png => png(&picture),
    }
}

/// Draws a small JPEG that fits a square of `side` pixels; never larger than the frame.
///
/// # Errors
/// As [`render`].
pub fn thumbnail(frame: &Frame, facts: &PixelFacts, side: u32) -> Result<Vec<u8>, Error> {
    let longest = frame.width.max(frame.height);
    let side = side.min(longest);
    let viewport = Some(Viewport {
        width: side,
        height: side,
        source: None,
    });
    render(
        frame,
        facts,
        &RenderOptions {
            viewport,
            quality: Some(80),
            ..RenderOptions::default()
        },
    )
}

/// Returns the frame as it is shown, in gray: windowed, MONOCHROME1 inverted, colour as luminance.
pub fn gray8(frame: &Frame, facts: &PixelFacts) -> Gray8 {
    let picture = picture(frame, facts, None);
    let data = if picture.channels == 1 {
        picture.data
    } else {
        let (pixels, _) = picture.data.as_chunks::<3>();
        let luminance = |[r, g, b]: &[u8; 3]| (77 * u32::from(*r) + 150 * u32::from(*g) + 29 * u32::from(*b)) >> 8;
        pixels
            .iter()
            .map(|pixel| u8::try_from(luminance(pixel)).unwrap_or(u8::MAX))
            .collect()
    };
    Gray8 {
        width: picture.width,
        height: picture.height,
        data,
    }
}

fn jpeg(picture: &Picture, quality: u8) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    let colour = if picture.channels == 1 {
        jpeg_encoder::ColorType::Luma
    } else {
        jpeg_encoder::ColorType::Rgb
    };
    let side = |n: u32| u16::try_from(n).map_err(|_| Error::Encode);
    encoder
        .encode(&picture.data, side(picture.width)?, side(picture.height)?, colour)
        .map_err(|_| Error::Encode)?;
    Ok(out)
}

fn png(picture: &Picture) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, picture.width, picture.height);
    encoder.set_color(if picture.channels == 1 {
        png::ColorType::Grayscale
    } else {
        png::ColorType::Rgb
    });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|_| Error::Encode)?;
    writer.write_image_data(&picture.data).map_err(|_| Error::Encode)?;
    writer.finish().map_err(|_| Error::Encode)?;
    Ok(out)
}

#[cfg(test)]
mod tests;
