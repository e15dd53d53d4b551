//! Users: how they are found, made, changed and removed.
//!
//! An account is locked while its users change. For operators, who have none, the row of account 0 stands.

use std::collections::BTreeSet;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::account::Role;
use onhook_core::account::user::{Asker, Person, folded};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::accounts::must_exist;
use super::deeds::write_deeds;
use super::once::once as done_once;
use super::open::PostgresStore;
use super::random::random;
use super::row::{account_or, get, limit, small, time, word};
use super::statement::{Value, execute, row, rows};
use super::transaction::{reading, transaction};
use crate::codes::rights_of;
use crate::contract::once::Once;
use crate::contract::page::LIST_MAX;
use crate::contract::users::{NewUser, User, UserChange, UserChanged, Users};
use crate::plan::deeds;
use crate::plan::users::{self as plan, Write};
use crate::{Result, StoreError};

const USER_COLUMNS: &str = "name, account, role, password_hash, generation, rights, created_at,
     coalesce((SELECT a.state = 'closed' FROM account a WHERE a.id = users.account), false)";

fn of(account: AccountId) -> i64 {
    account.get().into()
}

async fn user(client: &Client, name: &str) -> Result<Option<User>> {
    user_under(client, name, "").await
}

async fn user_under(client: &Client, name: &str, lock: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE folded = $1 {lock}");
    row(client, &sql, &[&&*folded(name)]).await?.as_ref().map(read_user).transpose()
}

/// Returns a user by name. Nobody changes or removes it before the transaction ends.
pub(super) async fn unchanged_user(client: &Client, name: &str) -> Result<Option<User>> {
    user_under(client, name, "FOR SHARE").await
}

async fn users(client: &Client) -> Result<Vec<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users ORDER BY folded");
    rows(client, &sql, &[]).await?.iter().map(read_user).collect()
}

async fn users_of(client: &Client, account: AccountId) -> Result<Vec<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM users WHERE account = $1 ORDER BY folded LIMIT $2");
    rows(client, &sql, &[&of(account), &limit(LIST_MAX)]).await?.iter().map(read_user).collect()
}

/// Returns how many users an account has, or how many of a role.
async fn count_users<N: TryFrom<i64>>(client: &Client, account: AccountId, role: Option<Role>) -> Result<N> {
    let sql = "SELECT count(*) FROM users WHERE account = $1 AND role = coalesce($2, role)";
    let found = row(client, sql, &[&of(account), &role.map(Role::word)]).await?;
    found.map(|row| small(&row, 0)).transpose()?.ok_or_else(|| crate::error::corrupt("a count is missing"))
}

fn read_user(row: &Row) -> Result<User> {
    Ok(User {
        name: get(row, 0)?,
        account: account_or(row, 1)?,
        role: word(row, 2)?,
        rights: rights_of(small(row, 5)?)?,
        password_hash: get(row, 3)?,
        created_at: time(row, 6)?,
        is_closed: get(row, 7)?,
        generation: get(row, 4)?,
    })
}

/// Locks accounts, and operators if `None` is among them, in the order of their ids.
async fn lock(client: &Client, accounts: &BTreeSet<Option<AccountId>>) -> Result<()> {
    let accounts: Vec<i64> = accounts.iter().map(|account| account.map_or(0, of)).collect();
    let sql = "SELECT 1 FROM queue WHERE account = ANY($1) ORDER BY account FOR UPDATE";
    execute(client, sql, &[&accounts]).await?;
    Ok(())
}

/// Locks the accounts of these users and `also`. Users that were made for another account meanwhile are looked up again.
async fn lock_accounts_of(client: &Client, names: &[&str], also: Option<Option<AccountId>>) -> Result<()> {
    let mut accounts = BTreeSet::from_iter(also);
    loop {
        for name in names {
            accounts.extend(user(client, name).await?.map(|user| user.account));
        }
        lock(client, &accounts).await?;
        let mut same = true;
        for name in names {
            same &= user(client, name).await?.is_none_or(|user| accounts.contains(&user.account));
        }
        if same {
            return Ok(());
        }
    }
}

async fn create_user(client: &Client, user: &NewUser, doer: &Doer) -> Result<()> {
    if let Some(account) = user.account {
        must_exist(client, account).await?;
    }
    let sql = "INSERT INTO users (folded, name, account, role, password_hash, generation, rights, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let values: [&dyn Value; 8] = [
        &&*folded(&user.name),
        &user.name,
        &user.account.map(of),
        &user.role.word(),
        &user.password_hash,
        &generation()?,
        &i64::from(user.rights.bits()),
        &doer.now.millis(),
    ];
    if execute(client, sql, &values).await? == 0 {
        return Err(StoreError::user_exists(&user.name));
    }
    write_deeds(client, &[deeds::user_created(user, doer)]).await
}

/// Locks the accounts of `asker` and of the users called `names`, and `also`, and returns the asker as they are now. `None`
/// if they are no longer a user.
async fn known_asker(
    client: &Client,
    asker: &Asker,
    names: &[&str],
    also: Option<Option<AccountId>>,
) -> Result<Option<Person>> {
    match asker {
        Asker::AtTheMachine => {
            lock_accounts_of(client, names, also).await?;
            Ok(Some(Person::at_the_machine()))
        }
        Asker::User(asker) => {
            lock_accounts_of(client, &[&[asker.as_str()], names].concat(), also).await?;
            Ok(user(client, asker).await?.map(|user| user.person()))
        }
    }
}

async fn make_user(client: &Client, asker: &Asker, new: &NewUser, doer: &Doer) -> Result<UserChanged> {
    let asker = known_asker(client, asker, &[], Some(new.account)).await?;
    let there = match new.account {
        Some(account) => count_users(client, account, None).await?,
        None => 0,
    };
    match plan::make(asker.as_ref(), new, there) {
        Ok(()) => create_user(client, new, doer).await.map(|()| UserChanged::Done),
        Err(why) => Ok(UserChanged::Refused(why)),
    }
}

async fn change_user(
    client: &Client,
    asker: &Asker,
    name: &str,
    change: UserChange,
    doer: &Doer,
) -> Result<UserChanged> {
    let asker = known_asker(client, asker, &[name], None).await?;
    let found = user(client, name).await?;
    let admins = match found.as_ref().and_then(|user| user.account) {
        Some(account) => count_users(client, account, Some(Role::Admin)).await?,
        None => 0,
    };
    let planned = plan::change(asker.as_ref(), found.clone(), admins, change);
    if let (Some(before), Ok(write)) = (&found, &planned) {
        write_deeds(client, &[deeds::user_changed(before, write, doer)]).await?;
    }
    match planned {
        Err(why) => return Ok(UserChanged::Refused(why)),
        Ok(Write::Remove) => {
            execute(client, "DELETE FROM users WHERE folded = $1", &[&&*folded(name)]).await?;
        }
        Ok(Write::Set { password_hash, role, rights }) => {
            let sql = "UPDATE users SET password_hash = $1, role = $2, generation = $3, rights = $5 WHERE folded = $4";
            let rights = i64::from(rights.bits());
            let values: [&dyn Value; 5] =
                [&password_hash, &role.word(), &generation()?, &&*folded(name), &rights];
            execute(client, sql, &values).await?;
        }
    }
    Ok(UserChanged::Done)
}

/// Draws a user's generation. It is random, so that no earlier one returns if a user is removed and made again, or if
/// a store is set back to an older copy.
fn generation() -> Result<i64> {
    Ok(i64::from_le_bytes(random()?))
}

#[async_trait]
impl Users for PostgresStore {
    async fn create_user(&self, user: NewUser, now: Timestamp) -> Result<()> {
        transaction!(self, tx => create_user(&tx, &user, &Doer::offline(now)).await)
    }

    async fn make_user(
        &self,
        asker: Asker,
        user: NewUser,
        once: Option<Once<UserChanged>>,
        doer: Doer,
    ) -> Result<UserChanged> {
        transaction!(self, tx => done_once(&tx, once.as_ref(), make_user(&tx, &asker, &user, &doer)).await)
    }

    async fn change_user(
        &self,
        asker: Asker,
        name: String,
        change: UserChange,
        doer: Doer,
    ) -> Result<UserChanged> {
        transaction!(self, tx => change_user(&tx, &asker, &name, change.clone(), &doer).await)
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        reading!(self, client => user(&client, name).await)
    }

    fn token_key(&self) -> [u8; 32] {
        self.token_key
    }

    async fn users(&self) -> Result<Vec<User>> {
        reading!(self, client => users(&client).await)
    }

    async fn users_of(&self, account: AccountId) -> Result<Vec<User>> {
        reading!(self, client => users_of(&client, account).await)
    }
}
