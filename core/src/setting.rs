//! Settings that an operator changes while the server runs: their names, their values, what each may be, and who may
//! change it.
//!
//! They are kept in the store, so that every server on it goes by the same ones.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::change::CANCEL_WINDOW_SECONDS_MAX;
use crate::order::Mode;
use crate::order::plan::TwoPerson;
use crate::report::nruf::{DONATE_PERCENT, PortedOut};
use crate::report::rnd_file::{Form, is_company};
use crate::words::words;

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
        /// Who reports disconnects, if a request does not say.
        RndCompany = "rnd_company",
        /// The first line of a file for the Reassigned Numbers Database.
        RndHeader = "rnd_header",
        /// Its columns.
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
        /// Blocks with at most so many percent of their numbers taken are to be given back.
        NrufDonatePercent = "nruf_donate_percent",
        /// What a number is counted as that went to another carrier.
        NrufPortedOut = "nruf_ported_out",
    }
}

words! {
    /// What becomes of an order by the API that purges numbers.
    WirePurge {
        /// It runs.
        Run = "run",
        /// It is refused.
        Refuse = "refuse",
    }
}

impl WirePurge {
    /// Returns whether an order by the API that takes numbers out of service in this way is taken.
    #[must_use]
    pub fn takes(self, mode: Mode) -> bool {
        mode != Mode::Purge || self == Self::Run
    }
}

/// The settings by which a node goes, by name. A setting that its start leaves to the store is null.
pub type GoesBy = BTreeMap<String, Value>;

/// Returns the names of the settings by which two nodes differ. A name that only one of them has is of another version of
/// the program: it is not compared.
#[must_use]
pub fn differing<'a>(one: &'a GoesBy, other: &GoesBy) -> Vec<&'a str> {
    let differs = |(name, value): &(&String, &Value)| other.get(*name).is_some_and(|theirs| theirs != *value);
    one.iter().filter(differs).map(|(name, _)| &**name).collect()
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

impl CallsAging {
    /// 404 Not Found, and "unallocated (unassigned) number" (RFC 3398, 8.2.6.1). By default an aging number is answered as
    /// one that was never given out: some networks take 410 for "try elsewhere".
    pub const UNALLOCATED: Self = Self { sip_code: 404, q850_cause: 1 };
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
    /// How reports for regulators are made.
    pub reports: ReportSettings,
}

/// How reports for regulators are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// Who reports disconnects, if a request does not say.
    pub rnd_company: Option<String>,
    /// The form of the file of disconnects.
    pub rnd_form: Form,
    /// The operating company number in reports of number use.
    pub nruf_ocn: Option<String>,
    /// Blocks with at most so many percent of their numbers taken are to be given back.
    pub nruf_donate_percent: u8,
    /// What a number is counted as that went to another carrier.
    pub nruf_ported_out: PortedOut,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            rnd_company: None,
            rnd_form: Form::default(),
            nruf_ocn: None,
            nruf_donate_percent: DONATE_PERCENT,
            nruf_ported_out: PortedOut::LeftOut,
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self {
            cancel_window_seconds: 0,
            two_person: TwoPerson::default(),
            wire_purge: WirePurge::Run,
            held_days: 14,
            plan_expires_seconds: 1_800,
            calls_aging: CallsAging::UNALLOCATED,
            rate_limit: 1_000,
            shown_limit: 50_000,
            reports: ReportSettings::default(),
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
        let reports = &self.reports;
        match setting {
            Setting::CancelWindowSeconds => json!(self.cancel_window_seconds),
            Setting::TwoPerson => json!(self.two_person),
            Setting::WirePurge => json!(self.wire_purge),
            Setting::HeldDays => json!(self.held_days),
            Setting::PlanExpiresSeconds => json!(self.plan_expires_seconds),
            Setting::CallsAging => json!(self.calls_aging),
            Setting::RateLimit => json!(self.rate_limit),
            Setting::ShownLimit => json!(self.shown_limit),
            Setting::RndCompany => json!(reports.rnd_company),
            Setting::RndHeader => json!(reports.rnd_form.header),
            Setting::RndColumns => json!(reports.rnd_form.columns),
            Setting::RndDateFormat => json!(reports.rnd_form.date_format),
            Setting::RndTnFormat => json!(reports.rnd_form.tn_format),
            Setting::RndFileName => json!(reports.rnd_form.file_name),
            Setting::RndRowLimit => json!(reports.rnd_form.row_limit),
            Setting::RndCutoffDay => json!(reports.rnd_form.cutoff_day),
            Setting::NrufOcn => json!(reports.nruf_ocn),
            Setting::NrufDonatePercent => json!(reports.nruf_donate_percent),
            Setting::NrufPortedOut => json!(reports.nruf_ported_out),
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
            Setting::WirePurge => self.wire_purge = read(value, "it is run or refuse", |_| true)?,
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
            Setting::RndCompany => {
                let rule = "it is null, or 3 to 10 letters and digits";
                self.reports.rnd_company =
                    read(value, rule, |of: &Option<String>| of.as_deref().is_none_or(is_company))?;
            }
            Setting::RndHeader => {
                let rule = "it is a text of at most 200 characters, without slashes and control characters, empty for \
                            no header";
                self.reports.rnd_form.header = of_form(value, rule, |form, header| form.header = header)?;
            }
            Setting::RndColumns => {
                let rule = "it is a list of company_id, tn, disconnect_date and batch_id, none of them twice, with \
                            tn and disconnect_date";
                self.reports.rnd_form.columns = of_form(value, rule, |form, columns| form.columns = columns)?;
            }
            Setting::RndDateFormat => {
                let rule = "it is YYYY-MM-DD, MM/DD/YY, MM/DD/YYYY, M/D/YY or M/D/YYYY";
                self.reports.rnd_form.date_format = read(value, rule, |_| true)?;
            }
            Setting::RndTnFormat => {
                self.reports.rnd_form.tn_format = read(value, r#"it is "10" or "e164""#, |_| true)?;
            }
            Setting::RndFileName => {
                let rule = "it is a name of at most 200 characters, without slashes and control characters, with {batch} \
                            in it and at most one pair of brackets";
                self.reports.rnd_form.file_name = of_form(value, rule, |form, name| form.file_name = name)?;
            }
            Setting::RndRowLimit => {
                let rule = "it is a whole number from 1 to 4294967295";
                self.reports.rnd_form.row_limit = of_form(value, rule, |form, rows| form.row_limit = rows)?;
            }
            Setting::RndCutoffDay => {
                let rule = "it is a whole number from 10 to 14";
                self.reports.rnd_form.cutoff_day = of_form(value, rule, |form, day| form.cutoff_day = day)?;
            }
            Setting::NrufOcn => {
                let rule = "it is null, or four letters or digits";
                self.reports.nruf_ocn = read(value, rule, |of: &Option<String>| {
                    of.as_ref()
                        .is_none_or(|of| of.len() == 4 && of.bytes().all(|b| b.is_ascii_alphanumeric()))
                })?;
            }
            Setting::NrufDonatePercent => {
                let rule = "it is a whole number from 0 to 100";
                self.reports.nruf_donate_percent = read(value, rule, |of| (0..=100).contains(of))?;
            }
            Setting::NrufPortedOut => {
                self.reports.nruf_ported_out = read(value, "it is left_out or assigned", |_| true)?;
            }
        }
        Ok(())
    }

    /// Returns what someone should know of a setting as it is. `None` if there is nothing.
    #[must_use]
    pub fn warning(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::WirePurge if self.wire_purge == WirePurge::Run && self.two_person.purge => Some(
                "two persons are needed for a purge at /ops alone: an order by the API purges numbers at once",
            ),
            Setting::CancelWindowSeconds => Some("kept and shown: no order waits for it in this version"),
            Setting::HeldDays => Some("kept and shown: no order is held in this version"),
            Setting::TwoPerson => Some("held is kept and shown: no order is held in this version"),
            _ => None,
        }
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

/// Reads a value that is a part of the form of a file, and refuses one with which the form could not be used.
fn of_form<T: DeserializeOwned + Clone>(
    value: &Value,
    rule: &'static str,
    put: impl FnOnce(&mut Form, T),
) -> Result<T, &'static str> {
    read(value, rule, |part: &T| {
        let mut form = Form::default();
        put(&mut form, part.clone());
        form.fault().is_none()
    })
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

/// Checks that the form of a month's file can be used after a change of these values.
///
/// # Errors
/// The first of the settings that do not fit each other any more, and how. What the change leaves as it is is no error.
pub fn check_form(changes: &Changes, values: &Values) -> Result<(), (Setting, String)> {
    let of_form = |setting: &&Setting| matches!(setting, Setting::RndHeader | Setting::RndColumns);
    let Some(first) = changes.keys().find(of_form) else { return Ok(()) };
    let (mut after, defaults) = (values.clone(), Values::default());
    for (setting, value) in changes {
        let value = value.clone().unwrap_or_else(|| defaults.get(*setting));
        after.set(*setting, &value).map_err(|rule| (*setting, rule.to_owned()))?;
    }
    after.reports.rnd_form.mismatch().map_or(Ok(()), |told| Err((*first, told)))
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
    fn nodes_differ_by_what_both_know_and_say_differently() {
        let of = |given: &[(&str, Value)]| -> GoesBy {
            given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let one = of(&[("a", json!(1)), ("b", Value::Null), ("c", json!("x")), ("old", json!(1))]);
        let other = of(&[("a", json!(1)), ("b", json!(10)), ("c", json!("y")), ("new", json!(1))]);
        assert_eq!((differing(&one, &other), differing(&one, &one)), (vec!["b", "c"], vec![]));
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
            (Setting::WirePurge, json!("refuse"), true),
            (Setting::WirePurge, json!("never"), false),
            (Setting::CallsAging, json!({ "sip_code": 410, "q850_cause": 22 }), true),
            (Setting::CallsAging, json!({ "sip_code": 410, "q850_cause": 1 }), false),
            (
                Setting::TwoPerson,
                json!({ "purge": true, "release_early": false, "unlock_over": null, "held": true }),
                true,
            ),
            (Setting::TwoPerson, json!({ "purge": true, "release_early": false, "held": true }), false),
            (Setting::RndCompany, json!("ACME1"), true),
            (Setting::RndCompany, json!("AB"), false),
            (Setting::RndHeader, json!(""), true),
            (Setting::RndHeader, json!("a\nb"), false),
            (Setting::RndColumns, json!(["tn", "disconnect_date"]), true),
            (Setting::RndColumns, json!(["disconnect_date"]), false),
            (Setting::RndColumns, json!(["company_id", "tn"]), false),
            (Setting::RndColumns, json!(["tn", "TN"]), false),
            (Setting::RndFileName, json!("{company}-{period}-{batch}.csv"), true),
            (Setting::RndFileName, json!("../{company}{period}{batch}"), false),
            (Setting::RndFileName, json!("report.csv"), false),
            (Setting::RndRowLimit, json!(0), false),
            (Setting::RndCutoffDay, json!(9), false),
            (Setting::RndCutoffDay, json!(10), true),
            (Setting::NrufOcn, json!("9A99"), true),
            (Setting::NrufOcn, json!("9A9"), false),
            (Setting::NrufDonatePercent, json!(100), true),
            (Setting::NrufDonatePercent, json!(101), false),
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
        let refused = Values { wire_purge: WirePurge::Refuse, ..usual.clone() };
        let alone = TwoPerson { purge: false, ..TwoPerson::default() };
        let alone = Values { two_person: alone, ..usual.clone() };
        assert_eq!((warning(&usual), warning(&refused), warning(&alone)), (true, false, false));
    }

    #[test]
    fn a_purge_by_the_api_is_taken_or_not_and_nothing_else_is_asked() {
        for mode in Mode::ALL {
            assert!(WirePurge::Run.takes(*mode));
            assert_eq!(WirePurge::Refuse.takes(*mode), *mode != Mode::Purge, "{mode}");
        }
    }

    #[test]
    fn a_stored_value_that_cannot_be_read_is_the_default() {
        let (good, bad) = (json!(3), json!("three"));
        let values = Values::of([(Setting::HeldDays, &good), (Setting::RateLimit, &bad)]);
        assert_eq!(values, Values { held_days: 3, ..Values::default() });
    }
}
