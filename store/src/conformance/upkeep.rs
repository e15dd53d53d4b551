//! The clock.

use onhook_core::clock::Seen;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::time::DAY_MS;

use super::fixtures::{activate, at, clean, disconnect, number, order, policy, run_all, seeded};
use crate::conformance::Opener;

cases! { ($) upkeep conformance_upkeep:
    /// A clock that goes back does not make an event earlier than the one before it.
    async fn time_in_the_store_does_not_run_backwards(opener) {
        let (store, one, _) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(DAY_MS)).await;
        store.accept(order(2, 1, activate([1], one))).await.expect("accepted");
        run_all(&*store, at(0)).await;
        let events = store.history(number(1)).await.expect("read").expect("there").history.events;
        assert_eq!(events.iter().map(|e| e.at).collect::<Vec<_>>(), [at(DAY_MS), at(DAY_MS)]);
        clean(&*store).await;
    }

    /// What was remembered is there after reopening. If nothing was, the newest order or event counts.
    async fn the_last_use_is_remembered_or_that_of_the_newest_event(opener) {
        let store = opener.open().await;
        assert_eq!(store.clock().await.expect("read"), (None, 0));
        let lines = Box::new([(1, Ok(NewNumber::available(number(1))))].into_iter());
        store.import(lines, Intake::of("a test"), at(55), policy()).await.expect("imported");
        assert_eq!(store.clock().await.expect("read"), (Some(Seen { last: at(55), unseen_ms: 0 }), 0));
        let seen = Seen { last: at(77), unseen_ms: 7 };
        store.remember_clock(seen, -5).await.expect("kept");
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.clock().await.expect("read"), (Some(seen), -5));
        clean(&*store).await;
    }
}
