//! Letters that we draw ourselves, and noise.

use std::time::{Duration, Instant};

use super::*;

/// Rows of five bits, from the top.
const LETTERS: [(char, [u8; 7]); 9] = [
    ('A', [14, 17, 17, 31, 17, 17, 17]),
    ('E', [31, 16, 16, 30, 16, 16, 31]),
    ('H', [17, 17, 17, 31, 17, 17, 17]),
    ('L', [16, 16, 16, 16, 16, 16, 31]),
    ('M', [17, 27, 21, 21, 17, 17, 17]),
    ('N', [17, 25, 21, 19, 17, 17, 17]),
    ('T', [31, 4, 4, 4, 4, 4, 4]),
    ('U', [17, 17, 17, 17, 17, 17, 14]),
    ('Z', [31, 1, 2, 4, 8, 16, 31]),
];

fn picture(width: usize, height: usize, of: impl Fn(usize, usize) -> u8) -> Plane {
    let pixels = (0..width * height).map(|n| of(n % width, n / width)).collect();
    Plane { width, height, pixels }
}

/// A body: bright and round on black, with soft structure.
fn body(width: usize, height: usize) -> Plane {
    picture(width, height, |x, y| {
        let (dx, dy) = (x as f64 / width as f64 - 0.5, y as f64 / height as f64 - 0.5);
        let r = (dx * dx * 1.4 + dy * dy * 2.0).sqrt();
        if r > 0.45 {
            return 6;
        }
        (90.0 + 60.0 * (x as f64 / 23.0).sin() * (y as f64 / 31.0).cos() + 20.0 * (1.0 - r)) as u8
    })
}

fn write(plane: &mut Plane, text: &str, (left, top): (usize, usize), size: usize, value: u8) {
    for (n, letter) in text.chars().enumerate() {
        let Some((_, rows)) = LETTERS.iter().find(|(l, _)| *l == letter) else {
            continue;
        };
        for (y, row) in rows.iter().enumerate() {
            for x in (0..5).filter(|x| row >> (4 - x) & 1 == 1) {
                for (px, py) in (0..size * size).map(|k| (k % size, k / size)) {
                    let at = (top + y * size + py) * plane.width + left + (n * 6 + x) * size + px;
                    plane.pixels[at] = value;
                }
            }
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn covers(found: &Found, x: u32, y: u32, width: u32, height: u32) -> bool {
    found
        .boxes
        .iter()
        .any(|b| b.x <= x && b.y <= y && b.x + b.width >= x + width && b.y + b.height >= y + height)
}

#[test]
fn drawn_text_is_covered_in_every_size_place_and_brightness() {
    for size in [1usize, 2, 3, 5] {
        for (place, value) in [((10, 12), 255), ((90, 100), 255), ((60, 60), 250), ((100, 120), 0)] {
            let mut plane = body(320, 240);
            write(&mut plane, "HANZELMUT", place, size, value);
            let right = (place.0 + 9 * 6 * size).min(319) as u32;
            if right == 319 {
                continue;
            }
            let found = Shapes::default().find(&[plane], soon());
            assert!(found.complete);
            let (x, y) = (place.0 as u32, place.1 as u32);
            assert!(
                covers(&found, x, y, right - x, 7 * size as u32),
                "{size} {place:?} {value}: {found:?}"
            );
        }
    }
}

#[test]
fn text_that_runs_up_or_down_is_covered_too() {
    let mut plane = body(320, 240);
    write(&mut plane, "HANZELMUT", (60, 60), 2, 255);
    let (x, y, w, h) = (60, 60, 53 * 2, 14);
    let down = Plane {
        width: 240,
        height: 320,
        pixels: (0..320 * 240)
            .map(|n| plane.pixels[(239 - n % 240) * 320 + n / 240])
            .collect(),
    };
    let up = Plane {
        width: 240,
        height: 320,
        pixels: (0..320 * 240)
            .map(|n| plane.pixels[n % 240 * 320 + 319 - n / 240])
            .collect(),
    };
    let found = Shapes::default().find(&[down], soon());
    assert!(covers(&found, 240 - y - h, x, h, w), "{found:?}");
    let found = Shapes::default().find(&[up], soon());
    assert!(covers(&found, y, 320 - x - w, h, w), "{found:?}");
}

#[test]
fn short_words_beside_a_row_are_covered_with_it() {
    for (row, short) in [((60, 100), (60 + 104 + 24, 100)), ((140, 100), (140 - 22 - 24, 101))] {
        let mut plane = body(320, 240);
        write(&mut plane, "HANZELMUT", row, 2, 250);
        write(&mut plane, "ZU", short, 2, 250);
        let found = Shapes::default().find(&[plane], soon());
        assert!(
            covers(&found, short.0 as u32, short.1 as u32, 22, 14),
            "{row:?}: {found:?}"
        );
    }
}

#[test]
fn words_of_three_letters_are_covered_where_a_pen_drew_them() {
    for (size, value) in [(2, 255), (3, 255), (5, 255), (3, 0)] {
        let mut plane = body(320, 240);
        write(&mut plane, "ZEN", (100, 120), size, value);
        let found = Shapes::default().find(&[plane], soon());
        let size = size as u32;
        assert!(
            covers(&found, 100, 120, 17 * size, 7 * size),
            "{size} {value}: {found:?}"
        );
    }
    // what is only brighter than its surroundings may be anything
    let mut plane = body(320, 240);
    write(&mut plane, "L", (10, 10), 3, 255);
    write(&mut plane, "ZEN", (100, 120), 3, 200);
    assert!(Shapes::default().find(&[plane], soon()).boxes.is_empty());
}

#[test]
fn pictures_without_text_have_no_boxes() {
    for (width, height) in [(320, 240), (512, 512), (64, 64), (1, 1), (1600, 1200)] {
        let found = Shapes::default().find(&[body(width, height)], soon());
        assert_eq!(
            found,
            Found {
                boxes: Vec::new(),
                complete: true
            },
            "{width} {height}"
        );
    }
}

#[test]
fn a_deadline_that_has_passed_is_said_and_finds_nothing() {
    let mut plane = body(320, 240);
    write(&mut plane, "HANZELMUT", (10, 12), 2, 255);
    let found = Shapes::default().find(&[plane], Instant::now());
    assert!(!found.complete && found.boxes.is_empty());
}

#[test]
fn tesseract_reads_what_is_drawn_where_it_is_installed() {
    let Some(tesseract) = Tesseract::installed() else {
        eprintln!("left out: Tesseract is not installed");
        return;
    };
    let mut plane = body(320, 240);
    write(&mut plane, "HELMUT", (10, 12), 3, 255);
    let found = tesseract.find(&[plane], soon());
    assert!(found.complete);
    assert!(covers(&found, 10, 12, 6 * 18 - 3, 21), "{found:?}");
    let late = tesseract.find(&[body(320, 240)], Instant::now());
    assert!(!late.complete);
}

#[test]
fn frames_are_looked_at_from_both_ends_and_the_middle() {
    assert_eq!(order(0).count(), 0);
    assert_eq!(order(1).collect::<Vec<_>>(), [0]);
    assert_eq!(order(2).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(order(6).collect::<Vec<_>>(), [0, 3, 5, 1, 2, 4]);
}

/// Prints time and peak memory of the two pictures that were too much once; the numbers of decision 0004 are from here.
#[test]
fn huge_captures_are_not_decoded_and_large_radiographs_are_searched_reduced() {
    use isocenter_model::TransferSyntaxUid;
    use isocenter_model::part10::{Fragment, Limits, PixelData, layout_data_set};
    let source: Vec<u8> = vec![0x81; 4096 * 3328 * 2];
    let mut facts = crate::samples::facts(4096, 3328, 16);
    let explicit = TransferSyntaxUid::parse("1.2.840.10008.1.2.1").unwrap();
    let other = b"\x08\0\x60\0CS\x02\0OT".to_vec();
    let mut layout = layout_data_set(&other, &explicit, &Limits::default()).unwrap();
    layout.pixel_data = Some(PixelData::Native {
        tag: dicom_dictionary_std::tags::PIXEL_DATA,
        vr: dicom_core::VR::OW,
        element_offset: 0,
        value_offset: 0,
        value_len: source.len() as u64,
    });
    let shapes = Shapes::default();
    let detectors: [&dyn TextDetector; 1] = [&shapes];
    let search =
        |facts: &PixelFacts, layout: &Layout| find_text(facts, layout, &source, &detectors, Duration::from_secs(60));
    let start = Instant::now();
    let found = search(&facts, &layout).unwrap();
    assert!(found.complete && found.found.is_empty(), "{found:?}");
    eprintln!("4096 x 3328 x 16: {:?}, {}", start.elapsed(), peak());
    (facts.rows, facts.columns, facts.bits_allocated) = (16384, 16384, 8);
    layout.transfer_syntax_uid = TransferSyntaxUid::parse("1.2.840.10008.1.2.5").unwrap();
    layout.pixel_data = Some(PixelData::Encapsulated {
        element_offset: 0,
        end_offset: source.len() as u64,
        basic_offset_table: Vec::new(),
        fragments: vec![Fragment {
            offset: 0,
            len: 4 << 20,
        }],
        unterminated: false,
    });
    let start = Instant::now();
    assert!(matches!(search(&facts, &layout), Err(Error::TooLarge { .. })));
    eprintln!("16384 x 16384 RLE: {:?}, {}", start.elapsed(), peak());
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("peak memory is not known here").to_owned()
}
