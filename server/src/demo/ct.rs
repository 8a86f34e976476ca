//! CT Image Storage (PS3.3 A.3): one axial series with contrast medium, in Hounsfield units.

use dicom_dictionary_std::{tags, uids};

use super::DemoSpec;
use super::canvas::{Tissue, View};
use super::data_set::{Pixels, Series, Study, matrix};
use super::noise::gauss;
use super::person::Person;

/// Half of the reconstructed field, in units of the phantom.
const HALF: f32 = 1.02;
/// What a stored value of zero means.
const INTERCEPT: f32 = -1024.0;

/// Returns the study that holds the CT images of a person.
pub(super) fn study(person: &Person) -> Study<'_> {
    Study {
        person,
        modality: "CT",
        number: 1,
        description: ("CT pelvis with contrast", "盆腔CT增强"),
        device: ("Isocenter Phantom Works", "Ellipsoid CT"),
    }
}

/// Returns slice `slice` (from 0) as a file.
pub(super) fn slice(person: &Person, spec: &DemoSpec, slice: u16) -> Vec<u8> {
    let study = study(person);
    let series = Series {
        number: 1,
        description: ("Axial, portal venous", "横断位 门静脉期"),
    };
    let mut set = study.instance(&series, uids::CT_IMAGE_STORAGE, slice + 1);

    let size = usize::from(spec.size);
    let z = spec.height_of(slice);
    let view = View {
        z,
        centre: (0.0, 0.06),
        half: HALF,
        columns: size,
        rows: size,
    };
    let values = person.anatomy.section(view, &hounsfield);
    let seed = (person.seed >> 7) as u32;
    let stored = values.iter().enumerate().map(|(n, value)| {
        let (i, j) = (n % size, n / size);
        if outside_the_field(i, j, size) {
            return 0;
        }
        let noise = 11.0 * gauss(seed, i as i32, j as i32, i32::from(slice));
        (value + noise - INTERCEPT).round().clamp(0.0, 4095.0) as u16
    });
    set.set_pixels(Pixels::Words(stored.collect()));
    matrix(&mut set, spec.size, spec.size, "MONOCHROME2", 12);

    let unit = person.anatomy.unit_mm;
    let pixel_mm = 2.0 * HALF * unit / f32::from(spec.size);
    let corner = (pixel_mm - 2.0 * HALF * unit) / 2.0;
    let place = [corner, corner + 0.06 * unit, -person.anatomy.depth_mm(z)];
    study.place(&mut set, place, pixel_mm, person.anatomy.depth_mm(spec.spacing()));

    // CT Image (C.8.2.1), Contrast/Bolus (C.7.6.4), VOI LUT (C.11.2)
    set.set_all(&[
        (tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL"),
        (tags::RESCALE_INTERCEPT, "-1024"),
        (tags::RESCALE_SLOPE, "1"),
        (tags::RESCALE_TYPE, "HU"),
        (tags::KVP, "120"),
        (tags::ACQUISITION_NUMBER, "1"),
        (tags::SCAN_OPTIONS, "HELICAL MODE"),
        (tags::DATA_COLLECTION_DIAMETER, "500"),
        (tags::RECONSTRUCTION_DIAMETER, &format!("{:.1}", 2.0 * HALF * unit)),
        (tags::GANTRY_DETECTOR_TILT, "0"),
        (tags::TABLE_HEIGHT, "150"),
        (tags::ROTATION_DIRECTION, "CW"),
        (tags::EXPOSURE_TIME, "500"),
        (tags::X_RAY_TUBE_CURRENT, "240"),
        (tags::EXPOSURE, "120"),
        (tags::CONVOLUTION_KERNEL, "SOFT"),
        (tags::CONTRAST_BOLUS_AGENT, "Phantom contrast"),
        (tags::WINDOW_CENTER, "40\\300"),
        (tags::WINDOW_WIDTH, "400\\1500"),
        (tags::WINDOW_CENTER_WIDTH_EXPLANATION, "SOFT TISSUE\\BONE"),
    ]);
    set.into_part10()
}

/// The scanner reconstructs a disc; the corners of the square hold the lowest value.
fn outside_the_field(i: usize, j: usize, size: usize) -> bool {
    let from_centre = |n: usize| (2 * n + 1).abs_diff(size);
    from_centre(i).pow(2) + from_centre(j).pow(2) > size.pow(2)
}

fn hounsfield(tissue: Tissue) -> f32 {
    match tissue {
        Tissue::Air => -1000.0,
        Tissue::Skin => 20.0,
        Tissue::Fat => -105.0,
        Tissue::Muscle => 58.0,
        Tissue::Cortex => 780.0,
        Tissue::Marrow => 165.0,
        Tissue::Fluid => 8.0,
        Tissue::Wall => 48.0,
        Tissue::Gas => -850.0,
        Tissue::Content => 24.0,
        Tissue::Organ => 92.0,
        Tissue::Lesion => 66.0,
        Tissue::Artery => 190.0,
        Tissue::Vein => 160.0,
        Tissue::Metal => 3000.0,
        Tissue::Couch => -40.0,
    }
}
