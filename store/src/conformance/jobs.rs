//! Jobs, checks beside orders, and imports in pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use onhook_core::account::change::AccountAct;
use onhook_core::account::{AccountKind, Class};
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::ids::EventSeq;
use onhook_core::import::NewNumber;
use onhook_core::job::{Kind, MAKINGS_MAX, NotTaken, State, UNTOLD_MS, WAITING_MAX};
use onhook_core::report::rating::Charges;
use serde_json::{Value, json};

use super::fixtures::{
    LONG, account, activate, at, clean, disconnect, doer, in_service, number, order, policy, run_all, seeded,
};
use crate::conformance::Opener;
use crate::contract::accounts::{Altered, NewAccount};
use crate::contract::imports::Piece;
use crate::contract::jobs::{Job, JobId, NewJob, Noted};
use crate::contract::reports::Wanted;
use crate::{Store, StoreError};

async fn take(store: &dyn Store, kind: Kind) -> Result<Job, NotTaken> {
    let new = NewJob { kind, author: "operator".into(), asked: json!({ "deep": true }) };
    store.add_job(new, None, at(1)).await.expect("written")
}

fn noted(state: State) -> Noted {
    Noted::new(state, Value::Null, at(2))
}

/// Lets a new import be written: it brings these numbers.
async fn writing(store: &dyn Store, numbers: u64) -> (crate::contract::leases::LeaseToken, Job, i64) {
    let job = take(store, Kind::Import).await.expect("taken");
    let lease = store.take_lease("imports", LONG).await.expect("tried").expect("free");
    store.stage(lease, job.id, 0, b"number\n".to_vec()).await.expect("staged");
    store.staged(lease, job.id, json!({}), None).await.expect("staged").expect("it goes on");
    let deed = Deed::by(&doer(3), DeedKind::Imported).with("numbers", numbers);
    let found = json!({ "to_come": numbers });
    let event = store.begin_writing(lease, job.id, deed, found).await.expect("written").expect("it goes on");
    (lease, job, event)
}

fn piece(numbers: impl IntoIterator<Item = u64>) -> Piece {
    Piece::Numbers(numbers.into_iter().map(|n| (n, NewNumber::available(number(n)))).collect())
}

cases! { ($) jobs conformance_jobs:
    /// What a worker read before everything was put back is not written after it. An import that is written then, and has
    /// the same number, would bring what the one of before was to bring.
    async fn nothing_goes_on_under_a_lease_of_before_everything_was_put_back(opener) {
        let (store, ..) = seeded(opener).await;
        let empty = Arc::new(store.image().await.expect("read"));
        let (before, ..) = writing(&*store, 2).await;
        store.put_back(empty, None).await.expect("put back");
        assert!(!store.renew_lease("imports", before, LONG).await.expect("tried"));
        let (lease, job, event) = writing(&*store, 1).await;
        assert!(lease > before);
        let write = |lease, n| store.write_piece(lease, job.id, piece([n]), event, noted(State::Writing), policy());
        for lost in [
            store.note_job(before, job.id, noted(State::Done)).await.map(|_| ()),
            store.stage(before, job.id, 0, Vec::new()).await,
            write(before, 60).await,
        ] {
            assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
        }
        write(lease, 61).await.expect("written");
        assert!(store.note_job(lease, job.id, noted(State::Done)).await.expect("written"));
        clean(&*store).await;
    }

    /// The lines of an import were checked against the accounts that there are.
    async fn no_account_is_closed_while_an_import_is_under_way(opener) {
        let (store, ..) = seeded(opener).await;
        let new = NewAccount { id: account(3), name: "Third".into(), kind: AccountKind::EndUser, class: Class::Unknown };
        store.make_account(new, None, doer(1)).await.expect("made");
        let close = async || store.alter_account(account(3), AccountAct::Close, None, doer(4)).await;
        let (lease, job, _) = writing(&*store, 0).await;
        assert!(matches!(close().await, Err(StoreError::Conflict(_))));
        assert!(store.note_job(lease, job.id, noted(State::Done)).await.expect("written"));
        assert!(matches!(close().await, Ok(Altered::Done(_))));
        clean(&*store).await;
    }

    /// One runs, ten wait, and an import does not wait for another one.
    async fn only_so_many_jobs_wait(opener) {
        let (one, other) = opener.open_twice().await;
        for _ in 0..=WAITING_MAX {
            take(&*one, Kind::Check).await.expect("taken");
        }
        assert_eq!(take(&*other, Kind::Check).await, Err(NotTaken::TooMany));
        take(&*other, Kind::Backup).await.expect("another kind");
        let import = take(&*one, Kind::Import).await.expect("taken");
        assert_eq!(take(&*other, Kind::Import).await, Err(NotTaken::ImportRunning));
        assert!(other.cancel_job(Kind::Import, import.id, at(3)).await.expect("written").expect("there").1);
        take(&*other, Kind::Import).await.expect("the other one has ended");
        let checks = one.jobs(Kind::Check, None, 100).await.expect("read");
        assert_eq!(checks.len(), WAITING_MAX + 1);
        assert!(checks.windows(2).all(|pair| pair[0].id > pair[1].id), "the newest first");
        let page = one.jobs(Kind::Check, Some(checks[1].id), 2).await.expect("read");
        assert_eq!(page.iter().map(|job| job.id).collect::<Vec<_>>(), [checks[2].id, checks[3].id]);
        assert_eq!(one.next_job(Kind::Check).await.expect("read").expect("there").id, checks[WAITING_MAX].id);
    }

    /// One request for a report has one making, whichever node it comes to, until somebody was told what came of it.
    async fn a_request_joins_the_making_of_its_report(opener) {
        let (one, other) = opener.open_twice().await;
        let ask = async |store: &dyn Store, request: &str, n| {
            let asked = json!({ "request": request, "with": n });
            let new = NewJob { kind: Kind::Report, author: "operator".into(), asked };
            store.add_job(new, None, at(n)).await.expect("written")
        };
        let lease = one.take_lease("reports", LONG).await.expect("tried").expect("free");
        let end = async |job: &Job, state, n| {
            let noted = |state| Noted::new(state, json!({ "report": "r" }), at(n));
            assert!(one.note_job(lease, job.id, noted(State::Running)).await.expect("noted"));
            assert!(one.note_job(lease, job.id, noted(state)).await.expect("noted"));
        };
        let first = ask(&*one, "a", 1).await.expect("taken");
        assert_eq!((first.state, first.made_at), (State::Waiting, at(1)));
        assert_eq!(ask(&*other, "a", 2).await.as_ref(), Ok(&first), "it is being made");
        let next = ask(&*other, "b", 2).await.expect("taken");
        assert_ne!(next.id, first.id);
        end(&first, State::Done, 3).await;
        let done = ask(&*other, "a", 4).await.expect("found");
        assert_eq!((done.id, done.state, done.is_told()), (first.id, State::Done, false));
        let told = other.tell_job(Kind::Report, first.id, None).await.expect("written").expect("there");
        assert_eq!((told.is_told(), &told.found["report"], told.ended_at), (true, &json!("r"), done.ended_at));
        assert_eq!(one.job(Kind::Report, first.id).await.expect("read"), Some(told));
        let again = ask(&*one, "a", 5).await.expect("taken");
        assert!(again.id > next.id, "somebody was told of the first one");
        end(&next, State::Failed, 6).await;
        let retried = ask(&*one, "b", 7).await.expect("taken");
        assert!(retried.id > again.id, "what failed is made again");
        end(&again, State::Done, 8).await;
        assert!(ask(&*one, "a", 9 + UNTOLD_MS).await.expect("taken").id > retried.id, "nobody asked for it in time");
        assert_eq!(one.tell_job(Kind::Check, first.id, None).await.expect("tried"), None);
        clean(&*one).await;
    }

    /// Of makings that have ended so many are remembered, and those that have not ended are.
    async fn the_oldest_makings_are_forgotten(opener) {
        let store = opener.open().await;
        let lease = store.take_lease("reports", LONG).await.expect("tried").expect("free");
        let open = take(&*store, Kind::Report).await.expect("taken");
        let mut ids = Vec::new();
        for n in 0..MAKINGS_MAX + 3 {
            let asked = json!({ "request": n });
            let new = NewJob { kind: Kind::Report, author: "operator".into(), asked };
            let job = store.add_job(new, None, at(1)).await.expect("written").expect("taken");
            for state in [State::Running, State::Done] {
                assert!(store.note_job(lease, job.id, noted(state)).await.expect("noted"));
            }
            ids.push(job.id);
        }
        take(&*store, Kind::Check).await.expect("another kind");
        let last = store.add_job(
            NewJob { kind: Kind::Report, author: "operator".into(), asked: json!({ "request": "last" }) },
            None,
            at(2),
        );
        let last = last.await.expect("written").expect("taken");
        let kept = store.jobs(Kind::Report, None, 1_000).await.expect("read");
        let kept: Vec<_> = kept.iter().rev().map(|job| job.id).collect();
        assert_eq!(kept, [&[open.id], &ids[3..], &[last.id]].concat());
        assert!(store.job(Kind::Check, JobId(last.id.0 - 1)).await.expect("read").is_some());
        clean(&*store).await;
    }

    /// Only the holder of a lease notes how far a job is, and what has ended stays as it is.
    async fn a_job_is_noted_under_a_lease_until_it_has_ended(opener) {
        let (one, other) = opener.open_twice().await;
        let job = take(&*one, Kind::Check).await.expect("taken");
        assert_eq!((job.state, job.ended_at, &job.found), (State::Waiting, None, &Value::Null));
        let lease = one.take_lease("checks", LONG).await.expect("tried").expect("free");
        assert!(one.note_job(lease, job.id, noted(State::Running)).await.expect("noted"));
        one.end_lease("checks", lease).await.expect("ended");
        let lost = one.note_job(lease, job.id, noted(State::Done)).await;
        assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
        let lease = other.take_lease("checks", LONG).await.expect("tried").expect("free");
        assert_eq!(other.next_job(Kind::Check).await.expect("read").map(|job| job.id), Some(job.id));
        assert!(other.note_job(lease, job.id, noted(State::Done)).await.expect("noted"));
        assert!(!other.note_job(lease, job.id, noted(State::Running)).await.expect("tried"));
        let done = one.job(Kind::Check, job.id).await.expect("read").expect("there");
        assert_eq!((done.state, done.ended_at), (State::Done, Some(at(2))));
        assert_eq!(one.next_job(Kind::Check).await.expect("read"), None);
        assert_eq!(one.job(Kind::Backup, job.id).await.expect("read"), None, "it is of another kind");
    }

    /// A node that stopped in the middle of an import wakes when another one has gone on with it. It writes nothing more.
    async fn an_import_is_written_under_a_lease(opener) {
        let (one, other) = opener.open_twice().await;
        let (lost, job, event) = writing(&*one, 4).await;
        one.write_piece(lost, job.id, piece([1, 2]), event, noted(State::Writing), policy()).await.expect("written");
        one.end_lease("imports", lost).await.expect("ended");
        let lease = other.take_lease("imports", LONG).await.expect("tried").expect("free");
        let deed = Deed::by(&doer(3), DeedKind::Imported);
        let late = [
            one.stage(lost, job.id, 0, Vec::new()).await.err(),
            one.staged(lost, job.id, json!({}), None).await.err(),
            one.forget_bad_lines(lost, job.id).await.err(),
            one.note_bad_lines(lost, job.id, vec![(1, "late".into())], noted(State::Checking)).await.err(),
            one.begin_writing(lost, job.id, deed, json!({})).await.err(),
            one.write_piece(lost, job.id, piece([3]), event, noted(State::Writing), policy()).await.err(),
            one.note_job(lost, job.id, noted(State::Done)).await.err(),
        ];
        for (n, late) in late.iter().enumerate() {
            assert!(matches!(late, Some(StoreError::LeaseLost)), "write {n}: {late:?}");
        }
        other.write_piece(lease, job.id, piece([3, 4]), event, noted(State::Writing), policy()).await.expect("written");
        assert!(other.note_job(lease, job.id, noted(State::Done)).await.expect("noted"));
        assert_eq!(other.bad_lines(job.id, 0, 10).await.expect("read"), []);
        clean(&*one).await;
    }

    /// A check reads page after page while numbers go out of service and back, and finds nothing.
    async fn a_check_beside_orders_finds_nothing(opener) {
        let (store, site, _) = seeded(opener).await;
        let (stop, ran) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let (orders, stopped, running) = (store.clone(), stop.clone(), ran.clone());
        let working = tokio::spawn(async move {
            let mut n: i64 = 0;
            // Not for ever: each check reads all events, and they must not grow faster than it reads.
            while !stopped.load(Ordering::Relaxed) && n < 1_000 {
                n += 2;
                let numbers = [n.unsigned_abs() / 2 % 7, 8];
                orders.accept(order(n, 1, disconnect(numbers))).await.expect("accepted");
                run_all(&*orders, at(n)).await;
                orders.accept(order(n + 1, 1, activate(numbers, site))).await.expect("accepted");
                run_all(&*orders, at(n + 1)).await;
                running.store(n, Ordering::Relaxed);
            }
        });
        for turn in 0_u32.. {
            if turn >= 20 && ran.load(Ordering::Relaxed) > 20 {
                break; // enough orders ran meanwhile
            }
            let report = store.check_beside(turn % 2 == 0, Arc::new(|_| {})).await.expect("checked");
            assert_eq!(report.findings, [], "check {turn}");
            assert_eq!(report.numbers, 50);
        }
        stop.store(true, Ordering::Relaxed);
        working.await.expect("it ends");
        clean(&*store).await;
    }

    /// The import of a number is one event, whichever piece brought the number and however late: who pays for its calls,
    /// and what a report says of it, go by the instant of that event.
    async fn a_number_is_imported_at_the_instant_of_its_event_whichever_piece_brings_it(opener) {
        let (store, ..) = seeded(opener).await;
        let (lease, job, event) = writing(&*store, 2).await;
        for (n, written) in [(60, 5), (61, 9)] {
            let piece = Piece::Numbers(vec![(n, in_service(n, 1))]);
            let noted = Noted::new(State::Writing, Value::Null, at(written));
            store.write_piece(lease, job.id, piece, event, noted, policy()).await.expect("written");
        }
        assert!(store.note_job(lease, job.id, noted(State::Done)).await.expect("written"));
        let numbers = [number(60), number(61)];
        let charges = store.charges(numbers.to_vec()).await.expect("read");
        let span = (number(60).digits(), number(61).digits() + 1);
        let lives = store.lives(Wanted::Use { at: at(4), to: EventSeq(event) }, span).await.expect("read").lives;
        assert_eq!(lives.len(), 2);
        for (n, (charges, life)) in charges.iter().zip(lives).enumerate() {
            let history = store.history(numbers[n]).await.expect("read").expect("there").history;
            assert_eq!(history.imported_at, at(3));
            assert_eq!(charges.as_deref(), Some(&Charges::of(&history).expect("a life")), "number {n}");
            assert_eq!((life.at, life.history), (at(3), None), "number {n}");
        }
        clean(&*store).await;
    }

    /// An import writes in pieces, and stops and goes on in between. Nothing is wrong at any moment.
    async fn an_import_is_written_in_pieces(opener) {
        let (store, ..) = seeded(opener).await;
        let (lease, job, event) = writing(&*store, 3).await;
        let write = async |numbers: Vec<u64>, to_come: u64| {
            let noted = Noted::new(State::Writing, json!({ "to_come": to_come }), at(4));
            store.write_piece(lease, job.id, piece(numbers), event, noted, policy()).await
        };
        clean(&*store).await;
        write(vec![60], 2).await.expect("written");
        clean(&*store).await;
        let beside = store.check_beside(false, Arc::new(|_| {})).await;
        assert!(matches!(beside, Err(StoreError::Conflict(_))), "{beside:?}");
        // A piece is written whole or not at all.
        let twice = write(vec![61, 60], 0).await;
        assert!(twice.is_err(), "{twice:?}");
        assert!(store.facts(number(61)).await.expect("read").is_none());
        write(vec![61, 62], 0).await.expect("written");
        clean(&*store).await;
        let cancelled = store.cancel_job(Kind::Import, job.id, at(5)).await.expect("tried").expect("there");
        assert!(!cancelled.1, "it is being written");
        assert!(store.note_job(lease, job.id, noted(State::Done)).await.expect("noted"));
        let late = write(vec![63], 0).await;
        assert!(late.is_err(), "{late:?}");
        let history = store.history(number(60)).await.expect("read").expect("there").history;
        assert_eq!(history.imported_at, at(3));
        assert_eq!(store.check_beside(true, Arc::new(|_| {})).await.expect("checked").findings, []);
    }

    /// What is staged is read as it was sent, and goes when the import has ended.
    async fn a_file_is_staged_in_parts(opener) {
        let (one, other) = opener.open_twice().await;
        let job = take(&*one, Kind::Import).await.expect("taken");
        let lease = one.take_lease("files", LONG).await.expect("tried").expect("free");
        for (part, bytes) in (0..).zip(["num", "ber\n2025", "550100\n"]) {
            one.stage(lease, job.id, part, bytes.into()).await.expect("staged");
        }
        one.staged(lease, job.id, json!({ "lines": 1 }), None).await.expect("staged").expect("it goes on");
        let read = async |store: &dyn Store| {
            let mut file = store.staging(job.id).await?;
            let text = tokio::task::spawn_blocking(move || std::io::read_to_string(&mut file));
            text.await.expect("it ends").map_err(|error| StoreError::Broken(Box::new(error)))
        };
        one.tidy_staging().await.expect("tidied");
        assert_eq!(read(&*other).await.expect("read"), "number\n2025550100\n");
        let bad = vec![(2, "it is bad".to_owned()), (3, "so is it".to_owned())];
        assert!(one.note_bad_lines(lease, job.id, bad.clone(), noted(State::Checking)).await.expect("noted"));
        assert_eq!(other.bad_lines(job.id, 0, 10).await.expect("read"), bad);
        assert_eq!(other.bad_lines(job.id, 2, 10).await.expect("read"), bad[1..]);
        one.cancel_job(Kind::Import, job.id, at(3)).await.expect("written");
        assert!(!one.note_bad_lines(lease, job.id, Vec::new(), noted(State::Checking)).await.expect("tried"), "it has ended");
        one.tidy_staging().await.expect("tidied");
        assert_eq!(read(&*one).await.unwrap_or_default(), "");
        let looked = one.look_up(vec![in_service(1, 9)]).await.expect("read");
        assert!(looked.there.is_empty() && looked.premises.is_empty());
    }
}
