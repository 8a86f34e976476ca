//! Made-up people. Their names say that they are none, in several scripts, and their dates follow from the seed.

use chrono::{Days, Months, NaiveDate};

use super::noise::mix;
use super::phantom::{Anatomy, Finding, Sex};

/// One made-up individual.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Patient's Name (0010,0010), with an ideographic component group where the name is Chinese.
    pub(super) name: String,
    /// Tells whether texts about this person are in Chinese.
    pub(super) chinese: bool,
    /// Patient ID (0010,0020).
    pub(super) id: String,
    pub(super) birth_date: NaiveDate,
    pub(super) weight_kg: f32,
    pub(super) height_m: f32,
    /// The day of the first study; the others follow.
    pub(super) first_day: NaiveDate,
    pub(super) anatomy: Anatomy,
    /// The individual's own seed.
    pub(super) seed: u64,
}

const WOMEN: [(&str, bool); 5] = [
    ("Phantom^Ada", false),
    ("Zhang^Moti=张^模体", true),
    ("Beispiel^Änne", false),
    ("Li^Yangli=李^样例", true),
    ("Exemple^Zoé", false),
];

const MEN: [(&str, bool); 5] = [
    ("Wang^Shifan=王^示范", true),
    ("Dummy^Bruno", false),
    ("Chen^Ceshi=陈^测试", true),
    ("Ejemplo^Íñigo", false),
    ("Muster^Jörg", false),
];

impl Person {
    /// Returns individual `number` (from 0) of a demo.
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let seed = mix(seed ^ mix(u64::from(number) + 1));
        // evenly spread over 0..n, another draw for each question
        let draw = |question: u64, n: u64| mix(seed ^ mix(question)) % n;
        let (sex, names) = if number.is_multiple_of(2) {
            (Sex::Female, WOMEN)
        } else {
            (Sex::Male, MEN)
        };
        let round = usize::try_from(number / 2).unwrap_or(0);
        let (name, chinese) = names
            .get(round % names.len())
            .copied()
            .unwrap_or(("Phantom^Nobody", false));
        // a second bearer of a name is told apart by a middle name, before the ideographic group
        let name = match round / names.len() {
            0 => name.to_owned(),
            again => name.split_once('=').map_or_else(
                || format!("{name}^{}", again + 1),
                |(latin, ideographic)| format!("{latin}^{}={ideographic}", again + 1),
            ),
        };
        let finding = match number % 6 {
            0 => Finding::Mass,
            1 => Finding::Polyp,
            2 => Finding::Cyst,
            3 => Finding::Hip,
            4 => Finding::Nothing,
            _ => Finding::Mass,
        };
        let anatomy = Anatomy::new((seed >> 32) as u32, sex, finding);
        let first_day = NaiveDate::default() + Months::new(12 * 50) + Days::new(draw(1, 1400));
        let age = Months::new(12 * 28 + u32::try_from(draw(2, 12 * 50)).unwrap_or(0));
        let height_m = anatomy.unit_mm / 210.0 * if sex == Sex::Female { 1.66 } else { 1.74 };
        Self {
            name,
            chinese,
            id: format!("DEMO-{:04}", u64::from(number) + 1),
            birth_date: first_day - age - Days::new(draw(3, 28)),
            weight_kg: height_m * height_m * (20.0 + draw(4, 90) as f32 / 10.0),
            height_m,
            first_day,
            anatomy,
            seed,
        }
    }

    /// Returns the age on a day as DICOM writes it (PS3.5, VR AS).
    pub(super) fn age_on(&self, day: NaiveDate) -> String {
        format!("{:03}Y", day.years_since(self.birth_date).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_is_there_twice() {
        let people: Vec<Person> = (0..40).map(|number| Person::new(1, number)).collect();
        assert_eq!(
            people.iter().map(|person| &person.name).collect::<BTreeSet<_>>().len(),
            40
        );
        assert_eq!(
            people.iter().map(|person| &person.id).collect::<BTreeSet<_>>().len(),
            40
        );
        assert_eq!(people[0].id, "DEMO-0001");
        assert!(people.iter().any(|person| person.name == "Zhang^Moti^2=张^模体"));
    }

    #[test]
    fn ages_are_those_of_adults() {
        for number in 0..40 {
            let person = Person::new(3, number);
            let age = person.first_day.years_since(person.birth_date).unwrap();
            assert!((28..=79).contains(&age), "{age}");
            assert_eq!(person.age_on(person.first_day), format!("0{age}Y"));
        }
    }
}
