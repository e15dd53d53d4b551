//! Workers, which run without a request: they run accepted orders, release aged numbers, deliver notifications, seal events, and tell
//! of what a database may lose.

mod attempts;
pub(crate) mod deliveries;
mod lease;
mod messages;
pub(crate) mod moves;
pub(crate) mod orders;
pub(crate) mod owed;
pub(crate) mod release;
pub(crate) mod seals;
pub(crate) mod reset;
pub(crate) mod weaknesses;
