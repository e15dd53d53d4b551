//! The applications of an account: how many there may be, how much may be said of them, and which a peer may name.

use onhook_core::account::Premises;
use onhook_core::account::application::{
    Application, ApplicationChange, NewApplication, NotNamed, Service, may_name, may_remove,
};
use onhook_core::ids::{AccountId, ApplicationId, PeerId};

use super::premises::{Thing, removed};
use crate::Result;
use crate::contract::applications::ApplicationNamed;
use crate::contract::premises::Removed;

/// An application to be written, and its details as they are stored.
pub type Write = (Application, Option<String>);

/// Plans a new application of an account that has `there` applications, whose details take `all` bytes.
///
/// # Errors
/// `Conflict`: the account has the most applications it may have, or the settings are too long.
pub fn add(
    (account, id): (AccountId, ApplicationId),
    new: NewApplication,
    there: usize,
    all: usize,
) -> Result<Write> {
    Thing::Application.room(there)?;
    let said = Thing::Application.say(None, &new.details, all)?;
    let NewApplication { service, name, details } = new;
    Ok((Application { id, account, service, name, details }, said))
}

/// Plans the change of an application. `all` is how many bytes the details of the account's applications take.
///
/// # Errors
/// `Conflict`: the settings are too long.
pub fn change(mut found: Application, change: ApplicationChange, all: usize) -> Result<Write> {
    let before = found.details.clone();
    change.onto(&mut found.name, &mut found.details);
    let said = Thing::Application.say(Some(&before), &found.details, all)?;
    Ok((found, said))
}

/// Plans the removal of an application that `peers` peers name. It is `there` if the account has it.
#[must_use]
pub fn remove(there: bool, peers: u64) -> Removed {
    removed(there, may_remove(peers))
}

/// Plans that a peer names `wanted` for a service, or none. `found` is that application, if the account has it.
#[must_use]
pub fn name(
    premises: &Premises,
    peer: PeerId,
    service: Service,
    wanted: Option<ApplicationId>,
    found: Option<&Application>,
) -> ApplicationNamed {
    if !premises.peers.iter().any(|one| one.id == peer) {
        return ApplicationNamed::Refused(NotNamed::NoPeer);
    }
    match wanted.map(|_| may_name(found, service)) {
        None | Some(Ok(())) => ApplicationNamed::Done,
        Some(Err(why)) => ApplicationNamed::Refused(why),
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::account::Peer;
    use onhook_core::account::application::APPLICATIONS_MAX;
    use onhook_core::ids::SiteId;

    use super::*;
    use crate::StoreError;

    const ID: ApplicationId = ApplicationId(uuid::Uuid::nil());

    fn account() -> AccountId {
        AccountId::new(1).unwrap()
    }

    fn new() -> NewApplication {
        NewApplication { service: Service::Voice, name: "App".into(), details: Default::default() }
    }

    #[test]
    fn an_account_has_only_so_many() {
        assert!(add((account(), ID), new(), APPLICATIONS_MAX - 1, 0).is_ok());
        let full = add((account(), ID), new(), APPLICATIONS_MAX, 0);
        assert!(matches!(full, Err(StoreError::Conflict(_))), "{full:?}");
    }

    #[test]
    fn a_peer_that_is_there_names_what_is_there_or_none() {
        let peer = PeerId::new(10).unwrap();
        let (application, _) = add((account(), ID), new(), 0, 0).unwrap();
        let named = |premises: &Premises, wanted, found| name(premises, peer, Service::Voice, wanted, found);
        let nobody = Premises::default();
        assert_eq!(named(&nobody, None, None), ApplicationNamed::Refused(NotNamed::NoPeer));
        let site = SiteId::new(1).unwrap();
        let peers = vec![Peer { id: peer, account: account(), site, name: "Main".into(), is_default: true }];
        let premises = Premises { sites: Vec::new(), peers };
        assert_eq!(named(&premises, None, None), ApplicationNamed::Done);
        assert_eq!(named(&premises, Some(ID), Some(&application)), ApplicationNamed::Done);
        assert_eq!(named(&premises, Some(ID), None), ApplicationNamed::Refused(NotNamed::NoApplication));
    }
}
