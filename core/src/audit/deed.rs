//! Deeds: what was done that is no change of a single number. An order was held, a plan was applied, a user was made,
//! numbers were imported.
//!
//! A deed is an event like those of numbers: it has a sequence number of the same kind, is written in the transaction
//! of what it tells, and never changes. What it shows is fixed when it is written, so it holds ids and no names that
//! are looked up later.

use serde_json::{Map, Value, json};

use crate::ids::{AccountId, EventSeq, OrderSeq, PlanId};
use crate::lifecycle::provenance::{Doer, Provenance};
use crate::time::Timestamp;
use crate::words::words;

words! {
    /// The kinds of deeds.
    DeedKind {
        /// A brake holds an order.
        OrderHeld = "order_held",
        /// A person let a held order run.
        OrderApproved = "order_approved",
        /// A person refused a held order.
        OrderRejected = "order_rejected",
        /// Nobody decided on a held order.
        OrderExpired = "order_expired",
        /// A person cancelled an order before it ran.
        OrderCancelled = "order_cancelled",
        /// A second person agreed to a plan.
        PlanApproved = "plan_approved",
        /// A plan was done.
        PlanApplied = "plan_applied",
        /// A brake on disconnects was set.
        BrakeChanged = "brake_changed",
        /// A freeze was set or lifted.
        FreezeChanged = "freeze_changed",
        /// The limits of releases were set, or releases go on.
        ReleaseGateChanged = "release_gate_changed",
        /// Somebody is to be told of something, or is no more.
        NoticesChanged = "notices_changed",
        /// The hold profiles were set.
        PolicyChanged = "policy_changed",
        /// A report was handed in.
        ReportConfirmed = "report_confirmed",
        /// What is known of a block of numbers was set.
        BlockChanged = "block_changed",
        /// Numbers, periods or events were copied out.
        Exported = "exported",
        /// An account was made.
        AccountCreated = "account_created",
        /// An account was changed.
        AccountChanged = "account_changed",
        /// An account was closed.
        AccountClosed = "account_closed",
        /// A closed account was opened again.
        AccountReopened = "account_reopened",
        /// A user was made.
        UserCreated = "user_created",
        /// A user was changed.
        UserChanged = "user_changed",
        /// A user was removed.
        UserRemoved = "user_removed",
        /// A site was made.
        SiteCreated = "site_created",
        /// A site was changed.
        SiteChanged = "site_changed",
        /// A site was removed.
        SiteRemoved = "site_removed",
        /// A peer was made.
        PeerCreated = "peer_created",
        /// A peer was changed.
        PeerChanged = "peer_changed",
        /// A peer was removed.
        PeerRemoved = "peer_removed",
        /// Numbers or exchanges were imported: one deed for the whole import.
        Imported = "imported",
        /// A backup was made.
        BackupMade = "backup_made",
        /// A notification is delivered again.
        DeliveryReplayed = "delivery_replayed",
        /// Settings were changed.
        SettingsChanged = "settings_changed",
        /// A person vouched for the clock.
        ClockTrusted = "clock_trusted",
    }
}

/// Something that was done and is no change of a single number.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// Its kind.
    pub kind: DeedKind,
    /// When it was done. A store may write a later time, never an earlier one.
    pub at: Timestamp,
    /// The account it is about. That account's users see it. `None`: operators alone do.
    pub account: Option<AccountId>,
    /// The order it is about.
    pub order: Option<OrderSeq>,
    /// Who did it. `None`: the server itself, by the rules or by time.
    pub user: Option<String>,
    /// Under what: credential, address, reason and plan.
    pub under: Provenance,
    /// What is particular to it: an object. It never has a password or another secret.
    pub detail: Value,
}

impl Deed {
    /// Returns a deed of a person or program, about nobody, without details.
    #[must_use]
    pub fn by(doer: &Doer, kind: DeedKind) -> Self {
        let Doer { author, now } = doer;
        let (user, under) = (Some(author.user.clone()), author.under.clone());
        Self { kind, at: *now, account: None, order: None, user, under, detail: json!({}) }
    }

    /// Returns a deed of the server itself at `now`, about nobody, without details.
    #[must_use]
    pub fn by_itself(now: Timestamp, kind: DeedKind) -> Self {
        let (account, order, user) = (None, None, None);
        Self { kind, at: now, account, order, user, under: Provenance::default(), detail: json!({}) }
    }

    /// Returns it as a deed about an account.
    #[must_use]
    pub fn about(self, account: impl Into<Option<AccountId>>) -> Self {
        Self { account: account.into(), ..self }
    }

    /// Returns it as a deed about an order.
    #[must_use]
    pub fn order(self, order: OrderSeq) -> Self {
        Self { order: Some(order), ..self }
    }

    /// Returns it as a deed under a plan.
    #[must_use]
    pub fn plan(mut self, plan: PlanId) -> Self {
        self.under.plan = Some(plan);
        self
    }

    /// Returns it with one more detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(detail) = &mut self.detail {
            detail.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Returns it with what it changed, as the details `before` and `after`: null for what was not there before, or is
    /// there no more. Of two objects only the keys that differ are kept, beside `id` and `name`.
    #[must_use]
    pub fn changed(self, before: Value, after: Value) -> Self {
        let (before, after) = match (before, after) {
            (Value::Object(before), Value::Object(after)) => differing(before, after),
            both => both,
        };
        self.with("before", before).with("after", after)
    }
}

/// Returns two objects without the keys that are equal in both, but with `id` and `name`.
fn differing(before: Map<String, Value>, after: Map<String, Value>) -> (Value, Value) {
    let named = |key: &str| matches!(key, "id" | "name");
    let left = |one: &Map<String, Value>, other: &Map<String, Value>| {
        let kept = one.iter().filter(|(key, value)| named(key) || other.get(*key) != Some(*value));
        Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    (left(&before, &after), left(&after, &before))
}

/// A deed as a store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its sequence number.
    pub seq: EventSeq,
    /// The deed.
    pub deed: Deed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::provenance::Author;

    #[test]
    fn a_change_shows_what_differs_and_whose_it_is() {
        let doer = Doer { author: Author::offline(), now: Timestamp::from_millis(5) };
        let deed = Deed::by(&doer, DeedKind::SiteChanged).about(AccountId::new(1));
        let before = json!({"id": "1", "name": "Main", "is_default": false, "kept": 1, "old": true});
        let after = json!({"id": "1", "name": "Main", "is_default": true, "kept": 1, "new": [2]});
        let changed = deed.clone().changed(before.clone(), after);
        assert_eq!(
            changed.detail,
            json!({"before": {"id": "1", "name": "Main", "is_default": false, "old": true},
                   "after": {"id": "1", "name": "Main", "is_default": true, "new": [2]}})
        );
        assert_eq!((changed.user.as_deref(), changed.at), (Some("machine"), doer.now));
        let removed = deed.changed(before.clone(), Value::Null);
        assert_eq!(removed.detail, json!({"before": before, "after": null}));
    }
}
