//! The sites and peers of an account: how many there may be, how much may be said of them, which is the default, and
//! which stays.

use onhook_core::account::application::APPLICATIONS_MAX;
use onhook_core::account::details::{
    ALL_DETAILS_MAX, DETAILS_MAX, PeerChange, PeerDetails, SiteChange, SiteDetails,
};
use onhook_core::account::premises::{PREMISES_MAX, Stays, is_default};
use onhook_core::account::{Peer, Premises, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};

use crate::codes::said;
use crate::contract::premises::Removed;
use crate::{Result, StoreError};

/// What an account has only so many of, each with details of a bounded size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A site.
    Site,
    /// A peer.
    Peer,
    /// An application.
    Application,
}

impl Thing {
    fn one(self) -> &'static str {
        match self {
            Thing::Site => "a site",
            Thing::Peer => "a peer",
            Thing::Application => "an application",
        }
    }

    fn many(self) -> &'static str {
        match self {
            Thing::Site => "sites",
            Thing::Peer => "peers",
            Thing::Application => "applications",
        }
    }

    fn most(self) -> usize {
        match self {
            Thing::Site | Thing::Peer => PREMISES_MAX,
            Thing::Application => APPLICATIONS_MAX,
        }
    }

    /// Checks that an account which has `there` of them may have one more.
    pub(super) fn room(self, there: usize) -> Result<()> {
        if there < self.most() {
            return Ok(());
        }
        let (most, many) = (self.most(), self.many());
        Err(StoreError::Conflict(format!("the account has {most} {many}, and that is the most")))
    }

    /// Returns details as they are stored, if there is room for them. `all` is how many bytes the details of all of
    /// them take, those of `before` among them. Details that do not get longer always have room.
    pub(super) fn say<T>(self, before: Option<&T>, details: &T, all: usize) -> Result<Option<String>>
    where
        T: serde::Serialize + Default + PartialEq,
    {
        let text = said(details)?;
        let before = before.map(said).transpose()?.flatten().map_or(0, |text| text.len());
        let after = text.as_ref().map_or(0, String::len);
        let full =
            |of, max| Err(StoreError::Conflict(format!("what is said of {of} takes {max} bytes at most")));
        if after <= before {
            Ok(text)
        } else if after > DETAILS_MAX {
            full(self.one().to_owned(), DETAILS_MAX)
        } else if all.saturating_add(after - before) > ALL_DETAILS_MAX {
            full(format!("the account's {}", self.many()), ALL_DETAILS_MAX)
        } else {
            Ok(text)
        }
    }
}

/// A site or peer to be written. The store gives a new one its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<Details> {
    /// Its name.
    pub name: String,
    /// True if it is the default one.
    pub is_default: bool,
    /// True if it becomes that. The default one so far is one no more, which is written first.
    pub takes_default: bool,
    /// Its details.
    pub details: Details,
    /// Its details as they are stored. `None` if nothing is said.
    pub said: Option<String>,
}

/// Plans a new site. `all` is how many bytes the details of the account's sites take.
///
/// # Errors
/// `Conflict`: the account has the most sites it may have, or the details are too long.
pub fn add_site(premises: &Premises, change: SiteChange, all: usize) -> Result<Write<SiteDetails>> {
    Thing::Site.room(premises.sites.len())?;
    let wants = change.is_default;
    let (mut name, mut details) = (String::new(), SiteDetails::default());
    change.onto(&mut name, &mut details);
    let said = Thing::Site.say(None, &details, all)?;
    let is_default = is_default(false, wants, !premises.sites.iter().any(|site| site.is_default));
    Ok(Write { name, is_default, takes_default: is_default, details, said })
}

/// Plans the change of a site. `all` is how many bytes the details of the account's sites take.
///
/// # Errors
/// `Conflict`: the details are too long.
pub fn change_site(
    (site, before): (Site, SiteDetails),
    change: SiteChange,
    all: usize,
) -> Result<Write<SiteDetails>> {
    let is_default = is_default(site.is_default, change.is_default, false);
    let (mut name, mut details) = (site.name, before.clone());
    change.onto(&mut name, &mut details);
    let said = Thing::Site.say(Some(&before), &details, all)?;
    Ok(Write { name, is_default, takes_default: is_default && !site.is_default, details, said })
}

/// Plans the removal of a site with `in_service` numbers in service.
#[must_use]
pub fn remove_site(premises: &Premises, id: SiteId, in_service: u64) -> Removed {
    removed(has_site(premises, id), premises.may_remove_site(id, in_service))
}

/// Returns whether the account has this site, which can then become its default.
#[must_use]
pub fn has_site(premises: &Premises, id: SiteId) -> bool {
    premises.sites.iter().any(|site| site.id == id)
}

/// Plans a new peer of a site. `all` is how many bytes the details of the account's peers take.
///
/// # Errors
/// `Conflict`: the account has no such site, or the most peers it may have, or the details are too long.
pub fn add_peer(
    premises: &Premises,
    (account, site): (AccountId, SiteId),
    change: PeerChange,
    all: usize,
) -> Result<Write<PeerDetails>> {
    if !has_site(premises, site) {
        return Err(StoreError::Conflict(format!("account {account} has no site {site}")));
    }
    Thing::Peer.room(premises.peers.len())?;
    let alone = !premises.peers.iter().any(|peer| peer.site == site);
    let is_default = is_default(false, change.is_default, alone);
    let (mut name, mut details) = (String::new(), PeerDetails::default());
    change.onto(&mut name, &mut details);
    let said = Thing::Peer.say(None, &details, all)?;
    Ok(Write { name, is_default, takes_default: is_default, details, said })
}

/// Plans the change of a peer. `all` is how many bytes the details of the account's peers take.
///
/// # Errors
/// `Conflict`: the details are too long.
pub fn change_peer(
    (peer, before): (Peer, PeerDetails),
    change: PeerChange,
    all: usize,
) -> Result<Write<PeerDetails>> {
    let is_default = is_default(peer.is_default, change.is_default, false);
    let (mut name, mut details) = (peer.name, before.clone());
    change.onto(&mut name, &mut details);
    let said = Thing::Peer.say(Some(&before), &details, all)?;
    Ok(Write { name, is_default, takes_default: is_default && !peer.is_default, details, said })
}

/// Plans the removal of a peer with `in_service` numbers in service.
#[must_use]
pub fn remove_peer(premises: &Premises, site: SiteId, id: PeerId, in_service: u64) -> Removed {
    let there = premises.peers.iter().any(|peer| peer.id == id && peer.site == site);
    removed(there, premises.may_remove_peer(site, id, in_service))
}

/// Returns what becomes of something that is `there` and may go or not.
pub(super) fn removed(there: bool, may: std::result::Result<(), Stays>) -> Removed {
    match may {
        _ if !there => Removed::Unknown,
        Err(why) => Removed::Stays(why),
        Ok(()) => Removed::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(id: u32, is_default: bool) -> Site {
        let (id, account) = (SiteId::new(id).unwrap(), AccountId::new(1).unwrap());
        Site { id, account, name: "Main site".into(), is_default }
    }

    fn peer(id: u32, is_default: bool) -> Peer {
        let (id, account) = (PeerId::new(id).unwrap(), AccountId::new(1).unwrap());
        Peer { id, account, site: SiteId::new(1).unwrap(), name: "Main".into(), is_default }
    }

    fn conflict<T>(result: Result<T>) -> String {
        match result {
            Err(StoreError::Conflict(why)) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => "none".to_owned(),
        }
    }

    #[test]
    fn the_first_is_the_default_and_a_later_peer_becomes_it_if_it_asks() {
        let mut premises = Premises::default();
        assert!(add_site(&premises, SiteChange::default(), 0).unwrap().is_default);
        premises.sites.push(site(1, true));
        assert!(!add_site(&premises, SiteChange::default(), 0).unwrap().is_default);
        let takes = |wants| SiteChange { is_default: Some(wants), ..SiteChange::default() };
        let write = |change| {
            let write = add_site(&premises, change, 0).unwrap();
            (write.is_default, write.takes_default)
        };
        assert_eq!((write(takes(true)), write(takes(false))), ((true, true), (false, false)));
        let change = |was, wants| {
            let write = change_site((site(1, was), SiteDetails::default()), takes(wants), 0).unwrap();
            (write.is_default, write.takes_default)
        };
        assert_eq!((change(false, true), change(true, false)), ((true, true), (true, false)));

        let at = (AccountId::new(1).unwrap(), SiteId::new(1).unwrap());
        let add = |premises: &Premises, wants| {
            let change = PeerChange { is_default: wants, ..PeerChange::default() };
            let write = add_peer(premises, at, change, 0).unwrap();
            (write.is_default, write.takes_default)
        };
        assert_eq!(add(&premises, Some(false)), (true, true));
        premises.peers.push(peer(10, true));
        assert_eq!((add(&premises, None), add(&premises, Some(true))), ((false, false), (true, true)));
        let change = |was, wants| {
            let change = PeerChange { is_default: wants, ..PeerChange::default() };
            let write = change_peer((peer(10, was), PeerDetails::default()), change, 0).unwrap();
            (write.is_default, write.takes_default)
        };
        assert_eq!((change(false, Some(true)), change(true, Some(false))), ((true, true), (true, false)));
        let nowhere = add_peer(&Premises::default(), at, PeerChange::default(), 0);
        assert_eq!(conflict(nowhere), "account 1 has no site 1");
    }

    #[test]
    fn what_is_said_has_a_bound_and_may_always_get_shorter() {
        let say = |before: Option<usize>, after: usize, all| {
            let text = |length| "a".repeat(length);
            conflict(Thing::Application.say(before.map(text).as_ref(), &text(after), all))
        };
        let quotes = 2;
        assert_eq!(say(None, DETAILS_MAX - quotes, 0), "none");
        let one = "what is said of an application takes 16384 bytes at most";
        assert_eq!(say(None, DETAILS_MAX - quotes + 1, 0), one);
        assert_eq!(say(Some(10), 11, ALL_DETAILS_MAX - 1), "none");
        let all = "what is said of the account's applications takes 4194304 bytes at most";
        assert_eq!(say(Some(10), 11, ALL_DETAILS_MAX), all);
        assert_eq!(say(Some(11), 10, ALL_DETAILS_MAX + 5), "none");
    }

    #[test]
    fn an_account_has_only_so_many() {
        assert_eq!(conflict(Thing::Site.room(PREMISES_MAX - 1)), "none");
        let most = "the account has 10000 sites, and that is the most";
        assert_eq!(conflict(Thing::Site.room(PREMISES_MAX)), most);
    }

    #[test]
    fn what_is_not_there_cannot_go() {
        let premises = Premises { sites: vec![site(1, true)], peers: vec![peer(10, true)] };
        let (one, two) = (SiteId::new(1).unwrap(), SiteId::new(2).unwrap());
        assert_eq!(remove_site(&premises, one, 0), Removed::Stays(Stays::Peers));
        assert_eq!(remove_site(&premises, two, 0), Removed::Unknown);
        let peer = PeerId::new(10).unwrap();
        assert_eq!(remove_peer(&premises, two, peer, 0), Removed::Unknown);
        assert_eq!(remove_peer(&premises, one, peer, 0), Removed::Gone);
    }
}
