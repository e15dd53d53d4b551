//! Log lines about a failing store: one in ten seconds, however many requests and workers it fails for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use onhook_store::StoreError;
use tracing::error;

/// The log lines about the store, from everything in this process.
static STORE: Rationed = Rationed::every(Duration::from_secs(10));

/// Log lines of one kind, of which a limited number is written.
pub(crate) struct Rationed {
    every: Duration,
    last: Mutex<Last>,
}

struct Last {
    at: Option<Instant>,
    left_out: u64,
}

impl Rationed {
    /// Returns a ration of at most one line in this time.
    pub(crate) const fn every(every: Duration) -> Self {
        Self { every, last: Mutex::new(Last { at: None, left_out: 0 }) }
    }

    /// Asks for a line. If it may be written, returns how many were left out since the last one. `None` if it is left
    /// out too.
    pub(crate) fn turn(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_some_and(|at| now.saturating_duration_since(at) < self.every) {
            last.left_out = last.left_out.saturating_add(1);
            return None;
        }
        last.at = Some(now);
        Some(std::mem::take(&mut last.left_out))
    }
}

/// Logs that the store did not do `what`, and why. Returns whether the line was written.
pub(crate) fn failed(what: &str, error: &StoreError) -> bool {
    let Some(left_out) = STORE.turn(Instant::now()) else { return false };
    let why = match error {
        StoreError::Broken(_) => format!("the store failed: {}", error.why()),
        other => other.to_string(),
    };
    let more = match left_out {
        0 => String::new(),
        _ => format!(" ({left_out} more such lines were left out)"),
    };
    error!(error = %why, log.left_out = left_out, "{what}: {why}{more}");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_in_its_time_and_counts_those_left_out() {
        let lines = Rationed::every(Duration::from_secs(10));
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(lines.turn(at(0)), Some(0));
        assert_eq!([1, 5, 9].map(|second| lines.turn(at(second))), [None; 3]);
        assert_eq!(lines.turn(at(10)), Some(3));
        assert_eq!(lines.turn(at(19)), None);
        assert_eq!(lines.turn(at(100)), Some(1));
        assert_eq!(lines.turn(at(200)), Some(0));
    }
}
