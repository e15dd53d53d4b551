//! The operations' door: JSON, and problem documents (RFC 9457).

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::http::book::{Book, Chapter};
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter};
use crate::http::door::{Door, Takes};
use crate::http::refusal::Refusal;
use crate::http::reply::{JSON, Reply};
use crate::http::route::{Needs, Route};
use crate::limits::Group;

/// The type of problem documents.
const PROBLEM: &str = "application/problem+json";

/// Why an operation is refused. The title is that of the status.
#[derive(Debug)]
pub(crate) struct OpsProblem {
    status: StatusCode,
    /// A word for programs that have to tell this problem from others with this status.
    code: Option<&'static str>,
    detail: Cow<'static, str>,
    /// The refusal, if it came from the gate or the store.
    refusal: Option<Refusal>,
}

impl OpsProblem {
    /// Returns the problem of a wrong request.
    pub(crate) fn wrong(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: None, detail: detail.into(), refusal: None }
    }

    /// Returns the problem document.
    fn document(&self) -> Value {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut document = json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
        if let Some(code) = self.code {
            document["code"] = json!(code);
        }
        document
    }

    fn reply(&self) -> Reply {
        let reply = Reply::typed(self.status, PROBLEM, self.document().to_string());
        match &self.refusal {
            Some(refusal) => refusal.told_in(reply),
            None => reply,
        }
    }
}

impl From<Refusal> for OpsProblem {
    fn from(refusal: Refusal) -> Self {
        let (status, detail) = (refusal.status(), refusal.sentence());
        Self { status, code: None, detail, refusal: Some(refusal) }
    }
}

/// The names in the paths of the server's own routes.
const PARAMETERS: [Parameter; 1] = [Parameter::new("account", Form::Text("9900000"), "the account's id")];

/// The door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ops;

impl Door for Ops {
    fn takes(&self, _prefix: Option<&'static str>) -> Takes {
        Takes { types: &[JSON], wanted: JSON, untyped_xml: false }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        OpsProblem::from(refusal).reply()
    }

    fn parameter(&self, name: &str) -> Option<Parameter> {
        PARAMETERS.into_iter().find(|told| told.name == name)
    }
}

/// Returns the book of the server's own routes.
pub(crate) fn book(chapters: Vec<Chapter>) -> Book {
    Book {
        title: "onhook: operations",
        about: "The server's own routes, in JSON. Refusals are problem documents (RFC 9457).",
        servers: vec![("/", "The host, without a prefix.")],
        chapters,
    }
}

/// Returns a route of the server itself, outside the API.
pub(crate) fn route<F: Future<Output = Result<Reply, OpsProblem>> + Send + 'static>(
    method: Method,
    path: &'static str,
    needs: Needs,
    doc: Doc,
    handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
) -> Route {
    Route {
        method,
        path,
        needs,
        group: Group::Free,
        api: false,
        door: Arc::new(Ops),
        document: None,
        emulator: false,
        doc,
        handler: Arc::new(move |app, call| {
            let answering = handler(app, call);
            Box::pin(async move { answering.await.unwrap_or_else(|problem| problem.reply()) })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_a_code_where_there_is_one() {
        let wrong = OpsProblem::wrong("once is enough");
        assert_eq!(wrong.document().get("code"), None);
        let coded = OpsProblem { code: Some("moved_already"), ..wrong };
        let document = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "once is enough",
            "code": "moved_already",
        });
        assert_eq!(coded.document(), document);
    }
}
