//! A step of orders: which of the loaded orders run now, their outcomes, and their notifications.
//!
//! Orders are judged one after another, each against what the one before it left. Orders that wait for numbers come
//! first, since they are older; then new ones. A step that has done enough leaves the rest to the next one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onhook_core::account::{Account, Premises};
use onhook_core::ids::{AccountId, OrderSeq};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::Exchange;
use onhook_core::notify::notification::Subscriber;
use onhook_core::number::Number;
use onhook_core::order::decide::{Decision, World, decide, decided};
use onhook_core::order::search::Criteria;
use onhook_core::order::{ATTEMPTS_MAX, Order, Refusal, Status};
use onhook_core::time::Timestamp;

use super::batch::{Batch, NumberWrites, Numbers};
use super::origin::origin;
use super::tell::{About, NewNotification, tell};
use crate::contract::orders::{Ended, Script, StepReport};

/// How much work a step does before it leaves the rest to the next one, so that accepts get their turn: numbers read
/// or changed, and notifications. A single order may take more.
pub const WORK_MAX: usize = 20_000;

/// An order to be run.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The order as stored.
    pub order: Order,
    /// How often judging it has panicked.
    pub attempts: u8,
}

/// What a step needs, loaded from the store.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Some of the orders that wait for numbers, oldest first.
    pub back_orders: Vec<Waiting>,
    /// Some of the orders that have not run yet. Those of one account are in the order of their arrival.
    pub new: Vec<Waiting>,
    /// The accounts of these orders, with their sites and peers.
    pub accounts: HashMap<AccountId, (Account, Premises)>,
    /// The numbers that these orders name, those drawn for their searches, and those they took in earlier steps.
    pub numbers: Numbers,
    /// The known exchanges of the numbers of number orders, by their six digits.
    pub exchanges: HashMap<u32, Exchange>,
    /// Pool numbers that match each search, in the order drawn: as many as all searches of the step want together, or
    /// all there are.
    pub found: HashMap<Criteria, Vec<Number>>,
    /// The subscribers of these accounts. An account without any may be absent.
    pub subscribers: HashMap<AccountId, Vec<Subscriber>>,
    /// What an emulator says of single orders.
    pub script: Option<Arc<dyn Script>>,
}

/// An order to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderWrite {
    /// Its status until now, which is not final. A store checks it.
    pub before: Status,
    /// The order as it will be.
    pub after: Order,
}

/// What a step writes, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// The orders that changed. One that is BACKORDERED gets a line in its history.
    pub orders: Vec<OrderWrite>,
    /// The orders whose judging panicked. Each counts one more attempt, and is tried again.
    pub panicked: Vec<OrderSeq>,
    /// The new orders that wait by an emulator's script.
    pub waiting: Vec<OrderSeq>,
    /// Changes of numbers.
    pub numbers: NumberWrites,
    /// Notifications.
    pub notifications: Vec<NewNotification>,
    /// The orders that have ended. Subscriptions to one of them alone end with it.
    pub ended: Vec<(AccountId, OrderSeq)>,
    /// How many of the orders that wait for numbers were judged, from the first.
    pub back_orders_judged: usize,
    /// How many of the new orders were judged, from the first.
    pub new_judged: usize,
    /// What the step did, for its worker.
    pub report: StepReport,
}

/// Plans a step at `now`, or later if one of its orders or numbers changed later: time runs forward for each of them,
/// whatever the clock did in between.
#[must_use]
pub fn step(loaded: Loaded, policy: &Policy, now: Timestamp) -> Writes {
    let Loaded { back_orders, new, accounts, numbers, exchanges, found, subscribers, script } = loaded;
    let changed = back_orders.iter().chain(&new).map(|waiting| waiting.order.changed_at);
    let batch = Batch::new(policy, numbers, changed.fold(now, Timestamp::max));
    let (now, work, writes) = (batch.at(), 0, Writes::default());
    let mut run = Run { policy, accounts, exchanges, found, subscribers, script, batch, now, work, writes };
    for waiting in back_orders {
        if run.work >= WORK_MAX / 2 {
            run.writes.report.more = true;
            break;
        }
        run.writes.back_orders_judged += 1;
        run.judge(waiting);
    }
    for (index, waiting) in new.into_iter().enumerate() {
        if index > 0 && run.work >= WORK_MAX {
            run.writes.report.more = true;
            break;
        }
        run.writes.new_judged += 1;
        run.judge(waiting);
    }
    Writes { numbers: run.batch.finish(), ..run.writes }
}

/// A step under way.
struct Run<'a> {
    policy: &'a Policy,
    accounts: HashMap<AccountId, (Account, Premises)>,
    exchanges: HashMap<u32, Exchange>,
    found: HashMap<Criteria, Vec<Number>>,
    subscribers: HashMap<AccountId, Vec<Subscriber>>,
    script: Option<Arc<dyn Script>>,
    batch: Batch<'a>,
    now: Timestamp,
    work: usize,
    writes: Writes,
}

impl Run<'_> {
    /// Judges one order against the state so far, and applies its outcome to it.
    fn judge(&mut self, waiting: Waiting) {
        let Waiting { order, attempts } = waiting;
        if order.status == Status::Received
            && self.script.as_ref().is_some_and(|script| script.waits(order.id, self.now))
        {
            self.writes.waiting.push(order.seq);
            return;
        }
        let refused = self.refused(&order);
        let found = self.candidates(&order);
        self.work += found.len();
        let decision = match self.accounts.get(&order.account) {
            None => Some(Decision::set_aside(&order.request)),
            Some((account, premises)) => {
                let world = World {
                    account,
                    premises,
                    entries: &without(self.batch.entries(), &refused),
                    found: &found,
                    areas: self.batch.areas(),
                    policy: self.policy,
                };
                catch_unwind(AssertUnwindSafe(|| decide(&order, &world, self.now))).ok()
            }
        };
        // An order whose judging panics every time is set aside, so that it does not hold up others.
        let decision = match decision {
            Some(decision) => decision,
            None if attempts.saturating_add(1) < ATTEMPTS_MAX => {
                self.writes.panicked.push(order.seq);
                return;
            }
            None => Decision::set_aside(&order.request),
        };
        let decision = as_scripted(decision, &refused);
        if decision.status == order.status && decision.transitions.is_empty() {
            return; // it waits as it did before
        }
        let before = order.status;
        let mut after = decided(order, &decision, self.now);
        after.origin = origin(&after, self.batch.entries(), self.batch.areas(), &self.exchanges);
        self.tell(&after);
        self.work += after.request.quantity();
        self.writes.report.numbers += decision.transitions.len();
        for transition in decision.transitions {
            self.batch.apply(transition, By::Order(after.seq));
        }
        if after.status.is_final() {
            let total = after.request.quantity();
            let failed = total - after.done().count();
            self.writes.report.ended.push(Ended { id: after.id, status: after.status, total, failed });
            self.writes.ended.push((after.account, after.seq));
        }
        self.writes.orders.push(OrderWrite { before, after });
    }

    /// Returns the numbers of an order that an emulator's script refuses, and why.
    fn refused(&self, order: &Order) -> HashMap<Number, Refusal> {
        let Some(script) = &self.script else { return HashMap::new() };
        let numbers = order.request.numbers().iter();
        numbers.filter_map(|number| Some((*number, script.refuses(order.id, *number)?))).collect()
    }

    /// Returns the numbers drawn for an order's search that are still in the pool, as many as it wants.
    fn candidates(&self, order: &Order) -> Vec<Entry> {
        let Some(search) = order.request.search() else { return Vec::new() };
        let left = search.quantity.saturating_sub(order.taken.len());
        let drawn = self.found.get(&search.criteria).into_iter().flatten();
        let there = drawn.filter(|number| !self.batch.has_taken(**number));
        there.filter_map(|number| self.batch.entries().get(number).copied()).take(left).collect()
    }

    fn tell(&mut self, order: &Order) {
        let Some(subscribers) = self.subscribers.get_mut(&order.account) else { return };
        let about = About::order(order);
        let notifications = tell(subscribers, about, None, self.now);
        if order.status.is_final() {
            subscribers.retain(|one| one.filter.order != Some(order.seq));
        }
        self.work += notifications.len();
        self.writes.report.told += notifications.len();
        self.writes.notifications.extend(notifications);
    }
}

/// Returns the entries as if those of these numbers were not there.
fn without<'a>(
    entries: &'a HashMap<Number, Entry>,
    refused: &HashMap<Number, Refusal>,
) -> Cow<'a, HashMap<Number, Entry>> {
    if refused.is_empty() {
        return Cow::Borrowed(entries);
    }
    let others = entries.iter().filter(|(number, _)| !refused.contains_key(number));
    Cow::Owned(others.map(|(number, entry)| (*number, *entry)).collect())
}

/// Returns the decision with the reasons of a script for the numbers that it refuses. They have failed as if they were not
/// there.
fn as_scripted(mut decision: Decision, refused: &HashMap<Number, Refusal>) -> Decision {
    for failure in &mut decision.failed {
        if let Some(why) = refused.get(&failure.number) {
            failure.why = *why;
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use onhook_core::account::{AccountKind, Class, Peer, Place, Site};
    use onhook_core::ids::{AreaId, EventSeq, OrderId, PeerId, SiteId, SubscriptionSeq};
    use onhook_core::lifecycle::area::{Area, AreaName, Demand};
    use onhook_core::lifecycle::diagram::State;
    use onhook_core::lifecycle::entry::Standing;
    use onhook_core::lifecycle::provenance::Provenance;
    use onhook_core::notify::notification::SubscriptionFilter;
    use onhook_core::notify::subscription::OrderType;
    use onhook_core::order::{Activate, Disconnect, Mode, Request, Search, SearchForm, Wanted};

    use super::*;
    use crate::plan::batch::{Known, Prev};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn account() -> AccountId {
        AccountId::new(1).unwrap()
    }

    fn site() -> SiteId {
        SiteId::new(1).unwrap()
    }

    fn number(n: u64) -> Number {
        Number::from_digits(19_195_550_100 + n).unwrap()
    }

    fn known(n: u64, standing: Standing, untouched: bool) -> Known {
        let number = number(n);
        let (area, protected, ported_in, locked) = (AreaId(1), false, false, false);
        let entry = Entry { number, standing, area, protected, ported_in, locked };
        Known { entry, last_event: EventSeq(7), untouched }
    }

    fn in_service(n: u64) -> Known {
        let place = Place { account: account(), site: site(), peer: PeerId::new(1) };
        known(n, Standing::InService { place }, true)
    }

    fn order(seq: i64, request: Request) -> Waiting {
        let order = Order {
            seq: OrderSeq(seq),
            id: OrderId(uuid::Uuid::from_u128(seq.unsigned_abs().into())),
            account: account(),
            user: "username".into(),
            name: None,
            customer_order_id: None,
            created_at: NOW,
            changed_at: NOW,
            request,
            status: Status::Received,
            failed: Vec::new(),
            taken: Vec::new(),
            refused: None,
            peers: Vec::new(),
            origin: None,
            under: Provenance::default(),
        };
        Waiting { order, attempts: 0 }
    }

    fn disconnect(seq: i64, numbers: &[u64]) -> Waiting {
        let numbers = numbers.iter().map(|n| number(*n)).collect();
        order(
            seq,
            Request::Disconnect(Disconnect { numbers, mode: Mode::Normal, protected: None, reason: None }),
        )
    }

    fn activate(seq: i64, wanted: Wanted) -> Waiting {
        let (partial_allowed, protected) = (true, false);
        order(
            seq,
            Request::Activate(Activate {
                wanted,
                site: site(),
                peer: None,
                partial_allowed,
                protected,
                back: None,
            }),
        )
    }

    fn search(seq: i64, quantity: usize) -> Waiting {
        let (form, sent, criteria) = (SearchForm::AreaCode, Vec::new(), Criteria::prefix("919"));
        activate(seq, Wanted::Found(Box::new(Search { form, sent, criteria, quantity, back_order: false })))
    }

    fn loaded(new: Vec<Waiting>, known: Vec<Known>) -> Loaded {
        let (account, name) = (account(), String::new());
        let site = Site { id: site(), account, name: name.clone(), is_default: true };
        let id = PeerId::new(1).unwrap();
        let peer = Peer { id, account, site: site.id, name: name.clone(), is_default: true };
        let premises = Premises { sites: vec![site], peers: vec![peer] };
        let kind = AccountKind::EndUser;
        let home = Account::new(account, name, kind, Class::Unknown, NOW);
        let area = AreaName::Prefix { prefix: "919".into(), region: Some("NC".into()) };
        let supply = known.iter().filter(|known| known.entry.state() == State::Available).count();
        let supply = u64::try_from(supply).unwrap();
        let drawn = known.iter().map(|known| known.entry.number).collect();
        let areas = HashMap::from([(AreaId(1), Area { name: area, supply, demand: Demand::default() })]);
        Loaded {
            new,
            accounts: HashMap::from([(account, (home, premises))]),
            found: HashMap::from([(Criteria::prefix("919"), drawn)]),
            numbers: Numbers { known, areas, latest: NOW },
            ..Loaded::default()
        }
    }

    fn statuses(writes: &Writes) -> Vec<Status> {
        writes.orders.iter().map(|order| order.after.status).collect()
    }

    #[test]
    fn an_order_s_numbers_events_and_counts_are_written_together() {
        let loaded = loaded(vec![disconnect(1, &[1, 0, 2])], vec![in_service(0), in_service(1)]);
        let writes = step(loaded, &Policy::default(), NOW);
        assert_eq!(statuses(&writes), [Status::Partial]);
        assert_eq!(writes.orders[0].after.failed[0].why, Refusal::NotInService);
        let NumberWrites { events, numbers, counts, pool_grew } = &writes.numbers;
        let event = |n: usize| (events[n].number, events[n].prev, events[n].origin.is_some());
        let stored = Prev::Stored(EventSeq(7));
        assert_eq!([event(0), event(1)], [(number(1), stored, true), (number(0), stored, true)]);
        // In the order of the digits, each with its own last event.
        let rows: Vec<_> = numbers.iter().map(|write| (write.entry.number, write.last_event)).collect();
        assert_eq!(rows, [(number(0), 1), (number(1), 0)]);
        let holder = Some(account());
        assert_eq!(counts.by_account[&(holder, State::InService)], -2);
        assert_eq!(counts.by_account[&(holder, State::Aging)], 2);
        assert_eq!(counts.in_service[&(site(), PeerId::new(1))], -2);
        assert!(!pool_grew && counts.areas.is_empty(), "a disconnect is neither supply nor demand");
        assert_eq!((writes.report.numbers, writes.report.ended[0].failed), (2, 1));
    }

    #[test]
    fn each_order_is_judged_against_what_the_one_before_it_left() {
        let again = activate(2, Wanted::named(vec![number(0)]));
        let loaded = loaded(vec![disconnect(1, &[0]), again, disconnect(3, &[0])], vec![in_service(0)]);
        let writes = step(loaded, &Policy::default(), NOW);
        assert_eq!(statuses(&writes), [Status::Complete; 3]);
        let prevs: Vec<_> = writes.numbers.events.iter().map(|event| event.prev).collect();
        assert_eq!(prevs, [Prev::Stored(EventSeq(7)), Prev::New(0), Prev::New(1)]);
        assert_eq!(writes.numbers.numbers.len(), 1, "one row, written once");
        assert_eq!(writes.numbers.numbers[0].last_event, 2);
    }

    #[test]
    fn searches_of_one_step_take_no_number_twice() {
        let pool = (0..5).map(|n| known(n, Standing::Available, true)).collect();
        let writes = step(loaded(vec![search(1, 3), search(2, 3)], pool), &Policy::default(), NOW);
        assert_eq!(statuses(&writes), [Status::Complete, Status::Partial]);
        let taken: Vec<_> = writes.orders.iter().map(|order| order.after.taken.len()).collect();
        assert_eq!(taken, [3, 2]);
        let numbers: HashSet<_> = writes.numbers.events.iter().map(|event| event.number).collect();
        assert_eq!(numbers.len(), 5);
        let change = writes.numbers.counts.areas[&AreaId(1)];
        assert_eq!(change.supply, -5);
        assert!(change.demand.per_day > 0.0);
        let origin = writes.orders[0].after.origin.clone().expect("it has ended");
        assert_eq!((origin.region.as_deref(), origin.others), (Some("NC"), false));
    }

    #[test]
    fn time_runs_forward_for_each_order_and_each_number() {
        let (early, late) = (NOW.plus_millis(-1_000), NOW.plus_millis(1_000));
        let changed = |mut waiting: Waiting, at| {
            waiting.order.changed_at = at;
            waiting
        };
        let at_of = |loaded| {
            let writes = step(loaded, &Policy::default(), early);
            (writes.orders[0].after.changed_at, writes.numbers.events[0].at)
        };
        let in_service = || vec![in_service(0)];
        assert_eq!(
            at_of(loaded(vec![changed(disconnect(1, &[0]), early)], in_service())),
            (NOW, NOW),
            "the number's last event"
        );
        assert_eq!(
            at_of(loaded(vec![changed(disconnect(1, &[0]), late)], in_service())),
            (late, late),
            "the order was made later"
        );
        let pool = vec![known(0, Standing::Available, true)];
        let waited = Loaded { back_orders: vec![changed(search(1, 1), late)], ..loaded(Vec::new(), pool) };
        assert_eq!(at_of(waited), (late, late), "the order's last line");
    }

    #[test]
    fn an_order_of_no_account_is_set_aside() {
        let mut loaded = loaded(vec![disconnect(1, &[0])], vec![in_service(0)]);
        loaded.accounts.clear();
        let writes = step(loaded, &Policy::default(), NOW);
        assert_eq!(statuses(&writes), [Status::Failed]);
        assert!(writes.numbers.events.is_empty());
    }

    #[test]
    fn who_asked_is_told_and_a_subscription_to_one_order_ends_with_it() {
        let filter = SubscriptionFilter { orders: OrderType::Disconnects, order: None, expires_at: None };
        let one = SubscriptionFilter { order: Some(OrderSeq(1)), ..filter };
        let subscriber =
            |seq, filter| Subscriber { seq: SubscriptionSeq(seq), filter, daily: false, waiting: 0 };
        let orders = vec![disconnect(1, &[0]), disconnect(2, &[1])];
        let mut loaded = loaded(orders, vec![in_service(0), in_service(1)]);
        loaded.subscribers.insert(account(), vec![subscriber(1, filter), subscriber(2, one)]);
        let writes = step(loaded, &Policy::default(), NOW);
        let told: Vec<_> = writes.notifications.iter().map(|n| (n.subscription.0, n.order.0)).collect();
        assert_eq!(told, [(1, 1), (2, 1), (1, 2)]);
        assert_eq!(writes.ended.len(), 2);
    }

    #[test]
    fn a_step_leaves_what_is_too_much_to_the_next_one() {
        let numbers: Vec<u64> = (0..5_000).collect();
        let orders = (1..=6).map(|seq| disconnect(seq, &numbers)).collect();
        let writes = step(loaded(orders, Vec::new()), &Policy::default(), NOW);
        assert_eq!((writes.new_judged, writes.report.more), (4, true));
    }
}
