//! A request that has passed everything before the handler.

use bytes::Bytes;
use http::HeaderMap;
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::{Author, Credential, Provenance};

use super::auth::{Caller, is_token};
use super::incoming::Incoming;
use super::origin::Origin;

/// A request and its caller.
#[derive(Debug)]
pub struct Call {
    /// The caller. It has no name if the route needs nothing.
    pub caller: Caller,
    /// The path's account, if it has one.
    pub account: Option<AccountId>,
    /// The prefix of its path. `None` outside the API.
    pub prefix: Option<&'static str>,
    /// Where it is from.
    pub from: Origin,
    /// The path's parameters by name, decoded, in the case in which they were sent.
    pub params: Vec<(&'static str, String)>,
    /// The query's names and values, decoded.
    pub pairs: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it was sent. Empty if the route takes none, or reads it while it arrives.
    pub body: Bytes,
    /// Its body while it arrives, if the route reads it so ([`Route::streaming`](super::route::Route::streaming)).
    pub incoming: Incoming,
}

impl Call {
    /// Returns under what the caller acts, and why if it says so.
    #[must_use]
    pub fn under(&self, reason: Option<&str>) -> Provenance {
        let signed_in = || if is_token(&self.headers) { Credential::Token } else { Credential::Basic };
        Provenance {
            credential: Some(self.from.machine().unwrap_or_else(signed_in)),
            address: self.from.address(),
            reason: reason.map(Into::into),
            plan: None,
        }
    }

    /// Returns the caller, with under what it acts.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { user: self.caller.user.to_string(), under: self.under(None) }
    }

    /// Returns a parameter of the path. Empty if the route has none of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}
