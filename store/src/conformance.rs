//! The suite that every store passes. A store adds one line to its tests, `conformance!(Opener)`; the
//! cases stand here once.
//!
//! A case opens its own store, drives it through [`Store`] alone, never asks which one it is, and ends
//! with the checker.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::application::{
    ApplicationChange, Details, NewApplication, NotNamed, Service, Setting,
};
use onhook_core::account::details::{AddressPart, Host, PeerChange, SiteChange};
use onhook_core::account::premises::Stays;
use onhook_core::account::user::{Asker, Person, UserRefusal};
use onhook_core::account::{AccountKind, Class, NoPlace, Place, Role};
use onhook_core::clock::Seen;
use onhook_core::ids::{AccountId, NotificationSeq, OrderId, PeerId, ReservationId, SiteId, SubscriptionSeq};
use onhook_core::import::{BadLine, Intake, NewNumber};
use onhook_core::lifecycle::diagram::{State, Step};
use onhook_core::lifecycle::entry::Standing;
use onhook_core::lifecycle::event::{By, Change};
use onhook_core::locality::{Exchange, Locality};
use onhook_core::notify::notification::{
    Attempt, DeliveryState as Notified, KEPT_MS, Next, Outcome, Trouble, WAITING_MAX,
};
use onhook_core::notify::subscription::{
    Callback, Credentials, Digest, Email, EventType, NewSubscription, NumberFormat, OrderType, Receiver,
    SUBSCRIPTIONS_MAX, Secret, Subject, Subscription,
};
use onhook_core::number::Number;
use onhook_core::order::amend::Amendment;
use onhook_core::order::search::{Criteria, Inventory, TollFree, Vanity};
use onhook_core::order::{
    Activate, Disconnect, IdempotencyKey, Kind, Mode, NewOrder, Origin, Refusal, Request, Search, SearchForm,
    Status, Wanted,
};
use onhook_core::reservation::{NotReserved, Reservation};
use onhook_core::time::{DAY_MS, Timestamp};

use crate::contract::accounts::NewAccount;
use crate::contract::applications::ApplicationNamed;
use crate::contract::deliveries::{Delivery, DeliveryPage, Due, DueLimits, DuePage};
use crate::contract::exchanges::RateCenterQuery;
use crate::contract::imports::Lines;
use crate::contract::numbers::{Destination, NumberQuery, Relocated};
use crate::contract::orders::{Accepted, Amended, NewNote, OrderQuery};
use crate::contract::page::Start;
use crate::contract::pool::PoolQuery;
use crate::contract::premises::Removed;
use crate::contract::reservations::Reserved;
use crate::contract::subscriptions::{Subscribed, SubscriptionQuery};
use crate::contract::users::{NewUser, User, UserChange, UserChanged};
use crate::{Store, StoreError};

/// Opens one and the same store again and again.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The store, as it was left.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Makes a test of each case for the store that `$fresh` (an expression) opens.
#[macro_export]
macro_rules! conformance {
    ($fresh:expr) => {
        $crate::conformance!(@each $fresh =>
            what_was_accepted_is_there_after_reopening,
            one_key_is_one_order,
            an_order_ends_once_with_an_outcome_for_each_number,
            orders_of_one_batch_are_judged_one_after_another,
            nothing_is_released_before_its_time,
            the_last_use_is_remembered_or_that_of_the_newest_event,
            time_in_the_store_does_not_run_backwards,
            order_lists_page_through_everything_once,
            number_lists_page_through_everything_once,
            another_account_s_ids_are_unknown_ids,
            a_list_goes_on_from_its_own_numbers_only,
            an_import_is_all_or_nothing_unless_partial,
            a_dry_run_writes_nothing,
            a_number_that_left_comes_back_with_its_history,
            a_number_imported_as_removed_comes_back,
            an_export_imports_again,
            accounts_sites_peers_and_users_are_kept,
            what_is_said_of_sites_and_peers_is_kept,
            what_is_said_of_peers_is_bounded,
            applications_are_kept_and_stay_while_a_peer_names_them,
            a_site_with_peers_has_one_default_peer,
            sites_and_peers_that_are_needed_stay,
            numbers_move_together_or_not_at_all,
            a_number_whose_site_went_while_it_aged_comes_back_to_the_default_site,
            users_change_and_go_as_far_as_they_may,
            who_is_an_administrator_no_more_changes_no_users,
            the_pool_hands_out_what_is_asked_and_no_more,
            a_search_finds_all_that_fits_and_nothing_else,
            exchanges_say_where_numbers_lie_and_where_new_ones_belong,
            many_callers_at_once_lose_nothing,
            notes_are_kept_with_their_order,
            a_disconnect_raises_nothing_and_a_release_raises_the_supply,
            an_order_that_searches_takes_what_fits_and_no_number_twice,
            a_waiting_order_is_filled_when_numbers_appear,
            who_waits_longer_is_served_first,
            a_waiting_order_can_be_changed_and_closed,
            where_an_order_s_numbers_went_and_are_from_is_kept,
            a_reservation_holds_a_number_for_one_account,
            each_subscriber_is_told_once_of_what_it_asked_for,
            a_subscription_is_written_again_and_removed,
            a_subscription_ends_with_its_order_and_with_its_time,
            what_is_due_waits_until_it_is_recorded,
            a_receiver_that_is_gone_speaks_for_itself_alone,
            ended_subscriptions_are_forgotten_in_turn,
            a_day_s_mail_is_due_at_its_end,
            a_receiver_that_is_gone_is_told_nothing_more,
            old_deliveries_are_forgotten);
    };
    (@each $fresh:expr => $($case:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::conformance::$case(&$fresh).await;
        }
    )+ };
}

const NOON: i64 = 1_700_000_000_000;

fn note(text: &str, millis: i64) -> NewNote {
    NewNote { user: "username".into(), text: text.into(), at: at(millis) }
}

fn limits(subscriptions: usize, single: usize, daily: usize) -> DueLimits {
    DueLimits { subscriptions, single, daily }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOON + millis)
}

fn account(id: u32) -> AccountId {
    AccountId::new(id).expect("not 0")
}

/// The n-th number of the suite, in area code 919.
fn number(n: u64) -> Number {
    Number::from_digits(19_195_550_100 + n).expect("a valid number")
}

/// An order that arrived `n` ms after the beginning.
fn order(n: i64, account_id: u32, request: Request) -> Arc<NewOrder> {
    Arc::new(NewOrder {
        account: account(account_id),
        user: "username".into(),
        name: Some("training run".into()),
        customer_order_id: None,
        created_at: at(n),
        request,
        key: None,
    })
}

fn disconnect(numbers: impl IntoIterator<Item = u64>) -> Request {
    let numbers = numbers.into_iter().map(number).collect();
    Request::Disconnect(Disconnect { numbers, mode: Mode::Normal, protected: None, reason: None })
}

fn activate(numbers: impl IntoIterator<Item = u64>, site: SiteId) -> Request {
    let numbers = numbers.into_iter().map(number).collect();
    let wanted = Wanted::named(numbers);
    Request::Activate(Activate { wanted, site, peer: None, partial_allowed: true, protected: false })
}

/// Some numbers of the suite's area code.
fn search(quantity: usize, site: SiteId, back_order: bool, partial_allowed: bool) -> Request {
    let criteria = Criteria::prefix("919");
    let search = Search { form: SearchForm::AreaCode, sent: Vec::new(), criteria, quantity, back_order };
    let wanted = Wanted::Found(Box::new(search));
    Request::Activate(Activate { wanted, site, peer: None, partial_allowed, protected: false })
}

/// The first disconnect orders of an account.
fn all_orders(account_id: u32) -> OrderQuery {
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

fn lines(numbers: Vec<NewNumber>) -> Lines {
    Box::new((1..).zip(numbers.into_iter().map(Ok)))
}

fn in_service(n: u64, account_id: u32) -> NewNumber {
    let account = Some(account(account_id));
    NewNumber { state: State::InService, account, ..NewNumber::available(number(n)) }
}

async fn make_account(store: &dyn Store, id: u32) -> SiteId {
    let new = NewAccount {
        id: account(id),
        name: format!("account {id}"),
        kind: AccountKind::EndUser,
        class: Class::Unknown,
    };
    store.create_account(new, at(0)).await.expect("made");
    let site = store.create_site(account(id), "a site".into()).await.expect("made");
    store.create_peer(account(id), site.id, "a peer".into()).await.expect("made");
    site.id
}

/// Accounts 1 and 2 with a site and a peer each; numbers 0..10 in service on 1, 10..20 on 2, 20..50 in
/// the pool.
async fn seeded(opener: &dyn Opener) -> (Arc<dyn Store>, SiteId, SiteId) {
    let store = opener.open().await;
    let one = make_account(&*store, 1).await;
    let two = make_account(&*store, 2).await;
    let numbers = (0..10).map(|n| in_service(n, 1)).chain((10..20).map(|n| in_service(n, 2)));
    let pool = (20..50).map(|n| NewNumber::available(number(n)));
    let imported = store.import(lines(numbers.chain(pool).collect()), Intake::of("seed"), at(0)).await;
    assert_eq!(imported.expect("imported").numbers, 50);
    (store, one, two)
}

/// A subscription of an account that ends `n` ms after the beginning.
fn subscription(account_id: u32, subject: Subject, url: &str, n: i64) -> NewSubscription {
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

const DISCONNECTS: Subject = Subject::Orders(OrderType::Disconnects, None);

async fn subscribe(store: &dyn Store, new: NewSubscription, n: i64) -> Subscription {
    match store.subscribe(new, at(n)).await.expect("written") {
        Subscribed::Made(made) => *made,
        other => panic!("{other:?}"),
    }
}

fn everything(account_id: u32, n: i64) -> SubscriptionQuery {
    SubscriptionQuery { account: account(account_id), orders: None, order: None, now: at(n) }
}

async fn due(store: &dyn Store, n: i64) -> Vec<Due> {
    store.due(at(n), SubscriptionSeq(0), limits(100, 100, 1_000)).await.expect("read").due
}

async fn log(store: &dyn Store, of: &Subscription) -> Vec<Delivery> {
    store.deliveries(of.account, of.id, 1, 1_000).await.expect("read").expect("there").deliveries
}

fn attempt(n: i64, outcome: Outcome) -> Attempt {
    let said = Some("200 OK".into());
    Attempt { target: "https://a".into(), at: at(n), took_ms: 5, outcome, said, retry_after_ms: None }
}

async fn run_all(store: &dyn Store, now: Timestamp) {
    while store.run_orders(now, 100, 1_000).await.expect("run").more {}
}

async fn clean(store: &dyn Store) {
    let report = store.check(true).await.expect("checked");
    assert_eq!(report.findings, vec![], "{report:?}");
}

async fn state(store: &dyn Store, n: u64) -> State {
    store.facts(number(n)).await.expect("read").expect("exists").entry.state()
}

fn all(account_id: u32, states: &[State], start: Start<Number>, size: usize) -> NumberQuery {
    NumberQuery { start, size, ..NumberQuery::all(account(account_id), states) }
}

macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($opener:ident) $body:block)+) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        /// When the store does not conform.
        pub async fn $name($opener: &dyn Opener) $body
    )+ };
}

cases! {
    /// An accepted order survives the store's end.
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

    /// The same key is the same order; another request under it is refused; another account's key is
    /// another key.
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

    /// Orders of one batch that want the same numbers share them out; the pool's supply follows.
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

    /// New numbers go to orders that wait rather than to one that has just come, and to the oldest of them first;
    /// one that wants all or none and cannot have all does not stand in the way.
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
        store.import(new, Intake::of("more"), at(101)).await.expect("imported");
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
        // Nothing new: nothing is run again.
        assert_eq!(store.run_orders(at(11), 100, 1_000).await.expect("run"), crate::contract::orders::StepReport::default());
        clean(&*store).await;
        store.accept(order(3, 2, disconnect([12]))).await.expect("accepted");
        run_all(&*store, at(20)).await;
        let due = store.facts(number(12)).await.expect("read").expect("there").entry.standing.due_at().expect("aging");
        assert_eq!(store.release(due, 100).await.expect("released").numbers, 1);
        store.close().await;
        let store = opener.open().await;
        run_all(&*store, due).await;
        let first = get(&store, 1, waits).await;
        assert_eq!((first.status, first.taken.last()), (Status::Complete, Some(&number(12))));
        assert_eq!(get(&store, 2, all_or_none).await.status, Status::Backordered);
        let new = lines((60..63).map(|n| NewNumber::available(number(n))).collect());
        store.import(new, Intake::of("more"), due).await.expect("imported");
        run_all(&*store, due.plus_millis(1)).await;
        let second = get(&store, 2, all_or_none).await;
        assert_eq!((second.status, second.taken.len()), (Status::Complete, 2));
        let told = store.order_lines(account(1), Kind::Number, waits).await.expect("read").expect("there");
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
        let told = store.order_lines(account(1), Kind::Number, id).await.expect("read").expect("there");
        let told: Vec<_> = told.iter().map(|l| (l.author.as_deref(), l.difference.as_deref())).collect();
        assert_eq!(told, [(None, None), (Some("username"), Some("CustomerOrderId : \"\" --> mine"))]);
        assert_eq!(store.order_lines(account(2), Kind::Number, id).await.expect("read"), None);
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
        // A disconnect order brings none anywhere.
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
        store.import_exchanges(exchanges, false).await.expect("imported");
        let id = store.accept(order(40, 1, search(29, one, true, true))).await.expect("accepted").id;
        run_all(&*store, at(50)).await;
        let waits = kept(Kind::Number, id).await;
        assert_eq!((waits.status, waits.taken.len()), (Status::Backordered, 28));
        assert_eq!((waits.peer(), waits.origin), (None, None), "it has not ended");
        let late = Number::from_digits(19_196_660_100).expect("valid");
        store.import(lines(vec![NewNumber::available(late)]), Intake::of("late"), at(60)).await.expect("imported");
        run_all(&*store, at(70)).await;
        let ended = kept(Kind::Number, id).await;
        let origin = north_carolina(Some("RALEIGH"), true);
        assert_eq!((ended.peer(), ended.origin), (Some(home), origin));
        clean(&*store).await;
    }

    /// Until it is given back, taken, or over.
    async fn a_reservation_holds_a_number_for_one_account(opener) {
        let (store, one, two) = seeded(opener).await;
        let wanted = |n: u64, account_id, number_id| Reservation {
            id: ReservationId(uuid::Uuid::from_u128(u128::from(n))),
            account: account(account_id),
            number: number(number_id),
            until: at(1_000),
        };
        let reserve = async |wanted: Reservation| store.reserve(wanted, "username".into(), at(1)).await.expect("tried");
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
        // Nobody else gets it, by name or by search; its holder does.
        store.accept(order(2, 2, activate([20], two))).await.expect("accepted");
        let searched = store.accept(order(3, 2, search(30, two, false, true))).await.expect("accepted").id;
        store.accept(order(4, 1, activate([20], one))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let found = store.order(account(2), Kind::Number, searched).await.expect("read").expect("there");
        assert_eq!((found.status, found.taken.len()), (Status::Partial, 26));
        assert_eq!(store.reservation(account(1), wanted(20, 1, 20).id).await.expect("read"), None, "it was taken");
        let cancel = async |who, n| {
            store.cancel_reservation(account(who), wanted(n, 1, n).id, "username".into(), at(20)).await.expect("tried")
        };
        assert_eq!(cancel(2, 21).await, None);
        assert_eq!(cancel(1, 21).await, Some(wanted(21, 1, 21)));
        assert_eq!(cancel(1, 21).await, None);
        assert_eq!(state(&*store, 21).await, State::Available);
        assert_eq!(store.release(at(999), 100).await.expect("released").numbers, 0);
        assert_eq!(store.release(at(1_000), 100).await.expect("released").numbers, 2);
        assert_eq!(store.reservation(account(1), wanted(22, 1, 22).id).await.expect("read"), None, "it is over");
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
        assert!(store.run_orders(at(20), 100, 1_000).await.expect("run").ended.is_empty());
        for (id, (request, status, failed)) in ids.into_iter().zip(wanted) {
            let found = store.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
            assert_eq!(found.status, status);
            assert_eq!(found.failed.iter().map(|f| f.number).collect::<Vec<_>>(), failed.into_iter().map(number).collect::<Vec<_>>());
            assert!(found.failed.iter().all(|f| f.why == Refusal::NotInService));
            assert_eq!(found.done().count() + found.failed.len(), request.numbers().len());
        }
        clean(&*store).await;
    }

    /// A batch of orders that touch the same number does what they would do one by one.
    async fn orders_of_one_batch_are_judged_one_after_another(opener) {
        let (store, one, two) = seeded(opener).await;
        let requests = [(1, disconnect([1])), (2, activate([1], two)), (1, activate([1], one)), (1, disconnect([1])), (1, disconnect([1]))];
        for (n, (who, request)) in (1..).zip(&requests) {
            store.accept(order(n, *who, request.clone())).await.expect("accepted");
        }
        let step = store.run_orders(at(10), 100, 1_000).await.expect("run");
        let ends: Vec<Status> = step.ended.iter().map(|e| e.status).collect();
        assert_eq!(ends, [Status::Complete, Status::Failed, Status::Complete, Status::Complete, Status::Failed]);
        assert_eq!((step.numbers, step.more), (3, false));
        let history = store.history(number(1)).await.expect("read").expect("there");
        assert_eq!(history.events.len(), 3);
        assert_eq!(history.origin.state(), State::InService);
        assert!(history.events.iter().all(|e| matches!(e.by, By::Order(_))));
        clean(&*store).await;
    }

    /// One millisecond before the end of the hold nothing goes, at its end it does, and only so many at once.
    async fn nothing_is_released_before_its_time(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect(0..10))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let facts = store.facts(number(0)).await.expect("read").expect("there");
        let due = facts.entry.standing.due_at().expect("aging");
        assert_eq!(facts.hold.expect("has its reason").release_at, due);
        assert!(due.since(at(10)) > 45 * DAY_MS);
        assert_eq!(store.release(due.plus_millis(-1), 100).await.expect("released").numbers, 0);
        assert_eq!(store.totals(due.plus_millis(-1)).await.expect("read").due, 0);
        assert_eq!(store.totals(due).await.expect("read").due, 10);
        let step = store.release(due, 7).await.expect("released");
        assert_eq!((step.numbers, step.more), (7, true));
        assert_eq!(store.totals(due).await.expect("read").due, 3);
        let step = store.release(due, 7).await.expect("released");
        assert_eq!((step.numbers, step.more), (3, false));
        assert_eq!(state(&*store, 0).await, State::Available);
        clean(&*store).await;
    }

    /// A clock that goes back does not put an event before the one it follows.
    async fn time_in_the_store_does_not_run_backwards(opener) {
        let (store, one, _) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(DAY_MS)).await;
        store.accept(order(2, 1, activate([1], one))).await.expect("accepted");
        run_all(&*store, at(0)).await;
        let events = store.history(number(1)).await.expect("read").expect("there").events;
        assert_eq!(events.iter().map(|e| e.at).collect::<Vec<_>>(), [at(DAY_MS), at(DAY_MS)]);
        clean(&*store).await;
    }

    /// Whatever the size of the page, each order is on one page, newest first.
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

    /// An order's id from another account is as unknown as one that never was.
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

    /// A number of another account is no place in a list, whether it exists, ages, or never was; a number that
    /// has left the list since keeps its place.
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

    /// One bad line undoes the whole import, or is left out where that was asked.
    async fn an_import_is_all_or_nothing_unless_partial(opener) {
        let (store, ..) = seeded(opener).await;
        let file = || -> Lines {
            let good = NewNumber::available(number(60));
            Box::new([
                (2, Ok(good.clone())),
                (3, Ok(good)),
                (4, Err(BadLine::Form("not a number".to_owned()))),
                (5, Ok(in_service(61, 9))),
                (6, Ok(in_service(62, 1))),
                (7, Ok(in_service(1, 1))),
            ].into_iter())
        };
        let refused = store.import(file(), Intake::of("file"), at(5)).await;
        let Err(StoreError::Import(bad)) = refused else { panic!("{refused:?}") };
        let told: Vec<_> = bad.kinds().iter().map(|kind| (kind.first[0].0, kind.first[0].1.to_string())).collect();
        let wanted = [
            (3, format!("{} stands twice, first on line 2", number(60))),
            (4, "not a number".to_owned()),
            (5, "no account 9".to_owned()),
            (7, format!("{} is here already", number(1))),
        ];
        assert_eq!(told, wanted);
        assert!(store.facts(number(60)).await.expect("read").is_none());
        clean(&*store).await;
        let partial = store.import(file(), Intake { partial: true, ..Intake::of("file") }, at(5)).await.expect("imported");
        assert_eq!((partial.numbers, partial.bad.count()), (2, 4));
        assert_eq!((state(&*store, 60).await, state(&*store, 62).await), (State::Available, State::InService));
        store.accept(order(1, 1, disconnect([62, 1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        clean(&*store).await;
    }

    /// A dry run says what an import would do, and nothing is written.
    async fn a_dry_run_writes_nothing(opener) {
        let (store, ..) = seeded(opener).await;
        let intake = Intake { dry_run: true, ..Intake::of("file") };
        let new = vec![NewNumber::available(number(60)), in_service(61, 1)];
        let done = store.import(lines(new), intake.clone(), at(5)).await.expect("it says what would be");
        assert_eq!((done.numbers, done.bad.count()), (2, 0));
        let bad = vec![NewNumber::available(number(60)), in_service(1, 1)];
        let refused = store.import(lines(bad.clone()), intake.clone(), at(5)).await;
        assert!(matches!(refused, Err(StoreError::Import(_))), "{refused:?}");
        let partial = Intake { partial: true, ..intake };
        let done = store.import(lines(bad), partial, at(5)).await.expect("it says what would be");
        assert_eq!((done.numbers, done.bad.count()), (1, 1));
        for left in [60, 61] {
            assert!(store.facts(number(left)).await.expect("read").is_none());
        }
        clean(&*store).await;
        // The store goes on as if nothing had been asked.
        store.accept(order(1, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(state(&*store, 1).await, State::Aging);
        clean(&*store).await;
    }

    /// A number that has left is taken back by an import: an event of its own, behind its history.
    async fn a_number_that_left_comes_back_with_its_history(opener) {
        let (store, ..) = seeded(opener).await;
        let purge = |n| {
            let numbers = vec![number(n)];
            Request::Disconnect(Disconnect { numbers, mode: Mode::Purge, protected: None, reason: None })
        };
        for n in [1, 2, 3] {
            store.accept(order(1, 1, purge(n))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        assert_eq!(state(&*store, 1).await, State::Removed);
        let moved = NewNumber { region: Some("VA".into()), rate_center: Some("ROANOKE".into()), ..NewNumber::available(number(2)) };
        let back = vec![in_service(1, 2), moved, NewNumber { state: State::Removed, ..NewNumber::available(number(3)) }, NewNumber::available(number(60))];
        let partial = Intake { partial: true, ..Intake::of("file") };
        let done = store.import(lines(back), partial, at(20)).await.expect("imported");
        assert_eq!((done.numbers, done.restored, done.bad.count()), (1, 2, 1), "{done:?}");
        clean(&*store).await;

        let history = store.history(number(1)).await.expect("read").expect("there");
        let [purged, restored] = &history.events[..] else { panic!("{history:?}") };
        assert_eq!((purged.change.step(), restored.change.step()), (Step::Purge, Step::Restore(State::InService)));
        assert_eq!((&restored.by, restored.at, restored.prev), (&By::Import, at(20), purged.seq));
        let facts = store.facts(number(1)).await.expect("read").expect("there");
        assert_eq!(facts.entry.standing.holder(), Some(account(2)));
        assert_eq!((facts.since, facts.in_service_at, facts.imported_at), (at(20), Some(at(20)), at(0)));
        let facts = store.facts(number(2)).await.expect("read").expect("there");
        assert_eq!((facts.area.to_string().as_str(), facts.in_service_at), ("ROANOKE, VA", None));

        // It goes on like any other number, and one that is here is here.
        store.accept(order(21, 2, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        assert_eq!(state(&*store, 1).await, State::Aging);
        let again = store.import(lines(vec![in_service(1, 2)]), Intake::of("file"), at(40)).await;
        assert!(matches!(again, Err(StoreError::Import(_))), "{again:?}");
        clean(&*store).await;
    }

    /// A number that was imported as one that has left is taken back too.
    async fn a_number_imported_as_removed_comes_back(opener) {
        let (store, ..) = seeded(opener).await;
        let gone = NewNumber { state: State::Removed, ported_in: true, ..NewNumber::available(number(60)) };
        store.import(lines(vec![gone]), Intake::of("file"), at(1)).await.expect("imported");
        let done = store.import(lines(vec![NewNumber::available(number(60))]), Intake::of("more"), at(2)).await;
        assert_eq!(done.map(|done| (done.numbers, done.restored)).expect("imported"), (0, 1));
        let history = store.history(number(60)).await.expect("read").expect("there");
        assert_eq!((history.origin.state(), history.origin.ported_in), (State::Removed, true));
        assert_eq!((history.entry.state(), history.entry.ported_in), (State::Available, false));
        clean(&*store).await;
    }

    /// All numbers come out, in order, in pages.
    async fn an_export_imports_again(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = store.export(after, 7).await.expect("read");
            let Some((last, _)) = page.last() else { break };
            after = Some(last.number);
            seen.extend(page);
        }
        assert_eq!(seen.iter().map(|(e, _)| e.number).collect::<Vec<_>>(), (0..50).map(number).collect::<Vec<_>>());
        assert_eq!(seen[1].0.state(), State::Aging);
        assert_eq!(seen[0].1.to_string(), "919 (NC)", "where nothing was said, the plan knows");
        clean(&*store).await;
    }

    /// What was made is there, once; the first site and peer are the defaults.
    async fn accounts_sites_peers_and_users_are_kept(opener) {
        let (store, one, _) = seeded(opener).await;
        let again = NewAccount { id: account(1), name: "again".into(), kind: AccountKind::Carrier, class: Class::Business };
        assert!(matches!(store.create_account(again, at(1)).await, Err(StoreError::Conflict(_))));
        let second = store.create_site(account(1), "another".into()).await.expect("made");
        assert!(!second.is_default);
        assert!(matches!(store.create_site(account(9), "none".into()).await, Err(StoreError::Conflict(_))));
        assert!(matches!(store.create_peer(account(2), one, "none".into()).await, Err(StoreError::Conflict(_))));
        let new = NewUser { name: "Username".into(), account: Some(account(1)), role: Role::Order, password_hash: "$argon2id$x".into() };
        store.create_user(new.clone()).await.expect("made");
        // The case of a name's letters makes no other user.
        for name in ["Username", "username", "USERNAME"] {
            let again = NewUser { name: name.into(), ..new.clone() };
            assert!(matches!(store.create_user(again).await, Err(StoreError::Conflict(_))), "{name}");
        }
        let (made, key) = (store.user("Username").await.expect("read").expect("there"), store.token_key());
        let wanted = User { name: new.name, account: new.account, role: new.role, password_hash: new.password_hash, generation: made.generation };
        assert_eq!(made, wanted);
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.token_key(), key);
        for name in ["Username", "username", "USERNAME"] {
            assert_eq!(store.user(name).await.expect("read").as_ref(), Some(&made), "{name}");
        }
        assert_eq!(store.user("usernames").await.expect("read"), None);
        assert_eq!(store.users().await.expect("read"), [made]);
        assert_eq!(store.accounts().await.expect("read").len(), 2);
        assert_eq!(store.sites(Some(account(1))).await.expect("read").iter().map(|s| s.is_default).collect::<Vec<_>>(), [true, false]);
        assert_eq!(store.peers(None).await.expect("read").len(), 2);
        clean(&*store).await;
    }

    /// What was remembered is there after reopening; where nothing was, the newest order or event counts.
    async fn the_last_use_is_remembered_or_that_of_the_newest_event(opener) {
        let store = opener.open().await;
        assert_eq!(store.clock().await.expect("read"), (None, 0));
        let lines = Box::new([(1, Ok(NewNumber::available(number(1))))].into_iter());
        store.import(lines, Intake::of("a test"), at(55)).await.expect("imported");
        assert_eq!(store.clock().await.expect("read"), (Some(Seen { last: at(55), unseen_ms: 0 }), 0));
        let seen = Seen { last: at(77), unseen_ms: 7 };
        store.remember_clock(seen, -5).await.expect("kept");
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.clock().await.expect("read"), (Some(seen), -5));
        clean(&*store).await;
    }

    /// What was said is there after reopening; what was not said again stays, what is said empty goes.
    async fn what_is_said_of_sites_and_peers_is_kept(opener) {
        let (store, one, two) = seeded(opener).await;
        let address = [(AddressPart::City, "Raleigh".to_owned()), (AddressPart::Zip, "27609".to_owned())].into();
        let said = SiteChange { description: Some("The first".into()), address: Some(address), ..SiteChange::named("Sales".into()) };
        let (site, details) = store.add_site(account(1), said).await.expect("made");
        let host = |name: &str| Host { name: name.into(), port: Some(5_060) };
        let said = PeerChange { voice_hosts: Some(vec![host("sip.example.com")]), sms_hosts: Some(vec![host("sms.example.com")]), ..PeerChange::named("East".into()) };
        let (peer, peer_details) = store.add_peer(account(1), site.id, said).await.expect("made");
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.sites_in_full(account(1), Some(site.id)).await.expect("read"), [(site.clone(), details.clone())]);
        assert_eq!(store.peers_in_full(account(1), site.id, None).await.expect("read"), [(peer.clone(), peer_details.clone())]);
        assert_eq!(store.sites_in_full(account(1), None).await.expect("read").len(), 2);

        let change = SiteChange { description: Some(String::new()), customer_name: Some("A customer".into()), ..SiteChange::default() };
        let (changed, changed_details) = store.change_site(account(1), site.id, change).await.expect("changed").expect("there");
        assert_eq!((changed.name.as_str(), changed_details.description), ("Sales", None));
        assert_eq!((changed_details.customer_name.as_deref(), &changed_details.address), (Some("A customer"), &details.address));
        let change = PeerChange { sms_hosts: Some(Vec::new()), ..PeerChange::named("West".into()) };
        let (changed, changed_details) = store.change_peer(account(1), site.id, peer.id, change).await.expect("changed").expect("there");
        assert_eq!((changed.name.as_str(), changed_details.sms_hosts), ("West", Vec::new()));
        assert_eq!(changed_details.voice_hosts, peer_details.voice_hosts);

        // Another account's are none, and a peer is at its own site only.
        let nothing = SiteChange::default;
        assert!(store.change_site(account(2), site.id, nothing()).await.expect("tried").is_none());
        assert!(store.sites_in_full(account(2), Some(site.id)).await.expect("read").is_empty());
        for (who, at) in [(1, one), (2, site.id), (2, two)] {
            assert!(store.change_peer(account(who), at, peer.id, PeerChange::default()).await.expect("tried").is_none());
            assert!(store.peers_in_full(account(who), at, Some(peer.id)).await.expect("read").is_empty());
        }
        clean(&*store).await;
    }

    async fn applications_are_kept_and_stay_while_a_peer_names_them(opener) {
        let (store, one, _) = seeded(opener).await;
        let new = |service, url: &str| NewApplication {
            service,
            name: "App".into(),
            details: Details { settings: [(Setting::CallbackUrl, url.to_owned())].into(), callback_types: vec!["message-failed".into()] },
        };
        let voice = store.add_application(account(1), new(Service::Voice, "https://a.example.com")).await.expect("made");
        let messaging = store.add_application(account(1), new(Service::Messaging, "https://b.example.com")).await.expect("made");
        let theirs = store.add_application(account(2), new(Service::Messaging, "https://c.example.com")).await.expect("made");
        assert!(matches!(store.add_application(account(9), new(Service::Voice, "")).await, Err(StoreError::Conflict(_))));
        let peer = store.peers_in_full(account(1), one, None).await.expect("read").pop().expect("one").0;
        let name = async |service, id| store.name_application(account(1), peer.id, service, id).await.expect("tried");
        assert_eq!(name(Service::Messaging, Some(messaging.id)).await, ApplicationNamed::Done);
        assert_eq!(name(Service::Messaging, Some(theirs.id)).await, ApplicationNamed::Refused(NotNamed::NoApplication));
        assert_eq!(name(Service::Messaging, Some(voice.id)).await, ApplicationNamed::Refused(NotNamed::Service(Service::Voice)));
        let foreign = store.name_application(account(2), peer.id, Service::Messaging, Some(theirs.id)).await.expect("tried");
        assert_eq!(foreign, ApplicationNamed::Refused(NotNamed::NoPeer));
        let change = ApplicationChange { name: Some("Another".into()), ..ApplicationChange::default() };
        let changed = store.change_application(account(1), voice.id, change.clone()).await.expect("changed").expect("there");
        assert_eq!((changed.name.as_str(), &changed.details), ("Another", &voice.details));
        assert_eq!(store.change_application(account(2), voice.id, change).await.expect("tried"), None);
        store.close().await;

        let store = opener.open().await;
        assert_eq!(store.applications(account(1), None).await.expect("read"), [changed.clone(), messaging.clone()]);
        assert_eq!(store.applications(account(1), Some(theirs.id)).await.expect("read"), []);
        let named = async |who, service| store.application_of(account(who), peer.id, service).await.expect("read");
        assert_eq!(named(1, Service::Messaging).await, Some(messaging.id));
        assert_eq!((named(1, Service::Voice).await, named(2, Service::Messaging).await), (None, None));
        let with = store.peers_with(account(1), messaging.id).await.expect("read");
        assert_eq!(with.iter().map(|(site, peer)| (site.id, peer.clone())).collect::<Vec<_>>(), [(one, peer.clone())]);
        assert_eq!(store.peers_with(account(2), messaging.id).await.expect("read"), []);
        let remove = async |who, id| store.remove_application(account(who), id).await.expect("tried");
        assert_eq!(remove(1, messaging.id).await, Removed::Stays(Stays::Peers));
        assert_eq!((remove(2, voice.id).await, remove(1, voice.id).await), (Removed::Unknown, Removed::Gone));
        assert_eq!(store.name_application(account(1), peer.id, Service::Messaging, None).await.expect("tried"), ApplicationNamed::Done);
        assert_eq!((remove(1, messaging.id).await, remove(1, messaging.id).await), (Removed::Gone, Removed::Unknown));
        assert_eq!(store.applications(account(1), None).await.expect("read"), []);
        clean(&*store).await;
    }

    /// Of a peer so much is kept and no more, however many changes say it, and so with all peers of an account.
    async fn what_is_said_of_peers_is_bounded(opener) {
        let (store, one, _) = seeded(opener).await;
        let hosts = |count| Some(vec![Host { name: "h".repeat(250), port: Some(5_060) }; count]);
        let said = |count| PeerChange { voice_hosts: hosts(count), ..PeerChange::named("a peer".into()) };
        assert!(matches!(store.add_peer(account(1), one, said(100)).await, Err(StoreError::Conflict(_))));
        let (peer, details) = store.add_peer(account(1), one, said(40)).await.expect("made");
        let more = PeerChange { sms_hosts: hosts(40), is_default: Some(true), ..PeerChange::default() };
        assert!(matches!(store.change_peer(account(1), one, peer.id, more).await, Err(StoreError::Conflict(_))));
        assert_eq!(store.peers_in_full(account(1), one, Some(peer.id)).await.expect("read"), [(peer.clone(), details)]);
        // As many as there is room for; one that says less always has it, and makes some.
        let mut kept = 1;
        let refused = loop {
            match store.add_peer(account(1), one, said(50)).await {
                Ok(_) => kept += 1,
                Err(error) => break error,
            }
            assert!(kept < 400, "no end");
        };
        assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
        assert!(kept > 250, "{kept}");
        store.add_peer(account(1), one, PeerChange::named("a peer".into())).await.expect("made");
        let less = PeerChange { voice_hosts: Some(Vec::new()), ..PeerChange::default() };
        store.change_peer(account(1), one, peer.id, less).await.expect("changed").expect("there");
        store.add_peer(account(1), one, said(30)).await.expect("made");
        clean(&*store).await;
    }

    /// The first peer is the default whatever it wants; a later one that wants to be takes its place; nobody
    /// just stops being it. So with sites.
    async fn a_site_with_peers_has_one_default_peer(opener) {
        let (store, one, _) = seeded(opener).await;
        let defaults = async || store.peers(Some(account(1))).await.expect("read").iter().map(|p| p.is_default).collect::<Vec<_>>();
        let wants = |is_default| PeerChange { is_default, ..PeerChange::named("a peer".into()) };
        let (second, _) = store.add_peer(account(1), one, wants(Some(false))).await.expect("made");
        assert_eq!(defaults().await, [true, false]);
        let (third, _) = store.add_peer(account(1), one, wants(Some(true))).await.expect("made");
        assert!(third.is_default);
        assert_eq!(defaults().await, [false, false, true]);
        store.change_peer(account(1), one, third.id, wants(Some(false))).await.expect("changed").expect("there");
        assert_eq!(defaults().await, [false, false, true]);
        store.change_peer(account(1), one, second.id, wants(Some(true))).await.expect("changed").expect("there");
        assert_eq!(defaults().await, [false, true, false]);

        let other = store.create_site(account(1), "another".into()).await.expect("made");
        let (alone, _) = store.add_peer(account(1), other.id, wants(Some(false))).await.expect("made");
        assert!(alone.is_default, "the only peer is the default");
        assert!(store.make_default_site(account(1), other.id).await.expect("tried"));
        assert!(!store.make_default_site(account(2), other.id).await.expect("tried"));
        let sites = store.sites(Some(account(1))).await.expect("read");
        assert_eq!(sites.iter().map(|s| s.is_default).collect::<Vec<_>>(), [false, true]);
        clean(&*store).await;
    }

    /// What numbers are in service at stays, and what others hang on; the rest goes, once.
    async fn sites_and_peers_that_are_needed_stay(opener) {
        let (store, one, two) = seeded(opener).await;
        let peer = store.peers(Some(account(1))).await.expect("read")[0].id;
        let other = store.create_site(account(1), "another".into()).await.expect("made").id;
        let other_peer = store.create_peer(account(1), other, "a peer".into()).await.expect("made").id;
        let remove = async |site| store.remove_site(account(1), site).await.expect("tried");
        let remove_peer = async |site, peer| store.remove_peer(account(1), site, peer).await.expect("tried");
        assert_eq!(remove_peer(one, peer).await, Removed::Stays(Stays::Numbers));
        assert_eq!(remove_peer(other, peer).await, Removed::Unknown);
        assert_eq!(remove_peer(two, peer).await, Removed::Unknown);
        assert_eq!(remove(one).await, Removed::Stays(Stays::Peers));
        assert_eq!(remove(other).await, Removed::Stays(Stays::Peers));
        assert_eq!(remove(two).await, Removed::Unknown, "another account's");
        assert_eq!(remove_peer(other, other_peer).await, Removed::Gone);
        assert_eq!(remove_peer(other, other_peer).await, Removed::Unknown);

        store.accept(order(1, 1, disconnect(0..10))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let second = store.create_peer(account(1), one, "a second peer".into()).await.expect("made").id;
        assert_eq!(remove_peer(one, peer).await, Removed::Stays(Stays::Default));
        assert_eq!(remove_peer(one, second).await, Removed::Gone);
        assert_eq!(remove_peer(one, peer).await, Removed::Gone, "what ages keeps nothing");
        assert_eq!(remove(one).await, Removed::Stays(Stays::Default));
        assert_eq!(remove(other).await, Removed::Gone);
        assert_eq!(remove(one).await, Removed::Gone, "the last one may go");
        assert!(store.sites(Some(account(1))).await.expect("read").is_empty());
        clean(&*store).await;
    }

    /// All numbers go to the site and peer, with an event each, or none does; what is counted goes along.
    async fn numbers_move_together_or_not_at_all(opener) {
        let (store, one, two) = seeded(opener).await;
        let home = store.peers(Some(account(1))).await.expect("read")[0].id;
        let site = store.create_site(account(1), "another".into()).await.expect("made").id;
        let peer = store.create_peer(account(1), site, "a peer".into()).await.expect("made").id;
        let go = async |numbers: &[u64], (site, peer): (SiteId, PeerId)| {
            let to = Destination { site, peer };
            let numbers = numbers.iter().copied().map(number).collect();
            store.relocate(account(1), to, numbers, "orderer".into(), at(50)).await.expect("tried")
        };
        let in_service = async || store.in_service(account(1)).await.expect("read");
        assert_eq!(in_service().await, [(one, Some(home), 10)]);
        assert_eq!(go(&[1, 11, 2, 30, 99], (site, peer)).await, Relocated::NotInService([11, 30, 99].map(number).to_vec()));
        assert_eq!(go(&[1], (site, home)).await, Relocated::NoPlace(NoPlace::Peer));
        assert_eq!(go(&[1], (two, peer)).await, Relocated::NoPlace(NoPlace::Site));
        assert_eq!(in_service().await, [(one, Some(home), 10)]);
        assert_eq!(go(&[1, 2, 3], (site, peer)).await, Relocated::Done(3));
        assert_eq!(go(&[3, 4], (site, peer)).await, Relocated::Done(1), "one was there");
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
        let events = store.history(number(1)).await.expect("read").expect("there").events;
        assert!(matches!(events[..], [ref event] if event.by == By::User("orderer".into()) && matches!(event.change, Change::Moved { .. })));
        store.close().await;
        let store = opener.open().await;
        store.accept(order(100, 1, disconnect([1, 5]))).await.expect("accepted");
        run_all(&*store, at(200)).await;
        assert_eq!(store.in_service(account(1)).await.expect("read"), [(one, Some(home), 5), (site, Some(peer), 3)]);
        clean(&*store).await;
    }

    /// Its former site may go while it ages.
    async fn a_number_whose_site_went_while_it_aged_comes_back_to_the_default_site(opener) {
        let (store, one, _) = seeded(opener).await;
        let home = store.peers(Some(account(1))).await.expect("read")[0].id;
        let site = store.create_site(account(1), "another".into()).await.expect("made").id;
        let peer = store.create_peer(account(1), site, "a peer".into()).await.expect("made").id;
        let moved = store.relocate(account(1), Destination { site, peer }, vec![number(1)], "orderer".into(), at(1)).await;
        assert_eq!(moved.expect("tried"), Relocated::Done(1));
        store.accept(order(2, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(store.remove_peer(account(1), site, peer).await.expect("tried"), Removed::Gone);
        assert_eq!(store.remove_site(account(1), site).await.expect("tried"), Removed::Gone);
        clean(&*store).await;
        store.accept(order(20, 1, activate([1], site))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        let entry = store.facts(number(1)).await.expect("read").expect("there").entry;
        let place = Place { account: account(1), site: one, peer: Some(home) };
        assert_eq!(entry.standing, Standing::InService { place });
        clean(&*store).await;
    }

    /// What may be done to a user is done, and what may not is not; an account keeps its last administrator.
    async fn users_change_and_go_as_far_as_they_may(opener) {
        let (store, ..) = seeded(opener).await;
        let user = |name: &str, account_id, role| NewUser {
            name: name.into(), account: AccountId::new(account_id), role, password_hash: format!("$argon2id${name}"),
        };
        for (name, account_id, role) in [
            ("admin", 1, Role::Admin), ("second", 1, Role::Admin), ("reader", 1, Role::Read),
            ("neighbour", 2, Role::Admin), ("operator", 0, Role::Operator),
        ] {
            store.create_user(user(name, account_id, role)).await.expect("made");
        }
        let names = async || store.users_of(account(1)).await.expect("read").into_iter().map(|u| u.name).collect::<Vec<_>>();
        assert_eq!(names().await, ["admin", "reader", "second"]);
        let person = async |name: &str| store.user(name).await.expect("read").expect("there").person();
        let admin = person("admin").await;
        let role = |role| UserChange::Said { password_hash: None, role: Some(role) };
        let password = |hash: &str| UserChange::Said { password_hash: Some(hash.into()), role: None };
        let change = async |asker: &Person, name: &str, change| store.change_user(Asker::User(asker.name.clone()), name.into(), change).await.expect("tried");
        for name in ["neighbour", "operator", "nobody"] {
            for change_to in [role(Role::Read), password("x"), UserChange::Removed] {
                assert_eq!(change(&admin, name, change_to).await, UserChanged::Refused(UserRefusal::NoUser), "{name}");
            }
        }
        assert_eq!(change(&admin, "reader", role(Role::Operator)).await, UserChanged::Refused(UserRefusal::Forbidden));
        // A password that may be changed, with a role that may not: neither is.
        let both = UserChange::Said { password_hash: Some("x".into()), role: Some(Role::Operator) };
        let read = async || store.user("reader").await.expect("read").expect("there");
        let before = read().await;
        assert_eq!(change(&admin, "reader", both).await, UserChanged::Refused(UserRefusal::Forbidden));
        assert_eq!(read().await, before);
        // Each change makes another generation, also the one that leads back; so does a user of the same name.
        let mut generations = vec![before.generation];
        for change_to in [role(Role::Order), role(Role::Read), role(Role::Order), password("$argon2id$other")] {
            assert_eq!(change(&admin, "READER", change_to).await, UserChanged::Done);
            generations.push(read().await.generation);
        }
        let reader = read().await;
        assert_eq!((reader.role, reader.password_hash.as_str()), (Role::Order, "$argon2id$other"));
        for _ in 0..2 {
            store.create_user(user("Other", 1, Role::Read)).await.expect("made");
            generations.push(store.user("other").await.expect("read").expect("there").generation);
            assert_eq!(change(&admin, "oTHER", UserChange::Removed).await, UserChanged::Done);
        }
        generations.sort_unstable();
        generations.dedup();
        assert_eq!(generations.len(), 7);

        // Two who remove each other at the same time: one is left.
        let second = person("second").await;
        let (one, other) = tokio::join!(change(&admin, "second", UserChange::Removed), change(&second, "admin", UserChange::Removed));
        assert!(matches!((one, other), (UserChanged::Done, UserChanged::Refused(UserRefusal::Forbidden)) | (UserChanged::Refused(UserRefusal::Forbidden), UserChanged::Done)), "{one:?} {other:?}");
        let left = store.users_of(account(1)).await.expect("read").into_iter().find(|u| u.role == Role::Admin).expect("one");
        assert_eq!(change(&left.person(), &left.name, role(Role::Read)).await, UserChanged::Refused(UserRefusal::LastAdmin));
        assert_eq!(store.change_user(Asker::AtTheMachine, left.name, UserChange::Removed).await.expect("tried"), UserChanged::Done);
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.users_of(account(1)).await.expect("read"), [reader]);
        clean(&*store).await;
    }

    /// Whoever asks may what they may when it is done, not when they asked.
    async fn who_is_an_administrator_no_more_changes_no_users(opener) {
        let (store, ..) = seeded(opener).await;
        let user = |name: &str, role| NewUser {
            name: name.into(), account: Some(account(1)), role, password_hash: format!("$argon2id${name}"),
        };
        for (name, role) in [("admin", Role::Admin), ("demoted", Role::Order), ("reader", Role::Read)] {
            store.create_user(user(name, role)).await.expect("made");
        }
        let before = store.users().await.expect("read");
        for asker in ["demoted", "gone"] {
            let made = store.make_user(asker.into(), user("new", Role::Read)).await.expect("tried");
            assert_eq!(made, UserChanged::Refused(UserRefusal::Forbidden), "{asker}");
            let promoted = UserChange::Said { password_hash: None, role: Some(Role::Admin) };
            for change in [promoted, UserChange::Removed] {
                let changed = store.change_user(Asker::User(asker.into()), "reader".into(), change).await.expect("tried");
                assert_eq!(changed, UserChanged::Refused(UserRefusal::Forbidden), "{asker}");
            }
        }
        assert_eq!(store.users().await.expect("read"), before);
        // Who is one makes nobody more than they are, and no user of another account.
        let elsewhere = NewUser { account: Some(account(2)), ..user("new", Role::Read) };
        for new in [NewUser { account: None, ..user("new", Role::Operator) }, elsewhere] {
            assert_eq!(store.make_user("admin".into(), new).await.expect("tried"), UserChanged::Refused(UserRefusal::Forbidden));
        }
        assert_eq!(store.make_user("admin".into(), user("new", Role::Admin)).await.expect("tried"), UserChanged::Done);
        assert!(matches!(store.make_user("admin".into(), user("new", Role::Read)).await, Err(StoreError::Conflict(_))));
        store.close().await;
        let store = opener.open().await;
        let new = store.user("new").await.expect("read").expect("there");
        assert_eq!((new.role, new.password_hash.as_str()), (Role::Admin, "$argon2id$new"));
        clean(&*store).await;
    }

    /// A search finds pool numbers of its area code, each once, and in an order that the seed gives.
    async fn the_pool_hands_out_what_is_asked_and_no_more(opener) {
        let (store, ..) = seeded(opener).await;
        let search = async |prefix: &str, size, seed| {
            let found = store.pool(PoolQuery { criteria: Criteria::prefix(prefix), inventory: Inventory::Pool, size, seed }).await.expect("read");
            found.into_iter().map(|(entry, _)| entry.number).collect::<Vec<Number>>()
        };
        let everything = search("919", 100, 1).await;
        let mut sorted = everything.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (20..50).map(number).collect::<Vec<_>>());
        assert_ne!(everything, sorted, "not in the order of the digits");
        assert_ne!(everything, search("919", 100, 2).await);
        assert_eq!(search("919", 4, 1).await.len(), 4);
        assert!(search("540", 4, 1).await.is_empty());
        let more = (1_000..9_000).map(|n| NewNumber::available(Number::from_digits(19_196_660_000 + n).expect("valid")));
        store.import(lines(more.collect()), Intake::of("more"), at(1)).await.expect("imported");
        let mut many = search("919", 50, 3).await;
        assert_eq!(many.len(), 50);
        many.sort_unstable();
        many.dedup();
        assert_eq!(many.len(), 50, "each once");
        clean(&*store).await;
    }

    /// Each thing that can be searched by finds the numbers that `core` says fit, by any seed, and each
    /// inventory its own; what is taken is found no more.
    async fn a_search_finds_all_that_fits_and_nothing_else(opener) {
        let (store, site, _) = seeded(opener).await;
        let place = |digits: u64, region: &str, rate_center: Option<&str>| NewNumber {
            region: Some(region.into()), rate_center: rate_center.map(str::to_owned),
            ..NewNumber::available(Number::from_digits(digits).expect("valid"))
        };
        let mut more: Vec<NewNumber> = (0..40).map(|n| place(12_125_550_100 + n, "NY", None)).collect();
        more.extend((0..40).map(|n| place(17_035_550_100 + n, "VA", Some("ARLINGTON"))));
        more.extend((40..60).map(|n| place(17_035_550_100 + n, "VA", Some("FAIRFAX"))));
        more.extend((0..20).map(|n| place(19_105_550_100 + n, "VA", None))); // not where its code lies
        for npa in [800, 888, 877, 540] {
            let first = 10_005_550_100 + npa * 10_000_000;
            more.extend((0..20).map(|n| NewNumber::available(Number::from_digits(first + n).expect("valid"))));
        }
        more.extend((150..160).map(|n| NewNumber {
            state: State::Protected, account: Some(account(1)), ..NewNumber::available(number(n))
        }));
        let foreign = "+33140289562".parse().expect("valid");
        more.push(NewNumber::available(foreign));
        store.import(lines(more), Intake::of("more"), at(1)).await.expect("imported");

        let mut wanted = vec![Criteria::default()];
        wanted.extend(["919", "703555", "7035550", "9195551", "800", "201"].map(Criteria::prefix));
        let text = |text: &str| Some(text.to_owned());
        for region in ["NC", "VA", "NY", "CA"] {
            wanted.push(Criteria { region: text(region), ..Criteria::default() });
            wanted.push(Criteria { region: text(region), rate_center: text("ARLINGTON"), ..Criteria::default() });
            wanted.push(Criteria { region: text(region), ..Criteria::prefix("703") });
        }
        for (digits, at_end) in [("5501", false), ("0123", true), ("5550110", false), ("5012", false)] {
            let vanity = Some(Vanity { digits: digits.into(), at_end });
            wanted.push(Criteria { vanity: vanity.clone(), ..Criteria::default() });
            wanted.push(Criteria { vanity: vanity.clone(), ..Criteria::prefix("919") });
            wanted.push(Criteria { vanity, region: text("VA"), ..Criteria::default() });
        }
        let toll_free = ["8**", "80*", "888"].map(|pattern| TollFree::Pattern(pattern.into()));
        wanted.extend(toll_free.into_iter().chain([TollFree::Vanity("5550".into())])
            .map(|toll_free| Criteria { toll_free: Some(toll_free), ..Criteria::default() }));
        wanted.push(Criteria { city: text("RALEIGH"), ..Criteria::default() });
        wanted.push(Criteria { lata: text("426"), ..Criteria::default() });
        wanted.push(Criteria { zip: text("27601"), ..Criteria::default() });

        let held = store.export(None, 1_000).await.expect("read");
        let (pool, own) = (Inventory::Pool, Inventory::Protected(account(1)));
        for criteria in wanted {
            let there = |states: &[State]| -> Vec<Number> {
                let fit = held.iter().filter(|(entry, name)| {
                    states.contains(&entry.state()) && entry.number.is_nanp()
                        && criteria.fits(entry.number, &Locality::of(entry.number, name, None))
                });
                fit.map(|(entry, _)| entry.number).collect()
            };
            let search = async |inventory, size, seed| {
                let query = PoolQuery { criteria: criteria.clone(), inventory, size, seed };
                let found = store.pool(query).await.expect("read").into_iter();
                found.map(|(entry, _)| entry.number).collect::<Vec<Number>>()
            };
            for (inventory, states) in [
                (pool, vec![State::Available]), (own, vec![State::Protected]),
                (Inventory::Both(account(1)), vec![State::Available, State::Protected]),
                (Inventory::Protected(account(2)), vec![]),
            ] {
                let there = there(&states);
                let mut found = search(inventory, 1_000, 7).await;
                assert!(found.len() < 15 || found != there, "{criteria:?} in the order of the digits");
                assert!(found.len() < 15 || found != search(inventory, 1_000, 8).await, "{criteria:?}");
                found.sort_unstable();
                assert_eq!(found, there, "{criteria:?} {inventory:?}");
                let some = search(inventory, 3, 9).await;
                assert_eq!(some.len(), there.len().min(3), "{criteria:?}");
                assert!(some.iter().all(|number| there.contains(number)), "{criteria:?}");
            }
            let counted: u64 = store.stock(criteria.clone()).await.expect("read").iter().map(|s| s.numbers).sum();
            let fit = u64::try_from(there(&[State::Available]).len()).expect("few");
            assert!(counted >= fit, "{criteria:?}");
        }
        let of = |region: &str| Criteria { region: text(region), ..Criteria::default() };
        let stock = store.stock(of("VA")).await.expect("read");
        let stock: Vec<_> = stock.iter().map(|s| (s.npa_nxx, s.numbers, s.locality.rate_center.as_deref())).collect();
        let wanted = [(540_555, 20, None), (703_555, 40, Some("ARLINGTON")), (703_555, 20, Some("FAIRFAX")), (910_555, 20, None)];
        assert_eq!(stock, wanted);
        store.accept(order(2, 1, activate(20..50, site))).await.expect("accepted");
        run_all(&*store, at(2)).await;
        assert_eq!(store.stock(of("NC")).await.expect("read"), []);
        let query = PoolQuery { criteria: of("NC"), inventory: pool, size: 10, seed: 1 };
        assert_eq!(store.pool(query).await.expect("read"), []);
        clean(&*store).await;
    }

    /// An operator's exchanges come in all or none; they say where numbers are shown and found, and the
    /// areas of numbers that come later, never of those that are there.
    async fn exchanges_say_where_numbers_lie_and_where_new_ones_belong(opener) {
        let (store, ..) = seeded(opener).await;
        let text = |text: &str| Some(text.to_owned());
        let exchange = |npa_nxx, region: &str, rate_center: &str, zips: &[&str]| Exchange {
            npa_nxx, region: region.into(), rate_center: rate_center.into(), name: rate_center.into(),
            lata: text("426"), city: text("THE CITY"), zips: zips.iter().map(|zip| (*zip).to_owned()).collect(),
        };
        let lines = |exchanges: Vec<Exchange>| -> crate::contract::exchanges::ExchangeLines {
            Box::new((2..).zip(exchanges.into_iter().map(Ok)))
        };
        let (raleigh, cary) = (exchange(919_555, "NC", "RALEIGH", &["27601", "27602"]), exchange(919_666, "NC", "CARY", &[]));
        let twice = vec![raleigh.clone(), cary.clone(), raleigh.clone()];
        match store.import_exchanges(lines(twice), false).await {
            Err(StoreError::Import(bad)) => {
                let [kind] = bad.kinds() else { panic!("{bad:?}") };
                let what = "exchange 919555".to_owned();
                assert_eq!(kind.first, [(4, BadLine::Twice { what, first: 2 })]);
            }
            other => panic!("{other:?}"),
        }
        let nowhere: Vec<Exchange> = Vec::new();
        assert_eq!(store.exchanges(Criteria::default()).await.expect("read"), nowhere);

        let by = |field: &str| Criteria {
            rate_center: (field == "rate_center").then(|| "RALEIGH".into()), city: (field == "city").then(|| "THE CITY".into()),
            lata: (field == "lata").then(|| "426".into()), zip: (field == "zip").then(|| "27602".into()), ..Criteria::default()
        };
        let fields = ["rate_center", "city", "lata", "zip"];
        let found = async |criteria: Criteria| {
            let query = PoolQuery { criteria, inventory: Inventory::Pool, size: 100, seed: 1 };
            store.pool(query).await.expect("read").len()
        };
        for field in fields {
            assert_eq!(found(by(field)).await, 0, "{field}");
        }
        assert_eq!(store.import_exchanges(lines(vec![raleigh.clone(), cary.clone()]), false).await.expect("imported").numbers, 2);
        for field in fields {
            assert_eq!(found(by(field)).await, 30, "{field}");
            let of_account = NumberQuery {
                region: text("nc"), rate_center: by(field).rate_center, city: by(field).city, lata: by(field).lata,
                ..all(1, &[State::InService], Start::Page(1), 4)
            };
            let page = store.numbers(of_account.clone()).await.expect("read");
            assert_eq!((page.items.len(), page.total, page.next), (4, 10, Some(number(4))), "{field}");
            assert_eq!(store.count(NumberQuery { lata: text("224"), ..of_account }).await.expect("read"), 0);
        }
        // What was there keeps its area, what comes gets that of its exchange.
        let late = Number::from_digits(19_196_660_100).expect("valid");
        let far = Number::from_digits(19_195_559_999).expect("valid");
        let elsewhere = NewNumber { region: text("VA"), rate_center: text("ROANOKE"), ..NewNumber::available(far) };
        store.import(self::lines(vec![NewNumber::available(late), elsewhere]), Intake::of("late"), at(1)).await.expect("imported");
        let area = async |number| store.facts(number).await.expect("read").expect("there");
        assert_eq!(area(number(20)).await.area.to_string(), "919 (NC)");
        assert_eq!(area(number(20)).await.locality.rate_center.as_deref(), Some("RALEIGH"));
        assert_eq!(area(late).await.area.to_string(), "CARY, NC");
        assert_eq!(area(far).await.locality.city, None, "its import knows better where it is");
        assert_eq!(found(by("city")).await, 31);
        let unknown = Number::from_digits(19_196_660_199).expect("valid");
        let asked = vec![late, unknown, number(0), far];
        let told = store.localities(asked).await.expect("read");
        let told: Vec<_> = told.iter().map(|(number, l)| (*number, l.rate_center.as_deref())).collect();
        assert_eq!(told, [(late, Some("CARY")), (number(0), Some("RALEIGH")), (far, Some("ROANOKE"))]);

        let page = async |from, size, criteria| {
            let query = RateCenterQuery { criteria, name: None, from, size };
            store.rate_centers(query).await.expect("read")
        };
        let some = page(1, 2, Criteria::default()).await;
        let names: Vec<_> = some.items.iter().map(|r| (r.id, r.abbreviation.as_str(), r.exchanges.len())).collect();
        assert_eq!((names, some.total, some.next), (vec![(1, "RALEIGH", 1), (2, "CARY", 1)], 3, Some(3)));
        let rest = page(3, 2, Criteria::default()).await;
        assert_eq!((rest.items[0].abbreviation.as_str(), rest.items[0].exchanges.len(), rest.next), ("ROANOKE", 0, None));
        assert_eq!(page(1, 5, by("zip")).await.items.len(), 1);
        assert_eq!(store.exchanges(Criteria::prefix("919666")).await.expect("read"), [cary]);

        // The same exchange again replaces what was known of it.
        let moved = Exchange { name: "WAKE FOREST TOWN".into(), ..exchange(919_555, "NC", "WAKEFOREST", &["27587"]) };
        store.import_exchanges(lines(vec![moved.clone()]), false).await.expect("imported");
        assert_eq!((found(by("zip")).await, found(by("rate_center")).await), (0, 0));
        let names = page(4, 1, Criteria::default()).await;
        assert_eq!((names.items[0].name.as_str(), &names.items[0].exchanges), ("WAKE FOREST TOWN", &vec![moved]));
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
                        store.run_orders(at(DAY_MS), 10, 100).await.expect("run");
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

    /// Notes come back oldest first, and can be written again.
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

    /// One notification for each subscription and each thing that happened, of its own account and type.
    async fn each_subscriber_is_told_once_of_what_it_asked_for(opener) {
        let (store, one, _) = seeded(opener).await;
        let all = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let again = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", DAY_MS), 1).await;
        let numbers = subscribe(&*store, subscription(1, Subject::Orders(OrderType::Orders, None), "https://a", DAY_MS), 1).await;
        let ported = subscribe(&*store, subscription(1, Subject::Orders(OrderType::PortIns, None), "https://a", DAY_MS), 1).await;
        let event = subscribe(&*store, subscription(1, Subject::Event(EventType::MessagingLost), "https://a", DAY_MS), 1).await;
        let theirs = subscribe(&*store, subscription(2, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let first = store.accept(order(2, 1, disconnect([1, 2]))).await.expect("accepted").id;
        store.accept(order(3, 1, disconnect([2, 99]))).await.expect("accepted");
        store.accept(order(4, 1, activate([1], one))).await.expect("accepted");
        let noted = store.write_note(account(1), Kind::Disconnect, first, None, note("early", 5)).await.expect("written");
        let step = store.run_orders(at(10), 100, 1_000).await.expect("run");
        assert_eq!(step.told, 5);
        store.write_note(account(1), Kind::Disconnect, first, noted, note("early, better said", 11)).await.expect("written");
        store.write_note(account(1), Kind::Disconnect, first, None, note("late", 12)).await.expect("written");
        let told = |log: Vec<Delivery>| log.into_iter().rev().map(|d| (d.status, d.note, d.order == first)).collect::<Vec<_>>();
        let wanted = [
            (Status::Received, true, true), (Status::Complete, false, true), (Status::Failed, false, false), (Status::Complete, true, true),
        ];
        assert_eq!(told(log(&*store, &all).await), wanted);
        assert_eq!(told(log(&*store, &again).await), wanted);
        assert_eq!(told(log(&*store, &numbers).await), [(Status::Complete, false, false)]);
        for nothing in [&ported, &event, &theirs] {
            assert!(log(&*store, nothing).await.is_empty(), "{nothing:?}");
        }
        assert_eq!(store.totals(at(0)).await.expect("read").deliveries, 9);
        let ids: std::collections::HashSet<_> = log(&*store, &all).await.iter().chain(&log(&*store, &again).await).map(|d| d.id).collect();
        assert_eq!(ids.len(), 8, "each has an id of its own");
        let due = due(&*store, 20).await;
        let ready = store.ready(all.seq, due[0].notifications.clone()).await.expect("read").expect("there");
        assert_eq!(ready.subscription, all);
        assert_eq!(ready.notifications.iter().map(|n| n.note.as_deref()).collect::<Vec<_>>(), [Some("early"), None, None, Some("late")]);
        assert_eq!(ready.notifications[1].order.done().collect::<Vec<_>>(), [number(1), number(2)]);
        clean(&*store).await;
    }

    /// A subscription is found by its account alone, is replaced as a whole and goes without leaving anything
    /// that waits; a second one like it, or one too many, is refused.
    async fn a_subscription_is_written_again_and_removed(opener) {
        let (store, ..) = seeded(opener).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let same = store.subscribe(subscription(1, DISCONNECTS, "https://a", 2 * DAY_MS), at(2)).await.expect("tried");
        assert_eq!(same, Subscribed::Duplicate);
        assert_eq!(store.subscription(account(1), made.id, at(2)).await.expect("read"), Some(made.clone()));
        assert_eq!(store.subscription(account(2), made.id, at(2)).await.expect("read"), None);
        let Receiver::Callback(callback) = &made.receiver else { panic!("{made:?}") };
        assert_eq!(callback.credentials.as_ref().expect("kept").password.expose(), "s3cure");
        store.close().await;
        let store = opener.open().await;
        store.accept(order(3, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(log(&*store, &made).await.len(), 1, "it is told after reopening, too");

        let other = subscription(1, Subject::Orders(OrderType::Orders, None), "https://b", 3 * DAY_MS);
        let foreign = NewSubscription { account: account(2), ..other.clone() };
        assert_eq!(store.resubscribe(made.id, foreign, at(11)).await.expect("tried"), Subscribed::Missing);
        let Subscribed::Made(written) = store.resubscribe(made.id, other.clone(), at(11)).await.expect("written") else { panic!() };
        assert_eq!((written.id, written.seq), (made.id, made.seq));
        assert_eq!((&written.subject, &written.receiver, written.expires_at), (&other.subject, &other.receiver, other.expires_at));
        let Subscribed::Made(_) = store.resubscribe(made.id, other, at(12)).await.expect("written") else { panic!("it is no duplicate of itself") };
        store.accept(order(13, 1, disconnect([2]))).await.expect("accepted");
        run_all(&*store, at(14)).await;
        assert_eq!(log(&*store, &made).await.len(), 1);
        let listed = store.subscriptions(SubscriptionQuery { orders: Some(OrderType::Disconnects), ..everything(1, 15) }).await.expect("read");
        assert_eq!(listed, []);
        assert_eq!(store.subscriptions(everything(1, 15)).await.expect("read"), [*written]);

        assert!(!store.unsubscribe(account(2), made.id, at(16)).await.expect("tried"));
        assert!(store.unsubscribe(account(1), made.id, at(16)).await.expect("removed"));
        assert!(!store.unsubscribe(account(1), made.id, at(16)).await.expect("tried"));
        assert_eq!(store.deliveries(account(1), made.id, 1, 10).await.expect("read"), None);
        assert_eq!((due(&*store, DAY_MS).await, store.totals(at(0)).await.expect("read").deliveries), (vec![], 0));
        for n in 0..SUBSCRIPTIONS_MAX {
            subscribe(&*store, subscription(1, DISCONNECTS, &format!("https://{n}"), DAY_MS), 17).await;
        }
        let more = store.subscribe(subscription(1, DISCONNECTS, "https://more", DAY_MS), at(18)).await.expect("tried");
        assert_eq!(more, Subscribed::TooMany);
        clean(&*store).await;
    }

    /// One that is bound to an order goes with it, told, even if it came too late; an expired one is told
    /// nothing more and is not listed.
    async fn a_subscription_ends_with_its_order_and_with_its_time(opener) {
        let (store, ..) = seeded(opener).await;
        let id = store.accept(order(1, 1, disconnect([1]))).await.expect("accepted").id;
        let other = store.accept(order(2, 1, disconnect([2]))).await.expect("accepted").id;
        let theirs = store.accept(order(2, 2, disconnect([12]))).await.expect("accepted").id;
        let bound = |id| Subject::Orders(OrderType::Disconnects, Some(id));
        let one = subscribe(&*store, subscription(1, bound(id), "https://a", DAY_MS), 3).await;
        assert_eq!(one.subject, bound(id));
        let unknown = OrderId(uuid::Uuid::from_u128(0x4000_8000_0000_0000_0002));
        let numbers = Subject::Orders(OrderType::Orders, Some(id));
        let ported = Subject::Orders(OrderType::PortIns, Some(id));
        for wrong in [bound(theirs), bound(unknown), numbers, ported] {
            let tried = store.subscribe(subscription(1, wrong, "https://a", DAY_MS), at(3)).await.expect("tried");
            assert_eq!(tried, Subscribed::NoOrder, "{wrong:?}");
        }
        let brief = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 10), 3).await;
        let of_order = SubscriptionQuery { order: Some(id), ..everything(1, 4) };
        assert_eq!(store.subscriptions(of_order).await.expect("read"), std::slice::from_ref(&one));
        assert_eq!(store.subscriptions(everything(1, 9)).await.expect("read").len(), 2);
        assert_eq!(store.subscriptions(everything(1, 10)).await.expect("read"), std::slice::from_ref(&one));
        run_all(&*store, at(10)).await;
        assert_eq!(store.subscriptions(everything(1, 10)).await.expect("read"), []);
        assert_eq!(store.subscription(account(1), one.id, at(11)).await.expect("read"), None);
        assert_eq!((log(&*store, &one).await.len(), log(&*store, &brief).await.len()), (1, 0));
        assert_eq!(log(&*store, &one).await[0].order, id);
        let late = subscribe(&*store, subscription(1, bound(other), "https://a", DAY_MS), 12).await;
        assert_eq!(log(&*store, &late).await.iter().map(|d| (d.order, d.status)).collect::<Vec<_>>(), [(other, Status::Complete)]);
        assert_eq!(store.subscription(account(1), late.id, at(12)).await.expect("read"), None);
        // What was written is delivered all the same.
        assert_eq!(due(&*store, 12).await.iter().map(|d| d.subscription).collect::<Vec<_>>(), [one.seq, late.seq]);
        clean(&*store).await;
    }

    /// What is due stays due until an attempt is recorded, and then follows what was said.
    async fn what_is_due_waits_until_it_is_recorded(opener) {
        let (store, ..) = seeded(opener).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let other = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", DAY_MS), 1).await;
        for n in [1, 2, 3] {
            store.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        let found = due(&*store, 10).await;
        assert_eq!(found.iter().map(|d| (d.subscription, d.account, d.target.as_str(), d.daily, d.notifications.len())).collect::<Vec<_>>(),
            [(made.seq, account(1), "https://a", false, 3), (other.seq, account(1), "https://b", false, 3)]);
        assert_eq!(due(&*store, 9).await, []);
        let DuePage { due: few, next } = store.due(at(10), SubscriptionSeq(0), limits(1, 2, 2)).await.expect("read");
        assert_eq!((few.len(), few[0].notifications.as_slice(), next), (1, &found[0].notifications[..2], Some(made.seq)));
        let DuePage { due: rest, next } = store.due(at(10), made.seq, limits(5, 2, 2)).await.expect("read");
        assert_eq!((rest.len(), rest[0].subscription, next), (1, other.seq, None));
        store.close().await;
        let store = opener.open().await;
        assert_eq!(due(&*store, 10).await, found, "the same after reopening");
        let [first, second, third] = found[0].notifications[..] else { panic!() };
        let before: Vec<_> = log(&*store, &made).await.iter().map(|d| d.id).collect();
        store.record(attempt(20, Outcome::Answered(503)), vec![(first, Next::Again(at(500)))]).await.expect("kept");
        store.record(attempt(21, Outcome::Answered(200)), vec![(second, Next::Delivered)]).await.expect("kept");
        store.record(attempt(22, Outcome::Failed(Trouble::Timeout)), vec![(third, Next::GiveUp)]).await.expect("kept");
        // A second word on what has ended changes nothing, nor does one on what never was.
        store.record(attempt(23, Outcome::Answered(500)), vec![(second, Next::GiveUp), (NotificationSeq(9_999), Next::GiveUp)]).await.expect("kept");
        assert_eq!(due(&*store, 499).await.iter().map(|d| d.subscription).collect::<Vec<_>>(), [other.seq]);
        assert_eq!(due(&*store, 500).await[0].notifications, [first]);
        let shown = log(&*store, &made).await;
        assert_eq!(shown.iter().map(|d| (d.standing, d.due_at, d.reason.as_deref())).collect::<Vec<_>>(), [
            (Notified::GivenUp, None, Some("timeout")), (Notified::Delivered, None, None), (Notified::Waiting, Some(at(500)), None),
        ]);
        let attempts = |d: &Delivery| d.attempts.iter().map(|a| (a.at, a.took_ms, a.outcome.clone())).collect::<Vec<_>>();
        assert_eq!(attempts(&shown[2]), [(at(20), 5, "http 503".into())]);
        assert_eq!(attempts(&shown[1]), [(at(21), 5, "http 200".into())]);
        store.record(attempt(510, Outcome::Answered(200)), vec![(first, Next::Delivered)]).await.expect("kept");
        let shown = log(&*store, &made).await;
        assert_eq!(attempts(&shown[2]).len(), 2);
        assert_eq!(shown.iter().map(|d| d.id).collect::<Vec<_>>(), before, "ids stay");
        let DeliveryPage { deliveries: page, total } = store.deliveries(account(1), made.id, 2, 2).await.expect("read").expect("there");
        assert_eq!((page.len(), total, &page[0]), (1, 3, &shown[2]));
        assert_eq!(store.deliveries(account(2), made.id, 1, 10).await.expect("read"), None);
        let known = store.subscription(account(1), made.id, at(511)).await.expect("read").expect("there");
        assert_eq!(known.last.as_deref(), Some("200 OK"));
        clean(&*store).await;
    }

    /// What a daily mail gathers is due when the day has ended, together.
    async fn a_day_s_mail_is_due_at_its_end(opener) {
        let (store, ..) = seeded(opener).await;
        let email = |digest| Receiver::Email(Email { address: "ops@example.com".into(), digest });
        let new = |digest, subject| NewSubscription { account: account(1), subject, receiver: email(digest), expires_at: None };
        let daily = subscribe(&*store, new(Digest::Daily, DISCONNECTS), 1).await;
        assert_eq!(store.subscription(account(1), daily.id, at(2)).await.expect("read"), Some(daily.clone()));
        for n in [1, 2, 3] {
            store.accept(order(n, 1, disconnect([n.unsigned_abs()]))).await.expect("accepted");
            run_all(&*store, at(n * 1_000)).await;
        }
        let end = NOON.div_euclid(DAY_MS) * DAY_MS + DAY_MS - NOON;
        assert_eq!(due(&*store, end - 1).await, []);
        let found = due(&*store, end).await;
        assert_eq!((found.len(), found[0].daily, found[0].notifications.len()), (1, true, 3));
        let what = found[0].notifications.iter().map(|seq| (*seq, Next::Delivered)).collect();
        store.record(attempt(end, Outcome::Mailed), what).await.expect("kept");
        assert!(log(&*store, &daily).await.iter().all(|d| d.standing == Notified::Delivered && d.attempts.len() == 1));
        clean(&*store).await;
    }

    /// A receiver that has said so is told nothing more until its subscription is written again, and no
    /// receiver has more waiting than the bound.
    async fn a_receiver_that_is_gone_is_told_nothing_more(opener) {
        let (store, ..) = seeded(opener).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        for n in [1, 2] {
            store.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        let first = due(&*store, 10).await[0].notifications[0];
        store.record(attempt(11, Outcome::Answered(410)), vec![(first, Next::Disable)]).await.expect("kept");
        assert_eq!(due(&*store, DAY_MS).await, []);
        let reasons: Vec<_> = log(&*store, &made).await.into_iter().map(|d| d.reason.expect("given up")).collect();
        assert_eq!(reasons, ["the receiver is gone for good", "http 410"]);
        let known = store.subscription(account(1), made.id, at(12)).await.expect("read").expect("there");
        assert!(known.disabled);
        store.accept(order(12, 1, disconnect([3]))).await.expect("accepted");
        run_all(&*store, at(13)).await;
        assert_eq!(log(&*store, &made).await.len(), 2);
        store.resubscribe(made.id, subscription(1, DISCONNECTS, "https://a", DAY_MS), at(14)).await.expect("written");
        store.accept(order(15, 1, disconnect([4]))).await.expect("accepted");
        run_all(&*store, at(16)).await;
        assert_eq!(log(&*store, &made).await.len(), 3);
        let mut callers = tokio::task::JoinSet::new();
        for n in 0..WAITING_MAX + 3 {
            let store = store.clone();
            callers.spawn(async move { store.accept(order(17, 1, disconnect([50 + n % 9]))).await });
            if callers.len() == 500 {
                let first = callers.join_next().await.expect("some").expect("it ends");
                first.expect("accepted");
            }
        }
        callers.join_all().await;
        while store.run_orders(at(18), 1_000, 5_000).await.expect("run").more {}
        assert_eq!(store.totals(at(0)).await.expect("read").deliveries, WAITING_MAX);
        clean(&*store).await;
    }

    /// What a receiver that is gone said is no word on the one that the subscription names by then: that one
    /// is told, all of it.
    async fn a_receiver_that_is_gone_speaks_for_itself_alone(opener) {
        let (store, ..) = seeded(opener).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        for n in [1, 2] {
            store.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        let waiting = due(&*store, 10).await.remove(0).notifications;
        store.resubscribe(made.id, subscription(1, DISCONNECTS, "https://b", DAY_MS), at(11)).await.expect("written");
        store.record(attempt(12, Outcome::Answered(410)), vec![(waiting[0], Next::Disable)]).await.expect("kept");
        let found = due(&*store, 17).await.remove(0);
        assert_eq!((found.target.as_str(), found.notifications), ("https://b", vec![waiting[1], waiting[0]]));
        assert_eq!(log(&*store, &made).await[1].attempts.len(), 1);
        assert!(!store.subscription(account(1), made.id, at(17)).await.expect("read").expect("there").disabled);
        let gone = Attempt { target: "https://b".into(), ..attempt(18, Outcome::Answered(410)) };
        store.record(gone, vec![(waiting[0], Next::Disable)]).await.expect("kept");
        assert!(store.subscription(account(1), made.id, at(19)).await.expect("read").expect("there").disabled);
        clean(&*store).await;
    }

    /// However many have ended and left a log that is kept, those behind them have their turn.
    async fn ended_subscriptions_are_forgotten_in_turn(opener) {
        let (store, ..) = seeded(opener).await;
        let told = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 20), 1).await;
        let also = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", 20), 1).await;
        store.accept(order(2, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let untold = subscribe(&*store, subscription(1, DISCONNECTS, "https://c", 20), 11).await;
        let lasting = subscribe(&*store, subscription(1, DISCONNECTS, "https://d", DAY_MS), 11).await;
        let mut forgotten = 0;
        for n in 20..28 {
            store.expire_subscriptions(at(n), 1).await.expect("ended");
            forgotten += store.forget_deliveries(at(n), 1).await.expect("forgot");
        }
        assert_eq!(forgotten, 1);
        assert_eq!(store.deliveries(account(1), untold.id, 1, 10).await.expect("read"), None);
        for kept in [&told, &also] {
            assert_eq!(log(&*store, kept).await.len(), 1);
        }
        assert_eq!(store.subscriptions(everything(1, 28)).await.expect("read"), [lasting]);
        clean(&*store).await;
    }

    /// What ended long ago is forgotten with its subscription if that has ended, too; what waits is not.
    async fn old_deliveries_are_forgotten(opener) {
        let (store, ..) = seeded(opener).await;
        let brief = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 20), 1).await;
        let lasting = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", 2 * KEPT_MS), 1).await;
        store.accept(order(2, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let found = due(&*store, 10).await;
        store.record(attempt(11, Outcome::Answered(200)), vec![(found[0].notifications[0], Next::Delivered)]).await.expect("kept");
        assert_eq!(store.forget_deliveries(at(KEPT_MS), 100).await.expect("forgot"), 0);
        clean(&*store).await;
        assert_eq!(store.expire_subscriptions(at(19), 100).await.expect("ended"), []);
        assert_eq!(store.expire_subscriptions(at(20), 100).await.expect("ended"), [(brief.id, account(1))]);
        assert_eq!(store.expire_subscriptions(at(20), 100).await.expect("ended"), [], "it has ended once");
        assert_eq!(store.forget_deliveries(at(KEPT_MS + 17), 100).await.expect("forgot"), 2);
        assert_eq!(store.deliveries(account(1), brief.id, 1, 10).await.expect("read"), None);
        assert_eq!(log(&*store, &lasting).await.len(), 1, "it still waits");
        store.record(attempt(KEPT_MS + 18, Outcome::Answered(200)), vec![(found[1].notifications[0], Next::Delivered)]).await.expect("kept");
        assert_eq!(store.expire_subscriptions(at(2 * KEPT_MS), 100).await.expect("ended"), [(lasting.id, account(1))]);
        assert_eq!(store.forget_deliveries(at(2 * KEPT_MS + 24), 100).await.expect("forgot"), 2, "its subscription has ended, too");
        clean(&*store).await;
    }

    /// Supply counts the pool; demand counts activations from it, not reconnects.
    async fn a_disconnect_raises_nothing_and_a_release_raises_the_supply(opener) {
        let (store, one, _) = seeded(opener).await;
        let area = async || store.areas().await.expect("read").into_iter().map(|(_, a)| a).collect::<Vec<_>>();
        let figures = |areas: Vec<onhook_core::lifecycle::area::Area>| -> BTreeMap<String, (u64, bool)> {
            areas.into_iter().map(|a| (a.name.to_string(), (a.supply, a.demand.per_day > 0.0))).collect()
        };
        assert_eq!(figures(area().await)["919 (NC)"], (30, false));
        store.accept(order(1, 1, disconnect([1, 2]))).await.expect("accepted");
        store.accept(order(2, 1, activate([1], one))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(figures(area().await)["919 (NC)"], (30, false));
        store.release(at(100 * DAY_MS), 10).await.expect("released");
        assert_eq!(figures(area().await)["919 (NC)"], (31, false));
        store.accept(order(3, 1, activate([20, 2], one))).await.expect("accepted");
        run_all(&*store, at(100 * DAY_MS)).await;
        assert_eq!(figures(area().await)["919 (NC)"], (29, true));
        store.close().await;
        let store = opener.open().await;
        assert_eq!(figures(store.areas().await.expect("read").into_iter().map(|(_, a)| a).collect())["919 (NC)"], (29, true));
        clean(&*store).await;
    }
}
