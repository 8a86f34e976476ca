//! Which of the offered transfer syntaxes we take.
//!
//! Storing needs no decoder, so every transfer syntax is taken, unknown ones too. Where a context offers several, the
//! sender will convert to the one that we choose, so the choice prefers what loses nothing and what most software reads
//! well: Explicit VR Little Endian, lossless compression, lossy compression (the sender would hardly offer it if its
//! object were not lossy already), Implicit VR Little Endian, deflated, big endian, and last what we do not know.

use dicom_dictionary_std::uids;
use isocenter_model::TransferSyntaxUid;

/// Lossless compression: the pixels can be had again bit for bit.
const LOSSLESS: &[&str] = &[
    "1.2.840.10008.1.2.1.98",  // Encapsulated Uncompressed Explicit VR Little Endian
    "1.2.840.10008.1.2.4.57",  // JPEG Lossless
    "1.2.840.10008.1.2.4.70",  // JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  // JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  // JPEG 2000 Lossless Only
    "1.2.840.10008.1.2.4.92",  // JPEG 2000 Part 2 Lossless Only
    "1.2.840.10008.1.2.4.110", // JPEG XL Lossless
    "1.2.840.10008.1.2.4.201", // HTJ2K Lossless Only
    "1.2.840.10008.1.2.4.202", // HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.5",     // RLE Lossless
    "1.2.840.10008.1.2.8.1",   // Deflated Image Frame
];

/// The branch of JPEG, JPEG-LS, JPEG 2000, JPEG XL, MPEG and HEVC.
const COMPRESSED_ROOT: &str = "1.2.840.10008.1.2.4.";

/// Under that root, but references to pixels kept elsewhere.
const REFERENCED: &[&str] = &[
    "1.2.840.10008.1.2.4.94",  // JPIP Referenced
    "1.2.840.10008.1.2.4.95",  // JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.204", // JPIP HTJ2K Referenced
    "1.2.840.10008.1.2.4.205", // JPIP HTJ2K Referenced Deflate
];

/// Returns the place of a transfer syntax in our preference; the lowest wins.
fn rank(transfer_syntax: &str) -> u8 {
    match transfer_syntax {
        uids::EXPLICIT_VR_LITTLE_ENDIAN => 0,
        lossless if LOSSLESS.contains(&lossless) => 1,
        uids::IMPLICIT_VR_LITTLE_ENDIAN => 3,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => 4,
        "1.2.840.10008.1.2.2" => 5,
        referenced if REFERENCED.contains(&referenced) => 7,
        lossy if lossy.starts_with(COMPRESSED_ROOT) => 2,
        _ => 6,
    }
}

/// Chooses for storage: the best of those offered, the peer's order among equals. `None` when none is a UID.
pub(crate) fn choose_for_storage(offered: &[String]) -> Option<TransferSyntaxUid> {
    offered
        .iter()
        .filter_map(|text| TransferSyntaxUid::parse(text).ok())
        .min_by_key(|uid| rank(uid.as_str()))
}

/// Chooses for a service without pixel data: one of the uncompressed syntaxes.
pub(crate) fn choose_plain(offered: &[String]) -> Option<TransferSyntaxUid> {
    choose_for_storage(offered)
        .filter(TransferSyntaxUid::is_native)
        .or_else(|| {
            let native = |uid: &TransferSyntaxUid| uid.is_native();
            let mut parsed = offered.iter().filter_map(|text| TransferSyntaxUid::parse(text).ok());
            parsed.find(native)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offered: &[&str]) -> Option<String> {
        let offered: Vec<String> = offered.iter().map(|&s| s.to_owned()).collect();
        choose_for_storage(&offered).map(String::from)
    }

    const IMPLICIT: &str = "1.2.840.10008.1.2";
    const EXPLICIT: &str = "1.2.840.10008.1.2.1";
    const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
    const BIG: &str = "1.2.840.10008.1.2.2";
    const JPEG: &str = "1.2.840.10008.1.2.4.50";
    const J2K_LOSSLESS: &str = "1.2.840.10008.1.2.4.90";
    const PRIVATE: &str = "1.2.840.113619.5.2";

    #[test]
    fn one_alone_is_taken_whatever_it_is() {
        for uid in [
            IMPLICIT,
            EXPLICIT,
            DEFLATED,
            BIG,
            JPEG,
            J2K_LOSSLESS,
            PRIVATE,
            "1.2.840.10008.1.2.4.108",
        ] {
            assert_eq!(chosen(&[uid]).as_deref(), Some(uid));
        }
    }

    #[test]
    fn a_mixed_list_is_chosen_from_by_our_preference_not_by_its_order() {
        let mut list = vec![PRIVATE, BIG, DEFLATED, IMPLICIT, JPEG, J2K_LOSSLESS, EXPLICIT];
        while let Some(best) = list.pop() {
            let mut offered = list.clone();
            offered.push(best);
            assert_eq!(chosen(&offered).as_deref(), Some(best));
            offered.reverse();
            assert_eq!(chosen(&offered).as_deref(), Some(best));
        }
    }

    #[test]
    fn among_equals_the_peer_decides() {
        assert_eq!(
            chosen(&["1.2.840.10008.1.2.5", J2K_LOSSLESS]).unwrap(),
            "1.2.840.10008.1.2.5"
        );
        assert_eq!(chosen(&[J2K_LOSSLESS, "1.2.840.10008.1.2.5"]).unwrap(), J2K_LOSSLESS);
    }

    #[test]
    fn what_is_no_uid_is_not_taken() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["", "JPEG"]), None);
        assert_eq!(chosen(&["JPEG", IMPLICIT]).as_deref(), Some(IMPLICIT));
    }

    #[test]
    fn verification_needs_no_codec() {
        let offered = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            choose_plain(&offered(&[JPEG, IMPLICIT])).map(String::from).as_deref(),
            Some(IMPLICIT)
        );
        assert_eq!(choose_plain(&offered(&[JPEG])), None);
    }
}
