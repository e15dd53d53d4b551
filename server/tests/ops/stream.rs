//! The feed of events as a stream: what is sent while it is open, where it goes on, who may have how many.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, Reply, SOON, Seed, Who, disconnects, get, number, patch, post,
    wait_for, with_app, xml,
};

/// Most streams of a user.
const EACH_MAX: usize = 10;

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn stream_of(who: Who, query: &str) -> Call {
    let call = get(format!("/ops/v1/events?{query}")).without("Connection");
    call.header("Accept", "text/event-stream").by(who)
}

/// A stream of events as its reader sees it.
struct Stream {
    connection: TcpStream,
    head: String,
    raw: Vec<u8>,
    text: String,
    events: VecDeque<(u64, String, Value)>,
}

impl Stream {
    /// Opens one, over a connection that takes few bytes at a time.
    async fn open(app: &App, call: Call) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let address = (Ipv4Addr::LOCALHOST, app.address.port()).into();
        let mut connection = socket.connect(address).await.unwrap();
        connection.write_all(&call.bytes()).await.unwrap();
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(timeout(SOON, connection.read_buf(&mut raw)).await.expect("a head").unwrap() > 0);
        };
        let head = String::from_utf8(raw.drain(..end + 4).collect()).unwrap();
        Self { connection, head, raw, text: String::new(), events: VecDeque::new() }
    }

    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Takes the whole chunks that have arrived, and the whole events of these.
    fn take(&mut self) {
        while let Some(line) = self.raw.windows(2).position(|window| window == b"\r\n") {
            let length = usize::from_str_radix(std::str::from_utf8(&self.raw[..line]).unwrap(), 16).unwrap();
            let end = line + 2 + length + 2;
            if self.raw.len() < end {
                break;
            }
            self.text += std::str::from_utf8(&self.raw[line + 2..end - 2]).unwrap();
            self.raw.drain(..end);
        }
        while let Some(end) = self.text.find("\n\n") {
            let event: String = self.text.drain(..end + 2).collect();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let Some(position) = field("id: ") else {
                assert_eq!(event, ":\n\n", "a comment says that the stream is there");
                continue;
            };
            let data: Value = serde_json::from_str(field("data: ").unwrap()).unwrap();
            assert_eq!(
                (data["position"].as_str(), data["kind"].as_str()),
                (Some(position), field("event: "))
            );
            self.events.push_back((position.parse().unwrap(), field("event: ").unwrap().to_owned(), data));
        }
    }

    /// Returns the next event, when it is there.
    async fn next(&mut self) -> (u64, String, Value) {
        loop {
            self.take();
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let read = timeout(SOON, self.connection.read_buf(&mut self.raw)).await.expect("an event");
            assert!(read.unwrap() > 0, "the stream goes on");
        }
    }
}

/// Returns the last position.
async fn head(app: &App) -> u64 {
    let head = read(&app.send(get("/ops/v1/audit/head").by(Who::Operator)).await.expect(200));
    head["last"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_stream_tells_what_happens_and_goes_on_behind_the_last_event_that_was_seen() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&IN_SERVICE[..1]).await;
        wait_for("the seals", async || {
            let page = get("/ops/v1/events?kind=disconnected").by(Who::Operator);
            read(&app.send(page).await)["items"][0].is_object().then_some(())
        })
        .await;
        let before = head(app).await;
        let mut all = Stream::open(app, stream_of(Who::Operator, &format!("after={before}"))).await;
        assert!(all.status() == 200 && all.head.contains("Content-Type: text/event-stream"), "{}", all.head);
        let mut own = Stream::open(app, stream_of(Who::Admin, "kind=disconnected")).await;
        let mut theirs = Stream::open(app, stream_of(Who::Neighbour, "kind=disconnected,locked")).await;
        let (first, ..) = own.next().await;
        assert!(first <= before, "what was there before is told as well");
        app.disconnect(&IN_SERVICE[1..2]).await;
        let (position, kind, event) = all.next().await;
        assert_eq!(
            (position, &*kind, &event["number"]),
            (before + 1, "disconnected", &json!(format!("+1{}", IN_SERVICE[1])))
        );
        assert_eq!(own.next().await, (position, kind.clone(), event.clone()));
        // Where the reader was goes before where the address begins.
        let again = stream_of(Who::Operator, "after=0&kind=disconnected");
        let mut again = Stream::open(app, again.header("Last-Event-ID", &before.to_string())).await;
        assert_eq!(again.next().await, (position, kind, event));
        let wrong = stream_of(Who::Operator, "").header("Last-Event-ID", "the last one");
        assert_eq!(Stream::open(app, wrong).await.status(), 400);
        // Another account is told nothing of it, and of its own what happens to it.
        let number = crate::app::NEIGHBOURS;
        let lock = post(format!("/ops/v1/numbers/{number}/lock"), json!({ "reason": "vans" }).to_string());
        app.send(lock.content_type("application/json").by(Who::Neighbour)).await.expect(200);
        let (_, kind, event) = theirs.next().await;
        assert_eq!((&*kind, &event["account"]), ("locked", &json!(NEIGHBOUR.to_string())));
    })
    .await;
}

/// A reader that does not keep up is sent each event when it takes it. The server waits for it, and for nobody else's
/// sake keeps more than a page of events.
#[tokio::test]
async fn a_slow_reader_gets_each_event_once_and_in_order() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers: Vec<String> = (0..4_000).map(|n| format!("252555{n:04}")).collect();
        let new = numbers.iter().map(|digits| NewNumber {
            state: State::InService,
            account: Some(ACCOUNT.to_string().parse().unwrap()),
            ..NewNumber::available(number(digits))
        });
        app.import(new.collect()).await;
        let mut slow = Stream::open(app, stream_of(Who::Operator, "after=0")).await;
        let all: Vec<&str> = numbers.iter().map(String::as_str).collect();
        for _ in 0..2 {
            let order = app.disconnect(&all).await;
            let id = order.rsplit('/').next().unwrap();
            let undo = post(format!("/ops/v1/orders/{id}/undo"), json!({ "reason": "a test" }).to_string());
            app.send(undo.content_type("application/json")).await.expect(201);
        }
        let events = 4 * numbers.len();
        let last = wait_for("the seals", async || {
            let head = head(app).await;
            (head >= u64::try_from(events).unwrap()).then_some(head)
        });
        let last = last.await;
        for wanted in 1..=last {
            assert_eq!(slow.next().await.0, wanted);
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_has_ten_streams_and_the_next_one_is_refused_until_one_ends() {
    with_app(Seed::two_accounts(), async |app| {
        let mut open = Vec::new();
        for _ in 0..EACH_MAX {
            let stream = Stream::open(app, stream_of(Who::Admin, "")).await;
            assert_eq!(stream.status(), 200);
            open.push(stream);
        }
        let refused = app.send(stream_of(Who::Admin, "").header("Connection", "close")).await.expect(503);
        assert_eq!(read(&refused)["code"], "too_many_streams");
        app.send(get("/ops/v1/events")).await.expect(200);
        assert_eq!(Stream::open(app, stream_of(Who::Operator, "")).await.status(), 200);
        // That a reader has gone is seen when something is sent to it.
        drop(open.pop());
        wait_for("the end of a stream", async || {
            let change = json!({ "name": "Another name", "reason": "it has moved" }).to_string();
            let change =
                patch(format!("/ops/v1/accounts/{ACCOUNT}"), change).content_type("application/json");
            app.send(change.by(Who::Operator)).await.expect(200);
            let stream = Stream::open(app, stream_of(Who::Admin, "")).await;
            (stream.status() == 200).then_some(())
        })
        .await;
        app.stop().await; // in time, though streams are open
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_an_emulator_is_put_back() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let mut stream = Stream::open(app, stream_of(Who::Operator, "after=0")).await;
        stream.next().await;
        let reset = post("/ops/v1/emulator/reset", "{}").content_type("application/json").by(Who::Operator);
        app.send(reset).await.expect(200);
        loop {
            let read = timeout(SOON, stream.connection.read_buf(&mut stream.raw)).await.expect("its end");
            if stream.raw.ends_with(b"0\r\n\r\n") || read.unwrap() == 0 {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_narrowed_as_a_page_is() {
    with_app(Seed::two_accounts(), async |app| {
        let mut locked = Stream::open(app, stream_of(Who::Operator, "kind=locked")).await;
        app.place(post(disconnects(""), xml::disconnect(&IN_SERVICE[..1]))).await;
        let lock =
            post(format!("/ops/v1/numbers/{}/lock", IN_SERVICE[1]), json!({ "reason": "vans" }).to_string());
        app.send(lock.content_type("application/json")).await.expect(200);
        let (_, kind, event) = locked.next().await;
        assert_eq!((&*kind, &event["number"]), ("locked", &json!(format!("+1{}", IN_SERVICE[1]))));
        assert_eq!(Stream::open(app, stream_of(Who::Operator, "kind=made")).await.status(), 400);
    })
    .await;
}
