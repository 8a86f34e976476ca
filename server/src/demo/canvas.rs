//! One plane through the phantom, painted from the back to the front with soft-edged shapes.
//!
//! Lengths are in units of half the field that a large pelvis fills, about 21 cm; x grows to the image's right, y to the
//! back. A shape is a function that is negative inside and tells the distance to its border outside and near it.

use super::noise::smooth;

/// What a point of the body is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tissue {
    Air,
    Skin,
    Fat,
    Muscle,
    Cortex,
    Marrow,
    Fluid,
    Wall,
    Gas,
    Content,
    Organ,
    Lesion,
    Artery,
    Vein,
    Metal,
    Couch,
}

/// Where a plane lies and how finely it is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Height of the plane: 0 the fourth lumbar vertebra, 1 the hip joints.
    pub(super) z: f32,
    /// The middle of the picture.
    pub(super) centre: (f32, f32),
    /// Half of the width of the picture.
    pub(super) half: f32,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The part of a plane that a shape can touch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    x: (f32, f32),
    y: (f32, f32),
    /// How many times wider than elsewhere a soft border can be: long ellipses have blurred tips.
    stretch: f32,
}

impl Bounds {
    pub(super) const ALL: Self = Self {
        x: (f32::MIN, f32::MAX),
        y: (f32::MIN, f32::MAX),
        stretch: 1.0,
    };

    /// Returns the square around a point.
    pub(super) fn around(x: f32, y: f32, reach: f32) -> Self {
        Self {
            x: (x - reach, x + reach),
            y: (y - reach, y + reach),
            stretch: 1.0,
        }
    }
}

/// A picture in the making: one value for each pixel, and where that pixel lies in the body.
pub(super) struct Canvas<'a> {
    view: View,
    /// How wide the border of a shape is.
    soft: f32,
    /// How far the body's own places may lie from those of the picture.
    slack: f32,
    value_of: &'a dyn Fn(Tissue) -> f32,
    points: Vec<Point>,
}

#[derive(Clone, Copy)]
struct Point {
    x: f32,
    y: f32,
    value: f32,
}

impl<'a> Canvas<'a> {
    /// Returns a picture of nothing but air.
    pub(super) fn new(view: View, value_of: &'a dyn Fn(Tissue) -> f32) -> Self {
        let pixel = 2.0 * view.half / view.columns as f32;
        let value = value_of(Tissue::Air);
        let mut points = Vec::with_capacity(view.columns * view.rows);
        for j in 0..view.rows {
            let y = view.centre.1 + (j as f32 + 0.5 - view.rows as f32 / 2.0) * pixel;
            for i in 0..view.columns {
                let x = view.centre.0 + (i as f32 + 0.5 - view.columns as f32 / 2.0) * pixel;
                points.push(Point { x, y, value });
            }
        }
        Self {
            view,
            soft: 0.006 + 0.6 * pixel,
            slack: 0.0,
            value_of,
            points,
        }
    }

    /// Returns the plane that is painted.
    pub(super) fn z(&self) -> f32 {
        self.view.z
    }

    /// Lays the body into the picture: turned by an angle, and nowhere quite regular. Shapes painted before stay as they
    /// are.
    pub(super) fn deform(&mut self, seed: u32, turn: f32) {
        const WOBBLE: f32 = 0.02;
        /// The wobble is as coarse as a vertebra, so that it is computed at some points only.
        const STEP: usize = 8;
        let (columns, z) = (self.view.columns, self.view.z * 5.0);
        let across = columns.div_ceil(STEP) + 1;
        let coarse: Vec<(f32, f32)> = {
            let pixel = 2.0 * self.view.half / columns as f32 * STEP as f32;
            let left = self.view.centre.0 - self.view.half;
            let top = self.view.centre.1 - pixel / STEP as f32 * self.view.rows as f32 / 2.0;
            (0..(self.view.rows.div_ceil(STEP) + 1) * across)
                .map(|n| {
                    let (x, y) = (left + (n % across) as f32 * pixel, top + (n / across) as f32 * pixel);
                    let at = |shift: f32| smooth(seed, x * 4.0 + shift, y * 4.0 + shift, z);
                    (WOBBLE * at(9.0), WOBBLE * at(31.0))
                })
                .collect()
        };
        let (sin, cos) = turn.sin_cos();
        for (n, point) in self.points.iter_mut().enumerate() {
            let (i, j) = (n % columns, n / columns);
            let (u, v) = ((i % STEP) as f32 / STEP as f32, (j % STEP) as f32 / STEP as f32);
            let corner = |a: usize, b: usize| {
                coarse
                    .get((j / STEP + b) * across + i / STEP + a)
                    .copied()
                    .unwrap_or_default()
            };
            let (a, b, c, d) = (corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1));
            let between = |a: f32, b: f32, c: f32, d: f32| (a + (b - a) * u) * (1.0 - v) + (c + (d - c) * u) * v;
            let x = point.x * cos - point.y * sin + between(a.0, b.0, c.0, d.0);
            let y = point.x * sin + point.y * cos + between(a.1, b.1, c.1, d.1);
            (point.x, point.y) = (x, y);
        }
        // a turn moves the corner of the picture farthest
        self.slack = WOBBLE + turn.abs() * 2.0 * self.view.half;
    }

    /// Paints a shape in one tissue, or in several that lie inside each other like skins: each layer's depth below the
    /// border, and what is there.
    pub(super) fn paint(&mut self, bounds: Bounds, layers: &[(f32, Tissue)], distance: impl Fn(f32, f32) -> f32) {
        let (soft, value_of) = (self.soft, self.value_of);
        let values: Vec<(f32, f32)> = layers
            .iter()
            .map(|&(depth, tissue)| (depth, value_of(tissue)))
            .collect();
        let pixel = 2.0 * self.view.half / self.view.columns as f32;
        let reach = soft * bounds.stretch + self.slack;
        let columns = range(bounds.x, self.view.centre.0, pixel, self.view.columns, reach);
        let rows = range(bounds.y, self.view.centre.1, pixel, self.view.rows, reach);
        for row in self
            .points
            .chunks_exact_mut(self.view.columns)
            .take(rows.end)
            .skip(rows.start)
        {
            for point in row.iter_mut().take(columns.end).skip(columns.start) {
                let d = distance(point.x, point.y);
                for (depth, value) in &values {
                    let d = d + depth;
                    if d < -soft {
                        point.value = *value;
                    } else if d < soft {
                        point.value += (value - point.value) * (0.5 - d / (2.0 * soft));
                    }
                }
            }
        }
    }

    /// Paints an ellipse.
    pub(super) fn ellipse(&mut self, shape: Ellipse, layers: &[(f32, Tissue)]) {
        if shape.a > 0.0 && shape.b > 0.0 {
            self.paint(shape.bounds(), layers, |x, y| shape.distance(x, y));
        }
    }

    /// Returns the values, row by row.
    pub(super) fn into_values(self) -> Vec<f32> {
        self.points.into_iter().map(|point| point.value).collect()
    }
}

/// Returns the pixels along one side that lie between two places.
fn range(between: (f32, f32), centre: f32, pixel: f32, pixels: usize, reach: f32) -> std::ops::Range<usize> {
    let place = |at: f32| ((at - centre) / pixel + pixels as f32 / 2.0).clamp(0.0, pixels as f32);
    place(between.0 - reach).floor() as usize..place(between.1 + reach).ceil() as usize
}

/// An ellipse with its half axes, the first turned from x by an angle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ellipse {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) a: f32,
    pub(super) b: f32,
    sin: f32,
    cos: f32,
}

impl Ellipse {
    pub(super) fn new(x: f32, y: f32, a: f32, b: f32) -> Self {
        Self {
            x,
            y,
            a,
            b,
            sin: 0.0,
            cos: 1.0,
        }
    }

    pub(super) fn turned(x: f32, y: f32, a: f32, b: f32, turn: f32) -> Self {
        let (sin, cos) = turn.sin_cos();
        Self { x, y, a, b, sin, cos }
    }

    /// Returns the section at height `z` of an ellipsoid that is centred at height `at` and reaches `c` up and down.
    pub(super) fn section(self, z: f32, at: f32, c: f32) -> Self {
        let rest = 1.0 - ((z - at) / c).powi(2);
        let scale = rest.max(0.0).sqrt();
        Self {
            a: self.a * scale,
            b: self.b * scale,
            ..self
        }
    }

    /// Returns the same ellipse with other half axes.
    pub(super) fn sized(self, a: f32, b: f32) -> Self {
        Self { a, b, ..self }
    }

    pub(super) fn bounds(&self) -> Bounds {
        let (short, long) = (self.a.min(self.b), self.a.max(self.b));
        Bounds {
            stretch: long / short,
            ..Bounds::around(self.x, self.y, long)
        }
    }

    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.x, y - self.y);
        let (u, v) = (
            (dx * self.cos + dy * self.sin) / self.a,
            (dy * self.cos - dx * self.sin) / self.b,
        );
        ((u * u + v * v).sqrt() - 1.0) * self.a.min(self.b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View {
        z: 0.0,
        centre: (0.0, 0.0),
        half: 1.0,
        columns: 40,
        rows: 20,
    };

    fn gray(tissue: Tissue) -> f32 {
        if tissue == Tissue::Air { 0.0 } else { 1.0 }
    }

    #[test]
    fn an_ellipse_covers_its_area() {
        let view = View {
            columns: 400,
            rows: 400,
            ..VIEW
        };
        let mut canvas = Canvas::new(view, &gray);
        canvas.ellipse(Ellipse::turned(0.1, -0.2, 0.5, 0.25, 0.7), &[(0.0, Tissue::Fat)]);
        let area = canvas.into_values().iter().sum::<f32>() * 4.0 / 160_000.0;
        let expected = std::f32::consts::PI * 0.5 * 0.25;
        assert!((area - expected).abs() < 0.01, "{area} for {expected}");
    }

    #[test]
    fn bounds_cut_nothing_off() {
        let shape = Ellipse::turned(0.3, 0.1, 0.4, 0.1, -0.5);
        let paint = |bounds| {
            let mut canvas = Canvas::new(VIEW, &gray);
            canvas.deform(3, 0.1);
            canvas.paint(bounds, &[(0.0, Tissue::Fat)], |x, y| shape.distance(x, y));
            canvas.into_values()
        };
        assert_eq!(paint(shape.bounds()), paint(Bounds::ALL));
    }

    #[test]
    fn rows_may_be_fewer_than_columns() {
        let mut canvas = Canvas::new(VIEW, &gray);
        canvas.ellipse(Ellipse::new(0.0, 0.0, 0.45, 0.45), &[(0.0, Tissue::Fat)]);
        let values = canvas.into_values();
        let of_row = |row: usize| values[row * 40..(row + 1) * 40].iter().sum::<f32>();
        let of_column = |column: usize| values.iter().skip(column).step_by(40).sum::<f32>();
        assert!(of_row(0) < 1.0 && of_row(10) > 17.0);
        assert!((of_row(10) - of_column(20)).abs() < 0.01);
    }
}
