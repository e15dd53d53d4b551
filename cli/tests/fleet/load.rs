//! Clients that send orders to the nodes, and the checker of what became of them.
//!
//! An attempt at an order is accepted, refused, or unknown: no answer does not mean that nothing was done. Only the
//! order's key can tell, so an unknown order is sent again with it, at any node.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::{ACCOUNTS, FIRST, Fleet, NUMBERS, PASSWORD, World, basic, until, user_of, within};
use crate::program::{Answer, Client, Cut};

/// Clients that send at the same time.
const TASKS: u64 = 6;
/// How long after the last fault every order must have ended.
const BOUND: Duration = Duration::from_secs(60);
/// The environment variable that names a file for the table of faults and losses.
const TABLE: &str = "ONHOOK_NODES_TABLE";

/// An order. Its content depends only on the seed, the task and its turn, so that it can be sent again.
struct Order {
    account: u32,
    list: &'static str,
    /// Every sixth order has none.
    key: String,
    name: String,
    body: String,
}

impl Order {
    fn nth(seed: u64, task: u64, turn: u64) -> Self {
        let mut dice = Dice::of(seed, task, turn);
        let at = task % u64::try_from(ACCOUNTS.len()).expect("few");
        let (account, site) = (ACCOUNTS[usize::try_from(at).expect("few")], at + 1);
        let name = format!("{task}-{turn}");
        let (first, count) = (dice.below(NUMBERS), 1 + dice.below(3));
        let numbers = (0..count).map(|n| FIRST + at * 1_000 + (first + n * 7) % NUMBERS);
        let list: String =
            numbers.map(|number| format!("<TelephoneNumber>{number}</TelephoneNumber>")).collect();
        let list = format!("<TelephoneNumberList>{list}</TelephoneNumberList>");
        let (resource, body) = match dice.below(10) {
            0..5 => (
                "disconnects",
                format!(
                    "<DisconnectTelephoneNumberOrder><name>{name}</name><DisconnectTelephoneNumberOrderType>{list}\
                     </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
                ),
            ),
            kind => {
                let what = if kind < 9 {
                    format!("<ExistingTelephoneNumberOrderType>{list}</ExistingTelephoneNumberOrderType>")
                } else {
                    "<AreaCodeSearchAndOrderType><AreaCode>206</AreaCode><Quantity>2</Quantity>\
                     </AreaCodeSearchAndOrderType>"
                        .to_owned()
                };
                ("orders", format!("<Order><Name>{name}</Name>{what}<SiteId>{site}</SiteId></Order>"))
            }
        };
        let key = if dice.once_in(6) { String::new() } else { name.clone() };
        Self { account, list: resource, key, name, body }
    }

    fn client(&self, at: SocketAddr) -> Client {
        Client::signed(at, &basic(&user_of(self.account), PASSWORD))
    }

    fn send(&self, client: &mut Client) -> Result<Answer, Cut> {
        let path = format!("/api/accounts/{}/{}", self.account, self.list);
        client.send("POST", &path, &self.key, &self.body)
    }

    fn post(&self, client: &mut Client) -> Posted {
        match self.send(client) {
            Ok(answer) => match answer.status {
                201 => {
                    let location = answer.location.expect("a 201 says where");
                    let id = location.rsplit('/').next().unwrap_or_default().to_owned();
                    assert!(answer.body.contains(&format!("<id>{id}</id>")), "{location}: {}", answer.body);
                    Posted::Accepted(id)
                }
                429 | 503 => Posted::Refused,
                500 | 504 => Posted::Unknown,
                _ => panic!("order {} was answered with {answer:?}", self.name),
            },
            Err(Cut::NotSent) => Posted::NotSent,
            Err(Cut::Silence | Cut::Half) => Posted::Unknown,
        }
    }
}

#[derive(Debug)]
enum Posted {
    /// It was accepted with this id (201).
    Accepted(String),
    /// It was refused, and nothing was written: so the answer says.
    Refused,
    /// There was no connection.
    NotSent,
    /// It was sent, and there is no answer that tells.
    Unknown,
}

/// One attempt, as the client saw it.
#[derive(Debug)]
struct Attempt {
    turn: u64,
    #[expect(dead_code, reason = "it is shown when an order is lost")]
    node: SocketAddr,
    #[expect(dead_code, reason = "it is shown when an order is lost")]
    invoked: Instant,
    ended: Instant,
    posted: Posted,
}

/// What a client knows of its orders.
struct Log {
    task: u64,
    accepted: Vec<(u64, String)>,
    refused: Vec<u64>,
    unknown: Vec<u64>,
    attempts: Vec<Attempt>,
}

/// Runs a client until the test is over.
fn client(seed: u64, world: &World, at: Option<SocketAddr>, task: u64) -> Log {
    let mut log =
        Log { task, accepted: Vec::new(), refused: Vec::new(), unknown: Vec::new(), attempts: Vec::new() };
    let mut dice = Dice::of(seed, task, u64::MAX);
    let mut client = Order::nth(seed, task, 0).client(SocketAddr::from(([127, 0, 0, 1], 0)));
    for turn in 0.. {
        let order = Order::nth(seed, task, turn);
        let (mut refused, mut unknown) = (false, false);
        let state = loop {
            let Some(node) = world.any(&mut dice) else { break None };
            let node = at.unwrap_or(node);
            client.turn_to(node);
            let invoked = Instant::now();
            let posted = order.post(&mut client);
            let again = match &posted {
                Posted::Accepted(_) => false,
                Posted::NotSent => true,
                Posted::Refused => {
                    refused = true;
                    dice.below(3) > 0
                }
                Posted::Unknown => {
                    unknown = true;
                    !order.key.is_empty() && dice.once_in(2)
                }
            };
            let id = if let Posted::Accepted(id) = &posted { Some(id.clone()) } else { None };
            log.attempts.push(Attempt { turn, node, invoked, ended: Instant::now(), posted });
            if !again {
                break id;
            }
            std::thread::sleep(dice.millis(5, 30));
        };
        match state {
            Some(id) => log.accepted.push((turn, id)),
            None if unknown => log.unknown.push(turn),
            None if refused => log.refused.push(turn),
            None => {}
        }
        if world.over.load(Ordering::Relaxed) {
            break;
        }
        // Now and then an old one again, which gets the same id.
        if turn % 8 == 7 && !log.accepted.is_empty() {
            let (turn, id) = dice.one_of(&log.accepted);
            let old = Order::nth(seed, task, *turn);
            if !old.key.is_empty()
                && let Posted::Accepted(again) = old.post(&mut client)
            {
                assert_eq!(again, *id, "order {} was made twice", old.name);
            }
        }
        std::thread::sleep(dice.millis(30, 100));
    }
    log
}

/// Returns an order of the second account that has this name and key.
fn one(name: &str) -> Order {
    let body = format!(
        "<Order><Name>{name}</Name><AreaCodeSearchAndOrderType><AreaCode>206</AreaCode><Quantity>1</Quantity>\
         </AreaCodeSearchAndOrderType><SiteId>2</SiteId></Order>"
    );
    let (account, name) = (ACCOUNTS[1], name.to_owned());
    Order { account, list: "orders", key: name.clone(), name, body }
}

/// Sends an order of the second account, which has this name and key. Returns its id if it was accepted.
pub(crate) fn post_one(node: SocketAddr, name: &str) -> Option<String> {
    let order = one(name);
    if let Posted::Accepted(id) = order.post(&mut order.client(node)) { Some(id) } else { None }
}

/// As [`post_one`], and returns the answer, whatever it is.
pub(crate) fn post_one_answer(node: SocketAddr, name: &str) -> Answer {
    let order = one(name);
    order.send(&mut order.client(node)).expect("an answer")
}

/// Sends an order without a key that has this name. Returns whether it was accepted; if not, it may be there.
pub(crate) fn post_without_key(node: SocketAddr, name: &str) -> bool {
    post_of(node, 1, name)
}

/// Sends an order of one of the accounts for its first number, without a key. Returns whether it was accepted.
pub(crate) fn post_of(node: SocketAddr, account: usize, name: &str) -> bool {
    let body = format!(
        "<DisconnectTelephoneNumberOrder><name>{name}</name><DisconnectTelephoneNumberOrderType>\
         <TelephoneNumberList><TelephoneNumber>{}</TelephoneNumber></TelephoneNumberList>\
         </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>",
        FIRST + 1_000 * u64::try_from(account).expect("few")
    );
    let (account, name) = (ACCOUNTS[account], name.to_owned());
    let order = Order { account, list: "disconnects", key: String::new(), name, body };
    matches!(order.post(&mut order.client(node)), Posted::Accepted(_))
}

/// What became of the orders of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Orders that were accepted, those too that were unknown at first.
    pub(crate) accepted: u64,
    /// Orders of unknown fate that were sent again with their keys.
    pub(crate) resolved: u64,
    /// Requests without a 201.
    pub(crate) failed: u64,
    /// Accepted orders that are not there.
    pub(crate) lost: u64,
    /// Orders that are there twice, or were run twice.
    pub(crate) twice: u64,
    /// Orders that are there though each answer said that nothing was written.
    pub(crate) ghosts: u64,
    /// Notifications that are missing, were given up, or have two records.
    pub(crate) notifications: u64,
    /// When the answers to accepted orders arrived.
    pub(crate) answers: Vec<Instant>,
    findings: String,
}

/// Runs clients while `faults` does its harm, and then checks all of it: no node may be missing then.
pub(crate) fn under_load(fleet: &mut Fleet, faults: impl FnOnce(&mut Fleet, &mut Dice)) -> Outcome {
    under_load_at(fleet, None, faults)
}

/// As [`under_load`], with clients that know a single address.
pub(crate) fn under_load_at(
    fleet: &mut Fleet,
    at: Option<SocketAddr>,
    faults: impl FnOnce(&mut Fleet, &mut Dice),
) -> Outcome {
    let (seed, world) = (fleet.seed, fleet.world.clone());
    let mut logs: Vec<Log> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..TASKS)
            .map(|task| {
                scope.spawn({
                    let world = &world;
                    move || client(seed, world, at, task)
                })
            })
            .collect();
        let harmed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            faults(fleet, &mut Dice::of(seed, TASKS, 0));
        }));
        world.over.store(true, Ordering::Relaxed); // also if the faults failed: the clients have to end
        if let Err(why) = harmed {
            std::panic::resume_unwind(why);
        }
        clients.into_iter().map(|client| client.join().expect("a client failed; see above")).collect()
    });
    let mut outcome = Outcome::default();
    for log in &logs {
        for attempt in &log.attempts {
            match attempt.posted {
                Posted::Accepted(_) => outcome.answers.push(attempt.ended),
                _ => outcome.failed += 1,
            }
        }
    }
    resolve(fleet, &mut logs, &mut outcome);
    check(fleet, &logs, &mut outcome);
    outcome
}

/// Sends the orders of unknown fate again with their keys, at two nodes.
fn resolve(fleet: &Fleet, logs: &mut [Log], outcome: &mut Outcome) {
    let nodes: Vec<SocketAddr> = fleet.world.known().into_iter().flatten().collect();
    assert_eq!(nodes.len(), fleet.len(), "the faults have left a node down");
    for log in logs {
        let unknown = std::mem::take(&mut log.unknown);
        let (keyed, keyless): (Vec<u64>, Vec<u64>) =
            unknown.into_iter().partition(|turn| !Order::nth(fleet.seed, log.task, *turn).key.is_empty());
        log.unknown = keyless;
        for turn in keyed {
            let order = Order::nth(fleet.seed, log.task, turn);
            let at = |n: usize| {
                let mut client = order.client(nodes[n % nodes.len()]);
                until("an unknown order is accepted", || match order.post(&mut client) {
                    Posted::Accepted(id) => Some(id),
                    _ => None,
                })
            };
            let first = usize::try_from(turn).expect("few");
            let (first, again) = (at(first), at(first + 1));
            assert_eq!(first, again, "order {} was made twice", order.name);
            log.accepted.push((turn, first));
            outcome.resolved += 1;
        }
    }
}

/// Waits until all is done, and compares the database with what the clients know.
fn check(fleet: &Fleet, logs: &[Log], outcome: &mut Outcome) {
    let none_left = |what: &str, sql: &str| {
        within(BOUND, what, || (fleet.sql.count(sql, &[]) == 0).then_some(()));
    };
    none_left("all orders end", "SELECT count(*) FROM orders WHERE status = 0");
    none_left("all notifications are delivered", "SELECT count(*) FROM notification WHERE standing = 0");

    let mut there: HashMap<String, Vec<(String, i64)>> = HashMap::new();
    for row in fleet.sql.rows("SELECT name, id::text, status FROM orders", &[]) {
        there.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let said = &mut outcome.findings;
    for log in logs {
        let mut told = |turn: u64, what: &str| {
            let attempts: Vec<&Attempt> =
                log.attempts.iter().filter(|attempt| attempt.turn == turn).collect();
            writeln!(said, "order {}-{turn} {what}: {attempts:#?}", log.task)
                .expect("a String takes any text");
        };
        for (turn, id) in &log.accepted {
            outcome.accepted += 1;
            match there.remove(&format!("{}-{turn}", log.task)).unwrap_or_default().as_slice() {
                [(found, 1..4)] if found == id => {}
                [] => {
                    outcome.lost += 1;
                    told(*turn, "is lost");
                }
                [_] => {
                    outcome.lost += 1;
                    told(*turn, "is another one, or has not ended");
                }
                _ => {
                    outcome.twice += 1;
                    told(*turn, "is there twice");
                }
            }
        }
        for turn in &log.unknown {
            if there.remove(&format!("{}-{turn}", log.task)).is_some_and(|found| found.len() > 1) {
                outcome.twice += 1;
                told(*turn, "is there twice");
            }
        }
        for turn in &log.refused {
            if there.remove(&format!("{}-{turn}", log.task)).is_some() {
                outcome.ghosts += 1;
                told(*turn, "was refused and is there");
            }
        }
    }
    for name in there.keys() {
        outcome.ghosts += 1;
        writeln!(said, "order {name} is there, and no client has sent it").expect("a String takes any text");
    }

    let mut ran = HashSet::new();
    for n in 0..fleet.len() {
        let log = fleet.log(n);
        assert!(!log.contains("panicked"), "{log}");
        for id in ended(&log) {
            if !ran.insert(id.to_owned()) {
                outcome.twice += 1;
                writeln!(said, "order {id} was run twice").expect("a String takes any text");
            }
        }
    }

    let told = "SELECT count(*) FROM orders o
                WHERE NOT EXISTS (SELECT 1 FROM notification n WHERE n.order_seq = o.seq AND n.standing = 1)";
    outcome.notifications += fleet.sql.count(told, &[]);
    let records = "SELECT count(*) FROM (SELECT 1 FROM attempt GROUP BY notification HAVING count(*) > 1) a";
    outcome.notifications += fleet.sql.count(records, &[]);
    for id in fleet.sql.texts("SELECT id::text FROM notification WHERE standing = 1", &[]) {
        if fleet.told.times(&id) == 0 {
            outcome.notifications += 1;
            writeln!(said, "notification {id} is recorded, and never arrived")
                .expect("a String takes any text");
        }
    }
    let checked = fleet.onhook(&["check", "--deep"], b"");
    assert_eq!(checked.code, 0, "{checked:?}");
}

/// Returns the ids of the orders that a node has run, from its log.
pub(crate) fn ended(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter_map(|line| {
        let (_, from) = line.split_once("order ")?;
        from.split_once(" ended: ").map(|(id, _)| id).filter(|id| id.len() == 36)
    })
}

impl Outcome {
    /// Writes a line of the table, prints it, and fails if anything was lost or done twice. `faults` says which faults
    /// there were, `injected` how many, `longest` for how long they kept work waiting, if that was measured.
    pub(crate) fn is_clean(&self, faults: &str, injected: u64, longest: Option<Duration>) {
        let measured = longest.map_or(String::new(), |longest| format!("{:.1}", longest.as_secs_f64()));
        let Self { accepted, resolved, lost, twice, ghosts, notifications, .. } = self;
        let line = format!(
            "| {faults} | {injected} | {accepted} | {resolved} | {lost} | {twice} | {ghosts} | {notifications} | {measured} |"
        );
        println!("{line}");
        if let Some(table) = std::env::var_os(TABLE) {
            use std::io::Write as _;
            let table = std::fs::OpenOptions::new().create(true).append(true).open(table);
            writeln!(table.expect("the table can be written"), "{line}").expect("room for a line");
        }
        let losses = [lost, twice, ghosts, notifications];
        assert!(losses.iter().all(|losses| **losses == 0), "{line}\n{}", self.findings);
        assert!(*accepted > 0, "no order was accepted");
    }
}
