//! The hold: how long a number ages, and why.
//!
//! Scarce numbers come back sooner, plentiful ones rest longer, never under the floor that the law
//! sets. A [`Hold`] keeps every figure that went into it: someone asks years later.
//!
//! Not here: what happens when a hold ends (`release`).

use std::collections::HashMap;

use crate::account::Class;
use crate::lifecycle::{Entry, State};
use crate::number::Number;
use crate::time::{DAY_MS, TimeZone, Timestamp};

/// Fewest days before a US number may be reassigned: 47 CFR 52.15(f)(1)(ii), from FCC 18-177.
pub const FLOOR_DAYS: u16 = 45;
/// Most days that a profile may ask for: ten years.
pub const DAYS_MAX: u16 = 3_660;

/// An area's id in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct AreaId(pub u32);

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

/// The figures of a hold for numbers of one kind.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, in explanations.
    pub name: String,
    /// E.164 digits, without `+`, that its numbers begin with; an empty one takes every number.
    pub prefixes: Vec<String>,
    /// Days that a number ages at least.
    pub min_days: u16,
    /// Days that a number ages at most.
    pub max_days: u16,
    /// The same for accounts of the business class; as `max_days` when absent.
    #[serde(default)]
    pub max_days_business: Option<u16>,
    /// Days of supply at which, and below, numbers age for the least time.
    #[serde(default = "scarce_days")]
    pub scarce_days: f64,
    /// Days of supply at which, and above, numbers age for the longest time.
    #[serde(default = "comfortable_days")]
    pub comfortable_days: f64,
    /// Days after which an activation counts half.
    #[serde(default = "half_life_days")]
    pub half_life_days: f64,
    /// Whether the US floor of 45 days binds it, and whole calendar days count.
    #[serde(default = "regulated")]
    pub regulated: bool,
    /// Whether nobody has checked its figures against the law of its country.
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
    /// The profiles that onhook comes with: `us`, `toll-free`, `ca` and, for other countries, `world`.
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
            unverified: false,
        };
        let npas = |list: &[u16]| list.iter().map(|npa| format!("1{npa}")).collect();
        let toll_free = Profile {
            name: "toll-free".into(),
            prefixes: npas(&crate::number::TOLL_FREE),
            max_days: 120,
            max_days_business: None,
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

    /// Days that a number of an account of this class ages at most.
    #[must_use]
    pub fn max_days_for(&self, class: Class) -> u16 {
        match class {
            Class::Business => self.max_days_business.unwrap_or(self.max_days),
            Class::Residential | Class::Unknown => self.max_days,
        }
    }

    /// What is wrong with the profile; nothing when it may be used.
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

/// Which profile a number has, and whose calendar counts.
#[derive(Clone, Debug)]
pub struct Policy {
    profiles: Vec<Profile>,
    by_prefix: HashMap<String, usize>,
    prefix_max: usize,
    zone: TimeZone,
    zone_name: String,
}

/// A policy that may not be used, and every reason why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct BadPolicy(pub Vec<String>);

impl Policy {
    /// The built-in profiles, with these over those of the same name, and the operator's time zone
    /// (an IANA name such as `America/New_York`).
    ///
    /// # Errors
    /// [`BadPolicy`] with every fault, when a profile is under the floor or makes no sense.
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
        match faults.is_empty() {
            true => Ok(Self {
                profiles,
                prefix_max: by_prefix.keys().map(String::len).max().unwrap_or(0),
                by_prefix,
                zone,
                zone_name: zone_name.to_owned(),
            }),
            false => Err(BadPolicy(faults)),
        }
    }

    /// The profile of a number: the one with the longest prefix that fits.
    ///
    /// # Panics
    /// Never: a policy without a profile for every number cannot be made.
    #[must_use]
    pub fn profile(&self, number: Number) -> &Profile {
        let digits = number.digits().to_string();
        (0..=digits.len().min(self.prefix_max))
            .rev()
            .find_map(|length| self.by_prefix.get(&digits[..length]))
            .map(|index| &self.profiles[*index])
            .expect("a profile with an empty prefix exists")
    }

    /// All profiles.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The operator's time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The name of the operator's time zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }
}

impl Default for Policy {
    /// The built-in profiles, days counted in UTC.
    fn default() -> Self {
        Self::new(Vec::new(), "UTC").expect("the built-in profiles are without fault")
    }
}

/// How long a number ages, with every figure that led there.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Hold {
    /// The profile's name.
    pub profile: String,
    /// The area's name.
    pub area: String,
    /// Numbers in the area's pool at the disconnect.
    pub supply: u64,
    /// Activations a day there, at the disconnect.
    pub demand: f64,
    /// Fewest days by the profile.
    pub min_days: u16,
    /// Most days by the profile and the account's class.
    pub max_days: u16,
    /// The result, in whole days.
    pub days: u16,
    /// Not released before this instant.
    pub release_at: Timestamp,
    /// The time zone whose calendar days were counted. None where a day has 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Hold {
    /// Returns when this hold ends by its own figures, for a number that was disconnected at `at`. None when
    /// nothing is known of its time zone.
    #[must_use]
    pub fn ends(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = self.zone.as_deref().map(TimeZone::get).transpose().ok()?;
        Some(end(zone.as_ref(), self.days, at))
    }

    /// Days that the pool would last at today's demand; none when nobody asks for these numbers.
    #[must_use]
    pub fn days_of_supply(&self) -> Option<f64> {
        days_of_supply(self.supply, self.demand)
    }

    /// The reason in one sentence, with its figures.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Hold { profile, area, supply, demand, min_days, max_days, days, release_at, zone: _ } = self;
        let why = match self.days_of_supply() {
            Some(supply_days) => format!(
                "{demand:.2} activations a day against {supply} available numbers are {supply_days:.1} days of supply"
            ),
            None => format!("nobody has asked for its {supply} available numbers"),
        };
        let plural = if *days == 1 { "" } else { "s" };
        format!(
            "{days} day{plural}, until {release_at}: in area {area} {why}; profile {profile} holds {min_days} days \
             where numbers are scarce and {max_days} where they are plentiful"
        )
    }
}

#[expect(clippy::as_conversions, reason = "a pool of 2^53 numbers does not exist")]
fn days_of_supply(supply: u64, demand: f64) -> Option<f64> {
    let days = supply as f64 / demand;
    (demand > 1e-9 && days.is_finite()).then_some(days)
}

/// The hold of `number` of `area` that an account of `class` disconnects at `now`.
///
/// With supply S and demand D the days of supply are C = S / D, and the hold is
/// min + (max − min) · smoothstep((C − scarce) / (comfortable − scarce)), rounded up to whole days. An
/// area without demand gets max. More supply never shortens it, more demand never lengthens it.
#[must_use]
pub fn hold(policy: &Policy, number: Number, class: Class, area: &Area, now: Timestamp) -> Hold {
    let profile = policy.profile(number);
    let demand = area.demand.at(now, profile.half_life_days);
    let max_days = profile.max_days_for(class);
    let plenty = match days_of_supply(area.supply, demand) {
        Some(days) => {
            smoothstep((days - profile.scarce_days) / (profile.comfortable_days - profile.scarce_days))
        }
        None => 1.0,
    };
    let days = between(profile.min_days, max_days, plenty);
    let calendar = profile.regulated.then_some(policy.zone());
    Hold {
        profile: profile.name.clone(),
        area: area.name.to_string(),
        supply: area.supply,
        demand,
        min_days: profile.min_days,
        max_days,
        days,
        release_at: end(calendar, days, now),
        zone: calendar.map(|_| policy.zone_name().to_owned()),
    }
}

/// 0 up to 0, 1 from 1, and a smooth rise between: x² (3 − 2x).
fn smoothstep(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two u16"
)]
fn between(min: u16, max: u16, share: f64) -> u16 {
    let days = (f64::from(min) + f64::from(max - min) * share).ceil() as u16;
    days.clamp(min, max)
}

/// Returns when a hold of so many days ends. A regulated one counts whole calendar days in the operator's time
/// zone, the `calendar`, after the day of the disconnect: 45 days from 16 October end on 1 December at 00:00, as
/// in the Reassigned Numbers Database's own example. Without a calendar a day has 24 hours.
fn end(calendar: Option<&TimeZone>, days: u16, now: Timestamp) -> Timestamp {
    let Some(zone) = calendar else { return now.plus_millis(i64::from(days) * DAY_MS) };
    let day = now.date_in(zone);
    match day.checked_add(jiff::Span::new().days(i64::from(days) + 1)) {
        Ok(first_free_day) => Timestamp::start_of(first_free_day, zone),
        Err(_) => Timestamp::from_millis(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(supply: u64, per_day: f64, at: Timestamp) -> Area {
        let name = AreaName::Prefix { prefix: "540".into(), region: None };
        Area { name, supply, demand: Demand { per_day, at } }
    }

    fn held(class: Class, supply: u64, per_day: f64) -> Hold {
        let now = Timestamp::from_millis(1_700_000_000_000);
        hold(&Policy::default(), "5405514342".parse().unwrap(), class, &area(supply, per_day, now), now)
    }

    #[test]
    fn scarce_numbers_come_back_sooner() {
        assert_eq!(held(Class::Unknown, 100, 10.0).days, 45); // 10 days of supply
        assert_eq!(held(Class::Unknown, 0, 10.0).days, 45);
        assert_eq!(held(Class::Unknown, 10_000, 1.0).days, 90); // 27 years of supply
        assert_eq!(held(Class::Unknown, 100, 0.0).days, 90); // nobody asks
        assert_eq!(held(Class::Business, 100, 0.0).days, 365);
        assert_eq!(held(Class::Residential, 1_975, 10.0).days, 68); // half way: 45 + 45 / 2, up
    }

    /// The example of reassigned.us: off on 16 October, 45 days, free on 1 December.
    #[test]
    fn regulated_holds_count_whole_calendar_days() {
        for (zone, off, free) in [
            ("UTC", "2021-10-16T00:00:00.000Z", "2021-12-01T00:00:00.000Z"),
            ("UTC", "2021-10-16T23:59:59.999Z", "2021-12-01T00:00:00.000Z"),
            ("America/New_York", "2021-10-16T12:00:00.000Z", "2021-12-01T05:00:00.000Z"),
            ("America/New_York", "2021-10-16T02:00:00.000Z", "2021-11-30T05:00:00.000Z"),
            ("UTC", "2024-01-15T10:00:00.000Z", "2024-03-01T00:00:00.000Z"), // a leap year
            ("UTC", "2023-01-15T10:00:00.000Z", "2023-03-02T00:00:00.000Z"),
            // The last seconds of a day, and clocks that change before the end: a day of 23 hours, and one of 25.
            ("America/New_York", "2026-02-15T04:59:56.000Z", "2026-04-01T04:00:00.000Z"),
            ("America/New_York", "2026-09-21T03:59:56.000Z", "2026-11-05T05:00:00.000Z"),
        ] {
            let policy = Policy::new(Vec::new(), zone).unwrap();
            let now: Timestamp = off.parse().unwrap();
            let hold = hold(&policy, "9195550100".parse().unwrap(), Class::Unknown, &area(0, 9.0, now), now);
            assert_eq!((hold.days, hold.release_at.to_string().as_str()), (45, free), "{zone} {off}");
            assert_eq!(hold.ends(now), Some(hold.release_at), "it says all that its end is made of");
        }
    }

    #[test]
    fn a_day_of_an_unregulated_hold_has_24_hours() {
        let policy = Policy::new(Vec::new(), "America/New_York").unwrap();
        let now: Timestamp = "2026-02-15T04:59:56.000Z".parse().unwrap();
        let held = hold(&policy, "+33140289562".parse().unwrap(), Class::Unknown, &area(0, 9.0, now), now);
        assert_eq!((held.days, held.zone.as_deref()), (45, None));
        assert_eq!(held.release_at, now.plus_millis(45 * DAY_MS));
        assert_eq!(held.ends(now), Some(held.release_at));
        assert_eq!(Hold { zone: Some("Mars/Olympus".into()), ..held }.ends(now), None);
    }

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

    proptest! {
        #[test]
        fn more_supply_never_shortens_and_more_demand_never_lengthens(
            supply in 0_u64..1_000_000, more in 0_u64..1_000_000,
            demand in 0.0_f64..10_000.0, extra in 0.0_f64..10_000.0,
        ) {
            let base = held(Class::Unknown, supply, demand);
            prop_assert!(held(Class::Unknown, supply + more, demand).days >= base.days);
            prop_assert!(held(Class::Unknown, supply, demand + extra).days <= base.days);
            prop_assert!((45..=90).contains(&base.days));
            prop_assert!(base.release_at.since(Timestamp::from_millis(1_700_000_000_000)) > 45 * DAY_MS);
        }
    }
}
