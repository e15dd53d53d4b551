//! The keys under which controls were asked for, in memory: a move of the clock that is sent again moves it once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderName, StatusCode};

use crate::http::reply::Reply;

/// Most keys that are remembered. Beyond them the oldest is forgotten.
const KEYS_MAX: usize = 10_000;
/// Header of a reply that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The keys, with what was answered.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    known: HashMap<String, Known>,
    oldest: VecDeque<String>,
}

/// A request under a key.
#[derive(Debug)]
struct Known {
    /// What tells it from another request.
    digest: [u8; 32],
    /// Its reply: status and JSON. `None` while it runs.
    reply: Option<(StatusCode, String)>,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum Begun<'a> {
    /// Nothing: the request is to be done, and its reply kept.
    New(Running<'a>),
    /// It was answered so.
    Again(Reply),
    /// It belongs to another request.
    Reused,
    /// The request under it still runs.
    InUse,
}

/// A request that runs under a key. If no reply is kept, the key is free again.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    keys: &'a Keys,
    key: Option<String>,
}

impl Keys {
    /// Begins a request under a key.
    pub(crate) fn begin(&self, key: &str, digest: [u8; 32]) -> Begun<'_> {
        let mut inside = self.inside();
        match inside.known.get(key) {
            None => {
                inside.known.insert(key.to_owned(), Known { digest, reply: None });
                Begun::New(Running { keys: self, key: Some(key.to_owned()) })
            }
            Some(known) if known.digest != digest => Begun::Reused,
            Some(Known { reply: None, .. }) => Begun::InUse,
            Some(Known { reply: Some((status, body)), .. }) => {
                let reply = Reply::typed(*status, crate::http::reply::JSON, body.clone());
                Begun::Again(reply.with(REPLAYED, "true"))
            }
        }
    }

    /// Forgets all keys.
    pub(crate) fn forget(&self) {
        *self.inside() = Inside::default();
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running<'_> {
    /// Keeps the reply to the request.
    pub(crate) fn keep(mut self, reply: &Reply) {
        let Some(key) = self.key.take() else { return };
        let body = reply.content().map_or_else(String::new, |(_, body)| body.to_owned());
        let mut inside = self.keys.inside();
        if let Some(known) = inside.known.get_mut(&key) {
            known.reply = Some((reply.status(), body));
            inside.oldest.push_back(key);
        }
        if inside.oldest.len() > KEYS_MAX
            && let Some(oldest) = inside.oldest.pop_front()
        {
            inside.known.remove(&oldest);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.keys.inside().known.remove(&key);
        }
    }
}
