//! What follows from the events alone: [`billing`] says for which times accounts pay, [`calls`] where a call goes,
//! [`changed_hands`] whether a number is another one's now,
//! [`rating`] what a call costs.

pub mod billing;
pub mod calls;
pub mod changed_hands;
pub mod rating;
