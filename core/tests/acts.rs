//! Acts of people on numbers: which numbers go and why others do not, and what makes two decisions equal.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use onhook_core::account::{Account, AccountKind, Class, Peer, Place, Premises, Site};
use onhook_core::ids::{AccountId, AreaId, EventSeq, OrderId, OrderSeq, PeerId, SiteId};
use onhook_core::lifecycle::area::{Area, AreaName, Demand};
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::{Entry, Kept, Standing};
use onhook_core::lifecycle::event::{By, Change, Event, apply};
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::hold::Hold;
use onhook_core::lifecycle::policy::{Policy, Profile};
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::number::Number;
use onhook_core::order::Protected;
use onhook_core::order::act::{Act, Correction, Judged, Later, Leaving, Refused, Restored, World};
use onhook_core::time::Timestamp;

fn number(n: u64) -> Number {
    Number::from_digits(15_405_550_100 + n).unwrap()
}

fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(account: u32) -> AccountId {
    AccountId::new(account).unwrap()
}

fn place(site: u32) -> Place {
    Place { account: id(1), site: SiteId::new(site).unwrap(), peer: PeerId::new(site * 10) }
}

/// A world of account 1 with sites 1 and 2, and a number for each case.
struct Case {
    account: Account,
    premises: Premises,
    policy: Policy,
    entries: HashMap<Number, Entry>,
    histories: HashMap<Number, History>,
    areas: HashMap<AreaId, Area>,
    places: HashMap<Number, AreaId>,
    now: Timestamp,
    made_at: Timestamp,
}

impl Case {
    fn new() -> Self {
        let account = id(1);
        let name = String::new();
        let site = |n| Site { id: SiteId::new(n).unwrap(), account, name: name.clone(), is_default: n == 1 };
        let peer = |n| {
            let (id, site) = (PeerId::new(n * 10).unwrap(), SiteId::new(n).unwrap());
            Peer { id, account, site, name: name.clone(), is_default: true }
        };
        let now = day("2026-11-24T03:49:04.152Z");
        let area = AreaName::Prefix { prefix: "540".into(), region: Some("VA".into()) };
        let area = Area { name: area, supply: 50, demand: Demand::default() };
        let kind = AccountKind::EndUser;
        Self {
            premises: Premises { sites: vec![site(1), site(2)], peers: vec![peer(1), peer(2)] },
            account: Account::new(account, name.clone(), kind, Class::Unknown, now),
            policy: Policy::default(),
            entries: HashMap::new(),
            histories: HashMap::new(),
            areas: HashMap::from([(AreaId(1), area.clone()), (AreaId(2), area)]),
            places: HashMap::new(),
            now,
            made_at: now,
        }
    }

    fn with(mut self, n: u64, standing: Standing) -> Self {
        let number = number(n);
        let (area, protected, ported_in, locked) = (AreaId(1), false, false, false);
        let entry = Entry { number, standing, area, protected, ported_in, locked };
        self.entries.insert(number, entry);
        let (imported_at, events) = (Timestamp::default(), Vec::new());
        self.histories.insert(number, History { entry, origin: entry, imported_at, events });
        self
    }

    fn change(mut self, n: u64, change: impl Fn(&mut Entry)) -> Self {
        change(self.entries.get_mut(&number(n)).unwrap());
        self
    }

    /// A number of account 1 that was in service, and what has happened to it since.
    fn lived(mut self, n: u64, events: Vec<(&str, Change, By)>) -> Self {
        self = self.with(n, Standing::InService { place: place(2) });
        let number = number(n);
        let origin = self.entries[&number];
        let (mut entry, mut made) = (origin, Vec::new());
        for (seq, (at, change, by)) in (1..).zip(events) {
            entry = apply(&entry, &change).unwrap();
            let (seq, prev, under) = (EventSeq(seq), EventSeq(seq - 1), Provenance::default());
            made.push(Event { seq, number, prev, at: day(at), change, by, under, origin: None });
        }
        self.entries.insert(number, entry);
        let imported_at = Timestamp::default();
        self.histories.insert(number, History { entry, origin, imported_at, events: made });
        self
    }

    fn judge(&self, act: &Act) -> (Vec<Judged>, String) {
        let mut numbers: Vec<Number> = self.entries.keys().copied().collect();
        numbers.sort_unstable();
        let world = World {
            account: act.is_order().then_some(&self.account),
            premises: Some(&self.premises),
            entries: &self.entries,
            histories: &self.histories,
            areas: &self.areas,
            places: &self.places,
            policy: &self.policy,
            undone: Some(OrderSeq(1)),
            reason: "a reason",
            made_at: self.made_at,
            now: self.now,
        };
        let judged = act.judge(&numbers, &world);
        let hash = act.hash(world.account.map(|account| account.id), &judged);
        assert_eq!(hash.len(), "sha256:".len() + 64);
        (judged, hash)
    }

    /// Returns what becomes of the only number: its state afterwards, or the reason.
    fn one(&self, act: &Act) -> Result<State, Refused> {
        let (judged, _) = self.judge(act);
        judged.into_iter().next().unwrap().outcome.map(|goes| goes.transition.after.state())
    }
}

fn in_service() -> Standing {
    Standing::InService { place: place(1) }
}

fn disconnect() -> Act {
    let (mode, protected) = (Leaving::Normal, Protected::Unchanged);
    Act::Disconnect { mode, protected, name: None, customer_order_id: None }
}

fn undo() -> Act {
    Act::Undo { order: OrderId(uuid::Uuid::from_u128(1)) }
}

fn hold() -> Hold {
    Hold {
        profile: "us".into(),
        area: "540".into(),
        supply: 1,
        demand: 0.0,
        min_days: 45,
        max_days: 90,
        days: 60,
        release_at: day("2026-12-31T00:00:00Z"),
        zone: Some("UTC".into()),
    }
}

fn off(protected: Option<bool>) -> Change {
    Change::Disconnected { hold: hold(), leaves: false, protected }
}

fn aging_since(at: &str) -> Case {
    Case::new().lived(0, vec![(at, off(None), By::Order(OrderSeq(1)))])
}

/// Disconnected on 31 October with a hold of 60 days: its floor is on 16 December, its ceiling on 30 January.
const OFF: &str = "2026-10-31T12:00:00Z";

#[test]
fn each_act_takes_its_numbers_and_says_why_it_takes_no_others() {
    let aging = |kept| Standing::Aging {
        former: place(1),
        release_at: day("2027-01-01T00:00:00Z"),
        leaves: false,
        kept,
    };
    let kept = Some(Kept { until: None });
    let reserved = Standing::Reserved { account: id(1), until: day("2027-01-01T00:00:00Z") };
    let owned = Standing::Protected { account: id(1) };
    let standings = [
        Standing::Available,
        reserved,
        in_service(),
        aging(None),
        aging(kept),
        owned,
        Standing::Administrative,
        Standing::Removed,
    ];
    let later = day("2027-02-01T00:00:00Z");
    let restored = Restored { account: Some(id(1)), ..Restored::to(State::InService) };
    let ported_in = Correction { ported_in: Some(true), ..Correction::default() };
    let acts = [
        disconnect(),
        Act::Purge { name: None },
        Act::Reconnect { name: None },
        undo(),
        Act::Move { site: SiteId::new(2).unwrap(), peer: None },
        Act::Move { site: SiteId::new(1).unwrap(), peer: None },
        Act::Lock,
        Act::Unlock,
        Act::Extend { until: Later::ReleaseAt(later), past_ceiling: false },
        Act::Keep { until: None },
        Act::Unkeep,
        Act::SetAside,
        Act::PutBack,
        Act::PortOut { at: None },
        Act::Restore(restored),
        Act::Correct(ported_in),
        Act::ReleaseEarly { release_at: None },
    ];
    let mut grid = String::new();
    for act in &acts {
        let target =
            if let Act::Move { site, .. } = act { format!(" to site {site}") } else { String::new() };
        grid += &format!("{}{target}\n", act.word());
        for standing in standings {
            let outcome = match Case::new().with(0, standing).one(act) {
                Ok(state) => format!("goes, and is {state}"),
                Err(why) => why.to_string(),
            };
            let kept = if standing.kept().is_some() { ", kept" } else { "" };
            grid += &format!("    {}{kept}: {outcome}\n", standing.state());
        }
    }
    insta::assert_snapshot!("acts", grid);
}

#[test]
fn a_number_that_is_not_there_or_is_another_s_is_refused_alike() {
    let other = Place { account: id(2), ..place(1) };
    let foreign = Case::new().with(0, Standing::InService { place: other });
    let unknown = Case::new();
    for (act, why) in
        [(disconnect(), Refused::NotInService), (Act::Reconnect { name: None }, Refused::NotAging)]
    {
        assert_eq!(foreign.one(&act), Err(why));
        let world = World {
            account: Some(&unknown.account),
            premises: Some(&unknown.premises),
            entries: &unknown.entries,
            histories: &unknown.histories,
            areas: &unknown.areas,
            places: &unknown.places,
            policy: &unknown.policy,
            undone: None,
            reason: "",
            made_at: unknown.made_at,
            now: unknown.now,
        };
        assert_eq!(act.judge(&[number(0)], &world)[0].outcome, Err(why));
    }
}

#[test]
fn a_locked_number_leaves_service_by_no_act() {
    let locked = Case::new().with(0, in_service()).change(0, |entry| entry.locked = true);
    for act in [disconnect(), Act::Purge { name: None }, Act::PortOut { at: None }] {
        assert_eq!(locked.one(&act), Err(Refused::Locked), "{act:?}");
    }
    assert_eq!(locked.one(&Act::Lock), Err(Refused::AlreadySo));
    assert_eq!(locked.one(&Act::Unlock), Ok(State::InService));
    assert_eq!(locked.one(&Act::Move { site: SiteId::new(2).unwrap(), peer: None }), Ok(State::InService));
}

/// A port that is written down late lies in the time for which its holder has the number, or it was another holder's.
#[test]
fn a_number_leaves_for_another_carrier_no_earlier_than_its_holder_had_it() {
    let came =
        |change| vec![("2026-03-01T00:00:00Z", Change::Purged { protected: None }, By::Import), change];
    let restored =
        |standing| Change::Restored { standing, area: AreaId(1), protected: false, ported_in: false };
    let aging = Standing::Aging { former: place(1), release_at: Timestamp::MAX, leaves: false, kept: None };
    let lives = [
        Case::new().lived(0, came(("2026-04-01T00:00:00Z", restored(in_service()), By::Import))),
        Case::new().lived(0, came(("2026-04-01T00:00:00Z", restored(aging), By::Import))),
    ];
    for life in lives {
        let port_out = |at: &str| life.one(&Act::PortOut { at: Some(day(at)) });
        assert_eq!(port_out("2026-02-01T00:00:00Z"), Err(Refused::NotInService), "in an earlier life");
        assert_eq!(port_out("2026-03-31T23:59:59.999Z"), Err(Refused::NotInService));
        assert_eq!(port_out("2026-04-01T00:00:00Z"), Ok(State::Removed));
    }
    for standing in [in_service(), aging] {
        let imported = Case::new().with(0, standing);
        let port_out = |at| imported.one(&Act::PortOut { at: Some(at) });
        assert_eq!(port_out(Timestamp::default().plus_millis(-1)), Err(Refused::NotInService));
        assert_eq!(port_out(Timestamp::default()), Ok(State::Removed));
    }
}

#[test]
fn a_preview_says_how_long_and_where_to() {
    let (judged, _) = Case::new().with(0, in_service()).judge(&disconnect());
    let goes = judged[0].outcome.clone().unwrap();
    assert_eq!((goes.days, goes.home, goes.by_calendar), (Some(90), Some(Home::Pool), true));
    assert_eq!(goes.release_at, Some(day("2027-02-23T00:00:00Z")));
}

#[test]
fn a_number_of_a_pool_that_others_hold_leaves_after_aging() {
    let home = |policy| {
        let case = Case { policy, ..Case::new().with(0, in_service()) };
        case.judge(&disconnect()).0.remove(0).outcome.unwrap().transition.after.home()
    };
    assert_eq!(home(Policy::default()), Home::Pool);
    let leaves = Profile { leaves: true, ..Profile::built_in().remove(0) };
    assert_eq!(home(Policy::new(vec![leaves], "UTC").unwrap()), Home::Away);
    let left: Vec<String> =
        Profile::built_in().into_iter().filter(|of| of.leaves).map(|of| of.name).collect();
    assert_eq!(left, ["toll-free"]);
}

#[test]
fn a_hold_gets_longer_up_to_its_ceiling_unless_told_to_pass_it() {
    let case = aging_since(OFF);
    let extend = |until, past_ceiling| case.one(&Act::Extend { until, past_ceiling });
    let at = |text| Later::ReleaseAt(day(text));
    assert_eq!(extend(at("2026-12-31T00:00:00Z"), false), Err(Refused::NotLater));
    assert_eq!(extend(at("2026-12-31T00:00:00.001Z"), false), Ok(State::Aging));
    assert_eq!(extend(at("2027-01-30T00:00:00Z"), false), Ok(State::Aging));
    assert_eq!(extend(at("2027-01-30T00:00:00.001Z"), false), Err(Refused::PastCeiling));
    assert_eq!(extend(at("2028-01-30T00:00:00Z"), true), Ok(State::Aging));
    assert_eq!(extend(Later::Days(30), false), Ok(State::Aging));
    assert_eq!(extend(Later::Days(31), false), Err(Refused::PastCeiling));
    assert_eq!(extend(Later::Days(0), false), Err(Refused::NotLater));
    let (judged, _) = case.judge(&Act::Extend { until: Later::Days(5), past_ceiling: false });
    assert_eq!(judged[0].outcome.as_ref().unwrap().release_at, Some(day("2027-01-05T00:00:00Z")));
}

#[test]
fn nothing_is_released_early_under_its_floor() {
    let case = aging_since(OFF);
    let early = |at: Option<&str>| {
        let (judged, _) = case.judge(&Act::ReleaseEarly { release_at: at.map(day) });
        judged[0].outcome.clone().map(|goes| goes.release_at.unwrap())
    };
    let floor = "2026-12-16T00:00:00Z";
    assert_eq!(early(None), Ok(day(floor)));
    assert_eq!(early(Some(floor)), Ok(day(floor)));
    assert_eq!(early(Some("2026-12-15T23:59:59.999Z")), Err(Refused::UnderFloor));
    assert_eq!(early(Some("2026-12-31T00:00:00Z")), Err(Refused::AlreadySo));
    // A plan that is made after the floor releases from then on, whenever it is applied.
    let made_at = day("2026-12-20T10:00:00Z");
    let late = Case { made_at, now: day("2026-12-20T10:20:00Z"), ..aging_since(OFF) };
    let (judged, _) = late.judge(&Act::ReleaseEarly { release_at: None });
    assert_eq!(judged[0].outcome.as_ref().unwrap().release_at, Some(made_at));
    let kept = Case::new().lived(
        0,
        vec![(OFF, off(None), By::Order(OrderSeq(1))), (OFF, Change::Kept { until: None }, By::Time)],
    );
    assert_eq!(kept.one(&Act::ReleaseEarly { release_at: None }), Err(Refused::Kept));
}

/// A number that was purged on 31 October is nobody new's before 16 December, as one that was disconnected then.
#[test]
fn a_purged_number_goes_to_nobody_new_under_its_floor() {
    let floor = "2026-12-16T00:00:00Z";
    let restore = |now: &str, state, account: Option<u32>, release_at: Option<&str>| {
        let purged = (OFF, Change::Purged { protected: None }, By::Order(OrderSeq(1)));
        let case = Case { now: day(now), ..Case::new().lived(0, vec![purged]) };
        let aging = state == State::Aging;
        let holder = account.map(id);
        let mut restored = Restored::to(state);
        (restored.account, restored.former_account) = (holder.filter(|_| !aging), holder.filter(|_| aging));
        restored.release_at = release_at.map(day);
        case.one(&Act::Restore(restored))
    };
    let lately = "2026-11-24T03:49:04.152Z";
    for (state, account, release_at) in [
        (State::Available, None, None),
        (State::Administrative, None, None),
        (State::Reserved, Some(1), Some(floor)),
        (State::InService, Some(2), None),
        (State::Protected, Some(2), None),
        (State::Aging, Some(2), Some(floor)),
        (State::Aging, Some(1), Some("2026-12-15T23:59:59.999Z")),
    ] {
        let before = "2026-12-15T23:59:59.999Z";
        assert_eq!(restore(lately, state, account, release_at), Err(Refused::UnderFloor), "{state}");
        assert_eq!(restore(before, state, account, release_at), Err(Refused::UnderFloor), "{state}");
        assert_eq!(restore(floor, state, account, release_at), Ok(state));
    }
    for (state, release_at) in
        [(State::InService, None), (State::Protected, None), (State::Aging, Some(floor))]
    {
        assert_eq!(restore(lately, state, Some(1), release_at), Ok(state));
    }
}

#[test]
fn a_keep_reaches_past_the_hold_or_says_that_it_does_not() {
    let case = aging_since(OFF);
    let keep = |at: &str| case.one(&Act::Keep { until: Some(day(at)) });
    assert_eq!(keep("2026-12-31T00:00:00Z"), Err(Refused::NotLater));
    assert_eq!(keep("2026-12-31T00:00:00.001Z"), Ok(State::Aging));
}

#[test]
fn an_undo_says_what_became_of_the_numbers_that_cannot_come_back() {
    let order = |seq| By::Order(OrderSeq(seq));
    let back = || Change::Reconnected { place: place(1), protected: None };
    let first = || (OFF, off(None), order(1));
    let at = |n: i64| ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"][usize::try_from(n).unwrap()];
    for (events, outcome) in [
        (vec![first()], Ok(State::InService)),
        (vec![first(), (at(0), Change::Kept { until: None }, By::Time)], Ok(State::InService)),
        (vec![first(), (at(0), back(), order(2))], Err(Refused::Reconnected)),
        (
            vec![first(), (at(0), back(), order(2)), (at(1), off(None), order(3))],
            Err(Refused::DisconnectedAgain),
        ),
        (vec![first(), (at(0), Change::Released { home: Home::Pool }, By::Time)], Err(Refused::Released)),
        (vec![first(), (at(0), Change::PortedOut { at: day(at(0)) }, By::Time)], Err(Refused::Released)),
        (vec![(at(0), off(None), order(2))], Err(Refused::NotAging)),
    ] {
        assert_eq!(Case::new().lived(0, events.clone()).one(&undo()), outcome, "{events:?}");
    }
}

#[test]
fn an_undo_gives_back_site_peer_and_flag_as_they_were() {
    let case = Case::new()
        .lived(0, vec![(OFF, off(Some(true)), By::Order(OrderSeq(1)))])
        .lived(1, vec![(OFF, off(None), By::Order(OrderSeq(1)))]);
    let (judged, _) = case.judge(&undo());
    for judged in judged {
        let after = judged.outcome.unwrap().transition.after;
        assert_eq!(after.standing, Standing::InService { place: place(2) });
        assert!(!after.protected);
    }
    // A site that is gone: the default one.
    let mut gone = Case::new().lived(0, vec![(OFF, off(None), By::Order(OrderSeq(1)))]);
    gone.premises.sites.retain(|site| site.is_default);
    gone.premises.peers.retain(|peer| peer.site.get() == 1);
    let after = gone.judge(&undo()).0.remove(0).outcome.unwrap().transition.after;
    assert_eq!(after.standing, Standing::InService { place: place(1) });
    gone.premises.sites.clear();
    assert_eq!(gone.one(&undo()), Err(Refused::NoSite));
}

#[test]
fn the_same_world_has_the_same_hash_at_any_time_of_the_day() {
    let case = |now: &str| Case { now: day(now), ..Case::new().with(0, in_service()).with(1, in_service()) };
    let hash = |case: Case| case.judge(&disconnect()).1;
    let noon = hash(case("2026-11-24T12:00:00Z"));
    assert_eq!(hash(case("2026-11-24T00:00:00Z")), noon);
    assert_eq!(hash(case("2026-11-24T23:59:59.999Z")), noon);
    assert_ne!(hash(case("2026-11-25T00:00:00Z")), noon, "another release day");
    // Where no calendar counts, the days alone do.
    let world = Profile { name: "us".into(), regulated: false, ..Profile::built_in().remove(0) };
    let free = |now| {
        let policy = Policy::new(vec![world.clone()], "UTC").unwrap();
        hash(Case { policy, ..case(now) })
    };
    assert_eq!(free("2026-11-24T12:00:00Z"), free("2026-11-25T13:00:00Z"));
    assert_ne!(free("2026-11-24T12:00:00Z"), noon);
    // Two orders of the same numbers are one world.
    let two = Case::new().with(1, in_service()).with(0, in_service());
    assert_eq!(
        two.judge(&disconnect()).1,
        Case::new().with(0, in_service()).with(1, in_service()).judge(&disconnect()).1
    );
}

/// Each of these differs from the first in one thing that someone would want to know.
#[test]
fn the_hash_differs_when_anything_that_is_decided_differs() {
    let base = || Case::new().with(0, in_service()).with(1, in_service());
    let business = |mut case: Case| {
        case.account.class = Class::Business;
        case
    };
    let other_account = |mut case: Case| {
        case.account.id = id(2);
        case
    };
    let moved = Standing::InService { place: place(2) };
    let no_peer = Standing::InService { place: Place { peer: None, ..place(1) } };
    let cases = [
        base(),
        Case::new().with(0, in_service()),
        base().with(2, in_service()),
        base().with(1, Standing::Available),
        base().with(1, moved),
        base().with(1, no_peer),
        base().change(1, |entry| entry.locked = true),
        base().change(1, |entry| entry.protected = true),
        base().change(1, |entry| entry.ported_in = true),
        business(base()),
        other_account(base()),
    ];
    let protected =
        |mode, protected| Act::Disconnect { mode, protected, name: None, customer_order_id: None };
    let acts = [
        Act::Purge { name: None },
        protected(Leaving::SoftRemove, Protected::Unchanged),
        protected(Leaving::Normal, Protected::True),
        Act::Disconnect {
            mode: Leaving::Normal,
            protected: Protected::Unchanged,
            name: Some("a name".into()),
            customer_order_id: None,
        },
        Act::Lock,
    ];
    let mut hashes: Vec<String> = cases.iter().map(|case| case.judge(&disconnect()).1).collect();
    hashes.extend(acts.iter().map(|act| base().judge(act).1));
    let all = hashes.len();
    hashes.sort();
    hashes.dedup();
    // A number that ages at another peer is put back there: the peer is part of the decision.
    assert_eq!(hashes.len(), all);
}

/// Stores hold acts in these forms. A name in them never changes.
#[test]
fn an_act_is_read_as_it_was_stored() {
    for stored in [
        r#"{"act":"disconnect","params":{"mode":"normal","protected":"UNCHANGED","name":null,"customer_order_id":null}}"#,
        r#"{"act":"purge","params":{"name":"a name"}}"#,
        r#"{"act":"lock"}"#,
        r#"{"act":"extend","params":{"until":{"days":5},"past_ceiling":false}}"#,
        r#"{"act":"keep","params":{"until":5}}"#,
        r#"{"act":"set_aside"}"#,
        r#"{"act":"release_early","params":{"release_at":null}}"#,
    ] {
        let act: Act = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&act).unwrap(), stored);
        assert!(stored.contains(&format!("{:?}", act.word())));
    }
}
