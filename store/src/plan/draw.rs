//! Searches of the pool: where a search looks, and what chance takes of what it finds.
//!
//! All pool numbers of one exchange and area have the same locality: they are a *lot*. A store counts the numbers of
//! each lot. A search reads lots first, lets `core` say which of them match, draws how many numbers to take from each,
//! and reads only those numbers. Its cost depends on the lots of the locality that is searched and on the quantity,
//! not on the size of the pool.
//!
//! Chance alone decides which numbers are returned, and in which order. So nobody can browse for numbers that were
//! just given up.

use std::collections::{BTreeMap, BTreeSet};

use onhook_core::area_codes;
use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::AreaName;
use onhook_core::locality::{Exchange, Locality};
use onhook_core::number::{Number, TOLL_FREE};
use onhook_core::order::search::{Criteria, TollFree, fits};

use crate::Result;
use crate::contract::pool::{PoolQuery, Stock};
use crate::error::corrupt;

/// Most lots that one search reads: all area codes together have about as many exchanges in service.
const LOTS_MAX: usize = 200_000;

/// Most work of a search that does not know beforehand how many numbers of a lot match: numbers read, and [`SEEK`]
/// more for each seek in the table. It does not find what lies beyond.
pub const LOOKS_MAX: u64 = 1_000_000;

/// The cost of a seek in the table, in numbers read.
const SEEK: u64 = 20;

/// Most protected numbers that one search reads.
pub const PROTECTED_MAX: usize = 100_000;

/// How many positions an exchange's numbers have in the pool's scattered order.
const SCATTER: u64 = 10_007;

/// Pool numbers of one exchange and area, which have the same locality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Area code and exchange, six digits.
    pub npa_nxx: u32,
    /// The area.
    pub area: AreaId,
    /// How many numbers.
    pub numbers: u64,
    /// Where they lie.
    pub locality: Locality,
}

/// Where a store finds lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The lots of exchanges from the first on, and before the second.
    Exchanges(u64, u64),
    /// The lots of exchanges with this ZIP code.
    Zip(&'a str),
    /// The lots of exchanges in this city.
    City(&'a str),
    /// The lots of exchanges in this LATA.
    Lata(&'a str),
    /// The lots of areas that name this rate center.
    AreasOfRateCenter(&'a str),
    /// The lots of exchanges in this rate center.
    ExchangesOfRateCenter(&'a str),
    /// The lots of areas that name this region.
    AreasOfRegion(&'a str),
    /// The lots of exchanges in this region.
    ExchangesOfRegion(&'a str),
    /// All lots.
    All,
}

/// Returns where the lots that meet the criteria are found, by the narrowest criterion. What is found there need not
/// meet the others.
#[must_use]
pub fn sources(criteria: &Criteria) -> Vec<Source<'_>> {
    let range = |prefix: &str| {
        let (first, end) = Number::nanp_range(prefix)?;
        // A longer prefix is part of one exchange.
        Some(Source::Exchanges(first / 10_000 - 1_000_000, end.div_ceil(10_000) - 1_000_000))
    };
    if let Some(prefix) = &criteria.prefix {
        range(prefix).into_iter().collect()
    } else if criteria.toll_free.is_some() {
        let pattern = match &criteria.toll_free {
            Some(TollFree::Pattern(pattern)) => pattern.as_str(),
            _ => "***",
        };
        let codes = TOLL_FREE.iter().map(ToString::to_string).filter(|npa| fits(pattern, npa));
        codes.filter_map(|npa| range(&npa)).collect()
    } else if let Some(zip) = &criteria.zip {
        vec![Source::Zip(zip)]
    } else if let Some(city) = &criteria.city {
        vec![Source::City(city)]
    } else if let Some(rate_center) = &criteria.rate_center {
        vec![Source::AreasOfRateCenter(rate_center), Source::ExchangesOfRateCenter(rate_center)]
    } else if let Some(lata) = &criteria.lata {
        vec![Source::Lata(lata)]
    } else if let Some(region) = &criteria.region {
        let codes = area_codes::area_codes(region).iter().filter_map(|npa| range(&npa.to_string()));
        [Source::AreasOfRegion(region), Source::ExchangesOfRegion(region)].into_iter().chain(codes).collect()
    } else {
        vec![Source::All]
    }
}

/// The lots of a search, as they are found.
#[derive(Debug)]
pub struct Lots<'a> {
    criteria: &'a Criteria,
    found: BTreeMap<(u32, AreaId), Lot>,
}

impl<'a> Lots<'a> {
    /// Begins without any.
    #[must_use]
    pub fn new(criteria: &'a Criteria) -> Self {
        Self { criteria, found: BTreeMap::new() }
    }

    /// Returns how many rows may still be read.
    #[must_use]
    pub fn left(&self) -> usize {
        LOTS_MAX.saturating_sub(self.found.len())
    }

    /// True if a lot is new, and its exchange can have numbers that meet the criteria.
    #[must_use]
    pub fn wants(&self, npa_nxx: u32, area: AreaId) -> bool {
        !self.found.contains_key(&(npa_nxx, area)) && !self.criteria.spans(npa_nxx).is_empty()
    }

    /// Adds a lot of `numbers` numbers, if it lies where the criteria want it. `name` is its area's, and `exchange` its
    /// exchange, if that is known.
    ///
    /// # Errors
    /// `Broken` if `npa_nxx` has no numbers.
    pub fn add(
        &mut self,
        (npa_nxx, area): (u32, AreaId),
        numbers: u64,
        name: &AreaName,
        exchange: Option<&Exchange>,
    ) -> Result<()> {
        let any = Number::from_digits(10_000_000_000 + u64::from(npa_nxx) * 10_000);
        let any = any.map_err(|error| corrupt(error.to_string()))?;
        let locality = Locality::of(any, name, exchange);
        if self.criteria.lies(&locality) {
            self.found.insert((npa_nxx, area), Lot { npa_nxx, area, numbers, locality });
        }
        Ok(())
    }

    /// Returns the lots, in the order of their exchanges.
    #[must_use]
    pub fn finish(self) -> Vec<Lot> {
        self.found.into_values().collect()
    }
}

/// Returns how many pool numbers some lots have.
#[must_use]
pub fn numbers_in(lots: &[Lot]) -> u64 {
    lots.iter().map(|lot| lot.numbers).sum()
}

/// Returns lots as a list of the stock.
#[must_use]
pub fn stock(lots: Vec<Lot>) -> Vec<Stock> {
    let stock = |Lot { npa_nxx, numbers, locality, .. }| Stock { npa_nxx, numbers, locality };
    lots.into_iter().map(stock).collect()
}

/// What a store reads of some lots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draw {
    /// So many numbers of these lots: all numbers of a lot match.
    Shares(Vec<Share>),
    /// All numbers of these spans, until there are enough or the looks are used up: see [`LOOKS_MAX`].
    Spans(Vec<Span>),
}

/// So many numbers of a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The n-th of the lots, from 0.
    pub lot: usize,
    /// How many numbers, at least one.
    pub numbers: usize,
    /// The position in the exchange's scattered order from which they are taken. After the last position goes the
    /// first.
    pub from: u64,
}

/// Numbers of a lot whose digits match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The n-th of the lots, from 0.
    pub lot: usize,
    /// The digits of the first number.
    pub first: u64,
    /// One past those of the last.
    pub end: u64,
}

impl Span {
    /// Returns what it costs to read, as a part of [`LOOKS_MAX`].
    #[must_use]
    pub fn looks(&self) -> u64 {
        SEEK + self.end - self.first
    }
}

/// Draws what to read of some lots. The spans of one lot follow each other.
pub fn draw(lots: &[Lot], query: &PoolQuery, dice: &mut Dice) -> Draw {
    let spans: Vec<_> = lots.iter().map(|lot| query.criteria.spans(lot.npa_nxx)).collect();
    let whole = |spans: &[(u64, u64)]| matches!(spans, [(first, end)] if end - first == 10_000);
    if spans.iter().all(|spans| whole(spans)) {
        let counts: Vec<u64> = lots.iter().map(|lot| lot.numbers).collect();
        let shares = dice.draw(&counts, query.size);
        let share = |(lot, numbers)| Share { lot, numbers, from: dice.roll() % SCATTER };
        return Draw::Shares(shares.into_iter().map(share).collect());
    }
    let mut of_lots: Vec<_> = spans.into_iter().enumerate().collect();
    dice.shuffle(&mut of_lots);
    let span = |lot, (first, end)| Span { lot, first, end };
    Draw::Spans(
        of_lots.into_iter().flat_map(|(lot, spans)| spans.into_iter().map(move |of| span(lot, of))).collect(),
    )
}

/// Draws where to begin in an account's protected numbers. Returns the spans of digits to read in turn: from a random
/// number on, and then from the first. `None` if no number can match.
pub fn protected_spans(criteria: &Criteria, dice: &mut Dice) -> Option<[(u64, u64); 2]> {
    let prefix = criteria.prefix.as_deref();
    let (first, end) = prefix.map_or(Some((0, i64::MAX.unsigned_abs())), Number::nanp_range)?;
    let wide = prefix.is_none();
    let from =
        if wide { 12_000_000_000 + dice.roll() % 8_000_000_000 } else { first + dice.roll() % (end - first) };
    Some([(from, end), (first, from)])
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough that the order tells nothing.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Returns dice that fall as this seed says.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Chooses from what was found: in a random order, at most `size`.
    pub fn choose<T>(&mut self, mut found: Vec<T>, size: usize) -> Vec<T> {
        self.shuffle(&mut found);
        found.truncate(size);
        found
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let sides = u64::try_from(last).unwrap_or(u64::MAX) + 1;
            items.swap(last, usize::try_from(self.roll() % sides).unwrap_or(last));
        }
    }

    /// Draws how many of `wanted` things to take from which heap, each thing as likely as any other (Floyd's
    /// sampling). Heaps that give none are left out.
    fn draw(&mut self, heaps: &[u64], wanted: usize) -> Vec<(usize, usize)> {
        let total: u64 = heaps.iter().sum();
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        if wanted >= total {
            let all = heaps.iter().map(|heap| usize::try_from(*heap).unwrap_or(usize::MAX));
            return all.enumerate().filter(|(_, heap)| *heap > 0).collect();
        }
        let mut drawn = BTreeSet::new();
        for last in total - wanted..total {
            let one = self.roll() % (last + 1);
            if !drawn.insert(one) {
                drawn.insert(last);
            }
        }
        let mut drawn = drawn.into_iter().peekable();
        let (mut end, mut shares) = (0, Vec::new());
        for (heap, size) in heaps.iter().enumerate() {
            end += size;
            let mut share = 0;
            while drawn.next_if(|one| *one < end).is_some() {
                share += 1;
            }
            if share > 0 {
                shares.push((heap, share));
            }
        }
        shares
    }
}
