//! Reports for regulators, and blocks of numbers.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::EventSeq;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::{Author, Doer};
use onhook_core::report::ReportKind;
use onhook_core::report::nruf::Block;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::batch::next_events;
use super::deeds::{write_deed, write_deeds};
use super::entries::{NUMBER_COLUMNS, NumberRow, histories};
use super::once::once;
use super::open::PostgresStore;
use super::row::{get, json, limit, small, time, word};
use super::statement::{Value, execute, row, rows};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::codes::state_code;
use crate::columns::{UNTOUCHED, column};
use crate::contract::once::Once;
use crate::contract::reports::{
    Confirmation, Confirmed, Kept, Life, Lives, Marking, Marks, Report, ReportFilter, Reports, Submitted,
    Wanted,
};
use crate::error::corrupt;
use crate::plan::reports::{Need, confirmation, marking, need, refused};

/// Numbers that one read looks at: far less than a second of work.
const PAGE: usize = 4_000;

fn integer(digits: u64) -> i64 {
    i64::try_from(digits).unwrap_or(i64::MAX)
}

async fn lives(client: &Client, wanted: Wanted, (first, end): (u64, u64)) -> Result<Lives> {
    // Most numbers never left service. They stay in the database, but for the last one, which tells where to go on.
    let sql = format!(
        "WITH page AS (SELECT {NUMBER_COLUMNS} FROM number WHERE number >= $1 AND number < $2 ORDER BY number LIMIT $3)
         SELECT {NUMBER_COLUMNS}, (SELECT count(*) FROM page) FROM page
         WHERE $4 OR flags & $5 = 0 OR state = $6 OR number = (SELECT max(number) FROM page) ORDER BY number"
    );
    let all = !matches!(wanted, Wanted::Departures);
    let (untouched, aging) = (i64::from(UNTOUCHED), i64::from(state_code(State::Aging)));
    let values: [&dyn Value; 6] = [&integer(first), &integer(end), &limit(PAGE), &all, &untouched, &aging];
    let found = rows(client, &sql, &values).await?;
    let looked = match found.first() {
        Some(row) => get::<i64>(row, 12)?.unsigned_abs(),
        None => 0,
    };
    let full = looked == u64::try_from(PAGE).unwrap_or(u64::MAX);
    let found = found.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
    let next = found.last().filter(|_| full).map(|row| row.entry.number.digits() + 1);
    let needed = |row: &NumberRow| need(wanted, &row.entry, row.untouched, row.last_event, row.at);
    let long: Vec<NumberRow> = found.iter().filter(|row| needed(row) == Need::History).copied().collect();
    let mut told = histories(client, &long).await?;
    let mut lives = Vec::new();
    for row in found {
        let NumberRow { entry, last_event, at, .. } = row;
        let history = match needed(&row) {
            Need::Nothing => continue,
            Need::Entry => None,
            Need::History => {
                let found = told.remove(&entry.number);
                Some(found.ok_or_else(|| corrupt("a number without a history"))??)
            }
        };
        lives.push(Life { entry, last_event, at, history });
    }
    Ok(Lives { lives, next, looked })
}

/// The columns that [`read_report`] reads, in this order. The last one is left out in lists.
const COLUMNS: &str =
    "id, kind, company, period, as_of, made_at, shown, confirmed_seq, confirmed_at, submitted_at, made_with";

fn read_report(row: &Row) -> Result<Report> {
    let confirmed = match get::<Option<i64>>(row, 7)? {
        Some(seq) => {
            Some(Confirmation { at: time(row, 8)?, submitted_at: time(row, 9)?, event: EventSeq(seq) })
        }
        None => None,
    };
    let period = match get::<Option<&str>>(row, 3)? {
        Some(_) => Some(word(row, 3)?),
        None => None,
    };
    Ok(Report {
        id: get(row, 0)?,
        kind: word(row, 1)?,
        company: get(row, 2)?,
        period,
        as_of: get::<i64>(row, 4)?.unsigned_abs(),
        made_at: time(row, 5)?,
        shown: serde_json::from_str(get(row, 6)?)?,
        made_with: json(row, 10)?.unwrap_or(serde_json::Value::Null),
        confirmed,
    })
}

async fn report(client: &Client, id: &str) -> Result<Option<Report>> {
    let sql = format!("SELECT {COLUMNS} FROM report WHERE id = $1");
    row(client, &sql, &[&id]).await?.as_ref().map(read_report).transpose()
}

async fn reports(
    client: &Client,
    filter: ReportFilter,
    after: Option<&(Timestamp, String)>,
    size: usize,
) -> Result<Vec<Report>> {
    let columns = COLUMNS.replace("made_with", "NULL::text");
    let (kind, period) = (filter.kind.map(ReportKind::word), filter.period.map(|period| period.to_string()));
    // Nothing is made later than the last instant.
    let (at, id) = after.map_or((i64::MAX, ""), |(at, id)| (at.millis(), id));
    let sql = format!(
        "SELECT {columns} FROM report
         WHERE ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR period = $2) AND (made_at, id) < ($3, $4)
         ORDER BY made_at DESC, id DESC LIMIT $5"
    );
    let found = rows(client, &sql, &[&kind, &period, &at, &id, &limit(size)]).await?;
    found.iter().map(read_report).collect()
}

async fn confirmed_reports(client: &Client, company: Option<&String>) -> Result<Vec<Report>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM report WHERE kind = 'rnd' AND confirmed_seq IS NOT NULL
         AND company = coalesce($1, company) ORDER BY period, confirmed_seq"
    );
    rows(client, &sql, &[&company.cloned()]).await?.iter().map(read_report).collect()
}

/// Returns how many reports of disconnects are confirmed.
async fn confirmed_count(client: &Client) -> Result<usize> {
    let sql = "SELECT count(*) FROM report WHERE kind = 'rnd' AND confirmed_seq IS NOT NULL";
    let count = row(client, sql, &[]).await?.map_or(Ok(0), |row| get::<i64>(&row, 0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

async fn keep(client: &Client, new: &Report, renew: bool) -> Result<Kept> {
    let sql = "INSERT INTO report (id, kind, company, period, as_of, made_at, shown, made_with)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
    let values: [&dyn Value; 8] = [
        &new.id,
        &new.kind.word(),
        &new.company,
        &new.period.map(|period| period.to_string()),
        &column(new.as_of),
        &new.made_at.millis(),
        &new.shown.to_string(),
        &new.made_with.to_string(),
    ];
    let is_new = execute(client, sql, &values).await? > 0;
    if renew && !is_new {
        let sql = "UPDATE report SET as_of = $2, made_at = $3, shown = $4, made_with = $5
                   WHERE id = $1 AND confirmed_seq IS NULL AND (as_of, made_at) < ($2, $3)";
        let values: [&dyn Value; 5] = [
            &new.id,
            &column(new.as_of),
            &new.made_at.millis(),
            &new.shown.to_string(),
            &new.made_with.to_string(),
        ];
        execute(client, sql, &values).await?;
    }
    let report = report(client, &new.id).await?.ok_or_else(|| corrupt("a report was not kept"))?;
    Ok(Kept { report, is_new })
}

async fn confirm(
    client: &Client,
    submitted: &Submitted,
    author: &Author,
    now: Timestamp,
) -> Result<Confirmed> {
    // Who confirms another report waits here, and then sees this one. Rows are locked: not every engine locks tables.
    execute(client, "SELECT 1 FROM report WHERE kind = 'rnd' ORDER BY id FOR UPDATE", &[]).await?;
    let Some(found) = report(client, &submitted.id).await? else { return Ok(Confirmed::NoReport) };
    if let Some(refused) = refused(&found, submitted, confirmed_count(client).await?) {
        return Ok(refused);
    }
    if found.confirmed.is_none() {
        let deed = confirmation(&found, submitted, &Doer { author: author.clone(), now });
        let event = next_events(client, 1).await?.pop().ok_or_else(|| corrupt("no event was drawn"))?;
        write_deed(client, event, &deed).await?;
        let sql = "UPDATE report SET confirmed_seq = $1, confirmed_at = $2, submitted_at = $3 WHERE id = $4";
        execute(client, sql, &[&event.0, &now.millis(), &submitted.at.millis(), &submitted.id]).await?;
    }
    let confirmed = report(client, &submitted.id).await?.ok_or_else(|| corrupt("a report is gone"))?;
    Ok(Confirmed::Done(Box::new(confirmed)))
}

async fn first_import(client: &Client) -> Result<Option<Timestamp>> {
    // Imports of exchanges have no count of numbers.
    let sql = r#"SELECT at FROM event WHERE number IS NULL AND kind = 'imported' AND detail LIKE '%"numbers"%'
                 ORDER BY seq LIMIT 1"#;
    row(client, sql, &[]).await?.as_ref().map(|row| time(row, 0)).transpose()
}

async fn marks(client: &Client, (first, end): (u64, u64), lock: &str) -> Result<Vec<(Block, Marks)>> {
    let sql = format!(
        "SELECT block, drain, footprint FROM block
         WHERE (10000001 + block) * 1000 > $1 AND (10000000 + block) * 1000 < $2 ORDER BY block {lock}"
    );
    let read = |row: &Row| {
        let digits: u32 = small(row, 0)?;
        let block =
            Block::from_digits(digits.into()).ok_or_else(|| corrupt(format!("no block: {digits}")))?;
        Ok((block, Marks { drain: get(row, 1)?, footprint: get(row, 2)? }))
    };
    rows(client, &sql, &[&integer(first), &integer(end)]).await?.iter().map(read).collect()
}

async fn mark(
    client: &Client,
    block: Block,
    change: Marking,
    author: &Author,
    now: Timestamp,
) -> Result<Marks> {
    // The row is there from now on, so that two who mark one block wait for each other.
    let sql = "INSERT INTO block (block, drain, footprint) VALUES ($1, false, false) ON CONFLICT DO NOTHING";
    let digits = i64::from(block.digits());
    execute(client, sql, &[&digits]).await?;
    let found = marks(client, block.range(), "FOR UPDATE").await?;
    let before = found.first().map(|(_, marks)| *marks).unwrap_or_default();
    let after = before.after(change);
    if after == before {
        return Ok(after);
    }
    let sql = "UPDATE block SET drain = $1, footprint = $2 WHERE block = $3";
    execute(client, sql, &[&after.drain, &after.footprint, &digits]).await?;
    let doer = Doer { author: author.clone(), now };
    write_deeds(client, &[marking(block, before, after, &doer)]).await?;
    if before.drain && !after.drain {
        execute(client, "UPDATE counter SET value = value + 1 WHERE name = 'pool_grown'", &[]).await?;
    }
    Ok(after)
}

#[async_trait]
impl Reports for PostgresStore {
    async fn first_import(&self) -> Result<Option<Timestamp>> {
        reading!(self, client => first_import(&client).await)
    }

    async fn lives(&self, wanted: Wanted, span: (u64, u64)) -> Result<Lives> {
        reading!(self, client => lives(&client, wanted, span).await)
    }

    async fn keep_report(&self, report: Report, renew: bool) -> Result<Kept> {
        transaction!(self, tx => keep(&tx, &report, renew).await)
    }

    async fn report(&self, id: String) -> Result<Option<Report>> {
        reading!(self, client => report(&client, &id).await)
    }

    async fn reports(
        &self,
        filter: ReportFilter,
        after: Option<(Timestamp, String)>,
        size: usize,
    ) -> Result<Vec<Report>> {
        reading!(self, client => reports(&client, filter, after.as_ref(), size).await)
    }

    async fn confirmed_reports(&self, company: Option<String>) -> Result<Vec<Report>> {
        reading!(self, client => confirmed_reports(&client, company.as_ref()).await)
    }

    async fn confirm_report(
        &self,
        submitted: Submitted,
        author: Author,
        now: Timestamp,
        key: Option<Once<Confirmed>>,
    ) -> Result<Confirmed> {
        transaction!(self, tx => {
            let confirm = confirm(&tx, &submitted, &author, now);
            once(&tx, key.as_ref(), confirm).await
        })
    }

    async fn block_marks(&self, span: (u64, u64)) -> Result<Vec<(Block, Marks)>> {
        reading!(self, client => marks(&client, span, "").await)
    }

    async fn mark_block(
        &self,
        block: Block,
        change: Marking,
        author: Author,
        now: Timestamp,
    ) -> Result<Marks> {
        transaction!(self, tx => mark(&tx, block, change, &author, now).await)
    }
}
