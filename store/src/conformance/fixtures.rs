//! Data that the cases begin with, and calls that they share.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::account::{AccountKind, Class};
use onhook_core::ids::{AccountId, SiteId, SubscriptionSeq};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::{Doer, Provenance};
use onhook_core::notify::notification::{Attempt, Outcome};
use onhook_core::notify::subscription::{
    Callback, Credentials, NewSubscription, NumberFormat, OrderType, Receiver, Secret, Subject, Subscription,
};
use onhook_core::number::Number;
use onhook_core::order::search::Criteria;
use onhook_core::order::{Activate, Disconnect, Kind, Mode, NewOrder, Request, Search, SearchForm, Wanted};
use onhook_core::time::Timestamp;

use crate::Store;
use crate::conformance::Opener;
use crate::contract::accounts::NewAccount;
use crate::contract::deliveries::{Delivery, Due, DueLimits};
use crate::contract::imports::Lines;
use crate::contract::leases::LeaseToken;
use crate::contract::numbers::NumberQuery;
use crate::contract::orders::{NewNote, OrderQuery, StepReport};
use crate::contract::page::Start;
use crate::contract::subscriptions::{Subscribed, SubscriptionQuery};

pub(super) const NOON: i64 = 1_700_000_000_000;

/// How long a lease of the suite lasts: longer than any case.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

/// Returns the policy of all cases.
pub(super) fn policy() -> Arc<Policy> {
    Arc::default()
}

pub(super) fn note(text: &str, millis: i64) -> NewNote {
    NewNote { user: "username".into(), text: text.into(), at: at(millis) }
}

pub(super) fn limits(subscriptions: usize, single: usize, daily: usize) -> DueLimits {
    DueLimits { subscriptions, single, daily }
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOON + millis)
}

/// Returns who works on the machine itself, `n` ms after the beginning.
pub(super) fn doer(n: i64) -> Doer {
    Doer::offline(at(n))
}

/// Returns a user who asks for something.
pub(super) fn asked_by(user: &str) -> Doer {
    Doer { author: user.into(), now: at(0) }
}

pub(super) fn account(id: u32) -> AccountId {
    AccountId::new(id).expect("not 0")
}

/// Returns the n-th number of the suite, in area code 919.
pub(super) fn number(n: u64) -> Number {
    Number::from_digits(19_195_550_100 + n).expect("a valid number")
}

/// Returns an order that arrived `n` ms after the beginning.
pub(super) fn order(n: i64, account_id: u32, request: Request) -> Arc<NewOrder> {
    Arc::new(NewOrder {
        account: account(account_id),
        user: "username".into(),
        under: Provenance::default(),
        name: Some("training run".into()),
        customer_order_id: None,
        created_at: at(n),
        request,
        key: None,
    })
}

pub(super) fn disconnect(numbers: impl IntoIterator<Item = u64>) -> Request {
    let numbers = numbers.into_iter().map(number).collect();
    Request::Disconnect(Disconnect { numbers, mode: Mode::Normal, protected: None, reason: None })
}

pub(super) fn activate(numbers: impl IntoIterator<Item = u64>, site: SiteId) -> Request {
    let numbers = numbers.into_iter().map(number).collect();
    let wanted = Wanted::named(numbers);
    Request::Activate(Activate {
        wanted,
        site,
        peer: None,
        partial_allowed: true,
        protected: false,
        back: None,
    })
}

/// Returns some numbers of the suite's area code.
pub(super) fn search(quantity: usize, site: SiteId, back_order: bool, partial_allowed: bool) -> Request {
    let criteria = Criteria::prefix("919");
    let search = Search { form: SearchForm::AreaCode, sent: Vec::new(), criteria, quantity, back_order };
    let wanted = Wanted::Found(Box::new(search));
    Request::Activate(Activate { wanted, site, peer: None, partial_allowed, protected: false, back: None })
}

/// Returns a query for the first disconnect orders of an account.
pub(super) fn all_orders(account_id: u32) -> OrderQuery {
    OrderQuery {
        account: account(account_id),
        kind: Kind::Disconnect,
        status: None,
        site: None,
        user: None,
        customer_order_id: None,
        created: None,
        start: Start::Page(1),
        size: 5,
    }
}

pub(super) fn lines(numbers: Vec<NewNumber>) -> Lines {
    Box::new((1..).zip(numbers.into_iter().map(Ok)))
}

pub(super) fn in_service(n: u64, account_id: u32) -> NewNumber {
    let account = Some(account(account_id));
    NewNumber { state: State::InService, account, ..NewNumber::available(number(n)) }
}

pub(super) async fn make_account(store: &dyn Store, id: u32) -> SiteId {
    let new = NewAccount {
        id: account(id),
        name: format!("account {id}"),
        kind: AccountKind::EndUser,
        class: Class::Unknown,
    };
    store.create_account(new, doer(0)).await.expect("made");
    let site = store.create_site(account(id), "a site".into(), at(0)).await.expect("made");
    store.create_peer(account(id), site.id, "a peer".into(), at(0)).await.expect("made");
    site.id
}

/// Makes accounts 1 and 2 with a site and a peer each. Numbers 0..10 are in service on 1, 10..20 on 2, 20..50 in the
/// pool.
pub(super) async fn seeded(opener: &dyn Opener) -> (Arc<dyn Store>, SiteId, SiteId) {
    let store = opener.open().await;
    let (one, two) = seed(&*store).await;
    (store, one, two)
}

/// Does the same on an open store.
pub(super) async fn seed(store: &dyn Store) -> (SiteId, SiteId) {
    let one = make_account(store, 1).await;
    let two = make_account(store, 2).await;
    let numbers = (0..10).map(|n| in_service(n, 1)).chain((10..20).map(|n| in_service(n, 2)));
    let pool = (20..50).map(|n| NewNumber::available(number(n)));
    let imported =
        store.import(lines(numbers.chain(pool).collect()), Intake::of("seed"), at(0), policy()).await;
    assert_eq!(imported.expect("imported").numbers, 50);
    (one, two)
}

/// Returns a subscription of an account that ends `n` ms after the beginning.
pub(super) fn subscription(account_id: u32, subject: Subject, url: &str, n: i64) -> NewSubscription {
    let callback = Callback {
        url: url.into(),
        credentials: Some(Credentials { username: "superuser".into(), password: Secret::new("s3cure") }),
        public_key: None,
        format: NumberFormat::Legacy,
        retry: true,
        signing: Some(Secret::new("whsec_x")),
    };
    let receiver = Receiver::Callback(callback);
    NewSubscription { account: account(account_id), subject, receiver, expires_at: Some(at(n)) }
}

pub(super) const DISCONNECTS: Subject = Subject::Orders(OrderType::Disconnects, None);

pub(super) async fn subscribe(store: &dyn Store, new: NewSubscription, n: i64) -> Subscription {
    match store.subscribe(new, at(n)).await.expect("written") {
        Subscribed::Made(made) => *made,
        other => panic!("{other:?}"),
    }
}

pub(super) fn everything(account_id: u32, n: i64) -> SubscriptionQuery {
    SubscriptionQuery { account: account(account_id), orders: None, order: None, now: at(n) }
}

/// Takes a node's lease for deliveries.
pub(super) async fn node_lease(store: &dyn Store) -> LeaseToken {
    store.take_lease("node", LONG).await.expect("tried").expect("free")
}

/// Claims and returns what is due.
pub(super) async fn due(store: &dyn Store, lease: LeaseToken, n: i64) -> Vec<Due> {
    store.claim(lease, at(n), SubscriptionSeq(0), limits(100, 100, 1_000)).await.expect("claimed").due
}

/// Releases what is due, under a lease of its own.
pub(super) async fn release(store: &dyn Store, now: Timestamp, numbers_max: usize) -> StepReport {
    let lease = store.take_lease("release", LONG).await.expect("tried").expect("free");
    let step = store.release(lease, now, numbers_max, policy()).await.expect("released");
    store.end_lease("release", lease).await.expect("ended");
    step
}

pub(super) async fn log(store: &dyn Store, of: &Subscription) -> Vec<Delivery> {
    store.deliveries(of.account, of.id, 1, 1_000).await.expect("read").expect("there").deliveries
}

pub(super) fn attempt(n: i64, outcome: Outcome) -> Attempt {
    let answer = Some("200 OK".into());
    Attempt { target: "https://a".into(), at: at(n), took_ms: 5, outcome, answer, retry_after_ms: None }
}

pub(super) async fn run_all(store: &dyn Store, now: Timestamp) {
    while store.run_orders(now, 100, 1_000, policy()).await.expect("run").more {}
}

pub(super) async fn clean(store: &dyn Store) {
    let report = store.check(true).await.expect("checked");
    assert_eq!(report.findings, vec![], "{report:?}");
}

pub(super) async fn state(store: &dyn Store, n: u64) -> State {
    store.facts(number(n)).await.expect("read").expect("exists").entry.state()
}

pub(super) fn all(account_id: u32, states: &[State], start: Start<Number>, size: usize) -> NumberQuery {
    NumberQuery { start, size, ..NumberQuery::all(account(account_id), states) }
}
