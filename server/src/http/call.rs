//! A request that has passed all that stands before the handler.

use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;
use onhook_core::ids::AccountId;

use super::auth::Caller;

/// What is asked, and by whom.
#[derive(Debug)]
pub struct Call {
    /// Who asks; a caller without a name where a route needs nothing.
    pub caller: Caller,
    /// The path's account, where it has one.
    pub account: Option<AccountId>,
    /// The prefix that it came under; none outside of the API.
    pub prefix: Option<&'static str>,
    /// The address that it came from.
    pub from: IpAddr,
    /// The path's parts by name, decoded, in the case in which they were sent.
    pub params: Vec<(&'static str, String)>,
    /// The query's names and values, decoded.
    pub pairs: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it was sent; empty for what is only read.
    pub body: Bytes,
}

impl Call {
    /// A part of the path; empty where the route has none of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}
