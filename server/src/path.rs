//! Every route of the API answers under several prefixes, without regard to the case of its segments
//! (contract: decision 1). Both are settled here, once, before routing.

use onhook_wire::dialect::Dialect;

/// A prefix of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// As it stands in a path.
    pub text: &'static str,
    /// What is spoken under it.
    pub dialect: Dialect,
}

/// All prefixes; of two that fit, the longer one comes first.
pub const PREFIXES: [Prefix; 6] = [
    Prefix { text: "/api/v1.0", dialect: Dialect::V1 },
    Prefix { text: "/api/v1", dialect: Dialect::V1 },
    Prefix { text: "/api/v2", dialect: Dialect::V2 },
    Prefix { text: "/api", dialect: Dialect::V1 },
    Prefix { text: "/v1.0", dialect: Dialect::V1 },
    Prefix { text: "/v1", dialect: Dialect::V1 },
];

/// Inside the router all routes of the API stand under this, whatever their prefix was.
pub const API: &str = "/api";

impl Prefix {
    /// The prefix of links in lists: where the request's has no `/v1.0`, that one, because a client
    /// strips everything up to it (contract: decision 9).
    #[must_use]
    pub fn for_links(self) -> &'static str {
        if self.text.contains("/v1.0") { self.text } else { "/v1.0" }
    }
}

/// The prefix of a path, and the path as the router knows it: in lower case, without a slash at its end,
/// under [`API`]. None for what is not the API's.
#[must_use]
pub fn split(path: &str) -> Option<(Prefix, String)> {
    let lower = path.to_ascii_lowercase();
    let (prefix, rest) = PREFIXES.iter().find_map(|prefix| {
        let rest = lower.strip_prefix(prefix.text)?;
        rest.starts_with('/').then_some((*prefix, rest))
    })?;
    let rest = rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest);
    Some((prefix, format!("{API}{rest}")))
}

/// A path as it was sent, without its prefix and without a slash at its end: what it says stands in its own
/// case there. A name of a user is not the same in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsSent(pub String);

impl AsSent {
    /// The path behind a prefix that [`split`] found in it.
    #[must_use]
    pub fn behind(prefix: Prefix, path: &str) -> Self {
        let rest = path.get(prefix.text.len()..).unwrap_or_default();
        Self(rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest).to_owned())
    }

    /// The parts of the path by the names that a route's path has for them, decoded. One that is no text is
    /// left out.
    pub fn parts<'a>(&self, route: &'a str) -> impl Iterator<Item = (&'a str, String)> {
        route.split('/').zip(self.0.split('/')).filter_map(|(name, part)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            let part = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
            Some((name, part.into_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prefix_leads_to_the_same_route() {
        for (path, prefix, inside) in [
            ("/api/accounts/9/disconnects", "/api", "/api/accounts/9/disconnects"),
            ("/API/V1.0/Accounts/9/discNumbers", "/api/v1.0", "/api/accounts/9/discnumbers"),
            ("/v1.0/tns/5405514342", "/v1.0", "/api/tns/5405514342"),
            ("/v1/tns", "/v1", "/api/tns"),
            ("/v1/tns/", "/v1", "/api/tns"),
            ("/api/v2/tns", "/api/v2", "/api/tns"),
        ] {
            let (found, rest) = split(path).unwrap();
            assert_eq!((found.text, rest.as_str()), (prefix, inside));
        }
        for path in
            ["/", "/api", "/accounts/9/disconnects", "/apix/tns", "/healthz", "/ops/v1/numbers", "/v2/tns"]
        {
            assert_eq!(split(path), None, "{path}");
        }
        // What follows a prefix is never read as another one: the router has no such route.
        assert_eq!(split("/api/v3/tns").unwrap().1, "/api/v3/tns");
    }

    #[test]
    fn what_a_path_says_keeps_its_case() {
        let path = "/API/v1/Accounts/9/USERS/B%C3%BCro%2FB/";
        let (prefix, inside) = split(path).unwrap();
        assert_eq!(inside, "/api/accounts/9/users/b%c3%bcro%2fb");
        let sent = AsSent::behind(prefix, path);
        assert_eq!(sent.0, "/Accounts/9/USERS/B%C3%BCro%2FB");
        let parts: Vec<_> = sent.parts("/accounts/{account}/users/{user}").collect();
        assert_eq!(parts, [("account", "9".to_owned()), ("user", "Büro/B".to_owned())]);
        assert_eq!(AsSent("/users/%FF".into()).parts("/users/{user}").count(), 0);
    }

    #[test]
    fn links_hold_what_a_client_strips() {
        let links: Vec<_> = PREFIXES.iter().map(|prefix| prefix.for_links()).collect();
        assert_eq!(links, ["/api/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0"]);
    }
}
