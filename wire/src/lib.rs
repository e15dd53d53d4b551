//! Bandwidth's XML and JSON to and from onhook's values.
//!
//! From the ground up: [`guard`] refuses malformed XML, [`xml`] reads and writes it, [`error`] is the
//! table of all that can be wrong and [`explained`] what each row means, [`query`] reads what stands behind a path; then one room a resource.
//! [`json`] is another spelling of the same documents. `flag` reads true and false, and `numbers` sees that no number of a
//! request is passed over.
//! No rule of a number's life stands here, and no HTTP.

pub mod applications;
pub mod dialect;
pub mod disconnects;
pub mod error;
pub mod explained;
mod flag;
pub mod guard;
pub mod inventory;
pub mod json;
pub mod lists;
pub mod moves;
pub mod notes;
pub mod notifications;
mod numbers;
pub mod order_search;
pub mod orders;
pub mod peers;
pub mod places;
pub mod query;
pub mod reservations;
pub mod search;
pub mod sites;
pub mod subscriptions;
pub mod tns;
pub mod users;
pub mod xml;
