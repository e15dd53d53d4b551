//! Acts of people on numbers: what would happen to each, the hash of that, and what is written when it is done.
//!
//! A plan that is made and a plan that is applied are the same function of the same loaded values. So what was shown is
//! done exactly, or not at all.

use std::collections::{BTreeMap, HashMap};

use onhook_core::account::{Account, Class, Premises};
use onhook_core::ids::{AccountId, AreaId, OrderId, OrderSeq, PlanId, SiteId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::Change;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::locality::{self, Exchange};
use onhook_core::notify::notification::{OrderEvent, Subscriber, told};
use onhook_core::number::Number;
use onhook_core::order::act::{Act, Correction, Goes, Refused, Restored, World, undoable};
use onhook_core::order::{NewOrder, Order, Request, Status};
use onhook_core::time::Timestamp;

use super::batch::{Batch, NumberWrites, Numbers};
use super::step::{self, Waiting, step};
use crate::contract::acts::{Asked, HoldGroup, Plan, Tally, Warning};

/// Characters of a plan's id in the name of its order.
const SHORT_ID: usize = 8;

/// What the plan of an act needs, loaded from the store.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The numbers that exist among those that were asked for, and the areas of these numbers and of the places that the
    /// act names.
    pub numbers: Numbers,
    /// The account whose numbers they are to be.
    pub account: Option<Account>,
    /// The sites and peers of that account. For a restore, of the account that gets the numbers.
    pub premises: Option<Premises>,
    /// The histories of the numbers, for an act that asks for them: see [`Act::needs_histories`].
    pub histories: HashMap<Number, History>,
    /// For an act that names a place: the area of each number there.
    pub places: HashMap<Number, AreaId>,
    /// For an undo: the disconnect order.
    pub undone: Option<OrderSeq>,
    /// How many numbers the account has in service, by site.
    pub in_service: HashMap<SiteId, u64>,
    /// The known exchanges of the numbers of a number order, by their six digits.
    pub exchanges: HashMap<u32, Exchange>,
    /// The subscribers of the account.
    pub subscribers: Vec<Subscriber>,
}

/// What an act writes, all of it or nothing.
#[derive(Debug)]
pub enum Writes {
    /// Events of numbers.
    Events(NumberWrites),
    /// An order, and the step that runs it.
    Order(Box<(NewOrder, step::Writes)>),
}

/// Why an act writes nothing.
#[derive(Debug)]
pub enum NotApplied {
    /// Its decision has another hash now.
    Changed(Box<Plan>),
    /// No number goes.
    Nothing(Box<Plan>),
}

/// Returns what an act would do at `now`, or at the time of the latest event so far if that is later.
#[must_use]
pub fn plan(asked: &Asked, loaded: &Loaded, policy: &Policy, now: Timestamp) -> Plan {
    let entries = entries(loaded);
    planned(asked, loaded, &world(asked, loaded, &entries, policy, now))
}

/// Decides anew, and plans what is written: to do exactly what a plan of this `hash` says. Without a hash, what the act
/// does now. `ids` are those of the order, if it becomes one.
///
/// # Errors
/// [`NotApplied`], with what would happen now.
pub fn apply(
    asked: &Asked,
    loaded: Loaded,
    hash: Option<&str>,
    ids: Option<(OrderSeq, OrderId)>,
    policy: &Policy,
    now: Timestamp,
) -> Result<(Plan, Writes), NotApplied> {
    let entries = entries(&loaded);
    let world = world(asked, &loaded, &entries, policy, now);
    let plan = planned(asked, &loaded, &world);
    if hash.is_some_and(|hash| hash != plan.hash) {
        return Err(NotApplied::Changed(Box::new(plan)));
    }
    let going: Vec<Number> = plan.going().map(|(number, _)| number).collect();
    if going.is_empty() {
        return Err(NotApplied::Nothing(Box::new(plan)));
    }
    let now = world.now;
    let request = asked.act.request(&going, &world).zip(ids);
    let writes = match request {
        Some((request, ids)) => Writes::Order(Box::new(run(asked, loaded, request, ids, policy, now))),
        None => {
            let mut batch = Batch::new(policy, loaded.numbers, now);
            for (_, goes) in plan.going() {
                batch.act(goes.transition.clone(), asked.author.clone());
            }
            Writes::Events(batch.finish())
        }
    };
    Ok((plan, writes))
}

/// Returns the undoing of an order under a plan, as an act on the numbers that it took. `None` if it cannot be undone.
#[must_use]
pub fn undoing(order: &Order, mut author: Author, plan: PlanId, now: Timestamp) -> Option<Asked> {
    author.under.plan = Some(plan);
    Some(Asked {
        act: Act::Undo { order: order.id },
        account: Some(order.account),
        numbers: undoable(order)?,
        remaining: 0,
        author,
        made_at: now,
        expires_at: now,
    })
}

/// Why nothing is written to undo an order.
#[derive(Debug)]
pub enum NotUndone {
    /// Some numbers cannot come back, and all of them were asked for.
    Incomplete(Plan),
    /// No number can come back.
    Nothing(Plan),
    /// It cannot be undone.
    NotUndoable,
}

/// Plans what is written to undo an order: as [`apply`], but of all its numbers unless it is `partial`.
///
/// # Errors
/// [`NotUndone`].
#[expect(clippy::result_large_err, reason = "it is returned as it is, once for each undoing")]
pub fn undo(
    asked: &Asked,
    loaded: Loaded,
    partial: bool,
    ids: (OrderSeq, OrderId),
    policy: &Policy,
    now: Timestamp,
) -> Result<(Plan, Box<(NewOrder, step::Writes)>), NotUndone> {
    match apply(asked, loaded, None, Some(ids), policy, now) {
        Ok((plan, _)) if !partial && plan.counts.refused > 0 => Err(NotUndone::Incomplete(plan)),
        Ok((plan, Writes::Order(writes))) => Ok((plan, writes)),
        Ok((_, Writes::Events(_))) => Err(NotUndone::NotUndoable),
        Err(NotApplied::Changed(plan) | NotApplied::Nothing(plan)) => Err(NotUndone::Nothing(*plan)),
    }
}

/// Returns the account whose sites and peers the act needs, if it is not the plan's.
#[must_use]
pub fn holder(act: &Act) -> Option<AccountId> {
    match act {
        Act::Restore(restored) => restored.account.or(restored.former_account),
        _ => None,
    }
}

/// Returns the region and the rate center that an act says of its numbers, if it says either.
fn place(act: &Act) -> Option<(&Option<String>, &Option<String>)> {
    let said = match act {
        Act::Restore(Restored { region, rate_center, .. }) => (region, rate_center),
        Act::Correct(Correction { region, rate_center, .. }) => (region, rate_center),
        _ => return None,
    };
    Some(said).filter(|(region, rate_center)| region.is_some() || rate_center.is_some())
}

/// Returns whether an act says where its numbers lie. Then it needs their exchanges: see [`area`].
#[must_use]
pub fn names_place(act: &Act) -> bool {
    place(act).is_some()
}

/// Returns the area in which a number lies by the act, if the act says so. `now` is the area in which it lies so far;
/// what the act leaves out stays. `exchanges` are the known exchanges of the numbers, by their six digits.
#[must_use]
pub fn area(
    act: &Act,
    entry: &Entry,
    now: Option<&AreaName>,
    exchanges: &HashMap<u32, Exchange>,
) -> Option<AreaName> {
    let (region, rate_center) = place(act)?;
    let region = region.as_deref().or_else(|| now?.region());
    let exchange = entry.number.npa_nxx().and_then(|npa_nxx| exchanges.get(&npa_nxx));
    let exchange = exchange.filter(|_| rate_center.is_none());
    Some(locality::area(entry.number, region, rate_center.as_deref(), exchange))
}

fn entries(loaded: &Loaded) -> HashMap<Number, Entry> {
    loaded.numbers.known.iter().map(|known| (known.entry.number, known.entry)).collect()
}

fn world<'a>(
    asked: &'a Asked,
    loaded: &'a Loaded,
    entries: &'a HashMap<Number, Entry>,
    policy: &'a Policy,
    now: Timestamp,
) -> World<'a> {
    World {
        account: loaded.account.as_ref(),
        premises: loaded.premises.as_ref(),
        entries,
        histories: &loaded.histories,
        areas: &loaded.numbers.areas,
        places: &loaded.places,
        policy,
        undone: loaded.undone,
        reason: asked.author.under.reason.as_deref().unwrap_or_default(),
        made_at: asked.made_at,
        // What happens is judged for the time at which it happens.
        now: now.max(loaded.numbers.latest),
    }
}

fn planned(asked: &Asked, loaded: &Loaded, world: &World<'_>) -> Plan {
    let items = asked.act.judge(&asked.numbers, world);
    let hash = asked.act.hash(asked.account, &items);
    let mut refused: BTreeMap<Refused, usize> = BTreeMap::new();
    let mut holds: BTreeMap<HoldGroup, usize> = BTreeMap::new();
    for item in &items {
        match &item.outcome {
            Err(why) => *refused.entry(*why).or_default() += 1,
            Ok(goes) => {
                let Change::Disconnected { hold, .. } = &goes.transition.change else { continue };
                let class = loaded.account.as_ref().map_or(Class::Unknown, |account| account.class);
                let (profile, days, release_at) = (hold.profile.clone(), hold.days, hold.release_at);
                *holds.entry(HoldGroup { profile, class, days, release_at }).or_default() += 1;
            }
        }
    }
    let not: usize = refused.values().sum();
    let (named, remaining) = (items.len(), asked.remaining);
    let counts = Tally { named, go: named - not, refused: not, remaining };
    let mut plan = Plan { items, counts, refused, holds, warnings: Vec::new(), hash };
    plan.warnings = warnings(&plan, asked, loaded, world);
    plan
}

fn warnings(plan: &Plan, asked: &Asked, loaded: &Loaded, world: &World<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if plan.counts.go == 0 {
        return warnings;
    }
    if asked.act.ends_service() && loaded.account.is_some() {
        let mut leaving: BTreeMap<SiteId, u64> = BTreeMap::new();
        for (_, goes) in plan.going() {
            let before = &goes.transition.before;
            if let (State::InService, Some(place)) = (before.state(), before.standing.place()) {
                *leaving.entry(place.site).or_default() += 1;
            }
        }
        let whole = |site: &SiteId, numbers: u64| loaded.in_service.get(site) == Some(&numbers);
        if leaving.values().sum::<u64>() == loaded.in_service.values().sum::<u64>() {
            warnings.push(Warning::WholeAccount);
        }
        let sites = leaving.iter().filter(|(site, numbers)| whole(site, **numbers));
        warnings.extend(sites.map(|(site, _)| Warning::WholeSite(*site)));
    }
    let site = |entry: &Entry| entry.standing.place().map(|place| place.site);
    if matches!(asked.act, Act::Reconnect { .. } | Act::Undo { .. }) {
        let elsewhere =
            plan.going().filter(|(_, goes)| site(&goes.transition.before) != site(&goes.transition.after));
        warnings.extend(Some(elsewhere.count()).filter(|count| *count > 0).map(Warning::GoesElsewhere));
    }
    if let Act::Extend { .. } = asked.act {
        let past = |(number, goes): &(Number, &Goes)| {
            let disconnected = loaded.histories.get(number).and_then(History::disconnected);
            let ceiling = disconnected.and_then(|(at, hold)| hold.ceiling(at));
            goes.release_at.zip(ceiling).is_some_and(|(release_at, ceiling)| release_at > ceiling)
        };
        let past = plan.going().filter(past).count();
        warnings.extend(Some(past).filter(|count| *count > 0).map(Warning::PastCeiling));
    }
    let zone = world.policy.zone();
    let midnight = world.now.date_in(zone) != asked.expires_at.max(world.now).date_in(zone);
    if midnight && plan.going().any(|(_, goes)| goes.by_calendar) {
        warnings.push(Warning::MidnightNear);
    }
    let first = plan.going().next().map(|(number, _)| number);
    if let Some(request) = first.and_then(|number| asked.act.request(&[number], world)) {
        // An order that does not exist yet is later than every other.
        let hears = |one: &Subscriber| {
            let (kind, happened) = (request.kind(), OrderEvent::Reached(Status::Complete));
            told(&one.filter, kind, OrderSeq(i64::MAX), happened, world.now)
        };
        if !loaded.subscribers.iter().any(hears) {
            warnings.push(Warning::NeverTold);
        }
    }
    warnings
}

/// Returns the order that an act becomes, and the step that runs it.
fn run(
    asked: &Asked,
    loaded: Loaded,
    request: Request,
    (seq, id): (OrderSeq, OrderId),
    policy: &Policy,
    now: Timestamp,
) -> (NewOrder, step::Writes) {
    let Loaded { numbers, account, premises, exchanges, subscribers, .. } = loaded;
    let home = account.zip(premises);
    let owner = home.as_ref().map(|(account, _)| account.id);
    let account = owner.or(asked.account).expect("an act that becomes an order has an account");
    let (name, customer_order_id) = asked.act.label();
    let new = NewOrder {
        account,
        user: asked.author.user.clone(),
        under: asked.author.under.clone(),
        name: Some(name.map_or_else(|| own_name(asked), str::to_owned)),
        customer_order_id: customer_order_id.map(str::to_owned),
        created_at: now,
        request,
        key: None,
    };
    let order = Order {
        seq,
        id,
        account,
        user: new.user.clone(),
        under: new.under.clone(),
        name: new.name.clone(),
        customer_order_id: new.customer_order_id.clone(),
        created_at: now,
        changed_at: now,
        request: new.request.clone(),
        status: Status::Received,
        failed: Vec::new(),
        taken: Vec::new(),
        refused: None,
        peers: Vec::new(),
        origin: None,
    };
    let loaded = step::Loaded {
        new: vec![Waiting { order, attempts: 0 }],
        accounts: home.map(|home| (account, home)).into_iter().collect(),
        numbers,
        exchanges,
        subscribers: HashMap::from([(account, subscribers)]),
        ..step::Loaded::default()
    };
    (new, step(loaded, policy, now))
}

/// Returns the name of an order to which nobody gave one.
fn own_name(asked: &Asked) -> String {
    match (&asked.act, asked.author.under.plan) {
        (Act::Undo { order }, _) => format!("undo of {order}"),
        (_, Some(plan)) => format!("plan {}", plan.to_string().chars().take(SHORT_ID).collect::<String>()),
        (act, None) => act.word().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::account::{AccountKind, Peer, Place, Site};
    use onhook_core::ids::{EventSeq, PeerId, PlanId, SubscriptionSeq};
    use onhook_core::lifecycle::area::{Area, Demand};
    use onhook_core::lifecycle::entry::Standing;
    use onhook_core::lifecycle::event::By;
    use onhook_core::lifecycle::provenance::Provenance;
    use onhook_core::notify::notification::SubscriptionFilter;
    use onhook_core::notify::subscription::OrderType;
    use onhook_core::order::Protected;
    use onhook_core::order::act::Leaving;

    use super::*;
    use crate::plan::batch::Known;

    /// Half an hour before midnight, so that a plan's end is on the next day.
    const LATE: &str = "2026-11-24T23:40:00Z";
    const NOON: &str = "2026-11-24T12:00:00Z";

    fn number(n: u64) -> Number {
        Number::from_digits(15_405_550_100 + n).unwrap()
    }

    fn account() -> AccountId {
        AccountId::new(1).unwrap()
    }

    fn site(n: u32) -> SiteId {
        SiteId::new(n).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn place(n: u32) -> Place {
        Place { account: account(), site: site(n), peer: PeerId::new(n) }
    }

    fn aging(n: u32) -> Standing {
        let release_at = at("2027-02-01T00:00:00Z");
        Standing::Aging { former: place(n), release_at, leaves: false, kept: None }
    }

    fn disconnect() -> Act {
        let (mode, protected) = (Leaving::Normal, Protected::Unchanged);
        Act::Disconnect { mode, protected, name: None, customer_order_id: None }
    }

    fn asked(act: Act, now: &str) -> Asked {
        let plan = Some(PlanId(uuid::Uuid::from_u128(0x1f6c_3a52_u128 << 96)));
        let under = Provenance { plan, reason: Some("a reason".into()), ..Provenance::default() };
        Asked {
            act,
            account: Some(account()),
            numbers: (0..4).map(number).collect(),
            remaining: 7,
            author: Author { user: "operator".into(), under },
            made_at: at(now),
            expires_at: at(now).plus_millis(1_800_000),
        }
    }

    /// Account 1 with sites 1 and 2, and these of the numbers 0, 1, 2.
    fn loaded(standings: &[Standing]) -> Loaded {
        let name = String::new();
        let site = |n| Site { id: site(n), account: account(), name: name.clone(), is_default: n == 1 };
        let peer = |n| {
            let id = PeerId::new(n).unwrap();
            Peer { id, account: account(), site: super::tests::site(n), name: name.clone(), is_default: true }
        };
        let (kind, class, created_at) = (AccountKind::EndUser, Class::Unknown, Timestamp::default());
        let known = |(n, standing): (u64, &Standing)| {
            let (number, standing, area) = (number(n), *standing, AreaId(1));
            let (protected, ported_in, locked) = (false, false, false);
            let entry = Entry { number, standing, area, protected, ported_in, locked };
            Known { entry, last_event: EventSeq(7), untouched: true }
        };
        let area = AreaName::Prefix { prefix: "540".into(), region: None };
        let area = Area { name: area, supply: 9, demand: Demand::default() };
        Loaded {
            numbers: Numbers {
                known: (0..).zip(standings).map(known).collect(),
                areas: HashMap::from([(AreaId(1), area)]),
                latest: Timestamp::default(),
            },
            account: Some(Account::new(account(), name.clone(), kind, class, created_at)),
            premises: Some(Premises { sites: vec![site(1), site(2)], peers: vec![peer(1), peer(2)] }),
            ..Loaded::default()
        }
    }

    fn in_service(n: u32) -> Standing {
        Standing::InService { place: place(n) }
    }

    fn words(plan: &Plan) -> Vec<&'static str> {
        plan.warnings.iter().map(Warning::word).collect()
    }

    #[test]
    fn a_plan_counts_what_goes_and_why_the_rest_does_not() {
        let loaded = loaded(&[in_service(1), aging(1), in_service(2)]);
        let plan = plan(&asked(disconnect(), NOON), &loaded, &Policy::default(), at(NOON));
        assert_eq!(plan.counts, Tally { named: 4, go: 2, refused: 2, remaining: 7 });
        assert_eq!(plan.refused, BTreeMap::from([(Refused::NotInService, 2)]));
        let release_at = at("2027-02-23T00:00:00Z");
        let group = HoldGroup { profile: "us".into(), class: Class::Unknown, days: 90, release_at };
        assert_eq!(plan.holds, BTreeMap::from([(group, 2)]));
        let numbers: Vec<Number> = plan.items.iter().map(|item| item.number).collect();
        assert_eq!(numbers, (0..4).map(number).collect::<Vec<_>>());
    }

    #[test]
    fn a_plan_warns_of_what_someone_should_know() {
        let told = |loaded: Loaded| {
            let filter = SubscriptionFilter { orders: OrderType::Disconnects, order: None, expires_at: None };
            let subscriber = Subscriber { seq: SubscriptionSeq(1), filter, daily: false, waiting: 0 };
            Loaded { subscribers: vec![subscriber], ..loaded }
        };
        let of = |act: Act, loaded: &Loaded, now: &str| {
            words(&plan(&asked(act, now), loaded, &Policy::default(), at(now)))
        };
        let both = || told(loaded(&[in_service(1), in_service(2)]));
        let with =
            |one, two| Loaded { in_service: HashMap::from([(site(1), one), (site(2), two)]), ..both() };
        assert_eq!(of(disconnect(), &with(5, 5), NOON), Vec::<&str>::new());
        assert_eq!(of(disconnect(), &with(1, 5), NOON), ["whole_site"]);
        assert_eq!(of(disconnect(), &with(1, 1), NOON), ["whole_account", "whole_site", "whole_site"]);
        assert_eq!(of(disconnect(), &with(5, 5), LATE), ["midnight_near"]);
        assert_eq!(of(Act::Purge { name: None }, &with(5, 5), LATE), Vec::<&str>::new());
        let untold = Loaded { subscribers: Vec::new(), ..with(5, 5) };
        assert_eq!(of(disconnect(), &untold, NOON), ["never_told"]);
        assert_eq!(of(Act::Lock, &untold, NOON), Vec::<&str>::new(), "nobody is ever told of a lock");
        let mut gone = loaded(&[aging(2)]);
        gone.premises.as_mut().unwrap().sites.truncate(1);
        assert_eq!(of(Act::Reconnect { name: None }, &gone, NOON), ["goes_elsewhere", "never_told"]);
        assert_eq!(of(disconnect(), &told(loaded(&[aging(1)])), LATE), Vec::<&str>::new(), "no number goes");
    }

    #[test]
    fn what_was_shown_is_done_exactly_or_not_at_all() {
        let (policy, asked) = (Policy::default(), asked(Act::Lock, NOON));
        let world = || loaded(&[in_service(1), aging(1), in_service(2)]);
        let shown = plan(&asked, &world(), &policy, at(NOON));
        let mut moved_on = world();
        moved_on.numbers.known[0].entry.locked = true;
        match apply(&asked, moved_on, Some(&shown.hash), None, &policy, at(NOON)) {
            Err(NotApplied::Changed(now)) => {
                let changed = shown.changed(&now);
                assert_eq!(changed.iter().map(|(was, _)| was.number).collect::<Vec<_>>(), [number(0)]);
            }
            other => panic!("{other:?}"),
        }
        let (done, writes) = apply(&asked, world(), Some(&shown.hash), None, &policy, at(NOON)).unwrap();
        assert_eq!(done, shown);
        let Writes::Events(writes) = writes else { panic!("it becomes no order") };
        let locked: Vec<Number> = writes.numbers.iter().map(|write| write.entry.number).collect();
        assert_eq!(locked, [number(0), number(2)]);
        for event in &writes.events {
            assert_eq!(event.by, By::User("operator".into()));
            assert_eq!(event.under, asked.author.under);
        }
        let nothing = apply(&asked, loaded(&[aging(1)]), None, None, &policy, at(NOON));
        assert!(matches!(nothing, Err(NotApplied::Nothing(_))), "{nothing:?}");
    }

    #[test]
    fn an_act_on_service_becomes_one_order_of_the_numbers_that_go() {
        let ids = (OrderSeq(9), OrderId(uuid::Uuid::from_u128(9)));
        let policy = Policy::default();
        let run = |act: Act, loaded: Loaded| {
            let (plan, writes) =
                apply(&asked(act, NOON), loaded, None, Some(ids), &policy, at(NOON)).unwrap();
            let Writes::Order(run) = writes else { panic!("it becomes an order") };
            (plan, run.0, run.1)
        };
        let (shown, new, step) = run(disconnect(), loaded(&[in_service(1), aging(1), in_service(2)]));
        assert_eq!((new.name.as_deref(), new.user.as_str()), (Some("plan 1f6c3a52"), "operator"));
        assert_eq!(new.request.numbers(), [number(0), number(2)]);
        assert_eq!(step.orders[0].after.status, Status::Complete);
        let after: Vec<_> = step.numbers.numbers.iter().map(|write| write.entry).collect();
        let planned: Vec<_> = shown.going().map(|(_, goes)| goes.transition.after).collect();
        assert_eq!(after, planned, "the order does what was shown");
        assert!(step.numbers.events.iter().all(|event| event.by == By::Order(OrderSeq(9))));
        let named = Act::Reconnect { name: Some("back".into()) };
        let (_, new, step) = run(named, loaded(&[aging(2), in_service(1), aging(1)]));
        assert_eq!((new.name.as_deref(), new.request.site()), (Some("back"), Some(site(2))));
        let places: Vec<_> = step.numbers.numbers.iter().map(|write| write.entry.standing).collect();
        assert_eq!(places, [in_service(2), in_service(1)], "each at its own site");
    }
}
