//! Chance that can be repeated: splitmix64, from a seed that is printed.

use std::time::Duration;

/// The environment variable with the seed of a run to repeat.
const VARIABLE: &str = "ONHOOK_SEED";

/// Random numbers that can be repeated.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64, task: u64, turn: u64) -> Self {
        let mut dice = Dice(seed ^ (task << 48) ^ turn);
        Dice(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns true once in `many` times.
    pub(crate) fn once_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn one_of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        let at = self.below(u64::try_from(some.len()).expect("few"));
        &some[usize::try_from(at).expect("few")]
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Returns the seed that the environment names, or a new one.
pub(crate) fn seed() -> u64 {
    match std::env::var(VARIABLE) {
        Ok(seed) => seed.parse().expect("ONHOOK_SEED is a number"),
        Err(_) => {
            let nanos = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
            u64::try_from(nanos % (1 << 48)).expect("below 2^48")
        }
    }
}
