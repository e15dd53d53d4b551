//! Rows of numbers and their events, as they are read.

use onhook_core::ids::{AccountId, AreaId, EventSeq, PeerId, SiteId};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{Change, Event};
use onhook_core::lifecycle::history::History;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, Row};

use super::row::{account_id, digits_of, number_of, peer_id, site_id, under};
use crate::columns::{NumberColumns, by_of, history_of};
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

/// A row of `number`: the entry, and the event that left it so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberRow {
    pub(super) entry: Entry,
    pub(super) last_event: EventSeq,
    /// True while nothing has happened since its import.
    pub(super) untouched: bool,
}

/// The columns that [`NumberRow::read`] reads, in this order.
pub(super) const NUMBER_COLUMNS: &str =
    "number, state, holder, site, peer, area, flags, due_at, last_event, release_at, kept_until";

impl NumberRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let holder: Option<u32> = row.get(2)?;
        let site: Option<u32> = row.get(3)?;
        let peer: Option<u32> = row.get(4)?;
        let time =
            |at: usize| Ok::<_, StoreError>(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_millis));
        let columns = NumberColumns {
            number: number_of(row.get(0)?)?,
            state: row.get(1)?,
            holder: holder.map(account_id).transpose()?,
            site: site.map(site_id).transpose()?,
            peer: peer.map(peer_id).transpose()?,
            area: AreaId(row.get(5)?),
            flags: row.get(6)?,
            due_at: time(7)?,
            release_at: time(9)?,
            kept_until: time(10)?,
        };
        let (entry, untouched) = columns.entry()?;
        Ok(Self { entry, last_event: EventSeq(row.get(8)?), untouched })
    }

    /// Returns the number as a plan needs it.
    pub(super) fn known(self) -> Known {
        let Self { entry, last_event, untouched } = self;
        Known { entry, last_event, untouched }
    }

    /// Returns the values of [`NUMBER_COLUMNS`], in the same order.
    pub(super) fn values(&self) -> impl rusqlite::Params + use<> {
        let (number, state, site, peer, flags, due_at, last_event, release_at, kept_until) = self.columns();
        let (holder, area) = (self.entry.standing.holder().map(AccountId::get), self.entry.area.0);
        (number, state, holder, site, peer, area, flags, due_at, last_event, release_at, kept_until)
    }

    /// Returns the values without area and holder, which most changes keep.
    pub(super) fn values_but_holder(&self) -> impl rusqlite::Params + use<> {
        self.columns()
    }

    fn columns(&self) -> RowValues {
        let columns = NumberColumns::of(&self.entry, self.untouched);
        (
            digits_of(columns.number),
            columns.state,
            columns.site.map(SiteId::get),
            columns.peer.map(PeerId::get),
            columns.flags,
            columns.due_at.map(Timestamp::millis),
            self.last_event.0,
            columns.release_at.map(Timestamp::millis),
            columns.kept_until.map(Timestamp::millis),
        )
    }
}

/// The values of a row without area and holder.
type RowValues = (i64, u8, Option<u32>, Option<u32>, u8, Option<i64>, i64, Option<i64>, Option<i64>);

/// The columns that [`event`] reads, in this order.
pub(super) const EVENT_COLUMNS: &str =
    "seq, number, prev, at, order_seq, actor, detail, origin, credential, address, reason, plan";

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
        by: by_of(order, actor, &change),
        under: under(row, 8)?,
        change,
        origin: origin.map(|text| serde_json::from_str(&text)).transpose()?,
    })
}
