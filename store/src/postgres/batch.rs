//! Numbers of one transaction: loaded as a plan needs them, written as it says.

use std::collections::{HashMap, HashSet};

use super::client::Client;
use onhook_core::ids::{AccountId, AreaId, EventSeq, PeerId, SiteId};
use onhook_core::lifecycle::area::Area;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use uuid::Uuid;

use super::areas::read_area;
use super::counts::apply_counts;
use super::entries::NumberRow;
use super::row::{digits_of, get};
use super::statement::{Value, execute, often, rows, together};
use crate::Result;
use crate::codes::state_code;
use crate::columns::{NumberColumns, UnderColumns, by_columns, seq_bytes};
use crate::error::corrupt;
use crate::plan::batch::{NewEvent, NumberWrites, Numbers, Prev};

/// Returns rows as a plan needs them: with their areas, and the time of the latest of their last events.
pub(super) async fn numbers_of(client: &Client, rows: Vec<NumberRow>) -> Result<Numbers> {
    let areas = areas_of(client, &rows).await?;
    let latest = rows.iter().map(|row| row.at).max().unwrap_or_default();
    let known = rows.into_iter().map(NumberRow::known).collect();
    Ok(Numbers { known, areas, latest })
}

/// Returns the areas of numbers.
pub(super) async fn areas_of(client: &Client, numbers: &[NumberRow]) -> Result<HashMap<AreaId, Area>> {
    let ids: HashSet<AreaId> = numbers.iter().map(|row| row.entry.area).collect();
    let ids: Vec<i64> = ids.into_iter().map(|id| id.0.into()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT id, name, supply, demand, demand_at FROM area WHERE id = ANY($1)";
    rows(client, sql, &[&ids]).await?.iter().map(read_area).collect()
}

/// Returns `count` new sequence numbers of events, ascending.
pub(super) async fn next_events(client: &Client, count: usize) -> Result<Vec<EventSeq>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let sql = "SELECT nextval('event_seq') FROM generate_series(1, $1)";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let found = often(client, sql, &[&count]).await?;
    let mut seqs = found.iter().map(|row| get(row, 0).map(EventSeq)).collect::<Result<Vec<_>>>()?;
    seqs.sort_unstable();
    Ok(seqs)
}

/// Writes what happened to numbers: events, rows, counts. Returns how many changed.
pub(super) async fn apply_numbers(client: &Client, writes: NumberWrites) -> Result<usize> {
    let NumberWrites { events, numbers, counts, pool_grew } = writes;
    // Made first: the database has other work meanwhile.
    let new = EventColumns::of(&events)?;
    let seqs = next_events(client, events.len()).await?;
    let prevs = prevs(&events, &seqs)?;
    let mut columns = Columns::default();
    let (mut no_longer, mut now) = (Due::default(), Due::default());
    for write in &numbers {
        let (seq, event) = seqs
            .get(write.last_event)
            .zip(events.get(write.last_event))
            .ok_or_else(|| corrupt("a plan names an event that it does not have"))?;
        columns.push(&NumberColumns::of(&write.entry, false), *seq, event.at);
        let (before, after) = (write.before.standing.due_at(), write.entry.standing.due_at());
        if before != after {
            no_longer.push(before, write.entry.number);
            now.push(after, write.entry.number);
        }
    }
    let ((), (), written, (), (), ()) = together!(
        new.insert(client, &seqs, &prevs),
        name_unsealed(client, &seqs),
        columns.update(client),
        note_due(client, &no_longer, &now),
        apply_counts(client, counts),
        note_growth(client, pool_grew),
    )?;
    if written != u64::try_from(numbers.len()).unwrap_or(u64::MAX) {
        return Err(corrupt("a number that changes is not there"));
    }
    Ok(numbers.len())
}

/// Numbers with the instants at which time changes them, to be written together.
#[derive(Default)]
struct Due {
    at: Vec<i64>,
    numbers: Vec<i64>,
}

impl Due {
    /// Adds a number that has such an instant.
    fn push(&mut self, at: Option<Timestamp>, number: Number) {
        if let Some(at) = at {
            self.at.push(at.millis());
            self.numbers.push(digits_of(number));
        }
    }
}

/// Notes which numbers time will change, and when.
async fn note_due(client: &Client, no_longer: &Due, now: &Due) -> Result<()> {
    if !no_longer.numbers.is_empty() {
        let sql = "DELETE FROM due USING unnest($1::bigint[], $2::bigint[]) AS u (due_at, number)
                   WHERE due.due_at = u.due_at AND due.number = u.number";
        execute(client, sql, &[&no_longer.at, &no_longer.numbers]).await?;
    }
    if !now.numbers.is_empty() {
        let sql = "INSERT INTO due (due_at, number) SELECT * FROM unnest($1::bigint[], $2::bigint[])";
        execute(client, sql, &[&now.at, &now.numbers]).await?;
    }
    Ok(())
}

/// Notes that the pool has grown, if it has: orders that wait for numbers are tried again.
async fn note_growth(client: &Client, pool_grew: bool) -> Result<()> {
    if pool_grew {
        execute(client, "UPDATE counter SET value = value + 1 WHERE name = 'pool_grown'", &[]).await?;
    }
    Ok(())
}

/// Most events that a row of `unsealed` names.
const NAMED_MAX: usize = 5_000;

/// Notes that events have no position yet. The row is seen when they are, so the sealer finds also those that are
/// committed late.
pub(super) async fn name_unsealed(client: &Client, events: &[EventSeq]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let (mut firsts, mut named) = (Vec::new(), Vec::new());
    for some in events.chunks(NAMED_MAX) {
        firsts.extend(some.first().map(|seq| seq.0));
        named.push(seq_bytes(some.iter().copied()));
    }
    let sql = "INSERT INTO unsealed (seq, seqs) SELECT * FROM unnest($1::bigint[], $2::bytea[])";
    often(client, sql, &[&firsts, &named]).await?;
    Ok(())
}

/// New events as columns, to be written together: all but what follows from their sequence numbers.
#[derive(Default)]
struct EventColumns<'a> {
    numbers: Vec<i64>,
    ats: Vec<i64>,
    orders: Vec<Option<i64>>,
    actors: Vec<Option<&'a str>>,
    details: Vec<String>,
    origins: Vec<Option<String>>,
    credentials: Vec<Option<i64>>,
    addresses: Vec<Option<&'a str>>,
    reasons: Vec<Option<&'a str>>,
    plans: Vec<Option<Uuid>>,
    accounts: Vec<Option<i64>>,
    befores: Vec<i64>,
    afters: Vec<i64>,
}

impl<'a> EventColumns<'a> {
    fn of(events: &'a [NewEvent]) -> Result<Self> {
        let mut columns = Self::default();
        for NewEvent { number, at, change, by, under, origin, account, states, .. } in events {
            columns.numbers.push(digits_of(*number));
            columns.ats.push(at.millis());
            let (order, actor) = by_columns(by);
            columns.orders.push(order);
            columns.actors.push(actor);
            columns.details.push(serde_json::to_string(change)?);
            columns.origins.push(origin.as_ref().map(serde_json::to_string).transpose()?);
            let UnderColumns { credential, address, reason, plan } = UnderColumns::of(under);
            columns.credentials.push(credential.map(i64::from));
            columns.addresses.push(address);
            columns.reasons.push(reason);
            columns.plans.push(plan);
            columns.accounts.push(account.map(AccountId::get).map(i64::from));
            columns.befores.push(i64::from(state_code(states.0)));
            columns.afters.push(i64::from(state_code(states.1)));
        }
        Ok(columns)
    }

    /// Writes the events with their sequence numbers, and those of the events before them.
    async fn insert(&self, client: &Client, seqs: &[EventSeq], prevs: &Vec<i64>) -> Result<()> {
        if seqs.is_empty() {
            return Ok(());
        }
        let Self { numbers, ats, orders, actors, details, origins, .. } = self;
        let Self { credentials, addresses, reasons, plans, accounts, befores, afters, .. } = self;
        let seqs: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
        let sql = "INSERT INTO event (seq, number, prev, at, order_seq, actor, detail, origin, credential, address,
                                      reason, plan, account, state_before, state_after)
                   SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                                        $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[],
                                        $12::uuid[], $13::bigint[], $14::bigint[], $15::bigint[])";
        let numbered: [&dyn Value; 5] = [&seqs, numbers, prevs, ats, orders];
        let said: [&dyn Value; 7] = [actors, details, origins, credentials, addresses, reasons, plans];
        let about: [&dyn Value; 3] = [accounts, befores, afters];
        often(client, sql, &[&numbered[..], &said[..], &about[..]].concat()).await?;
        Ok(())
    }
}

/// Returns the sequence number of the event before each.
fn prevs(events: &[NewEvent], seqs: &[EventSeq]) -> Result<Vec<i64>> {
    let prev = |event: &NewEvent| match event.prev {
        Prev::Stored(prev) => Ok(prev.0),
        Prev::New(index) => {
            seqs.get(index).map(|seq| seq.0).ok_or_else(|| corrupt("too few numbers of events"))
        }
    };
    events.iter().map(prev).collect()
}

/// Rows of `number` as columns, to be written together.
#[derive(Default)]
pub(super) struct Columns {
    numbers: Vec<i64>,
    states: Vec<i64>,
    holders: Vec<Option<i64>>,
    sites: Vec<Option<i64>>,
    peers: Vec<Option<i64>>,
    areas: Vec<i64>,
    flags: Vec<i64>,
    due_ats: Vec<Option<i64>>,
    last_events: Vec<i64>,
    ats: Vec<i64>,
    release_ats: Vec<Option<i64>>,
    kept_untils: Vec<Option<i64>>,
}

impl Columns {
    /// Adds a row.
    pub(super) fn push(&mut self, row: &NumberColumns, last_event: EventSeq, at: Timestamp) {
        self.numbers.push(digits_of(row.number));
        self.states.push(row.state.into());
        self.holders.push(row.holder.map(AccountId::get).map(i64::from));
        self.sites.push(row.site.map(SiteId::get).map(i64::from));
        self.peers.push(row.peer.map(PeerId::get).map(i64::from));
        self.areas.push(row.area.0.into());
        self.flags.push(row.flags.into());
        self.due_ats.push(row.due_at.map(Timestamp::millis));
        self.last_events.push(last_event.0);
        self.ats.push(at.millis());
        self.release_ats.push(row.release_at.map(Timestamp::millis));
        self.kept_untils.push(row.kept_until.map(Timestamp::millis));
    }

    /// Writes rows that are there. Returns how many were.
    async fn update(&self, client: &Client) -> Result<u64> {
        if self.numbers.is_empty() {
            return Ok(0);
        }
        let sql = format!(
            "UPDATE number SET state = u.state, holder = u.holder, site = u.site, peer = u.peer, area = u.area,
                               flags = u.flags, due_at = u.due_at, last_event = u.last_event, at = u.at,
                               release_at = u.release_at, kept_until = u.kept_until
             FROM {UNNEST} WHERE number.number = u.number"
        );
        self.write(client, &sql).await
    }

    /// Writes new rows.
    pub(super) async fn insert(&self, client: &Client) -> Result<u64> {
        let due = self.due_ats.iter().zip(&self.numbers).filter_map(|(at, number)| Some(((*at)?, *number)));
        let (at, numbers) = due.unzip();
        note_due(client, &Due::default(), &Due { at, numbers }).await?;
        let sql = format!(
            "INSERT INTO number (number, state, holder, site, peer, area, flags, due_at, last_event, at,
                                 release_at, kept_until)
             SELECT * FROM {UNNEST}"
        );
        self.write(client, &sql).await
    }

    async fn write(&self, client: &Client, sql: &str) -> Result<u64> {
        let Self {
            numbers,
            states,
            holders,
            sites,
            peers,
            areas,
            flags,
            due_ats,
            last_events,
            ats,
            release_ats,
            kept_untils,
        } = self;
        execute(
            client,
            sql,
            &[
                numbers,
                states,
                holders,
                sites,
                peers,
                areas,
                flags,
                due_ats,
                last_events,
                ats,
                release_ats,
                kept_untils,
            ],
        )
        .await
    }
}

const UNNEST: &str =
    "unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
                      AS u (number, state, holder, site, peer, area, flags, due_at, last_event, at, release_at, kept_until)";
