//! Filling an emulator from a file: all of it, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use onhook_core::account::details::{PEER_NAME_MAX, is_site_name};
use onhook_core::account::premises::PREMISES_MAX;
use onhook_core::account::user::{NAME_RULE, folded, is_name};
use onhook_core::account::{Peer, Premises, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::import::Intake;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::name::{self, ACCOUNT_NAME_MAX};
use onhook_core::time::Timestamp;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::imports::Line;
use onhook_store::contract::users::NewUser;
use onhook_store::plan::imports::Checking;
use onhook_store::{Store, StoreError};
use onhook_wire::ops::seed_file::{BadSeed, Seed, SeedAccount, SeedUser};

use crate::http::auth::hash_password;

/// How many numbers are looked up together.
const NUMBERS_AT_ONCE: usize = 1_000;

/// Why an emulator was not filled. Nothing of the file is in the store.
#[derive(Debug, thiserror::Error)]
pub enum Unplanted {
    /// Something in the file cannot be.
    #[error(transparent)]
    Bad(#[from] BadSeed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds what a file has to a store. All of it is checked before any of it is written, and nothing else may be written
/// meanwhile: if the store fails on the way, it goes back to what it was before.
///
/// # Errors
/// [`Unplanted`]. The store is then as it was.
pub async fn plant(
    store: &dyn Store,
    seed: Seed,
    now: Timestamp,
    policy: Arc<Policy>,
) -> Result<(), Unplanted> {
    check(store, &seed, now, &policy).await?;
    let before = Arc::new(store.image().await?);
    let done = add(store, seed, now, policy).await;
    if done.is_err() {
        store.put_back(before, None).await?;
    }
    done
}

/// The sites of a file's accounts by their names, each with its peers by theirs.
type Places = HashMap<(AccountId, String), (SiteId, HashMap<String, PeerId>)>;

/// Checks everything: names, that they are free, and that numbers can be as the file says.
async fn check(store: &dyn Store, seed: &Seed, now: Timestamp, policy: &Policy) -> Result<(), Unplanted> {
    check_accounts(store, seed).await?;
    check_users(store, seed).await?;
    let (places, premises) = imagined(seed);
    let mut numbers = seed.numbers.clone();
    place(seed, &mut numbers, &places)?;
    let mut checking = Checking::new(now, false);
    for some in numbers.chunks(NUMBERS_AT_ONCE) {
        let known = some.iter().filter_map(|(_, number)| number.as_ref().ok());
        let mut looked = store.look_up(known.cloned().collect()).await?;
        looked.premises.extend(premises.clone());
        if let Some((at, why)) = checking.check(some.to_vec(), &looked, policy).first() {
            return Err(BadSeed::new(seed.place(*at), why).into());
        }
    }
    Ok(())
}

async fn check_accounts(store: &dyn Store, seed: &Seed) -> Result<(), Unplanted> {
    for (at, SeedAccount { id, name, sites, .. }) in seed.accounts.iter().enumerate() {
        let path = format!("/accounts/{at}");
        name::check(name, ACCOUNT_NAME_MAX).map_err(|bad| BadSeed::new(format!("{path}/name"), bad))?;
        if sites.iter().map(|(_, peers)| peers.len()).sum::<usize>() > PREMISES_MAX {
            let rule = format!("an account has at most {PREMISES_MAX} peers");
            return Err(BadSeed::new(format!("{path}/sites"), rule).into());
        }
        for (at, (name, peers)) in sites.iter().enumerate() {
            let path = format!("{path}/sites/{at}");
            if !is_site_name(name) {
                let rule = "a site's name has 1 to 50 letters, digits, dots, dashes and blanks";
                return Err(BadSeed::new(format!("{path}/name"), rule).into());
            }
            for (at, name) in peers.iter().enumerate() {
                let at = format!("{path}/peers/{at}/name");
                name::check(name, PEER_NAME_MAX).map_err(|bad| BadSeed::new(at, bad))?;
            }
        }
        if store.account(*id).await?.is_some() || seed.accounts[..at].iter().any(|other| other.id == *id) {
            return Err(BadSeed::new(format!("{path}/id"), format!("account {id} exists already")).into());
        }
    }
    Ok(())
}

async fn check_users(store: &dyn Store, seed: &Seed) -> Result<(), Unplanted> {
    for (at, SeedUser { name, account, .. }) in seed.users.iter().enumerate() {
        let path = format!("/users/{at}");
        if !is_name(name) {
            return Err(BadSeed::new(format!("{path}/name"), NAME_RULE).into());
        }
        let same = |other: &SeedUser| folded(&other.name) == folded(name);
        if store.user(name).await?.is_some() || seed.users[..at].iter().any(same) {
            return Err(BadSeed::new(format!("{path}/name"), format!("user {name} exists already")).into());
        }
        if let Some(id) = account
            && !seed.accounts.iter().any(|account| account.id == *id)
            && store.account(*id).await?.is_none()
        {
            return Err(BadSeed::new(format!("{path}/account"), format!("there is no account {id}")).into());
        }
    }
    Ok(())
}

/// Returns what the file's accounts will have, with ids that only tell its sites and peers from one another.
fn imagined(seed: &Seed) -> (Places, HashMap<AccountId, Premises>) {
    let (mut places, mut all) = (Places::new(), HashMap::new());
    for SeedAccount { id: account, sites, .. } in &seed.accounts {
        let account = *account;
        let mut premises = Premises::default();
        for (name, peers) in sites {
            let Some(id) = next(premises.sites.len()).and_then(SiteId::new) else { continue };
            let is_default = premises.sites.is_empty();
            premises.sites.push(Site { id, account, name: name.clone(), is_default });
            let mut named = HashMap::new();
            for (at, name) in peers.iter().enumerate() {
                let Some(peer) = next(premises.peers.len()).and_then(PeerId::new) else { continue };
                let (name, is_default) = (name.clone(), at == 0);
                named.insert(name.clone(), peer);
                premises.peers.push(Peer { id: peer, account, site: id, name, is_default });
            }
            places.insert((account, name.clone()), (id, named));
        }
        all.insert(account, premises);
    }
    (places, all)
}

/// Returns the number of the next of some things, from 1.
fn next(there: usize) -> Option<u32> {
    u32::try_from(there).ok()?.checked_add(1)
}

/// Gives numbers the sites and peers that the file names.
fn place(seed: &Seed, numbers: &mut [Line], places: &Places) -> Result<(), BadSeed> {
    for (at, number) in numbers {
        let (Some(named), Ok(number)) = (seed.named.get(at), number) else { continue };
        let missing = |key: &str| {
            let detail = format!(
                "the file's accounts have no such {key}: name a site of the number's account, and its peer"
            );
            BadSeed::new(format!("{}/{key}", seed.place(*at)), detail)
        };
        let (Some(account), Some(site)) = (number.account, &named.site) else { return Err(missing("site")) };
        let (site, peers) = places.get(&(account, site.clone())).ok_or_else(|| missing("site"))?;
        number.site = Some(*site);
        if let Some(peer) = &named.peer {
            number.peer = Some(*peers.get(peer).ok_or_else(|| missing("peer"))?);
        }
    }
    Ok(())
}

async fn add(
    store: &dyn Store,
    mut seed: Seed,
    now: Timestamp,
    policy: Arc<Policy>,
) -> Result<(), Unplanted> {
    // Hashing is slow on purpose, and in tests everybody has the same password.
    let mut hashes: HashMap<String, String> = HashMap::new();
    let bad = |at: String, error: StoreError| match error {
        StoreError::Conflict(why) => Unplanted::Bad(BadSeed::new(at, why)),
        error => error.into(),
    };
    let mut places = Places::new();
    for (at, account) in std::mem::take(&mut seed.accounts).into_iter().enumerate() {
        let SeedAccount { id, name, kind, class, sites } = account;
        let path = format!("/accounts/{at}");
        let account = NewAccount { id, name, kind, class };
        store.create_account(account, Doer::offline(now)).await.map_err(|error| bad(path.clone(), error))?;
        for (at, (name, peers)) in sites.into_iter().enumerate() {
            let path = format!("{path}/sites/{at}");
            let site = store.create_site(id, name, now).await.map_err(|error| bad(path.clone(), error))?;
            let mut made = HashMap::new();
            for (at, name) in peers.into_iter().enumerate() {
                let peer = store.create_peer(id, site.id, name.clone(), now).await;
                made.insert(name, peer.map_err(|error| bad(format!("{path}/peers/{at}"), error))?.id);
            }
            places.insert((id, site.name), (site.id, made));
        }
    }
    for (at, user) in std::mem::take(&mut seed.users).into_iter().enumerate() {
        let SeedUser { name, account, role, rights, password } = user;
        let password_hash = match hashes.get(&password) {
            Some(known) => known.clone(),
            None => {
                let clear = password.clone();
                let made = tokio::task::spawn_blocking(move || hash_password(&clear)).await;
                let broken = |why: String| Unplanted::Store(StoreError::Broken(why.into()));
                let made = made.map_err(|error| broken(error.to_string()))?;
                let made = made.map_err(|error| broken(error.to_string()))?;
                hashes.entry(password).or_insert(made).clone()
            }
        };
        let user = NewUser { name, account, role, rights: rights.into_iter().collect(), password_hash };
        store.create_user(user, now).await.map_err(|error| bad(format!("/users/{at}"), error))?;
    }
    let mut numbers = std::mem::take(&mut seed.numbers);
    place(&seed, &mut numbers, &places)?;
    if !numbers.is_empty() {
        let lines = Box::new(numbers.into_iter());
        match store.import(lines, Intake::of("a seed"), now, policy).await {
            Ok(_) => {}
            Err(StoreError::Import(refused)) => {
                let first = refused.kinds().iter().filter_map(|kind| kind.first.first());
                let (at, why) = first.min_by_key(|(at, _)| *at).map_or_else(
                    || ("/numbers".to_owned(), "numbers cannot be as the file says".to_owned()),
                    |(at, why)| (seed.place(*at), why.to_string()),
                );
                return Err(BadSeed::new(at, why).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
