//! What follows from the events alone: [`billing`] says for which times accounts pay, [`calls`] where a call goes,
//! [`rating`] what a call costs.

pub mod billing;
pub mod calls;
pub mod rating;
