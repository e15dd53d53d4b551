//! The server's own routes.

pub(crate) mod docs;
pub(crate) mod door;
pub(crate) mod emulator;
pub(crate) mod health;
