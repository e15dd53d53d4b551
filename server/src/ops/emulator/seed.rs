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
    .or(Told::new(413, "The file has more than 16 MiB: `body_too_large`."));
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
    let _quiet = emulator.quiet.write().await;
    let _turn = emulator.scripts.running().await;
    match plant(&*app.store, read, app.clock.now(), app.settings.policy.clone()).await {
        Ok(()) => {}
        Err(Unplanted::Bad(bad)) => return Err(refused(&bad)),
        Err(Unplanted::Store(error)) => {
            emulator.begin_anew();
            return Err(error.into());
        }
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

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use axum::body::Body;
    use http::{Method, Request, StatusCode};
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;
    use tower::ServiceExt;

    use super::*;
    use crate::http::route::Needs;
    use crate::http::router::router;
    use crate::ops::door::{self, Ops};
    use crate::settings::Settings;

    #[tokio::test]
    async fn while_a_file_is_added_what_would_write_waits_and_what_reads_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let settings = Settings { emulator: true, ..Settings::default() };
        let app = App::new(store.clone(), settings, "http://127.0.0.1".into()).await.unwrap();
        let app = Arc::new(app);
        let route = |method, path| {
            let doc = Doc::new("Does nothing.", Told::GONE);
            door::route(method, path, Needs::Nothing, doc, |_, _| async {
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            })
        };
        let (mine, own) = ("/ops/v1/mine", "/ops/v1/emulator/own");
        let routes = vec![
            route(Method::GET, mine),
            route(Method::DELETE, mine),
            route(Method::DELETE, own).of_emulator(),
        ];
        let router = router(&app, routes, |_| Arc::new(Ops));
        let ask = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap().status()
        };
        let adding = app.emulator.as_ref().unwrap().quiet.write().await;
        assert_eq!(ask(Method::GET, mine).await, StatusCode::NO_CONTENT);
        assert_eq!(ask(Method::DELETE, own).await, StatusCode::NO_CONTENT);
        let mut waiting = std::pin::pin!(ask(Method::DELETE, mine));
        for _ in 0..100 {
            let looked = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
            assert!(looked.is_pending());
            tokio::task::yield_now().await;
        }
        drop(adding);
        assert_eq!(waiting.await, StatusCode::NO_CONTENT);
        store.close().await;
    }
}
