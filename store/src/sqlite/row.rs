//! Rows to values and back. A row that fits no value is reported, never guessed at.

use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::number::Number;
use rusqlite::types::{FromSql, ToSql, Value};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::columns::UnderColumns;
use crate::error::corrupt;
use crate::{Result, StoreError};

pub(super) fn list<T>(
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

pub(super) fn limit(size: usize) -> Value {
    Value::Integer(i64::try_from(size).unwrap_or(i64::MAX))
}

/// Returns the WHERE that narrows a list to an account, by its index. It is empty for `None`.
pub(super) fn narrowed(column: &str, only: Option<AccountId>) -> (String, Vec<Value>) {
    match only {
        Some(account) => (format!("WHERE {column} = ?"), vec![of(account)]),
        None => (String::new(), Vec::new()),
    }
}

pub(super) fn of(account: AccountId) -> Value {
    Value::Integer(account.get().into())
}

pub(super) fn pages_before(page: u32, size: usize) -> i64 {
    i64::from(page.saturating_sub(1)).saturating_mul(i64::try_from(size).unwrap_or(i64::MAX))
}

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

/// Returns the engine's error, if the engine failed.
pub(super) fn engine_error(error: &StoreError) -> Option<&rusqlite::ffi::Error> {
    let StoreError::Broken(cause) = error else { return None };
    cause.downcast_ref::<rusqlite::Error>()?.sqlite_error()
}

/// Returns the store's setting of this key.
pub(super) fn meta<T: FromSql>(connection: &Connection, key: &str) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Sets the store's setting of this key.
pub(super) fn set_meta(connection: &Connection, key: &str, value: impl ToSql) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)")?
        .execute((key, value))?;
    Ok(())
}

/// Returns the store's key of this name. It is made once: if two processes open a new store at the same time, both
/// read the key that was written first.
pub(super) fn key<const N: usize>(connection: &Connection, name: &str) -> Result<[u8; N]> {
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute((name, random::<N>()?))?;
    meta(connection, name)?.ok_or_else(|| corrupt(format!("{name} is missing")))
}

/// Returns random bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| corrupt(error.to_string()))?;
    Ok(bytes)
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

/// Reads a column of JSON that may be empty.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// Reads a word of an enum from a column.
pub(super) fn word<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| corrupt(format!("no such word: {text}")))
}

/// Reads the words of an account's row.
pub(super) fn account_words(kind: &str, class: &str) -> Result<(AccountKind, Class)> {
    Ok((word(kind)?, word(class)?))
}

/// Reads the role in a user's row.
pub(super) fn role(text: &str) -> Result<Role> {
    word(text)
}

/// Reads under what something was done: four columns, from `first` on.
pub(super) fn under(row: &Row<'_>, first: usize) -> Result<Provenance> {
    let credential: Option<u8> = row.get(first)?;
    let text = |at: usize| row.get_ref(at)?.as_str_or_null().map_err(|e| corrupt(e.to_string()));
    let plan: Option<[u8; 16]> = row.get(first + 3)?;
    let (address, reason) = (text(first + 1)?, text(first + 2)?);
    UnderColumns { credential, address, reason, plan: plan.map(uuid::Uuid::from_bytes) }.provenance()
}
