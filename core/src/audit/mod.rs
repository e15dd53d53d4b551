//! The audit trail beside the events of single numbers: what was done to orders and plans, and in the house.

pub mod deed;
