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
mod events;
mod health;
mod jobs;
mod numbers;
mod once;
mod orders;
mod plans;
mod premises;
mod problems;
mod reports;
mod settings;
mod socket;
mod staged;
mod strangers;
mod stream;
mod undo;
mod users;
