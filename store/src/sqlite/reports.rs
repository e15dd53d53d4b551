//! Reports for regulators, and blocks of numbers.

use async_trait::async_trait;
use onhook_core::ids::EventSeq;
use onhook_core::lifecycle::provenance::{Author, Doer};
use onhook_core::report::nruf::Block;
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::deeds::{write_deed, write_deeds};
use super::entries::{NUMBER_COLUMNS, NumberRow, history};
use super::once::once;
use super::open::SqliteStore;
use super::row::{limit, list, word};
use super::tables::Tables;
use crate::Result;
use crate::columns::column;
use crate::contract::once::Once;
use crate::contract::reports::{
    Confirmation, Confirmed, Kept, Life, Lives, Marking, Marks, Report, ReportFilter, Reports, Submitted,
    Wanted,
};
use crate::error::corrupt;
use crate::plan::reports::{Need, confirmation, marking, need, refused};

/// Numbers that one read looks at: some milliseconds of work.
const PAGE: usize = 1_000;

fn integer(digits: u64) -> Value {
    Value::Integer(i64::try_from(digits).unwrap_or(i64::MAX))
}

fn lives(connection: &Connection, wanted: Wanted, (first, end): (u64, u64)) -> Result<Lives> {
    let sql = format!(
        "SELECT {NUMBER_COLUMNS}, (SELECT at FROM event WHERE seq = last_event) FROM number
         WHERE number >= ? AND number < ? ORDER BY number LIMIT ?"
    );
    let values = vec![integer(first), integer(end), limit(PAGE)];
    let rows = list(connection, &sql, values, |row| {
        let at: Option<i64> = row.get(11)?;
        let at = at.ok_or_else(|| corrupt("a number's last event is missing"))?;
        Ok((NumberRow::read(row)?, Timestamp::from_millis(at)))
    })?;
    let next = rows.last().filter(|_| rows.len() == PAGE).map(|(row, _)| row.entry.number.digits() + 1);
    let looked = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let mut lives = Vec::new();
    for (row, at) in rows {
        let NumberRow { entry, last_event, untouched } = row;
        let history = match need(wanted, &entry, untouched, last_event, at) {
            Need::Nothing => continue,
            Need::Entry => None,
            Need::History => Some(history(connection, &row)?),
        };
        lives.push(Life { entry, last_event, at, history });
    }
    Ok(Lives { lives, next, looked })
}

/// The columns that [`read_report`] reads, in this order. The last one is left out in lists.
const COLUMNS: &str =
    "id, kind, company, period, as_of, made_at, shown, confirmed_seq, confirmed_at, submitted_at, made_with";

fn read_report(row: &Row<'_>) -> Result<Report> {
    let confirmed: Option<(i64, i64, i64)> = match row.get(7)? {
        Some(seq) => Some((seq, row.get(8)?, row.get(9)?)),
        None => None,
    };
    let period: Option<String> = row.get(3)?;
    let made_with: Option<String> = row.get(10)?;
    Ok(Report {
        id: row.get(0)?,
        kind: word(&row.get::<_, String>(1)?)?,
        company: row.get(2)?,
        period: period.as_deref().map(word).transpose()?,
        as_of: row.get::<_, i64>(4)?.unsigned_abs(),
        made_at: Timestamp::from_millis(row.get(5)?),
        shown: serde_json::from_str(&row.get::<_, String>(6)?)?,
        made_with: made_with.map_or(Ok(serde_json::Value::Null), |text| serde_json::from_str(&text))?,
        confirmed: confirmed.map(|(seq, at, submitted_at)| Confirmation {
            at: Timestamp::from_millis(at),
            submitted_at: Timestamp::from_millis(submitted_at),
            event: EventSeq(seq),
        }),
    })
}

fn report(connection: &Connection, id: &str) -> Result<Option<Report>> {
    let sql = format!("SELECT {COLUMNS} FROM report WHERE id = ?");
    Ok(list(connection, &sql, vec![Value::Text(id.to_owned())], read_report)?.pop())
}

fn reports(
    connection: &Connection,
    filter: ReportFilter,
    after: Option<&(Timestamp, String)>,
    size: usize,
) -> Result<Vec<Report>> {
    let columns = COLUMNS.replace("made_with", "NULL");
    let (mut wanted, mut values) = (vec!["true"], Vec::new());
    if let Some(kind) = filter.kind {
        wanted.push("kind = ?");
        values.push(Value::Text(kind.word().to_owned()));
    }
    if let Some(period) = filter.period {
        wanted.push("period = ?");
        values.push(Value::Text(period.to_string()));
    }
    if let Some((at, id)) = after {
        wanted.push("(made_at, id) < (?, ?)");
        values.extend([Value::Integer(at.millis()), Value::Text(id.clone())]);
    }
    values.push(limit(size));
    let wanted = wanted.join(" AND ");
    let sql = format!("SELECT {columns} FROM report WHERE {wanted} ORDER BY made_at DESC, id DESC LIMIT ?");
    list(connection, &sql, values, read_report)
}

fn confirmed_reports(connection: &Connection, company: Option<String>) -> Result<Vec<Report>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM report WHERE kind = 'rnd' AND confirmed_seq IS NOT NULL
         AND company = coalesce(?, company) ORDER BY period, confirmed_seq"
    );
    let company = company.map_or(Value::Null, Value::Text);
    list(connection, &sql, vec![company], read_report)
}

/// Returns how many reports of disconnects are confirmed.
fn confirmed_count(connection: &Connection) -> Result<usize> {
    let sql = "SELECT count(*) FROM report WHERE kind = 'rnd' AND confirmed_seq IS NOT NULL";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn keep(connection: &Connection, new: &Report, renew: bool) -> Result<Kept> {
    let is_new = report(connection, &new.id)?.is_none();
    let or = if renew {
        "DO UPDATE SET as_of = excluded.as_of, made_at = excluded.made_at, shown = excluded.shown,
                       made_with = excluded.made_with
         WHERE confirmed_seq IS NULL AND (as_of, made_at) < (excluded.as_of, excluded.made_at)"
    } else {
        "DO NOTHING"
    };
    connection
        .prepare_cached(&format!(
            "INSERT INTO report (id, kind, company, period, as_of, made_at, shown, made_with)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) {or}"
        ))?
        .execute(params![
            new.id,
            new.kind.word(),
            new.company,
            new.period.map(|period| period.to_string()),
            column(new.as_of),
            new.made_at.millis(),
            new.shown.to_string(),
            new.made_with.to_string(),
        ])?;
    let report = report(connection, &new.id)?.ok_or_else(|| corrupt("a report was not kept"))?;
    Ok(Kept { report, is_new })
}

fn confirm(
    tables: &mut Tables<'_>,
    submitted: &Submitted,
    author: &Author,
    now: Timestamp,
) -> Result<Confirmed> {
    let Some(found) = report(tables.connection, &submitted.id)? else { return Ok(Confirmed::NoReport) };
    if let Some(refused) = refused(&found, submitted, confirmed_count(tables.connection)?) {
        return Ok(refused);
    }
    if found.confirmed.is_none() {
        let event = tables.cached.next_events(1);
        let deed = confirmation(&found, submitted, &Doer { author: author.clone(), now });
        write_deed(tables, event, &deed)?;
        tables
            .connection
            .prepare_cached(
                "UPDATE report SET confirmed_seq = ?, confirmed_at = ?, submitted_at = ? WHERE id = ?",
            )?
            .execute(params![event.0, now.millis(), submitted.at.millis(), submitted.id])?;
    }
    let confirmed = report(tables.connection, &submitted.id)?.ok_or_else(|| corrupt("a report is gone"))?;
    Ok(Confirmed::Done(Box::new(confirmed)))
}

fn first_import(connection: &Connection) -> Result<Option<Timestamp>> {
    // Imports of exchanges have no count of numbers.
    let sql = r#"SELECT at FROM event WHERE number IS NULL AND kind = 'imported' AND detail LIKE '%"numbers"%'
                 ORDER BY seq LIMIT 1"#;
    let at: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(at.map(Timestamp::from_millis))
}

fn marks(connection: &Connection, (first, end): (u64, u64)) -> Result<Vec<(Block, Marks)>> {
    let sql = "SELECT block, drain, footprint FROM block
               WHERE (10000001 + block) * 1000 > ? AND (10000000 + block) * 1000 < ? ORDER BY block";
    list(connection, sql, vec![integer(first), integer(end)], |row| {
        let digits: u32 = row.get(0)?;
        let block =
            Block::from_digits(digits.into()).ok_or_else(|| corrupt(format!("no block: {digits}")))?;
        Ok((block, Marks { drain: row.get(1)?, footprint: row.get(2)? }))
    })
}

fn mark(
    tables: &mut Tables<'_>,
    block: Block,
    change: Marking,
    author: &Author,
    now: Timestamp,
) -> Result<Marks> {
    let before =
        marks(tables.connection, block.range())?.first().map(|(_, marks)| *marks).unwrap_or_default();
    let after = before.after(change);
    if after == before {
        return Ok(after);
    }
    tables
        .connection
        .prepare_cached("INSERT OR REPLACE INTO block (block, drain, footprint) VALUES (?, ?, ?)")?
        .execute(params![block.digits(), after.drain, after.footprint])?;
    let doer = Doer { author: author.clone(), now };
    write_deeds(tables, &[marking(block, before, after, &doer)])?;
    if before.drain && !after.drain {
        tables.cached.back_orders.pool_grew();
    }
    Ok(after)
}

#[async_trait]
impl Reports for SqliteStore {
    async fn first_import(&self) -> Result<Option<Timestamp>> {
        self.readers.read(first_import).await
    }

    async fn lives(&self, wanted: Wanted, span: (u64, u64)) -> Result<Lives> {
        self.readers.read(move |connection| lives(connection, wanted, span)).await
    }

    async fn keep_report(&self, report: Report, renew: bool) -> Result<Kept> {
        self.writer.write(move |tables| keep(tables.connection, &report, renew)).await
    }

    async fn report(&self, id: String) -> Result<Option<Report>> {
        self.readers.read(move |connection| report(connection, &id)).await
    }

    async fn reports(
        &self,
        filter: ReportFilter,
        after: Option<(Timestamp, String)>,
        size: usize,
    ) -> Result<Vec<Report>> {
        self.readers.read(move |connection| reports(connection, filter, after.as_ref(), size)).await
    }

    async fn confirmed_reports(&self, company: Option<String>) -> Result<Vec<Report>> {
        self.readers.read(move |connection| confirmed_reports(connection, company.clone())).await
    }

    async fn confirm_report(
        &self,
        submitted: Submitted,
        author: Author,
        now: Timestamp,
        key: Option<Once<Confirmed>>,
    ) -> Result<Confirmed> {
        let confirm = move |tables: &mut Tables<'_>| confirm(tables, &submitted, &author, now);
        self.writer.write(move |tables| once(tables, key.as_ref(), confirm)).await
    }

    async fn block_marks(&self, span: (u64, u64)) -> Result<Vec<(Block, Marks)>> {
        self.readers.read(move |connection| marks(connection, span)).await
    }

    async fn mark_block(
        &self,
        block: Block,
        change: Marking,
        author: Author,
        now: Timestamp,
    ) -> Result<Marks> {
        self.writer.write(move |tables| mark(tables, block, change, &author, now)).await
    }
}
