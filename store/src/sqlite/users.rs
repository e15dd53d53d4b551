//! Users, written inside the writer's transaction.

use onhook_core::account::user::{self, Act, Asker, Person, UserRefusal};
use onhook_core::ids::AccountId;

use super::writer::Tables;
use super::{reader, row};
use crate::{LIST_MAX, NewUser, Result, StoreError, UserChange};

impl Tables<'_> {
    pub(super) fn create_user(&mut self, user: NewUser) -> Result<()> {
        if let Some(account) = user.account {
            self.must_exist(account)?;
        }
        let made = self
            .connection
            .prepare_cached(
                "INSERT INTO user (folded, name, account, role, password_hash, generation)
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute((
                user::folded(&user.name),
                &user.name,
                user.account.map(AccountId::get),
                user.role.word(),
                &user.password_hash,
                generation()?,
            ))?;
        match made {
            0 => Err(StoreError::Conflict(format!("user {} exists", user.name))),
            _ => Ok(()),
        }
    }

    pub(super) fn make_user(
        &mut self,
        asker: String,
        user: NewUser,
    ) -> Result<std::result::Result<(), UserRefusal>> {
        let Some(asker) = self.asker(Asker::User(asker))? else { return Ok(Err(UserRefusal::Forbidden)) };
        if let Err(why) = user::may_make(&asker, user.account, user.role) {
            return Ok(Err(why));
        }
        if let Some(account) = user.account
            && usize::try_from(reader::count_users(self.connection, account)?).is_ok_and(|n| n >= LIST_MAX)
        {
            return Ok(Err(UserRefusal::Full));
        }
        self.create_user(user).map(Ok)
    }

    /// Who asks, as they are now; none when they are no user any more.
    fn asker(&self, asker: Asker) -> Result<Option<Person>> {
        match asker {
            Asker::AtTheMachine => Ok(Some(Person::at_the_machine())),
            Asker::User(name) => Ok(reader::user(self.connection, &name)?.map(|user| user.person())),
        }
    }

    pub(super) fn change_user(
        &mut self,
        asker: Asker,
        name: &str,
        change: UserChange,
    ) -> Result<std::result::Result<(), UserRefusal>> {
        let Some(asker) = self.asker(asker)? else { return Ok(Err(UserRefusal::Forbidden)) };
        let Some(user) = reader::user(self.connection, name)? else { return Ok(Err(UserRefusal::NoUser)) };
        let admins = match user.account {
            Some(account) => reader::admins(self.connection, account)?,
            None => 0,
        };
        let person = user.person();
        let may = |act| user::may(&asker, act, &person, admins);
        let judged = match &change {
            UserChange::Removed => may(Act::Remove),
            UserChange::Said { password_hash, role } => {
                let password = password_hash.as_ref().map_or(Ok(()), |_| may(Act::Password));
                password.and(role.map_or(Ok(()), |role| may(Act::Role(role))))
            }
        };
        if let Err(why) = judged {
            return Ok(Err(why));
        }
        match change {
            UserChange::Removed => {
                self.connection
                    .prepare_cached("DELETE FROM user WHERE folded = ?")?
                    .execute([user::folded(name)])?;
            }
            UserChange::Said { password_hash, role } => {
                let hash = password_hash.unwrap_or(user.password_hash);
                let role = role.unwrap_or(user.role);
                self.connection
                    .prepare_cached(
                        "UPDATE user SET password_hash = ?, role = ?, generation = ? WHERE folded = ?",
                    )?
                    .execute((hash, role.word(), generation()?, user::folded(name)))?;
            }
        }
        Ok(Ok(()))
    }
}

/// Draws a user's generation. It is random, so that a user who is removed and made again, or a store that is set
/// back to an older copy, does not come to an earlier one again.
fn generation() -> Result<i64> {
    Ok(i64::from_le_bytes(row::random()?))
}
