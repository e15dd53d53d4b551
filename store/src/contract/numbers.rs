//! Numbers: what they are, what led there, and how they move on. What may be asked of them, and what is returned.

use std::collections::BTreeMap;

use async_trait::async_trait;
use onhook_core::account::NoPlace;
use onhook_core::ids::{AccountId, OrderId, OrderSeq, PeerId, SiteId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::Event;
use onhook_core::lifecycle::hold::Hold;
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::order::Kind;
use onhook_core::time::Timestamp;

use crate::Result;
use crate::contract::orders::StepReport;
use crate::contract::page::{Page, Start};

/// Which numbers of an account.
#[derive(Clone, Debug)]
pub struct NumberQuery {
    /// In whose inventory.
    pub account: AccountId,
    /// In one of these states.
    pub states: Vec<State>,
    /// Only at this site.
    pub site: Option<SiteId>,
    /// Only at this peer.
    pub peer: Option<PeerId>,
    /// Only those whose protected flag is so.
    pub protected: Option<bool>,
    /// Only those that begin with these digits, without the country code.
    pub prefix: Option<String>,
    /// Only in this region (state or province).
    pub region: Option<String>,
    /// Only in this rate center.
    pub rate_center: Option<String>,
    /// Only in this city.
    pub city: Option<String>,
    /// Only in this LATA.
    pub lata: Option<String>,
    /// Only those whose state began from the first instant on, before the second.
    pub since: Option<(Timestamp, Timestamp)>,
    /// Where the page begins; in the order of the digits.
    pub start: Start<Number>,
    /// Most items.
    pub size: usize,
}

impl NumberQuery {
    /// All numbers of an account in some states, from the first one on; a page of none.
    #[must_use]
    pub fn all(account: AccountId, states: &[State]) -> Self {
        Self {
            account,
            states: states.to_vec(),
            site: None,
            peer: None,
            protected: None,
            prefix: None,
            region: None,
            rate_center: None,
            city: None,
            lata: None,
            since: None,
            start: Start::Page(1),
            size: 0,
        }
    }
}

/// A number with what led there, for whoever asks about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The number now.
    pub entry: Entry,
    /// Its area.
    pub area: AreaName,
    /// Where it lies.
    pub locality: Locality,
    /// When it came into its state.
    pub since: Timestamp,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// When it last entered service, if it is in service or aging.
    pub in_service_at: Option<Timestamp>,
    /// The hold, if it is aging after a disconnect here.
    pub hold: Option<Hold>,
    /// The last order that changed it.
    pub order: Option<(OrderId, Kind, Timestamp)>,
    /// Its site's name.
    pub site_name: Option<String>,
    /// Its peer's name, and whether it is the site's default one.
    pub peer_name: Option<(String, bool)>,
}

/// A number as an import brought it, and what happened since.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The number now.
    pub entry: Entry,
    /// The number as it was imported.
    pub origin: Entry,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Its events since, oldest first.
    pub events: Vec<Event>,
    /// The orders that made them.
    pub orders: BTreeMap<OrderSeq, OrderMark>,
}

/// What is told of an order beside what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderMark {
    /// Its id.
    pub id: OrderId,
    /// Its kind.
    pub kind: Kind,
    /// Who sent it.
    pub user: String,
    /// When it arrived.
    pub created_at: Timestamp,
}

/// Where numbers are to go: a site and a peer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The site.
    pub site: SiteId,
    /// The peer.
    pub peer: PeerId,
}

/// What became of numbers that were to go to another site and peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumbersMoved {
    /// They are there; so many were elsewhere.
    Done(usize),
    /// None went: there is no such place.
    NoPlace(NoPlace),
    /// None went: these are not in service on the account.
    NotInService(Vec<Number>),
}

/// Numbers: what they are, what led there, and how they move on.
#[async_trait]
pub trait Numbers: Send + Sync {
    /// Moves on, at most so many, the numbers whose time has come: aging ones and reservations.
    async fn release(&self, now: Timestamp, numbers_max: usize) -> Result<StepReport>;

    /// One number with what led there.
    async fn facts(&self, number: Number) -> Result<Option<Facts>>;

    /// Some numbers with what led there; those that do not exist are left out.
    async fn facts_of(&self, numbers: Vec<Number>) -> Result<Vec<Facts>>;

    /// Where numbers lie, in the order in which they are given; those that do not exist are left out.
    async fn localities(&self, numbers: Vec<Number>) -> Result<Vec<(Number, Locality)>>;

    /// One number's whole history.
    async fn history(&self, number: Number) -> Result<Option<History>>;

    /// Numbers in an account's inventory.
    async fn numbers(&self, query: NumberQuery) -> Result<Page<Number, Number>>;

    /// How many numbers a query finds; its page is of no account.
    async fn count(&self, query: NumberQuery) -> Result<u64>;

    /// Moves numbers that are in service on the account to a site and peer of it, all or none, at the word
    /// of `user`.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn move_numbers(
        &self,
        account: AccountId,
        to: Destination,
        numbers: Vec<Number>,
        user: String,
        now: Timestamp,
    ) -> Result<NumbersMoved>;

    /// So many numbers after one, in the order of their digits: for an export.
    async fn export(&self, after: Option<Number>, size: usize) -> Result<Vec<(Entry, AreaName)>>;
}
