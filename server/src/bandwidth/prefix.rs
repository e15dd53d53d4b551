//! The API's prefixes. Every route answers under all of them (contract: decision 1), and the prefix sets the dialect.

use onhook_wire::dialect::Dialect;

use crate::http::path;

/// A prefix of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Its text in a path.
    pub text: &'static str,
    /// The dialect under it.
    pub dialect: Dialect,
}

/// All prefixes. If two fit a path, the longer one is listed first.
pub const PREFIXES: [Prefix; 7] = [
    Prefix { text: "/api/v1.0", dialect: Dialect::V1 },
    Prefix { text: "/api/v1", dialect: Dialect::V1 },
    Prefix { text: "/api/v2", dialect: Dialect::V2 },
    Prefix { text: "/api", dialect: Dialect::V1 },
    Prefix { text: "/v1.0/api", dialect: Dialect::V1 },
    Prefix { text: "/v1.0", dialect: Dialect::V1 },
    Prefix { text: "/v1", dialect: Dialect::V1 },
];

/// The texts of the prefixes, used to split a path.
pub(crate) const TEXTS: path::Prefixes = &{
    let mut texts = [""; PREFIXES.len()];
    let mut at = 0;
    while at < texts.len() {
        texts[at] = PREFIXES[at].text;
        at += 1;
    }
    texts
};

impl Prefix {
    /// Returns the prefix with this text, or `/api` if a path had none.
    #[must_use]
    pub fn of(text: Option<&str>) -> Self {
        PREFIXES.into_iter().find(|prefix| Some(prefix.text) == text).unwrap_or(PREFIXES[3])
    }

    /// Returns the prefix of links in lists. It ends in `/v1.0`, because a client strips everything up to that
    /// (contract: decision 9).
    #[must_use]
    pub fn for_links(self) -> &'static str {
        if self.text.ends_with("/v1.0") { self.text } else { "/v1.0" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_what_a_client_strips() {
        let links: Vec<_> = PREFIXES.iter().map(|prefix| prefix.for_links()).collect();
        assert_eq!(links, ["/api/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0", "/v1.0"]);
    }

    #[test]
    fn a_prefix_is_known_by_its_text() {
        for prefix in PREFIXES {
            assert_eq!(Prefix::of(Some(prefix.text)), prefix);
        }
        assert_eq!(Prefix::of(None).text, path::ROOT);
        assert!(
            TEXTS
                .iter()
                .enumerate()
                .all(|(n, text)| { TEXTS[..n].iter().all(|before| !text.starts_with(before)) })
        );
    }
}
