//! One frame, decoded.

/// The samples of a frame, row after row from the top left.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Samples {
    /// Stored values, sign extended, before any rescale.
    Gray(Vec<i32>),
    /// Stored values that do not fit the above: 32-bit unsigned and floating point.
    GrayWide(Vec<f64>),
    /// Red, green, blue of each pixel.
    Rgb(Vec<u8>),
}

/// One frame, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// As many samples as the size needs, always.
    pub samples: Samples,
}
