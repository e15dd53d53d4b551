//! Numbers are listed, explained, released and moved: queries, results, and the trait.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::NoPlace;
use onhook_core::ids::{AccountId, AreaId, OrderId, OrderSeq, PeerId, SiteId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::hold::Hold;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::{Author, Provenance};
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::order::Kind;
use onhook_core::order::search::Criteria;
use onhook_core::report::rating::Charges;
use onhook_core::time::Timestamp;

use crate::Result;
use crate::contract::leases::LeaseToken;
use crate::contract::orders::StepReport;
use crate::contract::page::{Page, Start};

/// A query for numbers of an account.
#[derive(Clone, Debug)]
pub struct NumberQuery {
    /// The account whose inventory it is.
    pub account: AccountId,
    /// Only numbers in one of these states.
    pub states: Vec<State>,
    /// Only numbers at this site.
    pub site: Option<SiteId>,
    /// Only numbers at this peer.
    pub peer: Option<PeerId>,
    /// Only numbers with this protected flag.
    pub protected: Option<bool>,
    /// Only numbers that begin with these digits, without the country code.
    pub prefix: Option<String>,
    /// Only numbers in this region (state or province).
    pub region: Option<String>,
    /// Only numbers in this rate center.
    pub rate_center: Option<String>,
    /// Only numbers in this city.
    pub city: Option<String>,
    /// Only numbers in this LATA.
    pub lata: Option<String>,
    /// Only numbers that entered their state from the first instant on, and before the second.
    pub since: Option<(Timestamp, Timestamp)>,
    /// Where the page begins. Numbers are in the order of their digits.
    pub start: Start<Number>,
    /// Most items on the page.
    pub size: usize,
}

impl NumberQuery {
    /// Returns a query for all numbers of an account in some states, with a page of size 0.
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

    /// True if its numbers are sorted by release. This is so for aging numbers alone, by an index of their own. All
    /// others are sorted by their digits.
    pub(crate) fn by_release(&self) -> bool {
        self.states == [State::Aging]
    }

    /// Returns the site, if the query asks only for the numbers in service at it, or at a peer of it. Their count is
    /// stored.
    pub(crate) fn only_at(&self) -> Option<SiteId> {
        let everywhere = Self { site: None, peer: None, ..self.clone() };
        self.site.filter(|_| self.states == [State::InService] && !everywhere.is_filtered())
    }

    /// Returns the criteria that are about locality.
    pub(crate) fn locality(&self) -> Criteria {
        let Self { region, rate_center, city, lata, .. } = self;
        let upper = |text: &Option<String>| text.as_ref().map(|text| text.to_uppercase());
        Criteria {
            region: upper(region),
            rate_center: upper(rate_center),
            city: upper(city),
            lata: lata.clone(),
            ..Criteria::default()
        }
    }

    /// True if the account's numbers in these states need not all match. Their count is stored otherwise.
    pub(crate) fn is_filtered(&self) -> bool {
        let Self { site, peer, protected, prefix, since, .. } = self;
        site.is_some()
            || peer.is_some()
            || protected.is_some()
            || prefix.is_some()
            || since.is_some()
            || !self.locality().is_empty()
    }
}

/// Which numbers of the store are meant: those for which all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberFilter {
    /// Only numbers of this account: in service, reserved, protected, or aging after it gave them up.
    pub account: Option<AccountId>,
    /// Only numbers in one of these states. Empty for all states.
    pub states: Vec<State>,
    /// Only numbers at this site, or that were there before they aged.
    pub site: Option<SiteId>,
    /// Only numbers at this peer, or that were there before they aged.
    pub peer: Option<PeerId>,
    /// Only numbers of this area.
    pub area: Option<AreaId>,
    /// Only numbers that begin with these digits, with the country code.
    pub prefix: Option<String>,
    /// Only aging numbers whose release is before this instant.
    pub until: Option<Timestamp>,
    /// Only numbers that are locked, or that are not.
    pub locked: Option<bool>,
    /// Only numbers that an operator keeps from release, or others.
    pub kept: Option<bool>,
    /// Only numbers that are protected, or that are not.
    pub protected: Option<bool>,
}

impl NumberFilter {
    /// Returns whether a number is meant.
    #[must_use]
    pub fn fits(&self, entry: &Entry) -> bool {
        let place = entry.standing.place();
        self.account.is_none_or(|account| entry.standing.holder() == Some(account))
            && (self.states.is_empty() || self.states.contains(&entry.state()))
            && self.site.is_none_or(|site| place.is_some_and(|place| place.site == site))
            && self.peer.is_none_or(|peer| place.is_some_and(|place| place.peer == Some(peer)))
            && self.area.is_none_or(|area| entry.area == area)
            && self.prefix.as_ref().is_none_or(|prefix| entry.number.digits().to_string().starts_with(prefix))
            && self.until.is_none_or(|until| {
                entry.state() == State::Aging && entry.standing.ends_at().is_some_and(|ends| ends < until)
            })
            && self.locked.is_none_or(|locked| entry.locked == locked)
            && self.kept.is_none_or(|kept| entry.standing.kept().is_some() == kept)
            && self.protected.is_none_or(|protected| entry.protected == protected)
    }

    /// Returns the first and one past the last digits that a number with this prefix can have, if the prefix is of the
    /// North American plan.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        Number::nanp_range(self.prefix.as_deref()?.strip_prefix('1')?)
    }
}

/// The numbers that a filter means, as far as they were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The numbers, in the order of their digits.
    pub numbers: Vec<Number>,
    /// The number after which to go on. `None` if there are no more.
    pub next: Option<Number>,
}

/// Numbers of an area whose aging ends, and that then all go the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Their area.
    pub area: AreaId,
    /// Where they go, if nobody keeps them.
    pub home: Home,
    /// True if an operator keeps them: their hold ends, and they stay.
    pub stays: bool,
    /// How many they are.
    pub numbers: u64,
}

/// The aging numbers of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aging {
    /// How many they are.
    pub numbers: u64,
    /// When the first of them is released. [`Timestamp::MAX`] if all are kept until an operator says otherwise.
    pub next_at: Timestamp,
}

/// Numbers of an export, as far as they were looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exported {
    /// The numbers with their areas, in the order of their digits.
    pub numbers: Vec<(Entry, AreaName)>,
    /// The number after which to go on. `None` if there are no more.
    pub next: Option<Number>,
}

/// Most rows that one search for numbers reads. It returns where it stopped.
pub const LOOKS_MAX: usize = 50_000;

/// A number with its details.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The number now.
    pub entry: Entry,
    /// What has happened to it.
    pub history: History,
    /// Its area.
    pub area: AreaName,
    /// Where it lies.
    pub locality: Locality,
    /// When it entered its state.
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

/// A number's history, with the orders in it.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberHistory {
    /// The history.
    pub history: History,
    /// The orders that made its events.
    pub orders: BTreeMap<OrderSeq, OrderMark>,
}

/// An order in a number's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderMark {
    /// Its id.
    pub id: OrderId,
    /// Its kind.
    pub kind: Kind,
    /// Who sent it.
    pub user: String,
    /// Under what.
    pub under: Provenance,
    /// When it arrived.
    pub created_at: Timestamp,
}

/// Where numbers are to move: a site and a peer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The site.
    pub site: SiteId,
    /// The peer.
    pub peer: PeerId,
}

/// The result of moving numbers to another site and peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumbersMoved {
    /// All are there. This many were elsewhere before.
    Done(usize),
    /// None moved: there is no such site or peer.
    NoPlace(NoPlace),
    /// None moved: these are not in service on the account.
    NotInService(Vec<Number>),
}

/// Numbers are listed, explained, released and moved.
#[async_trait]
pub trait Numbers: Send + Sync {
    /// Releases numbers whose aging is over at `now`, and ends reservations: at most `numbers_max`.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over. Nothing was released.
    async fn release(
        &self,
        lease: LeaseToken,
        now: Timestamp,
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<StepReport>;

    /// Releases numbers that are due after the first instant and up to the second, each at its own instant, as if a clock
    /// had gone from one to the next: at most `numbers_max`, and all of an instant or none. Returns what was done, and the
    /// last of the instants. `None` if nothing was: while an order waits, which may want one of the numbers at its instant, or if a
    /// number cannot be released now.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over. Nothing was released.
    async fn pass(
        &self,
        lease: LeaseToken,
        span: (Timestamp, Timestamp),
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<Option<(StepReport, Timestamp)>>;

    /// Returns one number with its details.
    async fn facts(&self, number: Number) -> Result<Option<Facts>>;

    /// Returns numbers with their details. Numbers that do not exist are left out.
    async fn facts_of(&self, numbers: Vec<Number>) -> Result<Vec<Facts>>;

    /// Returns where numbers lie, in the given order. Numbers that do not exist are left out.
    async fn localities(&self, numbers: Vec<Number>) -> Result<Vec<(Number, Locality)>>;

    /// Returns where numbers lie whose areas are these, in the same order: the exchanges are those of now.
    async fn localities_in(&self, areas: Vec<(Number, AreaId)>) -> Result<Vec<Locality>>;

    /// Returns one number's whole history.
    async fn history(&self, number: Number) -> Result<Option<NumberHistory>>;

    /// Returns what is charged for each of the numbers, and when, in the given order. `None` for a number that does not
    /// exist. Numbers with the same life may share it. Numbers in the order of their digits are found fastest.
    async fn charges(&self, numbers: Vec<Number>) -> Result<Vec<Option<Arc<Charges>>>>;

    /// Returns numbers in an account's inventory.
    async fn numbers(&self, query: NumberQuery) -> Result<Page<Number, Number>>;

    /// Returns numbers that a filter means, after `after` and in the order of their digits, at most `size`. It reads at
    /// most [`LOOKS_MAX`] rows, so it may return fewer, and tells where to go on.
    async fn find(&self, filter: NumberFilter, after: Option<Number>, size: usize) -> Result<Found>;

    /// Returns how many numbers a query finds. Its page is ignored.
    async fn count(&self, query: NumberQuery) -> Result<u64>;

    /// Moves numbers in service on the account to a site and peer of it, all or none. `author` asked for it.
    ///
    /// # Errors
    /// `Conflict` if there is no such account.
    async fn move_numbers(
        &self,
        account: AccountId,
        to: Destination,
        numbers: Vec<Number>,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<NumbersMoved>;

    /// Returns how many numbers end their aging from the first instant on and before the second. A number that is kept
    /// beyond its hold stays at the end of the hold, and goes at the end of the keep. Only numbers of this account and
    /// this area, if they are named.
    async fn endings(
        &self,
        window: (Timestamp, Timestamp),
        account: Option<AccountId>,
        area: Option<AreaId>,
    ) -> Result<Vec<Ending>>;

    /// Returns the aging numbers of each area that has any. It reads all of them.
    async fn aging(&self) -> Result<BTreeMap<AreaId, Aging>>;

    /// Returns numbers that a filter means as [`Numbers::find`] does, with their areas: for an export.
    async fn export(&self, filter: NumberFilter, after: Option<Number>, size: usize) -> Result<Exported>;

    /// Returns the histories of up to `size` numbers after `after`, in the order of their digits.
    async fn histories(&self, after: Option<Number>, size: usize) -> Result<Vec<History>>;
}
