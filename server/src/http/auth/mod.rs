//! Signing in: HTTP Basic against argon2id hashes, or a token that stands for such a credential.
//!
//! A client sends its password with every request, and a check of it is slow on purpose ([`password`]). So a credential
//! that was found good is remembered ([`known`]). Any other credential is a guess, and guesses are limited
//! ([`guesses`]). At most as many checks run at once as there are cores. Simultaneous requests with the same credential
//! share one check. An unknown user costs as much as a wrong password.
//!
//! A user's rights are read from its row in the store, which is believed for two seconds. Tokens ([`token`]) and
//! remembered credentials are bound to that row, so that a change ends them on every server that shares the store.

mod basic;
mod caller;
mod guesses;
mod known;
mod password;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use onhook_core::account::user::folded;
use onhook_store::contract::users::User;
use onhook_store::{Store, StoreError};
use tokio::sync::{Semaphore, watch};
use tracing::warn;

pub use self::basic::{CREDENTIAL_MAX, is_token};
use self::basic::{basic, bearer};
pub use self::caller::{Caller, Refused, Why};
use self::guesses::{Guess, Guesses, Held, NoTry, Outcome, Told};
use self::known::{Fingerprint, Known, Signed, Standing};
pub use self::password::hash_password;
pub(crate) use self::password::verify_password;
pub use self::token::TOKEN_LASTS_S;
use crate::clock::Now;
use crate::http::refusal::Refusal;

/// Most tokens that a user gets in a minute.
const ISSUED_MAX: NonZeroU32 = NonZeroU32::new(600).expect("not zero");
/// Most new passwords that wait for a core.
const HASHING_MAX: usize = 8;
/// Locks that keep one user's row from being read many times at once.
const LOCKS: usize = 64;

/// The key by which requests share a check: the credential, and how often its user has changed. A request after a
/// change does not share a check from before it.
type CheckKey = (Fingerprint, u64);

/// The result of a check.
type Verdict = Result<Signed, Refused>;

/// Checks credentials.
pub struct Auth {
    key: [u8; 32],
    token_key: [u8; 32],
    nobody: String,
    known: RwLock<Known>,
    guesses: Mutex<Guesses>,
    turns: Arc<Semaphore>,
    hashing: Semaphore,
    /// Checks under way. There are at most as many as guesses under way and remembered users together.
    checks: Mutex<HashMap<CheckKey, watch::Receiver<Option<Verdict>>>>,
    reading: [tokio::sync::Mutex<()>; LOCKS],
    issued: Option<DefaultKeyedRateLimiter<Arc<str>>>,
}

/// A credential to be checked.
struct Attempt {
    /// The user's name, folded.
    name: String,
    password: String,
    key: CheckKey,
    from: IpAddr,
    now: Instant,
}

impl Auth {
    /// Returns an `Auth` that signs tokens with this key, which all servers on a store read from it. If `limited`, a
    /// user gets a limited number of tokens a minute.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(token_key: [u8; 32], limited: bool) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            key,
            token_key,
            nobody: hash_password("of nobody").unwrap_or_default(),
            known: RwLock::new(Known::new(Instant::now())),
            guesses: Mutex::default(),
            turns: Arc::new(Semaphore::new(cores)),
            hashing: Semaphore::new(HASHING_MAX),
            checks: Mutex::default(),
            reading: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            issued: limited.then(|| RateLimiter::keyed(Quota::per_minute(ISSUED_MAX))),
        })
    }

    /// Returns the caller who sends these headers from this address.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn sign_in(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        headers: &http::HeaderMap,
        from: IpAddr,
        now: Now,
    ) -> Result<Caller, Refused> {
        match self.signed(store, headers, from, now).await {
            Ok(signed) => Ok(signed.caller),
            Err(refused) => Err(counted(refused)),
        }
    }

    /// Returns a new token for the user whose name and password these headers hold. A token cannot be used to get
    /// another.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn issue(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        headers: &http::HeaderMap,
        from: IpAddr,
        now: Now,
    ) -> Result<String, Refused> {
        use governor::clock::Clock as _;
        if is_token(headers) {
            return Err(counted(Refused::Unknown(Why::Token)));
        }
        let signed = self.signed(store, headers, from, now).await.map_err(counted)?;
        if let Some(Err(not_until)) = self.issued.as_ref().map(|issued| issued.check_key(&signed.caller.user))
        {
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            return Err(counted(Refused::TooMany(wait)));
        }
        Ok(token::sign(&self.token_key, &signed, now.wall))
    }

    /// Notes that a user has changed. What is remembered is compared with the store before it is believed again, and
    /// failures by the name are forgotten.
    pub fn forget(&self, user: &str) {
        let name = folded(user);
        self.known_mut().forget(&name);
        lock(&self.guesses).forgive(self.guessed(&name));
    }

    /// Returns the hash of a new password, made when a core is free.
    ///
    /// # Errors
    /// `Busy` if too many wait for a core, `Failed` if the system has no random numbers.
    pub async fn hash(&self, password: String) -> Result<String, Refused> {
        let _hashing = self.hashing.try_acquire().map_err(|_| Refused::Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Refused::Busy)?;
        let hash = tokio::task::spawn_blocking(move || {
            let hash = hash_password(&password);
            drop(turn);
            hash
        });
        match hash.await {
            Ok(Ok(hash)) => Ok(hash),
            Ok(Err(error)) => Err(failed(StoreError::Broken(error.to_string().into()))),
            Err(error) => Err(failed(StoreError::Broken(Box::new(error)))),
        }
    }

    /// Forgets what is no longer needed.
    pub(crate) fn tidy(&self, now: Instant) {
        self.known_mut().tidy(now);
        lock(&self.guesses).tidy(now);
        if let Some(issued) = &self.issued {
            issued.retain_recent();
        }
    }

    async fn signed(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        headers: &http::HeaderMap,
        from: IpAddr,
        now: Now,
    ) -> Verdict {
        let mut sent = headers.get_all(http::header::AUTHORIZATION).iter();
        let header = sent.next().ok_or(Refused::Unknown(Why::Missing))?;
        if sent.next().is_some() {
            return Err(Refused::Twice);
        }
        if let Some(token) = bearer(header) {
            return self.of_token(&**store, token, now).await;
        }
        let (user, password) = basic(header).ok_or(Refused::Unknown(Why::Malformed))?;
        let (name, now) = (folded(&user), now.steady);
        let fingerprint = self.fingerprint(&name, &password);
        let mut standing = self.known().standing(&name, &fingerprint, now);
        if standing == Standing::Stale {
            self.read(&**store, &name, now).await?;
            standing = self.known().standing(&name, &fingerprint, now);
        }
        match standing {
            Standing::Good(signed) => Ok(signed),
            // It is stale again if the user has changed this very moment.
            Standing::Due | Standing::Unknown | Standing::Stale => {
                let is_guess = standing != Standing::Due;
                let key = (fingerprint, self.known().changes(&name));
                let attempt = Attempt { name: name.into_owned(), password, key, from, now };
                self.checked(store, attempt, is_guess).await
            }
        }
    }

    async fn of_token(&self, store: &dyn Store, token: &str, now: Now) -> Verdict {
        let ended = Refused::Unknown(Why::Token);
        let claims = token::read(&self.token_key, token, now.wall).ok_or(ended.clone())?;
        let name = folded(&claims.sub);
        let known = self.known().user(&name, now.steady);
        let user = match known {
            Some(user) => Some(user),
            None => self.read(store, &name, now.steady).await?,
        };
        user.filter(|user| user.generation.to_string() == claims.generation).ok_or(ended)
    }

    /// Reads a user's row anew, unless another request has just done so.
    async fn read(&self, store: &dyn Store, name: &str, now: Instant) -> Result<Option<Signed>, Refused> {
        let lock = usize::from(self.fingerprint(name, "")[0]) % LOCKS;
        let _reading = self.reading[lock].lock().await;
        if let Some(user) = self.known().user(name, now) {
            return Ok(Some(user));
        }
        let changes = self.known().changes(name);
        let row = store.user(name).await.map_err(failed)?.filter(may_sign_in);
        self.known_mut().learn(name, row.as_ref(), changes, now);
        Ok(row.as_ref().map(Signed::of))
    }

    /// Returns the result of checking a credential, or of a check of the same credential under way. The check is a task
    /// of its own: if a client hangs up, the guess stays counted and the others still get their result.
    async fn checked(self: &Arc<Self>, store: &Arc<dyn Store>, attempt: Attempt, is_guess: bool) -> Verdict {
        let mut verdict = {
            let mut checks = lock(&self.checks);
            match checks.get(&attempt.key) {
                Some(under_way) => under_way.clone(),
                None => {
                    let guess = if is_guess { Some(self.guess(&attempt)?) } else { None };
                    let (tell, verdict) = watch::channel(None);
                    checks.insert(attempt.key, verdict.clone());
                    tokio::spawn(self.clone().check(store.clone(), attempt, guess, tell));
                    verdict
                }
            }
        };
        let told = verdict.wait_for(Option::is_some).await.ok().and_then(|verdict| verdict.clone());
        told.unwrap_or(Err(Refused::Failed(Refusal::Failed)))
    }

    /// Counts a guess before it is checked.
    fn guess(&self, attempt: &Attempt) -> Result<Guess, Refused> {
        let name = self.guessed(&attempt.name);
        let taken = lock(&self.guesses).take(name, attempt.from.into(), attempt.now);
        taken.map_err(|no_try| match no_try {
            NoTry::Wait(wait) => Refused::TooMany(wait),
            NoTry::Busy => Refused::Busy,
        })
    }

    async fn check(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        attempt: Attempt,
        guess: Option<Guess>,
        tell: watch::Sender<Option<Verdict>>,
    ) {
        let mut under_way = UnderWay { auth: &self, key: attempt.key, guess, now: attempt.now };
        let found = store.user(&attempt.name).await.map(|found| found.filter(may_sign_in));
        let verdict = match found {
            Err(error) => Err(failed(error)),
            Ok(found) => match (self.verify(found.as_ref(), attempt.password).await, found) {
                (Err(refused), _) => Err(refused),
                (Ok(true), Some(user)) => {
                    let (fingerprint, changes) = attempt.key;
                    self.known_mut().remember(&attempt.name, &user, fingerprint, changes, attempt.now);
                    Ok(Signed::of(&user))
                }
                (Ok(_), found) => {
                    under_way.was_wrong(found.as_ref(), attempt.from);
                    Err(Refused::Unknown(Why::Password))
                }
            },
        };
        drop(under_way); // what is asked from here on is a check of its own
        let _ = tell.send(Some(verdict));
    }

    /// Returns whether this is the user's password. Without a user it returns false, at the same cost.
    async fn verify(&self, user: Option<&User>, password: String) -> Result<bool, Refused> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Refused::Busy)?;
        let hash = user.map_or_else(|| self.nobody.clone(), |user| user.password_hash.clone());
        metrics::counter!("onhook_password_checks_total").increment(1);
        let good = tokio::task::spawn_blocking(move || {
            let good = verify_password(&password, &hash);
            drop(turn);
            good
        });
        good.await.map_err(|error| failed(StoreError::Broken(Box::new(error))))
    }

    fn fingerprint(&self, name: &str, password: &str) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&u64::try_from(name.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(name.as_bytes()).update(password.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Returns the hash under which guesses by a name are counted.
    fn guessed(&self, name: &str) -> guesses::Name {
        u64::from_le_bytes(self.fingerprint(name, "").first_chunk().copied().unwrap_or_default())
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A check under way. However it ends, it is removed from the checks under way, and its guess is settled.
struct UnderWay<'a> {
    auth: &'a Auth,
    key: CheckKey,
    guess: Option<Guess>,
    now: Instant,
}

impl UnderWay<'_> {
    /// Settles the guess as a failure, which is logged and counted. Names that no user has are not logged: some are
    /// passwords in the wrong field.
    fn was_wrong(&mut self, user: Option<&User>, from: IpAddr) {
        let Some(guess) = self.guess.take() else { return };
        let outcome = if user.is_some() { Outcome::Wrong } else { Outcome::NoUser };
        let Told { line, held, held_line } = lock(&self.auth.guesses).settle(guess, outcome, self.now);
        let name = user.map_or("a name that no user has", |user| user.name.as_str());
        if line {
            warn!(user.name = name, %from, "a sign-in failed: {name}, from {from}");
        }
        let Some((held, wait)) = held else { return };
        let (by, what) = match held {
            Held::Pair => ("name_and_address", format!("{name} has no more tries from {from}")),
            Held::Address => ("address", format!("{from} has no more tries, by whatever name")),
            Held::Name => ("name", format!("{name} has no more tries, from whatever address")),
        };
        metrics::counter!("onhook_sign_ins_held_up_total", "by" => by).increment(1);
        if held_line {
            let seconds = wait.as_secs();
            warn!(user.name = name, %from, seconds, "too many failed sign-ins: {what} for {seconds} s");
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(guess) = self.guess.take() {
            let _ = lock(&self.auth.guesses).settle(guess, Outcome::NotWrong, self.now);
        }
        lock(&self.auth.checks).remove(&self.key);
    }
}

/// Returns whether a user may sign in. A user of a closed account is as one that does not exist.
fn may_sign_in(user: &User) -> bool {
    !user.is_closed
}

/// Counts a refusal by its reason.
fn counted(refused: Refused) -> Refused {
    if let Some(reason) = refused.reason() {
        metrics::counter!("onhook_sign_ins_failed_total", "reason" => reason).increment(1);
    }
    refused
}

/// Logs the cause, once for all requests that wait for the check.
fn failed(error: StoreError) -> Refused {
    Refused::Failed(Refusal::by_store(error))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
