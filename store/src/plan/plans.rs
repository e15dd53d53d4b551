//! Plans that are kept: made of a decision, decided again when they are applied, approved, and ended.

use std::collections::HashSet;

use onhook_core::account::user::Right;
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::ids::{OrderId, OrderSeq, PlanId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::{Author, Credential, Doer};
use onhook_core::number::Number;
use onhook_core::order::Status;
use onhook_core::order::decided::Decisions;
use onhook_core::order::plan::{
    Done, KeptPlan, NotApproved, PlanState, PlannedHold, Signed, TWO_PERSONS_LIVES_MS, TwoPerson, Warned,
    may_approve,
};
use onhook_core::setting::Values;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

use super::acts::{Loaded, NotApplied, Writes, apply as act, plan};
use crate::contract::acts::{Asked, Plan, Warning};
use crate::contract::plans::{Approving, NewPlan, PlanApplied, PlanApproved, PlanWithdrawn};
use crate::contract::settings::Chosen;
use crate::contract::users::User;

/// What a plan needs beside what its act loads.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// How many numbers its user has unlocked lately.
    pub unlocked: u64,
    /// For what two persons are needed.
    pub two_person: TwoPerson,
    /// How long a plan lives that needs no second person, in milliseconds.
    pub lives_ms: i64,
}

impl Around {
    /// Returns what a plan needs of a user who has unlocked so many numbers lately, by what an operator has set.
    #[must_use]
    pub fn of(unlocked: u64, chosen: &[Chosen]) -> Self {
        let values = Values::of(chosen.iter().map(|chosen| (chosen.setting, &chosen.value)));
        let lives_ms = i64::from(values.plan_expires_seconds) * 1_000;
        Self { unlocked, two_person: values.two_person, lives_ms }
    }
}

fn warned(one: Warning) -> Warned {
    Warned { code: one.word().to_owned(), detail: one.sentence() }
}

/// Writes what would happen into a plan.
fn decide(kept: &mut KeptPlan, shown: &Plan) {
    kept.hash.clone_from(&shown.hash);
    kept.counts = shown.counts;
    kept.refused.clone_from(&shown.refused);
    let hold = |(group, numbers): (&crate::contract::acts::HoldGroup, &usize)| PlannedHold {
        profile: group.profile.clone(),
        class: group.class,
        days: group.days,
        release_at: group.release_at,
        numbers: *numbers,
    };
    kept.holds = shown.holds.iter().map(hold).collect();
    // What was handed in stays so.
    let reported = Warning::AlreadyReported(0).word();
    kept.warnings.retain(|one| one.code == reported && shown.counts.go > 0);
    kept.warnings.extend(shown.warnings.iter().cloned().map(warned));
    kept.decisions = Decisions::of(&shown.items);
}

/// Returns the plan of an act of which this would happen.
#[must_use]
pub fn keep(id: PlanId, new: &NewPlan, shown: &Plan, around: Around) -> KeptPlan {
    let NewPlan { asked, target, series, reported } = new;
    let made = Signed::by(&asked.author, asked.made_at);
    let two_persons = around.two_person.needed(&asked.act, shown.counts.go, around.unlocked);
    let lives = if two_persons { TWO_PERSONS_LIVES_MS } else { around.lives_ms };
    let mut kept = KeptPlan {
        id,
        act: asked.act.clone(),
        account: asked.account,
        target: target.clone(),
        series: series.clone(),
        expires_at: made.at.plus_millis(lives),
        made,
        ended: None,
        hash: String::new(),
        earlier: Vec::new(),
        counts: shown.counts,
        refused: shown.refused.clone(),
        holds: Vec::new(),
        warnings: Vec::new(),
        two_persons,
        approvals: Vec::new(),
        done: None,
        decisions: Decisions::default(),
    };
    let reported: HashSet<&Number> = reported.iter().collect();
    let reported = shown.going().filter(|(number, _)| reported.contains(number)).count();
    kept.warnings.extend(Some(reported).filter(|count| *count > 0).map(Warning::AlreadyReported).map(warned));
    decide(&mut kept, shown);
    kept
}

/// Returns the plan of an act, by what is loaded now.
#[must_use]
pub fn make(
    id: PlanId,
    new: &NewPlan,
    loaded: &Loaded,
    around: Around,
    policy: &Policy,
    now: Timestamp,
) -> KeptPlan {
    let expires_at = new.asked.made_at.plus_millis(around.lives_ms);
    let asked = Asked { expires_at, ..new.asked.clone() };
    keep(id, new, &plan(&asked, loaded, policy, now), around)
}

/// Returns the plan of an act that was to be done at once, if it has to wait for a second person. `None` if it has not,
/// or if no number goes.
#[must_use]
pub fn waits(
    id: PlanId,
    asked: &Asked,
    loaded: &Loaded,
    around: Around,
    policy: &Policy,
    now: Timestamp,
) -> Option<KeptPlan> {
    let numbers: Vec<String> = asked.numbers.iter().map(ToString::to_string).collect();
    let new = NewPlan {
        asked: asked.clone(),
        target: json!({ "numbers": numbers }),
        series: None,
        reported: Vec::new(),
    };
    let kept = make(id, &new, loaded, around, policy, now);
    (kept.two_persons && kept.counts.go > 0).then_some(kept)
}

/// Returns the target of the plan that undoes an order.
#[must_use]
pub fn undone(order: OrderId) -> Value {
    json!({ "order": order.to_string() })
}

/// Returns a plan with what was done by it.
#[must_use]
pub fn done(
    mut kept: KeptPlan,
    author: &Author,
    order: Option<(OrderId, Status)>,
    now: Timestamp,
) -> KeptPlan {
    kept.ended = Some((PlanState::Applied, Signed::by(author, now)));
    kept.done = Some(Done { went: kept.counts.go, order });
    kept
}

/// Returns what a person asks who applies a plan: the same act, under the plan and for its reason.
#[must_use]
pub fn asked(kept: &KeptPlan, author: Author) -> Asked {
    let mut author = author;
    author.under.plan = Some(kept.id);
    author.under.reason = kept.made.reason.as_deref().map(Into::into);
    Asked {
        act: kept.act.clone(),
        account: kept.account,
        numbers: kept.decisions.numbers(),
        remaining: kept.counts.remaining,
        author,
        made_at: kept.made.at,
        expires_at: kept.expires_at,
    }
}

/// Returns what comes of applying a plan before anything else is looked at, if that is clear.
#[must_use]
pub fn settled(kept: &KeptPlan, hash: &str, now: Timestamp) -> Option<PlanApplied> {
    if !kept.knows(hash) {
        return Some(PlanApplied::WrongHash);
    }
    match kept.state(now) {
        PlanState::Open => None,
        PlanState::Applied if kept.hash == hash => {
            Some(PlanApplied::Done { plan: Box::new(kept.clone()), again: true })
        }
        PlanState::Applied | PlanState::Expired | PlanState::Withdrawn => {
            Some(PlanApplied::Over(Box::new(kept.clone())))
        }
    }
}

/// Decides again, and returns what came of it with what is written, if it was done. The plan in it is written in any
/// case.
#[must_use]
pub fn apply(
    mut kept: KeptPlan,
    asked: &Asked,
    loaded: Loaded,
    (hash, ids): (&str, Option<(OrderSeq, OrderId)>),
    around: Around,
    policy: &Policy,
    now: Timestamp,
) -> (PlanApplied, Option<Writes>) {
    let shown = plan(asked, &loaded, policy, now);
    let otherwise = kept.decisions.otherwise(&Decisions::of(&shown.items));
    if shown.hash != kept.hash {
        let before = std::mem::take(&mut kept.hash);
        if !kept.earlier.contains(&before) {
            kept.earlier.push(before);
        }
        kept.approvals.clear();
    }
    decide(&mut kept, &shown);
    kept.two_persons = around.two_person.needed(&asked.act, shown.counts.go, around.unlocked);
    if kept.two_persons {
        kept.expires_at = kept.made.at.plus_millis(TWO_PERSONS_LIVES_MS);
    }
    let plan = Box::new(kept);
    if shown.hash != hash {
        return (PlanApplied::Changed { plan, otherwise }, None);
    }
    if shown.counts.go == 0 {
        return (PlanApplied::Nothing(plan), None);
    }
    if plan.two_persons && !plan.is_approved() {
        return (PlanApplied::ApprovalNeeded(plan), None);
    }
    match act(asked, loaded, Some(hash), ids, policy, now) {
        Ok((_, writes)) => {
            let order = match &writes {
                Writes::Order(run) => run.1.orders.first().map(|write| (write.after.id, write.after.status)),
                Writes::Events(_) => None,
            };
            let plan = Box::new(done(*plan, &asked.author, order, now));
            (PlanApplied::Done { plan, again: false }, Some(writes))
        }
        // The same decision was made a moment ago, of the same values.
        Err(NotApplied::Changed(_) | NotApplied::Nothing(_)) => (PlanApplied::Nothing(plan), None),
    }
}

/// Lets a person agree to a plan. Returns it with what is recorded of that, if it is new. `user` is that person as the
/// transaction finds them: a user who was removed a moment ago, or has lost the right, agrees to nothing.
///
/// # Errors
/// What came of it, if nothing is written.
pub fn approve(
    mut kept: KeptPlan,
    Approving { hash, author, .. }: &Approving,
    user: Option<&User>,
    now: Timestamp,
) -> Result<(KeptPlan, Option<Deed>), PlanApproved> {
    // Someone at the machine is an operator, and no user.
    let at_machine = matches!(author.under.credential, Some(Credential::Socket | Credential::Offline));
    if !at_machine && !user.is_some_and(|user| agrees(&kept, user)) {
        return Err(PlanApproved::Refused(NotApproved::NotAllowed, Box::new(kept)));
    }
    match kept.approve(hash, Signed::by(author, now)) {
        Ok(new) => {
            let deed = new.then(|| deed(&kept, DeedKind::PlanApproved, author, now));
            Ok((kept, deed))
        }
        Err(why) => Err(PlanApproved::Refused(why, Box::new(kept))),
    }
}

/// Returns whether a user may agree to a plan.
fn agrees(kept: &KeptPlan, user: &User) -> bool {
    let of_it = user.account.is_none() || user.account == kept.account;
    !user.is_closed && of_it && may_approve(&kept.act, user.role, user.rights.has(Right::Unlock))
}

/// Returns what is recorded of a plan that was done, by an order if it became one.
#[must_use]
pub fn applied(plan: &KeptPlan, author: &Author, order: Option<OrderSeq>, now: Timestamp) -> Deed {
    let went = plan.done.as_ref().map_or(0, |done| done.went);
    let deed = deed(plan, DeedKind::PlanApplied, author, now).with("went", went);
    Deed { order, ..deed }
}

fn deed(plan: &KeptPlan, kind: DeedKind, author: &Author, now: Timestamp) -> Deed {
    let doer = Doer { author: author.clone(), now };
    let deed = Deed::by(&doer, kind).about(plan.account).plan(plan.id);
    deed.with("act", plan.act.word()).with("hash", plan.hash.clone())
}

/// Takes a plan back for a person.
#[must_use]
pub fn withdraw(mut kept: KeptPlan, author: &Author, now: Timestamp) -> PlanWithdrawn {
    let withdrawn = kept.withdraw(Signed::by(author, now));
    let plan = Box::new(kept);
    if withdrawn { PlanWithdrawn::Done(plan) } else { PlanWithdrawn::Over(plan) }
}
