//! Plans: made, applied, approved and withdrawn. Exactly what one says is done, or nothing.

use onhook_core::account::user::{Asker, Right, Rights};
use onhook_core::account::{Place, Role};
use onhook_core::audit::deed::DeedKind;
use onhook_core::ids::{PlanId, SiteId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{By, Change};
use onhook_core::lifecycle::provenance::{Author, Credential, Doer, Provenance};
use onhook_core::order::act::{Act, Correction, Later, Leaving, Refused, Restored};
use onhook_core::order::decided::Decided;
use onhook_core::order::plan::{KEPT_MS, KeptPlan, NotApproved, PlanState};
use onhook_core::order::{Mode, Protected, Request, Status};
use onhook_core::setting::{Changes, Setting};
use onhook_core::time::{DAY_MS, Timestamp};
use serde_json::json;

use super::fixtures::{
    DISCONNECTS, account, activate, at, clean, disconnect, doer, log, number, order, policy, release, run_all,
    seeded, state, subscribe, subscription,
};
use crate::Store;
use crate::conformance::Opener;
use crate::contract::acts::{Acted, Asked, Undone};
use crate::contract::plans::{
    Approving, NewPlan, PlanApplied, PlanApproved, PlanFilter, PlanMade, PlanWithdrawn,
};
use crate::contract::users::{NewUser, UserChange, UserChanged};

/// How long a plan lives of which no operator has said how long, in milliseconds.
const LIVES_MS: i64 = 1_800_000;

fn author(user: &str, reason: &str) -> Author {
    let under = Provenance {
        credential: Some(Credential::Basic),
        address: Some("127.0.0.1".into()),
        reason: Some(reason.into()),
        plan: None,
    };
    Author { user: user.into(), under }
}

fn leaving() -> Act {
    let (mode, protected) = (Leaving::Normal, Protected::Unchanged);
    Act::Disconnect { mode, protected, name: None, customer_order_id: None }
}

fn new(act: Act, numbers: impl IntoIterator<Item = u64>, account_id: Option<u32>, now: Timestamp) -> NewPlan {
    let asked = Asked {
        act,
        account: account_id.map(account),
        numbers: numbers.into_iter().map(number).collect(),
        remaining: 0,
        author: author("maker", "a reason"),
        made_at: now,
        expires_at: now,
    };
    NewPlan { asked, target: json!({ "numbers": [] }), series: None, reported: Vec::new() }
}

async fn made(store: &dyn Store, new: NewPlan) -> KeptPlan {
    let now = new.asked.made_at;
    match store.make_plan(new, None, now, policy()).await.expect("made") {
        PlanMade::Made(plan) => *plan,
        PlanMade::TooMany => panic!("too many"),
    }
}

async fn apply(store: &dyn Store, plan: &KeptPlan, now: Timestamp) -> PlanApplied {
    let author = author("applier", "of no matter");
    store.apply_plan(plan.id, plan.hash.clone(), author, None, now, policy()).await.expect("tried")
}

/// Applies a plan of which every number goes.
async fn done(store: &dyn Store, plan: &KeptPlan, now: Timestamp) -> KeptPlan {
    match apply(store, plan, now).await {
        PlanApplied::Done { plan, again: false } => *plan,
        other => panic!("{other:?}"),
    }
}

/// Someone at the machine agrees, who is no user.
fn approving(user: &str, plan: &KeptPlan, apply: bool) -> Approving {
    let mut author = author(user, "it is right");
    author.under.credential = Some(Credential::Socket);
    Approving { hash: plan.hash.clone(), author, apply }
}

async fn approve(
    store: &dyn Store,
    user: &str,
    plan: &KeptPlan,
    apply: bool,
    now: Timestamp,
) -> PlanApproved {
    let approving = approving(user, plan, apply);
    store.approve_plan(plan.id, approving, None, now, policy()).await.expect("tried")
}

async fn withdraw(store: &dyn Store, plan: &KeptPlan, now: Timestamp) -> PlanWithdrawn {
    store.withdraw_plan(plan.id, author("maker", "no more"), None, now).await.expect("tried")
}

async fn kept(store: &dyn Store, id: PlanId) -> KeptPlan {
    store.plan(id).await.expect("read").expect("there")
}

async fn entry(store: &dyn Store, n: u64) -> Entry {
    store.facts(number(n)).await.expect("read").expect("there").entry
}

cases! { ($) plans conformance_plans:
    /// A plan changes no number. It is kept as it was made, and the same world gives the same hash.
    async fn a_plan_shows_what_would_happen_and_does_nothing(opener) {
        let (store, ..) = seeded(opener).await;
        let before = store.check(true).await.expect("checked");
        let plan = made(&*store, new(leaving(), [0, 1, 30], Some(1), at(10))).await;
        assert_eq!((plan.counts.named, plan.counts.go, plan.counts.refused), (3, 2, 1));
        assert_eq!(plan.refused, [(Refused::NotInService, 1)].into());
        assert_eq!((plan.holds[0].numbers, plan.holds[0].days), (2, 90));
        assert_eq!(plan.state(at(11)), PlanState::Open);
        store.close().await;
        let store = opener.open().await;
        assert_eq!(kept(&*store, plan.id).await, plan);
        let again = made(&*store, new(leaving(), [0, 1, 30], Some(1), at(20))).await;
        assert_ne!(again.id, plan.id);
        assert_eq!(again.hash, plan.hash);
        assert_eq!(store.check(true).await.expect("checked"), before, "no number, no event, no order");
        assert_eq!(state(&*store, 0).await, State::InService);
        assert_eq!(store.plan(PlanId(uuid::Uuid::from_u128(1))).await.expect("read"), None);
    }

    /// A plan becomes one order, which has ended, of the numbers that go. Its subscribers are told. Again does nothing.
    async fn a_plan_is_done_exactly_and_once(opener) {
        let (store, ..) = seeded(opener).await;
        let told = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let plan = made(&*store, new(leaving(), [0, 1, 30], Some(1), at(10))).await;
        let applied = done(&*store, &plan, at(20)).await;
        let first = applied.done.clone().expect("done");
        let (id, status) = first.order.expect("an order");
        assert_eq!((first.went, status, applied.state(at(21))), (2, Status::Complete, PlanState::Applied));
        assert_eq!([state(&*store, 0).await, state(&*store, 1).await], [State::Aging; 2]);
        let ran = store.order_by_id(id).await.expect("read").expect("there");
        assert_eq!((ran.status, ran.done().collect::<Vec<_>>()), (Status::Complete, vec![number(0), number(1)]));
        assert_eq!((ran.user.as_str(), ran.under.plan), ("applier", Some(plan.id)));
        assert_eq!(ran.under.reason.as_deref(), Some("a reason"), "the plan's");
        assert_eq!(ran.name, Some(format!("plan {}", &plan.id.to_string()[..8])));
        assert_eq!(log(&*store, &told).await.len(), 1);
        let before = store.check(true).await.expect("checked");
        store.close().await;
        let store = opener.open().await;
        for now in [30, 10 * DAY_MS] {
            let again = apply(&*store, &plan, at(now)).await;
            assert_eq!(again, PlanApplied::Done { plan: Box::new(applied.clone()), again: true });
        }
        assert_eq!(store.check(true).await.expect("checked"), before);
        let other = KeptPlan { hash: "sha256:0".into(), ..plan };
        assert_eq!(apply(&*store, &other, at(40)).await, PlanApplied::WrongHash);
        let none = KeptPlan { id: PlanId(uuid::Uuid::from_u128(1)), ..other };
        assert_eq!(apply(&*store, &none, at(40)).await, PlanApplied::Missing);
        clean(&*store).await;
    }

    /// If the world has moved on, nothing is done. The plan then has the new decision, which may be applied.
    async fn a_plan_that_would_do_something_else_does_nothing(opener) {
        let (store, ..) = seeded(opener).await;
        let plan = made(&*store, new(leaving(), [0, 1], Some(1), at(10))).await;
        store.accept(order(11, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(12)).await;
        let PlanApplied::Changed { plan: now, otherwise } = apply(&*store, &plan, at(20)).await else { panic!() };
        assert_eq!(otherwise.iter().map(|one| one.number).collect::<Vec<_>>(), [number(1)]);
        assert!(otherwise[0].planned.goes());
        assert_eq!(otherwise[0].now, Some(Decided::Refused(Refused::NotInService)));
        assert_eq!(state(&*store, 0).await, State::InService);
        assert_ne!(now.hash, plan.hash);
        assert_eq!(kept(&*store, plan.id).await, *now);
        let again = apply(&*store, &plan, at(21)).await;
        assert!(matches!(&again, PlanApplied::Changed { otherwise, .. } if otherwise.is_empty()), "{again:?}");
        let applied = done(&*store, &now, at(22)).await;
        assert_eq!(applied.done.expect("done").went, 1);
        assert!(matches!(apply(&*store, &plan, at(23)).await, PlanApplied::Over(_)), "by another hash");
        let none = made(&*store, new(leaving(), [0, 1], Some(1), at(30))).await;
        assert!(matches!(apply(&*store, &none, at(31)).await, PlanApplied::Nothing(_)));
        clean(&*store).await;
    }

    /// A plan lives as long as an operator has said when it is made. One that needs a second person lives for a day.
    async fn a_plan_lives_as_long_as_an_operator_has_said(opener) {
        let (store, ..) = seeded(opener).await;
        let before = made(&*store, new(Act::Lock, [0], None, at(10))).await;
        let changes = Changes::from([(Setting::PlanExpiresSeconds, Some(json!(60)))]);
        store.change_settings(changes, Doer::offline(at(20))).await.expect("changed");
        let short = made(&*store, new(Act::Lock, [1], None, at(30))).await;
        let purge = made(&*store, new(Act::Purge { name: None }, [1], Some(1), at(30))).await;
        assert_eq!(
            (before.expires_at, short.expires_at, purge.expires_at),
            (at(10 + LIVES_MS), at(60_030), at(DAY_MS + 30))
        );
        assert!(matches!(apply(&*store, &short, at(60_030)).await, PlanApplied::Over(_)));
        done(&*store, &before, at(60_030)).await;
        clean(&*store).await;
    }

    /// A plan ends by its time, or because a person takes it back. After 90 days it is forgotten.
    async fn a_plan_has_an_end(opener) {
        let (store, ..) = seeded(opener).await;
        let plan = made(&*store, new(Act::Lock, [0], None, at(10))).await;
        let late = apply(&*store, &plan, at(10 + LIVES_MS)).await;
        assert!(matches!(late, PlanApplied::Over(_)), "{late:?}");
        assert!(matches!(withdraw(&*store, &plan, at(10 + LIVES_MS)).await, PlanWithdrawn::Over(_)));
        let back = made(&*store, new(Act::Lock, [0], Some(1), at(20))).await;
        for now in [21, 22] {
            assert!(matches!(withdraw(&*store, &back, at(now)).await, PlanWithdrawn::Done(_)));
        }
        assert!(matches!(apply(&*store, &back, at(23)).await, PlanApplied::Over(_)));
        assert!(!entry(&*store, 0).await.locked);
        let later = NewPlan { series: Some("s".into()), ..new(leaving(), [0], Some(1), at(LIVES_MS + 30)) };
        let last = made(&*store, later).await;
        let found = async |filter: PlanFilter| {
            let found = store.plans(filter, None, 10, at(LIVES_MS + 40)).await.expect("read");
            found.into_iter().map(|(_, plan)| plan.id).collect::<Vec<_>>()
        };
        let all = PlanFilter::default();
        assert_eq!(found(all.clone()).await, [last.id, back.id, plan.id]);
        let of = |state| PlanFilter { state: Some(state), ..PlanFilter::default() };
        assert_eq!(found(of(PlanState::Open)).await, [last.id]);
        assert_eq!(found(of(PlanState::Expired)).await, [plan.id]);
        assert_eq!(found(of(PlanState::Withdrawn)).await, [back.id]);
        assert_eq!(found(PlanFilter { account: Some(account(1)), ..all.clone() }).await, [last.id, back.id]);
        assert_eq!(found(PlanFilter { act: Some("lock".into()), ..all.clone() }).await, [back.id, plan.id]);
        assert_eq!(found(PlanFilter { series: Some("s".into()), ..all.clone() }).await, [last.id]);
        let first = store.plans(all.clone(), None, 2, at(0)).await.expect("read");
        let rest = store.plans(all, Some(first[1].0), 2, at(0)).await.expect("read");
        assert_eq!(rest.iter().map(|(_, plan)| plan.id).collect::<Vec<_>>(), [plan.id]);
        assert_eq!(store.forget_plans(at(20 + KEPT_MS), 1).await.expect("written"), 1);
        assert_eq!(store.forget_plans(at(20 + KEPT_MS), 10).await.expect("written"), 1);
        assert_eq!(store.plan(plan.id).await.expect("read"), None);
        assert_eq!(kept(&*store, last.id).await, last);
    }

    /// A purge needs a second person, who agrees to what the plan says then.
    async fn a_purge_needs_a_second_person(opener) {
        let (store, ..) = seeded(opener).await;
        let purge = || new(Act::Purge { name: None }, [0, 1], Some(1), at(10));
        let plan = made(&*store, purge()).await;
        assert!(plan.two_persons);
        assert_eq!(store.totals(at(11)).await.expect("read").plans_waiting, 1);
        assert!(matches!(apply(&*store, &plan, at(11)).await, PlanApplied::ApprovalNeeded(_)));
        let own = approve(&*store, "maker", &plan, true, at(12)).await;
        assert!(matches!(own, PlanApproved::Refused(NotApproved::SamePerson, _)), "{own:?}");
        let PlanApproved::Done(approved) = approve(&*store, "other", &plan, false, at(13)).await else { panic!() };
        assert_eq!(approved.approvals[0].by.reason.as_deref(), Some("it is right"));
        let again = approve(&*store, "other", &plan, false, at(14)).await;
        assert_eq!(again, PlanApproved::Done(approved), "again is no more than once");
        assert_eq!(store.totals(at(14)).await.expect("read").plans_waiting, 0);
        // The approval is for what was seen.
        store.accept(order(15, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(16)).await;
        let PlanApplied::Changed { plan: now, .. } = apply(&*store, &plan, at(17)).await else { panic!() };
        assert!(matches!(apply(&*store, &now, at(18)).await, PlanApplied::ApprovalNeeded(_)));
        let old = approve(&*store, "other", &plan, false, at(19)).await;
        assert!(matches!(old, PlanApproved::Refused(NotApproved::Changed, _)), "{old:?}");
        assert_eq!(state(&*store, 0).await, State::InService);
        // It lives for a day, since it waits for a person.
        let late = at(DAY_MS + 9);
        let PlanApproved::Applied(PlanApplied::Done { plan: applied, again: false }) =
            approve(&*store, "other", &now, true, late).await
        else {
            panic!("not applied")
        };
        assert_eq!(state(&*store, 0).await, State::Removed);
        let (id, _) = applied.done.as_ref().expect("done").order.expect("an order");
        let ran = store.order_by_id(id).await.expect("read").expect("there");
        let Request::Disconnect(asked) = &ran.request else { panic!("{ran:?}") };
        assert_eq!((asked.mode, ran.user.as_str()), (Mode::Purge, "other"));
        let again = approve(&*store, "other", &now, true, late).await;
        assert!(matches!(again, PlanApproved::Applied(PlanApplied::Done { again: true, .. })), "{again:?}");
        let recorded = store.deeds(onhook_core::ids::EventSeq(0), 100).await.expect("read");
        let recorded: Vec<_> = recorded.into_iter().filter(|one| one.deed.under.plan == Some(plan.id)).collect();
        let told = |at: usize| {
            let deed = &recorded[at].deed;
            (deed.kind, deed.user.clone().expect("someone"), deed.under.reason.as_deref().expect("why").to_owned())
        };
        let (other, right) = ("other".to_owned(), "it is right".to_owned());
        assert_eq!(told(0), (DeedKind::PlanApproved, other.clone(), right.clone()));
        assert_eq!(told(1), (DeedKind::PlanApproved, other.clone(), right));
        assert_eq!(told(2), (DeedKind::PlanApplied, other, "a reason".to_owned()));
        assert_eq!((recorded.len(), recorded[2].deed.order), (3, Some(ran.seq)));
        assert_eq!((recorded[2].deed.account, &recorded[2].deed.detail["went"]), (Some(account(1)), &json!(1)));
        let lock = made(&*store, new(Act::Lock, [2], None, late)).await;
        let none = approve(&*store, "other", &lock, false, late).await;
        assert!(matches!(none, PlanApproved::Refused(NotApproved::NotNeeded, _)), "{none:?}");
        clean(&*store).await;
    }

    /// Who agrees is looked up in the transaction. A user who may not, or not any more, agrees to nothing.
    async fn only_those_who_may_agree_do(opener) {
        let (store, ..) = seeded(opener).await;
        let unlocks: Rights = [Right::Unlock].into_iter().collect();
        let user = |name: &str, account, role, rights| NewUser {
            name: name.into(),
            account,
            role,
            rights,
            password_hash: "$x".into(),
        };
        let operator = user("Second", None, Role::Operator, Rights::NONE);
        let admin = user("admin", Some(account(1)), Role::Admin, unlocks);
        let other = user("admin2", Some(account(2)), Role::Admin, unlocks);
        for user in [&operator, &admin, &other] {
            store.create_user(user.clone(), at(5)).await.expect("created");
        }
        let agrees = async |name: &str, plan: &KeptPlan| {
            let approving = Approving { author: author(name, "it is right"), ..approving(name, plan, false) };
            store.approve_plan(plan.id, approving, None, at(13), policy()).await.expect("tried")
        };
        let purge = made(&*store, new(Act::Purge { name: None }, [0], Some(1), at(10))).await;
        // More than ten in a day are only the second ones.
        for act in [Act::Lock, Act::Unlock, Act::Lock] {
            let plan = made(&*store, new(act, 0..20, Some(1), at(11))).await;
            done(&*store, &plan, at(11)).await;
        }
        let unlock = made(&*store, new(Act::Unlock, 0..20, Some(1), at(12))).await;
        assert!(matches!(apply(&*store, &unlock, at(12)).await, PlanApplied::ApprovalNeeded(_)));
        for (name, plan) in [("nobody", &purge), ("admin", &purge), ("admin2", &unlock)] {
            let not = agrees(name, plan).await;
            assert!(matches!(not, PlanApproved::Refused(NotApproved::NotAllowed, _)), "{name}: {not:?}");
        }
        let may = agrees("admin", &unlock).await;
        assert!(matches!(may, PlanApproved::Done(_)), "{may:?}");
        let removed = store.change_user(Asker::AtTheMachine, "second".into(), UserChange::Removed, doer(12)).await;
        assert_eq!(removed.expect("tried"), UserChanged::Done);
        let gone = agrees("second", &purge).await;
        assert!(matches!(gone, PlanApproved::Refused(NotApproved::NotAllowed, _)), "{gone:?}");
        assert!(kept(&*store, purge.id).await.approvals.is_empty());
        store.create_user(operator, at(12)).await.expect("created");
        assert!(matches!(agrees("second", &purge).await, PlanApproved::Done(_)));
        clean(&*store).await;
    }

    /// More than ten unlocks of one user in a day need a second person, however they are parted.
    async fn unlocks_are_counted_over_a_day(opener) {
        let (store, ..) = seeded(opener).await;
        let lock = made(&*store, new(Act::Lock, 0..20, None, at(10))).await;
        done(&*store, &lock, at(11)).await;
        let many = made(&*store, new(Act::Unlock, 0..11, None, at(12))).await;
        assert!(many.two_persons && matches!(apply(&*store, &many, at(12)).await, PlanApplied::ApprovalNeeded(_)));
        let eight = made(&*store, new(Act::Unlock, 0..8, None, at(12))).await;
        assert!(!eight.two_persons);
        done(&*store, &eight, at(13)).await;
        let unlock = async |n: u64, user: &str, now: Timestamp| {
            let asked = Asked { author: author(user, "r"), ..new(Act::Unlock, [n], None, now).asked };
            store.act(asked, None, None, now, policy()).await.expect("tried")
        };
        for n in [8, 9] {
            assert!(matches!(unlock(n, "applier", at(14)).await, Acted::Done { .. }));
        }
        let Acted::Waits(plan) = unlock(10, "applier", at(15)).await else { panic!("done alone") };
        assert!(entry(&*store, 10).await.locked && plan.two_persons);
        assert!(matches!(unlock(0, "applier", at(15)).await, Acted::Nothing(_)), "there is nothing to agree to");
        assert!(matches!(unlock(11, "another", at(15)).await, Acted::Done { .. }));
        let approved = approve(&*store, "another", &plan, true, at(16)).await;
        assert!(matches!(approved, PlanApproved::Applied(PlanApplied::Done { .. })), "{approved:?}");
        assert!(!entry(&*store, 10).await.locked);
        // A day later they no longer count.
        assert!(matches!(unlock(12, "applier", at(14 + DAY_MS)).await, Acted::Done { .. }));
        clean(&*store).await;
    }

    /// Every act is done by a plan, and each number's event says which plan it was.
    async fn each_act_is_done_by_a_plan(opener) {
        let (store, site, _) = seeded(opener).await;
        let another = store.create_site(account(1), "another".into(), at(0)).await.expect("made").id;
        let there = store.create_peer(account(1), another, "a peer".into(), at(0)).await.expect("made").id;
        let all = [0, 1];
        let step = async |act: Act, of: Option<u32>, now: i64| {
            let (plan, numbers) = (made(&*store, new(act, all, of, at(now))).await, 2);
            assert_eq!((plan.counts.go, plan.two_persons), (numbers, false), "{plan:?}");
            let plan = done(&*store, &plan, at(now + 1)).await;
            let history = store.history(number(0)).await.expect("read").expect("there");
            let event = history.history.events.last().expect("an event").clone();
            let under = match (&event.by, &plan.done.as_ref().expect("done").order) {
                (By::Order(seq), Some((id, _))) => {
                    assert_eq!(history.orders[seq].id, *id);
                    history.orders[seq].under.clone()
                }
                (By::User(_), None) => event.under.clone(),
                other => panic!("{other:?}"),
            };
            assert_eq!((under.plan, under.reason.as_deref()), (Some(plan.id), Some("a reason")));
            (event.change, entry(&*store, 0).await)
        };
        let (_, locked) = step(Act::Lock, Some(1), 10).await;
        let (_, unlocked) = step(Act::Unlock, None, 20).await;
        assert!(locked.locked && !unlocked.locked);
        let (_, moved) = step(Act::Move { site: another, peer: None }, Some(1), 30).await;
        let place = |site: SiteId, peer| Place { account: account(1), site, peer };
        assert_eq!(moved.standing.place(), Some(place(another, Some(there))));
        let (_, gone) = step(leaving(), Some(1), 40).await;
        let extended = step(Act::Extend { until: Later::Days(1), past_ceiling: true }, None, 50).await.1;
        assert!(extended.standing.ends_at() > gone.standing.ends_at());
        assert!(step(Act::Keep { until: None }, None, 60).await.1.standing.kept().is_some());
        assert!(step(Act::Unkeep, None, 70).await.1.standing.kept().is_none());
        let back = step(Act::Reconnect { name: Some("back".into()) }, Some(1), 80).await.1;
        assert_eq!(back.standing.place(), Some(place(another, Some(there))));
        let (change, left) = step(Act::PortOut { at: None }, None, 90).await;
        assert!(matches!(change, Change::PortedOut { .. }));
        assert_eq!(left.state(), State::Removed);
        assert_eq!(step(Act::Restore(Restored::to(State::Available)), None, 100).await.1.state(), State::Available);
        assert_eq!(step(Act::SetAside, None, 110).await.1.state(), State::Administrative);
        assert_eq!(step(Act::PutBack, None, 120).await.1.state(), State::Available);
        let correction = Correction { region: Some("NC".into()), rate_center: Some("CARY".into()), ported_in: None };
        let before = entry(&*store, 0).await.area;
        assert_ne!(step(Act::Correct(correction), None, 130).await.1.area, before);
        assert_ne!(site, another);
        clean(&*store).await;
    }

    /// A number that is released early is released by time at its new end, and not before its floor.
    async fn an_early_release_has_a_floor(opener) {
        let (store, ..) = seeded(opener).await;
        store.accept(order(1, 1, disconnect([0]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let floor = store.facts(number(0)).await.expect("read").expect("there").history.floor_at().expect("known");
        let early = |release_at| new(Act::ReleaseEarly { release_at }, [0], None, at(20));
        let below = made(&*store, early(Some(floor.plus_millis(-1)))).await;
        assert_eq!(below.refused, [(Refused::UnderFloor, 1)].into());
        let asked = early(None).asked;
        let Acted::Waits(plan) = store.act(asked, None, None, at(20), policy()).await.expect("tried") else {
            panic!("done alone")
        };
        let approved = approve(&*store, "other", &plan, true, at(30)).await;
        assert!(matches!(approved, PlanApproved::Applied(PlanApplied::Done { .. })), "{approved:?}");
        assert_eq!(entry(&*store, 0).await.standing.ends_at(), Some(floor));
        release(&*store, floor.plus_millis(-1), 10).await;
        assert_eq!(state(&*store, 0).await, State::Aging);
        release(&*store, floor, 10).await;
        assert_eq!(state(&*store, 0).await, State::Available);
        clean(&*store).await;
    }

    /// What cannot be undone whole waits as a plan, by which the rest may be undone.
    async fn an_undo_in_part_waits_as_a_plan(opener) {
        let (store, site, _) = seeded(opener).await;
        let id = store.accept(order(1, 1, disconnect([0, 1]))).await.expect("accepted").id;
        run_all(&*store, at(10)).await;
        store.accept(order(20, 1, activate([1], site))).await.expect("accepted");
        run_all(&*store, at(30)).await;
        let whole = store.undo(id, false, author("maker", "r"), None, at(40), policy()).await.expect("tried");
        let Undone::Incomplete(plan) = whole else { panic!("{whole:?}") };
        assert_eq!((plan.counts.go, &plan.target), (1, &json!({ "order": id.to_string() })));
        assert!(store.undone_by(vec![id]).await.expect("read").is_empty());
        let applied = done(&*store, &plan, at(50)).await;
        let (by, _) = applied.done.expect("done").order.expect("an order");
        assert_eq!(state(&*store, 0).await, State::InService);
        assert_eq!(store.undone_by(vec![by, id]).await.expect("read"), [(id, vec![by])].into());
        clean(&*store).await;
    }

    /// Of two who apply a plan at once on two handles, one does it. Both are told that it is done.
    async fn a_plan_that_two_apply_at_once_is_done_once(opener) {
        let (store, ..) = seeded(opener).await;
        store.close().await;
        let (one, two) = opener.open_twice().await;
        for n in 0..5 {
            let plan = made(&*one, new(leaving(), [2 * n, 2 * n + 1], Some(1), at(10))).await;
            let (first, second) = tokio::join!(apply(&*one, &plan, at(20)), apply(&*two, &plan, at(20)));
            let again = |applied: PlanApplied| match applied {
                PlanApplied::Done { again, plan } => (again, plan.done),
                other => panic!("{other:?}"),
            };
            let (first, second) = (again(first), again(second));
            assert_ne!(first.0, second.0);
            assert_eq!(first.1, second.1, "the same order");
        }
        clean(&*one).await;
        clean(&*two).await;
    }

    /// A plan beside disconnects of the same numbers is done exactly or not at all.
    async fn a_plan_beside_disconnects_is_exact(opener) {
        let (store, ..) = seeded(opener).await;
        store.close().await;
        let (one, two) = opener.open_twice().await;
        for n in 0..5 {
            let numbers = [2 * n, 2 * n + 1];
            let plan = made(&*one, new(Act::Lock, numbers, Some(1), at(10))).await;
            let sent = order(11, 1, disconnect([numbers[1]]));
            let disconnect = async {
                let id = two.accept(sent).await.expect("accepted").id;
                run_all(&*two, at(20)).await;
                id
            };
            let (applied, id) = tokio::join!(apply(&*one, &plan, at(20)), disconnect);
            run_all(&*one, at(30)).await;
            let ended = one.order_by_id(id).await.expect("read").expect("there").status;
            let locked = [entry(&*one, numbers[0]).await.locked, entry(&*one, numbers[1]).await.locked];
            match applied {
                PlanApplied::Done { .. } => assert_eq!((ended, locked), (Status::Failed, [true, true])),
                PlanApplied::Changed { .. } => assert_eq!((ended, locked), (Status::Complete, [false, false])),
                other => panic!("{other:?}"),
            }
        }
        clean(&*two).await;
    }

    /// A plan that one takes back while another one agrees to it and applies it is either withdrawn or done.
    async fn a_plan_is_withdrawn_or_done_and_never_both(opener) {
        let (store, ..) = seeded(opener).await;
        store.close().await;
        let (one, two) = opener.open_twice().await;
        for n in 0..5 {
            let plan = made(&*one, new(Act::Purge { name: None }, [n], Some(1), at(10))).await;
            let (approved, withdrawn) =
                tokio::join!(approve(&*one, "other", &plan, true, at(20)), withdraw(&*two, &plan, at(20)));
            let ended = kept(&*one, plan.id).await.state(at(30));
            match (approved, withdrawn) {
                (PlanApproved::Applied(PlanApplied::Done { .. }), PlanWithdrawn::Over(_)) => {
                    assert_eq!((ended, state(&*two, n).await), (PlanState::Applied, State::Removed));
                }
                (PlanApproved::Refused(NotApproved::Over, _), PlanWithdrawn::Done(_)) => {
                    assert_eq!((ended, state(&*two, n).await), (PlanState::Withdrawn, State::InService));
                }
                other => panic!("{other:?}"),
            }
        }
        clean(&*one).await;
    }

    /// Two unlocks at once do not pass the limit because neither sees the other one.
    async fn unlocks_at_once_are_counted_together(opener) {
        let (store, ..) = seeded(opener).await;
        let lock = made(&*store, new(Act::Lock, 0..20, None, at(10))).await;
        done(&*store, &lock, at(11)).await;
        store.close().await;
        let (one, two) = opener.open_twice().await;
        let eight = made(&*one, new(Act::Unlock, 0..8, None, at(12))).await;
        done(&*one, &eight, at(13)).await;
        let unlock = async |store: &dyn Store, numbers: [u64; 2]| {
            let mut done = 0;
            for n in numbers {
                let asked = Asked { author: author("applier", "r"), ..new(Act::Unlock, [n], None, at(14)).asked };
                let acted = store.act(asked, None, None, at(14), policy()).await.expect("tried");
                done += usize::from(matches!(acted, Acted::Done { .. }));
            }
            done
        };
        let (first, second) = tokio::join!(unlock(&*one, [8, 9]), unlock(&*two, [10, 11]));
        assert_eq!(first + second, 2);
        clean(&*one).await;
    }
}
