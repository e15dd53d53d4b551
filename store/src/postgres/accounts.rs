//! Accounts, each with its sites and peers.

use std::collections::HashMap;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::account::change::{AccountAct, Holdings, alter};
use onhook_core::account::{Account, Peer, Premises, Site};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;
use tokio_postgres::Row;

use super::deeds::write_deeds;
use super::jobs::no_import;
use super::once::once as done_once;
use super::open::PostgresStore;
use super::row::{account_of, get, limit, peer_of, site_of, small, small_or, time, word};
use super::statement::{Value, execute, row, rows, together};
use super::transaction::{reading, transaction};
use crate::codes::{holdings, state_of};
use crate::contract::accounts::{Accounts, Altered, Held, NewAccount};
use crate::contract::once::Once;
use crate::plan::deeds;
use crate::{Result, StoreError};

async fn create_account(client: &Client, new: &NewAccount, doer: &Doer) -> Result<Account> {
    let created_at = doer.now;
    let NewAccount { id, name, kind, class } = new.clone();
    let sql = "INSERT INTO account (id, name, kind, class, created_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT DO NOTHING";
    let number = i64::from(id.get());
    let made =
        execute(client, sql, &[&number, &name, &kind.word(), &class.word(), &created_at.millis()]).await?;
    if made == 0 {
        return Err(StoreError::account_exists(id));
    }
    execute(client, "INSERT INTO queue (account) VALUES ($1) ON CONFLICT DO NOTHING", &[&number]).await?;
    let account = Account::new(id, name, kind, class, created_at);
    write_deeds(client, &[deeds::account_created(&account, doer)]).await?;
    Ok(account)
}

/// Locks an account until the transaction ends: none of its orders runs meanwhile, and its sites, peers, users,
/// applications and subscriptions stay as they are. Returns false if there is no such account.
pub(super) async fn lock_account(client: &Client, account: AccountId) -> Result<bool> {
    let sql = "SELECT 1 FROM queue WHERE account = $1 FOR UPDATE";
    Ok(execute(client, sql, &[&i64::from(account.get())]).await? > 0)
}

/// Locks those of some accounts that exist, as [`lock_account`], in the order of their ids.
pub(super) async fn lock_accounts(client: &Client, accounts: &[AccountId]) -> Result<()> {
    let sql = "SELECT 1 FROM queue WHERE account = ANY($1) ORDER BY account FOR UPDATE";
    execute(client, sql, &[&numbers(Some(accounts))]).await?;
    Ok(())
}

/// Locks an account, as [`lock_account`], and returns it with its sites and peers.
///
/// # Errors
/// `Conflict` if there is no such account.
pub(super) async fn must_exist(client: &Client, account: AccountId) -> Result<(Account, Premises)> {
    let unknown = || StoreError::no_account(account);
    if !lock_account(client, account).await? {
        return Err(unknown());
    }
    account_with_premises(client, account).await?.ok_or_else(unknown)
}

// Accounts.

const ACCOUNT_COLUMNS: &str =
    "id, name, kind, class, created_at, state, cancel_window_seconds, reports_rnd, legal_name";

/// Reads [`ACCOUNT_COLUMNS`].
fn read_account(row: &Row) -> Result<Account> {
    Ok(Account {
        id: account_of(row, 0)?,
        name: get(row, 1)?,
        kind: word(row, 2)?,
        class: word(row, 3)?,
        state: word(row, 5)?,
        cancel_window_seconds: small_or(row, 6)?,
        reports_rnd: get(row, 7)?,
        legal_name: get(row, 8)?,
        created_at: time(row, 4)?,
    })
}

/// Returns whether an account is closed.
pub(super) async fn is_closed(client: &Client, id: AccountId) -> Result<bool> {
    let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = $1");
    let found = row(client, &sql, &[&i64::from(id.get())]).await?;
    Ok(found.as_ref().map(read_account).transpose()?.is_some_and(|account| account.is_closed()))
}

/// Returns how many numbers each of these accounts has.
async fn held_by(client: &Client, accounts: Vec<Account>) -> Result<Vec<Held>> {
    let ids: Vec<i64> = accounts.iter().map(|account| account.id.get().into()).collect();
    let mut tallies: HashMap<AccountId, Vec<_>> = HashMap::new();
    for row in
        &rows(client, "SELECT account, state, numbers FROM tally WHERE account = ANY($1)", &[&ids]).await?
    {
        let numbers: i64 = get(row, 2)?;
        let counted = (state_of(small(row, 1)?)?, numbers.unsigned_abs());
        tallies.entry(account_of(row, 0)?).or_default().push(counted);
    }
    let held = |account: Account| {
        let holdings: Holdings = holdings(tallies.remove(&account.id).unwrap_or_default());
        (account, holdings)
    };
    Ok(accounts.into_iter().map(held).collect())
}

async fn account_held(client: &Client, id: AccountId) -> Result<Option<Held>> {
    let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = $1");
    let found = rows(client, &sql, &[&i64::from(id.get())]).await?;
    let found = found.iter().map(read_account).collect::<Result<Vec<_>>>()?;
    Ok(held_by(client, found).await?.pop())
}

async fn accounts_held(client: &Client, after: Option<AccountId>, most: usize) -> Result<Vec<Held>> {
    let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account WHERE id > $1 ORDER BY id LIMIT $2");
    let after = after.map_or(0, |id| i64::from(id.get()));
    let found = rows(client, &sql, &[&after, &limit(most)]).await?;
    held_by(client, found.iter().map(read_account).collect::<Result<_>>()?).await
}

async fn alter_account(client: &Client, id: AccountId, act: AccountAct, doer: &Doer) -> Result<Altered> {
    if !lock_account(client, id).await? {
        return Ok(Altered::Unknown);
    }
    let Some((before, holdings)) = account_held(client, id).await? else { return Ok(Altered::Unknown) };
    let number = i64::from(id.get());
    let waiting = "SELECT (SELECT count(*) FROM orders WHERE status = 0 AND account = $1)
                        + (SELECT count(*) FROM orders WHERE status = 4 AND account = $1)";
    let orders = row(client, waiting, &[&number]).await?.map_or(Ok(0), |row| get::<i64>(&row, 0))?;
    let after = match alter(before.clone(), act.clone(), holdings, orders.unsigned_abs()) {
        Ok(after) => after,
        Err(why) => return Ok(Altered::StaysOpen(why)),
    };
    if act == AccountAct::Close {
        no_import(client).await?;
    }
    let sql = "UPDATE account SET name = $1, kind = $2, class = $3, state = $4, cancel_window_seconds = $5,
                                  reports_rnd = $6, legal_name = $7 WHERE id = $8";
    let values: [&dyn Value; 8] = [
        &after.name,
        &after.kind.word(),
        &after.class.word(),
        &after.state.word(),
        &after.cancel_window_seconds.map(i64::from),
        &after.reports_rnd,
        &after.legal_name,
        &number,
    ];
    execute(client, sql, &values).await?;
    if let Some(deed) = deeds::account_altered(&before, &after, &act, doer) {
        write_deeds(client, &[deed]).await?;
    }
    Ok(Altered::Done(Box::new((after, holdings))))
}

/// Reads the columns id, account, name, is_default.
pub(super) fn read_site(row: &Row) -> Result<Site> {
    Ok(Site {
        id: site_of(row, 0)?,
        account: account_of(row, 1)?,
        name: get(row, 2)?,
        is_default: get(row, 3)?,
    })
}

/// Reads the columns id, account, site, name, is_default.
pub(super) fn read_peer(row: &Row) -> Result<Peer> {
    Ok(Peer {
        id: peer_of(row, 0)?,
        account: account_of(row, 1)?,
        site: site_of(row, 2)?,
        name: get(row, 3)?,
        is_default: get(row, 4)?,
    })
}

/// Returns all sites, or those of some accounts, in the order of their ids.
pub(super) async fn sites(client: &Client, only: Option<&[AccountId]>) -> Result<Vec<Site>> {
    let sql = "SELECT id, account, name, is_default FROM site WHERE account = ANY($1) OR $2 ORDER BY id";
    rows(client, sql, &[&numbers(only), &only.is_none()]).await?.iter().map(read_site).collect()
}

/// Returns all peers, or those of some accounts, in the order of their ids.
pub(super) async fn peers(client: &Client, only: Option<&[AccountId]>) -> Result<Vec<Peer>> {
    let sql =
        "SELECT id, account, site, name, is_default FROM peer WHERE account = ANY($1) OR $2 ORDER BY id";
    rows(client, sql, &[&numbers(only), &only.is_none()]).await?.iter().map(read_peer).collect()
}

fn numbers(only: Option<&[AccountId]>) -> Vec<i64> {
    only.unwrap_or_default().iter().map(|id| id.get().into()).collect()
}

/// Returns an account with its sites and peers.
pub(super) async fn account_with_premises(
    client: &Client,
    id: AccountId,
) -> Result<Option<(Account, Premises)>> {
    Ok(accounts_with_premises(client, &[id]).await?.remove(&id))
}

/// Returns those of some accounts that exist, with their sites and peers.
pub(super) async fn accounts_with_premises(
    client: &Client,
    ids: &[AccountId],
) -> Result<HashMap<AccountId, (Account, Premises)>> {
    let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account WHERE id = ANY($1)");
    let wanted = numbers(Some(ids));
    let values: [&dyn Value; 1] = [&wanted];
    let (accounts, sites, peers) =
        together!(rows(client, &sql, &values), sites(client, Some(ids)), peers(client, Some(ids)))?;
    let mut found = HashMap::with_capacity(accounts.len());
    for row in &accounts {
        let account = read_account(row)?;
        found.insert(account.id, (account, Premises { sites: Vec::new(), peers: Vec::new() }));
    }
    for site in sites {
        if let Some((_, premises)) = found.get_mut(&site.account) {
            premises.sites.push(site);
        }
    }
    for peer in peers {
        if let Some((_, premises)) = found.get_mut(&peer.account) {
            premises.peers.push(peer);
        }
    }
    Ok(found)
}

#[async_trait]
impl Accounts for PostgresStore {
    async fn make_account(
        &self,
        account: NewAccount,
        once: Option<Once<Account>>,
        doer: Doer,
    ) -> Result<Account> {
        transaction!(self, tx => {
            done_once(&tx, once.as_ref(), create_account(&tx, &account, &doer)).await
        })
    }

    async fn has_account(&self, id: AccountId) -> Result<bool> {
        if self.accounts.has(id) {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM account WHERE id = $1";
        let found = reading!(self, client => row(&client, sql, &[&i64::from(id.get())]).await)?;
        if found.is_some() {
            self.accounts.add(id);
        }
        Ok(found.is_some())
    }

    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>> {
        reading!(self, client => account_with_premises(&client, id).await)
    }

    async fn alter_account(
        &self,
        id: AccountId,
        act: AccountAct,
        once: Option<Once<Altered>>,
        doer: Doer,
    ) -> Result<Altered> {
        transaction!(self, tx => {
            done_once(&tx, once.as_ref(), alter_account(&tx, id, act.clone(), &doer)).await
        })
    }

    async fn account_held(&self, id: AccountId) -> Result<Option<Held>> {
        reading!(self, client => account_held(&client, id).await)
    }

    async fn accounts_held(&self, after: Option<AccountId>, most: usize) -> Result<Vec<Held>> {
        reading!(self, client => accounts_held(&client, after, most).await)
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account ORDER BY id");
        reading!(self, client => {
            rows(&client, &sql, &[]).await.and_then(|found| found.iter().map(read_account).collect())
        })
    }
}
