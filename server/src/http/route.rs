//! Routes as data: what is asked, who may ask, the door, and the handler.
//!
//! A route cannot be written without its description and without saying who may ask. The API's documents are made of
//! both, and the authorisation test walks the list.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use onhook_core::account::Role;
use onhook_core::account::user::Right;

use super::call::Call;
use super::doc::Doc;
use super::door::Door;
use super::refusal::Refusal;
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
    /// The caller must have this role at least. The handler lets a caller change only what is theirs.
    Role(Role),
    /// The path's account must be the caller's, with this role at least. An operator has every account.
    Account(Role),
    /// The caller must have this role at least, and this right, or be an operator. The handler lets a caller change only
    /// what is theirs.
    Right(Role, Right),
    /// The caller must be an operator.
    Operator,
    /// The caller must work on the machine itself: what a stolen password must not do.
    Machine,
}

impl Needs {
    /// Returns who may ask, in a sentence.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Needs::Nothing => "Anyone may ask, without signing in.".to_owned(),
            Needs::Caller => "Every user may ask, and sees what is their own.".to_owned(),
            Needs::Role(role) => {
                format!(
                    "Users with the role {role} or a higher one may ask for what is their own, and operators."
                )
            }
            Needs::Account(role) => {
                format!("Users of the account with the role {role} or a higher one may ask, and operators.")
            }
            Needs::Right(role, right) => format!(
                "Users with the role {role} or a higher one who have the right {right} may ask for what is their own, \
                 and operators."
            ),
            Needs::Operator => "Operators may ask.".to_owned(),
            Needs::Machine => "Only a person who works on the machine itself may ask.".to_owned(),
        }
    }
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
    /// Requests of callers with this right are not counted.
    pub uncounted: Option<Right>,
    /// True if it is part of the API with its prefixes.
    pub api: bool,
    /// Its door.
    pub door: Arc<dyn Door>,
    /// The name of the document that it takes, if documents have names (the root of an XML document).
    pub document: Option<&'static str>,
    /// True if only an emulator has it.
    pub emulator: bool,
    /// True if its handler reads the body while it arrives ([`Call::incoming`]), of the type that its description tells.
    /// Then neither the body nor the time that it takes is bounded before the handler.
    pub streaming: bool,
    /// True if its handler bounds by itself how long it takes.
    pub patient: bool,
    /// Its description.
    pub doc: Doc,
    pub(crate) handler: Handler,
}

impl Route {
    /// Returns the route as one that only an emulator has. Any other server says that there is nothing.
    #[must_use]
    pub fn of_emulator(self) -> Self {
        Self { emulator: true, ..self }
    }

    /// Returns the route as one that does not count the requests of callers with a right.
    #[must_use]
    pub fn uncounted_with(self, right: Right) -> Self {
        Self { uncounted: Some(right), ..self }
    }

    /// Returns the route as one whose handler reads the body while it arrives.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { streaming: true, ..self }
    }

    /// Returns the route as one whose handler bounds by itself how long it takes.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patient: true, ..self }
    }

    /// Returns its name in metrics and tests.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Answers a call that has passed the gate.
    pub(super) fn handle(&self, app: Arc<App>, call: Call) -> Answer {
        if self.emulator && !app.settings.emulator {
            return Box::pin(std::future::ready(self.door.refuse(Refusal::NoResource)));
        }
        (self.handler)(app, call)
    }

    /// Returns whether a request with an `Idempotency-Key` is done once. That takes a body that is read whole.
    #[must_use]
    pub fn takes_key(&self) -> bool {
        self.doc.keyed && !self.streaming
    }

    /// Returns the names of its path's parameters, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Returns its name in documents: letters, digits and underscores, different from every other route's.
    #[must_use]
    pub fn id(&self) -> String {
        let method = self.method.as_str().to_ascii_lowercase();
        let parts = self.path.split(['/', '{', '}', '.', '-']).filter(|part| !part.is_empty());
        parts.fold(method, |id, part| id + "_" + part)
    }
}
