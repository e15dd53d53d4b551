//! Rows to values and back. A row that no value fits is reported, never guessed at.

use onhook_core::account::{AccountKind, Class, Place, Role};
use onhook_core::ids::AreaId;
use onhook_core::ids::EventSeq;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::ids::{OrderId, OrderSeq};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::lifecycle::event::{By, Change, Event};
use onhook_core::number::Number;
use onhook_core::order::{Failure, Kind, Order, Status, Summary};
use onhook_core::time::Timestamp;
use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{Result, StoreError};

const PROTECTED: u8 = 1;
const PORTED_IN: u8 = 2;
const LOCKED: u8 = 4;
const LEAVES: u8 = 8;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Broken(Box::new(error))
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        StoreError::Broken(Box::new(error))
    }
}

/// What the engine said, where it was the engine that failed.
pub(super) fn engine_error(error: &StoreError) -> Option<&rusqlite::ffi::Error> {
    let StoreError::Broken(cause) = error else { return None };
    cause.downcast_ref::<rusqlite::Error>()?.sqlite_error()
}

/// What the store holds makes no sense.
pub(super) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Broken(what.into().into())
}

/// What the store says of itself under a key.
pub(super) fn meta<T: FromSql>(connection: &Connection, key: &str) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Writes that, or writes it anew.
pub(super) fn set_meta(connection: &Connection, key: &str, value: impl ToSql) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)")?
        .execute((key, value))?;
    Ok(())
}

/// Returns the store's key of this name. It is made once: of two that open a new store at the same time, both read
/// the one that was written first.
pub(super) fn key<const N: usize>(connection: &Connection, name: &str) -> Result<[u8; N]> {
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute((name, random::<N>()?))?;
    meta(connection, name)?.ok_or_else(|| corrupt(format!("{name} is missing")))
}

/// Random bytes, from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| corrupt(error.to_string()))?;
    Ok(bytes)
}

pub(super) fn state_code(state: State) -> u8 {
    match state {
        State::Available => 0,
        State::Reserved => 1,
        State::InService => 2,
        State::Aging => 3,
        State::Protected => 4,
        State::Administrative => 5,
        State::Removed => 6,
    }
}

pub(super) fn state_of(code: u8) -> Result<State> {
    let found = State::ALL.iter().find(|state| state_code(**state) == code);
    found.copied().ok_or_else(|| corrupt(format!("no state {code}")))
}

pub(super) fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Disconnect => 0,
        Kind::Number => 1,
        Kind::Move => 2,
    }
}

pub(super) fn kind_of(code: u8) -> Result<Kind> {
    let found = Kind::ALL.iter().find(|kind| kind_code(**kind) == code);
    found.copied().ok_or_else(|| corrupt(format!("no kind of order {code}")))
}

pub(super) fn status_code(status: Status) -> u8 {
    match status {
        Status::Received => 0,
        Status::Complete => 1,
        Status::Partial => 2,
        Status::Failed => 3,
        Status::Backordered => 4,
    }
}

pub(super) fn status_of(code: u8) -> Result<Status> {
    let found = Status::ALL.iter().find(|status| status_code(**status) == code);
    found.copied().ok_or_else(|| corrupt(format!("no order status {code}")))
}

pub(super) fn account_id(id: u32) -> Result<AccountId> {
    AccountId::new(id).ok_or_else(|| corrupt("account 0"))
}

pub(super) fn site_id(id: u32) -> Result<SiteId> {
    SiteId::new(id).ok_or_else(|| corrupt("site 0"))
}

pub(super) fn peer_id(id: u32) -> Result<PeerId> {
    PeerId::new(id).ok_or_else(|| corrupt("peer 0"))
}

pub(super) fn number_of(digits: i64) -> Result<Number> {
    let number = u64::try_from(digits).ok().and_then(|digits| Number::from_digits(digits).ok());
    number.ok_or_else(|| corrupt("what should be a number is none"))
}

pub(super) fn digits_of(number: Number) -> i64 {
    i64::try_from(number.digits()).unwrap_or(i64::MAX)
}

/// A row of `number`: the entry and the event that made it so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberRow {
    pub(super) entry: Entry,
    pub(super) last_event: EventSeq,
}

/// The columns that [`NumberRow::read`] wants, in this order.
pub(super) const NUMBER_COLUMNS: &str = "number, state, holder, site, peer, area, flags, due_at, last_event";

impl NumberRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let number = number_of(row.get(0)?)?;
        let wrong = || corrupt(format!("the row of {} lacks what its state needs", number.masked()));
        let state = state_of(row.get(1)?)?;
        let holder: Option<u32> = row.get(2)?;
        let holder = holder.map(account_id).transpose()?;
        let site: Option<u32> = row.get(3)?;
        let site = site.map(site_id).transpose()?;
        let peer: Option<u32> = row.get(4)?;
        let peer = peer.map(peer_id).transpose()?;
        let flags: u8 = row.get(6)?;
        let due_at: Option<i64> = row.get(7)?;
        let due_at = due_at.map(Timestamp::from_millis);
        let place = || {
            let (account, site) = (holder.ok_or_else(wrong)?, site.ok_or_else(wrong)?);
            Ok::<_, StoreError>(Place { account, site, peer })
        };
        let standing = match state {
            State::Available => Standing::Available,
            State::Administrative => Standing::Administrative,
            State::Removed => Standing::Removed,
            State::Protected => Standing::Protected { account: holder.ok_or_else(wrong)? },
            State::InService => Standing::InService { place: place()? },
            State::Reserved => {
                Standing::Reserved { account: holder.ok_or_else(wrong)?, until: due_at.ok_or_else(wrong)? }
            }
            State::Aging => Standing::Aging {
                former: place()?,
                release_at: due_at.ok_or_else(wrong)?,
                leaves: flags & LEAVES != 0,
            },
        };
        let entry = Entry {
            number,
            standing,
            area: AreaId(row.get(5)?),
            protected: flags & PROTECTED != 0,
            ported_in: flags & PORTED_IN != 0,
            locked: flags & LOCKED != 0,
        };
        Ok(Self { entry, last_event: EventSeq(row.get(8)?) })
    }

    /// The values of [`NUMBER_COLUMNS`], in the same order.
    pub(super) fn values(&self) -> impl rusqlite::Params + use<> {
        let (number, state, site, peer, flags, due_at, last_event) = self.columns();
        let holder = self.entry.standing.holder().map(AccountId::get);
        (number, state, holder, site, peer, self.entry.area.0, flags, due_at, last_event)
    }

    /// The same without the area, which only an import gives.
    pub(super) fn values_but_area(&self) -> impl rusqlite::Params + use<> {
        let (number, state, site, peer, flags, due_at, last_event) = self.columns();
        let holder = self.entry.standing.holder().map(AccountId::get);
        (number, state, holder, site, peer, flags, due_at, last_event)
    }

    /// The same without area and holder.
    pub(super) fn values_but_holder(&self) -> impl rusqlite::Params + use<> {
        self.columns()
    }

    fn columns(&self) -> (i64, u8, Option<u32>, Option<u32>, u8, Option<i64>, i64) {
        let entry = &self.entry;
        let leaves = matches!(entry.standing, Standing::Aging { leaves: true, .. });
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags = flag(entry.protected, PROTECTED)
            | flag(entry.ported_in, PORTED_IN)
            | flag(entry.locked, LOCKED)
            | flag(leaves, LEAVES);
        let place = entry.standing.place();
        (
            digits_of(entry.number),
            state_code(entry.state()),
            place.map(|p| p.site.get()),
            place.and_then(|p| p.peer).map(PeerId::get),
            flags,
            entry.standing.due_at().map(Timestamp::millis),
            self.last_event.0,
        )
    }
}

/// The columns that [`event`] wants, in this order.
pub(super) const EVENT_COLUMNS: &str = "seq, number, prev, at, order_seq, actor, detail, origin";

/// A row of `event` that is of one number; not an import's.
pub(super) fn event(row: &Row<'_>) -> Result<Event> {
    let order: Option<i64> = row.get(4)?;
    let actor: Option<String> = row.get(5)?;
    let detail = row.get_ref(6)?.as_str().map_err(|e| corrupt(e.to_string()))?;
    let change: Change = serde_json::from_str(detail)?;
    let origin: Option<String> = row.get(7)?;
    Ok(Event {
        seq: EventSeq(row.get(0)?),
        number: number_of(row.get(1)?)?,
        prev: EventSeq(row.get(2)?),
        at: Timestamp::from_millis(row.get(3)?),
        by: match (order, actor) {
            (Some(order), _) => By::Order(OrderSeq(order)),
            (None, Some(user)) => By::User(user),
            (None, None) if matches!(change, Change::Restored { .. }) => By::Import,
            (None, None) => By::Time,
        },
        change,
        origin: origin.map(|text| serde_json::from_str(&text)).transpose()?,
    })
}

/// Orders with what came of them.
pub(super) const ORDERS: &str = "orders LEFT JOIN outcome ON outcome.order_seq = orders.seq";

/// The columns of [`ORDERS`] that [`order`] wants, in this order.
pub(super) const ORDER_COLUMNS: &str = "seq, id, account, status, created_at, changed_at, user, name, \
                                        customer_order_id, request, failed, taken, refused, peers, origin";

pub(super) fn order(row: &Row<'_>) -> Result<Order> {
    let id: [u8; 16] = row.get(1)?;
    let request = row.get_ref(9)?.as_str().map_err(|e| corrupt(e.to_string()))?;
    let failed: Option<Vec<Failure>> = json(row, 10)?;
    let taken: Option<Vec<Number>> = json(row, 11)?;
    let peers: Option<Vec<Option<PeerId>>> = json(row, 13)?;
    Ok(Order {
        seq: OrderSeq(row.get(0)?),
        id: OrderId(uuid::Uuid::from_bytes(id)),
        account: account_id(row.get(2)?)?,
        status: status_of(row.get(3)?)?,
        created_at: Timestamp::from_millis(row.get(4)?),
        changed_at: Timestamp::from_millis(row.get(5)?),
        user: row.get(6)?,
        name: row.get(7)?,
        customer_order_id: row.get(8)?,
        request: serde_json::from_str(request)?,
        failed: failed.unwrap_or_default(),
        taken: taken.unwrap_or_default(),
        refused: json(row, 12)?,
        peers: peers.unwrap_or_default(),
        origin: json(row, 14)?,
    })
}

/// A column of JSON that may be empty.
fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// The columns that [`summary`] wants, in this order.
pub(super) const SUMMARY_COLUMNS: &str =
    "id, account, status, created_at, changed_at, user, customer_order_id, numbers";

pub(super) fn summary(row: &Row<'_>) -> Result<Summary> {
    Ok(Summary {
        id: OrderId(uuid::Uuid::from_bytes(row.get(0)?)),
        account: account_id(row.get(1)?)?,
        status: status_of(row.get(2)?)?,
        created_at: Timestamp::from_millis(row.get(3)?),
        changed_at: Timestamp::from_millis(row.get(4)?),
        user: row.get(5)?,
        customer_order_id: row.get(6)?,
        numbers: row.get(7)?,
    })
}

/// What is said of a site or a peer, as its column has it.
pub(super) fn said<T: serde::Serialize + Default + PartialEq>(details: &T) -> Result<Option<String>> {
    match *details == T::default() {
        true => Ok(None),
        false => Ok(Some(serde_json::to_string(details)?)),
    }
}

/// The same from the column.
pub(super) fn details<T: serde::de::DeserializeOwned + Default>(text: Option<String>) -> Result<T> {
    match text {
        None => Ok(T::default()),
        Some(text) => Ok(serde_json::from_str(&text)?),
    }
}

/// One of the words of an enum, as a column has it.
pub(super) fn word<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| corrupt(format!("no such word: {text}")))
}

/// The words of an account's row.
pub(super) fn account_words(kind: &str, class: &str) -> Result<(AccountKind, Class)> {
    Ok((word(kind)?, word(class)?))
}

/// The role in a user's row.
pub(super) fn role(text: &str) -> Result<Role> {
    word(text)
}
