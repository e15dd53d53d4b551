//! Answers of handlers.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use onhook_core::time::Timestamp;

/// The type of XML documents.
pub(crate) const XML: &str = "application/xml; charset=utf-8";
/// The type of JSON documents.
pub(crate) const JSON: &str = "application/json";
/// The type of plain text.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// Headers that most answers have room for.
const HEADERS: usize = 4;
/// The challenge to a caller who has to sign in.
const CHALLENGE: &str = "Basic realm=\"onhook\"";

/// An answer: status, headers, body.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Content,
    /// True if the connection ends instead.
    cut: bool,
}

/// Marks a response that is not sent: the connection ends instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

/// The body of an answer.
#[derive(Debug)]
enum Content {
    /// It is there.
    Whole(Bytes),
    /// It is made while it is sent.
    Streamed(Body),
}

impl Reply {
    /// Returns an answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Content::Whole(Bytes::new()), cut: false }
    }

    /// Returns an answer that is never given: the connection ends instead.
    #[must_use]
    pub(crate) fn cut() -> Self {
        Self { cut: true, ..Self::empty(StatusCode::GATEWAY_TIMEOUT) }
    }

    /// Returns an answer with an XML document.
    #[must_use]
    pub fn xml(status: StatusCode, document: String) -> Self {
        Self::typed(status, XML, document)
    }

    /// Returns an answer with a JSON document.
    #[must_use]
    pub fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::typed(status, JSON, value.to_string())
    }

    /// Returns an answer with a JSON document that was kept as a text. An empty one is no body.
    #[must_use]
    pub(crate) fn kept(status: StatusCode, document: String) -> Self {
        if document.is_empty() { Self::empty(status) } else { Self::typed(status, JSON, document) }
    }

    /// Returns what a store keeps of the answer, if it says that something was done.
    pub(crate) fn to_keep(&self) -> Option<onhook_store::contract::once::Reply> {
        let location = self.headers.iter().find(|(name, _)| *name == header::LOCATION);
        let location = location.and_then(|(_, value)| value.to_str().ok()).map(str::to_owned);
        let Content::Whole(body) = &self.body else { return None };
        let body = str::from_utf8(body).ok()?.to_owned();
        let reply = onhook_store::contract::once::Reply { status: self.status.as_u16(), location, body };
        self.status.is_success().then_some(reply)
    }

    /// Returns an answer with plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::typed(status, TEXT, text.into())
    }

    /// Returns an answer with a body of any type.
    #[must_use]
    pub fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = Vec::with_capacity(HEADERS);
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        Self { status, headers, body: Content::Whole(body.into()), cut: false }
    }

    /// Returns an answer whose body is made while it is sent, in parts. If the stream fails, the connection is cut: the
    /// client so learns that the body is not whole.
    #[must_use]
    pub fn streamed(
        content_type: &'static str,
        parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self {
            status: StatusCode::OK,
            headers,
            body: Content::Streamed(Body::from_stream(parts)),
            cut: false,
        }
    }

    /// Returns the answer with a trailer: what is only known once the body is made. It is asked for at the body's end, and
    /// goes to clients that take trailers.
    #[must_use]
    pub(crate) fn ending_with(
        mut self,
        name: HeaderName,
        value: impl FnOnce() -> Option<HeaderValue> + Send + 'static,
    ) -> Self {
        self.headers.push((header::TRAILER, name.clone().into()));
        if let Content::Streamed(body) = self.body {
            let trailers = async move { Some(Ok(HeaderMap::from_iter(value().map(|value| (name, value))))) };
            self.body = Content::Streamed(Body::new(body.with_trailers(trailers)));
        }
        self
    }

    /// Returns the body as text, if it is there and is text.
    fn whole(&self) -> Option<&str> {
        match &self.body {
            Content::Whole(body) => str::from_utf8(body).ok(),
            Content::Streamed(_) => None,
        }
    }

    /// Returns 401 without a body, with the way to sign in.
    #[must_use]
    pub fn challenge() -> Self {
        Self::empty(StatusCode::UNAUTHORIZED).challenging()
    }

    /// Returns the answer with the way to sign in.
    #[must_use]
    pub fn challenging(self) -> Self {
        self.with(header::WWW_AUTHENTICATE, CHALLENGE)
    }

    /// Returns 429 as the API has it: no body, and when to come back, in seconds of the epoch. `now` is the system's
    /// time.
    #[must_use]
    pub fn too_many(now: Timestamp, seconds: u64) -> Self {
        let reset = now.millis() / 1_000 + i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        Self::empty(StatusCode::TOO_MANY_REQUESTS)
            .with(HeaderName::from_static("x-ratelimit-reset"), &reset.to_string())
            .with(header::RETRY_AFTER, &seconds.to_string())
    }

    /// Returns the answer with one more header. A value that cannot be a header is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Returns its type and its body, if it has one.
    pub(crate) fn content(&self) -> Option<(&str, &str)> {
        let named = self.headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
        named.and_then(|(_, value)| value.to_str().ok()).zip(self.whole())
    }

    /// Returns the body if it is an XML document.
    pub(crate) fn xml_document(&self) -> Option<&str> {
        let is_xml = self.headers.iter().any(|(name, value)| *name == header::CONTENT_TYPE && *value == XML);
        self.whole().filter(|_| is_xml)
    }

    /// Returns the answer with a JSON document in its body.
    #[must_use]
    pub(crate) fn made_json(mut self, document: String) -> Self {
        for (name, value) in &mut self.headers {
            if *name == header::CONTENT_TYPE {
                *value = HeaderValue::from_static(JSON);
            }
        }
        self.body = Content::Whole(document.into());
        self
    }

    /// Returns its headers.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Returns its body, if it is there.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Content::Whole(body) => Some(body),
            Content::Streamed(_) => None,
        }
    }

    /// Returns its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Reply> for http::Response<Body> {
    fn from(reply: Reply) -> Self {
        let mut response = http::Response::new(match reply.body {
            Content::Whole(body) => Body::from(body),
            Content::Streamed(body) => body,
        });
        *response.status_mut() = reply.status;
        response.headers_mut().extend(reply.headers);
        if reply.cut {
            response.extensions_mut().insert(Cut);
        }
        response
    }
}
