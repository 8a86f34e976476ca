//! Bodies that are made while they are sent.
//!
//! A study is gigabytes and memory is flat, so a body is written by a task into a channel of a few pieces; the client's pace is
//! the task's pace, and a client that goes away ends it. Small pieces are gathered, large ones pass uncopied. The first piece is
//! waited for before the status is chosen: what fails at once is an honest 404 or 503. What fails later breaks the connection;
//! a body that was cut short never ends as if it were whole (PS3.18 8.6.1).

use std::future::Future;
use std::time::Duration;

use actix_web::HttpResponseBuilder;
use actix_web::{HttpResponse, ResponseError};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use super::multipart::Boundary;
use crate::cpu::Queue;
use crate::http_error::HttpError;

/// Pieces that may wait for the client.
const WAITING: usize = 4;
/// Pieces below this many bytes are gathered.
const SMALL: usize = 16 * 1024;
/// Gathered bytes are sent when there are so many.
const GATHERED: usize = 64 * 1024;
/// What holds room is copied in pieces of this size.
const COPIED: usize = 256 * 1024;
/// A client that takes nothing for so long has gone: others wait for what it holds.
const STALLED: Duration = Duration::from_secs(60);

/// Why a body ended early.
#[derive(Debug)]
pub enum Stop {
    /// The client went away; nobody has to hear of it.
    Gone,
    /// Something failed.
    Failed(HttpError),
}

impl<E: Into<HttpError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Where a body is written to.
#[derive(Debug)]
pub struct Outgoing {
    to: mpsc::Sender<Result<Bytes, HttpError>>,
    gathered: BytesMut,
    begun: bool,
    stalled: Duration,
}

impl Outgoing {
    fn new(to: mpsc::Sender<Result<Bytes, HttpError>>) -> Self {
        Self {
            to,
            gathered: BytesMut::new(),
            begun: false,
            stalled: STALLED,
        }
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), Stop> {
        self.begun = true;
        match tokio::time::timeout(self.stalled, self.to.send(Ok(piece))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Stop::Gone),
        }
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.gathered).freeze();
        self.send(piece).await
    }

    /// Returns what work for this body does where many wait: what has not begun may still be an honest 503.
    pub fn queue(&self) -> Queue {
        if self.begun { Queue::Wait } else { Queue::Refuse }
    }

    /// Writes a piece; waits where the client is slower.
    ///
    /// # Errors
    /// [`Stop::Gone`] where the client went away.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Stop> {
        if piece.len() >= SMALL {
            self.flush().await?;
            return self.send(piece).await;
        }
        self.gathered.extend_from_slice(&piece);
        if self.gathered.len() >= GATHERED {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Writes what holds room ([`crate::cpu::Room`]). It is copied piece by piece, at the client's pace, and gone when this
    /// returns: the layers below may keep the last piece for as long as the connection lasts.
    ///
    /// # Errors
    /// [`Stop::Gone`] where the client went away.
    pub async fn write_held(&mut self, held: Bytes) -> Result<(), Stop> {
        for piece in held.chunks(COPIED) {
            self.write(Bytes::copy_from_slice(piece)).await?;
        }
        Ok(())
    }

    /// Writes everything that a stream gives.
    ///
    /// # Errors
    /// What the stream fails with, or [`Stop::Gone`].
    pub async fn copy<E: Into<HttpError>>(&mut self, pieces: impl Stream<Item = Result<Bytes, E>>) -> Result<(), Stop> {
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.next().await {
            self.write(piece?).await?;
        }
        Ok(())
    }
}

/// Starts a body and answers with it once its first piece is there.
///
/// # Errors
/// What the body failed with before its first piece.
pub async fn streamed<F, Fut>(mut answer: HttpResponseBuilder, write: F) -> Result<HttpResponse, HttpError>
where
    F: FnOnce(Outgoing) -> Fut,
    Fut: Future<Output = Result<Outgoing, Stop>> + 'static,
{
    let (to, mut pieces) = mpsc::channel(WAITING);
    let work = write(Outgoing::new(to.clone()));
    actix_web::rt::spawn(async move {
        let last = match work.await {
            Ok(mut outgoing) => outgoing.flush().await,
            Err(stop) => Err(stop),
        };
        if let Err(Stop::Failed(error)) = last {
            // Nobody may be listening any more.
            let _ = to.send(Err(error)).await;
        }
    });
    let first = pieces.recv().await.unwrap_or_else(|| Ok(Bytes::new()))?;
    let rest = futures::stream::poll_fn(move |context| pieces.poll_recv(context)).map(|piece| {
        piece.inspect_err(|error| tracing::warn!(status = %error.status_code(), "an answer was broken off"))
    });
    Ok(answer.streaming(futures::stream::iter([Ok(first)]).chain(rest)))
}

/// Writes the parts of `multipart/related`.
#[derive(Debug)]
pub struct Parts {
    outgoing: Outgoing,
    boundary: Boundary,
    begun: bool,
}

impl Parts {
    /// Begins a body with the boundary that its `Content-Type` names.
    pub fn new(outgoing: Outgoing, boundary: Boundary) -> Self {
        Self {
            outgoing,
            boundary,
            begun: false,
        }
    }

    /// Begins a part; what is written to the returned body is the part's.
    ///
    /// # Errors
    /// [`Stop::Gone`] where the client went away.
    pub async fn part(&mut self, content_type: &str, location: Option<&str>) -> Result<&mut Outgoing, Stop> {
        let opening = self.boundary.open(!self.begun, content_type, location);
        self.begun = true;
        self.outgoing.write(opening).await?;
        Ok(&mut self.outgoing)
    }

    /// Ends the last part and the body.
    ///
    /// # Errors
    /// [`Stop::Gone`] where the client went away.
    pub async fn finish(mut self) -> Result<Outgoing, Stop> {
        self.outgoing.write(self.boundary.close()).await?;
        Ok(self.outgoing)
    }
}

/// Draws a boundary, or fails as the system's randomness did.
///
/// # Errors
/// 500.
pub fn boundary() -> Result<Boundary, HttpError> {
    Boundary::random().map_err(|error| HttpError::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::{self, MessageBody};

    async fn whole(answer: HttpResponse) -> Result<Bytes, ()> {
        body::to_bytes(answer.into_body().boxed()).await.map_err(|_| ())
    }

    #[actix_web::test]
    async fn pieces_arrive_whole_and_in_order() {
        let answer = streamed(HttpResponse::Ok(), |mut out| async move {
            for n in 0..10_u8 {
                out.write(Bytes::from(vec![n; 9000])).await?;
                out.write(Bytes::from(vec![n; 20_000])).await?;
            }
            Ok(out)
        });
        let bytes = whole(answer.await.unwrap()).await.unwrap();
        let expected: Vec<u8> = (0..10_u8).flat_map(|n| vec![n; 29_000]).collect();
        assert_eq!(bytes, expected);
    }

    #[actix_web::test]
    async fn what_fails_at_once_is_an_error_and_no_body() {
        let failed = streamed(HttpResponse::Ok(), |mut out| async move {
            out.write(Bytes::from_static(b"part header")).await?;
            Err(Stop::Failed(HttpError::unavailable(5)))
        });
        assert_eq!(failed.await.unwrap_err().status().as_u16(), 503);
    }

    #[actix_web::test]
    async fn a_client_that_takes_nothing_ends_the_body() {
        let (to, mut pieces) = mpsc::channel(1);
        let mut out = Outgoing::new(to);
        out.stalled = Duration::ZERO;
        assert_eq!(out.queue(), Queue::Refuse);
        let frame = Bytes::from(vec![0; COPIED * 3]);
        assert!(matches!(out.write_held(frame).await, Err(Stop::Gone)));
        // One piece had a place.
        assert_eq!(out.queue(), Queue::Wait);
        assert_eq!(pieces.recv().await.unwrap().unwrap().len(), COPIED);
        assert!(pieces.try_recv().is_err());
    }

    #[actix_web::test]
    async fn what_fails_later_breaks_the_body() {
        let answer = streamed(HttpResponse::Ok(), |mut out| async move {
            out.write(Bytes::from(vec![0; 100_000])).await?;
            Err(Stop::Failed(HttpError::unavailable(5)))
        });
        assert!(whole(answer.await.unwrap()).await.is_err());
    }
}
