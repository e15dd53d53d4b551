//! Exchanges, rate centers and areas. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::ids::AreaId;
use onhook_core::import::BadLine;
use onhook_core::lifecycle::area::Area;
use onhook_core::locality::Exchange;
use onhook_core::order::search::Criteria;

use crate::Result;
use crate::contract::imports::Imported;
use crate::contract::page::Page;

/// The exchanges that an import reads, one after another, with the line each begins on.
pub type ExchangeLines = Box<dyn Iterator<Item = (u64, std::result::Result<Exchange, BadLine>)> + Send>;

/// Which rate centers.
#[derive(Clone, Debug, Default)]
pub struct RateCenterQuery {
    /// With an exchange that is like this; the state and the rate center's abbreviation are its own.
    pub criteria: Criteria,
    /// Only of this name.
    pub name: Option<String>,
    /// From this id on; the first one has 1.
    pub from: u32,
    /// Most rate centers.
    pub size: usize,
}

/// A rate center, with what is known of its exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateCenter {
    /// Its id, which stays.
    pub id: u32,
    /// State or province.
    pub region: String,
    /// Its abbreviation.
    pub abbreviation: String,
    /// Its name.
    pub name: String,
    /// Its exchanges.
    pub exchanges: Vec<Exchange>,
}

/// Most exchanges that a store lists at once.
pub const EXCHANGES_MAX: usize = 50_000;

/// Exchanges, rate centers and areas.
#[async_trait]
pub trait Exchanges: Send + Sync {
    /// Exchanges that an operator's file described and that fit, in the order of their digits, at most
    /// [`EXCHANGES_MAX`].
    async fn exchanges(&self, criteria: Criteria) -> Result<Vec<Exchange>>;

    /// Rate centers that an operator's file or an import of numbers named, in the order of their ids.
    async fn rate_centers(&self, query: RateCenterQuery) -> Result<Page<RateCenter, u32>>;

    /// Takes exchanges in, all in one transaction; what was known of the same exchange gives way. What a
    /// number's area is stays as it is. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// `Import` when a line is bad or an exchange stands twice; nothing was written.
    async fn import_exchanges(&self, lines: ExchangeLines, dry_run: bool) -> Result<Imported>;

    /// Every area with its supply and demand.
    async fn areas(&self) -> Result<Vec<(AreaId, Area)>>;
}
