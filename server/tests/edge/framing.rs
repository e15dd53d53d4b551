//! The beginning and end of requests, proper and improper, as bytes on a socket.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{
    App, Call, SOON, Seed, Who, disconnects, get, post, read_all, replies, wait_for, with_app, xml,
};

fn order() -> String {
    xml::disconnect(&["5405514342", "7034343704"])
}

/// Sends bytes, closes its side, and reads the answer.
async fn cut_off(app: &App, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    read_all(&mut stream).await
}

/// Sends bytes, and reads the answer until the server ends the connection.
async fn raw(app: &App, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    read_all(&mut stream).await
}

#[tokio::test]
async fn a_body_that_was_cut_off_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        app.send(get(disconnects(""))).await.expect(200);
        let whole = post(disconnects(""), order());
        let before = app.counts().await;
        for length in (0..whole.body.len()).step_by(7).chain([whole.body.len() - 1]) {
            let bytes = [whole.head().as_bytes(), &whole.body[..length]].concat();
            for reply in replies(&cut_off(app, &bytes).await, false) {
                assert_eq!(reply.status, 400, "{length} bytes: {}", reply.text());
            }
        }
        // Nor does a head.
        let head = whole.head();
        for length in (1..head.len()).step_by(7) {
            let answer = cut_off(app, &head.as_bytes()[..length]).await;
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{length} bytes");
        }
        assert_eq!(app.counts().await, before);
        app.send(whole).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_body_without_its_last_chunk_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        let call =
            post(disconnects(""), order()).without("Content-Length").header("Transfer-Encoding", "chunked");
        let (head, body) = (call.head(), order());
        let before = app.counts().await;
        let chunk = format!("{:x}\r\n{body}", body.len());
        for rest in
            [chunk.clone(), format!("{chunk}\r\n"), format!("{chunk}\r\n0"), format!("{chunk}\r\n0\r\n")]
        {
            for reply in replies(&cut_off(app, format!("{head}{rest}").as_bytes()).await, false) {
                assert_eq!(reply.status, 400, "{rest:?}: {}", reply.text());
            }
        }
        // These are no chunks.
        for rest in [
            "zz\r\nab\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
            "5 \r\nhelloo\r\n0\r\n\r\n",
        ] {
            let answer = cut_off(app, format!("{head}{rest}").as_bytes()).await;
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{rest:?}");
        }
        assert_eq!(app.counts().await, before);
        let last = format!("{head}{chunk}\r\n0\r\n\r\n");
        assert_eq!(replies(&raw(app, last.as_bytes()).await, false)[0].status, 201);
    })
    .await;
}

/// Returns a request for another order, as an attacker would hide it in the body of a first one.
fn hidden() -> String {
    let call = post(disconnects(""), xml::disconnect_with("<name>hidden</name>", &["7034343704"], ""));
    String::from_utf8(call.bytes()).unwrap()
}

fn statuses(answer: &[u8]) -> Vec<u16> {
    replies(answer, false).iter().map(|reply| reply.status).collect()
}

#[tokio::test]
async fn a_request_with_two_lengths_is_never_read_as_two() {
    with_app(Seed::two_accounts(), async |app| {
        app.send(get(disconnects(""))).await.expect(200);
        let body = order();
        let (chunked, hidden) = (format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()), hidden());
        let both = chunked.len() + hidden.len();
        let open = || post(disconnects(""), "").without("Connection").without("Content-Length");
        let cases: Vec<(&str, Call)> = vec![
            (
                "the length first",
                open().header("Content-Length", &both.to_string()).header("Transfer-Encoding", "chunked"),
            ),
            (
                "the length last",
                open().header("Transfer-Encoding", "chunked").header("Content-Length", &both.to_string()),
            ),
            ("a short length", open().header("Content-Length", "5").header("Transfer-Encoding", "chunked")),
            ("no length", open().header("Content-Length", "0").header("Transfer-Encoding", "chunked")),
        ];
        for (what, call) in cases {
            let before = app.counts().await.0;
            let answer = raw(app, format!("{}{chunked}{hidden}", call.head()).as_bytes()).await;
            assert_eq!(statuses(&answer), [400], "{what}");
            assert_eq!(app.counts().await.0, before, "{what}");
        }
        let names = app.send(get(disconnects("?size=5000"))).await;
        assert!(!names.text().contains("hidden"));

        // A wrong length ends the connection, and nothing after it is read.
        let before = app.counts().await;
        for (name, value) in [
            ("Content-Length", "+5"),
            ("Content-Length", "5,5"),
            ("Content-Length", "5, 6"),
            ("Content-Length", "-1"),
            ("Content-Length", "0x5"),
            ("Content-Length", ""),
            ("Content-Length", "18446744073709551616"),
            ("Transfer-Encoding", "xchunked"),
            ("Transfer-Encoding", "chunked, identity"),
            ("Transfer-Encoding", "identity"),
            ("Transfer-Encoding ", "chunked"),
            ("Transfer-Encoding", "\u{b}chunked"),
            ("X", "a\rContent-Length: 5"),
            ("X", "a\0b"),
            ("X", "a\r\n folded"),
        ] {
            let head = open().header(name, value).head();
            let answer = statuses(&cut_off(app, format!("{head}hello{hidden}").as_bytes()).await);
            assert!(answer.is_empty() || answer == [400], "{name}: {value:?}: {answer:?}");
        }
        let two = open().header("Content-Length", "5").header("Content-Length", "6").head();
        let answer = replies(&cut_off(app, format!("{two}hello{hidden}").as_bytes()).await, false);
        assert!(answer.len() <= 1 && answer.iter().all(|reply| reply.status == 400), "{answer:?}");
        let old = open().header("Transfer-Encoding", "chunked").head().replace("HTTP/1.1", "HTTP/1.0");
        let answer = replies(&cut_off(app, format!("{old}{chunked}{hidden}").as_bytes()).await, false);
        assert!(answer.len() <= 1 && answer.iter().all(|reply| reply.status == 400), "{answer:?}");
        assert_eq!(app.counts().await.0, before.0);
    })
    .await;
}

#[tokio::test]
async fn an_ambiguous_request_is_refused() {
    with_app(Seed::two_accounts(), async |app| {
        let body = order();
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let plain = post(disconnects(""), body.clone()).without("Connection");
        let open = plain.clone().without("Content-Length");
        let with_chunks = |call: Call| format!("{}{chunked}", call.head());
        let whole = format!("{}{body}", plain.head());
        let cases = [
            ("chunked twice", with_chunks(open.clone().header("Transfer-Encoding", "chunked, chunked"))),
            (
                "two lines that say chunked",
                with_chunks(
                    open.clone()
                        .header("Transfer-Encoding", "chunked")
                        .header("Transfer-Encoding", "chunked"),
                ),
            ),
            (
                "another coding before it",
                with_chunks(open.clone().header("Transfer-Encoding", "gzip, chunked")),
            ),
            (
                "another coding in a line before it",
                with_chunks(
                    open.clone().header("Transfer-Encoding", "gzip").header("Transfer-Encoding", "chunked"),
                ),
            ),
            (
                "one length twice",
                format!("{}{body}", plain.clone().header("Content-Length", &body.len().to_string()).head()),
            ),
            ("a bare line feed behind the first line", whole.replacen("HTTP/1.1\r\n", "HTTP/1.1\n", 1)),
            ("a bare line feed behind a header", whole.replacen("onhook.test\r\n", "onhook.test\n", 1)),
            ("a bare line feed at the end of the head", whole.replacen("\r\n\r\n", "\r\n\n", 1)),
            ("bare line feeds alone", whole.replace("\r\n", "\n")),
            ("a bare line feed before it", format!("\n{whole}")),
            ("no host", format!("{}{body}", plain.clone().without("Host").head())),
            ("two hosts", format!("{}{body}", plain.clone().header("Host", "onhook.test").head())),
        ];
        for (what, bytes) in cases {
            let before = app.counts().await;
            // The bytes are sent alone, and after a good request. Nothing after them is read.
            let answer = raw(app, format!("{bytes}{}", hidden()).as_bytes()).await;
            assert_eq!(statuses(&answer), [400], "{what}");
            let first = String::from_utf8(get("/healthz").without("Connection").bytes()).unwrap();
            let answer = raw(app, format!("{first}{bytes}{}", hidden()).as_bytes()).await;
            assert_eq!(statuses(&answer), [200, 400], "{what}");
            assert_eq!(app.counts().await, before, "{what}");
        }
        // Clients of HTTP/1.0 name no host.
        let old = get("/healthz").without("Host").head().replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(statuses(&raw(app, old.as_bytes()).await), [200]);
        // After each kind of good body, the next request is found and checked.
        let ends =
            post(disconnects(""), order()).without("Content-Length").header("Transfer-Encoding", "chunked");
        let trailers = format!("{:X};ext=\"a\"\r\n{body}\r\n000\r\nX-Trailer: x\r\n\r\n", body.len());
        let te = open.clone().header("Transfer-Encoding", "Chunked").head();
        for first in
            [whole.clone(), format!("{te}{chunked}"), format!("{te}{trailers}"), format!("\r\n{whole}")]
        {
            let well = format!("{first}{}{chunked}", ends.head());
            assert_eq!(statuses(&raw(app, well.as_bytes()).await), [201, 201], "{first}");
            let ill = format!("{first}{}", whole.replacen("onhook.test\r\n", "onhook.test\n", 1));
            assert_eq!(statuses(&raw(app, ill.as_bytes()).await), [201, 400], "{first}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_closes_its_side_is_answered() {
    with_app(Seed::two_accounts(), async |app| {
        for call in [get("/healthz"), get(disconnects("")), post(disconnects(""), order())] {
            let wanted = if call.method == "POST" { 201 } else { 200 };
            for call in [call.clone(), call.without("Connection")] {
                assert_eq!(statuses(&cut_off(app, &call.bytes()).await), [wanted], "{call:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reads_only_after_a_long_body_sees_the_refusal() {
    with_app(Seed::two_accounts(), async |app| {
        let long = "x".repeat(5 << 20);
        let body = post(disconnects(""), long.clone());
        let bare = body.clone().without("Content-Length").header("Transfer-Encoding", "chunked");
        let chunked = Call { body: format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len()).into_bytes(), ..bare };
        for (call, status) in [
            (body.clone(), 413),
            (chunked.clone(), 413),
            (body.clone().by(Who::Nobody), 401),
            (chunked.by(Who::Nobody), 401),
            (body.clone().by(Who::Reader), 403),
            (Call { path: "/api/nothing".into(), ..body.clone() }, 404),
            (body.clone().header("Content-Encoding", "gzip"), 415),
            (body.header("Host", "onhook.test"), 400),
        ] {
            for call in [call.clone(), call.without("Connection")] {
                let mut stream = TcpStream::connect(app.address).await.unwrap();
                let sent = stream.write_all(&call.bytes()).await;
                assert!(sent.is_ok(), "{status}: {sent:?}");
                let mut answer = Vec::new();
                let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
                assert!(read.is_ok(), "{status}: {read:?}");
                assert_eq!(statuses(&answer), [status]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn header_names_are_written_as_clients_look_them_up() {
    with_app(Seed::two_accounts().rate_limit(1), async |app| {
        let head = async |call: Call| {
            let answer = String::from_utf8(raw(app, &call.bytes()).await).unwrap();
            answer.split_once("\r\n\r\n").unwrap().0.to_owned()
        };
        let made = head(post(disconnects(""), order())).await;
        let limited = head(post(disconnects(""), order())).await;
        let unknown = head(get(disconnects("")).by(Who::Nobody)).await;
        let broken = head(get("/healthz").header("Content-Length", "x")).await;
        for (head, status, names) in [
            (&made, 201, &["Location", "Content-Type", "Content-Length", "Date"][..]),
            (&limited, 429, &["Retry-After", "X-Ratelimit-Reset", "Content-Length"]),
            (&unknown, 401, &["Www-Authenticate", "Content-Length"]),
            (&broken, 400, &["Connection"]),
        ] {
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            for name in names {
                assert!(head.contains(&format!("\r\n{name}: ")), "{name}: {head}");
            }
            for (name, _) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
                let titled = name.split('-').all(|part| {
                    let (first, rest) = part.split_at(1);
                    first == first.to_ascii_uppercase() && rest == rest.to_ascii_lowercase()
                });
                assert!(titled, "{name}: {head}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn requests_that_follow_each_other_are_answered_in_their_order() {
    with_app(Seed::two_accounts(), async |app| {
        let first = post(disconnects(""), order()).without("Connection");
        let second = get("/healthz").without("Connection");
        let last = get(disconnects(""));
        let bytes = [first.bytes(), second.bytes(), last.bytes()].concat();
        assert_eq!(statuses(&raw(app, &bytes).await), [201, 200, 200]);
    })
    .await;
}

#[tokio::test]
async fn a_head_has_limits_of_size() {
    with_app(Seed::two_accounts(), async |app| {
        let long = |bytes: usize| get("/healthz").header("X-Long", &"x".repeat(bytes));
        app.send(long(24 * 1024)).await.expect(200);
        app.send(long(33 * 1024)).await.expect(431);
        let many = |count| (0..count).fold(get("/healthz"), |call, n| call.header(&format!("X-{n}"), "x"));
        app.send(many(90)).await.expect(200);
        app.send(many(101)).await.expect(431);

        let target = |bytes: usize| get(format!("/healthz?{}", "x".repeat(bytes - "/healthz?".len())));
        app.send(target(8 * 1024)).await.expect(200);
        let too_long = app.send(target(8 * 1024 + 1)).await.expect(414);
        assert!(too_long.body.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_client_that_sends_a_head_slowly_is_disconnected() {
    with_app(Seed::two_accounts(), async |app| {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let begun = Instant::now();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: onhook.test\r\nX-Slow: ").await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        let mut answer = Vec::new();
        loop {
            tokio::select! {
                read = stream.read_buf(&mut answer) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                },
                // Sending a little now and then gains no time.
                _ = tick.tick() => { let _ = stream.write_all(b"x").await; }
            }
            assert!(begun.elapsed() < SOON, "it is still waited for");
        }
        let took = begun.elapsed();
        assert!(Duration::from_secs(9) < took && took < Duration::from_secs(13), "closed after {took:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    })
    .await;
}

#[tokio::test]
async fn a_client_without_rights_need_not_send_a_body() {
    with_app(Seed::two_accounts(), async |app| {
        let call = |who| post(disconnects(""), order()).by(who).header("Expect", "100-continue");
        for (who, status) in [(Who::Nobody, "401"), (Who::Reader, "403")] {
            let answer = raw(app, call(who).head().as_bytes()).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(call(Who::Admin).head().as_bytes()).await.unwrap();
        continued(&mut stream).await;
        stream.write_all(order().as_bytes()).await.unwrap();
        assert_eq!(replies(&read_all(&mut stream).await, false)[0].status, 201);
    })
    .await;
}

/// Waits until the server asks for the body. From then on the request is under way.
async fn continued(stream: &mut TcpStream) {
    let mut line = [0; 25];
    tokio::time::timeout(SOON, stream.read_exact(&mut line)).await.expect("asked for the body soon").unwrap();
    assert_eq!(line, *b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_takes_nothing_new() {
    with_app(Seed::two_accounts(), async |app| {
        let call = post(disconnects(""), order()).without("Connection").header("Expect", "100-continue");
        let mut under_way = TcpStream::connect(app.address).await.unwrap();
        under_way.write_all(call.head().as_bytes()).await.unwrap();
        continued(&mut under_way).await;
        let mut idle = TcpStream::connect(app.address).await.unwrap();
        idle.write_all(&get("/healthz").without("Connection").bytes()).await.unwrap();
        let mut some = [0; 12];
        idle.read_exact(&mut some).await.unwrap();
        assert_eq!(some, *b"HTTP/1.1 200");

        let client = async {
            // An idle connection is closed, and the port refuses, while the request is still under way.
            read_all(&mut idle).await;
            wait_for("the port to refuse", async || {
                TcpStream::connect(app.address).await.is_err().then_some(())
            })
            .await;
            under_way.write_all(order().as_bytes()).await.unwrap();
            replies(&read_all(&mut under_way).await, false)
        };
        let ((), replies) = tokio::join!(app.stop(), client);
        assert_eq!(replies.len(), 1);
        assert_eq!((replies[0].status, replies[0].header("connection")), (201, Some("close")));
        assert!(TcpStream::connect(app.address).await.is_err());
    })
    .await;
}
