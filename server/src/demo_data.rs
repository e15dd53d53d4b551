//! The documented account for developers: the guide's own, with its two numbers in service and a few hundred numbers of
//! several areas in the pool.

use onhook_core::account::user::Rights;
use std::sync::Arc;

use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::AccountId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::{Exchange, ExchangeLine};
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::users::NewUser;
use onhook_store::{Store, StoreError};

use crate::http::auth::{hash_password, verify_password};

/// The guide's account.
pub const ACCOUNT: u32 = 9_900_000;
/// The guide's user; its password is [`PASSWORD`].
pub const USER: &str = "username";
/// The emulator's operator; its password is [`PASSWORD`].
pub const OPERATOR: &str = "operator";
/// Another operator, the second person for what needs two; its password is [`PASSWORD`].
pub const APPROVER: &str = "approver";
/// The guide's password.
pub const PASSWORD: &str = "password";
/// The guide's numbers, with their state.
pub const NUMBERS: [(&str, &str); 2] = [("5405514342", "VA"), ("7034343704", "VA")];

/// Area codes with pool numbers, and their states: 555-0100 to 555-0149 of each.
const POOL: [(u64, Option<&str>); 6] = [
    (540, Some("VA")),
    (703, Some("VA")),
    (919, Some("NC")),
    (212, Some("NY")),
    (415, Some("CA")),
    (800, None),
];
const POOL_EACH: u64 = 50;

/// Where the example numbers lie, so that searches by locality find some. The rate centers are real ones of their area
/// codes.
/// That exchange 555 lies there is made up: 555 is kept for examples.
const EXCHANGES: [ExchangeLine<'static>; 5] = [
    example("212555", "NY", "NWYRCYZN01", "NEW YORK CITY ZONE 01", "132", "NEW YORK", "10001 10002"),
    example("415555", "CA", "SNFC CNTRL", "SAN FRANCISCO CENTRAL", "722", "SAN FRANCISCO", "94102 94103"),
    example("540555", "VA", "ROANOKE", "ROANOKE", "244", "ROANOKE", "24011"),
    example("703555", "VA", "ARLINGTON", "ARLINGTON", "236", "ARLINGTON", "22201"),
    example("919555", "NC", "RALEIGH", "RALEIGH", "426", "RALEIGH", "27601 27603"),
];

const fn example(
    npa_nxx: &'static str,
    state: &'static str,
    rate_center: &'static str,
    name: &'static str,
    lata: &'static str,
    city: &'static str,
    zips: &'static str,
) -> ExchangeLine<'static> {
    let (name, lata, city, zips) = (Some(name), Some(lata), Some(city), Some(zips));
    ExchangeLine { npa_nxx, state, rate_center, name, lata, city, zips }
}

/// Returns whether a store is an emulator's: one of its users has the documented password, which everybody knows.
///
/// # Errors
/// If the store fails.
pub async fn is_emulators(store: &dyn Store) -> Result<bool, StoreError> {
    for name in [OPERATOR, APPROVER, USER] {
        let user = store.user(name).await?;
        if user.is_some_and(|user| verify_password(PASSWORD, &user.password_hash)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the account and its numbers in a store that has no account and no user yet. Returns whether it did.
///
/// # Errors
/// If the store fails.
pub async fn seed(store: &dyn Store, now: Timestamp, policy: Arc<Policy>) -> Result<bool, StoreError> {
    if !store.accounts().await?.is_empty() || !store.users().await?.is_empty() {
        return Ok(false);
    }
    let id = AccountId::new(ACCOUNT).ok_or_else(|| StoreError::Conflict("account 0".into()))?;
    // All passwords are the same, so one hash does for all: hashing is slow on purpose.
    let hash = hash_password(PASSWORD).map_err(|error| StoreError::Broken(error.to_string().into()))?;
    let user = |name: &str, account, role, password_hash| NewUser {
        name: name.into(),
        account,
        role,
        rights: Rights::NONE,
        password_hash,
    };
    // The user with the public password marks the store as an emulator's. It is made before anything it gives access
    // to.
    store.create_user(user(OPERATOR, None, Role::Operator, hash.clone()), now).await?;
    store.create_user(user(APPROVER, None, Role::Operator, hash.clone()), now).await?;
    let account = NewAccount {
        id,
        name: "The guide's account".into(),
        kind: AccountKind::EndUser,
        class: Class::Unknown,
    };
    store.create_account(account, Doer::offline(now)).await?;
    let site = store.create_site(id, "Main site".into(), now).await?;
    store.create_peer(id, site.id, "Main peer".into(), now).await?;
    store.create_user(user(USER, Some(id), Role::Admin, hash), now).await?;
    let guide = NUMBERS.into_iter().filter_map(move |(digits, region)| {
        let number = NewNumber::available(digits.parse().ok()?);
        Some(NewNumber { state: State::InService, account: Some(id), region: Some(region.into()), ..number })
    });
    let pool = POOL.into_iter().flat_map(|(area_code, region)| {
        (0..POOL_EACH).filter_map(move |n| {
            let number = Number::from_digits(10_005_550_100 + area_code * 10_000_000 + n).ok()?;
            Some(NewNumber { region: region.map(str::to_owned), ..NewNumber::available(number) })
        })
    });
    let lines = Box::new((1..).zip(guide.chain(pool).map(Ok)));
    store.import(lines, Intake::of("the emulator's numbers"), now, policy).await?;
    let exchanges = EXCHANGES.map(|line| Exchange::read(&line));
    // The exchanges are imported after the numbers, so that a number's area stays its area code: one thing less for a
    // developer to wonder about.
    store.import_exchanges(Box::new((1..).zip(exchanges)), Doer::offline(now)).await?;
    Ok(true)
}
