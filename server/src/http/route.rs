//! Routes as data: what is asked, who may, at which door, and who answers.
//!
//! A route that does not say who may cannot be written down, and the authorisation test walks the list.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use onhook_core::account::Role;

use super::call::Call;
use super::doc::Doc;
use super::door::Door;
use super::reply::Reply;
use crate::app::App;
use crate::limits::Group;

/// What a caller needs to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anyone may ask.
    Nothing,
    /// To be signed in; the handler shows a caller only what is theirs.
    Caller,
    /// The path's account to be theirs, with this role at least. An operator has every account.
    Account(Role),
    /// To run the server.
    Operator,
}

/// What a handler will answer.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
/// Answers calls. How it refuses is its door's matter.
pub(crate) type Handler = Arc<dyn Fn(Arc<App>, Call) -> Answer + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, without a prefix; `{account}` is the account whose it is.
    pub path: &'static str,
    /// Who may.
    pub needs: Needs,
    /// With which others its requests are counted.
    pub group: Group,
    /// Whether it is part of the API with its prefixes.
    pub api: bool,
    /// In which form it is spoken with.
    pub door: Arc<dyn Door>,
    /// What the document is called that it takes, where documents have names (the root of an XML document).
    pub document: Option<&'static str>,
    /// What it says of itself.
    pub doc: Option<&'static Doc>,
    pub(crate) handler: Handler,
}

impl Route {
    /// The same route with a description.
    #[must_use]
    pub fn described(self, doc: &'static Doc) -> Self {
        Self { doc: Some(doc), ..self }
    }

    /// What it is called in metrics and tests.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Answers a call that has passed the gate.
    pub(super) fn handle(&self, app: Arc<App>, call: Call) -> Answer {
        (self.handler)(app, call)
    }
}
