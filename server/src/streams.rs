//! How many streams of events a node has at a time, and a user of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most streams of a node.
const ALL_MAX: usize = 100;

/// Most streams of a user.
const EACH_MAX: usize = 10;

/// The streams that are open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Arc<Mutex<HashMap<String, usize>>>,
}

/// An open stream. Its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    open: Arc<Mutex<HashMap<String, usize>>>,
    user: String,
}

impl Streams {
    /// Opens a stream for a user. `None` if the node or the user has the most there may be.
    pub(crate) fn open(&self, user: &str) -> Option<Open> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.get(user).copied().unwrap_or(0);
        if theirs >= EACH_MAX || open.values().sum::<usize>() >= ALL_MAX {
            return None;
        }
        open.insert(user.to_owned(), theirs + 1);
        Some(Open { open: self.open.clone(), user: user.to_owned() })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = open.get_mut(&self.user) {
            *theirs -= 1;
            if *theirs == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_and_a_user_have_only_so_many() {
        let streams = Streams::default();
        let mut mine: Vec<Open> = (0..EACH_MAX).map(|_| streams.open("one").unwrap()).collect();
        assert!(streams.open("one").is_none());
        let _others: Vec<Open> =
            (EACH_MAX..ALL_MAX).map(|n| streams.open(&format!("user {}", n / EACH_MAX)).unwrap()).collect();
        assert!(streams.open("another").is_none());
        mine.pop();
        assert!(streams.open("another").is_some());
        assert!(streams.open("one").is_some());
    }
}
