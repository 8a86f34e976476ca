//! Ultrasound (PS3.3 A.6, A.7): gray stills, one in colour Doppler, and a short cine, all of a curved probe's sector.
//!
//! The probe looks at the same phantom from the front. Its beams run through an axial plane and are weakened, strengthened
//! behind fluid and stopped by bone and gas, as in the body; then the beams are laid into a rectangle.

use dicom_dictionary_std::{tags, uids};

use super::DemoSpec;
use super::canvas::{Tissue, View};
use super::data_set::{DataSet, Pixels, Series, Study, matrix};
use super::noise::{gauss, hash};
use super::person::Person;

/// Beams of a sector, and samples along one.
const BEAMS: usize = 144;
const SAMPLES: usize = 320;
/// Radius of the probe and depth of the picture, in units of the phantom; half of the angle.
const PROBE: f32 = 0.28;
const DEPTH: f32 = 0.78;
const HALF_ANGLE: f32 = 0.6;
/// Pixels along the side of the plane that is sampled.
const PLANE: usize = 192;
/// Heights of the gray stills.
pub(super) const STILLS: [f32; 3] = [0.6, 0.74, 0.82];
/// Height of the Doppler still, and how far beside the middle the probe stands.
const DOPPLER: (f32, f32) = (0.5, 0.22);

/// Frames of the cine, and milliseconds between them.
const FRAMES: u16 = 12;
const FRAME_MS: u16 = 80;

/// Returns the study that holds the ultrasound images of a person.
pub(super) fn study(person: &Person) -> Study<'_> {
    Study {
        person,
        modality: "US",
        number: 3,
        description: ("US pelvis, transabdominal", "盆腔超声 经腹"),
        device: ("Isocenter Phantom Works", "Ellipsoid US"),
    }
}

fn series() -> Series {
    Series {
        number: 1,
        description: ("Transverse", "横切面"),
    }
}

/// Returns gray still `number` (from 0) as a file.
pub(super) fn still(person: &Person, spec: &DemoSpec, number: u16) -> Vec<u8> {
    let z = STILLS.get(usize::from(number)).copied().unwrap_or(0.8);
    let screen = Screen::new(spec);
    let mut set = study(person).instance(&series(), uids::ULTRASOUND_IMAGE_STORAGE, number + 1);
    let gray = screen.gray(&scan(person, z, 0.0, number), 255.0);
    matrix(&mut set, screen.rows, screen.columns, "MONOCHROME2", 8);
    set.set_pixels(Pixels::Bytes(gray));
    set.set(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\ABDOMINAL\\0001");
    finish(&mut set, vec![screen.whole(person)], 0);
    set.into_part10()
}

/// Returns the colour Doppler still as a file: gray outside a box, flow towards the probe in red, away in blue.
pub(super) fn doppler(person: &Person, spec: &DemoSpec) -> Vec<u8> {
    let number = STILLS.len() as u16;
    let (z, beside) = DOPPLER;
    let screen = Screen::new(spec);
    let mut set = study(person).instance(&series(), uids::ULTRASOUND_IMAGE_STORAGE, number + 1);
    let gray = screen.gray(&scan(person, z, beside, number), 255.0);
    let speed = |of: Tissue| {
        let plane = plane(person, z, beside, &|tissue| if tissue == of { 1.0 } else { 0.0 });
        screen.gray(&beams(|beam, sample| at(&plane, place(beam, sample))), 255.0)
    };
    let inside = screen.box_of_flow();
    let rgb = gray
        .iter()
        .zip(speed(Tissue::Artery))
        .zip(speed(Tissue::Vein))
        .enumerate();
    let rgb = rgb.flat_map(|(n, ((&gray, artery), vein))| {
        let (i, j) = (n % usize::from(screen.columns), n / usize::from(screen.columns));
        let inner = i > inside.0 && i < inside.2 && j > inside.1 && j < inside.3;
        let edge = i >= inside.0 && i <= inside.2 && j >= inside.1 && j <= inside.3 && !inner;
        match (inner, edge) {
            (_, true) => [90, 150, 90],
            (true, _) if artery > 60 => [artery, artery / 4, 20],
            (true, _) if vein > 60 => [20, vein / 4, vein],
            _ => [gray; 3],
        }
    });
    let rgb = rgb.collect();
    matrix(&mut set, screen.rows, screen.columns, "RGB", 8);
    set.set_pixels(Pixels::Bytes(rgb));
    set.set(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\ABDOMINAL\\0011");
    let corner = |at: (usize, usize)| (at.0 as u16, at.1 as u16);
    let flow = screen.region(
        person,
        Shown::Flow,
        corner((inside.0, inside.1)),
        corner((inside.2, inside.3)),
    );
    finish(&mut set, vec![screen.whole(person), flow], 1);
    set.into_part10()
}

/// Returns the cine as a file: a sweep of the probe down over the bladder.
pub(super) fn cine(person: &Person, spec: &DemoSpec) -> Vec<u8> {
    let number = STILLS.len() as u16 + 1;
    let screen = Screen::new(spec);
    let mut set = study(person).instance(&series(), uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE, number + 1);
    let frames = (0..FRAMES).flat_map(|frame| {
        let z = 0.62 + 0.28 * f32::from(frame) / f32::from(FRAMES - 1);
        screen.gray(&scan(person, z, 0.0, 100 + frame), 255.0)
    });
    let frames = frames.collect();
    matrix(&mut set, screen.rows, screen.columns, "MONOCHROME2", 8);
    set.set_pixels(Pixels::Bytes(frames));
    set.set(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\ABDOMINAL\\0001");
    // Multi-frame (C.7.6.6) and Cine (C.7.6.5)
    set.set(tags::NUMBER_OF_FRAMES, FRAMES.to_string());
    set.set(tags::FRAME_INCREMENT_POINTER, tags::FRAME_TIME);
    set.set(tags::FRAME_TIME, FRAME_MS.to_string());
    set.set(tags::CINE_RATE, (1000 / FRAME_MS).to_string());
    set.set(tags::RECOMMENDED_DISPLAY_FRAME_RATE, (1000 / FRAME_MS).to_string());
    finish(&mut set, vec![screen.whole(person)], 0);
    set.into_part10()
}

/// Sets what all ultrasound images say: US Image (C.8.5.6) and US Region Calibration (C.8.5.5).
fn finish(set: &mut DataSet, regions: Vec<DataSet>, colour: u16) {
    set.set(tags::ULTRASOUND_COLOR_DATA_PRESENT, colour);
    set.set_items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, regions);
    set.set_all(&[
        (tags::PATIENT_ORIENTATION, "L\\P"),
        (tags::TRANSDUCER_DATA, "C5-1"),
        (tags::TRANSDUCER_TYPE, "SECTOR_PHASED"),
        (tags::PROCESSING_FUNCTION, "ABDOMEN"),
    ]);
}

/// Returns the echoes along all beams, 0 to about 1, beam by beam.
fn scan(person: &Person, z: f32, beside: f32, number: u16) -> Vec<f32> {
    let echo = plane(person, z, beside, &echo);
    let loss = plane(person, z, beside, &loss);
    let seed = (person.seed >> 11) as u32;
    let number = i32::from(number);
    // what the beam still carries, as it goes; beams come one after the other
    let (mut strength, mut before) = (1.0f32, 0.0f32);
    beams(|beam, sample| {
        if sample == 0 {
            (strength, before) = (1.0, 0.3);
        }
        let at_place = place(beam, sample);
        let here = at(&echo, at_place);
        strength = (strength * (1.0 - 0.02 * at(&loss, at_place))).min(1.9);
        // borders across the beam shine
        let border = (here - before).abs() * 0.9;
        before = here;
        let grain = |n: i32| {
            let of = |beam: usize| hash(seed, beam as i32 + 1000 * n, sample as i32 / 2, number);
            (of(beam) + of(beam + 1)) / 2.0
        };
        let speckle = 1.7 * grain(1).powi(2) + grain(2) + 0.1;
        let dark = 0.02 * gauss(seed, beam as i32, sample as i32, number + 5000);
        (here * speckle + border) * strength + dark
    })
}

/// Returns a value for each sample of each beam.
fn beams(mut value: impl FnMut(usize, usize) -> f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(BEAMS * SAMPLES);
    for beam in 0..BEAMS {
        for sample in 0..SAMPLES {
            values.push(value(beam, sample));
        }
    }
    values
}

/// Returns where a sample lies: across, and below the top of the sampled plane, where the probe's edges are.
fn place(beam: usize, sample: usize) -> (f32, f32) {
    let angle = (beam as f32 / (BEAMS - 1) as f32 * 2.0 - 1.0) * HALF_ANGLE;
    let radius = PROBE + DEPTH * sample as f32 / SAMPLES as f32;
    (radius * angle.sin(), radius * angle.cos() - PROBE * HALF_ANGLE.cos())
}

/// Half of the width of the sampled plane: the sector at its widest.
fn half_plane() -> f32 {
    (PROBE + DEPTH) * HALF_ANGLE.sin()
}

/// Returns the plane below the probe, which is pressed a little into the skin.
fn plane(person: &Person, z: f32, beside: f32, value_of: &dyn Fn(Tissue) -> f32) -> Vec<f32> {
    let half = half_plane();
    let top = person.anatomy.front(z) + 0.02 + 0.2 * beside;
    person.anatomy.section(
        View {
            z,
            centre: (beside, top + half),
            half,
            columns: PLANE,
            rows: PLANE,
        },
        value_of,
    )
}

/// Returns the value of the plane at a place, between its pixels.
fn at(plane: &[f32], (x, y): (f32, f32)) -> f32 {
    let pixel = 2.0 * half_plane() / PLANE as f32;
    between(plane, PLANE, x / pixel + PLANE as f32 / 2.0 - 0.5, y / pixel - 0.5)
}

/// Returns a value between the points of a grid, 0 outside it.
fn between(grid: &[f32], columns: usize, x: f32, y: f32) -> f32 {
    if x < 0.0 || y < 0.0 {
        return 0.0;
    }
    let (i, j) = (x as usize, y as usize);
    let (u, v) = (x.fract(), y.fract());
    let value = |a: usize, b: usize| {
        let inside = i + a < columns;
        grid.get((j + b) * columns + i + a)
            .copied()
            .filter(|_| inside)
            .unwrap_or(0.0)
    };
    let line = |b: usize| value(0, b) * (1.0 - u) + value(1, b) * u;
    line(0) * (1.0 - v) + line(1) * v
}

/// The picture that the machine shows.
struct Screen {
    columns: u16,
    rows: u16,
}

impl Screen {
    /// Returns a screen as high as the slices of the demo, and wider. Both sides are even, so that pixel data are.
    fn new(spec: &DemoSpec) -> Self {
        let rows = spec.size.next_multiple_of(2);
        Self {
            columns: (rows + rows / 4).next_multiple_of(2),
            rows,
        }
    }

    /// Units of the phantom in one pixel, and the row and column of the point where all beams meet.
    fn geometry(&self) -> (f32, f32, f32) {
        let (columns, rows) = (f32::from(self.columns), f32::from(self.rows));
        let high = PROBE + DEPTH - PROBE * HALF_ANGLE.cos();
        let unit = (high / (rows * 0.94)).max(2.0 * half_plane() / (columns * 0.96));
        (unit, columns / 2.0, rows * 0.03 - PROBE * HALF_ANGLE.cos() / unit)
    }

    /// Lays the beams into the picture.
    fn gray(&self, beams: &[f32], white: f32) -> Vec<u8> {
        let (unit, x0, y0) = self.geometry();
        let mut gray = Vec::with_capacity(usize::from(self.columns) * usize::from(self.rows));
        for j in 0..self.rows {
            for i in 0..self.columns {
                let (x, y) = ((f32::from(i) + 0.5 - x0) * unit, (f32::from(j) + 0.5 - y0) * unit);
                let (radius, angle) = ((x * x + y * y).sqrt(), x.atan2(y));
                let beam = (angle / HALF_ANGLE + 1.0) / 2.0 * (BEAMS - 1) as f32;
                let sample = (radius - PROBE) / DEPTH * SAMPLES as f32;
                let inside = angle.abs() < HALF_ANGLE && sample < SAMPLES as f32;
                let value = if inside {
                    between(beams, SAMPLES, sample, beam)
                } else {
                    0.0
                };
                gray.push((value * white).clamp(0.0, 255.0) as u8);
            }
        }
        gray
    }

    /// Returns the corners of the box in which flow is coloured: first column, row, last column, row.
    fn box_of_flow(&self) -> (usize, usize, usize, usize) {
        let (columns, rows) = (usize::from(self.columns), usize::from(self.rows));
        (columns * 3 / 10, rows * 3 / 10, columns * 7 / 10, rows * 3 / 4)
    }

    /// Returns the calibration of the whole picture.
    fn whole(&self, person: &Person) -> DataSet {
        self.region(person, Shown::Tissue, (0, 0), (self.columns - 1, self.rows - 1))
    }

    /// Returns the calibration of a part of the picture, in centimetres, between two corners that belong to it.
    fn region(&self, person: &Person, shown: Shown, first: (u16, u16), last: (u16, u16)) -> DataSet {
        let (unit, x0, y0) = self.geometry();
        let centimetres = f64::from(unit * person.anatomy.unit_mm / 10.0);
        let mut region = DataSet::new();
        region.set(tags::REGION_SPATIAL_FORMAT, 1u16);
        region.set(tags::REGION_DATA_TYPE, shown as u16);
        // bit 0: where regions overlap, flow comes before tissue
        region.set(tags::REGION_FLAGS, u32::from(shown == Shown::Tissue));
        region.set(tags::REGION_LOCATION_MIN_X0, u32::from(first.0));
        region.set(tags::REGION_LOCATION_MIN_Y0, u32::from(first.1));
        region.set(tags::REGION_LOCATION_MAX_X1, u32::from(last.0));
        region.set(tags::REGION_LOCATION_MAX_Y1, u32::from(last.1));
        // where the middle beam leaves the probe, counted from the region's own corner
        region.set(tags::REFERENCE_PIXEL_X0, x0 as i32 - i32::from(first.0));
        region.set(
            tags::REFERENCE_PIXEL_Y0,
            (y0 + PROBE / unit) as i32 - i32::from(first.1),
        );
        region.set(tags::REFERENCE_PIXEL_PHYSICAL_VALUE_X, 0.0f64);
        region.set(tags::REFERENCE_PIXEL_PHYSICAL_VALUE_Y, 0.0f64);
        region.set(tags::PHYSICAL_UNITS_X_DIRECTION, 3u16);
        region.set(tags::PHYSICAL_UNITS_Y_DIRECTION, 3u16);
        region.set(tags::PHYSICAL_DELTA_X, centimetres);
        region.set(tags::PHYSICAL_DELTA_Y, centimetres);
        region.set(tags::TRANSDUCER_FREQUENCY, 3500u32);
        region
    }
}

/// What a region shows, as Region Data Type (0018,6014) numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Tissue = 1,
    Flow = 2,
}

/// How bright a tissue is.
fn echo(tissue: Tissue) -> f32 {
    match tissue {
        // gel, where the probe does not touch
        Tissue::Air | Tissue::Skin => 0.6,
        Tissue::Couch => 0.0,
        Tissue::Fat => 0.42,
        Tissue::Muscle => 0.3,
        Tissue::Cortex | Tissue::Metal => 0.95,
        Tissue::Marrow => 0.2,
        Tissue::Fluid | Tissue::Artery | Tissue::Vein => 0.02,
        Tissue::Wall => 0.52,
        Tissue::Gas => 0.9,
        Tissue::Content => 0.36,
        Tissue::Organ => 0.34,
        Tissue::Lesion => 0.2,
    }
}

/// How much of a beam is lost in a tissue, against what the machine makes up for; fluid loses less than that.
fn loss(tissue: Tissue) -> f32 {
    match tissue {
        Tissue::Cortex | Tissue::Metal | Tissue::Gas => 9.0,
        Tissue::Fluid => -0.28,
        Tissue::Artery | Tissue::Vein => -0.2,
        _ => 0.12,
    }
}
