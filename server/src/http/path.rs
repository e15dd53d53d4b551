//! Prefixes and the case of paths. An API may answer under several prefixes, without regard to the case of its segments
//! (contract: decision 1). Both are settled here, once, before routing. The API itself lists its prefixes.

use std::borrow::Cow;

use http::Uri;

use super::origin::Origin;

/// The prefixes of an API. If two fit a path, the longer one is listed first. In routes, all of them are [`ROOT`].
pub type Prefixes = &'static [&'static str];

/// The prefix of all routes of the API inside the router, whatever the request's prefix was.
pub const ROOT: &str = "/api";

/// Returns the prefix of a path, and the path as the router knows it: in lower case, without a slash at its end, under
/// [`ROOT`]. `None` if the path is not the API's.
#[must_use]
pub fn split(prefixes: Prefixes, path: &str) -> Option<(&'static str, Cow<'_, str>)> {
    let begins =
        |prefix: &str| path.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let prefix = *prefixes.iter().find(|prefix| begins(prefix) && path[prefix.len()..].starts_with('/'))?;
    let rest = behind(prefix, path);
    let known = prefix == ROOT && path.len() == ROOT.len() + rest.len();
    let path = if known && !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("{ROOT}{}", rest.to_ascii_lowercase()))
    };
    Some((prefix, path))
}

/// Returns the rest of a path after a prefix that [`split`] found, without a slash at its end.
fn behind<'p>(prefix: &str, path: &'p str) -> &'p str {
    let rest = path.get(prefix.len()..).unwrap_or_default();
    rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest)
}

/// A request's address as it was sent, and where it is from. The router sees only the form that [`split`] returns.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The whole address. Its path keeps its case, which matters in a user's name.
    pub uri: Uri,
    /// The prefix of its path. `None` if the path is not the API's.
    pub prefix: Option<&'static str>,
    /// Where it is from.
    pub from: Origin,
}

impl Sent {
    /// Returns the parameters of the path by their names in the route's path, decoded. `None` if one of them is not
    /// text, or holds a NUL, which no database takes for text: that leads nowhere.
    #[must_use]
    pub fn parts(&self, route: &'static str) -> Option<Vec<(&'static str, String)>> {
        let path = self.uri.path();
        let path = self.prefix.map_or(path, |prefix| behind(prefix, path));
        let named = route.split('/').zip(path.split('/')).filter_map(|(name, part)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            let part = percent_encoding::percent_decode_str(part).decode_utf8().ok();
            let part = part.filter(|part| !part.contains('\0'));
            Some(part.map(|part| (name, part.into_owned())))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIXES: Prefixes = &["/api/v1.0", "/api/v1", "/api/v2", "/api", "/v1.0/api", "/v1.0", "/v1"];

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
            let (found, rest) = split(PREFIXES, path).unwrap();
            assert_eq!((found, &*rest), (prefix, inside));
        }
        for path in
            ["/", "/api", "/accounts/9/disconnects", "/apix/tns", "/healthz", "/ops/v1/numbers", "/v2/tns"]
        {
            assert_eq!(split(PREFIXES, path), None, "{path}");
        }
        // What follows a prefix is never read as another prefix: the router has no such route.
        assert_eq!(split(PREFIXES, "/api/v3/tns").unwrap().1, "/api/v3/tns");
    }

    #[test]
    fn what_a_path_says_keeps_its_case() {
        let path = "/API/v1/Accounts/9/USERS/B%C3%BCro%2FB/";
        let (prefix, inside) = split(PREFIXES, path).unwrap();
        assert_eq!(inside, "/api/accounts/9/users/b%c3%bcro%2fb");
        let parts = |path: &'static str, prefix| {
            Sent { uri: Uri::from_static(path), prefix, from: Origin::Process }
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
            assert_eq!(matches!(split(PREFIXES, path), Some((_, Cow::Borrowed(_)))), left, "{path}");
        }
    }
}
