//! Workers, which run without a request: they run accepted orders, release aged numbers, and deliver notifications.

mod attempts;
pub(crate) mod deliveries;
mod lease;
mod messages;
pub(crate) mod orders;
pub(crate) mod release;
