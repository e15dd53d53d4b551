//! The URL of a callback, taken apart.

use std::net::IpAddr;

use onhook_core::notify::subscription::URL_MAX;
use url::{Host, Url};

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// Plain HTTP.
    Http,
}

/// The target of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The protocol.
    pub scheme: Scheme,
    /// The host in lower case, without a dot at its end. An address is without brackets.
    pub host: String,
    /// The host if it is an address, in whatever notation.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// Reads a URL strictly. Returns `None` if it is no URL for a callback. Readers of URLs disagree on backslashes,
    /// white space, names before an `@` and letters that look like others, so all of these are refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !plain || text.len() > URL_MAX {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        // Also an `@` with nothing before it, and slashes more than two, which the parser drops.
        let authority = text.split_once("://")?.1.split(['/', '?', '#']).next()?;
        if authority.is_empty()
            || authority.contains('@')
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return None;
        }
        let (host, address) = match url.host()? {
            Host::Domain(name) => (name.trim_end_matches('.').to_ascii_lowercase(), None),
            Host::Ipv4(ip) => (ip.to_string(), Some(IpAddr::V4(ip))),
            Host::Ipv6(ip) => (ip.to_string(), Some(IpAddr::V6(ip))),
        };
        let named = !host.is_empty() && host.len() <= 253 && !host.contains('%');
        let port = url.port_or_known_default().filter(|port| *port != 0)?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        named.then(|| Self { scheme, host, address, port, path: format!("{}{query}", url.path()) })
    }

    /// Returns whether the host is the machine's own name.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost")
    }

    /// Returns the value of a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match self.address {
            Some(IpAddr::V6(_)) => format!("[{}]", self.host),
            _ => self.host.clone(),
        };
        match (self.scheme, self.port) {
            (Scheme::Https, 443) | (Scheme::Http, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Returns host and port, by which deliveries are counted.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
