//! Orders that move numbers to another site or peer: `MoveTnsOrder`.
//!
//! The documents behind onhook's contract show only the JSON of these orders. The XML is that of two client libraries.
//! Not here: the move of numbers to a peer without an order (`peers`).

use onhook_core::ids::OrderId;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::order::{Failure, MoveNumbers, NewOrder, Order, Request, Status, Summary};
use onhook_core::time::Timestamp;

use super::dialect::Dialect;
use super::numbers;
use super::order_form::{LISTED, check_names, check_numbers};
use super::query::Links;
use crate::error::{Family, Problem, number_list, refusal};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "MoveTnsOrder";
/// The form of this resource's errors.
pub const FAMILY: Family = Family::Response("MoveTnsOrderResponse");

/// A request whose form has been checked. The caller must check that the account has that site and peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The client's own id.
    pub customer_order_id: Option<String>,
    /// What is to be done.
    pub move_numbers: MoveNumbers,
}

/// Reads an account's order.
///
/// # Errors
/// Another root, another account's numbers, a number that would be passed over, or the first thing that is wrong.
pub fn read(root: &Element<'_>, account: AccountId) -> Result<Post, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest(format!("the root element is {REQUEST}")));
    }
    let customer_order_id = root.filled("CustomerOrderId")?;
    check_names(None, 0, customer_order_id)?;
    if root.filled("SourceAccountId")?.is_some_and(|source| source.parse() != Ok(account)) {
        return Err(Problem::SourceAccount);
    }
    // One client sends each number in a wrapper of its own.
    let mut sent: Option<Vec<&str>> = None;
    for list in root.children_of("TelephoneNumbers") {
        sent.get_or_insert_default().extend(list.texts_of(LISTED)?);
    }
    let (site, peer) = (root.filled("SiteId")?, root.filled("SipPeerId")?);
    numbers::all_read(root, LISTED)?;
    let numbers = check_numbers(sent.as_deref())?;
    let site: SiteId = site.ok_or(Problem::SiteRequired)?.parse().map_err(|_| Problem::Site)?;
    let peer: Option<PeerId> = peer.map(|text| text.parse().map_err(|_| Problem::Peer)).transpose()?;
    let customer_order_id = customer_order_id.map(str::to_owned);
    Ok(Post { customer_order_id, move_numbers: MoveNumbers { numbers, site, peer } })
}

struct View<'a> {
    id: OrderId,
    account: AccountId,
    user: &'a str,
    customer_order_id: Option<&'a str>,
    created_at: Timestamp,
    changed_at: Timestamp,
    request: &'a Request,
    status: Status,
    failed: &'a [Failure],
}

/// Returns the answer to an accepted request.
///
/// # Errors
/// If it is no order of this kind.
pub fn received(id: OrderId, order: &NewOrder, dialect: Dialect) -> Result<String, Problem> {
    let mut out = Document::new();
    out.open("MoveTnsOrderResponse");
    let view = View {
        id,
        account: order.account,
        user: &order.user,
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        changed_at: order.created_at,
        request: &order.request,
        status: Status::Received,
        failed: &[],
    };
    write(&mut out, dialect, &view)?;
    out.close("MoveTnsOrderResponse");
    Ok(out.finish())
}

/// Returns the answer with an order in its current state.
///
/// # Errors
/// If it is no order of this kind.
pub fn show(order: &Order, dialect: Dialect) -> Result<String, Problem> {
    let mut out = Document::new();
    let view = View {
        id: order.id,
        account: order.account,
        user: &order.user,
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        changed_at: order.changed_at,
        request: &order.request,
        status: order.status,
        failed: &order.failed,
    };
    write(&mut out, dialect, &view)?;
    Ok(out.finish())
}

fn write(out: &mut Document, dialect: Dialect, view: &View<'_>) -> Result<(), Problem> {
    let Request::Move(MoveNumbers { numbers, site, peer }) = view.request else {
        return Err(Problem::Internal);
    };
    out.open(REQUEST).leaf_display("OrderCreateDate", view.created_at);
    out.leaf_display("AccountId", view.account).leaf("CreatedByUser", view.user);
    out.leaf_display("OrderId", view.id);
    if let Some(id) = view.customer_order_id {
        out.leaf("CustomerOrderId", id);
    }
    out.leaf_display("LastModifiedDate", view.changed_at).leaf_display("SiteId", site);
    if let Some(peer) = peer {
        out.leaf_display("SipPeerId", peer);
    }
    number_list(out, "TelephoneNumbers", dialect, numbers.iter().copied());
    out.leaf("ProcessingStatus", view.status.word());
    out.element("Errors", |out| {
        for Failure { number, why } in view.failed {
            let (code, text) = refusal(*why);
            out.open("Error").leaf_display("ErrorCode", code).leaf("Description", text);
            out.leaf("TelephoneNumber", &dialect.number(*number)).close("Error");
        }
    });
    out.close(REQUEST);
    Ok(())
}

/// Returns the answer with a page of a list of orders.
#[must_use]
pub fn list(orders: &[Summary], total: u64, links: &Links) -> String {
    let mut out = Document::new();
    out.open("MoveTnsOrders").leaf_display("TotalCount", total);
    links.write(&mut out);
    for order in orders {
        out.open("MoveTnsOrderSummary").leaf_display("accountId", order.account);
        out.leaf_display("CountOfTNs", order.numbers);
        if let Some(id) = &order.customer_order_id {
            out.leaf("CustomerOrderId", id);
        }
        out.leaf("userId", &order.user).leaf_display("lastModifiedDate", order.changed_at);
        out.leaf_display("OrderDate", order.created_at).leaf("OrderType", "move_tn_orders");
        out.leaf("OrderStatus", order.status.word()).leaf_display("OrderId", order.id);
        out.close("MoveTnsOrderSummary");
    }
    out.close("MoveTnsOrders");
    out.finish()
}
