//! The sites and peers of accounts: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::account::details::{PeerChange, PeerDetails, SiteChange, SiteDetails};
use onhook_core::account::premises::Stays;
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::time::Timestamp;

use super::once::Once;
use crate::Result;

/// The result of removing a site, a peer or an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is removed.
    Gone,
    /// The account has none with this id.
    Unknown,
    /// It stays, and why.
    Stays(Stays),
}

/// The sites and peers of accounts.
#[async_trait]
pub trait SitesAndPeers: Send + Sync {
    /// Makes a site. The first one of an account is its default.
    ///
    /// # Errors
    /// `Conflict` if there is no such account, it has the most sites it may have, or the details are too long.
    async fn add_site(
        &self,
        account: AccountId,
        site: SiteChange,
        doer: Doer,
    ) -> Result<(Site, SiteDetails)> {
        self.make_site(account, site, None, doer).await
    }

    /// Makes a site, once.
    ///
    /// # Errors
    /// As [`SitesAndPeers::add_site`], and `KeyTaken` if it was done before.
    async fn make_site(
        &self,
        account: AccountId,
        site: SiteChange,
        once: Option<Once<(Site, SiteDetails)>>,
        doer: Doer,
    ) -> Result<(Site, SiteDetails)>;

    /// Makes a site with a name and no other details, for a person on the machine itself at `now`.
    ///
    /// # Errors
    /// As [`SitesAndPeers::add_site`].
    async fn create_site(&self, account: AccountId, name: String, now: Timestamp) -> Result<Site> {
        self.add_site(account, SiteChange::named(name), Doer::offline(now)).await.map(|(site, _)| site)
    }

    /// Changes a site. Returns `None` if the account has no such site.
    ///
    /// # Errors
    /// `Conflict` if the details are too long.
    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
        doer: Doer,
    ) -> Result<Option<(Site, SiteDetails)>>;

    /// Removes a site, unless it is needed.
    ///
    /// # Errors
    /// `Conflict` if there is no such account.
    async fn remove_site(&self, account: AccountId, id: SiteId, doer: Doer) -> Result<Removed>;

    /// Makes a site the default one of its account. Returns false if the account has no such site.
    ///
    /// # Errors
    /// `Conflict` if there is no such account.
    async fn make_default_site(&self, account: AccountId, id: SiteId, doer: Doer) -> Result<bool>;

    /// Makes a peer. The first one of a site is its default. A later one becomes the default if it asks for it.
    ///
    /// # Errors
    /// `Conflict` if the account has no such site, or has the most peers it may have, or the details are too long.
    async fn add_peer(
        &self,
        account: AccountId,
        site: SiteId,
        peer: PeerChange,
        doer: Doer,
    ) -> Result<(Peer, PeerDetails)> {
        self.make_peer((account, site), peer, None, doer).await
    }

    /// Makes a peer at a site of an account, once.
    ///
    /// # Errors
    /// As [`SitesAndPeers::add_peer`], and `KeyTaken` if it was done before.
    async fn make_peer(
        &self,
        at: (AccountId, SiteId),
        peer: PeerChange,
        once: Option<Once<(Peer, PeerDetails)>>,
        doer: Doer,
    ) -> Result<(Peer, PeerDetails)>;

    /// Makes a peer with a name and no other details, for a person on the machine itself at `now`.
    ///
    /// # Errors
    /// As [`SitesAndPeers::add_peer`].
    async fn create_peer(
        &self,
        account: AccountId,
        site: SiteId,
        name: String,
        now: Timestamp,
    ) -> Result<Peer> {
        self.add_peer(account, site, PeerChange::named(name), Doer::offline(now)).await.map(|(peer, _)| peer)
    }

    /// Changes a peer. Returns `None` if the site has no such peer.
    ///
    /// # Errors
    /// `Conflict` if the details are too long.
    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
        doer: Doer,
    ) -> Result<Option<(Peer, PeerDetails)>>;

    /// Removes a peer, unless it is needed.
    ///
    /// # Errors
    /// `Conflict` if there is no such account.
    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId, doer: Doer) -> Result<Removed>;

    /// Returns all sites, or those of an account.
    async fn sites(&self, account: Option<AccountId>) -> Result<Vec<Site>>;

    /// Returns all peers, or those of an account.
    async fn peers(&self, account: Option<AccountId>) -> Result<Vec<Peer>>;

    /// Returns the sites of an account, or one of them, with their details.
    async fn sites_in_full(
        &self,
        account: AccountId,
        only: Option<SiteId>,
    ) -> Result<Vec<(Site, SiteDetails)>>;

    /// Returns the peers of a site, or one of them, with their details.
    async fn peers_in_full(
        &self,
        account: AccountId,
        site: SiteId,
        only: Option<PeerId>,
    ) -> Result<Vec<(Peer, PeerDetails)>>;

    /// Returns sites with their details, in the order of their ids, behind `after`, at most `most`: all, or those of an
    /// account.
    async fn sites_behind(
        &self,
        account: Option<AccountId>,
        after: Option<SiteId>,
        most: usize,
    ) -> Result<Vec<(Site, SiteDetails)>>;

    /// Returns peers with their details, in the order of their ids, behind `after`, at most `most`: all, or those of an
    /// account, or of a site.
    async fn peers_behind(
        &self,
        at: (Option<AccountId>, Option<SiteId>),
        after: Option<PeerId>,
        most: usize,
    ) -> Result<Vec<(Peer, PeerDetails)>>;

    /// Returns a site of any account.
    async fn any_site(&self, id: SiteId) -> Result<Option<(Site, SiteDetails)>> {
        let found = self.sites_behind(None, SiteId::new(id.get().saturating_sub(1)), 1).await?;
        Ok(found.into_iter().find(|(site, _)| site.id == id))
    }

    /// Returns a peer of any account.
    async fn any_peer(&self, id: PeerId) -> Result<Option<(Peer, PeerDetails)>> {
        let before = PeerId::new(id.get().saturating_sub(1));
        let found = self.peers_behind((None, None), before, 1).await?;
        Ok(found.into_iter().find(|(peer, _)| peer.id == id))
    }

    /// Returns how many numbers are in service at each site and peer, if there are any. `None` is the site itself,
    /// without a peer.
    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>>;
}
