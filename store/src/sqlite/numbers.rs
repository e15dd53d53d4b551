//! Numbers: their histories, lists and counts of them, and moves between sites and peers.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, AreaId, EventSeq, OrderId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::report::rating::Charges;
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::accounts::must_exist;
use super::areas::{area_name, areas};
use super::batch::{apply_numbers, known, with_areas};
use super::entries::{Link, NUMBER_COLUMNS, NumberRow, history, link, number_row, number_rows};
use super::exchanges::{Localities, localities};
use super::leases::must_last;
use super::open::SqliteStore;
use super::premises::in_service_at;
use super::release::{pass, release};
use super::row::{self, digits_of, limit, list, of, pages_before, under};
use super::tables::Tables;
use crate::Result;
use crate::codes::{kind_of, state_code, state_of};
use crate::columns::{HOME_FLAGS, UNTOUCHED, home_of};
use crate::contract::leases::LeaseToken;
use crate::contract::numbers::{
    Aging, Destination, Ending, Exported, Facts, Found, LOOKS_MAX, NumberFilter, NumberHistory, NumberQuery,
    Numbers, NumbersMoved, OrderMark,
};
use crate::contract::orders::StepReport;
use crate::contract::page::{Page, Start};
use crate::error::corrupt;
use crate::plan::moves::moves;

fn move_numbers(
    tables: &mut Tables<'_>,
    account: AccountId,
    to: Destination,
    numbers: &[Number],
    (author, now): (&Author, Timestamp),
    policy: &Policy,
) -> Result<NumbersMoved> {
    let (_, premises) = must_exist(tables, account)?;
    let place = match premises.place(account, to.site, Some(to.peer)) {
        Ok(place) => place,
        Err(no) => return Ok(NumbersMoved::NoPlace(no)),
    };
    let known = known(tables, numbers.iter().copied())?;
    match moves(numbers, place, with_areas(tables, known), policy, (author, now)) {
        Ok(writes) => Ok(NumbersMoved::Done(apply_numbers(tables, writes)?)),
        Err(missing) => Ok(NumbersMoved::NotInService(missing)),
    }
}

/// Returns a number's history, with the orders that made its events.
fn number_history(connection: &Connection, row: &NumberRow) -> Result<NumberHistory> {
    let history = history(connection, row)?;
    let mut orders = BTreeMap::new();
    let sql =
        "SELECT id, kind, user, created_at, credential, address, reason, plan FROM orders WHERE seq = ?";
    for event in &history.events {
        let By::Order(seq) = event.by else { continue };
        let mark = list(connection, sql, vec![Value::Integer(seq.0)], |row| {
            Ok(OrderMark {
                id: OrderId(uuid::Uuid::from_bytes(row.get(0)?)),
                kind: kind_of(row.get(1)?)?,
                user: row.get(2)?,
                created_at: Timestamp::from_millis(row.get(3)?),
                under: under(row, 4)?,
            })
        });
        let mark = mark?.pop().ok_or_else(|| corrupt(format!("order {} is missing", seq.0)))?;
        orders.insert(seq, mark);
    }
    Ok(NumberHistory { history, orders })
}

pub(super) fn facts(connection: &Connection, wanted: Number) -> Result<Option<Facts>> {
    let Some(row) = number_row(connection, wanted)? else { return Ok(None) };
    let life = history(connection, &row)?;
    let entry = life.entry;
    let in_service_at = life.in_service_since().map_err(|error| corrupt(error.to_string()))?;
    let order = life.last_order();
    let order = match order {
        None => None,
        Some(seq) => connection
            .prepare_cached("SELECT id, kind, created_at FROM orders WHERE seq = ?")?
            .query_row([seq.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?
            .map(|(id, kind, at)| -> Result<_> {
                let id = OrderId(uuid::Uuid::from_bytes(id));
                Ok((id, kind_of(kind)?, Timestamp::from_millis(at)))
            })
            .transpose()?,
    };
    let place = entry.standing.place();
    let name = |sql: &str, id: Option<u32>| -> Result<Option<(String, bool)>> {
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    };
    let site_name = name("SELECT name, is_default FROM site WHERE id = ?", place.map(|p| p.site.get()))?;
    let peer = place.and_then(|p| p.peer).map(|p| p.get());
    let peer_name = name("SELECT name, is_default FROM peer WHERE id = ?", peer)?;
    Ok(Some(Facts {
        area: area_name(connection, entry.area)?,
        locality: Localities::new(connection).of(&entry)?,
        entry,
        since: life.since(),
        imported_at: life.imported_at,
        in_service_at,
        hold: life.hold().cloned(),
        history: life,
        order,
        site_name: site_name.map(|(name, _)| name),
        peer_name,
    }))
}

/// Returns the part after WHERE that finds a query's numbers, by the narrowest index. `None` if no number can match.
fn finds(query: &NumberQuery) -> Option<(String, Vec<Value>)> {
    let states: Vec<String> = query.states.iter().map(|state| state_code(*state).to_string()).collect();
    let mut wanted = format!("holder = ? AND state IN ({})", states.join(", "));
    let mut values = vec![of(query.account)];
    if let Some(site) = query.site {
        wanted += " AND site = ?";
        values.push(Value::Integer(site.get().into()));
    }
    if let Some(peer) = query.peer {
        wanted += " AND peer = ?";
        values.push(Value::Integer(peer.get().into()));
    }
    if let Some(protected) = query.protected {
        wanted += if protected { " AND flags & 1" } else { " AND NOT flags & 1" };
    }
    if let Some(prefix) = &query.prefix {
        let (first, end) = Number::nanp_range(prefix)?;
        wanted += " AND number >= ? AND number < ?";
        for bound in [first, end] {
            values.push(Value::Integer(i64::try_from(bound).unwrap_or(i64::MAX)));
        }
    }
    Some((wanted, values))
}

/// Returns when the state of a row began.
fn since(connection: &Connection, mut at: EventSeq) -> Result<Timestamp> {
    loop {
        match link(connection, at)? {
            Link::Import(time) => return Ok(time),
            Link::Event(event) if event.change.changes_state() => return Ok(event.at),
            Link::Event(event) => at = event.prev,
        }
    }
}

fn count(connection: &Connection, query: &NumberQuery) -> Result<u64> {
    if let Some(site) = query.only_at() {
        return in_service_at(connection, query.account, site, query.peer);
    }
    match query.is_filtered() {
        false => tallied(connection, query),
        true => {
            let all = NumberQuery { start: Start::Page(1), size: 0, ..query.clone() };
            Ok(numbers(connection, &all)?.total)
        }
    }
}

/// Returns how many numbers an account has in some states, by the stored counts.
fn tallied(connection: &Connection, query: &NumberQuery) -> Result<u64> {
    let mut statement =
        connection.prepare_cached("SELECT numbers FROM tally WHERE account = ? AND state = ?")?;
    let mut total = 0;
    for state in &query.states {
        let numbers: Option<i64> =
            statement.query_row((query.account.get(), state_code(*state)), |row| row.get(0)).optional()?;
        total += numbers.unwrap_or(0).unsigned_abs();
    }
    Ok(total)
}

/// Returns a number's position in its list: its release, or 0, and its digits. A number that has left the list since a
/// client was told of it keeps its position. `None` if it was never in the list.
fn place_in(connection: &Connection, query: &NumberQuery, first: Number) -> Result<Option<(i64, i64)>> {
    if !query.by_release() {
        return Ok(Some((0, digits_of(first))));
    }
    let Some(row) = number_row(connection, first)? else { return Ok(None) };
    // Only if this account gave it up: another account's number must look like one that does not exist.
    let held = history(connection, &row)?.last_held_for(query.account);
    let release_at = held.map_err(|error| corrupt(error.to_string()))?;
    Ok(release_at.map(|at| (at.millis(), digits_of(first))))
}

fn numbers(connection: &Connection, query: &NumberQuery) -> Result<Page<Number, Number>> {
    let nothing = |total| Page { items: Vec::new(), total, next: None };
    let Some((mut wanted, mut values)) = finds(query) else { return Ok(nothing(0)) };
    if query.by_release() {
        wanted += " AND due_at IS NOT NULL";
    }
    let from = match query.start {
        Start::Page(_) => None,
        Start::At(first) => match place_in(connection, query, first)? {
            Some(place) => Some(place),
            None => return Ok(nothing(count(connection, query)?)),
        },
    };
    let skip = match query.start {
        Start::Page(page) => pages_before(page, query.size),
        Start::At(_) => 0,
    };
    if query.since.is_some() || !query.locality().is_empty() {
        return numbers_one_by_one(connection, query, &wanted, values, (from, skip.unsigned_abs()));
    }
    let total = match (query.only_at(), query.is_filtered()) {
        (Some(site), _) => in_service_at(connection, query.account, site, query.peer)?,
        (None, false) => tallied(connection, query)?,
        (None, true) => connection
            .prepare_cached(&format!("SELECT count(*) FROM number WHERE {wanted}"))?
            .query_row(params_from_iter(&values), |row| row.get::<_, i64>(0))?
            .unsigned_abs(),
    };
    let order = if query.by_release() { "due_at, number" } else { "number" };
    if let Some((due_at, digits)) = from {
        if query.by_release() {
            wanted += " AND (due_at, number) >= (?, ?)";
            values.push(Value::Integer(due_at));
        } else {
            wanted += " AND number >= ?";
        }
        values.push(Value::Integer(digits));
    }
    values.extend([limit(query.size.saturating_add(1)), Value::Integer(skip)]);
    let sql = format!("SELECT number FROM number WHERE {wanted} ORDER BY {order} LIMIT ? OFFSET ?");
    let mut items = list(connection, &sql, values, |row| row::number_of(row.get(0)?))?;
    let next = (items.len() > query.size).then(|| items.pop()).flatten();
    Ok(Page { items, total, next })
}

/// Returns a page for a query by the time when the state began, or by locality. The time is in the number's event, and
/// `core` tells the locality, so each candidate is read, and each locality is judged once.
fn numbers_one_by_one(
    connection: &Connection,
    query: &NumberQuery,
    wanted: &str,
    values: Vec<Value>,
    (from, skip): (Option<(i64, i64)>, u64),
) -> Result<Page<Number, Number>> {
    let due_at = if query.by_release() { "due_at" } else { "0" };
    let sql = format!("SELECT number, last_event, {due_at}, area FROM number WHERE {wanted} ORDER BY 3, 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut items, mut total, mut next) = (Vec::new(), 0, None);
    let wanted = query.locality();
    let mut localities = Localities::new(connection);
    let mut lies: std::collections::HashMap<(Option<u32>, AreaId), bool> = std::collections::HashMap::new();
    while let Some(row) = rows.next()? {
        let (number, area) = (row::number_of(row.get(0)?)?, AreaId(row.get(3)?));
        let lies_there = match lies.entry((number.npa_nxx(), area)) {
            _ if wanted.is_empty() => true,
            std::collections::hash_map::Entry::Occupied(known) => *known.get(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                *unknown.insert(wanted.lies(&localities.at(number, area)?))
            }
        };
        if !lies_there {
            continue;
        }
        if let Some((since_from, since_until)) = query.since {
            let began = since(connection, EventSeq(row.get(1)?))?;
            if !(since_from <= began && began < since_until) {
                continue;
            }
        }
        total += 1;
        let place = (row.get(2)?, row.get(0)?);
        if total <= skip || from.is_some_and(|from| place < from) {
            continue;
        }
        match items.len() < query.size {
            true => items.push(number),
            false => next = next.or(Some(number)),
        }
    }
    Ok(Page { items, total, next })
}

fn export(
    connection: &Connection,
    filter: &NumberFilter,
    after: Option<Number>,
    size: usize,
) -> Result<Exported> {
    let names: std::collections::HashMap<AreaId, AreaName> =
        areas(connection)?.into_iter().map(|(id, area)| (id, area.name)).collect();
    let Found { numbers, next } = find(connection, filter, after, size)?;
    let rows = number_rows(connection, numbers)?.into_iter();
    let named = rows.map(|row| {
        let name = names.get(&row.entry.area).ok_or_else(|| corrupt("an area is missing"))?;
        Ok((row.entry, name.clone()))
    });
    Ok(Exported { numbers: named.collect::<Result<_>>()?, next })
}

fn lives(connection: &Connection, after: Option<Number>, size: usize) -> Result<Vec<History>> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number > ? ORDER BY number LIMIT ?");
    let values = vec![Value::Integer(after.map_or(0, digits_of)), limit(size)];
    let rows = list(connection, &sql, values, NumberRow::read)?;
    rows.iter().map(|row| history(connection, row)).collect()
}

/// Returns how many numbers end their aging in a window: those that go, by the instants at which numbers of each holder are
/// due, and those that are kept then.
fn endings(
    connection: &Connection,
    (from, until): (Timestamp, Timestamp),
    account: Option<AccountId>,
    area: Option<AreaId>,
) -> Result<Vec<Ending>> {
    let mut found = Vec::new();
    for (stays, read) in [
        (
            false,
            "FROM due d CROSS JOIN number n ON n.holder = d.holder AND n.due_at = d.due_at
             WHERE d.due_at >= ?1 AND d.due_at < ?2",
        ),
        (true, "FROM number n WHERE n.release_at >= ?1 AND n.release_at < ?2 AND n.due_at > n.release_at"),
    ] {
        let sql = format!(
            "SELECT n.area, n.flags & {HOME_FLAGS} AS home, count(*) {read} AND n.state = {}
             AND (?3 IS NULL OR n.holder = ?3) AND (?4 IS NULL OR n.area = ?4) GROUP BY 1, 2",
            state_code(State::Aging)
        );
        let values = vec![
            Value::Integer(from.millis()),
            Value::Integer(until.millis()),
            account.map_or(Value::Null, of),
            area.map_or(Value::Null, |area| Value::Integer(area.0.into())),
        ];
        found.extend(list(connection, &sql, values, |row| {
            let numbers: i64 = row.get(2)?;
            let (area, home) = (AreaId(row.get(0)?), home_of(row.get(1)?));
            Ok(Ending { area, home, stays, numbers: numbers.unsigned_abs() })
        })?);
    }
    Ok(found)
}

fn aging(connection: &Connection) -> Result<BTreeMap<AreaId, Aging>> {
    let sql = format!(
        "SELECT area, count(*), min(due_at) FROM number WHERE due_at IS NOT NULL AND state = {} GROUP BY area",
        state_code(State::Aging)
    );
    let found = list(connection, &sql, Vec::new(), |row| {
        let numbers: i64 = row.get(1)?;
        let next_at = Timestamp::from_millis(row.get(2)?);
        Ok((AreaId(row.get(0)?), Aging { numbers: numbers.unsigned_abs(), next_at }))
    })?;
    Ok(found.into_iter().collect())
}

/// Returns numbers that a filter means: reads rows by the narrowest index, and judges each.
fn find(connection: &Connection, filter: &NumberFilter, after: Option<Number>, size: usize) -> Result<Found> {
    let (first, end) = filter.range().unwrap_or((0, i64::MAX.unsigned_abs()));
    let first = i64::try_from(first).unwrap_or(i64::MAX).saturating_sub(1).max(after.map_or(0, digits_of));
    let mut values = vec![Value::Integer(first), Value::Integer(i64::try_from(end).unwrap_or(i64::MAX))];
    let holder = match filter.account {
        Some(account) => {
            values.push(of(account));
            "AND holder = ?"
        }
        None => "",
    };
    values.push(limit(LOOKS_MAX));
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE number > ? AND number < ? {holder} ORDER BY number LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut found, mut looks) = (Found::default(), 0);
    while let Some(row) = rows.next()? {
        let entry = NumberRow::read(row)?.entry;
        looks += 1;
        if filter.fits(&entry) {
            if found.numbers.len() == size {
                found.next = found.numbers.last().copied();
                break;
            }
            found.numbers.push(entry.number);
        }
        if looks == LOOKS_MAX {
            found.next = Some(entry.number);
        }
    }
    Ok(found)
}

/// Numbers whose charges one read looks up: few enough that it is a short one, which is not begun twice and waits for no
/// turn.
const CHARGES: usize = 500;

/// What decides the charges of a number that is as it was imported: its state, its holder, and the import.
type Life = (u8, Option<u32>, i64);

/// Returns what is charged for each of the numbers. Of one that is as it was imported, it reads a few columns of the row.
fn charges(connection: &Connection, numbers: &[Number]) -> Result<Vec<Option<Arc<Charges>>>> {
    let sql = "SELECT n.state, n.holder, n.flags, n.last_event
               FROM rarray(?) wanted LEFT JOIN number n ON n.number = wanted.value";
    let wanted: Vec<Value> = numbers.iter().map(|number| Value::Integer(digits_of(*number))).collect();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([Rc::new(wanted)])?;
    let mut found = Vec::with_capacity(numbers.len());
    let mut last: Option<(Life, Arc<Charges>)> = None; // an import brings many of the same life
    for number in numbers {
        let row = rows.next()?.ok_or_else(|| corrupt("a number was not looked up"))?;
        let Some(state) = row.get::<_, Option<u8>>(0)? else {
            found.push(None);
            continue;
        };
        let (holder, flags, last_event): (Option<u32>, u8, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        if flags & UNTOUCHED == 0 {
            let row = number_row(connection, *number)?.ok_or_else(|| corrupt("a number has gone"))?;
            let charges = Charges::of(&history(connection, &row)?).map_err(|no| corrupt(no.to_string()))?;
            found.push(Some(Arc::new(charges)));
            continue;
        }
        let life: Life = (state, holder, last_event);
        let charges = match last.take().filter(|(of, _)| *of == life) {
            Some((_, charges)) => charges,
            None => {
                let Link::Import(at) = link(connection, EventSeq(last_event))? else {
                    return Err(corrupt(format!("{} is no longer as it was imported", number.masked())));
                };
                let holder = holder.map(row::account_id).transpose()?;
                Arc::new(Charges::untouched(state_of(state)?, holder, at))
            }
        };
        found.push(Some(charges.clone()));
        last = Some((life, charges));
    }
    Ok(found)
}

#[async_trait]
impl Numbers for SqliteStore {
    async fn find(&self, filter: NumberFilter, after: Option<Number>, size: usize) -> Result<Found> {
        self.readers.read(move |connection| find(connection, &filter, after, size)).await
    }

    async fn release(
        &self,
        lease: LeaseToken,
        now: Timestamp,
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<StepReport> {
        let work = move |tables: &mut Tables<'_>| {
            must_last(tables.connection, lease)?;
            release(tables, now, numbers_max, &policy)
        };
        self.writer.write_own(work).await
    }

    async fn pass(
        &self,
        lease: LeaseToken,
        span: (Timestamp, Timestamp),
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<Option<(StepReport, Timestamp)>> {
        let work = move |tables: &mut Tables<'_>| {
            must_last(tables.connection, lease)?;
            pass(tables, span, numbers_max, &policy)
        };
        self.writer.write_own(work).await
    }

    async fn facts(&self, number: Number) -> Result<Option<Facts>> {
        self.readers.read(move |connection| facts(connection, number)).await
    }

    async fn facts_of(&self, numbers: Vec<Number>) -> Result<Vec<Facts>> {
        self.readers
            .read(move |connection| {
                let facts = numbers.iter().map(|number| facts(connection, *number).transpose());
                facts.flatten().collect()
            })
            .await
    }

    async fn localities(&self, numbers: Vec<Number>) -> Result<Vec<(Number, Locality)>> {
        self.readers.read(move |connection| localities(connection, &numbers)).await
    }

    async fn localities_in(&self, areas: Vec<(Number, AreaId)>) -> Result<Vec<Locality>> {
        let read = move |connection: &Connection| {
            let mut localities = Localities::new(connection);
            areas.iter().map(|(number, area)| localities.at(*number, *area)).collect()
        };
        self.readers.read(read).await
    }

    async fn history(&self, number: Number) -> Result<Option<NumberHistory>> {
        self.readers
            .read_few(move |connection| match number_row(connection, number)? {
                Some(row) => number_history(connection, &row).map(Some),
                None => Ok(None),
            })
            .await
    }

    async fn charges(&self, numbers: Vec<Number>) -> Result<Vec<Option<Arc<Charges>>>> {
        let mut found = Vec::with_capacity(numbers.len());
        for some in numbers.chunks(CHARGES) {
            let some = some.to_vec();
            found.extend(self.readers.read(move |connection| charges(connection, &some)).await?);
        }
        Ok(found)
    }

    async fn numbers(&self, query: NumberQuery) -> Result<Page<Number, Number>> {
        self.readers.read(move |connection| numbers(connection, &query)).await
    }

    async fn count(&self, query: NumberQuery) -> Result<u64> {
        self.readers.read(move |connection| count(connection, &query)).await
    }

    async fn move_numbers(
        &self,
        account: AccountId,
        to: Destination,
        numbers: Vec<Number>,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<NumbersMoved> {
        let work = move |tables: &mut Tables<'_>| {
            move_numbers(tables, account, to, &numbers, (&author, now), &policy)
        };
        self.writer.write(work).await
    }

    async fn endings(
        &self,
        window: (Timestamp, Timestamp),
        account: Option<AccountId>,
        area: Option<AreaId>,
    ) -> Result<Vec<Ending>> {
        self.readers.read(move |connection| endings(connection, window, account, area)).await
    }

    async fn aging(&self) -> Result<BTreeMap<AreaId, Aging>> {
        self.readers.read(aging).await
    }

    async fn export(&self, filter: NumberFilter, after: Option<Number>, size: usize) -> Result<Exported> {
        self.readers.read(move |connection| export(connection, &filter, after, size)).await
    }

    async fn histories(&self, after: Option<Number>, size: usize) -> Result<Vec<History>> {
        self.readers.read(move |connection| lives(connection, after, size)).await
    }
}
