//! Reports for regulators, and blocks of numbers.

use onhook_core::audit::deed::DeedKind;
use onhook_core::ids::EventSeq;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::order::act::Act;
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::order::{Disconnect, Mode, Request};
use onhook_core::report::nruf::then;
use onhook_core::report::rnd::{How, departures};
use onhook_core::report::{Known, ReportKind};
use serde_json::json;

use super::fixtures::{
    activate, at, clean, disconnect, in_service, lines, number, order, policy, run_all, search, seeded, state,
};
use crate::Store;
use crate::audit::{known, seal_all};
use crate::conformance::Opener;
use crate::contract::acts::{Acted, Asked};
use crate::contract::pool::PoolQuery;
use crate::contract::reports::{
    Confirmed, Kept, Life, Marking, Marks, Report, ReportFilter, Submitted, Wanted,
};

/// All digits that a number can have.
const ALL: (u64, u64) = (0, i64::MAX.unsigned_abs());

fn report(id: &str, period: &str, sha256: &str) -> Report {
    Report {
        id: id.into(),
        kind: ReportKind::Rnd,
        company: Some("ACME1".into()),
        period: Some(period.parse().expect("a month")),
        as_of: 1,
        made_at: at(5),
        shown: json!({ "files": [{ "name": "a.csv", "sha256": sha256 }] }),
        made_with: json!({ "form": "x" }),
        confirmed: None,
    }
}

/// Reads all pages of a span.
async fn lives(store: &dyn Store, wanted: Wanted, span: (u64, u64)) -> Vec<Life> {
    let (mut all, mut first) = (Vec::new(), Some(span.0));
    while let Some(from) = first {
        let page = store.lives(wanted, (from, span.1)).await.expect("read");
        all.extend(page.lives);
        first = page.next;
    }
    all
}

cases! { ($) reports conformance_reports:
    /// What a report needs of a number is read, page after page, and no more.
    async fn lives_are_read_as_far_as_a_report_needs_them(opener) {
        let (store, one, _) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([1, 2]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        seal_all(&*store, at(10)).await.expect("sealed");
        let before = store.head().await.expect("read").expect("sealed").last;
        let known = known(&*store, before).await.expect("read");
        store.accept(order(20, 1, activate([2], one))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        assert_eq!(store.first_import().await.expect("read"), Some(at(0)));

        let left = lives(&*store, Wanted::Departures, ALL).await;
        assert_eq!(left.iter().map(|life| life.entry.number).collect::<Vec<_>>(), [number(1), number(2)]);
        for life in &left {
            let history = life.history.as_ref().expect("whole");
            let found = departures(history, life.import()).expect("a history");
            assert_eq!(found.iter().map(|left| (left.how, left.at)).collect::<Vec<_>>(), [(How::Disconnected, at(10))]);
        }
        // As it was then: all fifty, and only of those that have changed since a history.
        let used = lives(&*store, Wanted::Use { at: at(15), to: known.last() }, ALL).await;
        assert_eq!(used.len(), 50);
        let told: Vec<_> = used.iter().filter(|life| life.history.is_some()).collect();
        assert_eq!(told.iter().map(|life| life.entry.number).collect::<Vec<_>>(), [number(2)]);
        let history = told[0].history.as_ref().expect("whole");
        let was = |known: &Known, millis| {
            let then = then(history, told[0].import(), known, at(millis)).expect("a history");
            then.map(|then| then.entry.state())
        };
        assert_eq!(was(&known, 15), Some(State::Aging));
        assert_eq!(was(&known, 99), Some(State::Aging), "its reconnect is behind that position");
        assert_eq!(was(&Known::all(), 99), Some(State::InService));
        assert_eq!(was(&known, -1), None, "before its import");
        // A span has its first number, and not the one behind it.
        let (first, end) = (number(5).digits(), number(8).digits());
        let some = lives(&*store, Wanted::Use { at: at(99), to: Known::all().last() }, (first, end)).await;
        assert_eq!(some.iter().map(|life| life.entry.number).collect::<Vec<_>>(), [number(5), number(6), number(7)]);
        clean(&*store).await;
    }

    /// A row of a removed number does not say that the number went to another carrier. Its history does.
    async fn a_number_that_went_to_another_carrier_is_told_from_others_that_were_removed(opener) {
        let (store, ..) = seeded(opener).await;
        let away = NewNumber { state: State::Removed, ported_in: true, ..NewNumber::available(number(60)) };
        store.import(lines(vec![away]), Intake::of("more"), at(0), policy()).await.expect("imported");
        let numbers = vec![number(1)];
        let purge = Disconnect { numbers, mode: Mode::Purge, protected: None, reason: None };
        store.accept(order(1, 1, Request::Disconnect(purge))).await.expect("accepted");
        run_all(&*store, at(2)).await;
        let asked = Asked {
            act: Act::PortOut { at: Some(at(3)) },
            account: None,
            numbers: vec![number(2)],
            remaining: 0,
            author: "operator".into(),
            made_at: at(4),
            expires_at: at(9),
        };
        let done = store.act(asked, None, None, at(4), policy()).await.expect("tried");
        assert!(matches!(done, Acted::Done { .. }), "{done:?}");
        let used = lives(&*store, Wanted::Use { at: at(99), to: Known::all().last() }, ALL).await;
        let told: Vec<_> = used
            .iter()
            .filter_map(|life| Some((life, life.history.as_ref()?)))
            .map(|(life, history)| {
                let then = then(history, life.import(), &Known::all(), at(99)).expect("a history");
                (life.entry.number, then.expect("imported").is_served_elsewhere())
            })
            .collect();
        assert_eq!(told, [(number(1), false), (number(2), true)], "of no other a history is read");
        clean(&*store).await;
    }

    /// Pages go on where they stopped, and each number is there once.
    async fn many_lives_are_read_in_pages(opener) {
        let (store, ..) = seeded(opener).await;
        let more = (100..9_100).map(|n| in_service(n, 1));
        store.import(lines(more.collect()), Intake::of("more"), at(1), policy()).await.expect("imported");
        let wanted = Wanted::Use { at: at(99), to: Known::all().last() };
        let page = store.lives(wanted, ALL).await.expect("read");
        assert!(page.next.is_some() && page.lives.len() < 9_050, "{} in one read", page.lives.len());
        let left = store.lives(Wanted::Departures, ALL).await.expect("read");
        assert_eq!((page.looked, left.looked), (u64::try_from(page.lives.len()).expect("few"), page.looked));
        let all: Vec<_> = lives(&*store, wanted, ALL).await.iter().map(|life| life.entry.number).collect();
        let wanted: Vec<_> = (0..50).chain(100..9_100).map(number).collect();
        assert_eq!(all, wanted);
    }

    /// A report is there once; one that is confirmed stays as it is, and is confirmed once.
    async fn a_report_is_kept_and_confirmed_once(opener) {
        let (store, ..) = seeded(opener).await;
        let made = report("rnd-1", "2026-12", "aa");
        let kept = store.keep_report(made.clone(), false).await.expect("kept");
        assert_eq!(kept, Kept { report: made.clone(), is_new: true });
        let later = Report { made_at: at(6), as_of: 2, ..made.clone() };
        let kept = store.keep_report(later.clone(), false).await.expect("kept");
        assert_eq!(kept, Kept { report: made.clone(), is_new: false });
        let kept = store.keep_report(later.clone(), true).await.expect("kept");
        assert_eq!(kept, Kept { report: later.clone(), is_new: false });
        let late = store.keep_report(made.clone(), true).await.expect("kept");
        assert_eq!(late.report, later, "a node that made one before comes late");

        let confirm = async |id: &str, hash: &str, n| {
            let seen = store.confirmed_reports(None).await.expect("read").len();
            let submitted = Submitted { id: id.into(), sha256: vec![hash.into()], at: at(7), seen };
            store.confirm_report(submitted, "operator".into(), at(n), None).await.expect("tried")
        };
        assert_eq!(confirm("rnd-1", "bb", 8).await, Confirmed::Changed);
        assert_eq!(confirm("rnd-2", "aa", 8).await, Confirmed::NoReport);
        assert!(store.confirmed_reports(None).await.expect("read").is_empty());
        let Confirmed::Done(done) = confirm("rnd-1", "aa", 8).await else { panic!("not confirmed") };
        let confirmed = done.confirmed.expect("confirmed");
        assert_eq!((confirmed.at, confirmed.submitted_at), (at(8), at(7)));
        assert_eq!(confirm("rnd-1", "aa", 9).await, Confirmed::Done(done.clone()), "once");
        let newer = Report { as_of: 3, ..made.clone() };
        let kept = store.keep_report(newer, true).await.expect("kept");
        assert_eq!(kept.report, *done, "what was handed in stays");
        store.keep_report(report("rnd-0", "2026-11", "cc"), false).await.expect("kept");
        let Confirmed::Done(_) = confirm("rnd-0", "cc", 10).await else { panic!("not confirmed") };

        let store = { store.close().await; opener.open().await };
        let ids = |reports: Vec<Report>| reports.into_iter().map(|report| report.id).collect::<Vec<_>>();
        assert_eq!(ids(store.confirmed_reports(Some("ACME1".into())).await.expect("read")), ["rnd-0", "rnd-1"]);
        assert!(store.confirmed_reports(Some("OTHER".into())).await.expect("read").is_empty());
        let all = ReportFilter::default();
        let listed = store.reports(all, None, 1).await.expect("read");
        assert_eq!((ids(listed.clone()), &listed[0].made_with), (vec!["rnd-1".to_owned()], &json!(null)), "the newest");
        let behind = Some((listed[0].made_at, listed[0].id.clone()));
        assert_eq!(ids(store.reports(all, behind.clone(), 5).await.expect("read")), ["rnd-0"]);
        let used = Report { kind: ReportKind::Nruf, company: None, period: None, ..report("nruf-0", "2026-11", "dd") };
        store.keep_report(used, false).await.expect("kept");
        let found = async |kind, period: Option<&str>| {
            let period = period.map(|period| period.parse().expect("a month"));
            ids(store.reports(ReportFilter { kind, period }, None, 5).await.expect("read"))
        };
        assert_eq!(found(None, None).await, ["rnd-1", "rnd-0", "nruf-0"]);
        assert_eq!(found(Some(ReportKind::Rnd), None).await, ["rnd-1", "rnd-0"]);
        assert_eq!(found(Some(ReportKind::Nruf), None).await, ["nruf-0"]);
        assert_eq!(found(None, Some("2026-11")).await, ["rnd-0"]);
        assert!(found(Some(ReportKind::Nruf), Some("2026-11")).await.is_empty());
        let november = ReportFilter { period: Some("2026-11".parse().expect("a month")), ..all };
        assert_eq!(ids(store.reports(november, behind, 5).await.expect("read")), ["rnd-0"]);
        assert_eq!(store.report("rnd-1".into()).await.expect("read"), Some(*done));
        // It was written down once, and the report knows where: a report that was made before does not know of it.
        let deeds = store.deeds(EventSeq(0), 100).await.expect("read");
        let told: Vec<_> = deeds.iter().filter(|told| told.deed.kind == DeedKind::ReportConfirmed).collect();
        assert_eq!(told.iter().map(|told| told.deed.detail["report"].clone()).collect::<Vec<_>>(), ["rnd-1", "rnd-0"]);
        assert_eq!((told[0].seq, told[0].deed.user.as_deref()), (confirmed.event, Some("operator")));
        clean(&*store).await;
    }

    /// Whether a report can be confirmed is judged by those that are. Of several that were judged by the same ones, one is.
    async fn reports_are_confirmed_one_after_another(opener) {
        let (one, other) = opener.open_twice().await;
        for round in 0..20_usize {
            let ids = [format!("rnd-{round}-a"), format!("rnd-{round}-b")];
            for id in &ids {
                one.keep_report(report(id, "2026-12", "aa"), false).await.expect("kept");
            }
            let confirm = async |store: &dyn Store, id: &str, seen| {
                let submitted = Submitted { id: id.into(), sha256: vec!["aa".into()], at: at(7), seen };
                store.confirm_report(submitted, "operator".into(), at(8), None).await.expect("tried")
            };
            let seen = 2 * round;
            let both = tokio::join!(confirm(&*one, &ids[0], seen), confirm(&*other, &ids[1], seen));
            let late = match both {
                (Confirmed::Done(_), Confirmed::Others) => &ids[1],
                (Confirmed::Others, Confirmed::Done(_)) => &ids[0],
                both => panic!("round {round}: {both:?}"),
            };
            assert_eq!(other.report(late.clone()).await.expect("read").expect("there").confirmed, None);
            let again = confirm(&*other, late, seen + 1).await;
            assert!(matches!(again, Confirmed::Done(_)), "round {round}: {again:?}");
        }
        clean(&*one).await;
    }

    /// Searches, and orders that search, take nothing from a block that is drained. Its numbers can still be named.
    async fn a_drained_block_gives_no_numbers_to_searches(opener) {
        let (store, one, _) = seeded(opener).await;
        // The pool of the fixtures is in 919-555-0. This is in 919-555-3.
        let other = (3_000..3_005).map(|n| NewNumber::available(number(n)));
        store.import(lines(other.collect()), Intake::of("more"), at(1), policy()).await.expect("imported");
        let block = "919-555-0".parse().expect("a block");
        let change = |drain| Marking { drain: Some(drain), footprint: None };
        let marked = store.mark_block(block, change(true), "operator".into(), at(2)).await.expect("marked");
        assert_eq!(marked, Marks { drain: true, footprint: false });
        let found = async |prefix: &str, size| {
            let query = PoolQuery { criteria: Criteria::prefix(prefix), inventory: Inventory::Pool, size, seed: 7 };
            let found = store.pool(query).await.expect("read");
            let mut found: Vec<_> = found.into_iter().map(|(entry, _)| entry.number).collect();
            found.sort_unstable();
            found
        };
        let left: Vec<_> = (3_000..3_005).map(number).collect();
        assert_eq!(found("919", 100).await, left, "of whole exchanges");
        assert_eq!(found("919", 5).await.len(), 5, "none is missed for those that are drained");
        assert_eq!(found("9195550", 100).await, [], "of a part of an exchange");
        let stock = store.stock(Criteria::prefix("919")).await.expect("read");
        assert_eq!(stock.iter().map(|lot| lot.numbers).sum::<u64>(), 5);
        // An order that searches gets the others, and then waits.
        store.accept(order(3, 1, search(5, one, false, false))).await.expect("accepted");
        store.accept(order(4, 1, search(1, one, true, false))).await.expect("accepted");
        store.accept(order(5, 1, activate([20], one))).await.expect("accepted");
        run_all(&*store, at(6)).await;
        assert_eq!(state(&*store, 3_000).await, State::InService);
        assert_eq!(state(&*store, 20).await, State::InService, "named");
        let in_pool = async || found("919", 100).await.len();
        assert_eq!(in_pool().await, 0);
        // No longer drained: the order that waits takes one.
        let marked = store.mark_block(block, Marking { footprint: Some(true), ..change(false) }, "operator".into(), at(7)).await;
        assert_eq!(marked.expect("marked"), Marks { drain: false, footprint: true });
        assert_eq!(in_pool().await, 29);
        run_all(&*store, at(8)).await;
        assert_eq!(in_pool().await, 28);
        let marks = store.block_marks(block.range()).await.expect("read");
        assert_eq!(marks, [(block, Marks { drain: false, footprint: true })]);
        assert_eq!(store.block_marks((0, block.range().0)).await.expect("read"), []);
        let deeds = store.deeds(EventSeq(0), 100).await.expect("read");
        let told: Vec<_> = deeds.into_iter().filter(|told| told.deed.kind == DeedKind::BlockChanged).collect();
        assert_eq!(
            told.iter().map(|told| told.deed.detail.clone()).collect::<Vec<_>>(),
            [
                json!({ "block": "919-555-0", "before": { "drain": false }, "after": { "drain": true } }),
                json!({
                    "block": "919-555-0", "before": { "drain": true, "footprint": false },
                    "after": { "drain": false, "footprint": true },
                }),
            ]
        );
        clean(&*store).await;
    }
}
