//! Who may do what to users. Nobody gives a role above their own. An account's users cannot remove its last
//! administrator.
//!
//! Not here: how a password is stored and compared (`server::http::auth`).

use std::borrow::Cow;

use crate::account::Role;
use crate::ids::AccountId;

/// Most bytes of a user's name.
pub const NAME_MAX: usize = 255;
/// Fewest bytes of a password.
pub const PASSWORD_MIN: usize = 8;
/// Most bytes of a password.
pub const PASSWORD_MAX: usize = 1_024;

/// The name of the person who works on the machine itself. No user has it.
pub const MACHINE: &str = "machine";

/// Somebody who signs in, or who works on the machine itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name they sign in with.
    pub name: String,
    /// Their account. `None` for an operator.
    pub account: Option<AccountId>,
    /// What they may do.
    pub role: Role,
}

impl Person {
    /// Returns the person who works on the machine itself. They may do what an operator may.
    #[must_use]
    pub fn at_the_machine() -> Self {
        Self { name: String::new(), account: None, role: Role::Operator }
    }
}

/// Who asks for a change of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A person on the machine itself.
    AtTheMachine,
    /// The user of this name. Their rights are checked when the change is made, since a request can take its time.
    User(String),
}

/// A change of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Give another password.
    Password,
    /// Give another role.
    Role(Role),
    /// Remove the user.
    Remove,
}

/// Why a change of a user is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserRefusal {
    /// There is no such user, or the asker may not know of it.
    #[error("there is no such user")]
    NoUser,
    /// The asker may not do this.
    #[error("this may not be done")]
    Forbidden,
    /// The account would have no administrator left.
    #[error("it is the only administrator of its account")]
    LastAdmin,
    /// The account has the most users it may have.
    #[error("the account has as many users as it may")]
    Full,
    /// An operator has no account, and every other user has one.
    #[error("an operator has no account, and every other user has one")]
    Misfit,
}

/// The rule of [`is_name`] in words.
pub const NAME_RULE: &str = "a user's name has 1 to 255 bytes, no colon, no control or format characters, and is not . or .., nor machine";

/// Returns whether a user may have this name: 1 to [`NAME_MAX`] bytes; no colon, which ends a name in an
/// `Authorization` header; no control or format characters, which make one name look like another; not `.` or `..`,
/// which a path cannot end with; and not [`MACHINE`], in whatever case.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let hidden = |c: char| c.is_control() || FORMAT.iter().any(|(first, last)| (*first..=*last).contains(&c));
    (1..=NAME_MAX).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == ':' || hidden(c))
        && folded(name) != MACHINE
}

/// Invisible characters that change the text around them: Unicode's category Cf (version 17), and the
/// separators of lines and paragraphs.
const FORMAT: [(char, char); 21] = [
    ('\u{AD}', '\u{AD}'),
    ('\u{600}', '\u{605}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{6DD}', '\u{6DD}'),
    ('\u{70F}', '\u{70F}'),
    ('\u{890}', '\u{891}'),
    ('\u{8E2}', '\u{8E2}'),
    ('\u{180E}', '\u{180E}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{2028}', '\u{202E}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFF9}', '\u{FFFB}'),
    ('\u{110BD}', '\u{110BD}'),
    ('\u{110CD}', '\u{110CD}'),
    ('\u{13430}', '\u{1343F}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0001}', '\u{E0001}'),
    ('\u{E0020}', '\u{E007F}'),
];

/// Returns a name without regard to case. Two names are one if this is the same for both. All lookups and counts by
/// name use it.
#[must_use]
pub fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    // Down, up and down again, so that letters with several small forms become one.
    let lower = name.chars().flat_map(char::to_lowercase);
    Cow::Owned(lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect())
}

/// Returns whether this may be a password: [`PASSWORD_MIN`] to [`PASSWORD_MAX`] bytes without control characters.
#[must_use]
pub fn is_password(password: &str) -> bool {
    (PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()) && !password.contains(char::is_control)
}

/// Checks that `asker` may make a user of this account with this role.
///
/// # Errors
/// [`UserRefusal::Forbidden`], or else [`UserRefusal::Misfit`] if role and account do not fit.
pub fn may_make(asker: &Person, account: Option<AccountId>, role: Role) -> Result<(), UserRefusal> {
    let theirs = asker.role == Role::Operator || (account.is_some() && asker.account == account);
    match (theirs && asker.role >= Role::Admin && role <= asker.role, fits(account, role)) {
        (false, _) => Err(UserRefusal::Forbidden),
        (true, false) => Err(UserRefusal::Misfit),
        (true, true) => Ok(()),
    }
}

/// Checks that `asker` may do this to `user`, whose account has `admins` administrators. Everybody may choose their own
/// password. All else takes an administrator of the account.
///
/// # Errors
/// [`UserRefusal`].
pub fn may(asker: &Person, act: Act, user: &Person, admins: u32) -> Result<(), UserRefusal> {
    let operator = asker.role == Role::Operator;
    if !operator && (user.account.is_none() || asker.account != user.account) {
        return Err(UserRefusal::NoUser);
    }
    if act == Act::Password && asker.name == user.name {
        return Ok(());
    }
    if asker.role < Role::Admin {
        return Err(UserRefusal::Forbidden);
    }
    let loses_admin = match act {
        Act::Password => false,
        Act::Role(role) if role > asker.role => return Err(UserRefusal::Forbidden),
        Act::Role(role) if !fits(user.account, role) => return Err(UserRefusal::Misfit),
        Act::Role(role) => role < Role::Admin,
        Act::Remove => true,
    };
    let is_last = user.role == Role::Admin && admins <= 1;
    if loses_admin && is_last && !operator { Err(UserRefusal::LastAdmin) } else { Ok(()) }
}

/// Returns whether a role goes with an account: an operator has none, and every other user has one.
#[must_use]
pub fn fits(account: Option<AccountId>, role: Role) -> bool {
    account.is_none() == (role == Role::Operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, account: u32, role: Role) -> Person {
        Person { name: name.into(), account: AccountId::new(account), role }
    }

    #[test]
    fn nobody_gives_rights_that_they_lack() {
        for asker in [Role::Read, Role::Order, Role::Admin, Role::Operator] {
            let account = if asker == Role::Operator { 0 } else { 1 };
            let asker = person("asker", account, asker);
            for role in Role::ALL {
                let made = may_make(&asker, AccountId::new(1), *role);
                let changed = may(&asker, Act::Role(*role), &person("other", 1, Role::Read), 1);
                let good = asker.role >= Role::Admin && *role <= Role::Admin;
                assert_eq!((made.is_ok(), changed.is_ok()), (good, good), "{asker:?} {role}");
            }
        }
    }

    #[test]
    fn another_account_s_users_and_operators_are_nobody() {
        let admin = person("admin", 1, Role::Admin);
        for other in [person("neighbour", 2, Role::Read), person("operator", 0, Role::Operator)] {
            for act in [Act::Password, Act::Remove, Act::Role(Role::Read), Act::Role(Role::Operator)] {
                assert_eq!(may(&admin, act, &other, 5), Err(UserRefusal::NoUser), "{act:?} {other:?}");
            }
        }
        assert_eq!(may_make(&admin, AccountId::new(2), Role::Read), Err(UserRefusal::Forbidden));
        assert_eq!(may_make(&admin, None, Role::Operator), Err(UserRefusal::Forbidden));
    }

    #[test]
    fn the_last_administrator_stays_unless_an_operator_says_otherwise() {
        let admin = person("admin", 1, Role::Admin);
        for act in [Act::Remove, Act::Role(Role::Order)] {
            assert_eq!(may(&admin, act, &admin, 1), Err(UserRefusal::LastAdmin));
            assert_eq!(may(&admin, act, &admin, 2), Ok(()));
            assert_eq!(may(&Person::at_the_machine(), act, &admin, 1), Ok(()));
        }
        assert_eq!(may(&admin, Act::Role(Role::Admin), &admin, 1), Ok(()));
        assert_eq!(may(&admin, Act::Remove, &person("reader", 1, Role::Read), 1), Ok(()));
    }

    #[test]
    fn everybody_chooses_their_own_password_and_no_other() {
        let reader = person("reader", 1, Role::Read);
        assert_eq!(may(&reader, Act::Password, &reader, 1), Ok(()));
        let other = person("orderer", 1, Role::Order);
        assert_eq!(may(&reader, Act::Password, &other, 1), Err(UserRefusal::Forbidden));
        assert_eq!(may(&other, Act::Remove, &other, 1), Err(UserRefusal::Forbidden));
        let operator = person("operator", 0, Role::Operator);
        assert_eq!(may(&operator, Act::Role(Role::Admin), &operator, 0), Err(UserRefusal::Misfit));
        assert_eq!(may(&operator, Act::Role(Role::Operator), &reader, 1), Err(UserRefusal::Misfit));
    }

    #[test]
    fn names_are_what_a_header_can_carry() {
        for (name, good) in
            [("username", true), ("a b@example.com", true), ("", false), ("a:b", false), ("a\nb", false)]
        {
            assert_eq!(is_name(name), good, "{name:?}");
        }
        assert!(!is_name(&"a".repeat(NAME_MAX + 1)));
    }

    #[test]
    fn no_name_hides_what_it_is_or_leads_up_a_path() {
        for hidden in
            ['\u{202E}', '\u{200B}', '\u{AD}', '\u{FEFF}', '\u{2029}', '\u{E0041}', '\u{85}', '\u{7F}']
        {
            assert!(!is_name(&format!("user{hidden}name")), "{hidden:?}");
        }
        for (name, good) in [(".", false), ("..", false), ("...", true), (".a", true), ("B\u{FC}ro", true)] {
            assert_eq!(is_name(name), good, "{name}");
        }
        for (name, good) in [(MACHINE, false), ("Machine", false), ("machines", true)] {
            assert_eq!(is_name(name), good, "{name}");
        }
        assert!(FORMAT.iter().all(|(first, last)| first <= last));
    }

    #[test]
    fn names_are_one_whatever_the_case_of_their_letters() {
        for (one, other) in
            [("admin1", "ADMIN1"), ("B\u{FC}ro", "b\u{DC}RO"), ("\u{3C3}", "\u{3C2}"), ("k", "\u{212A}")]
        {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("admin1"), folded("admin2"));
        assert!(matches!(folded("user name@example.com"), Cow::Borrowed(_)));
        // A name that is folded stays as it is, whatever letter is in it.
        for letter in (0..0x1_F000).filter_map(char::from_u32) {
            let once = folded(letter.encode_utf8(&mut [0; 4])).into_owned();
            assert_eq!(folded(&once), once, "{letter:?}");
        }
    }
}
