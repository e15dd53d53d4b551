//! Searches of the pool: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Locality;
use onhook_core::order::search::{Criteria, Inventory};

use crate::Result;

/// A search of the pool.
#[derive(Clone, Debug)]
pub struct PoolQuery {
    /// The criteria that numbers must meet.
    pub criteria: Criteria,
    /// Whose numbers are searched.
    pub inventory: Inventory,
    /// Most numbers.
    pub size: usize,
    /// The seed for the order of the result. The order is independent of a number's digits and age, so that nobody can
    /// browse for numbers that were just given up.
    pub seed: u64,
}

/// Pool numbers of an exchange with the same locality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Area code and exchange, six digits.
    pub npa_nxx: u32,
    /// How many numbers.
    pub numbers: u64,
    /// Where they lie.
    pub locality: Locality,
}

/// Searches of the pool.
#[async_trait]
pub trait Pool: Send + Sync {
    /// Returns numbers of the pool, or of a protected inventory, with where they lie. If more fit than `size`, chance
    /// chooses. A search for what numbers spell looks only at a bounded part of a large pool.
    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>>;

    /// Returns how many pool numbers each exchange that fits has, in the order of the exchanges. An exchange is
    /// listed once for each locality that imports gave its numbers.
    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>>;
}
