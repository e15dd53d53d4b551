//! Number orders: an account puts numbers into service, by name or by a search, or takes an aging one back (contract
//! §3).
//!
//! Not here: the forms of a search (`order_search`).

use std::collections::HashMap;

use onhook_core::ids::OrderId;
use onhook_core::ids::ReservationId;
use onhook_core::ids::{PeerId, SiteId};
use onhook_core::locality::Locality;
use onhook_core::number::{Number, TOLL_FREE};
use onhook_core::order::amend::Amendment;
use onhook_core::order::search::Criteria;
use onhook_core::order::{
    Activate, Failure, NUMBERS_MAX, NewOrder, ORDER_NAME_MAX, Order, Request, Status, Wanted,
};
use onhook_core::time::Timestamp;

use super::dialect::Dialect;
use super::flag;
use super::numbers;
use super::order_form::{LISTED, check_names, check_numbers, echo_names, echo_numbers, numbers_of};
use super::order_search::{Sent, element};
use super::search::{Vendor, detail};
use crate::error::{Family, Problem, cut, error_list, number_list, search_error};
use crate::text::xml::{Document, Element, Misread};

/// The root of every answer.
pub const ROOT: &str = "OrderResponse";
/// The root of a request.
pub const REQUEST: &str = "Order";
/// The form of this resource's errors.
pub const FAMILY: Family = Family::Order(ROOT);

const EXISTING: &str = "ExistingTelephoneNumberOrderType";

/// A request as it was sent: read, not yet checked.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    name: Option<&'a str>,
    customer_order_id: Option<&'a str>,
    existing: bool,
    numbers: Option<Vec<&'a str>>,
    reservations: Vec<&'a str>,
    searches: Vec<Sent<'a>>,
    site: Option<&'a str>,
    peer: Option<&'a str>,
    partial_allowed: Option<&'a str>,
    back_order: Option<&'a str>,
    attributes: Vec<&'a str>,
    /// The problem of a number that would be passed over.
    stray: Option<Problem>,
}

/// A request whose form has been checked. The caller must check that the account has that site and peer, and find out
/// which numbers the reservations hold.
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
    /// Reads the document. Elements may come in any order. Unknown ones are passed over.
    ///
    /// # Errors
    /// Another root, a value that is repeated or has an element in it.
    pub fn read(root: &'a Element<'_>) -> Result<Self, Problem> {
        if !root.is(REQUEST) {
            return Err(Problem::BadRequest("the root element is Order".into()));
        }
        let existing = root.child(EXISTING)?;
        let reservations = match existing {
            Some(existing) => existing.child("ReservationIdList")?,
            None => None,
        };
        let mut draft = Draft {
            name: root.value("Name")?,
            customer_order_id: root.filled("CustomerOrderId")?,
            existing: existing.is_some(),
            numbers: existing.map(numbers_of).transpose()?.flatten(),
            reservations: texts(reservations, "ReservationId")?,
            searches: Sent::read(root)?,
            site: root.value("SiteId")?,
            peer: root.value("PeerId")?,
            partial_allowed: root.value("PartialAllowed")?,
            back_order: root.filled("BackOrderRequested")?,
            attributes: texts(root.child("TnAttributes")?, "TnAttribute")?,
            stray: None,
        };
        // An order that asks for nothing known is refused for that.
        if draft.numbers.is_some() || !draft.reservations.is_empty() || !draft.searches.is_empty() {
            draft.stray = numbers::all_read(root, LISTED).err();
        }
        Ok(draft)
    }

    /// Checks the form of the request.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<Post, Problem> {
        // No source requires a name in a number order, whatever the dialect.
        check_names(self.name, ORDER_NAME_MAX, self.customer_order_id)?;
        if let Some(stray) = &self.stray {
            return Err(stray.clone());
        }
        let partial_allowed = match self.partial_allowed {
            None => true,
            // An empty text is read too: one client writes false that way.
            Some(text) => flag::parse(text).ok_or(Problem::PartialAllowed)?,
        };
        let back_order = match self.back_order {
            None => false,
            Some(text) => flag::read("BackOrderRequested", text)?,
        };
        if let Some(other) = self.attributes.iter().find(|a| !a.eq_ignore_ascii_case("Protected")) {
            return Err(Problem::Attribute(cut(other)));
        }
        if let [_, again, ..] = self.attributes[..] {
            return Err(Problem::AttributeTwice(cut(again)));
        }
        let protected = !self.attributes.is_empty();
        let wanted = match (self.existing, self.searches.as_slice()) {
            (true, []) if back_order => return Err(Problem::BackOrder),
            (true, []) => self.named()?,
            (false, [search]) => Wanted::Found(Box::new(search.check(back_order)?)),
            _ => return Err(Problem::OrderType),
        };
        if let Wanted::Found(search) = &wanted
            && protected
            && is_toll_free(&search.criteria)
        {
            return Err(Problem::ProtectedTollFree);
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
            activate: Activate { wanted, site, peer, partial_allowed, protected, back: None },
        })
    }

    /// Returns the named numbers, and the reservations that name more.
    fn named(&self) -> Result<Wanted, Problem> {
        let only_reservations =
            !self.reservations.is_empty() && self.numbers.as_ref().is_none_or(Vec::is_empty);
        let numbers = if only_reservations { Vec::new() } else { check_numbers(self.numbers.as_deref())? };
        if numbers.len() + self.reservations.len() > NUMBERS_MAX {
            return Err(Problem::TooManyNumbers(NUMBERS_MAX));
        }
        let id = |text: &&str| text.parse().map_err(|_| Problem::Uuid("ReservationId", cut(text)));
        let reservations: Vec<ReservationId> = self.reservations.iter().map(id).collect::<Result<_, _>>()?;
        Ok(Wanted::Named { numbers, reservations })
    }

    /// Returns the body of a refusal: what is wrong, then the request, as far as it can be repeated.
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
            for search in &self.searches {
                search.echo(out);
            }
            if let Some(site) = self.site {
                out.leaf("SiteId", &cut(site));
            }
            out.close("Order");
        })
    }
}

/// Returns the texts of a list's elements of that name. Without a list there are none.
fn texts<'a>(list: Option<&'a Element<'_>>, name: &'static str) -> Result<Vec<&'a str>, Misread> {
    list.map_or(Ok(Vec::new()), |list| list.texts_of(name))
}

/// Returns whether only toll-free numbers fit.
fn is_toll_free(criteria: &Criteria) -> bool {
    let code = criteria.prefix.as_ref().and_then(|digits| digits.get(..3)?.parse().ok());
    criteria.toll_free.is_some() || code.is_some_and(|code| TOLL_FREE.contains(&code))
}

/// Reads a client's change of a waiting order.
///
/// # Errors
/// Another root, or a value that is wrong or repeated.
pub fn read_amendment(root: &Element<'_>) -> Result<Amendment, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is Order".into()));
    }
    let name = root.filled("Name")?;
    let customer_order_id = root.filled("CustomerOrderId")?;
    check_names(name, ORDER_NAME_MAX, customer_order_id)?;
    let close = flag::child(root, "CloseOrder")?.unwrap_or(false);
    Ok(Amendment {
        name: name.map(str::to_owned),
        customer_order_id: customer_order_id.map(str::to_owned),
        close,
    })
}

/// Returns the answer to a change that was made.
#[must_use]
pub fn amended() -> String {
    let mut out = Document::new();
    out.empty(ROOT);
    out.finish()
}

struct View<'a> {
    id: OrderId,
    name: Option<&'a str>,
    customer_order_id: Option<&'a str>,
    created_at: Timestamp,
    activate: &'a Activate,
    peer: Option<PeerId>,
}

/// Returns the answer to an accepted request.
///
/// # Errors
/// If it is no number order.
pub fn received(id: OrderId, order: &NewOrder, dialect: Dialect) -> Result<String, Problem> {
    let Request::Activate(activate) = &order.request else { return Err(Problem::Internal) };
    let view = View {
        id,
        name: order.name.as_deref(),
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        activate,
        peer: activate.peer,
    };
    let mut out = Document::new();
    out.open(ROOT);
    echo(&mut out, dialect, &view);
    out.leaf("OrderStatus", Status::Received.word()).close(ROOT);
    Ok(out.finish())
}

/// The details of the numbers that an order has brought.
#[derive(Clone, Debug)]
pub struct Details {
    /// Their vendor.
    pub vendor: Vendor,
    /// Where the numbers lie.
    pub localities: HashMap<Number, Locality>,
}

/// Returns the answer with an order in its current state. Its numbers have details if these are given.
///
/// # Errors
/// If it is no number order.
pub fn show(order: &Order, dialect: Dialect, details: Option<&Details>) -> Result<String, Problem> {
    let Request::Activate(activate) = &order.request else { return Err(Problem::Internal) };
    let view = View {
        id: order.id,
        name: order.name.as_deref(),
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        activate,
        peer: order.peer(),
    };
    let done: Vec<Number> = order.done().collect();
    let total = order.request.quantity();
    let mut out = Document::new();
    out.open(ROOT);
    if order.status == Status::Received {
        out.leaf("CreatedByUser", &order.user).leaf_display("LastModifiedDate", order.changed_at);
        echo(&mut out, dialect, &view);
        out.leaf("OrderStatus", order.status.word()).leaf("Summary", &summary(total, &done)).close(ROOT);
        return Ok(out.finish());
    }
    out.leaf_display("CompletedQuantity", done.len()).leaf("CreatedByUser", &order.user);
    let missing = total - done.len();
    if !order.failed.is_empty() {
        error_list(&mut out, dialect, &order.failed);
        out.element("FailedNumbers", |out| {
            for Failure { number, .. } in &order.failed {
                out.leaf("FullNumber", &dialect.number(*number));
            }
        });
    } else if matches!(order.status, Status::Partial | Status::Failed) {
        search_error(&mut out, order);
    }
    out.leaf_display("LastModifiedDate", order.changed_at);
    if order.status.is_final() {
        out.leaf_display("OrderCompleteDate", order.changed_at);
    }
    echo(&mut out, dialect, &view);
    out.leaf("OrderStatus", order.status.word());
    out.element("CompletedNumbers", |out| {
        for number in &done {
            out.open("TelephoneNumber");
            match details.and_then(|details| Some((&details.vendor, details.localities.get(number)?))) {
                Some((vendor, locality)) => detail(out, dialect, vendor, *number, locality),
                None => {
                    out.leaf("FullNumber", &dialect.number(*number));
                }
            }
            out.close("TelephoneNumber");
        }
    });
    out.leaf("Summary", &summary(total, &done));
    if order.status.is_final() {
        out.leaf_display("FailedQuantity", missing);
    } else {
        out.leaf("FailedQuantity", "0").leaf_display("PendingQuantity", missing);
    }
    out.close(ROOT);
    Ok(out.finish())
}

/// Writes the client's own id before the name. In a disconnect order it comes after the name.
fn names(out: &mut Document, name: Option<&str>, customer_order_id: Option<&str>) {
    echo_names(out, None, ORDER_NAME_MAX, customer_order_id);
    echo_names(out, name, ORDER_NAME_MAX, None);
}

fn echo(out: &mut Document, dialect: Dialect, view: &View<'_>) {
    out.open("Order");
    names(out, view.name, view.customer_order_id);
    out.leaf_display("OrderCreateDate", view.created_at);
    let Activate { wanted, site, partial_allowed, protected, .. } = view.activate;
    if let Some(peer) = view.peer {
        out.leaf_display("PeerId", peer);
    }
    let back_order = matches!(wanted, Wanted::Found(search) if search.back_order);
    out.leaf_display("BackOrderRequested", back_order).leaf_display("id", view.id);
    match wanted {
        Wanted::Named { numbers, reservations } => {
            out.open(EXISTING);
            number_list(out, "TelephoneNumberList", dialect, numbers.iter().copied());
            if !reservations.is_empty() {
                out.open("ReservationIdList");
                for id in reservations {
                    out.leaf_display("ReservationId", id);
                }
                out.close("ReservationIdList");
            }
            out.close(EXISTING);
        }
        Wanted::Found(search) => {
            out.element(element(search.form), |out| {
                for (name, text) in &search.sent {
                    out.leaf(name, text);
                }
            });
        }
    }
    out.leaf_display("PartialAllowed", partial_allowed).leaf_display("SiteId", site);
    if *protected {
        out.open("TnAttributes").leaf("TnAttribute", "Protected").close("TnAttributes");
    }
    out.close("Order");
}

/// `1 number ordered in (919)`, `1 out of 2 numbers ordered in (636)`, `1 number requested`.
fn summary(asked: usize, done: &[Number]) -> String {
    let numbers = |count: usize| if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") };
    if done.is_empty() {
        return format!("{} requested", numbers(asked));
    }
    let mut codes: Vec<u16> = done.iter().filter_map(|number| number.area_code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
    let areas = if codes.is_empty() { String::new() } else { format!(" in ({})", codes.join(", ")) };
    if done.len() == asked {
        format!("{} ordered{areas}", numbers(done.len()))
    } else {
        format!("{} out of {} ordered{areas}", done.len(), numbers(asked))
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::ids::AccountId;
    use onhook_core::ids::OrderSeq;
    use onhook_core::lifecycle::provenance::Provenance;

    use super::*;

    #[test]
    fn an_order_that_has_not_run_says_how_much_it_asks_for() {
        let numbers = ["5405514342".parse().unwrap(), "7034343704".parse().unwrap()];
        let order = |numbers: &[Number]| {
            let at = Timestamp::from_millis(1_700_000_000_000);
            let (site, wanted) = (SiteId::new(1).unwrap(), Wanted::named(numbers.to_vec()));
            Order {
                seq: OrderSeq(1),
                id: OrderId(uuid::Uuid::nil()),
                account: AccountId::new(9_900_000).unwrap(),
                user: "username".into(),
                name: None,
                customer_order_id: None,
                created_at: at,
                changed_at: at,
                request: Request::Activate(Activate {
                    wanted,
                    site,
                    peer: None,
                    partial_allowed: true,
                    protected: false,
                    back: None,
                }),
                status: Status::Received,
                failed: Vec::new(),
                taken: Vec::new(),
                refused: None,
                peers: Vec::new(),
                origin: None,
                under: Provenance::default(),
            }
        };
        for (numbers, summary) in [(&numbers[..1], "1 number requested"), (&numbers, "2 numbers requested")] {
            let shown = show(&order(numbers), Dialect::V1, None).unwrap();
            let end =
                format!("<OrderStatus>RECEIVED</OrderStatus><Summary>{summary}</Summary></OrderResponse>");
            assert!(shown.ends_with(&end), "{shown}");
            assert!(!shown.contains("ErrorList"), "{shown}");
        }
    }
}
