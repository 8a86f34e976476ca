//! Objects made by a generator, with a token in every element, and the search for tokens in the bytes that come out.
//!
//! Tokens are unique; each VR has its own kind, and every kind has a stem that nothing else holds, so that one search per
//! stem finds any of them: in ASCII, in capitals, in UTF-16, in GB 18030, as digits alone, as binary numbers. An object holds
//! every row of Table E.1-1 at top level and in items down to a depth of six, in public, functional-group and private
//! sequences, under its own VR or another; behind the pixel data, and behind the data set.
//!
//! The search itself is tested by breaking the engine: a script that passes one attribute, or one sequence, as it is.

mod mutants;
mod objects;

use std::io::Write;

use dicom_object::InMemDicomObject;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{Limits, layout_data_set, read_header, write_header};
use isocenter_model::uid::transfer_syntax;

use self::objects::{
    Generator, JAPANESE, KOREAN, STEM_DATE, STEM_DIGITS, STEM_HAN, STEM_HAN_GB, STEM_HANGUL, STEM_KANJI, STEM_OTHER,
    STEM_TEXT, STEM_TIME, STEM_UID,
};
use crate::table::{self, Attribute};
use crate::{Context, Options, PrivateRule, Profile, Pseudonyms, Secret, deidentify};

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&Secret::new([5; 32]), "OBIA0001")
}

/// The object as a receiver reads it: written in a transfer syntax and read again.
fn through(object: &InMemDicomObject, syntax: &str) -> InMemDicomObject {
    let syntax = TransferSyntaxUid::parse(syntax).unwrap();
    let written = write_header(object, &syntax).unwrap();
    let mut bytes = [written.before, written.after].concat();
    if syntax.is_deflated() {
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
        deflated.write_all(&bytes).unwrap();
        bytes = deflated.finish().unwrap();
    }
    let limits = Limits::default();
    let layout = layout_data_set(&bytes, &syntax, &limits).unwrap();
    read_header(&bytes, &layout, &limits).unwrap()
}

fn encode(object: &InMemDicomObject) -> Vec<u8> {
    let syntax = TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    let written = write_header(object, &syntax).unwrap();
    [written.before, written.after].concat()
}

const BINARY: &str = "a binary number";

/// Returns the stems that occur in bytes.
fn left(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let lower: Vec<u8> = bytes.to_ascii_lowercase();
    let mut look = |name: &str, needle: &[u8]| {
        if lower.windows(needle.len()).any(|window| window == needle) {
            found.push(name.to_owned());
        }
    };
    for stem in [STEM_TEXT, STEM_OTHER, STEM_UID, STEM_TIME] {
        look(stem, stem.as_bytes());
        let wide: Vec<u8> = stem.encode_utf16().flat_map(u16::to_le_bytes).collect();
        look("in UTF-16", &wide);
    }
    look("ideographs", STEM_HAN.as_bytes());
    look("ideographs in GB 18030", STEM_HAN_GB);
    for (stem, encoding) in [
        (STEM_KANJI, encoding_rs::ISO_2022_JP),
        (STEM_KANJI, encoding_rs::EUC_JP),
        (STEM_HANGUL, encoding_rs::EUC_KR),
    ] {
        look(stem, stem.as_bytes());
        // two of them; the escapes around do not count
        let two = stem.repeat(2);
        let bytes = encoding.encode(&two).0;
        let bytes = bytes.strip_prefix(b"\x1B$B").unwrap_or(&bytes);
        look(stem, bytes.strip_suffix(b"\x1B(B").unwrap_or(bytes));
    }
    for magic in objects::magics() {
        let magic = magic.to_ascii_lowercase();
        look(BINARY, &magic);
    }
    // A new UID may hold the digits of a stem by chance; what was planted is a run of its own length.
    for run in bytes.split(|byte| !byte.is_ascii_digit()) {
        if run.starts_with(STEM_DATE.as_bytes()) && matches!(run.len(), 8 | 14) {
            found.push(STEM_DATE.to_owned());
        }
        if run.starts_with(STEM_DIGITS.as_bytes()) && run.len() == 11 {
            found.push(STEM_DIGITS.to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the elements that hold tokens, for saying where something was left.
fn places(object: &InMemDicomObject, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for element in object.iter() {
        let here = format!("{path}{}", dicom_core::header::Header::tag(element));
        match element.items() {
            Some(items) => found.extend(items.iter().flat_map(|item| places(item, &here))),
            None => {
                let stems = left(&encode(&InMemDicomObject::from_element_iter([element.clone()])));
                found.extend((!stems.is_empty()).then(|| format!("{here} {stems:?}")));
            }
        }
    }
    found
}

fn de_identified(profile: &Profile, object: &InMemDicomObject) -> Vec<u8> {
    let done = deidentify(object, profile, &pseudonyms(), &Context::default()).unwrap();
    let report = serde_json::to_string(&done.report).unwrap();
    assert!(left(report.as_bytes()).is_empty(), "the report repeats a token");
    encode(&done.data_set)
}

const SYNTAXES: [&str; 4] = [
    transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax::IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax::EXPLICIT_VR_BIG_ENDIAN,
    transfer_syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
];

fn syntax_of(seed: u64) -> &'static str {
    SYNTAXES[seed as usize % SYNTAXES.len()]
}

/// De-identifies an object of each seed, with nothing kept and with numbers kept; returns how many tokens they held.
fn none_is_left(seeds: impl Iterator<Item = u64>) -> u32 {
    let basic = Profile::builtin("basic").unwrap();
    let numbers = Profile::from_options("numbers", Options::default(), PrivateRule::KeepSafeAndNumeric).unwrap();
    let mut tokens = 0;
    for seed in seeds {
        let mut generator = Generator::new(seed);
        let object = generator.object(6);
        tokens += generator.tokens();
        let received = through(&object, syntax_of(seed));
        let planted = left(&encode(&received));
        assert!(planted.len() >= 6, "seed {seed}: tokens were planted");
        let own = match generator.character_set() {
            JAPANESE => STEM_KANJI,
            KOREAN => STEM_HANGUL,
            _ => STEM_TEXT,
        };
        assert!(planted.iter().any(|stem| stem == own), "seed {seed}: {own} was read");
        for profile in [&*basic, &numbers] {
            let out = de_identified(profile, &received);
            let found = left(&out);
            assert!(found.is_empty(), "seed {seed} {}: {found:?}", profile.name());
        }
    }
    tokens
}

/// `tests/run --long tokens` asks for more objects from another seed: every character set in every transfer syntax.
#[test]
fn of_a_hundred_thousand_tokens_none_is_left() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let objects = number("ISOCENTER_TEST_OBJECTS").unwrap_or(10).max(10);
    let first = number("ISOCENTER_TEST_SEED").unwrap_or(0) % 1_000_000;
    let tokens = none_is_left(first..first + objects);
    assert!(tokens >= 100_000, "{tokens}");
    println!("{tokens} tokens in {objects} objects, none left");
}

#[test]
fn bytes_behind_the_data_set_do_not_go_out() {
    let basic = Profile::builtin("basic").unwrap();
    let syntax = TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    let written = write_header(&Generator::new(1).object(0), &syntax).unwrap();
    let pixels = [
        &[0xE0, 0x7F, 0x10, 0x00, b'O', b'W', 0, 0, 4, 0, 0, 0][..],
        &[1, 2, 3, 4],
    ]
    .concat();
    let whole = [&written.before[..], &pixels, &written.after].concat();
    let limits = Limits::default();
    let mut read = 0;
    for behind in [
        STEM_TEXT.repeat(9).into_bytes(),
        vec![0; 64],
        [&[0; 32][..], STEM_TEXT.repeat(3).as_bytes()].concat(),
        [
            &[0xFC, 0xFF, 0xFC, 0xFF, b'O', b'B', 0, 0, 10, 0, 0, 0][..],
            STEM_TEXT.repeat(2).as_bytes(),
        ]
        .concat(),
    ] {
        let bytes = [&whole[..], &behind].concat();
        // What nobody can read is refused before anybody de-identifies it.
        let Ok(layout) = layout_data_set(&bytes, &syntax, &limits) else {
            continue;
        };
        let Ok(received) = read_header(&bytes, &layout, &limits) else {
            continue;
        };
        read += 1;
        let done = deidentify(&received, &basic, &pseudonyms(), &Context::default()).unwrap();
        let halves = write_header(&done.data_set, &syntax).unwrap();
        let span = layout.pixel_data.as_ref().unwrap();
        let span = span.element_offset() as usize..span.end_offset() as usize;
        let out = [&halves.before[..], &bytes[span], &halves.after].concat();
        assert!(left(&out).is_empty(), "{:?}", left(&out));
    }
    assert!(read >= 2, "{read} of four were read");
}

#[test]
fn every_row_of_the_table_is_planted() {
    let generator = Generator::new(0);
    let planted = generator.rows();
    for row in table::rows() {
        let missing = match row.attribute {
            // Groups that a data set cannot hold; the document is a test of its own.
            Attribute::Single(tag) => {
                !(tag.0 < 4 || planted.contains(&tag) || tag == dicom_dictionary_std::tags::ENCAPSULATED_DOCUMENT)
            }
            _ => false,
        };
        assert!(!missing, "{}", row.keyword);
    }
}

#[test]
fn what_is_known_of_a_patient_is_left_nowhere_under_any_set_of_options() {
    // Here the tokens are the patient's own, in every text: options let text stay, and it must stay without them.
    use crate::ConfidentialityOption as O;
    let sets = [
        vec![
            O::CleanDescriptors,
            O::RetainLongitudinalModifiedDates,
            O::RetainPatientCharacteristics,
        ],
        vec![
            O::CleanDescriptors,
            O::CleanStructuredContent,
            O::CleanGraphics,
            O::RetainLongitudinalFullDates,
        ],
        vec![
            O::RetainDeviceIdentity,
            O::RetainInstitutionIdentity,
            O::RetainPatientCharacteristics,
            O::RetainSafePrivate,
        ],
        O::ALL
            .into_iter()
            .filter(|option| !matches!(option, O::RetainLongitudinalFullDates | O::RetainUids))
            .collect(),
    ];
    for (seed, set) in sets.iter().enumerate() {
        let profile = Profile::from_options("options", Options::of(set), PrivateRule::KeepSafeAndNumeric).unwrap();
        let object = Generator::of_one_patient(seed as u64).object(3);
        let received = through(&object, syntax_of(seed as u64));
        let out = deidentify(&received, &profile, &pseudonyms(), &Context::default())
            .unwrap()
            .data_set;
        // Times stay and no number of a measurement is the patient's; full dates stay but for the birth date; devices keep
        // their UIDs and, where no dates are shifted, the days of their calibration.
        let device = set.contains(&O::RetainDeviceIdentity);
        let shifted = set.contains(&O::RetainLongitudinalModifiedDates);
        let dates = set.contains(&O::RetainLongitudinalFullDates) || device && !shifted;
        let allowed = |stem: &str| {
            stem == STEM_TIME || stem == BINARY || dates && stem == STEM_DATE || device && stem == STEM_UID
        };
        let found: Vec<String> = left(&encode(&out)).into_iter().filter(|stem| !allowed(stem)).collect();
        assert!(found.is_empty(), "{set:?}: {found:?} at {:#?}", places(&out, ""));
    }
}

#[test]
fn attributes_that_no_rule_names_are_equal_byte_for_byte() {
    let profile = Profile::builtin("basic").unwrap();
    let mut generator = Generator::new(3);
    let unnamed = generator.unnamed();
    assert!(unnamed.len() > 300, "{}", unnamed.len());
    let mut elements = generator.patient();
    elements.extend(unnamed.clone());
    let object = InMemDicomObject::from_element_iter(elements);
    let out = deidentify(&object, &profile, &pseudonyms(), &Context::default())
        .unwrap()
        .data_set;
    for element in unnamed {
        let alone = |element: dicom_object::mem::InMemElement| encode(&InMemDicomObject::from_element_iter([element]));
        let tag = dicom_core::header::Header::tag(&element);
        let after = out.get(tag).cloned().map(alone);
        assert_eq!(after, Some(alone(element)), "{tag}");
    }
}
