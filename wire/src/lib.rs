//! Bandwidth's XML and JSON to and from onhook's values.
//!
//! From the ground up: [`guard`] refuses malformed XML, [`xml`] reads and writes it, and [`json`] is another spelling
//! of the same documents. [`error`] is the table of all that can be wrong, and [`explained`](error::explained) says
//! what each row means. [`query`] reads the parameters of a request. After that there is one file a resource. There is
//! no rule of a number's life here, and no HTTP.

mod bandwidth;
pub mod error;
pub mod ops;
mod text;

pub use crate::bandwidth::{
    applications, dialect, disconnects, inventory, lists, localities, moves, notes, notifications,
    order_search, orders, peers, query, reservations, search, sites, subscriptions, tns, users,
};
pub use crate::text::{guard, json, records, xml};
