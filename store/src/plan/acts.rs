//! Acts of people on numbers: what would happen to each, the hash of that, and what is written when it is done.
//!
//! A plan that is made and a plan that is applied are the same function of the same loaded values. So what was shown is
//! done exactly, or not at all.

use std::collections::{BTreeMap, HashMap};

use onhook_core::account::{Account, Class, Premises};
use onhook_core::ids::{AccountId, AreaId, OrderId, OrderSeq, SiteId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::Change;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::{self, Exchange};
use onhook_core::notify::notification::{OrderEvent, Subscriber, told};
use onhook_core::number::Number;
use onhook_core::order::act::{Act, Correction, Goes, Refused, Restored, World};
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
    Changed(Plan),
    /// No number goes.
    Nothing(Plan),
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
        return Err(NotApplied::Changed(plan));
    }
    let going: Vec<Number> = plan.going().map(|(number, _)| number).collect();
    if going.is_empty() {
        return Err(NotApplied::Nothing(plan));
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
