//! The server's own routes.

mod acts;
mod clock;
mod described;
mod docs;
mod emulator;
mod health;
mod numbers;
mod orders;
mod problems;
mod socket;
mod undo;
