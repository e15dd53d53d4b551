//! Reservations.

use onhook_core::ids::ReservationId;
use onhook_core::lifecycle::diagram::State;
use onhook_core::order::{Kind, Status};
use onhook_core::reservation::{NotReserved, Reservation};

use super::fixtures::{
    account, activate, at, clean, number, order, policy, release, run_all, search, seeded, state,
};
use crate::conformance::Opener;
use crate::contract::reservations::Reserved;

cases! { ($) reservations conformance_reservations:
    /// Until it is given back, ordered, or expired.
    async fn a_reservation_holds_a_number_for_one_account(opener) {
        let (store, one, two) = seeded(opener).await;
        let wanted = |n: u64, account_id, number_id| Reservation {
            id: ReservationId(uuid::Uuid::from_u128(u128::from(n))),
            account: account(account_id),
            number: number(number_id),
            until: at(1_000),
        };
        let reserve = async |wanted: Reservation| store.reserve(wanted, "username".into(), at(1), policy()).await.expect("tried");
        for n in 20..24 {
            assert_eq!(reserve(wanted(n, 1, n)).await, Reserved::Done);
        }
        for (n, foreign) in [(1, 20), (2, 1), (3, 99)] {
            assert_eq!(reserve(wanted(n, 2, foreign)).await, Reserved::Refused(NotReserved::Unavailable));
        }
        let held = store.reservation(account(1), wanted(20, 1, 20).id).await.expect("read");
        assert_eq!(held, Some(wanted(20, 1, 20)));
        assert_eq!(store.reservation(account(2), wanted(20, 1, 20).id).await.expect("read"), None);
        for who in [None, Some(account(1))] {
            assert_eq!(store.reservation_of(who, number(21)).await.expect("read"), Some(wanted(21, 1, 21)));
        }
        assert_eq!(store.reservation_of(Some(account(2)), number(21)).await.expect("read"), None);
        clean(&*store).await;
        // Nobody else gets it, by name or by search. Its holder does.
        store.accept(order(2, 2, activate([20], two))).await.expect("accepted");
        let searched = store.accept(order(3, 2, search(30, two, false, true))).await.expect("accepted").id;
        store.accept(order(4, 1, activate([20], one))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let found = store.order(account(2), Kind::Number, searched).await.expect("read").expect("there");
        assert_eq!((found.status, found.taken.len()), (Status::Partial, 26));
        assert_eq!(store.reservation(account(1), wanted(20, 1, 20).id).await.expect("read"), None, "it was taken");
        let cancel = async |who, n| {
            store.cancel_reservation(account(who), wanted(n, 1, n).id, "username".into(), at(20), policy()).await.expect("tried")
        };
        assert_eq!(cancel(2, 21).await, None);
        assert_eq!(cancel(1, 21).await, Some(wanted(21, 1, 21)));
        assert_eq!(cancel(1, 21).await, None);
        assert_eq!(state(&*store, 21).await, State::Available);
        assert_eq!(release(&*store, at(999), 100).await.numbers, 0);
        assert_eq!(release(&*store, at(1_000), 100).await.numbers, 2);
        assert_eq!(store.reservation(account(1), wanted(22, 1, 22).id).await.expect("read"), None, "it is over");
        clean(&*store).await;
    }
}
