//! Lists of orders (contract §1.4 and §3.3).

use std::collections::BTreeMap;

use onhook_core::number::Number;
use onhook_core::order::{HistoryLine, Kind, Order, Status, Summary};

use super::dialect::Dialect;
use super::query::{Links, Query};
use crate::error::{Problem, refusal, too_little};
use crate::text::xml::Document;

const ROOT: &str = "ResponseSelectWrapper";
const LIST: &str = "ListOrderIdUserIdDate";

/// Returns the status that a list is filtered by. `None` for all.
///
/// # Errors
/// If no order of this kind ends or waits with that status.
pub fn status(query: &Query, kind: Kind) -> Result<Option<Status>, Problem> {
    let Some(text) = query.get("status")? else { return Ok(None) };
    match (text.to_ascii_uppercase().parse(), kind) {
        (Ok(Status::Backordered), Kind::Number) => Ok(Some(Status::Backordered)),
        (Ok(status), _) if Status::is_final(status) => Ok(Some(status)),
        (_, Kind::Number) => Err(Problem::OrderStatus),
        (_, Kind::Disconnect | Kind::Move) => Err(Problem::DisconnectStatus),
    }
}

/// A page of a list of orders.
#[must_use]
pub fn orders(kind: Kind, orders: &[Summary], total: u64, links: &Links) -> String {
    let mut out = Document::new();
    out.open(ROOT).open(LIST).leaf_display("TotalCount", total);
    links.write(&mut out);
    for order in orders {
        entry(&mut out, kind, order);
    }
    out.close(LIST).close(ROOT);
    out.finish()
}

/// Returns the answer with the count of orders.
#[must_use]
pub fn totals(total: u64) -> String {
    let mut out = Document::new();
    out.open(ROOT).open(LIST).leaf_display("TotalCount", total).close(LIST).close(ROOT);
    out.finish()
}

fn entry(out: &mut Document, kind: Kind, order: &Summary) {
    // The id is written with a capital in one list and without in the other (contract: decision 7).
    let (id, order_type) = match kind {
        Kind::Disconnect | Kind::Move => ("OrderId", "disconnect"),
        Kind::Number => ("orderId", "new_number"),
    };
    out.open("OrderIdUserIdDate");
    out.leaf_display("accountId", order.account);
    out.leaf_display("CountOfTNs", order.numbers);
    if let Some(customer_order_id) = &order.customer_order_id {
        out.leaf("CustomerOrderId", customer_order_id);
    }
    out.leaf("userId", &order.user).leaf_display("lastModifiedDate", order.changed_at);
    out.leaf_display(id, order.id).leaf("OrderType", order_type);
    out.leaf_display("OrderDate", order.created_at).leaf("OrderStatus", order.status.word());
    out.empty("TelephoneNumberDetails").close("OrderIdUserIdDate");
}

/// Returns the answer with an order's history: that it waited and was changed, and how it ended (contract §1.3 and
/// 5520, 5521 have the words).
#[must_use]
pub fn history(order: &Order, lines: &[HistoryLine]) -> String {
    let mut out = Document::new();
    out.element("OrderHistoryWrapper", |out| {
        for HistoryLine { at, author, status, taken, difference } in lines {
            out.open("OrderHistory").leaf_display("OrderDate", at).leaf("Note", waiting(*taken));
            out.leaf("Author", author.as_deref().unwrap_or("System")).leaf("Status", status.word());
            if let Some(difference) = difference {
                out.leaf("Difference", difference);
            }
            out.close("OrderHistory");
        }
        if let Some(note) = ending(order) {
            out.open("OrderHistory").leaf_display("OrderDate", order.changed_at).leaf("Note", &note);
            out.leaf("Author", "System").leaf("Status", order.status.word()).close("OrderHistory");
        }
    });
    out.finish()
}

/// Returns the words for an order that waits for numbers (5520 and 5521).
pub(crate) fn waiting(taken: usize) -> &'static str {
    match taken {
        0 => {
            "Order Backordered - no numbers allocated, awaiting available inventory to completely fulfill order"
        }
        _ => "Order backordered - awaiting additional numbers",
    }
}

/// Returns how an order ended, in the words of its history and of its notification. `None` if it has not ended.
pub(crate) fn ending(order: &Order) -> Option<String> {
    let words = match (order.request.kind(), order.status) {
        (_, Status::Received | Status::Backordered) => return None,
        (Kind::Disconnect, Status::Complete) => "Disconnect successful.",
        (Kind::Disconnect, Status::Partial) => {
            "Disconnect partially succeeded.Please check error list in the response for further details."
        }
        (Kind::Disconnect, Status::Failed) => {
            "Disconnect failed. Please check error list in the response for further details."
        }
        (Kind::Move, Status::Complete) => "Move TNs order is complete.",
        (Kind::Move, Status::Partial) => "Move TNs order is partially complete.",
        (Kind::Move, Status::Failed) => "Move TNs order has failed.",
        (Kind::Number, Status::Complete | Status::Partial) => return Some(created(order)),
        (Kind::Number, Status::Failed) => {
            let (code, text) = order.failed.first().map_or_else(|| too_little(order), |one| refusal(one.why));
            return Some(format!("{code}: {text}"));
        }
    };
    Some(words.to_owned())
}

/// Returns the words for a number order that has brought numbers into service, and where they are from.
fn created(order: &Order) -> String {
    let count = order.done().count();
    let numbers = if count == 1 { "number" } else { "numbers" };
    let origin = order.origin.as_ref();
    let rate_center = origin.and_then(|origin| origin.rate_center.as_deref()).unwrap_or("Unknown RC");
    let region = origin.and_then(|origin| origin.region.as_deref()).unwrap_or("Unknown State");
    let others = if origin.is_some_and(|origin| origin.others) { " and others" } else { "" };
    format!("Created a new number order for {count} {numbers} from {rate_center}, {region}{others}")
}

/// How the numbers of a report are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// One line for each area code.
    AreaCode,
    /// One line for each exchange.
    Exchange,
    /// One line for all.
    Nothing,
}

/// Returns the answer with the numbers that an order has brought, one by one.
#[must_use]
pub fn numbers(dialect: Dialect, numbers: &[Number]) -> String {
    let mut out = Document::new();
    out.open("TelephoneNumbers").leaf_display("Count", numbers.len());
    for number in numbers {
        out.leaf("TelephoneNumber", &dialect.number(*number));
    }
    out.close("TelephoneNumbers");
    out.finish()
}

/// Returns the answer with the count of numbers that an order has brought, by area code or exchange. Numbers of other
/// plans have neither, and count only in the total.
#[must_use]
pub fn report(numbers: &[Number], by: By) -> String {
    let mut lines: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    for number in numbers {
        let line = match by {
            By::AreaCode => number.area_code().map(|code| Some(u32::from(code))),
            By::Exchange => number.npa_nxx().map(Some),
            By::Nothing => Some(None),
        };
        if let Some(line) = line {
            *lines.entry(line).or_default() += 1;
        }
    }
    let name = if by == By::AreaCode { "AreaCode" } else { "NPA-NXX" };
    let mut out = Document::new();
    out.element("TelephoneDetailsReports", |out| {
        for (line, count) in lines {
            out.open("TelephoneDetailsReport");
            if let Some(line) = line {
                out.leaf_display(name, line);
            }
            out.leaf_display("Count", count).close("TelephoneDetailsReport");
        }
    });
    out.finish()
}
