//! The last callbacks: what was sent to receivers, and what the emulator's own receiver got from elsewhere.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use onhook_core::time::Timestamp;
use serde_json::{Map, Value, json};

/// Most callbacks that are kept.
const CALLBACKS_MAX: usize = 10_000;
/// Most bytes that they take.
const BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// An attempt to tell a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// When it was made, by the emulator's clock.
    pub(crate) at: Timestamp,
    /// The receiver's URL.
    pub(crate) receiver: String,
    /// The order that it is about, if it is about one.
    pub(crate) order: Option<String>,
    /// Its headers.
    pub(crate) headers: Map<String, Value>,
    /// Its body.
    pub(crate) body: String,
    /// What became of it, in words.
    pub(crate) outcome: String,
    /// The status of the receiver's answer, if it gave one.
    pub(crate) status: Option<u16>,
    /// The fault that acted on it.
    pub(crate) fault: Option<String>,
}

impl Told {
    fn bytes(&self) -> usize {
        self.receiver.len() + self.body.len() + Value::Object(self.headers.clone()).to_string().len()
    }

    /// Returns it as a document.
    pub(crate) fn document(&self, id: u64) -> Value {
        json!({
            "id": id.to_string(), "at": self.at.to_string(), "receiver": self.receiver, "order": self.order,
            "headers": self.headers, "body": self.body, "outcome": self.outcome, "status": self.status,
            "fault": self.fault,
        })
    }
}

/// The callbacks that are kept, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Callbacks(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    kept: VecDeque<(u64, Told)>,
    bytes: usize,
    last: u64,
}

impl Callbacks {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a callback. The oldest ones go when there are too many.
    pub(crate) fn keep(&self, told: Told) {
        let mut inside = self.inside();
        inside.last += 1;
        inside.bytes += told.bytes();
        let id = inside.last;
        inside.kept.push_back((id, told));
        while inside.kept.len() > CALLBACKS_MAX || inside.bytes > BYTES_MAX {
            let Some((_, oldest)) = inside.kept.pop_front() else { break };
            inside.bytes -= oldest.bytes();
        }
    }

    /// Returns the callbacks that are meant, newest first, from before the one with the id `before`, at most `size`.
    pub(crate) fn find(
        &self,
        before: Option<u64>,
        size: usize,
        is_meant: impl Fn(&Told) -> bool,
    ) -> Vec<(u64, Told)> {
        let inside = self.inside();
        let newest = inside.kept.iter().rev();
        let behind = newest.filter(|(id, _)| before.is_none_or(|before| *id < before));
        behind.filter(|(_, told)| is_meant(told)).take(size).cloned().collect()
    }

    /// Forgets all of them.
    pub(crate) fn forget(&self) {
        *self.inside() = Inside::default();
    }
}
