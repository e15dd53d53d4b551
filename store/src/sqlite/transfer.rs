//! Moving everything: the rows of the folder as plain ones.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::cached::Cached;
use super::leases::NOW;
use super::open::SqliteStore;
use super::row;
use super::spool::{self, blocking};
use super::tables::Tables;
use crate::contract::jobs::JobId;
use crate::contract::transfer::{
    Image, KEY_NAMES, MARK, Marks, Row, SEQUENCES, SETTING_NAMES, TABLES, Table, Transfer, Value, go_on,
    prepared,
};
use crate::{Result, StoreError};

/// What is not moved, since it is made again or belongs to a process: columns, or whole tables.
const MADE_AGAIN: [(&str, &str); 4] = [("due", "*"), ("lease", "*"), ("meta", "*"), ("outcome", "order_seq")];

/// Settings that are made again.
const SETTINGS_MADE_AGAIN: [&str; 4] = ["run_to", "last_lease", "replies_full", MARK];

/// The columns of an order that are in `outcome`.
const OUTCOME: [&str; 5] = ["failed", "taken", "refused", "peers", "origin"];

/// Returns the table that has the rows of `table`.
fn home(table: &Table) -> &'static str {
    match table.name {
        "secret" | "setting" => "meta",
        "users" => "user",
        name => name,
    }
}

/// Returns the table and the column that hold a column.
fn place(table: &Table, column: &'static str) -> (&'static str, &'static str) {
    match (table.name, column) {
        ("setting", "name") => ("meta", "key"),
        ("orders" | "note" | "job", "user_name") => (home(table), "user"),
        ("orders", column) if OUTCOME.contains(&column) => ("outcome", column),
        (_, column) => (home(table), column),
    }
}

/// Returns the columns of a table that are in `home`, and their indexes in a row.
fn columns(table: &'static Table, home: &str) -> Vec<(usize, &'static str)> {
    let places = table.columns.iter().map(|(column, _)| place(table, column)).enumerate();
    places.filter(|(_, (of, _))| *of == home).map(|(index, (_, column))| (index, column)).collect()
}

/// Returns FROM and WHERE of a table's rows.
fn from(table: &Table) -> String {
    let named = |names: &[&str]| format!("meta WHERE meta.key IN ('{}')", names.join("', '"));
    match table.name {
        "secret" => named(&KEY_NAMES),
        "setting" => named(&SETTING_NAMES),
        "orders" => "orders LEFT JOIN outcome ON outcome.order_seq = orders.seq WHERE true".to_owned(),
        _ => format!("{} WHERE true", home(table)),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Whole(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn value(stored: Stored) -> Value {
    match stored {
        Stored::Null => Value::Null,
        Stored::Integer(value) => Value::Whole(value),
        Stored::Real(value) => Value::Real(value),
        Stored::Text(value) => Value::Text(value),
        Stored::Blob(value) => Value::Bytes(value),
    }
}

fn page(connection: &Connection, table: &'static Table, after: Option<&[Value]>) -> Result<Vec<Row>> {
    let places = table.columns.iter().map(|(column, _)| place(table, column));
    let names: Vec<String> = places.map(|(of, column)| format!("{of}.{column}")).collect();
    let key = names.get(..table.key).unwrap_or_default().join(", ");
    let behind = match after {
        Some(_) => format!("AND ({key}) > ({})", vec!["?"; table.key].join(", ")),
        None => String::new(),
    };
    let (names, from, most) = (names.join(", "), from(table), table.page);
    let sql = format!("SELECT {names} FROM {from} {behind} ORDER BY {key} LIMIT {most}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(after.unwrap_or_default()))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let columns = 0..table.columns.len();
        rows.push(columns.map(|column| row.get(column).map(value)).collect::<rusqlite::Result<Row>>()?);
    }
    Ok(rows)
}

fn write_page(connection: &Connection, table: &'static Table, rows: &[Row]) -> Result<()> {
    let homes: &[&str] = if table.name == "orders" { &["orders", "outcome"] } else { &[home(table)] };
    for home in homes {
        let columns = columns(table, home);
        let mut names: Vec<&str> = columns.iter().map(|(_, column)| *column).collect();
        let mut indexes: Vec<usize> = columns.iter().map(|(index, _)| *index).collect();
        let of_an_order = *home == "outcome";
        if of_an_order {
            names.push("order_seq");
            indexes.push(0);
        }
        // The keys are made when the store is opened.
        let verb = if *home == "meta" { "INSERT OR REPLACE" } else { "INSERT" };
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!("{verb} INTO {home} ({}) VALUES ({marks})", names.join(", "));
        let mut statement = connection.prepare_cached(&sql)?;
        for row in rows {
            let values: Vec<&Value> = indexes.iter().filter_map(|index| row.get(*index)).collect();
            let said = values.iter().rev().skip(1).any(|value| **value != Value::Null);
            if !of_an_order || said {
                statement.execute(params_from_iter(values))?;
            }
        }
    }
    Ok(())
}

/// Returns what is in the folder and not moved.
fn left_out(connection: &Connection) -> Result<Vec<String>> {
    let mut known: Vec<(&str, &str)> = MADE_AGAIN.to_vec();
    for table in crate::contract::transfer::TABLES {
        known.extend(table.columns.iter().map(|(column, _)| place(table, column)));
    }
    let sql = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1, c.cid";
    let found: Vec<(String, String)> =
        row::list(connection, sql, Vec::new(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut left: Vec<String> = found
        .iter()
        .filter(|(table, column)| !known.iter().any(|(t, c)| t == table && (c == column || *c == "*")))
        .map(|(table, column)| format!("column {column} of table {table}"))
        .collect();
    let settings: Vec<String> =
        row::list(connection, "SELECT key FROM meta ORDER BY key", Vec::new(), |row| Ok(row.get(0)?))?;
    let known = [&KEY_NAMES[..], &SETTING_NAMES, &SETTINGS_MADE_AGAIN].concat();
    let unknown = settings.iter().filter(|setting| !known.contains(&&***setting));
    left.extend(unknown.map(|setting| format!("setting {setting}")));
    let sql = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name";
    let sequences: Vec<String> = row::list(connection, sql, Vec::new(), |row| Ok(row.get(0)?))?;
    let unknown = sequences.iter().filter(|name| !SEQUENCES.contains(&&***name));
    left.extend(unknown.map(|name| format!("numbers drawn for {name}")));
    Ok(left)
}

/// Returns the last number drawn for a table. Only some tables remember numbers of rows that are gone.
fn drawn(connection: &Connection, name: &str) -> Result<i64> {
    let sql = match name {
        "orders" | "event" => format!("SELECT coalesce(max(seq), 0) FROM {name}"),
        "area" | "order_line" => format!("SELECT coalesce(max(id), 0) FROM {name}"),
        "lease" => "SELECT coalesce((SELECT value FROM meta WHERE key = 'last_lease'), 0)".to_owned(),
        _ => format!("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{name}'), 0)"),
    };
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}

/// Lets a table's numbers go on behind `last`. Where that is not remembered, they go on behind the largest.
fn draw_behind(connection: &Connection, name: &str, last: i64) -> Result<()> {
    match name {
        "orders" | "event" | "area" | "order_line" => {}
        "lease" => row::set_meta(connection, "last_lease", last)?,
        _ => {
            let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?";
            if connection.execute(sql, (last, name))? == 0 {
                let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)";
                connection.execute(sql, (name, last))?;
            }
        }
    }
    Ok(())
}

/// Makes what is not moved: what is due when, and how far orders have run.
fn complete(connection: &Connection, last: &[i64]) -> Result<()> {
    connection.execute(
        "INSERT INTO due (due_at, holder, numbers)
         SELECT due_at, holder, count(*) FROM number WHERE due_at IS NOT NULL GROUP BY due_at, holder",
        [],
    )?;
    let run_to: i64 = connection.query_row(
        "SELECT coalesce((SELECT min(seq) - 1 FROM orders WHERE status = 0), max(seq), 0) FROM orders",
        [],
        |row| row.get(0),
    )?;
    row::set_meta(connection, "run_to", run_to)?;
    SEQUENCES.iter().zip(last).try_for_each(|(name, last)| draw_behind(connection, name, *last))
}

/// Gives the store its next mark.
fn mark(connection: &Connection, marks: &Marks) -> Result<()> {
    if row::meta(connection, MARK)?.as_ref() != Some(&marks.before) {
        return Err(other_mark());
    }
    row::set_meta(connection, MARK, &marks.after)
}

fn other_mark() -> StoreError {
    StoreError::Conflict("another command moves data into the same folder".to_owned())
}

fn image(connection: &Connection) -> Result<Image> {
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let after = rows.last().map(|row| row.get(..table.key).unwrap_or(row).to_vec());
            let next = page(connection, table, after.as_deref())?;
            if next.is_empty() {
                break;
            }
            rows.extend(next);
        }
        tables.push(rows);
    }
    let drawn = SEQUENCES.iter().map(|name| drawn(connection, name)).collect::<Result<_>>()?;
    Ok(Image { tables, drawn })
}

/// Writes an image in the place of what is there, and ends all leases.
fn put_back(connection: &Connection, image: &Image) -> Result<()> {
    connection.execute("DELETE FROM lease", [])?;
    let leases = drawn(connection, "lease")?;
    for table in TABLES.iter().rev() {
        let sql = match table.name {
            "secret" | "setting" => format!("DELETE FROM {}", from(table)),
            "orders" => "DELETE FROM outcome".to_owned(),
            _ => format!("DELETE FROM {}", home(table)),
        };
        connection.execute(&sql, [])?;
        if table.name == "orders" {
            connection.execute("DELETE FROM orders", [])?;
        }
    }
    connection.execute("DELETE FROM due", [])?;
    connection.execute("DELETE FROM sqlite_sequence", [])?;
    for (table, rows) in TABLES.iter().zip(&image.tables) {
        write_page(connection, table, rows)?;
    }
    let drawn = SEQUENCES.iter().zip(&image.drawn);
    let drawn: Vec<i64> = drawn.map(|(name, last)| if *name == "lease" { leases } else { *last }).collect();
    complete(connection, &drawn)
}

#[async_trait]
impl Transfer for SqliteStore {
    async fn left_out(&self) -> Result<Vec<String>> {
        self.readers.read(left_out).await
    }

    async fn held_leases(&self) -> Result<Vec<String>> {
        let sql = format!("SELECT name FROM lease WHERE until > {NOW} ORDER BY name");
        self.readers
            .read(move |connection| row::list(connection, &sql, Vec::new(), |row| Ok(row.get(0)?)))
            .await
    }

    async fn rows(&self, table: &'static Table) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", from(table));
        let count = move |connection: &Connection| Ok(connection.query_row(&sql, [], |row| row.get(0))?);
        self.readers.read(count).await.map(i64::unsigned_abs)
    }

    async fn page(&self, table: &'static Table, after: Option<Vec<Value>>) -> Result<Vec<Row>> {
        self.readers.read(move |connection| page(connection, table, after.as_deref())).await
    }

    async fn drawn(&self) -> Result<Vec<i64>> {
        self.readers.read(|connection| SEQUENCES.iter().map(|name| drawn(connection, name)).collect()).await
    }

    async fn mark(&self) -> Result<Option<String>> {
        self.readers.read(|connection| row::meta(connection, MARK)).await
    }

    async fn begin_transfer(&self, mark: String) -> Result<()> {
        let begin = move |tables: &mut Tables<'_>| {
            let connection = tables.connection;
            if row::meta::<String>(connection, MARK)?.is_some() {
                return Err(other_mark());
            }
            row::set_meta(connection, MARK, mark)?;
            let mut forget = connection.prepare("DELETE FROM meta WHERE key = ?")?;
            for name in SETTING_NAMES {
                forget.execute([name])?;
            }
            Ok(())
        };
        self.writer.write(begin).await
    }

    async fn write_page(&self, table: &'static Table, rows: Vec<Row>, marks: Marks) -> Result<()> {
        let write = move |tables: &mut Tables<'_>| {
            mark(tables.connection, &marks)?;
            write_page(tables.connection, table, &rows)
        };
        self.writer.write(write).await
    }

    async fn complete_transfer(&self, drawn: Vec<i64>, marks: Marks) -> Result<()> {
        let write = move |tables: &mut Tables<'_>| {
            mark(tables.connection, &marks)?;
            complete(tables.connection, &drawn)
        };
        self.writer.write(write).await
    }

    async fn image(&self) -> Result<Image> {
        self.writer.write_own(|tables| image(tables.connection)).await
    }

    async fn put_back(&self, image: Arc<Image>, seed: Option<u64>) -> Result<()> {
        let image = Arc::new(prepared(&image, seed)?);
        let written = image.clone();
        let write = move |tables: &mut Tables<'_>| {
            put_back(tables.connection, &written)?;
            *tables.cached = Cached::load(tables.connection)?;
            Ok(())
        };
        self.writer.write_own(write).await?;
        go_on(&self.ids, &image, seed);
        Ok(())
    }

    async fn write_staging(&self, job: JobId, part: u32, bytes: Vec<u8>) -> Result<()> {
        let folder = self.folder.clone();
        let write = move || {
            spool::append(&folder, job, part, &bytes)?;
            spool::sync(&folder, job)
        };
        blocking(write).await
    }

    async fn end_transfer(&self, mark: String) -> Result<()> {
        let end = move |tables: &mut Tables<'_>| {
            let sql = "DELETE FROM meta WHERE key = ? AND value = ?";
            let ended = tables.connection.execute(sql, (MARK, mark))?;
            if ended == 1 { Ok(()) } else { Err(other_mark()) }
        };
        self.writer.write(end).await
    }
}
