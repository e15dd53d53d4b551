//! Applications of accounts. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::account::application::{Application, ApplicationChange, NewApplication, NotNamed, Service};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, ApplicationId, PeerId};

use crate::Result;
use crate::contract::premises::Removed;

/// What became of a peer that was to name an application, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationNamed {
    /// It does.
    Done,
    /// It does not, and why; nothing was written.
    Refused(NotNamed),
}

/// Applications of accounts.
#[async_trait]
pub trait Applications: Send + Sync {
    /// Makes an application.
    ///
    /// # Errors
    /// `Conflict` when there is no such account, it has as many as it may, or more is said than there is room
    /// for.
    async fn add_application(&self, account: AccountId, new: NewApplication) -> Result<Application>;

    /// Says something else of an application; none when the account has no such application.
    ///
    /// # Errors
    /// `Conflict` when it is more than there is room for.
    async fn change_application(
        &self,
        account: AccountId,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Option<Application>>;

    /// Takes an application away, unless a peer names it.
    async fn remove_application(&self, account: AccountId, id: ApplicationId) -> Result<Removed>;

    /// The applications of an account, or one of them, oldest first.
    async fn applications(&self, account: AccountId, only: Option<ApplicationId>)
    -> Result<Vec<Application>>;

    /// Has a peer name an application for a service, or none.
    async fn name_application(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
        application: Option<ApplicationId>,
    ) -> Result<ApplicationNamed>;

    /// The application that a peer of the account names for a service.
    async fn application_of(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
    ) -> Result<Option<ApplicationId>>;

    /// The peers of an account that name an application, each with its site, in the order of their ids.
    async fn peers_with(&self, account: AccountId, application: ApplicationId) -> Result<Vec<(Site, Peer)>>;
}
