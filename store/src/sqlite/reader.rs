//! Reads: a few read-only connections, each used by one caller at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use onhook_core::account::details::{PeerDetails, SiteDetails};
use onhook_core::account::user::folded;
use onhook_core::account::{Account, Peer, Premises, Role, Site};
use onhook_core::clock::Seen;
use onhook_core::ids::AreaId;
use onhook_core::ids::EventSeq;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::ids::{OrderId, OrderSeq};
use onhook_core::lifecycle::area::{Area, AreaName};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::lifecycle::event::apply;
use onhook_core::lifecycle::event::{By, Change, Event};
use onhook_core::number::Number;
use onhook_core::order::search::Criteria;
use onhook_core::order::{Kind, Line, Order, Summary};
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params_from_iter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::VFS;
use super::ids::OrderIds;
use super::memory::{self, area};
use super::places;
use super::row::{
    self, EVENT_COLUMNS, NUMBER_COLUMNS, NumberRow, ORDER_COLUMNS, ORDERS, SUMMARY_COLUMNS, corrupt,
    digits_of, kind_code, state_code, status_code,
};
use super::writer::lock;
use crate::{
    Facts, History, LIST_MAX, Note, NumberQuery, OrderMark, OrderQuery, Page, Result, Start, StoreError,
    Totals, Unwritable, User,
};

/// How many reads run at once; more wait for their turn.
const READERS: usize = 4;
/// Steps of the engine between two looks at how much a read has done.
const LOOK_EVERY: i32 = 1_000;
/// Looks after which a read is a long one: some milliseconds of work, more than a page of a few hundred rows takes.
const LOOKS_MAX: i64 = 40;

/// The connections.
///
/// Nobody can tell from a query how much it will look at: a page of ten may be found at once, or behind a million
/// rows. So each read is begun as a short one. One that turns out to be long is given up and begun again when it is
/// its turn among the long ones, which are few: they leave connections and a processor to the short ones, which never
/// wait for a long one to end. What a long read has done before it was given up is lost; that is little, and the
/// price of one rule for all.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Reader>>>,
    turns: Arc<Semaphore>,
    long_turns: Arc<Semaphore>,
}

/// A connection, and how many looks are left to the read that has it.
struct Reader {
    connection: Connection,
    looks_left: Arc<AtomicI64>,
}

/// What became of a read.
enum Read<T> {
    /// It ended.
    Ended(Result<T>),
    /// It would have taken more than it was given.
    TooLong,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let idle = (0..READERS).map(|_| Reader::open(path)).collect::<Result<Vec<_>>>()?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Half of the processors and half of the connections, at least one.
        let long = (processors / 2).clamp(1, READERS / 2);
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
            turns: Arc::new(Semaphore::new(READERS)),
            long_turns: Arc::new(Semaphore::new(long)),
        })
    }

    /// Runs `read` in one read transaction, on a thread where it may block; twice, when it is a long one.
    pub(super) async fn read<T, R>(&self, read: R) -> Result<T>
    where
        T: Send + 'static,
        R: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
    {
        let read = Arc::new(read);
        if let Read::Ended(result) = self.begin(read.clone(), LOOKS_MAX, None).await {
            return result;
        }
        let turn = self.long_turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        match self.begin(read, i64::MAX, Some(turn)).await {
            Read::Ended(result) => result,
            Read::TooLong => Err(corrupt("a read has no end")),
        }
    }

    /// Runs `read` for as long as its looks last. The turn among the long ones is given back when it ends, whether
    /// or not someone still waits for it.
    async fn begin<T, R>(&self, read: Arc<R>, looks: i64, long_turn: Option<OwnedSemaphorePermit>) -> Read<T>
    where
        T: Send + 'static,
        R: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
    {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Read::Ended(Err(StoreError::Closed));
        };
        let idle = self.idle.clone();
        let done = tokio::task::spawn_blocking(move || {
            let Some(mut reader) = lock(&idle).pop() else { return Read::Ended(Err(StoreError::Closed)) };
            // A read that panics must not take its connection with it.
            let done = catch_unwind(AssertUnwindSafe(|| reader.run(&*read, looks)));
            lock(&idle).push(reader);
            drop((turn, long_turn));
            done.unwrap_or_else(|_| Read::Ended(Err(corrupt("a read panicked"))))
        });
        done.await.unwrap_or_else(|error| Read::Ended(Err(StoreError::Broken(Box::new(error)))))
    }

    /// Waits for the reads under way and closes the connections.
    pub(super) async fn close(&self) {
        if self.turns.acquire_many(u32::try_from(READERS).unwrap_or(1)).await.is_ok() {
            self.turns.close();
            self.long_turns.close();
        }
        lock(&self.idle).clear();
    }
}

impl Reader {
    fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        let looks_left = Arc::new(AtomicI64::new(i64::MAX));
        let looks = looks_left.clone();
        connection.progress_handler(LOOK_EVERY, Some(move || looks.fetch_sub(1, Ordering::Relaxed) <= 0))?;
        Ok(Self { connection, looks_left })
    }

    fn run<T>(&mut self, read: impl Fn(&Connection) -> Result<T>, looks: i64) -> Read<T> {
        self.looks_left.store(looks, Ordering::Relaxed);
        let result = self.connection.transaction().map_err(StoreError::from).and_then(|transaction| {
            let value = read(&transaction);
            // What ends the transaction must not be given up.
            let looks_left = self.looks_left.swap(i64::MAX, Ordering::Relaxed);
            match value {
                Ok(value) => transaction.commit().map(|()| Some(value)).map_err(StoreError::from),
                Err(_) if looks_left < 0 => Ok(None),
                Err(error) => Err(error),
            }
        });
        match result {
            Ok(Some(value)) => Read::Ended(Ok(value)),
            Ok(None) => Read::TooLong,
            Err(error) => Read::Ended(Err(of_a_read(error))),
        }
    }
}

/// A connection that only reads writes to no disk but that of temporary files.
fn of_a_read(error: StoreError) -> StoreError {
    match row::engine_error(&error).map(|error| error.code) {
        Some(rusqlite::ErrorCode::DiskFull) => Unwritable::Temporary.into(),
        _ => error,
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, VFS)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?; // KiB
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(read(row)?);
    }
    Ok(items)
}

fn limit(size: usize) -> Value {
    Value::Integer(i64::try_from(size).unwrap_or(i64::MAX))
}

// Accounts.

fn account(row: &Row<'_>) -> Result<Account> {
    let (kind, class): (String, String) = (row.get(2)?, row.get(3)?);
    let (kind, class) = row::account_words(&kind, &class)?;
    let created_at = Timestamp::from_millis(row.get(4)?);
    Ok(Account { id: row::account_id(row.get(0)?)?, name: row.get(1)?, kind, class, created_at })
}

pub(super) fn accounts(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Account>> {
    let (filter, values) = narrowed("id", only);
    let sql = format!("SELECT id, name, kind, class, created_at FROM account {filter} ORDER BY id");
    list(connection, &sql, values, account)
}

pub(super) fn sites(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Site>> {
    let (filter, values) = narrowed("account", only);
    let sql = format!("SELECT id, account, name, is_default FROM site {filter} ORDER BY id");
    list(connection, &sql, values, site)
}

fn site(row: &Row<'_>) -> Result<Site> {
    Ok(Site {
        id: row::site_id(row.get(0)?)?,
        account: row::account_id(row.get(1)?)?,
        name: row.get(2)?,
        is_default: row.get(3)?,
    })
}

pub(super) fn peers(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Peer>> {
    let (filter, values) = narrowed("account", only);
    let sql = format!("SELECT id, account, site, name, is_default FROM peer {filter} ORDER BY id");
    list(connection, &sql, values, peer)
}

fn peer(row: &Row<'_>) -> Result<Peer> {
    Ok(Peer {
        id: row::peer_id(row.get(0)?)?,
        account: row::account_id(row.get(1)?)?,
        site: row::site_id(row.get(2)?)?,
        name: row.get(3)?,
        is_default: row.get(4)?,
    })
}

/// The sites of an account, or one of them, with what is said of each.
pub(super) fn sites_in_full(
    connection: &Connection,
    account: AccountId,
    only: Option<SiteId>,
) -> Result<Vec<(Site, SiteDetails)>> {
    let sql = "SELECT id, account, name, is_default, details FROM site
               WHERE account = ?1 AND id = coalesce(?2, id) ORDER BY id";
    let values = vec![of(account), only.map_or(Value::Null, |id| Value::Integer(id.get().into()))];
    list(connection, sql, values, |row| Ok((site(row)?, row::details(row.get(4)?)?)))
}

/// The peers of a site of an account, or one of them, with what is said of each.
pub(super) fn peers_in_full(
    connection: &Connection,
    account: AccountId,
    at: SiteId,
    only: Option<PeerId>,
) -> Result<Vec<(Peer, PeerDetails)>> {
    let sql = "SELECT id, account, site, name, is_default, details FROM peer
               WHERE account = ?1 AND site = ?2 AND id = coalesce(?3, id) ORDER BY id";
    let only = only.map_or(Value::Null, |id| Value::Integer(id.get().into()));
    let values = vec![of(account), Value::Integer(at.get().into()), only];
    list(connection, sql, values, |row| Ok((peer(row)?, row::details(row.get(5)?)?)))
}

/// How many numbers are in service at a site of an account, or at one peer of it, by the counts that are
/// kept.
pub(super) fn in_service_at(
    connection: &Connection,
    account: AccountId,
    site: SiteId,
    peer: Option<PeerId>,
) -> Result<u64> {
    let numbers: i64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(p.numbers), 0) FROM place p JOIN site s ON s.id = p.site
             WHERE p.site = ?1 AND p.peer = coalesce(?2, p.peer) AND s.account = ?3",
        )?
        .query_row((site.get(), peer.map(PeerId::get), account.get()), |row| row.get(0))?;
    Ok(numbers.unsigned_abs())
}

/// The same for each site and peer of an account that has some; the peer is none where numbers are at none
/// of the site's.
pub(super) fn in_service(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
    let sql = "SELECT p.site, p.peer, p.numbers FROM site s JOIN place p ON p.site = s.id
               WHERE s.account = ? ORDER BY 1, 2";
    list(connection, sql, vec![of(account)], |row| {
        let numbers: i64 = row.get(2)?;
        Ok((row::site_id(row.get(0)?)?, PeerId::new(row.get(1)?), numbers.unsigned_abs()))
    })
}

/// The WHERE that narrows a list to an account, by its index; none for all.
fn narrowed(column: &str, only: Option<AccountId>) -> (String, Vec<Value>) {
    match only {
        Some(account) => (format!("WHERE {column} = ?"), vec![of(account)]),
        None => (String::new(), Vec::new()),
    }
}

fn of(account: AccountId) -> Value {
    Value::Integer(account.get().into())
}

/// An account with its sites and peers.
pub(super) fn account_with_premises(
    connection: &Connection,
    id: AccountId,
) -> Result<Option<(Account, Premises)>> {
    let Some(account) = accounts(connection, Some(id))?.pop() else { return Ok(None) };
    Ok(Some((account, Premises { sites: sites(connection, Some(id))?, peers: peers(connection, Some(id))? })))
}

const USER_COLUMNS: &str = "name, account, role, password_hash, generation";

pub(super) fn user(connection: &Connection, name: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM user WHERE folded = ?");
    Ok(list(connection, &sql, vec![Value::Text(folded(name).into_owned())], read_user)?.pop())
}

pub(super) fn users(connection: &Connection) -> Result<Vec<User>> {
    list(connection, &format!("SELECT {USER_COLUMNS} FROM user ORDER BY folded"), Vec::new(), read_user)
}

pub(super) fn users_of(connection: &Connection, account: AccountId) -> Result<Vec<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM user WHERE account = ? ORDER BY folded LIMIT ?");
    list(connection, &sql, vec![of(account), limit(LIST_MAX)], read_user)
}

/// How many users an account has.
pub(super) fn count_users(connection: &Connection, account: AccountId) -> Result<u32> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM user WHERE account = ?")?;
    Ok(statement.query_row([account.get()], |row| row.get(0))?)
}

/// How many administrators an account has.
pub(super) fn admins(connection: &Connection, account: AccountId) -> Result<u32> {
    let sql = "SELECT count(*) FROM user WHERE account = ? AND role = ?";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row((account.get(), Role::Admin.word()), |row| row.get(0))?)
}

fn read_user(row: &Row<'_>) -> Result<User> {
    let (account, role): (Option<u32>, String) = (row.get(1)?, row.get(2)?);
    Ok(User {
        name: row.get(0)?,
        account: account.map(row::account_id).transpose()?,
        role: row::role(&role)?,
        password_hash: row.get(3)?,
        generation: row.get(4)?,
    })
}

// Orders.

pub(super) fn order(
    connection: &Connection,
    ids: &OrderIds,
    account: AccountId,
    kind: Kind,
    id: OrderId,
) -> Result<Option<Order>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE seq = ? AND id = ? AND account = ? AND kind = ?"
    ))?;
    let mut rows = statement.query((seq.0, id.0.as_bytes(), account.get(), kind_code(kind)))?;
    rows.next()?.map(row::order).transpose()
}

/// An order's place, without its numbers.
pub(super) fn order_seq(
    connection: &Connection,
    ids: &OrderIds,
    account: AccountId,
    kind: Kind,
    id: OrderId,
) -> Result<Option<OrderSeq>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT seq FROM orders WHERE seq = ? AND id = ? AND account = ? AND kind = ?")?;
    let values = (seq.0, id.0.as_bytes(), account.get(), kind_code(kind));
    Ok(statement.query_row(values, |row| row.get(0)).optional()?.map(OrderSeq))
}

pub(super) fn orders(
    connection: &Connection,
    ids: &OrderIds,
    query: &OrderQuery,
) -> Result<Page<Summary, OrderId>> {
    let mut wanted = "account = ? AND kind = ?".to_owned();
    let mut values = vec![of(query.account), Value::Integer(kind_code(query.kind).into())];
    let mut and = |sql: &str, value: Value| {
        wanted += " AND ";
        wanted += sql;
        values.push(value);
    };
    if let Some(status) = query.status {
        and("status = ?", Value::Integer(status_code(status).into()));
    }
    if let Some(site) = query.site {
        and("site = ?", Value::Integer(site.get().into()));
    }
    if let Some(user) = &query.user {
        and("user = ?", Value::Text(user.clone()));
    }
    if let Some(id) = &query.customer_order_id {
        and("customer_order_id = ?", Value::Text(id.clone()));
    }
    if let Some((from, until)) = query.created {
        and("created_at >= ?", Value::Integer(from.millis()));
        and("created_at < ?", Value::Integer(until.millis()));
    }
    let total: i64 = connection
        .prepare_cached(&format!("SELECT count(*) FROM orders WHERE {wanted}"))?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    let skip = match &query.start {
        Start::Page(page) => pages_before(*page, query.size),
        Start::At(id) => {
            // A foreign id is an unknown id: both begin nowhere.
            let Some(first) = order_seq(connection, ids, query.account, query.kind, *id)? else {
                return Ok(Page { items: Vec::new(), total: total.unsigned_abs(), next: None });
            };
            wanted += " AND seq <= ?";
            values.push(Value::Integer(first.0));
            0
        }
    };
    values.extend([limit(query.size + 1), Value::Integer(skip)]);
    let sql =
        format!("SELECT {SUMMARY_COLUMNS} FROM orders WHERE {wanted} ORDER BY seq DESC LIMIT ? OFFSET ?");
    let mut items = list(connection, &sql, values, row::summary)?;
    let next = (items.len() > query.size).then(|| items.pop()).flatten().map(|order| order.id);
    Ok(Page { items, total: total.unsigned_abs(), next })
}

/// What has happened to an order beside its end.
pub(super) fn lines(connection: &Connection, order: OrderSeq) -> Result<Vec<Line>> {
    let sql = "SELECT at, author, status, taken, difference FROM order_line WHERE order_seq = ?
               ORDER BY id LIMIT ?";
    list(connection, sql, vec![Value::Integer(order.0), limit(LIST_MAX)], |row| {
        Ok(Line {
            at: Timestamp::from_millis(row.get(0)?),
            author: row.get(1)?,
            status: row::status_of(row.get(2)?)?,
            taken: usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            difference: row.get(4)?,
        })
    })
}

fn pages_before(page: u32, size: usize) -> i64 {
    i64::from(page.saturating_sub(1)).saturating_mul(i64::try_from(size).unwrap_or(i64::MAX))
}

pub(super) fn notes(connection: &Connection, order: OrderSeq) -> Result<Vec<Note>> {
    let sql = "SELECT id, user, text, at FROM note WHERE order_seq = ? ORDER BY id LIMIT ?";
    list(connection, sql, vec![Value::Integer(order.0), limit(LIST_MAX)], |row| {
        let at = Timestamp::from_millis(row.get(3)?);
        Ok(Note { id: row.get(0)?, user: row.get(1)?, text: row.get(2)?, at })
    })
}

// Numbers.

pub(super) fn number(connection: &Connection, number: Number) -> Result<Option<NumberRow>> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([digits_of(number)])?;
    rows.next()?.map(NumberRow::read).transpose()
}

/// One step back in a number's chain.
pub(super) enum Link {
    /// The import that brought the number, and when.
    Import(Timestamp),
    /// An event.
    Event(Box<Event>),
}

pub(super) fn link(connection: &Connection, seq: EventSeq) -> Result<Link> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM event WHERE seq = ?"))?;
    let mut rows = statement.query([seq.0])?;
    let row = rows.next()?.ok_or_else(|| corrupt(format!("event {} is missing", seq.0)))?;
    match row.get::<_, Option<i64>>(1)? {
        None => Ok(Link::Import(Timestamp::from_millis(row.get(3)?))),
        Some(_) => Ok(Link::Event(Box::new(row::event(row)?))),
    }
}

/// A number's events, oldest first, by its chain.
pub(super) fn history(connection: &Connection, row: &NumberRow) -> Result<History> {
    let mut events: Vec<Event> = Vec::new();
    let mut at = row.last_event;
    let imported_at = loop {
        match link(connection, at)? {
            Link::Import(time) => break time,
            Link::Event(event) if event.prev >= at => {
                return Err(corrupt(format!("event {} points forward", at.0)));
            }
            Link::Event(event) => {
                at = event.prev;
                events.push(*event);
            }
        }
    };
    events.reverse();
    let origin = match events.first() {
        None => row.entry,
        Some(first) => {
            first.origin.ok_or_else(|| corrupt(format!("event {} lacks the origin", first.seq.0)))?
        }
    };
    Ok(History { entry: row.entry, origin, imported_at, events, orders: BTreeMap::new() })
}

/// The same with the orders that made the events.
pub(super) fn told_history(connection: &Connection, row: &NumberRow) -> Result<History> {
    let mut history = history(connection, row)?;
    let sql = "SELECT id, kind, user, created_at FROM orders WHERE seq = ?";
    for event in &history.events {
        let By::Order(seq) = event.by else { continue };
        let mark = list(connection, sql, vec![Value::Integer(seq.0)], |row| {
            Ok(OrderMark {
                id: OrderId(uuid::Uuid::from_bytes(row.get(0)?)),
                kind: row::kind_of(row.get(1)?)?,
                user: row.get(2)?,
                created_at: Timestamp::from_millis(row.get(3)?),
            })
        });
        let mark = mark?.pop().ok_or_else(|| corrupt(format!("order {} is missing", seq.0)))?;
        history.orders.insert(seq, mark);
    }
    Ok(history)
}

pub(super) fn facts(connection: &Connection, wanted: Number) -> Result<Option<Facts>> {
    let Some(row) = number(connection, wanted)? else { return Ok(None) };
    let History { entry, origin, imported_at, events, .. } = history(connection, &row)?;
    let since = events.iter().rfind(|e| e.change.moves()).map_or(imported_at, |e| e.at);
    let entered = events.iter().rev().find_map(|e| match &e.change {
        Change::Activated { .. } | Change::Reconnected { .. } => Some(Some(e.at)),
        Change::Restored { standing, .. } => Some((standing.state() == State::InService).then_some(e.at)),
        _ => None,
    });
    let entered = entered.unwrap_or_else(|| (origin.state() == State::InService).then_some(imported_at));
    let hold = events.iter().rev().find(|e| e.change.moves()).and_then(|e| match &e.change {
        Change::Disconnected { hold, .. } => Some(hold.clone()),
        _ => None,
    });
    let order = events.iter().rev().find_map(|e| match e.by {
        By::Order(seq) => Some(seq),
        _ => None,
    });
    let order = match order {
        None => None,
        Some(seq) => connection
            .prepare_cached("SELECT id, kind, created_at FROM orders WHERE seq = ?")?
            .query_row([seq.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?
            .map(|(id, kind, at)| -> Result<_> {
                let id = OrderId(uuid::Uuid::from_bytes(id));
                Ok((id, row::kind_of(kind)?, Timestamp::from_millis(at)))
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
    let in_service_at = place.and(entered);
    Ok(Some(Facts {
        area: area_name(connection, entry.area)?,
        locality: places::Localities::new(connection).of(&entry)?,
        entry,
        since,
        imported_at,
        in_service_at,
        hold,
        order,
        site_name: site_name.map(|(name, _)| name),
        peer_name,
    }))
}

pub(super) fn area_name(connection: &Connection, id: AreaId) -> Result<AreaName> {
    let name: String = connection
        .prepare_cached("SELECT name FROM area WHERE id = ?")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(serde_json::from_str(&name)?)
}

pub(super) fn areas(connection: &Connection) -> Result<Vec<(AreaId, Area)>> {
    list(connection, "SELECT id, name, supply, demand, demand_at FROM area ORDER BY id", Vec::new(), area)
}

/// The part after WHERE that finds a query's numbers, by the narrowest index; none when no number can.
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

/// When the state of a row began.
fn since(connection: &Connection, mut at: EventSeq) -> Result<Timestamp> {
    loop {
        match link(connection, at)? {
            Link::Import(time) => return Ok(time),
            Link::Event(event) if event.change.moves() => return Ok(event.at),
            Link::Event(event) => at = event.prev,
        }
    }
}

pub(super) fn count(connection: &Connection, query: &NumberQuery) -> Result<u64> {
    if let Some(site) = only_at(query) {
        return in_service_at(connection, query.account, site, query.peer);
    }
    match is_filtered(query) {
        false => tallied(connection, query),
        true => {
            let all = NumberQuery { start: Start::Page(1), size: 0, ..query.clone() };
            Ok(numbers(connection, &all)?.total)
        }
    }
}

/// The site of a query that asks for nothing but what is in service there, or at a peer of it: that is
/// counted already.
fn only_at(query: &NumberQuery) -> Option<SiteId> {
    let everywhere = NumberQuery { site: None, peer: None, ..query.clone() };
    query.site.filter(|_| query.states == [State::InService] && !is_filtered(&everywhere))
}

/// Where the numbers of a query have to lie.
fn locality_of(query: &NumberQuery) -> Criteria {
    let NumberQuery { region, rate_center, city, lata, .. } = query;
    let upper = |text: &Option<String>| text.as_ref().map(|text| text.to_uppercase());
    Criteria {
        region: upper(region),
        rate_center: upper(rate_center),
        city: upper(city),
        lata: lata.clone(),
        ..Criteria::default()
    }
}

fn is_filtered(query: &NumberQuery) -> bool {
    let NumberQuery { site, peer, protected, prefix, since, .. } = query;
    site.is_some()
        || peer.is_some()
        || protected.is_some()
        || prefix.is_some()
        || since.is_some()
        || !locality_of(query).is_empty()
}

/// How many numbers an account has in some states, by the counts that are kept.
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

/// In which order a query's numbers come: aging ones alone in that of their release, which has an index
/// of its own, all others in that of their digits.
fn by_release(query: &NumberQuery) -> bool {
    query.states == [State::Aging]
}

/// Where a number stands in its list's order: its release, or 0, and its digits. A number that has left the
/// list since a client was told of it keeps its place; none for one that was never in it.
fn place_in(connection: &Connection, query: &NumberQuery, first: Number) -> Result<Option<(i64, i64)>> {
    if !by_release(query) {
        return Ok(Some((0, digits_of(first))));
    }
    let Some(row) = number(connection, first)? else { return Ok(None) };
    let History { origin, events, .. } = history(connection, &row)?;
    // Only when this account gave it up: another's number is as unknown as one that never was.
    let given_up = |entry: &Entry| match entry.standing {
        Standing::Aging { former, release_at, .. } if former.account == query.account => Some(release_at),
        _ => None,
    };
    let mut entry = origin;
    let mut release_at = given_up(&entry);
    for event in &events {
        entry = apply(&entry, &event.change).map_err(|error| corrupt(error.to_string()))?;
        release_at = given_up(&entry).or(release_at);
    }
    Ok(release_at.map(|at| (at.millis(), digits_of(first))))
}

pub(super) fn numbers(connection: &Connection, query: &NumberQuery) -> Result<Page<Number, Number>> {
    let nothing = |total| Page { items: Vec::new(), total, next: None };
    let Some((mut wanted, mut values)) = finds(query) else { return Ok(nothing(0)) };
    if by_release(query) {
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
    if query.since.is_some() || !locality_of(query).is_empty() {
        return numbers_one_by_one(connection, query, &wanted, values, (from, skip.unsigned_abs()));
    }
    let total = match (only_at(query), is_filtered(query)) {
        (Some(site), _) => in_service_at(connection, query.account, site, query.peer)?,
        (None, false) => tallied(connection, query)?,
        (None, true) => connection
            .prepare_cached(&format!("SELECT count(*) FROM number WHERE {wanted}"))?
            .query_row(params_from_iter(&values), |row| row.get::<_, i64>(0))?
            .unsigned_abs(),
    };
    let order = if by_release(query) { "due_at, number" } else { "number" };
    if let Some((due_at, digits)) = from {
        if by_release(query) {
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

/// The same when it counts when a number's state began, which stands in its event, or where the number
/// lies, which `core` says: each candidate is looked at, each place once.
fn numbers_one_by_one(
    connection: &Connection,
    query: &NumberQuery,
    wanted: &str,
    values: Vec<Value>,
    (from, skip): (Option<(i64, i64)>, u64),
) -> Result<Page<Number, Number>> {
    let due_at = if by_release(query) { "due_at" } else { "0" };
    let sql = format!("SELECT number, last_event, {due_at}, area FROM number WHERE {wanted} ORDER BY 3, 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut items, mut total, mut next) = (Vec::new(), 0, None);
    let wanted = locality_of(query);
    let mut localities = places::Localities::new(connection);
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

pub(super) fn export(
    connection: &Connection,
    after: Option<Number>,
    size: usize,
) -> Result<Vec<(Entry, AreaName)>> {
    let names: std::collections::HashMap<AreaId, AreaName> =
        areas(connection)?.into_iter().map(|(id, area)| (id, area.name)).collect();
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number > ? ORDER BY number LIMIT ?");
    let values = vec![Value::Integer(after.map_or(0, digits_of)), limit(size)];
    list(connection, &sql, values, |row| {
        let entry = NumberRow::read(row)?.entry;
        let name = names.get(&entry.area).ok_or_else(|| corrupt("an area is missing"))?;
        Ok((entry, name.clone()))
    })
}

pub(super) fn totals(connection: &Connection, now: Timestamp) -> Result<Totals> {
    let sql = "SELECT state, sum(numbers) FROM tally GROUP BY state ORDER BY state";
    let by_state = list(connection, sql, Vec::new(), |row| {
        Ok((row::state_of(row.get(0)?)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    let (waiting, oldest): (i64, Option<i64>) = connection
        .prepare_cached(
            "WITH waiting AS (SELECT seq, created_at FROM orders WHERE seq > ? AND status = 0)
             SELECT (SELECT count(*) FROM waiting), (SELECT created_at FROM waiting ORDER BY seq LIMIT 1)",
        )?
        .query_row([memory::run_to(connection)?.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let deliveries: i64 = connection
        .prepare_cached("SELECT count(*) FROM notification WHERE standing = 0")?
        .query_row([], |row| row.get(0))?;
    let due: i64 = connection
        .prepare_cached("SELECT coalesce(sum(numbers), 0) FROM due WHERE due_at <= ?")?
        .query_row([now.millis()], |row| row.get(0))?;
    let missing = State::ALL.iter().filter(|s| !by_state.iter().any(|(has, _)| has == *s));
    let mut by_state: Vec<_> = by_state.iter().copied().chain(missing.map(|s| (*s, 0))).collect();
    by_state.sort_by_key(|(state, _)| *state);
    Ok(Totals {
        by_state,
        waiting: waiting.unsigned_abs(),
        oldest_waiting: oldest.map(Timestamp::from_millis),
        queue: 0,
        deliveries: deliveries.unsigned_abs(),
        due: due.unsigned_abs(),
        failed: Vec::new(),
    })
}

pub(super) fn clock(connection: &Connection) -> Result<(Option<Seen>, i64)> {
    let last = match row::meta(connection, "last_seen")?.map(Timestamp::from_millis) {
        Some(last) => Some(last),
        None => memory::last_at(connection)?,
    };
    let unseen_ms = row::meta(connection, "unseen_ms")?.unwrap_or(0);
    let seen = last.map(|last| Seen { last, unseen_ms });
    Ok((seen, row::meta(connection, "clock_moved_ms")?.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Rows that are looked at one by one.
    fn look_at(connection: &Connection, rows: u32) -> Result<u32> {
        let sql = "WITH RECURSIVE seen(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seen WHERE n < ?)
                   SELECT max(n) FROM seen";
        Ok(connection.prepare_cached(sql)?.query_row([rows], |row| row.get(0))?)
    }

    fn readers() -> (tempfile::TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("onhook.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (n)").unwrap();
        let readers = Arc::new(Readers::open(&path).unwrap());
        (folder, readers)
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), what).await.expect("it waits for a long one")
    }

    #[tokio::test]
    async fn a_short_read_does_not_wait_for_long_ones_however_many_there_are() {
        let (_folder, readers) = readers();
        let (begun, mut beginning) = tokio::sync::mpsc::unbounded_channel();
        let mut ends = Vec::new();
        let long: Vec<_> = (0..READERS * 4)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                ends.push(end);
                let (readers, begun, ended) = (readers.clone(), begun.clone(), Mutex::new(ended));
                tokio::spawn(async move {
                    let read = move |connection: &Connection| {
                        let seen = look_at(connection, 1_000_000)?;
                        let _ = begun.send(());
                        let _ = lock(&ended).recv();
                        Ok(seen)
                    };
                    readers.read(read).await
                })
            })
            .collect();
        // One of them is in the middle of its read, all others have been asked for.
        soon(beginning.recv()).await.unwrap();
        for _ in 0..READERS * 4 {
            assert_eq!(soon(readers.read(|connection| look_at(connection, 10))).await.unwrap(), 10);
        }
        drop(ends);
        for long in long {
            assert_eq!(soon(long).await.unwrap().unwrap(), 1_000_000);
        }
    }

    #[tokio::test]
    async fn a_long_read_is_begun_twice_and_a_short_one_or_a_wrong_one_once() {
        let (_folder, readers) = readers();
        for (rows, times) in [(10, 1), (300, 1), (1_000_000, 2)] {
            let begun = Arc::new(AtomicUsize::new(0));
            let count = begun.clone();
            let read = move |connection: &Connection| {
                count.fetch_add(1, Ordering::Relaxed);
                look_at(connection, rows)
            };
            assert_eq!(readers.read(read).await.unwrap(), rows);
            assert_eq!(begun.load(Ordering::Relaxed), times, "{rows} rows");
        }
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        let read = move |_: &Connection| -> Result<()> {
            count.fetch_add(1, Ordering::Relaxed);
            Err(StoreError::Conflict("no".into()))
        };
        assert!(matches!(readers.read(read).await, Err(StoreError::Conflict(_))));
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        // A read that panics leaves its connection behind.
        for _ in 0..READERS * 2 {
            let read = |_: &Connection| -> Result<()> { panic!("on purpose") };
            assert!(matches!(readers.read(read).await, Err(StoreError::Broken(_))));
        }
        assert_eq!(readers.read(|connection| look_at(connection, 10)).await.unwrap(), 10);
    }
}
