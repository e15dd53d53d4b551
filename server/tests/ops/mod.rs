//! The server's own routes.

mod accounts;
mod acts;
mod areas;
mod calls;
mod clock;
mod deliveries;
mod described;
mod docs;
mod emulator;
mod health;
mod numbers;
mod once;
mod orders;
mod premises;
mod problems;
mod settings;
mod socket;
mod strangers;
mod undo;
mod users;
