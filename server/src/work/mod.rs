//! Workers, which run without a request: they run accepted orders, release aged numbers, deliver notifications, and tell
//! of what a database may lose.

mod attempts;
pub(crate) mod deliveries;
mod lease;
mod messages;
pub(crate) mod orders;
pub(crate) mod release;
pub(crate) mod settings;
pub(crate) mod weaknesses;
