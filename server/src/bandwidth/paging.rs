//! What lists share: pages, their links, and filters.

use onhook_core::ids::SiteId;
use onhook_store::contract::page::Start;
use onhook_wire::error::{Problem, cut};
use onhook_wire::query::{Links, Page as WantedPage, Query};

use super::call::Call;
use crate::app::App;
use crate::http::doc::{Form, Parameter};

/// The account that an operator asks about, in lists of what belongs to the caller's account.
pub(crate) const ACCOUNT: Parameter =
    Parameter::new("accountId", Form::Text("9900000"), "the account; an operator must name it");
/// The days that a list is about. One is not to be had without the other.
pub(crate) const DAYS: [Parameter; 2] = [
    Parameter::new("startDate", Form::Day, "the first day that the list is about"),
    Parameter::new("endDate", Form::Day, "the last day that the list is about"),
];

/// Returns the parameters that choose a page of at most so many elements.
pub(crate) const fn pages(size_max: u32) -> [Parameter; 2] {
    [Parameter::new("page", Form::Page, "where the page begins"), size(size_max)]
}

/// Returns the parameter that sets how many elements a page has.
pub(crate) const fn size(max: u32) -> Parameter {
    Parameter::new("size", Form::Whole(1, max), "how many elements the page has at most")
}

/// Returns the page that a client wants, as the store takes it.
pub(crate) fn start<T>(page: WantedPage<T>) -> Start<T> {
    match page {
        WantedPage::Number(page) => Start::Page(page),
        WantedPage::At(id) => Start::At(id),
    }
}

/// Returns the links of a list under the path's account, with the request's filters.
pub(crate) fn links(
    app: &App,
    call: &Call,
    segment: &str,
    size: u32,
    next: Option<String>,
) -> Result<Links, Problem> {
    let (base, prefix, account) = (&app.public_url, call.prefix.for_links(), call.account()?);
    let list = format!("{base}{prefix}/accounts/{account}/{segment}");
    Ok(Links { list, filters: call.query.filters(), size, next })
}

/// Returns the path's site, if it has one. It is not checked to be the account's: at another's site the account has
/// nothing.
pub(crate) fn site(call: &Call) -> Result<Option<SiteId>, Problem> {
    match call.param("site") {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Problem::NoSite(cut(text))),
    }
}

/// Returns the id that a list is filtered by.
pub(crate) fn parsed<T: std::str::FromStr>(query: &Query, name: &'static str) -> Result<Option<T>, Problem> {
    let read = |text: &str| text.parse().map_err(|_| Problem::Value(name, cut(text), &[]));
    query.get(name)?.map(read).transpose()
}
