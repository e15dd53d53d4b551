//! Lines of the audit trail: an event of a number, or a deed, with all that it shows. What a line shows is fixed when
//! its event is written.

use serde_json::{Value, json};

use super::digest::Digest;
use crate::ids::{AccountId, EventSeq, OrderId};
use crate::lifecycle::diagram::State;
use crate::lifecycle::provenance::Provenance;
use crate::number::Number;
use crate::time::Timestamp;
use crate::words::words;

words! {
    /// What made an event happen.
    ByKind {
        /// An order that ran.
        Order = "order",
        /// A person or program.
        User = "user",
        /// Time, or the server by its rules.
        Time = "time",
    }
}

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its sequence number, in the order in which events are written.
    pub seq: EventSeq,
    /// When it happened.
    pub at: Timestamp,
    /// Its kind: the word of an `EventKind` or a `DeedKind`.
    pub kind: &'static str,
    /// The number that it is about, if it is about one.
    pub number: Option<Number>,
    /// The account that it is about.
    pub account: Option<AccountId>,
    /// The number's state before and after.
    pub states: Option<(State, State)>,
    /// What made it happen.
    pub by: ByKind,
    /// Who: of an order's event, who sent the order.
    pub user: Option<String>,
    /// Under what: of an order's event, that of the order.
    pub under: Provenance,
    /// The order.
    pub order: Option<OrderId>,
    /// The number's event before this one, or its import.
    pub prev: Option<EventSeq>,
    /// What is particular to it.
    pub detail: Value,
}

impl Line {
    /// Returns the line as an operator is shown it. `position` is its place in the audit trail, if it has one yet.
    #[must_use]
    pub fn shown(&self, position: Option<u64>) -> Value {
        let Self { under, .. } = self;
        json!({
            "position": position.map(|position| position.to_string()),
            "seq": self.seq.0.to_string(),
            "at": self.at.to_string(),
            "kind": self.kind,
            "number": self.number.map(|number| number.to_string()),
            "account": self.account.map(|account| account.to_string()),
            "before": self.states.map(|(before, _)| before.word()),
            "after": self.states.map(|(_, after)| after.word()),
            "by": {
                "kind": self.by.word(),
                "user": self.user,
                "credential": under.credential.map(|credential| credential.word()),
                "address": under.address,
            },
            "order": self.order.map(|order| order.to_string()),
            "plan": under.plan.map(|plan| plan.to_string()),
            "reason": under.reason,
            "prev": self.prev.map(|prev| prev.0.to_string()),
            "detail": self.detail,
        })
    }

    /// Returns the line as a user of `account` is shown it: with no address but its own, since another one may be an
    /// operator's.
    #[must_use]
    pub fn shown_to(&self, position: Option<u64>, user: &str) -> Value {
        let mut shown = self.shown(position);
        if self.user.as_deref() != Some(user) {
            shown["by"]["address"] = Value::Null;
        }
        shown
    }
}

/// Returns the digest of an event as an operator is shown it: of its form by RFC 8785. `None` for a value that has no
/// such form, which no event is.
#[must_use]
pub fn digest(shown: &Value) -> Option<Digest> {
    serde_json_canonicalizer::to_vec(shown).ok().map(Digest::of)
}

/// Which lines are wanted: those for which all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineFilter {
    /// Only lines of one of these kinds. Empty for all.
    pub kinds: Vec<String>,
    /// Only lines about this number.
    pub number: Option<Number>,
    /// Only lines about this account.
    pub account: Option<AccountId>,
    /// Only lines of this order.
    pub order: Option<OrderId>,
    /// Only lines under this plan.
    pub plan: Option<crate::ids::PlanId>,
    /// Only what happened from this instant on.
    pub from: Option<Timestamp>,
    /// Only what happened before this instant.
    pub until: Option<Timestamp>,
}

impl LineFilter {
    /// Returns whether a line is wanted.
    #[must_use]
    pub fn fits(&self, line: &Line) -> bool {
        (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == line.kind))
            && self.number.is_none_or(|number| line.number == Some(number))
            && self.account.is_none_or(|account| line.account == Some(account))
            && self.order.is_none_or(|order| line.order == Some(order))
            && self.plan.is_none_or(|plan| line.under.plan == Some(plan))
            && self.from.is_none_or(|from| line.at >= from)
            && self.until.is_none_or(|until| line.at < until)
    }
}
