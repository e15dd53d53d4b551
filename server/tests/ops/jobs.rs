//! Jobs at the operations API: checks, exports, imports and backups, while the server works.

use std::path::Path;
use std::time::Duration;

use onhook_core::lifecycle::provenance::Doer;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, Reply, Seed, Who, delete, get, now, post, wait_for, with_app,
};

const JSON: &str = "application/json";
/// The lease under which checks are done.
const CHECKS: &str = "jobs of kind check";

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

fn ask(path: &str, body: &Value) -> Call {
    post(path, body.to_string()).content_type(JSON).by(Who::Operator)
}

/// Returns a call that imports a file.
fn import(query: &str, file: &str) -> Call {
    let path = format!("/ops/v1/imports?reason=test&{query}");
    post(path, file).content_type("text/csv").by(Who::Operator)
}

async fn look(app: &App, path: &str) -> Value {
    read(&app.send(get(path).by(Who::Operator)).await.expect(200))
}

/// Waits for the end of a job that a call makes, and returns it.
async fn ended(app: &App, call: Call) -> Value {
    let reply = app.send(call).await.expect(202);
    let path = app.path_of(reply.header("location").unwrap());
    wait_for("a job's end", async || {
        let job = look(app, &path).await;
        (!job["ended_at"].is_null()).then_some(job)
    })
    .await
}

async fn refused(app: &App, call: Call, status: u16, code: &str) -> Value {
    let problem = read(&app.send(call).await.expect(status));
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

async fn export(app: &App, path: &str, who: Who) -> String {
    let reply = app.send(get(path).by(who)).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        reply.header("transfer-encoding"),
        Some("chunked"),
        "a file that is cut off is told from a whole one"
    );
    reply.text().to_owned()
}

#[tokio::test]
async fn a_check_is_done_while_the_server_works() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let done = ended(app, ask("/ops/v1/checks", &json!({ "deep": true }))).await;
        assert_eq!(
            (&done["state"], &done["findings"], &done["found"]),
            (&json!("done"), &json!([]), &json!(0))
        );
        assert_eq!((&done["deep"], &done["orders"]), (&json!(true), &json!(1)));
        assert!(done["numbers"].as_u64().unwrap() > 100, "{done}");
        let list = look(app, "/ops/v1/checks").await;
        assert_eq!(list["items"][0]["id"], done["id"]);
        app.send(get("/ops/v1/checks/99").by(Who::Operator)).await.expect(404);
        app.send(ask("/ops/v1/checks", &json!({})).by(Who::Admin)).await.expect(403);
    })
    .await;
}

#[tokio::test]
async fn ten_jobs_wait_and_the_next_one_is_refused() {
    with_app(Seed::two_accounts(), async |app| {
        let store = &app.parts.store;
        let held = store.take_lease(CHECKS, Duration::from_secs(60)).await.unwrap().unwrap();
        let shallow = || ask("/ops/v1/checks", &json!({ "deep": false }));
        for _ in 0..10 {
            app.send(shallow()).await.expect(202);
        }
        let keyed = || shallow().header("Idempotency-Key", "the-eleventh");
        let first = app.send(keyed()).await.expect(202);
        refused(app, shallow(), 409, "too_many_jobs").await;
        let again = app.send(keyed()).await.expect(202);
        assert_eq!((again.header("location"), &again.body), (first.header("location"), &first.body));
        store.end_lease(CHECKS, held).await.unwrap();
        let path = app.path_of(first.header("location").unwrap());
        wait_for("all checks", async || (look(app, &path).await["state"] == "done").then_some(())).await;
        app.send(shallow()).await.expect(202);
    })
    .await;
}

#[tokio::test]
async fn what_is_exported_imports_again() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let all = export(app, "/ops/v1/exports/numbers", Who::Operator).await;
        let checked = ended(app, import("kind=numbers&dry_run=true", &all)).await;
        assert_eq!(
            (&checked["state"], &checked["good"]),
            (&json!("refused"), &json!(0)),
            "all are here already"
        );
        assert_eq!(checked["bad"].as_u64().unwrap(), u64::try_from(all.lines().count() - 1).unwrap());
        // An account exports its own numbers, and those that aged from it.
        let own = export(app, "/ops/v1/exports/numbers", Who::Admin).await;
        let named = format!("/ops/v1/exports/numbers?account={ACCOUNT}");
        assert_eq!(own, export(app, &named, Who::Operator).await);
        let aging = export(app, "/ops/v1/exports/numbers?state=Aging&prefix=1919555", Who::Admin).await;
        let lines: Vec<&str> = aging.lines().collect();
        assert_eq!(lines.len(), 2, "{aging}");
        assert!(lines[1].starts_with(&format!("{},Aging,,", IN_SERVICE[0])), "{aging}");
        app.send(get(named).by(Who::Orderer)).await.expect(403);
        let denied = async |account: &str| {
            let reply = app.send(get(format!("/ops/v1/exports/numbers?account={account}"))).await.expect(403);
            reply.text().to_owned()
        };
        assert_eq!(denied(&NEIGHBOUR.to_string()).await, denied("77").await);
    })
    .await;
}

#[tokio::test]
async fn periods_are_exported_for_those_who_pay() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let all = export(app, "/ops/v1/exports/periods", Who::Operator).await;
        assert!(all.starts_with("number,account,from,until\n"), "{all}");
        let own = export(app, "/ops/v1/exports/periods", Who::Admin).await;
        assert!(own.lines().skip(1).all(|line| line.contains(&format!(",{ACCOUNT},"))), "{own}");
        assert!(own.lines().count() < all.lines().count());
        let ended: Vec<&str> = own.lines().skip(1).filter(|line| !line.ends_with(',')).collect();
        assert_eq!(ended.len(), 1, "one was disconnected: {own}");
        let before = export(app, "/ops/v1/exports/periods?until=2020-01-01T00:00:00.000Z", Who::Admin).await;
        assert_eq!(before.lines().count(), 1);

        // A day is its first instant, here: in UTC.
        let days = async |from: &str, until: &str| {
            let path = format!("/ops/v1/exports/periods?from={from}&until={until}");
            export(app, &path, Who::Admin).await.lines().count()
        };
        assert_eq!(days("2020-01-01", "2020-01-02").await, 1);
        assert_eq!(days("2020-01-01", "2999-01-01").await, own.lines().count());
        let wrong = app.send(get("/ops/v1/exports/periods?from=yesterday")).await.expect(400);
        assert!(wrong.text().contains("a day such as 2027-01-01"), "{}", wrong.text());
        let turned = "/ops/v1/exports/periods?from=2026-04-01&until=2026-03-01";
        let turned = app.send(get(turned).by(Who::Operator)).await.expect(400);
        assert!(turned.text().contains("from lies after until"), "{}", turned.text());
        let of = |account: &str| get(format!("/ops/v1/exports/periods?account={account}"));
        app.send(of("77").by(Who::Operator)).await.expect(404);
        app.send(of("77").by(Who::Admin)).await.expect(403);
        let theirs =
            export(app, &format!("/ops/v1/exports/periods?account={NEIGHBOUR}"), Who::Operator).await;
        assert!(theirs.lines().skip(1).all(|line| line.contains(&format!(",{NEIGHBOUR},"))), "{theirs}");
    })
    .await;
}

const NEW: [&str; 3] = ["2025550101", "2025550102", "2025550103"];

#[tokio::test]
async fn one_bad_line_refuses_an_import_and_a_partial_one_leaves_it_out() {
    with_app(Seed::two_accounts(), async |app| {
        let file = format!("number,state,account\n{},,\n{},InService,77\n{},,\n", NEW[0], NEW[1], NEW[2]);
        let done = ended(app, import("kind=numbers", &file)).await;
        let figures = |job: &Value| ["lines", "good", "bad", "written"].map(|key| job[key].as_u64().unwrap());
        assert_eq!((done["state"].as_str(), figures(&done)), (Some("refused"), [3, 2, 1, 0]));
        let path = format!("/ops/v1/imports/{}", done["id"].as_str().unwrap());
        let bad = look(app, &format!("{path}/bad-lines")).await;
        assert_eq!(bad["items"], json!([{ "line": 3, "detail": "no open account 77" }]));
        app.send(get(format!("/ops/v1/numbers/{}", NEW[0])).by(Who::Operator)).await.expect(404);
        let done = ended(app, import("kind=numbers&partial=true", &file)).await;
        assert_eq!((done["state"].as_str(), figures(&done)), (Some("done"), [3, 2, 1, 2]));
        for (number, status) in [(NEW[0], 200), (NEW[1], 404), (NEW[2], 200)] {
            app.send(get(format!("/ops/v1/numbers/{number}")).by(Who::Operator)).await.expect(status);
        }
        // A check that begins now counts what came in.
        let check = ended(app, ask("/ops/v1/checks", &json!({ "deep": true }))).await;
        assert_eq!(check["findings"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn exchanges_are_imported_and_a_head_that_is_none_is_refused_at_once() {
    with_app(Seed::two_accounts(), async |app| {
        let file = "npa_nxx,state,rate_center\n202555,DC,WASHINGTON\n202556,DC,WASHINGTON\n";
        let done = ended(app, import("kind=exchanges", file)).await;
        assert_eq!((done["state"].as_str(), done["written"].as_u64()), (Some("done"), Some(2)));
        let twice = format!("{file}202555,DC,OTHER\n");
        let done = ended(app, import("kind=exchanges", &twice)).await;
        assert_eq!((done["state"].as_str(), done["bad"].as_u64()), (Some("refused"), Some(1)));
        for (query, file) in
            [("kind=numbers", "digits\n2025550101\n"), ("kind=numbers", ""), ("kind=people", "a\n")]
        {
            refused(app, import(query, file), 400, "bad_value").await;
        }
        refused(
            app,
            post("/ops/v1/imports?kind=numbers", "number\n").content_type("text/csv").by(Who::Operator),
            400,
            "reason_required",
        )
        .await;
        refused(app, import("kind=numbers", "number\n").content_type(JSON), 415, "wrong_content_type").await;
    })
    .await;
}

/// Begins to send a file, and does not end it.
async fn half_sent(app: &App) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let call = import("kind=numbers", "").without("Content-Length").header("Content-Length", "1000");
    stream.write_all(call.head().as_bytes()).await.unwrap();
    stream.write_all(b"number\n2025550101\n").await.unwrap();
    wait_for("an import that arrives", async || {
        let list = look(app, "/ops/v1/imports").await;
        (list["items"][0]["state"] == "receiving").then_some(())
    })
    .await;
    stream
}

#[tokio::test]
async fn one_import_at_a_time_and_nothing_goes_that_its_lines_may_need() {
    with_app(Seed::two_accounts(), async |app| {
        let guide = ACCOUNT.to_string().parse().unwrap();
        let site = app.parts.store.create_site(guide, "Another".into(), now()).await.unwrap().id;
        let stream = half_sent(app).await;
        refused(app, import("kind=numbers", "number\n2025550102\n"), 409, "import_running").await;
        let removed = app.parts.store.remove_site(guide, site, Doer::offline(now())).await;
        assert!(removed.is_err(), "{removed:?}");
        drop(stream); // the client is gone
        let list = wait_for("its end", async || {
            let list = look(app, "/ops/v1/imports").await;
            (list["items"][0]["state"] == "cancelled").then_some(list)
        });
        list.await;
        app.parts.store.remove_site(guide, site, Doer::offline(now())).await.unwrap();
        let done = ended(app, import("kind=numbers", "number\n2025550102\n")).await;
        assert_eq!(done["state"], "done");
        app.send(get("/ops/v1/numbers/2025550101").by(Who::Operator)).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn an_import_is_cancelled_before_it_writes_and_not_after() {
    with_app(Seed::two_accounts(), async |app| {
        let _stream = half_sent(app).await;
        let id = look(app, "/ops/v1/imports").await["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/ops/v1/imports/{id}?reason=mistake");
        app.send(delete(&path).by(Who::Operator)).await.expect(204);
        app.send(delete(&path).by(Who::Operator)).await.expect(204);
        let done = wait_for("the next import", async || {
            let reply = app.send(import("kind=numbers", "number\n2025550101\n")).await;
            (reply.status == 202).then_some(reply)
        });
        let path = app.path_of(done.await.header("location").unwrap());
        wait_for("its end", async || (look(app, &path).await["state"] == "done").then_some(())).await;
        refused(app, delete(format!("{path}?reason=late")).by(Who::Operator), 409, "refused").await;
    })
    .await;
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_backup_holds_what_was_answered_before_it_and_is_verified() {
    with_app(Seed::two_accounts(), async |app| {
        let asked = json!({ "name": "nightly", "reason": "each night" });
        if !app.one_writer {
            refused(app, ask("/ops/v1/backups", &asked), 409, "use_the_database").await;
            return;
        }
        app.disconnect(&[IN_SERVICE[0]]).await;
        let sealed = wait_for("the seals", async || {
            let page = look(app, "/ops/v1/events?kind=disconnected").await;
            page["items"][0]["position"].as_str().map(|position| position.parse::<u64>().unwrap())
        });
        let sealed = sealed.await;
        let made = ended(app, ask("/ops/v1/backups", &asked)).await;
        assert_eq!(made["state"], "done", "{made}");
        let position: u64 = made["position"].as_str().unwrap().parse().unwrap();
        assert!(position >= sealed, "{made}");
        let folder = Path::new(made["path"].as_str().unwrap());
        assert_eq!(
            folder.file_name().unwrap().to_str(),
            Some(&*format!("nightly-{}", made["id"].as_str().unwrap()))
        );
        assert_eq!((mode(folder), mode(&folder.join("onhook.db"))), (0o700, 0o600));
        app.disconnect(&[IN_SERVICE[1]]).await;
        let verify = format!("/ops/v1/backups/{}/verify", made["id"].as_str().unwrap());
        let verified = ended(app, ask(&verify, &json!({}))).await;
        assert_eq!((&verified["state"], &verified["findings"]), (&json!("done"), &json!([])), "{verified}");
        assert_eq!(verified["orders"], 1, "what came later is not in it");
        let again = ended(app, ask(&verify, &json!({}))).await;
        assert_eq!(again["findings"], json!([]), "a check leaves a backup as it is");
        // A byte that changed is found.
        let database = folder.join("onhook.db");
        let mut bytes = std::fs::read(&database).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&database, bytes).unwrap();
        let verified = ended(app, ask(&verify, &json!({}))).await;
        assert_eq!(verified["found"], 1, "{verified}");
        refused(app, ask("/ops/v1/backups", &json!({ "name": "../a", "reason": "r" })), 400, "bad_value")
            .await;
        refused(app, ask("/ops/v1/backups", &json!({ "name": "a" })), 400, "reason_required").await;
    })
    .await;
}
