//! Number orders for existing numbers: how an account activates a number, and takes an aging one back
//! (contract §3).

use onhook_core::account::{PeerId, SiteId};
use onhook_core::number::Number;
use onhook_core::order::{Activate, Failure, NewOrder, Order, OrderId, Request, Status};
use onhook_core::time::Timestamp;

use crate::dialect::Dialect;
use crate::disconnects::{check_names, check_numbers, echo_names, echo_numbers, numbers_of};
use crate::error::{Family, Problem, cut, error_list, number_list};
use crate::xml::{Document, Element};

/// The root of every answer.
pub const ROOT: &str = "OrderResponse";
/// The form of this resource's errors.
pub const FAMILY: Family = Family::Order(ROOT);

const EXISTING: &str = "ExistingTelephoneNumberOrderType";

/// A request as it was sent: read, not yet judged.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    name: Option<&'a str>,
    customer_order_id: Option<&'a str>,
    existing: bool,
    numbers: Option<Vec<&'a str>>,
    site: Option<&'a str>,
    peer: Option<&'a str>,
    partial_allowed: Option<&'a str>,
    back_order: Option<&'a str>,
    attributes: Vec<&'a str>,
}

/// What a request asks, once its form has been found good. Whether the account has that site and peer
/// is the caller's to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The order's name.
    pub name: Option<String>,
    /// The client's own id.
    pub customer_order_id: Option<String>,
    /// What is to be done.
    pub activate: Activate,
}

impl<'a> Draft<'a> {
    /// Reads the document. Unknown elements are passed over; the order of elements is of no account.
    ///
    /// # Errors
    /// Another root, or a value that is there twice.
    pub fn read(root: &'a Element<'_>) -> Result<Self, Problem> {
        if root.name != "Order" {
            return Err(Problem::BadRequest("the root element is Order".into()));
        }
        let existing = root.child(EXISTING)?;
        let attributes = root.child("TnAttributes")?;
        Ok(Draft {
            name: root.text_of(&["Name", "name"])?,
            customer_order_id: root.text_of(&["CustomerOrderId"])?.filter(|id| !id.is_empty()),
            existing: existing.is_some(),
            numbers: existing.map(numbers_of).transpose()?.flatten(),
            site: root.text_of(&["SiteId"])?,
            peer: root.text_of(&["PeerId"])?,
            partial_allowed: root.text_of(&["PartialAllowed"])?,
            back_order: root.text_of(&["BackOrderRequested"])?,
            attributes: attributes
                .map(|a| a.children_of("TnAttribute").map(Element::trimmed).collect())
                .unwrap_or_default(),
        })
    }

    /// Judges the form of the request.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<Post, Problem> {
        // No source asks a number order for a name, whatever the dialect.
        check_names(self.name, self.customer_order_id, Dialect::V2)?;
        if !self.existing {
            return Err(Problem::OrderType);
        }
        let numbers = check_numbers(self.numbers.as_deref())?;
        let partial_allowed = match self.partial_allowed {
            None => true,
            Some(text) => truth(text).ok_or(Problem::PartialAllowed)?,
        };
        if self.back_order.and_then(truth) == Some(true) {
            return Err(Problem::BackOrder);
        }
        if let Some(other) = self.attributes.iter().find(|a| !a.eq_ignore_ascii_case("Protected")) {
            return Err(Problem::Attribute(cut(other)));
        }
        let site: SiteId = match self.site.filter(|site| !site.is_empty()) {
            None => return Err(Problem::SiteRequired),
            Some(site) => site.parse().map_err(|_| Problem::Site)?,
        };
        let peer: Option<PeerId> = match self.peer.filter(|peer| !peer.is_empty()) {
            None => None,
            Some(peer) => Some(peer.parse().map_err(|_| Problem::Peer)?),
        };
        Ok(Post {
            name: self.name.filter(|name| !name.is_empty()).map(str::to_owned),
            customer_order_id: self.customer_order_id.map(str::to_owned),
            activate: Activate {
                numbers,
                site,
                peer,
                partial_allowed,
                protected: !self.attributes.is_empty(),
            },
        })
    }

    /// The body of a refusal: what is wrong, then the request, as far as it can be repeated.
    #[must_use]
    pub fn refused(&self, problem: &Problem, now: Timestamp) -> String {
        FAMILY.body(problem, |out| {
            out.open("Order");
            names(out, self.name, self.customer_order_id);
            out.leaf_display("OrderCreateDate", now);
            if self.existing {
                out.open(EXISTING);
                echo_numbers(out, self.numbers.as_deref());
                out.close(EXISTING);
            }
            if let Some(site) = self.site {
                out.leaf("SiteId", &cut(site));
            }
            out.close("Order");
        })
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

struct View<'a> {
    id: OrderId,
    name: Option<&'a str>,
    customer_order_id: Option<&'a str>,
    created_at: Timestamp,
    activate: &'a Activate,
}

/// The answer to a request that was accepted.
///
/// # Errors
/// When it is no number order.
pub fn received(id: OrderId, order: &NewOrder, dialect: Dialect) -> Result<String, Problem> {
    let Request::Activate(activate) = &order.request else { return Err(Problem::Internal) };
    let view = View {
        id,
        name: order.name.as_deref(),
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        activate,
    };
    let mut out = Document::new();
    out.open(ROOT);
    echo(&mut out, dialect, &view);
    out.leaf("OrderStatus", Status::Received.word()).close(ROOT);
    Ok(out.finish())
}

/// An order as it stands.
///
/// # Errors
/// When it is no number order.
pub fn show(order: &Order, dialect: Dialect) -> Result<String, Problem> {
    let Request::Activate(activate) = &order.request else { return Err(Problem::Internal) };
    let view = View {
        id: order.id,
        name: order.name.as_deref(),
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        activate,
    };
    let done: Vec<Number> = order.done().collect();
    let mut out = Document::new();
    out.open(ROOT);
    if order.status == Status::Received {
        out.leaf("CreatedByUser", &order.user).leaf_display("LastModifiedDate", order.changed_at);
        echo(&mut out, dialect, &view);
        out.leaf("OrderStatus", order.status.word()).close(ROOT);
        return Ok(out.finish());
    }
    out.leaf_display("CompletedQuantity", done.len()).leaf("CreatedByUser", &order.user);
    if !order.failed.is_empty() {
        error_list(&mut out, dialect, &order.failed);
        out.element("FailedNumbers", |out| {
            for Failure { number, .. } in &order.failed {
                out.leaf("FullNumber", &dialect.number(*number));
            }
        });
    }
    out.leaf_display("LastModifiedDate", order.changed_at);
    out.leaf_display("OrderCompleteDate", order.changed_at);
    echo(&mut out, dialect, &view);
    out.leaf("OrderStatus", order.status.word());
    out.element("CompletedNumbers", |out| {
        for number in &done {
            out.open("TelephoneNumber").leaf("FullNumber", &dialect.number(*number)).close("TelephoneNumber");
        }
    });
    out.leaf("Summary", &summary(&activate.numbers, &done));
    out.leaf_display("FailedQuantity", order.failed.len()).close(ROOT);
    Ok(out.finish())
}

/// Here the client's own id stands before the name; in a disconnect order it stands behind it.
fn names(out: &mut Document, name: Option<&str>, customer_order_id: Option<&str>) {
    echo_names(out, None, customer_order_id);
    echo_names(out, name, None);
}

fn echo(out: &mut Document, dialect: Dialect, view: &View<'_>) {
    out.open("Order");
    names(out, view.name, view.customer_order_id);
    out.leaf_display("OrderCreateDate", view.created_at);
    let Activate { numbers, site, peer, partial_allowed, protected } = view.activate;
    if let Some(peer) = peer {
        out.leaf_display("PeerId", peer);
    }
    out.leaf("BackOrderRequested", "false").leaf_display("id", view.id).open(EXISTING);
    number_list(out, "TelephoneNumberList", dialect, numbers.iter().copied());
    out.close(EXISTING).leaf_display("PartialAllowed", partial_allowed).leaf_display("SiteId", site);
    if *protected {
        out.open("TnAttributes").leaf("TnAttribute", "Protected").close("TnAttributes");
    }
    out.close("Order");
}

/// `1 number ordered in (919)`, `1 out of 2 numbers ordered in (636)`, `1 number requested`.
fn summary(asked: &[Number], done: &[Number]) -> String {
    let numbers = |count: usize| if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") };
    if done.is_empty() {
        return format!("{} requested", numbers(asked.len()));
    }
    let mut codes: Vec<u16> = done.iter().filter_map(|number| number.area_code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
    let place = if codes.is_empty() { String::new() } else { format!(" in ({})", codes.join(", ")) };
    match done.len() == asked.len() {
        true => format!("{} ordered{place}", numbers(done.len())),
        false => format!("{} out of {} ordered{place}", done.len(), numbers(asked.len())),
    }
}
