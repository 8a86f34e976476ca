use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Command;

use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, from_reader};

use super::*;

const SMALL: DemoSpec = DemoSpec {
    individuals: 4,
    size: 48,
    slices: 2,
};

fn read(instance: &DemoInstance) -> DefaultDicomObject {
    from_reader(instance.part10.as_slice()).unwrap()
}

fn text(object: &DefaultDicomObject, tag: dicom_core::Tag) -> String {
    object
        .element(tag)
        .unwrap()
        .to_str()
        .unwrap()
        .trim_end_matches(['\0', ' '])
        .to_owned()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| -> Vec<Vec<u8>> {
        studies(
            seed,
            &DemoSpec {
                individuals: 1,
                size: 32,
                slices: 1,
            },
        )
        .map(|i| i.part10)
        .collect()
    };
    let first = bytes(1);
    assert_eq!(first, bytes(1));
    assert!(first.iter().zip(bytes(2)).all(|(a, b)| *a != b));
}

#[test]
fn every_individual_has_its_studies_series_and_instances() {
    let mut instances = BTreeSet::new();
    let mut series: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    let mut patients = BTreeSet::new();
    for instance in studies(1, &SMALL) {
        let object = read(&instance);
        assert!(
            instances.insert(text(&object, tags::SOP_INSTANCE_UID)),
            "{}",
            instance.description
        );
        patients.insert((text(&object, tags::PATIENT_ID), text(&object, tags::PATIENT_NAME)));
        let study = series.entry(text(&object, tags::STUDY_INSTANCE_UID)).or_default();
        *study.entry(text(&object, tags::SERIES_INSTANCE_UID)).or_default() += 1;
    }
    assert_eq!(instances.len() as u64, SMALL.instances());
    assert_eq!(patients.len(), 4);
    assert!(patients.contains(&(String::from("DEMO-0003"), String::from("Zhang^Moti=张^模体"))));
    assert_eq!(series.len(), 4 * 3);
    let mut sizes: Vec<Vec<u32>> = series.values().map(|study| study.values().copied().collect()).collect();
    sizes.sort();
    assert_eq!(
        sizes,
        [vec![[2].as_slice(); 4], vec![&[2, 2]; 4], vec![&[5]; 4]].concat()
    );
}

#[test]
fn pixel_data_are_as_long_as_the_attributes_say() {
    for instance in studies(
        1,
        &DemoSpec {
            individuals: 1,
            size: 51,
            slices: 1,
        },
    ) {
        let object = read(&instance);
        let number = |tag| object.get(tag).map_or(1, |element| element.to_int::<usize>().unwrap());
        let expected = number(tags::ROWS)
            * number(tags::COLUMNS)
            * number(tags::SAMPLES_PER_PIXEL)
            * number(tags::NUMBER_OF_FRAMES)
            * number(tags::BITS_ALLOCATED)
            / 8;
        let length = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len();
        assert_eq!(length, expected, "{}", instance.description);
        assert_eq!(length % 2, 0, "{}", instance.description);
    }
}

#[test]
fn ct_numbers_are_those_of_the_tissues() {
    let spec = DemoSpec {
        individuals: 1,
        size: 128,
        slices: 4,
    };
    for instance in studies(1, &spec).take(4) {
        let object = read(&instance);
        let hu: Vec<i32> = object
            .element(tags::PIXEL_DATA)
            .unwrap()
            .to_multi_int::<i32>()
            .unwrap()
            .iter()
            .map(|v| v - 1024)
            .collect();
        let share =
            |range: std::ops::Range<i32>| hu.iter().filter(|v| range.contains(v)).count() as f32 / hu.len() as f32;
        assert!(share(-1100..-900) > 0.3, "air");
        assert!(share(-150..-60) > 0.05, "fat");
        assert!(share(20..120) > 0.03, "muscle");
        assert!(share(400..1500) > 0.005, "bone");
    }
}

#[test]
fn slices_follow_each_other_downwards_at_their_spacing() {
    let spec = DemoSpec {
        individuals: 1,
        size: 16,
        slices: 6,
    };
    let heights: Vec<(f64, f64)> = studies(1, &spec)
        .take(6)
        .map(|instance| {
            let object = read(&instance);
            let position = object
                .element(tags::IMAGE_POSITION_PATIENT)
                .unwrap()
                .to_multi_float64()
                .unwrap();
            (
                position[2],
                object
                    .element(tags::SPACING_BETWEEN_SLICES)
                    .unwrap()
                    .to_float64()
                    .unwrap(),
            )
        })
        .collect();
    for pair in heights.windows(2) {
        assert!((pair[0].0 - pair[1].0 - pair[0].1).abs() < 0.01, "{pair:?}");
    }
}

#[test]
fn ultrasound_shows_a_sector_and_nothing_in_the_corners() {
    let spec = DemoSpec {
        individuals: 1,
        size: 64,
        slices: 1,
    };
    let mut seen = 0;
    for instance in studies(1, &spec) {
        let object = read(&instance);
        if text(&object, tags::MODALITY) != "US" {
            continue;
        }
        seen += 1;
        let columns = object.element(tags::COLUMNS).unwrap().to_int::<usize>().unwrap();
        let samples = object
            .element(tags::SAMPLES_PER_PIXEL)
            .unwrap()
            .to_int::<usize>()
            .unwrap();
        let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().to_vec();
        assert!(
            bytes[..columns * samples / 4].iter().all(|&v| v == 0),
            "{}",
            instance.description
        );
        let lit = bytes.iter().filter(|&&v| v > 20).count() as f32 / bytes.len() as f32;
        assert!((0.15..0.85).contains(&lit), "{}: {lit}", instance.description);
        let colour = bytes
            .chunks(3)
            .filter(|p| samples == 3 && p.iter().max() > p.iter().min())
            .count();
        assert_eq!(colour > 0, samples == 3, "{}", instance.description);
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_specification_beyond_its_limits_is_taken_as_the_nearest_within() {
    let spec = DemoSpec {
        individuals: 1,
        size: 0,
        slices: 0,
    };
    assert_eq!(studies(1, &spec).count() as u64, spec.instances());
    assert_eq!(spec.instances(), 8);
    assert_eq!(DemoSpec::default().instances(), 6 * (3 * 24 + 5));
}

/// dciodvfy of dicom3tools checks each kind of file against its IOD; without the program the test says so and passes.
#[test]
fn an_independent_validator_finds_no_error() {
    let mut kinds = BTreeSet::new();
    for instance in studies(1, &SMALL) {
        let object = read(&instance);
        kinds.insert(text(&object, tags::SOP_CLASS_UID));
        // the validator seeks, so that a pipe will not do
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&instance.part10).unwrap();
        let Ok(output) = Command::new("dciodvfy").arg(file.path()).output() else {
            eprintln!("left out: dciodvfy is not installed");
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("Error"), "{}: {said}", instance.description);
    }
    let expected = [
        uids::CT_IMAGE_STORAGE,
        uids::MR_IMAGE_STORAGE,
        uids::ULTRASOUND_IMAGE_STORAGE,
        uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
    ];
    assert_eq!(kinds, expected.map(str::to_owned).into());
}
