//! Reports for regulators: made from pages of numbers' lives, and made again whenever a file of them is read.
//!
//! Which numbers a report has is the matter of `core`. No snapshot is held: each page is a short read, and what happens
//! meanwhile lies behind the report's position.

pub(crate) mod asked;
pub(crate) mod blocks;
pub(crate) mod nruf;
pub(crate) mod rnd;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onhook_core::account::Account;
use onhook_core::audit::deed::Recorded;
use onhook_core::audit::digest::Digest;
use onhook_core::ids::EventSeq;
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::diagram::NoSuchStep;
use onhook_core::report::Known;
use onhook_core::report::accounts::before;
use onhook_core::time::Timestamp;
use onhook_store::audit::Lookout;
use onhook_store::contract::reports::{Life, Lives, Wanted};
use onhook_store::{Result, Store, StoreError, audit};
use serde_json::{Value, json};
use tokio::time::Instant;

/// All digits that a number can have.
pub(crate) const ALL: (u64, u64) = (0, i64::MAX.unsigned_abs());
/// The digits of the North American plan.
pub(crate) const NANP: (u64, u64) = (12_000_000_000, 20_000_000_000);
/// How long a reading rests that has time, after each page.
const REST_MIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_secs(10);
/// How many characters of a hash stand in an id.
const ID_DIGITS: usize = 12;

/// How far a making is, in numbers: how many were looked at, of how many.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Notes that all numbers are going to be looked at.
    async fn begin(&self, store: &dyn Store, now: Timestamp) -> Result<()> {
        let numbers = store.totals(now).await?.by_state.iter().map(|(_, numbers)| numbers).sum();
        self.total.fetch_add(numbers, Ordering::Relaxed);
        Ok(())
    }

    /// Returns it as it is told.
    pub(crate) fn told(&self) -> Value {
        let total = self.total.load(Ordering::Relaxed);
        json!({ "done": self.done.load(Ordering::Relaxed).min(total), "total": total })
    }
}

/// The numbers of a span, by digits, of which something is wanted, in pages.
pub(crate) struct Walk<'a> {
    store: &'a dyn Store,
    wanted: Wanted,
    next: Option<u64>,
    end: u64,
    lookout: Lookout,
    /// True if there is time: other work goes first.
    at_leisure: bool,
    progress: Option<Arc<Progress>>,
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
        Self {
            store,
            wanted,
            next: Some(first),
            end,
            lookout: Lookout::new(as_of, to),
            at_leisure: false,
            progress: None,
        }
    }

    /// Lets it count the numbers that it has looked at.
    pub(crate) fn counted(self, progress: Option<Arc<Progress>>) -> Self {
        Self { progress, ..self }
    }

    /// Lets it rest after each page, so that it takes a fiftieth of the time for itself.
    pub(crate) fn at_leisure(self) -> Self {
        Self { at_leisure: true, ..self }
    }

    /// Returns the next page, `None` at the end, and takes from what each of some reports knows the events that were
    /// committed late. The first of them is the one that is made.
    pub(crate) async fn page(&mut self, known: &mut [&mut Known]) -> Result<Option<Vec<Life>>> {
        let Some(from) = self.next else { return Ok(None) };
        let begun = Instant::now();
        let Lives { mut lives, next, looked } = self.store.lives(self.wanted, (from, self.end)).await?;
        self.next = next;
        if let Some(progress) = &self.progress {
            progress.done.fetch_add(looked, Ordering::Relaxed);
        }
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
        if self.at_leisure && self.next.is_some() {
            tokio::time::sleep((begun.elapsed() * 49).clamp(REST_MIN, REST_MAX)).await;
        }
        Ok(Some(lives))
    }

    async fn look_out(&mut self, known: &mut [&mut Known]) -> Result<()> {
        let late = self.lookout.late(self.store).await?;
        known.iter_mut().for_each(|known| known.without(&late));
        Ok(())
    }
}

/// An import of numbers that is being written. All its numbers are under one event, and appear one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writing {
    /// When it began.
    pub(crate) since: Timestamp,
    /// The position of its event, if it has one.
    position: Option<u64>,
}

impl Writing {
    /// Returns whether a report as of a position has a part of it, and may later have more.
    pub(crate) fn is_known_at(&self, position: u64) -> bool {
        self.position.is_some_and(|own| own <= position)
    }
}

/// Returns the import of numbers that is being written. A report knows all or nothing of one that begins to be written
/// after the position of the report was read.
pub(crate) async fn writing(store: &dyn Store) -> Result<Option<Writing>> {
    let Some(job) = store.next_job(Kind::Import).await? else { return Ok(None) };
    let event = job.found["event"].as_i64().map(EventSeq);
    let (State::Writing, Some(event)) = (job.state, event.filter(|_| job.asked["kind"] != "exchanges"))
    else {
        return Ok(None);
    };
    let line = store.lines(vec![event]).await?.pop();
    let since = line.ok_or_else(|| StoreError::Broken("the event of an import is missing".into()))?.at;
    Ok(Some(Writing { since, position: audit::positions(store, [event]).await?.get(&event).copied() }))
}

/// Changes of accounts that are read together.
const CHANGES: usize = 1_000;

/// Returns the accounts, and what was changed of them.
async fn accounts(store: &dyn Store) -> Result<(Vec<Account>, Vec<Recorded>)> {
    let accounts = store.accounts().await?;
    let mut changes: Vec<Recorded> = Vec::new();
    loop {
        let after = changes.last().map_or(EventSeq(i64::MIN), |last| last.seq);
        let page = store.account_changes(after, CHANGES).await?;
        let is_last = page.len() < CHANGES;
        changes.extend(page);
        if is_last {
            return Ok((accounts, changes));
        }
    }
}

/// Returns the accounts as they were before the changes that are later, see [`before`].
fn before_later(
    (accounts, changes): (Vec<Account>, Vec<Recorded>),
    is_later: impl Fn(&Recorded) -> bool,
) -> Result<Vec<Account>> {
    before(accounts, &changes, is_later).map_err(|error| StoreError::Broken(Box::new(error)))
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

#[cfg(test)]
mod tests {
    use onhook_core::import::{Intake, NewNumber};
    use onhook_core::number::Number;
    use onhook_store::contract::imports::Imports;
    use onhook_store::sqlite::SqliteStore;

    use super::*;

    /// The clock stands still, and goes on only while the reading rests.
    #[tokio::test(start_paused = true)]
    async fn a_reading_that_has_time_rests_between_its_pages() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let numbers = (1..=2_500).map(|n| {
            let number = Number::from_digits(19_195_550_000 + n).unwrap();
            (n, Ok(NewNumber::available(number)))
        });
        let (lines, now) = (Box::new(numbers), onhook_core::time::Timestamp::from_millis(0));
        store.import(lines, Intake::of("some"), now, std::sync::Arc::default()).await.unwrap();
        for at_leisure in [false, true] {
            let walk = Walk::new(&store, Wanted::Departures, ALL, (0, EventSeq(0)));
            let mut walk = if at_leisure { walk.at_leisure() } else { walk };
            let (begun, mut pages) = (Instant::now(), 0);
            while walk.page(&mut []).await.unwrap().is_some() {
                pages += 1;
            }
            assert_eq!((pages, begun.elapsed() >= 2 * REST_MIN), (3, at_leisure));
        }
        onhook_store::contract::upkeep::Upkeep::close(&store).await;
    }
}
