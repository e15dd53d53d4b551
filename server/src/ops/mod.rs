//! The server's own routes: the operations API, health, and the emulator's controls.

pub(crate) mod acts;
pub(crate) mod areas;
mod asked;
pub(crate) mod audit;
pub(crate) mod backups;
pub(crate) mod blocks;
mod body;
pub(crate) mod calls;
pub(crate) mod checks;
pub(crate) mod docs;
pub(crate) mod door;
pub(crate) mod emulator;
pub(crate) mod events;
pub(crate) mod exports;
pub(crate) mod forecast;
pub(crate) mod health;
pub(crate) mod imports;
mod jobs;
mod listing;
pub(crate) mod numbers;
mod once;
pub(crate) mod orders;
pub(crate) mod plans;
mod problem;
pub(crate) mod problems;
pub(crate) mod rate;
pub(crate) mod reports;
