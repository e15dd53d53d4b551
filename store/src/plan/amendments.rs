//! What a client changes in an order that waits for numbers.

use onhook_core::notify::notification::Subscriber;
use onhook_core::order::amend::{Amendment, NotWaiting, amend, difference};
use onhook_core::order::{Order, Status};
use onhook_core::time::Timestamp;

use super::step::OrderWrite;
use super::tell::{About, NewNotification, tell};

/// What an amendment writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Writes {
    /// The order.
    pub order: OrderWrite,
    /// The line in its history, in words, when it goes on waiting and something in it changed.
    pub difference: Option<String>,
    /// Who is told that it has ended.
    pub notifications: Vec<NewNotification>,
}

/// Plans an amendment of an order, whose account has these subscribers, at `at`.
///
/// # Errors
/// [`NotWaiting`]: the order has not run yet, or has ended and never changes again.
pub fn amendment(
    before: &Order,
    amendment: &Amendment,
    subscribers: &mut [Subscriber],
    at: Timestamp,
) -> Result<Writes, NotWaiting> {
    let after = amend(before, amendment, at)?;
    let ended = after.status.is_final();
    let about = About { kind: after.request.kind(), order: after.seq, status: after.status };
    let notifications = if ended { tell(subscribers, about, None, at) } else { Vec::new() };
    let difference = difference(before, &after).filter(|_| !ended);
    let before: Status = before.status;
    Ok(Writes { order: OrderWrite { before, after }, difference, notifications })
}
