//! Random lives of a few numbers: the invariants hold whatever clients ask, in any order.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap};

use onhook_core::account::{Account, AccountKind, Class, Peer, Place, Premises, Site};
use onhook_core::check;
use onhook_core::ids::AreaId;
use onhook_core::ids::EventSeq;
use onhook_core::ids::ReservationId;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::ids::{OrderId, OrderSeq};
use onhook_core::import::{self, BadLine, NewNumber};
use onhook_core::lifecycle::area::{Area, AreaChange, AreaName, Demand};
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::lifecycle::event::Transition;
use onhook_core::lifecycle::event::apply;
use onhook_core::lifecycle::event::{By, Change, Event};
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::hold::{Hold, hold};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::lifecycle::release::due;
use onhook_core::number::Number;
use onhook_core::order::act::{self, Act, Correction, Later, Leaving};
use onhook_core::order::amend::{Amendment, amend};
use onhook_core::order::decide::{World, decide, decided};
use onhook_core::order::move_all::move_all;
use onhook_core::order::search::Criteria;
use onhook_core::order::{
    Activate, Disconnect, Mode, MoveNumbers, Order, Protected, Refusal, Request, Search, SearchForm, Status,
    Wanted,
};
use onhook_core::report::billing::{Period, periods};
use onhook_core::reservation::{HELD_MS, Reservation, cancel, reserve};
use onhook_core::time::{DAY_MS, Timestamp};
use proptest::prelude::*;

const NUMBERS: u64 = 4;

/// What may happen next, at which account, to which numbers (a bit each).
#[derive(Clone, Debug)]
enum Happening {
    Disconnect { account: u32, numbers: u8, mode: Mode, protected: Option<Protected> },
    Activate { account: u32, numbers: u8, partial_allowed: bool, protected: bool },
    Search { account: u32, quantity: usize, partial_allowed: bool, back_order: bool },
    RunBackOrders,
    Close { order: usize },
    Reserve { account: u32, number: u8 },
    Cancel { number: u8 },
    Move { account: u32, numbers: u8, site: u32 },
    MoveOrder { account: u32, numbers: u8, site: u32 },
    Act { act: usize, numbers: u8, days: u16, account: Option<u32> },
    Import { account: u32, number: u8, state: usize },
    Wait { hours: i64 },
    Release,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let account = 1_u32..=2;
    let numbers = 1_u8..(1 << NUMBERS);
    let mode = prop_oneof![4 => Just(Mode::Normal), 1 => Just(Mode::SoftRemove), 1 => Just(Mode::Purge)];
    let flag = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Protected::True)),
        1 => Just(Some(Protected::False)),
        1 => Just(Some(Protected::Unchanged)),
    ];
    let number = 0_u8..4;
    prop_oneof![
        4 => (account.clone(), numbers.clone(), mode, flag)
            .prop_map(|(account, numbers, mode, protected)| H::Disconnect { account, numbers, mode, protected }),
        4 => (account.clone(), numbers, any::<bool>(), any::<bool>()).prop_map(
            |(account, numbers, partial_allowed, protected)| H::Activate { account, numbers, partial_allowed, protected }),
        3 => (account.clone(), 1_usize..=4, any::<bool>(), any::<bool>()).prop_map(
            |(account, quantity, partial_allowed, back_order)| H::Search { account, quantity, partial_allowed, back_order }),
        2 => Just(H::RunBackOrders),
        1 => (0_usize..40).prop_map(|order| H::Close { order }),
        1 => (account.clone(), number.clone()).prop_map(|(account, number)| H::Reserve { account, number }),
        1 => number.clone().prop_map(|number| H::Cancel { number }),
        2 => (account.clone(), 1_u8..(1 << NUMBERS), 0_u32..3)
            .prop_map(|(account, numbers, site)| H::Move { account, numbers, site }),
        1 => (account, 1_u8..(1 << NUMBERS), 1_u32..=3)
            .prop_map(|(account, numbers, site)| H::MoveOrder { account, numbers, site }),
        5 => (0..ACTS, 1_u8..(1 << NUMBERS), 0_u16..200, prop::option::of(1_u32..=2))
            .prop_map(|(act, numbers, days, account)| H::Act { act, numbers, days, account }),
        3 => (1_u32..=2, 0_u8..4, 0..State::ALL.len())
            .prop_map(|(account, number, state)| H::Import { account, number, state }),
        3 => (0_i64..1_200).prop_map(|hours| H::Wait { hours }),
        3 => Just(H::Release),
    ]
}

/// How many kinds of acts [`Life::act`] knows.
const ACTS: usize = 16;

struct Life {
    now: Timestamp,
    entries: HashMap<Number, Entry>,
    origins: HashMap<Number, Entry>,
    events: Vec<Event>,
    areas: HashMap<AreaId, Area>,
    orders: Vec<Order>,
}

fn account(id: u32) -> Account {
    let id = AccountId::new(id).unwrap();
    let created_at = Timestamp::default();
    Account::new(id, "an account".into(), AccountKind::EndUser, Class::Unknown, created_at)
}

fn premises(id: u32) -> Premises {
    let account = AccountId::new(id).unwrap();
    let (site, peer) = (SiteId::new(id).unwrap(), PeerId::new(id).unwrap());
    let name = String::new();
    Premises {
        sites: vec![Site { id: site, account, name: name.clone(), is_default: true }],
        peers: vec![Peer { id: peer, account, site, name, is_default: true }],
    }
}

fn number(index: u64) -> Number {
    // The last one is toll-free.
    let first = if index == NUMBERS - 1 { 18_005_550_100 } else { 19_195_550_100 };
    Number::from_digits(first + index).unwrap()
}

impl Life {
    fn new() -> Self {
        let place = premises(1).place(AccountId::new(1).unwrap(), SiteId::new(1).unwrap(), None).unwrap();
        let standings = [
            Standing::Available,
            Standing::InService { place },
            Standing::InService { place },
            Standing::InService { place },
        ];
        let entries: HashMap<Number, Entry> = (0..NUMBERS)
            .zip(standings)
            .map(|(i, standing)| {
                let entry = Entry {
                    number: number(i),
                    standing,
                    area: AreaId(1),
                    protected: false,
                    ported_in: i == 2,
                    locked: false,
                };
                (entry.number, entry)
            })
            .collect();
        let name = AreaName::Prefix { prefix: "919".into(), region: None };
        let areas = HashMap::from([(AreaId(1), Area { name, supply: 1, demand: Demand::default() })]);
        let now = Timestamp::from_millis(1_700_000_000_000);
        Self { now, origins: entries.clone(), entries, events: Vec::new(), areas, orders: Vec::new() }
    }

    fn save(&mut self, step: Transition, by: By) {
        for (area, change) in AreaChange::of(&step.before, &step.after, self.now, 14.0) {
            self.areas.get_mut(&area).unwrap().change(&change);
        }
        let number = step.after.number;
        assert_eq!(apply(&step.before, &step.change), Ok(step.after));
        assert_eq!(self.entries.insert(number, step.after), Some(step.before));
        let seq = EventSeq(i64::try_from(self.events.len()).unwrap() + 1);
        let prev = self.events.iter().rev().find(|e| e.number == number).map_or(EventSeq(0), |e| e.seq);
        let (at, under) = (self.now, Provenance::default());
        self.events.push(Event { seq, number, prev, at, change: step.change, by, under, origin: None });
    }

    fn order(&mut self, account_id: u32, request: Request) {
        let seq = OrderSeq(i64::try_from(self.orders.len()).unwrap() + 1);
        let order = Order {
            seq,
            id: OrderId(uuid::Uuid::from_u128(u128::from(seq.0.unsigned_abs()))),
            account: AccountId::new(account_id).unwrap(),
            user: "username".into(),
            name: None,
            customer_order_id: None,
            created_at: self.now,
            changed_at: self.now,
            request,
            status: Status::Received,
            failed: Vec::new(),
            taken: Vec::new(),
            refused: None,
            peers: Vec::new(),
            origin: None,
            under: Provenance::default(),
        };
        let order = self.run(order);
        self.orders.push(order);
    }

    /// Returns the order after a run.
    fn run(&mut self, order: Order) -> Order {
        let (account, premises) = (account(order.account.get()), premises(order.account.get()));
        let policy = Policy::default();
        let mut found: Vec<Entry> =
            self.entries.values().filter(|e| e.state() == State::Available).copied().collect();
        found.sort_by_key(|entry| entry.number);
        let world = World {
            account: &account,
            premises: &premises,
            entries: &self.entries,
            found: &found,
            areas: &self.areas,
            policy: &policy,
        };
        let decision = decide(&order, &world, self.now);
        assert_eq!(decision, decide(&order, &world, self.now), "the same decision again");
        let order = decided(order, &decision, self.now);
        for step in decision.transitions {
            self.save(step, By::Order(order.seq));
        }
        order
    }

    fn happen(&mut self, happening: &Happening) {
        let chosen =
            |bits: u8| -> Vec<Number> { (0..NUMBERS).filter(|i| bits & (1 << i) != 0).map(number).collect() };
        match happening {
            Happening::Disconnect { account, numbers, mode, protected } => {
                let numbers = chosen(*numbers);
                let disconnect = Disconnect { numbers, mode: *mode, protected: *protected, reason: None };
                self.order(*account, Request::Disconnect(disconnect));
            }
            Happening::Activate { account, numbers, partial_allowed, protected } => {
                let activate = Activate {
                    wanted: Wanted::named(chosen(*numbers)),
                    site: SiteId::new(*account).unwrap(),
                    peer: None,
                    partial_allowed: *partial_allowed,
                    protected: *protected,
                    back: None,
                };
                self.order(*account, Request::Activate(activate));
            }
            Happening::Search { account, quantity, partial_allowed, back_order } => {
                let search = Search {
                    form: SearchForm::Combined,
                    sent: Vec::new(),
                    criteria: Criteria::default(),
                    quantity: *quantity,
                    back_order: *back_order,
                };
                let activate = Activate {
                    wanted: Wanted::Found(Box::new(search)),
                    site: SiteId::new(*account).unwrap(),
                    peer: None,
                    partial_allowed: *partial_allowed,
                    protected: false,
                    back: None,
                };
                self.order(*account, Request::Activate(activate));
            }
            Happening::RunBackOrders => {
                for index in 0..self.orders.len() {
                    if self.orders[index].status == Status::Backordered {
                        self.orders[index] = self.run(self.orders[index].clone());
                    }
                }
            }
            Happening::Close { order } => {
                let Some(order) = self.orders.get_mut(*order) else { return };
                let close = Amendment { close: true, ..Amendment::default() };
                match amend(order, &close, self.now) {
                    Ok(closed) => *order = closed,
                    Err(_) => assert_ne!(order.status, Status::Backordered),
                }
            }
            Happening::Reserve { account, number: index } => {
                let entry = self.entries[&number(u64::from(*index))];
                let account = AccountId::new(*account).unwrap();
                if let Ok(step) = reserve(Some(&entry), (account, false), 0, self.now.plus_millis(HELD_MS)) {
                    self.save(step, By::User("username".into()));
                }
            }
            Happening::Cancel { number: index } => {
                let entry = self.entries[&number(u64::from(*index))];
                let Standing::Reserved { account, until } = entry.standing else { return };
                let id = ReservationId(uuid::Uuid::nil());
                let reservation = Reservation { id, account, number: entry.number, until };
                let step = cancel(&reservation, &entry).unwrap();
                self.save(step, By::User("username".into()));
            }
            Happening::Import { account, number: index, state } => {
                let before = self.entries[&number(u64::from(*index))];
                let state = State::ALL[*state];
                let holder = AccountId::new(*account);
                let new = NewNumber {
                    state,
                    account: holder
                        .filter(|_| matches!(state, State::Reserved | State::InService | State::Protected)),
                    former_account: holder.filter(|_| state == State::Aging),
                    release_at: matches!(state, State::Reserved | State::Aging)
                        .then(|| self.now.plus_millis(DAY_MS)),
                    ..NewNumber::available(before.number)
                };
                let policy = Policy::default();
                let Ok(entry) = new.entry(AreaId(1), Some(&premises(*account)), Some(self.now), &policy)
                else {
                    assert!(before.number.is_toll_free() && state == State::Protected);
                    return;
                };
                match import::restore(&self.history(before.number), &entry, &Policy::default(), self.now) {
                    Ok(step) => {
                        assert_eq!((step.before.state(), step.after), (State::Removed, entry));
                        self.save(step, By::Import);
                    }
                    Err(BadLine::UnderFloor { .. }) => {}
                    Err(_) => assert!(before.state() != State::Removed || state == State::Removed),
                }
            }
            Happening::Move { account, numbers, site } => self.move_all(*account, &chosen(*numbers), *site),
            Happening::MoveOrder { account, numbers, site } => {
                let (numbers, site) = (chosen(*numbers), SiteId::new(*site).unwrap());
                self.order(*account, Request::Move(MoveNumbers { numbers, site, peer: None }));
            }
            Happening::Act { act, numbers, days, account } => {
                let act = self.act(*act, *days);
                self.do_act(&act, *account, &chosen(*numbers));
            }
            Happening::Wait { hours } => self.now = self.now.plus_millis(hours * 3_600_000),
            Happening::Release => {
                let mut steps: Vec<Transition> =
                    self.entries.values().filter_map(|e| due(e, self.now)).collect();
                steps.sort_by_key(|step| step.after.number);
                for step in steps {
                    self.save(step, By::Time);
                }
            }
        }
    }

    /// All numbers move to the place, or none. No number leaves service or changes its account.
    fn move_all(&mut self, account: u32, numbers: &[Number], site: u32) {
        let account = AccountId::new(account).unwrap();
        let place = Place { account, site: SiteId::new(site + 1).unwrap(), peer: PeerId::new(site) };
        let owned = |life: &Self, number: &Number| {
            let standing = life.entries[number].standing;
            standing.state() == State::InService && standing.holder() == Some(account)
        };
        let all_owned = numbers.iter().all(|number| owned(self, number));
        match move_all(numbers, place, &self.entries) {
            Err(missing) => {
                assert!(!all_owned);
                assert!(missing.iter().all(|number| !owned(self, number)));
            }
            Ok(moves) => {
                assert!(all_owned);
                for step in moves {
                    self.save(step, By::User("orderer".into()));
                }
                assert!(numbers.iter().all(|n| self.entries[n].standing == Standing::InService { place }));
            }
        }
    }

    /// Returns an act of a kind, as it could be asked now.
    fn act(&self, kind: usize, days: u16) -> Act {
        let later = self.now.plus_millis(i64::from(days) * DAY_MS);
        let some_name = (days.is_multiple_of(2)).then(|| "a name".to_owned());
        let site = SiteId::new(1 + u32::from(days % 3)).unwrap();
        let undone = self.orders.iter().rev().find(|order| matches!(order.request, Request::Disconnect(_)));
        match kind {
            0 => Act::Disconnect {
                mode: if days.is_multiple_of(3) { Leaving::SoftRemove } else { Leaving::Normal },
                protected: Protected::ALL[usize::from(days % 3)],
                name: some_name,
                customer_order_id: None,
            },
            1 => Act::Purge { name: some_name },
            2 => Act::Reconnect { name: some_name },
            3 => Act::Undo { order: undone.map_or(OrderId(uuid::Uuid::nil()), |order| order.id) },
            4 => Act::Move { site, peer: None },
            5 => Act::Lock,
            6 => Act::Unlock,
            7 => Act::Extend { until: Later::Days(days), past_ceiling: days.is_multiple_of(2) },
            8 => Act::Extend { until: Later::ReleaseAt(later), past_ceiling: days.is_multiple_of(2) },
            9 => Act::Keep { until: (days.is_multiple_of(2)).then_some(later) },
            10 => Act::Unkeep,
            11 => Act::SetAside,
            12 => Act::PutBack,
            13 => Act::PortOut { at: None },
            14 => {
                Act::Correct(Correction { ported_in: Some(days.is_multiple_of(2)), ..Correction::default() })
            }
            _ => Act::ReleaseEarly { release_at: (days.is_multiple_of(2)).then_some(later) },
        }
    }

    fn history(&self, number: Number) -> History {
        let events = self.events.iter().filter(|event| event.number == number).cloned().collect();
        let (entry, origin) = (self.entries[&number], self.origins[&number]);
        History { entry, origin, imported_at: Timestamp::from_millis(1_700_000_000_000), events }
    }

    /// Does an act to those of the numbers that it takes: by an order, or by itself.
    fn do_act(&mut self, act: &Act, account_id: Option<u32>, numbers: &[Number]) {
        let account_id = account_id.or(act.is_order().then_some(1));
        let (owner, premises) = (account_id.map(account), account_id.map(premises));
        let histories = numbers.iter().map(|number| (*number, self.history(*number))).collect();
        let id = if let Act::Undo { order } = act { Some(*order) } else { None };
        let undone = self.orders.iter().find(|order| Some(order.id) == id).map(|order| order.seq);
        let (places, policy) = (HashMap::new(), Policy::default());
        let world = act::World {
            account: owner.as_ref(),
            premises: premises.as_ref(),
            entries: &self.entries,
            histories: &histories,
            areas: &self.areas,
            places: &places,
            policy: &policy,
            undone,
            reason: "a reason",
            made_at: self.now,
            now: self.now,
        };
        let judged = act.judge(numbers, &world);
        assert_eq!(judged, act.judge(numbers, &world), "the same decision again");
        let going: Vec<Number> =
            judged.iter().filter(|one| one.outcome.is_ok()).map(|one| one.number).collect();
        let goes: Vec<Transition> =
            judged.into_iter().filter_map(|one| one.outcome.ok()).map(|goes| goes.transition).collect();
        match act.request(&going, &world) {
            // An order of the numbers that go takes exactly these, to exactly there.
            Some(request) => {
                self.order(account_id.unwrap(), request);
                assert_eq!(self.orders.last().unwrap().status, Status::Complete);
                for step in goes {
                    assert_eq!(self.entries[&step.after.number], step.after, "{act:?}");
                }
            }
            None => goes.into_iter().for_each(|step| self.save(step, By::User("operator".into()))),
        }
    }

    /// Returns how many milliseconds are charged to each account until now.
    fn billed(&self, periods: &[Period]) -> BTreeMap<AccountId, i64> {
        let mut sums = BTreeMap::new();
        for Period { account, from, until } in periods {
            *sums.entry(*account).or_default() += until.unwrap_or(self.now).millis() - from.millis();
        }
        sums.retain(|_, time| *time != 0);
        sums
    }

    /// Returns how many milliseconds a number was in service for each account until now.
    fn in_service(&self, origin: &Entry, start: Timestamp, events: &[Event]) -> BTreeMap<AccountId, i64> {
        let (mut sums, mut entry, mut since) = (BTreeMap::new(), *origin, start);
        for (at, event) in events.iter().map(|event| (event.at, Some(event))).chain([(self.now, None)]) {
            let time = at.millis() - since.millis();
            if let Standing::InService { place } = entry.standing {
                *sums.entry(place.account).or_default() += time;
            }
            entry = event.map_or(entry, |event| apply(&entry, &event.change).unwrap());
            since = at;
        }
        sums.retain(|_, time| *time != 0);
        sums
    }

    fn check(&self) {
        for (number, entry) in &self.entries {
            let origin = &self.origins[number];
            let events: Vec<Event> = self.events.iter().filter(|e| e.number == *number).cloned().collect();
            let start = Timestamp::from_millis(1_700_000_000_000);
            assert_eq!(check::number(entry, origin, start, &events), vec![], "{number}");
            nobody_new_had_it_too_soon(origin, &events);
            let billed = periods(origin, start, &events).unwrap();
            for pair in billed.windows(2) {
                assert!(pair[0].until.unwrap() <= pair[1].from, "{billed:?}");
            }
            assert!(billed.iter().all(|period| period.until != Some(period.from)), "{billed:?}");
            assert_eq!(self.billed(&billed), self.in_service(origin, start, &events), "{billed:?}");
            for event in &events {
                let charged = billed.iter().any(|p| p.covers(event.at));
                let left = matches!(event.change, Change::Disconnected { .. } | Change::Purged { .. });
                let last_at_that_time = events.iter().rfind(|e| e.at == event.at).unwrap().seq == event.seq;
                assert!(!(left && last_at_that_time && charged), "charged while it ages");
            }
        }
        let supply = self.entries.values().filter(|e| e.state() == State::Available).count();
        assert_eq!(self.areas[&AreaId(1)].supply, u64::try_from(supply).unwrap());
        for order in &self.orders {
            let made: Vec<Event> =
                self.events.iter().filter(|e| e.by == By::Order(order.seq)).cloned().collect();
            assert_eq!(check::order(order, &made), vec![]);
            let (done, total) = (order.done().count(), order.request.quantity());
            match order.request.search() {
                None => assert_eq!(done + order.failed.len(), total),
                Some(_) => assert_eq!(done < total, order.status != Status::Complete),
            }
        }
    }
}

/// Within 45 days after a number left service, it is nobody's but its last account's, or gone.
fn nobody_new_had_it_too_soon(origin: &Entry, events: &[Event]) {
    let mut now = *origin;
    let mut left: Option<(Timestamp, AccountId)> = None;
    for event in events {
        let had = now.standing.place().map(|place| place.account);
        now = apply(&now, &event.change).unwrap();
        match event.change {
            Change::Disconnected { .. } | Change::Purged { .. } => {
                left = had.map(|account| (event.at, account))
            }
            Change::PortedOut { .. } => left = None,
            _ => {}
        }
        let Some((at, account)) = left.filter(|(at, _)| event.at < at.plus_millis(45 * DAY_MS)) else {
            continue;
        };
        let gone = now.state() == State::Removed;
        assert!(gone || now.standing.holder() == Some(account), "it left at {at}: {event:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_path_of_random_commands_keeps_the_invariants(path in prop::collection::vec(happening(), 1..40)) {
        let mut life = Life::new();
        for happening in &path {
            life.happen(happening);
        }
        life.check();
    }

    /// Two nodes change an area at once, and neither knows whose change is written first.
    #[test]
    fn changes_of_an_area_add_up_in_any_order(
        before in demand(), changes in prop::collection::vec((demand(), -5..50_i64), 1..6), half_life_days in 1.0..400.0,
    ) {
        let changes: Vec<AreaChange> =
            changes.into_iter().map(|(demand, supply)| AreaChange { supply, demand, half_life_days }).collect();
        let name = AreaName::Prefix { prefix: "919".into(), region: None };
        let area = Area { name, supply: 100, demand: before };
        let changed = |changes: &mut dyn Iterator<Item = &AreaChange>| {
            let mut area = area.clone();
            changes.for_each(|change| area.change(change));
            area
        };
        let forwards = changed(&mut changes.iter());
        let mut sum = AreaChange::default();
        changes.iter().for_each(|change| sum.add(change));
        for other in [changed(&mut changes.iter().rev()), changed(&mut [sum].iter())] {
            prop_assert_eq!((other.supply, other.demand.at), (forwards.supply, forwards.demand.at));
            let (one, other) = (forwards.demand.per_day, other.demand.per_day);
            prop_assert!((one - other).abs() <= 1e-9 * one.abs().max(1e-9), "{} is not {}", one, other);
        }
    }
}

/// Any demand, at any time of two years.
fn demand() -> impl Strategy<Value = Demand> {
    (0.001..1_000.0, 0..730 * DAY_MS)
        .prop_map(|(per_day, at)| Demand { per_day, at: Timestamp::from_millis(at) })
}

/// A life in full, to prove that the random ones above can reach every state.
#[test]
fn a_number_ages_comes_back_ages_again_and_is_someone_elses() {
    let mut life = Life::new();
    let state = |life: &Life| life.entries[&number(1)].state();
    let disconnect = Happening::Disconnect { account: 1, numbers: 0b10, mode: Mode::Normal, protected: None };
    let activate =
        |account| Happening::Activate { account, numbers: 0b10, partial_allowed: true, protected: false };
    life.happen(&disconnect);
    assert_eq!(state(&life), State::Aging);
    life.happen(&activate(2));
    assert_eq!(life.orders[1].failed[0].why, Refusal::Unavailable);
    life.happen(&activate(1));
    assert_eq!(state(&life), State::InService);
    life.happen(&disconnect);
    life.happen(&Happening::Wait { hours: 91 * 24 + 24 });
    life.happen(&Happening::Release);
    assert_eq!(state(&life), State::Available);
    life.happen(&activate(2));
    assert_eq!(life.entries[&number(1)].standing.holder(), AccountId::new(2));
    life.happen(&disconnect);
    assert_eq!(life.orders.last().unwrap().failed[0].why, Refusal::NotInService);
    life.check();
}

#[test]
fn all_or_none_takes_none_when_one_cannot_go() {
    let mut life = Life::new();
    life.happen(&Happening::Activate { account: 2, numbers: 0b11, partial_allowed: false, protected: false });
    let order = &life.orders[0];
    assert_eq!(order.status, Status::Failed);
    assert_eq!(
        order.failed.iter().map(|f| f.why).collect::<Vec<_>>(),
        [Refusal::Unavailable, Refusal::AllOrNone]
    );
    assert_eq!(life.entries[&number(0)].state(), State::Available);
    life.check();
}

/// Number 0 alone is in the pool, and each order wants two: the truth table of back orders.
#[test]
fn an_order_that_finds_too_few_does_what_it_was_asked_to() {
    for (back_order, partial_allowed, status, taken) in [
        (true, true, Status::Backordered, 1),
        (true, false, Status::Backordered, 0),
        (false, true, Status::Partial, 1),
        (false, false, Status::Failed, 0),
    ] {
        let mut life = Life::new();
        life.happen(&Happening::Search { account: 2, quantity: 2, partial_allowed, back_order });
        assert_eq!((life.orders[0].status, life.orders[0].taken.len()), (status, taken));
        // Nothing more appears: nothing more happens. Then two numbers have aged.
        life.happen(&Happening::RunBackOrders);
        assert_eq!((life.orders[0].status, life.orders[0].taken.len()), (status, taken));
        let all = Happening::Disconnect { account: 1, numbers: 0b1010, mode: Mode::Normal, protected: None };
        life.happen(&all);
        life.happen(&Happening::Wait { hours: 130 * 24 });
        life.happen(&Happening::Release);
        life.happen(&Happening::RunBackOrders);
        let now = if back_order { (Status::Complete, 2) } else { (status, taken) };
        assert_eq!((life.orders[0].status, life.orders[0].taken.len()), now);
        life.check();
    }
}

#[test]
fn a_waiting_order_ends_with_what_it_has_when_it_is_closed() {
    for (quantity, partial_allowed, status) in [(2, true, Status::Partial), (2, false, Status::Failed)] {
        let mut life = Life::new();
        life.happen(&Happening::Search { account: 2, quantity, partial_allowed, back_order: true });
        life.happen(&Happening::Close { order: 0 });
        assert_eq!(life.orders[0].status, status);
        assert!(amend(&life.orders[0], &Amendment::default(), life.now).is_err(), "it has ended");
        life.check();
    }
}

#[test]
fn a_locked_number_is_not_disconnected() {
    let mut life = Life::new();
    life.do_act(&Act::Lock, None, &[number(1)]);
    life.happen(&Happening::Disconnect { account: 1, numbers: 0b110, mode: Mode::Purge, protected: None });
    assert_eq!(life.orders[0].status, Status::Partial);
    assert_eq!(life.orders[0].failed[0].why, Refusal::Locked);
    assert_eq!(life.entries[&number(2)].state(), State::Removed);
    life.check();
}

/// A move does not change the state: billing goes on, and the hold, the account and the flags stay.
#[test]
fn a_number_that_moves_is_in_service_all_the_while() {
    let mut life = Life::new();
    life.happen(&Happening::Wait { hours: 5 });
    life.happen(&Happening::Move { account: 1, numbers: 0b110, site: 1 });
    let moved = life.entries[&number(1)];
    assert_eq!(moved.standing.place().unwrap().site, SiteId::new(2).unwrap());
    assert_eq!(life.events.len(), 2);
    assert!(life.events.iter().all(|event| !event.change.changes_state()));
    // Moved to where it is, nothing happens to it; with one that is not in service, nothing to the others.
    life.happen(&Happening::Move { account: 1, numbers: 0b10, site: 1 });
    life.happen(&Happening::Move { account: 1, numbers: 0b11, site: 2 });
    life.happen(&Happening::Move { account: 2, numbers: 0b10, site: 2 });
    assert_eq!(life.events.len(), 2);
    let events: Vec<Event> = life.events.iter().filter(|e| e.number == number(1)).cloned().collect();
    let start = Timestamp::from_millis(1_700_000_000_000);
    let billed = periods(&life.origins[&number(1)], start, &events).unwrap();
    assert_eq!(billed.iter().map(|p| (p.from, p.until)).collect::<Vec<_>>(), [(start, None)]);
    life.check();
    // The checker sees a number that was moved to another account.
    let mut events = events;
    let place = premises(2).place(AccountId::new(2).unwrap(), SiteId::new(2).unwrap(), None).unwrap();
    events[0].change = Change::Moved { place };
    let found = check::number(&moved, &life.origins[&number(1)], start, &events);
    assert!(found[0].what.contains("gave another account's number to account 2"), "{found:?}");
}

/// Number 1 was disconnected and released.
fn released() -> Life {
    let mut life = Life::new();
    life.happen(&Happening::Disconnect { account: 1, numbers: 0b10, mode: Mode::Normal, protected: None });
    life.happen(&Happening::Wait { hours: 100 * 24 });
    life.happen(&Happening::Release);
    life
}

/// The checker finds mistakes: each of these histories is wrong in one way.
#[test]
fn the_checker_finds_what_is_wrong() {
    let life = released();
    let (entry, origin, start) =
        (life.entries[&number(1)], life.origins[&number(1)], Timestamp::from_millis(1_700_000_000_000));
    let good = life.events.clone();
    let find = |entry: &Entry, events: &[Event]| {
        check::number(entry, &origin, start, events).first().map(|f| f.what.clone()).unwrap_or_default()
    };
    assert_eq!(find(&entry, &good), "");
    let broken = |change: fn(&mut Vec<Event>)| {
        let mut events = good.clone();
        change(&mut events);
        find(&entry, &events)
    };
    for (what, found) in [
        (broken(|e| e[1].at = e[0].at.plus_millis(DAY_MS)), "released it at"),
        (broken(|e| drop(e.pop())), "its state is Available, and from its events follows Aging"),
        (broken(|e| drop(e.remove(0))), "cannot follow InService"),
        (broken(|e| e.swap(0, 1)), "cannot follow InService"),
        (broken(|e| e[1].at = Timestamp::from_millis(0)), "comes before"),
        (broken(|e| e[0].number = number(2)), "belongs to"),
    ] {
        assert!(what.contains(found), "wanted {found:?}, found {what:?}");
    }
    let other = Entry { locked: true, ..entry };
    assert_eq!(find(&other, &good), "its lock is set, and from its events follows not set");
}

/// Number 1 was disconnected; then this happened to it.
fn with_acts(acts: &[Act]) -> Life {
    let mut life = Life::new();
    life.happen(&Happening::Disconnect { account: 1, numbers: 0b10, mode: Mode::Normal, protected: None });
    for act in acts {
        life.happen(&Happening::Wait { hours: 24 });
        life.do_act(act, None, &[number(1)]);
    }
    life
}

/// Returns what the checker finds first in number 1 after the events that it has, and these.
fn found_after(life: &Life, more: &[(Timestamp, Change)]) -> String {
    let number = number(1);
    let mut events: Vec<Event> = life.events.iter().filter(|e| e.number == number).cloned().collect();
    let mut entry = life.entries[&number];
    for (at, change) in more {
        entry = apply(&entry, change).unwrap();
        let (seq, under) = (EventSeq(i64::try_from(events.len()).unwrap() + 100), Provenance::default());
        let change = change.clone();
        events.push(Event {
            seq,
            number,
            prev: EventSeq(0),
            at: *at,
            change,
            by: By::Time,
            under,
            origin: None,
        });
    }
    let start = Timestamp::from_millis(1_700_000_000_000);
    let found = check::number(&entry, &life.origins[&number], start, &events);
    found.first().map(|finding| finding.what.clone()).unwrap_or_default()
}

#[test]
fn the_checker_finds_a_number_that_was_released_under_its_floor_or_while_it_was_kept() {
    let to_pool = |at: Timestamp| [(at, Change::Released { home: Home::Pool })];
    let floor = Timestamp::from_millis(1_700_000_000_000).plus_millis(46 * DAY_MS);
    // An operator shortens no hold so far by an act. A store that was tampered with may say so.
    let life = with_acts(&[]);
    let shortened = |to: Timestamp| (life.now, Change::Shortened { release_at: to });
    let early = floor.plus_millis(-2 * DAY_MS);
    let found = found_after(&life, &[&[shortened(early)], &to_pool(early)[..]].concat());
    assert!(found.contains("before its floor"), "{found}");
    assert_eq!(found_after(&life, &[&[shortened(floor)], &to_pool(floor)[..]].concat()), "");
    // To its owner it may go before.
    let at = life.now.plus_millis(365 * DAY_MS);
    let kept = with_acts(&[Act::Keep { until: None }]);
    let found = found_after(&kept, &to_pool(at));
    assert!(found.contains("though an operator kept it"), "{found}");
    let until = kept.now.plus_millis(200 * DAY_MS);
    let some_time = with_acts(&[Act::Keep { until: Some(until) }]);
    let found = found_after(&some_time, &to_pool(until.plus_millis(-1)));
    assert!(found.contains("though an operator kept it"), "{found}");
    assert_eq!(found_after(&some_time, &to_pool(until)), "");
    assert_eq!(found_after(&with_acts(&[Act::Keep { until: None }, Act::Unkeep]), &to_pool(at)), "");
}

#[test]
fn the_checker_finds_a_locked_number_that_left_service() {
    let mut life = Life::new();
    life.do_act(&Act::Lock, None, &[number(1)]);
    for change in [Change::Purged { protected: None }, Change::PortedOut { at: life.now }] {
        let found = found_after(&life, &[(life.now, change)]);
        assert!(found.contains("though it was locked"), "{found}");
    }
}

/// A reconnect ends a keep, and the number ages anew like any other.
#[test]
fn a_reconnect_ends_a_keep() {
    let mut life = with_acts(&[Act::Keep { until: None }]);
    life.happen(&Happening::Wait { hours: 400 * 24 });
    life.happen(&Happening::Release);
    assert_eq!(life.entries[&number(1)].state(), State::Aging, "it is kept");
    life.do_act(&Act::Reconnect { name: None }, Some(1), &[number(1)]);
    life.happen(&Happening::Disconnect { account: 1, numbers: 0b10, mode: Mode::Normal, protected: None });
    life.happen(&Happening::Wait { hours: 100 * 24 });
    life.happen(&Happening::Release);
    assert_eq!(life.entries[&number(1)].state(), State::Available);
    life.check();
}

/// Disconnected four seconds before the end of a day in New York, for 45 days: until the clocks change there, in
/// spring and in autumn, a day has 23 hours, or 25.
#[test]
fn the_checker_counts_the_days_of_a_hold_as_the_hold_does() {
    let life = released();
    let (entry, origin, start) =
        (life.entries[&number(1)], life.origins[&number(1)], Timestamp::from_millis(1_700_000_000_000));
    let policy = Policy::new(Vec::new(), "America/New_York").unwrap();
    for (off, released, earlier) in [
        ("2026-02-15T04:59:56Z", "2026-04-01T04:00:00.000Z", "2026-03-31T04:00:00Z"),
        ("2026-09-21T03:59:56Z", "2026-11-05T05:00:00.000Z", "2026-11-05T04:00:00Z"),
    ] {
        let off: Timestamp = off.parse().unwrap();
        let area = Area {
            name: AreaName::of(number(1), None, None),
            supply: 0,
            demand: Demand { per_day: 9.0, at: off },
        };
        let held = hold(&policy, number(1), Class::Unknown, &area, off);
        assert_eq!((held.days, held.release_at.to_string().as_str()), (45, released));
        let found = |release_at: Timestamp| {
            let mut events = life.events.clone();
            let hold = Hold { release_at, ..held.clone() };
            events[0].change = Change::Disconnected { hold, leaves: false, protected: None };
            (events[0].at, events[1].at) = (off, release_at);
            check::number(&entry, &origin, start, &events)
        };
        assert_eq!(found(held.release_at), []);
        let found = found(earlier.parse().unwrap());
        assert!(found[0].what.contains("for less than its reason says"), "{found:?}");
    }
}
