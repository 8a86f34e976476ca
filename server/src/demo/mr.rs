//! MR Image Storage (PS3.3 A.4): T1- and T2-weighted axial series on the same frame of reference.

use dicom_dictionary_std::{tags, uids};

use super::DemoSpec;
use super::canvas::{Tissue, View};
use super::data_set::{Pixels, Series, Study, matrix};
use super::noise::{gauss, smooth};
use super::person::Person;

/// Half of the field, in units of the phantom: a little less than the body, as the arms of a coil allow.
const HALF: f32 = 0.95;

/// What a series is weighted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weighting {
    T1,
    T2,
}

/// Returns the study that holds the MR images of a person.
pub(super) fn study(person: &Person) -> Study<'_> {
    Study {
        person,
        modality: "MR",
        number: 2,
        description: ("MR pelvis", "盆腔MR平扫"),
        device: ("Isocenter Phantom Works", "Ellipsoid MR 1.5T"),
    }
}

/// Returns slice `slice` (from 0) of a series as a file.
pub(super) fn slice(person: &Person, spec: &DemoSpec, weighting: Weighting, slice: u16) -> Vec<u8> {
    let study = study(person);
    let (series, signal, times): (_, fn(Tissue) -> f32, _) = match weighting {
        Weighting::T1 => (
            Series {
                number: 1,
                description: ("T1 TSE axial", "T1 TSE 横断位"),
            },
            t1,
            ["560", "11", "3"],
        ),
        Weighting::T2 => (
            Series {
                number: 2,
                description: ("T2 TSE axial", "T2 TSE 横断位"),
            },
            t2,
            ["4200", "98", "17"],
        ),
    };
    let mut set = study.instance(&series, uids::MR_IMAGE_STORAGE, slice + 1);

    let size = usize::from(spec.size);
    let z = spec.height_of(slice);
    let view = View {
        z,
        centre: (0.0, 0.02),
        half: HALF,
        columns: size,
        rows: size,
    };
    let values = person.anatomy.section(view, &signal);
    let seed = (person.seed >> 9) as u32 ^ u32::from(series.number);
    let stored = values.iter().enumerate().map(|(n, value)| {
        let (i, j) = (n % size, n / size);
        let noise = |part: i32| 2.4 * gauss(seed, i as i32, j as i32, i32::from(slice) * 2 + part);
        // the noise of a magnitude is that of two signals at right angles
        let signal = value * shading(i, j, size, seed) + noise(0);
        let magnitude = (signal * signal + noise(1).powi(2)).sqrt();
        (magnitude * 16.0).round().clamp(0.0, 4095.0) as u16
    });
    set.set_pixels(Pixels::Words(stored.collect()));
    matrix(&mut set, spec.size, spec.size, "MONOCHROME2", 12);

    let unit = person.anatomy.unit_mm;
    let pixel_mm = 2.0 * HALF * unit / f32::from(spec.size);
    let corner = (pixel_mm - 2.0 * HALF * unit) / 2.0;
    let place = [corner, corner + 0.02 * unit, -person.anatomy.depth_mm(z)];
    study.place(&mut set, place, pixel_mm, person.anatomy.depth_mm(spec.spacing()));

    // MR Image (C.8.3.1), VOI LUT (C.11.2)
    let [repetition, echo, train] = times;
    set.set_all(&[
        (tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\OTHER"),
        (tags::SCANNING_SEQUENCE, "SE"),
        (tags::SEQUENCE_VARIANT, "SK"),
        (tags::SCAN_OPTIONS, ""),
        (tags::MR_ACQUISITION_TYPE, "2D"),
        (
            tags::SEQUENCE_NAME,
            if weighting == Weighting::T1 {
                "tse2d1_3"
            } else {
                "tse2d1_17"
            },
        ),
        (
            tags::PROTOCOL_NAME,
            if weighting == Weighting::T1 {
                "t1_tse_tra"
            } else {
                "t2_tse_tra"
            },
        ),
        (tags::REPETITION_TIME, repetition),
        (tags::ECHO_TIME, echo),
        (tags::ECHO_TRAIN_LENGTH, train),
        (tags::NUMBER_OF_AVERAGES, "2"),
        (tags::IMAGING_FREQUENCY, "63.87"),
        (tags::IMAGED_NUCLEUS, "1H"),
        (tags::ECHO_NUMBERS, "1"),
        (tags::MAGNETIC_FIELD_STRENGTH, "1.5"),
        (tags::FLIP_ANGLE, "150"),
        (tags::RECEIVE_COIL_NAME, "PHANTOM BODY"),
        (tags::IN_PLANE_PHASE_ENCODING_DIRECTION, "ROW"),
        (tags::ACQUISITION_NUMBER, "1"),
        (
            tags::WINDOW_CENTER,
            if weighting == Weighting::T1 { "620" } else { "740" },
        ),
        (
            tags::WINDOW_WIDTH,
            if weighting == Weighting::T1 { "1240" } else { "1480" },
        ),
    ]);
    set.into_part10()
}

/// Surface coils see what is near them brighter: the front and the back, and never quite evenly.
fn shading(i: usize, j: usize, size: usize, seed: u32) -> f32 {
    let (x, y) = (i as f32 / size as f32 * 2.0 - 1.0, j as f32 / size as f32 * 2.0 - 1.0);
    0.86 + 0.4 * y * y - 0.12 * x * x + 0.08 * smooth(seed, x * 1.3, y * 1.3, 0.5)
}

fn t1(tissue: Tissue) -> f32 {
    match tissue {
        Tissue::Air | Tissue::Metal | Tissue::Couch => 0.0,
        Tissue::Skin => 46.0,
        Tissue::Fat => 72.0,
        Tissue::Muscle => 31.0,
        Tissue::Cortex => 5.0,
        Tissue::Marrow => 62.0,
        Tissue::Fluid => 16.0,
        Tissue::Wall => 30.0,
        Tissue::Gas => 2.0,
        Tissue::Content => 40.0,
        Tissue::Organ => 34.0,
        Tissue::Lesion => 28.0,
        Tissue::Artery => 10.0,
        Tissue::Vein => 14.0,
    }
}

fn t2(tissue: Tissue) -> f32 {
    match tissue {
        Tissue::Air | Tissue::Metal | Tissue::Couch => 0.0,
        Tissue::Skin => 52.0,
        Tissue::Fat => 70.0,
        Tissue::Muscle => 17.0,
        Tissue::Cortex => 4.0,
        Tissue::Marrow => 50.0,
        Tissue::Fluid => 98.0,
        Tissue::Wall => 30.0,
        Tissue::Gas => 2.0,
        Tissue::Content => 52.0,
        Tissue::Organ => 44.0,
        Tissue::Lesion => 66.0,
        Tissue::Artery => 6.0,
        Tissue::Vein => 10.0,
    }
}
