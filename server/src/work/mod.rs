//! What runs without being asked: accepted orders, the release of what has aged, and the deliveries of what
//! subscribers are told.

pub(crate) mod deliveries;
pub(crate) mod orders;
pub(crate) mod release;
