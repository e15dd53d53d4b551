//! Requests with a key that are under way in this process, and replies of the emulator's controls.
//!
//! The first only makes a second one end sooner. That no request is done twice is the matter of the store, which several
//! processes share. An emulator's controls change nothing in the store, and an emulator is one process.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use onhook_store::contract::once::Kept;

/// Most replies of the emulator's controls that are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// A user's name and a key.
type Named = (Arc<str>, Arc<str>);

/// Requests with a key that are under way, and replies that are remembered.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    begun: Mutex<HashSet<Named>>,
    done: Mutex<VecDeque<(Named, Kept)>>,
}

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
        let new = self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(named.clone());
        new.then_some(Begun { all: self, named })
    }

    /// Remembers the reply to a request of the emulator's controls, and forgets the oldest one if there are too many.
    pub(crate) fn remember(&self, user: Arc<str>, key: Arc<str>, kept: Kept) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.len() == REMEMBERED_MAX {
            done.pop_front();
        }
        done.push_back(((user, key), kept));
    }

    /// Forgets the replies to requests of the emulator's controls.
    pub(crate) fn forget(&self) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns what was replied to a request of the emulator's controls.
    pub(crate) fn remembered(&self, user: &str, key: &str) -> Option<Kept> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let found = done.iter().rev().find(|((of, named), _)| **of == *user && **named == *key);
        found.map(|(_, kept)| kept.clone())
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.all.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.named);
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
