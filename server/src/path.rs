//! Every route of the API answers under several prefixes, without regard to the case of its segments
//! (contract: decision 1). Both are settled here, once, before routing.

use std::borrow::Cow;
use std::net::IpAddr;

use http::Uri;
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
pub const PREFIXES: [Prefix; 7] = [
    Prefix { text: "/api/v1.0", dialect: Dialect::V1 },
    Prefix { text: "/api/v1", dialect: Dialect::V1 },
    Prefix { text: "/api/v2", dialect: Dialect::V2 },
    Prefix { text: "/api", dialect: Dialect::V1 },
    Prefix { text: "/v1.0/api", dialect: Dialect::V1 },
    Prefix { text: "/v1.0", dialect: Dialect::V1 },
    Prefix { text: "/v1", dialect: Dialect::V1 },
];

/// Inside the router all routes of the API stand under this, whatever their prefix was.
pub const API: &str = "/api";

impl Prefix {
    /// The prefix of links in lists. It ends in `/v1.0`, because a client strips everything up to that
    /// (contract: decision 9).
    #[must_use]
    pub fn for_links(self) -> &'static str {
        if self.text.ends_with("/v1.0") { self.text } else { "/v1.0" }
    }
}

/// The prefix of a path, and the path as the router knows it: in lower case, without a slash at its end,
/// under [`API`]. None for what is not the API's.
#[must_use]
pub fn split(path: &str) -> Option<(Prefix, Cow<'_, str>)> {
    let begins =
        |prefix: &str| path.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let prefix = PREFIXES
        .into_iter()
        .find(|prefix| begins(prefix.text) && path[prefix.text.len()..].starts_with('/'))?;
    let rest = behind(prefix, path);
    let known = prefix.text == API && path.len() == API.len() + rest.len();
    Some(match known && !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => (prefix, Cow::Borrowed(path)),
        false => (prefix, Cow::Owned(format!("{API}{}", rest.to_ascii_lowercase()))),
    })
}

/// What stands behind a prefix that [`split`] found in a path, without a slash at its end.
fn behind(prefix: Prefix, path: &str) -> &str {
    let rest = path.get(prefix.text.len()..).unwrap_or_default();
    rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest)
}

/// A request's address as it was sent, and from where: the router only sees it in the form that [`split`]
/// gives it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The whole address. What its path says stands in its own case there: a name of a user is not the same
    /// in another.
    pub uri: Uri,
    /// The prefix that it came under; none for what is not the API's.
    pub prefix: Option<Prefix>,
    /// The address of whoever is at the other end of the connection.
    pub from: IpAddr,
}

impl Sent {
    /// The parts of the path by the names that a route's path has for them, decoded. None when one of them is
    /// no text, which leads nowhere.
    #[must_use]
    pub fn parts(&self, route: &'static str) -> Option<Vec<(&'static str, String)>> {
        let path = self.uri.path();
        let path = self.prefix.map_or(path, |prefix| behind(prefix, path));
        let named = route.split('/').zip(path.split('/')).filter_map(|(name, part)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            let part = percent_encoding::percent_decode_str(part).decode_utf8().ok();
            Some(part.map(|part| (name, part.into_owned())))
        });
        named.collect()
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
            ("/v1.0/api/accounts/9/sites", "/v1.0/api", "/api/accounts/9/sites"),
            ("/V1.0/API/tns/", "/v1.0/api", "/api/tns"),
            ("/v1.0/apis", "/v1.0", "/api/apis"),
            ("/v1/tns", "/v1", "/api/tns"),
            ("/v1/tns/", "/v1", "/api/tns"),
            ("/api/v2/tns", "/api/v2", "/api/tns"),
        ] {
            let (found, rest) = split(path).unwrap();
            assert_eq!((found.text, &*rest), (prefix, inside));
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
        let parts = |path: &'static str, prefix| {
            Sent { uri: Uri::from_static(path), prefix, from: [127, 0, 0, 1].into() }
                .parts("/accounts/{account}/users/{user}")
        };
        let (account, user) = (("account", "9".to_owned()), ("user", "Büro/B".to_owned()));
        assert_eq!(parts(path, Some(prefix)), Some(vec![account.clone(), user.clone()]));
        assert_eq!(parts("/accounts/9/users/B%C3%BCro%2FB", None), Some(vec![account, user]));
        assert_eq!(parts("/api/v1/accounts/9/users/%FF", Some(prefix)), None);
    }

    #[test]
    fn a_path_that_the_router_knows_is_left_as_it_is() {
        for (path, left) in [
            ("/api/accounts/9/disconnects", true),
            ("/api/accounts/9/disconnects/", false),
            ("/api/accounts/9/discNumbers", false),
            ("/API/accounts/9/disconnects", false),
            ("/api/v1.0/accounts/9/disconnects", false),
        ] {
            assert_eq!(matches!(split(path), Some((_, Cow::Borrowed(_)))), left, "{path}");
        }
    }

    #[test]
    fn links_hold_what_a_client_strips() {
        let links: Vec<_> = PREFIXES.iter().map(|prefix| prefix.for_links()).collect();
        assert_eq!(links, ["/api/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0"]);
    }
}
