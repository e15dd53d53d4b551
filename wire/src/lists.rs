//! Lists of orders (contract §1.4 and §3.3).

use onhook_core::order::{Kind, Order, Status};

use crate::error::Problem;
use crate::query::{Links, Query};
use crate::xml::Document;

const ROOT: &str = "ResponseSelectWrapper";
const LIST: &str = "ListOrderIdUserIdDate";

/// Which orders a list is narrowed to by their status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrowed {
    /// All.
    Not,
    /// Those in this status.
    To(Status),
    /// Back-ordered ones, of which there are none: no order here can ask for that.
    ToNone,
}

/// The status that a list is to be narrowed to.
///
/// # Errors
/// When it is none that an order of this kind ends with.
pub fn status(query: &Query, kind: Kind) -> Result<Narrowed, Problem> {
    let Some(text) = query.get("status")? else { return Ok(Narrowed::Not) };
    match (text.to_ascii_uppercase().parse(), kind) {
        (Ok(status), _) if status != Status::Received => Ok(Narrowed::To(status)),
        (_, Kind::Number) if text.eq_ignore_ascii_case("backordered") => Ok(Narrowed::ToNone),
        (_, Kind::Number) => Err(Problem::OrderStatus),
        (_, Kind::Disconnect) => Err(Problem::DisconnectStatus),
    }
}

/// A page of a list of orders.
#[must_use]
pub fn orders(kind: Kind, orders: &[Order], total: u64, links: &Links) -> String {
    let mut out = Document::new();
    out.open(ROOT).open(LIST).leaf_display("TotalCount", total);
    links.write(&mut out);
    for order in orders {
        entry(&mut out, kind, order);
    }
    out.close(LIST).close(ROOT);
    out.finish()
}

/// How many orders there are.
#[must_use]
pub fn totals(total: u64) -> String {
    let mut out = Document::new();
    out.open(ROOT).open(LIST).leaf_display("TotalCount", total).close(LIST).close(ROOT);
    out.finish()
}

fn entry(out: &mut Document, kind: Kind, order: &Order) {
    // The id is written with a capital in one list and without in the other (contract: decision 7).
    let (id, order_type) = match kind {
        Kind::Disconnect => ("OrderId", "disconnect"),
        Kind::Number => ("orderId", "new_number"),
    };
    out.open("OrderIdUserIdDate");
    out.leaf_display("accountId", order.account);
    out.leaf_display("CountOfTNs", order.request.numbers().len());
    if let Some(customer_order_id) = &order.customer_order_id {
        out.leaf("CustomerOrderId", customer_order_id);
    }
    out.leaf("userId", &order.user).leaf_display("lastModifiedDate", order.changed_at);
    out.leaf_display(id, order.id).leaf("OrderType", order_type);
    out.leaf_display("OrderDate", order.created_at).leaf("OrderStatus", order.status.word());
    out.empty("TelephoneNumberDetails").close("OrderIdUserIdDate");
}
