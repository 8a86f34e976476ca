//! `multipart/related` both ways, RFC 2046 5.1 and RFC 2387, as PS3.18 8.6.1 uses it.
//!
//! Reading: [`Reader`] walks over a body as it arrives and hands out the bytes of each part in the pieces in which they came.
//! It never holds a part, looks for delimiters only where a line can begin, and takes look-alikes inside pixel data for what
//! they are. A body that ends before its last delimiter gives [`Error::CutOff`] for the part that was open, after every part
//! before it was handed out whole.
//!
//! Writing: [`Boundary`] is 40 random hexadecimal digits. A streamed body cannot be searched for its boundary beforehand, so its
//! length is the safety.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use std::io::BufRead as _;

use super::accept::MediaType;

/// What may stand before the first delimiter; more is no multipart body.
const MAX_PREAMBLE: usize = 64 * 1024;
/// Headers of one part, together.
const MAX_HEADERS: usize = 16 * 1024;
/// Blanks that may follow a delimiter on its line (RFC 2046: transport padding).
const MAX_PADDING: usize = 256;

/// Why a body is not what its `Content-Type` says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no usable boundary in the `Content-Type`.
    #[error("the multipart boundary is missing or is not 1 to 70 of the characters of RFC 2046")]
    Boundary,
    /// No delimiter at all.
    #[error("no delimiter of the boundary was found")]
    NoDelimiter,
    /// The headers of a part are too long or are no headers.
    #[error("the headers of part {part} cannot be read")]
    Headers {
        /// Number of the part, from 1.
        part: usize,
    },
    /// The body ended inside a part.
    #[error("the body ends inside part {part}")]
    CutOff {
        /// Number of the part, from 1.
        part: usize,
    },
    /// The connection failed.
    #[error("the body could not be read")]
    Transport,
}

/// Returns the boundary of a container.
///
/// # Errors
/// [`Error::Boundary`] where it is missing, empty, too long, or holds other characters than RFC 2046 allows.
pub fn boundary(container: &MediaType) -> Result<&str, Error> {
    let text = container.parameter("boundary").ok_or(Error::Boundary)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    // Longer ones than 70 characters exist; they do no harm up to a point.
    let fits = (1..=200).contains(&text.len()) && !text.ends_with(' ');
    if fits && text.bytes().all(allowed) {
        Ok(text)
    } else {
        Err(Error::Boundary)
    }
}

/// The headers of one part, as far as anybody asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Location`.
    pub content_location: Option<String>,
    /// `Content-Length`: a hint, never trusted.
    pub content_length: Option<u64>,
}

impl PartHeaders {
    fn parse(block: &[u8], part: usize) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(block);
        let mut headers = Self::default();
        for line in text.split("\r\n").filter(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) {
                continue; // a folded line belongs to a header that nobody here asks for
            }
            let (name, value) = line.split_once(':').ok_or(Error::Headers { part })?;
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "content-type" => headers.content_type = Some(value.to_owned()),
                "content-location" => headers.content_location = Some(value.to_owned()),
                "content-length" => headers.content_length = value.parse().ok(),
                _ => {}
            }
        }
        Ok(headers)
    }
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    /// After a delimiter, before the headers of the next part.
    Between,
    Body,
    End,
}

/// What stands at a place that begins like a delimiter.
enum Delimiter {
    /// The next part begins after so many bytes.
    Next(usize),
    /// The last delimiter.
    Last,
    /// Only a look-alike.
    No,
    /// Too few bytes to tell.
    Perhaps,
}

/// Reads parts from a body as it arrives.
#[derive(Debug)]
pub struct Reader<S> {
    body: S,
    /// Bytes that arrived and were not handed out yet.
    buffer: Bytes,
    /// CRLF, two hyphens, boundary.
    delimiter: Vec<u8>,
    state: State,
    ended: bool,
    /// Parts begun so far.
    parts: usize,
}

impl<S, E> Reader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Opens a reader on a body with a checked boundary.
    pub fn new(body: S, boundary: &str) -> Self {
        Self {
            body,
            // A delimiter begins a line; the body's first line has no CRLF before it.
            buffer: Bytes::from_static(b"\r\n"),
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            state: State::Preamble,
            ended: false,
            parts: 0,
        }
    }

    /// Returns the number of parts begun so far.
    pub fn parts(&self) -> usize {
        self.parts
    }

    async fn fill(&mut self) -> Result<(), Error> {
        match self.body.next().await {
            None => self.ended = true,
            Some(Err(_)) => return Err(Error::Transport),
            Some(Ok(chunk)) if self.buffer.is_empty() => self.buffer = chunk,
            Some(Ok(chunk)) => {
                // Only where a delimiter may straddle two pieces, which is rare.
                let mut both = BytesMut::with_capacity(self.buffer.len() + chunk.len());
                both.extend_from_slice(&self.buffer);
                both.extend_from_slice(&chunk);
                self.buffer = both.freeze();
            }
        }
        Ok(())
    }

    /// Tells what stands at a place where the delimiter's own bytes were found whole.
    fn classify(&self, at: usize) -> Delimiter {
        let after = self.buffer.get(at + self.delimiter.len()..).unwrap_or_default();
        let (after, last) = match after {
            [b'-', b'-', rest @ ..] => (rest, true),
            [b'-'] if !self.ended => return Delimiter::Perhaps,
            _ => (after, false),
        };
        let blanks = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if blanks > MAX_PADDING {
            return Delimiter::No;
        }
        match after.get(blanks..).unwrap_or_default() {
            [b'\r', b'\n', ..] if last => Delimiter::Last,
            [b'\r', b'\n', ..] => Delimiter::Next(self.delimiter.len() + blanks + 2),
            [] | [b'\r'] if self.ended => Delimiter::Last,
            [] | [b'\r'] => Delimiter::Perhaps,
            // Some end with a bare line feed.
            [b'\n', ..] if last => Delimiter::Last,
            _ => Delimiter::No,
        }
    }

    /// Returns how many bytes before the next place where a delimiter stands or may stand, and what stands there.
    fn scan(&self, from: usize) -> (usize, Delimiter) {
        let mut at = from;
        while let Some(mut rest) = self.buffer.get(at..).filter(|rest| !rest.is_empty()) {
            let whole = rest.len();
            // `skip_until` is the standard library's fast search for one byte; a slice never fails to read.
            let skipped = rest.skip_until(b'\r').unwrap_or(whole);
            let found = skipped > 0 && self.buffer.get(at + skipped - 1) == Some(&b'\r');
            if !found {
                break;
            }
            at += skipped - 1;
            let here = self.buffer.get(at..).unwrap_or_default();
            if here.starts_with(&self.delimiter) {
                match self.classify(at) {
                    Delimiter::No => {}
                    other => return (at, other),
                }
            } else if self.delimiter.starts_with(here) && !self.ended {
                return (at, Delimiter::Perhaps);
            }
            at += 1;
        }
        (self.buffer.len(), Delimiter::No)
    }

    fn drop_front(&mut self, count: usize) {
        let _ = self.buffer.split_to(count.min(self.buffer.len()));
    }

    /// Returns the headers of the next part, reading away what is left of the present one; `None` after the last.
    ///
    /// # Errors
    /// See [`Error`]. After one, nothing more comes.
    pub async fn next_part(&mut self) -> Result<Option<PartHeaders>, Error> {
        let result = self.advance().await;
        if result.is_err() {
            self.state = State::End;
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<PartHeaders>, Error> {
        if self.state == State::Preamble {
            self.skip_preamble().await?;
        }
        while self.state == State::Body {
            self.read_chunk().await?;
        }
        if self.state == State::End {
            return Ok(None);
        }
        self.read_headers().await.map(Some)
    }

    async fn skip_preamble(&mut self) -> Result<(), Error> {
        let mut skipped = 0;
        loop {
            let (before, delimiter) = self.scan(0);
            self.drop_front(before);
            skipped += before;
            match delimiter {
                Delimiter::Next(length) => {
                    self.drop_front(length);
                    self.state = State::Between;
                    return Ok(());
                }
                Delimiter::Last => {
                    self.state = State::End;
                    return Ok(());
                }
                _ if self.ended || skipped > MAX_PREAMBLE => return Err(Error::NoDelimiter),
                _ => self.fill().await?,
            }
        }
    }

    async fn read_headers(&mut self) -> Result<PartHeaders, Error> {
        self.parts += 1;
        let part = self.parts;
        loop {
            // A part without headers begins with the empty line itself.
            let end = if self.buffer.starts_with(b"\r\n") {
                Some(0)
            } else {
                self.buffer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 2)
            };
            if let Some(end) = end {
                let block = self.buffer.split_to(end);
                let headers = PartHeaders::parse(&block, part)?;
                self.state = State::Body;
                self.drop_blank_line().await?;
                return Ok(headers);
            }
            if self.buffer.len() > MAX_HEADERS {
                return Err(Error::Headers { part });
            }
            if self.ended {
                return Err(Error::CutOff { part });
            }
            self.fill().await?;
        }
    }

    /// Drops the empty line after the headers, unless its CRLF is the one that belongs to a delimiter: a part without a body.
    async fn drop_blank_line(&mut self) -> Result<(), Error> {
        loop {
            let begins_so = self.buffer.starts_with(&self.delimiter);
            let undecided = if begins_so {
                matches!(self.classify(0), Delimiter::Perhaps)
            } else {
                self.delimiter.starts_with(&self.buffer)
            };
            if undecided && !self.ended {
                self.fill().await?;
                continue;
            }
            if !begins_so || matches!(self.classify(0), Delimiter::No) {
                self.drop_front(2);
            }
            return Ok(());
        }
    }

    /// Returns the next bytes of the present part; `None` at its end.
    ///
    /// # Errors
    /// See [`Error`]. After one, nothing more comes.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.state != State::Body {
            return Ok(None);
        }
        let result = self.read_chunk().await;
        if result.is_err() {
            self.state = State::End;
        }
        result
    }

    async fn read_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let (before, delimiter) = self.scan(0);
            if before > 0 {
                return Ok(Some(self.buffer.split_to(before)));
            }
            match delimiter {
                Delimiter::Next(length) => {
                    self.drop_front(length);
                    self.state = State::Between;
                    return Ok(None);
                }
                Delimiter::Last => {
                    self.state = State::End;
                    return Ok(None);
                }
                _ if self.ended => return Err(Error::CutOff { part: self.parts }),
                _ => self.fill().await?,
            }
        }
    }
}

/// The boundary of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// Draws a boundary.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut drawn = [0_u8; 20];
        getrandom::fill(&mut drawn)?;
        Ok(Self(hex::encode(drawn)))
    }

    /// Returns the `Content-Type` of an answer whose parts are of one type.
    pub fn content_type(&self, part_type: &str) -> String {
        format!("multipart/related; type=\"{part_type}\"; boundary={}", self.0)
    }

    /// Returns what stands before the body of a part.
    pub fn open(&self, first: bool, content_type: &str, content_location: Option<&str>) -> Bytes {
        let lead = if first { "" } else { "\r\n" };
        let location = content_location.map_or_else(String::new, |url| format!("\r\nContent-Location: {url}"));
        Bytes::from(format!(
            "{lead}--{}\r\nContent-Type: {content_type}{location}\r\n\r\n",
            self.0
        ))
    }

    /// Returns what ends the answer. Only sent when everything before it was: a broken answer ends without it.
    pub fn close(&self) -> Bytes {
        Bytes::from(format!("\r\n--{}--\r\n", self.0))
    }
}

#[cfg(test)]
mod tests;
