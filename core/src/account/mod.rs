//! Who has numbers and who may act: accounts, their sites and peers, users and roles.
//!
//! Not here: passwords, and how a caller signs in (`server::http::auth`).

pub mod application;
pub mod change;
pub mod details;
pub mod premises;
pub mod user;

use crate::ids::{AccountId, PeerId, SiteId};
use crate::time::Timestamp;
use crate::words::words;

words! {
    /// An account's role in the number plan. Regulators' reports count by it (47 CFR 52.15(f)(1)).
    AccountKind {
        /// Uses the numbers itself.
        EndUser = "end-user",
        /// A carrier that serves its own end users.
        Carrier = "carrier",
        /// A reseller, dealer pool or VoIP provider.
        Reseller = "reseller",
    }
}

words! {
    /// Whose lines an account's numbers are. The longest lawful hold depends on it.
    Class {
        /// Held at most 90 days.
        Residential = "residential",
        /// Held at most 365 days.
        Business = "business",
        /// Unknown: held as residential numbers are.
        Unknown = "unknown",
    }
}

words! {
    /// Whether an account is used.
    AccountState {
        /// It is used.
        Open = "open",
        /// Nobody signs in to it and no number becomes its own. Those that age run out.
        Closed = "closed",
    }
}

words! {
    /// What a user may do. Each role may also do what those before it may.
    Role {
        /// Read.
        Read = "read",
        /// Place orders.
        Order = "order",
        /// Change the account: sites, peers, users, subscriptions.
        Admin = "admin",
        /// Everything, on every account: for those who run the server.
        Operator = "operator",
    }
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, for people.
    pub name: String,
    /// Its role in the number plan.
    pub kind: AccountKind,
    /// Whose lines its numbers are.
    pub class: Class,
    /// Whether it is used.
    pub state: AccountState,
    /// How many seconds its disconnect orders wait before they run. `None`: as long as the server's setting says.
    pub cancel_window_seconds: Option<u32>,
    /// True if its disconnects are reported to the Reassigned Numbers Database by the server's operator. False if the
    /// account reports them itself.
    pub reports_rnd: bool,
    /// Its name in reports and contracts, if that is another one.
    pub legal_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Account {
    /// Returns an account as it is when it is made.
    #[must_use]
    pub fn new(id: AccountId, name: String, kind: AccountKind, class: Class, created_at: Timestamp) -> Self {
        Self {
            id,
            name,
            kind,
            class,
            state: AccountState::Open,
            cancel_window_seconds: None,
            reports_rnd: true,
            legal_name: None,
            created_at,
        }
    }

    /// Returns true if it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == AccountState::Closed
    }
}

/// A sub-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its id, unique in the whole store.
    pub id: SiteId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its name, for people.
    pub name: String,
    /// True if numbers go here by default. An account with sites has one such site.
    pub is_default: bool,
}

/// A SIP location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id, unique in the whole store.
    pub id: PeerId,
    /// The account it belongs to.
    pub account: AccountId,
    /// The site it is under.
    pub site: SiteId,
    /// Its name, for people.
    pub name: String,
    /// True if numbers of the site go here by default. A site with peers has one such peer.
    pub is_default: bool,
}

/// Where a number in service is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The account that owns it.
    pub account: AccountId,
    /// The site.
    pub site: SiteId,
    /// The peer. `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
}

/// An account's sites and peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Premises {
    /// All sites of the account.
    pub sites: Vec<Site>,
    /// All peers of the account.
    pub peers: Vec<Peer>,
}

/// Why an order's site or peer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The account has no such site.
    Site,
    /// The site has no such peer.
    Peer,
    /// The order names no peer and the site has no default one.
    DefaultPeer,
}

impl Premises {
    /// Returns where numbers go that are sent to `site`, and to `peer` or the site's default one.
    ///
    /// # Errors
    /// [`NoPlace`] says what is missing.
    pub fn place(&self, account: AccountId, site: SiteId, peer: Option<PeerId>) -> Result<Place, NoPlace> {
        if !self.sites.iter().any(|s| s.id == site) {
            return Err(NoPlace::Site);
        }
        let peer = match peer {
            Some(id) => self.peers.iter().find(|p| p.id == id && p.site == site).ok_or(NoPlace::Peer)?.id,
            None => {
                self.peers.iter().find(|p| p.site == site && p.is_default).ok_or(NoPlace::DefaultPeer)?.id
            }
        };
        Ok(Place { account, site, peer: Some(peer) })
    }

    /// Returns where a reconnected number goes: where it was, or if that site is gone, to the account's default site
    /// and its default peer. `None` if the account has no default site.
    #[must_use]
    pub fn place_again(&self, was: Place) -> Option<Place> {
        let peer_stands = |peer| self.peers.iter().any(|p| p.id == peer && p.site == was.site);
        if self.sites.iter().any(|s| s.id == was.site) {
            let peer = was.peer.filter(|peer| peer_stands(*peer)).or_else(|| self.default_peer(was.site));
            return Some(Place { peer, ..was });
        }
        let site = self.sites.iter().find(|s| s.is_default)?.id;
        Some(Place { account: was.account, site, peer: self.default_peer(site) })
    }

    fn default_peer(&self, site: SiteId) -> Option<PeerId> {
        self.peers.iter().find(|p| p.site == site && p.is_default).map(|p| p.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdError;
    use std::str::FromStr;

    fn id<T: FromStr<Err = IdError>>(text: &str) -> T {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_whose_site_is_gone_takes_the_default_site() {
        let account = id("1");
        let site = |n: &str, is_default| Site { id: id(n), account, name: n.into(), is_default };
        let peer = |n: &str, site: &str| Peer {
            id: id(n),
            account,
            site: id(site),
            name: n.into(),
            is_default: true,
        };
        let premises = Premises {
            sites: vec![site("1", true), site("2", false)],
            peers: vec![peer("10", "1"), peer("20", "2")],
        };
        let at = |site: &str, peer: &str| Place { account, site: id(site), peer: Some(id(peer)) };
        assert_eq!(premises.place_again(at("2", "20")), Some(at("2", "20")));
        assert_eq!(premises.place_again(at("2", "99")), Some(at("2", "20")));
        assert_eq!(premises.place_again(at("7", "70")), Some(at("1", "10")));
        assert_eq!(Premises::default().place_again(at("1", "10")), None);
        assert_eq!(premises.place(account, id("2"), None), Ok(at("2", "20")));
        assert_eq!(premises.place(account, id("2"), Some(id("10"))), Err(NoPlace::Peer));
        assert_eq!(premises.place(account, id("3"), None), Err(NoPlace::Site));
    }
}
