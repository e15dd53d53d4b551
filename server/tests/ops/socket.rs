//! The socket on the server's machine, and the operations API without a server: who asks there needs no password.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use http::Request;
use http_body_util::BodyExt;
use onhook_server::http::socket::{Guard, PATH_MAX, Socket, SocketError};
use onhook_server::{Offline, Settings};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::app::{
    App, Call, IN_SERVICE, NEIGHBOURS, Reply, Seed, Who, disconnects, get, post, read_all, replies, with_app,
};

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

/// Opens the server's socket in a folder of its own.
async fn open(app: &App) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let socket = Socket::bind(&folder.path().join("s"), Guard::File).unwrap();
    app.serve_socket(socket).await;
    folder
}

/// Sends a request through the socket, without credentials.
async fn send(folder: &Path, call: Call) -> Reply {
    let mut stream = UnixStream::connect(folder.join("s")).await.unwrap();
    stream.write_all(&call.by(Who::Nobody).bytes()).await.unwrap();
    replies(&read_all(&mut stream).await, false).remove(0)
}

fn reason(text: &str) -> String {
    json!({ "reason": text }).to_string()
}

fn act(act: &str, number: &str) -> Call {
    let call = post(format!("/ops/v1/numbers/{number}/{act}"), reason("it is printed on our vans"));
    call.content_type("application/json")
}

#[tokio::test]
async fn who_opens_the_socket_is_the_operator_and_is_recorded_as_the_machine() {
    with_app(Seed::two_accounts(), async |app| {
        let folder = open(app).await;
        for number in [IN_SERVICE[0], NEIGHBOURS] {
            let locked = send(folder.path(), act("lock", number)).await.expect(200);
            assert_eq!(json_of(&locked)["locked"], true);
        }
        send(folder.path(), act("unlock", IN_SERVICE[0])).await.expect(200);
        let history = get(format!("/ops/v1/numbers/{}/history", IN_SERVICE[0]));
        let seen = json_of(&send(folder.path(), history.clone()).await.expect(200));
        let uid = fs::metadata(folder.path()).unwrap().uid();
        let by = json!({ "kind": "user", "user": "machine", "credential": "socket", "address": format!("uid {uid}") });
        assert_eq!((&seen["items"][0]["by"], &seen["items"][1]["by"]), (&by, &by), "{seen}");
        // An account's users see who, but no address of an operator.
        let seen = json_of(&app.send(history).await.expect(200));
        assert_eq!((&seen["items"][0]["by"]["user"], &seen["items"][0]["by"]["address"]), (&json!("machine"), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn the_socket_serves_the_operations_alone() {
    with_app(Seed::two_accounts(), async |app| {
        let folder = open(app).await;
        for path in
            [disconnects(""), "/healthz".into(), "/metrics".into(), "/".into(), "/ops/v1/nothing".into()]
        {
            let refused = send(folder.path(), get(path.as_str())).await.expect(404);
            assert_eq!(json_of(&refused)["code"], "not_found", "{path}");
        }
        send(folder.path(), get("/ops/openapi.json")).await.expect(200);
        // A password is not asked for, and one that is there is not looked at.
        let mut stream = UnixStream::connect(folder.path().join("s")).await.unwrap();
        stream.write_all(&get("/ops/v1/numbers?limit=1").by(Who::WrongPassword).bytes()).await.unwrap();
        replies(&read_all(&mut stream).await, false).remove(0).expect(200);
    })
    .await;
}

#[tokio::test]
async fn the_socket_is_its_owner_s_and_goes_with_the_server() {
    with_app(Seed::two_accounts(), async |app| {
        let folder = open(app).await;
        let path = folder.path().join("s");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = Socket::bind(&path, Guard::File);
        assert!(matches!(other, Err(SocketError::InUse(_))), "{other:?}");
        send(folder.path(), get("/ops/v1/numbers")).await.expect(200);
        app.stop().await;
        assert!(!path.exists());
        drop(Socket::bind(&path, Guard::File).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_taken_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a process that is killed leaves it like this");
    let socket = Socket::bind(&path, Guard::Folder).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another one's").unwrap();
    drop(socket);
    assert_eq!(fs::read_to_string(&path).unwrap(), "another one's");
    assert!(matches!(Socket::bind(&path, Guard::Folder), Err(SocketError::NoSocket(_))));
    let long = folder.path().join("s".repeat(PATH_MAX));
    let error = Socket::bind(&long, Guard::Folder).unwrap_err();
    assert!(error.to_string().ends_with("and a socket's has at most 107"), "{error}");
    let exact = "s".repeat(PATH_MAX - folder.path().as_os_str().len() - 1);
    Socket::bind(&folder.path().join(exact), Guard::Folder).unwrap();
}

#[tokio::test]
async fn without_a_server_the_answers_are_the_same_and_the_credential_says_so() {
    with_app(Seed::two_accounts(), async |app| {
        let offline = Offline::new(app.parts.store.clone(), Settings::default()).await.unwrap();
        let ask = async |call: Call| {
            let mut request = Request::builder().method(call.method).uri(&call.path);
            for (name, value) in &call.headers {
                request = request.header(name, value);
            }
            let response = offline.answer(request.body(call.body.into()).unwrap()).await;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
            Reply { status, headers: Vec::new(), body }
        };
        ask(act("lock", IN_SERVICE[0])).await.expect(200);
        let history = get(format!("/ops/v1/numbers/{}/history", IN_SERVICE[0]));
        let first = |reply: &Reply| {
            let mut event = json_of(reply)["items"][0].take();
            event["position"].take(); // it comes with a seal, a moment later
            event
        };
        let seen = first(&ask(history.clone()).await.expect(200));
        let by = json!({ "kind": "user", "user": "machine", "credential": "offline", "address": null });
        assert_eq!(seen["by"], by);
        let other = app.send(history.by(Who::Operator)).await.expect(200);
        assert_eq!(first(&other), seen);
        ask(get(disconnects(""))).await.expect(404);
    })
    .await;
}
