//! The gateway over real sockets: raw bytes of a peer that does as it likes, and the tools of dcmtk.
//!
//! The sink is a double in memory ([`sink`]); what is asserted is what a peer sees on the wire, and what the sink was
//! handed. Where a tool of dcmtk is missing the test fails and says so.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod gateway;
mod hostile;
mod limits;
mod opening;
mod peer;
mod shutdown;
mod sink;
mod storing;
mod tls;
mod tools;
