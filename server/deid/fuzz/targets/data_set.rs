//! Files: any bytes are refused or read; what is read is held or de-identified; what goes out can be read again, is the same
//! the second time, and does not hold the patient's name or identifier.

#![no_main]

use std::sync::LazyLock;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_deid::{Context, Options, PixelFacts, PrivateRule, Profile, Pseudonyms, Secret, deidentify};
use isocenter_model::part10::{Limits, layout_data_set, layout_part10, read_header, write_header};
use isocenter_model::{SopInstanceUid, TransferSyntaxUid};
use libfuzzer_sys::fuzz_target;

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let every = isocenter_deid::ConfidentialityOption::ALL.into_iter().filter(|option| {
        use isocenter_deid::ConfidentialityOption as O;
        !matches!(option, O::RetainLongitudinalFullDates | O::RetainUids)
    });
    let every: Vec<_> = every.collect();
    let of = |name, options, private| Profile::from_options(name, options, private);
    [
        of("basic", Options::default(), PrivateRule::Remove),
        of("every", Options::of(&every), PrivateRule::KeepSafeAndNumeric),
    ]
    .into_iter()
    .flatten()
    .collect()
});

/// Texts that a name or an identifier may be told by: five letters or digits at least, beside each other, with a letter and,
/// for identifiers, a digit among them. Others stand in headers by chance.
fn distinctive(object: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let text = object.get(tag).and_then(|element| element.value().to_str().ok());
    let text = text.unwrap_or_default().into_owned();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let good = |word: &&str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let known = word.to_ascii_lowercase();
        let marks = "anon isocenter profile basic ps3152026d table modified removed patient";
        word.len() >= 7 && digits >= 2 && digits < word.len() && !marks.contains(&known)
    };
    words.filter(good).map(str::to_ascii_lowercase).collect()
}

fuzz_target!(|data: &[u8]| {
    let pseudonyms = Pseudonyms::new(&Secret::new([7; 32]), "FUZZ0001");
    let limits = Limits::default();
    let Ok(layout) = layout_part10(&data, &limits) else {
        return;
    };
    let Ok(header) = read_header(&data, &layout, &limits) else {
        return;
    };
    let facts = PixelFacts {
        transfer_syntax_uid: layout.transfer_syntax_uid.as_str(),
        judged: false,
    };
    let cx = Context {
        issuer: "HOSPITAL",
        pixels: layout.pixel_data.as_ref().map(|_| facts),
    };
    let plain = "1.2.840.10008.1.2.1";
    let Ok(syntax) = TransferSyntaxUid::parse(plain) else {
        return;
    };
    for profile in PROFILES.iter() {
        let Ok(done) = deidentify(&header, profile, &pseudonyms, &cx) else {
            continue;
        };
        let Ok(written) = write_header(&done.data_set, &syntax) else {
            continue;
        };
        let bytes = [written.before, written.after].concat();
        let layout = layout_data_set(&bytes, &syntax, &limits).expect("what goes out can be read");
        let again = read_header(&bytes, &layout, &limits).expect("what goes out can be read");
        let twice = deidentify(&header, profile, &pseudonyms, &cx).expect("as before");
        assert_eq!(done.report, twice.report);
        if let Some(uid) = again.get(tags::SOP_INSTANCE_UID).and_then(|e| e.value().to_str().ok()) {
            let uid = uid.trim_end_matches('\0');
            assert!(
                uid.is_empty() || SopInstanceUid::parse(uid).is_ok(),
                "a UID that is none"
            );
        }
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        for tag in [tags::PATIENT_NAME, tags::PATIENT_ID] {
            for word in distinctive(&header, tag) {
                let standing = text
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .any(|other| other == word);
                assert!(!standing, "{tag} is left");
            }
        }
    }
});
