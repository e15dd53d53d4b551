//! The server's own routes.

mod acts;
mod areas;
mod calls;
mod clock;
mod described;
mod docs;
mod emulator;
mod health;
mod jobs;
mod numbers;
mod once;
mod orders;
mod problems;
mod socket;
mod undo;
