//! The only thing retrieval is handed of an image: its gray samples.

use crate::Error;

/// An 8-bit gray picture, row by row, already windowed, 0 black (MONOCHROME1 inverted).
#[derive(Debug, Clone, Copy)]
pub struct GrayPicture<'a> {
    width: u32,
    height: u32,
    data: &'a [u8],
}

impl<'a> GrayPicture<'a> {
    /// Returns the picture, once its samples are as many as its sides say and neither side is zero.
    ///
    /// # Errors
    ///
    /// [`Error::PictureSize`] otherwise.
    pub fn new(width: u32, height: u32, data: &'a [u8]) -> Result<Self, Error> {
        let expected = u64::from(width) * u64::from(height);
        if expected == 0 || u64::try_from(data.len()) != Ok(expected) {
            return Err(Error::PictureSize {
                width,
                height,
                samples: data.len(),
            });
        }
        Ok(Self { width, height, data })
    }

    /// Returns the number of columns.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the samples, row by row.
    #[must_use]
    pub fn samples(&self) -> &'a [u8] {
        self.data
    }

    /// Returns the rows from the top.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // a width that does not fit cannot have been allocated, and `new` checked that it was
        self.data
            .chunks_exact(usize::try_from(self.width).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_as_many_samples_as_its_sides_say() {
        assert!(GrayPicture::new(3, 2, &[0; 6]).is_ok());
        for (width, height, samples) in [(3, 2, 5), (3, 2, 7), (0, 2, 0), (3, 0, 0), (u32::MAX, u32::MAX, 6)] {
            assert!(
                GrayPicture::new(width, height, &vec![0; samples]).is_err(),
                "{width} x {height}: {samples}"
            );
        }
    }
}
