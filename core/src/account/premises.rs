//! Which site and peer is the default, and which may be removed.

use crate::account::Premises;
use crate::ids::{PeerId, SiteId};

/// Most sites of an account, and most peers.
pub const PREMISES_MAX: usize = 10_000;

/// Returns whether a peer is its site's default after a change: if it asks for it, was the default, or is the only one.
/// A default peer that sends `false` stays the default: clients send it without meaning it, and a site with peers has
/// a default one.
#[must_use]
pub fn is_default(was: bool, wants: Option<bool>, alone: bool) -> bool {
    was || wants == Some(true) || alone
}

/// Why a site, a peer or an application cannot be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// It has peers. An application: peers name it.
    Peers,
    /// Numbers are in service there.
    Numbers,
    /// It is the default, and there are others.
    Default,
}

impl Premises {
    /// Checks that a site may be removed which has `in_service` numbers in service. Aging numbers do not matter: they
    /// reconnect at the default site. Reserved and protected numbers have no site.
    ///
    /// # Errors
    /// Why it stays.
    pub fn may_remove_site(&self, site: SiteId, in_service: u64) -> Result<(), Stays> {
        if self.peers.iter().any(|peer| peer.site == site) {
            return Err(Stays::Peers);
        }
        if in_service > 0 {
            return Err(Stays::Numbers);
        }
        let is_default = self.sites.iter().any(|s| s.id == site && s.is_default);
        if is_default && self.sites.len() > 1 { Err(Stays::Default) } else { Ok(()) }
    }

    /// Checks that a peer may be removed which has `in_service` numbers in service.
    ///
    /// # Errors
    /// Why it stays.
    pub fn may_remove_peer(&self, site: SiteId, peer: PeerId, in_service: u64) -> Result<(), Stays> {
        if in_service > 0 {
            return Err(Stays::Numbers);
        }
        let mut at_site = self.peers.iter().filter(|p| p.site == site);
        let is_default = at_site.clone().any(|p| p.id == peer && p.is_default);
        if is_default && at_site.any(|p| p.id != peer) { Err(Stays::Default) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Peer, Site};
    use crate::ids::AccountId;

    fn premises() -> Premises {
        let account = AccountId::new(1).unwrap();
        let site =
            |n, is_default| Site { id: SiteId::new(n).unwrap(), account, name: String::new(), is_default };
        let peer = |n, at, is_default| Peer {
            id: PeerId::new(n).unwrap(),
            account,
            site: SiteId::new(at).unwrap(),
            name: String::new(),
            is_default,
        };
        Premises {
            sites: vec![site(1, true), site(2, false), site(3, false)],
            peers: vec![peer(10, 1, true), peer(11, 1, false), peer(20, 2, true)],
        }
    }

    #[test]
    fn a_site_goes_when_it_is_empty_and_not_the_default_of_others() {
        let mut premises = premises();
        let site = |n| SiteId::new(n).unwrap();
        assert_eq!(premises.may_remove_site(site(1), 0), Err(Stays::Peers));
        assert_eq!(premises.may_remove_site(site(3), 1), Err(Stays::Numbers));
        assert_eq!(premises.may_remove_site(site(3), 0), Ok(()));
        premises.peers.clear();
        assert_eq!(premises.may_remove_site(site(1), 0), Err(Stays::Default));
        premises.sites.truncate(1);
        assert_eq!(premises.may_remove_site(site(1), 0), Ok(()));
    }

    #[test]
    fn a_peer_goes_when_it_is_empty_and_not_the_default_of_others() {
        let premises = premises();
        let ids = |site, peer| (SiteId::new(site).unwrap(), PeerId::new(peer).unwrap());
        let may = |(site, peer), numbers| premises.may_remove_peer(site, peer, numbers);
        assert_eq!(may(ids(1, 10), 0), Err(Stays::Default));
        assert_eq!(may(ids(1, 11), 0), Ok(()));
        assert_eq!(may(ids(1, 11), 1), Err(Stays::Numbers));
        assert_eq!(may(ids(2, 20), 0), Ok(()));
    }

    #[test]
    fn a_site_with_peers_has_a_default_one() {
        for (was, wants, alone, is) in [
            (false, None, true, true),
            (false, Some(false), true, true),
            (false, Some(true), false, true),
            (false, None, false, false),
            (true, Some(false), false, true),
        ] {
            assert_eq!(is_default(was, wants, alone), is, "{was} {wants:?} {alone}");
        }
    }
}
