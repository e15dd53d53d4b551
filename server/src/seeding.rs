//! Filling an emulator from a file: all of it, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use onhook_core::account::details::{PEER_NAME_MAX, is_site_name};
use onhook_core::account::user::{NAME_RULE, is_name};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::import::Intake;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::name::{self, ACCOUNT_NAME_MAX};
use onhook_core::time::Timestamp;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::users::NewUser;
use onhook_store::{Store, StoreError};
use onhook_wire::ops::seed_file::{BadSeed, Seed, SeedAccount, SeedUser};

use crate::http::auth::hash_password;

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

/// Adds what a file has to a store.
///
/// # Errors
/// [`Unplanted`]. The store is then as it was.
pub async fn plant(
    store: &dyn Store,
    seed: Seed,
    now: Timestamp,
    policy: Arc<Policy>,
) -> Result<(), Unplanted> {
    check(store, &seed).await?;
    let before = Arc::new(store.image().await?);
    let done = add(store, seed, now, policy).await;
    if done.is_err() {
        store.put_back(before, None).await?;
    }
    done
}

/// Checks names, and that they are free.
async fn check(store: &dyn Store, seed: &Seed) -> Result<(), Unplanted> {
    for (at, SeedAccount { id, name, sites, .. }) in seed.accounts.iter().enumerate() {
        let path = format!("/accounts/{at}");
        name::check(name, ACCOUNT_NAME_MAX).map_err(|bad| BadSeed::new(format!("{path}/name"), bad))?;
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
    for (at, SeedUser { name, .. }) in seed.users.iter().enumerate() {
        let path = format!("/users/{at}/name");
        if !is_name(name) {
            return Err(BadSeed::new(path, NAME_RULE).into());
        }
        if store.user(name).await?.is_some() {
            return Err(BadSeed::new(path, format!("user {name} exists already")).into());
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
    let mut premises: HashMap<(AccountId, String), (SiteId, HashMap<String, PeerId>)> = HashMap::new();
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
            premises.insert((id, site.name), (site.id, made));
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
    for (at, number) in &mut numbers {
        let (Some(named), Ok(number)) = (seed.named.get(at), number) else { continue };
        let missing = |key: &str| {
            let detail = format!(
                "the file's accounts have no such {key}: name a site of the number's account, and its peer"
            );
            Unplanted::Bad(BadSeed::new(format!("{}/{key}", seed.place(*at)), detail))
        };
        let (Some(account), Some(site)) = (number.account, &named.site) else { return Err(missing("site")) };
        let (site, peers) = premises.get(&(account, site.clone())).ok_or_else(|| missing("site"))?;
        number.site = Some(*site);
        if let Some(peer) = &named.peer {
            number.peer = Some(*peers.get(peer).ok_or_else(|| missing("peer"))?);
        }
    }
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
