//! Weeks in the life of some thousand numbers, after which a second program counts again what the server reported: the
//! months' disconnects, how numbers were used, and who pays for when.
//!
//! That program (`tests/month/recount.py`) shares no code with the server. `cargo xtask month` runs it with more numbers.

#![expect(clippy::print_stdout, reason = "the seed of a run, and why it is skipped")]

#[path = "fleet/dice.rs"]
#[expect(dead_code, reason = "faults wait for random spans, and lives do not")]
mod dice;
mod program;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dice::Dice;
use program::{Answer, Client, Folder, HEADER, PATIENCE, file};
use serde_json::{Value, json};

/// The operator, with the documented password.
const OPERATOR: &str = "Basic cm9vdDpwYXNzd29yZA==";
/// Area codes: three of the United States, one of Canada, a toll-free one.
const CODES: [u64; 8] = [919, 919, 919, 540, 540, 703, 416, 800];
/// Days of work, and then the days until what aged is released.
const DAYS: u64 = 40;
const REST_DAYS: u64 = 95;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// A server under test, and what is known of its numbers.
struct Month {
    client: Client,
    dice: Dice,
    numbers: Vec<u64>,
    /// Disconnect orders that have ended, and numbers that they took.
    left: Vec<(String, Vec<u64>)>,
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
        if self.dice.once_in(5) { 7 } else { 9_900_000 }
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
            assert!(begun.elapsed() < PATIENCE * 10, "releases do not end");
            std::thread::sleep(Duration::from_millis(50));
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
        let made = self.post("/ops/v1/reports/rnd", &json!({ "period": period, "company": "ACME1" }));
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
        let mut lives = String::new();
        let mut imported_at = None;
        for of in self.items("/ops/v1/numbers") {
            let number = of["number"].as_str().expect("a number");
            let path = format!("/ops/v1/numbers/{}", &number[2..]);
            let life = json!({
                "number": number,
                "state": of["state"],
                "events": self.items(&format!("{path}/history")),
                "periods": self.items(&format!("{path}/periods")),
            });
            // What has no event is as it was imported, since then.
            if life["events"] == json!([]) {
                imported_at = of["since"].as_str().map(str::to_owned).or(imported_at);
            }
            let _ = writeln!(lives, "{life}");
        }
        let told = json!({
            "imported_at": imported_at.expect("a number to which nothing has happened"),
            "kinds": { "9900000": "end-user", "7": "reseller" },
            "reports": reports,
        });
        std::fs::write(folder.join("told.json"), told.to_string()).expect("room for a file");
        std::fs::write(folder.join("lives.jsonl"), lives).expect("room for a file");
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}

/// Returns the file of numbers: most are in service, some in the pool, some age, some belong to another carrier.
fn numbers(dice: &mut Dice, count: u64) -> (Vec<u64>, String) {
    let (mut all, mut text) = (Vec::new(), format!("{HEADER}\n"));
    for n in 0..count {
        // No exchange is 611.
        let line = 5_560_000 + n + if n >= 550_000 { 10_000 } else { 0 };
        let digits = CODES[usize::try_from(n % 8).expect("few")] * 10_000_000 + line;
        let (state, account, former, until) = match dice.below(20) {
            0..=10 => ("InService", "9900000", "", ""),
            11..=13 => ("InService", "7", "", ""),
            14..=17 => ("Available", "", "", ""),
            _ => ("Aging", "", "9900000", "2199-01-01T00:00:00.000Z"),
        };
        let ported_in = state == "InService" && dice.once_in(20);
        let _ = writeln!(text, "+1{digits},{state},{account},,,,,false,{ported_in},{former},{until}");
        all.push(digits);
    }
    (all, text)
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
    for site in ["2", "3"] {
        let account = if site == "2" { "9900000" } else { "7" };
        folder.done(&["admin", "peer", "create", "--account", account, "--site", site, "--name", "A peer"]);
    }
    let user = ["admin", "user", "create", "root", "--role", "operator", "--password-stdin"];
    assert_eq!(folder.onhook_reading(&user, b"password").code, 0);
    let (numbers, text) = numbers(&mut dice, count);
    let csv = file(&folder, "numbers.csv", &text);
    let imported = folder.onhook(&["import", &csv]);
    assert_eq!(imported.code, 0, "{imported:?}");
    let mut server = folder.emulator();
    let client = Client::signed(server.listening(), OPERATOR);
    let mut month = Month { client, dice, numbers, left: Vec::new() };
    let acts = count / 5_000 + 5;
    let mut reports = Vec::new();
    for day in 0..DAYS {
        for _ in 0..acts {
            let by_ms = month.dice.below(DAY_MS / (acts + 1));
            month.advance(by_ms);
            match month.dice.below(8) {
                0..=3 => month.disconnect(),
                4 | 5 => month.take_back(),
                6 => month.move_some(),
                _ => {
                    let (account, site) = if month.dice.once_in(2) { (7, 3) } else { (9_900_000, 1) };
                    let wanted = month.some(10);
                    month.activate(account, site, &wanted);
                }
            }
        }
        let now = month.now();
        // One report is handed in, one is made and never handed in, one of how numbers were used.
        match day {
            16 => reports.push(month.disconnects_of(&now, true)),
            22 => reports.push(month.disconnects_of(&now, false)),
            28 => reports.push(month.post("/ops/v1/reports/nruf", &json!({ "as_of": now }))),
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
    reports.push(month.post("/ops/v1/reports/nruf", &json!({})));
    let reports: Vec<Value> = reports.into_iter().map(|report| month.whole(report)).collect();
    month.write(&folder.path(""), &reports);
    assert!(server.terminate().success(), "{}", folder.log());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/month/recount.py");
    let counted = Command::new("python3").arg(script).arg(folder.path("")).output().expect("python3 runs");
    let said = [counted.stdout, counted.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(counted.status.success(), "seed {seed}: {}{}", said[0], said[1]);
    println!("{}", said[0].trim_end());
    assert_eq!(folder.onhook(&["check", "--deep"]).code, 0);
}
