//! The sites and peers of accounts. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::account::details::{PeerChange, PeerDetails, SiteChange, SiteDetails};
use onhook_core::account::premises::Stays;
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};

use crate::Result;

/// What became of a site, a peer or an application that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// The account has none of that id.
    Unknown,
    /// It is there, and why.
    Stays(Stays),
}

/// The sites and peers of accounts.
#[async_trait]
pub trait SitesAndPeers: Send + Sync {
    /// Makes a site; the first one of an account is its default.
    ///
    /// # Errors
    /// `Conflict` when there is no such account, it has as many as it may, or more is said than there is room
    /// for.
    async fn add_site(&self, account: AccountId, site: SiteChange) -> Result<(Site, SiteDetails)>;

    /// Makes a site of which nothing but its name is said.
    ///
    /// # Errors
    /// As [`SitesAndPeers::add_site`].
    async fn create_site(&self, account: AccountId, name: String) -> Result<Site> {
        self.add_site(account, SiteChange::named(name)).await.map(|(site, _)| site)
    }

    /// Says something else of a site; none when the account has no such site.
    ///
    /// # Errors
    /// `Conflict` when it is more than there is room for.
    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
    ) -> Result<Option<(Site, SiteDetails)>>;

    /// Takes a site away, unless it is needed.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn remove_site(&self, account: AccountId, id: SiteId) -> Result<Removed>;

    /// Makes another site of the account its default; false when it has no such site.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn make_default_site(&self, account: AccountId, id: SiteId) -> Result<bool>;

    /// Makes a peer; the first one of a site is its default, and a later one that wants to be takes its place.
    ///
    /// # Errors
    /// `Conflict` when the account has no such site, or as many peers as it may, or more is said than there is
    /// room for.
    async fn add_peer(
        &self,
        account: AccountId,
        site: SiteId,
        peer: PeerChange,
    ) -> Result<(Peer, PeerDetails)>;

    /// Makes a peer of which nothing but its name is said.
    ///
    /// # Errors
    /// As [`SitesAndPeers::add_peer`].
    async fn create_peer(&self, account: AccountId, site: SiteId, name: String) -> Result<Peer> {
        self.add_peer(account, site, PeerChange::named(name)).await.map(|(peer, _)| peer)
    }

    /// Says something else of a peer; none when the site has no such peer.
    ///
    /// # Errors
    /// `Conflict` when it is more than there is room for.
    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
    ) -> Result<Option<(Peer, PeerDetails)>>;

    /// Takes a peer away, unless it is needed.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId) -> Result<Removed>;

    /// All sites, or those of an account.
    async fn sites(&self, account: Option<AccountId>) -> Result<Vec<Site>>;

    /// All peers, or those of an account.
    async fn peers(&self, account: Option<AccountId>) -> Result<Vec<Peer>>;

    /// The sites of an account, or one of them, with what is said of each.
    async fn sites_in_full(
        &self,
        account: AccountId,
        only: Option<SiteId>,
    ) -> Result<Vec<(Site, SiteDetails)>>;

    /// The peers of a site, or one of them, with what is said of each.
    async fn peers_in_full(
        &self,
        account: AccountId,
        site: SiteId,
        only: Option<PeerId>,
    ) -> Result<Vec<(Peer, PeerDetails)>>;

    /// How many numbers are in service at each site and peer of an account that has some; the peer is none
    /// where they are at none of the site's.
    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>>;
}
