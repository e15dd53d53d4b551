//! The numbers that every measurement uses, and their order.
//!
//! Both sides of a comparison hold the same numbers and disconnect them in the same random order, so that neither has
//! the better pages. Nothing here is read from the system: the n-th number and the n-th draw are the same in every
//! run.

use std::sync::atomic::{AtomicU64, Ordering};

/// Operators get telephone numbers in blocks of a thousand, and so does the benchmark.
const BLOCK: u64 = 1_000;

/// Area codes: three digits, the first 2–9, the second not 9, not ending in 11.
static AREA_CODES: [u64; 712] = codes(8);
/// Exchanges: three digits, the first 2–9, not ending in 11.
static EXCHANGES: [u64; 792] = codes(9);

const fn codes<const COUNT: usize>(second_digit_max: u64) -> [u64; COUNT] {
    let mut codes = [0; COUNT];
    let (mut code, mut found) = (200, 0);
    while code < 1_000 {
        if code % 100 != 11 && code / 10 % 10 <= second_digit_max {
            codes[found] = code;
            found += 1;
        }
        code += 1;
    }
    assert!(found == COUNT, "COUNT is how many codes the rule allows");
    codes
}

/// Returns the `index`-th number, as ten digits. All indexes below 5,639,040,000 give different numbers.
///
/// A thousand consecutive numbers share a block. The next block is in the next area code. So a million numbers cover
/// every area of the country, as an operator's do.
pub(crate) fn number_at(index: u64) -> u64 {
    let (block, line) = (index / BLOCK, index % BLOCK);
    let (round, area) = (block / 712, block % 712);
    let (thousands, exchange) = (round / 792, round % 792);
    let code = |codes: &[u64], at: u64| codes[usize::try_from(at).expect("a remainder, so in range")];
    assert!(thousands < 10, "number_at({index}): there are no more numbers");
    code(&AREA_CODES, area) * 10_000_000 + code(&EXCHANGES, exchange) * 10_000 + thousands * BLOCK + line
}

/// Returns the first `count` numbers, ascending, which is the fastest order to fill a sorted table.
pub(crate) fn ascending(count: u64) -> impl Iterator<Item = u64> {
    indexes_ascending(count).map(number_at)
}

/// Returns the indexes of the first `count` numbers in the order of the numbers.
pub(crate) fn indexes_ascending(count: u64) -> impl Iterator<Item = u64> {
    let mut blocks: Vec<u64> = (0..count.div_ceil(BLOCK)).collect();
    blocks.sort_unstable_by_key(|block| number_at(block * BLOCK));
    blocks.into_iter().flat_map(move |block| block * BLOCK..count.min((block + 1) * BLOCK))
}

/// How many accounts have the numbers. A block is one account's, the next block the next one's.
#[derive(Clone, Copy)]
pub(crate) struct Accounts(pub(crate) u64);

impl Accounts {
    /// Returns which account has the number of this index, counted from 0.
    pub(crate) fn of(self, index: u64) -> u64 {
        index / BLOCK % self.0
    }

    /// Returns how many of the first `count` numbers each account has at least.
    fn share(self, count: u64) -> u64 {
        if self.0 == 1 { count } else { count / BLOCK / self.0 * BLOCK }
    }

    /// Returns the index of an account's number.
    fn index(self, account: u64, at: u64) -> u64 {
        (at / BLOCK * self.0 + account) * BLOCK + at % BLOCK
    }
}

/// Returns the area code of a number of ten digits.
pub(crate) fn area(number: u64) -> u64 {
    number / 10_000_000
}

/// A fixed random order of `0..count`: a Feistel network over the next power of four, repeated until the result is in
/// range. It needs no memory, however many numbers there are.
#[derive(Clone, Copy)]
pub(crate) struct Shuffle {
    count: u64,
    half_bits: u32,
}

impl Shuffle {
    pub(crate) fn new(count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self { count, half_bits: bits.div_ceil(2).max(1) }
    }

    /// Returns the element at `index` of the order. `index` is below `count`.
    pub(crate) fn at(self, index: u64) -> u64 {
        let mut at = index;
        loop {
            at = self.permute(at);
            if at < self.count {
                return at;
            }
        }
    }

    fn permute(self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 1..=4_u64 {
            (left, right) = (right, left ^ (mix(right.wrapping_add(round << 32)) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// The finalizer of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Two numbers of an account, ascending.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    /// Which account, counted from 0.
    pub(crate) account: u64,
    pub(crate) numbers: [u64; 2],
}

/// Deals out numbers, two at a time and each once, so that every order really disconnects. Accounts take turns.
pub(crate) struct Draw {
    accounts: Accounts,
    /// The order of the numbers of each account.
    shuffle: Shuffle,
    /// Where in that order it begins and ends.
    part: std::ops::Range<u64>,
    /// How many pairs were asked for.
    dealt: AtomicU64,
}

impl Draw {
    /// Deals the part from `percent.start` to `percent.end` hundredths of the first `count` numbers.
    pub(crate) fn part(count: u64, accounts: Accounts, percent: std::ops::Range<u64>) -> Self {
        let shuffle = Shuffle::new(accounts.share(count));
        let index = |percent: u64| shuffle.count / 100 * percent;
        let part = index(percent.start)..index(percent.end);
        Self { accounts, shuffle, part, dealt: AtomicU64::new(0) }
    }

    /// Returns two numbers. `None` if there are no more.
    pub(crate) fn pair(&self) -> Option<Pair> {
        let dealt = self.dealt.fetch_add(1, Ordering::Relaxed);
        let (account, at) = (dealt % self.accounts.0, self.part.start + 2 * (dealt / self.accounts.0));
        if at + 1 >= self.part.end {
            return None;
        }
        let number = |at| number_at(self.accounts.index(account, self.shuffle.at(at)));
        let mut numbers = [at, at + 1].map(number);
        numbers.sort_unstable();
        Some(Pair { account, numbers })
    }

    /// Returns whether `pair` has run out of numbers.
    pub(crate) fn ran_out(&self) -> bool {
        let pairs = (self.part.end - self.part.start) / 2 * self.accounts.0;
        self.dealt.load(Ordering::Relaxed) > pairs
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_one_of_the_north_american_plan() {
        for index in (0..100_000_000).step_by(997) {
            let number = number_at(index);
            let digits: Vec<u64> = number.to_string().bytes().map(|digit| u64::from(digit - b'0')).collect();
            assert_eq!(digits.len(), 10, "{number}");
            for first in [0, 3] {
                assert!((2..=9).contains(&digits[first]), "{number}");
                assert_ne!(digits[first + 1..first + 3], [1, 1], "{number}");
            }
            assert_ne!(digits[1], 9, "{number}");
        }
    }

    #[test]
    fn ascending_is_the_first_numbers_sorted() {
        for count in [0, 1, 999, 1_000, 1_001, 2_345_678] {
            let sorted: BTreeSet<u64> = (0..count).map(number_at).collect();
            assert!(ascending(count).eq(sorted.iter().copied()), "{count}");
            assert_eq!(u64::try_from(sorted.len()), Ok(count), "no number twice");
        }
    }

    #[test]
    fn a_shuffle_gives_each_element_once() {
        for count in [1, 2, 3, 64, 65, 10_007] {
            let shuffle = Shuffle::new(count);
            let elements: BTreeSet<u64> = (0..count).map(|index| shuffle.at(index)).collect();
            assert!(elements.into_iter().eq(0..count), "{count}");
        }
    }

    #[test]
    fn a_draw_ends_and_repeats_nothing_and_numbers_are_their_accounts() {
        for accounts in [Accounts(1), Accounts(3)] {
            let mut seen = BTreeSet::new();
            let holder: std::collections::HashMap<u64, u64> =
                (0..10_000).map(|index| (number_at(index), accounts.of(index))).collect();
            for percent in [0..30, 30..100] {
                let draw = Draw::part(10_000, accounts, percent);
                assert!(!draw.ran_out());
                while let Some(Pair { account, numbers }) = draw.pair() {
                    assert!(numbers[0] < numbers[1]);
                    assert!(numbers.iter().all(|number| holder[number] == account));
                    assert!(numbers.into_iter().all(|number| seen.insert(number)));
                }
                assert!(draw.ran_out());
            }
            assert_eq!(seen.len(), if accounts.0 == 1 { 10_000 } else { 9_000 });
        }
    }

    #[test]
    fn the_guides_numbers_are_not_among_the_first_hundred_million() {
        for guide in crate::post::GUIDE {
            let index = |codes: &[u64], code| codes.iter().position(|one| *one == code).expect("valid");
            let round = u64::try_from(index(&EXCHANGES, guide / 10_000 % 1_000)).expect("small")
                + 792 * (guide / 1_000 % 10);
            assert!(round * 712 * BLOCK > 100_000_000, "{guide}");
        }
    }
}
