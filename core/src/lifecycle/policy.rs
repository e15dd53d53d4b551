//! Hold profiles: the limits within which a number ages, and the operator's calendar.
//!
//! Not here: the formula (`hold`).

use std::collections::HashMap;

use crate::account::Class;
use crate::area_codes;
use crate::lifecycle::area::AreaName;
use crate::number::Number;
use crate::time::TimeZone;

/// Fewest days before a US number may be reassigned: 47 CFR 52.15(f)(1)(ii), from FCC 18-177.
pub const FLOOR_DAYS: u16 = 45;
/// Most days that a profile may ask for: ten years.
pub const DAYS_MAX: u16 = 3_660;

/// The figures of a hold for numbers of one kind.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, in explanations.
    pub name: String,
    /// E.164 digits, without `+`, that its numbers begin with. An empty prefix takes every number.
    pub prefixes: Vec<String>,
    /// Fewest days that a number ages.
    pub min_days: u16,
    /// Most days that a number ages.
    pub max_days: u16,
    /// The same for accounts of the business class. `max_days` if absent.
    #[serde(default)]
    pub max_days_business: Option<u16>,
    /// Days of supply at or below which numbers age for the shortest time.
    #[serde(default = "scarce_days")]
    pub scarce_days: f64,
    /// Days of supply at or above which numbers age for the longest time.
    #[serde(default = "comfortable_days")]
    pub comfortable_days: f64,
    /// Days after which an activation counts for half.
    #[serde(default = "half_life_days")]
    pub half_life_days: f64,
    /// True if the US floor of 45 days binds it. Then whole calendar days count.
    #[serde(default = "regulated")]
    pub regulated: bool,
    /// True if its numbers leave this system after aging, since they go back to a pool that others hold, too.
    #[serde(default)]
    pub leaves: bool,
    /// True if nobody has checked its figures against the law of its country.
    #[serde(default)]
    pub unverified: bool,
}

fn scarce_days() -> f64 {
    30.0
}

fn comfortable_days() -> f64 {
    365.0
}

fn half_life_days() -> f64 {
    14.0
}

fn regulated() -> bool {
    true
}

/// Area codes of Canada in the North American plan (CNAC's public list of Canadian area codes in
/// service or assigned, geographic and non-geographic).
const CANADA: &[u16] = &[
    204, 226, 236, 249, 250, 257, 263, 289, 306, 343, 354, 365, 367, 368, 382, 403, 416, 418, 428, 431, 437,
    438, 450, 460, 468, 474, 506, 514, 519, 537, 548, 568, 579, 581, 584, 587, 604, 613, 639, 647, 672, 683,
    705, 709, 742, 753, 778, 780, 782, 807, 819, 825, 867, 873, 879, 902, 905, 942,
];

impl Profile {
    /// Returns the profiles that onhook comes with: `us`, `toll-free`, `ca` and, for other countries, `world`.
    #[must_use]
    pub fn built_in() -> Vec<Profile> {
        let us = Profile {
            name: "us".into(),
            prefixes: vec!["1".into()],
            min_days: FLOOR_DAYS,
            max_days: 90,
            max_days_business: Some(365),
            scarce_days: scarce_days(),
            comfortable_days: comfortable_days(),
            half_life_days: half_life_days(),
            regulated: true,
            leaves: false,
            unverified: false,
        };
        let npas = |list: &[u16]| list.iter().map(|npa| format!("1{npa}")).collect();
        let toll_free = Profile {
            name: "toll-free".into(),
            prefixes: npas(&crate::number::TOLL_FREE),
            max_days: 120,
            max_days_business: None,
            leaves: true, // to the national pool, which the Toll-Free Administrator keeps (47 CFR 52.103)
            ..us.clone()
        };
        let ca = Profile { name: "ca".into(), prefixes: npas(CANADA), unverified: true, ..us.clone() };
        let world = Profile {
            name: "world".into(),
            prefixes: vec![String::new()],
            max_days_business: None,
            regulated: false,
            unverified: true,
            ..us.clone()
        };
        vec![us, toll_free, ca, world]
    }

    /// Returns the most days that a number of an account of this class ages.
    #[must_use]
    pub fn max_days_for(&self, class: Class) -> u16 {
        match class {
            Class::Business => self.max_days_business.unwrap_or(self.max_days),
            Class::Residential | Class::Unknown => self.max_days,
        }
    }

    /// Returns everything that is wrong with the profile.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |text: String| faults.push(format!("profile {}: {text}", self.name));
        let max = self.max_days.max(self.max_days_business.unwrap_or(0));
        if self.regulated && self.min_days < FLOOR_DAYS {
            fault(format!(
                "min_days is {}, under the floor of {FLOOR_DAYS} days (47 CFR 52.15(f)(1)(ii)); \
                 regulated = false says that it does not bind these numbers",
                self.min_days
            ));
        }
        if self.max_days < self.min_days || self.max_days_business.is_some_and(|d| d < self.min_days) {
            fault("a longest hold is shorter than min_days".into());
        }
        if max > DAYS_MAX {
            fault(format!("a hold is at most {DAYS_MAX} days"));
        }
        let (scarce, comfortable) = (self.scarce_days, self.comfortable_days);
        if !(scarce >= 0.0 && scarce < comfortable && comfortable.is_finite()) {
            fault("scarce_days is at least 0 and below comfortable_days".into());
        }
        if !(0.01..=36_525.0).contains(&self.half_life_days) {
            fault("half_life_days is from 0.01 to 36525".into());
        }
        if self.prefixes.is_empty() || self.prefixes.iter().any(|p| !p.bytes().all(|b| b.is_ascii_digit())) {
            fault("prefixes are one or more strings of digits".into());
        }
        faults
    }
}

/// Which profile a number has, and the operator's calendar.
#[derive(Clone, Debug)]
pub struct Policy {
    profiles: Vec<Profile>,
    by_prefix: HashMap<String, usize>,
    prefix_max: usize,
    zone: TimeZone,
    zone_name: String,
}

/// Why a policy cannot be used: every fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct BadPolicy(pub Vec<String>);

impl Policy {
    /// Returns a policy of the built-in profiles and the operator's `own`. An own profile replaces a built-in one of
    /// the same name. `zone_name` is an IANA name such as `America/New_York`.
    ///
    /// # Errors
    /// [`BadPolicy`] with every fault, such as a profile under the floor.
    pub fn new(own: Vec<Profile>, zone_name: &str) -> Result<Self, BadPolicy> {
        let mut faults = Vec::new();
        let mut profiles = Profile::built_in();
        for profile in own {
            faults.extend(profile.faults());
            profiles.retain(|p| p.name != profile.name);
            profiles.push(profile);
        }
        let zone = TimeZone::get(zone_name).unwrap_or_else(|_| {
            faults.push(format!("no time zone {zone_name}"));
            TimeZone::UTC
        });
        let mut by_prefix = HashMap::new();
        for (index, profile) in profiles.iter().enumerate() {
            for prefix in &profile.prefixes {
                if let Some(other) = by_prefix.insert(prefix.clone(), index) {
                    let (a, b) = (&profiles[other].name, &profile.name);
                    faults.push(format!("profiles {a} and {b} both claim prefix {prefix:?}"));
                }
            }
        }
        if !by_prefix.contains_key("") {
            faults.push("no profile takes every number (prefix \"\")".into());
        }
        if !faults.is_empty() {
            return Err(BadPolicy(faults));
        }
        let prefix_max = by_prefix.keys().map(String::len).max().unwrap_or(0);
        Ok(Self { profiles, by_prefix, prefix_max, zone, zone_name: zone_name.to_owned() })
    }

    /// Returns the profile of a number: the one with the longest prefix that fits.
    ///
    /// # Panics
    /// Never: each policy has a profile for every number.
    #[must_use]
    pub fn profile(&self, number: Number) -> &Profile {
        &self.profiles[self.index_of(&number.digits().to_string())]
    }

    /// Returns the position of the profile with the longest prefix that these digits begin with.
    fn index_of(&self, digits: &str) -> usize {
        (0..=digits.len().min(self.prefix_max))
            .rev()
            .find_map(|length| self.by_prefix.get(&digits[..length]).copied())
            .expect("a profile with an empty prefix exists")
    }

    /// Returns the profiles that numbers of an area can have, as far as its name tells.
    #[must_use]
    pub fn profiles_of(&self, area: &AreaName) -> Vec<&Profile> {
        let beginnings = area_codes::beginnings(area.region(), area.rate_center(), area.prefix());
        let mut found: Vec<usize> = beginnings.iter().map(|digits| self.index_of(digits)).collect();
        let within = self.by_prefix.iter().filter(|(prefix, _)| {
            beginnings.iter().any(|digits| prefix.len() > digits.len() && prefix.starts_with(digits))
        });
        found.extend(within.map(|(_, index)| *index));
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|index| &self.profiles[index]).collect()
    }

    /// Returns all profiles.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// Returns the operator's time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the name of the operator's time zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }
}

impl Default for Policy {
    /// Returns the built-in profiles, with days counted in UTC.
    fn default() -> Self {
        Self::new(Vec::new(), "UTC").expect("the built-in profiles are without fault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_the_one_with_the_longest_prefix() {
        let policy = Policy::default();
        for (number, profile) in [
            ("9195550100", "us"),
            ("8005550100", "toll-free"),
            ("4165550100", "ca"),
            ("+33140289562", "world"),
        ] {
            assert_eq!(policy.profile(number.parse().unwrap()).name, profile);
        }
    }

    #[test]
    fn an_area_has_the_profiles_of_its_numbers() {
        let prefix = |digits: &str| AreaName::Prefix { prefix: digits.into(), region: None };
        let rate_center =
            |region: &str| AreaName::RateCenter { region: region.into(), rate_center: "A".into() };
        let own = Profile {
            name: "own".into(),
            prefixes: vec!["1919555".into()],
            ..Profile::built_in()[0].clone()
        };
        let policy = Policy::new(vec![own], "UTC").unwrap();
        for (area, names) in [
            (prefix("540"), &["us"][..]),
            (prefix("919"), &["us", "own"]),
            (prefix("800"), &["toll-free"]),
            (prefix("331"), &["us"]),
            (prefix("999"), &["world"]),
            (rate_center("VA"), &["us"]),
            (rate_center("NC"), &["us", "own"]),
            (rate_center("ON"), &["ca"]),
            (rate_center("NS"), &["ca"]),
        ] {
            let found: Vec<&str> = policy.profiles_of(&area).iter().map(|profile| &*profile.name).collect();
            assert_eq!(found, names, "{area}");
        }
    }

    #[test]
    fn a_policy_under_the_floor_is_refused_unless_it_says_why() {
        let mut own = Profile { min_days: 30, ..Profile::built_in().remove(0) };
        let error = Policy::new(vec![own.clone()], "UTC").unwrap_err();
        assert!(error.to_string().contains("under the floor of 45 days"), "{error}");
        own.regulated = false;
        assert!(Policy::new(vec![own.clone()], "UTC").is_ok());
        own.max_days = 20;
        own.half_life_days = 0.0;
        assert_eq!(Policy::new(vec![own], "Mars/Olympus").unwrap_err().0.len(), 3);
    }
}
