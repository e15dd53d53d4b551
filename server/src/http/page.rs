//! An API's book as a page of HTML: without scripts, without anything from elsewhere, readable in light and dark.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{StatusCode, header};
use sha2::{Digest, Sha256};

use super::book::Book;
use super::doc::{KEY, Parameter, Shape, Told};
use super::openapi::{refusals, who};
use super::reply::Reply;
use super::route::Route;

const STYLE: &str = include_str!("page.css");

/// What the browser may do with a page: apply this one style sheet, and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// Returns a page as a reply, with the headers that keep a browser to it.
pub(crate) fn reply(page: Bytes) -> Reply {
    Reply::typed(StatusCode::OK, "text/html; charset=utf-8", page)
        .with(header::CONTENT_SECURITY_POLICY, &POLICY)
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .with(header::REFERRER_POLICY, "no-referrer")
}

/// Returns the page of a book. `links` lead to other documents: address and name.
pub(crate) fn page(book: &Book, links: &[(&str, &str)]) -> String {
    let mut page = Page(String::with_capacity(1 << 18));
    page.head(book, links);
    for chapter in &book.chapters {
        page.tagged("h2", chapter.heading);
        for route in &chapter.routes {
            page.route(route);
        }
    }
    page.raw("</main></body></html>\n");
    page.0
}

/// Returns a short page: a heading, and paragraphs that are parted by empty lines.
pub(crate) fn short(title: &str, text: &str) -> String {
    let mut page = Page(String::new());
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.tagged("title", title);
    let _ = writeln!(page.0, "<style>{STYLE}</style></head><body><main>");
    page.tagged("h1", title);
    for paragraph in text.split("\n\n") {
        page.tagged("p", paragraph);
    }
    page.raw("</main></body></html>\n");
    page.0
}

/// What a page does with JavaScript: it shows what is new.
const SCRIPT: &str = "setInterval(async()=>{if(document.querySelector('details[open]'))return;\
    const text=await(await fetch('/')).text();\
    const now=new DOMParser().parseFromString(text,'text/html').querySelector('main');\
    if(now)document.querySelector('main').replaceWith(now)},2000)";

/// What the browser may do with a page that has buttons: send its own forms, and run its one script.
static LIVE_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
});

/// A page with buttons, under way.
pub(crate) struct Live(Page);

impl Live {
    /// Begins a page.
    pub(crate) fn new(title: &str) -> Self {
        let mut page = Page(String::new());
        page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        page.tagged("title", title);
        let _ = writeln!(page.0, "<style>{STYLE}</style></head><body><main>");
        page.tagged("h1", title);
        Self(page)
    }

    /// Writes a heading.
    pub(crate) fn heading(&mut self, text: &str) {
        self.0.tagged("h2", text);
    }

    /// Writes a paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.0.tagged("p", text);
    }

    /// Writes a button that sends a name and a value.
    pub(crate) fn button(&mut self, name: &str, value: &str, text: &str) {
        self.0.raw("<form method=\"post\" action=\"/\"><button name=\"");
        self.0.text(name);
        self.0.raw("\" value=\"");
        self.0.text(value);
        self.0.raw("\">");
        self.0.text(text);
        self.0.raw("</button></form>\n");
    }

    /// Writes a table.
    pub(crate) fn table<const N: usize>(&mut self, heads: &[&str], rows: &[[String; N]]) {
        self.0.raw("<table><tr>");
        for head in heads {
            self.0.raw("<th>");
            self.0.text(head);
        }
        self.0.raw("</tr>\n");
        for row in rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.0.row(&cells);
        }
        self.0.raw("</table>\n");
    }

    /// Writes a line that opens to a longer text.
    pub(crate) fn details(&mut self, summary: &str, text: &str) {
        self.0.raw("<details><summary><code>");
        self.0.text(summary);
        self.0.raw("</code></summary><pre>");
        self.0.text(text);
        self.0.raw("</pre></details>\n");
    }
}

/// Returns a page with buttons as a reply, with the headers that keep a browser to it.
pub(crate) fn live(mut page: Live) -> Reply {
    let _ = writeln!(page.0.0, "</main><script>{SCRIPT}</script></body></html>");
    Reply::typed(StatusCode::OK, "text/html; charset=utf-8", page.0.0)
        .with(header::CONTENT_SECURITY_POLICY, &LIVE_POLICY)
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .with(header::REFERRER_POLICY, "same-origin")
        .with(header::CACHE_CONTROL, "no-store")
}

/// A page under way.
struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0 += html;
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0 += "&lt;",
                '>' => self.0 += "&gt;",
                '&' => self.0 += "&amp;",
                '"' => self.0 += "&quot;",
                c => self.0.push(c),
            }
        }
    }

    fn tagged(&mut self, tag: &str, text: &str) {
        let _ = write!(self.0, "<{tag}>");
        self.text(text);
        let _ = writeln!(self.0, "</{tag}>");
    }

    fn head(&mut self, book: &Book, links: &[(&str, &str)]) {
        self.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        self.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        self.tagged("title", book.title);
        let _ = writeln!(self.0, "<style>{STYLE}</style></head><body><main>");
        self.tagged("h1", book.title);
        self.tagged("p", book.about);
        self.raw("<p>");
        for (address, name) in links {
            let _ = write!(self.0, "<a href=\"{address}\">{name}</a> ");
        }
        self.raw("</p>\n<table><tr><th>addresses begin with<th></tr>\n");
        for (url, meaning) in &book.servers {
            self.row(&[url, meaning]);
        }
        self.raw("</table>\n<h2>All routes</h2>\n<table>\n");
        for route in book.chapters.iter().flat_map(|chapter| &chapter.routes) {
            let _ = write!(self.0, "<tr><td><a href=\"#{}\"><code>", route.id());
            self.text(&route.name());
            self.raw("</code></a><td>");
            self.text(route.doc.summary);
            self.raw("</tr>\n");
        }
        self.raw("</table>\n");
    }

    /// Writes a row of a table. The first cell is code.
    fn row(&mut self, cells: &[&str]) {
        self.raw("<tr>");
        for (n, cell) in cells.iter().enumerate() {
            self.raw(if n == 0 { "<td><code>" } else { "<td>" });
            self.text(cell);
            self.raw(if n == 0 { "</code>" } else { "" });
        }
        self.raw("</tr>\n");
    }

    fn route(&mut self, route: &Route) {
        let doc = &route.doc;
        let _ = write!(self.0, "<section id=\"{}\"><h3><b>{}</b> <code>", route.id(), route.method);
        self.text(route.path);
        self.raw("</code></h3>\n");
        self.tagged("p", doc.summary);
        self.tagged("p", &who(route));
        let path: Vec<Parameter> = route.parameters().filter_map(|name| route.door.parameter(name)).collect();
        self.parameters("in the path", &path);
        self.parameters("in the query", &doc.query);
        self.parameters("in a header", if route.takes_key() { &[KEY] } else { &[] });
        if let Some(shape) = doc.request {
            self.tagged("h4", "takes");
            self.examples(route, shape);
        }
        if let Some(shape) = doc.other {
            self.examples(route, shape);
        }
        self.tagged("h4", "replies");
        for Told { status, meaning, body } in &doc.replies {
            let _ = write!(self.0, "<p><b>{status}</b> ");
            self.text(meaning);
            self.raw("</p>\n");
            if let Some(shape) = body {
                self.examples(route, *shape);
            }
        }
        let own = |status: StatusCode| doc.replies.iter().any(|told| told.status == status.as_u16());
        let refused = refusals(route).into_iter().map(|(status, _)| status).filter(|status| !own(*status));
        let refused: Vec<String> = refused
            .map(|status| format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default()))
            .collect();
        self.tagged("p", &format!("May be refused with {}.", refused.join(", ")));
        self.raw("</section>\n");
    }

    fn parameters(&mut self, heading: &str, parameters: &[Parameter]) {
        if parameters.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "<table><tr><th>{heading}<th>form<th>meaning</tr>");
        for told in parameters {
            let required = if told.required { "; required" } else { "" };
            self.row(&[told.name, &format!("{}{required}", told.form.words()), told.meaning]);
        }
        self.raw("</table>\n");
    }

    fn examples(&mut self, route: &Route, shape: Shape) {
        for media in route.door.media(shape) {
            self.raw("<details><summary><code>");
            self.text(media.bare_type());
            self.raw("</code></summary><pre>");
            self.text(&media.example);
            self.raw("</pre></details>\n");
        }
    }
}
