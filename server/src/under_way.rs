//! Requests with a key that are under way in this process.
//!
//! This only makes a second one end sooner. That no request is done twice is the matter of the store, which several
//! processes share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A user's name and a key.
type Named = (Arc<str>, Arc<str>);

/// Requests with a key that are under way.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashSet<Named>>);

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    all: &'a UnderWay,
    named: Named,
}

impl UnderWay {
    /// Notes that a request begins. `None` if another one of the same user has the same key.
    pub(crate) fn begin(&self, user: Arc<str>, key: Arc<str>) -> Option<Begun<'_>> {
        let named = (user, key);
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(named.clone());
        new.then_some(Begun { all: self, named })
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_under_way_once_for_each_user() {
        let all = UnderWay::default();
        let begin = |user: &str| all.begin(user.into(), "k".into());
        let first = begin("a");
        assert!(first.is_some() && begin("a").is_none() && begin("b").is_some());
        drop(first);
        assert!(begin("a").is_some());
    }
}
