//! What hidden samples are set to (deid reference, section 14).

use isocenter_deid::FillStyle;

use crate::{Photometric, PixelFacts};

/// Returns the value of each sample of a hidden pixel, in place; unused bits are zero, or
/// the sign.
pub(super) fn samples(facts: &PixelFacts, style: FillStyle) -> Vec<u64> {
    let count = usize::from(facts.samples_per_pixel.max(1));
    let stored = u32::from(facts.bits_stored.clamp(1, 64));
    let all = u64::MAX >> (64 - stored);
    let low_bit = u32::from(facts.high_bit.saturating_add(1).saturating_sub(facts.bits_stored)).min(63);
    let allocated = u64::MAX >> (64 - u32::from(facts.bits_allocated.clamp(1, 64)));
    let in_place = |value: u64| {
        // the sign goes on into the unused bits: naive readers take all that is allocated
        let above = 64 - stored;
        let negative = facts.is_signed() && value & middle_of(stored) != 0;
        let extended = if negative {
            ((value << above).cast_signed() >> above).cast_unsigned()
        } else {
            value & all
        };
        (extended << low_bit) & allocated
    };
    let middle = middle_of(stored);
    if facts.float {
        return vec![0; count];
    }
    match facts.photometric_interpretation {
        Photometric::YbrFull | Photometric::YbrFull422 if count == 3 => {
            vec![0, in_place(middle), in_place(middle)]
        }
        Photometric::YbrPartial if count == 3 => {
            let black = if style == FillStyle::Ctp { 0 } else { middle >> 3 };
            vec![in_place(black), in_place(middle), in_place(middle)]
        }
        _ if count > 1 => vec![0; count],
        Photometric::Monochrome1 if style == FillStyle::Ctp => {
            // 15 in each byte of 16 bits, the whole byte of 8 (section 6)
            vec![if facts.bits_allocated <= 8 { 0xFF } else { 0x0F0F }]
        }
        _ if style == FillStyle::Ctp => vec![0],
        Photometric::PaletteColor => vec![in_place(darkest(facts))],
        photometric => {
            if let Some((padding, _)) = facts.padding {
                return vec![in_place(i64::from(padding).cast_unsigned())];
            }
            let white = photometric == Photometric::Monochrome1;
            vec![in_place(match (white, facts.is_signed()) {
                (false, false) => 0,
                (false, true) => middle,
                (true, false) => all,
                (true, true) => middle - 1,
            })]
        }
    }
}

fn middle_of(stored: u32) -> u64 {
    1 << (stored - 1)
}

/// Returns the value whose colour is darkest.
fn darkest(facts: &PixelFacts) -> u64 {
    let Some(palette) = &facts.palette else { return 0 };
    let light = |colour: &[u8; 3]| colour.iter().map(|c| u32::from(*c)).sum::<u32>();
    let place = palette
        .colours
        .iter()
        .enumerate()
        .min_by_key(|(_, colour)| light(colour));
    let place = place.map_or(0, |(n, _)| i64::try_from(n).unwrap_or(0));
    (i64::from(palette.first) + place).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Palette;
    use crate::samples::facts;

    #[test]
    fn hidden_pixels_are_dark_in_every_interpretation() {
        let mut f = facts(1, 1, 16);
        f.bits_stored = 12;
        f.high_bit = 11;
        assert_eq!(samples(&f, FillStyle::Black), [0]);
        f.pixel_representation = 1;
        assert_eq!(samples(&f, FillStyle::Black), [0xF800]);
        f.photometric_interpretation = Photometric::Monochrome1;
        assert_eq!(samples(&f, FillStyle::Black), [0x7FF]);
        f.pixel_representation = 0;
        assert_eq!(samples(&f, FillStyle::Black), [0xFFF]);
        assert_eq!(samples(&f, FillStyle::Ctp), [0x0F0F]);
        f.padding = Some((-3, -3));
        assert_eq!(samples(&f, FillStyle::Black), [0xFFD]);
        f.samples_per_pixel = 3;
        f.photometric_interpretation = Photometric::YbrFull;
        assert_eq!(samples(&f, FillStyle::Black), [0, 0x800, 0x800]);
        let mut f = facts(1, 1, 8);
        f.photometric_interpretation = Photometric::PaletteColor;
        f.palette = Some(Palette {
            first: 5,
            colours: vec![[9, 9, 9], [1, 0, 0], [2, 0, 0]],
        });
        assert_eq!(samples(&f, FillStyle::Black), [6]);
    }
}
