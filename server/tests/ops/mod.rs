//! The server's own routes.

mod emulator;
mod health;
