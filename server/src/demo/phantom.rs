//! A drawn pelvis, not a person: soft ellipsoids in three dimensions, cut by axial planes.
//!
//! Every individual has an anatomy of its own: sex, size, fat and muscle, a filled or empty bladder, crooked and uneven
//! sides, and often something to find. The shapes are idealised and prove nothing about anybody.

use super::canvas::{Bounds, Canvas, Ellipse, Tissue, View};
use super::noise::{ease, hash, smooth};
use Tissue::{
    Air, Artery, Content, Cortex, Couch, Fat, Fluid, Gas, Lesion, Marrow, Metal, Muscle, Organ, Skin, Vein, Wall,
};

/// Sex of the drawn body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    Female,
    Male,
}

/// Something to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// A mass in the uterus or the prostate.
    Mass,
    /// A fluid-filled cyst beside the bladder.
    Cyst,
    /// A polyp on the wall of the bladder.
    Polyp,
    /// A metal hip on one side.
    Hip,
}

/// The shape of one individual.
#[derive(Debug, Clone)]
pub(super) struct Anatomy {
    pub(super) sex: Sex,
    pub(super) finding: Finding,
    /// Millimetres in one unit of length.
    pub(super) unit_mm: f32,
    seed: u32,
    /// Half width and half depth of the body, thickness of fat and muscle.
    wide: f32,
    deep: f32,
    fat: f32,
    lean: f32,
    /// Angle by which the patient lies turned on the couch.
    turn: f32,
    /// How much larger the image's right side is than the left.
    uneven: f32,
    /// The side of what is on one side only: -1 or 1.
    side: f32,
    /// 0 an empty bladder, 1 a full one.
    full: f32,
    loops: Vec<Loop>,
}

/// A loop of bowel.
#[derive(Debug, Clone, Copy)]
struct Loop {
    x: f32,
    y: f32,
    z: f32,
    radius: f32,
    kind: f32,
}

/// Height of one unit of z, in units of length.
const HEIGHT: f32 = 0.92;

impl Anatomy {
    /// Returns the anatomy that belongs to a seed.
    pub(super) fn new(seed: u32, sex: Sex, finding: Finding) -> Self {
        let part = |n: i32| hash(seed, n, 0, 7) * 2.0 - 1.0;
        let female = sex == Sex::Female;
        let loops = (0..44)
            .map(|n| {
                let of = |k: i32| hash(seed, n, k, 11);
                let (angle, r) = (of(1) * std::f32::consts::TAU, 0.12 + 0.26 * of(2));
                Loop {
                    x: angle.cos() * r * 1.35,
                    y: -0.14 + angle.sin() * r * 0.62,
                    z: of(3) * 0.86 - 0.1,
                    radius: 0.05 + 0.045 * of(4),
                    kind: of(5),
                }
            })
            .collect();
        Self {
            sex,
            finding,
            unit_mm: if female { 203.0 } else { 212.0 } + 9.0 * part(10),
            seed,
            wide: 0.86 + 0.05 * part(1),
            deep: 0.56 + 0.05 * part(2),
            fat: if female { 0.095 } else { 0.075 } + 0.035 * part(3),
            lean: if female { -0.01 } else { 0.02 } + 0.025 * part(4),
            turn: 0.05 * part(11),
            uneven: 0.06 * part(12),
            side: if part(13) < 0.0 { -1.0 } else { 1.0 },
            full: 0.5 + 0.5 * part(14),
            loops,
        }
    }

    /// Returns the height of z in millimetres below the plane at 0.
    pub(super) fn depth_mm(&self, z: f32) -> f32 {
        z * HEIGHT * self.unit_mm
    }

    /// Returns the front of the body wall at a height.
    pub(super) fn front(&self, z: f32) -> f32 {
        -self.half_depth(z)
    }

    /// Returns the values of a plane, row by row.
    pub(super) fn section(&self, view: View, value_of: &dyn Fn(Tissue) -> f32) -> Vec<f32> {
        let mut canvas = Canvas::new(view, value_of);
        couch(&mut canvas);
        canvas.deform(self.seed, self.turn);
        self.wall_and_muscles(&mut canvas);
        for side in [-1.0, 1.0] {
            self.hip(&mut canvas, side);
        }
        self.spine(&mut canvas);
        self.bowel(&mut canvas);
        self.vessels(&mut canvas);
        self.rectum_and_bladder(&mut canvas);
        match self.sex {
            Sex::Female => self.uterus(&mut canvas),
            Sex::Male => self.prostate(&mut canvas),
        }
        if self.finding == Finding::Cyst {
            let cyst = Ellipse::new(self.side * 0.3, -0.08, 0.12, 0.1).section(canvas.z(), 0.62, 0.13);
            canvas.ellipse(cyst, &[(0.0, Wall), (0.008, Fluid)]);
        }
        canvas.into_values()
    }

    /// Returns how large things are on a side.
    fn size(&self, side: f32) -> f32 {
        1.0 + side * self.uneven
    }

    fn half_width(&self, z: f32) -> f32 {
        self.wide - 0.085 + 0.15 * ease(z.clamp(0.0, 1.0))
    }

    fn half_depth(&self, z: f32) -> f32 {
        self.deep + 0.035 * (z * 2.0).cos()
    }

    fn wall_and_muscles(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        let (w, d, fat, lean) = (self.half_width(z), self.half_depth(z), self.fat, self.lean);
        canvas.paint(Bounds::ALL, &[(0.0, Skin), (0.012, Fat)], |x, y| {
            // between an ellipse and a box; the border is the place where the sum is one
            let flat = |t: f32| t * t * t.sqrt();
            (flat(x.abs() / w) + flat(y.abs() / d) - 1.0) / 2.5 * d
        });
        canvas.ellipse(
            Ellipse::new(0.0, -0.02, w - fat - 0.05, d - fat - 0.03),
            &[(0.0, Muscle)],
        );
        canvas.ellipse(
            Ellipse::new(0.0, -0.07, w - fat - 0.135 - lean, d - fat - 0.11),
            &[(0.0, Fat)],
        );
        for side in [-1.0, 1.0] {
            let s = self.size(side);
            let mut muscle = |x: f32, y: f32, a: f32, b: f32, turn: f32| {
                canvas.ellipse(
                    Ellipse::turned(side * x, y, a * s, b * s + 0.3 * lean, side * turn),
                    &[(0.0, Muscle)],
                );
            };
            // straight muscles of the belly, of the back, buttocks, psoas, iliacus
            muscle(0.025 + 0.1, -d + fat + 0.085, 0.15, 0.03, 0.12);
            muscle(0.15, 0.36, 0.13, 0.1 - 0.06 * z, 0.0);
            if z > 0.2 {
                muscle(0.44, 0.28, 0.27, 0.1 + 0.04 * z, -0.55);
            }
            if z > 0.25 {
                muscle(0.6, 0.1, 0.16, 0.09, -1.1);
            }
            muscle(0.19 + 0.17 * z, 0.13 - 0.19 * z, 0.085, 0.1, 0.0);
            if z < 0.75 {
                muscle(0.42, 0.06, 0.2, 0.055, -0.95);
            }
            if z > 0.3 {
                let septum = Ellipse::turned(side * 0.46, 0.3, 0.24 * s, 0.035, side * -0.5);
                canvas.paint(Bounds::around(septum.x, septum.y, 0.35), &[(0.0, Fat)], |x, y| {
                    septum.distance(x, y).abs() - 0.004
                });
            }
        }
    }

    /// Ilium, hip joint, pubic bone and the upper end of the femur.
    fn hip(&self, canvas: &mut Canvas<'_>, side: f32) {
        let (z, s) = (canvas.z(), self.size(side));
        let bone = [(0.0, Cortex), (0.02, Marrow)];
        let length = 0.27 * s * (1.0 - (z - 0.36).abs() / 0.5).max(0.0).sqrt();
        if z < 0.82 && length > 0.03 {
            let (sin, cos) = (-0.98f32).sin_cos();
            canvas.paint(
                Bounds::around(side * 0.455, 0.1, 0.45),
                &[(0.0, Cortex), (0.017, Marrow)],
                |x, y| {
                    let ax = x * side;
                    let (dx, dy) = (ax - 0.455, y - 0.065 - (ax - 0.46).powi(2) * 0.9);
                    let (u, v) = ((dx * cos + dy * sin) / length, (dy * cos - dx * sin) / 0.043);
                    ((u * u + v * v).sqrt() - 1.0) * 0.043
                },
            );
        }
        if z > 0.66 {
            let metal = self.finding == Finding::Hip && side * self.side > 0.0;
            let up = (z - 0.9) * 0.8;
            let head = move |x: f32, y: f32| ((x * side - 0.5).powi(2) + y * y + up * up).sqrt() - 0.135 * s;
            let place = Bounds::around(side * 0.5, 0.0, 0.2);
            canvas.paint(place, &[(0.0, if metal { Metal } else { Cortex })], |x, y| {
                let cup = (head(x, y) - 0.03).abs() - 0.016;
                // open to the side and to the front
                cup.max((x * side - 0.5) * 0.8 - y * 0.6 - 0.07)
            });
            if metal {
                canvas.paint(place, &[(0.0, Metal)], head);
            } else {
                canvas.paint(place, &bone, head);
            }
            let pubis = Ellipse::turned(side * 0.2, -0.27, 0.17 * s, 0.045, side * 0.25);
            canvas.ellipse(pubis.section(z, 1.02, 0.2), &[(0.0, Cortex), (0.022, Marrow)]);
            let shaft = Ellipse::new(side * 0.69, 0.1, 0.085 * s, 0.08 * s).section(z, 0.98, 0.22);
            canvas.ellipse(shaft, &bone);
            if metal {
                canvas.ellipse(shaft.sized(shaft.a * 0.5, shaft.b * 0.5), &[(0.0, Metal)]);
            }
        }
    }

    /// Lumbar vertebra, its arch and canal; sacrum.
    fn spine(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        let body = Ellipse::new(0.0, 0.19, 0.135, 0.1);
        let below = (z - 0.25) * 0.3;
        let disc = ((z * 6.2 + 10.1).fract() - 0.5).abs() > 0.4;
        let layers: &[(f32, Tissue)] = if disc {
            &[(0.0, Wall)]
        } else {
            &[(0.0, Cortex), (0.014, Marrow)]
        };
        canvas.paint(body.bounds(), layers, |x, y| body.distance(x, y).max(below));
        if z < 0.24 {
            canvas.ellipse(Ellipse::new(0.0, 0.325, 0.055, 0.04), &[(0.0, Fat)]);
            canvas.ellipse(Ellipse::new(0.0, 0.325, 0.036, 0.028), &[(0.0, Fluid)]);
            for side in [-1.0, 1.0] {
                canvas.ellipse(
                    Ellipse::turned(side * 0.13, 0.31, 0.09, 0.022, side * 0.25),
                    &[(0.0, Cortex)],
                );
                canvas.ellipse(
                    Ellipse::turned(side * 0.075, 0.36, 0.06, 0.018, side * -0.9),
                    &[(0.0, Cortex)],
                );
            }
            canvas.ellipse(Ellipse::new(0.0, 0.43, 0.018, 0.06), &[(0.0, Cortex)]);
        }
        if z > 0.19 && z < 0.86 {
            let q = (z - 0.19) / 0.67;
            let (y, w) = (
                0.25 + 0.17 * q,
                0.29 * (1.0 - q * 0.9).sqrt() * (0.45 + q * 4.0).min(1.0),
            );
            canvas.ellipse(
                Ellipse::new(0.0, y, w, 0.085 - 0.045 * q),
                &[(0.0, Cortex), (0.014, Marrow)],
            );
            for side in [-1.0, 1.0] {
                canvas.ellipse(
                    Ellipse::new(side * 0.1 * (1.0 - q), y - 0.01, 0.026, 0.022),
                    &[(0.0, Fat)],
                );
            }
            canvas.ellipse(Ellipse::new(0.0, y + 0.06, 0.03, 0.016), &[(0.0, Fluid)]);
        }
    }

    fn bowel(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        for part in &self.loops {
            let dz = (z - part.z) * 0.55;
            if dz.abs() > part.radius {
                continue;
            }
            let distance = |x: f32, y: f32| {
                let (dx, dy) = ((x - part.x) * 0.85, y - part.y);
                (dx * dx + dy * dy + dz * dz).sqrt() - part.radius
            };
            let bounds = Bounds::around(part.x, part.y, part.radius / 0.85);
            let inside = if part.kind > 0.55 { Fluid } else { Content };
            canvas.paint(bounds, &[(0.0, Wall), (0.014, inside)], distance);
            if part.kind > 0.72 {
                // gas rises to the front of who lies on the back
                canvas.paint(bounds, &[(0.0, Gas)], |x, y| {
                    (distance(x, y) + 0.016).max(y - part.y + 0.012)
                });
            }
        }
    }

    fn vessels(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        if z < 0.26 {
            canvas.ellipse(Ellipse::new(0.06, 0.05, 0.05, 0.036), &[(0.0, Vein)]);
            canvas.ellipse(Ellipse::new(-0.055, 0.045, 0.045, 0.04), &[(0.0, Artery)]);
        } else {
            for side in [-1.0, 1.0] {
                let (out, up) = (0.3 * (z - 0.2), 0.25 * (z - 0.3));
                canvas.ellipse(
                    Ellipse::new(side * (0.12 + out), 0.03 - up, 0.03, 0.028),
                    &[(0.0, Artery)],
                );
                canvas.ellipse(
                    Ellipse::new(side * (0.15 + out), 0.08 - up, 0.035, 0.024),
                    &[(0.0, Vein)],
                );
            }
        }
    }

    fn rectum_and_bladder(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        if z > 0.4 {
            let rectum = Ellipse::new(0.02 * self.side, 0.22 + 0.06 * z, 0.085, 0.075).section(z, 0.85, 0.45);
            canvas.ellipse(
                rectum,
                &[(0.0, Wall), (0.03, if self.full > 0.6 { Content } else { Gas })],
            );
        }
        let (grow, low) = (0.75 + 0.45 * self.full, 0.92 - 0.06 * self.full);
        let bladder = Ellipse::new(
            0.03 * self.side * self.uneven.abs() * 10.0,
            -0.22,
            0.22 * grow,
            0.13 * grow,
        );
        canvas.ellipse(bladder.section(z, low, 0.24 * grow), &[(0.0, Wall), (0.02, Fluid)]);
        if self.finding == Finding::Polyp {
            let polyp = Ellipse::new(self.side * 0.13 * grow, -0.2, 0.06, 0.045).section(z, low, 0.08);
            canvas.ellipse(polyp, &[(0.0, Lesion)]);
        }
    }

    /// Uterus with its cavity, ovaries with their follicles.
    fn uterus(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        let part = |n: i32| hash(self.seed, n, 1, 7) * 2.0 - 1.0;
        let (x, y) = (0.05 * part(5), -0.03 + 0.03 * part(6));
        let (a, b, c) = (0.2 + 0.03 * part(7), 0.15 + 0.02 * part(8), 0.24);
        canvas.ellipse(Ellipse::new(x, y, a, b).section(z, 0.6, c), &[(0.0, Organ)]);
        let cavity = Ellipse::new(x + 0.01, y + 0.005, a * 0.5, b * 0.3).section(z, 0.6, c * 0.7);
        canvas.ellipse(cavity, &[(0.0, Fluid)]);
        if self.finding == Finding::Mass {
            let mass = Ellipse::new(x + 0.04 * self.side, y + 0.01, a * 0.55, b * 0.5).section(z, 0.6, c * 0.66);
            self.lump(canvas, mass);
        }
        for side in [-1.0, 1.0] {
            let s = self.size(side);
            let (x, y) = (side * (0.28 + 0.02 * part(9)), -0.05 + side * 0.02 * part(10));
            canvas.ellipse(
                Ellipse::new(x, y, 0.06 * s, 0.05 * s).section(z, 0.57, 0.09),
                &[(0.0, Organ)],
            );
            canvas.ellipse(
                Ellipse::new(x * 1.02, y, 0.026 * s, 0.022).section(z, 0.57, 0.05),
                &[(0.0, Fluid)],
            );
        }
    }

    /// Prostate and seminal vesicles.
    fn prostate(&self, canvas: &mut Canvas<'_>) {
        let z = canvas.z();
        let large = 1.0 + 0.25 * hash(self.seed, 21, 1, 7);
        for side in [-1.0, 1.0] {
            let vesicle = Ellipse::turned(side * 0.1, 0.02, 0.1 * self.size(side), 0.028, side * -0.3);
            canvas.ellipse(vesicle.section(z, 0.84, 0.06), &[(0.0, Wall), (0.01, Fluid)]);
        }
        let gland = Ellipse::new(0.0, 0.0, 0.115 * large, 0.09 * large).section(z, 1.02, 0.15 * large);
        canvas.ellipse(gland, &[(0.0, Wall), (0.01, Organ)]);
        canvas.ellipse(
            Ellipse::new(0.0, -0.02, 0.012, 0.012).section(z, 1.02, 0.14),
            &[(0.0, Fluid)],
        );
        if self.finding == Finding::Mass {
            self.lump(
                canvas,
                Ellipse::new(self.side * 0.045, 0.02, 0.05, 0.04).section(z, 1.0, 0.09),
            );
        }
    }

    fn lump(&self, canvas: &mut Canvas<'_>, shape: Ellipse) {
        if shape.a <= 0.0 {
            return;
        }
        let z = canvas.z();
        let rough = 0.2 * shape.a.min(shape.b);
        canvas.paint(
            Bounds::around(shape.x, shape.y, shape.a.max(shape.b) + rough),
            &[(0.0, Lesion)],
            |x, y| shape.distance(x, y) + smooth(self.seed, x * 9.0, y * 9.0, z * 8.0) * rough,
        );
    }
}

fn couch(canvas: &mut Canvas<'_>) {
    canvas.paint(Bounds::around(0.0, 0.65, 0.85), &[(0.0, Couch), (0.01, Air)], |x, y| {
        let arc = ((x / 1.9).powi(2) + ((y + 1.05) / 1.74).powi(2)).sqrt() - 1.0;
        if x.abs() < 0.82 && y > 0.3 {
            arc.abs() - 0.012
        } else {
            1.0
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(z: f32) -> View {
        View {
            z,
            centre: (0.0, 0.0),
            half: 1.0,
            columns: 64,
            rows: 64,
        }
    }

    /// Share of the plane that is one tissue.
    fn share(anatomy: &Anatomy, z: f32, of: Tissue) -> f32 {
        let only = move |tissue| if tissue == of { 1.0 } else { 0.0 };
        anatomy.section(view(z), &only).iter().sum::<f32>() / 4096.0
    }

    #[test]
    fn a_body_lies_in_air_and_holds_what_a_pelvis_holds() {
        for (seed, sex) in [(1, Sex::Female), (2, Sex::Male), (3, Sex::Female), (4, Sex::Male)] {
            let anatomy = Anatomy::new(seed, sex, Finding::Nothing);
            for z in [0.1, 0.5, 0.95] {
                assert!((0.3..0.75).contains(&share(&anatomy, z, Air)), "{seed} at {z}");
                assert!(
                    share(&anatomy, z, Cortex) + share(&anatomy, z, Marrow) > 0.01,
                    "{seed} at {z}"
                );
                assert!(share(&anatomy, z, Muscle) > 0.05, "{seed} at {z}");
            }
            assert!(share(&anatomy, 0.95, Fluid) > 0.005, "the bladder of {seed}");
        }
    }

    #[test]
    fn findings_are_there_for_those_who_have_them() {
        for sex in [Sex::Female, Sex::Male] {
            for (finding, z, tissue) in [
                (Finding::Mass, if sex == Sex::Female { 0.6 } else { 1.0 }, Lesion),
                (Finding::Polyp, 0.88, Lesion),
                (Finding::Hip, 0.9, Metal),
            ] {
                assert!(
                    share(&Anatomy::new(5, sex, finding), z, tissue) > 0.001,
                    "{sex:?} {finding:?}"
                );
                assert_eq!(
                    share(&Anatomy::new(5, sex, Finding::Nothing), z, tissue),
                    0.0,
                    "{sex:?} {finding:?}"
                );
            }
        }
    }

    #[test]
    fn individuals_and_heights_differ() {
        let gray = |tissue: Tissue| tissue as u8 as f32;
        let one = Anatomy::new(1, Sex::Female, Finding::Nothing);
        let other = Anatomy::new(2, Sex::Female, Finding::Nothing);
        let differ = |a: &[f32], b: &[f32]| a.iter().zip(b).filter(|(a, b)| (*a - *b).abs() > 0.5).count();
        assert!(differ(&one.section(view(0.5), &gray), &other.section(view(0.5), &gray)) > 300);
        assert!(differ(&one.section(view(0.5), &gray), &one.section(view(0.6), &gray)) > 300);
        assert_eq!(one.section(view(0.5), &gray), one.section(view(0.5), &gray));
    }
}
