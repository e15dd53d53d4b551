//! The tables, and how an older store gets them.
//!
//! What makes it fast: an index of an account's numbers that does not change with their state; events that are only
//! ever appended, chained backwards by `prev`; orders keyed by an integer that their UUID gives without an index
//! (`order_ids`); small partial indexes for numbers that are aging, due, or in the pool.

use rusqlite::Connection;

use crate::StoreError;
use crate::error::corrupt;

/// The migrations by number, from 1. `user_version` is the number of the last one that ran.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"), // accounts, numbers, events, orders
    include_str!("schema_2.sql"), // where numbers lie, and the pool by locality
    include_str!("schema_3.sql"), // details of sites and peers, numbers at them, and applications
    include_str!("schema_4.sql"), // subscriptions
    include_str!("schema_5.sql"), // which numbers are as they were imported
];

/// Returns the schema version of this program.
#[must_use]
pub fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The oldest SQLite that may be used, as its version number: 3.51.3. From 3.7.0 to 3.51.2, two connections that write
/// and checkpoint at once can lose commits (sqlite.org/wal.html, the WAL-reset bug).
pub const ENGINE_MIN: i32 = 3_051_003;

/// Brings a store to the newest schema, one transaction a migration.
///
/// # Errors
/// If the store is newer than this program. The error names both versions, and the file stays as it was.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = newest();
    let at: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if at > known {
        return Err(corrupt(format!(
            "the data folder has schema {at}, this onhook knows schemas up to {known}: use a newer onhook, \
             or restore a backup that an onhook of this version made"
        )));
    }
    for (number, migration) in (1_i64..).zip(MIGRATIONS).filter(|(number, _)| *number > at) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Refuses an engine that can lose commits.
pub(super) fn check_engine() -> Result<(), StoreError> {
    match rusqlite::version_number() {
        version if version < ENGINE_MIN => Err(corrupt(format!(
            "SQLite {} can lose commits; 3.51.3 or newer is needed",
            rusqlite::version()
        ))),
        _ => Ok(()),
    }
}
