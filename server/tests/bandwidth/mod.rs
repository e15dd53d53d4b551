//! Bandwidth's API, one file a resource, and the requests of its client libraries.

mod applications;
mod clients;
mod described;
mod disconnects;
mod inventory;
mod json;
mod localities;
mod moves;
mod order_search;
mod orders;
mod peers;
mod reservations;
mod search;
mod sites;
mod subscriptions;
mod tns;
mod tokens;
mod users;
