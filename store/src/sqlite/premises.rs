//! Sites and peers of accounts: their details, and how many numbers are in service at them.

use async_trait::async_trait;
use onhook_core::account::details::{
    ALL_DETAILS_MAX, DETAILS_MAX, PeerChange, PeerDetails, SiteChange, SiteDetails,
};
use onhook_core::account::premises::{PREMISES_MAX, is_default};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::accounts::{must_exist, peer, peers, site, sites};
use super::open::SqliteStore;
use super::row::{self, list, of};
use super::tables::Tables;
use crate::contract::premises::{Removed, SitesAndPeers};
use crate::{Result, StoreError};

fn add_site(tables: &mut Tables<'_>, account: AccountId, change: SiteChange) -> Result<(Site, SiteDetails)> {
    let (_, premises) = must_exist(tables, account)?;
    room_for(premises.sites.len(), "sites", PREMISES_MAX)?;
    let (mut name, mut details) = (String::new(), SiteDetails::default());
    change.onto(&mut name, &mut details);
    let said = room_to_say(tables, "site", account, None, &details)?;
    let is_default = !premises.sites.iter().any(|site| site.is_default);
    let id = tables
        .connection
        .prepare_cached(
            "INSERT INTO site (account, name, is_default, details) VALUES (?, ?, ?, ?) RETURNING id",
        )?
        .query_row((account.get(), &name, is_default, said), |row| row.get(0))?;
    Ok((Site { id: row::site_id(id)?, account, name, is_default }, details))
}

fn change_site(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: SiteId,
    change: SiteChange,
) -> Result<Option<(Site, SiteDetails)>> {
    let found = sites_in_full(tables.connection, account, Some(id))?.pop();
    let Some((mut site, mut details)) = found else { return Ok(None) };
    let before = details.clone();
    change.onto(&mut site.name, &mut details);
    let said = room_to_say(tables, "site", account, Some(&before), &details)?;
    tables.connection.prepare_cached("UPDATE site SET name = ?, details = ? WHERE id = ?")?.execute((
        &site.name,
        said,
        id.get(),
    ))?;
    Ok(Some((site, details)))
}

fn remove_site(tables: &mut Tables<'_>, account: AccountId, id: SiteId) -> Result<Removed> {
    let (_, premises) = must_exist(tables, account)?;
    if !premises.sites.iter().any(|site| site.id == id) {
        return Ok(Removed::Unknown);
    }
    let in_service = in_service_at(tables.connection, account, id, None)?;
    if let Err(why) = premises.may_remove_site(id, in_service) {
        return Ok(Removed::Stays(why));
    }
    tables.connection.prepare_cached("DELETE FROM site WHERE id = ?")?.execute([id.get()])?;
    Ok(Removed::Gone)
}

fn make_default_site(tables: &mut Tables<'_>, account: AccountId, id: SiteId) -> Result<bool> {
    let (_, premises) = must_exist(tables, account)?;
    if !premises.sites.iter().any(|site| site.id == id) {
        return Ok(false);
    }
    tables
        .connection
        .prepare_cached("UPDATE site SET is_default = 0 WHERE account = ? AND is_default")?
        .execute([account.get()])?;
    tables.connection.prepare_cached("UPDATE site SET is_default = 1 WHERE id = ?")?.execute([id.get()])?;
    Ok(true)
}

fn add_peer(
    tables: &mut Tables<'_>,
    account: AccountId,
    site: SiteId,
    change: PeerChange,
) -> Result<(Peer, PeerDetails)> {
    let (_, premises) = must_exist(tables, account)?;
    if !premises.sites.iter().any(|s| s.id == site) {
        return Err(StoreError::Conflict(format!("account {account} has no site {site}")));
    }
    room_for(premises.peers.len(), "peers", PREMISES_MAX)?;
    let alone = !premises.peers.iter().any(|peer| peer.site == site);
    let is_default = is_default(false, change.is_default, alone);
    let (mut name, mut details) = (String::new(), PeerDetails::default());
    change.onto(&mut name, &mut details);
    let said = room_to_say(tables, "peer", account, None, &details)?;
    if is_default {
        no_default_peer(tables, site)?;
    }
    let id = tables
        .connection
        .prepare_cached(
            "INSERT INTO peer (account, site, name, is_default, details) VALUES (?, ?, ?, ?, ?)
             RETURNING id",
        )?
        .query_row((account.get(), site.get(), &name, is_default, said), |row| row.get(0))?;
    Ok((Peer { id: row::peer_id(id)?, account, site, name, is_default }, details))
}

fn change_peer(
    tables: &mut Tables<'_>,
    account: AccountId,
    site: SiteId,
    id: PeerId,
    change: PeerChange,
) -> Result<Option<(Peer, PeerDetails)>> {
    let found = peers_in_full(tables.connection, account, site, Some(id))?.pop();
    let Some((mut peer, mut details)) = found else { return Ok(None) };
    let becomes_default = is_default(peer.is_default, change.is_default, false);
    let before = details.clone();
    change.onto(&mut peer.name, &mut details);
    let said = room_to_say(tables, "peer", account, Some(&before), &details)?;
    if becomes_default && !peer.is_default {
        no_default_peer(tables, site)?;
    }
    peer.is_default = becomes_default;
    tables
        .connection
        .prepare_cached("UPDATE peer SET name = ?, is_default = ?, details = ? WHERE id = ?")?
        .execute((&peer.name, peer.is_default, said, id.get()))?;
    Ok(Some((peer, details)))
}

fn remove_peer(tables: &mut Tables<'_>, account: AccountId, site: SiteId, id: PeerId) -> Result<Removed> {
    let (_, premises) = must_exist(tables, account)?;
    if !premises.peers.iter().any(|peer| peer.id == id && peer.site == site) {
        return Ok(Removed::Unknown);
    }
    let in_service = in_service_at(tables.connection, account, site, Some(id))?;
    if let Err(why) = premises.may_remove_peer(site, id, in_service) {
        return Ok(Removed::Stays(why));
    }
    tables.connection.prepare_cached("DELETE FROM peer WHERE id = ?")?.execute([id.get()])?;
    Ok(Removed::Gone)
}

/// Returns the details of a site, peer or application as they are stored, if there is room for them. Details that do
/// not get longer always have room.
pub(super) fn room_to_say<T: serde::Serialize + Default + PartialEq>(
    tables: &Tables<'_>,
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
    let all: i64 = tables.connection.prepare_cached(&sql)?.query_row([account.get()], |row| row.get(0))?;
    match usize::try_from(all).is_ok_and(|all| all + after - before <= ALL_DETAILS_MAX) {
        true => Ok(said),
        false => full(&format!("what is said of the account's {what}s"), ALL_DETAILS_MAX),
    }
}

fn no_default_peer(tables: &Tables<'_>, site: SiteId) -> Result<()> {
    tables
        .connection
        .prepare_cached("UPDATE peer SET is_default = 0 WHERE site = ? AND is_default")?
        .execute([site.get()])?;
    Ok(())
}

pub(super) fn room_for(there: usize, what: &str, most: usize) -> Result<()> {
    if there < most {
        Ok(())
    } else {
        Err(StoreError::Conflict(format!("the account has {most} {what}, and that is the most")))
    }
}

/// Returns the sites of an account, or one of them, with their details.
fn sites_in_full(
    connection: &Connection,
    account: AccountId,
    only: Option<SiteId>,
) -> Result<Vec<(Site, SiteDetails)>> {
    let sql = "SELECT id, account, name, is_default, details FROM site
               WHERE account = ?1 AND id = coalesce(?2, id) ORDER BY id";
    let values = vec![of(account), only.map_or(Value::Null, |id| Value::Integer(id.get().into()))];
    list(connection, sql, values, |row| Ok((site(row)?, row::details(row.get(4)?)?)))
}

/// Returns the peers of a site of an account, or one of them, with their details.
fn peers_in_full(
    connection: &Connection,
    account: AccountId,
    at: SiteId,
    only: Option<PeerId>,
) -> Result<Vec<(Peer, PeerDetails)>> {
    let sql = "SELECT id, account, site, name, is_default, details FROM peer
               WHERE account = ?1 AND site = ?2 AND id = coalesce(?3, id) ORDER BY id";
    let only = only.map_or(Value::Null, |id| Value::Integer(id.get().into()));
    let values = vec![of(account), Value::Integer(at.get().into()), only];
    list(connection, sql, values, |row| Ok((peer(row)?, row::details(row.get(5)?)?)))
}

/// Returns how many numbers are in service at a site of an account, or at one peer of it, by the stored counts.
pub(super) fn in_service_at(
    connection: &Connection,
    account: AccountId,
    site: SiteId,
    peer: Option<PeerId>,
) -> Result<u64> {
    let numbers: i64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(p.numbers), 0) FROM in_service p JOIN site s ON s.id = p.site
             WHERE p.site = ?1 AND p.peer = coalesce(?2, p.peer) AND s.account = ?3",
        )?
        .query_row((site.get(), peer.map(PeerId::get), account.get()), |row| row.get(0))?;
    Ok(numbers.unsigned_abs())
}

/// Returns the numbers in service for each site and peer of an account with a count above zero. `None` is the site
/// itself, without a peer.
fn in_service(connection: &Connection, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
    let sql = "SELECT p.site, p.peer, p.numbers FROM site s JOIN in_service p ON p.site = s.id
               WHERE s.account = ? ORDER BY 1, 2";
    list(connection, sql, vec![of(account)], |row| {
        let numbers: i64 = row.get(2)?;
        Ok((row::site_id(row.get(0)?)?, PeerId::new(row.get(1)?), numbers.unsigned_abs()))
    })
}

#[async_trait]
impl SitesAndPeers for SqliteStore {
    async fn add_site(&self, account: AccountId, site: SiteChange) -> Result<(Site, SiteDetails)> {
        self.writer.write(move |tables| add_site(tables, account, site)).await
    }

    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
    ) -> Result<Option<(Site, SiteDetails)>> {
        self.writer.write(move |tables| change_site(tables, account, id, change)).await
    }

    async fn remove_site(&self, account: AccountId, id: SiteId) -> Result<Removed> {
        self.writer.write(move |tables| remove_site(tables, account, id)).await
    }

    async fn make_default_site(&self, account: AccountId, id: SiteId) -> Result<bool> {
        self.writer.write(move |tables| make_default_site(tables, account, id)).await
    }

    async fn add_peer(
        &self,
        account: AccountId,
        site: SiteId,
        peer: PeerChange,
    ) -> Result<(Peer, PeerDetails)> {
        self.writer.write(move |tables| add_peer(tables, account, site, peer)).await
    }

    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
    ) -> Result<Option<(Peer, PeerDetails)>> {
        self.writer.write(move |tables| change_peer(tables, account, site, id, change)).await
    }

    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId) -> Result<Removed> {
        self.writer.write(move |tables| remove_peer(tables, account, site, id)).await
    }

    async fn sites(&self, account: Option<AccountId>) -> Result<Vec<Site>> {
        self.readers.read(move |connection| sites(connection, account)).await
    }

    async fn peers(&self, account: Option<AccountId>) -> Result<Vec<Peer>> {
        self.readers.read(move |connection| peers(connection, account)).await
    }

    async fn sites_in_full(
        &self,
        account: AccountId,
        only: Option<SiteId>,
    ) -> Result<Vec<(Site, SiteDetails)>> {
        self.readers.read(move |connection| sites_in_full(connection, account, only)).await
    }

    async fn peers_in_full(
        &self,
        account: AccountId,
        site: SiteId,
        only: Option<PeerId>,
    ) -> Result<Vec<(Peer, PeerDetails)>> {
        self.readers.read(move |connection| peers_in_full(connection, account, site, only)).await
    }

    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
        self.readers.read(move |connection| in_service(connection, account)).await
    }
}
