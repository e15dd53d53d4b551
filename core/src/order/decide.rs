//! Judges an order: which of its numbers change, which do not and why.
//!
//! Pure: the same order against the same world gives the same decision, in a store's transaction, in a test and in a
//! simulation. Ownership is judged here, when the order runs. Accepting an order does not judge it.

use std::collections::HashMap;

use crate::account::{Account, Place, Premises};
use crate::ids::AreaId;
use crate::lifecycle::area::Area;
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{Change, Transition};
use crate::lifecycle::hold::hold;
use crate::lifecycle::policy::Policy;
use crate::number::Number;
use crate::order::{
    Activate, Disconnect, Failure, Mode, MoveNumbers, Order, Refusal, Request, Search, Status, Wanted, ended,
};
use crate::time::Timestamp;

/// What an order is judged against: everything it may change, as it is now.
#[derive(Debug)]
pub struct World<'a> {
    /// The order's account.
    pub account: &'a Account,
    /// Its sites and peers.
    pub premises: &'a Premises,
    /// The entries of the numbers that the order names. Numbers that do not exist are absent.
    pub entries: &'a HashMap<Number, Entry>,
    /// Pool numbers that fit the order's search: as many as it still wants, or all there are.
    pub found: &'a [Entry],
    /// The areas of those entries.
    pub areas: &'a HashMap<AreaId, Area>,
    /// Hold profiles and the operator's time zone.
    pub policy: &'a Policy,
}

/// What an order does. A store writes all of it at once, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The changes of its numbers.
    pub transitions: Vec<Transition>,
    /// The named numbers that failed.
    pub failed: Vec<Failure>,
    /// Why an order that searches takes no more, if another reason than too few numbers stopped it.
    pub refused: Option<Refusal>,
    /// The order's new status: how it ends, or that it waits.
    pub status: Status,
}

impl Decision {
    /// Returns the decision for an order that crashed its worker too often: every number fails.
    #[must_use]
    pub fn set_aside(request: &Request) -> Decision {
        let why = Refusal::SetAside;
        let failed = request.numbers().iter().map(|number| Failure { number: *number, why }).collect();
        let refused = request.search().map(|_| why);
        Decision { transitions: Vec::new(), failed, refused, status: Status::Failed }
    }
}

/// Returns the order after a decision at `now`. Its origin stays as it is: only the store knows it.
#[must_use]
pub fn decided(order: Order, decision: &Decision, now: Timestamp) -> Order {
    let mut after = Order {
        status: decision.status,
        changed_at: now,
        failed: decision.failed.clone(),
        refused: decision.refused,
        ..order
    };
    if after.request.search().is_some() {
        after.taken.extend(decision.transitions.iter().map(|moved| moved.after.number));
    }
    if let Request::Activate(Activate { peer: None, .. }) = after.request {
        let places = decision.transitions.iter().filter_map(|moved| moved.after.standing.place());
        after.peers.extend(places.map(|place| place.peer));
        after.peers.sort_unstable();
        after.peers.dedup();
    }
    after
}

/// Judges `order` at `now`.
#[must_use]
pub fn decide(order: &Order, world: &World<'_>, now: Timestamp) -> Decision {
    match &order.request {
        Request::Activate(activate) => match &activate.wanted {
            Wanted::Named { numbers, .. } => {
                each(numbers, activate.partial_allowed, |number| judge(&order.request, number, world, now))
            }
            Wanted::Found(search) => take(order, activate, search, world),
        },
        request => each(request.numbers(), true, |number| judge(request, number, world, now)),
    }
}

/// Judges one number that a request names, at `now`. What becomes of the other numbers does not matter to it.
///
/// # Errors
/// Why it does not change. A request that searches changes no named number.
pub fn judge(
    request: &Request,
    number: Number,
    world: &World<'_>,
    now: Timestamp,
) -> Result<Transition, Refusal> {
    match request {
        Request::Disconnect(disconnect) => judge_disconnect(disconnect, number, world, now),
        Request::Move(to_move) => judge_move(to_move, number, world),
        Request::Activate(Activate { wanted: Wanted::Found(_), .. }) => Err(Refusal::Unavailable),
        Request::Activate(activate) => judge_activate(activate, world.entries.get(&number), world),
    }
}

/// Judges each of the numbers. If one fails and the client wants all or none, all fail.
fn each(
    numbers: &[Number],
    partial_allowed: bool,
    mut judge: impl FnMut(Number) -> Result<Transition, Refusal>,
) -> Decision {
    let mut transitions = Vec::with_capacity(numbers.len());
    let mut failed = Vec::new();
    for number in numbers {
        match judge(*number) {
            Ok(step) => transitions.push(step),
            Err(why) => failed.push(Failure { number: *number, why }),
        }
    }
    if !partial_allowed && !failed.is_empty() {
        let held_back =
            transitions.drain(..).map(|m| Failure { number: m.after.number, why: Refusal::AllOrNone });
        failed.extend(held_back);
    }
    let status = ended(numbers.len(), failed.len());
    Decision { transitions, failed, refused: None, status }
}

/// Takes found numbers, up to as many as the order still wants. If there are too few (contract §3.2):
///
/// | back order | partial allowed | takes | and is |
/// |---|---|---|---|
/// | yes | yes | what there is | BACKORDERED |
/// | yes | no | nothing | BACKORDERED |
/// | no | yes | what there is | PARTIAL, or FAILED with nothing |
/// | no | no | nothing | FAILED |
fn take(order: &Order, activate: &Activate, search: &Search, world: &World<'_>) -> Decision {
    let left = search.quantity.saturating_sub(order.taken.len());
    let mut transitions = Vec::with_capacity(left);
    // An order of a closed account does not wait for numbers that it would not get.
    let mut refused = world.account.is_closed().then_some(Refusal::Unavailable);
    for entry in world.found.iter().take(left) {
        match judge_activate(activate, Some(entry), world) {
            Ok(step) => transitions.push(step),
            Err(why) => refused = Some(why),
        }
    }
    let short = transitions.len() < left;
    if short && !activate.partial_allowed {
        transitions.clear();
    }
    let status = if !short {
        Status::Complete
    } else if search.back_order && refused.is_none() {
        // A reason that refuses one number refuses the next one too, so an order with one does not wait.
        Status::Backordered
    } else {
        ended(search.quantity, left - transitions.len())
    };
    Decision { transitions, failed: Vec::new(), refused: refused.filter(|_| short), status }
}

fn judge_disconnect(
    disconnect: &Disconnect,
    number: Number,
    world: &World<'_>,
    now: Timestamp,
) -> Result<Transition, Refusal> {
    let before = world.entries.get(&number).ok_or(Refusal::NotInService)?;
    before.standing.in_service_on(world.account.id).ok_or(Refusal::NotInService)?;
    if before.locked {
        return Err(Refusal::Locked);
    }
    let protected = disconnect.protected.and_then(|p| p.value());
    if protected == Some(true) && number.is_toll_free() {
        return Err(Refusal::TollFreeProtected);
    }
    let change = match disconnect.mode {
        Mode::Purge => Change::Purged { protected },
        Mode::Normal | Mode::SoftRemove => {
            let area = world.areas.get(&before.area).expect("the store loads the area of each entry");
            Change::Disconnected {
                hold: hold(world.policy, number, world.account.class, area, now),
                leaves: disconnect.mode == Mode::SoftRemove || world.policy.profile(number).leaves,
                protected,
            }
        }
    };
    step(before, change)
}

fn judge_move(to_move: &MoveNumbers, number: Number, world: &World<'_>) -> Result<Transition, Refusal> {
    let account = world.account.id;
    let before = world.entries.get(&number).ok_or(Refusal::NotMovable)?;
    before.standing.in_service_on(account).ok_or(Refusal::NotMovable)?;
    let place = world.premises.place(account, to_move.site, to_move.peer)?;
    step(before, Change::Moved { place })
}

fn judge_activate(
    activate: &Activate,
    entry: Option<&Entry>,
    world: &World<'_>,
) -> Result<Transition, Refusal> {
    let account = world.account.id;
    if world.account.is_closed() {
        return Err(Refusal::Unavailable);
    }
    let before = entry.ok_or(Refusal::Unavailable)?;
    let former = match before.standing {
        Standing::Available => None,
        Standing::Reserved { account: holder, .. } if holder == account => None,
        Standing::Protected { account: owner } if owner == account => None,
        Standing::Aging { former, .. } if former.account == account => Some(former),
        _ => return Err(Refusal::Unavailable),
    };
    if activate.back.is_some() && former.is_none() {
        return Err(Refusal::Unavailable);
    }
    if activate.protected && before.number.is_toll_free() {
        return Err(Refusal::TollFreeProtected);
    }
    let place = place_for(activate, former, world)?;
    let again = activate.back.as_ref().and_then(|back| back.protected(before.number));
    let protected = again.or(activate.protected.then_some(true));
    let change = match former {
        Some(_) => Change::Reconnected { place, protected },
        None => Change::Activated { place, protected },
    };
    step(before, change)
}

/// Returns where a number goes: the order's site and peer, if they exist. In an order without a peer, a number that
/// reconnects at its former site gets its former peer. If the order's site is gone, a reconnected number goes where it
/// was, or to the account's default site.
fn place_for(activate: &Activate, former: Option<Place>, world: &World<'_>) -> Result<Place, Refusal> {
    if let (Some(_), Some(former)) = (&activate.back, former) {
        return world.premises.place_again(former).ok_or(Refusal::NoSite);
    }
    let peer = activate.peer.or_else(|| {
        let former = former.filter(|f| f.site == activate.site)?;
        world.premises.peers.iter().find(|p| Some(p.id) == former.peer && p.site == former.site).map(|p| p.id)
    });
    let asked = world.premises.place(world.account.id, activate.site, peer);
    match (asked, former) {
        (Ok(place), _) => Ok(place),
        (Err(crate::account::NoPlace::Site), Some(former)) => {
            world.premises.place_again(former).ok_or(Refusal::NoSite)
        }
        (Err(no), _) => Err(no.into()),
    }
}

fn step(before: &Entry, change: Change) -> Result<Transition, Refusal> {
    // The judges above ask only for arrows that exist. If one does not, the number is refused.
    Transition::of(before, change).map_err(|_| Refusal::Unavailable)
}
