//! Seals: each covers the events behind the ones before, and names the seal before it. So a change of any sealed event
//! changes every seal behind it. A later seal that was noted elsewhere shows that.

use serde_json::{Value, json};

use super::digest::Digest;
use crate::time::Timestamp;

/// Most events under one seal.
pub const SEALED_MAX: usize = 10_000;

/// The first line of what a seal's hash is of.
const FORM: &str = "onhook-seal-1";

/// A seal over events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Its number, from 1.
    pub batch: u64,
    /// The position of its first event.
    pub first: u64,
    /// The position of its last event.
    pub last: u64,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// The digest of its events' digests.
    pub root: Digest,
    /// The hash of the seal before it: zeros for the first.
    pub previous: Digest,
    /// The hash of all that.
    pub hash: Digest,
}

impl Seal {
    /// Returns the seal behind `before` over events with these digests. There must be some.
    #[must_use]
    pub fn over(before: Option<&Seal>, digests: &[Digest], sealed_at: Timestamp) -> Self {
        let (batch, end, previous) =
            before.map_or((1, 0, Digest::default()), |before| (before.batch + 1, before.last, before.hash));
        let count = u64::try_from(digests.len()).unwrap_or(u64::MAX);
        let (first, last) = (end + 1, end.saturating_add(count));
        let root = Digest::of_all(digests);
        let seal = Self { batch, first, last, sealed_at, root, previous, hash: Digest::default() };
        Self { hash: seal.computed_hash(), ..seal }
    }

    /// Returns the hash that it must have.
    #[must_use]
    pub fn computed_hash(&self) -> Digest {
        let Self { batch, first, last, sealed_at, root, previous, .. } = self;
        Digest::of(format!("{FORM}\n{batch}\n{first}\n{last}\n{sealed_at}\n{root}\n{previous}\n"))
    }

    /// Returns the seal as it is shown.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({
            "batch": self.batch.to_string(),
            "first": self.first.to_string(),
            "last": self.last.to_string(),
            "sealed_at": self.sealed_at.to_string(),
            "root": self.root.to_string(),
            "previous": self.previous.to_string(),
            "hash": self.hash.to_string(),
        })
    }

    /// Reads a seal as it is shown. `None` if it is none.
    #[must_use]
    pub fn read(shown: &Value) -> Option<Self> {
        fn key<T: std::str::FromStr>(shown: &Value, key: &str) -> Option<T> {
            shown.get(key)?.as_str()?.parse().ok()
        }
        Some(Self {
            batch: key(shown, "batch")?,
            first: key(shown, "first")?,
            last: key(shown, "last")?,
            sealed_at: key(shown, "sealed_at")?,
            root: key(shown, "root")?,
            previous: key(shown, "previous")?,
            hash: key(shown, "hash")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_s_hash_is_of_its_lines_and_the_next_one_names_it() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let first = Seal::over(None, &[Digest::of("a"), Digest::of("b")], at);
        assert_eq!((first.batch, first.first, first.last), (1, 1, 2));
        let zeros = format!("sha256:{}", "0".repeat(64));
        let text = format!("onhook-seal-1\n1\n1\n2\n2023-11-14T22:13:20.000Z\n{}\n{zeros}\n", first.root);
        assert_eq!(first.hash, Digest::of(text));
        let second = Seal::over(Some(&first), &[Digest::of("c")], at);
        assert_eq!((second.batch, second.first, second.last, second.previous), (2, 3, 3, first.hash));
        assert_eq!(Seal::read(&second.shown()), Some(second));
    }
}
