//! Limits of rate, size and form, and requests that a client may safely repeat.

use onhook_core::account::user::Rights;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::app::{
    App, Call, NEIGHBOUR, NEIGHBOURS, Reply, Seed, Who, account, basic, disconnects, get, post, put, replies,
    talk, with_app, xml,
};

/// Most bytes of a body.
const BODY_MAX: usize = 1 << 20;

fn order() -> String {
    xml::disconnect(&["5405514342"])
}

async fn how_many(app: &App, who: Who, path: &str) -> String {
    app.send(get(path).by(who)).await.expect(200).element("TotalCount").unwrap().to_owned()
}

#[tokio::test]
async fn one_key_is_one_order() {
    with_app(Seed::two_accounts(), async |app| {
        let with_key = |key: &str, body: String| post(disconnects(""), body).header("Idempotency-Key", key);
        let first = app.send(with_key("c0ffee-1", order())).await.expect(201);
        let again = app.send(with_key("c0ffee-1", order())).await.expect(201);
        let quoted = app.send(with_key("\"c0ffee-1\"", order())).await.expect(201);
        app.ended(get(app.path_of(first.header("location").unwrap()))).await;
        let later = app.send(with_key("c0ffee-1", order())).await.expect(201);
        for other in [again, quoted, later] {
            assert_eq!(other.header("location"), first.header("location"));
            assert_eq!(other.text(), first.text());
        }
        assert_eq!(how_many(app, Who::Admin, &disconnects("")).await, "1");

        let reused = app.send(with_key("c0ffee-1", xml::disconnect(&["7034343704"]))).await;
        golden!(app, "key_reused", reused);
        assert_eq!(how_many(app, Who::Admin, &disconnects("")).await, "1");

        // The same key from another account means another order.
        let theirs = format!("/api/accounts/{NEIGHBOUR}/disconnects");
        let call = post(&theirs, xml::disconnect(&[NEIGHBOURS])).by(Who::Neighbour);
        let reply = app.send(call.header("Idempotency-Key", "c0ffee-1")).await.expect(201);
        assert_ne!(reply.element("id"), first.element("id"));
        assert_eq!(how_many(app, Who::Neighbour, &theirs).await, "1");

        // Without a key every request is an order of its own.
        for _ in 0..2 {
            app.send(post(disconnects(""), order())).await.expect(201);
        }
        assert_eq!(how_many(app, Who::Admin, &disconnects("")).await, "3");
    })
    .await;
}

#[tokio::test]
async fn one_key_is_one_order_however_many_send_it_at_once() {
    with_app(Seed::two_accounts(), async |app| {
        app.send(get(disconnects(""))).await.expect(200); // signed in, so that all of them are quick
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let call = post(disconnects(""), order()).header("Idempotency-Key", "at once");
            let address = app.address;
            sent.spawn(async move { replies(&talk(address, call.from, &call.bytes()).await, false) });
        }
        let replies: Vec<Reply> = sent.join_all().await.into_iter().flatten().collect();
        assert_eq!(replies.len(), 16);
        for reply in &replies {
            assert_eq!((reply.status, reply.header("location")), (201, replies[0].header("location")));
        }
        assert_eq!(how_many(app, Who::Admin, &disconnects("")).await, "1");
    })
    .await;
}

#[tokio::test]
async fn a_key_has_limits_of_length_and_characters() {
    with_app(Seed::two_accounts(), async |app| {
        let longest = "k".repeat(255);
        app.send(post(disconnects(""), order()).header("Idempotency-Key", &longest)).await.expect(201);
        let before = app.counts().await.0;
        for key in ["", "\"\"", &"k".repeat(256), "ü"] {
            let reply = app.send(post(disconnects(""), order()).header("Idempotency-Key", key)).await;
            assert_eq!((reply.status, reply.code()), (400, Some(1019)), "{key:?}");
        }
        let twice =
            post(disconnects(""), order()).header("Idempotency-Key", "a").header("idempotency-key", "a");
        assert_eq!(app.send(twice).await.expect(400).code(), Some(1019));
        assert_eq!(app.counts().await.0, before);
    })
    .await;
}

#[tokio::test]
async fn a_client_over_its_rate_is_answered_when_to_come_back() {
    with_app(Seed::two_accounts().rate_limit(2), async |app| {
        let mut refused = None;
        for served in 0..50 {
            let reply = app.send(get(disconnects(""))).await;
            if reply.status == 429 {
                assert!(served >= 2, "after {served} requests");
                refused = Some(reply);
                break;
            }
            reply.expect(200);
        }
        let refused = refused.expect("of fifty requests one is too many");
        comes_back_soon(&refused);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&wait), "{wait}");
        golden!(app, "too_many_requests", refused_in(refused, wait));
        // Other accounts and other groups are counted separately.
        let theirs = get(format!("/api/accounts/{NEIGHBOUR}/disconnects")).by(Who::Neighbour);
        app.send(theirs).await.expect(200);
        app.send(get(account("/inserviceNumbers"))).await.expect(200);
        // The server's own routes are not counted.
        for _ in 0..10 {
            app.send(get("/healthz").by(Who::Nobody)).await.expect(200);
        }
    })
    .await;
}

/// Asserts that a 429 has no body, and says twice when to come back.
fn comes_back_soon(reply: &Reply) {
    assert_eq!((reply.status, reply.body.len(), reply.header("content-length")), (429, 0, Some("0")));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let reset: u64 = reply.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1 && reset >= now, "reset {reset}, now {now}, wait {wait}");
    assert!(reset <= now + wait, "seconds of the epoch: {reset}, now {now}, wait {wait}");
}

fn refused_in(mut reply: Reply, seconds: u64) -> Reply {
    let wait = seconds.to_string();
    for (name, value) in &mut reply.headers {
        if name == "retry-after" && *value == wait {
            *value = "{seconds}".into();
        }
    }
    reply
}

#[tokio::test]
async fn a_password_is_tried_ten_times_a_minute() {
    with_app(Seed::two_accounts(), async |app| {
        let with = |who: &str, password: &str| {
            get(disconnects("")).by(Who::Nobody).header("Authorization", &basic(who, password))
        };
        // Successful tries are not counted.
        app.send(with("orderer", "password")).await.expect(200);
        for tried in 1..=10 {
            let reply = app.send(with("orderer", &format!("guess {tried}"))).await;
            assert_eq!((reply.status, reply.body.len()), (401, 0), "try {tried}");
        }
        comes_back_soon(&app.send(with("orderer", "guess 11")).await);
        // A credential that was found good before is still good, from that address too, and no other caller is
        // affected.
        app.send(with("orderer", "password")).await.expect(200);
        app.send(with("reader", "password")).await.expect(200);
        app.send(with("orderer", "guess 12").at_address(1)).await.expect(401);

        // A user who does not exist is refused after as many tries, so that nobody can tell the difference.
        for tried in 1..=10 {
            assert_eq!(app.send(with("nobody", &format!("guess {tried}"))).await.status, 401, "try {tried}");
        }
        comes_back_soon(&app.send(with("nobody", "guess 11")).await);
        // Then not even the right password is checked.
        for tried in 1..=10 {
            assert_eq!(
                app.send(with("neighbour", &format!("guess {tried}"))).await.status,
                401,
                "try {tried}"
            );
        }
        comes_back_soon(&app.send(with("neighbour", "password")).await);
    })
    .await;
}

#[tokio::test]
async fn many_first_requests_at_once_are_all_served() {
    with_app(Seed::two_accounts(), async |app| {
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (call, address) = (get(disconnects("")), app.address);
            sent.spawn(async move { replies(&talk(address, call.from, &call.bytes()).await, false) });
        }
        for reply in sent.join_all().await.into_iter().flatten() {
            assert_eq!(reply.status, 200);
        }
    })
    .await;
}

#[tokio::test]
async fn malformed_credentials_are_refused() {
    with_app(Seed::two_accounts(), async |app| {
        let good = basic("username", "password");
        let bare = || get(disconnects("")).by(Who::Nobody);
        for wrong in [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic dXNlcm5hbWU=",
            "Basic AHVzZXJuYW1lOnBhc3N3b3Jk",
            "Bearer dXNlcm5hbWU6cGFzc3dvcmQ=",
            &good["Basic ".len()..],
            &basic("username", &"p".repeat(1_025)),
            &basic("", "password"),
            &basic("username", "PASSWORD"),
            &basic("username", "password "),
        ] {
            let reply = app.send(bare().header("Authorization", wrong)).await;
            assert_eq!((reply.status, reply.body.len()), (401, 0), "{wrong}");
            assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"onhook\""), "{wrong}");
        }
        // The case of a name's letters does not matter, nor does the client's way of writing base64.
        for right in [&basic("USERNAME", "password"), "Basic dXNlcm5hbWU6cGFzc3dvcmQ"] {
            app.send(bare().header("Authorization", right)).await.expect(200);
        }
        let user = onhook_store::contract::users::NewUser {
            name: "u10".into(),
            account: onhook_core::ids::AccountId::new(crate::app::ACCOUNT),
            role: onhook_core::account::Role::Read,
            rights: Rights::NONE,
            password_hash: onhook_server::auth::hash_password("a>>>b???c~~~").unwrap(),
        };
        app.parts.store.create_user(user, crate::app::now()).await.unwrap();
        for right in ["dTEwOmE-Pj5iPz8_Y35-fg==", "dTEwOmE-Pj5iPz8_Y35-fg", "dTEwOmE+Pj5iPz8/Y35+fg"] {
            let right = format!("Basic {right}");
            app.send(bare().header("Authorization", &right)).await.expect(200);
            let grant = post("/api/v1/oauth2/token", "grant_type=client_credentials").by(Who::Nobody);
            let grant = grant.content_type("application/x-www-form-urlencoded");
            app.send(grant.header("Authorization", &right)).await.expect(200);
        }
        for second in [good.as_str(), "Basic !!!"] {
            let reply = app.send(bare().header("Authorization", &good).header("authorization", second)).await;
            assert_eq!((reply.status, reply.code()), (400, Some(1019)), "{}", reply.text());
        }
    })
    .await;
}

/// Returns a request with a body whose length it does not declare.
fn in_chunks(call: Call, chunks: &[&[u8]], ended: bool) -> Vec<u8> {
    let call = call.without("Content-Length").header("Transfer-Encoding", "chunked");
    let mut bytes = call.head().into_bytes();
    for chunk in chunks {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend(b"\r\n");
    }
    if ended {
        bytes.extend(b"0\r\n\r\n");
    }
    bytes
}

#[tokio::test]
async fn a_body_has_a_mebibyte_at_most() {
    with_app(Seed::two_accounts(), async |app| {
        let mut body = order().into_bytes();
        body.resize(BODY_MAX, b' ');
        app.send(post(disconnects(""), body.clone())).await.expect(201);
        let chunks: Vec<&[u8]> = body.chunks(64 * 1024).collect();
        let raw =
            talk(app.address, [127, 0, 0, 1].into(), &in_chunks(post(disconnects(""), ""), &chunks, true))
                .await;
        assert_eq!(replies(&raw, false)[0].status, 201);
        let before = app.counts().await.0;

        // A declared length is checked before anything of the body is read. The client does not ask to close, so that
        // it is the server that closes.
        let open = || post(disconnects(""), "").without("Connection");
        let declared = open().without("Content-Length").header("Content-Length", &(BODY_MAX + 1).to_string());
        let too_large = app.send(declared).await.expect(413);
        assert_eq!(too_large.header("connection"), Some("close"));
        golden!(app, "body_too_large", too_large);

        // An undeclared length is counted.
        let chunks: Vec<&[u8]> = chunks.into_iter().chain([&b" "[..]]).collect();
        let raw = talk(app.address, [127, 0, 0, 1].into(), &in_chunks(open(), &chunks, false)).await;
        let too_large = &replies(&raw, false)[0];
        assert_eq!((too_large.status, too_large.header("connection")), (413, Some("close")));
        assert_eq!(app.counts().await.0, before);
    })
    .await;
}

#[tokio::test]
async fn only_xml_is_read() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.counts().await.0;
        let note = disconnects("/6d7da966-e071-4741-b31c-1d8932f4b8da/notes");
        for kind in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "application/xml; charset=utf-16",
            "text/xml; charset=ISO-8859-1",
            "application/xml-dtd",
            "application/soap+xml",
            "*/*",
            "",
        ] {
            for call in [
                post(disconnects(""), order()),
                post(account("/orders"), xml::order(app.site, &["5405514342"])),
                post(&note, xml::note("username", "x")),
                put(format!("{note}/1"), xml::note("username", "x")),
            ] {
                let reply = app.send(call.content_type(kind)).await;
                assert_eq!((reply.status, reply.code()), (415, None), "{kind}");
            }
        }
        for coding in ["gzip", "deflate", "br", "identity, gzip"] {
            let reply = app.send(post(disconnects(""), order()).header("Content-Encoding", coding)).await;
            assert_eq!(reply.status, 415, "{coding}");
        }
        assert_eq!(app.counts().await.0, before);
        golden!(app, "not_xml", app.send(post(disconnects(""), "{}").content_type("application/json")).await);
        for kind in [
            "application/xml",
            "text/xml",
            "Application/XML;charset=UTF-8",
            "application/xml; charset=\"utf-8\"",
            "text/xml; charset=us-ascii",
        ] {
            app.send(post(disconnects(""), order()).content_type(kind)).await.expect(201);
        }
        app.send(post(disconnects(""), order()).header("Content-Encoding", "identity")).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn an_order_has_five_thousand_numbers_at_most() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers: Vec<String> = (0..5_001).map(|n| (5_402_000_000_u64 + n).to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let (received, path) = app.place(post(disconnects(""), xml::disconnect(&numbers[..5_000]))).await;
        assert_eq!(received.elements("TelephoneNumber").len(), 5_000);
        let text = "The count of telephone numbers in order exceeds the maximum size of 5000";
        // One number too many is counted. For very many, the size of the document is enough.
        let very_many: Vec<&str> = numbers.iter().chain(&numbers).copied().collect();
        for numbers in [&numbers, &very_many] {
            let too_many = app.send(post(disconnects(""), xml::disconnect(numbers))).await;
            assert_eq!(too_many.error(), (400, Some(5095), text));
        }
        let mut twice = numbers[..4_999].to_vec();
        twice.push("5402000000");
        let reply = app.send(post(disconnects(""), xml::disconnect(&twice))).await;
        assert_eq!(reply.error(), (400, Some(5093), "Order cannot contain duplicate telephone numbers"));
        let failed = app.ended(get(path)).await;
        assert_eq!((failed.element("OrderStatus"), failed.elements("Error").len()), (Some("FAILED"), 5_000));
        assert_eq!(how_many(app, Who::Admin, &disconnects("")).await, "1");
    })
    .await;
}

#[tokio::test]
async fn the_first_failed_check_decides_the_answer() {
    with_app(Seed::two_accounts(), async |app| {
        // The checks are in order: sign-in, rights, form and size, content. Each call is also wrong in all later
        // checks.
        let body = "<Order/>";
        let huge = (BODY_MAX + 1).to_string();
        let theirs = format!("/api/accounts/{NEIGHBOUR}/disconnects");
        for (call, status) in [
            (post(&theirs, body).content_type("text/plain").by(Who::Nobody), 401),
            (post(&theirs, body).content_type("text/plain"), 403),
            (post(disconnects(""), body).content_type("text/plain").by(Who::Reader), 403),
            (post(disconnects(""), body).content_type("text/plain"), 415),
            (post(disconnects(""), body).without("Content-Length").header("Content-Length", &huge), 413),
            (post(disconnects(""), body), 400),
        ] {
            assert_eq!(app.send(call.clone()).await.status, status, "{call:?}");
        }
    })
    .await;
}
