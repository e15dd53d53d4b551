//! Bandwidth's door: XML, in the second dialect also JSON, and problems in the form of the requested resource.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, StatusCode};
use onhook_wire::dialect::Dialect;
use onhook_wire::error::explained::on_demand;
use onhook_wire::error::{Family, Problem, Row};
use onhook_wire::json;

use super::call::Call;
use super::posted::PassedOver;
use super::prefix::{PREFIXES, Prefix};
use super::reply;
use crate::app::App;
use crate::http::accept;
use crate::http::book::{Book, Chapter};
use crate::http::call;
use crate::http::doc::{Doc, Form, Media, Parameter, Shape};
use crate::http::door::{Door, Takes};
use crate::http::refusal::Refusal;
use crate::http::reply::{JSON, Reply, XML};
use crate::http::route::{self, Answer, Needs};
use crate::limits::Group;

/// Header of the emulator's answers: the names of a document's elements that were passed over.
const UNREAD: HeaderName = HeaderName::from_static("onhook-unread");

/// The names in the paths of the API.
const PARAMETERS: [Parameter; 11] = [
    Parameter::new("account", Form::Text("9900000"), "the account's id"),
    Parameter::new("application", Form::Uuid, "the application's id"),
    Parameter::new("note", Form::Text("1"), "the note's id"),
    Parameter::new("number", Form::Phone, "the telephone number"),
    Parameter::new("order", Form::Uuid, "the order's id"),
    Parameter::new("peer", Form::Text("1"), "the SIP peer's id"),
    Parameter::new("ratecenter", Form::Text("1"), "the rate center's id"),
    Parameter::new("reservation", Form::Uuid, "the reservation's id"),
    Parameter::new("site", Form::Text("1"), "the site's id"),
    Parameter::new("subscription", Form::Uuid, "the subscription's id"),
    Parameter::new("user", Form::Text("username"), "the user's name"),
];

/// The door to a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bandwidth {
    /// The form in which it refuses.
    family: Family,
    /// The root element of the document that it takes, if it takes one.
    root: Option<&'static str>,
}

impl Bandwidth {
    /// The door of a path without a known resource.
    pub(crate) const GENERIC: Self = Self { family: Family::GENERIC, root: None };
}

/// Returns the form in which a reply is wanted. The second dialect has a choice.
pub(super) fn form(prefix: Option<&'static str>, headers: &HeaderMap) -> accept::Form {
    match prefix.map(|text| Prefix::of(Some(text)).dialect) {
        Some(Dialect::V2) => accept::Form::wanted(headers),
        None | Some(Dialect::V1) => accept::Form::Fixed,
    }
}

impl Door for Bandwidth {
    fn takes(&self, prefix: Option<&'static str>) -> Takes {
        let (types, wanted): (&[&str], &str) = match (self.root, Prefix::of(prefix).dialect) {
            (Some(_), Dialect::V2) => {
                (&["application/xml", "text/xml", "application/json"], "application/xml or application/json")
            }
            (Some(_), Dialect::V1) => {
                (&["application/xml", "text/xml"], "application/xml, or JSON to /api/v2")
            }
            (None, _) => (&["application/xml", "text/xml"], "application/xml"),
        };
        Takes { types, wanted, untyped_xml: true }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        reply::problem(self.family, &refusal.into())
    }

    fn on_demand(&self, status: u16, code: Option<u16>, text: Option<String>) -> Option<Reply> {
        let row = on_demand(status, code)?;
        let row = Row { text: text.unwrap_or_else(|| row.text.clone()), ..row };
        let status = StatusCode::from_u16(status).ok()?;
        Some(Reply::xml(status, self.family.body_on_demand(&row)))
    }

    fn form(&self, prefix: Option<&'static str>, headers: &HeaderMap) -> accept::Form {
        form(prefix, headers)
    }

    fn parameter(&self, name: &str) -> Option<Parameter> {
        parameter(name)
    }

    fn media(&self, shape: Shape) -> Vec<Media> {
        let mut all = vec![Media::from(shape)];
        if all[0].bare_type() == "application/xml" {
            // Between the elements of an example there is white space, which no reply has.
            let document: String = shape.example.lines().map(str::trim).collect();
            let example = json::from_xml(&document).unwrap_or_default().into();
            all.push(Media { content_type: JSON, schema: "", example });
        }
        all
    }

    fn made_json(&self, reply: Reply) -> Reply {
        let Some(document) = reply.xml_document() else { return reply };
        // An answer that cannot be read back would be this program's own mistake. It stays XML then.
        if let Ok(document) = json::from_xml(document) {
            reply.made_json(document)
        } else {
            tracing::error!("an answer could not be made JSON");
            reply
        }
    }
}

/// Returns what a name in a path of the API means.
pub(super) fn parameter(name: &str) -> Option<Parameter> {
    PARAMETERS.into_iter().find(|told| told.name == name)
}

/// Returns the book of the API.
pub(crate) fn book(chapters: Vec<Chapter>) -> Book {
    let servers = PREFIXES.iter().map(|prefix| match prefix.dialect {
        Dialect::V1 => (prefix.text, "The first dialect: XML, numbers of ten digits."),
        Dialect::V2 => (prefix.text, "The second dialect: XML or JSON, numbers in E.164."),
    });
    Book {
        title: "onhook: Phone Number API",
        about: "Bandwidth's Phone Number API as onhook speaks it. Every route answers under every prefix; JSON is \
                to be had under /api/v2 only. Names in paths and queries are read in any case.",
        servers: servers.collect(),
        chapters,
    }
}

/// Answers calls that come through this door.
type Handler = Box<dyn Fn(Arc<App>, call::Call, Bandwidth) -> Answer + Send + Sync>;

/// A route of the API. It becomes a route of the server once it is fully described.
pub(crate) struct Route {
    method: Method,
    path: &'static str,
    needs: Needs,
    group: Group,
    door: Bandwidth,
    doc: Doc,
    handler: Handler,
}

impl Route {
    /// Returns a route that shows something.
    pub(crate) fn get<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        (group, family): (Group, Family),
        doc: Doc,
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Box::new(move |app, call, door| {
            let is_told = app.settings.emulator || tracing::enabled!(tracing::Level::DEBUG);
            let passed_over = is_told.then(Arc::<PassedOver>::default);
            let is_emulator = app.settings.emulator;
            let answering = handler(app, Call::new(call, door.root, passed_over.clone()));
            Box::pin(async move {
                match answering.await {
                    Ok(reply) => match passed_over.as_ref().and_then(|passed| passed.names()) {
                        // Only a successful call has surely read its whole document. Reading a refused one may have
                        // ended early.
                        Some(names) if reply.status().is_success() => {
                            tell_unread(is_emulator, path, reply, names)
                        }
                        _ => reply,
                    },
                    Err(problem) => reply::problem(door.family, &problem),
                }
            })
        });
        let door = Bandwidth { family, root: None };
        Self { method: Method::GET, path, needs, group, door, doc, handler }
    }

    /// Returns a route that makes something.
    pub(crate) fn post<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        doc: Doc,
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::POST, ..Self::get(path, needs, counted, doc, handler) }
    }

    /// Returns a route that replaces something.
    pub(crate) fn put<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        doc: Doc,
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::PUT, ..Self::get(path, needs, counted, doc, handler) }
    }

    /// Returns a route that changes a part of something.
    pub(crate) fn patch<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        doc: Doc,
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::PATCH, ..Self::get(path, needs, counted, doc, handler) }
    }

    /// Returns a route that removes something.
    pub(crate) fn delete<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        doc: Doc,
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::DELETE, ..Self::get(path, needs, counted, doc, handler) }
    }

    /// Returns the route, taking a document with this root element, such as this one.
    #[must_use]
    pub(crate) fn takes(self, root: &'static str, request: Shape) -> Self {
        let door = Bandwidth { root: Some(root), ..self.door };
        Self { door, doc: self.doc.takes(request), ..self }
    }
}

impl From<Route> for route::Route {
    fn from(Route { method, path, needs, group, door, doc, handler }: Route) -> Self {
        let document = door.root;
        let handler: route::Handler = Arc::new(move |app, call| handler(app, call, door));
        let door = Arc::new(door);
        Self {
            method,
            path,
            needs,
            group,
            uncounted: None,
            api: true,
            door,
            document,
            emulator: false,
            streaming: false,
            patient: false,
            doc,
            handler,
        }
    }
}

/// The XML document in a file beside the resources.
macro_rules! example {
    ($name:literal) => {
        $crate::bandwidth::door::xml(include_str!(concat!("examples/", $name, ".xml")))
    };
}
pub(super) use example;

/// An XML document.
pub(crate) const fn xml(example: &'static str) -> Shape {
    Shape::of(XML, example)
}

/// Names the elements that were passed over: in the log, and on an emulator also in the answer, for a developer.
fn tell_unread(is_emulator: bool, path: &'static str, reply: Reply, names: &str) -> Reply {
    tracing::debug!(route = path, unread = names, "elements that nothing reads were passed over: {names}");
    if is_emulator { reply.with(UNREAD, names) } else { reply }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::super::prefix::PREFIXES;
    use super::*;

    #[test]
    fn only_the_second_dialect_has_a_choice() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        for prefix in PREFIXES {
            let wanted = if prefix.text == "/api/v2" { accept::Form::Json } else { accept::Form::Fixed };
            assert_eq!(form(Some(prefix.text), &headers), wanted, "{}", prefix.text);
        }
        assert_eq!(form(None, &headers), accept::Form::Fixed);
    }
}
