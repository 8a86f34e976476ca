//! Objects of every arrangement and coding, edited, written, read again and compared sample by sample.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_deid::{EditedPixels, FillStyle, Frames, Part, PixelEdit, Region, ctp};
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{NewFileMeta, write_file_meta, write_header, write_native_pixel_header};
use sha2::Digest;

use super::mask::tests::region;
use super::*;
use crate::samples::{Sample, folder, open};
use crate::{Frame, FrameMap, Photometric, Samples, decode_frame};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

struct Shape {
    rows: u16,
    columns: u16,
    samples: u16,
    allocated: u16,
    stored: u16,
    signed: bool,
    photometric: &'static str,
    planar: u16,
    frames: u32,
}

const GRAY: Shape = Shape {
    rows: 13,
    columns: 11,
    samples: 1,
    allocated: 8,
    stored: 8,
    signed: false,
    photometric: "MONOCHROME2",
    planar: 0,
    frames: 3,
};

impl Shape {
    fn header(&self) -> InMemDicomObject {
        let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        InMemDicomObject::from_element_iter([
            text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.7"),
            text(tags::SOP_INSTANCE_UID, VR::UI, "2.25.1"),
            text(tags::NUMBER_OF_FRAMES, VR::IS, &self.frames.to_string()),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, self.photometric),
            number(tags::SAMPLES_PER_PIXEL, self.samples),
            number(tags::PLANAR_CONFIGURATION, self.planar),
            number(tags::ROWS, self.rows),
            number(tags::COLUMNS, self.columns),
            number(tags::BITS_ALLOCATED, self.allocated),
            number(tags::BITS_STORED, self.stored),
            number(tags::HIGH_BIT, self.stored - 1),
            number(tags::PIXEL_REPRESENTATION, u16::from(self.signed)),
        ])
    }

    fn object(&self, syntax: &str, element: &[u8]) -> Sample {
        let syntax = TransferSyntaxUid::parse(syntax).unwrap();
        let mut bytes = write_file_meta(&NewFileMeta {
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
            sop_instance_uid: "2.25.1",
            transfer_syntax_uid: &syntax,
            source_ae_title: None,
        });
        let written = write_header(&self.header(), &syntax).unwrap();
        bytes.extend(written.before);
        bytes.extend_from_slice(element);
        bytes.extend(written.after);
        open(bytes).unwrap()
    }

    fn native(&self, syntax: &str, vr: VR, value: &[u8]) -> Sample {
        let uid = TransferSyntaxUid::parse(syntax).unwrap();
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        let mut element = write_native_pixel_header(tags::PIXEL_DATA, vr, value.len() as u64, &uid).unwrap();
        element.append(&mut value);
        self.object(syntax, &element)
    }

    fn encapsulated(&self, syntax: &str, frames: &[Vec<u8>]) -> Sample {
        let mut element = vec![0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        element.extend_from_slice(&[0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0]);
        for frame in frames {
            let len = u32::try_from(frame.len() + frame.len() % 2).unwrap();
            element.extend_from_slice(&[0xFE, 0xFF, 0, 0xE0]);
            element.extend_from_slice(&len.to_le_bytes());
            element.extend_from_slice(frame);
            if frame.len() % 2 == 1 {
                element.push(0);
            }
        }
        element.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        self.object(syntax, &element)
    }
}

/// Bytes without a pattern.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        u8::try_from(state >> 24).unwrap() | 1
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn edit(sample: &Sample, edit: &PixelEdit<'_>) -> Result<Option<(EditedPixels, Sample)>, Error> {
    let facts = PixelFacts::from_header(&sample.header)?;
    let mut scratch = Vec::new();
    let Some(edited) = edit_pixels(&facts, &sample.layout, &sample.bytes, edit, &mut scratch)? else {
        return Ok(None);
    };
    let mut element = Vec::new();
    for part in &edited.parts {
        let cut = |bytes: &[u8], range: &std::ops::Range<u64>| bytes[range.start as usize..range.end as usize].to_vec();
        element.extend(match part {
            Part::Source(range) => cut(&sample.bytes, range),
            Part::Scratch(range) => cut(&scratch, range),
            Part::Bytes(bytes) => bytes.clone(),
        });
    }
    assert_eq!(element.len() as u64, edited.len());
    let mut header = sample.header.clone();
    edited.mark(&mut header, true);
    let mut bytes = write_file_meta(&NewFileMeta {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid: "2.25.1",
        transfer_syntax_uid: &edited.transfer_syntax_uid,
        source_ae_title: None,
    });
    let written = write_header(&header, &edited.transfer_syntax_uid).unwrap();
    bytes.extend(written.before);
    let at = bytes.len() as i64;
    bytes.append(&mut element);
    bytes.extend(written.after);
    let again = open(bytes).unwrap();
    // the layout that the edit tells is the one that is read
    let mut told = again.layout.clone();
    told.pixel_data = Some(edited.pixel_data.clone());
    let facts = PixelFacts::from_header(&again.header)?;
    let told = FrameMap::build(&facts, &told, &again.bytes, at)?;
    let found = FrameMap::build(&facts, &again.layout, &again.bytes, 0)?;
    assert_eq!(told, found);
    Ok(Some((edited, again)))
}

fn stored_frame(sample: &Sample, n: u32) -> (FrameMap, Vec<u8>) {
    let facts = PixelFacts::from_header(&sample.header).unwrap();
    let map = FrameMap::build(&facts, &sample.layout, &sample.bytes, 0).unwrap();
    let ranges = map.ranges(n).unwrap();
    let bytes = ranges
        .iter()
        .flat_map(|r| sample.bytes[r.start as usize..r.end as usize].to_vec());
    let bytes = map.trim(n, bytes.collect());
    (map, bytes)
}

fn decoded(sample: &Sample, n: u32) -> Result<Frame, Error> {
    let (map, bytes) = stored_frame(sample, n);
    decode_frame(map.facts().unwrap(), &sample.layout.transfer_syntax_uid, &bytes)
}

fn values(frame: &Frame) -> Vec<f64> {
    match &frame.samples {
        Samples::Gray(values) => values.iter().map(|v| f64::from(*v)).collect(),
        Samples::GrayWide(values) => values.clone(),
        Samples::Rgb(values) => values.iter().map(|v| f64::from(*v)).collect(),
    }
}

/// Compares two frames: how many samples differ outside the boxes, whether all pixels inside are the same.
fn compare(before: &Frame, after: &Frame, regions: &[Region], margin: u32) -> (usize, bool) {
    let (a, b) = (values(before), values(after));
    assert_eq!(a.len(), b.len());
    let each = a.len() / (before.width * before.height) as usize;
    let inside = |x: u32, y: u32, margin: u32| {
        let near = |at: u32, from: u32, len: u32| at + margin >= from && at < from.saturating_add(len + margin);
        regions.iter().any(|r| near(x, r.x, r.width) && near(y, r.y, r.height))
    };
    let (mut changed, mut first, mut flat) = (0, None, true);
    for (n, (a, b)) in a.chunks(each).zip(b.chunks(each)).enumerate() {
        let (x, y) = (n as u32 % before.width, n as u32 / before.width);
        if inside(x, y, 0) {
            flat &= *first.get_or_insert(b) == b;
        } else if !inside(x, y, margin) {
            changed += usize::from(a != b);
        }
    }
    (changed, flat)
}

fn hides_exactly(sample: &Sample, regions: &[Region], margin: u32, what: &str) -> EditedPixels {
    let wanted = PixelEdit {
        regions,
        ..PixelEdit::default()
    };
    let (edited, after) = edit(sample, &wanted).unwrap().unwrap();
    let frames = stored_frame(sample, 0).0.frame_count();
    assert_eq!(edited.hidden_frames, frames, "{what}");
    for n in 0..frames {
        let (before, after) = (decoded(sample, n).unwrap(), decoded(&after, n).unwrap());
        assert_eq!(
            compare(&before, &after, regions, margin),
            (0, true),
            "{what}, frame {n}"
        );
        assert_ne!(before, after, "{what}, frame {n}");
    }
    edited
}

#[test]
fn native_samples_outside_the_mask_stay_in_every_arrangement() {
    let regions = [region(0, 0, 5, 3), region(4, 2, 7, 4), region(9, 12, 50, 50)];
    for allocated in [1u16, 8, 16, 32] {
        for signed in [false, true] {
            for photometric in ["MONOCHROME1", "MONOCHROME2"] {
                if allocated == 1 && signed {
                    continue;
                }
                let shape = Shape {
                    allocated,
                    stored: allocated,
                    signed,
                    photometric,
                    ..GRAY
                };
                let bits = 13 * 11 * 3 * usize::from(allocated);
                let what = format!("{allocated} bits {signed} {photometric}");
                let value = noise(bits.div_ceil(8));
                for (syntax, vr) in [(EXPLICIT, VR::OW), (BIG_ENDIAN, VR::OW), (BIG_ENDIAN, VR::OB)] {
                    hides_exactly(
                        &shape.native(syntax, vr, &value),
                        &regions,
                        0,
                        &format!("{what} {syntax} {vr:?}"),
                    );
                }
            }
        }
    }
}

#[test]
fn native_colours_outside_the_mask_stay_in_every_arrangement() {
    let regions = [region(2, 1, 4, 3), region(8, 5, 4, 9)];
    for (photometric, samples) in [("RGB", 3), ("YBR_FULL", 3), ("YBR_FULL_422", 2)] {
        for planar in [0, 1] {
            for allocated in [8, 16] {
                let shape = Shape {
                    samples: 3,
                    allocated,
                    stored: allocated,
                    photometric,
                    planar,
                    columns: 12,
                    ..GRAY
                };
                let value = noise(13 * 12 * 3 * samples * usize::from(allocated / 8));
                let what = format!("{photometric} {planar} {allocated}");
                hides_exactly(&shape.native(EXPLICIT, VR::OW, &value), &regions, 0, &what);
            }
        }
    }
}

#[test]
fn a_native_edit_copies_no_more_than_windows_that_change() {
    let shape = Shape {
        rows: 1000,
        columns: 1000,
        frames: 4,
        ..GRAY
    };
    let sample = shape.native(EXPLICIT, VR::OB, &noise(4_000_000));
    let regions = [Region {
        frames: isocenter_deid::Frames::Some(2..=2),
        ..region(0, 0, 1000, 40)
    }];
    let wanted = PixelEdit {
        regions: &regions,
        ..PixelEdit::default()
    };
    let (edited, _) = edit(&sample, &wanted).unwrap().unwrap();
    assert_eq!(edited.hidden_frames, 1);
    let copied: u64 = edited
        .parts
        .iter()
        .filter(|part| !matches!(part, Part::Source(_)))
        .map(Part::len)
        .sum();
    assert!(copied <= 3 * 65_536, "{copied}");
}

#[test]
fn overlays_in_unused_bits_are_cleared_and_the_samples_stay() {
    let shape = Shape {
        allocated: 16,
        stored: 12,
        ..GRAY
    };
    let sample = shape.native(EXPLICIT, VR::OW, &noise(13 * 11 * 3 * 2));
    let wanted = PixelEdit {
        clear_unused_bits: true,
        ..PixelEdit::default()
    };
    let (edited, after) = edit(&sample, &wanted).unwrap().unwrap();
    assert_eq!((edited.hidden_frames, edited.cleared_frames), (0, 1));
    assert_eq!(decoded(&sample, 2).unwrap(), decoded(&after, 2).unwrap());
    let (_, bytes) = stored_frame(&after, 1);
    assert!(bytes.chunks(2).all(|sample| sample[1] & 0xF0 == 0));
    assert!(edit(&after, &wanted).unwrap().is_none());
}

#[test]
fn bytes_behind_the_last_sample_are_cleared() {
    let mut value = noise(13 * 11 * 3 + 1);
    value.extend_from_slice(b"Quellmann^M.");
    let sample = GRAY.native(EXPLICIT, VR::OB, &value);
    let wanted = PixelEdit {
        clean_streams: true,
        ..PixelEdit::default()
    };
    let (edited, after) = edit(&sample, &wanted).unwrap().unwrap();
    assert_eq!(edited.cleaned_bytes, 13);
    assert_eq!(edited.hidden_frames, 0);
    assert!(!after.bytes.windows(9).any(|w| w == b"Quellmann"));
    assert_eq!(decoded(&sample, 2).unwrap(), decoded(&after, 2).unwrap());
}

#[test]
fn too_little_pixel_data_is_an_error_where_something_must_be_hidden() {
    let sample = GRAY.native(EXPLICIT, VR::OB, &noise(13 * 11));
    let regions = [region(0, 0, 3, 3)];
    let wanted = PixelEdit {
        regions: &regions,
        ..PixelEdit::default()
    };
    assert!(matches!(edit(&sample, &wanted), Err(Error::Lengths(_))));
}

#[test]
fn lossless_codings_are_exact_outside_and_keep_their_syntax() {
    let regions = [region(2, 3, 6, 5)];
    for (samples, allocated, stored, photometric) in [
        (1u16, 8u16, 8u16, "MONOCHROME2"),
        (1, 16, 12, "MONOCHROME1"),
        (1, 16, 16, "MONOCHROME2"),
        (3, 8, 8, "RGB"),
        (3, 8, 8, "YBR_FULL"),
    ] {
        let shape = Shape {
            samples,
            allocated,
            stored,
            photometric,
            ..GRAY
        };
        let header = shape.header();
        let facts = PixelFacts::from_header(&header).unwrap();
        let width = usize::from(allocated / 8);
        let frame = || {
            let mut bytes = noise(13 * 11 * usize::from(samples) * width);
            if stored == 12 {
                bytes.iter_mut().skip(1).step_by(2).for_each(|high| *high &= 0x0F);
            }
            bytes
        };
        let jpeg = |bytes: &[u8]| {
            let picture = lossless::Picture {
                bytes,
                wide: width == 2,
                rows: 13,
                columns: 11,
                samples: samples as u8,
                precision: stored as u8,
            };
            lossless::encode(&picture, &[0xFF, 0xD8, 0xFF, 0xDA]).unwrap()
        };
        let deflated = |bytes: &[u8]| {
            let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        let codings: [(&str, Vec<u8>); 6] = [
            (
                "1.2.840.10008.1.2.5",
                rle::encode(&frame(), 11, usize::from(samples), width).unwrap(),
            ),
            ("1.2.840.10008.1.2.4.70", jpeg(&frame())),
            ("1.2.840.10008.1.2.4.57", jpeg(&frame())),
            (
                "1.2.840.10008.1.2.4.80",
                decode::codec::encode_jpeg_ls(&facts, stored, &frame()).unwrap(),
            ),
            ("1.2.840.10008.1.2.8.1", deflated(&frame())),
            ("1.2.840.10008.1.2.1.98", frame()),
        ];
        for (syntax, coded) in codings {
            let sample = shape.encapsulated(syntax, &vec![coded; 3]);
            let what = format!("{syntax} {samples} {stored} {photometric}");
            assert_eq!(
                values(&decoded(&sample, 0).unwrap()).len(),
                13 * 11 * usize::from(samples),
                "{what}"
            );
            let edited = hides_exactly(&sample, &regions, 0, &what);
            assert_eq!(edited.transfer_syntax_uid.as_str(), syntax);
        }
    }
}

#[test]
fn jpeg_blocks_outside_the_mask_keep_their_coefficients() {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    let (width, height) = (61u16, 47u16);
    let regions = [region(10, 9, 20, 6), region(50, 40, 11, 7)];
    for (colour, samples, photometric) in [
        (ColorType::Luma, 1u16, "MONOCHROME2"),
        (ColorType::Luma, 1, "MONOCHROME1"),
        (ColorType::Rgb, 3, "YBR_FULL_422"),
    ] {
        for factor in [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_2_2] {
            // the encoder cannot do both at once
            for (optimized, restart) in [(false, 0), (true, 0), (false, 3)] {
                let mut coded = Vec::new();
                let mut encoder = Encoder::new(&mut coded, 90);
                encoder.set_sampling_factor(factor);
                encoder.set_optimized_huffman_tables(optimized);
                encoder.set_restart_interval(restart);
                encoder.add_app_segment(5, b"Quellmann".to_vec()).unwrap();
                // smooth and bright, so that optimized tables lack what black needs
                let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * usize::from(samples))
                    .map(|n| 200 + u8::try_from(n / 97 % 40).unwrap())
                    .collect();
                encoder.encode(&pixels, width, height, colour).unwrap();
                let shape = Shape {
                    rows: height,
                    columns: width,
                    samples,
                    photometric,
                    frames: 2,
                    ..GRAY
                };
                let sample = shape.encapsulated("1.2.840.10008.1.2.4.50", &[coded.clone(), coded]);
                let what = format!("{photometric} {factor:?} {optimized} {restart}");
                // whole MCUs, and the neighbours that smooth upsampling mixes
                let edited = hides_exactly(&sample, &regions, 18, &what);
                assert_eq!(edited.transfer_syntax_uid.as_str(), "1.2.840.10008.1.2.4.50");
                let wanted = PixelEdit {
                    regions: &regions,
                    ..PixelEdit::default()
                };
                let (_, after) = edit(&sample, &wanted).unwrap().unwrap();
                assert!(!after.bytes.windows(9).any(|w| w == b"Quellmann"), "{what}");
                let hidden = values(&decoded(&after, 1).unwrap());
                let at = (12 * usize::from(width) + 16) * usize::from(samples);
                let white = photometric == "MONOCHROME1";
                assert!(
                    if white { hidden[at] > 252.0 } else { hidden[at] < 3.0 },
                    "{what}: {}",
                    hidden[at]
                );
            }
        }
    }
}

#[test]
fn what_ctp_hides_is_what_we_hide_in_its_style() {
    let Some(root) = folder() else { return };
    type Box = (i32, i32, i32, i32);
    type Case = (
        &'static str,
        &'static [Box],
        (usize, usize),
        (usize, usize),
        usize,
        &'static str,
    );
    let cases: [Case; 3] = [
        (
            "CT_small.dcm",
            &[(10, 20, 30, 40), (-20, -10, 100, 100)],
            (20, 127),
            (10, 127),
            1471,
            "2dabfd6f57740ffc765643f23bc20d6e83a8542a9e86206361862d6d4e85eb37",
        ),
        (
            "MR_small_bigendian.dcm",
            &[(0, 0, 9, 9)],
            (0, 9),
            (0, 9),
            100,
            "b6aa26fdbe0dcef60bee1364a79e3032133d1ace3a01ccac764159396818c2fc",
        ),
        (
            "SC_rgb_jpeg_dcmtk.dcm",
            &[(8, 8, 15, 7)],
            (8, 15),
            (8, 23),
            128,
            "f953230c80a257ca7f916362ab2926c817c8b957f8b653f808d38bcaa0389e8b",
        ),
    ];
    let mut seen = 0;
    for (name, boxes, rows, columns, changed, digest) in cases {
        let mut paths = Vec::new();
        find(&root, name, &mut paths);
        let Some(sample) = paths.first().and_then(|path| open(std::fs::read(path).unwrap())) else {
            eprintln!("left out: {name}");
            continue;
        };
        seen += 1;
        let facts = PixelFacts::from_header(&sample.header).unwrap();
        let source = isocenter_deid::RegionSource::Signature { line: 1 };
        let regions: Vec<Region> = boxes
            .iter()
            .filter_map(|&(x, y, width, height)| {
                let script = ctp::ScriptRegion { x, y, width, height };
                let (rows, columns) = (facts.rows.into(), facts.columns.into());
                let (x, y, width, height) = script.in_image(rows, columns, ctp::Mode::Compat)?;
                Some(Region {
                    frames: Frames::All,
                    x,
                    y,
                    width,
                    height,
                    source: source.clone(),
                })
            })
            .collect();
        let wanted = PixelEdit {
            regions: &regions,
            fill: FillStyle::Ctp,
            ..PixelEdit::default()
        };
        let (_, after) = edit(&sample, &wanted).unwrap().unwrap();
        let (a, b) = (decoded(&sample, 0).unwrap(), decoded(&after, 0).unwrap());
        let each = values(&a).len() / (a.width * a.height) as usize;
        let (va, vb) = (values(&a), values(&b));
        let differ: Vec<usize> = (0..(a.width * a.height) as usize)
            .filter(|n| va[n * each..(n + 1) * each] != vb[n * each..(n + 1) * each])
            .collect();
        let row = |n: &usize| n / a.width as usize;
        let column = |n: &usize| n % a.width as usize;
        let span = |of: &dyn Fn(&usize) -> usize| {
            (
                differ.iter().map(of).min().unwrap(),
                differ.iter().map(of).max().unwrap(),
            )
        };
        assert_eq!(span(&row), rows, "{name}");
        assert_eq!(span(&column), columns, "{name}");
        assert_eq!(differ.len(), changed, "{name}");
        let value = match after.layout.pixel_data.as_ref().unwrap() {
            PixelData::Native {
                value_offset,
                value_len,
                ..
            } => after.bytes[*value_offset as usize..(value_offset + value_len) as usize].to_vec(),
            // its answer has the items, an empty offset table first
            PixelData::Encapsulated { fragments, .. } => {
                let items = fragments
                    .iter()
                    .flat_map(|f| after.bytes[f.offset as usize - 8..(f.offset + u64::from(f.len)) as usize].to_vec());
                [0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0]
                    .into_iter()
                    .chain(items)
                    .collect::<Vec<u8>>()
            }
        };
        let found: String = sha2::Sha256::digest(&value)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(found, digest, "{name}");
    }
    assert!(seen > 0);
}

fn find(folder: &std::path::Path, name: &str, found: &mut Vec<std::path::PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find(&path, name, found);
        } else if path.file_name().unwrap().to_string_lossy().ends_with(name) {
            found.push(path);
        }
    }
}

#[test]
fn sample_files_are_hidden_exactly_or_refused() {
    let Some(root) = folder() else { return };
    let mut paths = Vec::new();
    for part in ["transfer-syntax", "modality"] {
        find(&root.join(part), "", &mut paths);
    }
    let (mut hidden, mut refused, mut moved, mut compared) = (0, Vec::new(), 0, 0);
    let mut exact = std::collections::BTreeMap::new();
    for path in paths {
        let Some(sample) = open(std::fs::read(&path).unwrap()) else {
            continue;
        };
        let (Ok(facts), Some(_)) = (PixelFacts::from_header(&sample.header), &sample.layout.pixel_data) else {
            continue;
        };
        let Ok(before) = FrameMap::build(&facts, &sample.layout, &sample.bytes, 0).and_then(|_| decoded(&sample, 0))
        else {
            continue;
        };
        let (w, h) = (before.width, before.height);
        let regions = [
            region(w / 4, h / 4, (w / 3).max(1), (h / 5).max(1)),
            region(w - w / 8, 0, 99999, h / 9),
        ];
        let wanted = PixelEdit {
            regions: &regions,
            clean_streams: true,
            ..PixelEdit::default()
        };
        let what = path.file_name().unwrap().to_string_lossy().into_owned();
        let (edited, after) = match edit(&sample, &wanted) {
            Ok(Some(done)) => done,
            Ok(None) => panic!("{what}: nothing hidden"),
            Err(error) => {
                refused.push(format!("{what}: {error}"));
                continue;
            }
        };
        hidden += 1;
        moved += usize::from(edited.transfer_syntax_uid != sample.layout.transfer_syntax_uid);
        let lossy = process_is_blocks(&sample);
        let paired = facts.photometric_interpretation == Photometric::YbrFull422;
        let margin = if lossy { 18 } else { u32::from(paired) };
        let frames = FrameMap::build(&facts, &sample.layout, &sample.bytes, 0)
            .unwrap()
            .frame_count();
        for n in (0..frames).take(8) {
            let before = decoded(&sample, n).unwrap_or_else(|error| panic!("{what}: {error}"));
            let after = decoded(&after, n).unwrap_or_else(|error| panic!("{what}: {error}"));
            let (changed, flat) = compare(&before, &after, &regions, margin);
            assert!(flat, "{what}: frame {n} not flat");
            assert_eq!(changed, 0, "{what}: frame {n} changed outside");
            compared += 1;
        }
        let of = exact.entry(sample.layout.transfer_syntax_uid.as_str().to_owned());
        *of.or_insert(0) += usize::from(margin == 0);
        let cleaned = PixelEdit {
            clean_streams: true,
            clear_unused_bits: true,
            ..PixelEdit::default()
        };
        if let Some((_, after)) = edit(&sample, &cleaned).unwrap_or(None) {
            assert_eq!(
                values(&decoded(&after, 0).unwrap()),
                values(&before),
                "{what}: cleaning changed samples"
            );
        }
    }
    eprintln!(
        "{hidden} hidden ({compared} frames), {moved} in another syntax, exact: {exact:#?}, refused: {refused:#?}"
    );
    // every coding without loss that the corpus has, native, RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K and deflated frames
    for syntax in [
        "", ".1", ".2", ".4.57", ".4.70", ".4.80", ".4.90", ".4.201", ".4.203", ".5", ".8.1",
    ] {
        let count = exact.get(&format!("1.2.840.10008.1.2{syntax}")).copied().unwrap_or(0);
        assert!(count > 0, "{syntax}: {exact:?}");
    }
    assert!(hidden > 60);
    assert!(refused.len() < 6, "{refused:#?}");
}

/// Whatever the transfer syntax says: there is a file that says lossless and is not.
fn process_is_blocks(sample: &Sample) -> bool {
    let jpeg = decode::coding(&sample.layout.transfer_syntax_uid) == Some(decode::Coding::Jpeg);
    jpeg && matches!(frames::process(&stored_frame(sample, 0).1), Some(0xC0 | 0xC1))
}

#[test]
fn streams_of_noise_never_panic() {
    let shape = Shape { frames: 1, ..GRAY };
    let regions = [region(1, 1, 4, 4)];
    for syntax in ["50", "51", "57", "70", "80", "90", "201"] {
        for start in [&[0xFF, 0xD8, 0xFF, 0xC0][..], &[0xFF, 0x4F, 0xFF, 0x51], &[]] {
            let stream = [start, &noise(300)].concat();
            let sample = shape.encapsulated(&format!("1.2.840.10008.1.2.4.{syntax}"), &[stream]);
            let wanted = PixelEdit {
                regions: &regions,
                clean_streams: true,
                ..PixelEdit::default()
            };
            assert!(edit(&sample, &wanted).is_err());
        }
    }
}

#[test]
fn streams_of_sample_files_can_be_followed_but_for_broken_ones() {
    let Some(root) = folder() else { return };
    let mut paths = Vec::new();
    for part in [
        "transfer-syntax",
        "modality",
        "series",
        "charset",
        "private",
        "structured",
    ] {
        find(&root.join(part), "", &mut paths);
    }
    let wanted = PixelEdit {
        clean_streams: true,
        ..PixelEdit::default()
    };
    let (mut followed, mut held) = (0, Vec::new());
    for path in paths {
        let Some(sample) = open(std::fs::read(&path).unwrap()) else {
            continue;
        };
        if sample.layout.pixel_data.is_none() {
            continue;
        }
        let facts = PixelFacts::from_header(&sample.header);
        let edited = facts.and_then(|f| edit_pixels(&f, &sample.layout, &sample.bytes, &wanted, &mut std::io::sink()));
        match edited {
            Ok(_) => followed += 1,
            Err(error) => held.push(format!("{}: {error}", path.strip_prefix(&root).unwrap().display())),
        }
    }
    eprintln!("{followed} followed, held: {held:#?}");
    assert!(held.len() * 20 < followed, "{held:#?}");
}
