//! Routes as data: what is asked, who may ask, the door, and the handler.
//!
//! A route cannot be written without saying who may ask, and the authorisation test walks the list.

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

/// What a caller needs to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing. Anyone may ask.
    Nothing,
    /// The caller must be signed in. The handler shows a caller only what is theirs.
    Caller,
    /// The path's account must be the caller's, with this role at least. An operator has every account.
    Account(Role),
    /// The caller must be an operator.
    Operator,
}

/// A handler's future answer.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
/// Answers calls. The route's door decides how it refuses.
pub(crate) type Handler = Arc<dyn Fn(Arc<App>, Call) -> Answer + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, without a prefix. `{account}` is the account that it belongs to.
    pub path: &'static str,
    /// Who may ask.
    pub needs: Needs,
    /// The routes with which its requests are counted.
    pub group: Group,
    /// True if it is part of the API with its prefixes.
    pub api: bool,
    /// Its door.
    pub door: Arc<dyn Door>,
    /// The name of the document that it takes, if documents have names (the root of an XML document).
    pub document: Option<&'static str>,
    /// Its description.
    pub doc: Option<&'static Doc>,
    pub(crate) handler: Handler,
}

impl Route {
    /// Returns the route with a description.
    #[must_use]
    pub fn described(self, doc: &'static Doc) -> Self {
        Self { doc: Some(doc), ..self }
    }

    /// Returns its name in metrics and tests.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Answers a call that has passed the gate.
    pub(super) fn handle(&self, app: Arc<App>, call: Call) -> Answer {
        (self.handler)(app, call)
    }
}
