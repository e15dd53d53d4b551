//! What onhook remembers.
//!
//! [`Store`] is the contract: what a caller may rely on, one trait a resource in [`contract`]. [`sqlite`] keeps it in
//! a folder on this machine. [`conformance`] is the suite that every store passes. A store loads, asks `core`, and
//! saves; no rule of a number's life stands here.

mod codes;
pub mod conformance;
pub mod contract;
mod error;
mod order_ids;
pub mod sqlite;

use crate::contract::accounts::Accounts;
use crate::contract::applications::Applications;
use crate::contract::deliveries::Deliveries;
use crate::contract::exchanges::Exchanges;
use crate::contract::imports::Imports;
use crate::contract::numbers::Numbers;
use crate::contract::orders::Orders;
use crate::contract::pool::Pool;
use crate::contract::premises::SitesAndPeers;
use crate::contract::reservations::Reservations;
use crate::contract::subscriptions::Subscriptions;
use crate::contract::upkeep::Upkeep;
use crate::contract::users::Users;
pub use crate::error::{Cause, Result, StoreError, Unwritable};

/// Where numbers, orders and events are kept. What it must hold:
///
/// - What an operation that writes has answered with `Ok` survives any crash.
/// - A decision is written whole or not at all: entry, event, outcome and counts together.
/// - Time in the store does not run backwards: an event's time is never before the one before it,
///   whatever clock the caller had.
pub trait Store:
    Orders
    + Numbers
    + Pool
    + Exchanges
    + Imports
    + Accounts
    + SitesAndPeers
    + Applications
    + Users
    + Reservations
    + Subscriptions
    + Deliveries
    + Upkeep
    + 'static
{
}

impl<S> Store for S where
    S: Orders
        + Numbers
        + Pool
        + Exchanges
        + Imports
        + Accounts
        + SitesAndPeers
        + Applications
        + Users
        + Reservations
        + Subscriptions
        + Deliveries
        + Upkeep
        + 'static
{
}
