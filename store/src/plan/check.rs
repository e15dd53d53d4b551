//! The check: a store feeds what it holds, row after row, and the findings gather here.
//!
//! Rows are fed in the order of their keys, so that two lists are compared side by side and neither is ever in memory
//! as a whole. `core::check` judges single numbers and orders.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use onhook_core::account::Role;
use onhook_core::account::user::fits;
use onhook_core::check::{self, CheckedSubscription, Finding};
use onhook_core::ids::{AccountId, OrderSeq, SubscriptionSeq};
use onhook_core::lifecycle::event::Event;
use onhook_core::lifecycle::history::History;
use onhook_core::order::{Order, Status};
use onhook_core::time::Timestamp;

use crate::Result;
use crate::codes::state_of;
use crate::contract::upkeep::{Progress, Report, Watch};
use crate::order_ids::OrderIds;

/// Most findings in a report.
pub(crate) const FINDINGS_MAX: usize = 1_000;

/// Numbers and orders that are checked between two reports of progress.
const STRIDE: u64 = 10_000;

/// The key of a count, as stored. 0 stands for no account and for no peer.
pub type Key = (i64, i64);

/// A count that is kept, and that a recount must equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Numbers of an account in a state.
    Tally,
    /// Numbers of a holder that are due at an instant.
    Due,
    /// Numbers in service at a site, and at one of its peers.
    InService,
    /// Pool numbers of an exchange (six digits) and area.
    Stock,
    /// Pool numbers of an area.
    Supply,
    /// ZIP codes of an exchange, and those by which searches find it.
    Zips,
    /// Numbers that imports brought, and all numbers. Only imports bring new ones.
    Imported,
    /// Default sites of an account that has sites: one.
    DefaultSites,
    /// Default peers of a site that has peers: one.
    DefaultPeers,
}

impl Counted {
    fn finding(self, (one, two): Key, kept: i64, found: i64) -> Finding {
        let holder = || match one {
            0 => "numbers without an account".to_owned(),
            account => format!("numbers of account {account}"),
        };
        let there = || format!("the kept count is {kept}, and there are {found}");
        let (at, what) = match self {
            Counted::Tally => {
                let state = u8::try_from(two).ok().and_then(|code| state_of(code).ok());
                let state = state.map_or_else(|| two.to_string(), |state| state.to_string());
                (format!("{} in state {state}", holder()), there())
            }
            Counted::Due => {
                (format!("{} that are due at {}", holder(), Timestamp::from_millis(two)), there())
            }
            Counted::InService => (
                match two {
                    0 => format!("site {one} without a peer"),
                    peer => format!("site {one}, peer {peer}"),
                },
                format!("the kept count of numbers in service there is {kept}, and there are {found}"),
            ),
            Counted::Stock => (
                format!("exchange {one} in area {two}"),
                format!("the kept count of its pool numbers is {kept}, and there are {found}"),
            ),
            Counted::Supply => (
                format!("area {one}"),
                format!("its kept supply is {kept}, and the pool has {found} of its numbers"),
            ),
            Counted::Zips => (
                format!("exchange {one}"),
                format!("it has {kept} ZIP codes, and searches find it by {found}"),
            ),
            Counted::Imported => {
                ("the store".to_owned(), format!("its imports brought {kept} numbers, and there are {found}"))
            }
            Counted::DefaultSites => {
                (format!("account {one}"), format!("it needs {kept} default site, and has {found}"))
            }
            Counted::DefaultPeers => {
                (format!("site {one}"), format!("it needs {kept} default peer, and has {found}"))
            }
        };
        Finding::new(at, what)
    }
}

/// A row that refers to what is missing, or to what it does not go with. A store looks for such rows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An exchange, and its rate center, which is missing.
    Exchange,
    /// A number in service, its site, and its account: the site, or the peer, is another account's or missing.
    Place,
    /// A peer, its account, and its site's account, which is another one or missing.
    Peer,
    /// A number in service, and its account, which is closed.
    Closed,
    /// An order, and its account, which is missing.
    Account,
    /// An outcome whose order is missing.
    Outcome,
    /// An account with an idempotency key, and the order of that, which the account has not.
    Key,
    /// A notification, and its order, which is missing or of another account than its subscription. Or it waits, and
    /// its subscription is missing.
    Notification,
    /// A notification of an order's end in a status that the order has not.
    Told,
    /// A number with an instant at which time changes it, which nothing notes.
    Due,
    /// A number, the instant that is noted as the one at which time changes it, and the right one, which is another, or 0 for none.
    Noted,
    /// A notification, the attempts that it has had, and those in its log, which are more or fewer. Or it is delivered
    /// without any.
    Attempts,
}

impl Broken {
    fn finding(self, row: i64, (one, two): Key) -> Finding {
        let (at, what) = match self {
            Broken::Exchange => {
                (format!("exchange {row}"), format!("it lies in rate center {one}, which is missing"))
            }
            Broken::Place => (
                format!("+{row}"),
                format!("it is at site {one}, or at a peer of it, that its account {two} does not have"),
            ),
            Broken::Peer => {
                (format!("peer {row}"), format!("it belongs to account {one}, and its site to {two}"))
            }
            Broken::Closed => {
                (format!("+{row}"), format!("it is in service, and its account {one} is closed"))
            }
            Broken::Account => {
                (format!("order {row}"), format!("it belongs to account {one}, which is missing"))
            }
            Broken::Outcome => (format!("order {row}"), "it has an outcome, but is missing".to_owned()),
            Broken::Key => (
                format!("account {row}"),
                format!("it has an idempotency key for order {one}, which it does not have"),
            ),
            Broken::Notification => (
                format!("notification {row}"),
                format!(
                    "order {one}, which it tells of, is missing, or it has no subscription that it could be for"
                ),
            ),
            Broken::Told => {
                (format!("notification {row}"), "it tells of a status that its order has not".to_owned())
            }
            Broken::Due => (
                format!("+{row}"),
                format!("it is due at {}, and nothing notes that", Timestamp::from_millis(one)),
            ),
            Broken::Noted => {
                let due = match two {
                    0 => "never due".to_owned(),
                    at => format!("due at {}", Timestamp::from_millis(at)),
                };
                (
                    format!("+{row}"),
                    format!("it is noted as due at {}, and is {due}", Timestamp::from_millis(one)),
                )
            }
            Broken::Attempts => (
                format!("notification {row}"),
                format!("it says that {one} attempts at a delivery were made, and {two} are kept"),
            ),
        };
        Finding::new(at, what)
    }
}

/// What the check of orders goes by, loaded from the store.
pub(crate) struct OrderRules<'a> {
    /// How ids follow from sequence numbers.
    pub(crate) ids: &'a OrderIds,
    /// The subscriptions that are not disabled, by account.
    pub(crate) asked: HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>>,
    /// The time from which every notification is still stored.
    pub(crate) told_from: Timestamp,
    /// The last order up to which every order has run.
    pub(crate) run_to: OrderSeq,
}

/// A check under way.
pub struct Check<'a> {
    watch: &'a Watch,
    progress: Progress,
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    /// Begins a check of about so many numbers and orders.
    #[must_use]
    pub fn new(numbers: u64, orders: u64, watch: &'a Watch) -> Self {
        let total = numbers.saturating_add(orders);
        Self { watch, progress: Progress { done: 0, total }, findings: Vec::new() }
    }

    /// Notes a finding. Those beyond the most that a report has are dropped.
    pub fn find(&mut self, finding: Finding) {
        if !self.is_full() {
            self.findings.push(finding);
        }
    }

    /// True if the report has the most findings. A store then need not feed more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    /// Returns the report on so many numbers, events and orders.
    #[must_use]
    pub fn finish(mut self, numbers: u64, events: u64, orders: u64) -> Report {
        self.progress.total = self.progress.done;
        self.say_progress();
        Report { findings: self.findings, numbers, events, orders }
    }

    /// Reports the progress so far.
    pub fn say_progress(&self) {
        (self.watch)(self.progress);
    }

    /// Notes that one more number or order has been looked at.
    pub fn step(&mut self) {
        self.progress.done += 1;
        self.progress.total = self.progress.total.max(self.progress.done);
        if self.progress.done.is_multiple_of(STRIDE) {
            self.say_progress();
        }
    }

    /// Compares one count with its recount.
    pub fn count(&mut self, of: Counted, key: Key, kept: i64, found: i64) {
        if kept != found {
            self.find(of.finding(key, kept, found));
        }
    }

    /// Compares counts with their recounts, both in the order of their keys. One that is missing is zero.
    ///
    /// # Errors
    /// As the iterators.
    pub fn counts(
        &mut self,
        of: Counted,
        kept: impl IntoIterator<Item = Result<(Key, i64)>>,
        found: impl IntoIterator<Item = Result<(Key, i64)>>,
    ) -> Result<()> {
        let (mut kept, mut found) = (kept.into_iter(), found.into_iter());
        let (mut left, mut right) = (kept.next().transpose()?, found.next().transpose()?);
        loop {
            let (key, first) = match (left, right) {
                (None, None) => return Ok(()),
                (Some((key, _)), None) => (key, Ordering::Less),
                (None, Some((key, _))) => (key, Ordering::Greater),
                (Some((one, _)), Some((other, _))) => (one.min(other), one.cmp(&other)),
            };
            let numbers = |side: Option<(Key, i64)>| side.map_or(0, |(_, numbers)| numbers);
            let has = if first == Ordering::Greater { 0 } else { numbers(left) };
            let is = if first == Ordering::Less { 0 } else { numbers(right) };
            self.count(of, key, has, is);
            if first != Ordering::Greater {
                left = kept.next().transpose()?;
            }
            if first != Ordering::Less {
                right = found.next().transpose()?;
            }
        }
    }

    /// Notes a row that refers to what is missing: its id, and the two figures that [`Broken`] names, 0 for none.
    pub fn broken(&mut self, what: Broken, row: i64, figures: Key) {
        self.find(what.finding(row, figures));
    }

    /// Checks that a user has an account, or none, as its role says.
    pub fn user(&mut self, name: &str, account: Option<AccountId>, role: &str) {
        if !role.parse::<Role>().is_ok_and(|role| fits(account, role)) {
            let what =
                "its role does not go with its account (an operator has none, and every other user has one)";
            self.find(Finding::new(format!("user {name}"), what));
        }
    }

    /// Checks that a number is what its events make of it. `history` is an error if its rows cannot be read.
    pub fn number(&mut self, digits: impl fmt::Display, history: Result<History>) {
        self.step();
        match history {
            Ok(History { entry, origin, imported_at, events }) => {
                for finding in check::number(&entry, &origin, imported_at, &events) {
                    self.find(finding);
                }
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
                self.find(Finding::new(format!("+{digits}"), cause));
            }
        }
    }

    /// Checks, after all numbers, that each event has its number: that as many were found by following the numbers as
    /// there are.
    pub fn numbers_end(&mut self, chained: u64, events: u64) {
        if chained != events {
            let what = format!("it has {events} events, and following the numbers finds {chained}");
            self.find(Finding::new("the audit trail", what));
        }
    }

    /// Notes that events name an order that is missing.
    pub fn without_order(&mut self, seq: OrderSeq) {
        self.find(without_order(seq));
    }

    /// Checks that each order's outcome fits its numbers, that its events fit its outcome, and that its subscribers
    /// were told. Orders and events are in the order of the orders' sequence numbers. `notified` returns whether a
    /// subscription has a notification of the order's status.
    ///
    /// # Errors
    /// As the iterators and `notified`.
    pub(crate) fn orders(
        &mut self,
        rules: &OrderRules<'_>,
        orders: impl IntoIterator<Item = Result<Order>>,
        events: impl IntoIterator<Item = Result<(OrderSeq, Event)>>,
        mut notified: impl FnMut(SubscriptionSeq, &Order) -> Result<bool>,
    ) -> Result<()> {
        let mut events = events.into_iter();
        let mut next = events.next().transpose()?;
        for order in orders {
            self.step();
            let order = order?;
            let mut made = Vec::new();
            while let Some((seq, event)) = next.take_if(|(seq, _)| *seq <= order.seq) {
                if seq == order.seq {
                    made.push(event);
                } else {
                    self.find(without_order(seq));
                }
                next = events.next().transpose()?;
            }
            for finding in check::order(&order, &made) {
                self.find(finding);
            }
            let asked = rules.asked.get(&order.account).filter(|_| order.changed_at >= rules.told_from);
            for (subscription, asked) in asked.into_iter().flatten() {
                let notified = notified(*subscription, &order)?;
                if let Some(finding) = check::notification(&order, asked, notified) {
                    self.find(finding);
                }
            }
            let mut find = |what: String| self.find(Finding::new(format!("order {}", order.id), what));
            if rules.ids.seq(order.id) != Some(order.seq) {
                find(format!("its id leads to another sequence number than {}", order.seq.0));
            }
            if order.status == Status::Received && order.seq <= rules.run_to {
                find("is RECEIVED, but lies before the orders that will be run".to_owned());
            }
            if self.is_full() {
                return Ok(());
            }
        }
        while let Some((seq, _)) = next {
            self.find(without_order(seq));
            next = events.next().transpose()?;
        }
        Ok(())
    }
}

fn without_order(seq: OrderSeq) -> Finding {
    Finding::new(format!("order {}", seq.0), "has events, but is missing")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use onhook_core::ids::EventSeq;
    use onhook_core::lifecycle::event::{By, Change};
    use onhook_core::lifecycle::provenance::Provenance;
    use onhook_core::number::Number;
    use onhook_core::order::{Disconnect, Mode, Request};

    use super::*;

    fn found(feed: impl FnOnce(&mut Check<'_>)) -> Vec<String> {
        let watch: Watch = Arc::new(|_| {});
        let mut check = Check::new(0, 0, &watch);
        feed(&mut check);
        check.finish(0, 0, 0).findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn counts_are_compared_side_by_side_and_what_is_missing_is_zero() {
        let rows = |rows: &[(i64, i64, i64)]| {
            let rows: Vec<_> = rows.iter().map(|(one, two, n)| Ok(((*one, *two), *n))).collect();
            rows
        };
        let kept = rows(&[(0, 0, 300), (1, 2, 8), (1, 3, 0), (2, 3, 5)]);
        let recounted = rows(&[(0, 0, 300), (1, 1, 4), (1, 2, 7), (3, 2, 1)]);
        let said = found(|check| check.counts(Counted::Tally, kept, recounted).unwrap());
        assert_eq!(
            said,
            [
                "numbers of account 1 in state Reserved: the kept count is 0, and there are 4",
                "numbers of account 1 in state InService: the kept count is 8, and there are 7",
                "numbers of account 2 in state Aging: the kept count is 5, and there are 0",
                "numbers of account 3 in state InService: the kept count is 0, and there are 1",
            ]
        );
    }

    #[test]
    fn a_report_has_only_so_many_findings() {
        let numbers = (0..).take(FINDINGS_MAX + 5);
        let said = found(|check| numbers.for_each(|n| check.count(Counted::Supply, (n, 0), 1, 2)));
        assert_eq!(said.len(), FINDINGS_MAX);
    }

    #[test]
    fn events_go_to_their_orders_and_those_without_one_are_found() {
        let ids = OrderIds::new([1; 16], [2; 9]);
        let number: Number = "+15405514342".parse().unwrap();
        let order = |seq| Order {
            seq: OrderSeq(seq),
            id: ids.id(OrderSeq(seq)),
            account: AccountId::new(1).unwrap(),
            user: "username".into(),
            name: None,
            customer_order_id: None,
            created_at: Timestamp::default(),
            changed_at: Timestamp::default(),
            request: Request::Disconnect(Disconnect {
                numbers: vec![number],
                mode: Mode::Normal,
                protected: None,
                reason: None,
            }),
            status: Status::Received,
            failed: Vec::new(),
            taken: Vec::new(),
            refused: None,
            peers: Vec::new(),
            origin: None,
            under: Provenance::default(),
        };
        let event = |of| {
            let (seq, prev, by) = (EventSeq(of), EventSeq(0), By::Order(OrderSeq(of)));
            let at = Timestamp::default();
            let change = Change::Unreserved;
            Ok((
                OrderSeq(of),
                Event { seq, number, prev, at, change, by, under: Provenance::default(), origin: None },
            ))
        };
        let rules = OrderRules {
            ids: &ids,
            asked: HashMap::new(),
            told_from: Timestamp::default(),
            run_to: OrderSeq(1),
        };
        let said = found(|check| {
            let orders = [2, 4, 6].map(|seq| Ok(order(seq)));
            check.orders(&rules, orders, [1, 4, 5, 9].map(event), |_, _| Ok(true)).unwrap();
        });
        let id = ids.id(OrderSeq(4));
        assert_eq!(
            said,
            [
                "order 1: has events, but is missing".to_owned(),
                format!("order {id}: says that 0 of its numbers went, and has 1 events"),
                format!("order {id}: event 4 is nothing that it could have done"),
                "order 5: has events, but is missing".to_owned(),
                "order 9: has events, but is missing".to_owned(),
            ]
        );
    }
}
