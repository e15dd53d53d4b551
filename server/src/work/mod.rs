//! What runs without being asked: accepted orders, the release of what has aged, and the deliveries of what
//! subscribers are told.

mod attempts;
pub(crate) mod deliveries;
mod messages;
pub(crate) mod orders;
pub(crate) mod release;
