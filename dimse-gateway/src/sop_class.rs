//! Which service an abstract syntax asks for.
//!
//! Nearly all storage classes, retired and yet to come, lie under one root, so no list of them has to be kept up to date;
//! the exceptions, on either side of that root, are few and named here. A class that is not of the standard at all is
//! private, and taken for storage: a refused context loses the object.

use dicom_dictionary_std::uids;

/// The root of nearly all storage classes, PS3.4 B.5.
const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";
/// The root of everything that the standard itself defines.
const DICOM_ROOT: &str = "1.2.840.10008.";

/// Under the storage root, but for queries and other services, PS3.6 Annex A.
const NOT_STORAGE: &[&str] = &[
    "1.2.840.10008.5.1.4.1.1.200.4", // Protocol Approval Information Model - FIND
    "1.2.840.10008.5.1.4.1.1.200.5", // Protocol Approval Information Model - MOVE
    "1.2.840.10008.5.1.4.1.1.200.6", // Protocol Approval Information Model - GET
    "1.2.840.10008.5.1.4.1.1.201.2", // Inventory - FIND
    "1.2.840.10008.5.1.4.1.1.201.3", // Inventory - MOVE
    "1.2.840.10008.5.1.4.1.1.201.4", // Inventory - GET
    "1.2.840.10008.5.1.4.1.1.201.5", // Inventory Creation
    "1.2.840.10008.5.1.4.1.1.201.6", // Repository Query
];

/// For storage, but elsewhere, PS3.6 Annex A.
const STORAGE_ELSEWHERE: &[&str] = &[
    "1.2.840.10008.5.1.1.27",    // Stored Print, retired
    "1.2.840.10008.5.1.1.29",    // Hardcopy Grayscale Image, retired
    "1.2.840.10008.5.1.1.30",    // Hardcopy Color Image, retired
    "1.2.840.10008.5.1.4.34.1",  // RT Beams Delivery Instruction, trial, retired
    "1.2.840.10008.5.1.4.34.7",  // RT Beams Delivery Instruction
    "1.2.840.10008.5.1.4.34.10", // RT Brachy Application Setup Delivery Instruction
    "1.2.840.10008.5.1.4.38.1",  // Hanging Protocol
    "1.2.840.10008.5.1.4.39.1",  // Color Palette
    "1.2.840.10008.5.1.4.43.1",  // Generic Implant Template
    "1.2.840.10008.5.1.4.44.1",  // Implant Assembly Template
    "1.2.840.10008.5.1.4.45.1",  // Implant Template Group
];

/// What can be done on a presentation context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// C-ECHO.
    Verification,
    /// C-STORE.
    Storage,
}

/// Returns the service that an abstract syntax asks for; `None` where we do not offer it.
pub(crate) fn service_of(abstract_syntax: &str, accept_unknown: bool) -> Option<Service> {
    if abstract_syntax == uids::VERIFICATION {
        return Some(Service::Verification);
    }
    let storage = if abstract_syntax.starts_with(STORAGE_ROOT) {
        !NOT_STORAGE.contains(&abstract_syntax)
    } else if abstract_syntax.starts_with(DICOM_ROOT) {
        STORAGE_ELSEWHERE.contains(&abstract_syntax)
    } else {
        accept_unknown
    };
    storage.then_some(Service::Storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_classes_old_and_new_are_storage() {
        for uid in [
            "1.2.840.10008.5.1.4.1.1.2",      // CT
            "1.2.840.10008.5.1.4.1.1.6",      // Ultrasound, retired
            "1.2.840.10008.5.1.4.1.1.88.11",  // Basic Text SR
            "1.2.840.10008.5.1.4.1.1.77.1.6", // VL Whole Slide
            "1.2.840.10008.5.1.4.38.1",       // Hanging Protocol
            "1.2.840.10008.5.1.4.34.7",       // RT Beams Delivery Instruction
            "1.2.840.10008.5.1.4.1.1.9999",   // not invented yet
        ] {
            assert_eq!(service_of(uid, false), Some(Service::Storage), "{uid}");
        }
    }

    #[test]
    fn private_classes_are_storage_where_the_setting_says_so() {
        let private = "1.3.46.670589.5.0.1";
        assert_eq!(service_of(private, true), Some(Service::Storage));
        assert_eq!(service_of(private, false), None);
    }

    #[test]
    fn other_services_are_not_offered() {
        for uid in [
            "1.2.840.10008.5.1.4.1.2.2.1",   // Study Root FIND
            "1.2.840.10008.5.1.4.1.2.2.2",   // Study Root MOVE
            "1.2.840.10008.5.1.4.1.2.2.3",   // Study Root GET
            "1.2.840.10008.5.1.4.1.1.201.2", // Inventory FIND, under the storage root
            "1.2.840.10008.1.20.1",          // Storage Commitment Push
            "1.2.840.10008.1.3.10",          // Media Storage Directory
            "1.2.840.10008.5.1.4.31",        // Modality Worklist
            "1.2.840.10008.3.1.2.3.3",       // MPPS
            "1.2.840.10008.9999",
        ] {
            assert_eq!(service_of(uid, true), None, "{uid}");
        }
    }
}
