//! Accounts, each with its sites and peers.

use async_trait::async_trait;
use onhook_core::account::change::{AccountAct, Holdings, alter};
use onhook_core::account::{Account, Peer, Premises, Site};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::cached::run_to;
use super::deeds::write_deeds;
use super::jobs::no_import;
use super::once::once as done_once;
use super::open::SqliteStore;
use super::row::{self, limit, list, narrowed, of};
use super::tables::Tables;
use crate::codes::{holdings, state_of};
use crate::contract::accounts::{Accounts, Altered, Held, NewAccount};
use crate::contract::once::Once;
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
    let account = Account::new(id, name, kind, class, created_at);
    write_deeds(tables, &[deeds::account_created(&account, doer)])?;
    Ok(account)
}

pub(super) fn must_exist(tables: &Tables<'_>, account: AccountId) -> Result<(Account, Premises)> {
    let found = account_with_premises(tables.connection, account)?;
    found.ok_or_else(|| StoreError::no_account(account))
}

// Accounts.

const ACCOUNT_COLUMNS: &str =
    "id, name, kind, class, created_at, state, cancel_window_seconds, reports_rnd, legal_name";

fn account(row: &Row<'_>) -> Result<Account> {
    let (kind, class): (String, String) = (row.get(2)?, row.get(3)?);
    let (kind, class) = row::account_words(&kind, &class)?;
    Ok(Account {
        id: row::account_id(row.get(0)?)?,
        name: row.get(1)?,
        kind,
        class,
        state: row::word(&row.get::<_, String>(5)?)?,
        cancel_window_seconds: row.get(6)?,
        reports_rnd: row.get(7)?,
        legal_name: row.get(8)?,
        created_at: Timestamp::from_millis(row.get(4)?),
    })
}

fn accounts(connection: &Connection, only: Option<AccountId>) -> Result<Vec<Account>> {
    let (filter, values) = narrowed("id", only);
    let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account {filter} ORDER BY id");
    list(connection, &sql, values, account)
}

/// Returns whether an account is closed.
pub(super) fn is_closed(connection: &Connection, id: AccountId) -> Result<bool> {
    Ok(accounts(connection, Some(id))?.pop().is_some_and(|account| account.is_closed()))
}

/// Returns how many numbers an account has.
fn held_by(connection: &Connection, account: AccountId) -> Result<Holdings> {
    let tally =
        list(connection, "SELECT state, numbers FROM tally WHERE account = ?", vec![of(account)], |row| {
            Ok((state_of(row.get(0)?)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
    Ok(holdings(tally))
}

fn account_held(connection: &Connection, id: AccountId) -> Result<Option<Held>> {
    let Some(account) = accounts(connection, Some(id))?.pop() else { return Ok(None) };
    Ok(Some((account, held_by(connection, id)?)))
}

fn accounts_held(connection: &Connection, after: Option<AccountId>, most: usize) -> Result<Vec<Held>> {
    let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account WHERE id > ? ORDER BY id LIMIT ?");
    let after = Value::Integer(after.map_or(0, |id| id.get().into()));
    let found = list(connection, &sql, vec![after, limit(most)], account)?;
    found
        .into_iter()
        .map(|account| {
            let held = held_by(connection, account.id)?;
            Ok((account, held))
        })
        .collect()
}

/// Returns how many orders of an account have not ended.
fn orders_waiting(connection: &Connection, account: AccountId) -> Result<u64> {
    let sql = "SELECT (SELECT count(*) FROM orders WHERE seq > ?1 AND status = 0 AND account = ?2)
                    + (SELECT count(*) FROM orders WHERE status = 4 AND account = ?2)";
    let values = (run_to(connection)?.0, account.get());
    let waiting: i64 = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    Ok(waiting.unsigned_abs())
}

fn alter_account(tables: &mut Tables<'_>, id: AccountId, act: AccountAct, doer: &Doer) -> Result<Altered> {
    let Some((before, holdings)) = account_held(tables.connection, id)? else { return Ok(Altered::Unknown) };
    let orders = if act == AccountAct::Close { orders_waiting(tables.connection, id)? } else { 0 };
    let after = match alter(before.clone(), act.clone(), holdings, orders) {
        Ok(after) => after,
        Err(why) => return Ok(Altered::StaysOpen(why)),
    };
    if act == AccountAct::Close {
        no_import(tables)?;
    }
    tables
        .connection
        .prepare_cached(
            "UPDATE account SET name = ?, kind = ?, class = ?, state = ?, cancel_window_seconds = ?, reports_rnd = ?,
                                legal_name = ? WHERE id = ?",
        )?
        .execute((
            &after.name,
            after.kind.word(),
            after.class.word(),
            after.state.word(),
            after.cancel_window_seconds,
            after.reports_rnd,
            &after.legal_name,
            id.get(),
        ))?;
    if let Some(deed) = deeds::account_altered(&before, &after, &act, doer) {
        write_deeds(tables, &[deed])?;
    }
    Ok(Altered::Done(Box::new((after, holdings))))
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
    async fn make_account(
        &self,
        account: NewAccount,
        once: Option<Once<Account>>,
        doer: Doer,
    ) -> Result<Account> {
        let work = move |tables: &mut Tables<'_>| {
            done_once(tables, once.as_ref(), |tables| create_account(tables, account, &doer))
        };
        self.writer.write(work).await
    }

    async fn has_account(&self, id: AccountId) -> Result<bool> {
        let known = move |connection: &Connection| {
            let mut known = connection.prepare_cached("SELECT 1 FROM account WHERE id = ?")?;
            Ok(known.exists([id.get()])?)
        };
        self.readers.read(known).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>> {
        self.readers.read(move |connection| account_with_premises(connection, id)).await
    }

    async fn alter_account(
        &self,
        id: AccountId,
        act: AccountAct,
        once: Option<Once<Altered>>,
        doer: Doer,
    ) -> Result<Altered> {
        let work = move |tables: &mut Tables<'_>| {
            done_once(tables, once.as_ref(), |tables| alter_account(tables, id, act, &doer))
        };
        self.writer.write(work).await
    }

    async fn account_held(&self, id: AccountId) -> Result<Option<Held>> {
        self.readers.read(move |connection| account_held(connection, id)).await
    }

    async fn accounts_held(&self, after: Option<AccountId>, most: usize) -> Result<Vec<Held>> {
        self.readers.read(move |connection| accounts_held(connection, after, most)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        self.readers.read(|connection| accounts(connection, None)).await
    }
}
