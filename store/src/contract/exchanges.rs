//! Exchanges, rate centers and areas: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::ids::AreaId;
use onhook_core::import::BadLine;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::Exchange;
use onhook_core::order::search::Criteria;

use crate::Result;
use crate::contract::imports::Imported;
use crate::contract::page::Page;

/// The exchanges of an import in turn, each with the number of its first line.
pub type ExchangeLines = Box<dyn Iterator<Item = (u64, std::result::Result<Exchange, BadLine>)> + Send>;

/// A query for rate centers.
#[derive(Clone, Debug, Default)]
pub struct RateCenterQuery {
    /// Criteria for its exchanges. State and abbreviation are the rate center's own.
    pub criteria: Criteria,
    /// Only rate centers with this name.
    pub name: Option<String>,
    /// The first id, from 1.
    pub from: u32,
    /// Most rate centers on the page.
    pub size: usize,
}

/// A rate center, with what is known of its exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateCenter {
    /// Its id. It never changes.
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

/// Most exchanges in one list.
pub const EXCHANGES_MAX: usize = 50_000;

/// Exchanges, rate centers and areas.
#[async_trait]
pub trait Exchanges: Send + Sync {
    /// Returns exchanges of an operator's file that fit, in the order of their digits, at most [`EXCHANGES_MAX`].
    async fn exchanges(&self, criteria: Criteria) -> Result<Vec<Exchange>>;

    /// Returns rate centers that an operator's file or an import of numbers named, in the order of their ids.
    async fn rate_centers(&self, query: RateCenterQuery) -> Result<Page<RateCenter, u32>>;

    /// Imports exchanges in one transaction. They replace known ones with the same digits. The areas of numbers stay as
    /// they are.
    ///
    /// # Errors
    /// `Import` if a line is bad or an exchange is there twice. Nothing was written.
    async fn import_exchanges(&self, lines: ExchangeLines, doer: Doer) -> Result<Imported>;

    /// Returns every area with its supply and demand.
    async fn areas(&self) -> Result<Vec<(AreaId, Area)>>;
}
