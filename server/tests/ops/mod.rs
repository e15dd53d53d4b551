//! The server's own routes.

mod clock;
mod described;
mod emulator;
mod health;
