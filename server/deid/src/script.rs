//! What a front end tells the executor.
//!
//! The executor walks; a [`Script`] decides. The profile engine is one, the CTP language (a later issue) is the other: it
//! compiles its rules into the same answers, so that recursion, value checks, reports and holds exist once. A script never
//! sees a value it could leak and never writes one.

use dicom_core::Tag;

use crate::documents::DocumentRule;
use crate::iod::Type;
use crate::options::Options;
use crate::private_rules::PrivateLists;
use crate::profile::PrivateRule;

/// What is done where nothing of the value may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    /// The element goes, with all items.
    Remove,
    /// Zero length; a sequence has no item.
    Empty,
    /// A dummy by VR.
    Dummy,
    /// Each UID is mapped.
    MapUid,
    /// The sequence stays and its items are processed.
    Items,
}

/// What becomes of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Nothing of the value stays.
    Do(Base),
    /// The value stays if it is what its VR says and repeats nothing that is known of the patient; else `otherwise`.
    Keep {
        /// What is done with a value that may not stay.
        otherwise: Base,
    },
    /// The value is cleaned: dates are shifted, text loses what identifies; else `otherwise`.
    Clean {
        /// What is done with a value that cannot be cleaned.
        otherwise: Base,
    },
}

impl Step {
    /// Returns what is done where the value may not stay.
    pub(crate) fn base(self) -> Base {
        match self {
            Self::Do(base) | Self::Keep { otherwise: base } | Self::Clean { otherwise: base } => base,
        }
    }
}

/// A step and the rule that asks for it, named for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) step: Step,
    pub(crate) rule: &'static str,
}

/// A front end of the executor.
pub(crate) trait Script: Send + Sync + std::fmt::Debug {
    /// Decides on a public attribute; `None` leaves it to the rules beyond the table.
    fn decide(&self, tag: Tag) -> Option<Decision>;

    /// Returns whether the attribute's value names the patient, another person, a place, an order or a device, so that
    /// its repetition elsewhere in the object must go as well.
    fn identifies(&self, tag: Tag) -> bool;

    /// Returns the options in force; they govern what is beyond the script, too.
    fn options(&self) -> Options;

    /// Returns what becomes of private attributes.
    fn private(&self) -> PrivateRule;

    /// Decides on a public attribute whose type in the IOD is known. A script whose actions do not depend on it need not.
    fn decide_by_type(&self, tag: Tag, kind: Option<Type>) -> Option<Decision> {
        let _ = kind;
        self.decide(tag)
    }

    /// Returns the collection's own lists of private attributes.
    fn private_lists(&self) -> Option<&PrivateLists> {
        None
    }

    /// Returns what becomes of encapsulated documents.
    fn documents(&self) -> DocumentRule {
        DocumentRule::Hold
    }

    /// Passes an attribute as it is: only for tests that show that such a fault would be seen.
    #[cfg(test)]
    fn is_broken_at(&self, _tag: Tag) -> bool {
        false
    }
}
