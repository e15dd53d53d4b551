//! Limits of wrong passwords, and of checks under way.
//!
//! A credential that is not known to be good is a guess. It is counted before it is checked, so that sending guesses at
//! once allows no more of them than sending them in turn. A guess that turns out right is taken back. Three things are
//! counted: a name from one address, an address with any name, and a name from all addresses together. The last count
//! leads to a growing wait instead of a lock, since anybody can fail by any name.
//!
//! Each process has its own counts, also if several servers share a store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Most failures of a name from one address in [`WINDOW`].
const PAIR_MAX: u32 = 10;
/// Most failures from one address in [`WINDOW`], by any names.
const ADDRESS_MAX: u32 = 100;
/// The time over which these failures are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Failures of a name from all addresses, after which the name has to wait between tries.
const NAME_MAX: u32 = 60;
/// The time in which one failure of a name is forgotten.
const NAME_FORGETS: Duration = Duration::from_secs(900);
/// A name's first wait. Each further wait is twice as long.
const NAME_WAIT: Duration = Duration::from_secs(60);
/// A name's longest wait.
const NAME_WAIT_MAX: Duration = Duration::from_secs(900);
/// Most guesses whose check waits for a core or is under way.
const CHECKS_MAX: u32 = 64;
/// Most such guesses from one address.
const CHECKS_EACH_MAX: u32 = 32;
/// Most names, addresses, and pairs of both that are counted. When full, nobody new has a try.
const COUNTED_MAX: usize = 100_000;
/// Names with fewer failures than this are forgotten when there are too many names.
const FEW: u32 = 5;
/// Shortest time between log lines about one name, and about all names that no user has.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A name, as a hash with a key that only this process has.
pub(super) type Name = u64;

/// The origin of a guess: an IPv4 address, or the first 64 bits of an IPv6 address. A client that has one IPv6 address
/// with these bits has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

/// Why a guess is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTry {
    /// There were too many guesses, and how long to wait.
    Wait(Duration),
    /// Too many checks are under way.
    Busy,
}

/// The outcome of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is wrong, by the name of a user.
    Wrong,
    /// It is wrong, by a name that no user has.
    NoUser,
    /// It is right, or was not checked after all.
    NotWrong,
}

/// What has no more tries for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The name, from the address of the guess.
    Pair,
    /// Everything from the address.
    Address,
    /// The name, from everywhere.
    Name,
}

/// What to log about a wrong guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// True if a line is due about this name, or about the names that no user has.
    pub(super) line: bool,
    /// What has no more tries after this guess, and for how long.
    pub(super) held: Option<(Held, Duration)>,
    /// True if a line about `held` is due.
    pub(super) held_line: bool,
}

/// When the log last had a line about a name, or about all names that no user has.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    failed_at: Option<Instant>,
    held_at: Option<Instant>,
}

/// A guess that was counted and is being checked.
#[derive(Debug)]
#[must_use = "it counts as under way until it is settled"]
pub(super) struct Guess {
    name: Name,
    origin: Origin,
    /// The ends of the windows in which it was counted.
    pair_until: Instant,
    address_until: Instant,
    held: Option<(Held, Duration)>,
}

/// Failures in a window of time.
#[derive(Clone, Copy)]
struct Window {
    count: u32,
    until: Instant,
}

/// Failures of a name from everywhere.
struct Failing {
    /// When all failures will be forgotten, one in each [`NAME_FORGETS`].
    clear_at: Instant,
    /// The earliest time of the next try.
    next_at: Instant,
    lines: Lines,
}

impl Failing {
    /// Returns how many failures are not yet forgotten.
    fn count(&self, now: Instant) -> u32 {
        let left = self.clear_at.saturating_duration_since(now).as_millis();
        u32::try_from(left.div_ceil(NAME_FORGETS.as_millis())).unwrap_or(u32::MAX)
    }
}

/// The counts.
#[derive(Default)]
pub(super) struct Guesses {
    pairs: HashMap<(Name, Origin), Window>,
    addresses: HashMap<Origin, Window>,
    names: HashMap<Name, Failing>,
    under_way: HashMap<Origin, u32>,
    all_under_way: u32,
    no_user_lines: Lines,
    tidied_at: Option<Instant>,
}

impl Guesses {
    /// Counts a guess that is about to be checked. Each guess must be given back to [`Guesses::settle`].
    pub(super) fn take(&mut self, name: Name, origin: Origin, now: Instant) -> Result<Guess, NoTry> {
        let pair = (name, origin);
        let waits = [
            wait(&self.pairs, &pair, PAIR_MAX, now),
            wait(&self.addresses, &origin, ADDRESS_MAX, now),
            self.names.get(&name).map_or(Duration::ZERO, |name| name.next_at.saturating_duration_since(now)),
        ];
        let longest = waits.into_iter().max().unwrap_or_default();
        if !longest.is_zero() {
            return Err(NoTry::Wait(longest));
        }
        let under_way = self.under_way.get(&origin).copied().unwrap_or(0);
        if self.all_under_way >= CHECKS_MAX || under_way >= CHECKS_EACH_MAX || !self.has_room(pair, now) {
            return Err(NoTry::Busy);
        }
        self.all_under_way += 1;
        self.under_way.insert(origin, under_way + 1);
        let by_pair = count(&mut self.pairs, pair, now);
        let by_address = count(&mut self.addresses, origin, now);
        let failing = self.names.entry(name).or_insert(Failing {
            clear_at: now,
            next_at: now,
            lines: Lines::default(),
        });
        failing.clear_at = failing.clear_at.max(now) + NAME_FORGETS;
        let mut held = None;
        if by_pair.count >= PAIR_MAX {
            held = Some((Held::Pair, by_pair.until.saturating_duration_since(now)));
        }
        if by_address.count >= ADDRESS_MAX {
            held = Some((Held::Address, by_address.until.saturating_duration_since(now)));
        }
        if let Some(over) = failing.count(now).checked_sub(NAME_MAX) {
            let wait = NAME_WAIT.saturating_mul(2_u32.saturating_pow(over)).min(NAME_WAIT_MAX);
            failing.next_at = now + wait;
            held = Some((Held::Name, wait));
        }
        Ok(Guess { name, origin, pair_until: by_pair.until, address_until: by_address.until, held })
    }

    /// Ends a guess. If it was not wrong, it is taken back.
    pub(super) fn settle(&mut self, guess: Guess, outcome: Outcome, now: Instant) -> Told {
        self.all_under_way = self.all_under_way.saturating_sub(1);
        if let Entry::Occupied(mut under_way) = self.under_way.entry(guess.origin) {
            *under_way.get_mut() -= 1;
            if *under_way.get() == 0 {
                under_way.remove();
            }
        }
        let lines = match outcome {
            Outcome::NotWrong => {
                take_back(&mut self.pairs, (guess.name, guess.origin), guess.pair_until);
                take_back(&mut self.addresses, guess.origin, guess.address_until);
                if let Some(failing) = self.names.get_mut(&guess.name) {
                    failing.clear_at = failing.clear_at.checked_sub(NAME_FORGETS).unwrap_or(now);
                    failing.next_at = now;
                }
                return Told::default();
            }
            Outcome::Wrong => self.names.get_mut(&guess.name).map(|failing| &mut failing.lines),
            Outcome::NoUser => Some(&mut self.no_user_lines),
        };
        let Some(lines) = lines else { return Told { held: guess.held, ..Told::default() } };
        let held_line = match guess.held {
            None => false,
            // These lines are rare enough without a limit.
            Some((Held::Address, _)) => true,
            Some((Held::Name, _)) if outcome == Outcome::Wrong => true,
            Some(_) => is_due(&mut lines.held_at, now),
        };
        Told { line: is_due(&mut lines.failed_at, now), held: guess.held, held_line }
    }

    /// Forgets the failures of a name from all addresses, after a permitted change of its password.
    pub(super) fn forgive(&mut self, name: Name) {
        self.names.remove(&name);
    }

    /// Forgets counts that are no longer needed.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.pairs.retain(|_, window| now < window.until);
        self.addresses.retain(|_, window| now < window.until);
        self.names.retain(|_, name| now < name.clear_at);
        if self.names.len() >= COUNTED_MAX {
            self.names.retain(|_, name| name.count(now) >= FEW);
        }
        self.tidied_at = Some(now);
    }

    fn has_room(&mut self, pair: (Name, Origin), now: Instant) -> bool {
        let full = |this: &Self| {
            (this.pairs.len() >= COUNTED_MAX && !this.pairs.contains_key(&pair))
                || (this.addresses.len() >= COUNTED_MAX && !this.addresses.contains_key(&pair.1))
                || (this.names.len() >= COUNTED_MAX && !this.names.contains_key(&pair.0))
        };
        let tidied = self.tidied_at.is_some_and(|at| now.saturating_duration_since(at).as_secs() < 1);
        if full(self) && !tidied {
            self.tidy(now);
        }
        !full(self)
    }
}

/// Returns true if a line may be written again, and notes it as written.
fn is_due(last_at: &mut Option<Instant>, now: Instant) -> bool {
    let due = last_at.is_none_or(|last_at| now.saturating_duration_since(last_at) >= TOLD_EVERY);
    if due {
        *last_at = Some(now);
    }
    due
}

/// Returns how long to wait until there are tries again. Zero if there are some.
fn wait<K: Eq + Hash>(windows: &HashMap<K, Window>, key: &K, max: u32, now: Instant) -> Duration {
    match windows.get(key) {
        Some(window) if window.count >= max => window.until.saturating_duration_since(now),
        _ => Duration::ZERO,
    }
}

fn count<K: Eq + Hash>(windows: &mut HashMap<K, Window>, key: K, now: Instant) -> Window {
    let window = windows.entry(key).or_insert(Window { count: 0, until: now });
    if now >= window.until {
        *window = Window { count: 0, until: now + WINDOW };
    }
    window.count += 1;
    *window
}

fn take_back<K: Eq + Hash>(windows: &mut HashMap<K, Window>, key: K, until: Instant) {
    if let Entry::Occupied(mut window) = windows.entry(key)
        && window.get().until == until
    {
        window.get_mut().count -= 1;
        if window.get().count == 0 {
            window.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn origin(text: &str) -> Origin {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn nth(n: u32) -> Origin {
        IpAddr::from(n.to_be_bytes()).into()
    }

    /// Makes a wrong guess. Returns what to log about it, or why it was not checked.
    fn wrong(guesses: &mut Guesses, name: Name, origin: Origin, now: Instant) -> Result<Told, NoTry> {
        let guess = guesses.take(name, origin, now)?;
        Ok(guesses.settle(guess, Outcome::Wrong, now))
    }

    #[test]
    fn guesses_that_are_sent_at_once_are_no_more_than_those_sent_in_turn() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let taken: Vec<Guess> = (0..64).filter_map(|_| guesses.take(1, nth(1), now).ok()).collect();
        assert_eq!(taken.len(), 10);
        for guess in taken {
            let _ = guesses.settle(guess, Outcome::Wrong, now);
        }
        assert_eq!(guesses.take(1, nth(1), now + 59 * SECOND).unwrap_err(), NoTry::Wait(SECOND));
        assert!(guesses.take(1, nth(2), now).is_ok());
        assert!(guesses.take(2, nth(1), now).is_ok());
        assert!(guesses.take(1, nth(1), now + 60 * SECOND).is_ok());
    }

    #[test]
    fn a_right_one_is_taken_back() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..200 {
            let guess = guesses.take(1, nth(1), now).unwrap();
            assert_eq!(guesses.settle(guess, Outcome::NotWrong, now), Told::default());
        }
        for _ in 0..9 {
            wrong(&mut guesses, 1, nth(1), now).unwrap();
        }
        // The tenth guess is under way when the next one is made. The tenth turns out right, and the next one has its
        // try.
        let tenth = guesses.take(1, nth(1), now).unwrap();
        assert_eq!(guesses.take(1, nth(1), now).unwrap_err(), NoTry::Wait(WINDOW));
        let _ = guesses.settle(tenth, Outcome::NotWrong, now);
        assert!(wrong(&mut guesses, 1, nth(1), now).is_ok());
        // A guess that was counted in an earlier window is not taken back from this one.
        let (early, late) = (now + 100 * SECOND, now + 165 * SECOND);
        let slow = guesses.take(2, nth(2), early).unwrap();
        for _ in 0..10 {
            wrong(&mut guesses, 2, nth(2), late).unwrap();
        }
        let _ = guesses.settle(slow, Outcome::NotWrong, late);
        assert!(wrong(&mut guesses, 2, nth(2), late).is_err());
    }

    #[test]
    fn an_address_has_a_hundred_failures_a_minute_whatever_the_names() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let tried = (0..200).filter(|name| wrong(&mut guesses, *name, nth(1), now).is_ok()).count();
        assert_eq!(tried, 100);
        assert_eq!(wrong(&mut guesses, 999, nth(1), now), Err(NoTry::Wait(WINDOW)));
        assert!(wrong(&mut guesses, 999, nth(2), now).is_ok());
    }

    #[test]
    fn an_address_has_its_share_of_the_checks_under_way() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let mut taken: Vec<Guess> = (0..32).map(|name| guesses.take(name, nth(1), now).unwrap()).collect();
        assert_eq!(guesses.take(99, nth(1), now).unwrap_err(), NoTry::Busy);
        taken.extend((0..32).map(|name| guesses.take(name, nth(2), now).unwrap()));
        assert_eq!(guesses.take(99, nth(3), now).unwrap_err(), NoTry::Busy);
        for guess in taken {
            let _ = guesses.settle(guess, Outcome::NotWrong, now);
        }
        assert!(guesses.take(99, nth(3), now).is_ok());
        assert_eq!((guesses.under_way.len(), guesses.addresses.len(), guesses.pairs.len()), (1, 1, 1));
    }

    #[test]
    fn an_ipv6_network_and_a_mapped_address_are_one_address() {
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }

    #[test]
    fn a_name_has_sixty_failures_from_everywhere_and_then_waits_longer_and_longer() {
        let (mut guesses, begin) = (Guesses::default(), Instant::now());
        let tried: Vec<Told> = (0..100).filter_map(|n| wrong(&mut guesses, 1, nth(n), begin).ok()).collect();
        assert_eq!(tried.len(), 60);
        assert_eq!(tried[59].held, Some((Held::Name, NAME_WAIT)));
        assert!(wrong(&mut guesses, 2, nth(1), begin).is_ok());
        // From then on the name is tried as soon as that is allowed.
        let (mut now, mut waits, mut tries) = (begin, Vec::new(), vec![0]);
        while now < begin + 24 * 3_600 * SECOND {
            match wrong(&mut guesses, 1, nth(u32::try_from(tries.len()).unwrap() + 1_000), now) {
                Ok(_) => tries.push(now.duration_since(begin).as_secs()),
                Err(NoTry::Wait(wait)) => {
                    waits.push(wait.as_secs());
                    now += wait;
                }
                Err(NoTry::Busy) => panic!("nothing is under way"),
            }
        }
        assert_eq!(waits[..7], [60, 120, 240, 480, 480, 900, 900]);
        assert!(waits.iter().all(|wait| *wait <= 900), "it is no lock: {waits:?}");
        // An hour that begins with the sixty has a few more tries. Every other hour has far fewer.
        let within = |from: u64| tries[1..].iter().filter(|at| (from..from + 3_600).contains(*at)).count();
        assert!(within(0) <= 8, "{tries:?}");
        assert!((1..=20).all(|hour| within(hour * 3_600) <= 5), "{tries:?}");
        // After a day of quiet the name has tries again. After a permitted change of its password it has all of them.
        let later = now + 24 * 3_600 * SECOND;
        assert!((0..60).all(|n| wrong(&mut guesses, 1, nth(n), later).is_ok()));
        assert!(wrong(&mut guesses, 1, nth(60), later).is_err());
        guesses.forgive(1);
        assert!((0..60).all(|n| wrong(&mut guesses, 1, nth(n + 200), later).is_ok()));
    }

    #[test]
    fn the_log_has_a_line_a_minute_for_a_name_and_for_all_that_no_user_has() {
        let (mut guesses, begin) = (Guesses::default(), Instant::now());
        let mut lines = |name, outcome, seconds| {
            let now = begin + seconds * SECOND;
            let guess = guesses.take(name, nth(u32::try_from(name).unwrap() + 256 * seconds), now).unwrap();
            guesses.settle(guess, outcome, now).line
        };
        for (name, outcome, seconds, line) in [
            (1, Outcome::Wrong, 0, true),
            (1, Outcome::Wrong, 59, false),
            (2, Outcome::Wrong, 59, true),
            (1, Outcome::Wrong, 60, true),
            (3, Outcome::NoUser, 60, true),
            (4, Outcome::NoUser, 61, false),
            (5, Outcome::NoUser, 120, true),
            (6, Outcome::NotWrong, 120, false),
        ] {
            assert_eq!(lines(name, outcome, seconds), line, "{name} {outcome:?} {seconds}");
        }
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..u32::try_from(COUNTED_MAX).unwrap() {
            wrong(&mut guesses, n.into(), nth(n), now).unwrap();
        }
        assert_eq!(wrong(&mut guesses, u64::MAX, nth(u32::MAX), now), Err(NoTry::Busy));
        // Counted names and addresses have their tries, and a minute later all others have too.
        assert!(wrong(&mut guesses, 7, nth(7), now).is_ok());
        let later = now + WINDOW;
        assert!(wrong(&mut guesses, u64::MAX, nth(u32::MAX), later).is_ok());
        assert!(guesses.pairs.len() < 10 && guesses.addresses.len() < 10 && guesses.names.len() < 10);
    }
    #[test]
    fn the_log_has_a_line_a_minute_about_tries_that_ran_out() {
        let (mut guesses, begin) = (Guesses::default(), Instant::now());
        let mut run_out = |name, address, outcome, seconds| {
            let now = begin + seconds * SECOND;
            let mut last = Told::default();
            for _ in 0..10 {
                let guess = guesses.take(name, nth(address), now).unwrap();
                last = guesses.settle(guess, outcome, now);
            }
            assert_eq!(last.held.map(|(held, _)| held), Some(Held::Pair));
            last.held_line
        };
        assert!(run_out(1, 1, Outcome::Wrong, 0));
        assert!(!run_out(1, 2, Outcome::Wrong, 59));
        assert!(run_out(1, 3, Outcome::Wrong, 60));
        assert!(run_out(2, 4, Outcome::NoUser, 60));
        assert!(!run_out(3, 5, Outcome::NoUser, 60));
    }
}
