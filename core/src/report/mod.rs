//! What follows from the events alone: [`billing`] says who pays for calls, and when.

pub mod billing;
