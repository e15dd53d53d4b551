//! Accounts, as they are changed, closed and reopened.

use onhook_core::account::change::{AccountAct, AccountChange, Holdings, StaysOpen};
use onhook_core::account::{AccountKind, AccountState, Class};
use onhook_core::ids::{EventSeq, ReservationId};
use onhook_core::import::Intake;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::order::{Kind, Status};
use onhook_core::reservation::{NotReserved, Reservation};

use super::fixtures::{
    account, activate, at, clean, disconnect, in_service, lines, make_account, number, order, policy,
    run_all, search, seeded, state,
};
use crate::conformance::Opener;
use crate::contract::accounts::Altered;
use crate::contract::reservations::Reserved;
use crate::{Store, StoreError};

async fn alter(store: &dyn Store, id: u32, act: AccountAct, n: i64) -> Altered {
    store.alter_account(account(id), act, None, Doer::offline(at(n))).await.expect("tried")
}

cases! { ($) accounts conformance_accounts:
    /// Every handle knows an account once it is made.
    async fn an_account_is_there_once_it_is_made(opener) {
        let (one, other) = opener.open_twice().await;
        let before = std::sync::Arc::new(one.image().await.expect("read"));
        for (made, handle) in [(false, &one), (false, &other), (true, &other), (true, &one), (true, &one)] {
            if made && !handle.has_account(account(1)).await.expect("read") {
                make_account(&**handle, 1).await;
            }
            assert_eq!(handle.has_account(account(1)).await.expect("read"), made);
            assert!(!handle.has_account(account(2)).await.expect("read"));
        }
        clean(&*one).await;
        one.put_back(before, None).await.expect("put back");
        assert!(!one.has_account(account(1)).await.expect("read"));
    }

    /// What a change names changes, and the rest stays.
    async fn an_account_changes_as_an_operator_says(opener) {
        let (store, ..) = seeded(opener).await;
        let (before, holdings) = store.account_held(account(1)).await.expect("read").expect("there");
        assert_eq!(holdings, Holdings { in_service: 10, ..Holdings::default() });
        let change = AccountChange {
            name: Some("Another name".into()),
            kind: Some(AccountKind::Carrier),
            class: Some(Class::Business),
            cancel_window_seconds: Some(Some(600)),
            reports_rnd: Some(false),
            legal_name: Some(Some("Another name, Inc.".into())),
        };
        let Altered::Done(done) = alter(&*store, 1, AccountAct::Change(change), 5).await else { panic!("refused") };
        let (after, now) = *done;
        assert_eq!((&*after.name, after.kind, after.class), ("Another name", AccountKind::Carrier, Class::Business));
        assert_eq!((after.cancel_window_seconds, after.reports_rnd), (Some(600), false));
        assert_eq!((after.legal_name.as_deref(), after.created_at), (Some("Another name, Inc."), before.created_at));
        assert_eq!(now, holdings);
        let cleared = AccountChange { cancel_window_seconds: Some(None), legal_name: Some(None), ..AccountChange::default() };
        let Altered::Done(done) = alter(&*store, 1, AccountAct::Change(cleared), 6).await else { panic!("refused") };
        assert_eq!((done.0.cancel_window_seconds, &done.0.legal_name, &*done.0.name), (None, &None, "Another name"));
        assert_eq!(alter(&*store, 9, AccountAct::Reopen, 7).await, Altered::Unknown);
        let all = store.accounts_held(None, 10).await.expect("read");
        assert_eq!(all.iter().map(|(one, _)| one.id).collect::<Vec<_>>(), [account(1), account(2)]);
        assert_eq!(store.accounts_held(Some(account(1)), 10).await.expect("read"), all[1..]);
        assert_eq!(store.accounts_held(None, 1).await.expect("read"), [*done]);
        // Each change is found again, and nothing else.
        let changes = store.account_changes(EventSeq(0), 10).await.expect("read");
        let told = |nth: usize| (changes[nth].deed.at, changes[nth].deed.account, changes[nth].deed.detail["before"].clone());
        assert_eq!(told(0).2["kind"], "end-user");
        assert_eq!((told(1).0, told(1).1, &told(1).2["cancel_window_seconds"]), (at(6), Some(account(1)), &600.into()));
        assert_eq!(store.account_changes(EventSeq(0), 1).await.expect("read"), changes[..1]);
        assert_eq!(store.account_changes(changes[0].seq, 10).await.expect("read"), changes[1..]);
        assert_eq!(changes.len(), 2);
        clean(&*store).await;
    }

    /// It has to be empty, but for numbers that age. Then no door puts a number into it.
    async fn a_closed_account_gets_no_number(opener) {
        let (store, site, _) = seeded(opener).await;
        let stays = Altered::StaysOpen(StaysOpen { holdings: Holdings { in_service: 10, ..Holdings::default() }, orders: 0 });
        assert_eq!(alter(&*store, 1, AccountAct::Close, 1).await, stays);
        store.accept(order(2, 1, disconnect(0..10))).await.expect("accepted");
        run_all(&*store, at(3)).await;
        // An order that waits keeps it open, also one that waits for numbers.
        store.accept(order(4, 1, search(100, site, true, false))).await.expect("accepted");
        for _ in 0..2 {
            let waits = alter(&*store, 1, AccountAct::Close, 5).await;
            assert_eq!(waits, Altered::StaysOpen(StaysOpen { holdings: Holdings { aging: 10, ..Holdings::default() }, orders: 1 }));
            run_all(&*store, at(6)).await;
        }
        assert_eq!(alter(&*store, 2, AccountAct::Close, 6).await, Altered::StaysOpen(StaysOpen {
            holdings: Holdings { in_service: 10, ..Holdings::default() }, orders: 0,
        }));
        // Enough numbers come, so that the order ends.
        let more = (100..200).map(|n| onhook_core::import::NewNumber::available(number(n)));
        store.import(lines(more.collect()), Intake::of("more"), at(7), policy()).await.expect("imported");
        run_all(&*store, at(8)).await;
        let taken: Vec<u64> = {
            let mut taken = Vec::new();
            for n in (20..50).chain(100..200) {
                if state(&*store, n).await == State::InService {
                    taken.push(n);
                }
            }
            taken
        };
        store.accept(order(9, 1, disconnect(taken))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let Altered::Done(closed) = alter(&*store, 1, AccountAct::Close, 11).await else { panic!("it stays open") };
        assert_eq!(closed.0.state, AccountState::Closed);
        // Orders are taken, and get nothing: neither aging numbers, nor the pool's, and they wait for none.
        let mut orders = Vec::new();
        for request in [activate([0], site), activate([45], site), search(1, site, true, true), search(1_000, site, true, false)] {
            orders.push(store.accept(order(12, 1, request)).await.expect("accepted").id);
        }
        run_all(&*store, at(13)).await;
        for id in orders {
            let ended = store.order(account(1), Kind::Number, id).await.expect("read").expect("there");
            assert_eq!(ended.status, Status::Failed, "{ended:?}");
        }
        let free = {
            let mut free = None;
            for n in (20..50).chain(100..200) {
                if state(&*store, n).await == State::Available {
                    free = Some(n);
                    break;
                }
            }
            free.expect("one")
        };
        let reservation = Reservation {
            id: ReservationId(uuid::Uuid::from_u128(1)),
            account: account(1),
            number: number(free),
            until: at(1_000),
        };
        let reserved = store.reserve(reservation, "username".into(), at(14), policy()).await.expect("tried");
        assert_eq!(reserved, Reserved::Refused(NotReserved::Unavailable));
        let imported = store.import(lines(vec![in_service(300, 1)]), Intake::of("late"), at(15), policy()).await;
        assert!(matches!(imported, Err(StoreError::Import(_))), "{imported:?}");
        clean(&*store).await;
        // The id is never given again. Reopened, the account is as before.
        let new = crate::contract::accounts::NewAccount {
            id: account(1), name: "again".into(), kind: AccountKind::EndUser, class: Class::Unknown,
        };
        assert!(matches!(store.create_account(new, Doer::offline(at(16))).await, Err(StoreError::Conflict(_))));
        assert!(matches!(alter(&*store, 1, AccountAct::Reopen, 17).await, Altered::Done(_)));
        store.accept(order(18, 1, activate([0], site))).await.expect("accepted");
        run_all(&*store, at(19)).await;
        assert_eq!(state(&*store, 0).await, State::InService);
        clean(&*store).await;
    }
}
