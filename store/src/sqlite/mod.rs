//! The embedded store: one SQLite file in a folder on this machine.
//!
//! One process has the folder. One thread in it writes (`writer`), and a few connections read. With WAL and
//! `synchronous=FULL`, a commit that was answered survives a power cut. (With `NORMAL`, the last commits before a cut
//! are gone, and the integrity check does not tell.) The log's index is in memory, not in a mapped file: on a full
//! disk such a file cannot grow, and a write to it can end the process.

mod accounts;
mod acts;
mod applications;
mod areas;
mod aside;
mod audit;
mod backup;
mod batch;
mod cached;
mod check;
mod counts;
mod deeds;
mod deliveries;
mod disk;
mod entries;
mod exchanges;
mod health;
mod imports;
mod jobs;
mod leases;
mod log;
mod mutex;
mod nodes;
mod numbers;
mod once;
mod open;
mod order_rows;
mod orders;
mod plan_rows;
mod plans;
mod pool;
mod premises;
mod readers;
mod release;
mod reports;
mod reservations;
mod row;
pub mod schema;
mod settings;
mod spool;
mod step;
mod subscriptions;
mod tables;
mod telling;
mod transfer;
mod upkeep;
mod users;
mod writer;

pub use self::backup::{MANIFEST, digest};
pub use self::disk::RESERVE_BYTES;
pub use self::open::{FILE, OpenError, SqliteStore};
