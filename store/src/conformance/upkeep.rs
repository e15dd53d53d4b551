//! The clock, and what only an emulator does with a store.

use std::sync::{Arc, Mutex};

use onhook_core::clock::Seen;
use onhook_core::ids::OrderId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::number::Number;
use onhook_core::order::{Kind, Refusal, Status};
use onhook_core::time::{DAY_MS, Timestamp};

use super::fixtures::{
    DISCONNECTS, account, activate, at, clean, disconnect, number, order, policy, run_all, seed, seeded,
    state, subscribe, subscription,
};
use super::transfer::fill;
use crate::conformance::Opener;
use crate::contract::orders::Script;
use crate::contract::transfer::{Image, TABLES};
use crate::contract::upkeep::Dues;

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

    /// A store goes back to an image while it is open, and goes on from there as from then. With a seed, ids repeat.
    async fn an_image_is_put_back_whole(opener) {
        let store = opener.open().await;
        fill(&*store).await;
        let image = Arc::new(store.image().await.expect("read"));
        let without_users = |image: &Image| {
            let tables = image.tables.iter().zip(TABLES);
            tables.filter(|(_, table)| !["users", "secret"].contains(&table.name)).map(|(rows, _)| rows.clone()).collect::<Vec<_>>()
        };
        let mut ids = Vec::new();
        for chance in [Some(42), Some(42), None] {
            let id = store.accept(order(30, 1, disconnect([4]))).await.expect("accepted").id;
            run_all(&*store, at(30)).await;
            store.create_site(account(1), "new".into(), at(30)).await.expect("made");
            ids.push(id);
            store.put_back(image.clone(), chance).await.expect("put back");
            let again = store.image().await.expect("read");
            assert_eq!(without_users(&again), without_users(&image));
            let known = store.order(account(1), Kind::Disconnect, id).await.expect("read");
            assert!(known.is_none(), "{known:?}");
            if chance.is_none() {
                clean(&*store).await; // the image's orders have ids of before another seed
            }
        }
        assert_eq!(ids[1], ids[2], "after the same seed");
        assert_ne!(ids[0], ids[1]);
        let empty = Arc::new(image.empty());
        store.put_back(empty, None).await.expect("put back");
        assert!(store.accounts().await.expect("read").is_empty());
        seed(&*store).await;
        clean(&*store).await;
    }

    /// A clock may go back to before a seed was made. Then the seed is of that time, and what happens next has that time. What
    /// has happened to a number stays when it was.
    async fn an_image_of_a_seed_is_one_of_an_earlier_time(opener) {
        let (store, ..) = seeded(opener).await;
        let image = store.image().await.expect("read");
        assert_eq!(image.clone().not_after(at(DAY_MS)), image);
        store.put_back(Arc::new(image.not_after(at(-DAY_MS))), None).await.expect("put back");
        let found = store.account(account(1)).await.expect("read").expect("there").0;
        assert_eq!(found.created_at, at(-DAY_MS));
        store.accept(order(-500, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(-400)).await;
        let events = store.history(number(1)).await.expect("read").expect("there").history.events;
        assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), [at(-400)]);
        let image = store.image().await.expect("read");
        assert_eq!(image.clone().not_after(at(-DAY_MS)), image);
        clean(&*store).await;
    }

    /// What is due next is the earliest of each kind.
    async fn what_is_due_next_is_known(opener) {
        let (store, ..) = seeded(opener).await;
        assert_eq!(store.dues().await.expect("read"), Dues::default());
        store.accept(order(1, 1, disconnect([1]))).await.expect("accepted");
        subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 500), 1).await;
        run_all(&*store, at(10)).await;
        let facts = store.facts(number(1)).await.expect("read").expect("there");
        let dues = store.dues().await.expect("read");
        assert_eq!(dues.number, facts.entry.standing.due_at());
        assert!(dues.delivery.is_some_and(|at| at <= super::fixtures::at(10)), "{dues:?}");
        assert!(dues.subscription.is_some(), "{dues:?}");
        assert_eq!(store.kept(at(400 * DAY_MS)).await.expect("read"), 0);
        clean(&*store).await;
    }

    /// An order that waits by a script stays as it is, others run, and a number that is refused does not move.
    async fn a_script_lets_orders_wait_and_numbers_fail(opener) {
        let (store, ..) = seeded(opener).await;
        let script = Arc::new(Staged::default());
        store.follow(script.clone());
        let waits = store.accept(order(1, 1, disconnect([1]))).await.expect("accepted").id;
        let fails = store.accept(order(2, 1, disconnect([2, 3]))).await.expect("accepted").id;
        script.0.lock().expect("unpoisoned").extend([(waits, None), (fails, Some(number(2)))]);
        run_all(&*store, at(10)).await;
        let of = async |id| store.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(of(waits).await.status, Status::Received);
        let ended = of(fails).await;
        assert_eq!((ended.status, ended.failed[0].why), (Status::Partial, Refusal::TimedOut));
        assert_eq!(state(&*store, 2).await, State::InService);
        assert_eq!(state(&*store, 3).await, State::Aging);
        script.0.lock().expect("unpoisoned").clear();
        run_all(&*store, at(20)).await;
        assert_eq!(of(waits).await.status, Status::Complete);
        clean(&*store).await;
    }
}

/// Orders that wait, or a number of theirs that fails.
#[derive(Debug, Default)]
struct Staged(Mutex<Vec<(OrderId, Option<Number>)>>);

impl Script for Staged {
    fn waits(&self, order: OrderId, _now: Timestamp) -> bool {
        self.0.lock().expect("unpoisoned").contains(&(order, None))
    }

    fn refuses(&self, order: OrderId, number: Number) -> Option<Refusal> {
        let staged = self.0.lock().expect("unpoisoned");
        staged.contains(&(order, Some(number))).then_some(Refusal::TimedOut)
    }
}
