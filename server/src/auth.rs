//! Who is calling: HTTP Basic against argon2id hashes, or a token that stands for such a credential.
//!
//! A client sends its password with every request, and one argon2id check costs some 26 ms and 19 MiB: so
//! a credential that was found good is remembered for a minute, under a hash with a key that only this
//! process has. No more checks run at once than there are cores, few wait, and after ten failures in a
//! minute a user has no more tries from that address. An unknown user costs as much as a wrong password.
//!
//! A token is 256 random bits that stand for a user for an hour. Only its hash is kept, and only here: it ends
//! with the process, and the client asks for another, as it does when the hour is over. What is remembered of
//! a user, tokens too, is forgotten when the user changes ([`Auth::forget`]), and a check that was under way
//! by then is not remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use onhook_core::account::{AccountId, Role};
use onhook_core::user::PASSWORD_MAX;
use onhook_store::{Store, StoreError, User};
use tokio::sync::Semaphore;

/// Longest name or password, in bytes; longer ones are refused without a look.
pub const CREDENTIAL_MAX: usize = PASSWORD_MAX;
/// How long a credential that was found good is not checked again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Most credentials that are remembered.
const REMEMBERED_MAX: usize = 10_000;
/// How long a token is good.
pub const TOKEN_LASTS: Duration = Duration::from_secs(3_600);
/// Most tokens that are good at once; with another one, the oldest of the account ends that has most.
const TOKENS_MAX: usize = 10_000;
/// Most of them of one account, and of all operators; with another one, the oldest ends.
const TOKENS_ACCOUNT_MAX: usize = 1_000;
/// Most of them of one user; with another one, the oldest ends.
const TOKENS_EACH_MAX: usize = 100;
/// Most tokens that a user gets in [`ISSUED_OVER`].
const ISSUED_MAX: usize = 60;
/// The time that a user's new tokens are counted over.
const ISSUED_OVER: Duration = Duration::from_secs(60);
/// Most new passwords that wait for a core.
const HASHING_MAX: usize = 8;
/// Most checks that wait for a core.
const WAITING_MAX: usize = 64;
/// Failures in [`FAILURES_OVER`] after which a user has no more tries from one address.
const FAILURES_MAX: u32 = 10;
/// The time that failures are counted over.
const FAILURES_OVER: Duration = Duration::from_secs(60);
/// Most pairs of user and address whose failures are counted; beyond them, nobody new has a try.
const FAILING_MAX: usize = 100_000;
/// Counters of what was forgotten, so that the changes of one user seldom bother another one.
const FORGOTTEN: usize = 256;
/// Locks that keep one credential from being checked twice at the same time.
const LOCKS: usize = 64;

/// Whoever signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name.
    pub user: Arc<str>,
    /// Its account; none for an operator of the server.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
}

/// Why somebody is not signed in.
#[derive(Debug)]
pub enum Refused {
    /// No credentials, or not the right ones: 401.
    Unknown,
    /// Two `Authorization` headers: 400.
    Twice,
    /// Too many tries: 429, and when to try again.
    TooMany(Duration),
    /// Too many others sign in at this moment: 503.
    Busy,
    /// The store failed.
    Store(StoreError),
}

/// How often somebody has failed, and when that is forgotten.
struct Failures {
    count: u32,
    until: Instant,
}

/// What is known of callers without a check, by hashes with a key that only this process has.
struct Remembered {
    /// Credentials that were found good, and until when that is believed.
    credentials: HashMap<[u8; 32], (Caller, Instant)>,
    /// Tokens, and when they end.
    tokens: HashMap<[u8; 32], (Caller, Instant)>,
    /// How often something was forgotten, by hashes of names: what was looked up before the last time is not
    /// remembered.
    forgotten: [u64; FORGOTTEN],
}

impl Default for Remembered {
    fn default() -> Self {
        Self { credentials: HashMap::new(), tokens: HashMap::new(), forgotten: [0; FORGOTTEN] }
    }
}

impl Remembered {
    /// Keeps a new token. There is always room: somebody's oldest one ends for it, and it is the user's or
    /// the account's own as long as others have no more than they.
    fn keep(&mut self, hash: [u8; 32], caller: Caller, now: Instant) -> Result<(), Refused> {
        self.tokens.retain(|_, (_, until)| now < *until);
        let minute = now + TOKEN_LASTS - ISSUED_OVER;
        let theirs = self.tokens.values().filter(|(holder, _)| holder.user == caller.user);
        let issued: Vec<Instant> = theirs.map(|(_, until)| *until).filter(|until| minute < *until).collect();
        if let Some(first) = issued.iter().min().filter(|_| issued.len() >= ISSUED_MAX) {
            return Err(Refused::TooMany(*first - minute));
        }
        self.make_room(TOKENS_EACH_MAX, |holder| holder.user == caller.user);
        self.make_room(TOKENS_ACCOUNT_MAX, |holder| holder.account == caller.account);
        if self.tokens.len() >= TOKENS_MAX {
            let mut counts: HashMap<Option<AccountId>, usize> = HashMap::new();
            for (holder, _) in self.tokens.values() {
                *counts.entry(holder.account).or_default() += 1;
            }
            if let Some((most, _)) = counts.into_iter().max_by_key(|(_, count)| *count) {
                self.make_room(1, |holder| holder.account == most);
            }
        }
        self.tokens.insert(hash, (caller, now + TOKEN_LASTS));
        Ok(())
    }

    /// Ends the oldest token of some users if they have so many.
    fn make_room(&mut self, max: usize, whose: impl Fn(&Caller) -> bool) {
        let theirs = self.tokens.iter().filter(|(_, (holder, _))| whose(holder));
        let (count, oldest) = theirs.fold((0, None), |(count, oldest), (hash, (_, until))| {
            (count + 1, Some(oldest.unwrap_or((*until, *hash)).min((*until, *hash))))
        });
        if let Some((_, oldest)) = oldest.filter(|_| count >= max) {
            self.tokens.remove(&oldest);
        }
    }
}

/// Checks credentials.
pub struct Auth {
    key: [u8; 32],
    nobody: String,
    remembered: RwLock<Remembered>,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
    hashing: Semaphore,
    failures: Mutex<HashMap<(u64, IpAddr), Failures>>,
    checking: [tokio::sync::Mutex<()>; LOCKS],
}

impl Auth {
    /// With a key of its own.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            key,
            nobody: hash_password("of nobody").unwrap_or_default(),
            remembered: RwLock::default(),
            turns: Arc::new(Semaphore::new(cores)),
            waiting: Semaphore::new(WAITING_MAX),
            hashing: Semaphore::new(HASHING_MAX),
            failures: Mutex::default(),
            checking: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        })
    }

    /// Who sends these headers, from this address.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn sign_in(
        &self,
        store: &dyn Store,
        headers: &http::HeaderMap,
        from: IpAddr,
    ) -> Result<Caller, Refused> {
        let mut sent = headers.get_all(http::header::AUTHORIZATION).iter();
        let header = sent.next().ok_or(Refused::Unknown)?;
        if sent.next().is_some() {
            return Err(Refused::Twice);
        }
        if let Some(token) = bearer(header) {
            return self.of_token(token).ok_or(Refused::Unknown);
        }
        let (user, password) = basic(header).ok_or(Refused::Unknown)?;
        let fingerprint = self.fingerprint(&user, &password);
        if let Some(caller) = self.known(&fingerprint) {
            return Ok(caller);
        }
        // Requests that come at once with a new credential wait for the first one's check.
        let _waiting = self.waiting.try_acquire().map_err(|_| Refused::Busy)?;
        let lock = usize::from(fingerprint[0]) % LOCKS;
        let _checking = self.checking[lock].lock().await;
        if let Some(caller) = self.known(&fingerprint) {
            return Ok(caller);
        }
        let name = self.fingerprint(&user, "");
        let who = (u64::from_le_bytes(name.first_chunk().copied().unwrap_or_default()), from);
        self.may_try(who)?;
        let forgotten = self.forgotten(&user);
        let found = store.user(&user).await.map_err(Refused::Store)?;
        let verified = self.verify(found, password).await;
        match &verified {
            Ok(caller) => self.remember(fingerprint, caller, forgotten),
            Err(Refused::Unknown) => self.failed(who),
            Err(_) => {}
        }
        verified
    }

    /// A token for whoever sends these headers with name and password; a token does not get another one.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn issue(
        &self,
        store: &dyn Store,
        headers: &http::HeaderMap,
        from: IpAddr,
    ) -> Result<String, Refused> {
        if is_token(headers) {
            return Err(Refused::Unknown);
        }
        let named = headers.get(http::header::AUTHORIZATION).and_then(basic);
        let (user, _) = named.ok_or(Refused::Unknown)?;
        let forgotten = self.forgotten(&user);
        let caller = self.sign_in(store, headers, from).await?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| Refused::Store(StoreError::Broken(Box::new(error))))?;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.forgotten[self.counter(&user)] != forgotten {
            return Err(Refused::Busy); // it may be this user who has changed
        }
        remembered.keep(self.token_hash(&token), caller, Instant::now())?;
        Ok(token)
    }

    fn of_token(&self, token: &str) -> Option<Caller> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let (caller, until) = remembered.tokens.get(&self.token_hash(token))?;
        (Instant::now() < *until).then(|| caller.clone())
    }

    fn token_hash(&self, token: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.key, token.as_bytes()).as_bytes()
    }

    /// Lets go of all that is remembered of a user: its next request is checked against the store, and its
    /// tokens are none.
    pub fn forget(&self, user: &str) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        remembered.forgotten[self.counter(user)] += 1;
        remembered.credentials.retain(|_, (caller, _)| &*caller.user != user);
        remembered.tokens.retain(|_, (caller, _)| &*caller.user != user);
    }

    fn forgotten(&self, user: &str) -> u64 {
        self.remembered.read().unwrap_or_else(PoisonError::into_inner).forgotten[self.counter(user)]
    }

    /// Which counter is a user's.
    fn counter(&self, user: &str) -> usize {
        usize::from(self.fingerprint(user, "")[0]) % FORGOTTEN
    }

    /// The hash of a new password, made when a core is free.
    ///
    /// # Errors
    /// `Busy` when too many wait for that, `Store` when the system has no random numbers.
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
            Ok(Err(error)) => Err(Refused::Store(StoreError::Broken(error.to_string().into()))),
            Err(error) => Err(Refused::Store(StoreError::Broken(Box::new(error)))),
        }
    }

    /// Refuses who has failed too often.
    fn may_try(&self, who: (u64, IpAddr)) -> Result<(), Refused> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if failures.len() >= FAILING_MAX {
            failures.retain(|_, f| now < f.until);
        }
        match failures.get(&who) {
            Some(f) if now < f.until && f.count >= FAILURES_MAX => Err(Refused::TooMany(f.until - now)),
            None if failures.len() >= FAILING_MAX => Err(Refused::Busy),
            _ => Ok(()),
        }
    }

    fn failed(&self, who: (u64, IpAddr)) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let entry = failures.entry(who).or_insert(Failures { count: 0, until: now });
        if now >= entry.until {
            *entry = Failures { count: 0, until: now + FAILURES_OVER };
        }
        entry.count += 1;
    }

    fn fingerprint(&self, user: &str, password: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&u64::try_from(user.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(user.as_bytes()).update(password.as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn known(&self, fingerprint: &[u8; 32]) -> Option<Caller> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let (caller, until) = remembered.credentials.get(fingerprint)?;
        (Instant::now() < *until).then(|| caller.clone())
    }

    fn remember(&self, fingerprint: [u8; 32], caller: &Caller, forgotten: u64) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.forgotten[self.counter(&caller.user)] != forgotten {
            return; // it may be this user who has changed since it was looked up
        }
        let now = Instant::now();
        let credentials = &mut remembered.credentials;
        if credentials.len() >= REMEMBERED_MAX {
            credentials.retain(|_, (_, until)| now < *until);
        }
        if credentials.len() < REMEMBERED_MAX {
            credentials.insert(fingerprint, (caller.clone(), now + REMEMBERED));
        }
    }

    async fn verify(&self, found: Option<User>, password: String) -> Result<Caller, Refused> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Refused::Busy)?;
        let hash = found.as_ref().map_or_else(|| self.nobody.clone(), |user| user.password_hash.clone());
        metrics::counter!("onhook_password_checks_total").increment(1);
        let good = tokio::task::spawn_blocking(move || {
            let good = verify_password(&password, &hash);
            drop(turn);
            good
        });
        match (good.await.unwrap_or(false), found) {
            (true, Some(user)) => {
                Ok(Caller { user: user.name.into(), account: user.account, role: user.role })
            }
            _ => Err(Refused::Unknown),
        }
    }
}

/// Whether these headers hold a token instead of name and password.
#[must_use]
pub fn is_token(headers: &http::HeaderMap) -> bool {
    headers.get_all(http::header::AUTHORIZATION).iter().any(|header| bearer(header).is_some())
}

/// The token of a Bearer header.
fn bearer(header: &http::HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && token.len() <= CREDENTIAL_MAX;
    fits.then(|| token.trim())
}

/// Name and password of a Basic header: the first colon parts them.
fn basic(header: &http::HeaderValue) -> Option<(String, String)> {
    let text = header.to_str().ok().filter(|text| text.len() <= 4 * CREDENTIAL_MAX)?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok().filter(|text| !text.contains('\0'))?;
    let (user, password) = decoded.split_once(':')?;
    let fits = user.len() <= CREDENTIAL_MAX && password.len() <= CREDENTIAL_MAX && !user.is_empty();
    fits.then(|| (user.to_owned(), password.to_owned()))
}

/// The argon2id hash of a password, in PHC form, with a salt of its own.
///
/// # Errors
/// When the system has no random numbers.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// Whether a hash in PHC form is that of a password.
pub(crate) fn verify_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> http::HeaderValue {
        http::HeaderValue::from_str(text).unwrap()
    }

    #[test]
    fn basic_headers_are_read_strictly() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(basic(&header("Basic dXNlcm5hbWU6cGFzc3dvcmQ=")), pair("username", "password"));
        assert_eq!(basic(&header("basic dTpwOnE=")), pair("u", "p:q"));
        for wrong in ["Basic", "Basic !!", "Basic dXNlcg==", "Bearer dTpw", "Basic AHU6cA==", "Basic OnA="] {
            assert_eq!(basic(&header(wrong)), None, "{wrong}");
        }
        let long =
            base64::engine::general_purpose::STANDARD.encode(format!("u:{}", "p".repeat(CREDENTIAL_MAX + 1)));
        assert_eq!(basic(&header(&format!("Basic {long}"))), None);
    }

    #[test]
    fn a_hash_is_argon2id_and_fits_its_password_only() {
        let hash = hash_password("password").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password("password", &hash));
        assert!(!verify_password("Password", &hash));
        assert!(!verify_password("password", "not a hash"));
    }

    #[test]
    fn bearer_headers_are_told_from_others() {
        assert_eq!(bearer(&header("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&header("bearer  abc")), Some("abc"));
        for other in ["Bearer", "Basic dTpw", "Bearerabc", "Token abc"] {
            assert_eq!(bearer(&header(other)), None, "{other}");
        }
    }

    fn caller(user: &str) -> Caller {
        Caller { user: user.into(), account: AccountId::new(1), role: Role::Order }
    }

    #[test]
    fn what_was_looked_up_before_a_user_changed_is_not_remembered() {
        let auth = Auth::new().unwrap();
        let (one, other) = (auth.fingerprint("one", "password"), auth.fingerprint("other", "password"));
        auth.remember(one, &caller("one"), auth.forgotten("one"));
        auth.remember(other, &caller("other"), auth.forgotten("other"));
        let looked_up = auth.forgotten("one");
        auth.forget("one");
        assert_eq!((auth.known(&one), auth.known(&other)), (None, Some(caller("other"))));
        auth.remember(one, &caller("one"), looked_up);
        assert_eq!(auth.known(&one), None);
        auth.remember(one, &caller("one"), auth.forgotten("one"));
        assert_eq!(auth.known(&one), Some(caller("one")));
    }

    #[test]
    fn a_user_s_change_does_not_bother_those_who_sign_in_meanwhile() {
        let auth = Auth::new().unwrap();
        let changed = "changed";
        let mut others = (0..).map(|n| format!("user{n}"));
        let other = others.find(|name| auth.counter(name) != auth.counter(changed)).unwrap();
        let fingerprint = auth.fingerprint(&other, "password");
        let looked_up = auth.forgotten(&other);
        auth.forget(changed);
        auth.remember(fingerprint, &caller(&other), looked_up);
        assert_eq!(auth.known(&fingerprint), Some(caller(&other)));
    }

    /// Keeps a user's token that is told by a number, and says whether it was kept.
    fn keep(remembered: &mut Remembered, n: usize, user: &str, account: u32, now: Instant) -> bool {
        let caller = Caller { user: user.into(), account: AccountId::new(account), role: Role::Read };
        remembered.keep(hash(n), caller, now).is_ok()
    }

    fn hash(n: usize) -> [u8; 32] {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    #[test]
    fn a_user_gets_so_many_tokens_a_minute() {
        let (mut remembered, begin) = (Remembered::default(), Instant::now());
        for n in 0..ISSUED_MAX {
            assert!(keep(&mut remembered, n, "one", 1, begin), "{n}");
        }
        assert!(!keep(&mut remembered, 900, "one", 1, begin + Duration::from_secs(59)));
        assert!(keep(&mut remembered, 901, "other", 1, begin + Duration::from_secs(59)));
        assert!(keep(&mut remembered, 902, "one", 1, begin + Duration::from_secs(60)));
        assert_eq!(remembered.tokens.len(), ISSUED_MAX + 2);
    }

    #[test]
    fn a_user_s_hundred_and_first_token_ends_the_first() {
        let (mut remembered, begin) = (Remembered::default(), Instant::now());
        assert!(keep(&mut remembered, 900, "other", 1, begin));
        for n in 0..=TOKENS_EACH_MAX {
            let now = begin + Duration::from_secs(2) * u32::try_from(n).unwrap();
            assert!(keep(&mut remembered, n, "one", 1, now), "{n}");
        }
        let there = |n| remembered.tokens.contains_key(&hash(n));
        assert_eq!((there(0), there(1), there(TOKENS_EACH_MAX), there(900)), (false, true, true, true));
    }

    #[test]
    fn an_account_that_fills_its_tokens_ends_its_own() {
        let (mut remembered, begin) = (Remembered::default(), Instant::now());
        assert!(keep(&mut remembered, 9_999, "neighbour", 2, begin));
        for n in 0..=TOKENS_ACCOUNT_MAX {
            let (user, now) =
                (format!("user{}", n % 20), begin + Duration::from_millis(n.try_into().unwrap()));
            assert!(keep(&mut remembered, n, &user, 1, now), "{n}");
        }
        let there = |n| remembered.tokens.contains_key(&hash(n));
        assert_eq!((there(0), there(1), there(TOKENS_ACCOUNT_MAX), there(9_999)), (false, true, true, true));
        assert_eq!(remembered.tokens.len(), TOKENS_ACCOUNT_MAX + 1);
    }

    #[test]
    fn who_has_most_tokens_makes_room_for_who_has_few() {
        let (mut remembered, begin) = (Remembered::default(), Instant::now());
        let until = |n: usize| begin + Duration::from_millis(n.try_into().unwrap()) + TOKEN_LASTS;
        // The oldest are of an account that has one less than the others.
        for n in 1..TOKENS_MAX {
            let account = u32::try_from(n / TOKENS_ACCOUNT_MAX).unwrap() + 1;
            let held = Caller { account: AccountId::new(account), ..caller("somebody") };
            remembered.tokens.insert(hash(n), (held, until(n)));
        }
        assert!(keep(&mut remembered, 20_000, "new", 99, begin + Duration::from_secs(60)));
        assert!(keep(&mut remembered, 20_001, "newer", 99, begin + Duration::from_secs(60)));
        assert_eq!(remembered.tokens.len(), TOKENS_MAX);
        let of = |account| {
            remembered.tokens.values().filter(|(holder, _)| holder.account == AccountId::new(account)).count()
        };
        assert_eq!((of(1), of(99)), (TOKENS_ACCOUNT_MAX - 1, 2));
        assert!(remembered.tokens.contains_key(&hash(1)));
    }

    #[test]
    fn names_and_passwords_do_not_run_together() {
        let auth = Auth::new().unwrap();
        assert_ne!(auth.fingerprint("ab", "c"), auth.fingerprint("a", "bc"));
    }
}
