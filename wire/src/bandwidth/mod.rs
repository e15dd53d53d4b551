//! Bandwidth's documents, one file a resource.

pub mod applications;
pub mod dialect;
pub mod disconnects;
mod flag;
pub mod inventory;
pub mod lists;
pub mod localities;
pub mod moves;
pub mod notes;
pub mod notifications;
mod numbers;
mod order_form;
pub mod order_search;
pub mod orders;
pub mod peers;
pub mod query;
pub mod reservations;
pub mod search;
pub mod sites;
pub mod subscriptions;
pub mod tns;
pub mod users;
