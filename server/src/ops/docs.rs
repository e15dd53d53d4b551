//! The documents of the server's APIs: OpenAPI for programs, pages for people. Both are made from the routes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Method, StatusCode};

use super::door;
use crate::http::book::Book;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::openapi;
use crate::http::page;
use crate::http::reply::{JSON, Reply};
use crate::http::route::{Needs, Route};

/// A function that returns a book of the server.
pub(crate) type Write = fn() -> Book;

/// The paths of a book's documents, and how its page names it.
struct Shelf {
    json: &'static str,
    page: &'static str,
    name: &'static str,
}

const OPERATIONS: Shelf = Shelf { json: "/ops/openapi.json", page: "/ops/docs", name: "operations API" };
const BANDWIDTH: Shelf =
    Shelf { json: "/ops/openapi/bandwidth.json", page: "/ops/docs/bandwidth", name: "Phone Number API" };

const OPENAPI: Shape = Shape::json(
    r#"{"type": "object", "required": ["openapi", "info", "paths"], "properties": {
        "openapi": {"type": "string"}, "info": {"type": "object"}, "servers": {"type": "array"},
        "security": {"type": "array"}, "tags": {"type": "array"}, "paths": {"type": "object"},
        "components": {"type": "object"}}}"#,
    r#"{"components": {}, "info": {"title": "onhook", "version": "0.1.0"}, "openapi": "3.1.0", "paths": {},
        "security": [], "servers": [], "tags": []}"#,
);
const PAGE: Shape = Shape::of("text/html; charset=utf-8", "<!doctype html>");

/// Returns the routes of these books' documents.
pub(crate) fn routes(operations: Write, bandwidth: Write) -> Vec<Route> {
    vec![
        program(&OPERATIONS, operations, "Shows this API as an OpenAPI 3.1 document."),
        program(&BANDWIDTH, bandwidth, "Shows the Phone Number API as an OpenAPI 3.1 document."),
        reader(&OPERATIONS, operations, &BANDWIDTH, "Shows this API as a page to read."),
        reader(&BANDWIDTH, bandwidth, &OPERATIONS, "Shows the Phone Number API as a page to read."),
    ]
}

/// Returns the route of a book's OpenAPI document.
fn program(shelf: &Shelf, write: Write, summary: &'static str) -> Route {
    let doc = Doc::new(summary, Told::ok(OPENAPI));
    let made = Made::new(write, |book| openapi::document(book).to_string());
    door::route(Method::GET, shelf.json, Needs::Nothing, doc, move |app, _call| {
        let body = made.of(app.settings.emulator);
        async move { Ok(Reply::typed(StatusCode::OK, JSON, body)) }
    })
}

/// Returns the route of a book's page, which leads to another one's.
fn reader(shelf: &Shelf, write: Write, other: &Shelf, summary: &'static str) -> Route {
    let doc = Doc::new(summary, Told::ok(PAGE));
    let links = [(shelf.json, "OpenAPI 3.1"), (other.page, other.name)];
    let made = Made::new(write, move |book| page::page(book, &links));
    door::route(Method::GET, shelf.page, Needs::Nothing, doc, move |app, _call| {
        let body = made.of(app.settings.emulator);
        async move { Ok(page::reply(body)) }
    })
}

/// A document, made when it is first asked for.
struct Made {
    write: Write,
    form: Box<dyn Fn(&Book) -> String + Send + Sync>,
    /// The document, first that of a server that is no emulator.
    made: [OnceLock<Bytes>; 2],
}

impl Made {
    fn new(write: Write, form: impl Fn(&Book) -> String + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { write, form: Box::new(form), made: [OnceLock::new(), OnceLock::new()] })
    }

    /// Returns the document. Only an emulator's has the emulator's routes.
    fn of(&self, emulator: bool) -> Bytes {
        let made = self.made[usize::from(emulator)].get_or_init(|| {
            let book = (self.write)();
            let book = if emulator { book } else { book.without_emulator() };
            (self.form)(&book).into()
        });
        made.clone()
    }
}
