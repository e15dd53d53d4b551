//! Moving everything: the rows of the database as plain ones.

use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use tokio_postgres::Row as Found;

use super::imports::write_part;
use super::open::PostgresStore;
use super::row::get;
use super::statement::{self, NOW, execute, rows};
use super::transaction::{reading, transaction};
use crate::contract::jobs::JobId;
use crate::contract::transfer::{
    Image, KEY_NAMES, MARK, Marks, Row, SEQUENCES, SETTING_NAMES, TABLES, Table, Transfer, Type, Value,
    go_on, prepared,
};
use crate::error::corrupt;
use crate::{Result, StoreError};

/// What is not moved with the rows, since it is made again, belongs to the nodes, or is a file: columns, or whole tables.
const MADE_AGAIN: [(&str, &str); 15] = [
    ("import_part", "*"),
    ("meta", "*"),
    ("counter", "*"),
    ("queue", "*"),
    ("lease", "*"),
    ("node", "*"),
    ("committed", "*"),
    ("unsealed", "*"),
    ("schema_version", "*"),
    ("area", "key"),
    ("area", "region"),
    ("area", "rate_center"),
    ("number", "at"),
    ("number", "offered"),
    ("due", "*"),
];

/// Shared numbers that a new database begins with.
const COUNTERS_MADE_AGAIN: [&str; 7] =
    ["pool_grown", "back_orders_tried", "back_orders_after", "imports", "replies_full", "jobs", "settings"];

/// Returns the table that has the rows of `table`.
fn home(table: &Table) -> &'static str {
    match table.name {
        "secret" => "meta",
        "setting" => "counter",
        name => name,
    }
}

/// Returns the names of the rows that a table has, where it has not all of its home's.
fn names(table: &Table) -> Option<Vec<&'static str>> {
    match table.name {
        "secret" => Some(KEY_NAMES.to_vec()),
        "setting" => Some(SETTING_NAMES.to_vec()),
        _ => None,
    }
}

/// Returns the WHERE of a table's rows.
fn filter(table: &Table) -> String {
    match (names(table), table.columns.first()) {
        (Some(names), Some((key, _))) => format!("{key} IN ('{}')", names.join("', '")),
        _ => "true".to_owned(),
    }
}

/// Returns what is written beside the columns of a table: names, and SQL over the new row `u`.
fn made(table: &Table) -> &'static [(&'static str, &'static str)] {
    match table.name {
        "area" => &[
            (
                "key",
                "CASE WHEN u.name::jsonb -> 'Prefix' IS NULL THEN u.name
                      ELSE '{\"Prefix\":{\"prefix\":' || (u.name::jsonb -> 'Prefix' -> 'prefix')::text || '}}' END",
            ),
            (
                "region",
                "coalesce(u.name::jsonb -> 'RateCenter' ->> 'region', u.name::jsonb -> 'Prefix' ->> 'region')",
            ),
            ("rate_center", "u.name::jsonb -> 'RateCenter' ->> 'rate_center'"),
        ],
        "number" => &[("at", "(SELECT e.at FROM event e WHERE e.seq = u.last_event)")],
        _ => &[],
    }
}

/// Returns the SQL that reads a column.
fn read(column: &str, of: Type) -> String {
    match of {
        Type::Flag => format!("{column}::int::bigint"),
        Type::Id => format!("uuid_send({column})"),
        Type::Whole | Type::Real | Type::Text | Type::Bytes => column.to_owned(),
    }
}

/// Returns the SQL that makes a column of a value, and the type of that value's array.
fn written(column: &str, of: Type) -> (String, &'static str) {
    match of {
        Type::Flag => (format!("u.{column}::int::boolean"), "bigint[]"),
        Type::Id => (format!("encode(u.{column}, 'hex')::uuid"), "bytea[]"),
        Type::Whole => (format!("u.{column}"), "bigint[]"),
        Type::Real => (format!("u.{column}"), "float8[]"),
        Type::Text => (format!("u.{column}"), "text[]"),
        Type::Bytes => (format!("u.{column}"), "bytea[]"),
    }
}

fn value(found: &Found, column: usize, of: Type) -> Result<Value> {
    let value = match of {
        Type::Whole | Type::Flag => get::<Option<i64>>(found, column)?.map(Value::Whole),
        Type::Real => get::<Option<f64>>(found, column)?.map(Value::Real),
        Type::Text => get::<Option<String>>(found, column)?.map(Value::Text),
        Type::Bytes | Type::Id => get::<Option<Vec<u8>>>(found, column)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Null))
}

async fn page(client: &Client, table: &'static Table, after: Option<&[Value]>) -> Result<Vec<Row>> {
    let columns: Vec<String> = table.columns.iter().map(|(column, of)| read(column, *of)).collect();
    let key: Vec<&str> = table.columns.iter().take(table.key).map(|(column, _)| *column).collect();
    let (key, places) = (key.join(", "), (1..=table.key).map(|place| format!("${place}")));
    let mut values: Vec<&dyn statement::Value> = Vec::new();
    let behind = match after {
        Some(_) => format!("AND ({key}) > ({})", places.collect::<Vec<_>>().join(", ")),
        None => String::new(),
    };
    for value in after.unwrap_or_default() {
        values.push(match value {
            Value::Whole(value) => value,
            Value::Text(value) => value,
            other => return Err(corrupt(format!("{other} is no key"))),
        });
    }
    let sql = format!(
        "SELECT {} FROM {} WHERE {} {behind} ORDER BY {key} LIMIT {}",
        columns.join(", "),
        home(table),
        filter(table),
        table.page
    );
    let found = rows(client, &sql, &values).await?;
    let row = |found: &Found| -> Result<Row> {
        let columns = table.columns.iter().enumerate();
        columns.map(|(index, (_, of))| value(found, index, *of)).collect()
    };
    found.iter().map(row).collect()
}

/// Returns the values of a column, of all rows.
fn column<'a>(
    rows: &'a [Row],
    index: usize,
    (name, of): (&str, Type),
) -> Result<Box<dyn statement::Value + Send + 'a>> {
    fn each<'a, T>(
        rows: &'a [Row],
        index: usize,
        name: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Vec<Option<T>>> {
        let one = |row: &'a Row| match row.get(index) {
            Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| corrupt(format!("{name} cannot be {value}"))),
            None => Err(corrupt(format!("{name} is missing"))),
        };
        rows.iter().map(one).collect()
    }
    Ok(match of {
        Type::Whole | Type::Flag => Box::new(each(rows, index, name, |value| match value {
            Value::Whole(value) => Some(*value),
            _ => None,
        })?),
        Type::Real => Box::new(each(rows, index, name, |value| match value {
            Value::Real(value) => Some(*value),
            _ => None,
        })?),
        Type::Text => Box::new(each(rows, index, name, |value| match value {
            Value::Text(value) => Some(value.as_str()),
            _ => None,
        })?),
        Type::Bytes | Type::Id => Box::new(each(rows, index, name, |value| match value {
            Value::Bytes(value) => Some(value.clone()),
            _ => None,
        })?),
    })
}

async fn write_page(client: &Client, table: &'static Table, rows: &[Row]) -> Result<()> {
    let (mut names, mut selected, mut arrays, mut short) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, (name, of)) in (1..).zip(table.columns) {
        let (sql, array) = written(name, *of);
        names.push(*name);
        selected.push(sql);
        arrays.push(format!("${place}::{array}"));
        short.push(*name);
    }
    for (name, sql) in made(table) {
        names.push(*name);
        selected.push((*sql).to_owned());
    }
    // The keys are made when the store is opened.
    let again = match (table.name, table.columns.first()) {
        ("secret" | "setting", Some((key, _))) => {
            format!("ON CONFLICT ({key}) DO UPDATE SET value = excluded.value")
        }
        _ => String::new(),
    };
    let sql = format!(
        "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS u ({}) {again}",
        home(table),
        names.join(", "),
        selected.join(", "),
        arrays.join(", "),
        short.join(", "),
    );
    let columns = table.columns.iter().enumerate();
    let columns = columns.map(|(index, of)| column(rows, index, *of)).collect::<Result<Vec<_>>>()?;
    let values: Vec<&dyn statement::Value> =
        columns.iter().map(|column| -> &dyn statement::Value { &**column }).collect();
    execute(client, &sql, &values).await?;
    Ok(())
}

/// Returns the sequence that a table's numbers are drawn from.
fn sequence(name: &str) -> String {
    match name {
        "orders" => "order_seq".to_owned(),
        "event" => "event_seq".to_owned(),
        "lease" => "lease_token".to_owned(),
        "application" | "subscription" | "notification" | "plan" => format!("{name}_seq_seq"),
        _ => format!("{name}_id_seq"),
    }
}

/// Returns what is in the database and not moved.
async fn left_out(client: &Client) -> Result<Vec<String>> {
    let mut known: Vec<(&str, &str)> = MADE_AGAIN.to_vec();
    for table in TABLES {
        known.extend(table.columns.iter().map(|(column, _)| (home(table), *column)));
    }
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
               WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position";
    let mut left = Vec::new();
    for found in &rows(client, sql, &[]).await? {
        let (table, column): (&str, &str) = (get(found, 0)?, get(found, 1)?);
        if !known.iter().any(|(t, c)| *t == table && (*c == column || *c == "*")) {
            left.push(format!("column {column} of table {table}"));
        }
    }
    let known = [&KEY_NAMES[..], &SETTING_NAMES, &COUNTERS_MADE_AGAIN, &[MARK]].concat();
    let sql = "SELECT key FROM meta UNION ALL SELECT name FROM counter ORDER BY 1";
    for found in &rows(client, sql, &[]).await? {
        let name: &str = get(found, 0)?;
        if !known.contains(&name) {
            left.push(format!("setting {name}"));
        }
    }
    let sql = "SELECT sequencename::text FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1";
    let known = SEQUENCES.map(sequence);
    for found in &rows(client, sql, &[]).await? {
        let name: &str = get(found, 0)?;
        if !known.iter().any(|known| known == name) {
            left.push(format!("numbers drawn from {name}"));
        }
    }
    Ok(left)
}

async fn drawn(client: &Client) -> Result<Vec<i64>> {
    let mut drawn = Vec::new();
    for name in SEQUENCES.map(sequence) {
        let sql = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}");
        drawn.push(statement::row(client, &sql, &[]).await?.map_or(Ok(0), |row| get(&row, 0))?);
    }
    Ok(drawn)
}

/// Makes what is not moved: whose turn it is, and which numbers are due. Counts the rows for the database's plans.
async fn complete(client: &Client, drawn: &[i64]) -> Result<()> {
    execute(client, "INSERT INTO queue (account) SELECT id FROM account ON CONFLICT DO NOTHING", &[]).await?;
    let sql = "INSERT INTO due (due_at, number) SELECT due_at, number FROM number WHERE due_at IS NOT NULL";
    execute(client, sql, &[]).await?;
    for (name, last) in SEQUENCES.map(sequence).iter().zip(drawn) {
        let sql = format!("SELECT setval('{name}', greatest($1, 1), $1 > 0)");
        rows(client, &sql, &[last]).await?;
    }
    // What has no position yet is behind all that has one: a source is sealed before it is moved.
    let sql = "INSERT INTO unsealed (seq, seqs)
               SELECT seq, int8send(seq) FROM event WHERE seq > (SELECT coalesce(max(max_seq), 0) FROM seal)";
    execute(client, sql, &[]).await?;
    client.batch_execute("ANALYZE").await?;
    Ok(())
}

async fn mark(client: &Client) -> Result<Option<String>> {
    let sql = "SELECT convert_from(value, 'UTF8') FROM meta WHERE key = $1";
    statement::row(client, sql, &[&MARK]).await?.map(|row| get(&row, 0)).transpose()
}

/// Gives the store its next mark. No other transaction can do the same before the end of this one.
async fn set_mark(client: &Client, marks: &Marks) -> Result<()> {
    let sql =
        "UPDATE meta SET value = convert_to($1, 'UTF8') WHERE key = $2 AND value = convert_to($3, 'UTF8')";
    match execute(client, sql, &[&marks.after, &MARK, &marks.before]).await? {
        1 => Ok(()),
        _ => Err(other_mark()),
    }
}

async fn begin(client: &Client, mark: &String) -> Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ($1, convert_to($2, 'UTF8')) ON CONFLICT DO NOTHING";
    if execute(client, sql, &[&MARK, mark]).await? == 0 {
        return Err(other_mark());
    }
    let names = SETTING_NAMES.to_vec();
    execute(client, "DELETE FROM counter WHERE name = ANY($1)", &[&names]).await?;
    Ok(())
}

async fn end(client: &Client, mark: &String) -> Result<()> {
    let sql = "DELETE FROM meta WHERE key = $1 AND value = convert_to($2, 'UTF8')";
    match execute(client, sql, &[&MARK, mark]).await? {
        1 => Ok(()),
        _ => Err(other_mark()),
    }
}

fn other_mark() -> StoreError {
    StoreError::Conflict("another command moves data into the same database".to_owned())
}

async fn held_leases(client: &Client) -> Result<Vec<String>> {
    let found =
        rows(client, &format!("SELECT name FROM lease WHERE until > {NOW} ORDER BY name"), &[]).await?;
    found.iter().map(|row| get(row, 0)).collect()
}

async fn count(client: &Client, table: &Table) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {} WHERE {}", home(table), filter(table));
    let found = statement::row(client, &sql, &[]).await?;
    found.map_or(Ok(0), |row| get::<i64>(&row, 0)).map(i64::unsigned_abs)
}

async fn image(client: &Client) -> Result<Image> {
    // One moment for all tables. Nothing waits long: an emulator alone makes images.
    let homes: Vec<&str> = TABLES.iter().map(home).collect();
    client.batch_execute(&format!("LOCK TABLE {} IN SHARE MODE", homes.join(", "))).await?;
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let mut all: Vec<Row> = Vec::new();
        loop {
            let after = all.last().map(|row| row.get(..table.key).unwrap_or(row).to_vec());
            let next = page(client, table, after.as_deref()).await?;
            if next.is_empty() {
                break;
            }
            all.extend(next);
        }
        tables.push(all);
    }
    Ok(Image { tables, drawn: drawn(client).await? })
}

/// Writes an image in the place of what is there, and ends all leases.
async fn put_back(client: &Client, image: &Image) -> Result<()> {
    // What is written under a lease ends first: it locks its lease before anything else.
    client.batch_execute("LOCK TABLE lease IN EXCLUSIVE MODE").await?;
    execute(client, "DELETE FROM lease", &[]).await?;
    let homes: Vec<&str> = TABLES.iter().map(home).collect();
    client.batch_execute(&format!("LOCK TABLE {} IN EXCLUSIVE MODE", homes.join(", "))).await?;
    execute(client, "DELETE FROM queue", &[]).await?;
    execute(client, "DELETE FROM due", &[]).await?;
    for table in TABLES.iter().rev() {
        execute(client, &format!("DELETE FROM {} WHERE {}", home(table), filter(table)), &[]).await?;
    }
    for (table, all) in TABLES.iter().zip(&image.tables) {
        for rows in all.chunks(table.page) {
            write_page(client, table, rows).await?;
        }
    }
    // Sequence numbers are drawn again, so rows that name the events of later on must go. `complete` names the image's.
    execute(client, "DELETE FROM unsealed", &[]).await?;
    // Orders that wait for numbers are tried again.
    let sql = "UPDATE counter SET value = CASE name WHEN 'back_orders_after' THEN 0 ELSE value END
               WHERE name = 'back_orders_after'";
    execute(client, sql, &[]).await?;
    let leases: i64 = drawn(client).await?.get(lease_at()).copied().unwrap_or(0);
    let last: Vec<i64> = image
        .drawn
        .iter()
        .enumerate()
        .map(|(n, last)| if n == lease_at() { leases } else { *last })
        .collect();
    complete(client, &last).await
}

/// Returns where the leases stand in [`SEQUENCES`].
fn lease_at() -> usize {
    SEQUENCES.iter().position(|name| *name == "lease").unwrap_or(SEQUENCES.len())
}

#[async_trait]
impl Transfer for PostgresStore {
    async fn left_out(&self) -> Result<Vec<String>> {
        reading!(self, client => left_out(&client).await)
    }

    async fn held_leases(&self) -> Result<Vec<String>> {
        reading!(self, client => held_leases(&client).await)
    }

    async fn rows(&self, table: &'static Table) -> Result<u64> {
        reading!(self, client => count(&client, table).await)
    }

    async fn page(&self, table: &'static Table, after: Option<Vec<Value>>) -> Result<Vec<Row>> {
        reading!(self, client => page(&client, table, after.as_deref()).await)
    }

    async fn drawn(&self) -> Result<Vec<i64>> {
        reading!(self, client => drawn(&client).await)
    }

    async fn mark(&self) -> Result<Option<String>> {
        reading!(self, client => mark(&client).await)
    }

    async fn begin_transfer(&self, mark: String) -> Result<()> {
        transaction!(self, tx => begin(&tx, &mark).await)
    }

    async fn write_page(&self, table: &'static Table, rows: Vec<Row>, marks: Marks) -> Result<()> {
        transaction!(self, tx => match set_mark(&tx, &marks).await {
            Ok(()) => write_page(&tx, table, &rows).await,
            Err(error) => Err(error),
        })
    }

    async fn complete_transfer(&self, drawn: Vec<i64>, marks: Marks) -> Result<()> {
        transaction!(self, tx => match set_mark(&tx, &marks).await {
            Ok(()) => complete(&tx, &drawn).await,
            Err(error) => Err(error),
        })
    }

    async fn image(&self) -> Result<Image> {
        transaction!(self, tx => image(&tx).await)
    }

    async fn put_back(&self, image: Arc<Image>, seed: Option<u64>) -> Result<()> {
        let image = prepared(&image, seed)?;
        transaction!(self, tx => put_back(&tx, &image).await)?;
        self.accounts.forget();
        go_on(&self.ids, &image, seed);
        Ok(())
    }

    async fn write_staging(&self, job: JobId, part: u32, bytes: Vec<u8>) -> Result<()> {
        transaction!(self, tx => write_part(&tx, job, part, &bytes).await)
    }

    async fn end_transfer(&self, mark: String) -> Result<()> {
        transaction!(self, tx => end(&tx, &mark).await)
    }
}
