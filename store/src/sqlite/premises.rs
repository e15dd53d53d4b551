//! Sites and peers, written inside the writer's transaction, and numbers that move between them.

use onhook_core::account::details::{
    ALL_DETAILS_MAX, DETAILS_MAX, PeerChange, PeerDetails, SiteChange, SiteDetails,
};
use onhook_core::account::premises::{PREMISES_MAX, is_default};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::event::By;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;

use super::changes::Batch;
use super::reader;
use super::row;
use super::writer::Tables;
use crate::{Relocated, Removed, Result, StoreError};

impl Tables<'_> {
    pub(super) fn add_site(&mut self, account: AccountId, change: SiteChange) -> Result<(Site, SiteDetails)> {
        let (_, premises) = self.must_exist(account)?;
        room_for(premises.sites.len(), "sites", PREMISES_MAX)?;
        let (mut name, mut details) = (String::new(), SiteDetails::default());
        change.onto(&mut name, &mut details);
        let said = self.room_to_say("site", account, None, &details)?;
        let is_default = !premises.sites.iter().any(|site| site.is_default);
        let id = self
            .connection
            .prepare_cached(
                "INSERT INTO site (account, name, is_default, details) VALUES (?, ?, ?, ?) RETURNING id",
            )?
            .query_row((account.get(), &name, is_default, said), |row| row.get(0))?;
        Ok((Site { id: row::site_id(id)?, account, name, is_default }, details))
    }

    pub(super) fn change_site(
        &mut self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
    ) -> Result<Option<(Site, SiteDetails)>> {
        let found = reader::sites_in_full(self.connection, account, Some(id))?.pop();
        let Some((mut site, mut details)) = found else { return Ok(None) };
        let before = details.clone();
        change.onto(&mut site.name, &mut details);
        let said = self.room_to_say("site", account, Some(&before), &details)?;
        self.connection.prepare_cached("UPDATE site SET name = ?, details = ? WHERE id = ?")?.execute((
            &site.name,
            said,
            id.get(),
        ))?;
        Ok(Some((site, details)))
    }

    pub(super) fn remove_site(&mut self, account: AccountId, id: SiteId) -> Result<Removed> {
        let (_, premises) = self.must_exist(account)?;
        if !premises.sites.iter().any(|site| site.id == id) {
            return Ok(Removed::Unknown);
        }
        let in_service = reader::in_service_at(self.connection, account, id, None)?;
        if let Err(why) = premises.may_remove_site(id, in_service) {
            return Ok(Removed::Stays(why));
        }
        self.connection.prepare_cached("DELETE FROM site WHERE id = ?")?.execute([id.get()])?;
        Ok(Removed::Gone)
    }

    pub(super) fn make_default_site(&mut self, account: AccountId, id: SiteId) -> Result<bool> {
        let (_, premises) = self.must_exist(account)?;
        if !premises.sites.iter().any(|site| site.id == id) {
            return Ok(false);
        }
        self.connection
            .prepare_cached("UPDATE site SET is_default = 0 WHERE account = ? AND is_default")?
            .execute([account.get()])?;
        self.connection.prepare_cached("UPDATE site SET is_default = 1 WHERE id = ?")?.execute([id.get()])?;
        Ok(true)
    }

    pub(super) fn add_peer(
        &mut self,
        account: AccountId,
        site: SiteId,
        change: PeerChange,
    ) -> Result<(Peer, PeerDetails)> {
        let (_, premises) = self.must_exist(account)?;
        if !premises.sites.iter().any(|s| s.id == site) {
            return Err(StoreError::Conflict(format!("account {account} has no site {site}")));
        }
        room_for(premises.peers.len(), "peers", PREMISES_MAX)?;
        let alone = !premises.peers.iter().any(|peer| peer.site == site);
        let is_default = is_default(false, change.is_default, alone);
        let (mut name, mut details) = (String::new(), PeerDetails::default());
        change.onto(&mut name, &mut details);
        let said = self.room_to_say("peer", account, None, &details)?;
        if is_default {
            self.no_default_peer(site)?;
        }
        let id = self
            .connection
            .prepare_cached(
                "INSERT INTO peer (account, site, name, is_default, details) VALUES (?, ?, ?, ?, ?)
                 RETURNING id",
            )?
            .query_row((account.get(), site.get(), &name, is_default, said), |row| row.get(0))?;
        Ok((Peer { id: row::peer_id(id)?, account, site, name, is_default }, details))
    }

    pub(super) fn change_peer(
        &mut self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
    ) -> Result<Option<(Peer, PeerDetails)>> {
        let found = reader::peers_in_full(self.connection, account, site, Some(id))?.pop();
        let Some((mut peer, mut details)) = found else { return Ok(None) };
        let becomes_default = is_default(peer.is_default, change.is_default, false);
        let before = details.clone();
        change.onto(&mut peer.name, &mut details);
        let said = self.room_to_say("peer", account, Some(&before), &details)?;
        if becomes_default && !peer.is_default {
            self.no_default_peer(site)?;
        }
        peer.is_default = becomes_default;
        self.connection
            .prepare_cached("UPDATE peer SET name = ?, is_default = ?, details = ? WHERE id = ?")?
            .execute((&peer.name, peer.is_default, said, id.get()))?;
        Ok(Some((peer, details)))
    }

    pub(super) fn remove_peer(&mut self, account: AccountId, site: SiteId, id: PeerId) -> Result<Removed> {
        let (_, premises) = self.must_exist(account)?;
        if !premises.peers.iter().any(|peer| peer.id == id && peer.site == site) {
            return Ok(Removed::Unknown);
        }
        let in_service = reader::in_service_at(self.connection, account, site, Some(id))?;
        if let Err(why) = premises.may_remove_peer(site, id, in_service) {
            return Ok(Removed::Stays(why));
        }
        self.connection.prepare_cached("DELETE FROM peer WHERE id = ?")?.execute([id.get()])?;
        Ok(Removed::Gone)
    }

    /// What is to be kept of a site, peer or application, if there is room for it. There always is for less than before.
    pub(super) fn room_to_say<T: serde::Serialize + Default + PartialEq>(
        &self,
        what: &str,
        account: AccountId,
        before: Option<&T>,
        details: &T,
    ) -> Result<Option<String>> {
        let said = row::said(details)?;
        let before = before.map(row::said).transpose()?.flatten().map_or(0, |said| said.len());
        let after = said.as_ref().map_or(0, String::len);
        if after <= before {
            return Ok(said);
        }
        let full = |of: &str, max| Err(StoreError::Conflict(format!("{of} takes {max} bytes at most")));
        if after > DETAILS_MAX {
            let article = if what.starts_with('a') { "an" } else { "a" };
            return full(&format!("what is said of {article} {what}"), DETAILS_MAX);
        }
        let sql = format!("SELECT coalesce(sum(octet_length(details)), 0) FROM {what} WHERE account = ?");
        let all: i64 = self.connection.prepare_cached(&sql)?.query_row([account.get()], |row| row.get(0))?;
        match usize::try_from(all).is_ok_and(|all| all + after - before <= ALL_DETAILS_MAX) {
            true => Ok(said),
            false => full(&format!("what is said of the account's {what}s"), ALL_DETAILS_MAX),
        }
    }

    fn no_default_peer(&self, site: SiteId) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE peer SET is_default = 0 WHERE site = ? AND is_default")?
            .execute([site.get()])?;
        Ok(())
    }

    pub(super) fn relocate(
        &mut self,
        account: AccountId,
        (site, peer): (SiteId, PeerId),
        numbers: &[Number],
        user: String,
        now: Timestamp,
    ) -> Result<Relocated> {
        let (_, premises) = self.must_exist(account)?;
        let place = match premises.place(account, site, Some(peer)) {
            Ok(place) => place,
            Err(no) => return Ok(Relocated::NoPlace(no)),
        };
        let mut batch = Batch::load(self, numbers.iter().copied())?;
        let moves = match onhook_core::order::relocate::relocate(numbers, place, batch.entries()) {
            Ok(moves) => moves,
            Err(missing) => return Ok(Relocated::NotInService(missing)),
        };
        let (at, by) = (self.memory.now(now), By::User(user));
        for moved in &moves {
            batch.apply(self, moved, &by, at)?;
        }
        batch.save(self)?;
        Ok(Relocated::Done(moves.len()))
    }
}

pub(super) fn room_for(there: usize, what: &str, most: usize) -> Result<()> {
    if there < most {
        Ok(())
    } else {
        Err(StoreError::Conflict(format!("the account has {most} {what}, and that is the most")))
    }
}
