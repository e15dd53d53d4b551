//! Notifications survive the process. It is killed again and again while orders run and receivers are notified. In the
//! end each order's end was delivered, under one id.

mod program;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use program::{ACCOUNT, Client, Folder, PATIENCE};

/// How often the server is killed.
const ROUNDS: u64 = 8;
/// The documented account's two numbers.
const NUMBERS: [&str; 2] = ["5405514342", "7034343704"];

/// The received notifications: for each order and status, their ids and how often each arrived.
type Told = Arc<Mutex<HashMap<(String, String), HashMap<String, usize>>>>;

/// Starts a slow receiver, so that kills interrupt its work.
fn receiver() -> (SocketAddr, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let told = Told::default();
    let kept = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || serve(stream, &kept));
        }
    });
    (address, told)
}

fn serve(stream: std::net::TcpStream, told: &Told) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("webhook-id") => id = value.to_owned(),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?
            }
            Some(_) => {}
            None if line == "\r\n" => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    // It is slow, so that kills come between a notification and its answer.
    std::thread::sleep(Duration::from_millis(30));
    let what = (element("OrderId")?, element("Status")?);
    *told.lock().expect("whole").entry(what).or_default().entry(id).or_default() += 1;
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}

fn subscribe(client: &mut Client, orders: &str, to: SocketAddr) -> String {
    let body = format!(
        "<Subscription><OrderType>{orders}</OrderType><CallbackSubscription><URL>http://{to}/{orders}</URL>\
         </CallbackSubscription></Subscription>"
    );
    let made = client.send("POST", &format!("/api/accounts/{ACCOUNT}/subscriptions"), "", &body);
    let made = made.expect("an answer");
    assert_eq!(made.status, 201, "{}", made.body);
    let location = made.location.expect("a Location");
    location.rsplit('/').next().expect("an id").to_owned()
}

fn order(turn: u64, site: &str) -> (&'static str, String) {
    let number = NUMBERS[usize::try_from(turn % 2).expect("few")];
    let list =
        format!("<TelephoneNumberList><TelephoneNumber>{number}</TelephoneNumber></TelephoneNumberList>");
    match turn % 4 {
        0 | 1 => (
            "disconnects",
            format!(
                "<DisconnectTelephoneNumberOrder><name>told</name><DisconnectTelephoneNumberOrderType>{list}\
                 </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
            ),
        ),
        _ => (
            "orders",
            format!(
                "<Order><Name>told</Name><ExistingTelephoneNumberOrderType>{list}\
                 </ExistingTelephoneNumberOrderType><SiteId>{site}</SiteId></Order>"
            ),
        ),
    }
}

#[test]
fn each_order_s_end_is_notified_however_often_the_server_is_killed() {
    let folder = Folder::of_the_guide();
    let site = folder.first_site();
    let (to, told) = receiver();
    let mut accepted: Vec<(&str, String)> = Vec::new();
    let mut subscriptions = Vec::new();
    let mut turn = 0;
    for round in 0..ROUNDS {
        let mut server = folder.emulator();
        let mut client = Client::of(server.listening());
        if round == 0 {
            subscriptions = ["disconnects", "orders"].map(|orders| subscribe(&mut client, orders, to)).into();
        }
        let begun = Instant::now();
        // Killed at another instant each time, in the middle of work.
        while begun.elapsed() < Duration::from_millis(60 + 35 * round) {
            let (list, body) = order(turn, &site);
            turn += 1;
            let answer = client.send("POST", &format!("/api/accounts/{ACCOUNT}/{list}"), "", &body);
            let answer = answer.expect("an answer: it is not killed while it is asked");
            assert_eq!(answer.status, 201, "{}", answer.body);
            let location = answer.location.expect("a Location");
            accepted.push((list, location.rsplit('/').next().expect("an id").to_owned()));
        }
        server.kill();
    }
    let mut server = folder.emulator();
    let mut client = Client::of(server.listening());
    let begun = Instant::now();
    let mut left: Vec<_> = accepted.clone();
    while !left.is_empty() {
        left.retain(|(_, id)| !told.lock().expect("whole").keys().any(|(order, _)| order == id));
        assert!(begun.elapsed() < PATIENCE, "{} of {} orders were not told", left.len(), accepted.len());
        std::thread::sleep(Duration::from_millis(20));
    }
    for id in &subscriptions {
        loop {
            let path = format!("/api/accounts/{ACCOUNT}/subscriptions/{id}/deliveries?size=1000");
            let log = client.send("GET", &path, "", "").expect("an answer").body;
            if !log.contains("<State>WAITING</State>") {
                assert!(!log.contains("<State>GIVEN_UP</State>"), "{log}");
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for (list, id) in &accepted {
        let path = format!("/api/accounts/{ACCOUNT}/{list}/{id}");
        let shown = client.send("GET", &path, "", "").expect("an answer").body;
        let told = told.lock().expect("whole");
        let of_order: Vec<_> = told.iter().filter(|((order, _), _)| order == id).collect();
        assert_eq!(of_order.len(), 1, "{id} was told of as {of_order:?}");
        let ((_, status), ids) = of_order[0];
        assert!(shown.contains(&format!("<OrderStatus>{status}</OrderStatus>")), "{status}: {shown}");
        assert_eq!(ids.len(), 1, "{id} was told under {ids:?}");
    }
    let all: HashSet<String> =
        told.lock().expect("whole").values().flat_map(|ids| ids.keys().cloned()).collect();
    assert_eq!(all.len(), accepted.len(), "an id stands for one thing");
    assert!(server.terminate().success(), "{}", folder.log());
    let said = folder.onhook(&["check", "--deep"]);
    assert_eq!(said.code, 0, "{said:?}");
}
