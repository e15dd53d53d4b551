//! Reports for regulators at the operations API: made, made again, handed in; and blocks of numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::import::NewNumber;
use onhook_core::job::{Kind, State as JobState};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::order::act::{Act, Correction};
use onhook_core::report::months::Month;
use onhook_core::report::rnd_file::Form;
use onhook_core::setting::{ReportSettings, Setting};
use onhook_core::time::{DAY_MS, TimeZone};
use onhook_server::Source;
use onhook_store::contract::acts::{Acted, Asked};
use onhook_store::contract::imports::Piece;
use onhook_store::contract::jobs::{JobId, NewJob, Noted};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, POOL, Reply, Seed, Who, account, get, now, number,
    patch, post, put, wait_for, with_app, xml,
};

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn asked(path: &str, body: &Value) -> Call {
    post(format!("/ops/v1/reports/{path}"), body.to_string())
        .content_type("application/json")
        .by(Who::Operator)
}

async fn shown(app: &App, path: impl Into<String>) -> Value {
    read(&app.send(get(path).by(Who::Operator)).await.expect(200))
}

fn this_month() -> Month {
    Month::reporting(now().date_in(&TimeZone::UTC), 14)
}

/// Changes an account.
async fn change(app: &App, id: u32, mut body: Value) {
    body["reason"] = json!("it is so");
    let call = patch(format!("/ops/v1/accounts/{id}"), body.to_string()).content_type("application/json");
    app.send(call.by(Who::Operator)).await.expect(200);
}

/// Makes a report of disconnects. Returns its status and itself.
async fn rnd(app: &App, period: Month) -> (u16, Value) {
    let reply = app.send(asked("rnd", &json!({ "period": period.to_string(), "company": "ACME1" }))).await;
    (reply.status, read(&reply))
}

async fn file(app: &App, report: &Value, place: usize) -> String {
    let (id, name) = (report["id"].as_str().unwrap(), report["files"][place]["name"].as_str().unwrap());
    let reply =
        app.send(get(format!("/ops/v1/reports/{id}/files/{name}")).by(Who::Operator)).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("text/csv"));
    reply.text().to_owned()
}

async fn left_out(app: &App, report: &Value) -> Value {
    shown(app, format!("/ops/v1/reports/{}/left-out", report["id"].as_str().unwrap())).await["items"].clone()
}

async fn confirm(app: &App, report: &Value, hashes: &[&str]) -> Reply {
    let body = json!({ "submitted_at": now().to_string(), "sha256": hashes, "reason": "uploaded" });
    app.send(asked(&format!("{}/confirm", report["id"].as_str().unwrap()), &body)).await
}

async fn reconnect(app: &App, number: &str) {
    let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &[number]))).await;
    let order = app.ended(get(order)).await;
    assert_eq!(order.element("OrderStatus"), Some("COMPLETE"), "{}", order.text());
}

/// Settings, and what is said of accounts, decide how reports are made from then on.
#[tokio::test]
async fn reports_are_made_as_operators_have_said() {
    with_app(Seed::two_accounts(), async |app| {
        let change = async |path: &str, body: Value| {
            let call = patch(path, body.to_string()).content_type("application/json").by(Who::Operator);
            app.send(call).await.expect(200);
        };
        // The columns alone would leave a header that does not fit them.
        let alone = json!({ "values": { "rnd_columns": ["tn", "disconnect_date"] }, "reason": "the guide says so" });
        let call = patch("/ops/v1/settings", alone.to_string()).content_type("application/json");
        let problem = read(&app.send(call.by(Who::Operator)).await.expect(400));
        assert_eq!(problem["errors"][0]["at"], "/values/rnd_columns", "{problem}");
        let values = json!({
            "rnd_company": "ACME1", "rnd_header": "", "rnd_columns": ["tn", "disconnect_date"], "rnd_tn_format": "e164",
            "rnd_file_name": "{company}-{period}-{batch}.csv", "nruf_ocn": "9A99", "nruf_donate_percent": 0,
        });
        change("/ops/v1/settings", json!({ "values": values, "reason": "the guide says so" })).await;
        let alone = json!({ "reports_rnd": false, "kind": "reseller", "legal_name": "The neighbour LLC", "reason": "r" });
        change(&format!("/ops/v1/accounts/{NEIGHBOUR}"), alone).await;
        let used = read(&app.send(asked("nruf", &json!({}))).await.expect(201));
        let lines = file(app, &used, 0).await;
        assert!(lines.lines().skip(1).all(|line| line.starts_with("9A99,")), "{lines}");
        assert!(lines.lines().any(|line| line.ends_with(",The neighbour LLC")), "{lines}");
        app.disconnect(&IN_SERVICE[..1]).await;
        let theirs = format!("/api/accounts/{NEIGHBOUR}/disconnects");
        let (_, order) = app.place(post(theirs, xml::disconnect(&[NEIGHBOURS])).by(Who::Neighbour)).await;
        app.ended(get(order).by(Who::Neighbour)).await;
        let period = this_month().to_string();
        let report = read(&app.send(asked("rnd", &json!({ "period": period }))).await.expect(201));
        assert_eq!(report["counts"]["left_out_by_reason"], json!({ "other_reporter": 1 }), "{report}");
        assert_eq!(report["files"][0]["name"], format!("ACME1-{}-.csv", period.replace('-', "")));
        let today = now().date_in(&TimeZone::UTC);
        assert_eq!(file(app, &report, 0).await, format!("+1{},{today}\r\n", IN_SERVICE[0]));
        let all = shown(app, "/ops/v1/blocks").await["items"].as_array().unwrap().len();
        let candidates = shown(app, "/ops/v1/blocks?candidate=true").await;
        assert!(candidates["items"].as_array().unwrap().len() < all, "{candidates}");
    })
    .await;
}

/// The life of a report: made twice, handed in, and left away from the next month's; what was reconnected before it was
/// made is left out with its reason.
#[tokio::test]
async fn a_disconnect_is_reported_once_and_its_file_is_the_same_for_ever() {
    with_app(Seed::two_accounts(), async |app| {
        let [reported, kept, _] = IN_SERVICE;
        let month = this_month();
        app.disconnect(&[reported, kept]).await;
        reconnect(app, kept).await;
        let (status, made) = rnd(app, month).await;
        assert_eq!((status, &made["nothing_to_report"]), (201, &false.into()), "{made}");
        assert_eq!(rnd(app, month).await, (200, made.clone()), "the same rows are the same report");
        let id = made["id"].as_str().unwrap();
        assert_eq!(shown(app, format!("/ops/v1/reports/{id}")).await, made);
        let today = now().date_in(&TimeZone::UTC);
        let bytes = file(app, &made, 0).await;
        assert_eq!(bytes, format!("CompanyID,TN,DisconnectDate,BatchID\r\nACME1,{reported},{today},\r\n"));
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            made["files"],
            json!([{ "name": format!("ACME1_{}.csv", month.digits()), "rows": 1, "sha256": hash }])
        );
        assert!(id.ends_with(&hash[..12]), "{id}");
        assert_eq!(
            made["counts"],
            json!({ "rows": 1, "left_out": 1, "left_out_by_reason": { "reconnected": 1 } })
        );
        assert_eq!(
            left_out(app, &made).await,
            json!([{ "number": format!("+1{kept}"), "why": "reconnected" }])
        );

        // Not handed in yet: the next month's has it, too.
        let (_, next) = rnd(app, month.next()).await;
        assert_eq!((&next["counts"]["rows"], left_out(app, &next).await), (&1.into(), json!([])));

        let at = async |by_ms: i64| {
            let submitted_at = now().plus_millis(by_ms).to_string();
            let body = json!({ "submitted_at": submitted_at, "sha256": [hash], "reason": "uploaded" });
            let reply = app.send(asked(&format!("{id}/confirm"), &body)).await.expect(400);
            read(&reply)["errors"][0].clone()
        };
        let made_at = made["made_at"].as_str().unwrap();
        let detail = format!("submitted_at lies before the report's files were first made, at {made_at}");
        assert_eq!(at(-DAY_MS - 60_000).await, json!({ "at": "/submitted_at", "detail": detail }));
        assert_eq!(at(DAY_MS + 60_000).await["detail"], "submitted_at lies ahead");

        let refused = confirm(app, &made, &["00"]).await.expect(409);
        assert_eq!(read(&refused)["code"], "report_changed");
        let confirmed = read(&confirm(app, &made, &[&hash]).await.expect(200));
        assert!(
            confirmed["confirmed_at"].is_string() && confirmed["submitted_at"].is_string(),
            "{confirmed}"
        );
        assert_eq!(read(&confirm(app, &made, &[&hash]).await.expect(200)), confirmed, "once");
        assert_eq!(shown(app, format!("/ops/v1/reports/{id}")).await, confirmed);

        let (_, after) = rnd(app, month.next()).await;
        assert_eq!((&after["nothing_to_report"], &after["files"]), (&true.into(), &json!([])), "{after}");
        assert_ne!(after["id"], next["id"]);
        // A second report of the same month is whole again.
        assert_eq!(rnd(app, month).await, (200, confirmed.clone()));
        // Whatever happens later, each report is what it was.
        reconnect(app, reported).await;
        assert_eq!((file(app, &made, 0).await, file(app, &next, 0).await), (bytes.clone(), bytes));
        assert_eq!(
            left_out(app, &made).await,
            json!([{ "number": format!("+1{kept}"), "why": "reconnected" }])
        );
        let used = read(&app.send(asked("nruf", &json!({}))).await.expect(201));
        let problem =
            read(&confirm(app, &used, &[used["files"][0]["sha256"].as_str().unwrap()]).await.expect(400));
        let detail =
            format!("{} is a report of number use, not of disconnects", used["id"].as_str().unwrap());
        assert_eq!(problem["detail"], detail);
        let found = async |query: &str| {
            let list = shown(app, format!("/ops/v1/reports?{query}")).await;
            list["items"].as_array().unwrap().iter().map(|report| report["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("kind=nruf").await, [used["id"].clone()]);
        assert_eq!(found(&format!("kind=rnd&period={month}")).await, [made["id"].clone()]);
        let listed = shown(app, "/ops/v1/reports?kind=rnd&limit=1").await;
        let cursor = listed["next"].as_str().unwrap();
        let rest = shown(app, format!("/ops/v1/reports?kind=rnd&cursor={cursor}")).await;
        let ids = |list: &Value| -> Vec<Value> {
            list["items"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect()
        };
        assert_eq!(
            [ids(&listed), ids(&rest)].concat(),
            [after["id"].clone(), next["id"].clone(), made["id"].clone()]
        );
        let measured = wait_for("the metrics", async || {
            let text = app.send(get("/metrics")).await.expect(200).text().to_owned();
            text.contains("onhook_rnd_due_days").then_some(text)
        })
        .await;
        for name in ["onhook_rnd_unreported", "onhook_rnd_oldest_unreported_days"] {
            assert!(measured.contains(name), "{name}");
        }
    })
    .await;
}

/// A report that knows more takes the place of one with the same file. Who handed that file in before tells the true day.
#[tokio::test]
async fn a_report_that_was_made_again_is_confirmed_with_the_day_on_which_its_file_was_handed_in() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let [reported, kept, _] = IN_SERVICE;
        let month = this_month();
        app.disconnect(&[reported]).await;
        let (_, first) = rnd(app, month).await;
        app.advance(3 * DAY_MS).await;
        app.disconnect(&[kept]).await;
        reconnect(app, kept).await;
        let (status, again) = rnd(app, month).await;
        assert_eq!((status, &again["id"]), (200, &first["id"]));
        assert_ne!(again["made_at"], first["made_at"], "it was made again");
        let confirm = async |submitted_at: &Value| {
            let body = json!({ "submitted_at": submitted_at, "sha256": [first["files"][0]["sha256"]], "reason": "r" });
            app.send(asked(&format!("{}/confirm", first["id"].as_str().unwrap()), &body)).await
        };
        confirm(&json!(now().plus_millis(-DAY_MS - 60_000).to_string())).await.expect(400);
        let confirmed = read(&confirm(&first["made_at"]).await.expect(200));
        assert_eq!(confirmed["submitted_at"], first["made_at"]);
    })
    .await;
}

/// The lease under which reports are made. While a test has it, no report is made.
const MAKINGS: &str = "jobs of kind report";

fn short(period: Month, company: &str) -> Call {
    asked("rnd?wait_seconds=0", &json!({ "period": period.to_string(), "company": company }))
}

/// Waits until nothing is being made, without looking at what becomes of it.
async fn made_all(app: &App) {
    let path = "/ops/v1/reports?limit=1000";
    let none = |list: &Value| list["items"].as_array().unwrap().iter().all(|one| one["state"] != "making");
    wait_for("all reports", async || none(&shown(app, path).await).then_some(())).await;
}

/// A report that takes longer than a request has an address from the beginning. A node that dies in the middle leaves it to
/// another one, and the same request joins it, or gets what it has made.
#[tokio::test]
async fn a_report_that_takes_long_is_found_later() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, _] = IN_SERVICE;
        let (month, store) = (this_month(), &app.parts.store);
        app.disconnect(&[first]).await;
        let lease = store.take_lease(MAKINGS, Duration::from_secs(600)).await.unwrap().unwrap();
        let reply = app.send(short(month, "ACME1")).await.expect(202);
        let making = read(&reply);
        let id = making["id"].as_str().unwrap().to_owned();
        let path = format!("/ops/v1/reports/{id}");
        assert_eq!(reply.header("location"), Some(&*path));
        assert_eq!((&making["state"], &making["company"]), (&"making".into(), &"ACME1".into()), "{making}");
        assert_eq!(shown(app, path.clone()).await, making);
        let keyed = || short(month, "ACME1").header("Idempotency-Key", "a-key");
        assert_eq!(read(&app.send(keyed()).await.expect(202))["id"], making["id"], "the same request");
        let other = read(&app.send(short(month, "ACME2")).await.expect(202));
        assert_ne!(other["id"], making["id"]);
        let used = read(&app.send(asked("nruf?wait_seconds=0", &json!({}))).await.expect(202));
        let listed = shown(app, "/ops/v1/reports").await;
        assert_eq!(listed["items"], json!([used, other, making]));
        for (query, wanted) in [
            ("kind=nruf".to_owned(), json!([used])),
            ("kind=rnd".to_owned(), json!([other, making])),
            (format!("period={month}"), json!([other, making])),
            (format!("period={}", month.next()), json!([])),
        ] {
            let listed = shown(app, format!("/ops/v1/reports?{query}")).await;
            assert_eq!(listed["items"], wanted, "{query}");
        }
        for nothing in ["left-out", "files/ACME1.csv"] {
            app.send(get(format!("{path}/{nothing}")).by(Who::Operator)).await.expect(404);
        }
        confirm(app, &making, &[]).await.expect(404);

        // As a node leaves it that dies in the middle.
        let job = JobId(id.strip_prefix("making-").unwrap().parse().unwrap());
        let half = Noted::new(JobState::Running, json!({ "done": 1, "total": 2 }), now());
        assert!(store.note_job(lease, job, half).await.unwrap());
        assert_eq!(shown(app, path.clone()).await["progress"], json!({ "done": 1, "total": 2 }));
        store.end_lease(MAKINGS, lease).await.unwrap();
        made_all(app).await;

        // It knows nothing that has happened since it was asked for. Who asks again gets it, and then a new one.
        app.disconnect(&[second]).await;
        let made = read(&app.send(keyed()).await.expect(201));
        assert_eq!((&made["state"], &made["counts"]["rows"]), (&"ready".into(), &1.into()), "{made}");
        assert_eq!(read(&app.send(keyed()).await.expect(201)), made, "the key's reply");
        assert_eq!(shown(app, path.clone()).await, made, "its first address leads to it");
        assert!(file(app, &json!({ "id": id, "files": made["files"] }), 0).await.contains(first));
        let (_, newer) = rnd(app, month).await;
        assert_eq!(newer["counts"]["rows"], 2, "{newer}");
        // One that was looked at is told, too.
        let used = shown(app, format!("/ops/v1/reports/{}", used["id"].as_str().unwrap())).await;
        assert_eq!((&used["state"], &used["kind"]), (&"ready".into(), &"nruf".into()));
        assert_ne!(read(&app.send(asked("nruf", &json!({}))).await.expect(201))["id"], used["id"]);
        // What is made stands in the list once, under its own id.
        let listed = shown(app, "/ops/v1/reports?limit=1000").await;
        let of_it: Vec<&Value> =
            listed["items"].as_array().unwrap().iter().filter(|one| one["company"] == "ACME1").collect();
        assert_eq!(of_it, [&newer, &made]);
    })
    .await;
}

/// What could not be made says why, and is made when it is asked for again.
#[tokio::test]
async fn a_report_that_cannot_be_made_says_why() {
    with_app(Seed::two_accounts(), async |app| {
        let (month, store) = (this_month(), &app.parts.store);
        let lease = store.take_lease(MAKINGS, Duration::from_secs(600)).await.unwrap().unwrap();
        let making = read(&app.send(short(month, "ACME1")).await.expect(202));
        let path = format!("/ops/v1/reports/{}", making["id"].as_str().unwrap());
        let job = JobId(path.rsplit('-').next().unwrap().parse().unwrap());
        for state in [JobState::Running, JobState::Failed] {
            let noted = Noted::new(state, json!({ "done": 1, "total": 2, "why": "the store failed" }), now());
            assert!(store.note_job(lease, job, noted).await.unwrap());
        }
        let failed = shown(app, path.clone()).await;
        assert_eq!(
            (&failed["state"], &failed["why"]),
            (&"failed".into(), &"the store failed".into()),
            "{failed}"
        );
        assert_eq!(shown(app, "/ops/v1/reports").await["items"], json!([failed]));
        // One that no node can make fails by itself, and the next one in the line is made.
        let asked = json!({ "request": "nothing", "with": { "nonsense": {} } });
        let new = NewJob { kind: Kind::Report, author: "operator".into(), asked };
        let broken = store.add_job(new, None, now()).await.unwrap().unwrap();
        let again = read(&app.send(short(month, "ACME1")).await.expect(202));
        assert_ne!(again["id"], failed["id"]);
        store.end_lease(MAKINGS, lease).await.unwrap();
        made_all(app).await;
        let broken = shown(app, format!("/ops/v1/reports/making-{}", broken.id.0)).await;
        assert_eq!(broken["state"], "failed", "{broken}");
        assert!(broken["why"].as_str().unwrap().contains("nonsense"), "{broken}");
        let (_, made) = rnd(app, month).await;
        assert_eq!((&made["state"], &made["nothing_to_report"]), (&"ready".into(), &true.into()), "{made}");
        let listed = shown(app, "/ops/v1/reports").await;
        let states: Vec<&Value> =
            listed["items"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
        assert_eq!(states, ["ready", "failed", "failed"]);
        // In pages, each once.
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = shown(app, format!("/ops/v1/reports?limit=1{cursor}")).await;
            paged.extend(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(json!(paged), listed["items"]);
        for wait in ["-1", "51", "x"] {
            let body = json!({ "period": month.to_string(), "company": "ACME1" });
            app.send(self::asked(&format!("rnd?wait_seconds={wait}"), &body)).await.expect(400);
        }
    })
    .await;
}

/// How long a file takes is bounded by who reads it.
#[tokio::test]
async fn the_files_of_a_report_have_no_bound_of_time() {
    let routes = onhook_server::routes();
    let of = |path: &str| routes.iter().find(|route| route.path == path).map(|route| route.streaming);
    for path in ["/ops/v1/reports/{report}/files/{file}", "/ops/v1/reports/{report}/left-out"] {
        assert_eq!(of(path), Some(true), "{path}");
    }
}

/// Positions are those of the audit: what an operator sees there is what a report knows as of them.
#[tokio::test]
async fn a_report_knows_what_the_audit_shows_up_to_its_position() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, third] = IN_SERVICE;
        let month = this_month();
        // What was just done is in it, though its events have hardly got their positions.
        let mut positions = Vec::new();
        for (n, number) in (1..).zip([first, second, third]) {
            app.disconnect(&[number]).await;
            let (_, made) = rnd(app, month).await;
            assert_eq!(made["counts"]["rows"], n, "{made}");
            positions.push(made["as_of"].as_str().unwrap().parse::<u64>().unwrap());
            let used = read(&app.send(asked("nruf", &json!({}))).await.expect(201));
            assert_eq!(used["counts"]["aging"], n, "{used}");
            assert_eq!(used["position"], made["as_of"]);
        }
        let head = shown(app, "/ops/v1/audit/head").await;
        assert_eq!(head["last"], positions[2].to_string());
        let events = shown(app, "/ops/v1/events?kind=disconnected").await;
        let of: Vec<u64> = events["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["position"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(of.len(), 3);
        for as_of in of[0] - 1..=positions[2] {
            let rows = of.iter().filter(|position| **position <= as_of).count();
            let body = json!({ "period": month.to_string(), "company": "ACME2", "as_of": as_of.to_string() });
            let made = read(&app.send(asked("rnd", &body)).await);
            assert_eq!(made["counts"]["rows"], rows, "as of {as_of}: {made}");
        }
        // Who reports is part of what is known.
        change(app, ACCOUNT, json!({ "reports_rnd": false })).await;
        let asked_by = async |as_of: Value| {
            let body = json!({ "period": month.to_string(), "company": "ACME3", "as_of": as_of });
            read(&app.send(asked("rnd", &body)).await.expect(201))["counts"].clone()
        };
        assert_eq!(asked_by(positions[2].to_string().into()).await["rows"], 3);
        assert_eq!(asked_by(Value::Null).await["left_out_by_reason"], json!({ "other_reporter": 3 }));
    })
    .await;
}

/// A report takes nothing back, so who undoes a disconnect that stands in one is warned.
#[tokio::test]
async fn an_undo_of_a_disconnect_that_was_reported_has_a_warning() {
    with_app(Seed::two_accounts(), async |app| {
        let [reported, also, later] = IN_SERVICE;
        let warned = async |order: &str| {
            let target = json!({ "order": order.rsplit('/').next().unwrap() });
            let body = json!({ "act": "undo", "target": target, "reason": "the wrong numbers" });
            let call =
                post("/ops/v1/plans", body.to_string()).content_type("application/json").by(Who::Operator);
            let plan = read(&app.send(call).await.expect(201));
            let again = shown(app, format!("/ops/v1/plans/{}", plan["id"].as_str().unwrap())).await;
            assert_eq!(again["warnings"], plan["warnings"]);
            plan["warnings"].as_array().unwrap().iter().find(|one| one["code"] == "already_reported").cloned()
        };
        let first = app.disconnect(&[reported, also]).await;
        let (_, made) = rnd(app, this_month()).await;
        assert_eq!(warned(&first).await, None, "it was not handed in");
        confirm(app, &made, &[made["files"][0]["sha256"].as_str().unwrap()]).await.expect(200);
        let second = app.disconnect(&[later]).await;
        assert_eq!(warned(&second).await, None, "it came after that report");
        reconnect(app, also).await;
        let detail = "the disconnects of 1 numbers stand in a report, which takes nothing back";
        assert_eq!(warned(&first).await, Some(json!({ "code": "already_reported", "detail": detail })));
    })
    .await;
}

#[tokio::test]
async fn a_request_for_a_report_that_cannot_be_made_is_refused() {
    with_app(Seed::two_accounts(), async |app| {
        let month = this_month().to_string();
        for (path, body, status, code) in [
            ("rnd", json!({ "period": "2026-13", "company": "ACME1" }), 400, "bad_value"),
            ("rnd", json!({ "period": month, "company": "A" }), 400, "bad_value"),
            ("rnd", json!({ "period": month }), 400, "bad_value"),
            ("rnd", json!({ "period": month, "company": "ACME1", "as_of": "x" }), 400, "bad_value"),
            (
                "rnd",
                json!({ "period": month, "company": "ACME1", "as_of": "999999999" }),
                422,
                "at_in_future",
            ),
            ("rnd", json!({ "period": month, "company": "ACME1", "nonsense": 1 }), 400, "unknown_field"),
            ("nruf", json!({ "as_of": "2999-12-31" }), 422, "at_in_future"),
            ("nruf", json!({ "as_of": "2020-12-31" }), 422, "before_first_import"),
            ("nruf", json!({ "as_of": "yesterday" }), 400, "bad_value"),
            ("nruf", json!({ "level": "state" }), 400, "bad_value"),
            (
                "rnd-2026-12-ACME1-0/confirm",
                json!({ "submitted_at": now().to_string(), "sha256": [], "reason": "x" }),
                404,
                "not_found",
            ),
            (
                "rnd-2026-12-ACME1-0/confirm",
                json!({ "submitted_at": now().to_string(), "sha256": [] }),
                400,
                "reason_required",
            ),
        ] {
            let problem = read(&app.send(asked(path, &body)).await.expect(status));
            assert_eq!(problem["code"], code, "{path} {body}: {problem}");
        }
        for query in ["kind=use", "period=December"] {
            app.send(get(format!("/ops/v1/reports?{query}")).by(Who::Operator)).await.expect(400);
        }
        for path in ["reports/rnd-2026-12-ACME1-0", "reports/rnd-2026-12-ACME1-0/files/a.csv"] {
            app.send(get(format!("/ops/v1/{path}")).by(Who::Operator)).await.expect(404);
        }
    })
    .await;
}

/// What is confirmed cannot be taken back, and each month in between would have its rows again.
#[tokio::test]
async fn a_report_of_a_month_that_was_mistyped_cannot_be_confirmed() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&IN_SERVICE[..1]).await;
        let next = Month::of(now().date_in(&TimeZone::UTC)).next();
        let (_, far) = rnd(app, next.next()).await;
        let hash = far["files"][0]["sha256"].as_str().unwrap();
        let problem = read(&confirm(app, &far, &[hash]).await.expect(422));
        let detail =
            format!("the month {} lies too far ahead: the last that can be handed in is {next}", next.next());
        assert_eq!((&problem["code"], &problem["detail"]), (&"at_in_future".into(), &detail.into()));
        assert_eq!(shown(app, format!("/ops/v1/reports/{}", far["id"].as_str().unwrap())).await, far);
        let (_, near) = rnd(app, next).await;
        confirm(app, &near, &[near["files"][0]["sha256"].as_str().unwrap()]).await.expect(200);
    })
    .await;
}

/// Neither report knows the other, so a number that is left out could stand in both. Made again, one knows the other, also
/// if its files are the same.
#[tokio::test]
async fn a_report_that_lists_the_days_of_one_that_was_confirmed_meanwhile_has_to_be_made_again() {
    with_app(Seed::two_accounts(), async |app| {
        let cutoff = async |day: u8| {
            let body = json!({ "values": { "rnd_cutoff_day": day }, "reason": "the calendar" }).to_string();
            let call = patch("/ops/v1/settings", body).content_type("application/json").by(Who::Operator);
            app.send(call).await.expect(200);
        };
        let (month, before) = (this_month(), this_month().previous());
        cutoff(10).await;
        let (_, made) = rnd(app, month).await;
        cutoff(14).await;
        let (_, earlier) = rnd(app, before).await;
        confirm(app, &earlier, &[]).await.expect(200);
        let problem = read(&confirm(app, &made, &[]).await.expect(409));
        let detail = format!(
            "the report of {before} was confirmed after this one was made, and lists some of the same days: make this \
             one again"
        );
        assert_eq!((&problem["code"], &problem["detail"]), (&"report_changed".into(), &detail.into()));
        let (status, again) = rnd(app, month).await;
        assert_eq!((status, &again["id"]), (200, &made["id"]), "its files are the same");
        confirm(app, &again, &[]).await.expect(200);
    })
    .await;
}

/// Two who confirm at once judge by the same reports.
#[tokio::test]
async fn of_two_reports_that_list_the_same_days_one_is_confirmed() {
    with_app(Seed::two_accounts(), async |app| {
        let change = async |values: Value| {
            let body = json!({ "values": values, "reason": "the calendar" }).to_string();
            let call = patch("/ops/v1/settings", body).content_type("application/json").by(Who::Operator);
            app.send(call).await.expect(200);
        };
        let (month, before) = (this_month(), this_month().previous());
        change(json!({ "rnd_cutoff_day": 10 })).await;
        let (_, made) = rnd(app, month).await;
        change(json!({ "rnd_cutoff_day": 14 })).await;
        let (_, earlier) = rnd(app, before).await;
        let (one, other) = tokio::join!(confirm(app, &made, &[]), confirm(app, &earlier, &[]));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", one.text(), other.text());
        let late = if one.status == 409 { one } else { other };
        assert_eq!(read(&late)["code"], "report_changed", "{}", late.text());
    })
    .await;
}

/// All numbers of an import are under one event, and appear one after another. A report of the first ones would be another
/// one later, as of the same position.
#[tokio::test]
async fn nothing_is_reported_of_an_import_that_is_being_written() {
    with_app(Seed::two_accounts(), async |app| {
        let store = &app.parts.store;
        let used_at = async |at: &Value| app.send(asked("nruf", &json!({ "as_of": at }))).await;
        let rnd_at = async |as_of: Value| {
            let body = json!({ "period": this_month().to_string(), "company": "ACME1", "as_of": as_of });
            app.send(asked("rnd", &body)).await
        };
        let periods = async |until: &str| {
            let path = format!("/ops/v1/exports/periods{until}");
            app.send(get(path).by(Who::Operator)).await
        };
        let head = async || shown(app, "/ops/v1/audit/head").await["last"].clone();
        let before = read(&used_at(&Value::Null).await.expect(201));
        let head_before = head().await;
        // An import of which the first number is written. No worker goes on with it.
        let lease = store.take_lease("jobs of kind import", Duration::from_secs(600)).await.unwrap().unwrap();
        let new =
            NewJob { kind: Kind::Import, author: "operator".into(), asked: json!({ "kind": "numbers" }) };
        let job = store.add_job(new, None, now()).await.unwrap().unwrap().id;
        store.stage(lease, job, 0, b"number\n".to_vec()).await.unwrap();
        store.staged(lease, job, json!({}), None).await.unwrap().expect("it goes on");
        let began = now();
        let deed = Deed::by(&Doer::offline(began), DeedKind::Imported).with("numbers", 2);
        let event = store.begin_writing(lease, job, deed, json!({ "to_come": 2 })).await.unwrap().unwrap();
        let write = async |digits: &str, to_come: u64| {
            let new = NewNumber {
                state: State::InService,
                account: ACCOUNT.to_string().parse().ok(),
                ..NewNumber::available(number(digits))
            };
            let found = json!({ "event": event, "to_come": to_come });
            let noted = Noted::new(JobState::Writing, found, now());
            let piece = Piece::Numbers(vec![(1, new)]);
            store.write_piece(lease, job, piece, event, noted, Arc::default()).await.unwrap();
        };
        write("2125550160", 1).await;

        let told = format!("an import has been writing since {began}: its numbers come one after another");
        let refused = |reply: Reply| {
            let problem = read(&reply.expect(409));
            assert_eq!(problem["code"], "import_running", "{problem}");
            assert!(problem["detail"].as_str().unwrap().starts_with(&told), "{problem}");
        };
        refused(rnd_at(Value::Null).await);
        refused(rnd_at(head().await).await);
        refused(used_at(&Value::Null).await);
        refused(used_at(&json!(began.to_string())).await);
        refused(periods("").await);
        refused(periods(&format!("?until={}", began.plus_millis(1))).await);
        // What lies before it is as it was.
        let again = read(&used_at(&before["at"]).await.expect(200));
        assert_eq!(again["counts"], before["counts"]);
        rnd_at(head_before).await.expect(201);
        periods(&format!("?until={began}")).await.expect(200);

        write("2125550161", 0).await;
        assert!(store.note_job(lease, job, Noted::new(JobState::Done, Value::Null, now())).await.unwrap());
        let after = read(&used_at(&json!(began.to_string())).await.expect(201));
        let assigned = |report: &Value| report["counts"]["assigned"].as_u64().unwrap();
        assert_eq!(assigned(&after), assigned(&before) + 2);
        rnd_at(head().await).await.expect(200);
        let all = periods(&format!("?until={}", began.plus_millis(1))).await.expect(200);
        assert_eq!(all.text().matches("+121255501").count(), 2, "{}", all.text());
    })
    .await;
}

/// Says that numbers went to another carrier just now.
async fn port_out(app: &App, numbers: &[&str]) {
    act(app, Act::PortOut { at: Some(now()) }, numbers).await;
}

/// Does an act on numbers.
async fn act(app: &App, act: Act, numbers: &[&str]) {
    let asked = Asked {
        act,
        account: None,
        numbers: numbers.iter().map(|digits| number(digits)).collect(),
        remaining: 0,
        author: "operator".into(),
        made_at: now(),
        expires_at: now(),
    };
    let done = app.parts.store.act(asked, None, None, now(), std::sync::Arc::default()).await.unwrap();
    assert!(matches!(done, Acted::Done { .. }), "{done:?}");
}

/// Returns how many numbers the list has of each state, of those that lie in the United States.
async fn states(app: &App) -> BTreeMap<String, u64> {
    let (mut counts, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = shown(app, format!("/ops/v1/numbers?limit=1000{cursor}")).await;
        for number in page["items"].as_array().unwrap() {
            let digits = number["number"].as_str().unwrap();
            if !["+1800", "+1888", "+1877", "+1866", "+1855", "+1844", "+1833"]
                .iter()
                .any(|code| digits.starts_with(code))
            {
                *counts.entry(number["state"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return counts,
        }
    }
}

/// Returns the rate center of a number.
async fn rate_center(app: &App, digits: &str) -> String {
    let number = shown(app, format!("/ops/v1/numbers/{digits}")).await;
    number["rate_center"].as_str().expect("a rate center").to_owned()
}

#[tokio::test]
async fn the_use_of_numbers_is_counted_as_it_was_at_an_instant() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let reply = app.send(asked("nruf", &json!({}))).await.expect(201);
        let made = read(&reply);
        let then = states(app).await;
        let of = |state: &str| json!(then.get(state).copied().unwrap_or(0));
        assert_eq!(made["counts"]["assigned"], of("InService"), "{made}");
        assert_eq!((&made["counts"]["aging"], &made["counts"]["available"]), (&of("Aging"), &of("Available")));
        assert_eq!(made["counts"]["numbers"], json!(then.values().sum::<u64>()));
        let id = made["id"].as_str().unwrap();
        assert_eq!(reply.header("location"), Some(&*format!("/ops/v1/reports/{id}")));
        let csv = file(app, &made, 0).await;
        let line = csv.lines().find(|line| line.starts_with(",919,555,1,")).expect("the block's line");
        // Its numbers lie in two rate centers: the first one by digits names the block.
        assert_eq!(line, format!(",919,555,1,{},NC,2,0,0,1,0,0,3,,", rate_center(app, IN_SERVICE[0]).await));
        assert!(made["warnings"].as_array().unwrap().contains(
            &json!({ "code": "not_held", "block": "919-555-1", "detail": "997 of 1000 numbers are not held here" })
        ), "{made}");

        // Later changes change neither that report nor another one as of the same instant.
        app.disconnect(&[IN_SERVICE[1], "5405514342"]).await;
        reconnect(app, IN_SERVICE[0]).await;
        change(app, ACCOUNT, json!({ "kind": "carrier" })).await;
        change(app, NEIGHBOUR, json!({ "kind": "carrier" })).await;
        change(app, ACCOUNT, json!({ "kind": "reseller" })).await;
        assert_eq!(file(app, &made, 0).await, csv);
        let later = read(&app.send(asked("nruf", &json!({}))).await.expect(201));
        assert_eq!(later["counts"]["assigned"], 0, "the accounts serve others now: {later}");
        let again = read(&app.send(asked("nruf", &json!({ "as_of": made["at"] }))).await.expect(200));
        assert_eq!(again["counts"], made["counts"]);
        let codes = read(&app.send(asked("nruf", &json!({ "as_of": made["at"], "level": "code" }))).await.expect(201));
        let name = codes["files"][1]["name"].as_str().unwrap();
        assert!(name.ends_with("_code.json"), "the files of blocks have other names: {name}");
        let document = shown(app, format!("/ops/v1/reports/{}/files/{name}", codes["id"].as_str().unwrap())).await;
        let mut sums = made["counts"].clone();
        sums.as_object_mut().unwrap().remove("lines");
        assert_eq!(document["totals"], sums);
        assert!(document["lines"].as_array().unwrap().iter().any(|line| line["block"] == "919-555"));
        let centers = document["rate_centers"].as_array().unwrap();
        for (category, numbers) in document["totals"].as_object().unwrap().iter().filter(|(name, _)| *name != "numbers") {
            let sum: u64 = centers.iter().map(|center| center[category].as_u64().unwrap()).sum();
            assert_eq!(json!(sum), *numbers, "{category} by rate center");
        }
        // The two of one block lie in different rate centers, of neither of which all numbers are here.
        for digits in &IN_SERVICE[..2] {
            let name = rate_center(app, digits).await;
            let center = centers.iter().find(|center| center["rate_center"] == *name).expect("its rate center");
            assert_eq!((&center["region"], &center["utilization_percent"]), (&"NC".into(), &Value::Null), "{center}");
        }
    })
    .await;
}

/// A number whose customer took it to another carrier is in no report, or assigned, as it is set. Its block is no clean one
/// either way, and a report stays as it was made.
#[tokio::test]
async fn numbers_that_went_to_another_carrier_are_counted_as_it_is_set() {
    with_app(Seed::two_accounts(), async |app| {
        port_out(app, &[IN_SERVICE[0]]).await;
        app.disconnect(&[IN_SERVICE[1]]).await;
        let change = async |values: Value| {
            let body = json!({ "values": values, "reason": "the law" }).to_string();
            let call = patch("/ops/v1/settings", body).content_type("application/json").by(Who::Operator);
            app.send(call).await.expect(200);
        };
        let made = async || read(&app.send(asked("nruf", &json!({}))).await.expect(201));
        let block = async || {
            let blocks = shown(app, "/ops/v1/blocks?npa=919").await;
            let named = |block: &&Value| block["block"] == "919-555-1";
            blocks["items"].as_array().unwrap().iter().find(named).cloned().expect("the block")
        };
        let line = |csv: &str| {
            csv.lines()
                .find(|line| line.starts_with(",919,555,1,"))
                .map(|line| line.split(',').skip(6).take(7).collect::<Vec<_>>().join(","))
        };
        let warned = |report: &Value| {
            let all = report["warnings"].as_array().unwrap();
            all.iter().filter(|one| one["code"] == "ported_out").cloned().collect::<Vec<_>>()
        };
        change(json!({ "nruf_donate_percent": 0 })).await;
        let left_out = made().await;
        let csv = file(app, &left_out, 0).await;
        assert_eq!(line(&csv).as_deref(), Some("1,0,0,1,0,0,2"));
        let detail = "1 of its numbers went to another carrier: the form counts them as assigned";
        assert_eq!(
            warned(&left_out),
            [json!({ "code": "ported_out", "block": "919-555-1", "detail": detail })]
        );
        let seen = block().await;
        let of = |block: &Value| {
            ["assigned", "not_held", "ported_out", "contamination_percent", "in_service", "candidate"]
                .map(|key| block[key].clone())
        };
        assert_eq!(json!(of(&seen)), json!([1, 998, 1, 0.3, true, false]));

        change(json!({ "nruf_ported_out": "assigned" })).await;
        let counted = made().await;
        assert_eq!(line(&file(app, &counted, 0).await).as_deref(), Some("2,0,0,1,0,0,3"));
        assert_eq!(warned(&counted), Vec::<Value>::new());
        assert_eq!(json!(of(&block().await)), json!([2, 997, 1, 0.3, true, false]));
        assert_eq!(file(app, &left_out, 0).await, csv, "a report stays as it was made");

        // A block that nobody here uses any more is no clean block, and stands in no file that leaves its numbers out.
        port_out(app, &[IN_SERVICE[1], IN_SERVICE[2]]).await;
        assert_eq!(json!(of(&block().await)), json!([3, 997, 3, 0.3, false, false]));
        change(json!({ "nruf_ported_out": null })).await;
        let none = made().await;
        assert_eq!((line(&file(app, &none, 0).await), warned(&none).len()), (None, 1));
        assert_eq!(json!(of(&block().await)), json!([0, 1000, 3, 0.3, false, false]));
    })
    .await;
}

/// Where an import was wrong, a report as of an instant before that was put right still says what was known then.
#[tokio::test]
async fn a_block_lies_where_its_numbers_lay_at_the_instant_of_a_report() {
    with_app(Seed::two_accounts(), async |app| {
        let digits = "5405560100";
        let new = NewNumber {
            region: Some("VA".into()),
            rate_center: Some("ROANOKE".into()),
            ..NewNumber::available(number(digits))
        };
        app.import(vec![new]).await;
        let made = async |as_of: &Value| app.send(asked("nruf", &json!({ "as_of": as_of }))).await;
        let before = read(&made(&Value::Null).await.expect(201));
        let correction =
            Correction { rate_center: Some("SALEM".into()), region: Some("VA".into()), ported_in: None };
        act(app, Act::Correct(correction), &[digits]).await;
        let line = async |report: &Value| {
            let csv = file(app, report, 0).await;
            csv.lines().find(|line| line.starts_with(",540,556,0,")).expect("the block's line").to_owned()
        };
        let now = read(&made(&Value::Null).await.expect(201));
        assert!(line(&now).await.contains("SALEM"), "{}", line(&now).await);
        let again = read(&made(&before["at"]).await.expect(200));
        assert_eq!(again["id"], before["id"]);
        assert!(line(&again).await.contains("ROANOKE"), "{}", line(&again).await);
        let blocks = shown(app, "/ops/v1/blocks?npa=540&rate_center=SALEM").await;
        assert_eq!(blocks["items"][0]["block"], "540-556-0", "{blocks}");
    })
    .await;
}

/// Thousands-blocks are given back in all countries of the plan. Form 502 is asked of the United States alone.
#[tokio::test]
async fn blocks_of_other_countries_are_shown_and_marked_and_in_no_report() {
    with_app(Seed::two_accounts(), async |app| {
        app.import(vec![NewNumber::available(number("4165560100"))]).await;
        let blocks = shown(app, "/ops/v1/blocks?npa=416").await["items"].clone();
        assert_eq!(
            (&blocks[0]["block"], &blocks[0]["available"]),
            (&"416-556-0".into(), &1.into()),
            "{blocks}"
        );
        let all = shown(app, "/ops/v1/blocks").await["items"].clone();
        assert!(all.as_array().unwrap().contains(&blocks[0]), "{all}");
        assert!(
            all.as_array().unwrap().iter().all(|one| !one["block"].as_str().unwrap().starts_with('8')),
            "{all}"
        );
        let body = json!({ "drain": true, "reason": "it goes back" }).to_string();
        let call = put("/ops/v1/blocks/416-556-0", body).content_type("application/json").by(Who::Operator);
        assert_eq!(read(&app.send(call).await.expect(200))["drain"], true);
        let report = read(&app.send(asked("nruf", &json!({}))).await.expect(201));
        let csv = file(app, &report, 0).await;
        assert!(csv.contains(",919,555,1,") && !csv.contains(",416,"), "{csv}");
    })
    .await;
}

/// A number that no table knows is in no line, and not missing silently.
#[tokio::test]
async fn numbers_of_unknown_area_codes_are_named_in_warnings() {
    with_app(Seed::two_accounts(), async |app| {
        let unknown = ["4465550100", "4465550101", "4465551100"];
        app.import(unknown.iter().map(|digits| NewNumber::available(number(digits))).collect()).await;
        let made = read(&app.send(asked("nruf", &json!({ "level": "code" }))).await.expect(201));
        let warnings = made["warnings"].as_array().unwrap();
        let found: Vec<_> = warnings.iter().filter(|one| one["code"] == "unknown_npa").collect();
        let detail = "3 numbers are left out: their area code is not in the table";
        assert_eq!(found, [&json!({ "code": "unknown_npa", "block": "446-555", "detail": detail })]);
        assert!(made["npa_table"].is_string() && !file(app, &made, 0).await.contains("446"));
    })
    .await;
}

#[tokio::test]
async fn a_block_is_shown_with_its_use_and_drained() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let blocks = shown(app, "/ops/v1/blocks?npa=919").await["items"].clone();
        let block = |name: &str| blocks.as_array().unwrap().iter().find(|block| block["block"] == name).cloned();
        // Its numbers lie in two rate centers: the first one by digits names the block.
        let center = rate_center(app, IN_SERVICE[0]).await;
        assert_eq!(
            block("919-555-1"),
            Some(json!({
                "block": "919-555-1", "rate_center": center, "assigned": 2, "intermediate": 0, "reserved": 0,
                "aging": 1, "administrative": 0, "available": 0, "not_held": 997, "ported_out": 0,
                "contamination_percent": 0.3, "in_service": true, "footprint": false, "drain": false, "candidate": true,
            }))
        );
        // Each block is there once, whatever the pages are.
        let all = shown(app, "/ops/v1/blocks").await["items"].clone();
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = shown(app, format!("/ops/v1/blocks?limit=1{cursor}")).await;
            paged.extend(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(json!(paged), all);

        let mark = async |name: &str, body: &Value| {
            let call = put(format!("/ops/v1/blocks/{name}"), body.to_string());
            app.send(call.content_type("application/json").by(Who::Operator)).await
        };
        let search = async || {
            let path = account("/availablenumbers?areaCode=336");
            app.send(get(path)).await.expect(200).elements("TelephoneNumber").len()
        };
        assert_eq!(search().await, 1);
        let pool = format!("{}-{}-{}", &POOL[..3], &POOL[3..6], &POOL[6..7]);
        let drained = read(&mark(&pool, &json!({ "drain": true, "reason": "it goes back" })).await.expect(200));
        assert_eq!((&drained["drain"], &drained["footprint"], &drained["candidate"]), (&true.into(), &false.into(), &true.into()));
        assert_eq!(search().await, 0);
        let kept = read(&mark(&pool, &json!({ "drain": false, "footprint": true, "reason": "it stays" })).await.expect(200));
        assert_eq!((&kept["drain"], &kept["footprint"], &kept["candidate"]), (&false.into(), &true.into(), &false.into()));
        assert_eq!(search().await, 1);
        // What is said is all there is to say.
        let drained = read(&mark(&pool, &json!({ "drain": true, "reason": "it goes back after all" })).await.expect(200));
        assert_eq!((&drained["drain"], &drained["footprint"]), (&true.into(), &false.into()));
        mark(&pool, &json!({ "footprint": true, "reason": "it stays" })).await.expect(200);
        assert_eq!(search().await, 1);
        let candidates = shown(app, "/ops/v1/blocks?npa=336&candidate=true").await;
        assert_eq!(candidates["items"], json!([]));
        for (name, body, status, code) in [
            (&*pool, json!({ "drain": true }), 400, "reason_required"),
            (&*pool, json!({ "drain": null, "reason": "x" }), 400, "bad_value"),
            ("336-555", json!({ "drain": true, "reason": "x" }), 400, "bad_value"),
            ("336-555-9", json!({ "drain": true, "reason": "x" }), 404, "not_found"),
        ] {
            assert_eq!(read(&mark(name, &body).await.expect(status))["code"], code, "{name}");
        }
    })
    .await;
}

/// A file of settings may name the header alone, and leave the columns to a setting that is changed later.
#[tokio::test]
async fn a_header_from_a_file_waits_for_the_columns_that_fit_it() {
    let reports = ReportSettings {
        rnd_form: Form { header: "TN,DisconnectDate".into(), ..Form::default() },
        ..ReportSettings::default()
    };
    let seed = Seed::two_accounts().reports(reports).configured(&[(Setting::RndHeader, Source::File)]);
    with_app(seed, async |app| {
        app.disconnect(&IN_SERVICE[..1]).await;
        let ask = json!({ "period": this_month().to_string(), "company": "ACME1" });
        let problem = read(&app.send(asked("rnd", &ask)).await.expect(400));
        let told = "rnd_header has 2 fields and rnd_columns has 4 columns: set both, or no header";
        assert_eq!((&problem["code"], &problem["detail"]), (&json!("bad_value"), &json!(told)));
        let columns =
            json!({ "values": { "rnd_columns": ["tn", "disconnect_date"] }, "reason": "the guide says so" });
        let call = patch("/ops/v1/settings", columns.to_string()).content_type("application/json");
        app.send(call.by(Who::Operator)).await.expect(200);
        let report = read(&app.send(asked("rnd", &ask)).await.expect(201));
        let today = now().date_in(&TimeZone::UTC);
        let lines = format!("TN,DisconnectDate\r\n{},{today}\r\n", IN_SERVICE[0]);
        assert_eq!(file(app, &report, 0).await, lines);
    })
    .await;
}

/// One block of a rate center may be kept, however few of its numbers are taken. With two, neither would be given back.
#[tokio::test]
async fn a_second_block_that_is_kept_for_a_rate_center_is_warned_of() {
    with_app(Seed::two_accounts(), async |app| {
        let place = |digits: &str, region: &str, rate_center: Option<&str>| NewNumber {
            region: Some(region.into()),
            rate_center: rate_center.map(str::to_owned),
            ..NewNumber::available(number(digits))
        };
        app.import(vec![
            // Another area code of the same state, and a rate center of this name in another state.
            place("9845550100", "NC", Some("RALEIGH")),
            place("6625550100", "MS", Some("RALEIGH")),
            place("9845551100", "NC", None),
        ])
        .await;
        let warnings = async |name: &str, footprint: bool| {
            let body = json!({ "footprint": footprint, "reason": "the only one there" });
            let call = put(format!("/ops/v1/blocks/{name}"), body.to_string());
            let told = app.send(call.content_type("application/json").by(Who::Operator)).await.expect(200);
            let told = read(&told);
            assert_eq!(told["footprint"], footprint);
            told["warnings"].clone()
        };
        let several = |block: &str, other: &str| {
            let detail = format!("{other} is kept for RALEIGH, too: one block of a rate center can be kept");
            json!([{ "code": "several_footprints", "block": block, "detail": detail }])
        };
        assert_eq!(warnings("919-555-1", true).await, json!([]));
        assert_eq!(warnings("919-555-1", true).await, json!([]), "it is not its own second one");
        assert_eq!(warnings("336-555-0", true).await, json!([]), "of another rate center");
        assert_eq!(warnings("662-555-0", true).await, json!([]), "of another state");
        assert_eq!(warnings("919-555-2", true).await, several("919-555-2", "919-555-1"));
        assert_eq!(warnings("919-555-2", false).await, json!([]), "it is kept no more");
        assert_eq!(warnings("984-555-0", true).await, several("984-555-0", "919-555-1"));
        assert_eq!(warnings("919-555-1", true).await, several("919-555-1", "984-555-0"));
        let unknown = warnings("984-555-1", true).await;
        assert_eq!((&unknown[0]["code"], &unknown[1]), (&json!("no_rate_center"), &Value::Null));
    })
    .await;
}

/// Numbers of every kind that is not reported, as they come into the store and leave service.
#[tokio::test]
async fn each_number_that_is_left_out_has_its_reason() {
    with_app(Seed::two_accounts(), async |app| {
        let guide = Some(crate::app::ACCOUNT.to_string().parse().unwrap());
        let in_service = |digits: &str| NewNumber {
            state: State::InService,
            account: guide,
            ..NewNumber::available(number(digits))
        };
        let aging = NewNumber {
            state: State::Aging,
            former_account: guide,
            release_at: Some(now().plus_millis(50 * DAY_MS)),
            ..NewNumber::available(number("9195556003"))
        };
        let gone = ["4165550100", "8005550199", "4465550100", "9195556001", "9195556002"];
        app.import(gone.iter().map(|digits| in_service(digits)).chain([aging]).collect()).await;
        app.disconnect(&gone[..4]).await;
        port_out(app, &["9195556001", "9195556002"]).await;
        let (_, made) = rnd(app, this_month()).await;
        assert_eq!(made["nothing_to_report"], true, "{made}");
        let told: BTreeMap<String, String> = left_out(app, &made)
            .await
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["number"].as_str().unwrap().to_owned(), one["why"].as_str().unwrap().to_owned()))
            .collect();
        let wanted = [
            ("+14165550100", "not_us"),
            ("+14465550100", "unknown_npa"),
            ("+18005550199", "not_geographic"),
            ("+19195556001", "ported_out"),
            ("+19195556002", "ported_out"),
            ("+19195556003", "no_date"),
        ];
        assert_eq!(told, wanted.map(|(number, why)| (number.to_owned(), why.to_owned())).into());
        // In pages, each once.
        let path = format!("/ops/v1/reports/{}/left-out?limit=4", made["id"].as_str().unwrap());
        let page = shown(app, path.clone()).await;
        let rest = shown(app, format!("{path}&cursor={}", page["next"].as_str().unwrap())).await;
        let all =
            [page["items"].as_array().unwrap().clone(), rest["items"].as_array().unwrap().clone()].concat();
        assert_eq!((json!(all), &rest["next"]), (left_out(app, &made).await, &Value::Null));
    })
    .await;
}
