//! The server from outside: a real one on a socket of this machine, called as clients call it.
//!
//! `bandwidth`, `ops` and `work` mirror the routes. `edge` tests the checks before every route. `app` starts a server
//! with a store of its own and checks the store's invariants when the test has ended.

#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod app;
mod bandwidth;
mod edge;
mod ops;
mod work;
