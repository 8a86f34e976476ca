//! The HTTP side: one client, answers read whole, nothing followed or corrected behind the back of a case.

use crate::dicom_json::Row;
use crate::multipart::{self, Body, Part};
use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Media types that the cases ask for.
pub mod media {
    #![expect(missing_docs, reason = "the names say it")]
    pub const JSON: &str = "application/dicom+json";
    pub const INSTANCES: &str = "multipart/related; type=\"application/dicom\"";
    pub const INSTANCES_AS_STORED: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    pub const FRAMES: &str = "multipart/related; type=\"application/octet-stream\"";
    pub const FRAMES_AS_STORED: &str = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"";
}

/// Makes the process-wide choice of cryptography that TLS needs before the first client is built.
pub fn install_crypto_provider() {
    // A second call finds the first one's choice, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client of one archive, as one principal.
#[derive(Clone, Debug)]
pub struct Web {
    root: String,
    token: Option<String>,
    client: reqwest::Client,
}

impl Web {
    /// Returns a client of the service at `root`.
    ///
    /// # Errors
    /// When the TLS set-up of this machine cannot be used.
    pub fn new(root: &str, token: Option<&str>) -> Result<Self> {
        install_crypto_provider();
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(120))
            .build()?;
        Ok(Self {
            root: root.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned),
            client,
        })
    }

    /// Returns the same client as another principal; `None` is anonymous.
    pub fn speaking_as(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// Returns the root of the service.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Returns the URL of a path below the root; a URL that the archive itself gave is returned as it is.
    pub fn url(&self, path: &str) -> String {
        if path.starts_with("http://") || path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}{path}", self.root)
        }
    }

    /// Sends a GET with that Accept header.
    ///
    /// # Errors
    /// When no complete answer comes.
    pub async fn get(&self, path: &str, accept: &str) -> Result<Answer> {
        self.send(reqwest::Method::GET, path, &[("accept", accept)], Bytes::new())
            .await
    }

    /// Sends a request with headers and a body.
    ///
    /// # Errors
    /// When no complete answer comes.
    pub async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let url = self.url(path);
        let mut request = self.client.request(method.clone(), &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
        if !body.is_empty() || method == reqwest::Method::POST {
            request = request.body(body);
        }
        let shown = format!("{method} {path}");
        let response = request.send().await.with_context(|| format!("{shown}: no answer"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response
            .bytes()
            .await
            .with_context(|| format!("{shown}: the answer broke off"))?;
        Ok(Answer {
            request: shown,
            status,
            headers,
            body,
        })
    }

    /// Stores with STOW-RS; `study` is the Study Instance UID of the path, if any.
    ///
    /// # Errors
    /// When no complete answer comes.
    pub async fn store(&self, study: Option<&str>, body: Body) -> Result<Answer> {
        let path = study.map_or_else(|| "/studies".to_owned(), |study| format!("/studies/{study}"));
        let headers = [("content-type", body.content_type.as_str()), ("accept", media::JSON)];
        self.send(reqwest::Method::POST, &path, &headers, body.bytes).await
    }

    /// Searches and returns the rows; an empty answer (204) is an empty list.
    ///
    /// # Errors
    /// When the answer is not a success or no DICOM JSON.
    pub async fn search(&self, path_and_query: &str) -> Result<Vec<Row>> {
        let answer = self.get(path_and_query, media::JSON).await?;
        ensure!(answer.status == 200 || answer.status == 204, "{}", answer.seen());
        if answer.status == 204 {
            Ok(Vec::new())
        } else {
            answer.rows()
        }
    }
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// Returns the Content-Type.
    pub fn content_type(&self) -> String {
        self.header("content-type").unwrap_or_default().to_owned()
    }

    /// Returns a header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body as rows of DICOM JSON.
    ///
    /// # Errors
    /// When it is no array of data sets.
    pub fn rows(&self) -> Result<Vec<Row>> {
        Row::all(&self.body).with_context(|| self.seen())
    }

    /// Returns the body's parts.
    ///
    /// # Errors
    /// When it is no complete multipart body.
    pub fn parts(&self) -> Result<Vec<Part>> {
        let content_type = self.content_type();
        if multipart::essence(&content_type) != "multipart/related" {
            return Err(anyhow!("{}: not multipart/related", self.seen()));
        }
        multipart::parse(&content_type, &self.body).with_context(|| self.seen())
    }

    /// Returns the content of the first part; none is empty content.
    ///
    /// # Errors
    /// When it is no complete multipart body.
    pub fn first_part(&self) -> Result<Bytes> {
        Ok(self
            .parts()?
            .into_iter()
            .next()
            .map(|part| part.body)
            .unwrap_or_default())
    }

    /// Returns request, status and type in one line, for messages. Never the body: it may hold patient data.
    pub fn seen(&self) -> String {
        format!(
            "{} gave {} {} ({} bytes)",
            self.request,
            self.status,
            self.content_type(),
            self.body.len()
        )
    }

    /// Fails unless the status is the expected one.
    ///
    /// # Errors
    /// Names what was expected and what was seen.
    pub fn expect_status(&self, allowed: &[u16]) -> Result<()> {
        ensure!(allowed.contains(&self.status), "{}; expected {allowed:?}", self.seen());
        Ok(())
    }
}

/// Returns text as one component of a query, everything but unreserved characters percent-encoded.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_value_is_encoded_byte_by_byte() {
        assert_eq!(encoded("A^B*ü"), "A%5EB%2A%C3%BC");
    }
}
