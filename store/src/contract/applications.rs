//! Applications of accounts: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::account::application::{Application, ApplicationChange, NewApplication, NotNamed, Service};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, ApplicationId, PeerId};

use crate::Result;
use crate::contract::premises::Removed;

/// The result of naming an application, or none, for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationNamed {
    /// The peer names it.
    Done,
    /// The peer does not name it, and why. Nothing was written.
    Refused(NotNamed),
}

/// Applications of accounts.
#[async_trait]
pub trait Applications: Send + Sync {
    /// Makes an application.
    ///
    /// # Errors
    /// `Conflict` if there is no such account, it has the most applications it may have, or the settings are too long.
    async fn add_application(&self, account: AccountId, new: NewApplication) -> Result<Application>;

    /// Changes an application. Returns `None` if the account has no such application.
    ///
    /// # Errors
    /// `Conflict` if the settings are too long.
    async fn change_application(
        &self,
        account: AccountId,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Option<Application>>;

    /// Removes an application, unless a peer names it.
    async fn remove_application(&self, account: AccountId, id: ApplicationId) -> Result<Removed>;

    /// Returns the applications of an account, or one of them, oldest first.
    async fn applications(&self, account: AccountId, only: Option<ApplicationId>)
    -> Result<Vec<Application>>;

    /// Makes a peer name an application for a service, or none.
    async fn name_application(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
        application: Option<ApplicationId>,
    ) -> Result<ApplicationNamed>;

    /// Returns the application that a peer of the account names for a service.
    async fn application_of(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
    ) -> Result<Option<ApplicationId>>;

    /// Returns the peers of an account that name an application, with their sites, in the order of their ids.
    async fn peers_with(&self, account: AccountId, application: ApplicationId) -> Result<Vec<(Site, Peer)>>;
}
