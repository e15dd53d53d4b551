//! A check that reads some rows at a time, while others write.
//!
//! No read lasts for long, so that nothing is kept from being tidied up. What is compared is as of different moments:
//!
//! - Counts are read at one moment, with a mark of the events that had happened by then. The numbers are read later, page
//!   after page, and each is taken back along its events to the mark. So the recount is exactly as of that moment.
//! - A number and its events, an order and what it made, and a row and what it refers to are written together. They are
//!   read together, each page at a moment of its own.
//! - Events never change. Those up to the mark are counted page after page.
//!
//! Rules are asked in `plan::check`. A store reads the pages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::check::{CheckedSubscription, Finding};
use onhook_core::ids::{AccountId, EventSeq, OrderSeq, SubscriptionSeq};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{By, Event};
use onhook_core::lifecycle::history::History;
use onhook_core::order::Order;
use onhook_core::time::Timestamp;

use crate::codes::{state_code, status_code};
use crate::contract::upkeep::{Report, Watch};
use crate::order_ids::OrderIds;
use crate::plan::check::{Broken, Check, Counted, Key, OrderRules};
use crate::plan::counts::Counts;
use crate::{Result, StoreError};

/// Numbers on a page.
pub(crate) const NUMBERS: usize = 1_000;
/// Orders on a page, if they are small.
pub(crate) const ORDERS: usize = 250;
/// Numbers after which a page of orders ends.
pub(crate) const ORDERS_NUMBERS: usize = 5_000;
/// Rows on a page of what refers to other rows.
pub(crate) const ROWS: i64 = 10_000;
/// Events on a page.
pub(crate) const EVENTS: i64 = 50_000;

/// Which events had happened at the moment that counts were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    /// The newest one.
    pub(crate) newest: i64,
    /// Earlier sequence numbers whose transactions had not ended. Empty in a store with one writer.
    pub(crate) absent: HashSet<i64>,
}

impl Mark {
    /// True if this event had happened.
    pub(crate) fn has(&self, seq: EventSeq) -> bool {
        seq.0 <= self.newest && !self.absent.contains(&seq.0)
    }
}

/// Counts of events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Events {
    /// All of them.
    pub(crate) all: u64,
    /// Those that belong to no single number.
    pub(crate) of_no_number: u64,
    /// The numbers that imports brought.
    pub(crate) imported: i64,
}

/// What a check begins with, read at one moment.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    /// Which events had happened.
    pub(crate) mark: Mark,
    /// Up to this event all had happened that ever will. Later ones are in `events`.
    pub(crate) whole_to: i64,
    /// The events after that one which had happened.
    pub(crate) events: Events,
    /// The counts that are kept beside the numbers. A kind that the store does not keep is absent.
    pub(crate) kept: Vec<(Counted, BTreeMap<Key, i64>)>,
    /// Numbers that an import has said it brings, and has not brought yet.
    pub(crate) to_come: i64,
    /// True if an import is being written.
    pub(crate) importing: bool,
    /// About how many orders there are.
    pub(crate) orders: u64,
}

/// Rows of small tables.
#[derive(Debug, Default)]
pub(crate) struct Small {
    /// Counts with their recounts.
    pub(crate) counts: Vec<(Counted, Key, i64, i64)>,
    /// Rows that refer to what is missing.
    pub(crate) broken: Vec<(Broken, i64, Key)>,
    /// Users with their accounts and roles.
    pub(crate) users: Vec<(String, Option<AccountId>, String)>,
}

/// A number as it is read for a check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Its digits.
    pub(crate) digits: i64,
    /// The number now, and its last event.
    pub(crate) row: Result<(Entry, EventSeq)>,
    /// Its history. It may be absent if it is not asked for.
    pub(crate) history: Option<Result<History>>,
}

/// Numbers in the order of their digits.
#[derive(Debug, Default)]
pub(crate) struct NumberPage {
    /// The numbers. After the last page there are none.
    pub(crate) numbers: Vec<Checked>,
    /// Orders that their events name, and that are missing.
    pub(crate) without_order: Vec<OrderSeq>,
}

/// Orders in the order of their sequence numbers, with what follows from them.
#[derive(Debug)]
pub(crate) struct OrderPage {
    /// The orders. After the last page there are none.
    pub(crate) orders: Vec<Order>,
    /// The events that they made of the numbers that went, in the same order.
    pub(crate) made: Vec<(OrderSeq, Event)>,
    /// The subscriptions that are not disabled, by account.
    pub(crate) asked: HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>>,
    /// The notifications of these orders: subscription, order, status.
    pub(crate) told: HashSet<(i64, i64, i64)>,
    /// The time from which every notification is still stored.
    pub(crate) told_from: Timestamp,
    /// The last order up to which every order has run.
    pub(crate) run_to: OrderSeq,
}

/// Where a page of rows begins: behind the row with this key.
pub(crate) type Cursor = (i64, String);

/// Rows that refer to what is missing, among some rows of a table.
#[derive(Debug, Default)]
pub(crate) struct BrokenPage {
    /// How many rows were looked at.
    pub(crate) looked: u64,
    /// Those that refer to what is missing, each with the two figures that [`Broken`] names.
    pub(crate) rows: Vec<(i64, Key)>,
    /// Where to go on. `None` after the last row.
    pub(crate) next: Option<Cursor>,
}

/// The tables whose rows refer to others, and which a store reads page after page.
pub(crate) const LARGE: [Broken; 10] = [
    Broken::Place,
    Broken::Closed,
    Broken::Due,
    Broken::Noted,
    Broken::Account,
    Broken::Outcome,
    Broken::Key,
    Broken::Notification,
    Broken::Told,
    Broken::Attempts,
];

/// What a store reads for a check, each at a moment of its own.
#[async_trait]
pub(crate) trait Pages: Sync {
    /// Returns how ids of orders follow from sequence numbers.
    fn ids(&self) -> &OrderIds;

    /// Returns what a check begins with.
    async fn begin(&self) -> Result<Beginning>;

    /// Returns what small tables say.
    async fn small(&self) -> Result<Small>;

    /// Counts the events after the first and up to the second.
    async fn events(&self, after: i64, to: i64) -> Result<Events>;

    /// Returns the next numbers. Unless `deep`, only those have a history whose last event is not of the mark.
    async fn numbers(&self, after: i64, deep: bool, mark: Arc<Mark>) -> Result<NumberPage>;

    /// Returns the next orders.
    async fn orders(&self, after: i64) -> Result<OrderPage>;

    /// Returns the next rows that refer to what is missing.
    async fn broken(&self, what: Broken, after: Cursor) -> Result<BrokenPage>;
}

/// Checks what is stored. With `alone`, nobody writes. `first` are findings from before.
///
/// # Errors
/// `Conflict` while an import is being written, unless `alone`: what it has brought at one moment cannot be told.
pub(crate) async fn check(
    pages: &impl Pages,
    (deep, alone): (bool, bool),
    first: Vec<Finding>,
    watch: &Watch,
) -> Result<Report> {
    let begun = pages.begin().await?;
    if begun.importing && !alone {
        return Err(StoreError::Conflict("an import is being written: check again when it is done".into()));
    }
    let held = begun.kept.iter().filter(|(of, _)| *of == Counted::Tally).flat_map(|(_, kept)| kept.values());
    let numbers = u64::try_from(held.sum::<i64>()).unwrap_or(0);
    let readable = first.is_empty();
    let mut check = Check::new(numbers, if deep { begun.orders } else { 0 }, watch);
    first.into_iter().for_each(|finding| check.find(finding));
    check.say_progress();
    let Small { counts, broken, users } = pages.small().await?;
    counts.into_iter().for_each(|(of, key, kept, found)| check.count(of, key, kept, found));
    broken.into_iter().for_each(|(what, row, figures)| check.broken(what, row, figures));
    users.iter().for_each(|(name, account, role)| check.user(name, *account, role));
    let orders = rows(pages, &mut check).await?;
    let deep = deep && readable;
    let mut events = begun.events;
    let mut after = 0;
    while after < begun.whole_to {
        let to = begun.whole_to.min(after.saturating_add(EVENTS));
        let some = pages.events(after, to).await?;
        events.all = events.all.saturating_add(some.all);
        events.of_no_number = events.of_no_number.saturating_add(some.of_no_number);
        events.imported = events.imported.saturating_add(some.imported);
        after = to;
    }
    let mark = Arc::new(begun.mark);
    let seen = numbers_in(pages, deep, &mark, &mut check).await?;
    recount(begun.kept, &seen.counts, &mut check)?;
    let there = i64::try_from(seen.numbers).unwrap_or(i64::MAX);
    check.count(Counted::Imported, (0, 0), events.imported.saturating_sub(begun.to_come), there);
    if deep && !check.is_full() {
        check.numbers_end(seen.chained.saturating_add(events.of_no_number), events.all);
        let made = orders_in(pages, &mark, &mut check).await?;
        if seen.whole && made != seen.by_orders && !check.is_full() {
            let by = seen.by_orders;
            let what = format!("{by} of its events name an order, and following the orders finds {made}");
            check.find(Finding::new("the audit trail", what));
        }
    }
    Ok(check.finish(seen.numbers, events.all, orders))
}

/// Looks for rows that refer to what is missing. Returns how many orders there are.
async fn rows(pages: &impl Pages, check: &mut Check<'_>) -> Result<u64> {
    let mut orders = 0;
    for what in LARGE {
        let mut after = Some((i64::MIN, String::new()));
        while let Some(from) = after {
            let page = pages.broken(what, from).await?;
            page.rows.into_iter().for_each(|(row, figures)| check.broken(what, row, figures));
            if what == Broken::Account {
                orders += page.looked;
            }
            after = page.next;
        }
    }
    Ok(orders)
}

/// What was seen of the numbers, as they were at the mark.
#[derive(Debug, Default)]
struct Seen {
    numbers: u64,
    counts: Counts,
    /// Events that were found by following the numbers.
    chained: u64,
    /// Those of them that orders made.
    by_orders: u64,
    /// True if each event led to its number, and to its order if it names one.
    whole: bool,
}

async fn numbers_in(pages: &impl Pages, deep: bool, mark: &Arc<Mark>, check: &mut Check<'_>) -> Result<Seen> {
    let mut seen = Seen { whole: true, ..Seen::default() };
    let mut missing = HashSet::new();
    let mut after = 0;
    loop {
        let NumberPage { numbers, without_order } = pages.numbers(after, deep, mark.clone()).await?;
        let Some(last) = numbers.last() else { return Ok(seen) };
        after = last.digits;
        for Checked { digits, row, history } in numbers {
            if let Some(Ok(life)) = &history {
                let known = life.events.iter().filter(|event| mark.has(event.seq));
                seen.chained += u64::try_from(known.clone().count()).unwrap_or(u64::MAX);
                let by_orders = known.filter(|event| matches!(event.by, By::Order(_)));
                seen.by_orders += u64::try_from(by_orders.count()).unwrap_or(u64::MAX);
            }
            let then = row.as_ref().ok().and_then(|row| at_mark(mark, *row, history.as_ref()));
            if let Some(entry) = then {
                seen.numbers += 1;
                seen.counts.add(&entry);
            }
            match (row, history) {
                (Err(error), _) | (_, Some(Err(error))) => {
                    seen.whole = false;
                    check.number(digits, Err(error));
                }
                (_, Some(Ok(history))) if deep => check.number(digits, Ok(history)),
                _ => check.step(),
            }
        }
        for order in without_order {
            seen.whole = false;
            if missing.len() < crate::plan::check::FINDINGS_MAX && missing.insert(order) {
                check.without_order(order);
            }
        }
    }
}

/// Returns a number as it was at the mark. `None` if it was not there yet, or its past cannot be told.
fn at_mark(
    mark: &Mark,
    (entry, last): (Entry, EventSeq),
    history: Option<&Result<History>>,
) -> Option<Entry> {
    if mark.has(last) {
        return Some(entry);
    }
    let life = history?.as_ref().ok()?;
    let import = life.events.first().map_or(last, |event| event.prev);
    if !mark.has(import) {
        return None;
    }
    let known = life.events.iter().take_while(|event| mark.has(event.seq)).count();
    life.moments().ok()?.get(known).map(|moment| moment.entry)
}

/// Compares the counts that were kept with those of the numbers.
fn recount(kept: Vec<(Counted, BTreeMap<Key, i64>)>, found: &Counts, check: &mut Check<'_>) -> Result<()> {
    let account = |account: Option<AccountId>| account.map_or(0, |id| i64::from(id.get()));
    for (of, kept) in kept {
        let found: BTreeMap<Key, i64> = match of {
            Counted::Tally => found
                .by_account
                .iter()
                .map(|((holder, state), n)| ((account(*holder), i64::from(state_code(*state))), *n))
                .collect(),
            Counted::Supply => {
                found.areas.iter().map(|(area, change)| ((i64::from(area.0), 0), change.supply)).collect()
            }
            Counted::Stock => found
                .stock
                .iter()
                .map(|((npa_nxx, area), n)| ((i64::from(*npa_nxx), i64::from(area.0)), *n))
                .collect(),
            Counted::Due => {
                found.due.iter().map(|((at, holder), n)| ((account(*holder), at.millis()), *n)).collect()
            }
            Counted::InService => found
                .in_service
                .iter()
                .map(|((site, peer), n)| {
                    ((i64::from(site.get()), peer.map_or(0, |peer| i64::from(peer.get()))), *n)
                })
                .collect(),
            Counted::Zips | Counted::Imported | Counted::DefaultSites | Counted::DefaultPeers => continue,
        };
        check.counts(of, kept.into_iter().map(Ok), found.into_iter().map(Ok))?;
    }
    Ok(())
}

/// Checks the orders. Returns how many events of the mark they made.
async fn orders_in(pages: &impl Pages, mark: &Mark, check: &mut Check<'_>) -> Result<u64> {
    let (mut after, mut made) = (i64::MIN, 0);
    loop {
        let page = pages.orders(after).await?;
        let Some(last) = page.orders.last() else { return Ok(made) };
        after = last.seq.0;
        let known = page.made.iter().filter(|(_, event)| mark.has(event.seq));
        made += u64::try_from(known.count()).unwrap_or(u64::MAX);
        let OrderPage { orders, made, asked, told, told_from, run_to } = page;
        let rules = OrderRules { ids: pages.ids(), asked, told_from, run_to };
        let notified = |subscription: SubscriptionSeq, order: &Order| {
            Ok(told.contains(&(subscription.0, order.seq.0, status_code(order.status).into())))
        };
        check.orders(&rules, orders.into_iter().map(Ok), made.into_iter().map(Ok), notified)?;
        if check.is_full() {
            return Ok(0);
        }
    }
}

/// Returns those of the orders that belong on one page: as many as have a bounded number of numbers together.
pub(crate) fn page_of_orders(orders: Vec<Order>) -> Vec<Order> {
    let mut numbers = 0;
    let mut page = Vec::with_capacity(orders.len());
    for order in orders {
        numbers += order.request.quantity().max(1);
        page.push(order);
        if numbers >= ORDERS_NUMBERS {
            break;
        }
    }
    page
}

/// Returns the events that orders made of these numbers, in the order of the orders and then of the events. `lives` has
/// the histories of their numbers.
pub(crate) fn made_by<'a>(
    orders: &[Order],
    lives: impl IntoIterator<Item = &'a History>,
) -> Vec<(OrderSeq, Event)> {
    let wanted: HashSet<OrderSeq> = orders.iter().map(|order| order.seq).collect();
    let events = lives.into_iter().flat_map(|life| &life.events);
    let mut made: Vec<(OrderSeq, Event)> = events
        .filter_map(|event| match event.by {
            By::Order(seq) if wanted.contains(&seq) => Some((seq, event.clone())),
            _ => None,
        })
        .collect();
    made.sort_by_key(|(order, event)| (*order, event.seq));
    made
}

/// Returns the orders that events of these numbers name.
pub(crate) fn orders_of<'a>(lives: impl IntoIterator<Item = &'a History>) -> Vec<i64> {
    let events = lives.into_iter().flat_map(|life| &life.events);
    let named = events.filter_map(|event| match event.by {
        By::Order(seq) => Some(seq.0),
        _ => None,
    });
    let named: HashSet<i64> = named.collect();
    named.into_iter().collect()
}
