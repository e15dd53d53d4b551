//! Remembers users who have signed in, so that a request costs no argon2id check and no read of the store.
//!
//! A user's row is believed for two seconds, so a change on another server takes effect here within two seconds. A
//! change on this server takes effect at once ([`Known::forget`]). A credential that was found good is bound to the
//! password's hash in the row, so that another password ends it and another role does not.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onhook_store::contract::users::User;

use super::caller::Caller;

/// How long a user's row is believed.
const ROW_LASTS: Duration = Duration::from_secs(2);
/// How long an unused credential stays good without another check.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a used credential stays good without another check.
const UNCHECKED_MAX: Duration = Duration::from_secs(3_600);
/// How long an unused credential is known to have been good. Its check is due, but is no guess.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Most remembered users. When full, a new user replaces the one that was not seen for the longest time.
const USERS_MAX: usize = 10_000;
/// Counters of changes. There are many, so that changes of one user seldom affect another.
const CHANGES: usize = 256;

/// A hash of name and password, with a key that only this process has.
pub(super) type Fingerprint = [u8; 32];

/// A caller, and the generation of the user's row it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) caller: Caller,
    pub(super) generation: i64,
}

impl Signed {
    pub(super) fn of(user: &User) -> Self {
        let caller = Caller::user(user.name.as_str().into(), user.account, user.role, user.rights);
        Self { caller, generation: user.generation }
    }
}

/// What is known of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is good.
    Good(Signed),
    /// Not certain before the user's row is read again.
    Stale,
    /// It was good, and has to be checked again.
    Due,
    /// Nothing.
    Unknown,
}

/// A remembered user.
struct Remembered {
    signed: Signed,
    password_hash: String,
    /// When the row was read. `None` after a change.
    read_at: Option<Instant>,
    good: Option<Good>,
    /// When it was last seen, in milliseconds after [`Known::begun`].
    seen_ms: AtomicU64,
}

/// A credential that was found good.
struct Good {
    fingerprint: Fingerprint,
    checked_at: Instant,
}

/// The remembered users, by their folded names.
pub(super) struct Known {
    begun: Instant,
    users: HashMap<String, Remembered>,
    /// How often users have changed, by the hashes of their names.
    changes: [u64; CHANGES],
}

impl Known {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, users: HashMap::new(), changes: [0; CHANGES] }
    }

    /// Returns what is known of a credential, and notes that it was used.
    pub(super) fn standing(&self, name: &str, fingerprint: &Fingerprint, now: Instant) -> Standing {
        let Some(user) = self.users.get(name) else { return Standing::Unknown };
        let Some(good) = user.good.as_ref().filter(|good| good.fingerprint == *fingerprint) else {
            return Standing::Unknown;
        };
        if !user.is_fresh(now) {
            return Standing::Stale;
        }
        let unused = self.since_seen(user, now);
        if unused >= KEPT {
            return Standing::Unknown;
        }
        if unused >= IDLE_MAX || now.saturating_duration_since(good.checked_at) >= UNCHECKED_MAX {
            return Standing::Due;
        }
        self.see(user, now);
        Standing::Good(user.signed.clone())
    }

    /// Returns a user whose row is known and fresh, and notes that it was seen.
    pub(super) fn user(&self, name: &str, now: Instant) -> Option<Signed> {
        let user = self.users.get(name).filter(|user| user.is_fresh(now))?;
        self.see(user, now);
        Some(user.signed.clone())
    }

    /// Returns how often a user has changed. Ask before the row is read, and pass the count with the row.
    pub(super) fn changes(&self, name: &str) -> u64 {
        self.changes[self.counter(name)]
    }

    /// Remembers a user's row, or that there is none. A row that was read before the last change is ignored.
    pub(super) fn learn(&mut self, name: &str, row: Option<&User>, changes: u64, now: Instant) {
        if changes != self.changes(name) {
            return;
        }
        let Some(row) = row else {
            self.users.remove(name);
            return;
        };
        if let Some(user) = self.users.get_mut(name) {
            if user.password_hash != row.password_hash {
                user.good = None;
                user.password_hash.clone_from(&row.password_hash);
            }
            (user.signed, user.read_at) = (Signed::of(row), Some(now));
            return;
        }
        self.make_room(now);
        let user = Remembered {
            signed: Signed::of(row),
            password_hash: row.password_hash.clone(),
            read_at: Some(now),
            good: None,
            seen_ms: AtomicU64::new(self.ms(now)),
        };
        self.users.insert(name.to_owned(), user);
    }

    /// Remembers that a credential is good for a user's row.
    pub(super) fn remember(
        &mut self,
        name: &str,
        row: &User,
        fingerprint: Fingerprint,
        changes: u64,
        now: Instant,
    ) {
        self.learn(name, Some(row), changes, now);
        if let Some(user) = self.users.get_mut(name).filter(|user| user.password_hash == row.password_hash) {
            user.good = Some(Good { fingerprint, checked_at: now });
            user.seen_ms.store(ms(self.begun, now), Ordering::Relaxed);
        }
    }

    /// Notes that a user has changed. Its row has to be read again before anything is believed.
    pub(super) fn forget(&mut self, name: &str) {
        let counter = self.counter(name);
        self.changes[counter] += 1;
        if let Some(user) = self.users.get_mut(name) {
            user.read_at = None;
        }
    }

    /// Forgets users who were not seen for long.
    pub(super) fn tidy(&mut self, now: Instant) {
        let now_ms = self.ms(now);
        let kept_ms = millis(KEPT);
        self.users.retain(|_, user| now_ms.saturating_sub(user.seen_ms.load(Ordering::Relaxed)) < kept_ms);
    }

    fn make_room(&mut self, now: Instant) {
        if self.users.len() >= USERS_MAX {
            self.tidy(now);
        }
        if self.users.len() >= USERS_MAX {
            let seen = |user: &Remembered| user.seen_ms.load(Ordering::Relaxed);
            let oldest = self.users.iter().min_by_key(|(_, user)| seen(user)).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.users.remove(&oldest);
            }
        }
    }

    fn counter(&self, name: &str) -> usize {
        usize::try_from(self.users.hasher().hash_one(name) % 256).unwrap_or(0)
    }

    fn see(&self, user: &Remembered, now: Instant) {
        let now_ms = self.ms(now);
        // It is written at most once a second, so that cores do not contend for it.
        if now_ms.saturating_sub(user.seen_ms.load(Ordering::Relaxed)) >= 1_000 {
            user.seen_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn since_seen(&self, user: &Remembered, now: Instant) -> Duration {
        Duration::from_millis(self.ms(now).saturating_sub(user.seen_ms.load(Ordering::Relaxed)))
    }

    fn ms(&self, now: Instant) -> u64 {
        ms(self.begun, now)
    }
}

impl Remembered {
    fn is_fresh(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|read_at| now.saturating_duration_since(read_at) < ROW_LASTS)
    }
}

fn ms(begun: Instant, now: Instant) -> u64 {
    millis(now.saturating_duration_since(begun))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onhook_core::account::Role;
    use onhook_core::account::user::Rights;
    use onhook_core::ids::AccountId;
    use onhook_core::time::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    fn row(name: &str, hash: &str, generation: i64) -> User {
        let (account, role) = (AccountId::new(1), Role::Order);
        User {
            name: name.into(),
            account,
            role,
            rights: Rights::NONE,
            password_hash: hash.into(),
            created_at: Timestamp::default(),
            is_closed: false,
            generation,
        }
    }

    /// Remembers that a credential is good, as if nothing had changed meanwhile.
    fn remember(known: &mut Known, row: &User, fingerprint: u8, now: Instant) {
        known.remember(&row.name, row, [fingerprint; 32], known.changes(&row.name), now);
    }

    fn learn(known: &mut Known, row: &User, now: Instant) {
        known.learn(&row.name, Some(row), known.changes(&row.name), now);
    }

    #[test]
    fn a_credential_is_good_while_it_is_used_and_its_row_is_fresh() {
        let begin = Instant::now();
        let (mut known, one) = (Known::new(begin), row("one", "hash", 1));
        remember(&mut known, &one, 7, begin);
        let good = Standing::Good(Signed::of(&one));
        assert_eq!(known.standing("one", &[7; 32], begin), good);
        assert_eq!(known.standing("one", &[8; 32], begin), Standing::Unknown);
        assert_eq!(known.standing("other", &[7; 32], begin), Standing::Unknown);
        assert_eq!(known.standing("one", &[7; 32], begin + SECOND), good);
        assert_eq!(known.standing("one", &[7; 32], begin + 2 * SECOND), Standing::Stale);
        // A credential that is used each half minute is good for an hour. Then a check is due.
        for n in 1..120 {
            let now = begin + n * 30 * SECOND;
            learn(&mut known, &one, now);
            assert_eq!(known.standing("one", &[7; 32], now), good, "{n}");
        }
        let hour = begin + 3_600 * SECOND;
        learn(&mut known, &one, hour);
        assert_eq!(known.standing("one", &[7; 32], hour), Standing::Due);
        remember(&mut known, &one, 7, hour);
        assert_eq!(known.standing("one", &[7; 32], hour), good);
        // Unused for a minute, its check is due as well. Unused for a day, nothing is known of it.
        for (unused, wanted) in [(59, good), (60 + 59, Standing::Due), (86_400 + 59, Standing::Unknown)] {
            let now = hour + unused * SECOND;
            learn(&mut known, &one, now);
            assert_eq!(known.standing("one", &[7; 32], now), wanted, "{unused}");
        }
    }

    #[test]
    fn another_password_ends_a_credential_and_another_role_does_not() {
        let now = Instant::now();
        let mut known = Known::new(now);
        remember(&mut known, &row("one", "hash", 1), 7, now);
        let reader = User { role: Role::Read, ..row("one", "hash", 2) };
        learn(&mut known, &reader, now);
        assert_eq!(known.standing("one", &[7; 32], now), Standing::Good(Signed::of(&reader)));
        learn(&mut known, &row("one", "other hash", 3), now);
        assert_eq!(known.standing("one", &[7; 32], now), Standing::Unknown);
        remember(&mut known, &row("one", "other hash", 3), 8, now);
        known.learn("one", None, known.changes("one"), now);
        assert_eq!((known.standing("one", &[8; 32], now), known.user("one", now)), (Standing::Unknown, None));
    }

    #[test]
    fn what_was_read_before_a_user_changed_is_not_remembered() {
        let now = Instant::now();
        let mut known = Known::new(now);
        let (one, other) = (row("one", "hash", 1), row("other", "hash", 1));
        remember(&mut known, &one, 7, now);
        remember(&mut known, &other, 8, now);
        let before = known.changes("one");
        known.forget("one");
        assert_eq!((known.standing("one", &[7; 32], now), known.user("one", now)), (Standing::Stale, None));
        assert_eq!(known.user("other", now), Some(Signed::of(&other)));
        known.remember("one", &one, [7; 32], before, now);
        known.learn("one", Some(&one), before, now);
        assert_eq!((known.standing("one", &[7; 32], now), known.user("one", now)), (Standing::Stale, None));
        learn(&mut known, &row("one", "hash", 2), now);
        assert_eq!(known.user("one", now).unwrap().generation, 2);
        // Changes of one user affect few others.
        let before: Vec<u64> = (0..100).map(|n| known.changes(&format!("user{n}"))).collect();
        known.forget("one");
        let after: Vec<u64> = (0..100).map(|n| known.changes(&format!("user{n}"))).collect();
        assert!(before.iter().zip(&after).filter(|(one, other)| one != other).count() < 50);
    }

    #[test]
    fn only_so_many_users_are_remembered_and_the_one_not_seen_for_longest_goes_first() {
        let begin = Instant::now();
        let mut known = Known::new(begin);
        for n in 0..=USERS_MAX {
            let now = begin + SECOND * u32::try_from(n).unwrap() / 10;
            remember(&mut known, &row(&format!("user{n}"), "hash", 1), 7, now);
        }
        let there = |known: &Known, n: usize| known.users.contains_key(&format!("user{n}"));
        assert_eq!(known.users.len(), USERS_MAX);
        assert_eq!((there(&known, 0), there(&known, 1), there(&known, USERS_MAX)), (false, true, true));
        known.tidy(begin + KEPT + 100 * SECOND);
        assert_eq!((there(&known, 1_000), there(&known, 1_001)), (false, true));
    }
}
