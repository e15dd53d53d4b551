//! What a line of an import must say before it becomes a number.
//!
//! Not here: how a file is read (`cli`), or whether the number is there already (`store`).

use crate::account::{AccountId, NoPlace, PeerId, Place, Premises, SiteId};
use crate::hold::AreaId;
use crate::lifecycle::{Entry, Standing, State};
use crate::number::Number;
use crate::time::Timestamp;

/// A number as an import brings it. Only `number` must be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNumber {
    /// The number.
    pub number: Number,
    /// Its state; `Available` when nothing is said.
    pub state: State,
    /// Its owner or holder, where its state has one.
    pub account: Option<AccountId>,
    /// Its site; the account's default one when nothing is said.
    pub site: Option<SiteId>,
    /// Its peer; the site's default one when nothing is said.
    pub peer: Option<PeerId>,
    /// Its rate center.
    pub rate_center: Option<String>,
    /// Its state or province, two letters.
    pub region: Option<String>,
    /// Whether it goes to its owner's inventory when it has aged.
    pub protected: bool,
    /// Whether it belongs to another carrier's pool.
    pub ported_in: bool,
    /// Who may reconnect it, where it is aging.
    pub former_account: Option<AccountId>,
    /// When it is released, where it is aging, or when its reservation ends.
    pub release_at: Option<Timestamp>,
}

impl NewNumber {
    /// A pool number of which nothing else is known.
    #[must_use]
    pub fn available(number: Number) -> Self {
        Self {
            number,
            state: State::Available,
            account: None,
            site: None,
            peer: None,
            rate_center: None,
            region: None,
            protected: false,
            ported_in: false,
            former_account: None,
            release_at: None,
        }
    }

    /// The account whose sites and peers [`NewNumber::entry`] needs.
    #[must_use]
    pub fn holder(&self) -> Option<AccountId> {
        match self.state {
            State::Aging => self.former_account,
            _ => self.account,
        }
    }

    /// The number that the line describes, in its area; `premises` are those of its holder, none when there
    /// is no such account.
    ///
    /// # Errors
    /// [`BadLine`] says what is missing, or what does not go with the state or the number.
    pub fn entry(&self, area: AreaId, premises: Option<&Premises>) -> Result<Entry, BadLine> {
        let standing = self.standing(premises)?;
        // An owner's own inventory is where protected numbers are.
        let protected = self.protected || self.state == State::Protected;
        if protected && self.number.is_toll_free() {
            return Err(BadLine::TollFree);
        }
        let (number, ported_in) = (self.number, self.ported_in);
        Ok(Entry { number, standing, area, protected, ported_in, locked: false })
    }

    /// The standing that the line describes; `premises` are those of its holder, none when there is no
    /// such account.
    ///
    /// # Errors
    /// [`BadLine`] says what is missing, or what does not go with the state.
    fn standing(&self, premises: Option<&Premises>) -> Result<Standing, BadLine> {
        let state = self.state;
        Ok(match state {
            State::Available | State::Administrative | State::Removed => {
                // A protected number is its owner's and a ported-in one another carrier's: neither is ever in
                // this pool.
                let pool = state == State::Available;
                surplus(
                    state,
                    &[("protected", pool && self.protected), ("ported_in", pool && self.ported_in)],
                )?;
                surplus(
                    state,
                    &[
                        ("account", self.account.is_some()),
                        ("former_account", self.former_account.is_some()),
                        ("release_at", self.release_at.is_some()),
                        ("site", self.site.is_some()),
                        ("peer", self.peer.is_some()),
                    ],
                )?;
                match state {
                    State::Available => Standing::Available,
                    State::Administrative => Standing::Administrative,
                    _ => Standing::Removed,
                }
            }
            State::Reserved => {
                surplus(
                    state,
                    &[
                        ("former_account", self.former_account.is_some()),
                        ("site", self.site.is_some()),
                        ("peer", self.peer.is_some()),
                    ],
                )?;
                let until = self.release_at.ok_or(BadLine::Missing { state, column: "release_at" })?;
                Standing::Reserved { account: self.known_holder("account", premises)?.0, until }
            }
            State::Protected => {
                surplus(
                    state,
                    &[
                        ("former_account", self.former_account.is_some()),
                        ("release_at", self.release_at.is_some()),
                        ("site", self.site.is_some()),
                        ("peer", self.peer.is_some()),
                    ],
                )?;
                Standing::Protected { account: self.known_holder("account", premises)?.0 }
            }
            State::InService => {
                surplus(
                    state,
                    &[
                        ("former_account", self.former_account.is_some()),
                        ("release_at", self.release_at.is_some()),
                    ],
                )?;
                Standing::InService { place: self.place("account", premises)? }
            }
            State::Aging => {
                surplus(state, &[("account", self.account.is_some())])?;
                let release_at = self.release_at.ok_or(BadLine::Missing { state, column: "release_at" })?;
                Standing::Aging { former: self.place("former_account", premises)?, release_at, leaves: false }
            }
        })
    }

    fn known_holder<'p>(
        &self,
        column: &'static str,
        premises: Option<&'p Premises>,
    ) -> Result<(AccountId, &'p Premises), BadLine> {
        let holder = self.holder().ok_or(BadLine::Missing { state: self.state, column })?;
        Ok((holder, premises.ok_or(BadLine::NoAccount(holder))?))
    }

    fn place(&self, column: &'static str, premises: Option<&Premises>) -> Result<Place, BadLine> {
        let (account, premises) = self.known_holder(column, premises)?;
        let site = match self.site {
            Some(site) => site,
            None => premises.sites.iter().find(|s| s.is_default).ok_or(BadLine::NoSite(account))?.id,
        };
        match premises.place(account, site, self.peer) {
            Ok(place) => Ok(place),
            Err(NoPlace::DefaultPeer) => Ok(Place { account, site, peer: None }),
            Err(NoPlace::Site) => Err(BadLine::NoSite(account)),
            Err(NoPlace::Peer) => Err(BadLine::NoPeer(site)),
        }
    }
}

/// Refuses the first column that was given though the state has no such thing.
fn surplus(state: State, columns: &[(&'static str, bool)]) -> Result<(), BadLine> {
    match columns.iter().find(|(_, given)| *given) {
        Some((column, _)) => Err(BadLine::Surplus { state, column }),
        None => Ok(()),
    }
}

/// Why a line of an import cannot become a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// The state needs it.
    #[error("{state} needs {column}")]
    Missing {
        /// The line's state.
        state: State,
        /// The column.
        column: &'static str,
    },
    /// The state has no such thing.
    #[error("{state} takes no {column}")]
    Surplus {
        /// The line's state.
        state: State,
        /// The column.
        column: &'static str,
    },
    /// The account does not exist.
    #[error("no account {0}")]
    NoAccount(AccountId),
    /// The account has no such site, or no default one.
    #[error("account {0} has no such site, or no default one")]
    NoSite(AccountId),
    /// The site has no such peer.
    #[error("site {0} has no such peer")]
    NoPeer(SiteId),
    /// A toll-free number cannot be protected.
    #[error("toll-free numbers cannot be protected")]
    TollFree,
    /// The number is in the store, or twice in the file.
    #[error("{0} is here already")]
    Exists(Number),
}
