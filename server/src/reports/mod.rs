//! Reports for regulators: made from pages of numbers' lives, and made again whenever a file of them is read.
//!
//! Which numbers a report has is the matter of `core`. No snapshot is held: each page is a short read, and what happens
//! meanwhile lies behind the report's position.

pub(crate) mod blocks;
pub(crate) mod nruf;
pub(crate) mod rnd;

use std::sync::atomic::{AtomicUsize, Ordering};

use onhook_core::audit::digest::Digest;
use onhook_core::ids::EventSeq;
use onhook_core::lifecycle::diagram::NoSuchStep;
use onhook_core::report::Known;
use onhook_store::audit::Lookout;
use onhook_store::contract::reports::{Life, Lives, Wanted};
use onhook_store::{Result, Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};

/// All digits that a number can have.
pub(crate) const ALL: (u64, u64) = (0, i64::MAX.unsigned_abs());
/// The digits of the North American plan.
pub(crate) const NANP: (u64, u64) = (12_000_000_000, 20_000_000_000);
/// How many characters of a hash stand in an id.
const ID_DIGITS: usize = 12;
/// How many makings wait for the one that runs.
const WAITING_MAX: usize = 10;

/// Makings of reports: one at a time in this process, and a few that wait. This is for the sake of the machine alone:
/// reports that are made side by side are right, too.
#[derive(Debug, Default)]
pub(crate) struct Making {
    turn: Mutex<()>,
    waiting: AtomicUsize,
}

impl Making {
    /// Waits for its turn. `None` if too many wait.
    pub(crate) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) > WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let turn = self.turn.lock().await;
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        Some(turn)
    }
}

/// The numbers of a span, by digits, of which something is wanted, in pages.
pub(crate) struct Walk<'a> {
    store: &'a dyn Store,
    wanted: Wanted,
    next: Option<u64>,
    end: u64,
    lookout: Lookout,
}

impl<'a> Walk<'a> {
    /// Begins to read for reports of which the last one is as of this position, and that know no event later than `to` by
    /// sequence number.
    pub(crate) fn new(
        store: &'a dyn Store,
        wanted: Wanted,
        (first, end): (u64, u64),
        (as_of, to): (u64, EventSeq),
    ) -> Self {
        Self { store, wanted, next: Some(first), end, lookout: Lookout::new(as_of, to) }
    }

    /// Returns the next page, `None` at the end, and takes from what each of some reports knows the events that were
    /// committed late. The first of them is the one that is made.
    pub(crate) async fn page(&mut self, known: &mut [&mut Known]) -> Result<Option<Vec<Life>>> {
        let Some(from) = self.next else { return Ok(None) };
        let Lives { mut lives, next } = self.store.lives(self.wanted, (from, self.end)).await?;
        self.next = next;
        self.look_out(known).await?;
        if let (Wanted::Use { .. }, Some(own)) = (self.wanted, known.first()) {
            // A number that was changed by such an event was another one then.
            let changed = lives.iter_mut().filter(|life| life.history.is_none() && !own.has(life.last_event));
            let mut any = false;
            for life in changed {
                life.history = self.store.history(life.entry.number).await?.map(|found| found.history);
                any = true;
            }
            if any {
                self.look_out(known).await?;
            }
        }
        Ok(Some(lives))
    }

    async fn look_out(&mut self, known: &mut [&mut Known]) -> Result<()> {
        let late = self.lookout.late(self.store).await?;
        known.iter_mut().for_each(|known| known.without(&late));
        Ok(())
    }
}

/// Returns the error of a history that cannot be.
fn impossible(error: NoSuchStep) -> StoreError {
    StoreError::Broken(Box::new(error))
}

/// Returns the beginning of the hash of some files by which their report is known: of one file its own hash's.
fn known_by(sha256: &[String]) -> String {
    let hash = match sha256 {
        [one] => one.clone(),
        all => Digest::of(all.concat()).hex(),
    };
    hash.chars().take(ID_DIGITS).collect()
}
