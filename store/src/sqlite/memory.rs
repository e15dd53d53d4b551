//! What the writer keeps in mind between transactions, so that it need not be read again: counters and
//! the areas. It always equals what the store holds, and is loaded anew when a job is undone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use onhook_core::ids::AreaId;
use onhook_core::ids::EventSeq;
use onhook_core::ids::OrderSeq;
use onhook_core::ids::SubscriptionSeq;
use onhook_core::ids::{AccountId, PeerId};
use onhook_core::lifecycle::area::{Area, AreaName, Demand};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::time::Timestamp;
use rusqlite::{Connection, ToSql};

use super::row::{self, corrupt, state_code};
use super::subscriptions::{self, Subscriber};
use crate::Result;

pub(super) struct Memory {
    last_event: EventSeq,
    last_order: OrderSeq,
    /// The last order before which, and with which, none is RECEIVED: orders to be run come after it. An index
    /// of those that are would change twice for each order.
    run_to: OrderSeq,
    /// The latest time that anything in the store carries: time does not run backwards here.
    last_at: Timestamp,
    /// Imports, by their event.
    pub(super) imports: HashSet<EventSeq>,
    pub(super) areas: HashMap<AreaId, Area>,
    area_ids: HashMap<AreaName, AreaId>,
    pub(super) back_orders: BackOrders,
    /// Live subscriptions that something can happen to; accounts without any are absent.
    pub(super) subscribers: HashMap<AccountId, Vec<Subscriber>>,
    /// The subscription behind which the next look for those that are over begins.
    pub(super) tidied: SubscriptionSeq,
}

/// How far the orders that wait for numbers have been looked at since the pool last grew. After a start
/// nobody knows what they have seen, so they are all looked at.
pub(super) struct BackOrders {
    /// The order after which to go on; none when all have seen all there is.
    pub(super) after: Option<OrderSeq>,
    /// Whether the pool has grown since they were begun with.
    again: bool,
}

impl BackOrders {
    const FIRST: OrderSeq = OrderSeq(0);

    /// There are more numbers in the pool than before.
    pub(super) fn pool_grew(&mut self) {
        match self.after {
            None => self.after = Some(Self::FIRST),
            Some(_) => self.again = true,
        }
    }

    /// They have been looked at up to `last`, or all of them.
    pub(super) fn looked_at(&mut self, last: Option<OrderSeq>) {
        self.after = last.or_else(|| std::mem::take(&mut self.again).then_some(Self::FIRST));
    }
}

impl Memory {
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let one = |sql: &str| -> Result<i64> { Ok(connection.query_row(sql, [], |row| row.get(0))?) };
        let imports: Option<String> = row::meta(connection, "imports")?;
        let imports: Vec<EventSeq> = imports.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text))?;
        let mut areas = HashMap::new();
        let mut area_ids = HashMap::new();
        let mut statement = connection.prepare("SELECT id, name, supply, demand, demand_at FROM area")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, area) = area(row)?;
            area_ids.insert(area.name.key(), id);
            areas.insert(id, area);
        }
        let mut subscribers: HashMap<AccountId, Vec<Subscriber>> = HashMap::new();
        for (account, subscriber) in subscriptions::subscribers(connection)? {
            subscribers.entry(account).or_default().push(subscriber);
        }
        Ok(Self {
            last_event: EventSeq(one("SELECT coalesce(max(seq), 0) FROM event")?),
            last_order: OrderSeq(one("SELECT coalesce(max(seq), 0) FROM orders")?),
            run_to: run_to(connection)?,
            last_at: last_at(connection)?.unwrap_or_default(),
            imports: imports.into_iter().collect(),
            areas,
            area_ids,
            back_orders: BackOrders { after: Some(BackOrders::FIRST), again: false },
            subscribers,
            tidied: SubscriptionSeq(0),
        })
    }

    pub(super) fn next_event(&mut self) -> EventSeq {
        self.last_event.0 += 1;
        self.last_event
    }

    pub(super) fn next_order(&mut self) -> OrderSeq {
        self.last_order.0 += 1;
        self.last_order
    }

    pub(super) fn last_order(&self) -> OrderSeq {
        self.last_order
    }

    pub(super) fn run_to(&self) -> OrderSeq {
        self.run_to
    }

    /// Notes that up to `last` no order is RECEIVED.
    pub(super) fn set_run_to(&mut self, connection: &Connection, last: OrderSeq) -> Result<()> {
        if last > self.run_to {
            row::set_meta(connection, "run_to", last.0)?;
            self.run_to = last;
        }
        Ok(())
    }

    /// A live subscription of an account.
    pub(super) fn subscriber(&mut self, account: AccountId, seq: SubscriptionSeq) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&account)?.iter_mut().find(|s| s.seq == seq)
    }

    /// It is told nothing more.
    pub(super) fn forget_subscriber(&mut self, account: AccountId, seq: SubscriptionSeq) {
        if let Some(subscribers) = self.subscribers.get_mut(&account) {
            subscribers.retain(|s| s.seq != seq);
            if subscribers.is_empty() {
                self.subscribers.remove(&account);
            }
        }
    }

    /// The caller's time, or the store's if that is later.
    pub(super) fn now(&mut self, now: Timestamp) -> Timestamp {
        self.last_at = self.last_at.max(now);
        self.last_at
    }

    /// The area of that name, made if it is new.
    pub(super) fn area_id(&mut self, connection: &Connection, name: AreaName) -> Result<AreaId> {
        if let Some(id) = self.area_ids.get(&name.key()).copied() {
            return self.learn_region(connection, id, &name).map(|()| id);
        }
        let id = u32::try_from(self.areas.len() + 1).map_err(|_| corrupt("too many areas"))?;
        let id = AreaId(id);
        connection
            .prepare_cached("INSERT INTO area (id, name, supply, demand, demand_at) VALUES (?, ?, 0, 0, 0)")?
            .execute((id.0, serde_json::to_string(&name)?))?;
        if let AreaName::RateCenter { region, rate_center } = &name {
            connection
                .prepare_cached(
                    "INSERT INTO rate_center (region, abbreviation, name) VALUES (?1, ?2, ?2)
                     ON CONFLICT DO NOTHING",
                )?
                .execute((region, rate_center))?;
        }
        self.areas.insert(id, Area { name: name.clone(), supply: 0, demand: Demand::default() });
        self.area_ids.insert(name.key(), id);
        Ok(id)
    }

    /// An area of a prefix is one area, whether or not each import says where it is.
    fn learn_region(&mut self, connection: &Connection, id: AreaId, name: &AreaName) -> Result<()> {
        let area = self.areas.get_mut(&id).ok_or_else(|| corrupt("an area is missing"))?;
        if area.name.region().is_some() || name.region().is_none() {
            return Ok(());
        }
        area.name = name.clone();
        connection
            .prepare_cached("UPDATE area SET name = ? WHERE id = ?")?
            .execute((serde_json::to_string(name)?, id.0))?;
        Ok(())
    }

    /// Notes an import, so that a number's first event after it is known for what it is.
    pub(super) fn add_import(&mut self, connection: &Connection, import: EventSeq) -> Result<()> {
        self.imports.insert(import);
        let mut imports: Vec<_> = self.imports.iter().copied().collect();
        imports.sort_unstable();
        row::set_meta(connection, "imports", serde_json::to_string(&imports)?)
    }
}

/// The time of the newest order or event. None in a store without any.
pub(super) fn last_at(connection: &Connection) -> Result<Option<Timestamp>> {
    let sql = "SELECT max(at) FROM (SELECT * FROM (SELECT at FROM event ORDER BY seq DESC LIMIT 1) UNION ALL
               SELECT * FROM (SELECT created_at FROM orders ORDER BY seq DESC LIMIT 1))";
    let at: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}

/// The last order up to which none is RECEIVED, as the store has it.
pub(super) fn run_to(connection: &Connection) -> Result<OrderSeq> {
    Ok(OrderSeq(row::meta(connection, "run_to")?.unwrap_or(0)))
}

pub(super) fn area(row: &rusqlite::Row<'_>) -> Result<(AreaId, Area)> {
    let name: String = row.get(1)?;
    let area = Area {
        name: serde_json::from_str(&name)?,
        supply: row.get::<_, i64>(2)?.try_into().map_err(|_| corrupt("an area's supply is negative"))?,
        demand: Demand { per_day: row.get(3)?, at: Timestamp::from_millis(row.get(4)?) },
    };
    Ok((AreaId(row.get(0)?), area))
}

/// What a job changes in the counts that are kept: gathered, then written once.
#[derive(Default)]
pub(super) struct Counts {
    by_account: BTreeMap<(u32, u8), i64>,
    due: BTreeMap<(i64, u32), i64>,
    places: BTreeMap<(u32, u32), i64>,
    stock: BTreeMap<(u32, AreaId), i64>,
    areas: BTreeSet<AreaId>,
}

impl Counts {
    /// A number that is new in the store.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.count(entry, 1);
        self.areas.insert(entry.area);
    }

    /// A number that changed.
    pub(super) fn change(&mut self, before: &Entry, after: &Entry) {
        self.count(before, -1);
        self.count(after, 1);
        if [before.state(), after.state()].contains(&State::Available) || after.state() == State::InService {
            self.areas.insert(after.area);
        }
    }

    fn count(&mut self, entry: &Entry, by: i64) {
        let account = entry.standing.holder().map_or(0, AccountId::get);
        *self.by_account.entry((account, state_code(entry.state()))).or_default() += by;
        if let Some(due_at) = entry.standing.due_at() {
            *self.due.entry((due_at.millis(), account)).or_default() += by;
        }
        if let (State::Available, Some(npa_nxx)) = (entry.state(), entry.number.npa_nxx()) {
            *self.stock.entry((npa_nxx, entry.area)).or_default() += by;
        }
        if let Standing::InService { place } = entry.standing {
            let peer = place.peer.map_or(0, PeerId::get);
            *self.places.entry((place.site.get(), peer)).or_default() += by;
        }
    }

    pub(super) fn write(self, connection: &Connection, memory: &Memory) -> Result<()> {
        let mut tally = connection.prepare_cached(
            "INSERT INTO tally (account, state, numbers) VALUES (?, ?, ?)
             ON CONFLICT (account, state) DO UPDATE SET numbers = numbers + excluded.numbers",
        )?;
        for ((account, state), by) in self.by_account.into_iter().filter(|(_, by)| *by != 0) {
            tally.execute((account, state, by))?;
        }
        add_up(
            connection,
            "INSERT INTO due (due_at, holder, numbers) VALUES (?, ?, ?)
             ON CONFLICT (due_at, holder) DO UPDATE SET numbers = numbers + excluded.numbers
             RETURNING numbers",
            "DELETE FROM due WHERE due_at = ? AND holder = ? AND numbers = 0",
            self.due,
        )?;
        add_up(
            connection,
            "INSERT INTO place (site, peer, numbers) VALUES (?, ?, ?)
             ON CONFLICT (site, peer) DO UPDATE SET numbers = numbers + excluded.numbers
             RETURNING numbers",
            "DELETE FROM place WHERE site = ? AND peer = ? AND numbers = 0",
            self.places,
        )?;
        add_up(
            connection,
            "INSERT INTO stock (npa_nxx, area, numbers) VALUES (?, ?, ?)
             ON CONFLICT (npa_nxx, area) DO UPDATE SET numbers = numbers + excluded.numbers
             RETURNING numbers",
            "DELETE FROM stock WHERE npa_nxx = ? AND area = ? AND numbers = 0",
            self.stock.into_iter().map(|((npa_nxx, area), by)| ((npa_nxx, area.0), by)),
        )?;
        let mut update = connection
            .prepare_cached("UPDATE area SET supply = ?, demand = ?, demand_at = ? WHERE id = ?")?;
        for id in self.areas {
            let area = memory.areas.get(&id).ok_or_else(|| corrupt(format!("no area {}", id.0)))?;
            let supply = i64::try_from(area.supply).unwrap_or(i64::MAX);
            update.execute((supply, area.demand.per_day, area.demand.at.millis(), id.0))?;
        }
        Ok(())
    }
}

/// Adds to counts, which are kept by two columns, and removes those that come to nothing.
fn add_up<A: ToSql + Copy, B: ToSql + Copy>(
    connection: &Connection,
    add: &str,
    remove: &str,
    changes: impl IntoIterator<Item = ((A, B), i64)>,
) -> Result<()> {
    let mut add = connection.prepare_cached(add)?;
    let mut remove = connection.prepare_cached(remove)?;
    for ((one, two), by) in changes.into_iter().filter(|(_, by)| *by != 0) {
        let numbers: i64 = add.query_row((one, two, by), |row| row.get(0))?;
        if numbers == 0 {
            remove.execute((one, two))?;
        }
    }
    Ok(())
}
