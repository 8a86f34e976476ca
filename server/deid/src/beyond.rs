//! Public attributes that Table E.1-1 does not list.
//!
//! The standard allows them all; its notes ask implementers to look further. The rule of thumb here: what a device writes
//! stays if it repeats nothing known of the patient; what a person types is cleaned or becomes a dummy; every DA, DT and TM
//! is a date, every PN a name, every UI an instance unless the attribute holds class UIDs; what the standard does not know
//! goes.

use dicom_core::{Tag, VR};

use crate::options::{ConfidentialityOption as O, Options};
use crate::script::{Base, Decision, Step};

/// Returns why an element goes whatever a script says, or `None`. Structure, not content (deid reference, section 13).
pub(crate) fn dropped(tag: Tag, depth: usize) -> Option<&'static str> {
    match tag {
        Tag(_, 0x0000) | Tag(0x0008, 0x0001) => Some("group length"),
        // Command and file meta groups have no place in a data set (PS3.5 7.1); odd groups below 9 are illegal (7.8.1).
        Tag(0x0000..=0x0003 | 0x0005 | 0x0007, _) => Some("not of a data set"),
        // All text is Unicode here; the root is given its character set when the text that stays is known.
        Tag(0x0008, 0x0005) => Some("character set"),
        // Our own marks replace what stood there (PS3.15 E.1.1).
        Tag(0x0012, 0x0062..=0x0064) | Tag(0x0028, 0x0303) => Some("marks"),
        // Says where private elements are and what identifies in them: no longer true of what is left.
        Tag(0x0008, 0x0300) => Some("private characteristics"),
        // Signatures break by any change; encrypted attributes and modified attributes hold the old values.
        Tag(0xFFFA, _) | Tag(0x4FFE, _) | Tag(0x0400, 0x0402..=0x0404 | 0x0500 | 0x0510 | 0x0520 | 0x0120) => {
            Some("signature")
        }
        Tag(0xFFFC, _) => Some("padding"),
        // Curves and overlays as whole groups: labels and descriptions beside the data are free text, and without the data
        // the rest describes nothing.
        Tag(0x5000..=0x50FF, _) => Some("curve"),
        Tag(0x6000..=0x60FF, _) => Some("overlay"),
        // Baggage screening (DICOS) has itineraries and boarding passes; nothing of it belongs into medical images.
        Tag(0x4010, _) => Some("security screening"),
        Tag(0x7FE0, _) if depth > 0 => Some("nested pixel data"),
        _ => None,
    }
}

/// Attributes that hold UIDs of classes, syntaxes, coding schemes and context groups: those say what a thing is, not which.
pub(crate) fn holds_class_uid(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0004, 0x1510 | 0x1512)
            | Tag(
                0x0008,
                0x0016 | 0x001A | 0x001B | 0x0062 | 0x010C | 0x0117 | 0x0118 | 0x040E | 0x1150 | 0x115A | 0x3002
            )
            | Tag(0x0034, 0x0003)
            | Tag(0x0400, 0x0010)
            | Tag(0x3010, 0x0052 | 0x0053)
    )
}

/// Returns whether a UID was given by the standard itself: classes, syntaxes, well-known frames of reference and instances.
pub(crate) fn is_standard_uid(uid: &str) -> bool {
    uid.starts_with("1.2.840.10008.")
}

/// Returns whether the text is a UID by form.
pub(crate) fn is_uid(text: &str) -> bool {
    isocenter_model::SopInstanceUid::parse(text).is_ok_and(|uid| uid.as_str() == text)
}

/// Identifying attributes that the table misses: retired forms of listed ones, contacts, print jobs and owners.
fn names(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0008, 0x041B | 0x041C)
            | Tag(0x0010, 0x0033 | 0x0034 | 0x2295)
            | Tag(0x0014, 0x0100)
            | Tag(0x0018, 0x1803)
            | Tag(0x0040, 0x1006 | 0x1007 | 0x2006 | 0x2007 | 0xA074 | 0xA089)
            | Tag(0x0044, 0x0011)
            | Tag(0x0072, 0x0008)
            | Tag(0x0074, 0x100C)
            | Tag(0x0088, 0x0130)
            | Tag(0x0100, 0x0426)
            | Tag(0x2100, 0x0010 | 0x0160)
            | Tag(0x2110, 0x0030 | 0x0099)
            | Tag(0x4008, 0x0103)
    )
}

/// Single devices that the table misses beside their siblings.
fn names_a_device(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0018, 0x1003 | 0x1006) | Tag(0x0044, 0x0012) | Tag(0x0054, 0x0400) | Tag(0x3002, 0x0020)
    )
}

/// Short text that people type to describe what was scanned, segmented, planned or drawn.
fn is_description(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0018, 0x003A | 0x9423 | 0x9900 | 0x9922)
            | Tag(0x0020, 0x9421 | 0x9453)
            | Tag(0x0028, 0x6022 | 0x7007 | 0x702A)
            | Tag(0x0040, 0x0255 | 0x1060)
            | Tag(0x0048, 0x0107)
            | Tag(0x0062, 0x0005 | 0x0006 | 0x0020)
            | Tag(0x0066, 0x0106)
            | Tag(0x0070, 0x0068 | 0x0081 | 0x0207 | 0x0208)
            | Tag(0x0072, 0x0004 | 0x0040 | 0x0203)
            | Tag(0x3002, 0x0002..=0x0004)
            | Tag(0x3004, 0x0006)
            | Tag(0x3006, 0x00C8)
            | Tag(0x300A, 0x0009 | 0x00C2 | 0x0183 | 0x0194 | 0x01B8)
            | Tag(0x3010, 0x001E)
    )
}

/// Long text that is part of a code or that devices write. All other text of these VRs is somebody's prose.
fn is_technical_text(tag: Tag) -> bool {
    matches!(
        tag,
        Tag(0x0008, 0x0108 | 0x010E | 0x0114..=0x0116 | 0x0119 | 0x0120)
            | Tag(0x0018, 0x7006 | 0x7008 | 0x7040 | 0x7041 | 0x7062 | 0x9080)
            | Tag(0x0028, 0x1351)
            | Tag(0x0066, 0x0032)
            | Tag(0x2010, 0x0010)
            | Tag(0x300A, 0x007B)
    )
}

/// Decides on a public attribute of the standard that no script decides on.
pub(crate) fn decide(tag: Tag, vr: VR, options: Options) -> Decision {
    let rule = "beyond E.1-1";
    let step = match vr {
        _ if names(tag) => Step::Do(Base::Remove),
        _ if names_a_device(tag) && !options.has(O::RetainDeviceIdentity) => Step::Do(Base::Dummy),
        _ if is_description(tag) => Step::Clean { otherwise: Base::Dummy },
        VR::SQ => Step::Keep {
            otherwise: Base::Remove,
        },
        VR::DA | VR::DT | VR::TM => {
            if options.has(O::RetainLongitudinalModifiedDates) {
                Step::Clean { otherwise: Base::Dummy }
            } else if options.has(O::RetainLongitudinalFullDates) {
                Step::Keep { otherwise: Base::Dummy }
            } else {
                Step::Do(Base::Dummy)
            }
        }
        VR::PN | VR::AE => Step::Do(Base::Dummy),
        VR::UI if holds_class_uid(tag) => Step::Keep {
            otherwise: Base::MapUid,
        },
        VR::UI if options.has(O::RetainUids) => Step::Keep {
            otherwise: Base::MapUid,
        },
        VR::UI => Step::Do(Base::MapUid),
        // Text of content items; what is said of it by concept comes before.
        VR::UT if tag == Tag(0x0040, 0xA160) && options.has(O::CleanStructuredContent) => {
            Step::Clean { otherwise: Base::Dummy }
        }
        VR::ST | VR::LT | VR::UT | VR::UC | VR::UR if !is_technical_text(tag) => Step::Do(Base::Dummy),
        VR::CS | VR::DS | VR::IS | VR::AS => Step::Keep {
            otherwise: Base::Remove,
        },
        VR::LO | VR::SH | VR::ST | VR::LT | VR::UT | VR::UC | VR::UR => Step::Keep { otherwise: Base::Dummy },
        // Numbers and bytes.
        _ => Step::Keep {
            otherwise: Base::Remove,
        },
    };
    Decision { step, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_uids_stay_and_instances_do_not() {
        let decide = |tag| decide(tag, VR::UI, Options::default()).step;
        assert_eq!(
            decide(Tag(0x0008, 0x1150)),
            Step::Keep {
                otherwise: Base::MapUid
            }
        );
        assert_eq!(decide(Tag(0x0008, 0x1167)), Step::Do(Base::MapUid));
        assert!(is_standard_uid("1.2.840.10008.1.4.1.1") && !is_standard_uid("1.2.840.100080.1"));
        assert!(is_uid("1.2.3") && !is_uid("1.2.3 ") && !is_uid("SMITH.1"));
    }

    #[test]
    fn prose_beyond_the_table_becomes_a_dummy() {
        let text_value = decide(Tag(0x0040, 0xA160), VR::UT, Options::default()).step;
        assert_eq!(text_value, Step::Do(Base::Dummy));
        let long_code = decide(Tag(0x0008, 0x0119), VR::UC, Options::default()).step;
        assert_eq!(long_code, Step::Keep { otherwise: Base::Dummy });
    }
}
