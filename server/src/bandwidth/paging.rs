//! What lists share: pages, their links, and what narrows them.

use onhook_core::ids::SiteId;
use onhook_store::contract::page::Start;
use onhook_wire::error::{Problem, cut};
use onhook_wire::query::{Links, Page as WantedPage, Query};

use super::call::Call;
use crate::app::App;

/// The page that a client wants, as the store takes it.
pub(crate) fn start<T>(page: WantedPage<T>) -> Start<T> {
    match page {
        WantedPage::Number(page) => Start::Page(page),
        WantedPage::At(id) => Start::At(id),
    }
}

/// The links of a list under the path's account, with the filters that the request had.
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

/// The path's site, if it has one. Whether it is the account's is not asked: at another's, it has nothing.
pub(crate) fn site(call: &Call) -> Result<Option<SiteId>, Problem> {
    match call.param("site") {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Problem::NoSite(cut(text))),
    }
}

/// An id that a list is narrowed to.
pub(crate) fn parsed<T: std::str::FromStr>(query: &Query, name: &'static str) -> Result<Option<T>, Problem> {
    let read = |text: &str| text.parse().map_err(|_| Problem::Value(name, cut(text), &[]));
    query.get(name)?.map(read).transpose()
}
