//! How an association ends, and what the peer is told of it.

use std::io;

use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, Pdu};

use crate::pdu::Violation;

/// Why there is no next message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The peer asked for release. Where it did so in the middle of an object, the object is forgotten.
    Released,
    /// The peer aborted.
    Aborted,
    /// The peer closed the connection, between PDUs or inside one.
    Closed,
    /// The connection failed.
    Broken(io::ErrorKind),
    /// Nothing came for too long between messages.
    Idle,
    /// Nothing came for too long inside a message, or the peer did not take our answer.
    Stalled,
    /// No complete A-ASSOCIATE-RQ came in time.
    OpeningTimeout,
    /// The peer broke the protocol.
    Violation(Violation),
    /// The gateway is shutting down.
    Stopping,
}

impl From<Violation> for Ending {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl Ending {
    /// Returns a name for metrics and the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Aborted => "aborted",
            Self::Closed => "closed",
            Self::Broken(_) => "broken",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::OpeningTimeout => "opening_timeout",
            Self::Violation(_) => "violation",
            Self::Stopping => "stopping",
        }
    }

    /// Returns what was wrong, where the peer broke the protocol.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Violation(violation) => violation.what,
            _ => "",
        }
    }

    /// Returns the PDU that says farewell; `None` where nobody listens any more.
    pub(crate) fn farewell(&self) -> Option<Pdu> {
        let abort = |source| Some(Pdu::AbortRQ { source });
        match self {
            Self::Released => Some(Pdu::ReleaseRP),
            Self::Aborted | Self::Closed | Self::Broken(_) => None,
            Self::Idle | Self::Stalled | Self::OpeningTimeout => abort(AbortRQSource::ServiceProvider(
                AbortRQServiceProviderReason::ReasonNotSpecified,
            )),
            Self::Violation(violation) => abort(AbortRQSource::ServiceProvider(violation.reason.clone())),
            Self::Stopping => abort(AbortRQSource::ServiceUser),
        }
    }
}
