use isocenter_model::TransferSyntaxUid;
use proptest::prelude::*;

use super::*;
use crate::Palette;
use crate::samples::facts;

fn ts(uid: &str) -> TransferSyntaxUid {
    TransferSyntaxUid::parse(uid).unwrap()
}

const LITTLE: &str = "1.2.840.10008.1.2.1";
const BIG: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const BASELINE: &str = "1.2.840.10008.1.2.4.50";

fn gray(facts: &PixelFacts, uid: &str, frame: &[u8]) -> Vec<i32> {
    match decode_frame(facts, &ts(uid), frame).unwrap().samples {
        Samples::Gray(values) => values,
        other => panic!("{other:?}"),
    }
}

fn rgb(facts: &PixelFacts, uid: &str, frame: &[u8]) -> Vec<u8> {
    match decode_frame(facts, &ts(uid), frame).unwrap().samples {
        Samples::Rgb(values) => values,
        other => panic!("{other:?}"),
    }
}

fn colour(rows: u16, columns: u16) -> PixelFacts {
    PixelFacts {
        samples_per_pixel: 3,
        photometric_interpretation: Photometric::Rgb,
        ..facts(rows, columns, 8)
    }
}

#[test]
fn bits_above_those_stored_are_dropped_and_the_sign_is_extended() {
    let mut facts = facts(1, 2, 16);
    (facts.bits_stored, facts.high_bit) = (12, 11);
    let frame = [0xFF, 0xFF, 0x01, 0xF8];
    assert_eq!(gray(&facts, LITTLE, &frame), [0xFFF, 0x801]);
    facts.pixel_representation = 1;
    assert_eq!(gray(&facts, LITTLE, &frame), [-1, -2047]);
    (facts.pixel_representation, facts.high_bit) = (0, 15);
    assert_eq!(gray(&facts, LITTLE, &frame), [0xFFF, 0xF80]);
}

#[test]
fn samples_of_32_bits_in_big_endian_are_whole() {
    let facts = facts(1, 1, 32);
    let frame = decode_frame(&facts, &ts(BIG), &[0x80, 0, 0, 1]).unwrap();
    assert_eq!(frame.samples, Samples::GrayWide(vec![2_147_483_649.0]));
    assert_eq!(to_native(&facts, &ts(BIG), &[0x80, 0, 0, 1]).unwrap(), [1, 0, 0, 0x80]);
}

#[test]
fn padding_is_cut_and_a_short_frame_is_damaged() {
    let facts = facts(3, 3, 8);
    let frame: Vec<u8> = (0..10).collect();
    assert_eq!(to_native(&facts, &ts(LITTLE), &frame).unwrap().len(), 9);
    assert!(matches!(
        decode_frame(&facts, &ts(LITTLE), &frame[..8]),
        Err(Error::Damaged { .. })
    ));
    assert!(matches!(
        decode_frame(&facts, &ts("1.2.3"), &frame),
        Err(Error::Unsupported { .. })
    ));
}

#[test]
fn single_bits_come_lowest_first() {
    assert_eq!(gray(&facts(1, 5, 1), LITTLE, &[0b0001_0011]), [1, 1, 0, 0, 1]);
}

#[test]
fn planes_and_halved_colour_become_pixels() {
    let mut facts = colour(1, 2);
    facts.planar_configuration = 1;
    assert_eq!(rgb(&facts, LITTLE, &[1, 2, 3, 4, 5, 6]), [1, 3, 5, 2, 4, 6]);
    facts.planar_configuration = 0;
    facts.photometric_interpretation = Photometric::YbrFull422;
    assert_eq!(rgb(&facts, LITTLE, &[10, 200, 128, 128]), [10, 10, 10, 200, 200, 200]);
    assert_eq!(
        to_native(&facts, &ts(LITTLE), &[10, 200, 128, 128]).unwrap(),
        [10, 200, 128, 128]
    );
    facts.photometric_interpretation = Photometric::YbrFull;
    assert_eq!(rgb(&facts, LITTLE, &[76, 85, 255, 0, 128, 128]), [254, 0, 0, 0, 0, 0]);
}

#[test]
fn a_palette_is_looked_up_and_values_outside_take_the_nearest() {
    let mut facts = facts(1, 4, 8);
    facts.photometric_interpretation = Photometric::PaletteColor;
    facts.palette = Some(Palette {
        first: 10,
        colours: vec![[1, 2, 3], [4, 5, 6]],
    });
    assert_eq!(
        rgb(&facts, LITTLE, &[0, 10, 11, 99]),
        [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]
    );
}

fn rle(segments: &[&[u8]]) -> Vec<u8> {
    let mut frame = (segments.len() as u32).to_le_bytes().to_vec();
    let mut offset = 64;
    for segment in segments {
        frame.extend_from_slice(&(offset as u32).to_le_bytes());
        offset += segment.len();
    }
    frame.resize(64, 0);
    segments.iter().for_each(|segment| frame.extend_from_slice(segment));
    frame
}

#[test]
fn rle_puts_the_most_significant_byte_first_and_never_runs_over() {
    let facts16 = facts(1, 2, 16);
    let frame = rle(&[&[1, 0x12, 0x34], &[1, 0x56, 0x78]]);
    assert_eq!(gray(&facts16, RLE, &frame), [0x1256, 0x3478]);
    for broken in [
        rle(&[&[1, 0x12, 0x34], &[]]),
        rle(&[&[1, 1, 2]]),
        vec![2, 0, 0, 0],
        frame[..66].to_vec(),
    ] {
        assert!(matches!(
            decode_frame(&facts16, &ts(RLE), &broken),
            Err(Error::Damaged { .. })
        ));
    }
    let wide = facts(1, 1, 32);
    let frame = rle(&[&[0, 1], &[0, 2], &[0, 3], &[0, 4]]);
    assert_eq!(to_native(&wide, &ts(RLE), &frame).unwrap(), [4, 3, 2, 1]);
}

fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height))
        .map(|n| (n * 7 % 256) as u8)
        .collect();
    let encoder = jpeg_encoder::Encoder::new(&mut out, 95);
    encoder
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Luma)
        .unwrap();
    out
}

#[test]
fn a_code_stream_that_announces_another_size_is_refused_before_it_is_decoded() {
    let good = jpeg(16, 8);
    assert_eq!(gray(&facts(8, 16, 8), BASELINE, &good).len(), 128);
    assert!(matches!(
        decode_frame(&facts(16, 8, 8), &ts(BASELINE), &good),
        Err(Error::Damaged { .. })
    ));
    let mut huge = good;
    let sof = huge.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    huge[sof + 5..sof + 9].copy_from_slice(&[0xFF; 4]);
    assert!(matches!(
        decode_frame(&facts(8, 16, 8), &ts(BASELINE), &huge),
        Err(Error::Damaged { .. })
    ));
}

#[test]
fn rgb_with_a_jfif_marker_stays_rgb() {
    let mut coded = Vec::new();
    // three equal components of RGB: a red picture, written as if it were YBR, has these samples
    let encoder = jpeg_encoder::Encoder::new(&mut coded, 100);
    let red: Vec<u8> = [[200, 30, 40]; 64].concat();
    encoder.encode(&red, 8, 8, jpeg_encoder::ColorType::Ycbcr).unwrap();
    assert!(coded.windows(4).any(|w| w == b"JFIF"));
    let facts = colour(8, 8);
    let near = |a: &[u8], b: [u8; 3]| a.chunks(3).all(|p| p.iter().zip(b).all(|(x, y)| x.abs_diff(y) < 4));
    assert!(near(&rgb(&facts, BASELINE, &coded), [200, 30, 40]));
    let ybr = PixelFacts {
        photometric_interpretation: Photometric::YbrFull,
        ..facts
    };
    // Y 200, Cb 30, Cr 40 of PS3.3 C.7.6.3.1.2
    assert!(near(&rgb(&ybr, BASELINE, &coded), [77, 255, 26]));
}

#[test]
fn a_jpeg_ls_frame_without_end_costs_nothing() {
    // CharLS 2.4.5 looks for a set bit beyond the end two thousand million times
    let frame = [
        0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0, 8, 0, 16, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0, 0x16,
    ];
    let begin = std::time::Instant::now();
    let outcome = decode_frame(&facts(8, 16, 8), &ts("1.2.840.10008.1.2.4.80"), &frame);
    assert_eq!(outcome, Err(Error::Codec { codec: "JPEG-LS" }));
    assert!(begin.elapsed() < std::time::Duration::from_secs(1));
}

#[test]
fn a_deflated_frame_never_inflates_beyond_its_size() {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![7; 50_000_000]).unwrap();
    let bomb = encoder.finish().unwrap();
    let deflated = "1.2.840.10008.1.2.8.1";
    assert_eq!(gray(&facts(2, 2, 8), deflated, &bomb), [7; 4]);
    assert!(matches!(
        decode_frame(&facts(2, 2, 8), &ts(deflated), &[1, 2]),
        Err(Error::Damaged { .. })
    ));
}

/// Keeps the panics of codecs, which are caught, out of the output: with backtraces each costs a second.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|at| !at.file().contains("jpeg-decoder")) {
                usual(info);
            }
        }));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a frame holds: an answer, never a panic that leaves.
    #[test]
    fn damaged_frames_never_panic(
        coding in 0..7usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (uid, mut frame) = match coding {
            0 => (LITTLE, (0..=255).collect()),
            1 => (RLE, rle(&[&[1, 0x12, 0x34, 0x81, 9], &[1, 0x56, 0x78, 0x81, 9]])),
            2 => (BASELINE, jpeg(16, 8)),
            3 => ("1.2.840.10008.1.2.4.80", charls::CharLS::default().encode(
                charls::FrameInfo { width: 16, height: 8, bits_per_sample: 8, component_count: 1 }, 0, &[5; 128]).unwrap()),
            4 => ("1.2.840.10008.1.2.4.90", [&[0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0, 0, 0, 0, 16, 0, 0, 0, 8][..], &[0; 40]].concat()),
            5 => ("1.2.840.10008.1.2.4.70", jpeg(16, 8)),
            // the same stream called one of 12 bits goes to our own decoder
            _ => {
                let mut frame = jpeg(16, 8);
                let sof = frame.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
                (frame[sof + 1], frame[sof + 4]) = (0xC1, 12);
                ("1.2.840.10008.1.2.4.51", frame)
            }
        };
        quiet();
        for (index, byte) in changes {
            let at = index.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(cut.index(frame.len()) + 1);
        let begin = std::time::Instant::now();
        for bits in [8, 16] {
            let facts = facts(8, 16, bits);
            if let Ok(frame) = decode_frame(&facts, &ts(uid), &frame) {
                let Samples::Gray(values) = frame.samples else { panic!("gray") };
                prop_assert_eq!(values.len(), 128);
            }
            let _ = to_native(&facts, &ts(uid), &frame);
        }
        prop_assert!(begin.elapsed() < std::time::Duration::from_secs(2), "{uid}: {:?} for {frame:02x?}", begin.elapsed());
    }
}
