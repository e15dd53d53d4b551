//! What runs without being asked: accepted orders, and the release of what has aged.

pub(crate) mod orders;
pub(crate) mod release;
