//! A good store, and what is done to it that the checker must find: the same for each store.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;

use onhook_core::account::{AccountKind, Class};
use onhook_core::ids::AccountId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::notify::subscription::{Digest, Email, NewSubscription, OrderType, Receiver, Subject};
use onhook_core::number::Number;
use onhook_core::order::{Disconnect, Mode, NewOrder, Request};
use onhook_core::time::Timestamp;
use onhook_store::Store;
use onhook_store::contract::accounts::NewAccount;

/// Changes behind the store's back, in the SQL that every store's database knows, and a part of what the checker says
/// of each. They are made in a store that [`fill`] has filled.
pub(crate) const DAMAGE: [(&str, &str); 30] = [
    (
        "UPDATE number SET state = 2, due_at = NULL WHERE number = 19195550101",
        "+19195550101: its state is InService, and from its events follows Aging",
    ),
    (
        "UPDATE number SET due_at = due_at - 1 WHERE number = 19195550101",
        "+19195550101: its end of the hold or reservation is ",
    ),
    ("DELETE FROM event WHERE number = 19195550101", "is missing"),
    (
        "DELETE FROM number WHERE number = 19195550109",
        "numbers of account 1 in state InService: the kept count is 8, and there are 7",
    ),
    (
        "UPDATE tally SET numbers = numbers + 1 WHERE state = 3",
        "numbers of account 1 in state Aging: the kept count is 3, and there are 2",
    ),
    (
        "UPDATE tally SET numbers = 400, account = 0 WHERE state = 3",
        "numbers without an account in state Aging: the kept count is 400, and there are 0",
    ),
    ("UPDATE area SET supply = 5", "its kept supply is 5, and the pool has 0 of its numbers"),
    ("UPDATE event SET at = at - 100000000 WHERE number = 19195550101", "comes before"),
    (
        "INSERT INTO event (seq, number, prev, at, detail) VALUES (99, 19195550105, 1, 1, '\"Unreserved\"')",
        "following the numbers finds",
    ),
    ("UPDATE orders SET status = 2", "failed"),
    ("UPDATE orders SET account = 77", "it belongs to account 77, which is missing"),
    (
        "UPDATE orders SET request = replace(request, '19195550102', '19195550108')",
        "of its numbers went, and has 1 events",
    ),
    (
        "UPDATE number SET site = 4242 WHERE number = 19195550105",
        "it is at site 4242, or at a peer of it, that its account 1 does not have",
    ),
    (
        "UPDATE number SET flags = 1, state = 0, holder = NULL, site = NULL WHERE number = 19195550105",
        "in the pool",
    ),
    (
        "UPDATE event SET detail = replace(detail, '\"days\":90', '\"days\":0') WHERE number IS NOT NULL",
        "its reason",
    ),
    ("UPDATE in_service SET numbers = 7", "the kept count of numbers in service there is 7"),
    ("DELETE FROM in_service", "the kept count of numbers in service there is 0, and there are 8"),
    (
        "INSERT INTO stock (npa_nxx, area, numbers) VALUES (919555, 1, 7)",
        "the kept count of its pool numbers is 7, and there are 0",
    ),
    (
        "INSERT INTO rate_center (id, region, abbreviation, name) VALUES (1, 'NC', 'A', 'A');
         INSERT INTO exchange (npa_nxx, rate_center, zips) VALUES (919555, 1, '27601 27602')",
        "it has 2 ZIP codes, and searches find it by 0",
    ),
    ("INSERT INTO exchange (npa_nxx, rate_center, zips) VALUES (919555, 7, '')", "rate center"),
    ("UPDATE account SET state = 'closed' WHERE id = 1", "it is in service, and its account 1 is closed"),
    ("UPDATE site SET is_default = false", "it needs 1 default site, and has 0"),
    (
        "INSERT INTO peer (account, site, name, is_default) VALUES (1, 1, 'a', false)",
        "it needs 1 default peer, and has 0",
    ),
    (
        "INSERT INTO peer (account, site, name, is_default) VALUES (1, 7, 'a', true)",
        "it belongs to account 1, and its site to 0",
    ),
    ("DELETE FROM orders", "but is missing"),
    ("DELETE FROM notification", "was not told of order"),
    ("UPDATE notification SET order_seq = 77", "which it tells of, is missing"),
    ("UPDATE notification SET status = 3", "a status that its order has not"),
    (
        "UPDATE notification SET standing = 1, due_at = NULL, ended_at = at",
        "attempts at a delivery were made",
    ),
    ("DELETE FROM subscription", "no subscription that it could be for"),
];

/// Returns the n-th number.
pub(crate) fn number(n: u64) -> Number {
    Number::from_digits(19_195_550_100 + n).unwrap()
}

/// Returns the time of all that happens.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

/// Returns the account of all numbers.
pub(crate) fn account() -> AccountId {
    AccountId::new(1).unwrap()
}

/// Returns an order that disconnects numbers.
pub(crate) fn new_order(numbers: &[Number]) -> Arc<NewOrder> {
    Arc::new(NewOrder {
        account: account(),
        user: "username".into(),
        under: Provenance::default(),
        name: None,
        customer_order_id: None,
        created_at: now(),
        request: Request::Disconnect(Disconnect {
            numbers: numbers.to_vec(),
            mode: Mode::Normal,
            protected: None,
            reason: None,
        }),
        key: None,
    })
}

pub(crate) fn new_subscription() -> NewSubscription {
    NewSubscription {
        account: account(),
        subject: Subject::Orders(OrderType::Disconnects, None),
        receiver: Receiver::Email(Email { address: "ops@example.com".into(), digest: Digest::None }),
        expires_at: None,
    }
}

/// Makes an account with a site and the first ten numbers, in service.
pub(crate) async fn put_ten_in_service(store: &dyn Store) {
    let id = account();
    let new = NewAccount { id, name: "one".into(), kind: AccountKind::EndUser, class: Class::Unknown };
    store.create_account(new, onhook_core::lifecycle::provenance::Doer::offline(now())).await.unwrap();
    store.create_site(id, "a site".into(), now()).await.unwrap();
    let numbers = (0..10_u64).map(move |n| {
        (n, Ok(NewNumber { state: State::InService, account: Some(id), ..NewNumber::available(number(n)) }))
    });
    store.import(Box::new(numbers), Intake::of("test"), now(), Arc::default()).await.unwrap();
}

/// Makes a store with something of each kind: ten numbers, an order that has disconnected two of them, and a subscriber
/// that was told.
pub(crate) async fn fill(store: &dyn Store) {
    put_ten_in_service(store).await;
    store.subscribe(new_subscription(), now()).await.unwrap();
    store.accept(new_order(&[number(1), number(2)])).await.unwrap();
    store.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

/// A change that no rule but the seals can see.
pub(crate) const UNDER_A_SEAL: &str = "UPDATE event SET reason = 'another' WHERE seq = 1";

/// Checks that a deep check beside others finds [`UNDER_A_SEAL`], and that one which does not look at events does not.
pub(crate) async fn assert_seals_are_followed(store: &dyn Store) {
    let beside = async |deep| store.check_beside(deep, Arc::new(|_| ())).await.unwrap().findings;
    assert_eq!(beside(false).await, vec![]);
    let found: Vec<String> = beside(true).await.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["position 1: the event is changed since it was sealed"]);
}

/// Checks that the checker finds what a change has done, and says so.
pub(crate) async fn assert_found(store: &dyn Store, change: &str, found: &str) {
    let findings = store.check(true).await.unwrap().findings;
    assert!(findings.iter().any(|f| f.to_string().contains(found)), "{change}: {findings:?}");
}
