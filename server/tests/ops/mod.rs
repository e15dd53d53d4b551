//! The server's own routes.

mod acts;
mod areas;
mod calls;
mod clock;
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
mod problems;
mod reports;
mod socket;
mod staged;
mod undo;
