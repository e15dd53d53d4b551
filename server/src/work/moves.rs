//! Moves of the emulator's clock: from one due instant to the next, each thing at its own.
//!
//! At an instant, orders run first, then subscriptions end, then reservations, then aging, then notifications are
//! delivered. The clock stands still meanwhile. The workers may do some of it: they see the same time.
//!
//! Instants at which nothing but numbers is due are passed many at once, each number still at its own.

use std::time::Duration;

use onhook_core::time::Timestamp;
use onhook_store::StoreError;
use onhook_store::contract::upkeep::Dues;
use tokio::time::Instant;

use super::{orders, release};
use crate::app::App;
use crate::emulator::ran::Counts;
use crate::emulator::{Emulator, Move, Unfinished};
use crate::expiry::expire_subscriptions;

/// How long to wait before looking again whether others are done.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How many instants are gone to one by one after it was found that they cannot be passed at once.
const ONE_BY_ONE: u32 = 16;

/// Why a clock did not reach its goal.
#[derive(Debug)]
pub(crate) enum Stuck {
    /// Something due has not ended in time. The clock stays where it came to.
    NotSettled,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Moves the clock, and returns what ran on the way. The same move, asked again after it was not settled, goes on to
/// where it led.
pub(crate) async fn advance(
    app: &App,
    emulator: &Emulator,
    asked: Move,
    until: Instant,
) -> Result<Counts, Stuck> {
    let mut moving = emulator.moving.lock().await;
    let begun = app.clock.now();
    let unfinished = moving.take().filter(|unfinished| unfinished.asked == asked);
    let goal = match (&unfinished, asked) {
        (Some(unfinished), _) => unfinished.goal,
        (None, Move::By(ms)) => begun.plus_millis(ms),
        (None, Move::To(at)) => at,
    };
    let before = emulator.ran.counts();
    let held = Held(app);
    app.clock.hold(begun);
    match walk(app, emulator, goal, until).await {
        Ok(()) => match asked {
            Move::By(ms) if unfinished.is_none() => app.clock.let_go_by(ms),
            _ => app.clock.let_go_at(goal),
        },
        Err(stuck) => {
            *moving = Some(Unfinished { asked, goal });
            return Err(stuck);
        }
    }
    drop(held);
    app.remember_clock().await?;
    app.clock_bell.notify_one();
    app.deliveries_bell.notify_one();
    Ok(emulator.ran.counts().since(before))
}

/// Lets the clock go where it came to, also if the caller is gone.
pub(super) struct Held<'a>(pub(super) &'a App);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.0.clock.is_held() {
            self.0.clock.let_go_at(self.0.clock.now());
        }
    }
}

/// Goes from one due instant to the next, up to the goal.
async fn walk(app: &App, emulator: &Emulator, goal: Timestamp, until: Instant) -> Result<(), Stuck> {
    let mut one_by_one = 0;
    loop {
        settle(app, emulator, until).await?;
        let now = app.clock.now();
        if now >= goal {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Stuck::NotSettled);
        }
        let Dues { number, subscription, delivery } = app.store.dues().await?;
        let others = [subscription, delivery, emulator.scripts.next(now)].into_iter().flatten().min();
        let next = [number, others].into_iter().flatten().min();
        let Some(at) = next.filter(|at| *at <= goal) else {
            app.clock.hold(goal);
            continue;
        };
        if at <= now {
            continue; // it came up meanwhile
        }
        let through = others.map_or(goal, |other| goal.min(other.plus_millis(-1)));
        if one_by_one == 0 && at <= through {
            if pass(app, emulator, (now, through)).await? {
                continue;
            }
            one_by_one = ONE_BY_ONE;
        }
        one_by_one = one_by_one.saturating_sub(1);
        app.clock.hold(at);
    }
}

/// Releases numbers ahead of the clock, each at its own instant, and lets the clock pass those instants. Returns whether
/// it passed any. Nothing but numbers is due up to the second of these instants.
async fn pass(app: &App, emulator: &Emulator, span: (Timestamp, Timestamp)) -> Result<bool, Stuck> {
    // No order arrives or runs between the instants, and no worker sees what is ahead of its clock.
    let _turn = emulator.scripts.running().await;
    match release::pass(app, emulator.lease(), span).await {
        Ok(Some(at)) => {
            app.clock.hold(at);
            Ok(true)
        }
        Ok(None) | Err(StoreError::LeaseLost) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Runs what is due now, until nothing is.
async fn settle(app: &App, emulator: &Emulator, until: Instant) -> Result<(), Stuck> {
    let now = app.clock.now();
    let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    loop {
        run_orders(app, until).await?;
        let dues = app.store.dues().await?;
        if is_due(dues.subscription) {
            expire_subscriptions(app, now).await?;
        } else if is_due(dues.number) {
            match release::release(app, emulator.lease(), now).await {
                Ok(Some(_)) => continue, // an order may wait for one of them
                Ok(None) | Err(StoreError::LeaseLost) => pause(until).await?, // the worker takes it again
                Err(error) => return Err(error.into()),
            }
        } else if is_due(dues.delivery) {
            app.deliveries_bell.notify_one();
            pause(until).await?;
        } else {
            return Ok(());
        }
    }
}

/// Runs the orders that are due.
async fn run_orders(app: &App, until: Instant) -> Result<(), Stuck> {
    loop {
        match orders::step(app).await? {
            orders::Next::More if Instant::now() < until => {}
            orders::Next::Nothing => return Ok(()),
            orders::Next::More | orders::Next::Busy => pause(until).await?,
        }
    }
}

/// Waits a moment, unless the time is over.
async fn pause(until: Instant) -> Result<(), Stuck> {
    if Instant::now() >= until {
        return Err(Stuck::NotSettled);
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}
