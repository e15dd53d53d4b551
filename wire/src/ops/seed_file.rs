//! The file that fills an emulator: accounts with their sites and peers, users, and numbers, in YAML; or numbers alone, in
//! the CSV that an import takes.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;

use onhook_core::account::user::{PASSWORD_RULE, Right, is_password};
use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::AccountId;
use onhook_core::import::{self, BadLine, NewNumber};
use onhook_core::number::Number;
use serde::Deserialize;

use super::number_file::{self, COLUMNS};

/// Most numbers of a file.
pub const NUMBERS_MAX: usize = 100_000;
/// Most accounts of a file, and most users.
pub const LIST_MAX: usize = 1_000;
/// Most sites of an account, and most peers of a site.
const PREMISES_MAX: usize = 1_000;

/// What an emulator is filled with.
#[derive(Debug, Default)]
pub struct Seed {
    /// New accounts, in the order of the file.
    pub accounts: Vec<SeedAccount>,
    /// New users, in the order of the file.
    pub users: Vec<SeedUser>,
    /// New numbers. With each stands where the file has it: the line of a CSV file, or the place in a YAML file's
    /// list, from 1.
    pub numbers: Vec<(u64, Result<NewNumber, BadLine>)>,
    /// Whether `numbers` counts lines.
    pub lines: bool,
    /// The sites and peers of `numbers` that a YAML file names, by their place in its list.
    pub named: BTreeMap<u64, Named>,
}

/// A site and a peer by their names, since the ids of new ones are not known before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The site. Without one it is the account's default.
    pub site: Option<String>,
    /// The peer. Without one it is the site's default.
    pub peer: Option<String>,
}

/// A new account.
#[derive(Debug)]
pub struct SeedAccount {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// What it is in the number plan.
    pub kind: AccountKind,
    /// Whose lines its numbers are.
    pub class: Class,
    /// Its sites, with the names of their peers.
    pub sites: Vec<(String, Vec<String>)>,
}

/// A new user.
#[derive(Debug)]
pub struct SeedUser {
    /// The name that it signs in with.
    pub name: String,
    /// Its account. An operator has none.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// What it may do beside that.
    pub rights: Vec<Right>,
    /// Its password.
    pub password: String,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSeed {
    /// A path to the value, such as `/accounts/0/id`, or `line 7`. Empty if the file as a whole cannot be read.
    pub at: String,
    /// What is wrong.
    pub detail: String,
}

impl BadSeed {
    /// Returns a mistake at a place of the file.
    pub fn new(at: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { at: at.into(), detail: detail.to_string() }
    }
}

impl fmt::Display for BadSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, detail } = self;
        if at.is_empty() { f.write_str(detail) } else { write!(f, "{at}: {detail}") }
    }
}

impl std::error::Error for BadSeed {}

impl Seed {
    /// Returns where the file has a number.
    #[must_use]
    pub fn place(&self, of: u64) -> String {
        if self.lines { format!("line {of}") } else { format!("/numbers/{}", of.saturating_sub(1)) }
    }
}

/// A YAML scalar. `9900001` and `true` without quotes mean their text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Whole(u64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Whole(whole) => whole.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    accounts: Vec<Account>,
    #[serde(default)]
    users: Vec<User>,
    #[serde(default)]
    numbers: Vec<BTreeMap<String, Scalar>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    id: Scalar,
    name: Scalar,
    kind: Option<AccountKind>,
    class: Option<Class>,
    #[serde(default)]
    sites: Vec<Site>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    name: Scalar,
    #[serde(default)]
    peers: Vec<Peer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    name: Scalar,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: Scalar,
    account: Option<Scalar>,
    role: Role,
    #[serde(default)]
    rights: Vec<Right>,
    password: Scalar,
}

/// Reads a YAML file.
///
/// # Errors
/// [`BadSeed`] for the first thing that is wrong with its form. Whether names are free, and whether numbers can be as the
/// file says, shows when it is planted.
pub fn read_yaml(text: &str) -> Result<Seed, BadSeed> {
    let file: File = serde_saphyr::from_str(text).map_err(|why| BadSeed::new("", why))?;
    let within = |at: &str, length: usize| {
        let rule = format!("a file has at most {LIST_MAX} of them");
        if length > LIST_MAX { Err(BadSeed::new(at, rule)) } else { Ok(()) }
    };
    within("/accounts", file.accounts.len())?;
    within("/users", file.users.len())?;
    let mut seed = Seed::default();
    for (at, account) in file.accounts.into_iter().enumerate() {
        seed.accounts.push(account_of(&format!("/accounts/{at}"), account)?);
    }
    for (at, user) in file.users.into_iter().enumerate() {
        seed.users.push(user_of(&format!("/users/{at}"), user)?);
    }
    for (at, entry) in file.numbers.into_iter().enumerate() {
        numbers_of(at, entry, &mut seed)?;
    }
    Ok(seed)
}

/// Reads a CSV file of numbers, as an import takes it.
///
/// # Errors
/// [`BadSeed`] if its first line is not as it must be, or if it is too long.
pub fn read_csv(text: String) -> Result<Seed, BadSeed> {
    let records = number_file::read(Cursor::new(text)).map_err(|why| BadSeed::new("line 1", why))?;
    let numbers: Vec<_> = records.take(NUMBERS_MAX + 1).collect();
    ensure_few(numbers.len())?;
    Ok(Seed { numbers, lines: true, ..Seed::default() })
}

fn ensure_few(numbers: usize) -> Result<(), BadSeed> {
    let rule = format!("a file has at most {NUMBERS_MAX} numbers");
    if numbers > NUMBERS_MAX { Err(BadSeed::new("/numbers", rule)) } else { Ok(()) }
}

fn id_of(at: &str, id: &Scalar) -> Result<AccountId, BadSeed> {
    let rule = "an account's id is a whole number from 1 to 4294967295";
    id.to_string().parse().map_err(|_| BadSeed::new(at, rule))
}

fn account_of(at: &str, account: Account) -> Result<SeedAccount, BadSeed> {
    let Account { id, name, kind, class, sites } = account;
    let rule = format!("an account has at most {PREMISES_MAX} sites, and a site as many peers");
    if sites.len() > PREMISES_MAX || sites.iter().any(|site| site.peers.len() > PREMISES_MAX) {
        return Err(BadSeed::new(format!("{at}/sites"), rule));
    }
    let peers = |peers: Vec<Peer>| peers.into_iter().map(|peer| peer.name.to_string()).collect();
    Ok(SeedAccount {
        id: id_of(&format!("{at}/id"), &id)?,
        name: name.to_string(),
        kind: kind.unwrap_or(AccountKind::EndUser),
        class: class.unwrap_or(Class::Unknown),
        sites: sites.into_iter().map(|site| (site.name.to_string(), peers(site.peers))).collect(),
    })
}

fn user_of(at: &str, user: User) -> Result<SeedUser, BadSeed> {
    let User { name, account, role, rights, password } = user;
    let account = account.map(|id| id_of(&format!("{at}/account"), &id)).transpose()?;
    if account.is_none() != (role == Role::Operator) {
        return Err(BadSeed::new(
            format!("{at}/account"),
            "an operator has no account, and every other user has one",
        ));
    }
    let password = password.to_string();
    if !is_password(&password) {
        return Err(BadSeed::new(format!("{at}/password"), PASSWORD_RULE));
    }
    Ok(SeedUser { name: name.to_string(), account, role, rights, password })
}

/// Reads an entry of the list of numbers: one `number`, or those `from` one `to` another, with the columns of the CSV.
fn numbers_of(at: usize, mut entry: BTreeMap<String, Scalar>, seed: &mut Seed) -> Result<(), BadSeed> {
    let path = format!("/numbers/{at}");
    let line = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
    let mut name = |key: &str| entry.remove(key).map(|name| name.to_string());
    let named = Named { site: name("site"), peer: name("peer") };
    if named != Named::default() {
        seed.named.insert(line, named);
    }
    let number = |key: &str| {
        let Some(text) = entry.get(key) else { return Ok(None) };
        let read = import::number(&text.to_string());
        read.map(Some).map_err(|why| BadSeed::new(format!("{path}/{key}"), why))
    };
    let unknown =
        entry.keys().find(|key| !["from", "to"].contains(&key.as_str()) && !COLUMNS.contains(&key.as_str()));
    if let Some(key) = unknown {
        return Err(BadSeed::new(format!("{path}/{key}"), "there is no such key"));
    }
    let (first, last) = match (number("number")?, number("from")?, number("to")?) {
        (Some(one), None, None) => (one, one),
        (None, Some(first), Some(last)) => (first, last),
        _ => return Err(BadSeed::new(path, "say one number, or from and to")),
    };
    if last.digits() < first.digits() {
        return Err(BadSeed::new(format!("{path}/to"), "it is before from"));
    }
    let count = usize::try_from(last.digits() - first.digits()).unwrap_or(usize::MAX);
    ensure_few(seed.numbers.len().saturating_add(count).saturating_add(1))?;
    let text: Vec<Option<String>> =
        COLUMNS.iter().map(|key| entry.get(*key).map(Scalar::to_string)).collect();
    for digits in first.digits()..=last.digits() {
        let read = match Number::from_digits(digits) {
            Ok(number) => {
                let number = number.to_string();
                number_file::line(&|column| match column {
                    0 => Some(&number),
                    _ => text[column].as_deref(),
                })
            }
            Err(why) => Err(BadLine::Form(why.to_string())),
        };
        seed.numbers.push((line, read));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
accounts: [{id: 9900001, name: Another account, class: business, sites: [{name: A site, peers: [{name: A peer}]}]}]
users: [{name: another, account: 9900001, role: admin, password: password}]
numbers:
  - {from: \"+19195550160\", to: \"+19195550169\", state: InService, account: 9900001}
  - {number: 9195550170, protected: true}
";

    #[test]
    fn a_file_has_accounts_users_and_ranges_of_numbers() {
        let seed = read_yaml(FILE).unwrap();
        let [account] = &seed.accounts[..] else { panic!("{seed:?}") };
        assert_eq!(
            (account.id.get(), account.class, account.kind),
            (9_900_001, Class::Business, AccountKind::EndUser)
        );
        assert_eq!(account.sites, [("A site".to_owned(), vec!["A peer".to_owned()])]);
        assert_eq!((seed.users.len(), seed.users[0].role), (1, Role::Admin));
        let numbers: Vec<_> = seed.numbers.iter().map(|(at, read)| (*at, read.as_ref().unwrap())).collect();
        assert_eq!(numbers.len(), 11);
        assert_eq!((numbers[9].0, numbers[9].1.number.to_string()), (1, "+19195550169".to_owned()));
        assert!(numbers[10].1.protected && numbers[10].0 == 2);
        assert_eq!(seed.place(2), "/numbers/1");
        assert_eq!(read_csv("number,state\n9195550160,\n".into()).unwrap().place(2), "line 2");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (file, at) in [
            ("accounts: [{id: 0, name: a}]", "/accounts/0/id"),
            ("users: [{name: a, role: admin, password: password}]", "/users/0/account"),
            ("users: [{name: a, role: operator, password: short}]", "/users/0/password"),
            ("numbers: [{number: 12}]", "/numbers/0/number"),
            ("numbers: [{number: 9195550160, colour: red}]", "/numbers/0/colour"),
            ("numbers: [{from: 9195550160}]", "/numbers/0"),
            ("numbers: [{from: 9195550161, to: 9195550160}]", "/numbers/0/to"),
            ("numbers: [{from: 2015550000, to: 9015550000}]", "/numbers"),
            ("number: []", ""),
            ("[1, 2]", ""),
            ("a: &a [*a, *a]", ""),
        ] {
            assert_eq!(read_yaml(file).unwrap_err().at, at, "{file}");
        }
        // Each line doubles the one before.
        let doubled = (1..40).fold("a0: &a0 [1]\n".to_owned(), |text, n| {
            text + &format!("a{n}: &a{n} [*a{before}, *a{before}]\n", before = n - 1)
        });
        assert!(read_yaml(&doubled).is_err());
    }
}
