//! Applications of an account, and the peers that name them.

use async_trait::async_trait;
use onhook_core::account::application::{Application, ApplicationChange, NewApplication, Service};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, ApplicationId, PeerId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::accounts::must_exist;
use super::open::SqliteStore;
use super::premises::said_of_all;
use super::row;
use super::tables::Tables;
use crate::Result;
use crate::codes::details;
use crate::contract::applications::{ApplicationNamed, Applications};
use crate::contract::premises::Removed;
use crate::plan::applications as plan;

const COLUMNS: &str = "id, account, service, name, details";

fn read(row: &Row<'_>) -> Result<Application> {
    Ok(Application {
        id: id(row.get(0)?),
        account: row::account_id(row.get(1)?)?,
        service: row::word(&row.get::<_, String>(2)?)?,
        name: row.get(3)?,
        details: details(row.get(4)?)?,
    })
}

fn id(bytes: [u8; 16]) -> ApplicationId {
    ApplicationId(uuid::Uuid::from_bytes(bytes))
}

/// Returns the applications of an account, or one of them, oldest first.
fn list(
    connection: &Connection,
    account: AccountId,
    only: Option<ApplicationId>,
) -> Result<Vec<Application>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM application WHERE account = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY seq"
    ))?;
    let mut rows = statement.query((account.get(), only.map(|id| id.0.into_bytes())))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Returns the application that a peer of the account names for a service.
fn named_by(
    connection: &Connection,
    account: AccountId,
    peer: PeerId,
    service: Service,
) -> Result<Option<ApplicationId>> {
    let found: Option<[u8; 16]> = connection
        .prepare_cached(
            "SELECT a.id FROM peer_application n JOIN application a ON a.seq = n.application
             WHERE n.peer = ? AND n.service = ? AND a.account = ?",
        )?
        .query_row((peer.get(), service.word(), account.get()), |row| row.get(0))
        .optional()?;
    Ok(found.map(id))
}

/// Returns the peers of an account that name an application, each with its site.
fn peers_with(
    connection: &Connection,
    account: AccountId,
    application: ApplicationId,
) -> Result<Vec<(Site, Peer)>> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, p.name, p.is_default, s.id, s.name, s.is_default
         FROM peer_application n JOIN application a ON a.seq = n.application
         JOIN peer p ON p.id = n.peer JOIN site s ON s.id = p.site
         WHERE a.id = ? AND a.account = ? ORDER BY p.id",
    )?;
    let mut rows = statement.query((application.0.as_bytes(), account.get()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let site = row::site_id(row.get(3)?)?;
        let peer = Peer {
            id: row::peer_id(row.get(0)?)?,
            account,
            site,
            name: row.get(1)?,
            is_default: row.get(2)?,
        };
        found.push((Site { id: site, account, name: row.get(4)?, is_default: row.get(5)? }, peer));
    }
    Ok(found)
}

fn add_application(tables: &mut Tables<'_>, account: AccountId, new: NewApplication) -> Result<Application> {
    must_exist(tables, account)?;
    let there: u32 = tables
        .connection
        .prepare_cached("SELECT count(*) FROM application WHERE account = ?")?
        .query_row([account.get()], |row| row.get(0))?;
    let there = usize::try_from(there).unwrap_or(usize::MAX);
    let id = ApplicationId(tables.ids.chance.uuid()?);
    let (made, said) = plan::add((account, id), new, there, said_of_all(tables, "application", account)?)?;
    tables
        .connection
        .prepare_cached(
            "INSERT INTO application (id, account, service, name, details) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute((id.0.as_bytes(), account.get(), made.service.word(), &made.name, said))?;
    Ok(made)
}

fn change_application(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: ApplicationId,
    change: ApplicationChange,
) -> Result<Option<Application>> {
    let Some(found) = list(tables.connection, account, Some(id))?.pop() else { return Ok(None) };
    let (changed, said) = plan::change(found, change, said_of_all(tables, "application", account)?)?;
    tables
        .connection
        .prepare_cached("UPDATE application SET name = ?, details = ? WHERE id = ?")?
        .execute((&changed.name, said, id.0.as_bytes()))?;
    Ok(Some(changed))
}

fn remove_application(tables: &mut Tables<'_>, account: AccountId, id: ApplicationId) -> Result<Removed> {
    let seq = seq_of(tables, account, id)?;
    let peers: i64 = tables
        .connection
        .prepare_cached("SELECT count(*) FROM peer_application WHERE application = ?")?
        .query_row([seq], |row| row.get(0))?;
    let removed = plan::remove(seq.is_some(), peers.unsigned_abs());
    if removed == Removed::Gone {
        tables.connection.prepare_cached("DELETE FROM application WHERE seq = ?")?.execute([seq])?;
    }
    Ok(removed)
}

fn name_application(
    tables: &mut Tables<'_>,
    account: AccountId,
    peer: PeerId,
    service: Service,
    application: Option<ApplicationId>,
) -> Result<ApplicationNamed> {
    let (_, premises) = must_exist(tables, account)?;
    let found = match application {
        Some(id) => list(tables.connection, account, Some(id))?.pop(),
        None => None,
    };
    let named = plan::name(&premises, peer, service, application, found.as_ref());
    match application {
        _ if named != ApplicationNamed::Done => {}
        None => {
            tables
                .connection
                .prepare_cached("DELETE FROM peer_application WHERE peer = ? AND service = ?")?
                .execute((peer.get(), service.word()))?;
        }
        Some(id) => {
            tables
                .connection
                .prepare_cached(
                    "INSERT INTO peer_application (peer, service, application) VALUES (?1, ?2, ?3)
                     ON CONFLICT (peer, service) DO UPDATE SET application = ?3",
                )?
                .execute((peer.get(), service.word(), seq_of(tables, account, id)?))?;
        }
    }
    Ok(named)
}

/// Returns the sequence number of an application of the account.
fn seq_of(tables: &Tables<'_>, account: AccountId, id: ApplicationId) -> Result<Option<i64>> {
    Ok(tables
        .connection
        .prepare_cached("SELECT seq FROM application WHERE id = ? AND account = ?")?
        .query_row((id.0.as_bytes(), account.get()), |row| row.get(0))
        .optional()?)
}

#[async_trait]
impl Applications for SqliteStore {
    async fn add_application(&self, account: AccountId, new: NewApplication) -> Result<Application> {
        self.writer.write(move |tables| add_application(tables, account, new)).await
    }

    async fn change_application(
        &self,
        account: AccountId,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Option<Application>> {
        self.writer.write(move |tables| change_application(tables, account, id, change)).await
    }

    async fn remove_application(&self, account: AccountId, id: ApplicationId) -> Result<Removed> {
        self.writer.write(move |tables| remove_application(tables, account, id)).await
    }

    async fn applications(
        &self,
        account: AccountId,
        only: Option<ApplicationId>,
    ) -> Result<Vec<Application>> {
        self.readers.read(move |connection| list(connection, account, only)).await
    }

    async fn name_application(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
        application: Option<ApplicationId>,
    ) -> Result<ApplicationNamed> {
        self.writer.write(move |tables| name_application(tables, account, peer, service, application)).await
    }

    async fn application_of(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
    ) -> Result<Option<ApplicationId>> {
        self.readers.read(move |connection| named_by(connection, account, peer, service)).await
    }

    async fn peers_with(&self, account: AccountId, application: ApplicationId) -> Result<Vec<(Site, Peer)>> {
        self.readers.read(move |connection| peers_with(connection, account, application)).await
    }
}
