//! What a client may change in an order that waits for numbers.
//!
//! Not here: how a waiting order takes numbers (`decide`).

use crate::order::{Order, Status, ended};
use crate::time::Timestamp;

/// A change of an order that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Its new name.
    pub name: Option<String>,
    /// The client's new id for it.
    pub customer_order_id: Option<String>,
    /// True if it stops waiting.
    pub close: bool,
}

/// An order that does not wait cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only an order that waits for numbers can be changed")]
pub struct NotWaiting;

/// Returns the order after an amendment at `now`. A closed order ends with the numbers it has.
///
/// # Errors
/// [`NotWaiting`] if it has not run yet, or has ended.
pub fn amend(order: &Order, amendment: &Amendment, now: Timestamp) -> Result<Order, NotWaiting> {
    if order.status != Status::Backordered {
        return Err(NotWaiting);
    }
    let total = order.request.quantity();
    Ok(Order {
        name: amendment.name.clone().or_else(|| order.name.clone()),
        customer_order_id: amendment.customer_order_id.clone().or_else(|| order.customer_order_id.clone()),
        status: if amendment.close { ended(total, total - order.taken.len()) } else { order.status },
        changed_at: now,
        ..order.clone()
    })
}

/// Returns what a client changed in an order, in the API's words: `CustomerOrderId : "" --> hello` (contract §3.3).
#[must_use]
pub fn difference(before: &Order, after: &Order) -> Option<String> {
    let changed = |what, before: &Option<String>, after: &Option<String>| {
        let quoted = before.as_deref().map_or("\"\"".to_owned(), str::to_owned);
        (before != after).then(|| format!("{what} : {quoted} --> {}", after.as_deref().unwrap_or_default()))
    };
    let id = changed("CustomerOrderId", &before.customer_order_id, &after.customer_order_id);
    let name = changed("Name", &before.name, &after.name);
    match (id, name) {
        (Some(id), Some(name)) => Some(format!("{id}, {name}")),
        (id, name) => id.or(name),
    }
}
