//! Bytes in and out: whole PDUs from a connection, whole answers to it, with a limit on every wait.
//!
//! Received bytes lie in chunks that are handed on as they are: a PDU's body is a slice of the chunk it was read into,
//! and so is every fragment in it. A chunk that nobody holds any more is used again; one that a sink still holds is left
//! to it.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::association::Ending;
use crate::pdu::{HEADER_LENGTH, PduType};

/// Most that is set aside at once for a PDU whose bytes have not come yet.
const MOST_AHEAD: usize = 64 * 1024;
/// What a connection gets to read into before it has an association.
const FIRST_CHUNK: usize = 4 * 1024;
/// A read into less than this is not worth its system call.
const LEAST_READ: usize = 4 * 1024;

/// A connection: plain, or through TLS.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Asks the system to acknowledge now what was received.
    ///
    /// A sender that leaves Nagle's algorithm on holds the end of a large message back until what went before is
    /// acknowledged, and the system here would wait up to 40 ms to do so. The option wears off, so it is set again
    /// before each read that needs more of a message.
    fn acknowledge_now(&self);
}

impl Transport for TcpStream {
    fn acknowledge_now(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Err(error) = SockRef::from(self).set_tcp_quickack(true) {
            tracing::trace!(%error, "cannot set TCP_QUICKACK");
        }
    }
}

impl Transport for TlsStream<TcpStream> {
    fn acknowledge_now(&self) {
        self.get_ref().0.acknowledge_now();
    }
}

/// Sets the options of an accepted connection: no delay for our small answers, and probes for peers that vanished.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(20));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// How long to wait for the next PDU.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// Before the association: as long as the ARTIM timer allows, which runs outside.
    Opening,
    /// Between two messages.
    Idle {
        /// For its first byte.
        first: Duration,
        /// For each further read.
        next: Duration,
    },
    /// Inside a message.
    Inside {
        /// For each read.
        next: Duration,
    },
}

impl Patience {
    /// Returns how long to wait for the first byte, and what it is called when none comes.
    fn first(self) -> (Duration, Ending) {
        match self {
            Self::Opening => (Duration::MAX, Ending::OpeningTimeout),
            Self::Idle { first, .. } => (first, Ending::Idle),
            Self::Inside { next } => (next, Ending::Stalled),
        }
    }

    /// Returns how long to wait for further bytes, and what it is called when none come.
    fn next(self) -> (Duration, Ending) {
        match self {
            Self::Opening => (Duration::MAX, Ending::OpeningTimeout),
            Self::Idle { next, .. } | Self::Inside { next } => (next, Ending::Stalled),
        }
    }
}

/// One connection, PDU by PDU.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    transport: T,
    received: BytesMut,
    chunk: usize,
    write_stall_timeout: Duration,
}

impl<T: Transport> Wire<T> {
    pub(crate) fn new(transport: T, write_stall_timeout: Duration) -> Self {
        Self {
            transport,
            received: BytesMut::with_capacity(FIRST_CHUNK),
            chunk: FIRST_CHUNK,
            write_stall_timeout,
        }
    }

    /// Reads in larger chunks from now on: room for two PDUs of the largest size, so that one is copied seldom.
    pub(crate) fn expect_pdus_of(&mut self, max_pdu_length: u32) {
        let pdu = usize::try_from(max_pdu_length).unwrap_or(MOST_AHEAD) + 2 * HEADER_LENGTH;
        self.chunk = 2 * pdu;
    }

    /// Reads the next PDU. Its type is checked at its first byte and its length before memory is set aside for it.
    ///
    /// # Errors
    /// When the peer closes, waits too long, or sends what is no PDU.
    pub(crate) async fn next_pdu(
        &mut self,
        patience: Patience,
        max_pdu_length: u32,
    ) -> Result<(PduType, Bytes), Ending> {
        while self.received.is_empty() {
            self.receive(LEAST_READ, patience.first()).await?;
        }
        let (kind, length) = loop {
            if let Some(header) = self.header(max_pdu_length)? {
                break header;
            }
            self.receive(LEAST_READ, patience.next()).await?;
        };
        let whole = HEADER_LENGTH + length;
        while self.received.len() < whole {
            let missing = whole - self.received.len();
            self.receive(missing, patience.next()).await?;
        }
        let mut pdu = self.received.split_to(whole).freeze();
        Ok((kind, pdu.split_off(HEADER_LENGTH)))
    }

    /// Returns type and length of the PDU at the front, when its header is complete.
    fn header(&self, max_pdu_length: u32) -> Result<Option<(PduType, usize)>, Ending> {
        let Some(kind) = self.received.first().map(|byte| PduType::of(*byte)).transpose()? else {
            return Ok(None);
        };
        let Some([_, _, length @ ..]) = self.received.first_chunk::<HEADER_LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length);
        kind.check_length(length, max_pdu_length)?;
        Ok(Some((kind, usize::try_from(length).unwrap_or(usize::MAX))))
    }

    /// Reads what there is, once; waits for it when there is nothing.
    async fn receive(&mut self, missing: usize, (limit, late): (Duration, Ending)) -> Result<(), Ending> {
        self.make_room(missing.min(self.chunk.max(MOST_AHEAD)));
        self.transport.acknowledge_now();
        match timeout(limit, self.transport.read_buf(&mut self.received)).await {
            Err(_) => Err(late),
            Ok(Ok(0)) => Err(Ending::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Ending::Broken(error.kind())),
        }
    }

    fn make_room(&mut self, missing: usize) {
        let wanted = missing.max(LEAST_READ);
        if self.received.capacity() - self.received.len() >= wanted || self.received.try_reclaim(wanted) {
            return;
        }
        let mut fresh = BytesMut::with_capacity(self.chunk.max(self.received.len() + wanted));
        fresh.extend_from_slice(&self.received);
        self.received = fresh;
    }

    /// Sends an answer: one write, unless the system takes less.
    ///
    /// # Errors
    /// When the peer is gone or takes nothing.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let sending = async {
            self.transport.write_all(bytes).await?;
            self.transport.flush().await
        };
        match timeout(self.write_stall_timeout, sending).await {
            Err(_) => Err(Ending::Stalled),
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ending::Broken(error.kind())),
        }
    }

    /// Closes our side and waits for the peer to close its own, reading away what it still sends. A connection closed
    /// with unread bytes is reset by the system, and a reset can overtake our last PDU.
    pub(crate) async fn close(mut self, limit: Duration) {
        let farewell = async {
            self.transport.shutdown().await?;
            loop {
                self.received.clear();
                self.make_room(LEAST_READ);
                if self.transport.read_buf(&mut self.received).await? == 0 {
                    return Ok::<(), io::Error>(());
                }
            }
        };
        match timeout(limit, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::trace!(%error, "connection not closed in order"),
            Err(_) => tracing::trace!("peer did not close its side"),
        }
    }
}
