//! Accepted orders survive the process, if it is killed at any instant or asked to end in the middle of work.

#![expect(clippy::print_stdout, reason = "figures to read with --nocapture")]

mod program;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use program::{ACCOUNT, Client, Cut, Folder};

/// Clients that send at the same time.
const TASKS: u64 = 16;
/// Numbers that they compete for.
const POOL: u64 = 400;
/// The first of these numbers.
const FIRST: u64 = 9_195_560_000;
/// How long a client waits after it got no answer.
const PAUSE: Duration = Duration::from_millis(5);
/// Orders that are accepted before the server is asked to end, so that it is under load.
const UNDER_LOAD: u64 = 1_000;
/// How long after the last fault every order must have ended.
const BOUND: Duration = Duration::from_secs(60);

/// Random numbers that can be repeated: splitmix64.
struct Dice(u64);

impl Dice {
    fn of(seed: u64, task: u64, turn: u64) -> Self {
        let mut dice = Dice(seed ^ (task << 48) ^ turn);
        Dice(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// An order. Its content depends only on the seed, the task and its turn, so that it can be sent again.
struct Order {
    list: &'static str,
    key: String,
    numbers: Vec<u64>,
    body: String,
}

impl Order {
    fn nth(plan: &Plan, task: u64, turn: u64) -> Self {
        let mut dice = Dice::of(plan.seed, task, turn);
        let key = format!("{task}-{turn}");
        let (first, count) = (dice.below(POOL), 1 + dice.below(3));
        let numbers: Vec<u64> = (0..count).map(|n| FIRST + (first + n * 7) % POOL).collect();
        let list: String =
            numbers.iter().map(|n| format!("<TelephoneNumber>{n}</TelephoneNumber>")).collect();
        let list = format!("<TelephoneNumberList>{list}</TelephoneNumberList>");
        let (resource, body) = match dice.below(2) {
            0 => (
                "disconnects",
                format!(
                    "<DisconnectTelephoneNumberOrder><name>{key}</name><DisconnectTelephoneNumberOrderType>{list}\
                     </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
                ),
            ),
            _ => (
                "orders",
                format!(
                    "<Order><Name>{key}</Name><ExistingTelephoneNumberOrderType>{list}\
                     </ExistingTelephoneNumberOrderType><SiteId>{}</SiteId></Order>",
                    plan.site
                ),
            ),
        };
        Self { list: resource, key, numbers, body }
    }

    fn post(&self, client: &mut Client) -> Posted {
        let path = format!("/api/accounts/{ACCOUNT}/{}", self.list);
        match client.send("POST", &path, &self.key, &self.body) {
            Ok(answer) => match answer.status {
                201 => {
                    let location = answer.location.expect("a 201 says where");
                    let id = location.rsplit('/').next().unwrap_or_default().to_owned();
                    assert!(answer.body.contains(&format!("<id>{id}</id>")), "{location}: {}", answer.body);
                    Posted::Accepted(id)
                }
                429 | 503 => Posted::Busy,
                500 => Posted::Unknown, // a commit failed: not known whether it was written
                _ => panic!("order {} was answered with {answer:?}", self.key),
            },
            Err(Cut::NotSent) => Posted::NotSent,
            Err(Cut::Silence) => Posted::Unknown,
            Err(Cut::Half) => Posted::Half,
        }
    }
}

enum Posted {
    /// It was accepted with this id (201).
    Accepted(String),
    /// It was refused for now.
    Busy,
    /// There was no connection.
    NotSent,
    /// It was sent, and no answer arrived.
    Unknown,
    /// It was sent, and half an answer arrived.
    Half,
}

/// What all clients share.
struct Plan {
    seed: u64,
    site: String,
}

/// What a client learnt: the turn of each order, and the id if it was accepted.
#[derive(Default)]
struct Log {
    task: u64,
    accepted: Vec<(u64, String)>,
    unknown: Vec<u64>,
    halves: Vec<u64>,
}

/// The server's current address, and the state of the test.
#[derive(Default)]
struct World {
    address: Mutex<Option<SocketAddr>>,
    moved: Condvar,
    over: AtomicBool,
    sent_again: AtomicU64,
}

impl World {
    fn is_at(&self, address: Option<SocketAddr>) {
        *self.address.lock().expect("whole") = address;
        self.moved.notify_all();
    }

    /// Waits until there is a server and returns its address. `None` if the test is over.
    fn address(&self) -> Option<SocketAddr> {
        let mut address = self.address.lock().expect("whole");
        while !self.over.load(Ordering::Relaxed) {
            if address.is_some() {
                return *address;
            }
            address = self.moved.wait_timeout(address, Duration::from_millis(50)).expect("whole").0;
        }
        None
    }

    /// Posts until the result is known, or cannot be known.
    fn post(&self, client: &mut Client, order: &Order) -> Option<Posted> {
        loop {
            client.turn_to(self.address()?);
            match order.post(client) {
                Posted::Busy | Posted::NotSent => std::thread::sleep(PAUSE),
                posted => return Some(posted),
            }
        }
    }

    /// Runs a client. It sends order after order, and now and then an old one again, which must get the same id.
    fn client(&self, plan: &Plan, task: u64) -> Log {
        let mut log = Log { task, ..Log::default() };
        let mut client = Client::of(SocketAddr::from(([127, 0, 0, 1], 0)));
        for turn in 0.. {
            match self.post(&mut client, &Order::nth(plan, task, turn)) {
                Some(Posted::Accepted(id)) => log.accepted.push((turn, id)),
                Some(_) => {
                    log.unknown.push(turn);
                    std::thread::sleep(PAUSE);
                }
                None => break,
            }
            if turn % 8 == 7 && !log.accepted.is_empty() {
                let known = u64::try_from(log.accepted.len()).expect("few");
                let old = usize::try_from(Dice::of(plan.seed, task, !turn).below(known)).expect("few");
                let (turn, id) = &log.accepted[old];
                if let Some(Posted::Accepted(again)) = self.post(&mut client, &Order::nth(plan, task, *turn))
                {
                    assert_eq!(again, *id, "order {task}-{turn} was made twice");
                    self.sent_again.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        log
    }
}

/// Makes a folder with the documented account and the numbers that clients compete for.
fn folder() -> (Folder, Plan) {
    let folder = Folder::of_the_guide();
    let numbers: String = (FIRST..FIRST + POOL).map(|n| format!("{n},InService,{ACCOUNT},NC\n")).collect();
    let numbers = format!("number,state,account,region\n{numbers}");
    let said = folder.onhook_reading(&["import", "-"], numbers.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    let site = folder.first_site();
    let random =
        || u64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() % (1 << 48));
    let seed = match std::env::var("ONHOOK_SEED") {
        Ok(seed) => seed.parse().expect("ONHOOK_SEED is a number"),
        Err(_) => random().expect("below 2^48"),
    };
    println!("ONHOOK_SEED={seed}");
    (folder, Plan { seed, site })
}

/// Makes the server learn the password, once for all clients.
fn sign_in(address: SocketAddr) {
    let path = format!("/api/accounts/{ACCOUNT}/disconnects?page=1&size=1");
    let answer = Client::of(address).send("GET", &path, "", "");
    assert_eq!(answer.map(|answer| answer.status), Ok(200));
}

/// Checks that `check --deep` finds nothing. Returns how many orders it saw.
fn orders_in(folder: &Folder) -> u64 {
    let said = folder.onhook(&["check", "--deep", "--json"]);
    assert_eq!(said.code, 0, "{said:?}\n{}", folder.log());
    let report: serde_json::Value = serde_json::from_str(&said.answer).expect("JSON");
    report["orders"].as_u64().expect("a count")
}

/// Checks that every accepted order exists, is the one that was sent, and ends.
fn all_have_ended(plan: &Plan, logs: &[Log], address: SocketAddr) {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for log in logs {
            scope.spawn(move || {
                let mut client = Client::of(address);
                for (turn, id) in &log.accepted {
                    let order = Order::nth(plan, log.task, *turn);
                    let shown = loop {
                        let path = format!("/api/accounts/{ACCOUNT}/{}/{id}", order.list);
                        let answer = client.send("GET", &path, "", "");
                        let answer = answer.unwrap_or_else(|cut| panic!("GET {path}: {cut:?}"));
                        match answer.status {
                            200 if !answer.body.contains("<OrderStatus>RECEIVED<") => break answer.body,
                            200 | 429 | 503 => std::thread::sleep(Duration::from_millis(20)),
                            _ => panic!("order {} was accepted as {id} and is lost: {answer:?}", order.key),
                        }
                        assert!(begun.elapsed() < BOUND, "order {id} did not end in {BOUND:?}");
                    };
                    let ended = ["COMPLETE", "PARTIAL", "FAILED"]
                        .iter()
                        .any(|status| shown.contains(&format!("<OrderStatus>{status}</OrderStatus>")));
                    let named = shown.contains(&format!("<Name>{}</Name>", order.key));
                    let whole = order.numbers.iter().all(|number| shown.contains(&number.to_string()));
                    assert!(ended && named && whole, "order {} is {id}: {shown}", order.key);
                }
            });
        }
    });
}

/// Checks that no number was lost or added, and that each is or was the account's.
fn all_numbers_are_there(folder: &Folder) {
    let exported = folder.done(&["export"]);
    let mut found = 0;
    for line in exported.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        if (FIRST..FIRST + POOL).contains(&fields[0].parse().unwrap_or(0)) {
            let holder = match fields[1] {
                "InService" => fields[2],
                "Aging" => fields[9],
                _ => panic!("{line}"),
            };
            assert_eq!(holder, ACCOUNT.to_string(), "{line}");
            found += 1;
        }
    }
    assert_eq!(found, POOL);
}

fn ids(logs: &[Log]) -> u64 {
    let ids: HashSet<&str> = logs.iter().flat_map(|log| &log.accepted).map(|(_, id)| id.as_str()).collect();
    let accepted: usize = logs.iter().map(|log| log.accepted.len()).sum();
    assert_eq!(ids.len(), accepted, "two keys were given one order");
    u64::try_from(accepted).expect("few")
}

fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[test]
fn accepted_orders_survive_kills_at_any_instant() {
    let rounds = std::env::var("ONHOOK_KILL_ROUNDS").map_or(30, |text| text.parse().expect("a number"));
    let (folder, plan) = folder();
    let world = World::default();
    let (mut slowest, mut early) = (Duration::ZERO, 0_u64);
    let mut logs: Vec<Log> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..TASKS)
            .map(|task| {
                scope.spawn({
                    let (world, plan) = (&world, &plan);
                    move || world.client(plan, task)
                })
            })
            .collect();
        let mut dice = Dice::of(plan.seed, TASKS, 0);
        for round in 0..rounds {
            let begun = Instant::now();
            let mut server = folder.emulator();
            if round % 8 == 7 {
                // Killed while it starts: its repair of the last kill's damage must not do harm either.
                std::thread::sleep(dice.millis(0, 60));
                server.kill();
                early += 1;
                continue;
            }
            let address = server.listening();
            slowest = slowest.max(begun.elapsed());
            sign_in(address); // 16 sign-ins at once would use up the round with their passwords
            world.is_at(Some(address));
            std::thread::sleep(dice.millis(20, 400)); // killed at any instant; the seed repeats it
            server.kill();
            world.is_at(None);
            if clients.iter().any(|client| client.is_finished()) {
                break; // one has failed, and its join shows why
            }
        }
        world.over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("a client failed; see above")).collect()
    });

    let heard = ids(&logs);
    let on_disk = orders_in(&folder); // as the last kill left it
    assert!(on_disk >= heard, "{heard} orders were accepted, {on_disk} are there");

    let mut server = folder.emulator();
    let address = server.listening();
    sign_in(address);
    let mut client = Client::of(address);
    let mut resolved = 0_u64;
    for log in &mut logs {
        for turn in std::mem::take(&mut log.unknown) {
            let order = Order::nth(&plan, log.task, turn);
            let [first, again] = [0, 1].map(|_| match order.post(&mut client) {
                Posted::Accepted(id) => id,
                _ => panic!("order {} is still not known", order.key),
            });
            assert_eq!(first, again, "order {} was made twice", order.key);
            log.accepted.push((turn, first));
            resolved += 1;
        }
    }
    let accepted = ids(&logs);
    all_have_ended(&plan, &logs, address);
    assert!(server.terminate().success(), "{}", folder.log());
    // Each accepted order was found, and there is no other. So no key has two.
    assert_eq!(orders_in(&folder), accepted);
    all_numbers_are_there(&folder);
    let log = folder.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    println!(
        "kill: {rounds} kills ({early} while starting), {} accepted, 0 lost, {} unknown resolved ({} of them \
         were on disk), {} sent again and the same, slowest start {} ms",
        grouped(accepted),
        grouped(resolved),
        grouped(on_disk - heard),
        grouped(world.sent_again.into_inner()),
        slowest.as_millis()
    );
}

#[test]
fn after_sigterm_every_order_was_answered_or_never_taken() {
    let (folder, plan) = folder();
    let mut server = folder.emulator();
    let address = server.listening();
    sign_in(address);
    let (heard, hears) = mpsc::channel();
    let client = |task: u64, heard: mpsc::Sender<()>| {
        let mut log = Log { task, ..Log::default() };
        let mut client = Client::of(address);
        for turn in 0.. {
            match Order::nth(&plan, task, turn).post(&mut client) {
                Posted::Accepted(id) => {
                    log.accepted.push((turn, id));
                    let _ = heard.send(()); // nobody counts them after the server was asked to end
                }
                Posted::Busy => std::thread::sleep(PAUSE),
                Posted::NotSent => break,
                Posted::Unknown => log.unknown.push(turn),
                Posted::Half => log.halves.push(turn),
            }
        }
        log
    };
    let (logs, status, took) = std::thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..TASKS)
            .map(|task| {
                let heard = heard.clone();
                scope.spawn(move || client(task, heard))
            })
            .collect();
        for accepted in 0..UNDER_LOAD {
            let told = hears.recv_timeout(BOUND);
            assert!(told.is_ok(), "no more than {accepted} orders were accepted in time");
        }
        let begun = Instant::now();
        let status = server.terminate();
        let took = begun.elapsed();
        let logs: Vec<Log> =
            clients.into_iter().map(|client| client.join().expect("a client failed; see above")).collect();
        (logs, status, took)
    });
    assert!(status.success(), "{status}\n{}", folder.log());
    assert!(took < Duration::from_secs(30), "it took {took:?} to end");
    assert!(logs.iter().all(|log| log.halves.is_empty()), "answers were cut in the middle");
    let silent: usize = logs.iter().map(|log| log.unknown.len()).sum();
    let accepted = ids(&logs);
    assert!(accepted > 0);
    assert_eq!(silent, 0, "requests were reset without an answer");
    assert_eq!(orders_in(&folder), accepted, "an order was taken, and its client was not told");

    let mut server = folder.emulator();
    let address = server.listening();
    sign_in(address);
    all_have_ended(&plan, &logs, address);
    assert!(server.terminate().success());
    all_numbers_are_there(&folder);
    println!("sigterm: {} accepted, 0 lost, 0 reset, ended in {} ms", grouped(accepted), took.as_millis());
}
