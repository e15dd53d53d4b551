//! Applications of an account, and the peers that name them.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::account::application::{Application, ApplicationChange, NewApplication, Service};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, ApplicationId, PeerId};
use tokio_postgres::Row;

use super::accounts::{lock_account, must_exist};
use super::open::PostgresStore;
use super::premises::said_of_all;
use super::row::{account_of, get, peer_of, site_of, small, word};
use super::statement::{Value, execute, row, rows};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::codes::details;
use crate::contract::applications::{ApplicationNamed, Applications};
use crate::contract::premises::Removed;
use crate::order_ids::OrderIds;
use crate::plan::applications as plan;

fn of(account: AccountId) -> i64 {
    account.get().into()
}

fn read(row: &Row) -> Result<Application> {
    Ok(Application {
        id: ApplicationId(get(row, 0)?),
        account: account_of(row, 1)?,
        service: word(row, 2)?,
        name: get(row, 3)?,
        details: details(get(row, 4)?)?,
    })
}

/// Returns the applications of an account, or one of them, oldest first.
async fn list(client: &Client, account: AccountId, only: Option<ApplicationId>) -> Result<Vec<Application>> {
    let sql = "SELECT id, account, service, name, details FROM application
               WHERE account = $1 AND ($2 IS NULL OR id = $2) ORDER BY seq";
    rows(client, sql, &[&of(account), &only.map(|id| id.0)]).await?.iter().map(read).collect()
}

/// Returns the application that a peer of the account names for a service.
async fn named_by(
    client: &Client,
    account: AccountId,
    peer: PeerId,
    service: Service,
) -> Result<Option<ApplicationId>> {
    let sql = "SELECT a.id FROM peer_application n JOIN application a ON a.seq = n.application
               WHERE n.peer = $1 AND n.service = $2 AND a.account = $3";
    let found = row(client, sql, &[&i64::from(peer.get()), &service.word(), &of(account)]).await?;
    found.map(|row| get(&row, 0).map(ApplicationId)).transpose()
}

/// Returns the peers of an account that name an application, each with its site.
async fn peers_with(
    client: &Client,
    account: AccountId,
    application: ApplicationId,
) -> Result<Vec<(Site, Peer)>> {
    let sql = "SELECT p.id, p.name, p.is_default, s.id, s.name, s.is_default
               FROM peer_application n JOIN application a ON a.seq = n.application
               JOIN peer p ON p.id = n.peer JOIN site s ON s.id = p.site
               WHERE a.id = $1 AND a.account = $2 ORDER BY p.id";
    let read = |row| {
        let site = site_of(row, 3)?;
        let peer = Peer { id: peer_of(row, 0)?, account, site, name: get(row, 1)?, is_default: get(row, 2)? };
        Ok((Site { id: site, account, name: get(row, 4)?, is_default: get(row, 5)? }, peer))
    };
    rows(client, sql, &[&application.0, &of(account)]).await?.iter().map(read).collect()
}

async fn add_application(
    client: &Client,
    ids: &OrderIds,
    account: AccountId,
    new: NewApplication,
) -> Result<Application> {
    must_exist(client, account).await?;
    let sql = "SELECT count(*) FROM application WHERE account = $1";
    let there = row(client, sql, &[&of(account)]).await?.map_or(Ok(0), |row| small(&row, 0))?;
    let id = ApplicationId(ids.chance.uuid()?);
    let all = said_of_all(client, "application", account).await?;
    let (made, said) = plan::add((account, id), new, there, all)?;
    let sql = "INSERT INTO application (id, account, service, name, details) VALUES ($1, $2, $3, $4, $5)";
    let values: [&dyn Value; 5] = [&id.0, &of(account), &made.service.word(), &made.name, &said];
    execute(client, sql, &values).await?;
    Ok(made)
}

async fn change_application(
    client: &Client,
    account: AccountId,
    id: ApplicationId,
    change: ApplicationChange,
) -> Result<Option<Application>> {
    lock_account(client, account).await?;
    let Some(found) = list(client, account, Some(id)).await?.pop() else { return Ok(None) };
    let (changed, said) = plan::change(found, change, said_of_all(client, "application", account).await?)?;
    let sql = "UPDATE application SET name = $1, details = $2 WHERE id = $3";
    execute(client, sql, &[&changed.name, &said, &id.0]).await?;
    Ok(Some(changed))
}

async fn remove_application(client: &Client, account: AccountId, id: ApplicationId) -> Result<Removed> {
    lock_account(client, account).await?;
    let seq = seq_of(client, account, id).await?;
    let sql = "SELECT count(*) FROM peer_application WHERE application = $1";
    let peers = row(client, sql, &[&seq]).await?.map_or(Ok(0), |row| get::<i64>(&row, 0))?;
    let removed = plan::remove(seq.is_some(), peers.unsigned_abs());
    if removed == Removed::Gone {
        execute(client, "DELETE FROM application WHERE seq = $1", &[&seq]).await?;
    }
    Ok(removed)
}

async fn name_application(
    client: &Client,
    account: AccountId,
    peer: PeerId,
    service: Service,
    application: Option<ApplicationId>,
) -> Result<ApplicationNamed> {
    let (_, premises) = must_exist(client, account).await?;
    let found = match application {
        Some(id) => list(client, account, Some(id)).await?.pop(),
        None => None,
    };
    let named = plan::name(&premises, peer, service, application, found.as_ref());
    let key = i64::from(peer.get());
    match application {
        _ if named != ApplicationNamed::Done => {}
        None => {
            let sql = "DELETE FROM peer_application WHERE peer = $1 AND service = $2";
            execute(client, sql, &[&key, &service.word()]).await?;
        }
        Some(id) => {
            let sql = "INSERT INTO peer_application (peer, service, application) VALUES ($1, $2, $3)
                       ON CONFLICT (peer, service) DO UPDATE SET application = excluded.application";
            execute(client, sql, &[&key, &service.word(), &seq_of(client, account, id).await?]).await?;
        }
    }
    Ok(named)
}

/// Returns the sequence number of an application of the account.
async fn seq_of(client: &Client, account: AccountId, id: ApplicationId) -> Result<Option<i64>> {
    let sql = "SELECT seq FROM application WHERE id = $1 AND account = $2";
    row(client, sql, &[&id.0, &of(account)]).await?.map(|row| get(&row, 0)).transpose()
}

#[async_trait]
impl Applications for PostgresStore {
    async fn add_application(&self, account: AccountId, new: NewApplication) -> Result<Application> {
        transaction!(self, tx => add_application(&tx, &self.ids, account, new.clone()).await)
    }

    async fn change_application(
        &self,
        account: AccountId,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Option<Application>> {
        transaction!(self, tx => change_application(&tx, account, id, change.clone()).await)
    }

    async fn remove_application(&self, account: AccountId, id: ApplicationId) -> Result<Removed> {
        transaction!(self, tx => remove_application(&tx, account, id).await)
    }

    async fn applications(
        &self,
        account: AccountId,
        only: Option<ApplicationId>,
    ) -> Result<Vec<Application>> {
        reading!(self, client => list(&client, account, only).await)
    }

    async fn name_application(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
        application: Option<ApplicationId>,
    ) -> Result<ApplicationNamed> {
        transaction!(self, tx => name_application(&tx, account, peer, service, application).await)
    }

    async fn application_of(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
    ) -> Result<Option<ApplicationId>> {
        reading!(self, client => named_by(&client, account, peer, service).await)
    }

    async fn peers_with(&self, account: AccountId, application: ApplicationId) -> Result<Vec<(Site, Peer)>> {
        reading!(self, client => peers_with(&client, account, application).await)
    }
}
