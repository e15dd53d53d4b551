//! The hold: how long a number ages, and why.
//!
//! Scarce numbers come back sooner, plentiful ones rest longer, and none less than the law's floor. A [`Hold`] keeps
//! every figure that went into it: someone asks years later.
//!
//! Not here: what happens at the end of a hold (`release`).

use crate::account::Class;
use crate::lifecycle::area::Area;
use crate::lifecycle::policy::{FLOOR_DAYS, Policy, Profile};
use crate::number::Number;
use crate::time::{DAY_MS, TimeZone, Timestamp};

/// How long a number ages, with every figure that led to it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Hold {
    /// The profile's name.
    pub profile: String,
    /// The area's name.
    pub area: String,
    /// Numbers in the area's pool at the disconnect.
    pub supply: u64,
    /// Activations a day in the area, at the disconnect.
    pub demand: f64,
    /// Fewest days by the profile.
    pub min_days: u16,
    /// Most days by the profile and the account's class.
    pub max_days: u16,
    /// The result, in whole days.
    pub days: u16,
    /// Not released before this instant.
    pub release_at: Timestamp,
    /// The time zone whose calendar days were counted. `None` if a day has 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Hold {
    /// Returns when this hold ends by its own figures, for a number that was disconnected at `at`. `None` if its time
    /// zone is unknown.
    #[must_use]
    pub fn ends(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = self.zone.as_deref().map(TimeZone::get).transpose().ok()?;
        Some(end(zone.as_ref(), self.days, at))
    }

    /// Returns the instant before which no act may give the number to anyone new, for a number that was disconnected
    /// at `at`: the law's floor where days of a calendar count, else the profile's fewest days. `None` if its time zone
    /// is unknown.
    #[must_use]
    pub fn floor(&self, at: Timestamp) -> Option<Timestamp> {
        let days = if self.zone.is_some() { FLOOR_DAYS } else { self.min_days };
        Hold { days, ..self.clone() }.ends(at)
    }

    /// Returns the instant after which the number would age longer than the profile allows. `None` if its time zone is
    /// unknown.
    #[must_use]
    pub fn ceiling(&self, at: Timestamp) -> Option<Timestamp> {
        Hold { days: self.max_days, ..self.clone() }.ends(at)
    }

    /// Returns how many days the pool would last at this demand. `None` without demand.
    #[must_use]
    pub fn days_of_supply(&self) -> Option<f64> {
        days_of_supply(self.supply, self.demand)
    }

    /// Returns the reason in one sentence, with its figures.
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

/// Returns the hold of `number` in `area`, which an account of `class` disconnects at `now`.
///
/// With supply S and demand D the days of supply are C = S / D, and the hold is
/// min + (max − min) · smoothstep((C − scarce) / (comfortable − scarce)), rounded up to whole days. An
/// area without demand gets max. More supply never shortens it, more demand never lengthens it.
#[must_use]
pub fn hold(policy: &Policy, number: Number, class: Class, area: &Area, now: Timestamp) -> Hold {
    let profile = policy.profile(number);
    let demand = area.demand.at(now, profile.half_life_days);
    let max_days = profile.max_days_for(class);
    let days = days(profile, class, days_of_supply(area.supply, demand));
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

/// Returns the instant before which no act may give a number to anyone new that left service at `at` without aging: as
/// [`Hold::floor`], by the profile that its number has in `policy`.
#[must_use]
pub fn floor(policy: &Policy, number: Number, at: Timestamp) -> Timestamp {
    let profile = policy.profile(number);
    match profile.regulated {
        true => end(Some(policy.zone()), FLOOR_DAYS, at),
        false => end(None, profile.min_days, at),
    }
}

/// Returns how many days a number ages by a profile, whose account is of `class` and whose area's pool lasts so many days.
/// `None` is a pool that nobody takes from.
#[must_use]
pub fn days(profile: &Profile, class: Class, days_of_supply: Option<f64>) -> u16 {
    let Profile { scarce_days, comfortable_days, min_days, .. } = profile;
    let plenty = days_of_supply
        .map_or(1.0, |days| smoothstep((days - scarce_days) / (comfortable_days - scarce_days)));
    between(*min_days, profile.max_days_for(class), plenty)
}

/// Points of a [`curve`].
const POINTS: u8 = 101;

/// Returns how many days a number ages by a profile as its area's supply grows: points of days of supply and days of
/// the hold, from a pool that is empty to one that is plentiful.
#[must_use]
pub fn curve(profile: &Profile, class: Class) -> Vec<(f64, u16)> {
    let supplies =
        (0..POINTS).map(|point| profile.comfortable_days * f64::from(point) / f64::from(POINTS - 1));
    supplies.map(|supply| (supply, days(profile, class, Some(supply)))).collect()
}

/// How long numbers of an area would age if they were disconnected now.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Activations a day now.
    pub demand_per_day: f64,
    /// How many days the pool lasts at that demand. `None` without demand.
    pub days_of_supply: Option<f64>,
    /// By profile and class, how many days. In the order of the profiles and of [`Class::ALL`].
    pub holds: Vec<(String, Class, u16)>,
}

/// Returns how long numbers of an area would age if they were disconnected at `now`.
#[must_use]
pub fn outlook(policy: &Policy, area: &Area, now: Timestamp) -> Outlook {
    let profiles = policy.profiles_of(&area.name);
    let demand = |profile: &Profile| area.demand.at(now, profile.half_life_days);
    let holds = profiles.iter().flat_map(|profile| {
        let supply = days_of_supply(area.supply, demand(profile));
        Class::ALL.iter().map(move |class| (profile.name.clone(), *class, days(profile, *class, supply)))
    });
    let demand_per_day = profiles.first().map_or(0.0, |profile| demand(profile));
    Outlook {
        demand_per_day,
        days_of_supply: days_of_supply(area.supply, demand_per_day),
        holds: holds.collect(),
    }
}

/// Returns 0 up to 0, 1 from 1, and a smooth rise between: x² (3 − 2x).
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

/// Returns when a hold of so many days ends. A regulated one counts whole calendar days in the operator's time zone
/// (`calendar`), after the day of the disconnect: 45 days from 16 October end on 1 December at 00:00, as
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
impl Hold {
    /// Returns a hold until this instant, without a calendar, for the tests of lives.
    pub(crate) fn until(release_at: Timestamp) -> Self {
        Self {
            profile: "us".into(),
            area: "540".into(),
            supply: 1,
            demand: 0.0,
            min_days: 45,
            max_days: 90,
            days: 90,
            release_at,
            zone: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::area::{AreaName, Demand};
    use crate::time::DAY_MS;
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

    #[test]
    fn an_outlook_is_what_a_disconnect_would_get() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let policy = Policy::default();
        let (scarce, calm) = (area(1_975, 10.0, now), area(100, 0.0, now));
        let told = outlook(&policy, &scarce, now);
        assert_eq!((told.demand_per_day, told.days_of_supply), (10.0, Some(197.5)));
        let number = "5405514342".parse().unwrap();
        for area in [scarce, calm] {
            for (profile, class, days) in outlook(&policy, &area, now).holds {
                let held = hold(&policy, number, class, &area, now);
                assert_eq!((profile, days), (held.profile, held.days), "{class}");
            }
        }
    }

    #[test]
    fn a_curve_rises_from_the_shortest_hold_to_the_longest() {
        let us = &Profile::built_in()[0];
        let points = curve(us, Class::Unknown);
        assert_eq!((points.len(), points[0], points[100]), (101, (0.0, 45), (365.0, 90)));
        assert!(points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
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
