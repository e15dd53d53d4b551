//! Amendments: changes that a client makes to an order that waits for numbers.

use std::collections::HashMap;

use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Exchange;
use onhook_core::notify::notification::Subscriber;
use onhook_core::number::Number;
use onhook_core::order::Order;
use onhook_core::order::amend::{Amendment, NotWaiting, amend, difference};
use onhook_core::time::Timestamp;

use super::origin::origin;
use super::step::OrderWrite;
use super::tell::{About, NewNotification, tell};

/// What an amendment needs, loaded from the store.
#[derive(Debug)]
pub struct Loaded {
    /// The order.
    pub order: Order,
    /// The numbers that it has taken.
    pub entries: HashMap<Number, Entry>,
    /// The areas of these numbers.
    pub areas: HashMap<AreaId, Area>,
    /// The known exchanges of these numbers, by their six digits.
    pub exchanges: HashMap<u32, Exchange>,
    /// The subscribers of the order's account.
    pub subscribers: Vec<Subscriber>,
}

/// What an amendment writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Writes {
    /// The order.
    pub order: OrderWrite,
    /// The line for its history, if it goes on waiting and something in it changed.
    pub difference: Option<String>,
    /// Notifications of its end.
    pub notifications: Vec<NewNotification>,
}

/// Plans an amendment of an order at `now`, or when the order last changed if that is later.
///
/// # Errors
/// [`NotWaiting`]: the order has not run yet, or it has ended and can no longer change.
pub fn amendment(loaded: Loaded, amendment: &Amendment, now: Timestamp) -> Result<Writes, NotWaiting> {
    let Loaded { order: before, entries, areas, exchanges, mut subscribers } = loaded;
    let at = now.max(before.changed_at);
    let mut after = amend(&before, amendment, at)?;
    after.origin = origin(&after, &entries, &areas, &exchanges);
    let ended = after.status.is_final();
    let notifications =
        if ended { tell(&mut subscribers, About::order(&after), None, at) } else { Vec::new() };
    let difference = difference(&before, &after).filter(|_| !ended);
    Ok(Writes { order: OrderWrite { before: before.status, after }, difference, notifications })
}
