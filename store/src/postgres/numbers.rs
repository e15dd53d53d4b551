//! Numbers: their histories, lists and counts of them, and moves between sites and peers.

use std::collections::{BTreeMap, HashMap, hash_map};
use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AccountId, AreaId, OrderSeq, PeerId, SiteId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::report::rating::Charges;
use onhook_core::time::Timestamp;

use super::accounts::must_exist;
use super::areas::area_names;
use super::batch::{apply_numbers, numbers_of};
use super::entries::{NUMBER_COLUMNS, NumberRow, histories, lock_numbers, number_rows};
use super::exchanges::{Localities, localities, spot};
use super::leases::{must_last, should_last};
use super::open::PostgresStore;
use super::release::{DUE, pass, release, some_due};
use super::row::{digits_of, get, limit, number_of, order_id, pages_before, small, time, under};
use super::statement::{Value, row, rows};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::codes::{kind_of, state_code};
use crate::columns::{HOME_FLAGS, home_of};
use crate::contract::leases::LeaseToken;
use crate::contract::numbers::{
    Aging, Destination, Ending, Exported, Facts, Found, LOOKS_MAX, NumberFilter, NumberHistory, NumberQuery,
    Numbers, NumbersMoved, OrderMark,
};
use crate::contract::orders::StepReport;
use crate::contract::page::{Page, Start};
use crate::error::corrupt;
use crate::plan::moves::moves;

/// Candidates of a list that are read together, if each has to be judged.
const CANDIDATES: usize = 1_000;

async fn move_numbers(
    client: &Client,
    account: AccountId,
    to: Destination,
    numbers: &[Number],
    (author, now): (&Author, Timestamp),
    policy: &Policy,
) -> Result<NumbersMoved> {
    let (_, premises) = must_exist(client, account).await?;
    let place = match premises.place(account, to.site, Some(to.peer)) {
        Ok(place) => place,
        Err(no) => return Ok(NumbersMoved::NoPlace(no)),
    };
    let known = lock_numbers(client, numbers).await?;
    let known = numbers_of(client, known).await?;
    match moves(numbers, place, known, policy, (author, now)) {
        Ok(writes) => Ok(NumbersMoved::Done(apply_numbers(client, writes).await?)),
        Err(missing) => Ok(NumbersMoved::NotInService(missing)),
    }
}

/// Returns those of some orders that exist, as histories name them.
async fn marks(client: &Client, orders: &[OrderSeq]) -> Result<BTreeMap<OrderSeq, OrderMark>> {
    let seqs: Vec<i64> = orders.iter().map(|seq| seq.0).collect();
    if seqs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT seq, id, kind, user_name, created_at, credential, address, reason, plan
               FROM orders WHERE seq = ANY($1)";
    let mut found = BTreeMap::new();
    for row in &rows(client, sql, &[&seqs]).await? {
        let (kind, user) = (kind_of(small(row, 2)?)?, get(row, 3)?);
        let mark =
            OrderMark { id: order_id(row, 1)?, kind, user, created_at: time(row, 4)?, under: under(row, 5)? };
        found.insert(OrderSeq(get(row, 0)?), mark);
    }
    Ok(found)
}

/// Returns a number's history.
async fn history_of(client: &Client, row: &NumberRow) -> Result<History> {
    let found = histories(client, std::slice::from_ref(row)).await?.remove(&row.entry.number);
    found.ok_or_else(|| corrupt("a number without a history"))?
}

/// Returns a number's history, with the orders that made its events.
async fn number_history(client: &Client, number: Number) -> Result<Option<NumberHistory>> {
    let Some(row) = number_rows(client, &[number]).await?.pop() else { return Ok(None) };
    let history = history_of(client, &row).await?;
    let made_by = history.events.iter().filter_map(|event| match event.by {
        By::Order(seq) => Some(seq),
        _ => None,
    });
    let made_by: Vec<OrderSeq> = made_by.collect();
    let orders = marks(client, &made_by).await?;
    match made_by.iter().find(|seq| !orders.contains_key(seq)) {
        Some(missing) => Err(corrupt(format!("order {} is missing", missing.0))),
        None => Ok(Some(NumberHistory { history, orders })),
    }
}

/// Numbers whose charges are looked up at once: their rows are in memory together.
const CHARGES: usize = 10_000;

/// Returns what is charged for each of the numbers.
async fn charges(client: &Client, numbers: &[Number]) -> Result<Vec<Option<Arc<Charges>>>> {
    let mut known: HashMap<Number, Arc<Charges>> = HashMap::with_capacity(numbers.len());
    for some in numbers.chunks(CHARGES) {
        let (untouched, lived): (Vec<NumberRow>, Vec<NumberRow>) =
            number_rows(client, some).await?.into_iter().partition(|row| row.untouched);
        known.extend(untouched.iter().map(|row| {
            let (state, holder) = (row.entry.state(), row.entry.standing.holder());
            (row.entry.number, Arc::new(Charges::untouched(state, holder, row.at)))
        }));
        for (number, history) in histories(client, &lived).await? {
            let charges = Charges::of(&history?).map_err(|no| corrupt(no.to_string()))?;
            known.insert(number, Arc::new(charges));
        }
    }
    Ok(numbers.iter().map(|number| known.get(number).cloned()).collect())
}

/// Returns the names of sites or peers, and whether each is the default one.
async fn names_in(client: &Client, table: &str, ids: Vec<i64>) -> Result<HashMap<u32, (String, bool)>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!("SELECT id, name, is_default FROM {table} WHERE id = ANY($1)");
    let found = rows(client, &sql, &[&ids]).await?;
    found.iter().map(|row| Ok((small(row, 0)?, (get(row, 1)?, get(row, 2)?)))).collect()
}

/// Returns numbers with their details, in the order in which they were named. Numbers that do not exist are left out.
pub(super) async fn facts_of(client: &Client, numbers: &[Number]) -> Result<Vec<Facts>> {
    let found = number_rows(client, numbers).await?;
    let mut lives = HashMap::with_capacity(found.len());
    for (number, life) in histories(client, &found).await? {
        lives.insert(number, life?);
    }
    let last: Vec<OrderSeq> = lives.values().filter_map(History::last_order).collect();
    let orders = marks(client, &last).await?;
    let places = || found.iter().filter_map(|row| row.entry.standing.place());
    let sites = names_in(client, "site", places().map(|place| place.site.get().into()).collect()).await?;
    let peers = places().filter_map(|place| place.peer).map(|peer| peer.get().into()).collect();
    let peers = names_in(client, "peer", peers).await?;
    let mut localities = Localities::default();
    localities.learn(client, &found.iter().map(|row| spot(&row.entry)).collect::<Vec<_>>()).await?;
    let facts = |number: &Number| {
        let life = lives.get(number)?;
        let entry = life.entry;
        let place = entry.standing.place();
        let order = life.last_order().and_then(|seq| orders.get(&seq));
        let details = || {
            Ok(Facts {
                area: localities.area(entry.area)?.clone(),
                locality: localities.at(spot(&entry))?,
                entry,
                since: life.since(),
                imported_at: life.imported_at,
                in_service_at: life.in_service_since().map_err(|error| corrupt(error.to_string()))?,
                hold: life.hold().cloned(),
                history: life.clone(),
                order: order.map(|mark| (mark.id, mark.kind, mark.created_at)),
                site_name: place.and_then(|place| Some(sites.get(&place.site.get())?.0.clone())),
                peer_name: place.and_then(|place| peers.get(&place.peer?.get()).cloned()),
            })
        };
        Some(details())
    };
    numbers.iter().filter_map(facts).collect()
}

/// Conditions that a query's numbers meet.
struct Wanted {
    sql: String,
    values: Vec<i64>,
}

impl Wanted {
    /// Returns the conditions that find a query's numbers, by the narrowest index. `None` if no number can match.
    fn of(query: &NumberQuery) -> Option<Self> {
        let states: Vec<String> = query.states.iter().map(|state| state_code(*state).to_string()).collect();
        if states.is_empty() {
            return None;
        }
        let sql = format!("holder = $1 AND state IN ({})", states.join(", "));
        let mut wanted = Self { sql, values: vec![query.account.get().into()] };
        if let Some(site) = query.site {
            wanted.and("site =", site.get().into());
        }
        if let Some(peer) = query.peer {
            wanted.and("peer =", peer.get().into());
        }
        if let Some(protected) = query.protected {
            wanted.and("flags & 1 =", protected.into());
        }
        if let Some(prefix) = &query.prefix {
            let (first, end) = Number::nanp_range(prefix)?;
            wanted.and("number >=", i64::try_from(first).unwrap_or(i64::MAX));
            wanted.and("number <", i64::try_from(end).unwrap_or(i64::MAX));
        }
        Some(wanted)
    }

    /// Adds a condition on a value.
    fn and(&mut self, condition: &str, value: i64) {
        self.values.push(value);
        self.sql += &format!(" AND {condition} ${}", self.values.len());
    }

    /// Adds that a number stands in its list at this position, or behind it.
    fn from(&mut self, query: &NumberQuery, (due_at, digits): (i64, i64)) {
        if query.by_release() {
            self.values.extend([due_at, digits]);
            let n = self.values.len();
            self.sql += &format!(" AND (due_at, number) >= (${}, ${n})", n - 1);
        } else {
            self.and("number >=", digits);
        }
    }

    fn values(&self) -> Vec<&dyn Value> {
        self.values.iter().map(|value| -> &dyn Value { value }).collect()
    }
}

async fn count(client: &Client, query: &NumberQuery) -> Result<u64> {
    if let Some(site) = query.only_at() {
        return in_service_at(client, query.account, site, query.peer).await;
    }
    if query.is_filtered() {
        let all = NumberQuery { start: Start::Page(1), size: 0, ..query.clone() };
        Ok(numbers(client, &all).await?.total)
    } else {
        tallied(client, query).await
    }
}

/// Returns how many numbers an account has in some states, by the stored counts.
async fn tallied(client: &Client, query: &NumberQuery) -> Result<u64> {
    let states: Vec<i64> = query.states.iter().map(|state| state_code(*state).into()).collect();
    let sql = "SELECT coalesce(sum(numbers), 0)::bigint FROM tally WHERE account = $1 AND state = ANY($2)";
    total(client, sql, &[&i64::from(query.account.get()), &states]).await
}

/// Returns how many numbers are in service at a site of an account, or at a peer of it, by the stored counts.
async fn in_service_at(
    client: &Client,
    account: AccountId,
    site: SiteId,
    peer: Option<PeerId>,
) -> Result<u64> {
    let sql = "SELECT coalesce(sum(p.numbers), 0)::bigint FROM in_service p JOIN site s ON s.id = p.site
               WHERE p.site = $1 AND p.peer = coalesce($2, p.peer) AND s.account = $3";
    let peer = peer.map(|peer| i64::from(peer.get()));
    total(client, sql, &[&i64::from(site.get()), &peer, &i64::from(account.get())]).await
}

async fn total(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<u64> {
    let total = row(client, sql, values).await?.map(|row| get::<i64>(&row, 0)).transpose()?;
    Ok(total.unwrap_or(0).unsigned_abs())
}

/// Returns a number's position in its list: its release, or 0, and its digits. A number that has left the list since a
/// client was told of it keeps its position. `None` if it was never in the list.
async fn place_in(client: &Client, query: &NumberQuery, first: Number) -> Result<Option<(i64, i64)>> {
    if !query.by_release() {
        return Ok(Some((0, digits_of(first))));
    }
    let Some(row) = number_rows(client, &[first]).await?.pop() else { return Ok(None) };
    // Only if this account gave it up: another account's number must look like one that does not exist.
    let held = history_of(client, &row).await?.last_held_for(query.account);
    let release_at = held.map_err(|error| corrupt(error.to_string()))?;
    Ok(release_at.map(|at| (at.millis(), digits_of(first))))
}

async fn numbers(client: &Client, query: &NumberQuery) -> Result<Page<Number, Number>> {
    let nothing = |total| Page { items: Vec::new(), total, next: None };
    let Some(mut wanted) = Wanted::of(query) else { return Ok(nothing(0)) };
    let one_by_one = query.since.is_some() || !query.locality().is_empty();
    let from = match query.start {
        Start::Page(_) => None,
        Start::At(first) => match place_in(client, query, first).await? {
            Some(place) => Some(place),
            None if one_by_one => {
                return Ok(nothing(one_by_one_from(client, query, wanted, (None, 0)).await?.total));
            }
            None => return Ok(nothing(total_of(client, query, &wanted).await?)),
        },
    };
    let skip = match query.start {
        Start::Page(page) => pages_before(page, query.size),
        Start::At(_) => 0,
    };
    if one_by_one {
        return one_by_one_from(client, query, wanted, (from, skip.unsigned_abs())).await;
    }
    let total = total_of(client, query, &wanted).await?;
    if let Some(place) = from {
        wanted.from(query, place);
    }
    let (of, order) = listed(query);
    let n = wanted.values.len();
    let sql = format!(
        "SELECT number FROM {of} WHERE {} ORDER BY {order} LIMIT ${} OFFSET ${}",
        wanted.sql,
        n + 1,
        n + 2
    );
    wanted.values.extend([limit(query.size.saturating_add(1)), skip]);
    let found = rows(client, &sql, &wanted.values()).await?;
    let mut items = found.iter().map(|row| number_of(row, 0)).collect::<Result<Vec<_>>>()?;
    let next = (items.len() > query.size).then(|| items.pop()).flatten();
    Ok(Page { items, total, next })
}

/// Returns the rows that a query's list is of, and their order.
fn listed(query: &NumberQuery) -> (&'static str, &'static str) {
    if query.by_release() { (DUE, "due_at, number") } else { ("number", "number") }
}

/// Returns how many numbers a query finds that the database can count.
async fn total_of(client: &Client, query: &NumberQuery, wanted: &Wanted) -> Result<u64> {
    match (query.only_at(), query.is_filtered()) {
        (Some(site), _) => in_service_at(client, query.account, site, query.peer).await,
        (None, false) => tallied(client, query).await,
        (None, true) => {
            let sql = format!("SELECT count(*) FROM number WHERE {}", wanted.sql);
            total(client, &sql, &wanted.values()).await
        }
    }
}

/// Returns a page for a query by the time when the state began, or by locality. The time is in the number's event, and
/// `core` tells the locality, so each candidate is read, and each locality is judged once.
async fn one_by_one_from(
    client: &Client,
    query: &NumberQuery,
    wanted: Wanted,
    (from, skip): (Option<(i64, i64)>, u64),
) -> Result<Page<Number, Number>> {
    let (of, order) = listed(query);
    let (mut items, mut total, mut next) = (Vec::new(), 0, None);
    let criteria = query.locality();
    let mut localities = Localities::default();
    let mut lies: HashMap<(Option<u32>, AreaId), bool> = HashMap::new();
    let mut after: Option<(i64, i64)> = None;
    loop {
        let mut some = Wanted { sql: wanted.sql.clone(), values: wanted.values.clone() };
        if let Some((due_at, digits)) = after {
            some.from(query, (due_at, digits + 1));
        }
        let sql = format!(
            "SELECT {NUMBER_COLUMNS} FROM {of} WHERE {} ORDER BY {order} LIMIT {CANDIDATES}",
            some.sql
        );
        let found = rows(client, &sql, &some.values()).await?;
        let mut found = found.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
        let full = found.len() == CANDIDATES;
        let position = |row: &NumberRow| {
            let due_at = row.entry.standing.due_at().filter(|_| query.by_release());
            (due_at.map_or(0, Timestamp::millis), digits_of(row.entry.number))
        };
        after = found.last().map(position);
        if !criteria.is_empty() {
            let spots: Vec<_> = found.iter().map(|row| spot(&row.entry)).collect();
            localities.learn(client, &spots).await?;
            for (number, area) in spots {
                if let hash_map::Entry::Vacant(unknown) = lies.entry((number.npa_nxx(), area)) {
                    unknown.insert(criteria.lies(&localities.at((number, area))?));
                }
            }
            found.retain(|row| {
                lies.get(&(row.entry.number.npa_nxx(), row.entry.area)).is_some_and(|lies| *lies)
            });
        }
        if let Some((began_from, began_until)) = query.since {
            let mut began = HashMap::with_capacity(found.len());
            for (number, life) in histories(client, &found).await? {
                began.insert(number, life?.since());
            }
            found.retain(|row| {
                began.get(&row.entry.number).is_some_and(|at| (began_from..began_until).contains(at))
            });
        }
        for row in found {
            total += 1;
            if total <= skip || from.is_some_and(|from| position(&row) < from) {
                continue;
            }
            if items.len() < query.size {
                items.push(row.entry.number);
            } else {
                next = next.or(Some(row.entry.number));
            }
        }
        if !full {
            return Ok(Page { items, total, next });
        }
    }
}

async fn export(
    client: &Client,
    filter: &NumberFilter,
    after: Option<Number>,
    size: usize,
) -> Result<Exported> {
    let Found { numbers, next } = find(client, filter, after, size).await?;
    let found = number_rows(client, &numbers).await?;
    let names = area_names(client, found.iter().map(|row| row.entry.area).collect::<Vec<_>>()).await?;
    let named = found.into_iter().map(|row| {
        let name = names.get(&row.entry.area).ok_or_else(|| corrupt("an area is missing"))?;
        Ok((row.entry, name.clone()))
    });
    Ok(Exported { numbers: named.collect::<Result<_>>()?, next })
}

async fn lives(client: &Client, after: Option<Number>, size: usize) -> Result<Vec<History>> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number > $1 ORDER BY number LIMIT $2");
    let found = rows(client, &sql, &[&after.map_or(0, digits_of), &limit(size)]).await?;
    let found = found.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
    let mut lives = histories(client, &found).await?;
    let life = |row: &NumberRow| lives.remove(&row.entry.number);
    found.iter().filter_map(life).collect()
}

/// Returns how many numbers end their aging in a window: those that go, and those that are kept then.
async fn endings(
    client: &Client,
    (from, until): (Timestamp, Timestamp),
    account: Option<AccountId>,
    area: Option<AreaId>,
) -> Result<Vec<Ending>> {
    let account = account.map(|account| i64::from(account.get()));
    let area = area.map(|area| i64::from(area.0));
    let mut found = Vec::new();
    for (stays, of, ends) in [
        (false, DUE, "due_at >= $1 AND due_at < $2"),
        (true, "number", "release_at >= $1 AND release_at < $2 AND due_at > release_at"),
    ] {
        let sql = format!(
            "SELECT area, flags & {HOME_FLAGS}, count(*) FROM {of} WHERE {ends} AND state = {}
             AND ($3::bigint IS NULL OR holder = $3) AND ($4::bigint IS NULL OR area = $4) GROUP BY 1, 2",
            state_code(State::Aging)
        );
        for row in rows(client, &sql, &[&from.millis(), &until.millis(), &account, &area]).await? {
            let (area, home) = (AreaId(small(&row, 0)?), home_of(small(&row, 1)?));
            found.push(Ending { area, home, stays, numbers: get::<i64>(&row, 2)?.unsigned_abs() });
        }
    }
    Ok(found)
}

async fn aging(client: &Client) -> Result<BTreeMap<AreaId, Aging>> {
    let sql = format!(
        "SELECT area, count(*), min(due_at) FROM {DUE} WHERE state = {} GROUP BY area",
        state_code(State::Aging)
    );
    let mut found = BTreeMap::new();
    for row in rows(client, &sql, &[]).await? {
        let aging = Aging { numbers: get::<i64>(&row, 1)?.unsigned_abs(), next_at: time(&row, 2)? };
        found.insert(AreaId(small(&row, 0)?), aging);
    }
    Ok(found)
}

/// Rows that one search of several reads together.
const LOOKS: usize = 2_000;

/// Returns numbers that a filter means: reads rows by the narrowest index, some at a time, and judges each.
async fn find(client: &Client, filter: &NumberFilter, after: Option<Number>, size: usize) -> Result<Found> {
    let (first, end) = filter.range().unwrap_or((0, i64::MAX.unsigned_abs()));
    let mut from = i64::try_from(first).unwrap_or(i64::MAX).saturating_sub(1).max(after.map_or(0, digits_of));
    let end = i64::try_from(end).unwrap_or(i64::MAX);
    let holder = filter.account.map(|account| i64::from(account.get()));
    let narrowed = if holder.is_some() { "holder = $4" } else { "$4::bigint IS NULL" };
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE number > $1 AND number < $2 AND {narrowed}
         ORDER BY number LIMIT $3"
    );
    let (mut found, mut looks) = (Found::default(), 0);
    while looks < LOOKS_MAX {
        let read = rows(client, &sql, &[&from, &end, &limit(LOOKS), &holder]).await?;
        for row in &read {
            let entry = NumberRow::read(row)?.entry;
            from = digits_of(entry.number);
            if filter.fits(&entry) {
                if found.numbers.len() == size {
                    found.next = found.numbers.last().copied();
                    return Ok(found);
                }
                found.numbers.push(entry.number);
            }
            looks += 1;
            found.next = Some(entry.number);
        }
        if read.len() < LOOKS {
            found.next = None;
            break;
        }
    }
    Ok(found)
}

/// Returns whether a number is due, under a lease.
async fn must_release(client: &Client, lease: LeaseToken, now: Timestamp) -> Result<bool> {
    should_last(client, lease).await?;
    some_due(client, now).await
}

async fn release_under(
    client: &Client,
    lease: LeaseToken,
    now: Timestamp,
    numbers_max: usize,
    policy: &Policy,
) -> Result<StepReport> {
    must_last(client, lease).await?;
    release(client, now, numbers_max, policy).await
}

async fn pass_under(
    client: &Client,
    lease: LeaseToken,
    span: (Timestamp, Timestamp),
    numbers_max: usize,
    policy: &Policy,
) -> Result<Option<(StepReport, Timestamp)>> {
    must_last(client, lease).await?;
    pass(client, span, numbers_max, policy).await
}

#[async_trait]
impl Numbers for PostgresStore {
    async fn release(
        &self,
        lease: LeaseToken,
        now: Timestamp,
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<StepReport> {
        if !reading!(self, client => must_release(&client, lease, now).await)? {
            return Ok(StepReport::default());
        }
        transaction!(self, tx => release_under(&tx, lease, now, numbers_max, &policy).await)
    }

    async fn pass(
        &self,
        lease: LeaseToken,
        span: (Timestamp, Timestamp),
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<Option<(StepReport, Timestamp)>> {
        transaction!(self, tx => pass_under(&tx, lease, span, numbers_max, &policy).await)
    }

    async fn facts(&self, number: Number) -> Result<Option<Facts>> {
        reading!(self, client => facts_of(&client, &[number]).await.map(|mut facts| facts.pop()))
    }

    async fn facts_of(&self, numbers: Vec<Number>) -> Result<Vec<Facts>> {
        reading!(self, client => facts_of(&client, &numbers).await)
    }

    async fn localities(&self, numbers: Vec<Number>) -> Result<Vec<(Number, Locality)>> {
        reading!(self, client => localities(&client, &numbers).await)
    }

    async fn charges(&self, numbers: Vec<Number>) -> Result<Vec<Option<Arc<Charges>>>> {
        reading!(self, client => charges(&client, &numbers).await)
    }

    async fn localities_in(&self, areas: Vec<(Number, AreaId)>) -> Result<Vec<Locality>> {
        reading!(self, client => {
            let mut localities = Localities::default();
            localities.learn(&client, &areas).await?;
            areas.iter().map(|spot| localities.at(*spot)).collect()
        })
    }

    async fn history(&self, number: Number) -> Result<Option<NumberHistory>> {
        reading!(self, client => number_history(&client, number).await)
    }

    async fn numbers(&self, query: NumberQuery) -> Result<Page<Number, Number>> {
        reading!(self, client => numbers(&client, &query).await)
    }

    async fn count(&self, query: NumberQuery) -> Result<u64> {
        reading!(self, client => count(&client, &query).await)
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
        transaction!(self, tx => move_numbers(&tx, account, to, &numbers, (&author, now), &policy).await)
    }

    async fn find(&self, filter: NumberFilter, after: Option<Number>, size: usize) -> Result<Found> {
        reading!(self, client => find(&client, &filter, after, size).await)
    }

    async fn endings(
        &self,
        window: (Timestamp, Timestamp),
        account: Option<AccountId>,
        area: Option<AreaId>,
    ) -> Result<Vec<Ending>> {
        reading!(self, client => endings(&client, window, account, area).await)
    }

    async fn aging(&self) -> Result<BTreeMap<AreaId, Aging>> {
        reading!(self, client => aging(&client).await)
    }

    async fn export(&self, filter: NumberFilter, after: Option<Number>, size: usize) -> Result<Exported> {
        reading!(self, client => export(&client, &filter, after, size).await)
    }

    async fn histories(&self, after: Option<Number>, size: usize) -> Result<Vec<History>> {
        reading!(self, client => lives(&client, after, size).await)
    }
}
