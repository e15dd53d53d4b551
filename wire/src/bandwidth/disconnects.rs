//! Disconnect orders: the request, and every form of the answer (contract §1).

use onhook_core::account::Role;
use onhook_core::ids::OrderId;
use onhook_core::number::Number;
use onhook_core::order::{
    DISCONNECT_NAME_MAX, Disconnect, Failure, Mode, NewOrder, Order, Protected, REASON_MAX, Request, Status,
};
use onhook_core::time::Timestamp;

use super::dialect::Dialect;
use super::flag;
use super::numbers;
use super::order_form::{LISTED, check_names, check_numbers, echo_names, echo_numbers, numbers_of};
use crate::error::{Family, Problem, cut, error_list, number_list};
use crate::text::xml::{Document, Element};

/// The root of every answer.
pub const ROOT: &str = "DisconnectTelephoneNumberOrderResponse";
/// The root of a request.
pub const REQUEST: &str = "DisconnectTelephoneNumberOrder";
/// The form of this resource's errors.
pub const FAMILY: Family = Family::Order(ROOT);

const TYPE: &str = "DisconnectTelephoneNumberOrderType";

/// A request as it was sent: read, not yet checked.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    name: Option<&'a str>,
    customer_order_id: Option<&'a str>,
    numbers: Option<Vec<&'a str>>,
    mode: Option<&'a str>,
    protected: Option<&'a str>,
    reason: Option<&'a str>,
    /// The problem of a number that would be passed over.
    stray: Option<Problem>,
}

/// A checked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The order's name.
    pub name: Option<String>,
    /// The client's own id.
    pub customer_order_id: Option<String>,
    /// What is to be done.
    pub disconnect: Disconnect,
}

impl<'a> Draft<'a> {
    /// Reads the document. Elements may come in any order. Unknown ones are passed over.
    ///
    /// # Errors
    /// Another root, a value that is repeated or has an element in it.
    pub fn read(root: &'a Element<'_>) -> Result<Self, Problem> {
        if !root.is(REQUEST) {
            let wanted = "the root element is DisconnectTelephoneNumberOrder";
            return Err(Problem::BadRequest(wanted.into()));
        }
        let mut draft = Draft {
            name: root.value("Name")?,
            customer_order_id: root.filled("CustomerOrderId")?,
            ..Draft::default()
        };
        if let Some(kind) = root.child(TYPE)? {
            draft.mode = kind.value("DisconnectMode")?;
            draft.protected = kind.value("Protected")?;
            draft.reason = kind.value("DisconnectReason")?;
            draft.numbers = numbers_of(kind)?;
        }
        // An order without a list is refused for that, as the live service does.
        if draft.numbers.is_some() {
            draft.stray = numbers::all_read(root, LISTED).err();
        }
        Ok(draft)
    }

    /// Checks the form of the request. The owner of the numbers is checked when the order runs, not here.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, dialect: Dialect, role: Role) -> Result<Post, Problem> {
        if dialect == Dialect::V1 && self.name.is_none_or(str::is_empty) && self.customer_order_id.is_none() {
            // An order needs a name in v1, unless it has the newer customer order id (contract: decision 2).
            return Err(Problem::Required("Name or CustomerOrderId"));
        }
        check_names(self.name, DISCONNECT_NAME_MAX, self.customer_order_id)?;
        if let Some(stray) = &self.stray {
            return Err(stray.clone());
        }
        let numbers = check_numbers(self.numbers.as_deref())?;
        let mode = match self.mode {
            None => Mode::Normal,
            Some(text) => text.to_ascii_lowercase().parse().map_err(|_| Problem::Mode(cut(text)))?,
        };
        if role < mode.needs() {
            return Err(Problem::ModeForbidden);
        }
        let protected: Option<Protected> = match self.protected {
            None => None,
            Some(text) => Some(match flag::parse(text) {
                Some(true) => Protected::True,
                Some(false) => Protected::False,
                None => text.to_ascii_uppercase().parse().map_err(|_| Problem::Protected(cut(text)))?,
            }),
        };
        if mode == Mode::Purge && protected.and_then(Protected::value).is_some() {
            return Err(Problem::ProtectedPurge);
        }
        let reason = match self.reason {
            Some(text) if text.chars().count() > REASON_MAX => {
                return Err(Problem::TooLong("DisconnectReason", REASON_MAX));
            }
            reason => reason.filter(|text| !text.is_empty()).map(str::to_owned),
        };
        Ok(Post {
            name: self.name.filter(|name| !name.is_empty()).map(str::to_owned),
            customer_order_id: self.customer_order_id.map(str::to_owned),
            disconnect: Disconnect { numbers, mode, protected, reason },
        })
    }

    /// Returns the body of a refusal: what is wrong, then the request, as far as it can be repeated.
    #[must_use]
    pub fn refused(&self, problem: &Problem, now: Timestamp) -> String {
        FAMILY.body(problem, |out| {
            out.open("orderRequest");
            echo_names(out, self.name, DISCONNECT_NAME_MAX, self.customer_order_id);
            out.leaf_display("OrderCreateDate", now).open(TYPE);
            echo_numbers(out, self.numbers.as_deref());
            out.close(TYPE).close("orderRequest");
        })
    }
}

struct View<'a> {
    id: OrderId,
    name: Option<&'a str>,
    customer_order_id: Option<&'a str>,
    created_at: Timestamp,
    disconnect: &'a Disconnect,
}

/// Returns the answer to an accepted request.
///
/// # Errors
/// If it is no disconnect order.
pub fn received(id: OrderId, order: &NewOrder, dialect: Dialect) -> Result<String, Problem> {
    let Request::Disconnect(disconnect) = &order.request else { return Err(Problem::Internal) };
    let view = View {
        id,
        name: order.name.as_deref(),
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        disconnect,
    };
    Ok(document(dialect, &view, Status::Received, &[], &[]))
}

/// Returns the answer with an order in its current state.
///
/// # Errors
/// If it is no disconnect order.
pub fn show(order: &Order, dialect: Dialect) -> Result<String, Problem> {
    let Request::Disconnect(disconnect) = &order.request else { return Err(Problem::Internal) };
    let view = View {
        id: order.id,
        name: order.name.as_deref(),
        customer_order_id: order.customer_order_id.as_deref(),
        created_at: order.created_at,
        disconnect,
    };
    let done: Vec<Number> = order.done().collect();
    Ok(document(dialect, &view, order.status, &done, &order.failed))
}

/// Returns a document with `DisconnectedTelephoneNumberList`, `ErrorList`, `orderRequest`, `OrderStatus`, in that order
/// (contract: decisions 3 and 4).
fn document(
    dialect: Dialect,
    view: &View<'_>,
    status: Status,
    done: &[Number],
    failed: &[Failure],
) -> String {
    let mut out = Document::new();
    out.open(ROOT);
    if !done.is_empty() {
        number_list(&mut out, "DisconnectedTelephoneNumberList", dialect, done.iter().copied());
    }
    match status {
        Status::Received | Status::Backordered => {}
        Status::Complete => {
            out.empty("ErrorList");
        }
        Status::Partial | Status::Failed => error_list(&mut out, dialect, failed),
    }
    out.open("orderRequest");
    echo_names(&mut out, view.name, DISCONNECT_NAME_MAX, view.customer_order_id);
    out.leaf_display("OrderCreateDate", view.created_at).leaf_display("id", view.id).open(TYPE);
    let Disconnect { numbers, mode, protected, reason } = view.disconnect;
    number_list(&mut out, "TelephoneNumberList", dialect, numbers.iter().copied());
    out.leaf("DisconnectMode", dialect.mode(*mode));
    if dialect == Dialect::V2 {
        out.leaf("DisconnectReason", reason.as_deref().unwrap_or("UNSPECIFIED"));
    }
    if let Some(protected) = protected {
        out.leaf("Protected", protected.word());
    }
    out.close(TYPE).close("orderRequest").leaf("OrderStatus", status.word()).close(ROOT);
    out.finish()
}
