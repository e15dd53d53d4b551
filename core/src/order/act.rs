//! What a person does to numbers: one act, judged number by number before it is done, and again when it is.
//!
//! Pure: the same act against the same world gives the same decision, and equal decisions have equal hashes. So someone
//! can see what would happen, and then have exactly that done or nothing.
//!
//! Not here: what is written (`store`), and how an order is judged (`decide`), which the acts that become one are.

use std::collections::HashMap;

use crate::account::{Account, Premises};
use crate::audit::digest::Digest;
use crate::ids::{AccountId, AreaId, OrderId, OrderSeq, PeerId, SiteId};
use crate::import::{self, BadLine, NewNumber};
use crate::lifecycle::area::Area;
use crate::lifecycle::diagram::{Home, State};
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{By, Change, Transition};
use crate::lifecycle::history::History;
use crate::lifecycle::policy::Policy;
use crate::number::Number;
use crate::order::decide::{self, judge};
use crate::order::{
    Activate, Back, Disconnect, Mode, MoveNumbers, Order, Protected, Refusal, Request, Status, Wanted,
};
use crate::time::{DAY_MS, TimeZone, Timestamp};
use crate::words::words;

/// How a disconnect leaves service: it ages, unlike a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Leaving {
    /// It goes to the pool, or to its owner, after aging.
    #[default]
    #[serde(rename = "normal")]
    Normal,
    /// It leaves the system after aging.
    #[serde(rename = "soft-remove")]
    SoftRemove,
}

/// The new end of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Later {
    /// At this instant.
    ReleaseAt(Timestamp),
    /// So many days after its end now: whole calendar days where the hold counts those, else days of 24 hours.
    Days(u16),
}

/// What a removed number is restored as: what a line of an import may say, but for the number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Restored {
    /// Its state.
    pub state: State,
    /// Its owner or holder, if its state has one.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Who may reconnect it, if it is aging.
    #[serde(default)]
    pub former_account: Option<AccountId>,
    /// Its site. If absent, the account's default one.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// Its peer. If absent, the site's default one.
    #[serde(default)]
    pub peer: Option<PeerId>,
    /// When it is released, if it is aging, or when its reservation ends.
    #[serde(default)]
    pub release_at: Option<Timestamp>,
    /// Its state or province, two letters. If absent with the rate center, its area stays.
    #[serde(default)]
    pub region: Option<String>,
    /// Its rate center.
    #[serde(default)]
    pub rate_center: Option<String>,
    /// True if it goes to its owner's inventory after aging.
    #[serde(default)]
    pub protected: bool,
    /// True if it belongs to another carrier's pool.
    #[serde(default)]
    pub ported_in: bool,
}

impl Restored {
    /// Returns a restore to this state that says nothing else.
    #[must_use]
    pub fn to(state: State) -> Self {
        Self {
            state,
            account: None,
            former_account: None,
            site: None,
            peer: None,
            release_at: None,
            region: None,
            rate_center: None,
            protected: false,
            ported_in: false,
        }
    }

    /// Returns the line of an import that says the same of a number.
    #[must_use]
    pub fn line(&self, number: Number) -> NewNumber {
        NewNumber {
            number,
            state: self.state,
            account: self.account,
            site: self.site,
            peer: self.peer,
            rate_center: self.rate_center.clone(),
            region: self.region.clone(),
            protected: self.protected,
            ported_in: self.ported_in,
            former_account: self.former_account,
            release_at: self.release_at,
        }
    }
}

/// What an import got wrong. At least one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Correction {
    /// The rate center's abbreviation.
    #[serde(default)]
    pub rate_center: Option<String>,
    /// State or province, two letters.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether it belongs to another carrier's pool.
    #[serde(default)]
    pub ported_in: Option<bool>,
}

/// An act of a person on numbers, with all that it needs beside them. Stores keep it in this form: a name in it never
/// changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "act", content = "params", rename_all = "snake_case")]
pub enum Act {
    /// Numbers in service begin to age, by an order.
    Disconnect {
        /// Where they go afterwards.
        mode: Leaving,
        /// What becomes of their protected flag.
        protected: Protected,
        /// The order's name, if the person gave one.
        #[serde(default)]
        name: Option<String>,
        /// The client's own id for the order.
        #[serde(default)]
        customer_order_id: Option<String>,
    },
    /// Numbers in service leave the system at once, by an order.
    Purge {
        /// The order's name, if the person gave one.
        #[serde(default)]
        name: Option<String>,
    },
    /// Aging numbers of the account go back where they were, by an order.
    Reconnect {
        /// The order's name, if the person gave one.
        #[serde(default)]
        name: Option<String>,
    },
    /// The numbers that an order disconnected go back where they were, by an order.
    Undo {
        /// The disconnect order.
        order: OrderId,
    },
    /// Numbers in service go to another site or peer, by an order.
    Move {
        /// The site.
        site: SiteId,
        /// The peer. `None` is the site's default one.
        #[serde(default)]
        peer: Option<PeerId>,
    },
    /// Numbers in service are guarded against disconnecting.
    Lock,
    /// They no longer are.
    Unlock,
    /// Aging numbers age longer.
    Extend {
        /// Until when.
        until: Later,
        /// True if it may pass the longest hold of their profile.
        past_ceiling: bool,
    },
    /// Aging numbers are kept from release.
    Keep {
        /// When that ends by itself. `None`: when an operator says so.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// They no longer are.
    Unkeep,
    /// Numbers are taken out of the pool.
    SetAside,
    /// They are put back into it.
    PutBack,
    /// Numbers went to another carrier.
    PortOut {
        /// When. `None`: now.
        #[serde(default)]
        at: Option<Timestamp>,
    },
    /// Removed numbers are taken back.
    Restore(Restored),
    /// What an import said is corrected.
    Correct(Correction),
    /// Aging numbers age less long.
    ReleaseEarly {
        /// Until when. `None`: the later of the time at which the plan was made and each number's floor.
        #[serde(default)]
        release_at: Option<Timestamp>,
    },
}

words! {
    /// Why an act does not change a number.
    Refused {
        /// It is not in service on this account. A pool number, another account's and one that does not exist are the
        /// same, so that nobody learns which.
        NotInService = "not_in_service",
        /// It is not aging, or not with this account as its former one.
        NotAging = "not_aging",
        /// An operator guards it.
        Locked = "locked",
        /// It is so already.
        AlreadySo = "already_so",
        /// Toll-free numbers cannot be protected.
        TollFreeProtected = "toll_free_protected",
        /// The site is not the account's, or is gone and the account has no default one.
        NoSite = "no_site",
        /// The site has no such peer.
        NoPeer = "no_peer",
        /// The site has no default peer.
        NoDefaultPeer = "no_default_peer",
        /// The new end is not later than the one that it has.
        NotLater = "not_later",
        /// It would age longer than its profile allows.
        PastCeiling = "past_ceiling",
        /// Somebody new could have it too soon.
        UnderFloor = "under_floor",
        /// Nobody knows when it was disconnected, so nobody knows its floor.
        FloorUnknown = "floor_unknown",
        /// An operator keeps it from release.
        Kept = "kept",
        /// Undo: it has been released since, or has left.
        Released = "released",
        /// Undo: it has been reconnected since.
        Reconnected = "reconnected",
        /// Undo: it has been reconnected since, and disconnected again.
        DisconnectedAgain = "disconnected_again",
        /// It is in a state from which the diagram has no such arrow, and none of the other reasons says so.
        WrongState = "wrong_state",
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::NotInService | Refusal::NotMovable => Refused::NotInService,
            Refusal::Locked => Refused::Locked,
            Refusal::TollFreeProtected => Refused::TollFreeProtected,
            Refusal::Unavailable => Refused::NotAging,
            Refusal::NoSite => Refused::NoSite,
            Refusal::NoPeer => Refused::NoPeer,
            Refusal::NoDefaultPeer => Refused::NoDefaultPeer,
            Refusal::AllOrNone | Refusal::SetAside | Refusal::OverCapacity | Refusal::TimedOut => {
                Refused::WrongState
            }
        }
    }
}

/// What an act is judged against.
#[derive(Debug)]
pub struct World<'a> {
    /// Whose numbers they are to be. `None`: anyone's.
    pub account: Option<&'a Account>,
    /// The sites and peers of that account. For a restore, of the account that gets the numbers; `None` if there is none.
    pub premises: Option<&'a Premises>,
    /// The numbers. Those that do not exist are absent.
    pub entries: &'a HashMap<Number, Entry>,
    /// The histories of those numbers, for the acts that ask for them: see [`Act::needs_histories`].
    pub histories: &'a HashMap<Number, History>,
    /// The areas of the numbers.
    pub areas: &'a HashMap<AreaId, Area>,
    /// For the acts that name a place: the area of each number there.
    pub places: &'a HashMap<Number, AreaId>,
    /// Hold profiles and the operator's time zone.
    pub policy: &'a Policy,
    /// For an undo: the disconnect order.
    pub undone: Option<OrderSeq>,
    /// Why, in the person's words.
    pub reason: &'a str,
    /// When the plan was made.
    pub made_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What happens to a number that goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Goes {
    /// The change, with the number before and after.
    pub transition: Transition,
    /// How many days it ages, if it is disconnected.
    pub days: Option<u16>,
    /// When it is released, if it ages afterwards.
    pub release_at: Option<Timestamp>,
    /// True if that is a day of the calendar, the same at each time of the day.
    pub by_calendar: bool,
    /// Where it then goes.
    pub home: Option<Home>,
}

/// The decision about one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The number.
    pub number: Number,
    /// What happens to it, or why nothing does.
    pub outcome: Result<Goes, Refused>,
}

impl Act {
    /// Returns its word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Act::Disconnect { .. } => "disconnect",
            Act::Purge { .. } => "purge",
            Act::Reconnect { .. } => "reconnect",
            Act::Undo { .. } => "undo",
            Act::Move { .. } => "move",
            Act::Lock => "lock",
            Act::Unlock => "unlock",
            Act::Extend { .. } => "extend",
            Act::Keep { .. } => "keep",
            Act::Unkeep => "unkeep",
            Act::SetAside => "set_aside",
            Act::PutBack => "put_back",
            Act::PortOut { .. } => "port_out",
            Act::Restore(_) => "restore",
            Act::Correct(_) => "correct",
            Act::ReleaseEarly { .. } => "release_early",
        }
    }

    /// Returns whether it becomes an order, which needs an account.
    #[must_use]
    pub fn is_order(&self) -> bool {
        match self {
            Act::Disconnect { .. } | Act::Purge { .. } | Act::Reconnect { .. } => true,
            Act::Undo { .. } | Act::Move { .. } => true,
            Act::Lock | Act::Unlock | Act::Extend { .. } | Act::Keep { .. } | Act::Unkeep => false,
            Act::SetAside | Act::PutBack | Act::PortOut { .. } | Act::Restore(_) => false,
            Act::Correct(_) | Act::ReleaseEarly { .. } => false,
        }
    }

    /// Returns whether numbers leave service by it.
    #[must_use]
    pub fn ends_service(&self) -> bool {
        matches!(self, Act::Disconnect { .. } | Act::Purge { .. } | Act::PortOut { .. })
    }

    /// Returns whether it is judged by what has happened to the numbers.
    #[must_use]
    pub fn needs_histories(&self) -> bool {
        match self {
            Act::Undo { .. } | Act::Extend { .. } | Act::ReleaseEarly { .. } | Act::Restore(_) => true,
            Act::PortOut { at } => at.is_some(),
            _ => false,
        }
    }

    /// Returns what the act asks as an order of these numbers, in the order of their digits. `None` if it becomes none,
    /// or if there are no numbers.
    #[must_use]
    pub fn request(&self, numbers: &[Number], world: &World<'_>) -> Option<Request> {
        let first = world.entries.get(numbers.first()?);
        let numbers = numbers.to_vec();
        let leaving = |mode, protected, numbers| {
            Some(Request::Disconnect(Disconnect { numbers, mode, protected, reason: None }))
        };
        match self {
            Act::Disconnect { mode: Leaving::Normal, protected, .. } => {
                leaving(Mode::Normal, Some(*protected), numbers)
            }
            Act::Disconnect { mode: Leaving::SoftRemove, protected, .. } => {
                leaving(Mode::SoftRemove, Some(*protected), numbers)
            }
            Act::Purge { .. } => leaving(Mode::Purge, None, numbers),
            Act::Move { site, peer } => {
                Some(Request::Move(MoveNumbers { numbers, site: *site, peer: *peer }))
            }
            Act::Reconnect { .. } | Act::Undo { .. } => {
                let undo_of = if let Act::Undo { order } = self { Some(*order) } else { None };
                let mut back = Back { undo_of, ..Back::default() };
                for number in &numbers {
                    match self.flag_before(*number, world) {
                        Some(true) => back.protect.push(*number),
                        Some(false) => back.unprotect.push(*number),
                        None => {}
                    }
                }
                Some(Request::Activate(Activate {
                    wanted: Wanted::named(numbers),
                    // Each number goes to its own site. Where the order shows one, it is that of the first.
                    site: first?.standing.place()?.site,
                    peer: None,
                    partial_allowed: true,
                    protected: false,
                    back: Some(Box::new(back)),
                }))
            }
            _ => None,
        }
    }

    /// Returns what the protected flag of a number was before the order that is undone, if it is another now.
    fn flag_before(&self, number: Number, world: &World<'_>) -> Option<bool> {
        let history = world.histories.get(&number)?;
        let order = By::Order(world.undone?);
        let event = history.events.iter().rev().find(|event| event.by == order)?;
        let before = history.before(event.seq).ok()??.protected;
        (before != history.entry.protected).then_some(before)
    }

    /// Returns the name that a person gave the order that it becomes, and the client's own id for it.
    #[must_use]
    pub fn label(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Act::Disconnect { name, customer_order_id, .. } => {
                (name.as_deref(), customer_order_id.as_deref())
            }
            Act::Purge { name } | Act::Reconnect { name } => (name.as_deref(), None),
            _ => (None, None),
        }
    }

    /// Judges the act for each of these numbers. What becomes of the others does not matter to a number.
    #[must_use]
    pub fn judge(&self, numbers: &[Number], world: &World<'_>) -> Vec<Judged> {
        let judged = |number: &Number| Judged { number: *number, outcome: self.judge_one(*number, world) };
        numbers.iter().map(judged).collect()
    }

    fn judge_one(&self, number: Number, world: &World<'_>) -> Result<Goes, Refused> {
        let entry = world.entries.get(&number).ok_or(self.not_there())?;
        // An undo is about the numbers that its order took, wherever they are now.
        let owner = world.account.map(|account| account.id).filter(|_| !matches!(self, Act::Undo { .. }));
        if owner.is_some_and(|owner| entry.standing.holder() != Some(owner)) {
            return Err(self.not_there());
        }
        let transition = if self.is_order() {
            self.by_order(entry, world)?
        } else {
            Transition::of(entry, self.change(entry, world)?).map_err(|_| self.not_there())?
        };
        Ok(goes(transition))
    }

    /// Returns the refusal of a number that is not in the state that the act takes.
    fn not_there(&self) -> Refused {
        match self {
            Act::Reconnect { .. } | Act::Undo { .. } | Act::Extend { .. } => Refused::NotAging,
            Act::Keep { .. } | Act::Unkeep | Act::ReleaseEarly { .. } => Refused::NotAging,
            Act::Disconnect { .. } | Act::Purge { .. } | Act::Move { .. } => Refused::NotInService,
            Act::Lock | Act::Unlock | Act::PortOut { .. } | Act::Correct(_) => Refused::NotInService,
            Act::SetAside | Act::PutBack | Act::Restore(_) => Refused::WrongState,
        }
    }

    /// Judges a number as the order would that the act becomes.
    fn by_order(&self, entry: &Entry, world: &World<'_>) -> Result<Transition, Refused> {
        if let Act::Undo { .. } = self {
            may_be_undone(world.histories.get(&entry.number), world.undone)?;
        }
        let (account, premises) = world.account.zip(world.premises).ok_or(self.not_there())?;
        if let (Act::Move { site, peer }, Some(place)) = (self, entry.standing.in_service_on(account.id)) {
            let wanted = premises.place(account.id, *site, *peer).map_err(Refusal::from)?;
            if wanted == place {
                return Err(Refused::AlreadySo);
            }
        }
        let request = self.request(&[entry.number], world).ok_or(self.not_there())?;
        let World { entries, areas, policy, now, .. } = *world;
        let world = decide::World { account, premises, entries, found: &[], areas, policy };
        Ok(judge(&request, entry.number, &world, now)?)
    }

    /// Returns the change of a number by an act that becomes no order.
    fn change(&self, entry: &Entry, world: &World<'_>) -> Result<Change, Refused> {
        let state = entry.state();
        let aging = match entry.standing {
            Standing::Aging { release_at, kept, .. } => Ok((release_at, kept)),
            _ => Err(Refused::NotAging),
        };
        let reason = world.reason.to_owned();
        let history = world.histories.get(&entry.number);
        Ok(match self {
            Act::Lock if entry.locked => return Err(Refused::AlreadySo),
            Act::Lock => Change::Locked { reason },
            Act::Unlock if state == State::InService && !entry.locked => return Err(Refused::AlreadySo),
            Act::Unlock => Change::Unlocked { reason },
            Act::Extend { until, past_ceiling } => {
                let (now_at, _) = aging?;
                let disconnected = history.and_then(History::disconnected);
                let to = match until {
                    Later::ReleaseAt(at) => *at,
                    Later::Days(days) => {
                        // The hold says what its days are. One that came with an import has those of its profile.
                        let calendar = match disconnected {
                            Some((_, hold)) => hold.zone.as_deref().and_then(|zone| TimeZone::get(zone).ok()),
                            None => {
                                let regulated = world.policy.profile(entry.number).regulated;
                                regulated.then(|| world.policy.zone().clone())
                            }
                        };
                        plus_days(now_at, *days, calendar.as_ref())
                    }
                };
                let ceiling = disconnected.and_then(|(at, hold)| hold.ceiling(at));
                if to <= now_at {
                    return Err(Refused::NotLater);
                }
                if !past_ceiling && ceiling.is_some_and(|ceiling| to > ceiling) {
                    return Err(Refused::PastCeiling);
                }
                Change::Extended { release_at: to, reason }
            }
            Act::Keep { until } => {
                let (release_at, kept) = aging?;
                if kept.is_some_and(|kept| kept.until == *until) {
                    return Err(Refused::AlreadySo);
                }
                if until.is_some_and(|until| until <= release_at) {
                    return Err(Refused::NotLater);
                }
                Change::Kept { until: *until }
            }
            Act::Unkeep if aging?.1.is_none() => return Err(Refused::AlreadySo),
            Act::Unkeep => Change::Unkept,
            Act::ReleaseEarly { release_at } => {
                let (now_at, kept) = aging?;
                if kept.is_some() {
                    return Err(Refused::Kept);
                }
                let floor = history.and_then(History::floor_at).ok_or(Refused::FloorUnknown)?;
                let to = release_at.unwrap_or_else(|| floor.max(world.made_at));
                if to < floor {
                    return Err(Refused::UnderFloor);
                }
                if to >= now_at {
                    return Err(Refused::AlreadySo);
                }
                Change::Shortened { release_at: to }
            }
            Act::SetAside if state == State::Administrative => return Err(Refused::AlreadySo),
            Act::SetAside => Change::SetAside,
            Act::PutBack if state == State::Available => return Err(Refused::AlreadySo),
            // A number of another carrier is in nobody's pool but that carrier's.
            Act::PutBack if entry.ported_in => return Err(Refused::WrongState),
            Act::PutBack => Change::PutBack,
            Act::PortOut { .. } if entry.locked => return Err(Refused::Locked),
            Act::PortOut { at: Some(at) } => {
                // It cannot have gone before its present holder had it.
                let had_since = history.and_then(|history| history.had_since().ok()).flatten();
                if had_since.is_none_or(|since| *at < since) {
                    return Err(Refused::NotInService);
                }
                Change::PortedOut { at: *at }
            }
            Act::PortOut { at: None } => Change::PortedOut { at: world.now },
            Act::Restore(restored) => {
                let area = world.places.get(&entry.number).copied().unwrap_or(entry.area);
                let line = restored.line(entry.number);
                let new =
                    line.entry(area, world.premises, None, world.policy).map_err(|bad| refused(&bad))?;
                if entry.standing == new.standing {
                    return Err(Refused::AlreadySo);
                }
                let history = history.ok_or(Refused::WrongState)?;
                let back = import::restore(history, &new, world.policy, world.now);
                return back.map(|transition| transition.change).map_err(|bad| refused(&bad));
            }
            Act::Correct(Correction { ported_in, .. }) => {
                let area = world.places.get(&entry.number).copied().filter(|area| *area != entry.area);
                let ported_in = ported_in.filter(|ported_in| *ported_in != entry.ported_in);
                if area.is_none() && ported_in.is_none() {
                    return Err(Refused::AlreadySo);
                }
                if ported_in == Some(true) && matches!(state, State::Available | State::Reserved) {
                    return Err(Refused::NotInService);
                }
                Change::Corrected { area, ported_in }
            }
            Act::Disconnect { .. }
            | Act::Purge { .. }
            | Act::Reconnect { .. }
            | Act::Undo { .. }
            | Act::Move { .. } => {
                return Err(self.not_there());
            }
        })
    }

    /// Returns the hash of a decision: over the act, the account and, for each number by digits, what happens to it or
    /// why nothing does. Equal decisions have equal hashes. The time of the day does not matter where a hold counts days
    /// of a calendar.
    ///
    /// # Panics
    /// Never: an act can always be written as JSON.
    #[must_use]
    pub fn hash(&self, account: Option<AccountId>, judged: &[Judged]) -> String {
        let act = serde_json::to_string(self).expect("an act is written as JSON");
        let mut text = format!("onhook plan 1\n{act}\n{}\n", said(account));
        for judged in judged {
            text += &judged.line();
            text.push('\n');
        }
        Digest::of(text).to_string()
    }
}

impl Judged {
    /// Returns whether another decision about the same number is equal, as the hash counts it.
    #[must_use]
    pub fn decides_as(&self, other: &Judged) -> bool {
        self.line() == other.line()
    }

    fn line(&self) -> String {
        match &self.outcome {
            Err(why) => format!("{} refused {why}", self.number),
            Ok(goes) => format!("{} goes {}", self.number, goes.line()),
        }
    }
}

impl Goes {
    /// Returns all that the hash of a decision counts of a number that goes.
    pub(super) fn line(&self) -> String {
        let Transition { change, before, after } = &self.transition;
        let place = after.standing.place();
        // A hold that counts no days of a calendar ends at the time of the day at which it began.
        let day = self.release_at.filter(|_| self.days.is_none() || self.by_calendar);
        let fields = [
            before.state().to_string(),
            after.state().to_string(),
            said(self.days),
            said(day),
            said(self.home),
            said(place.map(|place| place.site)),
            said(place.and_then(|place| place.peer)),
            said((after.protected != before.protected).then_some(after.protected)),
            said((after.area != before.area).then_some(after.area.0)),
            change.kind().to_string(),
        ];
        fields.join(" ")
    }
}

fn said(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn goes(transition: Transition) -> Goes {
    let after = transition.after;
    let (days, by_calendar) = match &transition.change {
        Change::Disconnected { hold, .. } => (Some(hold.days), hold.zone.is_some()),
        _ => (None, false),
    };
    let ages = after.state() == State::Aging;
    let release_at = after.standing.ends_at().filter(|_| ages);
    Goes { transition, days, release_at, by_calendar, home: ages.then(|| after.home()) }
}

/// Returns the numbers that an order took out of service, by digits: those that its undoing is about. `None` if it cannot
/// be undone: it is no disconnect that has ended with numbers, or a purge.
#[must_use]
pub fn undoable(order: &Order) -> Option<Vec<Number>> {
    let Request::Disconnect(disconnect) = &order.request else { return None };
    if disconnect.mode == Mode::Purge || !matches!(order.status, Status::Complete | Status::Partial) {
        return None;
    }
    let mut numbers: Vec<Number> = order.done().collect();
    numbers.sort_unstable();
    Some(numbers)
}

/// Returns why a number cannot come back by the undoing of an order, if it cannot.
fn may_be_undone(history: Option<&History>, undone: Option<OrderSeq>) -> Result<(), Refused> {
    let (history, undone) = history.zip(undone).ok_or(Refused::NotAging)?;
    let order = By::Order(undone);
    let mut since = history.events.iter().rev().take_while(|event| event.by != order);
    if !history.events.iter().any(|event| event.by == order) {
        return Err(Refused::NotAging);
    }
    let (mut left, mut back, mut again) = (false, false, false);
    for event in &mut since {
        match event.change {
            Change::Released { .. } | Change::PortedOut { .. } => left = true,
            Change::Reconnected { .. } => back = true,
            Change::Disconnected { .. } | Change::Purged { .. } => again = true,
            _ => {}
        }
    }
    match (left, back, again) {
        (true, ..) => Err(Refused::Released),
        (_, true, true) => Err(Refused::DisconnectedAgain),
        (_, true, false) => Err(Refused::Reconnected),
        _ if history.entry.state() == State::Aging => Ok(()),
        _ => Err(Refused::NotAging),
    }
}

/// Returns why a number cannot be restored as a line of an import says.
fn refused(bad: &BadLine) -> Refused {
    match bad {
        BadLine::TollFree => Refused::TollFreeProtected,
        BadLine::NoSite(_) | BadLine::NoAccount(_) => Refused::NoSite,
        BadLine::NoPeer(_) => Refused::NoPeer,
        BadLine::UnderFloor { .. } => Refused::UnderFloor,
        _ => Refused::WrongState,
    }
}

/// Returns the instant so many days later: at the beginning of a day of the calendar, or after days of 24 hours.
fn plus_days(at: Timestamp, days: u16, calendar: Option<&TimeZone>) -> Timestamp {
    let Some(zone) = calendar else { return at.plus_millis(i64::from(days) * DAY_MS) };
    // A hold ends at the beginning of a day. An end at another time of the day moves to a beginning too.
    match at.date_in(zone).checked_add(jiff::Span::new().days(i64::from(days))) {
        Ok(day) => Timestamp::start_of(day, zone),
        Err(_) => Timestamp::MAX,
    }
}
