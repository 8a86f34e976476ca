//! The options of the Basic Application Level Confidentiality Profile, PS3.15 E.3, as CID 7050 codes them.

/// An option that Table E.1-1 has a column for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfidentialityOption {
    /// Private attributes that are known to be safe stay, E.3.10.
    RetainSafePrivate,
    /// UIDs stay, E.3.9.
    RetainUids,
    /// Devices stay identified, E.3.8.
    RetainDeviceIdentity,
    /// Institutions stay identified, E.3.11.
    RetainInstitutionIdentity,
    /// Sex, age, size, weight and the like stay, E.3.7.
    RetainPatientCharacteristics,
    /// Dates and times stay as they are, E.3.6.
    RetainLongitudinalFullDates,
    /// Dates are shifted, E.3.6.
    RetainLongitudinalModifiedDates,
    /// Descriptions stay without what identifies, E.3.5.
    CleanDescriptors,
    /// Content of structured reports stays without what identifies, E.3.4.
    CleanStructuredContent,
    /// Graphics, overlays and annotations stay without what identifies, E.3.3.
    CleanGraphics,
}

use ConfidentialityOption as O;

impl ConfidentialityOption {
    /// All options, in the order of the table's columns.
    pub const ALL: [Self; 10] = [
        O::RetainSafePrivate,
        O::RetainUids,
        O::RetainDeviceIdentity,
        O::RetainInstitutionIdentity,
        O::RetainPatientCharacteristics,
        O::RetainLongitudinalFullDates,
        O::RetainLongitudinalModifiedDates,
        O::CleanDescriptors,
        O::CleanStructuredContent,
        O::CleanGraphics,
    ];

    /// Returns the code and meaning of CID 7050 (PS3.16), scheme DCM.
    pub fn code(self) -> (&'static str, &'static str) {
        match self {
            O::CleanGraphics => ("113103", "Clean Graphics Option"),
            O::CleanStructuredContent => ("113104", "Clean Structured Content Option"),
            O::CleanDescriptors => ("113105", "Clean Descriptors Option"),
            O::RetainLongitudinalFullDates => ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
            O::RetainLongitudinalModifiedDates => (
                "113107",
                "Retain Longitudinal Temporal Information Modified Dates Option",
            ),
            O::RetainPatientCharacteristics => ("113108", "Retain Patient Characteristics Option"),
            O::RetainDeviceIdentity => ("113109", "Retain Device Identity Option"),
            O::RetainUids => ("113110", "Retain UIDs Option"),
            O::RetainSafePrivate => ("113111", "Retain Safe Private Option"),
            O::RetainInstitutionIdentity => ("113112", "Retain Institution Identity Option"),
        }
    }

    /// Returns the option's name in profiles that people write.
    pub fn name(self) -> &'static str {
        match self {
            O::RetainSafePrivate => "retain-safe-private",
            O::RetainUids => "retain-uids",
            O::RetainDeviceIdentity => "retain-device-identity",
            O::RetainInstitutionIdentity => "retain-institution-identity",
            O::RetainPatientCharacteristics => "retain-patient-characteristics",
            O::RetainLongitudinalFullDates => "retain-longitudinal-full-dates",
            O::RetainLongitudinalModifiedDates => "retain-longitudinal-modified-dates",
            O::CleanDescriptors => "clean-descriptors",
            O::CleanStructuredContent => "clean-structured-content",
            O::CleanGraphics => "clean-graphics",
        }
    }

    /// Returns the option of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|option| option.name() == name)
    }

    const fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

/// The code of the profile itself, always the first item of (0012,0064).
pub(crate) const BASIC_PROFILE_CODE: (&str, &str) = ("113100", "Basic Application Confidentiality Profile");

/// A set of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Options(u16);

impl Options {
    /// Returns the set of the given options.
    pub fn of(options: &[ConfidentialityOption]) -> Self {
        Self(options.iter().fold(0, |bits, option| bits | option.bit()))
    }

    /// Returns whether the option is in the set.
    pub fn has(self, option: ConfidentialityOption) -> bool {
        self.0 & option.bit() != 0
    }

    /// Returns the options of the set by rising code.
    pub fn iter(self) -> impl Iterator<Item = ConfidentialityOption> {
        let mut all = ConfidentialityOption::ALL;
        all.sort_by_key(|option| option.code().0);
        all.into_iter().filter(move |option| self.has(*option))
    }

    /// Returns the set as a number, for hashing.
    pub(crate) fn bits(self) -> u16 {
        self.0
    }
}
