//! Going back: reset, and snapshots.

use std::sync::{Arc, PoisonError};

use http::{StatusCode, header};
use onhook_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::{RATE_MAX, TIME, time};
use super::control::{delete, get, of, post, shown};
use crate::app::App;
use crate::emulator::{Emulator, Snapshot};
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::ops::body;
use crate::ops::door::OpsProblem;
use crate::ops::problem::Code;
use crate::work::reset::{self, Begin};

const PATH: &str = "/ops/v1/emulator/snapshots";
/// Most snapshots at once.
const SNAPSHOTS_MAX: usize = 20;
/// Most characters of a snapshot's name.
const NAME_MAX: usize = 50;

/// The shape of a reset.
const BEGIN: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "properties": {
        "id_seed": {"type": "integer", "minimum": 0}, "now": {"type": "string", "format": "date-time"},
        "rate": {"type": "number", "minimum": 0, "maximum": 1000000}}}"#,
    r#"{}"#,
);
/// The shape of a body that says nothing.
const NOTHING: Shape = Shape::json(r#"{"type": "object", "additionalProperties": false}"#, "{}");
/// The shape of a new snapshot.
const NEW: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 50}}}"#,
    r#"{"name": "before"}"#,
);
/// The shape of a snapshot.
const SNAPSHOT: Shape = Shape::json(
    r#"{"type": "object", "required": ["name", "at", "numbers", "orders"], "properties": {
        "name": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
        "numbers": {"type": "integer"}, "orders": {"type": "integer"}}}"#,
    r#"{"at": "2027-01-01T00:00:00.000Z", "name": "before", "numbers": 302, "orders": 0}"#,
);
/// The shape of all snapshots.
const SNAPSHOTS: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);

pub(super) fn routes() -> Vec<Route> {
    let keep_doc =
        Doc::new("Keeps everything as it is now under a name, to go back to it.", Told::made(SNAPSHOT))
            .takes(NEW)
            .or(Told::new(409, "There is a snapshot of that name: `snapshot_exists`."));
    let list_doc = Doc::new("Lists the snapshots, the oldest first.", Told::ok(SNAPSHOTS));
    let restore_doc =
        Doc::new("Makes everything as it was when the snapshot was made.", Told::ok(TIME)).takes(NOTHING);
    let remove_doc = Doc::new("Forgets a snapshot.", Told::GONE);
    let reset_doc = Doc::new(
        "Makes everything as it was when the emulator began. With `id_seed`, ids and secrets repeat for the same \
         requests; with `now` and a `rate` of 0, times do, too.",
        Told::ok(TIME),
    )
    .takes(BEGIN);
    vec![
        post(PATH, keep_doc, keep),
        get(PATH, list_doc, list),
        post("/ops/v1/emulator/snapshots/{snapshot}/restore", restore_doc, restore),
        delete("/ops/v1/emulator/snapshots/{snapshot}", remove_doc, remove),
        post("/ops/v1/emulator/reset", reset_doc, begin),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Anew {
    id_seed: Option<u64>,
    now: Option<String>,
    rate: Option<f64>,
}

async fn begin(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Anew { id_seed, now, rate } = body::read(&call)?;
    let now = body::instant("/now", now.as_deref())?;
    let rate = rate.unwrap_or(1.0);
    if !(0.0..=RATE_MAX).contains(&rate) {
        return Err(body::wrong("/rate", "rate is a number from 0 to 1000000".into()));
    }
    reset::reset(&app, of(&app)?, Begin { seed: id_seed, now, rate }).await?;
    Ok(shown(&time(&app)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
}

async fn keep(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let New { name } = body::read(&call)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !(1..=NAME_MAX).contains(&name.len()) || !name.chars().all(fits) {
        let detail = "name is 1 to 50 letters, digits, dots, dashes and underscores".to_owned();
        return Err(body::wrong("/name", detail));
    }
    let emulator = of(&app)?;
    if find(emulator, &name).is_some() {
        return Err(OpsProblem::new(Code::SnapshotExists, format!("there is a snapshot called {name}")));
    }
    if snapshots(emulator).len() >= SNAPSHOTS_MAX {
        return Err(OpsProblem::wrong(format!("there are {SNAPSHOTS_MAX} snapshots already: remove one")));
    }
    let made = reset::keep(&app, emulator, &name).await?;
    let document = document(&made);
    snapshots(emulator).push(made);
    let location = format!("{}{PATH}/{name}", app.public_url);
    Ok(Reply::json(StatusCode::CREATED, &document).with(header::LOCATION, &location))
}

async fn list(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    let items: Vec<Value> = snapshots(of(&app)?).iter().map(document).collect();
    Ok(shown(&json!({ "items": items, "next": null })))
}

async fn restore(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let emulator = of(&app)?;
    let snapshot = find(emulator, call.param("snapshot")).ok_or_else(unknown)?;
    reset::restore(&app, emulator, snapshot).await?;
    Ok(shown(&time(&app)))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let (emulator, name) = (of(&app)?, call.param("snapshot"));
    let mut all = snapshots(emulator);
    let before = all.len();
    all.retain(|snapshot| snapshot.name != name);
    if all.len() < before { Ok(Reply::empty(StatusCode::NO_CONTENT)) } else { Err(unknown()) }
}

fn snapshots(emulator: &Emulator) -> std::sync::MutexGuard<'_, Vec<Snapshot>> {
    emulator.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(emulator: &Emulator, name: &str) -> Option<Snapshot> {
    snapshots(emulator).iter().find(|snapshot| snapshot.name == name).cloned()
}

fn unknown() -> OpsProblem {
    OpsProblem::new(Code::NotFound, "there is no such snapshot")
}

fn document(snapshot: &Snapshot) -> Value {
    let Snapshot { name, at, image, .. } = snapshot;
    let at: &Timestamp = at;
    json!({
        "name": name, "at": at.to_string(), "numbers": image.rows("number"), "orders": image.rows("orders"),
    })
}
