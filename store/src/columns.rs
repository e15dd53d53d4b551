//! Numbers and events as columns of whole numbers and texts, the same in every store. Values that fit no number and no
//! event are reported, never guessed at.

use onhook_core::account::Place;
use onhook_core::audit::chain::Seal;
use onhook_core::audit::deed::DeedKind;
use onhook_core::audit::digest::Digest;
use onhook_core::audit::line::{ByKind, Line};
use onhook_core::ids::{AccountId, AreaId, EventSeq, OrderId, OrderSeq, PeerId, PlanId, SiteId};
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::{Entry, Kept, Standing};
use onhook_core::lifecycle::event::{By, Change, Event, EventKind};
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

/// The flag of a number to which nothing has happened since its import.
pub(crate) const UNTOUCHED: u8 = 16;

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

/// An event's columns, with those of its order.
pub(crate) struct LineColumns {
    pub(crate) seq: i64,
    pub(crate) number: Option<Number>,
    pub(crate) prev: Option<i64>,
    pub(crate) at: Timestamp,
    pub(crate) actor: Option<String>,
    pub(crate) detail: serde_json::Value,
    pub(crate) origin: Option<serde_json::Value>,
    pub(crate) under: Provenance,
    pub(crate) kind: Option<String>,
    pub(crate) account: Option<AccountId>,
    pub(crate) states: Option<(u8, u8)>,
    /// The order, who sent it, and under what.
    pub(crate) order: Option<(OrderId, String, Provenance)>,
}

impl LineColumns {
    /// Returns the event as it is shown.
    pub(crate) fn line(self) -> Result<Line> {
        let Self { seq, number, prev, at, actor, detail, origin, under, kind, account, states, order } = self;
        let (kind, mut detail) = match kind {
            Some(kind) => {
                let kind: DeedKind = kind.parse().map_err(|_| corrupt(format!("no kind {kind}")))?;
                (kind.word(), detail)
            }
            None => change_shown(detail)?,
        };
        if let (Some(origin), serde_json::Value::Object(detail)) = (origin, &mut detail) {
            detail.insert("origin".to_owned(), origin);
        }
        let by_order = number.is_some() || kind == DeedKind::OrderHeld.word();
        let id = order.as_ref().map(|(id, ..)| *id);
        let (by, user, under) = match (actor, order) {
            (Some(user), _) => (ByKind::User, Some(user), under),
            (None, Some((_, user, of_order))) if by_order => (ByKind::Order, Some(user), of_order),
            (None, _) if kind == EventKind::Restored.word() => (ByKind::User, None, under),
            (None, _) => (ByKind::Time, None, under),
        };
        Ok(Line {
            seq: EventSeq(seq),
            at,
            kind,
            number,
            account,
            states: states
                .map(|(before, after)| Ok::<_, StoreError>((state_of(before)?, state_of(after)?)))
                .transpose()?,
            by,
            user,
            under,
            order: id,
            prev: prev.map(EventSeq),
            detail,
        })
    }
}

/// Returns the digest of an event at a position.
pub(crate) fn digest_at(position: u64, line: &Line) -> Result<Digest> {
    line.digest(position).ok_or_else(|| corrupt(format!("event {} has no canonical form", line.seq.0)))
}

/// Returns a change's kind, and what is particular to it: the change as it is stored, without its name.
fn change_shown(stored: serde_json::Value) -> Result<(&'static str, serde_json::Value)> {
    use serde_json::Value;
    let (name, detail) = match stored {
        Value::String(name) => (name, Value::Object(serde_json::Map::new())),
        Value::Object(named) => {
            let mut named = named.into_iter();
            match (named.next(), named.next()) {
                (Some((name, detail)), None) => (name, detail),
                _ => return Err(corrupt("an event of a number is no change")),
            }
        }
        _ => return Err(corrupt("an event of a number is no change")),
    };
    let mut word = String::with_capacity(name.len() + 2);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    let kind: EventKind = word.parse().map_err(|_| corrupt(format!("no change is called {name}")))?;
    Ok((kind.word(), detail))
}

/// Returns sequence numbers as bytes.
pub(crate) fn seq_bytes(seqs: impl IntoIterator<Item = EventSeq>) -> Vec<u8> {
    seqs.into_iter().flat_map(|seq| seq.0.to_be_bytes()).collect()
}

/// Returns sequence numbers from their bytes.
pub(crate) fn seqs_of(bytes: &[u8]) -> Vec<EventSeq> {
    bytes.as_chunks().0.iter().map(|chunk| EventSeq(i64::from_be_bytes(*chunk))).collect()
}

/// Returns those of a seal's events that have a position behind this one, and are no later than `to` by sequence number.
pub(crate) fn behind(
    first: i64,
    seqs: &[EventSeq],
    position: u64,
    to: EventSeq,
) -> impl Iterator<Item = EventSeq> {
    let at = (first.unsigned_abs()..).zip(seqs);
    at.filter(move |(at, seq)| *at > position && **seq <= to).map(|(_, seq)| *seq)
}

/// A seal's columns.
pub(crate) struct SealColumns<'a> {
    pub(crate) batch: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) sealed_at: i64,
    pub(crate) digests: [&'a [u8]; 3],
}

impl SealColumns<'_> {
    /// Returns the seal.
    pub(crate) fn seal(&self) -> Result<Seal> {
        let wrong = || corrupt(format!("seal {} cannot be read", self.batch));
        let whole = |value: i64| u64::try_from(value).map_err(|_| wrong());
        let digest = |bytes: &[u8]| Ok::<_, StoreError>(Digest(bytes.try_into().map_err(|_| wrong())?));
        let [root, previous, hash] = self.digests;
        Ok(Seal {
            batch: whole(self.batch)?,
            first: whole(self.first)?,
            last: whole(self.last)?,
            sealed_at: Timestamp::from_millis(self.sealed_at),
            root: digest(root)?,
            previous: digest(previous)?,
            hash: digest(hash)?,
        })
    }
}

/// Returns the digests of events from their bytes.
pub(crate) fn digests_of(bytes: &[u8]) -> Vec<Digest> {
    bytes.as_chunks().0.iter().map(|chunk| Digest(*chunk)).collect()
}

/// Returns the digests of events as bytes.
pub(crate) fn digest_bytes(digests: &[Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| digest.0).collect()
}

/// Returns a whole number as a column.
pub(crate) fn column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
