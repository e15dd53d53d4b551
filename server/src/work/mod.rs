//! Workers, which run without a request: they run accepted orders, release aged numbers, deliver notifications, seal
//! events, do jobs, and tell of what a database may lose and by which settings nodes differ.

mod attempts;
pub(crate) mod deliveries;
mod imports;
pub(crate) mod jobs;
mod makings;
mod messages;
pub(crate) mod moves;
mod nodes;
mod noted;
pub(crate) mod orders;
pub(crate) mod owed;
pub(crate) mod release;
pub(crate) mod reset;
pub(crate) mod seals;
pub(crate) mod settings;
pub(crate) mod start;
pub(crate) mod weaknesses;
