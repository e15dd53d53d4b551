//! The emulator's own page: what time it is, what was asked and sent, and a few buttons.
//!
//! It is whole without JavaScript. With it, it shows what is new every two seconds.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use onhook_core::order::Order;
use onhook_core::time::DAY_MS;
use onhook_store::contract::orders::OrderFilter;
use tokio::time::Instant;

use super::control::of;
use crate::app::App;
use crate::emulator::Move;
use crate::http::call::Call;
use crate::http::doc::{Doc, Parameter, Shape, Told};
use crate::http::door::{Door, Takes};
use crate::http::page::{self, Live};
use crate::http::pairs;
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::ops::door::{self, Ops, OpsProblem};
use crate::ops::problem::Code;
use crate::work::moves::{self, Stuck};
use crate::work::reset::{self, Begin};

const PATH: &str = "/";
const FORM: &str = "application/x-www-form-urlencoded";
/// Most items of each list.
const SHOWN: usize = 20;
/// How long a button may take.
const WAIT: Duration = Duration::from_secs(60);
/// Days by which the buttons move the clock.
const DAYS: [i64; 3] = [1, 45, 91];

const PAGE: Shape = Shape::of("text/html; charset=utf-8", "<!doctype html>");
/// What the buttons send.
const PRESSED: Shape = Shape::of(FORM, "days=0");

pub(super) fn routes() -> Vec<Route> {
    let show_doc = Doc::new(
        "Shows the emulator as a page to read: its clock, the last requests, orders, numbers by state, faults, mail and \
         callbacks.",
        Told::ok(PAGE),
    );
    let press_doc = Doc::new(
        "Does what a button of the page says, and leads back to it. A form of a foreign page is refused.",
        Told::new(303, "It is done. The header Location leads to the page."),
    )
    .takes(PRESSED);
    let press = door::route(Method::POST, PATH, Needs::Operator, press_doc, press).patient();
    let door: Arc<dyn Door> = Arc::new(Buttons);
    vec![door::route(Method::GET, PATH, Needs::Operator, show_doc, show), Route { door, ..press }]
}

/// The door of the page's forms.
#[derive(Clone, Copy, Debug)]
struct Buttons;

impl Door for Buttons {
    fn takes(&self, _prefix: Option<&'static str>) -> Takes {
        Takes { types: &[FORM], wanted: FORM, untyped_xml: false }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        Ops.refuse(refusal)
    }

    fn parameter(&self, name: &str) -> Option<Parameter> {
        Ops.parameter(name)
    }
}

/// Returns whether a form is of this page or of no page at all. Browsers say where a form is from.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = match (text("origin"), text("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (Some(_), None) => false,
    };
    site && origin
}

/// Does what a button says.
async fn press(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    if !is_own(&call.headers) {
        return Err(OpsProblem::new(Code::Forbidden, "the form is of another page"));
    }
    let sent = pairs::decoded(str::from_utf8(&call.body).unwrap_or_default());
    let emulator = of(&app)?;
    match sent.first().map(|(name, value)| (name.as_str(), value.as_str())) {
        Some(("days", days)) => {
            let days: i64 =
                days.parse().ok().filter(|days| (0..=36_525).contains(days)).ok_or_else(unknown)?;
            let until = Instant::now() + WAIT;
            match moves::advance(&app, emulator, Move::By(days.saturating_mul(DAY_MS)), until).await {
                Ok(_) => {}
                Err(Stuck::NotSettled) => {
                    return Err(OpsProblem::new(Code::NotSettled, "something due did not end in time"));
                }
                Err(Stuck::Store(error)) => return Err(error.into()),
            }
        }
        Some(("reset", _)) => {
            reset::reset(&app, emulator, Begin { seed: None, now: None, rate: 1.0 }).await?
        }
        Some(("faults", _)) => emulator.faults.clear(),
        _ => return Err(unknown()),
    }
    Ok(Reply::empty(StatusCode::SEE_OTHER).with(header::LOCATION, PATH))
}

fn unknown() -> OpsProblem {
    OpsProblem::wrong("no button says that")
}

/// Shows the page.
async fn show(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    let emulator = of(&app)?;
    let now = app.clock.now();
    let totals = app.store.totals(now).await?;
    let (orders, _) = app.store.find_orders(OrderFilter::default(), None, SHOWN).await?;
    let mut page = Live::new("onhook: emulator");
    page.heading("Clock");
    page.paragraph(&format!("{now}, moved by {} ms, rate {}", app.clock.moved_ms(), app.clock.rate()));
    for days in DAYS {
        page.button(
            "days",
            &days.to_string(),
            &if days == 1 { "1 day".to_owned() } else { format!("{days} days") },
        );
    }
    page.button("reset", "1", "Reset");
    page.heading("Numbers");
    let states: Vec<[String; 2]> =
        totals.by_state.iter().map(|(state, count)| [state.to_string(), count.to_string()]).collect();
    page.table(&["state", "numbers"], &states);
    page.heading("Orders");
    let rows: Vec<[String; 5]> = orders.iter().map(order_row).collect();
    page.table(&["order", "account", "kind", "status", "numbers"], &rows);
    page.heading("Requests");
    for entry in emulator.requests.find(None, SHOWN, |_| true) {
        let fault = entry.fault.as_ref().map(|fault| format!(" ({fault})")).unwrap_or_default();
        let summary = format!("{} {} {}{fault}", entry.status, entry.method, entry.path);
        page.details(&summary, &format!("{}\n\n{}", entry.request.1, entry.reply.1));
    }
    page.heading("Faults");
    let rules = emulator.faults.all();
    let rows: Vec<[String; 3]> = rules
        .iter()
        .map(|rule| [rule.id.to_string(), rule.told.to_string(), rule.hits.to_string()])
        .collect();
    page.table(&["rule", "says", "hits"], &rows);
    page.button("faults", "1", "Remove all");
    page.heading("Callbacks");
    for (_, told) in emulator.callbacks.find(None, SHOWN, |_| true) {
        page.details(&format!("{} {}: {}", told.at, told.receiver, told.outcome), &told.body);
    }
    page.heading("Mail");
    let mails = app.mailer.as_ref().map(|mailer| mailer.caught(None)).unwrap_or_default();
    for mail in mails.into_iter().take(SHOWN) {
        page.details(&format!("{} {}: {}", mail.at, mail.to, mail.subject), &mail.body);
    }
    Ok(page::live(page))
}

fn order_row(order: &Order) -> [String; 5] {
    let (account, kind) = (order.account.to_string(), order.request.kind().word().to_owned());
    let numbers = order.request.quantity().to_string();
    [order.id.to_string(), account, kind, order.status.word().to_owned(), numbers]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_page_is_foreign() {
        for (own, headers) in [
            (true, &[("host", "127.0.0.1:9080")][..]),
            (true, &[("host", "127.0.0.1:9080"), ("origin", "http://127.0.0.1:9080")]),
            (true, &[("host", "a"), ("sec-fetch-site", "same-origin")]),
            (false, &[("host", "127.0.0.1:9080"), ("origin", "http://evil.example")]),
            (false, &[("host", "127.0.0.1:9080"), ("origin", "null")]),
            (false, &[("host", "a"), ("sec-fetch-site", "cross-site")]),
            (false, &[("host", "a"), ("sec-fetch-site", "same-site")]),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_own(&map), own, "{headers:?}");
        }
    }
}
