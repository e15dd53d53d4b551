//! Sites and peers of accounts: their details, and how many numbers are in service at them.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::account::details::{PeerChange, PeerDetails, SiteChange, SiteDetails};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::provenance::Doer;

use super::accounts::{lock_account, must_exist, peers, read_peer, read_site, sites};
use super::deeds::write_deeds;
use super::jobs::no_import;
use super::once::once as done_once;
use super::open::PostgresStore;
use super::row::{get, limit, peer_of, site_of, small};
use super::statement::{Value, execute, row, rows};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::codes::details;
use crate::contract::once::Once;
use crate::contract::premises::{Removed, SitesAndPeers};
use crate::error::corrupt;
use crate::plan::deeds;
use crate::plan::premises::{self as plan, Write};

fn of(account: AccountId) -> i64 {
    account.get().into()
}

async fn add_site(
    client: &Client,
    account: AccountId,
    change: SiteChange,
    doer: &Doer,
) -> Result<(Site, SiteDetails)> {
    let (_, premises) = must_exist(client, account).await?;
    let write = plan::add_site(&premises, change, said_of_all(client, "site", account).await?)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_site(client, account).await?;
    }
    let sql = "INSERT INTO site (account, name, is_default, details) VALUES ($1, $2, $3, $4) RETURNING id";
    let made = row(client, sql, &[&of(account), &name, &is_default, &said]).await?;
    let id = site_of(&made.ok_or_else(|| corrupt("a site is missing"))?, 0)?;
    let made = (Site { id, account, name, is_default }, details);
    write_deeds(client, &[deeds::site(None, Some(&made), doer)]).await?;
    Ok(made)
}

async fn change_site(
    client: &Client,
    account: AccountId,
    id: SiteId,
    change: SiteChange,
    doer: &Doer,
) -> Result<Option<(Site, SiteDetails)>> {
    lock_account(client, account).await?;
    let found = sites_in_full(client, account, Some(id)).await?.pop();
    let Some(found) = found else { return Ok(None) };
    let write = plan::change_site(found.clone(), change, said_of_all(client, "site", account).await?)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_site(client, account).await?;
    }
    let sql = "UPDATE site SET name = $1, details = $2, is_default = $4 WHERE id = $3";
    execute(client, sql, &[&name, &said, &i64::from(id.get()), &is_default]).await?;
    let changed = (Site { id, account, name, is_default }, details);
    write_deeds(client, &[deeds::site(Some(&found), Some(&changed), doer)]).await?;
    Ok(Some(changed))
}

async fn remove_site(client: &Client, account: AccountId, id: SiteId, doer: &Doer) -> Result<Removed> {
    let (_, premises) = must_exist(client, account).await?;
    let in_service = in_service_at(client, account, id, None).await?;
    no_import(client).await?;
    let removed = plan::remove_site(&premises, id, in_service);
    if removed == Removed::Gone {
        let before = sites_in_full(client, account, Some(id)).await?.pop();
        write_deeds(client, &[deeds::site(before.as_ref(), None, doer)]).await?;
        execute(client, "DELETE FROM site WHERE id = $1", &[&i64::from(id.get())]).await?;
    }
    Ok(removed)
}

async fn make_default_site(client: &Client, account: AccountId, id: SiteId, doer: &Doer) -> Result<bool> {
    let (_, premises) = must_exist(client, account).await?;
    if !plan::has_site(&premises, id) {
        return Ok(false);
    }
    let before = sites_in_full(client, account, Some(id)).await?.pop();
    no_default_site(client, account).await?;
    execute(client, "UPDATE site SET is_default = true WHERE id = $1", &[&i64::from(id.get())]).await?;
    let after = before.clone().map(|(site, details)| (Site { is_default: true, ..site }, details));
    write_deeds(client, &[deeds::site(before.as_ref(), after.as_ref(), doer)]).await?;
    Ok(true)
}

/// Lets an account have no default site, for as long as it takes to write another one.
async fn no_default_site(client: &Client, account: AccountId) -> Result<()> {
    let sql = "UPDATE site SET is_default = false WHERE account = $1 AND is_default";
    execute(client, sql, &[&of(account)]).await?;
    Ok(())
}

async fn add_peer(
    client: &Client,
    account: AccountId,
    site: SiteId,
    change: PeerChange,
    doer: &Doer,
) -> Result<(Peer, PeerDetails)> {
    let (_, premises) = must_exist(client, account).await?;
    let all = said_of_all(client, "peer", account).await?;
    let write = plan::add_peer(&premises, (account, site), change, all)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_peer(client, site).await?;
    }
    let sql = "INSERT INTO peer (account, site, name, is_default, details) VALUES ($1, $2, $3, $4, $5)
               RETURNING id";
    let values: [&dyn Value; 5] = [&of(account), &i64::from(site.get()), &name, &is_default, &said];
    let made = row(client, sql, &values).await?;
    let id = peer_of(&made.ok_or_else(|| corrupt("a peer is missing"))?, 0)?;
    let made = (Peer { id, account, site, name, is_default }, details);
    write_deeds(client, &[deeds::peer(None, Some(&made), doer)]).await?;
    Ok(made)
}

async fn change_peer(
    client: &Client,
    account: AccountId,
    site: SiteId,
    id: PeerId,
    change: PeerChange,
    doer: &Doer,
) -> Result<Option<(Peer, PeerDetails)>> {
    lock_account(client, account).await?;
    let found = peers_in_full(client, account, site, Some(id)).await?.pop();
    let Some(found) = found else { return Ok(None) };
    let write = plan::change_peer(found.clone(), change, said_of_all(client, "peer", account).await?)?;
    let Write { name, is_default, takes_default, details, said } = write;
    if takes_default {
        no_default_peer(client, site).await?;
    }
    let sql = "UPDATE peer SET name = $1, is_default = $2, details = $3 WHERE id = $4";
    execute(client, sql, &[&name, &is_default, &said, &i64::from(id.get())]).await?;
    let changed = (Peer { id, account, site, name, is_default }, details);
    write_deeds(client, &[deeds::peer(Some(&found), Some(&changed), doer)]).await?;
    Ok(Some(changed))
}

async fn remove_peer(
    client: &Client,
    account: AccountId,
    site: SiteId,
    id: PeerId,
    doer: &Doer,
) -> Result<Removed> {
    let (_, premises) = must_exist(client, account).await?;
    let in_service = in_service_at(client, account, site, Some(id)).await?;
    no_import(client).await?;
    let removed = plan::remove_peer(&premises, site, id, in_service);
    if removed == Removed::Gone {
        let before = peers_in_full(client, account, site, Some(id)).await?.pop();
        write_deeds(client, &[deeds::peer(before.as_ref(), None, doer)]).await?;
        // What it names goes with it, or no application that it named could ever be removed.
        let sql =
            "WITH named AS (DELETE FROM peer_application WHERE peer = $1) DELETE FROM peer WHERE id = $1";
        execute(client, sql, &[&i64::from(id.get())]).await?;
    }
    Ok(removed)
}

/// Returns how many bytes the details of an account's sites, peers or applications take.
pub(super) async fn said_of_all(client: &Client, table: &str, account: AccountId) -> Result<usize> {
    let sql =
        format!("SELECT coalesce(sum(octet_length(details)), 0)::bigint FROM {table} WHERE account = $1");
    row(client, &sql, &[&of(account)]).await?.map_or(Ok(0), |row| small(&row, 0))
}

async fn no_default_peer(client: &Client, site: SiteId) -> Result<()> {
    let sql = "UPDATE peer SET is_default = false WHERE site = $1 AND is_default";
    execute(client, sql, &[&i64::from(site.get())]).await?;
    Ok(())
}

/// Returns the sites of an account, or one of them, with their details.
async fn sites_in_full(
    client: &Client,
    account: AccountId,
    only: Option<SiteId>,
) -> Result<Vec<(Site, SiteDetails)>> {
    let sql = "SELECT id, account, name, is_default, details FROM site
               WHERE account = $1 AND id = coalesce($2, id) ORDER BY id";
    let only = only.map(|id| i64::from(id.get()));
    let found = rows(client, sql, &[&of(account), &only]).await?;
    found.iter().map(|row| Ok((read_site(row)?, details(get(row, 4)?)?))).collect()
}

/// Returns the peers of a site of an account, or one of them, with their details.
async fn peers_in_full(
    client: &Client,
    account: AccountId,
    at: SiteId,
    only: Option<PeerId>,
) -> Result<Vec<(Peer, PeerDetails)>> {
    let sql = "SELECT id, account, site, name, is_default, details FROM peer
               WHERE account = $1 AND site = $2 AND id = coalesce($3, id) ORDER BY id";
    let only = only.map(|id| i64::from(id.get()));
    let found = rows(client, sql, &[&of(account), &i64::from(at.get()), &only]).await?;
    found.iter().map(|row| Ok((read_peer(row)?, details(get(row, 5)?)?))).collect()
}

/// Returns how many numbers are in service at a site of an account, or at one peer of it, by the stored counts.
async fn in_service_at(
    client: &Client,
    account: AccountId,
    site: SiteId,
    peer: Option<PeerId>,
) -> Result<u64> {
    let sql = "SELECT coalesce(sum(p.numbers), 0)::bigint FROM in_service p JOIN site s ON s.id = p.site
               WHERE p.site = $1 AND p.peer = coalesce($2, p.peer) AND s.account = $3";
    let peer = peer.map(|peer| i64::from(peer.get()));
    let found = row(client, sql, &[&i64::from(site.get()), &peer, &of(account)]).await?;
    Ok(found.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs())
}

/// Returns the numbers in service for each site and peer of an account with a count above zero. `None` is the site
/// itself, without a peer.
pub(super) async fn in_service(
    client: &Client,
    account: AccountId,
) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
    let sql = "SELECT p.site, p.peer, p.numbers FROM site s JOIN in_service p ON p.site = s.id
               WHERE s.account = $1 AND p.numbers <> 0 ORDER BY 1, 2";
    let found = rows(client, sql, &[&of(account)]).await?;
    let read = |row| {
        let numbers = get::<i64>(row, 2)?.unsigned_abs();
        Ok((site_of(row, 0)?, PeerId::new(small(row, 1)?), numbers))
    };
    found.iter().map(read).collect()
}

#[async_trait]
impl SitesAndPeers for PostgresStore {
    async fn make_site(
        &self,
        account: AccountId,
        site: SiteChange,
        once: Option<Once<(Site, SiteDetails)>>,
        doer: Doer,
    ) -> Result<(Site, SiteDetails)> {
        transaction!(self, tx => {
            done_once(&tx, once.as_ref(), add_site(&tx, account, site.clone(), &doer)).await
        })
    }

    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
        doer: Doer,
    ) -> Result<Option<(Site, SiteDetails)>> {
        transaction!(self, tx => change_site(&tx, account, id, change.clone(), &doer).await)
    }

    async fn remove_site(&self, account: AccountId, id: SiteId, doer: Doer) -> Result<Removed> {
        transaction!(self, tx => remove_site(&tx, account, id, &doer).await)
    }

    async fn make_default_site(&self, account: AccountId, id: SiteId, doer: Doer) -> Result<bool> {
        transaction!(self, tx => make_default_site(&tx, account, id, &doer).await)
    }

    async fn make_peer(
        &self,
        (account, site): (AccountId, SiteId),
        peer: PeerChange,
        once: Option<Once<(Peer, PeerDetails)>>,
        doer: Doer,
    ) -> Result<(Peer, PeerDetails)> {
        transaction!(self, tx => {
            done_once(&tx, once.as_ref(), add_peer(&tx, account, site, peer.clone(), &doer)).await
        })
    }

    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
        doer: Doer,
    ) -> Result<Option<(Peer, PeerDetails)>> {
        transaction!(self, tx => change_peer(&tx, account, site, id, change.clone(), &doer).await)
    }

    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId, doer: Doer) -> Result<Removed> {
        transaction!(self, tx => remove_peer(&tx, account, site, id, &doer).await)
    }

    async fn sites(&self, account: Option<AccountId>) -> Result<Vec<Site>> {
        reading!(self, client => sites(&client, account.as_ref().map(std::slice::from_ref)).await)
    }

    async fn peers(&self, account: Option<AccountId>) -> Result<Vec<Peer>> {
        reading!(self, client => peers(&client, account.as_ref().map(std::slice::from_ref)).await)
    }

    async fn sites_in_full(
        &self,
        account: AccountId,
        only: Option<SiteId>,
    ) -> Result<Vec<(Site, SiteDetails)>> {
        reading!(self, client => sites_in_full(&client, account, only).await)
    }

    async fn peers_in_full(
        &self,
        account: AccountId,
        site: SiteId,
        only: Option<PeerId>,
    ) -> Result<Vec<(Peer, PeerDetails)>> {
        reading!(self, client => peers_in_full(&client, account, site, only).await)
    }

    async fn sites_behind(
        &self,
        account: Option<AccountId>,
        after: Option<SiteId>,
        most: usize,
    ) -> Result<Vec<(Site, SiteDetails)>> {
        let sql = "SELECT id, account, name, is_default, details FROM site
                   WHERE id > $1 AND account = coalesce($2, account) ORDER BY id LIMIT $3";
        let (account, after) = (account.map(of), after.map_or(0, |id| i64::from(id.get())));
        reading!(self, client => {
            rows(&client, sql, &[&after, &account, &limit(most)]).await.and_then(|found| {
                found.iter().map(|row| Ok((read_site(row)?, details(get(row, 4)?)?))).collect()
            })
        })
    }

    async fn peers_behind(
        &self,
        (account, site): (Option<AccountId>, Option<SiteId>),
        after: Option<PeerId>,
        most: usize,
    ) -> Result<Vec<(Peer, PeerDetails)>> {
        let sql = "SELECT id, account, site, name, is_default, details FROM peer
                   WHERE id > $1 AND account = coalesce($2, account) AND site = coalesce($3, site)
                   ORDER BY id LIMIT $4";
        let (account, after) = (account.map(of), after.map_or(0, |id| i64::from(id.get())));
        let site = site.map(|id| i64::from(id.get()));
        reading!(self, client => {
            rows(&client, sql, &[&after, &account, &site, &limit(most)]).await.and_then(|found| {
                found.iter().map(|row| Ok((read_peer(row)?, details(get(row, 5)?)?))).collect()
            })
        })
    }

    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>> {
        reading!(self, client => in_service(&client, account).await)
    }
}
