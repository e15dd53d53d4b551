//! Everything before a handler: connections, routing, signing in, the gate. It knows no dialect. Each part of the
//! server has a [`door`], which decides how it reads, writes and refuses.

pub mod accept;
pub mod auth;
pub mod book;
pub mod call;
pub(crate) mod connections;
pub mod doc;
pub mod door;
mod framing;
pub mod gate;
mod harm;
pub mod incoming;
pub(crate) mod listen;
mod meter;
pub(crate) mod openapi;
pub mod origin;
pub(crate) mod page;
pub(crate) mod pairs;
pub mod path;
pub mod refusal;
pub mod reply;
pub mod route;
pub(crate) mod router;
pub mod socket;
