//! Reports for regulators: made from pages of numbers' lives, and made again whenever a file of them is read.
//!
//! Which numbers a report has is the matter of `core`. No snapshot is held: each page is a short read, and what happens
//! meanwhile lies behind the report's position.

pub(crate) mod blocks;
pub(crate) mod nruf;
pub(crate) mod rnd;

use std::sync::atomic::{AtomicUsize, Ordering};

use onhook_core::audit::digest::Digest;
use onhook_core::lifecycle::diagram::NoSuchStep;
use onhook_store::contract::reports::{Life, Reports, Wanted};
use onhook_store::{Result, StoreError};
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

/// Passes each number of a span on, by digits, of which something is wanted, until `each` returns false.
pub(crate) async fn walk<S: Reports + ?Sized>(
    store: &S,
    wanted: Wanted,
    (first, end): (u64, u64),
    mut each: impl FnMut(Life) -> Result<bool>,
) -> Result<()> {
    let mut next = Some(first);
    while let Some(from) = next {
        let page = store.lives(wanted, (from, end)).await?;
        next = page.next;
        for life in page.lives {
            if !each(life)? {
                return Ok(());
            }
        }
    }
    Ok(())
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
