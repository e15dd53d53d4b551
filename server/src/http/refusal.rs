//! Why a request is refused before its handler. Each door puts it in its own words.

use std::borrow::Cow;

use http::{StatusCode, header};
use onhook_store::StoreError;

use super::reply::Reply;
use crate::store_log;

/// Seconds after which a client that found the server busy may try again.
const RETRY_AFTER_S: u16 = 1;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller may not do this.
    Denied,
    /// The account, as it was sent, is not the caller's.
    NotYourAccount(String),
    /// There is nothing at this path.
    NoResource,
    /// The body has another type. These types are taken.
    ContentType(&'static str),
    /// The body has more bytes than this limit.
    BodyTooLarge(usize),
    /// The body did not arrive in time.
    BodyTimeout,
    /// Something else is wrong with the request.
    BadRequest(Cow<'static, str>),
    /// The request was not answered in time.
    Timeout,
    /// Too much is asked at this moment. Nothing was written.
    Busy,
    /// The server is at fault.
    Failed,
}

impl Refusal {
    /// Returns the refusal that a client gets for an error of the store. The cause is logged here, and not sent to the
    /// client.
    pub(crate) fn by_store(error: StoreError) -> Self {
        match error {
            StoreError::Full | StoreError::Closed => Refusal::Busy,
            StoreError::Unwritable(_) => {
                store_log::failed("a request was refused", &error);
                Refusal::Busy
            }
            StoreError::Conflict(why) => Refusal::BadRequest(why.into()),
            StoreError::KeyReused | StoreError::KeyTaken | StoreError::Import(_) | StoreError::LeaseLost => {
                Refusal::Failed
            }
            StoreError::Broken(_) => {
                store_log::failed("a request failed", &error);
                Refusal::Failed
            }
        }
    }

    /// Returns its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Denied | Refusal::NotYourAccount(_) => StatusCode::FORBIDDEN,
            Refusal::NoResource => StatusCode::NOT_FOUND,
            Refusal::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
            Refusal::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns a sentence for a door that has no words of its own for it.
    #[must_use]
    pub fn sentence(&self) -> Cow<'static, str> {
        match self {
            Refusal::Denied => "Access Denied".into(),
            Refusal::NotYourAccount(account) => {
                format!("Not authorized to perform operation on the account '{account}'").into()
            }
            Refusal::NoResource => "The resource does not exist".into(),
            Refusal::ContentType(wanted) => {
                format!("The content type is not supported; send {wanted}").into()
            }
            Refusal::BodyTooLarge(max) => format!("The body is longer than {max} bytes").into(),
            Refusal::BodyTimeout => "The body came too slowly".into(),
            Refusal::BadRequest(why) => {
                format!("Bad request encountered. Please check your request and try again. ({why})").into()
            }
            Refusal::Timeout => "Your request was not completed in time".into(),
            Refusal::Busy => "The server is busy, nothing was written. Please try again.".into(),
            Refusal::Failed => "Internal Server Error. Please try again.".into(),
        }
    }

    /// Returns the reply with the headers of this refusal, at any door.
    #[must_use]
    pub fn told_in(&self, reply: Reply) -> Reply {
        match self {
            Refusal::Busy => reply.with(header::RETRY_AFTER, &RETRY_AFTER_S.to_string()),
            // The rest of the body is not read, so the connection ends.
            Refusal::BodyTooLarge(_) | Refusal::BodyTimeout => reply.with(header::CONNECTION, "close"),
            _ => reply,
        }
    }
}
