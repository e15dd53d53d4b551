//! The page of a problem: what its code means.

use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;

use super::door::{self, OpsProblem};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::page;
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

pub(crate) fn routes() -> Vec<Route> {
    let page = Shape::of("text/html; charset=utf-8", "<!doctype html>");
    let doc = Doc::new("Shows what a problem's code means.", Told::ok(page));
    vec![door::route(Method::GET, "/ops/problems/{code}", Needs::Nothing, doc, show)]
}

async fn show(_app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let code = Code::of(call.param("code")).ok_or(Refusal::NoResource)?;
    let mut text = String::new();
    let _ = write!(
        text,
        "{}. It has the status {} and the code {}.\n\n{}",
        code.title(),
        code.status().as_u16(),
        code.word(),
        code.meaning()
    );
    Ok(page::reply(page::short(code.title(), &text).into()))
}
