//! The server's own routes: the operations API, health, and the emulator's controls.

pub(crate) mod accounts;
pub(crate) mod acts;
pub(crate) mod areas;
mod body;
pub(crate) mod calls;
pub(crate) mod deliveries;
pub(crate) mod docs;
pub(crate) mod door;
pub(crate) mod emulator;
pub(crate) mod forecast;
pub(crate) mod health;
mod listing;
pub(crate) mod numbers;
mod once;
pub(crate) mod orders;
pub(crate) mod premises;
mod problem;
pub(crate) mod problems;
pub(crate) mod rate;
pub(crate) mod settings;
pub(crate) mod users;
