//! Acts of people on numbers: what is kept of them, and that a plan is done exactly or not at all.

use onhook_core::ids::{AreaId, OrderId, PlanId};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::Kept;
use onhook_core::lifecycle::event::{By, Change};
use onhook_core::lifecycle::provenance::{Author, Credential, Provenance};
use onhook_core::notify::subscription::{OrderType, Subject};
use onhook_core::order::act::{Act, Correction, Later, Refused, Restored};
use onhook_core::order::{Disconnect, Kind, Mode, Protected, Request, Status};
use onhook_core::time::{DAY_MS, Timestamp};

use super::fixtures::{
    account, activate, at, clean, disconnect, in_service, lines, log, number, order, policy, release,
    run_all, seeded, state, subscribe, subscription,
};
use crate::conformance::Opener;
use crate::contract::acts::{Acted, Asked, Undone};
use crate::contract::numbers::{Aging, Destination, Ending};
use crate::contract::plans::{Approving, PlanApplied, PlanApproved};
use crate::{Store, StoreError};

/// Returns under what the operator of these cases acts.
fn under(reason: &str) -> Provenance {
    Provenance {
        credential: Some(Credential::Socket),
        address: Some("uid 1000".into()),
        reason: Some(reason.into()),
        plan: Some(PlanId(uuid::Uuid::from_u128(7))),
    }
}

fn asked(act: Act, numbers: impl IntoIterator<Item = u64>, made_at: Timestamp) -> Asked {
    let author = Author { user: "operator".into(), under: under("a reason") };
    Asked {
        act,
        account: None,
        numbers: numbers.into_iter().map(number).collect(),
        remaining: 0,
        author,
        made_at,
        expires_at: made_at.plus_millis(1_800_000),
    }
}

async fn act(store: &dyn Store, act: Act, numbers: &[u64], now: Timestamp) -> Acted {
    let asked = asked(act, numbers.iter().copied(), now);
    store.act(asked, None, None, now, policy()).await.expect("tried")
}

/// Does an act that all of the numbers take. Where a second person is needed, one agrees.
async fn done(store: &dyn Store, wanted: Act, numbers: &[u64], now: Timestamp) {
    match act(store, wanted, numbers, now).await {
        Acted::Waits(plan) => {
            let approving = Approving { hash: plan.hash.clone(), author: Author::offline(), apply: true };
            let approved = store.approve_plan(plan.id, approving, None, now, policy()).await.expect("tried");
            let PlanApproved::Applied(PlanApplied::Done { plan, .. }) = approved else {
                panic!("{approved:?}")
            };
            assert_eq!(plan.counts.go, numbers.len(), "{plan:?}");
        }
        Acted::Done { plan, .. } => assert_eq!(plan.counts.go, numbers.len(), "{plan:?}"),
        other => panic!("{other:?}"),
    }
}

async fn undo(store: &dyn Store, order: OrderId, partial: bool, now: Timestamp) -> Undone {
    let author = Author { user: "operator".into(), under: under("a mistake") };
    store.undo(order, partial, author, None, now, policy()).await.expect("tried")
}

cases! { ($) acts conformance_acts:
    /// An event says under what a person did it; an order keeps that for its events.
    async fn it_is_kept_who_did_it_from_where_and_why(opener) {
        let (store, site, _) = seeded(opener).await;
        done(&*store, Act::Lock, &[0], at(10)).await;
        let mut sent = (*order(20, 1, disconnect([1]))).clone();
        sent.under = under("cost");
        let id = store.accept(sent.into()).await.expect("accepted").id;
        run_all(&*store, at(30)).await;
        let peer = store.peers(Some(account(1))).await.expect("read")[0].id;
        let another = store.create_site(account(1), "another".into(), at(0)).await.expect("made").id;
        let there = store.create_peer(account(1), another, "a peer".into(), at(0)).await.expect("made").id;
        assert_ne!((site, peer), (another, there));
        let author = Author { user: "orderer".into(), under: under("moved") };
        let to = Destination { site: another, peer: there };
        store.move_numbers(account(1), to, vec![number(2)], author, at(40), policy()).await.expect("tried");
        store.close().await;
        let store = opener.open().await;
        let history = async |n| store.history(number(n)).await.expect("read").expect("there");
        let locked = history(0).await.history.events.pop().expect("an event");
        assert_eq!((locked.by, locked.under), (By::User("operator".into()), under("a reason")));
        assert_eq!(locked.change, Change::Locked { reason: "a reason".into() });
        let told = history(1).await;
        let disconnected = told.history.events.last().expect("an event");
        assert_eq!(disconnected.under, Provenance::default(), "its order says it");
        assert_eq!(told.orders.values().map(|mark| mark.under.clone()).collect::<Vec<_>>(), [under("cost")]);
        let kept = store.order(account(1), onhook_core::order::Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(kept.under, under("cost"));
        assert_eq!(history(2).await.history.events.pop().expect("an event").under, under("moved"));
        clean(&*store).await;
    }

    /// A number goes at the end of its hold, or of its keep if that is later. Then it stays at the end of its hold.
    async fn each_aging_number_is_forecast_when_it_goes(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect(0..4))).await.expect("accepted");
        let soft = Disconnect { numbers: vec![number(4)], mode: Mode::SoftRemove, protected: None, reason: None };
        store.accept(order(2, 1, Request::Disconnect(soft))).await.expect("accepted");
        store.accept(order(3, 2, disconnect([10]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let year = at(365 * DAY_MS);
        done(&*store, Act::Keep { until: None }, &[0], at(DAY_MS)).await;
        done(&*store, Act::Keep { until: Some(year) }, &[1], at(DAY_MS)).await;
        let entry = store.facts(number(3)).await.expect("read").expect("there").entry;
        let (end, area) = (entry.standing.ends_at().expect("aging"), entry.area);
        let one = |at: Timestamp| (at, at.plus_millis(1));
        let endings = async |window, account, area| {
            let mut found = store.endings(window, account, area).await.expect("read");
            found.sort_by_key(|ending| (ending.stays, ending.home));
            found
        };
        let of = |home, stays, numbers| Ending { area, home, stays, numbers };
        let all = [of(Home::Pool, false, 3), of(Home::Away, false, 1), of(Home::Pool, true, 2)];
        assert_eq!(endings(one(end), None, Some(area)).await, all);
        assert_eq!(endings(one(end), Some(account(2)), None).await, [of(Home::Pool, false, 1)]);
        assert_eq!(endings(one(year), None, None).await, [of(Home::Pool, false, 1)]);
        assert_eq!(endings((at(0), end), None, None).await, []);
        assert_eq!(endings(one(end), None, Some(AreaId(area.0 + 1))).await, []);
        let aging = store.aging().await.expect("read");
        assert_eq!(aging.into_iter().collect::<Vec<_>>(), [(area, Aging { numbers: 6, next_at: end })]);
        clean(&*store).await;
    }

    /// A kept number is passed over, however long its hold has been over, until its keep ends. A reconnect ends it too.
    async fn a_kept_number_is_not_released(opener) {
        let (store, site, _) = seeded(opener).await;
        store.accept(order(1, 1, disconnect(0..5))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let (year, day) = (at(365 * DAY_MS), at(DAY_MS));
        done(&*store, Act::Keep { until: None }, &[0, 1, 4], day).await;
        done(&*store, Act::Keep { until: Some(year) }, &[2], day).await;
        store.close().await;
        let store = opener.open().await;
        let kept = async |n| store.facts(number(n)).await.expect("read").expect("there").entry.standing.kept();
        assert_eq!(kept(0).await, Some(Kept { until: None }));
        assert_eq!(kept(2).await, Some(Kept { until: Some(year) }));
        assert_eq!(kept(3).await, None);
        store.accept(order(DAY_MS + 1, 1, activate([4], site))).await.expect("accepted");
        run_all(&*store, at(DAY_MS + 2)).await;
        clean(&*store).await;
        assert_eq!(store.totals(year.plus_millis(-1)).await.expect("read").due, 1);
        assert_eq!(release(&*store, year.plus_millis(-1), 100).await.numbers, 1);
        assert_eq!((state(&*store, 2).await, state(&*store, 3).await), (State::Aging, State::Available));
        assert_eq!(release(&*store, year, 100).await.numbers, 1);
        assert_eq!((state(&*store, 2).await, state(&*store, 4).await), (State::Available, State::InService));
        done(&*store, Act::Unkeep, &[0], year).await;
        assert_eq!(release(&*store, at(500 * DAY_MS), 100).await.numbers, 1);
        assert_eq!((state(&*store, 0).await, state(&*store, 1).await), (State::Available, State::Aging));
        clean(&*store).await;
    }

    /// What was shown is done exactly, or not at all.
    async fn a_plan_is_done_as_it_was_shown_or_not_at_all(opener) {
        let (store, ..) = seeded(opener).await;
        let wanted = asked(Act::Lock, [0, 1, 30], at(10));
        let none = store.act(wanted.clone(), Some("sha256:0".into()), None, at(10), policy()).await.expect("tried");
        let Acted::Changed(shown) = none else { panic!("{none:?}") };
        assert_eq!((shown.counts.go, shown.counts.refused), (2, 1));
        assert_eq!(shown.refused[&Refused::NotInService], 1);
        done(&*store, Act::Lock, &[1], at(20)).await;
        let late = store.act(wanted.clone(), Some(shown.hash.clone()), None, at(30), policy()).await.expect("tried");
        let Acted::Changed(now) = late else { panic!("{late:?}") };
        let changed: Vec<_> = shown.changed(&now).iter().map(|(was, _)| was.number).collect();
        assert_eq!(changed, [number(1)]);
        assert!(!store.facts(number(0)).await.expect("read").expect("there").entry.locked, "nothing was done");
        let done = store.act(wanted.clone(), Some(now.hash.clone()), None, at(40), policy()).await.expect("tried");
        assert!(matches!(done, Acted::Done { .. }), "{done:?}");
        let again = store.act(wanted, None, None, at(50), policy()).await.expect("tried");
        assert!(matches!(again, Acted::Nothing(_)), "{again:?}");
        let order = store.act(asked(Act::Purge { name: None }, [0], at(60)), None, None, at(60), policy()).await;
        assert!(matches!(order, Err(StoreError::Conflict(_))), "{order:?}");
        clean(&*store).await;
    }

    /// The counts follow each arrow that an operator has.
    async fn every_act_leaves_the_counts_right(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect(0..4))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let extend = Act::Extend { until: Later::Days(3), past_ceiling: true };
        done(&*store, extend, &[0, 1], at(20)).await;
        done(&*store, Act::ReleaseEarly { release_at: None }, &[0, 2], at(30)).await;
        done(&*store, Act::SetAside, &[20, 21], at(40)).await;
        done(&*store, Act::PutBack, &[20], at(50)).await;
        done(&*store, Act::PortOut { at: None }, &[3, 5], at(60)).await;
        clean(&*store).await;
        // A number of the pool, one in service and one aging lie elsewhere.
        let correct = |rate_center: &str| {
            Act::Correct(Correction { rate_center: Some(rate_center.into()), region: Some("NC".into()), ported_in: None })
        };
        done(&*store, correct("RALEIGH"), &[0, 6, 20, 21], at(70)).await;
        done(&*store, correct("DURHAM"), &[20, 22], at(80)).await;
        clean(&*store).await;
        let again = act(&*store, correct("durham"), &[20, 22], at(90)).await;
        assert!(matches!(again, Acted::Nothing(_)), "{again:?}");
        let back = Restored { account: Some(account(2)), ..Restored::to(State::InService) };
        done(&*store, Act::Restore(back), &[3], at(100)).await;
        let history = store.history(number(3)).await.expect("read").expect("there").history;
        assert_eq!(history.entry.standing.holder(), Some(account(2)));
        assert_eq!(history.events.len(), 3, "it keeps its history");
        assert_eq!(history.events[2].by, By::User("operator".into()));
        let floor = store.facts(number(0)).await.expect("read").expect("there").entry.standing.ends_at();
        let released = floor.expect("aging");
        assert_eq!(release(&*store, released.plus_millis(-1), 100).await.numbers, 0);
        assert_eq!(release(&*store, released, 100).await.numbers, 2);
        clean(&*store).await;
    }

    /// A lock stops a disconnect and a purge of an order, and moves are allowed.
    async fn a_locked_number_stays_in_service(opener) {
        let (store, ..) = seeded(opener).await;
        done(&*store, Act::Lock, &[0], at(10)).await;
        let Request::Disconnect(mut purge) = disconnect([0, 1]) else { unreachable!() };
        purge.mode = onhook_core::order::Mode::Purge;
        store.accept(order(20, 1, Request::Disconnect(purge))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        assert_eq!((state(&*store, 0).await, state(&*store, 1).await), (State::InService, State::Removed));
        done(&*store, Act::Unlock, &[0], at(40)).await;
        let more = lines(vec![NewNumber { number: number(99), ..in_service(99, 1) }]);
        store.import(more, Intake::of("more"), at(50), policy()).await.expect("imported");
        clean(&*store).await;
    }

    /// The numbers of an order go back where each was, as it was, in the transaction that makes the order.
    async fn an_order_is_undone_number_by_number(opener) {
        let (store, site, _) = seeded(opener).await;
        let another = store.create_site(account(1), "another".into(), at(0)).await.expect("made").id;
        let there = store.create_peer(account(1), another, "a peer".into(), at(0)).await.expect("made").id;
        let to = Destination { site: another, peer: there };
        store.move_numbers(account(1), to, vec![number(1)], "orderer".into(), at(10), policy()).await.expect("tried");
        let entry = async |store: &dyn Store, n| store.facts(number(n)).await.expect("read").expect("there").entry;
        let before = [entry(&*store, 0).await, entry(&*store, 1).await];
        assert_ne!(before[0].standing.place(), before[1].standing.place());
        let Request::Disconnect(mut wanted) = disconnect([1, 0]) else { unreachable!() };
        wanted.protected = Some(Protected::True);
        let id = store.accept(order(20, 1, Request::Disconnect(wanted))).await.expect("accepted").id;
        assert_eq!(undo(&*store, id, true, at(25)).await, Undone::NotUndoable, "it has not run");
        run_all(&*store, at(30)).await;
        assert!(entry(&*store, 0).await.protected);
        // An order that arrived before waits: it is not taken for one that has run.
        let waiting = store.accept(order(40, 1, disconnect([5]))).await.expect("accepted").id;
        let orders = Subject::Orders(OrderType::Orders, None);
        let told = subscribe(&*store, subscription(1, orders, "https://a", DAY_MS), 45).await;
        let Undone::Done { plan, order: back, kept: of } = undo(&*store, id, false, at(50)).await else { panic!() };
        assert_eq!(log(&*store, &told).await.len(), 1, "its end is told as that of any order");
        assert_eq!((plan.counts.go, plan.counts.refused, back.status), (2, 0, Status::Complete));
        assert_eq!([entry(&*store, 0).await, entry(&*store, 1).await], before);
        store.close().await;
        let store = opener.open().await;
        let kept = store.order_by_id(back.id).await.expect("read").expect("there");
        assert_eq!(kept, *back);
        assert_eq!((kept.request.kind(), kept.request.site()), (Kind::Number, Some(site)));
        assert_eq!((kept.name, kept.user, kept.under), (Some(format!("undo of {id}")), "operator".into(), Provenance { plan: Some(of), ..under("a mistake") }));
        let history = store.history(number(0)).await.expect("read").expect("there");
        let last = history.history.events.last().expect("an event");
        assert!(matches!(last.change, Change::Reconnected { .. }), "{last:?}");
        assert_eq!((&last.by, last.under.clone()), (&By::Order(back.seq), Provenance::default()));
        run_all(&*store, at(60)).await;
        let ran = store.order_by_id(waiting).await.expect("read").expect("there");
        assert_eq!((ran.status, state(&*store, 5).await), (Status::Complete, State::Aging));
        let again = undo(&*store, id, true, at(70)).await;
        let Undone::Nothing(plan) = again else { panic!("{again:?}") };
        assert_eq!(plan.refused, [(Refused::Reconnected, 2)].into());
        assert_eq!(undo(&*store, back.id, true, at(80)).await, Undone::NotUndoable, "it disconnected nothing");
        clean(&*store).await;
    }

    /// Of an order that cannot be undone whole, nothing is undone, unless a part is asked for.
    async fn an_order_is_undone_whole_or_in_part(opener) {
        let (store, site, _) = seeded(opener).await;
        let id = store.accept(order(1, 1, disconnect([0, 1, 50]))).await.expect("accepted").id;
        run_all(&*store, at(10)).await;
        store.accept(order(20, 1, activate([1], site))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        let whole = undo(&*store, id, false, at(40)).await;
        let Undone::Incomplete(plan) = whole else { panic!("{whole:?}") };
        assert_eq!((plan.counts.go, &plan.refused), (1, &[(Refused::Reconnected, 1)].into()));
        assert_eq!(state(&*store, 0).await, State::Aging);
        // Of two who undo it at once, one does.
        let (one, two) = tokio::join!(undo(&*store, id, true, at(50)), undo(&*store, id, true, at(50)));
        let (part, none) = if matches!(one, Undone::Done { .. }) { (one, two) } else { (two, one) };
        assert!(matches!(none, Undone::Nothing(_)), "{none:?}");
        let Undone::Done { plan, order: back, .. } = part else { panic!("{part:?}") };
        assert_eq!((plan.counts.go, back.status), (1, Status::Complete));
        assert_eq!((state(&*store, 0).await, back.done().collect()), (State::InService, vec![number(0)]));
        let Request::Disconnect(mut purge) = disconnect([2]) else { unreachable!() };
        purge.mode = onhook_core::order::Mode::Purge;
        let purge = store.accept(order(60, 1, Request::Disconnect(purge))).await.expect("accepted").id;
        let failed = store.accept(order(61, 1, disconnect([50]))).await.expect("accepted").id;
        run_all(&*store, at(70)).await;
        let unknown = OrderId(uuid::Uuid::from_u128(7));
        for id in [purge, failed, unknown] {
            assert_eq!(undo(&*store, id, true, at(80)).await, Undone::NotUndoable, "{id}");
        }
        clean(&*store).await;
    }
}
