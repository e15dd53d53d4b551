//! Rows to values and back. A row that fits no value is reported, never guessed at.

use onhook_core::ids::{AccountId, OrderId, PeerId, SiteId};
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::columns::UnderColumns;
use crate::error::corrupt;
use crate::{Result, StoreError};

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        StoreError::Broken(Box::new(error))
    }
}

/// Returns a column as it is.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T> {
    Ok(row.try_get(column)?)
}

/// Returns a column that holds a whole number, as a smaller type.
pub(super) fn small<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T> {
    let value: i64 = get(row, column)?;
    T::try_from(value).map_err(|_| corrupt(format!("{value} is too large for its column")))
}

/// Returns a column that holds a whole number or nothing, as a smaller type.
pub(super) fn small_or<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<Option<T>> {
    let value: Option<i64> = get(row, column)?;
    let of = |value| T::try_from(value).map_err(|_| corrupt(format!("{value} is too large for its column")));
    value.map(of).transpose()
}

pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(get(row, column)?))
}

pub(super) fn time_or(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_millis))
}

pub(super) fn account_of(row: &Row, column: usize) -> Result<AccountId> {
    AccountId::new(small(row, column)?).ok_or_else(|| corrupt("account 0"))
}

pub(super) fn account_or(row: &Row, column: usize) -> Result<Option<AccountId>> {
    small_or(row, column)?.map(|id| AccountId::new(id).ok_or_else(|| corrupt("account 0"))).transpose()
}

pub(super) fn site_of(row: &Row, column: usize) -> Result<SiteId> {
    SiteId::new(small(row, column)?).ok_or_else(|| corrupt("site 0"))
}

pub(super) fn site_or(row: &Row, column: usize) -> Result<Option<SiteId>> {
    small_or(row, column)?.map(|id| SiteId::new(id).ok_or_else(|| corrupt("site 0"))).transpose()
}

pub(super) fn peer_of(row: &Row, column: usize) -> Result<PeerId> {
    PeerId::new(small(row, column)?).ok_or_else(|| corrupt("peer 0"))
}

pub(super) fn peer_or(row: &Row, column: usize) -> Result<Option<PeerId>> {
    small_or(row, column)?.map(|id| PeerId::new(id).ok_or_else(|| corrupt("peer 0"))).transpose()
}

pub(super) fn number_of(row: &Row, column: usize) -> Result<Number> {
    let number = Number::from_digits(small(row, column)?);
    number.map_err(|_| corrupt("what should be a number is none"))
}

pub(super) fn order_id(row: &Row, column: usize) -> Result<OrderId> {
    Ok(OrderId(get::<Uuid>(row, column)?))
}

pub(super) fn digits_of(number: Number) -> i64 {
    i64::try_from(number.digits()).unwrap_or(i64::MAX)
}

pub(super) fn all_digits(numbers: impl IntoIterator<Item = Number>) -> Vec<i64> {
    numbers.into_iter().map(digits_of).collect()
}

/// Returns a size as a statement's limit.
pub(super) fn limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) fn pages_before(page: u32, size: usize) -> i64 {
    i64::from(page.saturating_sub(1)).saturating_mul(limit(size))
}

/// Reads a column of JSON that may be empty.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Result<Option<T>> {
    let text: Option<&str> = get(row, column)?;
    Ok(text.map(serde_json::from_str).transpose()?)
}

/// Reads a word of an enum from a column.
pub(super) fn word<T: std::str::FromStr>(row: &Row, column: usize) -> Result<T> {
    let text: &str = get(row, column)?;
    text.parse().map_err(|_| corrupt(format!("no such word: {text}")))
}

/// Reads under what something was done: four columns, from `first` on.
pub(super) fn under(row: &Row, first: usize) -> Result<Provenance> {
    let credential = small_or(row, first)?;
    let (address, reason) = (get(row, first + 1)?, get(row, first + 2)?);
    UnderColumns { credential, address, reason, plan: get(row, first + 3)? }.provenance()
}
