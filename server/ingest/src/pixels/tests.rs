//! Objects with drawn letters, sent through the whole of `prepare`, and their stored files read again.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use isocenter_deid::{PixelEdit, PixelEditor, Profile, Pseudonyms, Secret};
use isocenter_imaging::{FrameMap, Samples, decode_frame};
use isocenter_model::arrival::{Arrival, Form, Source};
use isocenter_model::part10::{self, Limits, NewFileMeta};
use isocenter_model::{CollectionAccession, Route, TransferSyntaxUid};
use isocenter_storage::{MasterKey, Storage, StorageSettings};

use super::*;
use crate::prepare::{Prepared, Step, Verdict, prepare};
use crate::stage::{Budget, Stage};

pub(crate) const NATIVE: &str = "1.2.840.10008.1.2.1";
/// Encapsulated Uncompressed Explicit VR Little Endian.
const ENCAPSULATED: &str = "1.2.840.10008.1.2.1.98";
const SIZE: (usize, usize) = (200, 120);

/// Of a class that shows no text, so that nothing but the streams can hold it.
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// E, H, L, T: rows of five bits, from the top.
const LETTERS: [[u8; 7]; 4] = [
    [31, 16, 16, 30, 16, 16, 31],
    [17, 17, 17, 31, 17, 17, 17],
    [16, 16, 16, 16, 16, 16, 31],
    [31, 4, 4, 4, 4, 4, 4],
];

pub(crate) fn picture(text: bool) -> Vec<u8> {
    let mut pixels: Vec<u8> = (0..SIZE.0 * SIZE.1)
        .map(|n| u8::try_from(60 + n / SIZE.0 / 2).unwrap())
        .collect();
    for letter in (0..12).filter(|_| text) {
        for (y, row) in LETTERS[letter % 4].iter().enumerate() {
            for x in (0..5).filter(|x| row >> (4 - x) & 1 == 1) {
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    pixels[(10 + 2 * y + dy) * SIZE.0 + 20 + 12 * letter + 2 * x + dx] = 255;
                }
            }
        }
    }
    pixels
}

fn file(syntax: &str, modality: &str, frames: &[Vec<u8>]) -> Vec<u8> {
    file_with(syntax, modality, frames, Vec::new())
}

/// Returns an object with more elements than others have.
pub(crate) fn file_with(
    syntax: &str,
    modality: &str,
    frames: &[Vec<u8>],
    more: Vec<DataElement<InMemDicomObject, Vec<u8>>>,
) -> Vec<u8> {
    let class = if modality == "CT" { CT } else { CAPTURE };
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut header = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, class),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.5"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.6"),
        text(tags::PATIENT_ID, VR::LO, "P1234"),
        text(tags::PATIENT_NAME, VR::PN, "Nobody^Known"),
        text(tags::MODALITY, VR::CS, modality),
        text(tags::CONVERSION_TYPE, VR::CS, "WSD"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string()),
        number(tags::SAMPLES_PER_PIXEL, 1),
        number(tags::ROWS, 120),
        number(tags::COLUMNS, 200),
        number(tags::BITS_ALLOCATED, 8),
        number(tags::BITS_STORED, 8),
        number(tags::HIGH_BIT, 7),
        number(tags::PIXEL_REPRESENTATION, 0),
    ]);
    for element in more {
        header.put(element);
    }
    let uid = TransferSyntaxUid::parse(syntax).unwrap();
    let mut out = part10::write_file_meta(&NewFileMeta {
        sop_class_uid: class,
        sop_instance_uid: "1.2.3.4",
        transfer_syntax_uid: &uid,
        source_ae_title: None,
    });
    out.extend(part10::write_header(&header, &uid).unwrap().before);
    if syntax == NATIVE {
        let value = frames.concat();
        let head = part10::write_native_pixel_header(tags::PIXEL_DATA, VR::OB, value.len() as u64, &uid);
        out.extend(head.unwrap());
        out.extend(value);
    } else {
        out.extend([0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        out.extend([0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0]);
        for frame in frames {
            out.extend([0xFE, 0xFF, 0, 0xE0]);
            out.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
            out.extend(frame);
        }
        out.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    }
    out
}

async fn prepared(file: Vec<u8>, release: ReleaseRule, profile: &str) -> Prepared {
    prepared_with(file, release, Profile::builtin(profile).unwrap()).await
}

pub(crate) async fn prepared_with(file: Vec<u8>, release: ReleaseRule, profile: Arc<Profile>) -> Prepared {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        format!("file://{}", path.display()).parse().unwrap()
    };
    let settings = StorageSettings::new(url("store"), url("keys"), folder.path().to_owned());
    let storage = Storage::open(settings, MasterKey::from_bytes([7; 32]))
        .await
        .unwrap()
        .storage;
    let collection_key_id = storage.new_collection_key().await.unwrap();
    let accession = CollectionAccession::parse("OBIA0001").unwrap();
    let destination = Destination {
        accession: accession.clone(),
        profile,
        pseudonyms: Pseudonyms::new(&Secret::new([3; 32]), "OBIA0001"),
        digest_key: [4; 32],
        collection_key_id,
        release,
    };
    let mut stage = Stage::new(storage, Budget::new(1 << 24), 1 << 24, 0);
    stage.write(&Bytes::from(file)).await.unwrap();
    let staged = stage.finish().unwrap();
    let arrival = Arrival {
        route: Route {
            collection: accession,
            issuer: "HOSP".to_owned(),
        },
        source: Source::Import,
        form: Form::Part10,
        bound_to_study: None,
        size_hint: None,
    };
    let all = move || {
        let step = prepare(&arrival, &destination, staged.clone(), Searched::NotYet).unwrap();
        let search = match step {
            Step::Done(prepared) => return *prepared,
            Step::Search(search) => search,
        };
        // after a search there is no other
        match prepare(&arrival, &destination, staged, search.run().unwrap()).unwrap() {
            Step::Done(prepared) => *prepared,
            Step::Search(_) => panic!("searched twice"),
        }
    };
    tokio::task::spawn_blocking(all).await.unwrap()
}

fn stored(body: &[Piece]) -> Vec<u8> {
    let bytes = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => bytes.to_vec(),
        Piece::Spilled(source, range) => {
            let mut out = vec![0; usize::try_from(range.end - range.start).unwrap()];
            source.read_at(range.start, &mut out).unwrap();
            out
        }
    };
    body.iter().flat_map(bytes).collect()
}

#[tokio::test]
async fn drawn_text_is_hidden_in_the_stored_file_and_its_frame_map_fits() {
    for syntax in [NATIVE, ENCAPSULATED] {
        let frames = vec![picture(true); 3];
        let done = prepared(file(syntax, "OT", &frames), ReleaseRule::Manual, "obia").await;
        let Verdict::Cleared(cleared) = done.verdict else {
            panic!("{syntax}: not cleared")
        };
        assert!(
            cleared
                .findings()
                .iter()
                .any(|f| f.check == "Q506" && f.severity == Severity::Warn)
        );
        assert!(cleared.parts().deid_report.contains("\"detectors\""));
        let out = stored(&cleared.parts().body);
        let layout = part10::layout_part10(&out, &Limits::default()).unwrap();
        let map = FrameMap::decode(&cleared.parts().frame_map).unwrap();
        assert_eq!(map.frame_count(), 3);
        for n in 0..3 {
            let ranges = map.ranges(n).unwrap();
            let frame: Vec<u8> = ranges
                .iter()
                .flat_map(|r| out[r.start as usize..r.end as usize].to_vec())
                .collect();
            let frame = decode_frame(map.facts().unwrap(), &layout.transfer_syntax_uid, &map.trim(n, frame)).unwrap();
            let Samples::Gray(samples) = frame.samples else {
                panic!()
            };
            assert!(samples.iter().all(|v| *v != 255), "{syntax}: text is left in frame {n}");
            let below = 60 * SIZE.0;
            let before: Vec<i32> = picture(true).into_iter().map(i32::from).collect();
            assert_eq!(samples[below..], before[below..], "{syntax}: frame {n}");
        }
    }
}

#[tokio::test]
async fn a_collection_that_releases_itself_holds_what_nobody_saw() {
    for text in [true, false] {
        let done = prepared(file(NATIVE, "OT", &[picture(text)]), ReleaseRule::Automatic, "obia").await;
        let Verdict::Quarantine(findings) = done.verdict else {
            panic!("released unseen")
        };
        assert!(
            findings
                .iter()
                .any(|f| f.check == "Q506" && f.severity == Severity::Hold)
        );
    }
}

#[tokio::test]
async fn a_device_that_the_pixel_script_knows_is_answered_for() {
    let with = |pixel_script: &str| {
        let text = "name = 'own'\nextends = 'obia'\n".to_owned();
        let definition = isocenter_deid::Definition {
            rules: isocenter_deid::Rules::Options { text },
            pixel_script: Some(pixel_script.to_owned()),
        };
        Arc::new(definition.compile().unwrap())
    };
    let knows =
        with("{ Modality.equals(\"OT\") * [0002,0010].equals(\"1.2.840.10008.1.2.1\") } (0,0,200,60)(-10,-5,50,50)");
    let sent = || file(NATIVE, "OT", &[picture(true)]);
    let done = prepared_with(sent(), ReleaseRule::Automatic, knows).await;
    let Verdict::Cleared(cleared) = done.verdict else {
        panic!("a device that is known was held")
    };
    assert!(cleared.findings().iter().all(|finding| finding.check != "Q506"));
    let out = stored(&cleared.parts().body);
    let layout = part10::layout_part10(&out, &Limits::default()).unwrap();
    let header = part10::read_header(&out, &layout, &Limits::default()).unwrap();
    assert_eq!(
        header.element(tags::BURNED_IN_ANNOTATION).unwrap().to_str().unwrap(),
        "NO"
    );
    let Some(part10::PixelData::Native {
        value_offset,
        value_len,
        ..
    }) = layout.pixel_data
    else {
        panic!("no pixels")
    };
    let after = &out[value_offset as usize..(value_offset + value_len) as usize];
    for (n, (a, b)) in picture(true).iter().zip(after).enumerate() {
        let (x, y) = (n % SIZE.0, n / SIZE.0);
        let hidden = y < 60 || x >= 190 && y >= 115;
        assert!(if hidden { *b == 0 } else { a == b }, "{x} {y}");
    }
    let other = with("{ Modality.equals(\"US\") } (0,0,200,30)");
    let done = prepared_with(sent(), ReleaseRule::Automatic, other).await;
    assert!(matches!(done.verdict, Verdict::Quarantine(_)));
}

#[tokio::test]
async fn text_that_an_object_speaks_of_is_the_pixel_policys() {
    let yes = || DataElement::new(tags::BURNED_IN_ANNOTATION, VR::CS, PrimitiveValue::from("YES"));
    let send = async |text, release, profile: Arc<Profile>| {
        let sent = file_with(NATIVE, "CT", &[picture(text)], vec![yes()]);
        prepared_with(sent, release, profile).await.verdict
    };
    let builtin = |name| Profile::builtin(name).unwrap();
    let held = |verdict, check: &str| match verdict {
        Verdict::Cleared(_) => panic!("{check}: cleared"),
        Verdict::Quarantine(findings) => assert!(findings.iter().any(|f| f.check == check), "{findings:?}"),
    };
    // found and hidden: a person who releases is told
    let Verdict::Cleared(cleared) = send(true, ReleaseRule::Manual, builtin("obia")).await else {
        panic!("kept out though the text was hidden")
    };
    let told = |f: &&Finding| f.check == "Q506" && f.severity == Severity::Warn;
    assert_eq!(cleared.findings().iter().filter(told).count(), 1);
    assert!(!cleared.parts().deid_report.contains("\"found\":0"));
    // not found, or nobody will look: it stays
    held(send(false, ReleaseRule::Manual, builtin("obia")).await, "Q509");
    held(send(true, ReleaseRule::Automatic, builtin("obia")).await, "Q506");
    // nothing is decided about pixels where nothing is changed
    held(send(true, ReleaseRule::Manual, builtin("none")).await, "Q509");
    let definition = isocenter_deid::Definition {
        rules: isocenter_deid::Rules::Options {
            text: "name = 'own'\nextends = 'obia'\n".to_owned(),
        },
        pixel_script: Some("{ Modality.equals(\"CT\") } (0,0,200,30)".to_owned()),
    };
    let knows = Arc::new(definition.compile().unwrap());
    assert!(matches!(
        send(true, ReleaseRule::Automatic, knows).await,
        Verdict::Cleared(_)
    ));
}

#[tokio::test]
async fn a_profile_that_changes_nothing_looks_at_no_pixels() {
    let sent = file(NATIVE, "OT", &[picture(true)]);
    let done = prepared(sent, ReleaseRule::Automatic, "none").await;
    let Verdict::Cleared(cleared) = done.verdict else {
        panic!("not cleared")
    };
    let out = stored(&cleared.parts().body);
    let pixels = picture(true);
    assert!(out.windows(pixels.len()).any(|window| window == pixels));
    assert!(cleared.findings().iter().all(|f| f.check != "Q506"));
}

/// A JPEG stream of one frame, as far as markers go.
fn jpeg(before: &[u8], between: &[u8], behind: &[u8]) -> Vec<u8> {
    let frame = [0xFF, 0xC0, 0, 11, 8, 0, 120, 0, 200, 1, 1, 0x11, 0];
    let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3];
    let mut out = [before, &[0xFF, 0xD8], between, &frame, &scan, behind, &[0xFF, 0xD9]].concat();
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}

#[tokio::test]
async fn text_in_a_stream_never_goes_out_whatever_the_label_says() {
    const NAME: &[u8] = b"Quellmann^Mia";
    let comment = [&[0xFF, 0xFE, 0, 15][..], NAME].concat();
    let endless = [&[0xFF, 0xFE, 0x7F, 0xFF][..], NAME].concat();
    let in_header = jpeg(b"", &comment, b"");
    let mut held = 0;
    let number = |last: &str| format!("1.2.840.10008.1.2.4.{last}");
    let cases = [
        (number("50"), in_header.clone()),
        (number("90"), in_header.clone()),
        (number("80"), in_header.clone()),
        ("1.2.840.10008.1.2.5".to_owned(), in_header.clone()),
        (number("99"), in_header.clone()),
        (number("95"), in_header.clone()),
        (number("110"), in_header.clone()),
        (ENCAPSULATED.to_owned(), in_header.clone()),
        ("1.2.840.10008.1.2.8.1".to_owned(), in_header),
        (number("50"), jpeg(b"\xFF", &comment, b"")),
        (number("50"), jpeg(NAME, b"", b"")),
        (number("50"), jpeg(b"", NAME, b"")),
        (number("50"), jpeg(b"", b"", &comment)),
        (number("50"), jpeg(b"", b"", &endless)),
        (number("50"), [&jpeg(b"", b"", b"")[..], NAME, b"."].concat()),
        (ENCAPSULATED.to_owned(), [&vec![7; 200 * 120][..], NAME, b"."].concat()),
    ];
    let all = cases.len();
    for (syntax, stream) in cases {
        let done = prepared(file(&syntax, "CT", &[stream]), ReleaseRule::Automatic, "obia").await;
        match done.verdict {
            Verdict::Cleared(cleared) => {
                let out = stored(&cleared.parts().body);
                assert!(!out.windows(9).any(|window| window == &NAME[..9]), "{syntax}");
                assert!(cleared.parts().deid_report.contains("\"cleaned_bytes\""), "{syntax}");
            }
            Verdict::Quarantine(findings) => {
                held += 1;
                assert!(
                    findings
                        .iter()
                        .any(|f| f.check == "Q506" && f.severity == Severity::Block),
                    "{syntax}: {findings:?}"
                );
                assert!(findings.iter().all(|f| !f.detail.contains("Quell")), "{syntax}");
            }
        }
    }
    assert!(held > 0 && held < all, "{held} of {all}");
}

#[tokio::test]
async fn video_and_jpeg_xl_are_kept_out_and_the_finding_says_why() {
    let video = [
        "100", "101", "102", "103", "104", "105", "106", "107", "108", "100.1", "107.1",
    ];
    let all = video.map(|number| (number, "video"));
    for (number, what) in all
        .into_iter()
        .chain(["110", "111", "112"].map(|number| (number, "JPEG XL")))
    {
        let syntax = format!("1.2.840.10008.1.2.4.{number}");
        for (modality, release) in [
            ("OT", ReleaseRule::Manual),
            ("OT", ReleaseRule::Automatic),
            ("CT", ReleaseRule::Manual),
        ] {
            let done = prepared(file(&syntax, modality, &[vec![7; 64]]), release, "obia").await;
            let Verdict::Quarantine(findings) = done.verdict else {
                panic!("{syntax} {modality}: not held")
            };
            let says = |f: &&Finding| f.severity >= Severity::Hold && f.detail.contains(what);
            let found = findings
                .iter()
                .find(says)
                .unwrap_or_else(|| panic!("{syntax}: {findings:?}"));
            assert!(
                ["Q506", "Q508"].contains(&found.check) && found.detail.contains("can"),
                "{found:?}"
            );
            // nobody's look makes it clean
            let by_pixels = findings.iter().find(|f| f.check == "Q506");
            assert!(
                by_pixels.is_none_or(|f| f.severity == Severity::Block),
                "{syntax} {modality}: {findings:?}"
            );
        }
    }
    // what claims to be clean already is nobody's to clean
    let done = prepared(
        file("1.2.840.10008.1.2.4.110", "OT", &[vec![7; 64]]),
        ReleaseRule::Manual,
        "none",
    )
    .await;
    assert!(matches!(done.verdict, Verdict::Cleared(_)));
}

#[test]
fn a_disk_without_room_is_no_finding() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let bytes = file(NATIVE, "CT", &[picture(true)]);
    let layout = part10::layout_part10(&bytes, &Limits::default()).unwrap();
    let header = part10::read_header(&bytes, &layout, &Limits::default()).unwrap();
    let regions = [isocenter_deid::Region {
        frames: isocenter_deid::Frames::All,
        x: 0,
        y: 0,
        width: 20,
        height: 20,
        source: isocenter_deid::RegionSource::Detector,
    }];
    let edit = PixelEdit {
        regions: &regions,
        ..PixelEdit::default()
    };
    let object = PixelObject {
        header: &header,
        layout: &layout,
        source: &bytes,
    };
    let error = isocenter_imaging::Editor.edit(object, &edit, &mut Full).unwrap_err();
    assert!(matches!(error, isocenter_deid::Error::Source(_)), "{error}");
    let failed = Failed::out_of_resources(error);
    assert_eq!(failed.refusal(), isocenter_model::arrival::Refusal::OutOfResources);
}
