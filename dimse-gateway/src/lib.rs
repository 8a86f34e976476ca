//! DIMSE for Isocenter: the service class provider that a hospital PACS and its modalities talk to.
//!
//! Embedded in the archive, [`serve`] listens for DICOM associations, answers C-ECHO and hands what C-STORE brings to an
//! [`InstanceSink`](isocenter_model::InstanceSink). It promises that success is answered only when the sink's `finish`
//! says so; that one peer's nonsense costs nobody but that peer; and that nothing a peer sends makes it allocate more
//! than the lengths it announced itself. It leaves to the sink where objects go, what becomes of them, and who an AE
//! title belongs to. It never looks into a data set.
//!
//! The walk of one instance:
//!
//! ```text
//! listener      accepts the connection, TLS where asked, one task an association
//! association/  request    the A-ASSOCIATE-RQ, read with care
//!               admission  may this peer come in, and is there room: A-ASSOCIATE-RJ otherwise
//!               negotiate  every presentation context is answered, one transfer syntax each
//!               messages   PDVs become commands and data set fragments
//! command       a command set is decoded
//! service/      echo, store: decide, and hand the fragments on as they come
//! status        what became of it, as DIMSE says it
//! command       the response is encoded; pdu frames it; one write
//! ```
//!
//! C-FIND, C-MOVE, C-GET and storage commitment are not offered yet: their presentation contexts are answered with
//! "abstract syntax not supported". They will be further files under `service/`.
//!
//! PDU types and the writing of association PDUs come from `dicom-ul`; accepting is done here, because its acceptor
//! takes the first transfer syntax that a peer lists, refuses those it has no codec for, and gives up on an item that it
//! does not know. An archive that only stores needs no codec.

pub mod association;
pub mod command;
mod error;
mod listener;
pub mod observer;
pub mod pdu;
pub mod peers;
mod service;
mod settings;
mod sop_class;
pub mod status;
mod tls;
mod transfer_syntax;
mod transport;

pub use error::Error;
pub use listener::{Bound, serve};
pub use observer::{AssociationInfo, NoObserver, Observer};
pub use peers::{Network, Peer};
pub use settings::{DimseSettings, TlsSettings};
pub use status::Status;
