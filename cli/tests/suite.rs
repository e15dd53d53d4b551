//! A suite against the emulator: each test has one of its own, in memory.

#![allow(clippy::unwrap_used, reason = "what fails here is a test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `username:password` and `operator:password`, in base64.
const USER: &str = "Basic dXNlcm5hbWU6cGFzc3dvcmQ=";
const OPERATOR: &str = "Basic b3BlcmF0b3I6cGFzc3dvcmQ=";

struct Emulator {
    server: Child,
    url: String,
    agent: ureq::Agent,
}

struct Reply {
    status: u16,
    location: String,
    text: String,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Emulator {
    fn start() -> Self {
        let mut server = Command::new(option_env!("CARGO_BIN_EXE_onhook").unwrap_or("onhook"))
            .args(["serve", "--emulator", "--ephemeral", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { server, url, agent }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, ureq::Error> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut reply = self.agent.run(request.body(body.to_owned())?)?;
        let location = reply.headers().get("location").map_or("", |place| place.to_str().unwrap()).to_owned();
        Ok(Reply { status: reply.status().as_u16(), location, text: reply.body_mut().read_to_string()? })
    }

    /// Asks the Phone Number API.
    fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let headers = [("Authorization", USER), ("Content-Type", "application/xml")];
        self.send(method, path, &headers, body).unwrap()
    }

    /// Turns one of the emulator's controls, and returns what it says.
    fn control(&self, method: &str, path: &str, body: &str) -> String {
        let headers = [("Authorization", OPERATOR), ("Content-Type", "application/json")];
        let reply = self.send(method, &format!("/ops/v1/emulator/{path}"), &headers, body).unwrap();
        assert!(reply.status < 300, "{path}: {} {}", reply.status, reply.text);
        reply.text
    }

    /// Sends a disconnect order, with one more header.
    fn disconnect(&self, numbers: &[&str], header: (&str, &str)) -> Result<Reply, ureq::Error> {
        let numbers: String =
            numbers.iter().map(|number| format!("<TelephoneNumber>{number}</TelephoneNumber>")).collect();
        let order = format!(
            "<DisconnectTelephoneNumberOrder><name>test</name><DisconnectTelephoneNumberOrderType><TelephoneNumberList>\
             {numbers}</TelephoneNumberList></DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
        );
        let headers = [("Authorization", USER), ("Content-Type", "application/xml"), header];
        self.send("POST", "/api/accounts/9900000/disconnects", &headers, &order)
    }

    /// Disconnects numbers, and returns how the order ended.
    fn disconnected(&self, numbers: &[&str]) -> (String, String) {
        self.ended(&self.disconnect(numbers, ("Accept", "application/xml")).unwrap())
    }

    /// Reads an order until it has ended.
    fn ended(&self, made: &Reply) -> (String, String) {
        loop {
            let text = self.ask("GET", &made.location, "").text;
            let status = between(&text, "<OrderStatus>");
            if status != "RECEIVED" {
                return (status, text);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn state(&self, number: &str) -> String {
        between(&self.ask("GET", &format!("/api/tns/{number}"), "").text, "<Status>")
    }
}

fn between(text: &str, tag: &str) -> String {
    text.split_once(tag).unwrap().1.split('<').next().unwrap().to_owned()
}

#[test]
fn an_order_is_polled_until_it_is_complete() {
    let onhook = Emulator::start();
    onhook.control("PUT", "pace", r#"{"mode": "after_reads", "reads": 2}"#);
    assert_eq!(onhook.disconnected(&["5405514342"]).0, "COMPLETE");
}

#[test]
fn a_partial_order_says_which_number_failed() {
    let onhook = Emulator::start();
    let (status, text) = onhook.disconnected(&["5405514342", "5405550172"]);
    assert_eq!(status, "PARTIAL");
    assert!(text.contains("<Code>5003</Code>") && text.contains("<TelephoneNumber>5405550172"), "{text}");
}

#[test]
fn a_503_is_tried_again() {
    let onhook = Emulator::start();
    let statuses = [("Prefer", "onhook-fault=503"), ("Accept", "application/xml")]
        .map(|header| onhook.disconnect(&["5405514342"], header).unwrap().status);
    assert_eq!(statuses, [503, 201]);
}

#[test]
fn a_lost_answer_is_had_by_repeating_under_the_same_key() {
    let onhook = Emulator::start();
    onhook.control("POST", "faults", r#"{"match": {"method": "POST", "count": 1}, "do": {"drop": "after"}}"#);
    let order = || onhook.disconnect(&["5405514342"], ("Idempotency-Key", "once"));
    assert!(order().is_err());
    assert_eq!(onhook.ended(&order().unwrap()).0, "COMPLETE");
}

#[test]
fn a_disconnected_number_comes_back_by_an_order_for_it() {
    let onhook = Emulator::start();
    onhook.disconnected(&["5405514342"]);
    assert_eq!(onhook.state("5405514342"), "Aging");
    let order = "<Order><SiteId>1</SiteId><ExistingTelephoneNumberOrderType><TelephoneNumberList>\
                 <TelephoneNumber>5405514342</TelephoneNumber></TelephoneNumberList>\
                 </ExistingTelephoneNumberOrderType></Order>";
    onhook.ended(&onhook.ask("POST", "/api/accounts/9900000/orders", order));
    assert_eq!(onhook.state("5405514342"), "Inservice");
}

#[test]
fn a_number_is_free_91_days_later_and_subscribers_were_told() {
    let onhook = Emulator::start();
    let subscription = format!(
        "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription>\
         <URL>{}/ops/v1/emulator/receiver/mine</URL></CallbackSubscription></Subscription>",
        onhook.url
    );
    assert_eq!(onhook.ask("POST", "/api/accounts/9900000/subscriptions", &subscription).status, 201);
    onhook.disconnected(&["7034343704"]);
    let moved = onhook.control("POST", "clock", r#"{"advance_days": 91}"#);
    assert!(moved.contains(r#""released":1"#), "{moved}");
    assert!(onhook.control("GET", "callbacks", "").contains("7034343704"));
    assert_eq!(onhook.state("7034343704"), "Available");
}
