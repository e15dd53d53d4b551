//! Users: who may make, change or remove whom, and what is then written.

use onhook_core::account::Role;
use onhook_core::account::user::{Act, Person, Rights, UserRefusal, may, may_make};

use crate::contract::page::LIST_MAX;
use crate::contract::users::{NewUser, User, UserChange};

/// What becomes of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is removed.
    Remove,
    /// It has this password, role and rights, and a new generation: its tokens end.
    Set {
        /// Its password as an argon2id hash in PHC form.
        password_hash: String,
        /// Its role.
        role: Role,
        /// Its rights.
        rights: Rights,
    },
}

/// Plans that `asker` makes a user of an account which has `there` users. `asker` is `None` if they are a user no
/// longer. The account must exist, and no user may have the name: that is checked when the row is written.
///
/// # Errors
/// Why nothing is written.
pub fn make(asker: Option<&Person>, user: &NewUser, there: usize) -> Result<(), UserRefusal> {
    may_make(asker.ok_or(UserRefusal::Forbidden)?, user.account, user.role, user.rights)?;
    if user.account.is_some() && there >= LIST_MAX { Err(UserRefusal::Full) } else { Ok(()) }
}

/// Plans that `asker` changes or removes a user, whose account has `admins` administrators. `asker` is `None` if they
/// are a user no longer, and `user` if there is no such user.
///
/// # Errors
/// Why nothing is written.
pub fn change(
    asker: Option<&Person>,
    user: Option<User>,
    admins: u32,
    change: UserChange,
) -> Result<Write, UserRefusal> {
    let asker = asker.ok_or(UserRefusal::Forbidden)?;
    let user = user.ok_or(UserRefusal::NoUser)?;
    let person = user.person();
    let may = |act| may(asker, act, &person, admins);
    match change {
        UserChange::Removed => may(Act::Remove).map(|()| Write::Remove),
        UserChange::Set { password_hash, role, rights } => {
            if password_hash.is_some() {
                may(Act::Password)?;
            }
            if let Some(role) = role {
                may(Act::Role(role))?;
            }
            if let Some(rights) = rights {
                may(Act::Rights(rights))?;
            }
            let password_hash = password_hash.unwrap_or(user.password_hash);
            let (role, rights) = (role.unwrap_or(user.role), rights.unwrap_or(user.rights));
            Ok(Write::Set { password_hash, role, rights })
        }
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::account::user::Right;
    use onhook_core::ids::AccountId;
    use onhook_core::time::Timestamp;

    use super::*;

    fn user(name: &str, role: Role) -> User {
        User {
            name: name.into(),
            account: AccountId::new(1),
            role,
            rights: Rights::NONE,
            password_hash: "old".to_owned(),
            created_at: Timestamp::default(),
            is_closed: false,
            generation: 0,
        }
    }

    #[test]
    fn an_account_has_only_so_many_users() {
        let new = |account, role| NewUser {
            name: "new".into(),
            account: AccountId::new(account),
            role,
            rights: Rights::NONE,
            password_hash: String::new(),
        };
        let admin = user("admin", Role::Admin).person();
        assert_eq!(make(Some(&admin), &new(1, Role::Read), LIST_MAX - 1), Ok(()));
        assert_eq!(make(Some(&admin), &new(1, Role::Read), LIST_MAX), Err(UserRefusal::Full));
        assert_eq!(make(Some(&admin), &new(1, Role::Operator), LIST_MAX), Err(UserRefusal::Forbidden));
        assert_eq!(make(None, &new(1, Role::Read), 0), Err(UserRefusal::Forbidden));
        let operator = Person::at_the_machine();
        assert_eq!(make(Some(&operator), &new(0, Role::Operator), LIST_MAX), Ok(()), "no account is full");
    }

    #[test]
    fn each_part_of_a_change_must_be_allowed_and_the_rest_stays() {
        let (admin, reader) = (user("admin", Role::Admin), user("reader", Role::Read));
        let set = |hash: Option<&str>, role| UserChange::Set {
            password_hash: hash.map(str::to_owned),
            role,
            rights: None,
        };
        let by = |asker: &User, of: &User, what| change(Some(&asker.person()), Some(of.clone()), 1, what);
        let kept =
            |hash: &str, role| Ok(Write::Set { password_hash: hash.to_owned(), role, rights: Rights::NONE });
        assert_eq!(by(&admin, &reader, set(None, Some(Role::Order))), kept("old", Role::Order));
        assert_eq!(by(&reader, &reader, set(Some("new"), None)), kept("new", Role::Read));
        let both = set(Some("new"), Some(Role::Order));
        assert_eq!(by(&reader, &reader, both), Err(UserRefusal::Forbidden));
        assert_eq!(by(&admin, &reader, UserChange::Removed), Ok(Write::Remove));
        assert_eq!(by(&admin, &admin, UserChange::Removed), Err(UserRefusal::LastAdmin));
        let unlock: Rights = [Right::Unlock].into_iter().collect();
        let give = UserChange::Set { password_hash: None, role: None, rights: Some(unlock) };
        let given = Write::Set { password_hash: "old".into(), role: Role::Read, rights: unlock };
        assert_eq!(by(&admin, &reader, give.clone()), Ok(given));
        assert_eq!(by(&admin, &admin, give), Err(UserRefusal::SamePerson));
        let nobody = change(Some(&admin.person()), None, 1, UserChange::Removed);
        assert_eq!(nobody, Err(UserRefusal::NoUser));
        assert_eq!(change(None, None, 1, UserChange::Removed), Err(UserRefusal::Forbidden));
    }
}
