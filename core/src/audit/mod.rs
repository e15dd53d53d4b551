//! The audit trail: events of numbers and of the house, their positions, and the chain that shows whether one was
//! changed since.
//!
//! From the ground up: [`digest`]s, [`deed`]s (what was done beside the changes of single numbers), [`line`]s (events of both kinds as
//! they are shown, in a `canonical` form), [`chain`] (the seals over them), [`verify`] (what is wrong with sealed events).

mod canonical;
pub mod chain;
pub mod deed;
pub mod digest;
pub mod line;
pub mod verify;
