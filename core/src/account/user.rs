//! Who may do what to users. Nobody gives a role above their own, and nobody gives themselves a right. An account's
//! users cannot remove its last administrator. Operators are made, changed and removed on the machine itself: otherwise
//! one stolen password would make a second person for what needs two.
//!
//! Not here: how a password is stored and compared (`server::http::auth`).

use std::borrow::Cow;

use crate::account::Role;
use crate::ids::AccountId;
use crate::words::words;

words! {
    /// What a user may do beside the role. Operators have all rights.
    Right {
        /// End a lock of a number of the own account.
        Unlock = "unlock",
        /// Ask where calls to any number go, and who pays.
        Calls = "calls",
        /// Ask of any number whether it has changed hands.
        ChangedHands = "changed_hands",
    }
}

impl Right {
    /// Returns true if an administrator of an account may give it to another of its users. Operators give the others.
    const fn is_of_the_account(self) -> bool {
        matches!(self, Right::Unlock)
    }

    const fn bit(self) -> u8 {
        match self {
            Right::Unlock => 1,
            Right::Calls => 2,
            Right::ChangedHands => 4,
        }
    }
}

/// The rights of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);

    /// Returns whether this one is among them.
    #[must_use]
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Returns them in the order of the words.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.iter().copied().filter(move |right| self.has(*right))
    }

    /// Returns them as a number of bits, as stores keep them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns the rights of these bits. `None` if a bit stands for no right.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Self> {
        let all: Self = Right::ALL.iter().copied().collect();
        (bits & !all.0 == 0).then_some(Self(bits))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

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
    /// What they may do beside the role.
    pub rights: Rights,
    /// True for the person who works on the machine itself.
    pub at_machine: bool,
}

impl Person {
    /// Returns the person who works on the machine itself. They may do what an operator may, and what no stolen password
    /// must do.
    #[must_use]
    pub fn at_the_machine() -> Self {
        Self {
            name: MACHINE.to_owned(),
            account: None,
            role: Role::Operator,
            rights: Rights::NONE,
            at_machine: true,
        }
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
    /// Have exactly these rights.
    Rights(Rights),
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
    /// The asker would give themselves a right.
    #[error("nobody gives themselves a right")]
    SamePerson,
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

/// The rule of [`is_password`] in words.
pub const PASSWORD_RULE: &str = "a password has 8 to 1024 bytes, none of them a control character";

/// Returns whether this may be a password: [`PASSWORD_MIN`] to [`PASSWORD_MAX`] bytes without control characters.
#[must_use]
pub fn is_password(password: &str) -> bool {
    (PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()) && !password.contains(char::is_control)
}

/// Checks that `asker` may make a user of this account with this role and these rights.
///
/// # Errors
/// [`UserRefusal::Forbidden`], or else [`UserRefusal::Misfit`] if role, rights and account do not fit.
pub fn may_make(
    asker: &Person,
    account: Option<AccountId>,
    role: Role,
    rights: Rights,
) -> Result<(), UserRefusal> {
    let theirs = asker.role == Role::Operator || (account.is_some() && asker.account == account);
    let makes_operator = account.is_none() || role == Role::Operator;
    let may = theirs && asker.role >= Role::Admin && role <= asker.role;
    let operator_fits = fits(account, role) && (account.is_some() || rights == Rights::NONE);
    if !may || (makes_operator && operator_fits && !asker.at_machine) {
        return Err(UserRefusal::Forbidden);
    }
    if !operator_fits {
        return Err(UserRefusal::Misfit);
    }
    may_give(asker, rights)
}

/// Checks that `asker` may give these rights to someone else.
fn may_give(asker: &Person, rights: Rights) -> Result<(), UserRefusal> {
    let all = asker.role == Role::Operator;
    let good = rights.iter().all(|right| all || right.is_of_the_account());
    if good { Ok(()) } else { Err(UserRefusal::Forbidden) }
}

/// Checks that `asker` may do this to `user`, whose account has `admins` administrators. Everybody may choose their own
/// password. An operator is changed on the machine itself. All else takes an administrator of the account.
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
    if asker.role < Role::Admin || (user.account.is_none() && !asker.at_machine) {
        return Err(UserRefusal::Forbidden);
    }
    let loses_admin = match act {
        Act::Password => false,
        Act::Role(role) if role > asker.role => return Err(UserRefusal::Forbidden),
        Act::Role(role) if !fits(user.account, role) => return Err(UserRefusal::Misfit),
        Act::Role(role) => role < Role::Admin,
        Act::Rights(rights) if user.account.is_none() && rights != Rights::NONE => {
            return Err(UserRefusal::Misfit);
        }
        Act::Rights(rights) => {
            // Rights may be taken from anyone. Only what is new is given.
            let given: Rights = rights.iter().filter(|right| !user.rights.has(*right)).collect();
            if given != Rights::NONE && asker.name == user.name {
                return Err(UserRefusal::SamePerson);
            }
            return may_give(asker, given);
        }
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
        let (account, rights) = (AccountId::new(account), Rights::NONE);
        Person { name: name.into(), account, role, rights, at_machine: false }
    }

    fn rights(all: &[Right]) -> Rights {
        all.iter().copied().collect()
    }

    #[test]
    fn nobody_gives_rights_that_they_lack() {
        for asker in [Role::Read, Role::Order, Role::Admin, Role::Operator] {
            let account = if asker == Role::Operator { 0 } else { 1 };
            let asker = person("asker", account, asker);
            for role in Role::ALL {
                let made = may_make(&asker, AccountId::new(1), *role, Rights::NONE);
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
        assert_eq!(
            may_make(&admin, AccountId::new(2), Role::Read, Rights::NONE),
            Err(UserRefusal::Forbidden)
        );
        assert_eq!(may_make(&admin, None, Role::Operator, Rights::NONE), Err(UserRefusal::Forbidden));
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
        let (operator, machine) = (person("operator", 0, Role::Operator), Person::at_the_machine());
        assert_eq!(may(&machine, Act::Role(Role::Admin), &operator, 0), Err(UserRefusal::Misfit));
        assert_eq!(may(&operator, Act::Role(Role::Operator), &reader, 1), Err(UserRefusal::Misfit));
    }

    #[test]
    fn operators_are_the_machine_s_alone_but_for_their_own_passwords() {
        let (operator, other) =
            (person("operator", 0, Role::Operator), person("approver", 0, Role::Operator));
        let machine = Person::at_the_machine();
        for act in [Act::Password, Act::Role(Role::Operator), Act::Rights(Rights::NONE), Act::Remove] {
            assert_eq!(may(&operator, act, &other, 0), Err(UserRefusal::Forbidden), "{act:?}");
            let own = if act == Act::Password { Ok(()) } else { Err(UserRefusal::Forbidden) };
            assert_eq!(may(&operator, act, &operator, 0), own, "{act:?}");
            assert_eq!(may(&machine, act, &other, 0), Ok(()), "{act:?}");
        }
        let make = |asker| may_make(asker, None, Role::Operator, Rights::NONE);
        assert_eq!((make(&operator), make(&machine)), (Err(UserRefusal::Forbidden), Ok(())));
        let misfit = may_make(&machine, None, Role::Operator, rights(&[Right::Unlock]));
        assert_eq!(misfit, Err(UserRefusal::Misfit), "an operator has all rights");
    }

    #[test]
    fn nobody_gives_themselves_a_right_and_an_administrator_gives_unlock_alone() {
        let (admin, operator) = (person("admin", 1, Role::Admin), person("operator", 0, Role::Operator));
        let orderer = person("orderer", 1, Role::Order);
        let give = |asker: &Person, user: &Person, right| may(asker, Act::Rights(rights(&[right])), user, 1);
        assert_eq!(give(&admin, &admin, Right::Unlock), Err(UserRefusal::SamePerson));
        assert_eq!(give(&admin, &orderer, Right::Unlock), Ok(()));
        for right in [Right::Calls, Right::ChangedHands] {
            assert_eq!(give(&admin, &orderer, right), Err(UserRefusal::Forbidden));
        }
        for right in Right::ALL {
            assert_eq!(give(&operator, &orderer, *right), Ok(()), "{right}");
            assert_eq!(give(&orderer, &orderer, *right), Err(UserRefusal::Forbidden), "{right}");
        }
        // What someone has stays or goes by whom it may, their own too.
        let trusted = Person { rights: rights(&[Right::Unlock, Right::Calls]), ..admin.clone() };
        assert_eq!(give(&admin, &trusted, Right::Calls), Ok(()));
        assert_eq!(may(&trusted, Act::Rights(Rights::NONE), &trusted, 1), Ok(()));
        let make = |asker| may_make(asker, AccountId::new(1), Role::Read, rights(&[Right::Calls]));
        assert_eq!((make(&admin), make(&operator)), (Err(UserRefusal::Forbidden), Ok(())));
    }

    #[test]
    fn rights_are_kept_as_bits() {
        assert_eq!(rights(Right::ALL).bits(), 7);
        for bits in 0..8 {
            let found = Rights::of_bits(bits).unwrap();
            assert_eq!((found.bits(), rights(&found.iter().collect::<Vec<_>>())), (bits, found));
        }
        assert_eq!(Rights::of_bits(8), None);
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
        for (name, good) in [
            (".", false),
            ("..", false),
            ("...", true),
            (".a", true),
            ("B\u{FC}ro", true),
            ("machine", false),
            ("MACHINE", false),
            ("machines", true),
        ] {
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
