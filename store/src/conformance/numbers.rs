//! Numbers are listed, released in time, and moved together.

use std::sync::Arc;

use onhook_core::account::{NoPlace, Place};
use onhook_core::ids::{PeerId, SiteId};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Standing;
use onhook_core::lifecycle::event::{By, Change};
use onhook_core::order::amend::Amendment;
use onhook_core::order::{Kind, Status};
use onhook_core::report::rating::Charges;
use onhook_core::time::DAY_MS;

use super::fixtures::{
    LONG, account, activate, all, at, clean, disconnect, doer, lines, number, order, policy, release,
    run_all, search, seed, seeded, state,
};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::numbers::{Destination, NumberQuery, NumbersMoved};
use crate::contract::page::Start;
use crate::contract::premises::Removed;
use crate::contract::transfer::TABLES;

cases! { ($) numbers conformance_numbers:
    /// One millisecond before the end of the hold nothing is released. At its end numbers are, up to the limit at once.
    async fn nothing_is_released_before_its_time(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect(0..10))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let facts = store.facts(number(0)).await.expect("read").expect("there");
        let due = facts.entry.standing.due_at().expect("aging");
        assert_eq!(facts.hold.expect("has its reason").release_at, due);
        assert!(due.since(at(10)) > 45 * DAY_MS);
        assert_eq!(release(&*store, due.plus_millis(-1), 100).await.numbers, 0);
        assert_eq!(store.totals(due.plus_millis(-1)).await.expect("read").due, 0);
        assert_eq!(store.totals(due).await.expect("read").due, 10);
        let step = release(&*store, due, 7).await;
        assert_eq!((step.numbers, step.more), (7, true));
        assert_eq!(store.totals(due).await.expect("read").due, 3);
        let step = release(&*store, due, 7).await;
        assert_eq!((step.numbers, step.more), (3, false));
        assert_eq!(state(&*store, 0).await, State::Available);
        clean(&*store).await;
    }

    /// A clock that passes many instants at once leaves the same as one that goes from each to the next: events, numbers,
    /// counts and areas.
    async fn instants_that_are_passed_at_once_leave_what_they_leave_one_by_one(opener) {
        if !opener.repeats() {
            return; // what is compared has sequence numbers
        }
        let (store, one, _) = seeded(opener).await;
        let aging = |n: u64, due: i64, protected, ported_in| NewNumber {
            state: State::Aging,
            former_account: Some(account(1)),
            release_at: Some(at(due)),
            protected,
            ported_in,
            ..NewNumber::available(number(n))
        };
        let reserved = |n: u64, due: i64| NewNumber {
            state: State::Reserved,
            account: Some(account(2)),
            release_at: Some(at(due)),
            ..NewNumber::available(number(n))
        };
        let mut there: Vec<NewNumber> = (100..140)
            .map(|n| aging(n, 1_000 + 7 * i64::try_from(n * 37 % 40).expect("small"), n % 5 == 0, n % 7 == 0))
            .collect();
        // Several at one instant, reserved ones among them, against the order of their digits.
        there.extend((200..206).map(|n| aging(n, 1_070, false, false)));
        there.extend([reserved(210, 1_070), reserved(211, 1_069), reserved(207, 1_203)]);
        store.import(lines(there), Intake::of("aging"), at(10), policy()).await.expect("imported");
        store.accept(order(20, 1, activate([20, 21], one))).await.expect("accepted");
        run_all(&*store, at(20)).await;
        let image = Arc::new(store.image().await.expect("read"));
        let lease = store.take_lease("release", LONG).await.expect("tried").expect("free");
        let mut released = 0;
        let mut instants = 0;
        while let Some(due) = store.dues().await.expect("read").number {
            released += store.release(lease, due, 100, policy()).await.expect("released").numbers;
            instants += 1;
        }
        let one_by_one = store.image().await.expect("read");
        for numbers_max in [100, 7] {
            store.put_back(image.clone(), None).await.expect("put back");
            let lease = store.take_lease("release", LONG).await.expect("tried").expect("free");
            let (mut now, mut passed, mut reserved, mut steps) = (at(20), 0, 0, 0);
            while let Some((step, last)) =
                store.pass(lease, (now, at(1_250)), numbers_max, policy()).await.expect("passed")
            {
                assert!(last > now && last <= at(1_250), "{last}");
                (now, passed, reserved, steps) = (last, passed + step.numbers, reserved + step.reservations, steps + 1);
            }
            // With room for seven, the clock stands still before an instant with eight.
            let expected = if numbers_max == 7 { (2, at(1_069)) } else { (1, at(1_245)) };
            assert_eq!((steps, now), expected, "{instants} instants");
            while let Some(due) = store.dues().await.expect("read").number {
                let step = store.release(lease, due, 100, policy()).await.expect("released");
                (passed, reserved) = (passed + step.numbers, reserved + step.reservations);
            }
            assert_eq!((passed, reserved), (released, 3));
            let at_once = store.image().await.expect("read");
            for (table, (found, expected)) in TABLES.iter().zip(at_once.tables.iter().zip(&one_by_one.tables)) {
                if !["users", "secret"].contains(&table.name) {
                    assert_eq!(found, expected, "{}", table.name);
                }
            }
            clean(&*store).await;
        }
    }

    /// An order that waits may want a number at the instant at which it comes into the pool, so none is passed.
    async fn no_instant_is_passed_while_an_order_waits(opener) {
        let (store, one, _) = seeded(opener).await;
        store.accept(order(1, 1, disconnect(0..2))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let lease = store.take_lease("release", LONG).await.expect("tried").expect("free");
        let span = (at(20), at(400 * DAY_MS));
        let pass = async |lease| store.pass(lease, span, 100, policy()).await;
        store.accept(order(11, 1, activate([20], one))).await.expect("accepted");
        assert_eq!(pass(lease).await.expect("tried"), None, "one has not run");
        run_all(&*store, at(12)).await;
        // More than the pool has.
        let waiting = store.accept(order(13, 1, search(40, one, true, true))).await.expect("accepted").id;
        run_all(&*store, at(14)).await;
        let found = store.order(account(1), Kind::Number, waiting).await.expect("read").expect("there");
        assert_eq!(found.status, Status::Backordered);
        assert_eq!(pass(lease).await.expect("tried"), None, "one waits for numbers");
        let amendment = Amendment { close: true, ..Amendment::default() };
        store.amend_order(account(1), waiting, amendment, "username".into(), at(15)).await.expect("closed");
        assert_eq!(pass(lease).await.expect("passed").expect("nothing waits").0.numbers, 2);
        store.end_lease("release", lease).await.expect("ended");
        let late = pass(lease).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        clean(&*store).await;
    }

    /// A node that has lost the lease releases nothing, however much is due.
    async fn the_holder_of_the_lease_alone_releases(opener) {
        let (one, other) = opener.open_twice().await;
        seed(&*one).await;
        one.accept(order(1, 1, disconnect(0..5))).await.expect("accepted");
        run_all(&*one, at(10)).await;
        let due = at(400 * DAY_MS);
        let first = one.take_lease("release", LONG).await.expect("tried").expect("free");
        one.end_lease("release", first).await.expect("ended");
        let second = other.take_lease("release", LONG).await.expect("tried").expect("free");
        let late = one.release(first, due, 100, policy()).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        assert_eq!(one.totals(due).await.expect("read").due, 5);
        assert_eq!(other.release(second, due, 100, policy()).await.expect("released").numbers, 5);
        clean(&*one).await;
    }

    /// What is charged follows from the same histories that are shown, for numbers of every state, account and import,
    /// with and without events, in whatever order they are asked for.
    async fn charges_follow_from_the_history(opener) {
        let (store, site, _) = seeded(opener).await;
        let kinds = [
            (State::InService, 1),
            (State::InService, 2),
            (State::Aging, 2),
            (State::Protected, 2),
            (State::Reserved, 2),
        ];
        let later = (100..700).map(|n: u64| {
            let (state, holder) = kinds[usize::try_from(n).expect("small") % kinds.len()];
            let holder = Some(account(holder));
            let new = NewNumber { state, ..NewNumber::available(number(n)) };
            match state {
                State::Aging => NewNumber { former_account: holder, release_at: Some(at(400 * DAY_MS)), ..new },
                State::Reserved => NewNumber { account: holder, release_at: Some(at(400 * DAY_MS)), ..new },
                _ => NewNumber { account: holder, ..new },
            }
        });
        let administrative = (50..60)
            .map(|n| NewNumber { state: State::Administrative, ..NewNumber::available(number(n)) });
        let lots = administrative.chain(later).collect();
        store.import(lines(lots), Intake::of("later"), at(5), policy()).await.expect("imported");
        store.accept(order(6, 1, disconnect([2, 5, 7, 100, 110]))).await.expect("accepted");
        run_all(&*store, at(DAY_MS)).await;
        store.accept(order(7, 1, activate([5, 100], site))).await.expect("accepted");
        run_all(&*store, at(2 * DAY_MS)).await;
        let ascending = (0..705).chain([9_999]);
        let asked: Vec<_> = ascending.clone().chain(ascending.rev()).map(number).collect();
        let charges = store.charges(asked.clone()).await.expect("read");
        assert_eq!(charges.len(), asked.len());
        for (number, charges) in asked.into_iter().zip(charges) {
            let Some(life) = store.history(number).await.expect("read") else {
                assert_eq!(charges, None, "{number}");
                continue;
            };
            let wanted = Charges::of(&life.history).expect("a life");
            assert_eq!(charges.as_deref(), Some(&wanted), "{number}");
        }
    }

    /// The same for numbers, with and without filters.
    async fn number_lists_page_through_everything_once(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([2, 5, 7]))).await.expect("accepted");
        run_all(&*store, at(DAY_MS)).await;
        let service = [State::InService];
        for size in [1, 2, 3, 7, 100] {
            let (mut seen, mut start) = (Vec::new(), Start::Page(1));
            loop {
                let page = store.numbers(all(1, &service, start, size)).await.expect("read");
                assert_eq!(page.total, 7);
                seen.extend(page.items);
                match page.next {
                    Some(next) => start = Start::At(next),
                    None => break,
                }
            }
            assert_eq!(seen, [0, 1, 3, 4, 6, 8, 9].map(number));
        }
        let second = store.numbers(all(1, &service, Start::Page(2), 3)).await.expect("read");
        assert_eq!(second.items, [4, 6, 8].map(number));
        let aging = store.numbers(all(1, &[State::Aging], Start::Page(1), 10)).await.expect("read");
        assert_eq!((aging.items.as_slice(), aging.total), ([2, 5, 7].map(number).as_slice(), 3));
        let both = all(1, &[State::Aging, State::InService], Start::Page(1), 10);
        assert_eq!(store.count(both.clone()).await.expect("read"), 10);
        let since = |from, until| NumberQuery { since: Some((at(from), at(until))), ..both.clone() };
        assert_eq!(store.numbers(since(DAY_MS, DAY_MS + 1)).await.expect("read").items, [2, 5, 7].map(number));
        assert_eq!(store.count(since(0, DAY_MS)).await.expect("read"), 7);
        let prefix = |p: &str| NumberQuery { prefix: Some(p.into()), ..both.clone() };
        assert_eq!(store.count(prefix("919")).await.expect("read"), 10);
        assert_eq!(store.count(prefix("9195550101")).await.expect("read"), 1);
        assert_eq!(store.count(prefix("540")).await.expect("read"), 0);
        let region = |region: &str| NumberQuery { region: Some(region.into()), ..both.clone() };
        assert_eq!(store.count(region("NC")).await.expect("read"), 10);
        assert_eq!(store.numbers(region("VA")).await.expect("read").total, 0);
        clean(&*store).await;
    }

    /// A list cannot begin at a number of another account, whether it exists, ages, or never was. It can begin at a
    /// number that has left the list since.
    async fn a_list_goes_on_from_its_own_numbers_only(opener) {
        let (store, one, _) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([1, 3, 5]))).await.expect("accepted");
        store.accept(order(2, 2, disconnect([12]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        store.accept(order(3, 1, activate([3], one))).await.expect("accepted");
        run_all(&*store, at(20)).await;
        let from = async |n| {
            let page = store.numbers(all(1, &[State::Aging], Start::At(number(n)), 10)).await.expect("read");
            assert_eq!(page.total, 2);
            page.items
        };
        assert_eq!(from(5).await, [number(5)]);
        assert_eq!(from(3).await, [number(5)], "reconnected since, it keeps its place");
        for foreign in [12, 13, 30, 99] {
            assert_eq!(from(foreign).await, [], "{foreign}");
        }
        clean(&*store).await;
    }

    /// All numbers move to the site and peer, with an event each, or none does. The counts follow.
    async fn numbers_move_together_or_not_at_all(opener) {
        let (store, one, two) = seeded(opener).await;
        let home = store.peers(Some(account(1))).await.expect("read")[0].id;
        let site = store.create_site(account(1), "another".into(), at(0)).await.expect("made").id;
        let peer = store.create_peer(account(1), site, "a peer".into(), at(0)).await.expect("made").id;
        let go = async |numbers: &[u64], (site, peer): (SiteId, PeerId)| {
            let to = Destination { site, peer };
            let numbers = numbers.iter().copied().map(number).collect();
            store.move_numbers(account(1), to, numbers, "orderer".into(), at(50), policy()).await.expect("tried")
        };
        let in_service = async || store.in_service(account(1)).await.expect("read");
        assert_eq!(in_service().await, [(one, Some(home), 10)]);
        assert_eq!(go(&[1, 11, 2, 30, 99], (site, peer)).await, NumbersMoved::NotInService([11, 30, 99].map(number).to_vec()));
        assert_eq!(go(&[1], (site, home)).await, NumbersMoved::NoPlace(NoPlace::Peer));
        assert_eq!(go(&[1], (two, peer)).await, NumbersMoved::NoPlace(NoPlace::Site));
        assert_eq!(in_service().await, [(one, Some(home), 10)]);
        assert_eq!(go(&[1, 2, 3], (site, peer)).await, NumbersMoved::Done(3));
        assert_eq!(go(&[3, 4], (site, peer)).await, NumbersMoved::Done(1), "one was there");
        assert_eq!(in_service().await, [(one, Some(home), 6), (site, Some(peer), 4)]);
        let count = async |query| store.count(query).await.expect("read");
        let there = NumberQuery { site: Some(site), ..NumberQuery::all(account(1), &[State::InService]) };
        assert_eq!(count(there.clone()).await, 4);
        assert_eq!(count(NumberQuery { peer: Some(home), ..there.clone() }).await, 0);
        assert_eq!(count(NumberQuery { account: account(2), ..there.clone() }).await, 0);
        assert_eq!(store.numbers(NumberQuery { size: 10, ..there }).await.expect("read").items, [1, 2, 3, 4].map(number));

        let facts = store.facts(number(1)).await.expect("read").expect("there");
        assert_eq!((facts.since, facts.in_service_at), (at(0), Some(at(0))), "its state began before");
        assert_eq!(facts.entry.standing.place(), Some(Place { account: account(1), site, peer: Some(peer) }));
        let events = store.history(number(1)).await.expect("read").expect("there").history.events;
        assert!(matches!(events[..], [ref event] if event.by == By::User("orderer".into()) && matches!(event.change, Change::Moved { .. })));
        store.close().await;
        let store = opener.open().await;
        store.accept(order(100, 1, disconnect([1, 5]))).await.expect("accepted");
        run_all(&*store, at(200)).await;
        assert_eq!(store.in_service(account(1)).await.expect("read"), [(one, Some(home), 5), (site, Some(peer), 3)]);
        clean(&*store).await;
    }

    /// Its former site may be removed while it ages.
    async fn a_number_whose_site_went_while_it_aged_comes_back_to_the_default_site(opener) {
        let (store, one, _) = seeded(opener).await;
        let home = store.peers(Some(account(1))).await.expect("read")[0].id;
        let site = store.create_site(account(1), "another".into(), at(0)).await.expect("made").id;
        let peer = store.create_peer(account(1), site, "a peer".into(), at(0)).await.expect("made").id;
        let moved = store.move_numbers(account(1), Destination { site, peer }, vec![number(1)], "orderer".into(), at(1), policy()).await;
        assert_eq!(moved.expect("tried"), NumbersMoved::Done(1));
        store.accept(order(2, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(store.remove_peer(account(1), site, peer, doer(0)).await.expect("tried"), Removed::Gone);
        assert_eq!(store.remove_site(account(1), site, doer(0)).await.expect("tried"), Removed::Gone);
        clean(&*store).await;
        store.accept(order(20, 1, activate([1], site))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        let entry = store.facts(number(1)).await.expect("read").expect("there").entry;
        let place = Place { account: account(1), site: one, peer: Some(home) };
        assert_eq!(entry.standing, Standing::InService { place });
        clean(&*store).await;
    }
}
