//! De-identifying what is large: pixel bytes that pass untouched, and headers of tens of thousands of elements.
//!
//! Goals: 1 GB of pixel bytes a second on one core, native and in fragments, from a file's bytes to a file's bytes (digests
//! apart); and an enhanced multi-frame MR in proportion to its elements, so that twice the frames take twice the time. The
//! last group has an object that says very much of its patient, which must not multiply the cost either.

#![expect(clippy::unwrap_used, reason = "a benchmark: what fails here should fail loudly")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use isocenter_deid::{Context, PixelFacts, Profile, Pseudonyms, Secret, deidentify};
use isocenter_model::TransferSyntaxUid;
use isocenter_model::part10::{
    Limits, NewFileMeta, layout_part10, read_header, write_file_meta, write_header, write_native_pixel_header,
};
use isocenter_model::uid::transfer_syntax;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENHANCED_MR: &str = "1.2.840.10008.5.1.4.1.1.4.1";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";

fn text(tag: Tag, vr: VR, text: &str) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

fn numbers(tag: Tag, values: &[f64]) -> InMemElement {
    DataElement::new(tag, VR::FD, PrimitiveValue::F64(values.iter().copied().collect()))
}

fn sequence(tag: Tag, items: Vec<Vec<InMemElement>>) -> InMemElement {
    let items: Vec<_> = items.into_iter().map(InMemDicomObject::from_element_iter).collect();
    DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
}

fn patient() -> Vec<InMemElement> {
    vec![
        text(tags::SOP_CLASS_UID, VR::UI, ENHANCED_MR),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.3.6.1.4.1.5962.1.1.1.1.1"),
        text(tags::STUDY_DATE, VR::DA, "20040119"),
        text(tags::MODALITY, VR::CS, "MR"),
        text(tags::STUDY_DESCRIPTION, VR::LO, "MR brain with contrast"),
        text(tags::PATIENT_NAME, VR::PN, "Somebody^Else^Middle"),
        text(tags::PATIENT_ID, VR::LO, "PID-4711-08"),
        text(tags::PATIENT_BIRTH_DATE, VR::DA, "19400210"),
        text(tags::PATIENT_ADDRESS, VR::LO, "12 Larkspur Lane, Nowhere"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.3.6.1.4.1.5962.1.2.1"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.3.6.1.4.1.5962.1.3.1"),
    ]
}

/// One frame's functional groups as makers write them: 30 elements, six sequences, private numbers among them.
fn frame(number: u32) -> Vec<InMemElement> {
    let position = f64::from(number) * 1.5;
    let long = |tag, value: u32| DataElement::new(tag, VR::UL, PrimitiveValue::from(value));
    let private = (0..10_u16).map(|n| numbers(Tag(0x2005, 0x1010 + n), &[position + f64::from(n)]));
    vec![
        sequence(
            tags::FRAME_CONTENT_SEQUENCE,
            vec![vec![
                text(tags::FRAME_ACQUISITION_DATE_TIME, VR::DT, "20040119072730.1250"),
                text(tags::FRAME_REFERENCE_DATE_TIME, VR::DT, "20040119072731.1250"),
                numbers(tags::FRAME_ACQUISITION_DURATION, &[1250.5]),
                DataElement::new(
                    tags::DIMENSION_INDEX_VALUES,
                    VR::UL,
                    PrimitiveValue::U32([1, number, 1].into_iter().collect()),
                ),
                text(tags::STACK_ID, VR::SH, "1"),
                long(tags::IN_STACK_POSITION_NUMBER, number),
                text(tags::FRAME_COMMENTS, VR::LT, "breath hold, first dynamic"),
            ]],
        ),
        sequence(
            tags::PLANE_POSITION_SEQUENCE,
            vec![vec![text(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                "-120.5\\-98.25\\33.125",
            )]],
        ),
        sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![vec![text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")]],
        ),
        sequence(
            tags::PIXEL_MEASURES_SEQUENCE,
            vec![vec![
                text(tags::SLICE_THICKNESS, VR::DS, "1.5"),
                text(tags::PIXEL_SPACING, VR::DS, "0.9375\\0.9375"),
            ]],
        ),
        sequence(
            tags::FRAME_VOILUT_SEQUENCE,
            vec![vec![
                text(tags::WINDOW_CENTER, VR::DS, "600"),
                text(tags::WINDOW_WIDTH, VR::DS, "1200"),
            ]],
        ),
        sequence(
            Tag(0x2005, 0x140F),
            vec![
                [text(Tag(0x2005, 0x0010), VR::LO, "Philips MR Imaging DD 001")]
                    .into_iter()
                    .chain(private)
                    .collect(),
            ],
        ),
        text(Tag(0x2005, 0x0014), VR::LO, "Philips MR Imaging DD 005"),
    ]
}

fn enhanced_mr(frames: u32) -> InMemDicomObject {
    let mut elements = patient();
    let groups = (1..=frames).map(frame).collect();
    elements.push(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups));
    InMemDicomObject::from_element_iter(elements)
}

fn elements_of(object: &InMemDicomObject) -> u64 {
    object
        .iter()
        .map(|element| 1 + element.items().unwrap_or_default().iter().map(elements_of).sum::<u64>())
        .sum()
}

/// A file with so many pixel bytes, in one value or in a fragment for each frame.
fn file(native: bool, pixel_bytes: usize) -> Vec<u8> {
    let uid = if native {
        transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN
    } else {
        JPEG_BASELINE
    };
    let syntax = TransferSyntaxUid::parse(uid).unwrap();
    let header = InMemDicomObject::from_element_iter(patient());
    let mut out = write_file_meta(&NewFileMeta {
        sop_class_uid: ENHANCED_MR,
        sop_instance_uid: "1.3.6.1.4.1.5962.1.1.1.1.1",
        transfer_syntax_uid: &syntax,
        source_ae_title: None,
    });
    out.extend(write_header(&header, &syntax).unwrap().before);
    if native {
        out.extend(write_native_pixel_header(tags::PIXEL_DATA, VR::OW, pixel_bytes as u64, &syntax).unwrap());
        out.resize(out.len() + pixel_bytes, 0x5A);
        return out;
    }
    const FRAGMENT: usize = 32 * 1024;
    let head = |out: &mut Vec<u8>, tag: u16, len: usize| {
        out.extend([0xFE, 0xFF]);
        out.extend(tag.to_le_bytes());
        out.extend((len as u32).to_le_bytes());
    };
    out.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    head(&mut out, 0xE000, 0);
    for _ in 0..pixel_bytes / FRAGMENT {
        head(&mut out, 0xE000, FRAGMENT);
        out.resize(out.len() + FRAGMENT, 0x5A);
    }
    head(&mut out, 0xE0DD, 0);
    out
}

fn pixels(criterion: &mut Criterion) {
    const BYTES: usize = 256 << 20;
    let profile = Profile::builtin("obia").unwrap();
    let pseudonyms = Pseudonyms::new(&Secret::new([7; 32]), "OBIA0001");
    let mut group = criterion.benchmark_group("pixels");
    group.sample_size(20).throughput(Throughput::Bytes(BYTES as u64));
    for (name, native) in [("native", true), ("fragments of 32 KiB", false)] {
        let bytes = file(native, BYTES);
        let mut out: Vec<u8> = Vec::with_capacity(bytes.len() + 4096);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let limits = Limits::default();
                let layout = layout_part10(&bytes, &limits).unwrap();
                let header = read_header(&bytes, &layout, &limits).unwrap();
                let facts = PixelFacts {
                    transfer_syntax_uid: layout.transfer_syntax_uid.as_str(),
                    judged: false,
                };
                let cx = Context {
                    pixels: Some(facts),
                    ..Context::default()
                };
                let done = deidentify(&header, &profile, &pseudonyms, &cx).unwrap();
                let new = write_header(&done.data_set, &layout.transfer_syntax_uid).unwrap();
                let pixels = layout.pixel_data.as_ref().unwrap();
                let span = pixels.element_offset() as usize..pixels.end_offset() as usize;
                out.clear();
                out.extend_from_slice(&new.before);
                out.extend_from_slice(bytes.get(span).unwrap());
                out.extend_from_slice(&new.after);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn functional_groups(criterion: &mut Criterion) {
    let pseudonyms = Pseudonyms::new(&Secret::new([7; 32]), "OBIA0001");
    let profile = Profile::builtin("obia").unwrap();
    let mut group = criterion.benchmark_group("enhanced MR");
    group.sample_size(20);
    for frames in [500, 1000, 2000] {
        let object = enhanced_mr(frames);
        let elements = elements_of(&object);
        group.throughput(Throughput::Elements(elements));
        group.bench_function(BenchmarkId::new("obia", elements), |bencher| {
            bencher.iter(|| black_box(deidentify(&object, &profile, &pseudonyms, &Context::default())));
        });
    }
    group.finish();
}

/// A name for each of many physicians, and a text for each of many frames.
fn much_is_known(criterion: &mut Criterion) {
    let pseudonyms = Pseudonyms::new(&Secret::new([7; 32]), "OBIA0001");
    let profile = Profile::builtin("obia").unwrap();
    let mut group = criterion.benchmark_group("many known names");
    group.sample_size(10);
    for names in [1000_u32, 4000] {
        let mut elements = patient();
        let physicians =
            (0..names).map(|n| vec![text(tags::PERSON_NAME, VR::PN, &format!("Physician{n:05}^Given{n}"))]);
        elements.push(sequence(tags::VERIFYING_OBSERVER_SEQUENCE, physicians.collect()));
        elements.push(sequence(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            (1..=1000).map(frame).collect(),
        ));
        let object = InMemDicomObject::from_element_iter(elements);
        group.throughput(Throughput::Elements(elements_of(&object)));
        group.bench_function(BenchmarkId::new("obia", names), |bencher| {
            bencher.iter(|| black_box(deidentify(&object, &profile, &pseudonyms, &Context::default())));
        });
    }
    group.finish();
}

criterion_group!(benches, pixels, functional_groups, much_is_known);
criterion_main!(benches);
