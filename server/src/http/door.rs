//! A door: in which form a part of the server reads and writes, and how it refuses.
//!
//! The gate asks a route's door. What is behind a door (its dialects, its documents, its codes) is not known here.

use http::HeaderMap;
use onhook_core::time::Timestamp;

use super::accept::Form;
use super::refusal::Refusal;
use super::reply::Reply;

/// Which bodies are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Their content types.
    pub types: &'static [&'static str],
    /// How a client is told of these.
    pub wanted: &'static str,
    /// Whether XML is taken without a type: one client names none.
    pub untyped_xml: bool,
}

/// How a part of the server is spoken with.
pub trait Door: Send + Sync {
    /// Returns which bodies are taken under a prefix.
    fn takes(&self, prefix: Option<&'static str>) -> Takes;

    /// Says a refusal in this door's words.
    fn refuse(&self, refusal: Refusal) -> Reply;

    /// Asks the caller to sign in.
    fn challenge(&self) -> Reply {
        Reply::challenge()
    }

    /// Says how many seconds to wait, when somebody asks too often. `now` is the system's time.
    fn too_many(&self, now: Timestamp, seconds: u64) -> Reply {
        Reply::too_many(now, seconds)
    }

    /// Returns the form in which a request under this prefix wants its reply.
    fn form(&self, _prefix: Option<&'static str>, _headers: &HeaderMap) -> Form {
        Form::Fixed
    }

    /// Makes a reply JSON, if this door can.
    fn made_json(&self, reply: Reply) -> Reply {
        reply
    }
}
