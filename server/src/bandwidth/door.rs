//! Bandwidth's door: XML, in the second dialect also JSON, and problems in the form of the requested resource.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use onhook_wire::dialect::Dialect;
use onhook_wire::error::{Family, Problem};
use onhook_wire::json;

use super::call::Call;
use super::posted::PassedOver;
use super::prefix::Prefix;
use super::reply;
use crate::app::App;
use crate::http::accept::Form;
use crate::http::call;
use crate::http::door::{Door, Takes};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{self, Answer, Needs};
use crate::limits::Group;

/// Header of the emulator's answers: the names of a document's elements that were passed over.
const UNREAD: HeaderName = HeaderName::from_static("onhook-unread");

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
pub(super) fn form(prefix: Option<&'static str>, headers: &HeaderMap) -> Form {
    match prefix.map(|text| Prefix::of(Some(text)).dialect) {
        Some(Dialect::V2) => Form::wanted(headers),
        None | Some(Dialect::V1) => Form::Fixed,
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

    fn form(&self, prefix: Option<&'static str>, headers: &HeaderMap) -> Form {
        form(prefix, headers)
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

/// Answers calls that come through this door.
type Handler = Box<dyn Fn(Arc<App>, call::Call, Bandwidth) -> Answer + Send + Sync>;

/// A route of the API. It becomes a route of the server once it is fully described.
pub(crate) struct Route {
    method: Method,
    path: &'static str,
    needs: Needs,
    group: Group,
    door: Bandwidth,
    handler: Handler,
}

impl Route {
    /// Returns a route that shows something.
    pub(crate) fn get<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        (group, family): (Group, Family),
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
        Self { method: Method::GET, path, needs, group, door, handler }
    }

    /// Returns a route that makes something.
    pub(crate) fn post<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::POST, ..Self::get(path, needs, counted, handler) }
    }

    /// Returns a route that replaces something.
    pub(crate) fn put<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::PUT, ..Self::get(path, needs, counted, handler) }
    }

    /// Returns a route that changes a part of something.
    pub(crate) fn patch<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::PATCH, ..Self::get(path, needs, counted, handler) }
    }

    /// Returns a route that removes something.
    pub(crate) fn delete<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::DELETE, ..Self::get(path, needs, counted, handler) }
    }

    /// Returns the route, taking a document with this root element.
    #[must_use]
    pub(crate) fn takes(mut self, root: &'static str) -> Self {
        self.door.root = Some(root);
        self
    }
}

impl From<Route> for route::Route {
    fn from(Route { method, path, needs, group, door, handler }: Route) -> Self {
        let document = door.root;
        let handler: route::Handler = Arc::new(move |app, call| handler(app, call, door));
        Self { method, path, needs, group, api: true, door: Arc::new(door), document, doc: None, handler }
    }
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
            let wanted = if prefix.text == "/api/v2" { Form::Json } else { Form::Fixed };
            assert_eq!(form(Some(prefix.text), &headers), wanted, "{}", prefix.text);
        }
        assert_eq!(form(None, &headers), Form::Fixed);
    }
}
