//! PS3.15 2026d, Table E.1-1: what becomes of each listed attribute, in the Basic profile and in each option.
//!
//! The table is data (`data/ps315_e1_1_2026d.csv`, © NEMA), compiled in and parsed once. Every row and every option column
//! is here; which columns count is the business of a [`Profile`](crate::Profile).

use std::sync::LazyLock;

use dicom_core::{Tag, VR};

use crate::options::ConfidentialityOption;

/// The file as compiled in; its bytes are part of every profile's hash.
pub(crate) const SOURCE: &str = include_str!("../data/ps315_e1_1_2026d.csv");

/// Name of the edition, for reports and (0012,0063).
pub const EDITION: &str = "PS3.15 2026d Table E.1-1";

/// Action codes of the Basic profile column, PS3.15 Table E.1-1a.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BasicAction {
    /// Remove.
    X,
    /// Zero length, or a dummy.
    Z,
    /// Dummy of non-zero length.
    D,
    /// Replace by a UID that is consistent within the set.
    U,
    /// Z unless D is needed to conform to Type 1.
    ZOrD,
    /// X unless Z is needed to conform to Type 2.
    XOrZ,
    /// X unless D is needed to conform to Type 1.
    XOrD,
    /// X unless Z or D is needed to conform to Type 2 or 1.
    XOrZOrD,
    /// X unless Z or the replacement of contained UIDs is needed (sequences only).
    XOrZOrU,
}

/// What an option says of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptionAction {
    /// K: keep (items of a sequence are processed).
    Keep,
    /// C: replace by a value of like meaning that does not identify.
    Clean,
}

/// What a row speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// One attribute.
    Single(Tag),
    /// (50xx,xxxx).
    Curves,
    /// (60xx,3000).
    OverlayData,
    /// (60xx,4000).
    OverlayComments,
    /// Odd groups.
    Private,
}

/// One row of Table E.1-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The attribute.
    pub attribute: Attribute,
    /// Its VR in PS3.6.
    pub vr: VR,
    /// Its keyword in PS3.6.
    pub keyword: &'static str,
    /// Action in the Basic profile.
    pub basic: BasicAction,
    options: [Option<OptionAction>; 10],
}

impl Row {
    /// Returns what an option says of the attribute; `None` where its cell is empty.
    pub fn option(&self, option: ConfidentialityOption) -> Option<OptionAction> {
        self.options.get(option as usize).copied().flatten()
    }
}

struct Table {
    rows: Vec<Row>,
    /// (group << 16 | element, index of the row), sorted.
    by_tag: Vec<(u32, usize)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // A line that does not parse would be a leak; the test below counts the rows, and the file cannot change after it.
    let rows: Vec<Row> = SOURCE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse)
        .collect();
    let mut by_tag: Vec<(u32, usize)> = rows
        .iter()
        .enumerate()
        .filter_map(|(index, row)| match row.attribute {
            Attribute::Single(tag) => Some((number(tag), index)),
            _ => None,
        })
        .collect();
    by_tag.sort_unstable();
    Table { rows, by_tag }
});

/// Returns the tag as one number.
pub(crate) fn number(tag: Tag) -> u32 {
    (u32::from(tag.0) << 16) | u32::from(tag.1)
}

fn parse(line: &'static str) -> Option<Row> {
    let mut cells = line.split(',');
    let attribute = match cells.next()? {
        "50xxxxxx" => Attribute::Curves,
        "60xx3000" => Attribute::OverlayData,
        "60xx4000" => Attribute::OverlayComments,
        "private" => Attribute::Private,
        tag => {
            let (group, element) = tag.split_at_checked(4)?;
            Attribute::Single(Tag(
                u16::from_str_radix(group, 16).ok()?,
                u16::from_str_radix(element, 16).ok()?,
            ))
        }
    };
    let vr = cells.next()?.parse().ok()?;
    let keyword = cells.next()?;
    let basic = match cells.next()? {
        "X" => BasicAction::X,
        "Z" => BasicAction::Z,
        "D" => BasicAction::D,
        "U" => BasicAction::U,
        "Z/D" => BasicAction::ZOrD,
        "X/Z" => BasicAction::XOrZ,
        "X/D" => BasicAction::XOrD,
        "X/Z/D" => BasicAction::XOrZOrD,
        "X/Z/U*" => BasicAction::XOrZOrU,
        _ => return None,
    };
    let mut options = [None; 10];
    for option in &mut options {
        *option = match cells.next()? {
            "" => None,
            "K" => Some(OptionAction::Keep),
            "C" => Some(OptionAction::Clean),
            _ => return None,
        };
    }
    if cells.next().is_some() {
        return None;
    }
    Some(Row {
        attribute,
        vr,
        keyword,
        basic,
        options,
    })
}

/// Returns all rows, in the order of the table.
pub fn rows() -> &'static [Row] {
    &TABLE.rows
}

/// Returns the row of one attribute; the four rows that stand for many are not looked up.
pub fn row(tag: Tag) -> Option<&'static Row> {
    let index = TABLE
        .by_tag
        .binary_search_by_key(&number(tag), |(number, _)| *number)
        .ok()?;
    TABLE.by_tag.get(index).and_then(|(_, row)| TABLE.rows.get(*row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConfidentialityOption as O;

    fn count(option: O, action: OptionAction) -> usize {
        rows().iter().filter(|row| row.option(option) == Some(action)).count()
    }

    #[test]
    fn every_line_of_the_file_is_a_row() {
        let lines = SOURCE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, 657);
        assert_eq!(rows().len(), 657);
        assert_eq!(TABLE.by_tag.len(), 653);
        assert!(TABLE.by_tag.windows(2).all(|pair| pair[0].0 != pair[1].0));
    }

    #[test]
    fn the_counts_of_actions_are_those_of_the_edition() {
        let basic = |action| rows().iter().filter(|row| row.basic == action).count();
        assert_eq!(basic(BasicAction::X), 417);
        assert_eq!(basic(BasicAction::D), 93);
        assert_eq!(basic(BasicAction::U), 55);
        assert_eq!(basic(BasicAction::Z), 42);
        assert_eq!(basic(BasicAction::XOrD), 23);
        assert_eq!(basic(BasicAction::XOrZ), 11);
        assert_eq!(basic(BasicAction::XOrZOrD), 8);
        assert_eq!(basic(BasicAction::ZOrD), 6);
        assert_eq!(basic(BasicAction::XOrZOrU), 2);
        assert_eq!(count(O::RetainUids, OptionAction::Keep), 60);
        assert_eq!(count(O::RetainDeviceIdentity, OptionAction::Keep), 48);
        assert_eq!(count(O::RetainDeviceIdentity, OptionAction::Clean), 11);
        assert_eq!(count(O::RetainInstitutionIdentity, OptionAction::Keep), 10);
        assert_eq!(count(O::RetainPatientCharacteristics, OptionAction::Keep), 14);
        assert_eq!(count(O::RetainPatientCharacteristics, OptionAction::Clean), 5);
        assert_eq!(count(O::RetainLongitudinalFullDates, OptionAction::Keep), 169);
        assert_eq!(count(O::RetainLongitudinalModifiedDates, OptionAction::Clean), 169);
        assert_eq!(count(O::CleanDescriptors, OptionAction::Clean), 141);
        assert_eq!(count(O::CleanStructuredContent, OptionAction::Clean), 4);
        assert_eq!(count(O::CleanGraphics, OptionAction::Clean), 4);
        assert_eq!(count(O::RetainSafePrivate, OptionAction::Clean), 1);
    }

    #[test]
    fn a_row_is_found_by_its_tag() {
        let row = row(Tag(0x0010, 0x0030)).unwrap();
        assert_eq!(
            (row.keyword, row.vr, row.basic),
            ("PatientBirthDate", VR::DA, BasicAction::Z)
        );
        assert!(super::row(Tag(0x0028, 0x0010)).is_none());
    }
}
