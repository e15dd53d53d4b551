//! Lines of the audit trail: an event of a number, or a deed, with all that it shows. What a line shows is fixed when
//! its event is written.

use std::fmt::Display;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::canonical::{canonical, is_plain, written};
use super::digest::Digest;
use crate::ids::{AccountId, EventSeq, OrderId, PlanId};
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
        json!(self.written(position))
    }

    /// Returns the digest of the line as an operator is shown it at its position: of its form by RFC 8785. `None` for a
    /// line that has no such form, which no event is.
    #[must_use]
    pub fn digest(&self, position: u64) -> Option<Digest> {
        if is_plain(&self.detail) {
            written(&self.written(Some(position))).map(Digest::of)
        } else {
            digest(&self.shown(Some(position)))
        }
    }

    fn written(&self, position: Option<u64>) -> Shown<'_> {
        let Self { under, .. } = self;
        Shown {
            account: self.account.map(Text),
            after: self.states.map(|(_, after)| after.word()),
            at: Text(self.at),
            before: self.states.map(|(before, _)| before.word()),
            by: ShownBy {
                address: under.address.as_deref(),
                credential: under.credential.map(|credential| credential.word()),
                kind: self.by.word(),
                user: self.user.as_deref(),
            },
            detail: &self.detail,
            kind: self.kind,
            number: self.number.map(Text),
            order: self.order.map(Text),
            plan: under.plan.map(Text),
            position: position.map(Text),
            prev: self.prev.map(|prev| Text(prev.0)),
            reason: under.reason.as_deref(),
            seq: Text(self.seq.0),
        }
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

/// A line as it is shown. The members are in the order of their names, as RFC 8785 has them.
#[derive(Serialize)]
struct Shown<'a> {
    account: Option<Text<AccountId>>,
    after: Option<&'static str>,
    at: Text<Timestamp>,
    before: Option<&'static str>,
    by: ShownBy<'a>,
    detail: &'a Value,
    kind: &'static str,
    number: Option<Text<Number>>,
    order: Option<Text<OrderId>>,
    plan: Option<Text<PlanId>>,
    position: Option<Text<u64>>,
    prev: Option<Text<i64>>,
    reason: Option<&'a str>,
    seq: Text<i64>,
}

/// What made an event happen, as it is shown; as [`Shown`].
#[derive(Serialize)]
struct ShownBy<'a> {
    address: Option<&'a str>,
    credential: Option<&'static str>,
    kind: &'static str,
    user: Option<&'a str>,
}

/// What is shown as its text.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Returns the digest of an event as an operator is shown it: of its form by RFC 8785. `None` for a value that has no
/// such form, which no event is.
#[must_use]
pub fn digest(shown: &Value) -> Option<Digest> {
    canonical(shown).map(Digest::of)
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
    pub plan: Option<PlanId>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::provenance::Credential;

    fn line() -> Line {
        Line {
            seq: EventSeq(7),
            at: Timestamp::from_millis(1_700_000_000_123),
            kind: "disconnected",
            number: Some("5405514342".parse().unwrap()),
            account: Some(AccountId::new(9_900_000).unwrap()),
            states: Some((State::InService, State::Aging)),
            by: ByKind::User,
            user: Some("ops \"é\u{1f600}\"".to_owned()),
            under: Provenance {
                credential: Some(Credential::Socket),
                address: Some("uid 0".into()),
                reason: Some("a line\nand\u{1}another".into()),
                plan: Some(PlanId(uuid::Uuid::from_u128(5))),
            },
            order: Some(OrderId(uuid::Uuid::from_u128(6))),
            prev: Some(EventSeq(3)),
            detail: json!({ "hold": { "days": 45, "demand": 0.30000000000000004, "supply": 1e21 }, "leaves": true }),
        }
    }

    #[test]
    fn the_digest_of_a_line_is_that_of_what_is_shown() {
        let bare =
            Line { number: None, account: None, states: None, user: None, order: None, prev: None, ..line() };
        let bare = Line { under: Provenance::default(), ..bare };
        let foreign = Line { detail: json!({ "\u{e000}": 1, "\u{1f600}": u64::MAX }), ..line() };
        for line in [line(), bare, foreign] {
            let expected = serde_json_canonicalizer::to_vec(&line.shown(Some(12))).unwrap();
            assert_eq!(line.digest(12), Some(Digest::of(expected)), "{line:?}");
        }
    }
}
