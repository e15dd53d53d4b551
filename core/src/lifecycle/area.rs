//! The area whose supply and demand decide how long a number ages.
//!
//! Not here: how long that is (`hold`), or where exactly a number lies (`locality`).

use crate::lifecycle::diagram::State;
use crate::lifecycle::entry::Entry;
use crate::number::Number;
use crate::time::{DAY_MS, Timestamp};

/// The place whose demand counts: a rate center where it is known, else the area code.
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
        /// The region, where an import gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

impl AreaName {
    /// The area of a number, from what is known about where it is.
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

    /// What makes it this area and no other: a prefix is one area, wherever it is said to lie.
    #[must_use]
    pub fn key(&self) -> AreaName {
        match self {
            AreaName::Prefix { prefix, .. } => AreaName::Prefix { prefix: prefix.clone(), region: None },
            rate_center => rate_center.clone(),
        }
    }

    /// The region, where it is known.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match self {
            AreaName::RateCenter { region, .. } => Some(region),
            AreaName::Prefix { region, .. } => region.as_deref(),
        }
    }

    /// The rate center, where it is known.
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

/// Activations a day: an exponentially decaying average, kept as its value at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Demand {
    /// Activations a day, at `at`.
    pub per_day: f64,
    /// When the value was taken.
    pub at: Timestamp,
}

impl Demand {
    /// The value at `now`: half of it is gone after each half-life (days). A clock that went back
    /// changes nothing.
    #[must_use]
    pub fn at(self, now: Timestamp, half_life_days: f64) -> f64 {
        let days = days_between(self.at, now).max(0.0);
        self.per_day * (-days / half_life_days).exp2()
    }

    /// With one activation more, at `now`. A steady rate of r a day converges to the value r, since
    /// each activation adds ln 2 / half-life.
    #[must_use]
    pub fn with_activation(self, now: Timestamp, half_life_days: f64) -> Demand {
        Demand {
            per_day: self.at(now, half_life_days) + std::f64::consts::LN_2 / half_life_days,
            at: now.max(self.at),
        }
    }
}

#[expect(clippy::as_conversions, reason = "milliseconds of any date are exact in an f64")]
fn days_between(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from) as f64 / DAY_MS as f64
}

/// Supply and demand of an area.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Which.
    pub name: AreaName,
    /// Numbers in the pool.
    pub supply: u64,
    /// Activations a day from the pool.
    pub demand: Demand,
}

impl Area {
    /// Takes a number's change into account: the pool grows or shrinks, an activation out of the pool
    /// (or out of a reservation, which came from it) is demand.
    pub fn note(&mut self, before: &Entry, after: &Entry, now: Timestamp, half_life_days: f64) {
        let (from, to) = (before.state(), after.state());
        if from == State::Available && to != State::Available {
            self.supply = self.supply.saturating_sub(1);
        }
        if from != State::Available && to == State::Available {
            self.supply += 1;
        }
        if matches!(from, State::Available | State::Reserved) && to == State::InService {
            self.demand = self.demand.with_activation(now, half_life_days);
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
                demand = demand.with_activation(Timestamp::from_millis(day * DAY_MS), 14.0);
            }
        }
        assert!((demand.per_day - 10.0).abs() < 0.5, "{demand:?}");
        let later = demand.at(demand.at.plus_millis(14 * DAY_MS), 14.0);
        assert!((later - demand.per_day / 2.0).abs() < 1e-9);
    }
}
