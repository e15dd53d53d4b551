//! Releases aged numbers and ends expired reservations, unless the clock cannot be believed.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::time::Timestamp;
use onhook_store::contract::leases::LeaseToken;
use onhook_store::contract::orders::StepReport;
use onhook_store::{Result, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::lease::Lease;
use crate::store_log;

/// Most numbers in one step.
const NUMBERS_MAX: usize = 2_000;
/// How long the worker sleeps between steps.
const POLL: Duration = Duration::from_secs(1);
/// How often the store is told that it is in use, in milliseconds.
const SIGN_OF_LIFE_MS: i64 = 60_000;

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut lease = Lease::keep(app.clone(), "release".to_owned(), |app| app.sure_now().is_some());
    let mut told_at = None;
    while !stop.is_cancelled() {
        app.watch_store();
        let token = lease.token();
        if let Some(emulator) = &app.emulator {
            emulator.set_lease(token);
        }
        match step(&app, token, &mut told_at).await {
            Ok(true) => continue,
            Ok(false) | Err(StoreError::LeaseLost) => {} // it is taken again
            Err(error) => {
                store_log::failed("release failed", &error);
            }
        }
        app.tidy();
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.clock_bell.notified() => {}
            () = lease.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    lease.end().await;
}

/// Releases numbers under a lease, up to a bound. Returns whether there are more.
async fn step(app: &App, lease: Option<LeaseToken>, told_at: &mut Option<Timestamp>) -> Result<bool> {
    // What is put back meanwhile must not be moved on by the clock of before.
    let _turn = match &app.emulator {
        Some(emulator) => Some(emulator.scripts.running().await),
        None => None,
    };
    let Some(now) = app.believed_now() else { return Ok(false) };
    if told_at.is_none_or(|at| now.since(at).abs() >= SIGN_OF_LIFE_MS) {
        app.remember_clock().await?;
        *told_at = Some(now);
    }
    let Some(now) = app.sure_now() else { return Ok(false) };
    Ok(release(app, lease, now).await?.unwrap_or(false))
}

/// Releases numbers that are due at `now`, under a lease, up to a bound. Returns whether there are more. `None` without
/// a lease.
pub(super) async fn release(app: &App, lease: Option<LeaseToken>, now: Timestamp) -> Result<Option<bool>> {
    let Some(lease) = lease else { return Ok(None) };
    let step = app.store.release(lease, now, NUMBERS_MAX, app.settings.policy.clone()).await?;
    note(app, &step);
    Ok(Some(step.more))
}

/// Releases numbers that are due after the first instant and up to the second, each at its own, under a lease and up to a
/// bound. Returns the last of their instants, or `None` if it released nothing.
pub(super) async fn pass(
    app: &App,
    lease: Option<LeaseToken>,
    span: (Timestamp, Timestamp),
) -> Result<Option<Timestamp>> {
    let Some(lease) = lease else { return Ok(None) };
    let passed = app.store.pass(lease, span, NUMBERS_MAX, app.settings.policy.clone()).await?;
    Ok(passed.map(|(step, at)| {
        note(app, &step);
        at
    }))
}

/// Counts what a step has released, and says so.
fn note(app: &App, step: &StepReport) {
    if let Some(emulator) = &app.emulator {
        emulator.ran.reservations.add(step.reservations);
        emulator.ran.released.add(step.numbers - step.reservations);
    }
    if step.numbers > 0 {
        metrics::counter!("onhook_numbers_released_total")
            .increment(u64::try_from(step.numbers).unwrap_or(u64::MAX));
        app.orders_bell.notify_one(); // an order may wait for one of them
        info!(numbers = step.numbers, "{} numbers were moved on by time", step.numbers);
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::account::{AccountKind, Class};
    use onhook_core::clock::Seen;
    use onhook_core::ids::AccountId;
    use onhook_core::import::{Intake, NewNumber};
    use onhook_core::lifecycle::diagram::State;
    use onhook_core::notify::subscription::{Digest, Email, NewSubscription, OrderType, Receiver, Subject};
    use onhook_core::time::DAY_MS;
    use onhook_store::contract::accounts::Accounts;
    use onhook_store::contract::imports::Imports;
    use onhook_store::contract::leases::Leases;
    use onhook_store::contract::numbers::Numbers;
    use onhook_store::contract::premises::SitesAndPeers;
    use onhook_store::contract::subscriptions::Subscriptions;
    use onhook_store::contract::upkeep::Upkeep;

    use onhook_store::contract::accounts::NewAccount;
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;

    /// Runs one step after the server was off for `off_ms` milliseconds. Returns the state of a number that is due,
    /// whether an expired subscription has ended, and whether the store was told that it is in use.
    async fn one_step(off_ms: i64, settings: Settings) -> (State, bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let now = crate::clock::Clock::new(0).now();
        let id = AccountId::new(1).unwrap();
        let account =
            NewAccount { id, name: "First".into(), kind: AccountKind::EndUser, class: Class::Unknown };
        store.create_account(account, onhook_core::lifecycle::provenance::Doer::offline(now)).await.unwrap();
        let site = store.create_site(id, "Main site".into(), now).await.unwrap();
        store.create_peer(id, site.id, "Main peer".into(), now).await.unwrap();
        let number = "2525550101".parse().unwrap();
        let due = NewNumber {
            state: State::Aging,
            former_account: Some(id),
            release_at: Some(now.plus_millis(-1)),
            ..NewNumber::available(number)
        };
        let intake = Intake { past_releases: true, ..Intake::of("a test") };
        store.import(Box::new([(1, Ok(due))].into_iter()), intake, now, Arc::default()).await.unwrap();
        let subscription = NewSubscription {
            account: id,
            subject: Subject::Orders(OrderType::Disconnects, None),
            receiver: Receiver::Email(Email { address: "ops@example.com".into(), digest: Digest::None }),
            expires_at: Some(now.plus_millis(-1)),
        };
        store.subscribe(subscription, now).await.unwrap();
        let seen = Seen { last: now.plus_millis(-off_ms), unseen_ms: 0 };
        store.remember_clock(seen, 0).await.unwrap();
        let app = App::new(store.clone(), settings, "http://127.0.0.1".into()).await.unwrap();
        let lease = store.take_lease("release", Duration::from_secs(60)).await.unwrap();
        step(&app, lease, &mut None).await.unwrap();
        crate::expiry::tidy_all(&app).await.unwrap();
        let state = store.facts(number).await.unwrap().unwrap().entry.state();
        let ended = store.expire_subscriptions(now, 10).await.unwrap().is_empty();
        let told = store.clock().await.unwrap().0 != Some(seen);
        store.close().await;
        (state, ended, told)
    }

    #[tokio::test]
    async fn only_a_clock_that_is_sure_releases() {
        let (usual, at_once) = (Settings::default(), Settings { release_wait_ms: 0, ..Settings::default() });
        let trusting = Settings { trust_clock: true, ..Settings::default() };
        for (off_ms, settings, state) in [
            (60_000, &usual, State::Available),
            (3 * DAY_MS, &usual, State::Aging),
            (3 * DAY_MS, &at_once, State::Available),
            (8 * DAY_MS, &at_once, State::Aging),
            (-DAY_MS, &at_once, State::Aging),
            (8 * DAY_MS, &trusting, State::Available),
        ] {
            // A clock that may turn out to be wrong leaves no trace.
            let sure = state == State::Available;
            let found = one_step(off_ms, settings.clone()).await;
            assert_eq!(found, (state, sure, sure), "{off_ms} ms off, {settings:?}");
        }
    }
}
