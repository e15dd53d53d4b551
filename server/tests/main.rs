//! The server from outside: a real one on a socket of this machine, asked as clients ask it.
//!
//! `bandwidth`, `ops` and `work` mirror the routes; `edge` is what stands in front of every route; `app` starts a
//! server with a store of its own and proves the store's invariants when the test has ended.

#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod app;
mod bandwidth;
mod edge;
mod ops;
mod work;
