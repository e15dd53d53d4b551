//! What onhook remembers.
//!
//! [`Store`] is the contract: what a caller may rely on, one trait a resource in [`contract`]. [`sqlite`] keeps it in
//! a folder on this machine, [`postgres`] in a database that several nodes share. [`conformance`] is the suite that every store passes. A store loads, asks `core`, and
//! saves; no rule of a number's life stands here.

pub mod audit;
pub mod chance;
mod checking;
mod codes;
mod columns;
pub mod conformance;
pub mod contract;
mod error;
mod order_ids;
pub mod plan;
pub mod postgres;
pub mod sqlite;
pub mod transfer;

pub use crate::contract::Store;
pub use crate::error::{Cause, Result, StoreError, Unwritable};
