//! The sample files: what decodes, that lossless variants of one picture are one picture, and that pieces of the map are
//! the frames.

use std::path::Path;

use isocenter_model::TransferSyntaxUid;

use super::{Sample, folder, open};
use crate::{Error, Frame, FrameMap, PixelFacts, Samples, check_lengths, decode_frame, thumbnail, to_native};

struct Image {
    sample: Sample,
    facts: PixelFacts,
    map: FrameMap,
}

fn image(path: &Path) -> Option<Image> {
    let sample = open(std::fs::read(path).ok()?)?;
    sample.layout.pixel_data.as_ref()?;
    let facts = PixelFacts::from_header(&sample.header).ok()?;
    let map = FrameMap::build(&facts, &sample.layout, &sample.bytes, 0).ok()?;
    let map = FrameMap::decode(&map.encode().unwrap()).unwrap();
    let facts = map.facts().unwrap().clone();
    Some(Image { sample, facts, map })
}

impl Image {
    fn ts(&self) -> &TransferSyntaxUid {
        &self.sample.layout.transfer_syntax_uid
    }
    fn bytes(&self, n: u32) -> Vec<u8> {
        let ranges = self.map.ranges(n).unwrap();
        let all = &self.sample.bytes;
        let pieces = ranges
            .into_iter()
            .filter_map(|r| all.get(r.start as usize..(r.end as usize).min(all.len())));
        self.map.trim(n, pieces.flatten().copied().collect())
    }
    fn frame(&self, n: u32) -> Result<Frame, Error> {
        decode_frame(&self.facts, self.ts(), &self.bytes(n))
    }
}

fn rows() -> Option<Vec<(std::path::PathBuf, Vec<String>)>> {
    let root = folder()?;
    let manifest = std::fs::read_to_string(root.join("MANIFEST.csv")).unwrap();
    let rows = manifest.lines().skip(1).map(|row| {
        let fields: Vec<String> = row.split(',').map(str::to_owned).collect();
        (root.join(&fields[0]), fields)
    });
    Some(rows.collect())
}

#[test]
fn what_another_reader_decodes_is_decoded_here() {
    let Some(rows) = rows() else { return };
    let mut failed = Vec::new();
    let mut decoded = 0;
    for (path, fields) in rows {
        // the others hold native pixels like those of `modality`
        if !["transfer-syntax/", "modality/"]
            .iter()
            .any(|folder| fields[0].starts_with(folder))
        {
            continue;
        }
        let Some(image) = image(&path) else { continue };
        let frames = image.map.frame_count();
        for n in if frames > 1 { vec![0, frames - 1] } else { vec![0] } {
            let outcome = image.frame(n);
            let whole = outcome.as_ref().is_ok_and(|frame| {
                let pixels = frame.width as usize * frame.height as usize;
                match &frame.samples {
                    Samples::Gray(v) => v.len() == pixels,
                    Samples::GrayWide(v) => v.len() == pixels,
                    Samples::Rgb(v) => v.len() == pixels * 3,
                }
            });
            decoded += usize::from(whole);
            if !whole && fields[5] == "yes" {
                failed.push(format!(
                    "{} frame {n}: {:?} (other reader: {})",
                    fields[0],
                    outcome.err(),
                    fields[5]
                ));
            }
        }
        if let Ok(frame) = image.frame(0) {
            thumbnail(&frame, &image.facts, 64).unwrap();
            let native = to_native(&image.facts, image.ts(), &image.bytes(0));
            if native.as_ref().map_or(0, Vec::len) as u64 != image.facts.frame_bits().div_ceil(8)
                && image.ts().is_native()
            {
                failed.push(format!(
                    "{}: native frame of {:?} bytes",
                    fields[0],
                    native.map(|n| n.len())
                ));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed, {decoded} decoded:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn lengths_agree_in_good_files_and_not_in_broken_ones() {
    let Some(rows) = rows() else { return };
    let mut wrong = Vec::new();
    for (path, fields) in rows {
        let Some(sample) = std::fs::read(&path).ok().and_then(open) else {
            continue;
        };
        let Ok(facts) = PixelFacts::from_header(&sample.header) else {
            continue;
        };
        let outcome = check_lengths(&facts, &sample.layout);
        let broken = ["frames-mismatch", "huge-matrix", "pixel-length-mismatch"]
            .iter()
            .any(|b| fields[0].contains(b));
        let expected = fields.last().unwrap();
        if broken != outcome.is_err() && (broken || expected == "accept") {
            wrong.push(format!("{}: {expected}: {outcome:?}", fields[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lossless_variants_of_a_picture_are_one_picture() {
    let Some(root) = folder() else { return };
    let root = root.join("transfer-syntax");
    let ct = |name: &str| format!("ct-14-syntaxes/{name}.dcm");
    let groups: Vec<(String, Vec<String>)> = vec![
        (
            ct("LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1"),
            vec![
                ct("BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2"),
                ct("DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99"),
                ct("JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90"),
                ct("JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80"),
                ct("JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70"),
                ct("JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57"),
                ct("LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2"),
                ct("RLELosslessTransferSyntax_1.2.840.10008.1.2.5"),
            ],
        ),
        (
            "mr-small/MR_small.dcm".into(),
            [
                "RLE",
                "bigendian",
                "expb",
                "implicit",
                "jp2klossless",
                "jpeg_ls_lossless",
            ]
            .map(|v| format!("mr-small/MR_small_{v}.dcm"))
            .into(),
        ),
        (
            "emri_small.dcm".into(),
            ["RLE", "big_endian", "jpeg_2k_lossless", "jpeg_ls_lossless"]
                .map(|v| format!("emri_small_{v}.dcm"))
                .into(),
        ),
        ("rtdose_expb.dcm".into(), vec!["rtdose_rle.dcm".into()]),
        (
            "colour/SC_rgb_small_odd.dcm".into(),
            vec!["colour/SC_rgb_small_odd_big_endian.dcm".into()],
        ),
        (
            "colour/SC_rgb_rle.dcm".into(),
            vec![
                "colour/SC_rgb_rle_2frame.dcm".into(),
                "colour/SC_rgb_rle_16bit.dcm".into(),
                "colour/SC_rgb_rle_32bit.dcm".into(),
                "colour/SC_rgb_jpeg_gdcm.dcm".into(),
            ],
        ),
        (
            "liver_rle.dcm".into(),
            vec!["liver_j2k.dcm".into(), "liver_deflate.dcm".into()],
        ),
        ("OBXXXX1A_rle.dcm".into(), vec!["OBXXXX1A_rle_2frame.dcm".into()]),
        (
            "encapsulation/CT0012.not_fragmented_bot_rle.dcm".into(),
            [
                "fragmented_no_bot_jpeg_lossless.70",
                "fragmented_no_bot_jpeg_ls.80",
                "not_fragmented_bot_jpeg_ls.80",
                "not_fragmented_no_bot_jpeg_ls.80",
                "not_fragmented_no_bot_rle",
            ]
            .map(|v| format!("encapsulation/CT0012.{v}.dcm"))
            .into(),
        ),
        (
            "encapsulation/CT1_UNC.fragmented_bot_jpeg_ls.80.dcm".into(),
            ["fragmented_no_bot_jpeg_ls.80", "not_fragmented_bot_jpeg_ls.80"]
                .map(|v| format!("encapsulation/CT1_UNC.{v}.dcm"))
                .into(),
        ),
    ];
    let mut wrong = Vec::new();
    for (first, others) in groups {
        let Some(one) = image(&root.join(&first)) else { continue };
        for other in others {
            let Some(same) = image(&root.join(&other)) else {
                wrong.push(format!("{other}: no map"));
                continue;
            };
            for n in 0..one.map.frame_count().min(same.map.frame_count()) {
                let (a, b) = (one.frame(n), same.frame(n));
                if a != b {
                    wrong.push(format!(
                        "{first} and {other} differ in frame {n}: {}",
                        difference(&a, &b)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(a: &Result<Frame, Error>, b: &Result<Frame, Error>) -> String {
    match (a, b) {
        (Ok(a), Ok(b)) => {
            let text = |f: &Frame| format!("{:.90?}", f.samples);
            let cut = |t: String| t.chars().take(90).collect::<String>();
            format!("{} / {}", cut(text(a)), cut(text(b)))
        }
        (a, b) => format!("{:?} / {:?}", a.as_ref().err(), b.as_ref().err()),
    }
}

/// The samples of a colour picture as DCMTK shows them: the end of a PNM.
fn dcmtk(path: &Path, wanted: usize) -> Option<Vec<u8>> {
    let out = std::process::Command::new("dcmj2pnm")
        .arg("--write-raw-pnm")
        .arg(path)
        .output()
        .ok()?;
    let bytes = out.stdout;
    if !bytes.starts_with(b"P6") {
        return None;
    }
    Some(bytes.get(bytes.len().checked_sub(wanted)?..)?.to_vec())
}

#[test]
fn colours_are_those_that_dcmtk_shows() {
    let Some(root) = folder() else { return };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for folder in ["transfer-syntax/colour", "transfer-syntax", "modality"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Some(image) = image(&path) else { continue };
            let Ok(Frame {
                samples: Samples::Rgb(ours),
                ..
            }) = image.frame(0)
            else {
                continue;
            };
            let Some(theirs) = dcmtk(&path, ours.len()) else {
                continue;
            };
            compared += 1;
            let most = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            if most > 4 {
                wrong.push(format!("{}: differs by up to {most}", path.display()));
            }
        }
    }
    if compared == 0 {
        eprintln!("left out: DCMTK is not there");
    }
    assert!(wrong.is_empty(), "{compared} compared:\n{}", wrong.join("\n"));
}

#[test]
fn pictures_of_12_bits_are_those_that_dcmtk_decodes() {
    let Some(root) = folder() else { return };
    let root = root.join("transfer-syntax");
    let made = std::env::temp_dir().join(format!("isocenter-imaging-{}.dcm", std::process::id()));
    let files = [
        "ct-14-syntaxes/JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
        "ct-14-syntaxes/JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
        "ct-14-syntaxes/JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
        "encapsulation/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm",
        "JPEG-lossy.dcm",
    ];
    let mut wrong = Vec::new();
    for file in files {
        let Some(ours) = image(&root.join(file)) else { continue };
        let decoded = std::process::Command::new("dcmdjpeg")
            .arg(root.join(file))
            .arg(&made)
            .output();
        if !decoded.is_ok_and(|out| out.status.success()) {
            eprintln!("left out: DCMTK does not decode {file}");
            continue;
        }
        let theirs = image(&made).unwrap();
        for n in 0..ours.map.frame_count() {
            let (
                Ok(Frame {
                    samples: Samples::Gray(a),
                    ..
                }),
                Ok(Frame {
                    samples: Samples::Gray(b),
                    ..
                }),
            ) = (ours.frame(n), theirs.frame(n))
            else {
                wrong.push(format!(
                    "{file} frame {n}: {:?} {:?}",
                    ours.frame(n).err(),
                    theirs.frame(n).err()
                ));
                continue;
            };
            let most = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max();
            if a.len() != b.len() || most > Some(2) {
                wrong.push(format!("{file} frame {n}: differs by up to {most:?}"));
            }
        }
    }
    let _ = std::fs::remove_file(&made);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
