//! Numbers and events as columns of whole numbers and texts, the same in every store. Values that fit no number and no
//! event are reported, never guessed at.

use onhook_core::account::Place;
use onhook_core::ids::{AccountId, AreaId, OrderSeq, PeerId, PlanId, SiteId};
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::{Entry, Kept, Standing};
use onhook_core::lifecycle::event::{By, Change, Event};
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::number::Number;
use onhook_core::order::decided::Decisions;
use onhook_core::order::plan::{KeptPlan, PlanState};
use onhook_core::time::Timestamp;

use crate::codes::{credential_code, credential_of, state_code, state_of};
use crate::error::corrupt;
use crate::{Result, StoreError};

const PROTECTED: u8 = 1;

const PORTED_IN: u8 = 2;

const LOCKED: u8 = 4;

const LEAVES: u8 = 8;

const UNTOUCHED: u8 = 16;

const KEPT: u8 = 32;

/// The flags that decide where a number goes after aging.
pub(crate) const HOME_FLAGS: u8 = PROTECTED | PORTED_IN | LEAVES;

/// Returns where an aging number with these flags goes.
pub(crate) fn home_of(flags: u8) -> Home {
    Home::of(flags & PORTED_IN != 0, flags & LEAVES != 0, flags & PROTECTED != 0)
}

/// A number's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberColumns {
    pub(crate) number: Number,
    pub(crate) state: u8,
    pub(crate) holder: Option<AccountId>,
    pub(crate) site: Option<SiteId>,
    pub(crate) peer: Option<PeerId>,
    pub(crate) area: AreaId,
    pub(crate) flags: u8,
    /// When time alone changes it: the end of a reservation, of the hold, or of a later keep.
    pub(crate) due_at: Option<Timestamp>,
    /// Of a kept number: the end of its hold.
    pub(crate) release_at: Option<Timestamp>,
    /// Of a kept number: when the keep ends by itself, if it does.
    pub(crate) kept_until: Option<Timestamp>,
}

impl NumberColumns {
    /// Returns the columns of a number. `untouched` is true while nothing has happened to it since its import.
    pub(crate) fn of(entry: &Entry, untouched: bool) -> Self {
        let leaves = matches!(entry.standing, Standing::Aging { leaves: true, .. });
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let place = entry.standing.place();
        let kept = entry.standing.kept();
        Self {
            number: entry.number,
            state: state_code(entry.state()),
            holder: entry.standing.holder(),
            site: place.map(|place| place.site),
            peer: place.and_then(|place| place.peer),
            area: entry.area,
            flags: flag(entry.protected, PROTECTED)
                | flag(entry.ported_in, PORTED_IN)
                | flag(entry.locked, LOCKED)
                | flag(leaves, LEAVES)
                | flag(untouched, UNTOUCHED)
                | flag(kept.is_some(), KEPT),
            due_at: entry.standing.due_at(),
            release_at: kept.and_then(|_| entry.standing.ends_at()),
            kept_until: kept.and_then(|kept| kept.until),
        }
    }

    /// Returns the number, and whether it is untouched since its import.
    pub(crate) fn entry(&self) -> Result<(Entry, bool)> {
        let Self { number, holder, site, peer, flags, due_at, release_at, kept_until, .. } = *self;
        let kept = (flags & KEPT != 0).then_some(Kept { until: kept_until });
        let wrong = || corrupt(format!("the row of {} lacks what its state needs", number.masked()));
        let place = || {
            let (account, site) = (holder.ok_or_else(wrong)?, site.ok_or_else(wrong)?);
            Ok::<_, StoreError>(Place { account, site, peer })
        };
        let standing = match state_of(self.state)? {
            State::Available => Standing::Available,
            State::Administrative => Standing::Administrative,
            State::Removed => Standing::Removed,
            State::Protected => Standing::Protected { account: holder.ok_or_else(wrong)? },
            State::InService => Standing::InService { place: place()? },
            State::Reserved => {
                Standing::Reserved { account: holder.ok_or_else(wrong)?, until: due_at.ok_or_else(wrong)? }
            }
            State::Aging => Standing::Aging {
                former: place()?,
                release_at: if kept.is_some() { release_at } else { due_at }.ok_or_else(wrong)?,
                leaves: flags & LEAVES != 0,
                kept,
            },
        };
        let entry = Entry {
            number,
            standing,
            area: self.area,
            protected: flags & PROTECTED != 0,
            ported_in: flags & PORTED_IN != 0,
            locked: flags & LOCKED != 0,
        };
        Ok((entry, flags & UNTOUCHED != 0))
    }
}

/// Returns who made an event happen, as its columns for an order and an actor.
pub(crate) fn by_columns(by: &By) -> (Option<i64>, Option<&str>) {
    match by {
        By::Order(order) => (Some(order.0), None),
        By::User(user) => (None, Some(user)),
        By::Time | By::Import => (None, None),
    }
}

/// Returns who made a change happen, from the columns for an order and an actor.
pub(crate) fn by_of(order: Option<i64>, actor: Option<String>, change: &Change) -> By {
    match (order, actor) {
        (Some(order), _) => By::Order(OrderSeq(order)),
        (None, Some(user)) => By::User(user),
        (None, None) if matches!(change, Change::Restored { .. }) => By::Import,
        (None, None) => By::Time,
    }
}

/// Under what something was done, as columns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnderColumns<'a> {
    pub(crate) credential: Option<u8>,
    pub(crate) address: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) plan: Option<uuid::Uuid>,
}

impl<'a> UnderColumns<'a> {
    pub(crate) fn of(under: &'a Provenance) -> Self {
        Self {
            credential: under.credential.map(credential_code),
            address: under.address.as_deref(),
            reason: under.reason.as_deref(),
            plan: under.plan.map(|plan| plan.0),
        }
    }

    pub(crate) fn provenance(self) -> Result<Provenance> {
        let Self { credential, address, reason, plan } = self;
        Ok(Provenance {
            credential: credential.map(credential_of).transpose()?,
            address: address.map(Into::into),
            reason: reason.map(Into::into),
            plan: plan.map(PlanId),
        })
    }
}

/// A plan's columns.
#[derive(Clone, Debug)]
pub(crate) struct PlanColumns<'a> {
    pub(crate) act: &'static str,
    pub(crate) account: Option<i64>,
    pub(crate) series: Option<&'a str>,
    pub(crate) maker: &'a str,
    pub(crate) state: i64,
    pub(crate) two_persons: bool,
    pub(crate) approved: bool,
    pub(crate) made_at: i64,
    pub(crate) expires_at: i64,
    /// All of it but its decisions.
    pub(crate) body: String,
    pub(crate) decisions: String,
}

impl<'a> PlanColumns<'a> {
    pub(crate) fn of(plan: &'a KeptPlan) -> Result<Self> {
        Ok(Self {
            act: plan.act.word(),
            account: plan.account.map(|account| account.get().into()),
            series: plan.series.as_deref(),
            maker: &plan.made.user,
            state: plan
                .ended
                .as_ref()
                .map_or(0, |(state, _)| if *state == PlanState::Applied { 1 } else { 2 }),
            two_persons: plan.two_persons,
            approved: plan.is_approved(),
            made_at: plan.made.at.millis(),
            expires_at: plan.expires_at.millis(),
            body: serde_json::to_string(plan)?,
            decisions: serde_json::to_string(&plan.decisions)?,
        })
    }
}

/// Returns a plan from its columns. Without the decisions, it has none.
pub(crate) fn plan_of(body: &str, decisions: Option<&str>) -> Result<KeptPlan> {
    let plan: KeptPlan = serde_json::from_str(body)?;
    let decisions: Option<Decisions> = decisions.map(serde_json::from_str).transpose()?;
    Ok(KeptPlan { decisions: decisions.unwrap_or_default(), ..plan })
}

/// Returns the WHERE of plans in a state, with `now` as the instant of a statement.
pub(crate) fn in_state(state: PlanState, now: &str) -> String {
    match state {
        PlanState::Open => format!("state = 0 AND expires_at > {now}"),
        PlanState::Expired => format!("state = 0 AND expires_at <= {now}"),
        PlanState::Applied => "state = 1".to_owned(),
        PlanState::Withdrawn => "state = 2".to_owned(),
    }
}

/// Returns the history of a number, from its events, newest first, and the import before them.
///
/// # Errors
/// `Broken` if its first event does not have the number as it was imported.
pub(crate) fn history_of(entry: Entry, imported_at: Timestamp, mut events: Vec<Event>) -> Result<History> {
    events.reverse();
    let origin = match events.first() {
        None => entry,
        Some(first) => {
            first.origin.ok_or_else(|| corrupt(format!("event {} lacks the origin", first.seq.0)))?
        }
    };
    Ok(History { entry, origin, imported_at, events })
}
