//! Byte order of native samples.

use dicom_core::VR;

/// Turns native pixel bytes of Explicit VR Big Endian into little endian, or back, in place.
///
/// The unit is the sample: (7FE0,0010) of 32-bit samples is OW all the same, and swapping its 16-bit halves each for
/// itself gives wrong values. Samples of up to 8 bits in OW lie in 16-bit words (PS3.5 8.1.1), in OB they stand alone.
/// Bytes that fill no whole unit stay.
pub fn swap_native(vr: VR, bits_allocated: u16, bytes: &mut [u8]) {
    let unit = match (vr, bits_allocated) {
        (VR::OD | VR::OV, _) | (_, 64) => 8,
        (VR::OF | VR::OL, _) | (_, 32) => 4,
        (_, 16) | (VR::OW, _) => 2,
        _ => return,
    };
    for word in bytes.chunks_exact_mut(unit) {
        word.reverse();
    }
}
