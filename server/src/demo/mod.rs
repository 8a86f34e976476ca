//! A demo to fill an empty archive with: small CT, MR and ultrasound studies of people who never were.
//!
//! Everything is computed: a pelvis of ellipsoids stands in for the body, and each modality looks at it in its own way.
//! The same seed gives the same bytes. The files are valid instances of their IODs with names, dates and institutions in
//! them, so that they take the ordinary way in, through de-identification and every check. Nothing is written into the
//! pixels, and each file says that it shows a phantom.
//!
//! There is no I/O here: [`studies`] makes one file after the other, and who takes them decides where they go.

mod canvas;
mod ct;
mod data_set;
mod mr;
mod noise;
mod person;
mod phantom;
mod us;

use std::sync::Arc;

use mr::Weighting;
use person::Person;

/// How much of a demo to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSpec {
    /// Individuals, at most 9,999. Each has a CT, an MR and an ultrasound study.
    pub individuals: u32,
    /// Rows and columns of a slice, 16 to 1,024.
    pub size: u16,
    /// Slices of a series, 1 to 512.
    pub slices: u16,
}

impl Default for DemoSpec {
    fn default() -> Self {
        Self {
            individuals: 6,
            size: 256,
            slices: 24,
        }
    }
}

impl DemoSpec {
    /// Returns the nearest demo that can be made.
    fn within_limits(&self) -> Self {
        Self {
            individuals: self.individuals.min(9_999),
            size: self.size.clamp(16, 1024),
            slices: self.slices.clamp(1, 512),
        }
    }

    /// Returns the number of files that [`studies`] makes.
    #[must_use]
    pub fn instances(&self) -> u64 {
        let spec = self.within_limits();
        u64::from(spec.individuals) * parts(spec.slices).count() as u64
    }

    /// Returns how far slices lie from each other, in the phantom's measure of height.
    fn spacing(&self) -> f32 {
        1.0 / f32::from(self.slices)
    }

    /// Returns the height of a slice: 0 the fourth lumbar vertebra, 1 the hip joints.
    fn height_of(&self, slice: u16) -> f32 {
        (f32::from(slice) + 0.5) * self.spacing()
    }
}

/// One file of the demo.
#[derive(Debug, Clone)]
pub struct DemoInstance {
    /// The file, as PS3.10 has it.
    pub part10: Vec<u8>,
    /// What it is, for a person who watches.
    pub description: String,
}

/// What there is to make of one individual, in this order.
#[derive(Debug, Clone, Copy)]
enum Part {
    Ct(u16),
    Mr(Weighting, u16),
    Still(u16),
    Doppler,
    Cine,
}

fn parts(slices: u16) -> impl Iterator<Item = Part> {
    let ct = (0..slices).map(Part::Ct);
    let mr = [Weighting::T1, Weighting::T2]
        .into_iter()
        .flat_map(move |w| (0..slices).map(move |n| Part::Mr(w, n)));
    let stills = (0u16..).zip(us::STILLS).map(|(n, _)| Part::Still(n));
    ct.chain(mr).chain(stills).chain([Part::Doppler, Part::Cine])
}

/// Returns the files of a demo, study by study, each made when it is asked for.
///
/// A specification beyond its limits is taken as the nearest within.
pub fn studies(seed: u64, spec: &DemoSpec) -> impl Iterator<Item = DemoInstance> + Send + use<> {
    let spec = spec.within_limits();
    let people = (0..spec.individuals).map(move |number| Arc::new(Person::new(seed, number)));
    people.flat_map(move |person| {
        let spec = spec.clone();
        parts(spec.slices).map(move |part| make(&person, &spec, part))
    })
}

fn make(person: &Person, spec: &DemoSpec, part: Part) -> DemoInstance {
    let (part10, what) = match part {
        Part::Ct(n) => (
            ct::slice(person, spec, n),
            format!("CT slice {} of {}", n + 1, spec.slices),
        ),
        Part::Mr(weighting, n) => (
            mr::slice(person, spec, weighting, n),
            format!("MR {weighting:?} slice {} of {}", n + 1, spec.slices),
        ),
        Part::Still(n) => (us::still(person, spec, n), format!("US still {}", n + 1)),
        Part::Doppler => (us::doppler(person, spec), String::from("US colour Doppler")),
        Part::Cine => (us::cine(person, spec), String::from("US cine")),
    };
    DemoInstance {
        part10,
        description: format!("{}: {what}", person.id),
    }
}

#[cfg(test)]
mod tests;
