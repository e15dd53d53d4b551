//! What is done inside the writer's transaction: load, ask `core`, save.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use onhook_core::account::{Account, Premises};
use onhook_core::clock::Seen;
use onhook_core::ids::EventSeq;
use onhook_core::ids::{AccountId, SiteId};
use onhook_core::ids::{OrderId, OrderSeq};
use onhook_core::import::{self, BadLine, Intake, NewNumber};
use onhook_core::lifecycle::area::AreaChange;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::event::Transition;
use onhook_core::lifecycle::release::due;
use onhook_core::locality;
use onhook_core::notify::notification::Happened;
use onhook_core::number::Number;
use onhook_core::order::amend::{Amendment, NotWaiting, amend, difference};
use onhook_core::order::decide::{Decision, World, decide, decided};
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::order::{ATTEMPTS_MAX, Kind, NewOrder, Order, Origin, Request, Status};
use onhook_core::time::Timestamp;
use rusqlite::{OptionalExtension, params};
use tracing::error;

use super::memory::Counts;
use super::places::{self, Localities};
use super::pool::{self, Lot};
use super::reader;
use super::row::{self, NumberRow, ORDER_COLUMNS, ORDERS, corrupt, digits_of, kind_code, status_code};
use super::writer::Tables;
use crate::{Accepted, Ended, Imported, Lines, NewAccount, PoolQuery, Result, Step, StoreError};

const INSERT_NUMBER: &str =
    "INSERT INTO number (number, state, holder, site, peer, area, flags, due_at, last_event)
                             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Most orders that wait for numbers and are looked at in one step.
const BACK_ORDERS_MAX: usize = 64;
/// How much a step does before it leaves the rest to the next one, so that accepts do not wait for it: numbers
/// looked at or changed, places looked through, notifications. A single order may take more.
const WORK_MAX: usize = 20_000;

/// A step under way.
struct Run<'a> {
    batch: Batch,
    accounts: HashMap<AccountId, Option<(Account, Premises)>>,
    localities: Localities<'a>,
    work: usize,
    step: Step,
}

impl Tables<'_> {
    /// Accepts an order, whose request is also given as it is kept.
    pub(super) fn accept(&mut self, order: &NewOrder, request: &str) -> Result<Accepted> {
        if let Some(key) = &order.key {
            let known: Option<(Vec<u8>, [u8; 16])> = self
                .connection
                .prepare_cached(
                    "SELECT k.digest, o.id FROM idempotency k JOIN orders o ON o.seq = k.order_seq
                     WHERE k.account = ? AND k.key = ?",
                )?
                .query_row((order.account.get(), &key.key), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match known {
                Some((digest, id)) if digest == key.digest => {
                    return Ok(Accepted { id: OrderId(uuid::Uuid::from_bytes(id)), again: true });
                }
                Some(_) => return Err(StoreError::KeyReused),
                None => {}
            }
        }
        let seq = self.memory.next_order();
        let id = self.ids.id(seq);
        // Kept as it was said, since the client has it in its answer; later events are not before it.
        self.memory.now(order.created_at);
        let created_at = order.created_at.millis();
        self.connection
            .prepare_cached(
                "INSERT INTO orders (seq, id, account, kind, status, attempts, created_at, changed_at, user,
                                     name, customer_order_id, site, numbers, request)
                 VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                seq.0,
                id.0.as_bytes(),
                order.account.get(),
                kind_code(order.request.kind()),
                status_code(Status::Received),
                created_at,
                created_at,
                order.user,
                order.name,
                order.customer_order_id,
                order.request.site().map(SiteId::get),
                u32::try_from(order.request.quantity()).unwrap_or(u32::MAX),
                request,
            ])?;
        if let Some(key) = &order.key {
            self.connection
                .prepare_cached(
                    "INSERT INTO idempotency (account, key, digest, order_seq) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![order.account.get(), key.key, key.digest, seq.0])?;
        }
        Ok(Accepted { id, again: false })
    }

    /// Runs orders that wait: first some of those that wait for numbers, which are older, then new ones. They
    /// are loaded and saved together, numbers in the order of their digits, and judged one after another,
    /// each against what the one before it left. A step that has done enough leaves the rest to the next.
    pub(super) fn run_orders(
        &mut self,
        now: Timestamp,
        orders_max: usize,
        numbers_max: usize,
    ) -> Result<Step> {
        let some_wait = self.memory.back_orders.after.is_some();
        let (back, more_back) = self.back_orders()?;
        let (new, more) = self.waiting(orders_max, numbers_max)?;
        // An order has not ended before it was made, whatever the clock did in between.
        let now = self.memory.now(new.iter().map(|order| order.created_at).fold(now, Timestamp::max));
        let mut run = Run {
            batch: Batch::load(self, new.iter().flat_map(|o| o.request.numbers()).copied())?,
            accounts: HashMap::new(),
            localities: Localities::new(self.connection),
            work: 0,
            step: Step { more: more || more_back, ..Step::default() },
        };
        let mut looked_at = None;
        let all_back = back.len();
        for (place, order) in back.into_iter().enumerate() {
            if run.work >= WORK_MAX / 2 {
                run.step.more = true;
                break;
            }
            looked_at = Some((order.seq, place + 1 == all_back && !more_back));
            self.run_one(order, &mut run, now)?;
        }
        let (mut run_to, mut gap) = (self.memory.run_to(), false);
        for (place, order) in new.into_iter().enumerate() {
            if place > 0 && run.work >= WORK_MAX {
                run.step.more = true;
                break;
            }
            let seq = order.seq;
            gap |= !self.run_one(order, &mut run, now)?;
            if !gap {
                run_to = seq;
            }
        }
        let Run { batch, step, .. } = run;
        batch.save(self)?;
        self.memory.set_run_to(self.connection, run_to)?;
        // Only now: what was not written has not been looked at.
        match looked_at {
            Some((last, all)) => self.memory.back_orders.looked_at((!all).then_some(last)),
            None if some_wait && all_back == 0 => self.memory.back_orders.looked_at(None),
            None => {}
        }
        Ok(step)
    }

    /// Judges one order and writes what comes of it; whether it is RECEIVED no more.
    fn run_one(&mut self, order: Order, run: &mut Run<'_>, now: Timestamp) -> Result<bool> {
        let home = match run.accounts.entry(order.account) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(reader::account_with_premises(self.connection, order.account)?)
            }
        };
        let decision = match home {
            Some((account, premises)) => {
                let judged = catch_unwind(AssertUnwindSafe(|| -> Result<Decision> {
                    let (found, work) = run.batch.find(self, &order)?;
                    run.work += work;
                    let world = World {
                        account,
                        premises,
                        entries: &run.batch.entries,
                        found: &found,
                        areas: &self.memory.areas,
                        policy: self.policy,
                    };
                    Ok(decide(&order, &world, now))
                }));
                self.survived(&order, judged.ok().transpose()?)?
            }
            None => Some(Decision::set_aside(&order.request)),
        };
        let Some(decision) = decision else { return Ok(false) };
        if decision.status == order.status && decision.moves.is_empty() {
            return Ok(order.status != Status::Received); // it waits as it did before
        }
        let before = order.status;
        let mut order = decided(order, &decision, now);
        order.origin = self.origin(&order, &run.batch.entries, &mut run.localities)?;
        self.update_order(before, &order)?;
        if order.status == Status::Backordered {
            self.add_line(&order, None, None)?;
        }
        let told = self.tell_status(&order, now)?;
        run.work += told + order.request.quantity();
        run.step.told += told;
        run.step.numbers += decision.moves.len();
        for moved in decision.moves {
            run.batch.apply(self, &moved, &By::Order(order.seq), now)?;
        }
        if order.status.is_final() {
            let total = order.request.quantity();
            let failed = total - order.done().count();
            run.step.ended.push(Ended { id: order.id, status: order.status, total, failed });
        }
        Ok(true)
    }

    /// The orders of the next batch, and whether there are more.
    fn waiting(&self, orders_max: usize, numbers_max: usize) -> Result<(Vec<Order>, bool)> {
        // Nothing has come of them yet: no need to look for it.
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {ORDER_COLUMNS} FROM (SELECT *, NULL AS failed, NULL AS taken, NULL AS refused, NULL AS peers,
                                                 NULL AS origin FROM orders)
             WHERE seq > ? AND status = 0 ORDER BY seq"
        ))?;
        let mut rows = statement.query([self.memory.run_to().0])?;
        let (mut orders, mut numbers) = (Vec::with_capacity(orders_max), 0);
        while let Some(row) = rows.next()? {
            let order = row::order(row)?;
            numbers += order.request.quantity();
            if !orders.is_empty() && (orders.len() == orders_max || numbers > numbers_max) {
                return Ok((orders, true));
            }
            orders.push(order);
        }
        Ok((orders, false))
    }

    /// The next orders that wait for numbers, oldest first, if the pool has grown since they last looked; and
    /// whether there are more.
    fn back_orders(&self) -> Result<(Vec<Order>, bool)> {
        let Some(after) = self.memory.back_orders.after else { return Ok((Vec::new(), false)) };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE status = 4 AND seq > ? ORDER BY seq LIMIT ?"
        ))?;
        let mut rows = statement.query((after.0, i64::try_from(BACK_ORDERS_MAX).unwrap_or(i64::MAX)))?;
        let mut orders = Vec::new();
        while let Some(row) = rows.next()? {
            orders.push(row::order(row)?);
        }
        let more = orders.len() == BACK_ORDERS_MAX;
        Ok((orders, more))
    }

    /// The decision, or none when judging it panicked and it may be tried again. An order that does so
    /// every time is set aside, so that it does not hold up the others.
    fn survived(&self, order: &Order, decision: Option<Decision>) -> Result<Option<Decision>> {
        if decision.is_some() {
            return Ok(decision);
        }
        let attempts: u8 = self
            .connection
            .prepare_cached("UPDATE orders SET attempts = attempts + 1 WHERE seq = ? RETURNING attempts")?
            .query_row([order.seq.0], |row| row.get(0))?;
        error!(order.id = %order.id, attempts, "judging order {} panicked", order.id);
        Ok((attempts >= ATTEMPTS_MAX).then(|| Decision::set_aside(&order.request)))
    }

    /// Where the numbers of a number order are from. Returns none before it has ended. `entries` are those that
    /// have been loaded; others are read.
    fn origin(
        &self,
        order: &Order,
        entries: &HashMap<Number, Entry>,
        localities: &mut Localities<'_>,
    ) -> Result<Option<Origin>> {
        if order.request.kind() != Kind::Number || !order.status.is_final() {
            return Ok(None);
        }
        let mut numbers: Vec<Number> = order.done().collect();
        numbers.sort_unstable();
        let (mut seen, mut places) = (HashSet::new(), Vec::new());
        for number in numbers {
            let area = match entries.get(&number) {
                Some(entry) => entry.area,
                // It was taken in an earlier step; its area has not changed since.
                None => match reader::number(self.connection, number)? {
                    Some(row) => row.entry.area,
                    None => return Err(corrupt(format!("{} is missing", number.masked()))),
                },
            };
            if seen.insert((number.npa_nxx(), area)) {
                places.push(localities.at(number, area)?);
            }
        }
        Ok(Origin::of(&places))
    }

    /// Writes what can change in an order whose status was `before`, which must not be final.
    fn update_order(&self, before: Status, order: &Order) -> Result<()> {
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE orders SET status = ?, changed_at = ?, name = ?, customer_order_id = ?
                 WHERE seq = ? AND status = ? AND status IN (0, 4)",
            )?
            .execute(params![
                status_code(order.status),
                order.changed_at.millis(),
                order.name,
                order.customer_order_id,
                order.seq.0,
                status_code(before),
            ])?;
        if changed != 1 {
            return Err(corrupt(format!("order {} had ended before", order.id)));
        }
        let failed = (!order.failed.is_empty()).then(|| serde_json::to_string(&order.failed)).transpose()?;
        let taken = (!order.taken.is_empty()).then(|| serde_json::to_string(&order.taken)).transpose()?;
        let refused = order.refused.map(|why| serde_json::to_string(&why)).transpose()?;
        let peers = (!order.peers.is_empty()).then(|| serde_json::to_string(&order.peers)).transpose()?;
        let origin = order.origin.as_ref().map(serde_json::to_string).transpose()?;
        if [&failed, &taken, &refused, &peers, &origin].into_iter().any(Option::is_some) {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO outcome (order_seq, failed, taken, refused, peers, origin)
                     VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute((order.seq.0, failed, taken, refused, peers, origin))?;
        } else if before != Status::Received {
            self.connection
                .prepare_cached("DELETE FROM outcome WHERE order_seq = ?")?
                .execute([order.seq.0])?;
        }
        Ok(())
    }

    /// Writes down that something has happened to an order that waits.
    fn add_line(&self, order: &Order, author: Option<&str>, difference: Option<&str>) -> Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO order_line (order_seq, at, author, status, taken, difference)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                order.seq.0,
                order.changed_at.millis(),
                author,
                status_code(order.status),
                i64::try_from(order.taken.len()).unwrap_or(i64::MAX),
                difference,
            ))?;
        Ok(())
    }

    /// Changes an order that waits, as a client asks.
    pub(super) fn amend_order(
        &mut self,
        account: AccountId,
        id: OrderId,
        amendment: &Amendment,
        user: &str,
        now: Timestamp,
    ) -> Result<Option<std::result::Result<Order, NotWaiting>>> {
        let found = reader::order(self.connection, self.ids, account, Kind::Number, id)?;
        let Some(before) = found else { return Ok(None) };
        let now = self.memory.now(now);
        let mut after = match amend(&before, amendment, now) {
            Ok(after) => after,
            Err(not_waiting) => return Ok(Some(Err(not_waiting))),
        };
        after.origin = self.origin(&after, &HashMap::new(), &mut Localities::new(self.connection))?;
        self.update_order(before.status, &after)?;
        if after.status.is_final() {
            self.tell_status(&after, now)?;
        } else if let Some(difference) = difference(&before, &after) {
            self.add_line(&after, Some(user), Some(&difference))?;
        }
        Ok(Some(Ok(after)))
    }

    /// Tells subscribers what became of an order; how many.
    fn tell_status(&mut self, order: &Order, now: Timestamp) -> Result<usize> {
        let what = (order.request.kind(), order.seq, order.status);
        let told = self.tell(order.account, what, Happened::Came(order.status), None, now)?;
        if order.status.is_final() {
            self.end_bound(order.account, order.seq)?;
        }
        Ok(told)
    }

    /// Moves on the numbers whose time has come, earliest first.
    pub(super) fn release(&mut self, now: Timestamp, numbers_max: usize) -> Result<Step> {
        // Not the store's time: if that is ahead, the caller's clock has been set back, and early is worse.
        let clock = now;
        let at = self.memory.now(now);
        let numbers = self.due(clock, numbers_max)?;
        let mut batch = Batch::load(self, numbers.iter().copied())?;
        let mut step = Step { more: numbers.len() == numbers_max, ..Step::default() };
        for number in numbers {
            if let Some(moved) = batch.entries.get(&number).and_then(|entry| due(entry, clock)) {
                batch.apply(self, &moved, &By::Time, at)?;
                step.numbers += 1;
            }
        }
        batch.save(self)?;
        Ok(step)
    }

    /// Numbers that are due at `now`, earliest first: the instants and holders that have some, then the
    /// numbers of each.
    fn due(&self, now: Timestamp, numbers_max: usize) -> Result<Vec<Number>> {
        let mut instants = self
            .connection
            .prepare_cached("SELECT due_at, holder FROM due WHERE due_at <= ? ORDER BY due_at, holder")?;
        let mut of_holder = self.connection.prepare_cached(
            "SELECT number FROM number WHERE holder = ? AND due_at = ? ORDER BY number LIMIT ?",
        )?;
        let mut numbers = Vec::new();
        let mut rows = instants.query([now.millis()])?;
        while let Some(row) = rows.next()? {
            let (due_at, holder): (i64, i64) = (row.get(0)?, row.get(1)?);
            let left = i64::try_from(numbers_max - numbers.len()).unwrap_or(i64::MAX);
            let mut found = of_holder.query((holder, due_at, left))?;
            while let Some(row) = found.next()? {
                numbers.push(row::number_of(row.get(0)?)?);
            }
            if numbers.len() == numbers_max {
                break;
            }
        }
        Ok(numbers)
    }

    pub(super) fn create_account(&mut self, new: NewAccount, now: Timestamp) -> Result<Account> {
        let NewAccount { id, name, kind, class } = new;
        let created_at = self.memory.now(now);
        let made = self
            .connection
            .prepare_cached(
                "INSERT INTO account (id, name, kind, class, created_at) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((id.get(), &name, kind.word(), class.word(), created_at.millis()))?;
        match made {
            0 => Err(StoreError::Conflict(format!("account {id} exists"))),
            _ => Ok(Account { id, name, kind, class, created_at }),
        }
    }

    pub(super) fn must_exist(&self, account: AccountId) -> Result<(Account, Premises)> {
        let found = reader::account_with_premises(self.connection, account)?;
        found.ok_or_else(|| StoreError::Conflict(format!("no account {account}")))
    }

    pub(super) fn write_note(
        &mut self,
        order: OrderSeq,
        replaces: Option<i64>,
        (user, text, at): (String, String, Timestamp),
    ) -> Result<Option<i64>> {
        let at = self.memory.now(at).millis();
        let id = match replaces {
            None => self
                .connection
                .prepare_cached(
                    "INSERT INTO note (order_seq, user, text, at) VALUES (?, ?, ?, ?) RETURNING id",
                )?
                .query_row((order.0, user, text, at), |row| row.get(0))
                .optional()?,
            Some(note) => self
                .connection
                .prepare_cached(
                    "UPDATE note SET user = ?, text = ?, at = ? WHERE id = ? AND order_seq = ? RETURNING id",
                )?
                .query_row((user, text, at, note, order.0), |row| row.get(0))
                .optional()?,
        };
        Ok(id)
    }

    /// Tells subscribers of a note that was added.
    pub(super) fn tell_note(
        &mut self,
        account: AccountId,
        kind: Kind,
        order: OrderSeq,
        note: (i64, &str),
        at: Timestamp,
    ) -> Result<()> {
        if !self.memory.subscribers.contains_key(&account) {
            return Ok(());
        }
        let status: u8 = self
            .connection
            .prepare_cached("SELECT status FROM orders WHERE seq = ?")?
            .query_row([order.0], |row| row.get(0))?;
        let what = (kind, order, row::status_of(status)?);
        let at = self.memory.now(at);
        self.tell(account, what, Happened::Note, Some(note), at)?;
        Ok(())
    }

    pub(super) fn remember_clock(&mut self, seen: Seen, moved_ms: i64) -> Result<()> {
        row::set_meta(self.connection, "last_seen", seen.last.millis())?;
        row::set_meta(self.connection, "unseen_ms", seen.unseen_ms)?;
        row::set_meta(self.connection, "clock_moved_ms", moved_ms)
    }

    pub(super) fn import(&mut self, lines: Lines, intake: &Intake, now: Timestamp) -> Result<Imported> {
        let at = self.memory.now(now);
        let mut import = Import {
            event: self.memory.next_event(),
            at,
            released_from: (!intake.past_releases).then_some(at),
            accounts: HashMap::new(),
            counts: Counts::default(),
            seen: HashMap::new(),
        };
        let mut imported = Imported::default();
        for (line, new) in lines {
            let taken = match new {
                Ok(new) => self.import_one(&new, line, &mut import)?,
                Err(bad) => Err(bad),
            };
            match taken {
                Ok(Taken::New) => imported.numbers += 1,
                Ok(Taken::Back) => imported.restored += 1,
                Err(bad) => imported.bad.note(line, bad),
            }
        }
        if imported.bad.count() > 0 && !intake.partial {
            return Err(StoreError::Import(imported.bad));
        }
        let Import { event, counts, .. } = import;
        counts.write(self.connection, self.memory)?;
        let detail = serde_json::json!({ "Imported": {
            "numbers": imported.numbers, "restored": imported.restored, "source": intake.source,
        } });
        self.connection.prepare_cached("INSERT INTO event (seq, at, detail) VALUES (?, ?, ?)")?.execute((
            event.0,
            at.millis(),
            detail.to_string(),
        ))?;
        self.memory.add_import(self.connection, event)?;
        Ok(imported)
    }

    fn import_one(
        &mut self,
        new: &NewNumber,
        line: u64,
        import: &mut Import,
    ) -> Result<std::result::Result<Taken, BadLine>> {
        if let Some(first) = import.seen.get(&new.number) {
            return Ok(Err(BadLine::Twice { what: new.number.to_string(), first: *first }));
        }
        let premises = match new.holder() {
            None => None,
            Some(account) => match import.accounts.entry(account) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut().as_ref(),
                std::collections::hash_map::Entry::Vacant(unknown) => {
                    let found = reader::account_with_premises(self.connection, account)?;
                    unknown.insert(found.map(|(_, premises)| premises)).as_ref()
                }
            },
        };
        let exchange = match new.number.npa_nxx() {
            // A line that names its rate center needs no other word.
            Some(npa_nxx) if new.rate_center.is_none() => places::exchange_of(self.connection, npa_nxx)?,
            _ => None,
        };
        let (region, rate_center) = (new.region.as_deref(), new.rate_center.as_deref());
        let area = locality::area(new.number, region, rate_center, exchange.as_ref());
        let area = self.memory.area_id(self.connection, area)?;
        let entry = match new.entry(area, premises, import.released_from) {
            Ok(entry) => entry,
            Err(bad) => return Ok(Err(bad)),
        };
        let made = self
            .connection
            .prepare_cached(&format!("{INSERT_NUMBER} ON CONFLICT DO NOTHING"))?
            .execute(NumberRow { entry, last_event: import.event }.values())?;
        let taken = if made == 0 {
            let there = reader::number(self.connection, new.number)?;
            let there = there.ok_or_else(|| corrupt(format!("{} is missing", new.number)))?;
            match import::restore(&there.entry, &entry) {
                Ok(moved) => self.take_back(&moved, there.last_event, import)?,
                Err(bad) => return Ok(Err(bad)),
            }
            Taken::Back
        } else {
            import.counts.add(&entry);
            if entry.state() == State::Available {
                let area = self.memory.areas.get_mut(&entry.area);
                area.ok_or_else(|| corrupt("an area is missing"))?.supply += 1;
                self.memory.back_orders.pool_grew();
            }
            Taken::New
        };
        import.seen.insert(new.number, line);
        Ok(Ok(taken))
    }

    /// Takes a number back that had left, into the area that the import puts it in.
    fn take_back(&mut self, moved: &Transition, prev: EventSeq, import: &mut Import) -> Result<()> {
        let last_event = self.put_event(moved, prev, &By::Import, import.at)?;
        self.connection
            .prepare_cached(
                "UPDATE number SET state = ?2, holder = ?3, site = ?4, peer = ?5, area = ?6, flags = ?7,
                                   due_at = ?8, last_event = ?9
                 WHERE number = ?1",
            )?
            .execute(NumberRow { entry: moved.after, last_event }.values())?;
        import.counts.change(&moved.before, &moved.after);
        Ok(())
    }

    /// Writes the event of a change behind the number's last one, and tells the area and the orders that wait.
    fn put_event(&mut self, moved: &Transition, prev: EventSeq, by: &By, at: Timestamp) -> Result<EventSeq> {
        let Transition { change, before, after } = moved;
        let seq = self.memory.next_event();
        let origin =
            if self.memory.imports.contains(&prev) { Some(serde_json::to_string(before)?) } else { None };
        let (order, actor) = match by {
            By::Order(order) => (Some(order.0), None),
            By::User(user) => (None, Some(user)),
            By::Time | By::Import => (None, None),
        };
        self.connection
            .prepare_cached(
                "INSERT INTO event (seq, number, prev, at, order_seq, actor, detail, origin)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                seq.0,
                digits_of(after.number),
                prev.0,
                at.millis(),
                order,
                actor,
                serde_json::to_string(change)?,
                origin,
            ])?;
        let half_life = self.policy.profile(after.number).half_life_days;
        let area = self.memory.areas.get_mut(&after.area);
        let area = area.ok_or_else(|| corrupt("an area is missing"))?;
        if let Some(change) = AreaChange::of(before, after, at, half_life) {
            area.change(&change);
        }
        if before.state() != State::Available && after.state() == State::Available {
            self.memory.back_orders.pool_grew();
        }
        Ok(seq)
    }

    pub(super) fn order_seq(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<OrderSeq>> {
        reader::order_seq(self.connection, self.ids, account, kind, id)
    }
}

/// What an import knows while it goes through its lines.
struct Import {
    event: EventSeq,
    at: Timestamp,
    /// Aging numbers whose release is before it are refused.
    released_from: Option<Timestamp>,
    accounts: HashMap<AccountId, Option<Premises>>,
    counts: Counts,
    /// The numbers that it brought, each with its line: some twenty bytes a number.
    seen: HashMap<Number, u64>,
}

/// What became of a line that is good.
enum Taken {
    /// Its number is new.
    New,
    /// Its number had left and is back.
    Back,
}

/// The numbers that one step works on: loaded together, changed in memory, saved together.
pub(super) struct Batch {
    entries: HashMap<Number, Entry>,
    last_events: HashMap<Number, EventSeq>,
    /// Numbers that changed, with the holder that their row has.
    changed: BTreeMap<Number, Option<AccountId>>,
    /// Those of them that were in the pool, as they still are on disk.
    taken: HashSet<Number>,
    /// What searches have found of the pool's places, which stands on disk until all is saved.
    lots: HashMap<Criteria, Rc<Vec<Lot>>>,
    counts: Counts,
}

impl Batch {
    pub(super) fn load(tables: &Tables<'_>, numbers: impl Iterator<Item = Number>) -> Result<Self> {
        let numbers: BTreeSet<Number> = numbers.collect();
        let entries = HashMap::with_capacity(numbers.len());
        let last_events = HashMap::with_capacity(numbers.len());
        let mut batch = Self {
            entries,
            last_events,
            changed: BTreeMap::new(),
            taken: HashSet::new(),
            lots: HashMap::new(),
            counts: Counts::default(),
        };
        for number in numbers {
            batch.add(tables, number)?;
        }
        Ok(batch)
    }

    fn add(&mut self, tables: &Tables<'_>, number: Number) -> Result<()> {
        if let Some(NumberRow { entry, last_event }) = reader::number(tables.connection, number)? {
            self.entries.insert(number, entry);
            self.last_events.insert(number, last_event);
        }
        Ok(())
    }

    /// Pool numbers that fit what an order searches for, as many as it still wants, and how much was looked at.
    /// What the orders before it took is still in the pool on disk, so that more are looked for than are wanted.
    fn find(&mut self, tables: &Tables<'_>, order: &Order) -> Result<(Vec<Entry>, usize)> {
        let (Request::Activate(activate), Some(search)) = (&order.request, order.request.search()) else {
            return Ok((Vec::new(), 0));
        };
        let mut work = 0;
        let lots = match self.lots.entry(search.criteria.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut().clone(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let lots = Rc::new(pool::lots(tables.connection, &search.criteria)?);
                work += lots.len();
                new.insert(lots).clone()
            }
        };
        let left = search.quantity.saturating_sub(order.taken.len());
        let there = usize::try_from(pool::numbers_in(&lots)).unwrap_or(usize::MAX);
        if there == 0 || (there < left && !activate.partial_allowed) {
            return Ok((Vec::new(), work + 1)); // certainly too few
        }
        let query = PoolQuery {
            criteria: search.criteria.clone(),
            inventory: Inventory::Pool,
            size: left + self.taken.len(),
            seed: order.id.0.as_u64_pair().1,
        };
        let mut found = Vec::with_capacity(left.min(there));
        for entry in pool::draw(tables.connection, &lots, &query)? {
            work += 1;
            if found.len() == left {
                break;
            }
            if !self.taken.contains(&entry.number) {
                self.add(tables, entry.number)?;
                found.push(entry);
            }
        }
        Ok((found, work))
    }

    /// The numbers as they are now; those that do not exist are absent.
    pub(super) fn entries(&self) -> &HashMap<Number, Entry> {
        &self.entries
    }

    /// Writes the event and takes the change into account; the number's row follows with [`Batch::save`].
    pub(super) fn apply(
        &mut self,
        tables: &mut Tables<'_>,
        moved: &Transition,
        by: &By,
        at: Timestamp,
    ) -> Result<()> {
        let Transition { before, after, .. } = moved;
        let prev = self.last_events.get(&after.number);
        let prev = *prev.ok_or_else(|| corrupt(format!("{} was not loaded", after.number)))?;
        self.last_events.insert(after.number, tables.put_event(moved, prev, by, at)?);
        if before.state() == State::Available {
            self.taken.insert(before.number);
        }
        self.counts.change(before, after);
        self.entries.insert(after.number, *after);
        self.changed.entry(after.number).or_insert(before.standing.holder());
        Ok(())
    }

    /// Writes the rows of the numbers that changed, in the order of their digits, and the counts.
    pub(super) fn save(self, tables: &mut Tables<'_>) -> Result<()> {
        // Naming a column in an update touches each index that has it, whether or not its value changes. A
        // disconnect leaves the holder as it is, and the index of holders is the largest there is.
        let mut same_holder = tables.connection.prepare_cached(
            "UPDATE number SET state = ?2, site = ?3, peer = ?4, flags = ?5, due_at = ?6, last_event = ?7
             WHERE number = ?1",
        )?;
        let mut other_holder = tables.connection.prepare_cached(
            "UPDATE number SET state = ?2, holder = ?3, site = ?4, peer = ?5, flags = ?6, due_at = ?7, last_event = ?8
             WHERE number = ?1",
        )?;
        for (number, holder) in self.changed {
            let row = NumberRow { entry: self.entries[&number], last_event: self.last_events[&number] };
            if row.entry.standing.holder() == holder {
                same_holder.execute(row.values_but_holder())?;
            } else {
                other_holder.execute(row.values_but_area())?;
            }
        }
        self.counts.write(tables.connection, tables.memory)
    }
}
