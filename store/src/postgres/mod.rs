//! The store in a database of the PostgreSQL protocol, which any number of nodes share.
//!
//! Loads what a plan needs, and applies what it says: nothing here decides. A statement writes all rows of one kind
//! through arrays. What several nodes could do at once is kept apart by locks of rows, which are always taken in the same
//! order, and by changes that add up.

mod accounts;
mod acts;
mod address;
mod applications;
mod areas;
mod audit;
mod background;
mod backup;
mod batch;
mod check;
mod client;
mod connect;
mod counters;
mod counts;
mod deeds;
mod deliveries;
mod direct;
mod durability;
mod entries;
mod exchanges;
mod given_up;
mod hands;
mod health;
mod imports;
mod intake;
mod jobs;
mod known;
mod leases;
mod lines;
mod lookout;
mod nodes;
mod numbers;
mod once;
mod open;
mod order_rows;
mod orders;
mod place;
mod plan_rows;
mod plans;
mod pool;
mod premises;
mod primary;
mod random;
mod release;
mod reports;
mod reservations;
mod row;
mod schema;
mod settings;
mod statement;
mod step;
mod subscriptions;
mod telling;
mod transaction;
mod transfer;
mod tries;
mod upkeep;
mod users;
mod waiting;

pub use self::address::{ConnectError, is_address};
pub use self::open::PostgresStore;
pub use self::schema::newest_schema;
