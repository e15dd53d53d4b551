//! Weeks in the life of some thousand numbers, after which a second program counts again what the server reported: the
//! months' disconnects, how numbers were used, who pays for when, and how long what was given up rested.
//!
//! That program (`tests/month/recount.py`) shares no code with the server. `cargo xtask month` runs it with more numbers.

#![expect(clippy::print_stdout, reason = "the seed of a run, and why it is skipped")]

#[path = "fleet/dice.rs"]
#[expect(dead_code, reason = "faults wait for random spans, and lives do not")]
mod dice;
mod program;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dice::Dice;
use onhook_core::time::Timestamp;
use program::{Answer, Client, Folder, HEADER, PATIENCE, file};
use serde_json::{Value, json};

/// The operator, with the documented password.
const OPERATOR: &str = "Basic b3BlcmF0b3I6cGFzc3dvcmQ=";
/// A second one, for what two persons decide.
const SECOND: &str = "Basic c2Vjb25kOnBhc3N3b3Jk";
/// Area codes: three of the United States, one of Canada, a toll-free one, one that lies nowhere, one that is in no table.
const CODES: [u64; 12] = [919, 919, 919, 919, 540, 540, 540, 703, 416, 800, 500, 446];
/// Days of work, and then the days until what aged is released, and until what is reserved has been so for too long.
const DAYS: u64 = 40;
const REST_DAYS: u64 = 175;
/// About so many numbers are looked at one by one.
const LOOKED_AT: usize = 500;
/// How long something may take that goes through all numbers.
const LONG: Duration = Duration::from_secs(1_200);
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// A server under test, and what is known of its numbers.
struct Month {
    /// Where it listens.
    server: String,
    client: Client,
    second: Client,
    dice: Dice,
    numbers: Vec<u64>,
    /// Numbers of another country.
    abroad: Vec<String>,
    /// Disconnect orders that have ended, and numbers that they took.
    left: Vec<(String, Vec<u64>)>,
    /// Numbers that went to another carrier together, and have not come back.
    ported: Vec<Vec<String>>,
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn list(numbers: &[u64]) -> String {
    numbers.iter().map(|number| format!("<TelephoneNumber>{number}</TelephoneNumber>")).collect()
}

impl Month {
    fn ask(&mut self, method: &str, path: &str, of_type: &str, body: &str) -> Answer {
        self.client
            .send_typed(method, path, "", of_type, body)
            .unwrap_or_else(|cut| panic!("{path}: {cut:?}"))
    }

    fn get(&mut self, path: &str) -> Value {
        let answer = self.ask("GET", path, "application/json", "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        json_of(&answer)
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        let answer = self.ask("POST", path, "application/json", &body.to_string());
        assert!((200..300).contains(&answer.status), "{path} {body}: {answer:?}");
        json_of(&answer)
    }

    /// Returns all items of a list.
    fn items(&mut self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        let and = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{and}limit=1000{cursor}"));
            all.extend(page["items"].as_array().expect("a list").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Sends an order of an account, waits for its end, and returns its id.
    fn order(&mut self, account: u32, list: &str, body: &str) -> String {
        let answer = self.ask("POST", &format!("/api/accounts/{account}/{list}"), "application/xml", body);
        assert_eq!(answer.status, 201, "{body}: {answer:?}");
        let id = answer.location.expect("a 201 says where").rsplit('/').next().unwrap_or_default().to_owned();
        let begun = Instant::now();
        while self.get(&format!("/ops/v1/orders/{id}"))["status"] == "RECEIVED" {
            assert!(begun.elapsed() < PATIENCE, "order {id} does not end");
            std::thread::sleep(Duration::from_millis(3));
        }
        id
    }

    fn some(&mut self, most: u64) -> Vec<u64> {
        let many = u64::try_from(self.numbers.len()).expect("few") / 5_000;
        let count = 1 + self.dice.below(most * (many + 1).min(50));
        let mut some: Vec<u64> = (0..count).map(|_| *self.dice.one_of(&self.numbers)).collect();
        some.sort_unstable();
        some.dedup();
        some
    }

    fn account(&mut self) -> u32 {
        match self.dice.below(10) {
            0 | 1 => 7,
            2 => 8,
            _ => 9_900_000,
        }
    }

    /// Returns an instant that lies up to so many days back.
    fn earlier(&mut self, days: u64) -> String {
        let by_ms = i64::try_from(self.dice.below(days * DAY_MS)).expect("few");
        let now: Timestamp = self.now().parse().expect("an instant");
        now.plus_millis(-by_ms).to_string()
    }

    /// Plans an act on numbers, and applies the plan or has the second operator approve it. Returns the numbers that
    /// went: none if nothing was to be done, or if a number was released meanwhile.
    fn act(&mut self, act: &str, account: Option<u32>, params: &Value, numbers: &[String]) -> Vec<String> {
        let account = account.map(|account| account.to_string());
        let target = json!({ "numbers": numbers });
        let asked = json!({ "act": act, "account": account, "target": target, "params": params, "reason": "a month" });
        let plan = self.post("/ops/v1/plans", &asked);
        let id = plan["id"].as_str().expect("an id");
        let (by, verb, body) = match act {
            "release_early" => (&mut self.second, "approve", json!({ "apply": true, "reason": "so be it" })),
            _ => (&mut self.client, "apply", json!({})),
        };
        let mut body = body;
        body["hash"] = plan["hash"].clone();
        let path = format!("/ops/v1/plans/{id}/{verb}");
        let answer =
            by.send_typed("POST", &path, "", "application/json", &body.to_string()).expect("an answer");
        assert!(matches!(answer.status, 200 | 409), "{act}: {answer:?}");
        let went = |item: &&Value| answer.status == 200 && item["outcome"] == "goes";
        let items = plan["items"].as_array().expect("items");
        items.iter().filter(went).filter_map(|item| item["number"].as_str().map(str::to_owned)).collect()
    }

    /// Says that numbers went to another carrier: now, or some days ago.
    fn port_out(&mut self) {
        let numbers = texts(&self.some(8));
        let params = if self.dice.once_in(3) { json!({}) } else { json!({ "at": self.earlier(12) }) };
        let went = self.act("port_out", None, &params, &numbers);
        if !went.is_empty() {
            self.ported.push(went);
        }
    }

    /// Takes numbers back that went to another carrier: it was a mistake, they were won back, or that carrier gives them
    /// back.
    fn back_from_another_carrier(&mut self) {
        if self.ported.is_empty() {
            return;
        }
        let last = u64::try_from(self.ported.len()).expect("few");
        let place = usize::try_from(self.dice.below(last)).expect("few");
        let numbers = self.ported.swap_remove(place);
        let account = self.account().to_string();
        let params = match self.dice.below(6) {
            0 => {
                json!({ "state": "Aging", "former_account": account, "release_at": "2199-01-01T00:00:00.000Z" })
            }
            _ => json!({ "state": "InService", "account": account }),
        };
        self.act("restore", None, &params, &numbers);
    }

    /// Lets an operator act on some numbers: on what ages, on what is in service or in the pool.
    fn operate(&mut self) {
        let days = 1 + self.dice.below(20);
        let on_aging = [
            ("keep", json!({})),
            ("unkeep", json!({})),
            ("extend", json!({ "days": days })),
            ("release_early", json!({})),
        ];
        if !self.left.is_empty() && self.dice.once_in(2) {
            let (act, params) = self.dice.one_of(&on_aging).clone();
            let numbers = texts(&self.dice.one_of(&self.left).1);
            self.act(act, None, &params, &numbers);
        } else {
            let act = *self.dice.one_of(&["lock", "unlock", "set_aside", "put_back"]);
            let numbers = texts(&self.some(20));
            self.act(act, None, &json!({}), &numbers);
        }
    }

    /// Disconnects numbers of another country, or takes them back.
    fn act_abroad(&mut self) {
        let number = self.dice.one_of(&self.abroad).clone();
        let act = if self.dice.once_in(3) { "reconnect" } else { "disconnect" };
        self.act(act, Some(9_900_000), &json!({}), &[number]);
    }

    /// Reserves a number for some hours, if it is in the pool.
    fn reserve(&mut self) {
        let number = self.some(1)[0];
        let body = format!("<Reservation><ReservedTn>{number}</ReservedTn></Reservation>");
        let answer = self.ask("POST", "/api/accounts/9900000/tnreservation", "application/xml", &body);
        assert!(answer.status < 500, "{answer:?}");
    }

    fn disconnect(&mut self) {
        let (account, numbers) = (self.account(), self.some(20));
        let mode = match self.dice.below(12) {
            0 => "<DisconnectMode>purge</DisconnectMode>",
            1 => "<DisconnectMode>soft-remove</DisconnectMode>",
            _ => "",
        };
        let body = format!(
            "<DisconnectTelephoneNumberOrder><name>left</name><DisconnectTelephoneNumberOrderType>\
             <TelephoneNumberList>{}</TelephoneNumberList>{mode}</DisconnectTelephoneNumberOrderType>\
             </DisconnectTelephoneNumberOrder>",
            list(&numbers)
        );
        let id = self.order(account, "disconnects", &body);
        self.left.push((id, numbers));
    }

    /// Takes numbers of an earlier order back, in an order of its own or by undoing that order.
    fn take_back(&mut self) {
        if self.left.is_empty() {
            return;
        }
        let (id, numbers) = self.dice.one_of(&self.left).clone();
        if self.dice.once_in(2) {
            let body = json!({ "reason": "a mistake", "partial": true });
            let path = format!("/ops/v1/orders/{id}/undo");
            let answer = self.ask("POST", &path, "application/json", &body.to_string());
            assert!(matches!(answer.status, 201 | 409), "{answer:?}");
        } else {
            let few = numbers.len().div_ceil(2);
            self.activate(9_900_000, 1, &numbers[..few]);
        }
    }

    fn activate(&mut self, account: u32, site: u32, numbers: &[u64]) {
        let body = format!(
            "<Order><Name>back</Name><ExistingTelephoneNumberOrderType><TelephoneNumberList>{}</TelephoneNumberList>\
             </ExistingTelephoneNumberOrderType><SiteId>{site}</SiteId></Order>",
            list(numbers)
        );
        self.order(account, "orders", &body);
    }

    fn move_some(&mut self) {
        let numbers = self.some(5);
        let site = 1 + self.dice.below(2);
        let body = format!(
            "<MoveTnsOrder><CustomerOrderId>moved</CustomerOrderId><SiteId>{site}</SiteId>\
             <TelephoneNumbers>{}</TelephoneNumbers></MoveTnsOrder>",
            list(&numbers)
        );
        self.order(9_900_000, "moveTns", &body);
    }

    fn advance(&mut self, by_ms: u64) {
        self.post("/ops/v1/emulator/clock", &json!({ "advance_ms": by_ms }));
    }

    fn now(&mut self) -> String {
        self.get("/ops/v1/emulator/clock")["now"].as_str().expect("an instant").to_owned()
    }

    /// Waits until everything that is due has been released.
    fn rest(&mut self) {
        let begun = Instant::now();
        loop {
            let text = self.ask("GET", "/metrics", "text/plain", "").body;
            if text.lines().any(|line| line == "onhook_releases_due 0") {
                return;
            }
            assert!(begun.elapsed() < LONG, "releases do not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes a report. Of many numbers it takes longer than a request does, and the same request finds it.
    fn report(&mut self, kind: &str, asked: &Value) -> Value {
        let begun = Instant::now();
        loop {
            let made = self.post(&format!("/ops/v1/reports/{kind}"), asked);
            if made["state"] == "ready" {
                return made;
            }
            assert!(begun.elapsed() < LONG, "the report is not made: {made}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Makes the report of the month that an instant belongs to, and hands it in if `confirmed`.
    fn disconnects_of(&mut self, instant: &str, confirmed: bool) -> Value {
        let (year, month): (u32, u32) = (number(&instant[..4]), number(&instant[5..7]));
        let period = match (number(&instant[8..10]) > 14, month) {
            (true, 12) => format!("{:04}-01", year + 1),
            (true, month) => format!("{year:04}-{:02}", month + 1),
            (false, month) => format!("{year:04}-{month:02}"),
        };
        let made = self.report("rnd", &json!({ "period": period, "company": "ACME1" }));
        if !confirmed {
            return made;
        }
        let hashes: Vec<Value> =
            made["files"].as_array().expect("files").iter().map(|file| file["sha256"].clone()).collect();
        let body = json!({ "submitted_at": instant, "sha256": hashes, "reason": "uploaded" });
        self.post(&format!("/ops/v1/reports/{}/confirm", made["id"].as_str().expect("an id")), &body)
    }

    /// Returns a report with the contents of its files, and with what it leaves out.
    fn whole(&mut self, mut report: Value) -> Value {
        let id = report["id"].as_str().expect("an id").to_owned();
        let files = report["files"].as_array().expect("files").clone();
        let mut contents = json!({});
        for file in files {
            let name = file["name"].as_str().expect("a name");
            let answer = self.ask("GET", &format!("/ops/v1/reports/{id}/files/{name}"), "text/plain", "");
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            contents[name] = json!(answer.body);
        }
        report["contents"] = contents;
        report["left_out"] = json!(self.items(&format!("/ops/v1/reports/{id}/left-out")));
        report
    }

    /// Writes all that the second program reads.
    fn write(&mut self, folder: &Path, reports: &[Value]) {
        let mut events: HashMap<String, Vec<Value>> = HashMap::new();
        let mut after = json!("0");
        while let Some(position) = after.as_str() {
            let page = self.get(&format!("/ops/v1/events?limit=1000&after={position}"));
            after = page["next"].clone();
            for event in page["items"].as_array().expect("a list") {
                if let Some(number) = event["number"].as_str() {
                    events.entry(number.to_owned()).or_default().push(event.clone());
                }
            }
        }
        let mut lives = String::new();
        let mut imported_at = None;
        let numbers = self.items("/ops/v1/numbers");
        let one_in = numbers.len() / LOOKED_AT + 1;
        for (place, of) in numbers.iter().enumerate() {
            let number = of["number"].as_str().expect("a number");
            let events = events.remove(number).unwrap_or_default();
            // What has no event is as it was imported, since then.
            if events.is_empty() {
                imported_at = of["since"].as_str().map(str::to_owned).or(imported_at);
            }
            let mut life = json!({ "number": number, "state": of["state"], "events": events });
            if place % one_in == 0 {
                let path = format!("/ops/v1/numbers/{number}");
                life["history"] = json!(self.items(&format!("{path}/history")));
                life["periods"] = json!(self.items(&format!("{path}/periods")));
            }
            let _ = writeln!(lives, "{life}");
        }
        let out = folder.join("periods.csv");
        let way = ["--out", out.to_str().expect("it is UTF-8"), "--server", &self.server];
        let mut export = program::command(&[&["export", "periods"][..], &way].concat());
        export.env("ONHOOK_USER", "operator").env("ONHOOK_PASSWORD", "password");
        let said = program::run_within(LONG, &mut export, b"");
        assert_eq!(said.code, 0, "{said:?}");
        let told = json!({
            "imported_at": imported_at.expect("a number to which nothing has happened"),
            "kinds": { "9900000": "end-user", "7": "reseller", "8": "carrier" },
            "classes": { "9900000": "unknown", "7": "business", "8": "unknown" },
            "reporting_themselves": ["8"],
            "reports": reports,
        });
        std::fs::write(folder.join("told.json"), told.to_string()).expect("room for a file");
        std::fs::write(folder.join("lives.jsonl"), lives).expect("room for a file");
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}

/// Runs a command that reads or writes all numbers, and must succeed.
fn on_all(folder: &Folder, arguments: &[&str]) {
    let said = program::run_within(LONG, program::command(arguments).args(folder.named()), b"");
    assert_eq!(said.code, 0, "{said:?}");
}

fn texts(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(u64::to_string).collect()
}

/// Returns the file of numbers: most are in service, some in the pool, some age, some are held for their owners or kept by
/// the operator, some belong to another carrier, some to another country.
fn numbers(dice: &mut Dice, count: u64) -> (Vec<u64>, Vec<String>, String) {
    const NEVER: &str = "2199-01-01T00:00:00.000Z";
    let (mut all, mut text) = (Vec::new(), format!("{HEADER}\n"));
    for n in 0..count {
        // No exchange is 611.
        let line = 5_560_000 + n + if n >= 550_000 { 10_000 } else { 0 };
        let code = CODES[usize::try_from(n % 12).expect("few")];
        let digits = code * 10_000_000 + line;
        let (state, account, former, until) = match dice.below(40) {
            0..=19 => ("InService", "9900000", "", ""),
            20..=25 => ("InService", "7", "", ""),
            26 | 27 => ("InService", "8", "", ""),
            28 => ("Reserved", "9900000", "", NEVER),
            29 if code != 800 => ("Protected", "9900000", "", ""),
            30 if code != 800 => ("Protected", "7", "", ""),
            31 => ("Administrative", "", "", ""),
            32..=35 => ("Aging", "", "9900000", NEVER),
            _ => ("Available", "", "", ""),
        };
        let protected = state == "InService" && code != 800 && dice.once_in(30);
        let ported_in = state == "InService" && dice.once_in(20);
        let _ = writeln!(text, "+1{digits},{state},{account},,,,,{protected},{ported_in},{former},{until}");
        all.push(digits);
    }
    // Of the numbers that British films use.
    let abroad: Vec<String> = (0..(count / 100).clamp(5, 900)).map(|n| format!("+441632960{n:03}")).collect();
    for number in &abroad {
        let _ = writeln!(text, "{number},InService,9900000,,,,,false,false,,");
    }
    (all, abroad, text)
}

#[test]
fn what_a_server_reports_is_counted_again_by_another_program() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let seed = dice::seed();
    println!("ONHOOK_SEED={seed}");
    let count = std::env::var("ONHOOK_MONTH_NUMBERS").map_or(1_200, |text| text.parse().expect("a number"));
    let mut dice = Dice::of(seed, 0, 0);
    let folder = Folder::new().with_two_accounts();
    folder.done(&["admin", "account", "create", "8", "--name", "Eight", "--kind", "carrier"]);
    folder.done(&["admin", "account", "change", "8", "--reports-rnd", "false"]);
    folder.done(&["admin", "site", "create", "--account", "8", "--name", "Eight"]);
    for (site, account) in [("2", "9900000"), ("3", "7"), ("4", "8")] {
        folder.done(&["admin", "peer", "create", "--account", account, "--site", site, "--name", "A peer"]);
    }
    for user in ["operator", "second"] {
        let user = ["admin", "user", "create", user, "--role", "operator", "--password-stdin"];
        assert_eq!(folder.onhook_reading(&user, b"password").code, 0);
    }
    let (numbers, abroad, text) = numbers(&mut dice, count);
    let csv = file(&folder, "numbers.csv", &text);
    on_all(&folder, &["import", &csv, "--reason", "a month"]);
    let mut server = folder.emulator();
    let address = server.listening();
    let signed = |who| Client::signed(address, who).patient(PATIENCE * 2);
    let (client, second) = (signed(OPERATOR), signed(SECOND));
    let (left, ported) = (Vec::new(), Vec::new());
    let server_at = format!("http://{address}");
    let mut month = Month { server: server_at, client, second, dice, numbers, abroad, left, ported };
    let acts = count / 5_000 + 5;
    let mut reports = Vec::new();
    for day in 0..DAYS {
        for _ in 0..acts {
            let by_ms = month.dice.below(DAY_MS / (acts + 1));
            month.advance(by_ms);
            match month.dice.below(17) {
                0..=5 => month.disconnect(),
                6..=8 => month.take_back(),
                9 => month.move_some(),
                10 => month.port_out(),
                11 => month.back_from_another_carrier(),
                12 | 13 => month.operate(),
                14 => month.reserve(),
                15 => month.act_abroad(),
                _ => {
                    let (account, site) = *month.dice.one_of(&[(7, 3), (8, 4), (9_900_000, 1)]);
                    let wanted = month.some(10);
                    month.activate(account, site, &wanted);
                }
            }
        }
        // One report is handed in, one is made and never handed in, one of how numbers were used, and one of how they
        // were used days ago: what was written down late counts there.
        let now = month.now();
        match day {
            16 => reports.push(month.disconnects_of(&now, true)),
            22 => reports.push(month.disconnects_of(&now, false)),
            28 => reports.push(month.report("nruf", &json!({ "as_of": now }))),
            34 => {
                for _ in 0..4 {
                    month.port_out();
                }
                let before = month.earlier(2);
                reports.push(month.report("nruf", &json!({ "as_of": before })));
            }
            _ => {}
        }
    }
    for _ in 0..3 {
        month.advance(REST_DAYS * DAY_MS / 3);
        month.rest();
    }
    let wanted = month.some(20);
    month.activate(7, 3, &wanted); // some of what was released, for another account
    let now = month.now();
    reports.push(month.disconnects_of(&now, true));
    reports.push(month.report("nruf", &json!({ "as_of": now })));
    let reports: Vec<Value> = reports.into_iter().map(|report| month.whole(report)).collect();
    month.write(&folder.path(""), &reports);
    assert!(server.terminate().success(), "{}", folder.log());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/month/recount.py");
    let counted = Command::new("python3").arg(script).arg(folder.path("")).output().expect("python3 runs");
    let said = [counted.stdout, counted.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(counted.status.success(), "seed {seed}: {}{}", said[0], said[1]);
    println!("{}", said[0].trim_end());
    on_all(&folder, &["check", "--deep"]);
}
