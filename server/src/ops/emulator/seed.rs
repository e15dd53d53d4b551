//! Filling the emulator from a file.

use std::sync::{Arc, PoisonError};

use http::header;
use onhook_wire::ops::seed_file::{self, BadSeed, Seed};
use serde_json::json;

use super::control::{of, post, shown};
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::gate::is_of;
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::ops::body::wrong;
use crate::ops::door::OpsProblem;
use crate::ops::listing::parsed;
use crate::ops::problem::Code;
use crate::seeding::{Unplanted, plant};

/// Most bytes of a file.
const BYTES_MAX: usize = 16 << 20;

/// The shape of a file.
const FILE: Shape = Shape::of(
    "application/yaml",
    "accounts: [{id: 9900001, name: Another account, sites: [{name: A site, peers: [{name: A peer}]}]}]\n\
     users: [{name: another, account: 9900001, role: admin, password: password}]\n\
     numbers: [{from: \"+19195550160\", to: \"+19195550169\", state: InService, account: 9900001}]\n",
);
/// The shape of a file of numbers alone.
const NUMBERS: Shape = Shape::of("text/csv", "number,state,account\n9195550170,InService,9900000\n");
/// The shape of what was added.
const ADDED: Shape = Shape::json(
    r#"{"type": "object", "required": ["accounts", "users", "numbers"], "properties": {
        "accounts": {"type": "integer"}, "users": {"type": "integer"}, "numbers": {"type": "integer"}}}"#,
    r#"{"accounts": 1, "users": 1, "numbers": 10}"#,
);

pub(super) fn routes() -> Vec<Route> {
    let doc = Doc::new(
        "Adds accounts with their sites and peers, users, and numbers from a file, all of it or nothing. With `replace` \
         a reset goes back to what is there then.",
        Told::ok(ADDED),
    )
    .query(&[Parameter::new("replace", Form::Flag, "whether a reset goes back to this")])
    .takes(FILE)
    .or_takes(NUMBERS)
    .or(Told::new(413, "The file has more than 16 MiB or 100,000 numbers: `body_too_large`."));
    vec![post("/ops/v1/emulator/seed", doc, seed).streaming()]
}

async fn seed(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let emulator = of(&app)?;
    let replace = parsed::<bool>(&call, "replace", "true or false")?.unwrap_or(false);
    let mut body = call.incoming.read();
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await? {
        if bytes.len() + part.len() > BYTES_MAX {
            return Err(OpsProblem::new(Code::BodyTooLarge, format!("a seed has at most {BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&part);
    }
    let text = String::from_utf8(bytes).map_err(|_| OpsProblem::wrong("the file is not UTF-8"))?;
    let csv = call.headers.get(header::CONTENT_TYPE).is_some_and(|named| is_of(named, NUMBERS.content_type));
    let read = move || if csv { seed_file::read_csv(text) } else { seed_file::read_yaml(&text) };
    let read: Seed = tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| OpsProblem::from(crate::http::refusal::Refusal::Failed))?
        .map_err(|bad| refused(&bad))?;
    let added =
        json!({ "accounts": read.accounts.len(), "users": read.users.len(), "numbers": read.numbers.len() });

    let _moving = emulator.moving.lock().await;
    let _turn = emulator.scripts.running().await;
    match plant(&*app.store, read, app.clock.now(), app.settings.policy.clone()).await {
        Ok(()) => {}
        Err(Unplanted::Bad(bad)) => return Err(refused(&bad)),
        Err(Unplanted::Store(error)) => return Err(error.into()),
    }
    if replace {
        let image = Arc::new(app.store.image().await?);
        *emulator.seed.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
    }
    Ok(shown(&added))
}

fn refused(bad: &BadSeed) -> OpsProblem {
    wrong(&bad.at, bad.detail.clone())
}
