//! The DIMSE side: a Service Class User with nothing hidden.
//!
//! The library reads and writes PDUs; association, command sets and fragmentation are done here, because a check must be able
//! to offer what a polite library would not, and must see the exact numbers of a refusal.

mod association;
mod command;

pub use association::{Association, Context, Negotiated, Offer, Refused, Rejection};
pub use command::{CommandSet, Status};

/// Our implementation class UID, under 2.25 (PS3.7 D.3.3.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.214203573218347823690817238946120387745";
/// Our implementation version name.
pub const IMPLEMENTATION_VERSION_NAME: &str = "ISO_CONFORM_0_1";
/// The DICOM application context (PS3.7 A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// The Verification SOP class (PS3.4 A.4).
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
