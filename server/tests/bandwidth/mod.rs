//! Bandwidth's API, one file a resource, and the requests of its client libraries.

mod clients;
mod disconnects;
mod inventory;
mod orders;
mod search;
mod sites;
mod tns;
