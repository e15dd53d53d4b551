//! Exports: files that are made while they are sent, page after page, so that no read lasts for long.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderName, Method};
use onhook_core::account::Role;
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::number::Number;
use onhook_core::report::billing::{Period, periods};
use onhook_core::time::Timestamp;
use onhook_store::StoreError;
use onhook_store::contract::numbers::NumberFilter;
use onhook_wire::ops::number_file;
use onhook_wire::records::written;

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{day, parsed, value};
use super::reports::import_writes;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::reports::writing;
use crate::store_log;

/// The type of the files.
pub(super) const CSV: &str = "text/csv; charset=utf-8";

/// The header that says how many numbers there are in all, for those who show how far it is.
const NUMBERS: HeaderName = HeaderName::from_static("onhook-numbers");

/// Numbers of a page.
const NUMBERS_PAGE: usize = 5_000;
/// Histories of a page.
const LIVES: usize = 1_000;

/// The form of the file of numbers.
const NUMBERS_FILE: Shape = Shape::of(
    CSV,
    "number,state,account,site,peer,rate_center,region,protected,ported_in,former_account,release_at\n",
);
/// The form of the file of periods.
const PERIODS_FILE: Shape = Shape::of(CSV, "number,account,from,until\n");

const NUMBER_FILTERS: [Parameter; 3] = [
    Parameter::new("state", Form::Text("InService,Aging"), "only numbers in one of these states"),
    Parameter::new("account", Form::Text("9900000"), "only numbers of this account, aging ones too"),
    Parameter::new("prefix", Form::Text("1540555"), "only numbers that begin with these digits"),
];
const PERIOD_FILTERS: [Parameter; 3] = [
    Parameter::new("account", Form::Text("9900000"), "only periods of this account"),
    Parameter::new(
        "from",
        Form::Text("2026-11-01T00:00:00.000Z"),
        "only periods that end after this instant, or the beginning of this day",
    ),
    Parameter::new("until", Form::Text("2026-12-01"), "only periods that begin before this instant or day"),
];

pub(crate) fn routes() -> Vec<Route> {
    let numbers_doc = Doc::new("Exports numbers as a file that an import takes.", Told::ok(NUMBERS_FILE))
        .query(&NUMBER_FILTERS);
    let periods_doc =
        Doc::new("Exports the periods for which accounts pay for numbers.", Told::ok(PERIODS_FILE))
            .query(&PERIOD_FILTERS)
            .or(Told::new(409, "The file would have a part of an import that is being written."));
    let admin = Needs::Role(Role::Admin);
    vec![
        door::route(Method::GET, "/ops/v1/exports/numbers", admin, numbers_doc, numbers).streaming(),
        door::route(Method::GET, "/ops/v1/exports/periods", admin, periods_doc, billed).streaming(),
    ]
}

/// Returns the account that an export is narrowed to. A caller with an account gets its own.
fn account(call: &Call) -> Result<Option<AccountId>, OpsProblem> {
    // Another account is refused in the same words whether it exists or not, and whatever its id looks like.
    if let Some(own) = call.caller.account {
        let named = value(call, "account");
        if named.is_some_and(|named| named.parse() != Ok(own)) {
            return Err(Refusal::Denied.into());
        }
        return Ok(Some(own));
    }
    parsed(call, "account", "an account's id, digits such as 9900000")
}

/// Writes down who copies what out, before any of it is sent.
async fn exported(app: &App, call: &Call, what: &str) -> Result<(), OpsProblem> {
    let doer = Doer { author: call.author(), now: app.believed_now().ok_or_else(body::clock)? };
    let mut deed = Deed::by(&doer, DeedKind::Exported).about(call.caller.account).with("what", what);
    for (name, value) in &call.pairs {
        deed = deed.with(name, value.as_str());
    }
    Ok(app.store.write_deeds(vec![deed]).await?)
}

/// How far an export is.
enum At {
    /// After this number. `None` at the beginning.
    After(Option<Number>),
    /// At its end.
    End,
}

/// Returns the parts of a file: its head, then page after page. `page` returns the lines of a page, and where to go on.
fn pages<F>(
    head: String,
    page: impl Fn(Option<Number>) -> F + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static
where
    F: Future<Output = onhook_store::Result<(String, At)>> + Send + 'static,
{
    let ahead = VecDeque::from([Bytes::from(head)]);
    stream::unfold((At::After(None), ahead, page), async |(at, mut ahead, page)| {
        let mut at = at;
        loop {
            if let Some(part) = ahead.pop_front() {
                return Some((Ok(part), (at, ahead, page)));
            }
            let At::After(after) = at else { return None };
            match page(after).await {
                Ok((lines, next)) => {
                    at = next;
                    if !lines.is_empty() {
                        ahead.push_back(lines.into());
                    }
                }
                Err(error) => {
                    store_log::failed("an export was cut off", &error);
                    let cut = io::Error::other("the export cannot go on");
                    return Some((Err(cut), (At::End, ahead, page)));
                }
            }
        }
    })
}

async fn numbers(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let states = value(&call, "state").map_or(Ok(Vec::new()), |text| {
        let words = text.split(',').map(str::parse::<State>);
        words.collect::<Result<Vec<_>, _>>()
    });
    let states = states.map_err(|_| OpsProblem::wrong("state is one or more of the states, with commas"))?;
    let prefix = value(&call, "prefix").map(|prefix| prefix.trim_start_matches('+').to_owned());
    if let Some(prefix) = &prefix
        && (prefix.is_empty() || prefix.len() > 15 || !prefix.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(OpsProblem::wrong("prefix is 1 to 15 digits, with the country code"));
    }
    let filter = NumberFilter { account: account(&call)?, states, prefix, ..NumberFilter::default() };
    // How many match a filter is not known before they are read.
    let total: Option<u64> = if filter == NumberFilter::default() {
        let totals = app.store.totals(app.clock.now()).await?;
        Some(totals.by_state.iter().map(|(_, numbers)| numbers).sum())
    } else {
        None
    };
    exported(&app, &call, "numbers").await?;
    let head = written(number_file::COLUMNS);
    let page = move |after| {
        let (app, filter) = (app.clone(), filter.clone());
        async move {
            let page = app.store.export(filter, after, NUMBERS_PAGE).await?;
            let mut lines = String::new();
            for (entry, area) in &page.numbers {
                lines += &written(number_file::record(entry, area).iter().map(String::as_str));
            }
            Ok((lines, page.next.map_or(At::End, |next| At::After(Some(next)))))
        }
    };
    let reply = Reply::streamed(CSV, pages(head, page));
    Ok(match total {
        Some(total) => reply.with(NUMBERS, &total.to_string()),
        None => reply,
    })
}

/// Reads an instant, or a day: then it is the day's first instant in the server's time zone.
fn moment(app: &App, call: &Call, name: &'static str) -> Result<Option<Timestamp>, OpsProblem> {
    if let Some(day) = value(call, name).and_then(day) {
        return Ok(Some(Timestamp::start_of(day, app.settings.policy.zone())));
    }
    parsed(call, name, "a day such as 2027-01-01, or an instant such as 2027-01-01T00:00:00.000Z")
}

async fn billed(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let account = account(&call)?;
    let (from, until) = (moment(&app, &call, "from")?, moment(&app, &call, "until")?);
    if from.zip(until).is_some_and(|(from, until)| from > until) {
        return Err(OpsProblem::wrong("from lies after until"));
    }
    if let Some(account) = account
        && app.store.account(account).await?.is_none()
    {
        return Err(Refusal::NoResource.into());
    }
    if let Some(writing) = writing(&*app.store).await?
        && until.is_none_or(|until| writing.since < until)
    {
        return Err(import_writes(&writing, "export the periods when it has ended, or until it began"));
    }
    exported(&app, &call, "periods").await?;
    let wanted = move |period: &Period| {
        account.is_none_or(|account| period.account == account)
            && from.is_none_or(|from| period.until.is_none_or(|end| end > from))
            && until.is_none_or(|until| period.from < until)
    };
    let page = move |after| {
        let app = app.clone();
        async move {
            let lives = app.store.histories(after, LIVES).await?;
            let mut lines = String::new();
            for life in &lives {
                let number = life.entry.number.to_string();
                let periods = periods(&life.origin, life.imported_at, &life.events);
                let periods = periods.map_err(|error| StoreError::Broken(Box::new(error)))?;
                for period in periods.iter().filter(|period| wanted(period)) {
                    let (account, from) = (period.account.to_string(), period.from.to_string());
                    let until = period.until.map(|until| until.to_string()).unwrap_or_default();
                    lines += &written([number.as_str(), &account, &from, &until]);
                }
            }
            let last = lives.last().map(|life| life.entry.number);
            Ok((lines, last.map_or(At::End, |last| At::After(Some(last)))))
        }
    };
    Ok(Reply::streamed(CSV, pages(written(["number", "account", "from", "until"]), page)))
}
