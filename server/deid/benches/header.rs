//! De-identifying a CT header of 39 kB and writing it again: how many a second on one core.
//!
//! The goal is 4,000. Measured alone, and with reading the bytes before and writing them after, with the allocator of the
//! program. The object is made here: what a CT scanner writes, with private groups, references and codes, padded by
//! a table of numbers to the size of a common test file without its pixels.

#![expect(clippy::unwrap_used, reason = "a benchmark: what fails here should fail loudly")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use isocenter_deid::{Context, Profile, Pseudonyms, Secret, deidentify};
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{Limits, layout_data_set, read_header, write_header};
use isocenter_model::uid::transfer_syntax;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn text(tag: Tag, vr: VR, text: &str) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

fn sequence(tag: Tag, items: Vec<Vec<InMemElement>>) -> InMemElement {
    let items: Vec<_> = items.into_iter().map(InMemDicomObject::from_element_iter).collect();
    DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
}

fn ct() -> InMemDicomObject {
    let mut elements = vec![
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
        text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
        text(
            tags::SOP_INSTANCE_UID,
            VR::UI,
            "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
        ),
        text(tags::STUDY_DATE, VR::DA, "20040119"),
        text(tags::SERIES_DATE, VR::DA, "20040119"),
        text(tags::ACQUISITION_DATE, VR::DA, "20040119"),
        text(tags::CONTENT_DATE, VR::DA, "20040119"),
        text(tags::STUDY_TIME, VR::TM, "072730"),
        text(tags::SERIES_TIME, VR::TM, "072749"),
        text(tags::ACCESSION_NUMBER, VR::SH, "AC9794251"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::MANUFACTURER, VR::LO, "GE MEDICAL SYSTEMS"),
        text(tags::INSTITUTION_NAME, VR::LO, "Saint Elsewhere Hospital"),
        text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Referrer^Anna"),
        text(tags::STATION_NAME, VR::SH, "CT01_OC0"),
        text(tags::STUDY_DESCRIPTION, VR::LO, "CT THORAX with contrast"),
        text(tags::SERIES_DESCRIPTION, VR::LO, "Lung 1.5mm"),
        text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "RHAPSODE"),
        text(tags::PATIENT_NAME, VR::PN, "Somebody^Else^Middle"),
        text(tags::PATIENT_ID, VR::LO, "PID-4711-08"),
        text(tags::PATIENT_BIRTH_DATE, VR::DA, "19400210"),
        text(tags::PATIENT_SEX, VR::CS, "O"),
        text(tags::PATIENT_AGE, VR::AS, "063Y"),
        text(tags::PATIENT_WEIGHT, VR::DS, "71.5"),
        text(tags::PATIENT_ADDRESS, VR::LO, "12 Larkspur Lane, Nowhere"),
        text(
            tags::ADDITIONAL_PATIENT_HISTORY,
            VR::LT,
            "Cough for six weeks, no fever. Prior of 2003-11-02 shows a nodule.",
        ),
        text(
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
        ),
        text(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
        ),
        text(
            tags::FRAME_OF_REFERENCE_UID,
            VR::UI,
            "1.3.6.1.4.1.5962.1.4.1.1.20040119072730.12322",
        ),
        sequence(
            tags::REFERENCED_IMAGE_SEQUENCE,
            vec![
                vec![
                    text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
                    text(
                        tags::REFERENCED_SOP_INSTANCE_UID,
                        VR::UI,
                        "1.3.6.1.4.1.5962.1.1.1.1.1.9"
                    ),
                ];
                2
            ],
        ),
        text(Tag(0x0009, 0x0010), VR::LO, "GEMS_IDEN_01"),
        text(Tag(0x0019, 0x0010), VR::LO, "GEMS_ACQU_01"),
        text(Tag(0x0043, 0x0010), VR::LO, "GEMS_PARM_01"),
    ];
    for number in 0..60_u16 {
        let value = PrimitiveValue::from(f32::from(number) * 0.25);
        elements.push(DataElement::new(Tag(0x0019, 0x1002 + number), VR::FL, value));
        elements.push(text(Tag(0x0043, 0x1002 + number), VR::DS, "1.25"));
    }
    for number in 0..50_u16 {
        elements.push(text(Tag(0x0018, 0x0050 + number), VR::DS, "0.625"));
    }
    let samples = (0..15_000_u16).map(|n| n.wrapping_mul(37)).collect();
    elements.push(DataElement::new(
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        VR::OW,
        PrimitiveValue::U16(samples),
    ));
    InMemDicomObject::from_element_iter(elements)
}

fn header(criterion: &mut Criterion) {
    let object = ct();
    let syntax = TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    let written = write_header(&object, &syntax).unwrap();
    let bytes = [written.before, written.after].concat();
    let pseudonyms = Pseudonyms::new(&Secret::new([7; 32]), "OBIA0001");
    let mut group = criterion.benchmark_group("header");
    group.throughput(Throughput::Elements(1));
    for name in ["basic", "obia"] {
        let profile = Profile::builtin(name).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(deidentify(&object, &profile, &pseudonyms, &Context::default())));
        });
        group.bench_function(format!("{name}, read and written"), |bencher| {
            bencher.iter(|| {
                let limits = Limits::default();
                let layout = layout_data_set(&bytes, &syntax, &limits).unwrap();
                let read = read_header(&bytes, &layout, &limits).unwrap();
                let done = deidentify(&read, &profile, &pseudonyms, &Context::default()).unwrap();
                black_box(write_header(&done.data_set, &syntax).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, header);
criterion_main!(benches);
