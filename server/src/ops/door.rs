//! The operations' door: JSON, and problem documents (RFC 9457).

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use http::Method;
use onhook_store::StoreError;
use onhook_store::contract::once::Kept;
use serde_json::{Map, Value, json};

use super::once;
use super::problem::Code;
use crate::app::App;
use crate::http::book::{Book, Chapter};
use crate::http::call::{Call, RequestKey};
use crate::http::doc::{Doc, Form, Parameter};
use crate::http::door::{Door, Takes};
use crate::http::refusal::Refusal;
use crate::http::reply::{JSON, Reply};
use crate::http::route::{Needs, Route};
use crate::limits::Group;

/// The type of problem documents.
const PROBLEM: &str = "application/problem+json";
/// How the paths of the operations API begin.
const API: &str = "/ops/v1/";
/// How the paths of the emulator's controls begin.
const CONTROLS: &str = "/ops/v1/emulator/";
/// Most characters of a parameter's name that are repeated.
pub(super) const NAME_MAX: usize = 40;

/// Why an operation is refused.
#[derive(Debug)]
pub(crate) struct OpsProblem {
    code: Code,
    detail: Cow<'static, str>,
    /// More keys of the document.
    more: Map<String, Value>,
    /// The refusal, if it came from the gate or the store.
    refusal: Option<Refusal>,
}

impl OpsProblem {
    /// Returns a problem, with what is particular to this one.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), more: Map::new(), refusal: None }
    }

    /// Returns the problem of a value that is not allowed.
    pub(crate) fn wrong(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadValue, detail)
    }

    /// Returns the problem of what cannot be done at this moment. Its reply says when to ask again.
    pub(crate) fn busy(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal: Some(Refusal::Busy), ..Self::new(Code::Busy, detail) }
    }

    /// Returns the problem of what stands at a path of a body.
    pub(super) fn in_body(code: Code, at: &str, detail: String) -> Self {
        let errors = json!([{ "at": at, "detail": &detail }]);
        Self::new(code, detail).with("errors", errors)
    }

    /// Returns the problem with one more key in its document.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.more.insert(key.to_owned(), value);
        self
    }

    /// Returns the problem of a key that cannot be used for a request.
    fn of_key(code: Code) -> Self {
        Self::new(code, code.meaning())
    }

    /// Returns the problem with the path of its request. One that hides whether something is there has none: it is the same
    /// for each path.
    fn at(self, path: &str, params: &[(&'static str, String)]) -> Self {
        if self.refusal.is_some()
            || matches!(self.code, Code::Forbidden | Code::NotFound | Code::NumberNotFound)
        {
            return self;
        }
        let fill = |path: String, (name, value): &(&'static str, String)| {
            path.replace(&format!("{{{name}}}"), value)
        };
        self.with("instance", json!(params.iter().fold(path.to_owned(), fill)))
    }

    /// Returns the problem document.
    fn document(&self) -> Value {
        let mut document = self.more.clone();
        document.insert("type".to_owned(), json!(format!("/ops/problems/{}", self.code.word())));
        document.insert("title".to_owned(), json!(self.code.title()));
        document.insert("status".to_owned(), json!(self.code.status().as_u16()));
        document.insert("code".to_owned(), json!(self.code.word()));
        document.insert("detail".to_owned(), json!(self.detail));
        Value::Object(document)
    }

    fn reply(&self) -> Reply {
        let reply = Reply::typed(self.code.status(), PROBLEM, self.document().to_string());
        match &self.refusal {
            Some(refusal) => refusal.told_in(reply),
            None => reply,
        }
    }
}

impl From<Refusal> for OpsProblem {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Denied | Refusal::NotYourAccount(_) => Code::Forbidden,
            Refusal::NoResource => Code::NotFound,
            Refusal::ContentType(_) => Code::WrongContentType,
            Refusal::BodyTooLarge(_) => Code::BodyTooLarge,
            Refusal::BodyTimeout => Code::BodyTooSlow,
            Refusal::BadRequest(_) => Code::BadValue,
            Refusal::Timeout => Code::Timeout,
            Refusal::Busy => Code::Busy,
            Refusal::Failed => Code::Internal,
        };
        // Whether another account exists is not told.
        let detail = match &refusal {
            Refusal::NotYourAccount(_) => Refusal::Denied.sentence(),
            Refusal::BadRequest(why) => why.clone(),
            refusal => refusal.sentence(),
        };
        Self { refusal: Some(refusal), ..Self::new(code, detail) }
    }
}

impl From<StoreError> for OpsProblem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::KeyTaken) {
            return Self::of_key(Code::KeyInUse);
        }
        Refusal::by_store(error).into()
    }
}

/// The names in the paths of the server's own routes.
const PARAMETERS: [Parameter; 19] = [
    Parameter::new("area", Form::Text("1"), "the area's id"),
    Parameter::new("account", Form::Text("9900000"), "the account's id"),
    Parameter::new("number", Form::Phone, "the telephone number"),
    Parameter::new("order", Form::Uuid, "the order's id"),
    Parameter::new("user", Form::Text("orders"), "the user's name"),
    Parameter::new("site", Form::Text("1"), "the site's id"),
    Parameter::new("peer", Form::Text("1"), "the peer's id"),
    Parameter::new("delivery", Form::Text("1"), "the delivery's id"),
    Parameter::new("plan", Form::Uuid, "the plan's id"),
    Parameter::new("fault", Form::Whole(1, u32::MAX), "the rule's id"),
    Parameter::new("snapshot", Form::Text("before"), "the snapshot's name"),
    Parameter::new("name", Form::Text("mine"), "any name"),
    Parameter::new("code", Form::Text("bad_value"), "the problem's code"),
    Parameter::new("report", Form::Text("rnd-2026-12-ACME1-9d1c2f3a4b5c"), "the report's id"),
    Parameter::new("file", Form::Text("ACME1_202612.csv"), "the file's name"),
    Parameter::new(
        "block",
        Form::Text("540-555-0"),
        "the block: area code, exchange, and the first digit of the line",
    ),
    Parameter::new("check", Form::Text("1"), "the check's id"),
    Parameter::new("backup", Form::Text("1"), "the backup's id"),
    Parameter::new("import", Form::Text("1"), "the import's id"),
];

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
    let doc = if method == Method::POST && needs != Needs::Nothing { doc.keyed() } else { doc };
    let allowed: Vec<&'static str> = doc.query.iter().map(|parameter| parameter.name).collect();
    Route {
        method,
        path,
        needs,
        // Documents, problems and probes of health are for anyone, and are not counted.
        group: if path.starts_with(API) { Group::Ops } else { Group::Free },
        uncounted: None,
        api: false,
        door: Arc::new(Ops),
        document: None,
        emulator: false,
        streaming: false,
        patient: false,
        doc,
        handler: Arc::new(move |app, call| {
            // Probes of health and readers of documents may add what they like.
            if path.starts_with(API)
                && let Err(problem) = known(&call.pairs, &allowed)
            {
                return Box::pin(std::future::ready(problem.reply()));
            }
            let params = call.params.clone();
            let asked = call.key.clone().map(|key| (call.caller.user.clone(), key));
            let answering = handler(app.clone(), call);
            Box::pin(async move {
                let answer = match asked {
                    Some((user, key)) => done_once(&app, path, user, &key, answering).await,
                    None => answering.await,
                };
                answer.unwrap_or_else(|problem| problem.at(path, &params).reply())
            })
        }),
    }
}

/// Answers a request with a key: as it was answered before, if it was done.
async fn done_once(
    app: &App,
    path: &str,
    user: Arc<str>,
    key: &RequestKey,
    answering: impl Future<Output = Result<Reply, OpsProblem>>,
) -> Result<Reply, OpsProblem> {
    if let Some(before) = once::before(app, &user, key).await? {
        return before.map_err(OpsProblem::of_key);
    }
    let begun = app.under_way.begin(user.clone(), key.key.clone());
    let Some(_begun) = begun else { return Err(OpsProblem::of_key(Code::KeyInUse)) };
    match answering.await {
        // Another node, or this one before the client gave up, has done it meanwhile.
        Err(problem) if problem.code == Code::KeyInUse => match once::before(app, &user, key).await? {
            Some(before) => before.map_err(OpsProblem::of_key),
            None => Err(problem),
        },
        answer => {
            if path.starts_with(CONTROLS)
                && let Some(reply) = answer.as_ref().ok().and_then(Reply::to_keep)
            {
                app.under_way.remember(user, key.key.clone(), Kept { digest: key.digest, reply });
            }
            answer
        }
    }
}

/// Refuses a parameter that the route does not know, or one that is there twice: a typing error must never widen an act.
fn known(pairs: &[(String, String)], allowed: &[&'static str]) -> Result<(), OpsProblem> {
    for (index, (name, _)) in pairs.iter().enumerate() {
        let shown: String = name.chars().take(NAME_MAX).collect();
        if !allowed.contains(&name.as_str()) {
            let there = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            let detail = format!("no parameter is called {shown}; there is: {there}");
            return Err(OpsProblem::new(Code::UnknownParameter, detail));
        }
        if pairs.iter().take(index).any(|(other, _)| other == name) {
            return Err(OpsProblem::new(Code::UnknownParameter, format!("{shown} is there twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_its_code_and_what_is_particular() {
        let problem = OpsProblem::wrong("once is enough").with("errors", json!([]));
        let document = json!({
            "type": "/ops/problems/bad_value", "title": "A value is not allowed", "status": 400,
            "code": "bad_value", "detail": "once is enough", "errors": [],
        });
        assert_eq!(problem.document(), document);
    }

    #[test]
    fn another_account_is_refused_in_the_same_words_whether_it_exists_or_not() {
        let refused = |account: &str| OpsProblem::from(Refusal::NotYourAccount(account.into())).document();
        assert_eq!(refused("1"), refused("2"));
    }

    #[test]
    fn a_parameter_is_known_and_there_once() {
        let pairs = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| ((*name).to_owned(), String::new())).collect()
        };
        assert!(known(&pairs(&["a", "b"]), &["a", "b", "c"]).is_ok());
        for wrong in [["a", "d"], ["a", "a"]] {
            let problem = known(&pairs(&wrong), &["a", "b"]).unwrap_err();
            assert_eq!(problem.code, Code::UnknownParameter);
        }
    }
}
