use dicom_core::VR;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{Limits, layout_data_set};

use super::*;
use crate::samples::facts;

fn fragments(parts: &[&[u8]]) -> (Vec<Fragment>, Vec<u8>) {
    let (mut list, mut source) = (Vec::new(), vec![0; 100]);
    for part in parts {
        source.extend_from_slice(&[0; 8]);
        list.push(Fragment {
            offset: source.len() as u64,
            len: part.len() as u32,
        });
        source.extend_from_slice(part);
    }
    (list, source)
}

const WHOLE: &[u8] = &[0xFF, 0xD8, 1, 2, 0xFF, 0xD9];
const BEGIN: &[u8] = &[0xFF, 0xD8, 1, 2, 3, 4];
const MIDDLE: &[u8] = &[0xFF, 0xD8, 9, 9, 9, 9];
const END: &[u8] = &[7, 8, 0xFF, 0xD9, 0, 0];

#[test]
fn fragments_become_frames_by_number_table_or_content() {
    let counts = |frames, extended: &[u64], basic: &[u32], parts: &[&[u8]]| {
        let (list, source) = fragments(parts);
        grouped(frames, extended, basic, &list, &source)
    };
    assert_eq!(counts(2, &[], &[], &[WHOLE, WHOLE]), Ok(vec![]));
    assert_eq!(counts(1, &[], &[], &[BEGIN, END, END]), Ok(vec![3]));
    // items of 8 + 6 bytes
    assert_eq!(counts(2, &[], &[0, 14], &[END, END, END]), Ok(vec![1, 2]));
    assert_eq!(counts(2, &[0, 28], &[], &[END, END, END]), Ok(vec![2, 1]));
    // a table that points into the middle of a fragment is not believed
    assert_eq!(counts(2, &[], &[0, 15], &[BEGIN, END, WHOLE]), Ok(vec![2, 1]));
    // what looks like a beginning within a code stream is none
    assert_eq!(counts(2, &[], &[], &[BEGIN, MIDDLE, END, WHOLE]), Ok(vec![3, 1]));
    let few = LengthMismatch::TooFewFragments {
        frames: 3,
        fragments: 2,
    };
    assert_eq!(counts(3, &[], &[], &[WHOLE, WHOLE]), Err(Error::Lengths(few)));
    let other = LengthMismatch::Frames { frames: 2, found: 3 };
    assert_eq!(counts(2, &[], &[], &[WHOLE, WHOLE, WHOLE]), Err(Error::Lengths(other)));
}

#[test]
fn ranges_are_those_of_the_stored_file() {
    let map = FrameMap {
        facts: Some(facts(1, 1, 8)),
        frames: Frames::Encapsulated {
            offset: 1000,
            lens: vec![10, 20, 30],
            counts: vec![2, 1],
        },
    };
    assert_eq!(map.frame_count(), 2);
    assert_eq!(map.ranges(0), Some(vec![1000..1010, 1018..1038]));
    assert_eq!(map.ranges(1).map(|ranges| ranges[0].clone()), Some(1046..1076));
    assert_eq!(map.ranges(2), None);
    assert_eq!(FrameMap::decode(&map.encode().unwrap()), Ok(map));
    assert_eq!(FrameMap::decode(&[9, 9]), Err(Error::Map));
    assert_eq!(FrameMap::none().ranges(0), None);
}

#[test]
fn frames_of_single_bits_are_cut_out_and_aligned() {
    // three frames of 3 x 3 bits, one after the other: 111111111 000000000 101010101
    let stored = [0xFF, 0b0000_0001, 0b0101_0100, 0b0000_0101];
    let map = FrameMap {
        facts: Some(facts(3, 3, 1)),
        frames: Frames::Native {
            offset: 50,
            frame_bits: 9,
            frames: 3,
            paired: false,
        },
    };
    let frame = |n| {
        let range = map.ranges(n).unwrap().remove(0);
        let bytes = stored[range.start as usize - 50..range.end as usize - 50].to_vec();
        map.trim(n, bytes)
    };
    assert_eq!(frame(0), [0xFF, 1]);
    assert_eq!(frame(1), [0, 0]);
    assert_eq!(frame(2), [0b0101_0101, 1]);
}

#[test]
fn single_bytes_in_big_endian_words_are_turned_though_frames_are_odd() {
    // two frames of three bytes 1 2 3, 4 5 6 as words: 0x0201 0x0403 0x0605 in big endian
    let stored = [2, 1, 4, 3, 6, 5];
    let map = FrameMap {
        facts: Some(facts(1, 3, 8)),
        frames: Frames::Native {
            offset: 0,
            frame_bits: 24,
            frames: 2,
            paired: true,
        },
    };
    let frame = |n| {
        let range = map.ranges(n).unwrap().remove(0);
        map.trim(n, stored[range.start as usize..range.end as usize].to_vec())
    };
    assert_eq!(frame(0), [1, 2, 3]);
    assert_eq!(frame(1), [4, 5, 6]);
}

#[test]
fn pixels_that_moved_are_found_where_they_are() {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&[0xE0, 0x7F, 0x10, 0, b'O', b'W', 0, 0, 8, 0, 0, 0]);
    bytes.extend_from_slice(&[0; 8]);
    let explicit = TransferSyntaxUid::parse("1.2.840.10008.1.2.1").unwrap();
    let layout = layout_data_set(&bytes, &explicit, &Limits::default()).unwrap();
    assert!(matches!(layout.pixel_data, Some(PixelData::Native { vr: VR::OW, .. })));
    let map = FrameMap::build(&facts(2, 2, 16), &layout, &bytes, 300).unwrap();
    assert_eq!(map.ranges(0).map(|ranges| ranges[0].clone()), Some(312..320));
    assert!(FrameMap::build(&facts(2, 2, 16), &layout, &bytes, -300).is_err());
}
