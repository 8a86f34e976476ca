//! Profiles and objects that do not get on, sent through the whole of `prepare`.

use dicom_core::{DataElement, PrimitiveValue};
use isocenter_deid::{Definition, Profile, Rules};
use isocenter_schema::record::ReleaseRule;

use super::*;
use crate::pixels::tests::{NATIVE, file_with, picture, prepared_with};

fn script(text: &str) -> Arc<Profile> {
    let definition = Definition {
        rules: Rules::Script {
            name: "site".to_owned(),
            text: format!("set.[0010,0010]PatientName=@empty()\n{text}\n"),
            parameters: None,
            lookup: None,
        },
        pixel_script: None,
    };
    Arc::new(definition.compile().unwrap())
}

fn element(tag: Tag, vr: VR, text: &str) -> DataElement<InMemDicomObject, Vec<u8>> {
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

#[tokio::test]
async fn a_script_that_leaves_no_object_is_a_finding_and_no_fault_of_ours() {
    for (rule, check, names) in [
        ("set.[0008,0016]U=@remove()", "Q105", "(0008,0016)"),
        ("set.[0008,0016]U=1.2.840.10008.5.1.4.1.1.4", "Q105", "(0008,0016)"),
        ("set.[0008,0018]U=@remove()", "Q105", "(0008,0018)"),
        ("set.[0008,0018]U=@contents(PatientName)", "Q105", "(0008,0018)"),
        ("set.[0020,000D]U=@empty()", "Q105", "(0020,000D)"),
        ("set.[0020,000E]U=not a uid", "Q105", "(0020,000E)"),
        ("remove.unspecifiedelements=", "Q105", "(0020,000E)"),
        ("set.[0008,0060]M=@remove()", "Q404", "(0008,0060)"),
        ("set.[0028,0010]R=@remove()", "Q404", "(0028,0010)"),
        ("set.[0028,0011]C=100", "Q404", "(0028,0011)"),
    ] {
        let sent = file_with(NATIVE, "CT", &[picture(false)], Vec::new());
        let done = prepared_with(sent, ReleaseRule::Manual, script(rule)).await;
        let Verdict::Quarantine(findings) = done.verdict else {
            panic!("{rule}: cleared")
        };
        let told = |f: &Finding| f.check == check && f.detail.contains(names) && f.severity >= Severity::Hold;
        assert!(findings.iter().any(told), "{rule}: {findings:?}");
        assert!(
            findings.iter().all(|f| !f.detail.contains("P1234")),
            "{rule}: {findings:?}"
        );
    }
    let sent = file_with(NATIVE, "CT", &[picture(false)], Vec::new());
    let done = prepared_with(sent, ReleaseRule::Manual, script("")).await;
    assert!(matches!(done.verdict, Verdict::Cleared(_)));
}

/// Returns an encapsulated PDF that says of itself that it names somebody.
fn document() -> Vec<u8> {
    const CLASS: &str = "1.2.840.10008.5.1.4.1.1.104.1";
    let header = InMemDicomObject::from_element_iter([
        element(tags::SOP_CLASS_UID, VR::UI, CLASS),
        element(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        element(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.5"),
        element(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.6"),
        element(tags::PATIENT_ID, VR::LO, "P1234"),
        element(tags::PATIENT_NAME, VR::PN, "Nobody^Known"),
        element(tags::MODALITY, VR::CS, "DOC"),
        element(tags::BURNED_IN_ANNOTATION, VR::CS, "YES"),
        element(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, "application/pdf"),
        DataElement::new(
            tags::ENCAPSULATED_DOCUMENT,
            VR::OB,
            PrimitiveValue::U8(b"%PDF-1.4 Nobody Known".iter().copied().collect()),
        ),
    ]);
    let uid = TransferSyntaxUid::parse(NATIVE).unwrap();
    let mut out = part10::write_file_meta(&NewFileMeta {
        sop_class_uid: CLASS,
        sop_instance_uid: "1.2.3.4",
        transfer_syntax_uid: &uid,
        source_ae_title: None,
    });
    out.extend(part10::write_header(&header, &uid).unwrap().before);
    out
}

#[tokio::test]
async fn a_document_that_becomes_an_empty_one_has_nothing_burned_in() {
    let send = async |profile: Arc<Profile>| prepared_with(document(), ReleaseRule::Automatic, profile).await.verdict;
    let Verdict::Cleared(cleared) = send(Profile::builtin("obia").unwrap()).await else {
        panic!("an empty document was held")
    };
    let body: Vec<u8> = (cleared.parts().body.iter())
        .flat_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::Spilled(..) => Vec::new(),
        })
        .collect();
    assert!(!body.windows(6).any(|window| window == b"Nobody"));
    let layout = part10::layout_part10(&body, &Limits::default()).unwrap();
    let header = part10::read_header(&body, &layout, &Limits::default()).unwrap();
    assert_eq!(text(&header, tags::BURNED_IN_ANNOTATION), "NO");
    // a profile that holds documents says so, and nothing of pixels
    let Verdict::Quarantine(findings) = send(Profile::builtin("basic").unwrap()).await else {
        panic!("a document went out")
    };
    assert_eq!(findings.iter().map(|f| f.check).collect::<Vec<_>>(), ["Q508"]);
    let Verdict::Quarantine(findings) = send(Profile::builtin("none").unwrap()).await else {
        panic!("an attestation was believed against the object's own word")
    };
    assert!(findings.iter().any(|f| f.check == "Q509"));
}
