//! Levels of the DICOM information model, PS3.4 C.6 and PS3.18 10.6.

use serde::{Deserialize, Serialize};

/// What one row of a search stands for. Ordered from the whole to the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// The patient, in the archive the individual. Only C-FIND asks at this level.
    Patient,
    /// A study.
    Study,
    /// A series.
    Series,
    /// An instance, in the archive the image.
    Instance,
}
