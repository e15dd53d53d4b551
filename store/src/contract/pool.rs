//! Searches of the pool: what may be asked, and what is returned.

use async_trait::async_trait;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Locality;
use onhook_core::order::search::{Criteria, Inventory};

use crate::Result;

/// Which numbers of the pool.
#[derive(Clone, Debug)]
pub struct PoolQuery {
    /// What they have to be like.
    pub criteria: Criteria,
    /// Whose they may be.
    pub inventory: Inventory,
    /// Most numbers.
    pub size: usize,
    /// What the order of the result comes from. It never follows the digits or the age of a number,
    /// so that nobody can browse for what was just given up.
    pub seed: u64,
}

/// Pool numbers of an exchange that lie in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Area code and exchange, six digits.
    pub npa_nxx: u32,
    /// How many.
    pub numbers: u64,
    /// Where.
    pub locality: Locality,
}

/// Searches of the pool.
#[async_trait]
pub trait Pool: Send + Sync {
    /// Numbers of the pool, or of a protected inventory, each with where it lies: all that fit if there are
    /// no more than wanted, else some of them, by chance. A search for what numbers spell looks at a bounded
    /// part of a large pool only.
    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>>;

    /// How many pool numbers there are of each exchange that fits, in the order of the exchanges; one that
    /// lies in several places, by what imports said of its numbers, stands there for each.
    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>>;
}
