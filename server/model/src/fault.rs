//! The ways in which things fail: a small closed set that the outside may match on.
//!
//! Each package has its own error type with the facts; [`Classify`] maps it to one of these kinds, and each protocol has
//! one table from kind to answer (HTTP status, DIMSE status, STOW failure reason).

/// Kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The caller's input is wrong and will be wrong next time: syntax, range, missing part.
    BadInput,
    /// The bytes are not what they claim to be: not DICOM, cut off, nonsense lengths.
    Unreadable,
    /// Nothing there, or nothing that the caller may know of.
    NotFound,
    /// The caller is not known.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// What is there contradicts what was sent.
    Conflict,
    /// None of the accepted representations can be given.
    NotAcceptable,
    /// A limit of size was met.
    TooLarge,
    /// No space, store or database away, queue full: the caller should come back later.
    Unavailable,
    /// Stored bytes failed authentication: damage or tampering, never retried.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// Tells the kind of a failure.
pub trait Classify {
    /// Returns the kind that the outside may see.
    fn fault(&self) -> Fault;
}
