//! A request that has passed everything before the handler.

use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::{Author, Credential, Doer, Provenance};
use onhook_core::time::Timestamp;

use super::auth::{Caller, is_token};

/// A request and its caller.
#[derive(Debug)]
pub struct Call {
    /// The caller. It has no name if the route needs nothing.
    pub caller: Caller,
    /// The path's account, if it has one.
    pub account: Option<AccountId>,
    /// The prefix of its path. `None` outside the API.
    pub prefix: Option<&'static str>,
    /// The client's address.
    pub from: IpAddr,
    /// The path's parameters by name, decoded, in the case in which they were sent.
    pub params: Vec<(&'static str, String)>,
    /// The query's names and values, decoded.
    pub pairs: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it was sent. Empty if the route takes none.
    pub body: Bytes,
}

impl Call {
    /// Returns under what the caller acts, and why if it says so.
    #[must_use]
    pub fn under(&self, reason: Option<&str>) -> Provenance {
        let credential = if is_token(&self.headers) { Credential::Token } else { Credential::Basic };
        Provenance {
            credential: Some(credential),
            address: Some(self.from.to_string().into()),
            reason: reason.map(Into::into),
            plan: None,
        }
    }

    /// Returns the caller, with under what it acts.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { user: self.caller.user.to_string(), under: self.under(None) }
    }

    /// Returns the caller as one who acts at `now`.
    #[must_use]
    pub fn doer(&self, now: Timestamp) -> Doer {
        Doer { author: self.author(), now }
    }

    /// Returns a parameter of the path. Empty if the route has none of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}
