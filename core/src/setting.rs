//! Settings that an operator changes while the server runs: their names, their values, what each may be, and who may
//! change it.
//!
//! They are kept in the store, so that every server on it goes by the same ones.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::change::CANCEL_WINDOW_SECONDS_MAX;
use crate::order::plan::TwoPerson;
use crate::report::rnd_file::{DateFormat, NumberFormat};
use crate::words::words;

/// Most rows of a file for the Reassigned Numbers Database.
const RND_ROWS_MAX: u32 = 1_000_000;
/// Most characters of a text among the settings.
const TEXT_MAX: usize = 100;

words! {
    /// A setting.
    Setting {
        /// How long disconnect orders by the API wait before they run, so that they can be cancelled.
        CancelWindowSeconds = "cancel_window_seconds",
        /// For what a second person is needed.
        TwoPerson = "two_person",
        /// What becomes of an order by the API that purges numbers.
        WirePurge = "wire_purge",
        /// How many days a held order waits for a decision.
        HeldDays = "held_days",
        /// How long a plan that needs no second person can be applied.
        PlanExpiresSeconds = "plan_expires_seconds",
        /// What a call to an aging number gets.
        CallsAging = "calls_aging",
        /// Requests a second of one account in each group of routes, 0 for no limit.
        RateLimit = "rate_limit",
        /// Pool numbers that searches show one account in an hour, 0 for no limit.
        ShownLimit = "shown_limit",
        /// Whether files for the Reassigned Numbers Database begin with a line of names.
        RndHeader = "rnd_header",
        /// The names of its columns: company, number, date, batch.
        RndColumns = "rnd_columns",
        /// The form of its dates.
        RndDateFormat = "rnd_date_format",
        /// The form of its numbers.
        RndTnFormat = "rnd_tn_format",
        /// The name of a file.
        RndFileName = "rnd_file_name",
        /// Most rows of a file.
        RndRowLimit = "rnd_row_limit",
        /// The last day of the month whose disconnects are in its report.
        RndCutoffDay = "rnd_cutoff_day",
        /// The operating company number in reports of number use.
        NrufOcn = "nruf_ocn",
    }
}

words! {
    /// What becomes of an order by the API that purges numbers.
    WirePurge {
        /// It runs.
        Run = "run",
        /// It waits until a second person has approved it.
        Hold = "hold",
        /// It is refused.
        Refuse = "refuse",
    }
}

/// What a call to an aging number gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsAging {
    /// The SIP status: 404 or 410.
    pub sip_code: u16,
    /// The cause by ITU-T Q.850: 1 or 22.
    pub q850_cause: u8,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Seconds that disconnect orders by the API wait before they run.
    pub cancel_window_seconds: u32,
    /// For what a second person is needed.
    pub two_person: TwoPerson,
    /// What becomes of an order by the API that purges numbers.
    pub wire_purge: WirePurge,
    /// Days that a held order waits for a decision.
    pub held_days: u32,
    /// Seconds for which a plan that needs no second person can be applied.
    pub plan_expires_seconds: u32,
    /// What a call to an aging number gets.
    pub calls_aging: CallsAging,
    /// Requests a second of one account in each group of routes, 0 for no limit.
    pub rate_limit: u32,
    /// Pool numbers that searches show one account in an hour, 0 for no limit.
    pub shown_limit: u32,
    /// How files for the Reassigned Numbers Database look.
    pub rnd: Rnd,
    /// The operating company number in reports of number use.
    pub nruf_ocn: Option<String>,
}

/// How files for the Reassigned Numbers Database look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rnd {
    /// True if they begin with a line of names.
    pub header: bool,
    /// The names of the columns: company, number, date, batch.
    pub columns: [String; 4],
    /// The form of dates.
    pub date_format: DateFormat,
    /// The form of numbers.
    pub tn_format: NumberFormat,
    /// The name of a file. `{company}`, `{period}` and `{batch}` stand for theirs.
    pub file_name: String,
    /// Most rows of a file.
    pub row_limit: u32,
    /// The last day of the month whose disconnects are in its report.
    pub cutoff_day: u32,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            cancel_window_seconds: 0,
            two_person: TwoPerson::default(),
            wire_purge: WirePurge::Run,
            held_days: 14,
            plan_expires_seconds: 1_800,
            calls_aging: CallsAging { sip_code: 404, q850_cause: 1 },
            rate_limit: 1_000,
            shown_limit: 50_000,
            rnd: Rnd {
                header: true,
                columns: ["CompanyID", "TN", "DisconnectDate", "BatchID"].map(str::to_owned),
                date_format: DateFormat::Iso,
                tn_format: NumberFormat::Ten,
                file_name: "{company}_{period}{batch}.csv".to_owned(),
                row_limit: RND_ROWS_MAX,
                cutoff_day: 14,
            },
            nruf_ocn: None,
        }
    }
}

impl Values {
    /// Returns the values of which these are not the defaults. What cannot be read is the default.
    #[must_use]
    pub fn of<'a>(chosen: impl IntoIterator<Item = (Setting, &'a Value)>) -> Self {
        let mut values = Self::default();
        for (setting, value) in chosen {
            let _ = values.set(setting, value);
        }
        values
    }

    /// Returns a setting's value.
    #[must_use]
    pub fn get(&self, setting: Setting) -> Value {
        match setting {
            Setting::CancelWindowSeconds => json!(self.cancel_window_seconds),
            Setting::TwoPerson => json!(self.two_person),
            Setting::WirePurge => json!(self.wire_purge),
            Setting::HeldDays => json!(self.held_days),
            Setting::PlanExpiresSeconds => json!(self.plan_expires_seconds),
            Setting::CallsAging => json!(self.calls_aging),
            Setting::RateLimit => json!(self.rate_limit),
            Setting::ShownLimit => json!(self.shown_limit),
            Setting::RndHeader => json!(self.rnd.header),
            Setting::RndColumns => json!(self.rnd.columns),
            Setting::RndDateFormat => json!(self.rnd.date_format),
            Setting::RndTnFormat => json!(self.rnd.tn_format),
            Setting::RndFileName => json!(self.rnd.file_name),
            Setting::RndRowLimit => json!(self.rnd.row_limit),
            Setting::RndCutoffDay => json!(self.rnd.cutoff_day),
            Setting::NrufOcn => json!(self.nruf_ocn),
        }
    }

    /// Sets a setting's value.
    ///
    /// # Errors
    /// What it may be, if this is something else. Nothing has changed then.
    pub fn set(&mut self, setting: Setting, value: &Value) -> Result<(), &'static str> {
        match setting {
            Setting::CancelWindowSeconds => {
                let rule = "it is a whole number of seconds from 0 to 86400";
                self.cancel_window_seconds = read(value, rule, |of| *of <= CANCEL_WINDOW_SECONDS_MAX)?;
            }
            Setting::TwoPerson => {
                let rule = "it is an object with purge, release_early and held (true or false) and unlock_over (a \
                            whole number or null), all of them";
                self.two_person = read(value, rule, |_| true)?;
            }
            Setting::WirePurge => self.wire_purge = read(value, "it is run, hold or refuse", |_| true)?,
            Setting::HeldDays => {
                self.held_days =
                    read(value, "it is a whole number of days from 1 to 90", |days| (1..=90).contains(days))?;
            }
            Setting::PlanExpiresSeconds => {
                let rule = "it is a whole number of seconds from 60 to 86400";
                self.plan_expires_seconds = read(value, rule, |of| (60..=86_400).contains(of))?;
            }
            Setting::CallsAging => {
                let rule =
                    r#"it is {"sip_code": 404, "q850_cause": 1} or {"sip_code": 410, "q850_cause": 22}"#;
                self.calls_aging = read(value, rule, |of: &CallsAging| {
                    matches!((of.sip_code, of.q850_cause), (404, 1) | (410, 22))
                })?;
            }
            Setting::RateLimit => self.rate_limit = read(value, LIMIT, |_| true)?,
            Setting::ShownLimit => self.shown_limit = read(value, LIMIT, |_| true)?,
            Setting::RndHeader => self.rnd.header = read(value, "it is true or false", |_| true)?,
            Setting::RndColumns => {
                let rule = "it is a list of four names of 1 to 100 letters, digits, spaces, dots, dashes or \
                            underscores";
                self.rnd.columns =
                    read(value, rule, |of: &[String; 4]| of.iter().all(|name| is_plain(name)))?;
            }
            Setting::RndDateFormat => {
                let rule = "it is YYYY-MM-DD, MM/DD/YY, MM/DD/YYYY, M/D/YY or M/D/YYYY";
                self.rnd.date_format = read(value, rule, |_| true)?;
            }
            Setting::RndTnFormat => self.rnd.tn_format = read(value, r#"it is "10" or "e164""#, |_| true)?,
            Setting::RndFileName => {
                let rule = "it is 1 to 100 letters, digits, spaces, dots, dashes, underscores, with {company}, {period} \
                            and {batch} in it";
                self.rnd.file_name = read(value, rule, |of: &String| is_file_name(of))?;
            }
            Setting::RndRowLimit => {
                let rule = "it is a whole number from 1 to 1000000";
                self.rnd.row_limit = read(value, rule, |of| (1..=RND_ROWS_MAX).contains(of))?;
            }
            Setting::RndCutoffDay => {
                let rule = "it is a whole number from 10 to 14";
                self.rnd.cutoff_day = read(value, rule, |of| (10..=14).contains(of))?;
            }
            Setting::NrufOcn => {
                let rule = "it is null, or four letters or digits";
                self.nruf_ocn = read(value, rule, |of: &Option<String>| {
                    of.as_ref()
                        .is_none_or(|of| of.len() == 4 && of.bytes().all(|b| b.is_ascii_alphanumeric()))
                })?;
            }
        }
        Ok(())
    }

    /// Returns what someone should know of a setting as it is. `None` if there is nothing.
    #[must_use]
    pub fn warning(&self, setting: Setting) -> Option<&'static str> {
        (setting == Setting::WirePurge && self.wire_purge == WirePurge::Run && self.two_person.purge).then_some(
            "two persons are needed for a purge at /ops alone: an order by the API purges numbers at once",
        )
    }
}

const LIMIT: &str = "it is a whole number from 0 to 4294967295, 0 for no limit";

fn read<T: DeserializeOwned>(
    value: &Value,
    rule: &'static str,
    good: impl FnOnce(&T) -> bool,
) -> Result<T, &'static str> {
    let read: Result<T, _> = serde_json::from_value(value.clone());
    read.ok().filter(good).ok_or(rule)
}

fn is_plain(name: &str) -> bool {
    (1..=TEXT_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b' '))
}

fn is_file_name(name: &str) -> bool {
    let parts = ["{company}", "{period}", "{batch}"];
    let bare = parts.iter().fold(name.to_owned(), |bare, part| bare.replacen(part, "x", 1));
    name.len() <= TEXT_MAX
        && parts.iter().all(|part| name.contains(part))
        && is_plain(&bare)
        && !name.starts_with(['.', '-', ' '])
}

/// A change of settings. `None` takes a choice back, so that the default holds again.
pub type Changes = BTreeMap<Setting, Option<Value>>;

/// Checks that these settings may be changed by a person who works on the machine itself, or by another operator.
///
/// # Errors
/// The first one that only a person on the machine changes: with it, one stolen password could do alone what needs two
/// persons.
pub fn may_change(changes: &Changes, at_machine: bool) -> Result<(), Setting> {
    let guarded = |setting: &Setting| matches!(setting, Setting::TwoPerson | Setting::WirePurge);
    match changes.keys().find(|setting| guarded(setting)) {
        Some(setting) if !at_machine => Err(*setting),
        _ => Ok(()),
    }
}

/// Checks the values of a change.
///
/// # Errors
/// The first setting whose value is not allowed, and what it may be.
pub fn check(changes: &Changes) -> Result<(), (Setting, &'static str)> {
    let mut values = Values::default();
    for (setting, value) in changes {
        if let Some(value) = value {
            values.set(*setting, value).map_err(|rule| (*setting, rule))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_got_can_be_set_again_and_another_form_cannot() {
        for setting in Setting::ALL {
            let (mut values, wrong) = (Values::default(), json!({ "wrong": true }));
            let value = values.get(*setting);
            assert_eq!(values.set(*setting, &value), Ok(()), "{setting}");
            assert_eq!(values, Values::default(), "{setting}");
            assert!(values.set(*setting, &wrong).is_err_and(|rule| rule.starts_with("it is ")), "{setting}");
            assert_eq!(values, Values::default(), "{setting}");
        }
    }

    #[test]
    fn a_value_is_what_its_rule_says() {
        for (setting, value, good) in [
            (Setting::CancelWindowSeconds, json!(86_400), true),
            (Setting::CancelWindowSeconds, json!(86_401), false),
            (Setting::CancelWindowSeconds, json!(-1), false),
            (Setting::CancelWindowSeconds, json!("600"), false),
            (Setting::HeldDays, json!(0), false),
            (Setting::HeldDays, json!(90), true),
            (Setting::PlanExpiresSeconds, json!(59), false),
            (Setting::WirePurge, json!("hold"), true),
            (Setting::WirePurge, json!("never"), false),
            (Setting::CallsAging, json!({ "sip_code": 410, "q850_cause": 22 }), true),
            (Setting::CallsAging, json!({ "sip_code": 410, "q850_cause": 1 }), false),
            (
                Setting::TwoPerson,
                json!({ "purge": true, "release_early": false, "unlock_over": null, "held": true }),
                true,
            ),
            (Setting::TwoPerson, json!({ "purge": true, "release_early": false, "held": true }), false),
            (Setting::RndColumns, json!(["A", "B", "C", "D"]), true),
            (Setting::RndColumns, json!(["A", "B", "C"]), false),
            (Setting::RndColumns, json!(["A", "B", "C", "D,E"]), false),
            (Setting::RndFileName, json!("{company}-{period}-{batch}.csv"), true),
            (Setting::RndFileName, json!("../{company}{period}{batch}"), false),
            (Setting::RndFileName, json!("report.csv"), false),
            (Setting::RndCutoffDay, json!(9), false),
            (Setting::NrufOcn, json!("9A99"), true),
            (Setting::NrufOcn, json!("9A9"), false),
        ] {
            assert_eq!(Values::default().set(setting, &value).is_ok(), good, "{setting} {value}");
        }
    }

    #[test]
    fn the_second_person_is_switched_off_on_the_machine_alone() {
        for setting in Setting::ALL {
            let change = Changes::from([(*setting, None)]);
            let guarded = matches!(setting, Setting::TwoPerson | Setting::WirePurge);
            let other = if guarded { Err(*setting) } else { Ok(()) };
            assert_eq!((may_change(&change, false), may_change(&change, true)), (other, Ok(())), "{setting}");
        }
    }

    #[test]
    fn a_purge_without_a_second_person_is_warned_of() {
        let warning = |values: &Values| values.warning(Setting::WirePurge).is_some();
        let usual = Values::default();
        let held = Values { wire_purge: WirePurge::Hold, ..usual.clone() };
        let alone = TwoPerson { purge: false, ..TwoPerson::default() };
        let alone = Values { two_person: alone, ..usual.clone() };
        assert_eq!((warning(&usual), warning(&held), warning(&alone)), (true, false, false));
    }

    #[test]
    fn a_stored_value_that_cannot_be_read_is_the_default() {
        let (good, bad) = (json!(3), json!("three"));
        let values = Values::of([(Setting::HeldDays, &good), (Setting::RateLimit, &bad)]);
        assert_eq!(values, Values { held_days: 3, ..Values::default() });
    }
}
