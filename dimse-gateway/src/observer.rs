//! What the gateway tells about its work: for metrics and for the administrator's log.
//!
//! Numbers and names of peers only; no data set content ever passes here. Methods are called from the associations'
//! tasks and must return at once.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use isocenter_model::AeTitle;

use crate::Status;

/// Who is on the other end of an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationInfo {
    /// Number of the association since start, the same as in the log.
    pub id: u64,
    /// The peer's title, as it says.
    pub calling_ae_title: AeTitle,
    /// Our title, as the peer asked for it.
    pub called_ae_title: AeTitle,
    /// The peer's address.
    pub peer: IpAddr,
}

/// Why an association was not accepted, PS3.8 9.3.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The peer does not speak version 1 of the upper layer protocol.
    ProtocolVersion,
    /// The application context is not that of DICOM.
    ApplicationContext,
    /// The calling AE title may not come, or not from there.
    CallingAeTitle,
    /// Nobody configured the called AE title.
    CalledAeTitle,
    /// Too many associations, overall or of that calling AE title.
    LocalLimit,
    /// The archive cannot say where the called AE title leads: its database does not answer.
    Congestion,
}

impl Rejection {
    /// Returns result, source and reason of the A-ASSOCIATE-RJ. Senders try again on result 2, transient, only.
    pub fn codes(self) -> (u8, u8, u8) {
        match self {
            Self::ApplicationContext => (1, 1, 2),
            Self::CallingAeTitle => (1, 1, 3),
            Self::CalledAeTitle => (1, 1, 7),
            Self::ProtocolVersion => (1, 2, 2),
            Self::Congestion => (2, 3, 1),
            Self::LocalLimit => (2, 3, 2),
        }
    }

    /// Returns a name for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProtocolVersion => "protocol_version",
            Self::ApplicationContext => "application_context",
            Self::CallingAeTitle => "calling_ae_title",
            Self::CalledAeTitle => "called_ae_title",
            Self::LocalLimit => "local_limit",
            Self::Congestion => "congestion",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why one presentation context was refused, PS3.8 9.3.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextRefusal {
    /// Result 1: the peer wants to be the provider only, and we have nothing to ask of it.
    User,
    /// Result 3.
    AbstractSyntax,
    /// Result 4.
    TransferSyntaxes,
}

impl ContextRefusal {
    /// Returns the result of the presentation context item.
    pub fn code(self) -> u8 {
        match self {
            Self::User => 1,
            Self::AbstractSyntax => 3,
            Self::TransferSyntaxes => 4,
        }
    }
}

/// Hears what happens. Every method does nothing unless it is implemented.
pub trait Observer: Send + Sync {
    /// An association was accepted.
    fn association_opened(&self, association: &AssociationInfo) {
        let _ = association;
    }

    /// An association was rejected.
    fn association_rejected(&self, peer: IpAddr, rejection: Rejection) {
        let _ = (peer, rejection);
    }

    /// A connection ended before an association could be accepted or rejected; `why` is a name for metrics
    /// (`violation`, `opening_timeout`, `closed`, `too_many_connections`, ...).
    fn connection_failed(&self, peer: IpAddr, why: &'static str) {
        let _ = (peer, why);
    }

    /// An association ended; `how` is a name for metrics (`released`, `aborted`, `violation`, `idle`, ...).
    fn association_ended(&self, association: &AssociationInfo, how: &'static str) {
        let _ = (association, how);
    }

    /// A fault of ours ended the task of a connection.
    fn task_panicked(&self) {}

    /// A presentation context was refused: the line that tells an administrator why objects do not come.
    /// `abstract_syntax` is a UID, or empty where the peer sent none.
    fn context_refused(&self, association: &AssociationInfo, abstract_syntax: &str, refusal: ContextRefusal) {
        let _ = (association, abstract_syntax, refusal);
    }

    /// A C-ECHO was answered.
    fn echoed(&self, association: &AssociationInfo) {
        let _ = association;
    }

    /// A C-STORE was answered. `elapsed` counts from its command to the verdict.
    fn instance_answered(&self, association: &AssociationInfo, status: Status, bytes: u64, elapsed: Duration) {
        let _ = (association, status, bytes, elapsed);
    }

    /// A request that we have no service for was answered 0211.
    fn operation_unrecognized(&self, association: &AssociationInfo, command_field: u16) {
        let _ = (association, command_field);
    }
}

/// An observer that does not listen.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
