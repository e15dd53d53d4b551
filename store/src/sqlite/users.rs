//! Users: how they are found, made, changed and removed.

use async_trait::async_trait;
use onhook_core::account::Role;
use onhook_core::account::user::{self, Asker, Person, folded};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::accounts::must_exist;
use super::deeds::write_deeds;
use super::once::once as done_once;
use super::open::SqliteStore;
use super::row::{self, limit, list, of};
use super::tables::Tables;
use crate::codes::rights_of;
use crate::contract::once::Once;
use crate::contract::page::LIST_MAX;
use crate::contract::users::{NewUser, User, UserChange, UserChanged, Users};
use crate::plan::deeds;
use crate::plan::users::{self as plan, Write};
use crate::{Result, StoreError};

const USER_COLUMNS: &str = "name, account, role, password_hash, generation, rights, created_at,
     coalesce((SELECT a.state = 'closed' FROM account a WHERE a.id = user.account), 0)";

pub(super) fn user(connection: &Connection, name: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM user WHERE folded = ?");
    Ok(list(connection, &sql, vec![Value::Text(folded(name).into_owned())], read_user)?.pop())
}

fn users(connection: &Connection) -> Result<Vec<User>> {
    list(connection, &format!("SELECT {USER_COLUMNS} FROM user ORDER BY folded"), Vec::new(), read_user)
}

fn users_of(connection: &Connection, account: AccountId) -> Result<Vec<User>> {
    let sql = format!("SELECT {USER_COLUMNS} FROM user WHERE account = ? ORDER BY folded LIMIT ?");
    list(connection, &sql, vec![of(account), limit(LIST_MAX)], read_user)
}

/// Returns how many users an account has.
fn count_users(connection: &Connection, account: AccountId) -> Result<u32> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM user WHERE account = ?")?;
    Ok(statement.query_row([account.get()], |row| row.get(0))?)
}

/// Returns how many administrators an account has.
fn admins(connection: &Connection, account: AccountId) -> Result<u32> {
    let sql = "SELECT count(*) FROM user WHERE account = ? AND role = ?";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row((account.get(), Role::Admin.word()), |row| row.get(0))?)
}

fn read_user(row: &Row<'_>) -> Result<User> {
    let (account, role): (Option<u32>, String) = (row.get(1)?, row.get(2)?);
    Ok(User {
        name: row.get(0)?,
        account: account.map(row::account_id).transpose()?,
        role: row::role(&role)?,
        rights: rights_of(row.get(5)?)?,
        password_hash: row.get(3)?,
        created_at: Timestamp::from_millis(row.get(6)?),
        is_closed: row.get(7)?,
        generation: row.get(4)?,
    })
}

fn create_user(tables: &mut Tables<'_>, user: NewUser, doer: &Doer) -> Result<()> {
    if let Some(account) = user.account {
        must_exist(tables, account)?;
    }
    let made = tables
        .connection
        .prepare_cached(
            "INSERT INTO user (folded, name, account, role, password_hash, generation, rights, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute((
            user::folded(&user.name),
            &user.name,
            user.account.map(AccountId::get),
            user.role.word(),
            &user.password_hash,
            generation()?,
            user.rights.bits(),
            doer.now.millis(),
        ))?;
    if made == 0 {
        return Err(StoreError::user_exists(&user.name));
    }
    write_deeds(tables, &[deeds::user_created(&user, doer)])
}

fn make_user(tables: &mut Tables<'_>, asker: Asker, user: NewUser, doer: &Doer) -> Result<UserChanged> {
    let asker = known_asker(tables, asker)?;
    let there = user.account.map(|account| count_users(tables.connection, account)).transpose()?.unwrap_or(0);
    let there = usize::try_from(there).unwrap_or(usize::MAX);
    match plan::make(asker.as_ref(), &user, there) {
        Ok(()) => create_user(tables, user, doer).map(|()| UserChanged::Done),
        Err(why) => Ok(UserChanged::Refused(why)),
    }
}

/// Returns the asker as they are now. `None` if they are no longer a user.
fn known_asker(tables: &Tables<'_>, asker: Asker) -> Result<Option<Person>> {
    match asker {
        Asker::AtTheMachine => Ok(Some(Person::at_the_machine())),
        Asker::User(name) => Ok(user(tables.connection, &name)?.map(|user| user.person())),
    }
}

fn change_user(
    tables: &mut Tables<'_>,
    asker: Asker,
    name: &str,
    change: UserChange,
    doer: &Doer,
) -> Result<UserChanged> {
    let asker = known_asker(tables, asker)?;
    let found = user(tables.connection, name)?;
    let account = found.as_ref().and_then(|user| user.account);
    let admins = account.map(|account| admins(tables.connection, account)).transpose()?.unwrap_or(0);
    let planned = plan::change(asker.as_ref(), found.clone(), admins, change);
    if let (Some(before), Ok(write)) = (&found, &planned) {
        write_deeds(tables, &[deeds::user_changed(before, write, doer)])?;
    }
    match planned {
        Err(why) => return Ok(UserChanged::Refused(why)),
        Ok(Write::Remove) => {
            tables
                .connection
                .prepare_cached("DELETE FROM user WHERE folded = ?")?
                .execute([user::folded(name)])?;
        }
        Ok(Write::Set { password_hash, role, rights }) => {
            tables
                .connection
                .prepare_cached(
                    "UPDATE user SET password_hash = ?, role = ?, generation = ?, rights = ? WHERE folded = ?",
                )?
                .execute((password_hash, role.word(), generation()?, rights.bits(), user::folded(name)))?;
        }
    }
    Ok(UserChanged::Done)
}

/// Draws a user's generation. It is random, so that no earlier one returns if a user is removed and made again, or if
/// a store is set back to an older copy.
fn generation() -> Result<i64> {
    Ok(i64::from_le_bytes(row::random()?))
}

#[async_trait]
impl Users for SqliteStore {
    async fn create_user(&self, user: NewUser, now: Timestamp) -> Result<()> {
        self.writer.write(move |tables| create_user(tables, user, &Doer::offline(now))).await
    }

    async fn make_user(
        &self,
        asker: Asker,
        user: NewUser,
        once: Option<Once<UserChanged>>,
        doer: Doer,
    ) -> Result<UserChanged> {
        let work = move |tables: &mut Tables<'_>| {
            done_once(tables, once.as_ref(), |tables| make_user(tables, asker, user, &doer))
        };
        self.writer.write(work).await
    }

    async fn change_user(
        &self,
        asker: Asker,
        name: String,
        change: UserChange,
        doer: Doer,
    ) -> Result<UserChanged> {
        self.writer.write(move |tables| change_user(tables, asker, &name, change, &doer)).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let name = name.to_owned();
        self.readers.read(move |connection| user(connection, &name)).await
    }

    fn token_key(&self) -> [u8; 32] {
        self.token_key
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.readers.read(users).await
    }

    async fn users_of(&self, account: AccountId) -> Result<Vec<User>> {
        self.readers.read(move |connection| users_of(connection, account)).await
    }
}
