//! Accounts, each with its sites and peers.

use async_trait::async_trait;
use onhook_core::account::{Account, Peer, Premises, Site};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, Row};

use super::deeds::write_deeds;
use super::open::SqliteStore;
use super::row::{self, list, narrowed};
use super::tables::Tables;
use crate::contract::accounts::{Accounts, NewAccount};
use crate::plan::deeds;
use crate::{Result, StoreError};

fn create_account(tables: &mut Tables<'_>, new: NewAccount, doer: &Doer) -> Result<Account> {
    let NewAccount { id, name, kind, class } = new;
    let created_at = tables.cached.now(doer.now);
    let made = tables
        .connection
        .prepare_cached(
            "INSERT INTO account (id, name, kind, class, created_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )?
        .execute((id.get(), &name, kind.word(), class.word(), created_at.millis()))?;
    if made == 0 {
        return Err(StoreError::account_exists(id));
    }
    let account = Account { id, name, kind, class, created_at };
    write_deeds(tables, &[deeds::account_created(&account, doer)])?;
    Ok(account)
}

pub(super) fn must_exist(tables: &Tables<'_>, account: AccountId) -> Result<(Account, Premises)> {
    let found = account_with_premises(tables.connection, account)?;
    found.ok_or_else(|| StoreError::no_account(account))
}

// Accounts.

fn account(row: &Row<'_>) -> Result<Account> {
    let (kind, class): (String, String) = (row.get(2)?, row.get(3)?);
    let (kind, class) = row::account_words(&kind, &class)?;
    let created_at = Timestamp::from_millis(row.get(4)?);
    Ok(Account { id: row::account_id(row.get(0)?)?, name: row.get(1)?, kind, class, created_at })
}

fn accounts(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Account>> {
    let (filter, values) = narrowed("id", only);
    let sql = format!("SELECT id, name, kind, class, created_at FROM account {filter} ORDER BY id");
    list(connection, &sql, values, account)
}

pub(super) fn sites(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Site>> {
    let (filter, values) = narrowed("account", only);
    let sql = format!("SELECT id, account, name, is_default FROM site {filter} ORDER BY id");
    list(connection, &sql, values, site)
}

pub(super) fn site(row: &Row<'_>) -> Result<Site> {
    Ok(Site {
        id: row::site_id(row.get(0)?)?,
        account: row::account_id(row.get(1)?)?,
        name: row.get(2)?,
        is_default: row.get(3)?,
    })
}

pub(super) fn peers(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Peer>> {
    let (filter, values) = narrowed("account", only);
    let sql = format!("SELECT id, account, site, name, is_default FROM peer {filter} ORDER BY id");
    list(connection, &sql, values, peer)
}

pub(super) fn peer(row: &Row<'_>) -> Result<Peer> {
    Ok(Peer {
        id: row::peer_id(row.get(0)?)?,
        account: row::account_id(row.get(1)?)?,
        site: row::site_id(row.get(2)?)?,
        name: row.get(3)?,
        is_default: row.get(4)?,
    })
}

/// Returns an account with its sites and peers.
pub(super) fn account_with_premises(
    connection: &Connection,
    id: AccountId,
) -> Result<Option<(Account, Premises)>> {
    let Some(account) = accounts(connection, Some(id))?.pop() else { return Ok(None) };
    Ok(Some((account, Premises { sites: sites(connection, Some(id))?, peers: peers(connection, Some(id))? })))
}

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_account(&self, account: NewAccount, doer: Doer) -> Result<Account> {
        self.writer.write(move |tables| create_account(tables, account, &doer)).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>> {
        self.readers.read(move |connection| account_with_premises(connection, id)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        self.readers.read(|connection| accounts(connection, None)).await
    }
}
