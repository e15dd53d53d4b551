//! Reports for regulators: random lives of a number, recounted by hand, and one by one what the rules say.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use onhook_core::account::{AccountKind, Place, Role};
use onhook_core::area_codes;
use onhook_core::ids::{AccountId, AreaId, EventSeq, SiteId};
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::lifecycle::event::{By, Change, Event, apply};
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::hold::Hold;
use onhook_core::lifecycle::provenance::Provenance;
use onhook_core::number::Number;
use onhook_core::report::Known;
use onhook_core::report::calls::routing;
use onhook_core::report::months::Month;
use onhook_core::report::nruf::{
    Block, Category, CenterUse, Counts, Level, PortedOut, RESERVED_DAYS, Then, Use, Warning, category, line,
    then, warnings,
};
use onhook_core::report::rating::{Charges, Why, rate};
use onhook_core::report::rnd::{
    Departure, Filing, Filings, HandedIn, Judged, LeftOut, departures, due_days, is_reported, judge,
};
use onhook_core::time::{DAY_MS, Date, TimeZone, Timestamp};
use proptest::prelude::*;

const IMPORT: EventSeq = EventSeq(1);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn place(account: u32) -> Place {
    Place { account: AccountId::new(account).unwrap(), site: SiteId::new(1).unwrap(), peer: None }
}

fn disconnected() -> Change {
    let hold = Hold {
        profile: "us".into(),
        area: "540".into(),
        supply: 1,
        demand: 0.0,
        min_days: 45,
        max_days: 90,
        days: 90,
        release_at: Timestamp::MAX,
        zone: None,
    };
    Change::Disconnected { hold, leaves: false, protected: None }
}

fn reconnected(account: u32) -> Change {
    Change::Reconnected { place: place(account), protected: None }
}

fn restored(standing: Standing) -> Change {
    Change::Restored { standing, area: AreaId(1), protected: false, ported_in: false }
}

/// Returns the life of a number that was imported with this standing in January 2026. Its events are numbered from 2 on.
fn life(number: &str, standing: Standing, changes: Vec<(&str, Change)>) -> History {
    life_at(number, standing, changes.into_iter().map(|(text, change)| (at(text), change)).collect())
}

fn life_at(number: &str, standing: Standing, changes: Vec<(Timestamp, Change)>) -> History {
    let number: Number = number.parse().unwrap();
    let origin =
        Entry { number, standing, area: AreaId(1), protected: false, ported_in: false, locked: false };
    let (mut entry, mut events) = (origin, Vec::new());
    for (seq, (at, change)) in (2..).zip(changes) {
        entry = apply(&entry, &change).unwrap();
        let (seq, prev, by, under) = (EventSeq(seq), EventSeq(seq - 1), By::Import, Provenance::default());
        events.push(Event { seq, number, prev, at, change, by, under, origin: None });
    }
    History { entry, origin, imported_at: at("2026-01-02T12:00:00.000Z"), events }
}

fn in_service() -> Standing {
    Standing::InService { place: place(1) }
}

/// A report of December 2026, made at its end with everything that there is.
fn december() -> Filing {
    Filing {
        after: day("2026-11-14"),
        through: day("2026-12-14"),
        known: Known::to(EventSeq(99)),
        made_at: at("2026-12-15T00:00:00.000Z"),
        zone: TimeZone::UTC,
        other_reporters: BTreeSet::new(),
        npa_table: "2026-11".into(),
    }
}

/// The one of January 2027.
fn january() -> Filing {
    Filing {
        after: day("2026-12-14"),
        through: day("2027-01-14"),
        made_at: at("2027-01-15T00:00:00.000Z"),
        ..december()
    }
}

/// Returns a report with those of earlier months that were handed in, each after the one before it. The report knows
/// all of them.
fn filings(earlier: &[(&str, Filing)], own: &str, filing: Filing) -> Filings {
    let noted = (1..).zip(earlier).map(|(n, (period, filing))| (handed_in(period, n, n + 1), filing.clone()));
    let mut filings = Filings::handed_in(noted.collect());
    filings.make("ACME1", own.parse().unwrap(), 99, filing);
    filings
}

/// Returns what a report says of a number that knows no other one.
fn told(history: &History, filing: Filing) -> Judged {
    told_by(history, &filings(&[], "2026-12", filing))
}

fn told_by(history: &History, filings: &Filings) -> Judged {
    judge(history.entry.number, &departures(history, IMPORT).unwrap(), filings)
}

fn row(text: &str) -> Judged {
    Judged { row: Some(day(text)), left_out: None }
}

fn out(why: LeftOut) -> Judged {
    Judged { row: None, left_out: Some(why) }
}

#[test]
fn a_disconnect_is_reported_with_its_day_in_the_operators_time_zone() {
    let life = life("5405550100", in_service(), vec![("2026-12-14T23:30:00.000Z", disconnected())]);
    assert_eq!(told(&life, december()), row("2026-12-14"));
    let west = TimeZone::get("America/New_York").unwrap();
    assert_eq!(told(&life, Filing { zone: west, ..december() }), row("2026-12-14"));
    let east = TimeZone::get("Asia/Tokyo").unwrap();
    assert_eq!(told(&life, Filing { zone: east, ..december() }), Judged::default(), "it is the 15th there");
    let before = Filing { known: Known::to(EventSeq(1)), ..december() };
    assert_eq!(told(&life, before), Judged::default(), "it had not happened");
}

#[test]
fn of_two_disconnects_the_later_is_reported_and_a_purge_is_one() {
    let twice = vec![
        ("2026-11-20T00:00:00.000Z", disconnected()),
        ("2026-11-21T00:00:00.000Z", reconnected(1)),
        ("2026-12-01T00:00:00.000Z", disconnected()),
    ];
    assert_eq!(told(&life("5405550100", in_service(), twice), december()), row("2026-12-01"));
    let purged = vec![("2026-12-02T00:00:00.000Z", Change::Purged { protected: None })];
    assert_eq!(told(&life("5405550100", in_service(), purged), december()), row("2026-12-02"));
    let soft = vec![
        ("2026-10-02T00:00:00.000Z", disconnected()),
        ("2026-12-02T00:00:00.000Z", Change::Released { home: Home::Away }),
    ];
    assert_eq!(told(&life("5405550100", in_service(), soft), december()), row("2026-10-02"), "still owed");
}

#[test]
fn each_that_is_left_out_has_its_reason() {
    let gone = || vec![("2026-12-01T00:00:00.000Z", disconnected())];
    let then = |change: Change| [gone(), vec![("2026-12-02T00:00:00.000Z", change)]].concat();
    let ported = || Change::PortedOut { at: at("2026-12-01T12:00:00.000Z") };
    let aging = Standing::Aging { former: place(1), release_at: Timestamp::MAX, leaves: false, kept: None };
    let none = Judged::default();
    for (number, standing, changes, told_then) in [
        ("5405550100", in_service(), then(reconnected(1)), out(LeftOut::Reconnected)),
        ("5405550100", in_service(), then(ported()), out(LeftOut::PortedOut)),
        ("5405550100", in_service(), vec![("2026-12-02T00:00:00.000Z", ported())], out(LeftOut::PortedOut)),
        ("4165550100", in_service(), gone(), out(LeftOut::NotUs)),
        ("+33140289562", in_service(), gone(), out(LeftOut::NotUs)),
        ("8765550100", in_service(), gone(), out(LeftOut::NotUs)),
        ("8005550199", in_service(), gone(), out(LeftOut::NotGeographic)),
        ("6005550100", in_service(), gone(), out(LeftOut::NotGeographic)),
        ("5005550100", in_service(), gone(), out(LeftOut::NotGeographic)),
        ("3705550100", in_service(), gone(), out(LeftOut::NotGeographic)),
        ("4465550100", in_service(), gone(), out(LeftOut::UnknownNpa)),
        // The first reason counts.
        ("8005550199", in_service(), then(reconnected(1)), out(LeftOut::Reconnected)),
        // Nothing left service, or it did so in no day of this report.
        ("5405550100", in_service(), vec![], none),
        ("5405550100", aging, vec![], none),
        ("5405550100", aging, vec![("2026-12-02T00:00:00.000Z", reconnected(1))], none),
    ] {
        let life = life(number, standing, changes);
        assert_eq!(told(&life, december()), told_then, "{number} {:?}", life.entry.standing);
    }
    let january = || Filing { after: day("2025-12-14"), through: day("2026-01-14"), ..december() };
    assert_eq!(told(&life("5405550100", aging, vec![]), january()), out(LeftOut::NoDate));
    assert_eq!(told(&life("8005550199", aging, vec![]), january()), out(LeftOut::NotGeographic));
    let late = Filing { made_at: at("2026-11-30T00:00:00.000Z"), ..december() };
    assert_eq!(told(&life("5405550100", in_service(), gone()), late), out(LeftOut::InFuture));
    let others = Filing { other_reporters: BTreeSet::from([AccountId::new(1).unwrap()]), ..december() };
    assert_eq!(told(&life("5405550100", in_service(), gone()), others), out(LeftOut::OtherReporter));
    let old = life("5405550100", in_service(), vec![("2020-07-26T23:00:00.000Z", disconnected())]);
    let first = Filing { after: day("2020-07-14"), through: day("2020-08-14"), ..december() };
    assert_eq!(told(&old, first.clone()), out(LeftOut::TooOld));
    let day_later = life("5405550100", in_service(), vec![("2020-07-27T00:00:00.000Z", disconnected())]);
    assert_eq!(told(&day_later, first), row("2020-07-27"));
}

#[test]
fn a_number_is_left_out_in_the_month_of_its_disconnect_alone() {
    let ported = Change::PortedOut { at: at("2026-11-10T00:00:00.000Z") };
    let life = life("5405550100", in_service(), vec![("2026-12-02T00:00:00.000Z", ported)]);
    assert_eq!(told(&life, december()), Judged::default());
    let november = Filing { after: day("2026-10-14"), through: day("2026-11-14"), ..december() };
    assert_eq!(told(&life, november), out(LeftOut::PortedOut));
}

/// A purge that was a mistake is undone by taking the number back for the account that had it, and by nothing else.
#[test]
fn a_purged_number_that_came_back_to_its_account_was_not_given_up() {
    let with = |next: Vec<(&'static str, Change)>| {
        let purged = vec![("2026-12-02T00:00:00.000Z", Change::Purged { protected: None })];
        told(&life("5405550100", in_service(), [purged, next].concat()), december())
    };
    let back = |standing| ("2026-12-03T00:00:00.000Z", restored(standing));
    assert_eq!(with(vec![back(in_service())]), out(LeftOut::Reconnected));
    assert_eq!(with(vec![back(Standing::InService { place: place(2) })]), row("2026-12-02"));
    assert_eq!(with(vec![back(Standing::Available)]), row("2026-12-02"));
    let aging = Standing::Aging { former: place(1), release_at: Timestamp::MAX, leaves: false, kept: None };
    assert_eq!(with(vec![back(aging)]), row("2026-12-02"));
    assert_eq!(
        with(vec![back(aging), ("2026-12-04T00:00:00.000Z", reconnected(1))]),
        out(LeftOut::Reconnected)
    );
    // Another account's taking it back says nothing of the one that gave it up.
    let other = Standing::Aging { former: place(2), release_at: Timestamp::MAX, leaves: false, kept: None };
    assert_eq!(with(vec![back(other), ("2026-12-04T00:00:00.000Z", reconnected(2))]), row("2026-12-02"));
}

/// The law asks for one report of each disconnect. A report that was never submitted is none, and of a month's reports
/// the latest stands for the month.
#[test]
fn only_what_an_earlier_month_submitted_is_left_away() {
    let life = life("5405550100", in_service(), vec![("2026-11-20T00:00:00.000Z", disconnected())]);
    assert_eq!(told(&life, january()), row("2026-11-20"), "never submitted");
    let after = |before: Filing| told_by(&life, &filings(&[("2026-12", before)], "2027-01", january()));
    assert_eq!(after(december()), Judged::default());
    // A report that was made before the disconnect does not have it.
    assert_eq!(after(Filing { known: Known::to(EventSeq(1)), ..december() }), row("2026-11-20"));
    // What a month submitted twice is not left away between the two.
    let again = told_by(&life, &filings(&[("2026-12", december())], "2026-12", december()));
    assert_eq!(again, row("2026-11-20"));
}

/// A node may commit an event late: it gets a later position than those around it, and a report does not know it, though
/// its sequence number is lower.
#[test]
fn an_event_with_a_later_position_is_not_known_whatever_its_sequence_number() {
    let changes = vec![
        ("2026-11-20T00:00:00.000Z", disconnected()),
        ("2026-11-21T00:00:00.000Z", reconnected(1)),
        ("2026-12-02T00:00:00.000Z", disconnected()),
    ];
    let life = life("5405550100", in_service(), changes);
    assert_eq!(told(&life, december()), row("2026-12-02"));
    let mut known = Known::to(EventSeq(99));
    known.without(&[EventSeq(4), EventSeq(100)]);
    assert!(known.has(EventSeq(3)) && !known.has(EventSeq(4)) && !known.has(EventSeq(100)));
    let early = Filing { known, ..december() };
    assert_eq!(told(&life, early), out(LeftOut::Reconnected));
}

#[test]
fn the_disconnect_that_ages_a_number_stands_in_a_report_or_not() {
    let changes = |days: &[&'static str]| {
        let pairs = days.chunks(2).flat_map(|pair| {
            let back = pair.get(1).map(|at| (*at, reconnected(1)));
            [(pair[0], disconnected())].into_iter().chain(back)
        });
        pairs.collect::<Vec<_>>()
    };
    let of = |days: &[&'static str]| {
        let life = life("5405550100", in_service(), changes(days));
        let december = Filings::handed_in(vec![(handed_in("2026-12", 1, 2), december())]);
        is_reported(life.entry.number, &departures(&life, IMPORT).unwrap(), &december)
    };
    assert!(of(&["2026-12-02T00:00:00.000Z"]));
    assert!(!of(&["2026-12-20T00:00:00.000Z"]), "a later month reports it");
    assert!(!of(&[]));
    let again = ["2026-12-02T00:00:00.000Z", "2026-12-20T00:00:00.000Z", "2026-12-21T00:00:00.000Z"];
    assert!(!of(&again), "the first one stood there");
}

#[test]
fn a_reconnect_after_its_report_changes_no_report() {
    let changes = vec![
        ("2026-11-20T00:00:00.000Z", disconnected()),
        ("2026-12-20T00:00:00.000Z", reconnected(1)),
        ("2027-01-02T00:00:00.000Z", disconnected()),
    ];
    let life = life("5405550100", in_service(), changes);
    let then = Filing { known: Known::to(EventSeq(2)), ..december() };
    assert_eq!(told(&life, then.clone()), row("2026-11-20"), "made again after the reconnect");
    assert_eq!(told(&life, december()), out(LeftOut::Reconnected));
    let january = filings(&[("2026-12", then)], "2027-01", january());
    assert_eq!(told_by(&life, &january), row("2027-01-02"), "the second one is another disconnect");
}

fn handed_in(period: &str, as_of: u64, noted: u64) -> HandedIn {
    HandedIn { company: "ACME1".into(), period: period.parse().unwrap(), as_of, noted, cutoff_ahead: false }
}

/// A left-out number stands in the report of its month. What that report could not know stands in the next one.
#[test]
fn what_was_noted_after_the_report_of_its_month_is_left_out_by_the_next_one() {
    let ported = Change::PortedOut { at: at("2026-12-03T00:00:00.000Z") };
    let life = life("5405550100", in_service(), vec![("2026-12-20T00:00:00.000Z", ported)]);
    let early = || Filing { known: Known::to(EventSeq(1)), ..december() };
    assert_eq!(told(&life, early()), Judged::default());
    let next = |before| told_by(&life, &filings(&[("2026-12", before)], "2027-01", january()));
    assert_eq!(next(early()), out(LeftOut::PortedOut));
    assert_eq!(next(december()), Judged::default(), "December listed it");
    let february = Filing { after: day("2027-01-14"), through: day("2027-02-14"), ..january() };
    let after = filings(&[("2026-12", early()), ("2027-01", january())], "2027-02", february);
    assert_eq!(told_by(&life, &after), Judged::default(), "January listed it");
    assert_eq!(told(&life, january()), Judged::default(), "December's, which can still be handed in, has it");
    // What happened before the first report that was handed in is its month's matter.
    let later = filings(&[("2026-12", Filing { after: day("2026-12-04"), ..early() })], "2027-01", january());
    assert_eq!(told_by(&life, &later), Judged::default());
}

/// The day through which a report has everything may be set anew, and so may the time zone.
#[test]
fn a_report_goes_on_where_the_one_of_the_month_before_ended() {
    let ported = |at: &str| {
        let change = Change::PortedOut { at: at.parse().unwrap() };
        life("5405550100", in_service(), vec![("2026-12-14T23:00:00.000Z", change)])
    };
    let (on_12th, on_14th) = (ported("2026-12-12T09:00:00Z"), ported("2026-12-14T22:00:00Z"));
    let tenth = || Filing { after: day("2026-11-10"), through: day("2026-12-10"), ..december() };
    let next = |life: &History, before: Filing, own: Filing| {
        told_by(life, &filings(&[("2026-12", before)], "2027-01", own))
    };
    assert_eq!(told(&on_12th, tenth()), Judged::default());
    assert_eq!(
        next(&on_12th, tenth(), january()),
        out(LeftOut::PortedOut),
        "though it begins after the 14th"
    );
    assert_eq!(told(&on_12th, december()), out(LeftOut::PortedOut));
    let from_tenth = || Filing { after: day("2026-12-10"), through: day("2027-01-10"), ..january() };
    assert_eq!(next(&on_12th, december(), from_tenth()), Judged::default(), "December listed it");
    // It was the 15th there.
    let east = || Filing { zone: TimeZone::get("Asia/Tokyo").unwrap(), ..december() };
    assert_eq!(told(&on_14th, east()), Judged::default());
    assert_eq!(next(&on_14th, east(), january()), out(LeftOut::PortedOut));
}

/// December was made before November was handed in, with another last day. What November could not know, and what lies
/// between the two days, is in the next report that knows both.
#[test]
fn what_two_reports_that_did_not_know_each_other_left_to_one_another_is_in_the_next_one() {
    let november = |known| Filing {
        after: day("2026-10-10"),
        through: day("2026-11-10"),
        known: Known::to(EventSeq(known)),
        ..december()
    };
    let listed = |gone: &str, known| {
        let ported = Change::PortedOut { at: gone.parse().unwrap() };
        let life = life("5405550100", in_service(), vec![("2026-11-30T00:00:00.000Z", ported)]);
        let before =
            vec![(handed_in("2026-11", 1, 3), november(known)), (handed_in("2026-12", 2, 4), december())];
        let by = |own: &str, as_of, filing| {
            let mut filings = Filings::handed_in(before.clone());
            filings.make("ACME1", own.parse().unwrap(), as_of, filing);
            told_by(&life, &filings) == out(LeftOut::PortedOut)
        };
        [by("2026-11", 1, november(known)), by("2026-12", 2, december()), by("2027-01", 9, january())]
    };
    assert_eq!(listed("2026-11-05T00:00:00Z", 99), [true, false, false]);
    assert_eq!(listed("2026-11-05T00:00:00Z", 1), [false, false, true], "it was noted after November's");
    assert_eq!(listed("2026-11-12T00:00:00Z", 99), [false, false, true], "between the two last days");
    assert_eq!(listed("2026-11-20T00:00:00Z", 99), [false, true, false]);
}

/// Of two reports with the same days that do not know each other, only one can be handed in.
#[test]
fn a_report_lists_the_same_as_one_that_was_handed_in_after_it_was_made() {
    let november = || Filing { after: day("2026-10-14"), through: day("2026-11-14"), ..december() };
    let from_tenth = || Filing { after: day("2026-11-10"), ..december() };
    let same = |before: &[(HandedIn, Filing)], own: &str, as_of, filing: Filing| {
        let found =
            Filings::handed_in(before.to_vec()).lists_the_same("ACME1", own.parse().unwrap(), as_of, &filing);
        found.map(|month| month.to_string())
    };
    let other = |month: &str| Some(month.to_owned());
    let first = [(handed_in("2026-11", 1, 5), november())];
    assert_eq!(same(&first, "2026-12", 4, from_tenth()), other("2026-11"));
    assert_eq!(same(&first, "2026-12", 5, from_tenth()), None, "it knows it");
    assert_eq!(same(&first, "2026-12", 4, december()), None, "it begins where the other one ended");
    assert_eq!(same(&first, "2026-11", 4, november()), None, "of a month the last one counts");
    let east = Filing { zone: TimeZone::get("Asia/Tokyo").unwrap(), ..december() };
    assert_eq!(same(&first, "2026-12", 4, east), other("2026-11"), "its first day begins earlier");
    let later = [(handed_in("2026-12", 1, 5), from_tenth())];
    assert_eq!(same(&later, "2026-11", 4, november()), other("2026-12"));
    assert_eq!(same(&later, "2026-11", 5, november()), None);
    // A month that is submitted a second time: the next one goes on from the first time.
    let both = [(handed_in("2026-11", 1, 2), november()), (handed_in("2026-12", 3, 5), december())];
    assert_eq!(same(&both, "2026-11", 4, november()), other("2026-12"));
    assert_eq!(same(&both, "2026-11", 5, november()), None);
}

#[test]
fn the_cutoff_of_a_report_is_ahead_until_its_last_day_is_over_in_its_time_zone() {
    let early = |made_at, zone: &str| {
        Filing { made_at: at(made_at), zone: TimeZone::get(zone).unwrap(), ..december() }
            .cutoff_is_ahead(None)
    };
    assert!(early("2026-12-14T23:59:59.999Z", "UTC") && !early("2026-12-15T00:00:00.000Z", "UTC"));
    assert!(early("2026-12-15T04:59:59.999Z", "America/New_York"));
    assert!(!early("2026-12-15T05:00:00.000Z", "America/New_York"));
    // It was made late, as of a position before something of its last day.
    let behind = |at: &str| december().cutoff_is_ahead(Some(at.parse().unwrap()));
    assert!(behind("2026-12-14T23:59:59.999Z") && !behind("2026-12-15T00:00:00.000Z"));
}

#[test]
fn the_first_month_that_was_not_handed_in_is_due() {
    let due = |today: &str, handed_in: &[HandedIn], oldest: Option<&str>| {
        due_days(day(today), handed_in, oldest.map(|month| month.parse().unwrap()))
    };
    // Nothing was ever handed in, and nothing is to be.
    assert_eq!((due("2026-12-10", &[], None), due("2026-12-15", &[], None)), (5, 0));
    // The oldest disconnect was due in December, whatever month it is now.
    let december = Some("2026-12");
    assert_eq!((due("2026-12-31", &[], december), due("2027-01-02", &[], december)), (-16, -18));
    assert_eq!(due("2026-12-20", &[], Some("2027-01")), 26, "it left after December's cutoff");
    // After one that was handed in the next month is due, also if there is nothing to report.
    let done = |month: &str| handed_in(month, 1, 2);
    assert_eq!(due("2026-12-15", &[done("2026-12")], None), 31);
    assert_eq!(due("2027-03-01", &[done("2026-12")], None), -45);
    assert_eq!(due("2027-03-01", &[done("2026-12"), done("2027-02"), done("2026-11")], december), 14);
    let early = HandedIn { cutoff_ahead: true, ..done("2026-12") };
    assert_eq!(due("2026-12-12", std::slice::from_ref(&early), december), 3, "its month was not over");
    assert_eq!(due("2026-12-15", &[early, done("2026-12")], None), 31);
}

fn kinds(account: AccountId) -> AccountKind {
    match account.get() {
        2 => AccountKind::Carrier,
        3 => AccountKind::Reseller,
        _ => AccountKind::EndUser,
    }
}

#[test]
fn each_state_is_in_one_of_the_six_categories() {
    let now = at("2026-12-31T23:59:59.999Z");
    let aging = |account| Standing::Aging {
        former: place(account),
        release_at: Timestamp::MAX,
        leaves: false,
        kept: None,
    };
    let protected = |account| Standing::Protected { account: AccountId::new(account).unwrap() };
    let reserved = Standing::Reserved { account: AccountId::new(1).unwrap(), until: Timestamp::MAX };
    let old = RESERVED_DAYS * DAY_MS;
    for (standing, age, wanted) in [
        (in_service(), 0, Some(Category::Assigned)),
        (Standing::InService { place: place(2) }, 0, Some(Category::Intermediate)),
        (Standing::InService { place: place(3) }, 0, Some(Category::Intermediate)),
        (aging(1), 0, Some(Category::Aging)),
        (aging(2), 0, Some(Category::Aging)),
        (reserved, old, Some(Category::Reserved)),
        (reserved, old + 1, Some(Category::Available)),
        (protected(1), old, Some(Category::Reserved)),
        (protected(1), old + 1, Some(Category::Available)),
        (protected(2), old + 1, Some(Category::Intermediate)),
        (Standing::Administrative, 0, Some(Category::Administrative)),
        (Standing::Available, 0, Some(Category::Available)),
        (Standing::Removed, 0, None),
    ] {
        let entry = life("5405550100", standing, vec![]).entry;
        let told = Then { entry, since: now.plus_millis(-age), ported_out: false };
        for ported_out in [PortedOut::LeftOut, PortedOut::Assigned] {
            let counted = |then: &Then| category(then, now, ported_out, kinds);
            assert_eq!(counted(&told), wanted, "{standing:?} {age}");
            let foreign = Then { entry: Entry { ported_in: true, ..entry }, ..told };
            assert_eq!(counted(&foreign), None, "its home carrier counts it");
            let gone = Then { ported_out: true, ..foreign };
            assert_eq!(counted(&gone), None, "so it does when it went on");
        }
    }
}

/// Bills that were made stay as they were: they go by what was known when they were made.
#[test]
fn a_number_that_went_to_another_carrier_is_paid_for_until_that_was_written_down() {
    let ported = Change::PortedOut { at: at("2026-06-15T00:00:00.000Z") };
    let written = "2026-07-20T00:00:00.000Z";
    let mut history = life("5405550100", in_service(), vec![(written, ported)]);
    let told = |history: &History, text: &str| {
        let rated = rate(Some(&Charges::of(history).unwrap()), at(text), Some(60), at(text));
        let serves = routing(history, at(text), None, Role::Operator).unwrap().deliver;
        (rated.account, rated.why, serves.map(|place| place.account))
    };
    let one = AccountId::new(1);
    for text in ["2026-06-14T00:00:00.000Z", "2026-06-15T00:00:00.000Z", "2026-07-19T00:00:00.000Z"] {
        assert_eq!(told(&history, text), (one, Why::Charged, one), "{text}");
    }
    assert_eq!(told(&history, written), (None, Why::NotInService, None));
    let june = told(&history, "2026-06-20T00:00:00.000Z");
    history.events.clear();
    assert_eq!(told(&history, "2026-06-20T00:00:00.000Z"), june, "it was billed so before anybody knew");
}

/// What is written down later happened when it happened.
#[test]
fn a_number_that_went_to_another_carrier_is_gone_from_that_instant_on() {
    let ported = Change::PortedOut { at: at("2026-06-15T00:00:00.000Z") };
    let life = life("5405550100", in_service(), vec![("2026-07-20T00:00:00.000Z", ported)]);
    let state = |as_of, text| {
        let then = then(&life, IMPORT, &Known::to(EventSeq(as_of)), at(text)).unwrap();
        then.map(|then| then.entry.state())
    };
    assert_eq!(state(2, "2026-06-14T23:59:59.999Z"), Some(State::InService));
    assert_eq!(state(2, "2026-06-15T00:00:00.000Z"), Some(State::Removed));
    assert_eq!(state(1, "2026-06-30T00:00:00.000Z"), Some(State::InService), "it was not known yet");
    assert_eq!(state(0, "2026-06-30T00:00:00.000Z"), None, "nor was the number");
    assert_eq!(state(2, "2026-01-01T00:00:00.000Z"), None);
}

/// The holder of its block goes on to report it, unless the operator has it left out. It is taken in both cases: the
/// customer stays on the block.
#[test]
fn a_number_that_another_carrier_serves_is_assigned_or_left_out_until_it_is_back() {
    let ported = Change::PortedOut { at: at("2026-06-15T00:00:00.000Z") };
    let corrected = Change::Corrected { area: Some(AreaId(2)), ported_in: None };
    let changes = vec![
        ("2026-06-20T00:00:00.000Z", ported),
        ("2026-06-25T00:00:00.000Z", corrected),
        ("2026-08-01T00:00:00.000Z", restored(in_service())),
        ("2026-09-01T00:00:00.000Z", Change::Purged { protected: None }),
    ];
    let life = life("5405550100", in_service(), changes);
    for (text, left_out, assigned) in [
        ("2026-06-14T23:59:59.999Z", Some(Category::Assigned), Some(Category::Assigned)),
        ("2026-06-15T00:00:00.000Z", None, Some(Category::Assigned)),
        ("2026-06-30T00:00:00.000Z", None, Some(Category::Assigned)),
        ("2026-08-01T00:00:00.000Z", Some(Category::Assigned), Some(Category::Assigned)),
        ("2026-09-01T00:00:00.000Z", None, None),
    ] {
        let then = then(&life, IMPORT, &Known::all(), at(text)).unwrap().unwrap();
        let counted = |ported_out| category(&then, at(text), ported_out, kinds);
        assert_eq!(
            (counted(PortedOut::LeftOut), counted(PortedOut::Assigned)),
            (left_out, assigned),
            "{text}"
        );
        assert_eq!(then.is_served_elsewhere(), left_out != assigned, "{text}");
    }
    let gone = then(&life, IMPORT, &Known::all(), at("2026-07-01T00:00:00.000Z")).unwrap().unwrap();
    let (mut left_out, mut counted) = (Use::default(), Use::default());
    for _ in 0..101 {
        left_out.add(&gone, None);
        counted.add(&gone, Some(Category::Assigned));
    }
    for (used, total) in [(&left_out, 0), (&counted, 101)] {
        assert_eq!((used.counts.total(), used.ported_out, used.contamination()), (total, 101, 101));
        assert!(!used.in_service() && !used.is_candidate(false, 10) && used.is_candidate(false, 11));
    }
    let detail = "101 of its numbers went to another carrier: the form counts them as assigned";
    assert_eq!(warnings(&left_out, Level::Block), [(Warning::PortedOut, detail.to_owned())]);
    assert!(warnings(&counted, Level::Block).iter().all(|(code, _)| *code != Warning::PortedOut));
}

#[test]
fn a_line_has_the_categories_their_sum_and_its_share_of_assigned_numbers() {
    let block: Block = "540-555-0".parse().unwrap();
    let mut used = Use::default();
    for (standing, category) in [
        (in_service(), Category::Assigned),
        (Standing::InService { place: place(2) }, Category::Intermediate),
        (Standing::Available, Category::Available),
    ] {
        let entry = life("5405550100", standing, vec![]).entry;
        used.add(&Then { entry, since: Timestamp::default(), ported_out: false }, Some(category));
    }
    used.lies("5405550101".parse().unwrap(), Some("VA"), Some("ROANOKE"));
    let names = ["Example, Inc.".to_owned()];
    assert_eq!(
        line("1234", block, Level::Block, &used, &names),
        "1234,540,555,0,ROANOKE,VA,1,1,0,0,0,1,3,,\"Example, Inc.\"\r\n"
    );
    assert_eq!(line("", block, Level::Code, &used, &[]), ",540,555,,ROANOKE,VA,1,1,0,0,0,1,3,,\r\n");
    let told: Vec<_> =
        warnings(&used, Level::Block).into_iter().map(|(code, detail)| (code.word(), detail)).collect();
    assert_eq!(told, [("not_held", "997 of 1000 numbers are not held here".to_owned())]);
    used.lies("5405550102".parse().unwrap(), Some("VA"), None);
    assert!(warnings(&used, Level::Block).iter().any(|(code, _)| code.word() == "several_rate_centers"));
    assert_eq!((used.contamination(), used.in_service()), (2, true));
    // All of the block is held here, and a tenth of the code.
    let entry = life("5405550100", in_service(), vec![]).entry;
    for _ in used.counts.total()..1_000 {
        let then = Then { entry, since: Timestamp::default(), ported_out: false };
        used.add(&then, Some(Category::Assigned));
    }
    assert_eq!((used.utilization(Level::Block), used.utilization(Level::Code)), (Some(998), None));
    let whole = line("1234", block, Level::Block, &used, &[]);
    assert_eq!(whole, "1234,540,555,0,ROANOKE,VA,998,1,0,0,0,1,1000,99.8,\r\n");
}

/// A request for more numbers goes by the rate center. A carrier that holds a part of a block does not know what the rest is.
#[test]
fn a_rate_center_has_the_share_of_all_its_numbers_if_all_of_its_blocks_are_held() {
    let counts = |assigned, available| {
        let mut counts = Counts::default();
        counts.add(Category::Assigned, assigned);
        counts.add(Category::Available, available);
        counts
    };
    let mut used = CenterUse::default();
    assert_eq!((used.counts.total(), used.utilization()), (0, None));
    used.add(&counts(998, 2), true);
    assert_eq!(used.utilization(), Some(998));
    used.add(&counts(1, 999), true);
    assert_eq!(
        (used.counts.of(Category::Assigned), used.counts.total(), used.utilization()),
        (999, 2_000, Some(500))
    );
    used.add(&counts(1, 0), false);
    assert_eq!((used.counts.total(), used.utilization()), (2_001, None));
}

/// What is kept of a line is what it is made from again.
#[test]
fn a_line_that_was_kept_is_the_same() {
    let mut used = Use::default();
    let entry = life("5405550100", in_service(), vec![]).entry;
    let then = Then { entry, since: Timestamp::default(), ported_out: false };
    used.add(&then, Some(Category::Intermediate));
    used.add(&Then { ported_out: true, entry: Entry { standing: Standing::Removed, ..entry }, ..then }, None);
    used.lies("5405550101".parse().unwrap(), Some("VA"), Some("ROANOKE"));
    used.lies("5405550102".parse().unwrap(), Some("VA"), None);
    let kept = serde_json::to_value(&used).unwrap();
    assert_eq!(serde_json::from_value::<Use>(kept).unwrap(), used);
    assert_eq!(serde_json::to_value(Use::default()).unwrap(), serde_json::json!({}));
}

/// Stores find the numbers of a block in an order of their own. The first one by digits names it all the same.
#[test]
fn a_block_lies_where_its_first_number_lies_in_whatever_order_its_numbers_are_found() {
    let spots = [("5405550103", "SALEM"), ("5405550101", "ROANOKE"), ("5405550102", "VINTON")];
    for turned in 0..spots.len() {
        let mut used = Use::default();
        for at in 0..spots.len() {
            let (number, rate_center) = spots[(at + turned) % spots.len()];
            used.lies(number.parse().unwrap(), Some("VA"), Some(rate_center));
        }
        assert_eq!(used.lies, Some((Some("VA".into()), Some("ROANOKE".into()))), "{turned}");
        assert!(used.scattered);
    }
}

#[test]
fn a_block_with_few_numbers_taken_is_to_be_given_back_unless_it_is_the_footprint() {
    let mut used = Use::default();
    let entry = life("5405550100", in_service(), vec![]).entry;
    let taken = Then { entry, since: Timestamp::default(), ported_out: false };
    for _ in 0..100 {
        used.add(&taken, Some(Category::Aging));
    }
    assert_eq!((used.contamination(), used.in_service()), (100, false), "aging is taken, and not in service");
    assert!(used.is_candidate(false, 10) && !used.is_candidate(true, 10));
    used.add(&taken, Some(Category::Assigned));
    assert!(!used.is_candidate(false, 10) && used.is_candidate(false, 25));
}

#[test]
fn a_block_is_named_by_seven_digits() {
    let block: Block = "540-555-0".parse().unwrap();
    assert_eq!((block.to_string(), block.name(Level::Code)), ("540-555-0".to_owned(), "540-555".to_owned()));
    assert_eq!(block.range(), (15_405_550_000, 15_405_551_000));
    assert_eq!(Block::of("5405550999".parse().unwrap()), Some(block));
    assert_eq!(Block::of("+33140289562".parse().unwrap()), None);
    for wrong in ["", "540-555", "5405550", "540-555-00", "140-555-0", "540-111-0", "540-55a-0"] {
        assert!(wrong.parse::<Block>().is_err(), "{wrong}");
    }
    let reported = |name: &str| name.parse::<Block>().unwrap().is_reported(area_codes::VERSION);
    assert_eq!(reported("540-555-0"), Some(true));
    for elsewhere in ["800-555-0", "416-555-0", "500-555-0", "370-555-0"] {
        assert_eq!(reported(elsewhere), Some(false), "{elsewhere}");
    }
    assert_eq!(reported("446-555-0"), None, "a code that is not in the table");
    let geographic = |name: &str| name.parse::<Block>().unwrap().is_geographic(area_codes::VERSION);
    for name in ["540-555-0", "416-555-0", "441-555-0"] {
        assert_eq!(geographic(name), Some(true), "{name}");
    }
    for nowhere in ["800-555-0", "500-555-0", "370-555-0"] {
        assert_eq!(geographic(nowhere), Some(false), "{nowhere}");
    }
    assert_eq!(geographic("446-555-0"), None);
}

/// What a simulated number may do next. The step is taken if the diagram has it.
fn random_change() -> impl Strategy<Value = (i64, usize)> {
    (1_i64..20, 0_usize..8)
}

/// Returns a life. What is told of another carrier is noted so many times later as the step before it is long.
fn random_life(steps: &[(i64, usize)], later: i64) -> History {
    let mut now = at("2026-01-02T12:00:00.000Z");
    let (mut changes, mut since) = (Vec::new(), now);
    let mut entry = life("5405550100", in_service(), vec![]).entry;
    for (days, step) in steps {
        now = now.plus_millis(days * DAY_MS);
        let change = match step {
            0 | 1 => disconnected(),
            2 => reconnected(1),
            3 => Change::Released { home: Home::Pool },
            4 => Change::Activated { place: place(1), protected: None },
            5 => Change::Purged { protected: None },
            6 => Change::PortedOut { at: since.max(now.plus_millis(-1 - days * later * DAY_MS)) },
            _ => restored(in_service()),
        };
        if let Ok(next) = apply(&entry, &change) {
            if entry.standing != next.standing {
                since = now;
            }
            entry = next;
            changes.push((now, change));
        }
    }
    life_at("5405550100", in_service(), changes)
}

/// Returns the reports of twelve months of 2026, all of which were handed in: each has everything through a day of its
/// month from the 10th on, was made some days after that, and knows all events up to then.
fn year(history: &History, days: &[(i8, i8)]) -> Vec<(HandedIn, Filing)> {
    let zone = TimeZone::UTC;
    let mut month: Month = "2026-01".parse().unwrap();
    let mut reports = Vec::new();
    for ((cutoff, later), n) in days.iter().zip(1..) {
        let made_at = Timestamp::start_of(month.day(cutoff + later), &zone);
        let known = history.events.iter().filter(|event| event.at < made_at).map(|event| event.seq).max();
        let filing = Filing {
            after: month.previous().day(*cutoff),
            through: month.day(*cutoff),
            known: Known::to(known.unwrap_or(IMPORT)),
            made_at,
            ..december()
        };
        reports.push((handed_in(&month.to_string(), n, n + 1), filing));
        month = month.next();
    }
    reports
}

/// Returns why a report alone would leave a departure out.
fn told_of(number: Number, departure: &Departure, filing: &Filing) -> Option<LeftOut> {
    let own = Filing { after: Date::MIN, ..filing.clone() };
    judge(number, std::slice::from_ref(departure), &filings(&[], "2026-12", own)).left_out
}

/// Returns some of these reports as the last one knows them.
fn through(reports: &[(HandedIn, Filing)]) -> Filings {
    let Some(((own, filing), before)) = reports.split_last() else { return Filings::default() };
    let mut filings = Filings::handed_in(before.to_vec());
    filings.make(&own.company, own.period, own.as_of, filing.clone());
    filings
}

/// What an operator does: makes a report of a month with the day through which it has everything, in one of two time
/// zones, as of a position so far back, or hands in one of those that were made.
#[derive(Clone, Debug)]
enum Deed {
    Make { month: usize, cutoff: i8, east: bool, back: u64 },
    HandIn { which: prop::sample::Index },
}

fn random_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0_usize..3, 10_i8..15, any::<bool>(), 0_u64..4).prop_map(|(month, cutoff, east, back)| Deed::Make {
            month,
            cutoff,
            east,
            back
        }),
        any::<prop::sample::Index>().prop_map(|which| Deed::HandIn { which }),
    ]
}

/// A number that went to another carrier, and the reports that an operator makes meanwhile. Each deed has a position.
struct Office {
    history: History,
    /// The position at which it was noted that the number went.
    noted: u64,
    position: u64,
    made: Vec<(HandedIn, Filing)>,
    handed_in: Vec<(HandedIn, Filing)>,
    /// What each report that was made says of the number.
    told: Vec<Judged>,
}

impl Office {
    fn judged(&self, (of, filing): &(HandedIn, Filing)) -> Judged {
        let mut filings = Filings::handed_in(self.handed_in.clone());
        filings.make(&of.company, of.period, of.as_of, filing.clone());
        told_by(&self.history, &filings)
    }

    fn make(&mut self, month: usize, cutoff: i8, east: bool, back: u64) -> usize {
        self.position += 1;
        let as_of = self.position.saturating_sub(back);
        let first: Month = "2026-01".parse().unwrap();
        let period = (0..month).fold(first, |period, _| period.next());
        let filing = Filing {
            after: period.previous().day(cutoff),
            through: period.day(cutoff),
            known: Known::to(EventSeq(if as_of >= self.noted { 2 } else { 1 })),
            zone: TimeZone::get(if east { "Asia/Tokyo" } else { "UTC" }).unwrap(),
            ..december()
        };
        let report = (handed_in(&period.to_string(), as_of, 0), filing);
        self.told.push(self.judged(&report));
        self.made.push(report);
        self.made.len() - 1
    }

    /// Hands a report in. Returns false if that is refused.
    fn hand_in(&mut self, which: usize) -> bool {
        let (of, filing) = &self.made[which];
        let all = Filings::handed_in(self.handed_in.clone());
        if all.lists_the_same(&of.company, of.period, of.as_of, filing).is_some() {
            return false;
        }
        self.position += 1;
        let of = HandedIn { noted: self.position, ..of.clone() };
        self.handed_in.push((of, filing.clone()));
        true
    }
}

proptest! {
    /// In whatever order reports are made and handed in, as of whatever positions, and however the last day and the time
    /// zone are set meanwhile: of the reports that count in the end, one lists a number that is left out.
    #[test]
    fn what_is_left_out_stands_in_one_report_in_whatever_order_they_are_handed_in(
        deeds in prop::collection::vec(random_deed(), 0..16),
        days in 0_i64..160,
        noted in 0_u64..20,
    ) {
        let went = at("2025-12-12T20:00:00.000Z").plus_millis(days * DAY_MS);
        let history = life_at("5405550100", in_service(), vec![(went, Change::PortedOut { at: went })]);
        let mut office =
            Office { history, noted, position: 0, made: vec![], handed_in: vec![], told: vec![] };
        for deed in deeds {
            match deed {
                Deed::Make { month, cutoff, east, back } => {
                    office.make(month, cutoff, east, back);
                }
                Deed::HandIn { which } if !office.made.is_empty() => {
                    let which = which.index(office.made.len());
                    office.hand_in(which);
                }
                Deed::HandIn { .. } => {}
            }
        }
        // Then the months that lack a report get one, and the next month has its own.
        office.position += 20;
        for month in 0..6 {
            let period = office.make(month, 14, false, 0);
            let of = office.made[period].0.period;
            if !office.handed_in.iter().any(|(one, _)| one.period == of) {
                prop_assert!(office.hand_in(period), "a new report is not refused");
            }
        }
        for (report, told) in office.made.iter().zip(&office.told) {
            prop_assert_eq!(*told, office.judged(report), "it is the same when it is made again");
        }
        let counts = |of: &HandedIn| {
            let others = office.handed_in.iter().map(|(other, _)| other);
            !others.clone().any(|other| other.period == of.period && other.noted > of.noted)
        };
        let standing: Vec<_> = office.handed_in.iter().filter(|(of, _)| counts(of)).collect();
        let lists = standing.iter().filter(|report| office.judged(report).left_out.is_some()).count();
        let begins = standing.iter().find(|(of, _)| of.period.to_string() == "2026-01").unwrap();
        let is_behind = went.date_in(&begins.1.zone) > begins.1.after;
        let is_before = went.date_in(&TimeZone::UTC) <= day("2026-06-14");
        prop_assert_eq!(lists, usize::from(is_behind && is_before));
    }

    /// Whatever happens to a number, and whenever it is noted: no disconnect is reported by two months, none that lasted
    /// is forgotten, what is left out stands in the first report that knows it, and a report that is made again later is
    /// the same.
    #[test]
    fn each_departure_is_reported_or_left_out_once(
        steps in prop::collection::vec(random_change(), 0..24),
        days in prop::collection::vec((10_i8..15, 1_i8..8), 12),
    ) {
        let history = random_life(&steps, 2);
        let number = history.entry.number;
        let reports = year(&history, &days);
        let all = departures(&history, IMPORT).unwrap();
        let (mut reported, mut left_out) = (Vec::new(), BTreeSet::new());
        for n in 1..=reports.len() {
            let filing = &reports[n - 1].1;
            let told = judge(number, &all, &through(&reports[..n]));
            // The same report by a store that has nothing of what happened later.
            let events: Vec<_> = history.events.iter().filter(|e| filing.known.has(e.seq)).collect();
            let then = life_at("5405550100", in_service(), events.iter().map(|e| (e.at, e.change.clone())).collect());
            let then = departures(&then, IMPORT).unwrap();
            prop_assert_eq!(told, judge(number, &then, &through(&reports[..n])));
            prop_assert!(told.row.is_none() || told.left_out.is_none());
            if let Some(date) = told.row {
                prop_assert!(date <= filing.through);
                prop_assert!(!reported.contains(&date), "{date} twice");
                reported.push(date);
            }
            // What of it this report is the first to know, newest first.
            let day = |at: Timestamp| at.date_in(&TimeZone::UTC);
            let since = reports[0].1.after;
            let knows = |d: &Departure| filing.known.has(d.event) && day(d.at) <= filing.through;
            let new: Vec<_> = then.iter().rev().filter(|d| knows(d) && day(d.at) > since && !left_out.contains(&d.event)).collect();
            let alone = |d: &Departure| told_of(number, d, filing);
            let why = new.iter().find_map(|d| alone(d));
            prop_assert_eq!(told.left_out, why.filter(|_| told.row.is_none()));
            left_out.extend(new.iter().map(|d| d.event));
        }
        // What was a disconnect at the end of its month, and is the last such of the number, stands in a report.
        let (_, end) = reports.last().unwrap();
        if let Some(lasting) = judge(number, &all, &filings(&[], "2026-12", end.clone())).row {
            prop_assert!(reported.contains(&lasting), "{lasting:?} {reported:?}");
        }
    }

    /// A number is counted once, in the category of the state that its history had then.
    #[test]
    fn the_past_is_counted_as_it_was(steps in prop::collection::vec(random_change(), 0..24), days in 0_i64..365) {
        let history = random_life(&steps, 0);
        let when = history.imported_at.plus_millis(days * DAY_MS + 5);
        let told = then(&history, IMPORT, &Known::all(), when).unwrap().unwrap();
        prop_assert_eq!(Some(told.entry), history.at(when).unwrap());
        let removed = told.entry.state() == State::Removed;
        let last = history.events.iter().rev().find(|event| event.at <= when && event.change.changes_state());
        let elsewhere = last.is_some_and(|event| matches!(event.change, Change::PortedOut { .. }));
        prop_assert_eq!(category(&told, when, PortedOut::LeftOut, kinds).is_none(), removed);
        prop_assert_eq!(category(&told, when, PortedOut::Assigned, kinds).is_none(), removed && !elsewhere);
    }
}
