//! Rows of numbers and their events, as they are read.

use onhook_core::account::Place;
use onhook_core::ids::{AccountId, AreaId, EventSeq, OrderSeq, PeerId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::lifecycle::event::{By, Change, Event};
use onhook_core::lifecycle::history::History;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, Row};

use super::row::{account_id, digits_of, number_of, peer_id, site_id};
use crate::codes::{state_code, state_of};
use crate::columns::history_of;
use crate::error::corrupt;
use crate::plan::batch::Known;
use crate::{Result, StoreError};

pub(super) fn number_row(connection: &Connection, number: Number) -> Result<Option<NumberRow>> {
    Ok(number_rows(connection, vec![number])?.pop())
}

/// Returns the rows of those of the numbers that exist, in the order of the numbers.
pub(super) fn number_rows(connection: &Connection, numbers: Vec<Number>) -> Result<Vec<NumberRow>> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        let mut rows = statement.query([digits_of(number)])?;
        if let Some(row) = rows.next()? {
            found.push(NumberRow::read(row)?);
        }
    }
    Ok(found)
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
        Some(_) => Ok(Link::Event(Box::new(read_event(row)?))),
    }
}

/// Returns a number's events, oldest first, along its chain.
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
    history_of(row.entry, imported_at, events)
}

const PROTECTED: u8 = 1;

const PORTED_IN: u8 = 2;

const LOCKED: u8 = 4;

const LEAVES: u8 = 8;

const UNTOUCHED: u8 = 16;

/// A row of `number`: the entry, and the event that left it so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberRow {
    pub(super) entry: Entry,
    pub(super) last_event: EventSeq,
    /// True while nothing has happened since its import.
    pub(super) untouched: bool,
}

/// The columns that [`NumberRow::read`] reads, in this order.
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
        Ok(Self { entry, last_event: EventSeq(row.get(8)?), untouched: flags & UNTOUCHED != 0 })
    }

    /// Returns the number as a plan needs it.
    pub(super) fn known(self) -> Known {
        let Self { entry, last_event, untouched } = self;
        Known { entry, last_event, untouched }
    }

    /// Returns the values of [`NUMBER_COLUMNS`], in the same order.
    pub(super) fn values(&self) -> impl rusqlite::Params + use<> {
        let (number, state, site, peer, flags, due_at, last_event) = self.columns();
        let holder = self.entry.standing.holder().map(AccountId::get);
        (number, state, holder, site, peer, self.entry.area.0, flags, due_at, last_event)
    }

    /// Returns the values without area and holder, which most changes keep.
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
            | flag(leaves, LEAVES)
            | flag(self.untouched, UNTOUCHED);
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

/// The columns that [`event`] reads, in this order.
pub(super) const EVENT_COLUMNS: &str = "seq, number, prev, at, order_seq, actor, detail, origin";

/// Reads a row of `event` that belongs to one number. An import's row does not.
pub(super) fn read_event(row: &Row<'_>) -> Result<Event> {
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
