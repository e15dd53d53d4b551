//! What every store can do: one file a resource, with what may be asked, what is returned, and the trait.

pub mod accounts;
pub mod applications;
pub mod deliveries;
pub mod exchanges;
pub mod imports;
pub mod numbers;
pub mod orders;
pub mod page;
pub mod pool;
pub mod premises;
pub mod reservations;
pub mod subscriptions;
pub mod upkeep;
pub mod users;
