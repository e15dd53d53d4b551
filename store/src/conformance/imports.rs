//! Imports and exports.

use onhook_core::import::{BadLine, Intake, NewNumber};
use onhook_core::lifecycle::diagram::{State, Step};
use onhook_core::lifecycle::event::By;
use onhook_core::order::{Disconnect, Mode, Request};
use onhook_core::time::Timestamp;

use super::fixtures::{
    account, at, clean, disconnect, in_service, lines, number, order, policy, run_all, seeded, state,
};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::imports::Lines;
use crate::contract::numbers::NumberFilter;
use crate::plan::imports::Checking;

cases! { ($) imports conformance_imports:
    /// One bad line undoes the whole import, or is left out of a partial one.
    async fn an_import_is_all_or_nothing_unless_partial(opener) {
        let (store, ..) = seeded(opener).await;
        let file = || -> Lines {
            let good = NewNumber::available(number(60));
            Box::new([
                (2, Ok(good.clone())),
                (3, Ok(good)),
                (4, Err(BadLine::Form("not a number".to_owned()))),
                (5, Ok(in_service(61, 9))),
                (6, Ok(in_service(62, 1))),
                (7, Ok(in_service(1, 1))),
            ].into_iter())
        };
        let refused = store.import(file(), Intake::of("file"), at(5), policy()).await;
        let Err(StoreError::Import(bad)) = refused else { panic!("{refused:?}") };
        let told: Vec<_> = bad.kinds().iter().map(|kind| (kind.first[0].0, kind.first[0].1.to_string())).collect();
        let wanted = [
            (3, format!("{} stands twice, first on line 2", number(60))),
            (4, "not a number".to_owned()),
            (5, "no open account 9".to_owned()),
            (7, format!("{} is here already", number(1))),
        ];
        assert_eq!(told, wanted);
        assert!(store.facts(number(60)).await.expect("read").is_none());
        clean(&*store).await;
        let partial = store.import(file(), Intake { partial: true, ..Intake::of("file") }, at(5), policy()).await.expect("imported");
        assert_eq!((partial.numbers, partial.bad.count()), (2, 4));
        assert_eq!((state(&*store, 60).await, state(&*store, 62).await), (State::Available, State::InService));
        store.accept(order(1, 1, disconnect([62, 1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        clean(&*store).await;
    }

    /// An import takes a removed number back: an event of its own, after its history. Within the floor after a purge, it
    /// only goes back to its last account.
    async fn a_number_that_left_comes_back_with_its_history(opener) {
        let (store, ..) = seeded(opener).await;
        // The purge is on 14 November in the evening.
        let floor = "2023-12-30T00:00:00Z".parse::<Timestamp>().expect("an instant").millis() - at(0).millis();
        let purge = |n| {
            let numbers = vec![number(n)];
            Request::Disconnect(Disconnect { numbers, mode: Mode::Purge, protected: None, reason: None })
        };
        for n in [1, 2, 3, 4] {
            store.accept(order(1, 1, purge(n))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        assert_eq!(state(&*store, 1).await, State::Removed);
        let moved = NewNumber { region: Some("VA".into()), rate_center: Some("ROANOKE".into()), ..NewNumber::available(number(2)) };
        let back = vec![in_service(1, 2), moved, NewNumber { state: State::Removed, ..NewNumber::available(number(3)) }, NewNumber::available(number(60))];
        let looked = store.look_up(back.clone()).await.expect("looked up");
        let partial = || Intake { partial: true, ..Intake::of("file") };
        let early = [back.clone(), vec![in_service(4, 1)]].concat();
        let done = store.import(lines(early), partial(), at(20), policy()).await.expect("imported");
        let told: Vec<_> = done.bad.kinds().iter().map(|kind| (&*kind.what, kind.count)).collect();
        assert_eq!(told, [("somebody new could have the number too soon", 2), ("the number is here already", 1)]);
        assert_eq!((done.numbers, done.restored), (1, 1), "{done:?}");
        let check = |when| Checking::new(at(when), false).check(lines(back.clone()).collect(), &looked, &policy()).len();
        assert_eq!((check(floor - 1), check(floor)), (3, 1), "as the import of a file is checked before it is written");
        clean(&*store).await;
        let before = store.import(lines(back[..2].to_vec()), partial(), at(floor - 1), policy()).await.expect("imported");
        assert_eq!((before.restored, before.bad.count()), (0, 2), "{before:?}");
        let done = store.import(lines(back), partial(), at(floor), policy()).await.expect("imported");
        assert_eq!((done.numbers, done.restored, done.bad.count()), (0, 2, 2), "{done:?}");
        clean(&*store).await;

        let history = store.history(number(1)).await.expect("read").expect("there").history;
        let [purged, restored] = &history.events[..] else { panic!("{history:?}") };
        assert_eq!((purged.change.step(), restored.change.step()), (Step::Purge, Step::Restore(State::InService)));
        assert_eq!((&restored.by, restored.at, restored.prev), (&By::Import, at(floor), purged.seq));
        let facts = store.facts(number(1)).await.expect("read").expect("there");
        assert_eq!(facts.entry.standing.holder(), Some(account(2)));
        assert_eq!((facts.since, facts.in_service_at, facts.imported_at), (at(floor), Some(at(floor)), at(0)));
        let facts = store.facts(number(2)).await.expect("read").expect("there");
        assert_eq!((facts.area.to_string().as_str(), facts.in_service_at), ("ROANOKE, VA", None));

        // It is a number like any other now, and an import of it again is refused.
        store.accept(order(floor + 1, 2, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(floor + 10)).await;
        assert_eq!(state(&*store, 1).await, State::Aging);
        let again = store.import(lines(vec![in_service(1, 2)]), Intake::of("file"), at(floor + 20), policy()).await;
        assert!(matches!(again, Err(StoreError::Import(_))), "{again:?}");
        clean(&*store).await;
    }

    /// A number that was imported as removed is taken back too.
    async fn a_number_imported_as_removed_comes_back(opener) {
        let (store, ..) = seeded(opener).await;
        let gone = NewNumber { state: State::Removed, ported_in: true, ..NewNumber::available(number(60)) };
        store.import(lines(vec![gone]), Intake::of("file"), at(1), policy()).await.expect("imported");
        let done = store.import(lines(vec![NewNumber::available(number(60))]), Intake::of("more"), at(2), policy()).await;
        assert_eq!(done.map(|done| (done.numbers, done.restored)).expect("imported"), (0, 1));
        let history = store.history(number(60)).await.expect("read").expect("there").history;
        assert_eq!((history.origin.state(), history.origin.ported_in), (State::Removed, true));
        assert_eq!((history.entry.state(), history.entry.ported_in), (State::Available, false));
        clean(&*store).await;
    }

    /// An export has all numbers, in order, in pages.
    async fn an_export_imports_again(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = store.export(NumberFilter::default(), after, 7).await.expect("read");
            seen.extend(page.numbers);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.iter().map(|(e, _)| e.number).collect::<Vec<_>>(), (0..50).map(number).collect::<Vec<_>>());
        assert_eq!(seen[1].0.state(), State::Aging);
        assert_eq!(seen[0].1.to_string(), "919 (NC)", "where nothing was said, the plan knows");
        clean(&*store).await;
    }
}
