//! The server's own routes.

mod clock;
mod described;
mod docs;
mod emulator;
mod health;
