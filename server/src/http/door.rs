//! A door: the form in which a part of the server reads and writes, and how it refuses.
//!
//! The gate asks a route's door. A door's dialects, documents and codes are not known here.

use http::HeaderMap;
use onhook_core::time::Timestamp;

use super::accept::Form;
use super::doc::{Media, Parameter, Shape};
use super::refusal::Refusal;
use super::reply::Reply;

/// The bodies that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Their content types.
    pub types: &'static [&'static str],
    /// The types as a client is told of them.
    pub wanted: &'static str,
    /// True if XML is taken without a type: one client names none.
    pub untyped_xml: bool,
}

/// How a part of the server reads, writes and refuses.
pub trait Door: Send + Sync {
    /// Returns the bodies that are taken under a prefix.
    fn takes(&self, prefix: Option<&'static str>) -> Takes;

    /// Returns a refusal in this door's words.
    fn refuse(&self, refusal: Refusal) -> Reply;

    /// Returns a reply that asks the caller to sign in.
    fn challenge(&self) -> Reply {
        Reply::challenge()
    }

    /// Returns the reply to a caller who asks too often, with the seconds to wait. `now` is the system's time.
    fn too_many(&self, now: Timestamp, seconds: u64) -> Reply {
        Reply::too_many(now, seconds)
    }

    /// Returns a refusal that an emulator was asked for, with the text of its code or status unless another is given.
    /// `None` if this door knows no such code.
    fn on_demand(&self, _status: u16, _code: Option<u16>, _text: Option<String>) -> Option<Reply> {
        None
    }

    /// Returns the form in which a request under this prefix wants its reply.
    fn form(&self, _prefix: Option<&'static str>, _headers: &HeaderMap) -> Form {
        Form::Fixed
    }

    /// Returns what a name in the paths of this door's routes means. `None` if it is in no path.
    fn parameter(&self, name: &str) -> Option<Parameter>;

    /// Returns a described body in each type in which this door takes or returns it.
    fn media(&self, shape: Shape) -> Vec<Media> {
        vec![shape.into()]
    }

    /// Turns a reply into JSON, if this door can.
    fn made_json(&self, reply: Reply) -> Reply {
        reply
    }
}
