//! The tools of dcmtk as peers: echoscu, storescu, dcmsend.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{InMemDicomObject, mem::InMemElement};
use isocenter_model::arrival::Form;
use tokio::process::Command;
use tokio::time::timeout;

use crate::gateway::Gateway;

/// Runs a tool to its end.
pub(crate) async fn run(tool: &str, arguments: &[String]) -> Output {
    let running = Command::new(tool)
        .args(arguments)
        .env("TCP_NODELAY", "1")
        .kill_on_drop(true)
        .output();
    match timeout(Duration::from_secs(120), running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("{tool} cannot be run ({error}); these tests need the Debian package that has it"),
        Err(_) => panic!("{tool} did not end within 120 s"),
    }
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

pub(crate) fn told(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Writes a small CT file of that transfer syntax and returns its path.
pub(crate) fn write_ct(folder: &Path, number: usize, transfer_syntax: &str, pixels: usize) -> PathBuf {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    let instance = format!("1.2.826.0.1.3680043.10.99.{number}");
    let text = |tag, vr, value: &str| -> InMemElement { DataElement::new(tag, vr, PrimitiveValue::from(value)) };
    let short = |tag, value: u16| -> InMemElement { DataElement::new(tag, VR::US, PrimitiveValue::from(value)) };
    let side = u16::try_from((pixels as f64).sqrt() as usize).unwrap();
    let mut object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, CT),
        text(tags::SOP_INSTANCE_UID, VR::UI, &instance),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.10.99.1.1"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.10.99.1.2"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PATIENT_ID, VR::LO, "PHANTOM"),
        text(tags::PATIENT_NAME, VR::PN, "Phantom^Made"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        short(tags::SAMPLES_PER_PIXEL, 1),
        short(tags::ROWS, side),
        short(tags::COLUMNS, side),
        short(tags::BITS_ALLOCATED, 16),
        short(tags::BITS_STORED, 12),
        short(tags::HIGH_BIT, 11),
        short(tags::PIXEL_REPRESENTATION, 0),
    ]);
    let native = transfer_syntax == "1.2.840.10008.1.2" || transfer_syntax.starts_with("1.2.840.10008.1.2.1");
    if native || transfer_syntax == "1.2.840.10008.1.2.2" {
        let samples: Vec<u16> = (0..usize::from(side) * usize::from(side))
            .map(|n| (n % 4096) as u16)
            .collect();
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(samples.into()),
        ));
    } else {
        // Nothing on the way decodes it, so any bytes will do.
        let fragments = dicom_core::value::PixelFragmentSequence::new_fragments(vec![vec![0x5a; 2_000]]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
    }
    let file = object
        .with_meta(
            FileMetaTableBuilder::new()
                .transfer_syntax(transfer_syntax)
                .media_storage_sop_class_uid(CT)
                .media_storage_sop_instance_uid(instance),
        )
        .unwrap();
    let path = folder.join(format!("{number}.dcm"));
    file.write_to_file(&path).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn echoscu_is_answered_and_an_unknown_called_title_rejected() {
    let gateway = Gateway::start().await;
    let port = gateway.address.port().to_string();
    let echo = run("echoscu", &words(&["-v", "-aec", "ISOCENTER", "127.0.0.1", &port])).await;
    assert!(echo.status.success(), "{}", told(&echo));
    // 38 presentation contexts of the same class.
    let many = run(
        "echoscu",
        &words(&["-aec", "ISOCENTER", "-pts", "38", "-ppc", "128", "127.0.0.1", &port]),
    )
    .await;
    assert!(many.status.success(), "{}", told(&many));
    let wrong = run("echoscu", &words(&["-v", "-aec", "NOBODY", "127.0.0.1", &port])).await;
    assert!(!wrong.status.success());
    assert!(
        told(&wrong).contains("Called AE Title Not Recognized"),
        "{}",
        told(&wrong)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmsend_delivers_what_is_compressed_as_it_is_and_the_rest_in_explicit_vr() {
    const SYNTAXES: [&str; 10] = [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.5",
    ];
    let gateway = Gateway::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = words(&["-v", "--decompress-never", "-aec", "TRIAL", "127.0.0.1"]);
    arguments.push(gateway.address.port().to_string());
    for (number, syntax) in SYNTAXES.iter().enumerate() {
        let path = write_ct(folder.path(), number, syntax, 64 * 64);
        arguments.push(path.to_str().unwrap().to_owned());
    }
    let sent = run("dcmsend", &arguments).await;
    assert!(sent.status.success(), "{}", told(&sent));
    let mut received: Vec<(String, String)> = Vec::new();
    for instance in gateway.sink.received() {
        let Form::DataSet {
            transfer_syntax_uid,
            affected_sop_instance_uid,
            ..
        } = instance.arrival.form
        else {
            panic!("{:?}", instance.arrival.form);
        };
        received.push((affected_sop_instance_uid.to_string(), transfer_syntax_uid.to_string()));
    }
    received.sort();
    let expected: Vec<_> = SYNTAXES
        .iter()
        .enumerate()
        .map(|(number, syntax)| {
            // It offers the uncompressed ones together, so these are ours to choose from.
            let chosen = if number < 3 { "1.2.840.10008.1.2.1" } else { syntax };
            (format!("1.2.826.0.1.3680043.10.99.{number}"), chosen.to_owned())
        })
        .collect();
    assert_eq!(received, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn storescu_delivers_the_data_set_of_the_file() {
    let gateway = Gateway::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = write_ct(folder.path(), 7, "1.2.840.10008.1.2.1", 256 * 256);
    let port = gateway.address.port().to_string();
    let sent = run(
        "storescu",
        &words(&["-v", "-aec", "ISOCENTER", "127.0.0.1", &port, path.to_str().unwrap()]),
    )
    .await;
    assert!(sent.status.success(), "{}", told(&sent));
    let received = gateway.sink.received().pop().unwrap();
    let file = dicom_object::open_file(&path).unwrap();
    let object = InMemDicomObject::read_dataset_with_ts(
        received.bytes.as_slice(),
        &dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
    )
    .unwrap();
    for element in file.iter() {
        assert_eq!(object.element(element.header().tag).unwrap().value(), element.value());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_storescu_at_once_deliver_fifteen_each() {
    let gateway = Gateway::start().await;
    let folder = tempfile::tempdir().unwrap();
    let port = gateway.address.port().to_string();
    let mut senders = Vec::new();
    for sender in 0..8 {
        let mut arguments = words(&["-aec", "ISOCENTER", "-aet", "CT1", "127.0.0.1", &port]);
        for n in 0..15 {
            let path = write_ct(folder.path(), sender * 15 + n, "1.2.840.10008.1.2.1", 64 * 64);
            arguments.push(path.to_str().unwrap().to_owned());
        }
        senders.push(tokio::spawn(async move { run("storescu", &arguments).await }));
    }
    for sender in senders {
        let sent = sender.await.unwrap();
        assert!(sent.status.success(), "{}", told(&sent));
    }
    assert_eq!(gateway.sink.received().len(), 120);
}
