//! Sites and peers of accounts: their details, and how many numbers are in service at them.

use async_trait::async_trait;
use onhook_core::account::details::{PeerChange, PeerDetails, SiteChange, SiteDetails};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::provenance::Doer;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::accounts::{must_exist, peer, peers, site, sites};
use super::deeds::write_deeds;
use super::jobs::no_import;
use super::once::once as done_once;
use super::open::SqliteStore;
use super::row::{self, limit, list, of};
use super::tables::Tables;
use crate::Result;
use crate::codes::details;
use crate::contract::once::Once;
use crate::contract::premises::{Removed, SitesAndPeers};
use crate::plan::deeds;
use crate::plan::premises::{self as plan, Write};

fn add_site(
    tables: &mut Tables<'_>,
    account: AccountId,
    change: SiteChange,
    doer: &Doer,
) -> Result<(Site, SiteDetails)> {
    let (_, premises) = must_exist(tables, account)?;
    let write = plan::add_site(&premises, change, said_of_all(tables, "site", account)?)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_site(tables, account)?;
    }
    let id = tables
        .connection
        .prepare_cached(
            "INSERT INTO site (account, name, is_default, details) VALUES (?, ?, ?, ?) RETURNING id",
        )?
        .query_row((account.get(), &name, is_default, said), |row| row.get(0))?;
    let made = (Site { id: row::site_id(id)?, account, name, is_default }, details);
    write_deeds(tables, &[deeds::site(None, Some(&made), doer)])?;
    Ok(made)
}

fn change_site(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: SiteId,
    change: SiteChange,
    doer: &Doer,
) -> Result<Option<(Site, SiteDetails)>> {
    let found = sites_in_full(tables.connection, account, Some(id))?.pop();
    let Some(found) = found else { return Ok(None) };
    let write = plan::change_site(found.clone(), change, said_of_all(tables, "site", account)?)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_site(tables, account)?;
    }
    tables
        .connection
        .prepare_cached("UPDATE site SET name = ?, is_default = ?, details = ? WHERE id = ?")?
        .execute((&name, is_default, said, id.get()))?;
    let changed = (Site { id, account, name, is_default }, details);
    write_deeds(tables, &[deeds::site(Some(&found), Some(&changed), doer)])?;
    Ok(Some(changed))
}

fn remove_site(tables: &mut Tables<'_>, account: AccountId, id: SiteId, doer: &Doer) -> Result<Removed> {
    let (_, premises) = must_exist(tables, account)?;
    let in_service = in_service_at(tables.connection, account, id, None)?;
    no_import(tables)?;
    let removed = plan::remove_site(&premises, id, in_service);
    if removed == Removed::Gone {
        let before = sites_in_full(tables.connection, account, Some(id))?.pop();
        write_deeds(tables, &[deeds::site(before.as_ref(), None, doer)])?;
        tables.connection.prepare_cached("DELETE FROM site WHERE id = ?")?.execute([id.get()])?;
    }
    Ok(removed)
}

fn make_default_site(tables: &mut Tables<'_>, account: AccountId, id: SiteId, doer: &Doer) -> Result<bool> {
    let (_, premises) = must_exist(tables, account)?;
    if !plan::has_site(&premises, id) {
        return Ok(false);
    }
    let before = sites_in_full(tables.connection, account, Some(id))?.pop();
    no_default_site(tables, account)?;
    tables.connection.prepare_cached("UPDATE site SET is_default = 1 WHERE id = ?")?.execute([id.get()])?;
    let after = before.clone().map(|(site, details)| (Site { is_default: true, ..site }, details));
    write_deeds(tables, &[deeds::site(before.as_ref(), after.as_ref(), doer)])?;
    Ok(true)
}

/// Lets an account have no default site, for as long as it takes to write another one.
fn no_default_site(tables: &Tables<'_>, account: AccountId) -> Result<()> {
    tables
        .connection
        .prepare_cached("UPDATE site SET is_default = 0 WHERE account = ? AND is_default")?
        .execute([account.get()])?;
    Ok(())
}

fn add_peer(
    tables: &mut Tables<'_>,
    account: AccountId,
    site: SiteId,
    change: PeerChange,
    doer: &Doer,
) -> Result<(Peer, PeerDetails)> {
    let (_, premises) = must_exist(tables, account)?;
    let all = said_of_all(tables, "peer", account)?;
    let write = plan::add_peer(&premises, (account, site), change, all)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_peer(tables, site)?;
    }
    let id = tables
        .connection
        .prepare_cached(
            "INSERT INTO peer (account, site, name, is_default, details) VALUES (?, ?, ?, ?, ?)
             RETURNING id",
        )?
        .query_row((account.get(), site.get(), &name, is_default, said), |row| row.get(0))?;
    let made = (Peer { id: row::peer_id(id)?, account, site, name, is_default }, details);
    write_deeds(tables, &[deeds::peer(None, Some(&made), doer)])?;
    Ok(made)
}

fn change_peer(
    tables: &mut Tables<'_>,
    account: AccountId,
    site: SiteId,
    id: PeerId,
    change: PeerChange,
    doer: &Doer,
) -> Result<Option<(Peer, PeerDetails)>> {
    let found = peers_in_full(tables.connection, account, site, Some(id))?.pop();
    let Some(found) = found else { return Ok(None) };
    let write = plan::change_peer(found.clone(), change, said_of_all(tables, "peer", account)?)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_peer(tables, site)?;
    }
    tables
        .connection
        .prepare_cached("UPDATE peer SET name = ?, is_default = ?, details = ? WHERE id = ?")?
        .execute((&name, is_default, said, id.get()))?;
    let changed = (Peer { id, account, site, name, is_default }, details);
    write_deeds(tables, &[deeds::peer(Some(&found), Some(&changed), doer)])?;
    Ok(Some(changed))
}

fn remove_peer(
    tables: &mut Tables<'_>,
    account: AccountId,
    site: SiteId,
    id: PeerId,
    doer: &Doer,
) -> Result<Removed> {
    let (_, premises) = must_exist(tables, account)?;
    let in_service = in_service_at(tables.connection, account, site, Some(id))?;
    no_import(tables)?;
    let removed = plan::remove_peer(&premises, site, id, in_service);
    if removed == Removed::Gone {
        let before = peers_in_full(tables.connection, account, site, Some(id))?.pop();
        write_deeds(tables, &[deeds::peer(before.as_ref(), None, doer)])?;
        tables.connection.prepare_cached("DELETE FROM peer WHERE id = ?")?.execute([id.get()])?;
    }
    Ok(removed)
}

/// Returns how many bytes the details of an account's sites, peers or applications take.
pub(super) fn said_of_all(tables: &Tables<'_>, table: &str, account: AccountId) -> Result<usize> {
    let sql = format!("SELECT coalesce(sum(octet_length(details)), 0) FROM {table} WHERE account = ?");
    let all: i64 = tables.connection.prepare_cached(&sql)?.query_row([account.get()], |row| row.get(0))?;
    Ok(usize::try_from(all).unwrap_or(usize::MAX))
}

fn no_default_peer(tables: &Tables<'_>, site: SiteId) -> Result<()> {
    tables
        .connection
        .prepare_cached("UPDATE peer SET is_default = 0 WHERE site = ? AND is_default")?
        .execute([site.get()])?;
    Ok(())
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
    list(connection, sql, values, |row| Ok((site(row)?, details(row.get(4)?)?)))
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
    list(connection, sql, values, |row| Ok((peer(row)?, details(row.get(5)?)?)))
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
pub(super) fn in_service(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
    let sql = "SELECT p.site, p.peer, p.numbers FROM site s JOIN in_service p ON p.site = s.id
               WHERE s.account = ? ORDER BY 1, 2";
    list(connection, sql, vec![of(account)], |row| {
        let numbers: i64 = row.get(2)?;
        Ok((row::site_id(row.get(0)?)?, PeerId::new(row.get(1)?), numbers.unsigned_abs()))
    })
}

fn or_null(account: Option<AccountId>) -> Value {
    account.map_or(Value::Null, of)
}

#[async_trait]
impl SitesAndPeers for SqliteStore {
    async fn make_site(
        &self,
        account: AccountId,
        site: SiteChange,
        once: Option<Once<(Site, SiteDetails)>>,
        doer: Doer,
    ) -> Result<(Site, SiteDetails)> {
        let work = move |tables: &mut Tables<'_>| {
            done_once(tables, once.as_ref(), |tables| add_site(tables, account, site, &doer))
        };
        self.writer.write(work).await
    }

    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
        doer: Doer,
    ) -> Result<Option<(Site, SiteDetails)>> {
        self.writer.write(move |tables| change_site(tables, account, id, change, &doer)).await
    }

    async fn remove_site(&self, account: AccountId, id: SiteId, doer: Doer) -> Result<Removed> {
        self.writer.write(move |tables| remove_site(tables, account, id, &doer)).await
    }

    async fn make_default_site(&self, account: AccountId, id: SiteId, doer: Doer) -> Result<bool> {
        self.writer.write(move |tables| make_default_site(tables, account, id, &doer)).await
    }

    async fn make_peer(
        &self,
        (account, site): (AccountId, SiteId),
        peer: PeerChange,
        once: Option<Once<(Peer, PeerDetails)>>,
        doer: Doer,
    ) -> Result<(Peer, PeerDetails)> {
        let work = move |tables: &mut Tables<'_>| {
            done_once(tables, once.as_ref(), |tables| add_peer(tables, account, site, peer, &doer))
        };
        self.writer.write(work).await
    }

    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
        doer: Doer,
    ) -> Result<Option<(Peer, PeerDetails)>> {
        self.writer.write(move |tables| change_peer(tables, account, site, id, change, &doer)).await
    }

    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId, doer: Doer) -> Result<Removed> {
        self.writer.write(move |tables| remove_peer(tables, account, site, id, &doer)).await
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

    async fn sites_behind(
        &self,
        account: Option<AccountId>,
        after: Option<SiteId>,
        most: usize,
    ) -> Result<Vec<(Site, SiteDetails)>> {
        let sql = "SELECT id, account, name, is_default, details FROM site
                   WHERE id > ? AND account = coalesce(?, account) ORDER BY id LIMIT ?";
        let values = vec![
            after.map_or(Value::Integer(0), |id| Value::Integer(id.get().into())),
            or_null(account),
            limit(most),
        ];
        let read = move |connection: &Connection| {
            list(connection, sql, values.clone(), |row| Ok((site(row)?, details(row.get(4)?)?)))
        };
        self.readers.read(read).await
    }

    async fn peers_behind(
        &self,
        (account, at): (Option<AccountId>, Option<SiteId>),
        after: Option<PeerId>,
        most: usize,
    ) -> Result<Vec<(Peer, PeerDetails)>> {
        let sql = "SELECT id, account, site, name, is_default, details FROM peer
                   WHERE id > ? AND account = coalesce(?, account) AND site = coalesce(?, site) ORDER BY id LIMIT ?";
        let at = at.map_or(Value::Null, |id| Value::Integer(id.get().into()));
        let after = after.map_or(Value::Integer(0), |id| Value::Integer(id.get().into()));
        let values = vec![after, or_null(account), at, limit(most)];
        let read = move |connection: &Connection| {
            list(connection, sql, values.clone(), |row| Ok((peer(row)?, details(row.get(5)?)?)))
        };
        self.readers.read(read).await
    }

    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
        self.readers.read(move |connection| in_service(connection, account)).await
    }
}
