//! Orders are kept, run once, listed, and wait for numbers in turn.

use std::sync::Arc;

use onhook_core::ids::OrderId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::By;
use onhook_core::locality::Exchange;
use onhook_core::number::Number;
use onhook_core::order::amend::Amendment;
use onhook_core::order::{IdempotencyKey, Kind, Origin, Refusal, Status};
use onhook_core::time::DAY_MS;

use super::fixtures::{
    account, activate, all_orders, at, clean, disconnect, doer, lines, note, number, order, policy, release,
    run_all, search, seeded,
};
use crate::conformance::Opener;
use crate::contract::orders::{Accepted, Amended, OrderQuery};
use crate::contract::page::Start;
use crate::{Store, StoreError};

cases! { ($) orders conformance_orders:
    /// An accepted order survives the closing of the store.
    async fn what_was_accepted_is_there_after_reopening(opener) {
        let (store, ..) = seeded(opener).await;
        let new = order(1, 1, disconnect([3, 1, 2]));
        let Accepted { id, again } = store.accept(new.clone()).await.expect("accepted");
        assert!(!again);
        store.close().await;
        assert!(store.accept(order(2, 1, disconnect([4]))).await.is_err(), "a closed store takes nothing");
        drop(store);
        let store = opener.open().await;
        let found = store.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!((found.status, &found.request), (Status::Received, &new.request));
        assert_eq!(
            (found.name.as_ref(), &found.user, found.created_at),
            (new.name.as_ref(), &new.user, new.created_at)
        );
        run_all(&*store, at(100)).await;
        let found = store.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(found.done().collect::<Vec<_>>(), [number(3), number(1), number(2)]);
        clean(&*store).await;
    }

    /// The same key is the same order. Another request with it is refused. Another account's key is another key.
    async fn one_key_is_one_order(opener) {
        let (store, ..) = seeded(opener).await;
        let key = |digest| Some(IdempotencyKey { key: "a".into(), digest: [digest; 32] });
        let with = |n, account_id, digest| {
            let mut order = order(n, account_id, disconnect([1]));
            Arc::make_mut(&mut order).key = key(digest);
            order
        };
        let first = store.accept(with(1, 1, 7)).await.expect("accepted");
        let again = store.accept(with(2, 1, 7)).await.expect("accepted");
        assert_eq!(again, Accepted { id: first.id, again: true });
        assert!(matches!(store.accept(with(3, 1, 8)).await, Err(StoreError::KeyReused)));
        assert!(!store.accept(with(4, 2, 7)).await.expect("accepted").again);
        store.close().await;
        let store = opener.open().await;
        assert!(store.accept(with(5, 1, 7)).await.expect("accepted").again);
        let unknown = OrderId(uuid::Uuid::from_u128(0x4000_8000_0000_0000_0002));
        assert!(store.order(account(1), Kind::Disconnect, unknown).await.expect("read").is_none());
        clean(&*store).await;
    }

    /// Orders of one batch that want the same numbers share them. The pool's supply follows.
    async fn an_order_that_searches_takes_what_fits_and_no_number_twice(opener) {
        let (store, one, two) = seeded(opener).await;
        let mut ids = Vec::new();
        for (n, (who, site, quantity, wanted)) in (1..).zip([
            (1, one, 12, Status::Complete), (2, two, 12, Status::Complete), (1, one, 12, Status::Partial),
            (2, two, 1, Status::Failed),
        ]) {
            let new = order(n, who, search(quantity, site, false, true));
            ids.push((who, store.accept(new).await.expect("accepted").id, wanted));
        }
        run_all(&*store, at(10)).await;
        let mut taken = Vec::new();
        for (who, id, wanted) in ids {
            let found = store.order(account(who), Kind::Number, id).await.expect("read").expect("there");
            assert_eq!((found.status, found.refused), (wanted, None));
            taken.extend(found.done());
        }
        taken.sort_unstable();
        assert_eq!(taken, (20..50).map(number).collect::<Vec<_>>(), "the whole pool, each number once");
        let query = OrderQuery { kind: Kind::Number, site: Some(two), ..all_orders(2) };
        assert_eq!(store.orders(query.clone()).await.expect("read").total, 2);
        let elsewhere = OrderQuery { site: Some(one), ..query };
        assert_eq!(store.orders(elsewhere).await.expect("read").total, 0);
        clean(&*store).await;
    }

    /// New numbers go to waiting orders before new ones, to the oldest first. An order that wants all or none, and
    /// cannot have all, does not block the others.
    async fn who_waits_longer_is_served_first(opener) {
        let (store, one, two) = seeded(opener).await;
        let mut waiting = vec![store.accept(order(0, 2, search(200, two, true, false))).await.expect("accepted").id];
        store.accept(order(0, 1, search(30, one, false, true))).await.expect("accepted");
        run_all(&*store, at(1)).await;
        for n in 1..80 {
            waiting.push(store.accept(order(n, 2, search(1, two, true, true))).await.expect("accepted").id);
        }
        run_all(&*store, at(100)).await;
        let new = lines((60..110).map(|n| NewNumber::available(number(n))).collect());
        store.import(new, Intake::of("more"), at(101), policy()).await.expect("imported");
        let newest = store.accept(order(102, 1, search(60, one, false, true))).await.expect("accepted").id;
        run_all(&*store, at(103)).await;
        let mut taken = Vec::new();
        for id in waiting {
            taken.push(store.order(account(2), Kind::Number, id).await.expect("read").expect("there").taken.len());
        }
        let newest = store.order(account(1), Kind::Number, newest).await.expect("read").expect("there").taken.len();
        assert_eq!((taken[0], &taken[1..51], &taken[51..], newest), (0, &[1; 50][..], &[0; 29][..], 0));
        clean(&*store).await;
    }

    /// By a release or an import, also after the store was closed; oldest first.
    async fn a_waiting_order_is_filled_when_numbers_appear(opener) {
        let (store, one, two) = seeded(opener).await;
        let waits = store.accept(order(1, 1, search(31, one, true, true))).await.expect("accepted").id;
        let all_or_none = store.accept(order(2, 2, search(2, two, true, false))).await.expect("accepted").id;
        run_all(&*store, at(10)).await;
        let get = async |store: &Arc<dyn Store>, who, id| {
            store.order(account(who), Kind::Number, id).await.expect("read").expect("there")
        };
        let first = get(&store, 1, waits).await;
        assert_eq!((first.status, first.taken.len()), (Status::Backordered, 30));
        let second = get(&store, 2, all_or_none).await;
        assert_eq!((second.status, second.taken.len()), (Status::Backordered, 0));
        // Nothing is new, so nothing runs again.
        assert_eq!(store.run_orders(at(11), 100, 1_000, policy()).await.expect("run"), crate::contract::orders::StepReport::default());
        clean(&*store).await;
        store.accept(order(3, 2, disconnect([12]))).await.expect("accepted");
        run_all(&*store, at(20)).await;
        let due = store.facts(number(12)).await.expect("read").expect("there").entry.standing.due_at().expect("aging");
        assert_eq!(release(&*store, due, 100).await.numbers, 1);
        store.close().await;
        let store = opener.open().await;
        run_all(&*store, due).await;
        let first = get(&store, 1, waits).await;
        assert_eq!((first.status, first.taken.last()), (Status::Complete, Some(&number(12))));
        assert_eq!(get(&store, 2, all_or_none).await.status, Status::Backordered);
        let new = lines((60..63).map(|n| NewNumber::available(number(n))).collect());
        store.import(new, Intake::of("more"), due, policy()).await.expect("imported");
        run_all(&*store, due.plus_millis(1)).await;
        let second = get(&store, 2, all_or_none).await;
        assert_eq!((second.status, second.taken.len()), (Status::Complete, 2));
        let told = store.order_history(account(1), Kind::Number, waits).await.expect("read").expect("there");
        assert_eq!(told.iter().map(|line| (line.status, line.taken)).collect::<Vec<_>>(), [(Status::Backordered, 30)]);
        clean(&*store).await;
    }

    /// And only while it waits.
    async fn a_waiting_order_can_be_changed_and_closed(opener) {
        let (store, one, _) = seeded(opener).await;
        let id = store.accept(order(1, 1, search(31, one, true, true))).await.expect("accepted").id;
        let amend = async |who, amendment: Amendment| {
            store.amend_order(account(who), id, amendment, "username".into(), at(20)).await.expect("tried")
        };
        let close = Amendment { close: true, ..Amendment::default() };
        assert_eq!(amend(1, close.clone()).await, Amended::NotWaiting, "it has not run");
        run_all(&*store, at(10)).await;
        let mine = Amendment { customer_order_id: Some("mine".into()), ..Amendment::default() };
        assert_eq!(amend(2, mine.clone()).await, Amended::NoOrder);
        let Amended::Done(changed) = amend(1, mine.clone()).await else { panic!("it waits") };
        assert_eq!((changed.status, changed.customer_order_id.as_deref()), (Status::Backordered, Some("mine")));
        let Amended::Done(closed) = amend(1, close.clone()).await else { panic!("it waits") };
        assert_eq!((closed.status, closed.taken.len()), (Status::Partial, 30));
        assert_eq!(amend(1, mine).await, Amended::NotWaiting);
        let found = store.order(account(1), Kind::Number, id).await.expect("read").expect("there");
        assert_eq!(found, *closed);
        let told = store.order_history(account(1), Kind::Number, id).await.expect("read").expect("there");
        let told: Vec<_> = told.iter().map(|l| (l.author.as_deref(), l.difference.as_deref())).collect();
        assert_eq!(told, [(None, None), (Some("username"), Some("CustomerOrderId : \"\" --> mine"))]);
        assert_eq!(store.order_history(account(2), Kind::Number, id).await.expect("read"), None);
        clean(&*store).await;
    }

    /// Also of an order that took its numbers in several steps.
    async fn where_an_order_s_numbers_went_and_are_from_is_kept(opener) {
        let (store, one, _) = seeded(opener).await;
        let home = store.peers(Some(account(1))).await.expect("read")[0].id;
        let north_carolina = |rate_center: Option<&str>, others| {
            let rate_center = rate_center.map(str::to_owned);
            Some(Origin { rate_center, region: Some("NC".into()), others })
        };
        let kept = async |kind, id| store.order(account(1), kind, id).await.expect("read").expect("there");
        let id = store.accept(order(1, 1, activate([21, 20], one))).await.expect("accepted").id;
        let asked = kept(Kind::Number, id).await;
        assert_eq!((asked.peer(), asked.peers, asked.origin), (None, vec![], None), "it has not run");
        run_all(&*store, at(10)).await;
        let ended = kept(Kind::Number, id).await;
        let origin = north_carolina(None, false);
        assert_eq!((ended.peer(), ended.peers, ended.origin), (Some(home), vec![Some(home)], origin));
        // A disconnect order moves no number anywhere.
        let id = store.accept(order(20, 1, disconnect([20]))).await.expect("accepted").id;
        run_all(&*store, at(30)).await;
        let ended = kept(Kind::Disconnect, id).await;
        assert_eq!((ended.peer(), ended.peers, ended.origin), (None, vec![], None));

        let exchange = |npa_nxx, rate_center: &str| Exchange {
            npa_nxx,
            region: "NC".into(),
            rate_center: rate_center.into(),
            name: rate_center.into(),
            lata: None,
            city: None,
            zips: Vec::new(),
        };
        let exchanges = [exchange(919_555, "RALEIGH"), exchange(919_666, "CARY")];
        let exchanges = Box::new((1..).zip(exchanges.into_iter().map(Ok)));
        store.import_exchanges(exchanges, doer(0)).await.expect("imported");
        let id = store.accept(order(40, 1, search(29, one, true, true))).await.expect("accepted").id;
        run_all(&*store, at(50)).await;
        let waits = kept(Kind::Number, id).await;
        assert_eq!((waits.status, waits.taken.len()), (Status::Backordered, 28));
        assert_eq!((waits.peer(), waits.origin), (None, None), "it has not ended");
        let late = Number::from_digits(19_196_660_100).expect("valid");
        store.import(lines(vec![NewNumber::available(late)]), Intake::of("late"), at(60), policy()).await.expect("imported");
        run_all(&*store, at(70)).await;
        let ended = kept(Kind::Number, id).await;
        let origin = north_carolina(Some("RALEIGH"), true);
        assert_eq!((ended.peer(), ended.origin), (Some(home), origin));
        clean(&*store).await;
    }

    /// COMPLETE, PARTIAL and FAILED, and nothing changes them.
    async fn an_order_ends_once_with_an_outcome_for_each_number(opener) {
        let (store, ..) = seeded(opener).await;
        let wanted = [
            (disconnect([1, 2]), Status::Complete, vec![]),
            (disconnect([2, 3, 11, 30, 99]), Status::Partial, vec![2, 11, 30, 99]),
            (disconnect([1, 12]), Status::Failed, vec![1, 12]),
        ];
        let mut ids = Vec::new();
        for (n, (request, ..)) in (1..).zip(&wanted) {
            ids.push(store.accept(order(n, 1, request.clone())).await.expect("accepted").id);
        }
        run_all(&*store, at(10)).await;
        assert!(store.run_orders(at(20), 100, 1_000, policy()).await.expect("run").ended.is_empty());
        for (id, (request, status, failed)) in ids.into_iter().zip(wanted) {
            let found = store.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
            assert_eq!(found.status, status);
            assert_eq!(found.failed.iter().map(|f| f.number).collect::<Vec<_>>(), failed.into_iter().map(number).collect::<Vec<_>>());
            assert!(found.failed.iter().all(|f| f.why == Refusal::NotInService));
            assert_eq!(found.done().count() + found.failed.len(), request.numbers().len());
        }
        clean(&*store).await;
    }

    /// A small order does not wait until all the large orders of another account have run.
    async fn a_small_order_does_not_wait_for_the_large_ones_of_another_account(opener) {
        let (store, ..) = seeded(opener).await;
        let numbers: Vec<u64> = (1_000..6_000).collect();
        for n in 1..=50 {
            store.accept(order(n, 1, disconnect(numbers.iter().copied()))).await.expect("accepted");
        }
        let first = store.run_orders(at(60), 256, 5_000, policy()).await.expect("run");
        assert_eq!((first.ended.len(), first.more), (1, true));
        let small = store.accept(order(61, 2, disconnect([11]))).await.expect("accepted").id;
        let second = store.run_orders(at(62), 256, 5_000, policy()).await.expect("run");
        assert!(second.ended.iter().any(|end| end.id == small), "{second:?}");
        run_all(&*store, at(70)).await;
        let query = OrderQuery { status: Some(Status::Failed), ..all_orders(1) };
        let query = OrderQuery { kind: Kind::Disconnect, ..query };
        assert_eq!(store.orders(query).await.expect("read").total, 50, "those of the other one run too");
        clean(&*store).await;
    }

    /// A batch of orders for the same number does what they would do one by one.
    async fn orders_of_one_batch_are_judged_one_after_another(opener) {
        let (store, one, two) = seeded(opener).await;
        let requests = [(1, disconnect([1])), (2, activate([1], two)), (1, activate([1], one)), (1, disconnect([1])), (1, disconnect([1]))];
        for (n, (who, request)) in (1..).zip(&requests) {
            store.accept(order(n, *who, request.clone())).await.expect("accepted");
        }
        let step = store.run_orders(at(10), 100, 1_000, policy()).await.expect("run");
        let ends: Vec<Status> = step.ended.iter().map(|e| e.status).collect();
        assert_eq!(ends, [Status::Complete, Status::Failed, Status::Complete, Status::Complete, Status::Failed]);
        assert_eq!((step.numbers, step.more), (3, false));
        let history = store.history(number(1)).await.expect("read").expect("there").history;
        assert_eq!(history.events.len(), 3);
        assert_eq!(history.origin.state(), State::InService);
        assert!(history.events.iter().all(|e| matches!(e.by, By::Order(_))));
        clean(&*store).await;
    }

    /// Each order is on one page, newest first, whatever the size of the page.
    async fn order_lists_page_through_everything_once(opener) {
        let (store, one, _) = seeded(opener).await;
        let mut wanted = Vec::new();
        for n in 1..=23 {
            wanted.insert(0, store.accept(order(n, 1, disconnect([99]))).await.expect("accepted").id);
        }
        store.accept(order(100, 1, activate([1], one))).await.expect("accepted");
        run_all(&*store, at(50)).await;
        let query = all_orders(1);
        let mut seen = Vec::new();
        let mut next = Some(query.clone());
        while let Some(query) = next {
            let page = store.orders(query.clone()).await.expect("read");
            assert_eq!(page.total, 23);
            seen.extend(page.items.iter().map(|o| o.id));
            next = page.next.map(|id| OrderQuery { start: Start::At(id), ..query });
        }
        assert_eq!(seen, wanted);
        let third = store.orders(OrderQuery { start: Start::Page(3), ..query.clone() }).await.expect("read");
        assert_eq!(third.items.iter().map(|o| o.id).collect::<Vec<_>>(), wanted[10..15]);
        let none = store.orders(OrderQuery { status: Some(Status::Complete), ..query.clone() }).await.expect("read");
        assert_eq!((none.total, none.items.len()), (0, 0));
        let some = store.orders(OrderQuery { created: Some((at(5), at(8))), ..query.clone() }).await.expect("read");
        assert_eq!(some.total, 3);
        let mine = store.orders(OrderQuery { user: Some("nobody".into()), ..query }).await.expect("read");
        assert_eq!(mine.total, 0);
        clean(&*store).await;
    }

    /// Another account's order id is as unknown as one that never was.
    async fn another_account_s_ids_are_unknown_ids(opener) {
        let (store, ..) = seeded(opener).await;
        let new = order(1, 1, disconnect([1]));
        let id = store.accept(new).await.expect("accepted").id;
        assert!(store.order(account(2), Kind::Disconnect, id).await.expect("read").is_none());
        assert!(store.order(account(1), Kind::Number, id).await.expect("read").is_none());
        assert!(store.notes(account(2), Kind::Disconnect, id).await.expect("read").is_none());
        let note = note("a note", 0);
        assert!(store.write_note(account(2), Kind::Disconnect, id, None, note).await.expect("tried").is_none());
        let query = OrderQuery { start: Start::At(id), ..all_orders(2) };
        assert!(store.orders(query).await.expect("read").items.is_empty());
        run_all(&*store, at(5)).await;
        clean(&*store).await;
    }

    /// Accepting, running and reading all at once.
    async fn many_callers_at_once_lose_nothing(opener) {
        let (store, one, _) = seeded(opener).await;
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..8_u32 {
            let store = store.clone();
            callers.spawn(async move {
                for n in 0..40_u32 {
                    let numbers = [u64::from((caller + n) % 10)];
                    let request = if n % 2 == 0 { disconnect(numbers) } else { activate(numbers, one) };
                    store.accept(order(i64::from(caller * 1_000 + n), 1, request)).await.expect("accepted");
                    if n % 8 == 0 {
                        store.run_orders(at(DAY_MS), 10, 100, policy()).await.expect("run");
                    }
                }
            });
        }
        callers.join_all().await;
        run_all(&*store, at(DAY_MS)).await;
        for kind in [Kind::Disconnect, Kind::Number] {
            let query = OrderQuery {
                account: account(1), kind, status: None, site: None, user: None, customer_order_id: None, created: None,
                start: Start::Page(1), size: 1_000,
            };
            let page = store.orders(query).await.expect("read");
            assert_eq!(page.total, 160);
            assert!(page.items.iter().all(|o| o.status != Status::Received));
        }
        let totals = store.totals(at(0)).await.expect("read");
        assert_eq!(totals.waiting, 0);
        assert_eq!(totals.by_state.iter().map(|(_, n)| n).sum::<u64>(), 50);
        clean(&*store).await;
    }

    /// Notes are listed oldest first, and can be replaced.
    async fn notes_are_kept_with_their_order(opener) {
        let (store, ..) = seeded(opener).await;
        let new = order(1, 1, disconnect([1]));
        let id = store.accept(new).await.expect("accepted").id;
        let write = async |replaces, text: &str| {
            store.write_note(account(1), Kind::Disconnect, id, replaces, note(text, 7)).await.expect("written")
        };
        let first = write(None, "a note").await;
        write(None, "another").await.expect("there");
        assert_eq!(write(first, "a better note").await, first);
        assert_eq!(write(Some(9_999), "no such note").await, None);
        let notes = store.notes(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(notes.iter().map(|n| n.text.as_str()).collect::<Vec<_>>(), ["a better note", "another"]);
        clean(&*store).await;
    }
}
