//! The counts that a store keeps beside its numbers, as changes that add up.
//!
//! Two transactions may change the same count at once. So each says by how much it changes, never what the count is.

use std::collections::BTreeMap;

use onhook_core::account::Place;
use onhook_core::ids::{AccountId, AreaId, PeerId, SiteId};
use onhook_core::lifecycle::area::AreaChange;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::time::Timestamp;

/// By how much each count changes. A change of zero may be included and means nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Numbers of an account in a state. `None` counts the numbers that no account holds.
    pub by_account: BTreeMap<(Option<AccountId>, State), i64>,
    /// Numbers of a holder that are due at an instant.
    pub due: BTreeMap<(Timestamp, Option<AccountId>), i64>,
    /// Numbers in service at a site, and at one of its peers. `None` is the site itself, without a peer.
    pub in_service: BTreeMap<(SiteId, Option<PeerId>), i64>,
    /// Pool numbers of an exchange (six digits) and area.
    pub stock: BTreeMap<(u32, AreaId), i64>,
    /// Supply and demand of areas.
    pub areas: BTreeMap<AreaId, AreaChange>,
}

impl Counts {
    /// Counts a number that is new in the store.
    pub fn add(&mut self, entry: &Entry) {
        self.count(entry, 1);
        if entry.state() == State::Available {
            self.areas.entry(entry.area).or_default().supply += 1;
        }
    }

    /// Counts a number that has changed. The changes of areas are not among these counts.
    pub fn change(&mut self, before: &Entry, after: &Entry) {
        self.count(before, -1);
        self.count(after, 1);
    }

    /// Adds other changes.
    pub fn append(&mut self, other: Self) {
        let Self { by_account, due, in_service, stock, areas } = other;
        by_account.into_iter().for_each(|(key, by)| *self.by_account.entry(key).or_default() += by);
        due.into_iter().for_each(|(key, by)| *self.due.entry(key).or_default() += by);
        in_service.into_iter().for_each(|(key, by)| *self.in_service.entry(key).or_default() += by);
        stock.into_iter().for_each(|(key, by)| *self.stock.entry(key).or_default() += by);
        areas.into_iter().for_each(|(id, change)| self.areas.entry(id).or_default().add(&change));
    }

    fn count(&mut self, entry: &Entry, by: i64) {
        let holder = entry.standing.holder();
        *self.by_account.entry((holder, entry.state())).or_default() += by;
        if let Some(due_at) = entry.standing.due_at() {
            *self.due.entry((due_at, holder)).or_default() += by;
        }
        if let (State::Available, Some(npa_nxx)) = (entry.state(), entry.number.npa_nxx()) {
            *self.stock.entry((npa_nxx, entry.area)).or_default() += by;
        }
        if let Standing::InService { place: Place { site, peer, .. } } = entry.standing {
            *self.in_service.entry((site, peer)).or_default() += by;
        }
    }
}
