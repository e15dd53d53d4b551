//! The area whose supply and demand decide how long a number ages.
//!
//! Not here: how long that is (`hold`), or where exactly a number lies (`locality`).

use crate::ids::AreaId;
use crate::lifecycle::diagram::State;
use crate::lifecycle::entry::Entry;
use crate::number::Number;
use crate::time::{DAY_MS, Timestamp};

/// What an area is called: its rate center if that is known, else its area code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum AreaName {
    /// A rate center of a region (state or province).
    RateCenter {
        /// Two letters.
        region: String,
        /// The rate center's abbreviation, upper case.
        rate_center: String,
    },
    /// The first digits of the number: the area code in the North American plan, else the first
    /// three digits after the `+`.
    Prefix {
        /// Three digits.
        prefix: String,
        /// The region, if an import gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

impl AreaName {
    /// Returns the area of a number from its region and rate center, as far as they are known.
    #[must_use]
    pub fn of(number: Number, region: Option<&str>, rate_center: Option<&str>) -> Self {
        match (region, rate_center) {
            (Some(region), Some(rate_center)) => AreaName::RateCenter {
                region: region.to_ascii_uppercase(),
                rate_center: rate_center.to_ascii_uppercase(),
            },
            (region, _) => AreaName::Prefix {
                prefix: match number.area_code() {
                    Some(npa) => npa.to_string(),
                    None => number.digits().to_string().chars().take(3).collect(),
                },
                region: region.map(str::to_ascii_uppercase),
            },
        }
    }

    /// Returns the part by which areas differ. A prefix is one area, with any region or none.
    #[must_use]
    pub fn key(&self) -> AreaName {
        match self {
            AreaName::Prefix { prefix, .. } => AreaName::Prefix { prefix: prefix.clone(), region: None },
            rate_center => rate_center.clone(),
        }
    }

    /// Returns the region, if it is known.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match self {
            AreaName::RateCenter { region, .. } => Some(region),
            AreaName::Prefix { region, .. } => region.as_deref(),
        }
    }

    /// Returns the first digits of its numbers, if it is called so.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        match self {
            AreaName::RateCenter { .. } => None,
            AreaName::Prefix { prefix, .. } => Some(prefix),
        }
    }

    /// Returns the rate center, if it is known.
    #[must_use]
    pub fn rate_center(&self) -> Option<&str> {
        match self {
            AreaName::RateCenter { rate_center, .. } => Some(rate_center),
            AreaName::Prefix { .. } => None,
        }
    }
}

impl std::fmt::Display for AreaName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AreaName::RateCenter { region, rate_center } => write!(f, "{rate_center}, {region}"),
            AreaName::Prefix { prefix, region: Some(region) } => write!(f, "{prefix} ({region})"),
            AreaName::Prefix { prefix, region: None } => f.write_str(prefix),
        }
    }
}

/// Activations a day: an exponentially decaying average, stored as its value at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Demand {
    /// Activations a day, at `at`.
    pub per_day: f64,
    /// The instant of the value.
    pub at: Timestamp,
}

impl Demand {
    /// Returns the value at `now`. It halves with each half-life (in days). A `now` before the value's own instant
    /// changes nothing.
    #[must_use]
    pub fn at(self, now: Timestamp, half_life_days: f64) -> f64 {
        let days = days_between(self.at, now).max(0.0);
        self.per_day * (-days / half_life_days).exp2()
    }

    /// Returns the demand of one activation at an instant: ln 2 / half-life. So a steady rate of r a day converges to
    /// the value r.
    #[must_use]
    pub fn of_activation(at: Timestamp, half_life_days: f64) -> Demand {
        Demand { per_day: std::f64::consts::LN_2 / half_life_days, at }
    }

    /// Returns the sum of two demands of one area, at the later of their instants: the value of the earlier one there,
    /// and the other's. Their order does not matter.
    #[must_use]
    pub fn plus(self, other: Demand, half_life_days: f64) -> Demand {
        let at = self.at.max(other.at);
        Demand { per_day: self.at(at, half_life_days) + other.at(at, half_life_days), at }
    }
}

#[expect(clippy::as_conversions, reason = "milliseconds of any date are exact in an f64")]
fn days_between(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from) as f64 / DAY_MS as f64
}

/// What changes of numbers do to their area. Changes add up in any order: two transactions may change an area at once, so
/// each says what is added, never what the demand is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AreaChange {
    /// By how many numbers the pool grows.
    pub supply: i64,
    /// The demand of the activations among them.
    pub demand: Demand,
    /// The half-life of that demand, in days.
    pub half_life_days: f64,
}

impl AreaChange {
    /// Returns what one number's change does, and to which area. The pool grows or shrinks. An activation from the
    /// pool, or from a reservation out of it, is demand. Nothing for a change that does neither. A pool number whose area
    /// is corrected changes two areas.
    pub fn of(
        before: &Entry,
        after: &Entry,
        at: Timestamp,
        half_life_days: f64,
    ) -> impl Iterator<Item = (AreaId, Self)> + use<> {
        let (from, to) = (before.state(), after.state());
        let moved = before.area != after.area;
        let in_pool = |entry: &Entry| moved && entry.state() == State::Available;
        let demand = Demand::default();
        let left = in_pool(before).then_some((before.area, Self { supply: -1, demand, half_life_days }));
        let came = in_pool(after).then_some((after.area, Self { supply: 1, demand, half_life_days }));
        let stayed = Self::there(from, to, at, half_life_days).filter(|_| !moved);
        [left, came, stayed.map(|change| (after.area, change))].into_iter().flatten()
    }

    fn there(from: State, to: State, at: Timestamp, half_life_days: f64) -> Option<Self> {
        let supply = i64::from(to == State::Available) - i64::from(from == State::Available);
        let activated = matches!(from, State::Available | State::Reserved) && to == State::InService;
        let demand = if activated { Demand::of_activation(at, half_life_days) } else { Demand::default() };
        (supply != 0 || activated).then_some(Self { supply, demand, half_life_days })
    }

    /// Adds another change of the same area.
    pub fn add(&mut self, other: &Self) {
        self.supply += other.supply;
        if other.demand.per_day > 0.0 {
            self.demand = self.demand.plus(other.demand, other.half_life_days);
            self.half_life_days = other.half_life_days;
        }
    }
}

/// Supply and demand of an area.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Its name.
    pub name: AreaName,
    /// Numbers in the pool.
    pub supply: u64,
    /// Activations a day from the pool.
    pub demand: Demand,
}

impl Area {
    /// Applies a change. Supply never falls below zero.
    pub fn change(&mut self, change: &AreaChange) {
        self.supply = self.supply.saturating_add_signed(change.supply);
        if change.demand.per_day > 0.0 {
            self.demand = self.demand.plus(change.demand, change.half_life_days);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_the_demand() {
        let mut demand = Demand::default();
        for day in 0..200_i64 {
            for _ in 0..10 {
                let one = Demand::of_activation(Timestamp::from_millis(day * DAY_MS), 14.0);
                demand = demand.plus(one, 14.0);
            }
        }
        assert!((demand.per_day - 10.0).abs() < 0.5, "{demand:?}");
        let later = demand.at(demand.at.plus_millis(14 * DAY_MS), 14.0);
        assert!((later - demand.per_day / 2.0).abs() < 1e-9);
    }
}
