//! multipart/related bodies (RFC 2046, RFC 2387; PS3.18 8.6.1), written and read as a careful peer does.

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;

/// A body to send and its Content-Type.
#[derive(Clone, Debug)]
pub struct Body {
    /// The value of the Content-Type header.
    pub content_type: String,
    /// The encoded body.
    pub bytes: Bytes,
}

/// Returns the usual STOW-RS body of Part 10 files.
pub fn of_files<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Body {
    let boundary = "isocenter-conformance-7d1c44e0a9f35b62";
    Body {
        content_type: format!("multipart/related; type=\"application/dicom\"; boundary={boundary}"),
        bytes: with_boundary(boundary, files),
    }
}

/// Returns the parts between delimiters of that boundary.
pub fn with_boundary<'a>(boundary: &str, files: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = Vec::new();
    for file in files {
        out.extend_from_slice(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").as_bytes());
        out.extend_from_slice(file);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out.into()
}

/// One part of an answer.
#[derive(Clone, Debug)]
pub struct Part {
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Bytes,
}

impl Part {
    /// Returns the value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Returns the parts of a multipart answer.
///
/// # Errors
/// When the boundary is missing, a part has no end, or the closing delimiter is missing: all of them mean a truncated answer.
pub fn parse(content_type: &str, body: &Bytes) -> Result<Vec<Part>> {
    let boundary = parameter(content_type, "boundary").ok_or_else(|| anyhow!("no boundary in `{content_type}`"))?;
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut at =
        find(body, delimiter.as_bytes(), 0).ok_or_else(|| anyhow!("the body holds no delimiter"))? + delimiter.len();
    let next = format!("\r\n--{boundary}");
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let line_end = find(body, b"\r\n", at).ok_or_else(|| anyhow!("a delimiter line has no end"))?;
        let head_end = find(body, b"\r\n\r\n", line_end).ok_or_else(|| anyhow!("the headers of a part have no end"))?;
        let start = head_end + 4;
        let end = find(body, next.as_bytes(), start.saturating_sub(2))
            .ok_or_else(|| anyhow!("the closing delimiter is missing"))?;
        let head = String::from_utf8_lossy(body.get(line_end..head_end).unwrap_or_default()).into_owned();
        let headers = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        ensure!(end >= start, "a part ends before it begins");
        parts.push(Part {
            headers,
            body: body.slice(start..end),
        });
        at = end + next.len();
    }
}

/// Returns a parameter of a media type, without its quotes.
pub fn parameter(content_type: &str, name: &str) -> Option<String> {
    // Boundaries of real servers hold no semicolon, and this reader only ever meets answers.
    content_type.split(';').skip(1).find_map(|piece| {
        let (key, value) = piece.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Returns a media type without its parameters, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = from;
    while let Some(step) = body.get(at..)?.iter().position(|&byte| byte == first) {
        at += step;
        if body.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_even_with_look_alikes_inside() {
        let body = of_files([b"one\r\n--isocenter".as_slice(), b"".as_slice(), b"\r\n".as_slice()]);
        let parts = parse(&body.content_type, &body.bytes).unwrap();
        assert_eq!(
            parts.iter().map(|part| part.body.as_ref()).collect::<Vec<_>>(),
            [b"one\r\n--isocenter".as_slice(), b"", b"\r\n"]
        );
        assert_eq!(parts[0].header("content-type"), Some("application/dicom"));
    }

    #[test]
    fn an_answer_without_its_closing_delimiter_is_an_error() {
        let body = of_files([b"one".as_slice()]);
        let cut = body.bytes.slice(..body.bytes.len() - 8);
        assert!(parse(&body.content_type, &cut).is_err());
    }
}
