//! Notifications: the document of a callback and the text of a mail (contract §5.2).

use std::fmt::Write;

use onhook_core::ids::SubscriptionId;
use onhook_core::notify::notification::Notification;
use onhook_core::notify::subscription::{NumberFormat, OrderType};
use onhook_core::number::Number;
use onhook_core::order::{Kind, Order, Status};

use super::dialect::Dialect;
use super::lists::{ending, waiting};
use crate::error::number_list;
use crate::text::xml::Document;

/// The content type of a callback.
pub const CONTENT_TYPE: &str = "application/xml; charset=utf-8";
/// Most numbers of an order that a mail names.
const MAIL_NUMBERS_MAX: usize = 100;

/// Returns the words about an order in a status.
#[must_use]
pub fn message(order: &Order, status: Status) -> String {
    match status {
        Status::Received => {
            "Order request received. Please use the order id to check the status of your order later.".into()
        }
        Status::Backordered => waiting(order.taken.len()).into(),
        // An order that has ended keeps its status.
        Status::Complete | Status::Partial | Status::Failed => ending(order).unwrap_or_default(),
    }
}

/// Returns the document that is sent to a URL.
#[must_use]
pub fn document(subscription: SubscriptionId, format: NumberFormat, told: &Notification) -> String {
    let order = &told.order;
    let mut out = Document::new();
    out.open("Notification").leaf("Status", told.status.word()).leaf_display("SubscriptionId", subscription);
    out.leaf("Message", &message(order, told.status)).leaf_display("OrderId", order.id);
    if let Some(id) = &order.customer_order_id {
        out.leaf("CustomerOrderId", id);
    }
    if let Some(orders) = OrderType::of(order.request.kind()) {
        out.leaf("OrderType", orders.word());
    }
    if let Some(note) = &told.note {
        out.leaf("Note", note);
    }
    let numbers = completed(told);
    if !numbers.is_empty() {
        match format {
            NumberFormat::Legacy => number_list(&mut out, "CompletedTelephoneNumbers", Dialect::V1, numbers),
            NumberFormat::E164 => number_list(&mut out, "CompletedTelephoneNumbers", Dialect::V2, numbers),
        }
    }
    out.leaf_display("LastModifiedDate", told.at).close("Notification");
    out.finish()
}

/// Returns the numbers that succeeded, if the order has ended.
fn completed(told: &Notification) -> Vec<Number> {
    if told.status.is_final() { told.order.done().collect() } else { Vec::new() }
}

/// Returns the subject of a mail about these notifications.
#[must_use]
pub fn mail_subject(told: &[Notification]) -> String {
    match told {
        [one] => {
            let kind = kind(one.order.request.kind());
            format!("{kind} order {}: {}", one.order.id, one.status)
        }
        many => format!("{} notifications of orders", many.len()),
    }
}

/// Returns the text of a mail about these notifications.
#[must_use]
pub fn mail(subscription: SubscriptionId, told: &[Notification]) -> String {
    let mut out = String::new();
    for one in told {
        let order = &one.order;
        let _ = writeln!(out, "{} order {}: {}", kind(order.request.kind()), order.id, one.status);
        if let Some(id) = &order.customer_order_id {
            let _ = writeln!(out, "Customer order id: {id}");
        }
        let _ = writeln!(out, "{}", message(order, one.status));
        if let Some(note) = &one.note {
            let _ = writeln!(out, "Note: {note}");
        }
        let numbers = completed(one);
        if !numbers.is_empty() {
            let _ = writeln!(out, "Completed telephone numbers:");
        }
        for number in numbers.iter().take(MAIL_NUMBERS_MAX) {
            let _ = writeln!(out, "  {number}");
        }
        if numbers.len() > MAIL_NUMBERS_MAX {
            let _ = writeln!(out, "  and {} more", numbers.len() - MAIL_NUMBERS_MAX);
        }
        let _ = writeln!(out, "At: {}\n", one.at);
    }
    let _ = writeln!(out, "Subscription {subscription}");
    out
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Disconnect => "Disconnect",
        Kind::Number => "Number",
        Kind::Move => "Move",
    }
}
