//! What the routes of the controls share.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::app::App;
use crate::emulator::Emulator;
use crate::http::call::Call;
use crate::http::doc::Doc;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::ops::door::{self, OpsProblem};
use crate::ops::problem::Code;

/// Returns a route that shows something.
pub(super) fn get<F: Future<Output = Result<Reply, OpsProblem>> + Send + 'static>(
    path: &'static str,
    doc: Doc,
    handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
) -> Route {
    door::route(Method::GET, path, Needs::Operator, doc, handler)
}

/// Returns a route that removes something.
pub(super) fn delete<F: Future<Output = Result<Reply, OpsProblem>> + Send + 'static>(
    path: &'static str,
    doc: Doc,
    handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
) -> Route {
    door::route(Method::DELETE, path, Needs::Operator, doc, handler)
}

/// Returns a route that does something.
pub(super) fn post<F: Future<Output = Result<Reply, OpsProblem>> + Send + 'static>(
    path: &'static str,
    doc: Doc,
    handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
) -> Route {
    door::route(Method::POST, path, Needs::Operator, doc, handler)
}

/// Returns the emulator's parts. The routes of another server are refused before.
pub(super) fn of(app: &App) -> Result<&Emulator, OpsProblem> {
    app.emulator.as_ref().ok_or_else(|| OpsProblem::new(Code::NotFound, "this server is no emulator"))
}

/// Returns 200 with a document.
pub(super) fn shown(document: &serde_json::Value) -> Reply {
    Reply::json(StatusCode::OK, document)
}
