//! Bandwidth's API, one room a resource, named as in `wire`.

pub(crate) mod applications;
pub(crate) mod disconnects;
pub(crate) mod inventory;
pub(crate) mod moves;
pub(crate) mod order;
pub(crate) mod orders;
pub(crate) mod peers;
pub(crate) mod places;
pub(crate) mod reservations;
pub(crate) mod search;
pub(crate) mod sites;
pub(crate) mod subscriptions;
pub(crate) mod tns;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod voice;
