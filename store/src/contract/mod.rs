//! What every store can do. Each file has one resource: its queries, its results, and its trait.

pub mod accounts;
pub mod acts;
pub mod applications;
pub mod audit;
pub mod backups;
pub mod deliveries;
pub mod exchanges;
pub mod imports;
pub mod jobs;
pub mod leases;
pub mod nodes;
pub mod numbers;
pub mod once;
pub mod orders;
pub mod page;
pub mod plans;
pub mod pool;
pub mod premises;
pub mod reports;
pub mod reservations;
pub mod settings;
pub mod subscriptions;
pub mod transfer;
pub mod upkeep;
pub mod users;

use self::accounts::Accounts;
use self::acts::Acts;
use self::applications::Applications;
use self::audit::Audit;
use self::backups::Backups;
use self::deliveries::Deliveries;
use self::exchanges::Exchanges;
use self::imports::Imports;
use self::jobs::Jobs;
use self::leases::Leases;
use self::nodes::Nodes;
use self::numbers::Numbers;
use self::once::Replies;
use self::orders::Orders;
use self::plans::Plans;
use self::pool::Pool;
use self::premises::SitesAndPeers;
use self::reports::Reports;
use self::reservations::Reservations;
use self::settings::Settings;
use self::subscriptions::Subscriptions;
use self::transfer::Transfer;
use self::upkeep::Upkeep;
use self::users::Users;

/// Where numbers, orders and events are stored. Every store keeps these promises:
///
/// - A write that has returned `Ok` survives any crash.
/// - A decision is written whole or not at all: entry, event, outcome and counts together.
/// - Time runs forward for each number and each order: no event of a number is earlier than the one before it, and no
///   order ends before it was made, whatever the caller's clock says.
/// - What is done under a lease is done by its holder alone: by one node at a time.
pub trait Store:
    Orders
    + Numbers
    + Acts
    + Plans
    + Pool
    + Exchanges
    + Imports
    + Jobs
    + Accounts
    + SitesAndPeers
    + Applications
    + Users
    + Reservations
    + Settings
    + Subscriptions
    + Deliveries
    + Audit
    + Reports
    + Leases
    + Nodes
    + Backups
    + Upkeep
    + Replies
    + Transfer
    + 'static
{
}

impl<S> Store for S where
    S: Orders
        + Numbers
        + Acts
        + Plans
        + Pool
        + Exchanges
        + Imports
        + Jobs
        + Accounts
        + SitesAndPeers
        + Applications
        + Users
        + Reservations
        + Settings
        + Subscriptions
        + Deliveries
        + Audit
        + Reports
        + Leases
        + Nodes
        + Backups
        + Upkeep
        + Replies
        + Transfer
        + 'static
{
}
