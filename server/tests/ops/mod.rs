//! The server's own routes.

mod clock;
mod emulator;
mod health;
