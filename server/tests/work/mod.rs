//! The workers, from outside.

mod deliveries;
