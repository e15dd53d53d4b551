//! A request that has passed everything before the handler.

use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;
use onhook_core::ids::AccountId;

use super::auth::Caller;

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
    /// Returns a parameter of the path. Empty if the route has none of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}
