//! What a handler answers with.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use onhook_store::StoreError;
use onhook_wire::error::{Family, Problem, Row};
use onhook_wire::json;

use crate::accept::Form;
use crate::trouble;

/// The type of XML documents.
const XML: &str = "application/xml; charset=utf-8";
/// Seconds after which a client that found the server busy may try again.
const RETRY_AFTER_S: u16 = 1;
/// The same where the server does not believe its clock, which takes a person, or a network's time, a while.
const CLOCK_RETRY_AFTER_S: u16 = 60;
/// Headers that most answers have room for.
const HEADERS: usize = 4;

/// An answer: status, headers, body.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// An XML document.
    #[must_use]
    pub fn xml(status: StatusCode, document: String) -> Self {
        Self::typed(status, XML, document)
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::typed(status, "application/json", value.to_string())
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::typed(status, "text/plain; charset=utf-8", text.into())
    }

    /// In the form that its client wants: an XML document is made JSON, anything else is as it is.
    #[must_use]
    pub(crate) fn in_form(mut self, form: Form) -> Self {
        if form == Form::Json
            && let Some((_, kind)) = self.headers.iter_mut().find(|(_, value)| value == XML)
        {
            // An answer that cannot be read back would be this program's own mistake; XML it can still be.
            match str::from_utf8(&self.body).ok().and_then(|document| json::from_xml(document).ok()) {
                Some(document) => {
                    *kind = HeaderValue::from_static("application/json");
                    self.body = document.into();
                }
                None => tracing::error!("an answer could not be made JSON"),
            }
        }
        match form {
            Form::Fixed => self,
            Form::Xml | Form::Json => self.with(header::VARY, "Accept"),
        }
    }

    fn typed(status: StatusCode, content_type: &'static str, body: String) -> Self {
        let mut headers = Vec::with_capacity(HEADERS);
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        Self { status, headers, body: body.into() }
    }

    /// With one header more; one that cannot be a header is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// What is wrong, in the form of a resource.
    #[must_use]
    pub fn problem(family: Family, problem: &Problem) -> Self {
        Self::refused(problem, family.body(problem, |_| {}))
    }

    /// What is wrong, as a problem document (RFC 9457).
    #[must_use]
    pub fn problem_document(problem: &Problem) -> Self {
        let Row { status, text, .. } = problem.row();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = status.canonical_reason().unwrap_or("Error");
        let body = serde_json::json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": text,
        });
        Self::typed(status, "application/problem+json", body.to_string()).telling(problem)
    }

    /// What is wrong, in OAuth2's words (RFC 6749, 5.2).
    #[must_use]
    pub fn oauth_problem(problem: &Problem) -> Self {
        let Row { status, text, .. } = problem.row();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = if status.is_client_error() { "invalid_request" } else { "temporarily_unavailable" };
        Self::json(status, &serde_json::json!({ "error": error, "error_description": text })).telling(problem)
    }

    /// What is wrong, with a body that says so.
    #[must_use]
    pub fn refused(problem: &Problem, body: String) -> Self {
        let status = StatusCode::from_u16(problem.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::xml(status, body).telling(problem)
    }

    /// With the headers that belong to a problem.
    fn telling(self, problem: &Problem) -> Self {
        match problem {
            Problem::Busy => self.with(header::RETRY_AFTER, &RETRY_AFTER_S.to_string()),
            Problem::Clock => self.with(header::RETRY_AFTER, &CLOCK_RETRY_AFTER_S.to_string()),
            // What is left of the body is not read; the connection ends with it.
            Problem::BodyTooLarge(_) | Problem::BodyTimeout => self.with(header::CONNECTION, "close"),
            _ => self,
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Reply> for http::Response<axum::body::Body> {
    fn from(reply: Reply) -> Self {
        let mut response = http::Response::new(axum::body::Body::from(reply.body));
        *response.status_mut() = reply.status;
        response.headers_mut().extend(reply.headers);
        response
    }
}

/// What the store's refusal is to a client. The cause is logged here and told to nobody.
pub fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::Full | StoreError::Closed => Problem::Busy,
        StoreError::Unwritable(_) => {
            trouble::store_failed("a request was refused", &error);
            Problem::Busy
        }
        StoreError::KeyReused => Problem::KeyReused(String::new()),
        StoreError::Conflict(why) => Problem::BadRequest(why),
        StoreError::Import(_) => Problem::Internal,
        StoreError::Broken(_) => {
            trouble::store_failed("a request failed", &error);
            Problem::Internal
        }
    }
}
