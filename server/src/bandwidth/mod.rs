//! Bandwidth's API, behind a door of its own: one room a resource, named as in `wire`.

pub(crate) mod applications;
mod call;
pub(crate) mod disconnects;
pub(crate) mod door;
pub(crate) mod inventory;
pub(crate) mod localities;
pub(crate) mod moves;
pub(crate) mod order;
pub(crate) mod orders;
mod paging;
pub(crate) mod peers;
mod posted;
pub(crate) mod prefix;
mod reply;
pub(crate) mod reservations;
pub(crate) mod search;
pub(crate) mod sites;
pub(crate) mod subscriptions;
pub(crate) mod tns;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod voice;
