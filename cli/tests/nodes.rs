//! Several nodes on one database, on real clusters of PostgreSQL, while they and the database come to harm: nothing
//! that was accepted is lost, and nothing is done twice.

#![expect(clippy::print_stdout, reason = "figures to read with --nocapture")]

mod fleet;
mod program;

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fleet::dice::Dice;
use fleet::http::proxy;
use fleet::load::{Outcome, post_of, post_one, post_one_answer, post_without_key, under_load, under_load_at};
use fleet::sql::Sql;
use fleet::wire::{Cuts, wire};
use fleet::{
    ACCOUNTS, AFTER_LEASE, FIRST, Fleet, LEASE, NUMBERS, PASSWORD, basic, done, prepare, programs, quick,
    turn, until, user_of, within,
};
use onhook_cluster::{Cluster, Mode};
use program::{Answer, Client};

/// How long a fault lasts that has no end of its own.
const SHORT: Duration = Duration::from_secs(4);

/// How soon a change at one node holds at all of them.
const SOON: Duration = Duration::from_secs(2);

/// Returns when so many orders have been accepted, so that there is a load.
fn busy(fleet: &Fleet, orders: i64) {
    let enough = || (fleet.sql.whole("SELECT count(*) FROM orders", &[])[0] >= orders).then_some(());
    until("enough orders are accepted", enough);
}

#[test]
fn two_and_three_nodes_share_the_work_and_each_order_runs_once() {
    for nodes in [2, 3] {
        let Some(mut fleet) = Fleet::of(nodes) else { return };
        let outcome = under_load(&mut fleet, |fleet, _| busy(fleet, 150));
        outcome.is_clean(&format!("none, {nodes} nodes"), 0, None);
        assert!(fleet.ran().iter().all(|ran| *ran > 0), "one did all the work: {:?}", fleet.ran());
    }
}

/// What holds up the orders of one account holds up no other's, also where there is one node.
#[test]
fn a_node_runs_orders_of_an_account_while_those_of_another_wait() {
    let Some(fleet) = Fleet::of(1) else { return };
    let node = fleet.address(0);
    let other = Sql::of(&fleet.url);
    let first = FIRST + 10_000_000_000;
    other.run(&format!("BEGIN; SELECT 1 FROM number WHERE number = {first} FOR UPDATE"));
    let ended = |name: &str| {
        let ended = "SELECT count(*) FROM orders WHERE name = $1 AND status <> 0";
        fleet.sql.count(ended, &[&name]) == 1
    };
    assert!(post_of(node, 0, "held up"));
    until("its step waits", || {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'node_0' AND wait_event_type = 'Lock'";
        (fleet.sql.count(waits, &[]) == 1).then_some(())
    });
    assert!(post_of(node, 0, "the next one"));
    assert!(post_of(node, 1, "of another account"));
    within(Duration::from_secs(5), "the other account's order runs", || {
        ended("of another account").then_some(())
    });
    assert!(!ended("held up") && !ended("the next one"), "an account's orders run one after another");
    other.run("COMMIT");
    until("all have run", || (ended("held up") && ended("the next one")).then_some(()));
    let statuses = fleet.sql.whole("SELECT status FROM orders ORDER BY seq", &[]);
    assert_eq!(statuses, [1, 3, 1], "the number was in service for the first of its account alone");
    done(&fleet.url, &["check", "--deep"], b"");
}

/// Tells of each session of the nodes what it does, since when, and for whom it waits.
const SESSIONS: &str =
    "SELECT concat_ws(' ', usename, pid, state, now() - xact_start, now() - state_change, wait_event,
                      pg_blocking_pids(pid)::text, left(query, 100))
     FROM pg_stat_activity WHERE usename LIKE 'node%' ORDER BY xact_start";

/// Stops a node that has orders and notifications under way, until others have done them and its lease is long over.
/// If `held`, it stops in the middle of a transaction. Returns how long the others took.
fn stop_one(fleet: &Fleet, n: usize, held: bool) -> Option<Duration> {
    fleet.signal(n, "STOP");
    let stopped = Instant::now();
    std::thread::sleep(Duration::from_millis(20)); // its statement under way ends
    let user = format!("node_{n}");
    let waiting = fleet.sql.whole("SELECT seq FROM orders WHERE status = 0", &[]);
    let claimed = "SELECT n.seq FROM notification n JOIN lease l ON l.token = n.claim
                   WHERE n.standing = 0 AND l.name = $1";
    let claimed = fleet.sql.whole(claimed, &[&fleet.lease(n)]);
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state = 'idle in transaction'";
    let idle = fleet.sql.count(idle, &[&user]);
    if claimed.is_empty() || waiting.is_empty() || (held && idle == 0) {
        fleet.signal(n, "CONT");
        return None;
    }
    let orders = "SELECT count(*) FROM orders WHERE status = 0 AND seq = ANY($1)";
    let notifications = "SELECT count(*) FROM notification WHERE standing = 0 AND seq = ANY($1)";
    let left = || [fleet.sql.count(orders, &[&waiting]), fleet.sql.count(notifications, &[&claimed])];
    let mut late = None;
    within(Duration::from_secs(30), "another node takes the work over", || {
        let left = left();
        if late.is_none() && stopped.elapsed() > LEASE + AFTER_LEASE && left != [0, 0] {
            late = Some((left, fleet.sql.texts(SESSIONS, &[])));
        }
        (left == [0, 0]).then_some(())
    });
    let took = stopped.elapsed();
    if let Some(([orders, notifications], sessions)) = late {
        println!("late: {orders} orders, {notifications} notifications\n{}", sessions.join("\n"));
    }
    std::thread::sleep((LEASE * 3 / 2).saturating_sub(took));
    fleet.signal(n, "CONT");
    Some(took)
}

/// Stops a node as [`stop_one`] does, trying until it is in the middle of its work.
fn stop(fleet: &Fleet, dice: &mut Dice, held: bool) -> Duration {
    let n = usize::try_from(dice.below(2)).expect("few");
    until("a node is in the middle of its work", || {
        std::thread::sleep(dice.millis(1, 40));
        stop_one(fleet, n, held)
    })
}

#[test]
fn the_work_of_a_node_that_is_stopped_is_taken_over_in_time_and_its_late_writes_are_refused() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let mut longest = Duration::ZERO;
    let outcome = under_load(&mut fleet, |fleet, dice| {
        busy(fleet, 50);
        for held in [false, true] {
            longest = longest.max(stop(fleet, dice, held));
        }
    });
    outcome.is_clean("a node stopped (SIGSTOP) for 1.5 leases of 2 s", 2, Some(longest));
    assert!(longest <= LEASE + AFTER_LEASE, "the work was taken over only after {longest:?}");
}

/// Asks whether a number is due.
const LOOKS_FOR_DUE: &str = "SELECT 1 FROM due WHERE due_at <=";

#[test]
fn a_node_that_is_late_between_its_look_and_its_release_leaves_the_numbers_to_the_next_one() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    let [(first, slow), (second, other)] = [0, 1].map(|n| wire(fleet.port(), fleet.seed + n));
    fleet.add(&first.to_string());
    let token = |fleet: &Fleet| {
        fleet.sql.whole("SELECT token FROM lease WHERE name = 'release'", &[]).first().copied()
    };
    let of_first = until("the first node has the lease", || token(&fleet));
    import_due(&fleet);
    // The look that is held was asked for now. The answer to one that is asked for later is that numbers are due.
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint - min(due_at) FROM number WHERE state = 3";
    slow.gate.hold(LOOKS_FOR_DUE);
    until("numbers are due", || (fleet.sql.whole(sql, &[])[0] > 0).then_some(()));
    slow.gate.let_go();
    until("the first node looks for due numbers", || (slow.gate.held() == 1).then_some(()));
    // So long that its lease runs out, which it cannot renew.
    slow.gate.hold("UPDATE lease SET until");
    other.gate.hold(LOOKS_FOR_DUE);
    fleet.add(&second.to_string());
    until("the second node has the lease", || token(&fleet).filter(|token| *token != of_first));
    until("the second node looks for due numbers", || (other.gate.held() == 1).then_some(()));
    slow.gate.open();
    fleet.terminate(0); // what it does ends before
    let released = |fleet: &Fleet| {
        let sql = "SELECT count(*), count(DISTINCT number) FROM event WHERE detail LIKE '%Released%'";
        let row = fleet.sql.rows(sql, &[]).remove(0);
        [0, 1].map(|column| row.get::<_, i64>(column).unsigned_abs())
    };
    assert_eq!(released(&fleet), [0, 0], "it released numbers though another node had the lease");
    other.gate.open();
    let left = "SELECT count(*) FROM number WHERE state = 3";
    until("the second node releases them", || (fleet.sql.count(left, &[]) == 0).then_some(()));
    assert_eq!(released(&fleet), [DUE, DUE], "each is released once");
    assert_eq!(fleet.onhook(&["check", "--deep"], b"").code, 0);
}

/// Returns a connection to a node that signs in as an operator.
fn operator(fleet: &Fleet, n: usize) -> Client {
    Client::signed(fleet.address(n), &basic("operator", PASSWORD))
}

/// Returns a job, once a node shows it in this state.
fn job(fleet: &Fleet, n: usize, path: &str, state: &str) -> serde_json::Value {
    until(&format!("{path} is {state}"), || {
        let body = operator(fleet, n).send("GET", path, "", "").ok()?.body;
        let job: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|why| panic!("{why}: {body}"));
        (job["state"] == state).then_some(job)
    })
}

#[test]
fn a_check_goes_on_at_another_node_when_its_own_dies() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let create = ["admin", "user", "create", "operator", "--role", "operator", "--password-stdin"];
    done(&fleet.url, &create, PASSWORD.as_bytes());
    fleet.signal(1, "STOP"); // the first node gets it
    // The check stands still in the middle: while this session has the table, nobody reads numbers.
    let sql = Sql::of(&fleet.url);
    sql.run("BEGIN; LOCK TABLE number IN ACCESS EXCLUSIVE MODE");
    let asked = operator(&fleet, 0)
        .send_typed("POST", "/ops/v1/checks", "", "application/json", r#"{"deep": true}"#)
        .expect("an answer");
    assert_eq!(asked.status, 202, "{}", asked.body);
    let made: serde_json::Value = serde_json::from_str(&asked.body).expect("JSON");
    let path = format!("/ops/v1/checks/{}", made["id"].as_str().expect("an id"));
    job(&fleet, 0, &path, "running");
    fleet.kill(0);
    sql.run("ROLLBACK");
    fleet.signal(1, "CONT");
    let ended = job(&fleet, 1, &path, "done");
    assert_eq!((&ended["findings"], ended["found"].as_u64()), (&serde_json::json!([]), Some(0)), "{ended}");
    let accounts = u64::try_from(ACCOUNTS.len()).expect("few");
    assert!(ended["numbers"].as_u64().is_some_and(|numbers| numbers > accounts * NUMBERS), "{ended}");
    let made_by = "SELECT count(*) FROM job WHERE kind = 'check'";
    assert_eq!(fleet.sql.count(made_by, &[]), 1, "it is the same check");
}

/// Kills the last node and starts it again, for a while. Returns how often.
fn kill_one(fleet: &mut Fleet, dice: &mut Dice) -> u64 {
    kill_for(fleet, dice, SHORT)
}

fn kill_for(fleet: &mut Fleet, dice: &mut Dice, time: Duration) -> u64 {
    let (begun, last) = (Instant::now(), fleet.len() - 1);
    let mut kills = 0;
    while begun.elapsed() < time {
        std::thread::sleep(dice.millis(50, 500)); // killed at any instant; the seed repeats it
        fleet.kill(last);
        std::thread::sleep(dice.millis(0, 200));
        fleet.start(last);
        kills += 1;
    }
    kills
}

#[test]
fn a_node_that_is_killed_and_started_again_and_again_loses_nothing() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let mut kills = 0;
    let outcome = under_load(&mut fleet, |fleet, dice| kills = kill_one(fleet, dice));
    outcome.is_clean("a node killed (SIGKILL) and started again", kills, None);
}

/// Ends some connections of the nodes. Returns how many.
fn end_some(fleet: &Fleet, some: i64) -> u64 {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM
                   (SELECT pid FROM pg_stat_activity WHERE usename LIKE 'node%' AND datname = current_database()
                    ORDER BY random() LIMIT $1) chosen";
    fleet.sql.count(sql, &[&some])
}

/// Ends connections of the nodes every 200 ms, for a while. Returns how many.
fn end_connections(fleet: &Fleet) -> u64 {
    let (begun, mut ended) = (Instant::now(), 0);
    while begun.elapsed() < SHORT {
        ended += end_some(fleet, 3);
        std::thread::sleep(Duration::from_millis(200)); // how often it happens, not how long it takes
    }
    ended
}

#[test]
fn connections_that_the_database_ends_cost_nothing() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let mut ended = 0;
    let outcome = under_load(&mut fleet, |fleet, _| ended = end_connections(fleet));
    outcome.is_clean("connections ended by the database, three every 200 ms", ended, None);
}

/// Starts nodes whose connections to the database are cut around COMMIT, for a while, under load.
fn cut_around_commit(nodes: usize) -> Option<(Outcome, [u64; 3])> {
    let mut fleet = Fleet::without_nodes()?;
    let (through, cuts) = wire(fleet.port(), fleet.seed);
    for _ in 0..nodes {
        fleet.add(&through.to_string());
    }
    fleet.subscribe();
    let outcome = under_load(&mut fleet, |_, _| {
        cuts.cut(true);
        std::thread::sleep(SHORT); // so long it cuts
        cuts.cut(false);
    });
    Some((outcome, cuts.counted()))
}

#[test]
fn a_commit_whose_answer_is_lost_is_on_the_disk_once() {
    let Some((outcome, cuts)) = cut_around_commit(2) else { return };
    outcome.is_clean(
        "a connection cut before a commit, or between it and its answer",
        cuts.iter().sum(),
        None,
    );
    assert!(cuts.iter().all(|cuts| *cuts > 0), "before, between, after: {cuts:?}");
}

/// Resets connections of the nodes on their way to the database, for a while. Returns how many.
fn reset_connections(cuts: &Cuts, dice: &mut Dice) -> u64 {
    let (begun, mut reset) = (Instant::now(), 0);
    while begun.elapsed() < SHORT {
        reset += cuts.reset(3);
        std::thread::sleep(dice.millis(20, 200)); // reset at any instant; the seed repeats it
    }
    reset
}

#[test]
fn connections_that_are_reset_cost_nothing() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    let (through, cuts) = wire(fleet.port(), fleet.seed);
    for _ in 0..2 {
        fleet.add(&through.to_string());
    }
    fleet.subscribe();
    let mut reset = 0;
    let outcome = under_load(&mut fleet, |_, dice| reset = reset_connections(&cuts, dice));
    outcome.is_clean("connections reset (RST) on the way, three every 110 ms", reset, None);
}

/// Breaks off the nodes' transactions, once in so many statements that write: after a statement, or at COMMIT. The codes are
/// those of a failed serialization and of a deadlock.
struct BreakOff<'a>(&'a Sql);

impl<'a> BreakOff<'a> {
    /// Makes what does it, and does not begin. Nodes may run: each statement locks one table alone.
    fn prepare(sql: &'a Sql) -> Self {
        sql.run("CREATE SEQUENCE broken_off");
        let this = Self(sql);
        this.set("false");
        for table in ["orders", "number", "event", "notification", "attempt", "tally", "lease"] {
            sql.run(&format!(
                "CREATE TRIGGER break_off AFTER INSERT OR UPDATE ON {table} FOR EACH STATEMENT
                     EXECUTE FUNCTION break_off()"
            ));
        }
        sql.run(
            "CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON committed DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION break_off()",
        );
        this
    }

    /// Sets when it does it.
    fn set(&self, when: &str) {
        self.0.run(&format!(
            "CREATE OR REPLACE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF session_user LIKE 'node%' AND {when} THEN
                     PERFORM nextval('broken_off');
                     RAISE 'on purpose' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END;
                 END IF;
                 RETURN NULL;
             END $$"
        ));
    }

    /// Returns how often it was done.
    fn count(&self) -> u64 {
        self.0.count("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM broken_off", &[])
    }
}

/// Breaks off one in 25 statements that write, for a while.
fn break_off(transactions: &BreakOff<'_>) {
    transactions.set("random() < 0.04");
    std::thread::sleep(SHORT); // so long it breaks them off
    transactions.set("false");
}

/// Returns the most tries of one transaction that a node's log tells of, beside the last.
fn most_tries(log: &str) -> u32 {
    let tries = log.lines().filter_map(|line| {
        let (_, from) = line.split_once("a transaction is tried again")?;
        let (_, count) = from.split_once("tries=")?;
        count.split(' ').next()?.parse().ok()
    });
    tries.max().unwrap_or(0)
}

#[test]
fn transactions_that_the_database_breaks_off_are_run_again() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    BreakOff::prepare(&fleet.sql);
    let outcome = under_load(&mut fleet, |fleet, _| break_off(&BreakOff(&fleet.sql)));
    let broken_off = BreakOff(&fleet.sql).count();
    outcome.is_clean(
        "transactions broken off (40001, 40P01), one in 25 statements that write",
        broken_off,
        None,
    );
    assert!(broken_off > 0, "nothing was broken off");
    let tries: Vec<u32> = (0..2).map(|n| most_tries(&fleet.log(n))).collect();
    assert!(
        tries.iter().any(|tries| *tries > 0) && tries.iter().all(|tries| *tries < TRIES_MAX),
        "{tries:?}"
    );
}

/// How often a node tries a transaction.
const TRIES_MAX: u32 = 8;

#[test]
fn a_transaction_that_is_always_broken_off_is_given_up() {
    let Some(fleet) = Fleet::of(1) else { return };
    let break_off = BreakOff::prepare(&fleet.sql);
    break_off.set("TG_TABLE_NAME = 'orders'");
    let refused = post_one_answer(fleet.address(0), "given up");
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")), "{refused:?}");
    assert_eq!(break_off.count(), u64::from(TRIES_MAX));
    break_off.set("false");
    assert!(post_one(fleet.address(0), "given up").is_some());
    assert_eq!(fleet.sql.count("SELECT count(*) FROM orders", &[]), 1);
}

#[test]
fn orders_that_end_in_a_deadlock_with_another_session_are_run_again() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    // Of two in a deadlock, that one is broken off which looks first. A session looks once, so long after it began to wait.
    for node in 0..2 {
        fleet.sql.run(&format!("ALTER ROLE node_{node} SET deadlock_timeout = '150ms'"));
    }
    let other = Sql::of(&fleet.url);
    other.run("SET deadlock_timeout = '1min'");
    let deadlocks = |sql: &Sql| {
        sql.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", &[])
    };
    let outcome = under_load(&mut fleet, |fleet, dice| {
        busy(fleet, 30);
        // New connections have the settings. The others end.
        end_some(fleet, 100);
        until("there are deadlocks", || {
            // In the other direction than the nodes, which lock in the order of the digits.
            let first = FIRST + 10_000_000_000 + dice.below(3) * 1_000;
            let half = NUMBERS / 2;
            other.run("BEGIN");
            for from in [first + half, first] {
                let lock = format!(
                    "SELECT number FROM number WHERE number >= {from} AND number < {} ORDER BY number DESC FOR UPDATE",
                    from + half
                );
                other.run(&lock);
                std::thread::sleep(dice.millis(20, 60)); // nodes come to wait for these
            }
            other.run("COMMIT");
            (deadlocks(&fleet.sql) >= 5).then_some(())
        });
    });
    let found = deadlocks(&fleet.sql);
    for node in 0..2 {
        fleet.sql.run(&format!("ALTER ROLE node_{node} RESET deadlock_timeout"));
    }
    outcome.is_clean("deadlocks with another session", found, None);
}

#[test]
fn a_new_order_is_written_once_though_the_look_for_a_known_key_is_cut() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    let (through, cuts) = wire(fleet.port(), fleet.seed);
    fleet.add(&through.to_string());
    let node = fleet.address(0);
    let known = post_one(node, "known").expect("it is accepted");
    cuts.cut_after();
    // Together, so that a new order is in one statement with one whose key is known.
    let (rounds, tasks) = (6, 12);
    let accepted: usize = std::thread::scope(|scope| {
        let known = &known;
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                scope.spawn(move || {
                    let new = |round| {
                        let again = post_one(node, "known");
                        assert!(again.is_none_or(|again| again == *known));
                        post_without_key(node, &format!("new {task}-{round}"))
                    };
                    (0..rounds).filter(|round| new(*round)).count()
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().expect("a client failed; see above")).sum()
    });
    cuts.cut(false);
    let [_, _, cut] = cuts.counted();
    let there = |having: &str| {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM orders WHERE name <> 'known' GROUP BY name {having}) o"
        );
        fleet.sql.count(&sql, &[])
    };
    println!("{cut} cuts, {accepted} new orders accepted");
    assert!(cut > 0, "nothing was cut");
    assert_eq!(there("HAVING count(*) > 1"), 0, "orders were written twice");
    assert!(there("") >= u64::try_from(accepted).expect("few"), "orders were lost");
}

/// Starts a primary that waits for its standby, and that standby.
fn pair() -> Option<(Cluster, Cluster)> {
    let settings = quick().with("synchronous_standby_names", "ANY 1 (b)");
    let primary = Cluster::start(&programs()?, settings).expect("a primary");
    let standby = primary.standby("b").expect("a standby");
    prepare(&primary.url());
    Some((primary, standby))
}

/// What becomes of the primary in a failover.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Old {
    /// It crashes.
    Crashes,
    /// It hangs, and is itself again after the failover.
    Hangs,
    /// It goes on as if nothing had happened.
    Lives,
}

/// Sends a signal to a server of PostgreSQL and all its processes.
fn signal(cluster: &Cluster, name: &str) {
    let first = cluster.process().expect("it runs");
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).expect("it runs");
    for process in children.split_whitespace().chain([first.to_string().as_str()]) {
        // One may have ended meanwhile.
        let _ = Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", process, name]).output();
    }
}

/// Most connections of a node.
const CONNECTIONS_MAX: u64 = 16;

/// Lets every connection of the nodes wait for something at the primary. So a node can make no new one, by which it would
/// find another primary. They wait until the session that is returned ends.
fn keep_all_waiting(fleet: &Fleet) -> Sql {
    let sql = Sql::of(&fleet.url);
    sql.run("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE");
    let list = format!("/api/accounts/{}/disconnects?page=1&size=1", ACCOUNTS[0]);
    for n in 0..fleet.len() {
        for _ in 0..2 * CONNECTIONS_MAX {
            let (address, list) = (fleet.address(n), list.clone());
            std::thread::spawn(move || {
                let mut client = Client::signed(address, &basic(&user_of(ACCOUNTS[0]), PASSWORD));
                // It is refused, or answered in the end.
                let _ = client.send("GET", &list, "", "");
            });
        }
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'";
        let waiting = || fleet.sql.count(waiting, &[&format!("node_{n}")]);
        until("all connections of a node wait", || (waiting() == CONNECTIONS_MAX).then_some(()));
    }
    sql
}

/// Fails over to a standby, under load. Returns for how long no order was accepted.
fn fail_over(old: Old) -> Option<(Outcome, Duration)> {
    let turn = turn();
    let (mut primary, standby) = pair()?;
    let mut fleet = Fleet::on(&primary.url(), primary.port(), turn);
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    for _ in 0..2 {
        fleet.add(&hosts);
    }
    fleet.subscribe();
    let mut promoted = Instant::now();
    let outcome = under_load(&mut fleet, |fleet, _| {
        busy(fleet, 100);
        match old {
            Old::Crashes => primary.stop(Mode::Immediate).expect("it runs"),
            Old::Hangs => {
                let _waiting = keep_all_waiting(fleet);
                signal(&primary, "STOP");
            }
            Old::Lives => {}
        }
        promoted = Instant::now();
        standby.promote().expect("it follows");
        (fleet.sql, fleet.url) = (Sql::of(&standby.url()), standby.url());
        let there = || fleet.sql.whole("SELECT count(*) FROM orders", &[])[0];
        busy(fleet, there() + 50);
        if old == Old::Hangs {
            signal(&primary, "CONT");
        }
        busy(fleet, there() + 50);
        if old != Old::Crashes {
            let sql = Sql::of(&primary.url());
            // A session that waits for a standby there, or for such a session, does not see that its client is gone.
            let here = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'node%' AND wait_event = 'ClientRead'";
            until("no node uses the old primary", || (sql.count(here, &[]) == 0).then_some(()));
        }
    });
    let mut ended: Vec<Instant> = outcome.answers.clone();
    ended.sort_unstable();
    let gaps = ended.windows(2).filter(|two| two[1] > promoted).map(|two| two[1] - two[0].max(promoted));
    let gap = gaps.max().expect("orders are accepted again");
    Some((outcome, gap))
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_nothing_that_was_accepted() {
    let Some((outcome, gap)) = fail_over(Old::Crashes) else { return };
    outcome.is_clean("the primary crashed and its synchronous standby promoted", 1, Some(gap));
}

#[test]
fn a_failover_from_a_primary_that_hangs_finds_the_new_one() {
    let Some((outcome, gap)) = fail_over(Old::Hangs) else { return };
    outcome.is_clean(
        "the primary hung (SIGSTOP), its synchronous standby promoted, the old one awake again",
        1,
        Some(gap),
    );
}

#[test]
fn a_failover_that_leaves_the_old_primary_alive_confirms_nothing_that_the_new_one_does_not_have() {
    let Some((outcome, gap)) = fail_over(Old::Lives) else { return };
    outcome.is_clean("the synchronous standby promoted while the old primary lives on", 1, Some(gap));
}

#[test]
fn an_order_that_no_standby_has_is_not_confirmed_after_a_restart_of_the_primary() {
    let turn = turn();
    let Some((mut primary, mut standby)) = pair() else { return };
    let mut fleet = Fleet::on(&primary.url(), primary.port(), turn);
    fleet.add(&fleet.hosts());
    let address = fleet.address(0);
    // A sequence that has given a number gives the next ones without a write that waits for the standby.
    assert!(post_one(address, "first").is_some(), "the standby follows");
    standby.stop(Mode::Fast).expect("it runs");
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || tell.send(post_one(address, "waits")).expect("the test waits for it"));
        let waits = |sql: &Sql, text: &str| {
            let waits = "SELECT count(*) FROM pg_stat_activity
                         WHERE usename = 'node_0' AND wait_event = 'SyncRep' AND query LIKE $1";
            (sql.count(waits, &[&text]) > 0).then_some(())
        };
        until("the order waits for the standby", || waits(&fleet.sql, "COMMIT"));
        primary.stop(Mode::Immediate).expect("it runs");
        primary.start_again().expect("it starts");
        let sql = Sql::of(&primary.url());
        let there = "SELECT count(*) FROM orders WHERE name = 'waits'";
        assert_eq!(sql.count(there, &[]), 1, "a restarted primary shows what its standby does not have");
        until("the node asks for the outcome, and waits for the standby", || {
            let early = told.try_recv();
            assert!(early.is_err(), "it was answered while no standby had it: {early:?}");
            waits(&sql, "%prevented%")
        });
        standby.start_again().expect("it starts");
        let first = told.recv().expect("the client ends");
        let id = until("the order is accepted", || post_one(address, "waits"));
        assert!(first.is_none_or(|first| first == id));
        assert_eq!(sql.count(there, &[]), 1);
    });
}

/// How long a node may take to end after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(25);

#[test]
fn a_node_whose_database_hangs_ends_in_time_and_says_so() {
    let turn = turn();
    let Some(programs) = programs() else { return };
    let cluster = Cluster::start(&programs, quick()).expect("a cluster");
    prepare(&cluster.url());
    let mut fleet = Fleet::on(&cluster.url(), cluster.port(), turn);
    fleet.add(&fleet.hosts());
    assert!(post_one(fleet.address(0), "first").is_some());
    signal(&cluster, "STOP");
    let ((), took) = timed(|| fleet.terminate(0));
    let log = fleet.log(0);
    signal(&cluster, "CONT");
    assert!(took <= STOP_MAX + Duration::from_secs(2), "{took:?}");
    assert!(log.contains("the server has not ended in 25s"), "{log}");
}

/// Asks a node for something that anybody may have.
fn asked(fleet: &Fleet, path: &str) -> Answer {
    Client::of(fleet.address(0)).send("GET", path, "", "").expect("an answer")
}

/// Waits until a node is not ready, and returns why.
fn not_ready(fleet: &Fleet) -> String {
    until("the node is not ready", || {
        let said = asked(fleet, "/readyz");
        (said.status == 503).then_some(said.body)
    })
}

/// Asserts what a node answers while its database takes no writes: a new order is refused at once, and the metrics are
/// there.
fn refuses_at_once(fleet: &Fleet) {
    let (answer, took) = timed(|| post_one_answer(fleet.address(0), "refused"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let metrics = asked(fleet, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("onhook_commits_failed_total"), "{}", metrics.body);
}

#[test]
fn a_node_whose_database_waits_for_a_standby_that_is_away_says_so_and_refuses_what_would_wait() {
    let turn = turn();
    let Some((primary, mut standby)) = pair() else { return };
    let mut fleet = Fleet::on(&primary.url(), primary.port(), turn);
    fleet.add(&fleet.hosts());
    let address = fleet.address(0);
    assert!(post_one(address, "first").is_some(), "the standby follows");
    standby.stop(Mode::Fast).expect("it runs");
    std::thread::scope(|scope| {
        let waits = scope.spawn(move || post_one(address, "waits"));
        let why = not_ready(&fleet);
        assert!(why.contains("synchronous standby"), "{why}");
        assert!(asked(&fleet, "/metrics").body.contains("onhook_store_up 1"), "it can be read");
        refuses_at_once(&fleet);
        let list = format!("/api/accounts/{}/disconnects?page=1&size=1", ACCOUNTS[0]);
        let mut client = Client::signed(address, &basic(&user_of(ACCOUNTS[0]), PASSWORD));
        assert_eq!(client.send("GET", &list, "", "").expect("an answer").status, 200, "reads go on");
        standby.start_again().expect("it starts");
        let first = waits.join().expect("the client ends");
        until("the node is ready", || (asked(&fleet, "/readyz").status == 200).then_some(()));
        let id = until("the order is accepted", || post_one(address, "waits"));
        assert!(first.is_none_or(|first| first == id));
    });
}

#[test]
fn a_node_that_may_not_sign_in_to_its_database_any_more_refuses_and_is_not_ready_until_it_may() {
    let Some(fleet) = Fleet::of(1) else { return };
    assert!(post_one(fleet.address(0), "first").is_some());
    fleet.sql.run("ALTER ROLE node_0 NOLOGIN");
    end_some(&fleet, 1_000);
    let why = not_ready(&fleet);
    assert!(why.contains("node_0"), "{why}");
    refuses_at_once(&fleet);
    assert!(asked(&fleet, "/metrics").body.contains("onhook_store_up 0"), "it cannot be read");
    fleet.sql.run("ALTER ROLE node_0 LOGIN");
    until("the node is ready", || (asked(&fleet, "/readyz").status == 200).then_some(()));
    assert!(post_one(fleet.address(0), "second").is_some());
}

/// A connection pooler between the nodes and the database. Dropping it ends it.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts pgbouncer with the configuration that lies beside the documents, in front of a fleet's database. Returns it with its
/// host and port, and the file of the authority that signed its certificate. `None` if it is not installed.
fn pgbouncer(fleet: &Fleet) -> Option<(Pooler, String, String)> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let program = "pgbouncer";
    Command::new(program).arg("--version").stdout(Stdio::null()).status().ok()?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let write = |name: &str, text: &str| {
        let path = fleet.path(name);
        std::fs::write(&path, text).expect("room");
        path.to_str().expect("it is UTF-8").to_owned()
    };
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let certificate = write("pgbouncer.pem", &own.cert.pem());
    let key = write("pgbouncer.key", &own.signing_key.serialize_pem());
    let users = write("userlist.txt", &format!("\"node_0\" \"{PASSWORD}\"\n\"node_1\" \"{PASSWORD}\"\n"));
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/pgbouncer.ini");
    let mut text = std::fs::read_to_string(file).expect("it is there");
    for (there, here) in [
        (
            "onhook = host=db-a.example.net port=5432 dbname=onhook",
            &*format!("* = host=127.0.0.1 port={}", fleet.port()),
        ),
        ("listen_addr = 10.0.0.21", "listen_addr = 127.0.0.1\nunix_socket_dir ="),
        ("listen_port = 6432", &format!("listen_port = {port}")),
        ("/etc/pgbouncer/userlist.txt", &users),
        ("/etc/pgbouncer/pgbouncer.pem", &certificate),
        ("/etc/pgbouncer/pgbouncer.key", &key),
        // The cluster of the tests speaks no TLS.
        ("server_tls_sslmode = verify-full", "server_tls_sslmode = disable"),
        ("server_tls_ca_file = /etc/pgbouncer/database-ca.pem", ""),
        // So few that nodes share them.
        ("default_pool_size = 40", "default_pool_size = 8"),
    ] {
        assert!(text.contains(there), "{there:?} does not stand in pgbouncer.ini");
        text = text.replace(there, here);
    }
    let config = write("pgbouncer.ini", &text);
    let folder = std::path::Path::new(&config).parent().expect("it is in a folder");
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    drop(listener);
    let mut command = Command::new(program);
    if std::fs::metadata("/proc/self").is_ok_and(|myself| myself.uid() == 0) {
        command.args(["--user", "nobody"]);
    }
    let log = std::fs::File::create(fleet.path("pgbouncer.log")).expect("room");
    let pooler =
        Pooler(command.arg(&config).stderr(log).stdout(Stdio::null()).spawn().expect("it was there"));
    let hosts = format!("127.0.0.1:{port}");
    until("pgbouncer listens", || std::net::TcpStream::connect(&hosts).ok());
    Some((pooler, hosts, certificate))
}

#[test]
fn nodes_work_behind_a_pooler_that_gives_each_transaction_another_connection() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    let Some((_pooler, hosts, authority)) = pgbouncer(&fleet) else {
        println!("skipped: pgbouncer is not installed (on Debian and Ubuntu `apt install pgbouncer`)");
        return;
    };
    for n in 0..2 {
        fleet.add_by(
            &format!("node_{n}:{}", PASSWORD.replace(' ', "%20")),
            &hosts,
            &format!("sslmode=verify-full&sslrootcert={authority}"),
        );
    }
    fleet.subscribe();
    let mut ended = 0;
    let outcome = under_load(&mut fleet, |fleet, _| ended = end_connections(fleet));
    outcome.is_clean("connections ended behind pgbouncer in transaction mode", ended, None);
    for n in 0..2 {
        let log = fleet.log(n);
        assert!(log.contains("statements are sent without names"), "the pooler was not noticed");
        assert!(!log.contains("prepared statement"), "names were used in another's session");
    }
}

#[test]
fn nodes_that_are_restarted_one_after_another_fail_no_request() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let address = proxy(fleet.world.clone());
    let mut restarts = 0;
    let outcome = under_load_at(&mut fleet, Some(address), |fleet, _| {
        for _ in 0..2 {
            for n in 0..fleet.len() {
                fleet.terminate(n);
                fleet.start(n);
                restarts += 1;
            }
        }
    });
    let failed = outcome.failed;
    outcome.is_clean("a node ended (SIGTERM) and started again behind a proxy", restarts, None);
    assert_eq!(failed, 0, "requests failed");
}

#[test]
fn nodes_that_go_by_different_settings_say_so() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    for _ in 0..2 {
        fleet.add(&fleet.hosts());
    }
    let differ = |fleet: &Fleet, n: usize| {
        let metrics = Client::of(fleet.address(n)).send("GET", "/metrics", "", "").expect("an answer").body;
        metrics.lines().find_map(|line| line.strip_prefix("onhook_settings_differ ")).map(str::to_owned)
    };
    let until_all_say = |fleet: &Fleet, said: &str| {
        for n in 0..2 {
            until("the metric", || (differ(fleet, n).as_deref() == Some(said)).then_some(()));
        }
    };
    until_all_say(&fleet, "0");
    assert!(!(fleet.log(0) + &fleet.log(1)).contains("other settings"), "they go by the same ones");

    let file = "time_zone = \"Pacific/Honolulu\"\nrnd_cutoff_day = 10\n";
    fleet.configure(1, file);
    until_all_say(&fleet, "1");
    for (n, by) in [
        (0, r#"rnd_cutoff_day (not set here, 10 there), time_zone ("UTC" here, "Pacific/Honolulu" there)"#),
        (1, r#"rnd_cutoff_day (10 here, not set there), time_zone ("Pacific/Honolulu" here, "UTC" there)"#),
    ] {
        let (log, other) = (fleet.log(n), fleet.address(1 - n));
        let told: Vec<&str> = log.lines().filter(|line| line.contains("other settings")).collect();
        assert!(
            matches!(&told[..], [line] if line.contains("WARN")
                && line.contains(&format!(" {other} goes by other settings than this one: {by}. "))),
            "{told:?}"
        );
    }

    fleet.configure(0, file);
    until_all_say(&fleet, "0");
}

/// Asks until the answer is refused. A request that is sent later than [`SOON`] after a change must be.
fn refused_soon(what: &str, mut ask: impl FnMut() -> Answer) {
    let changed = Instant::now();
    until(what, || {
        let sent = changed.elapsed();
        let answer = ask();
        assert!(answer.status == 401 || sent <= SOON, "{what}: {answer:?}, sent after {sent:?}");
        (answer.status == 401).then_some(())
    });
}

#[test]
fn a_change_at_one_node_holds_at_all_of_them_soon() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    for _ in 0..2 {
        fleet.add(&fleet.hosts());
    }
    let account = ACCOUNTS[1];
    let (user, list) = (user_of(account), format!("/api/accounts/{account}/disconnects?page=1&size=1"));
    let ask = |n: usize, authorization: &str| {
        Client::signed(fleet.address(n), authorization).send("GET", &list, "", "").expect("an answer")
    };
    let token = |n: usize, password: &str| {
        let form = "application/x-www-form-urlencoded";
        let mut client = Client::signed(fleet.address(n), &basic(&user, password));
        let answer =
            client.send_typed("POST", "/api/v1/oauth2/token", "", form, "grant_type=client_credentials");
        let answer: serde_json::Value =
            serde_json::from_str(&answer.expect("an answer").body).expect("a JSON document");
        format!("Bearer {}", answer["access_token"].as_str().expect("a token"))
    };
    let (old, new) = (basic(&user, PASSWORD), basic(&user, "battery staple"));
    let first = token(0, PASSWORD);
    for n in 0..2 {
        assert_eq!(
            [&old, &first].map(|signed| ask(n, signed).status),
            [200, 200],
            "both nodes know the user"
        );
    }
    // A subscription at one node, and an event at the other.
    let mut client = Client::signed(fleet.address(1), &old);
    let id = fleet.subscribe_at(&mut client, account, "orders");
    let order = post_one(fleet.address(0), "told");
    assert!(order.is_some(), "the order is accepted");
    let told = "SELECT n.id::text FROM notification n JOIN subscription s ON s.seq = n.subscription
                WHERE s.id::text = $1 AND n.standing = 1";
    let (ids, _) = within(SOON, "the receiver is told", || {
        let ids = fleet.sql.texts(told, &[&id]);
        (!ids.is_empty()).then_some(ids)
    });
    assert_eq!(fleet.told.times(&ids[0]), 1);

    let body = "<Password>battery staple</Password>";
    let mut client = Client::signed(fleet.address(0), &old);
    let changed = client.send("PUT", &format!("/api/users/{user}/password"), "", body).expect("an answer");
    assert_eq!(changed.status, 200, "{changed:?}");
    for n in 0..2 {
        refused_soon("the old password", || ask(n, &old));
        refused_soon("the old token", || ask(n, &first));
        assert_eq!(ask(n, &new).status, 200, "the new password");
    }
    let second = token(1, "battery staple");
    assert_eq!([0, 1].map(|n| ask(n, &second).status), [200, 200]);

    let said = fleet.onhook(&["admin", "user", "remove", &user], b"");
    assert_eq!(said.code, 0, "{said:?}");
    for n in 0..2 {
        refused_soon("the password of a removed user", || ask(n, &new));
        refused_soon("the token of a removed user", || ask(n, &second));
    }
}

#[test]
fn what_a_killed_node_was_delivering_is_delivered_by_another_in_time_under_the_same_id() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    fleet.told.answers_after(Duration::from_secs(60));
    assert!(post_one(fleet.address(0), "held").is_some(), "the order is accepted");
    let claimed = "SELECT n.id::text, l.name FROM notification n JOIN lease l ON l.token = n.claim";
    let row = until("a node delivers", || {
        let row = fleet.sql.rows(claimed, &[]).pop()?;
        (fleet.told.times(row.get(0)) == 1).then_some(row)
    });
    let (id, lease): (String, String) = (row.get(0), row.get(1));
    let n = (0..2).find(|n| fleet.lease(*n) == lease).expect("one of the two");
    fleet.kill(n);
    fleet.told.answers_soon();
    let done = "SELECT count(*) FROM notification WHERE id::text = $1 AND standing = 1";
    let done = || (fleet.sql.count(done, &[&id]) == 1).then_some(());
    let (_, took) = within(LEASE + AFTER_LEASE, "the other node delivers it", done);
    println!("delivered by the other node {:.1} s after the kill", took.as_secs_f64());
    assert_eq!(fleet.told.times(&id), 2, "once from each node");
    assert_eq!(fleet.sql.count("SELECT count(*) FROM attempt", &[]), 1, "one of them is recorded");
}

#[test]
fn a_node_keeps_its_lease_while_what_it_records_waits_for_another() {
    let Some(fleet) = Fleet::of(1) else { return };
    let held = Sql::of(&fleet.url);
    held.run("BEGIN; SELECT 1 FROM subscription FOR UPDATE");
    assert!(post_one(fleet.address(0), "waits").is_some(), "the order is accepted");
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE usename = 'node_0' AND wait_event_type = 'Lock' AND query LIKE '%FROM subscription%'";
    until("the record waits", || (fleet.sql.count(waits, &[]) > 0).then_some(()));
    let lease = || {
        let row =
            fleet.sql.rows("SELECT token, until FROM lease WHERE name = $1", &[&fleet.lease(0)]).remove(0);
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    let (token, first) = lease();
    let whole = i64::try_from(LEASE.as_millis()).expect("short");
    until("the lease is renewed", || {
        let (now, until) = lease();
        assert_eq!(now, token, "it was lost");
        (until >= first + whole).then_some(())
    });
    held.run("ROLLBACK");
}

/// Numbers that age, and are due one after another.
const DUE: u64 = 300;
/// The first of them.
const DUE_FIRST: u64 = 9_805_560_000;

/// Imports numbers of the first account that age. The first is due in five seconds, and one more every 20 ms.
fn import_due(fleet: &Fleet) {
    let sql = "SELECT to_char(now() + (5000 + 20 * n) * interval '1 ms', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
               FROM generate_series(0, $1::bigint) n ORDER BY n";
    let instants = fleet.sql.texts(sql, &[&i64::try_from(DUE - 1).expect("few")]);
    let mut lines = "number,state,former_account,region,release_at\n".to_owned();
    for (number, at) in (DUE_FIRST..).zip(instants) {
        lines += &format!("{number},Aging,{},NC,{at}\n", ACCOUNTS[0]);
    }
    let said = fleet.onhook(&["import", "-"], lines.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
}

/// Watches the numbers that are due until all are released, and returns how many were too early by this machine's clock.
fn watch_releases(sql: &Sql, due: &[(i64, i64)]) -> usize {
    let mut left: HashMap<i64, i64> = due.iter().copied().collect();
    let mut early = 0;
    within(Duration::from_secs(60), "all are released", || {
        let numbers: Vec<i64> = left.keys().copied().collect();
        let released =
            sql.whole("SELECT number FROM number WHERE state = 0 AND number = ANY($1)", &[&numbers]);
        let now =
            i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis()).expect("soon");
        early += released.iter().filter_map(|number| left.remove(number)).filter(|at| now < *at).count();
        left.is_empty().then_some(())
    });
    early
}

#[test]
fn numbers_that_are_due_while_nodes_are_killed_and_stopped_are_released_once_and_not_early() {
    let Some(mut fleet) = Fleet::of(3) else { return };
    let (mut injected, mut early) = (0, 0);
    let outcome = under_load(&mut fleet, |fleet, dice| {
        import_due(fleet);
        let due = fleet.sql.rows(
            "SELECT number, due_at FROM number WHERE state = 3 AND number >= $1 AND number < $2",
            &[
                &(10_000_000_000 + i64::try_from(DUE_FIRST).expect("small")),
                &(10_000_000_000 + i64::try_from(DUE_FIRST + DUE).expect("small")),
            ],
        );
        let due: Vec<(i64, i64)> = due.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(due.len(), usize::try_from(DUE).expect("few"), "some were due before they were looked at");
        let sql = Sql::of(&fleet.url);
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| watch_releases(&sql, &due));
            while !watch.is_finished() {
                // Whichever node releases, it is hit in turn: one is stopped for longer than its lease, another killed.
                let stopped = usize::try_from(dice.below(2)).expect("few");
                fleet.signal(stopped, "STOP");
                injected += 1 + kill_for(fleet, dice, LEASE * 3 / 2);
                fleet.signal(stopped, "CONT");
            }
            early = watch.join().expect("see above");
        });
    });
    outcome.is_clean("numbers due while nodes are killed and stopped", injected, None);
    assert_eq!(early, 0, "released early");
    let released = "SELECT count(*), count(DISTINCT number) FROM event WHERE detail LIKE '%Released%'";
    let row = fleet.sql.rows(released, &[]).remove(0);
    let due = i64::try_from(DUE).expect("few");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (due, due), "each is released once");
}

/// An import whose file does not end, so that it is in the middle of being sent.
struct Endless {
    import: Child,
    stdin: std::process::ChildStdin,
}

impl Endless {
    /// Begins to import numbers from this one on, and waits until the database has the first part of the file.
    fn begin(fleet: &Fleet, first: u64) -> Self {
        let mut command = program::command(&["import", "-", "--reason", "r", "--database-url", &fleet.url]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut import = command.spawn().expect("it starts");
        let mut stdin = import.stdin.take().expect("it is piped");
        let numbers = |from: u64, to: u64| (from..to).map(|n| format!("{}\n", first + n)).collect::<String>();
        let file = format!("number\n{}", numbers(0, ENDLESS));
        std::io::Write::write_all(&mut stdin, file.as_bytes()).expect("it reads");
        let staged = "SELECT count(*) FROM job WHERE kind = 'import' AND state = 'receiving'";
        until("the import is received", || (fleet.sql.count(staged, &[]) > 0).then_some(()));
        Self { import, stdin }
    }

    fn signal(&self, name: &str) {
        let id = self.import.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", &id, name]).status();
        assert!(sent.expect("there is a shell").success());
    }

    /// Lets its file end, and returns how it ended.
    fn end(mut self) -> Option<i32> {
        drop(self.stdin);
        self.import.wait().expect("it is ours").code()
    }
}

/// How long the lease of a command lasts under which its file arrives.
const COMMAND_LEASE: Duration = Duration::from_secs(10);
/// Lines of an import whose file does not end: more than are read before the first are sent.
const ENDLESS: u64 = 60_000;

#[test]
fn an_import_that_is_stopped_or_killed_is_undone_and_keeps_nobody_waiting_for_long() {
    let Some(fleet) = Fleet::without_nodes() else { return };
    let (first, other) = (2_125_560_000, "number\n2135550101\n");
    let there = "SELECT count(*) FROM number WHERE number BETWEEN 12125560000 AND 12125619999";

    let killed = Endless::begin(&fleet, first);
    killed.signal("KILL");
    let (said, took) = timed(|| fleet.onhook(&["import", "-"], other.as_bytes()));
    println!("after SIGKILL another import took {took:.1?}");
    assert_eq!((said.code, fleet.sql.count(there, &[])), (0, 0), "{said:?}");
    assert_eq!(killed.end(), None);

    let stopped = Endless::begin(&fleet, first);
    stopped.signal("STOP");
    let (said, took) = timed(|| fleet.onhook(&["import", "-"], "number\n2135550102\n".as_bytes()));
    println!("after SIGSTOP another import took {took:.1?}");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(took <= COMMAND_LEASE + AFTER_LEASE + AFTER_LEASE, "it waited for {took:?}");
    stopped.signal("CONT");
    // It is refused, or its lease is lost while it asks.
    let ended = stopped.end();
    assert!(matches!(ended, Some(1 | 2)) && fleet.sql.count(there, &[]) == 0, "it was undone: {ended:?}");

    let whole = Endless::begin(&fleet, first);
    assert_eq!((whole.end(), fleet.sql.count(there, &[])), (Some(0), ENDLESS));
    assert_eq!(fleet.onhook(&["check", "--deep"], b"").code, 0);
}

/// How often the connections of an import are ended.
const ENDED: usize = 12;

/// A connection that breaks while the import's file is read from the database is not the end of that file.
#[test]
fn an_import_brings_all_of_its_file_though_the_database_ends_its_connections() {
    let Some(fleet) = Fleet::without_nodes() else { return };
    let under_way = "SELECT count(*) FROM job WHERE kind = 'import' AND state IN ('checking', 'writing')";
    let end = "SELECT count(*) FROM
                   (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'onhook' AND query LIKE '%bytes FROM import_part%') AS ended";
    let Endless { mut import, stdin } = Endless::begin(&fleet, 2_125_560_000);
    drop(stdin); // its file ends
    let mut ended = 0;
    let code = until("the import ends", || {
        if ended < ENDED && fleet.sql.count(under_way, &[]) > 0 {
            ended += usize::from(fleet.sql.count(end, &[]) > 0);
        }
        import.try_wait().expect("it is ours").map(|status| status.code())
    });
    println!("its connections were ended {ended} times");
    assert!(ended > 0, "it was over before a connection was ended");
    assert_eq!(code, Some(0));
    let there = "SELECT count(*) FROM number WHERE number BETWEEN 12125560000 AND 12125619999";
    assert_eq!(fleet.sql.count(there, &[]), ENDLESS);
    assert_eq!(fleet.onhook(&["check", "--deep"], b"").code, 0);
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    (work(), begun.elapsed())
}

/// Makes the database's clock run ahead, for one of the nodes.
fn set_ahead(sql: &Sql, node: usize, seconds: u32) {
    // What is named before `pg_catalog` in the path hides what is in it.
    sql.run(&format!(
        "CREATE SCHEMA IF NOT EXISTS ahead;
         CREATE OR REPLACE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql
             AS $$ SELECT pg_catalog.clock_timestamp() + {seconds} * interval '1 s' $$;
         ALTER ROLE node_{node} IN DATABASE {} SET search_path = public, ahead, pg_catalog",
        sql.texts("SELECT current_database()::text", &[])[0]
    ));
}

#[test]
fn a_node_whose_clock_is_far_from_the_databases_takes_nothing_and_leaves_the_work_to_others() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    set_ahead(&fleet.sql, 0, 6);
    let hosts = fleet.hosts();
    fleet.add(&hosts);
    let ready = |fleet: &Fleet, n: usize| {
        Client::of(fleet.address(n)).send("GET", "/readyz", "", "").expect("an answer")
    };
    let answer = ready(&fleet, 0);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("the clock is 6 seconds behind the database's"), "{answer:?}");
    let refused = post_one_answer(fleet.address(0), "refused");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(fleet.sql.count("SELECT count(*) FROM orders", &[]), 0);
    // It was first, but the other one does all that is to be done.
    fleet.add(&hosts);
    assert_eq!(ready(&fleet, 1).status, 200);
    import_due(&fleet);
    assert!(post_one(fleet.address(1), "taken").is_some());
    let left = "SELECT (SELECT count(*) FROM orders WHERE status = 0) + (SELECT count(*) FROM number WHERE state = 3)";
    until("the other node has run the order and released the numbers", || {
        (fleet.sql.count(left, &[]) == 0).then_some(())
    });
    assert_eq!(fleet.ran(), [0, 1]);
    // The clock is right again.
    set_ahead(&fleet.sql, 0, 0);
    fleet.kill(0);
    fleet.start(0);
    assert_eq!(ready(&fleet, 0).status, 200);
    assert!(post_one(fleet.address(0), "refused").is_some());
}

/// How many minutes the faults are mixed for, in the long form.
const MINUTES: &str = "ONHOOK_NODES_MINUTES";

#[test]
#[ignore = "the long form: `cargo xtask nodes`"]
fn faults_of_all_kinds_in_any_order_lose_nothing() {
    let minutes = std::env::var(MINUTES).map_or(1, |text| text.parse().expect("a number"));
    let (begun, mut dice) = (Instant::now(), Dice::of(fleet::dice::seed(), 99, 0));
    while begun.elapsed() < Duration::from_mins(minutes) {
        if dice.once_in(6) {
            let old = *dice.one_of(&[Old::Crashes, Old::Hangs, Old::Lives]);
            let Some((outcome, gap)) = fail_over(old) else { return };
            outcome.is_clean("mixed: failovers from a primary that crashed, hung or lived on", 1, Some(gap));
            continue;
        }
        let Some(mut fleet) = Fleet::without_nodes() else { return };
        let (through, cuts) = wire(fleet.port(), dice.below(1 << 40));
        for _ in 0..3 {
            fleet.add(&through.to_string());
        }
        fleet.subscribe();
        BreakOff::prepare(&fleet.sql);
        let (mut injected, mut longest) = (0, Duration::ZERO);
        let outcome = under_load(&mut fleet, |fleet, _| {
            for _ in 0..3 {
                cuts.cut(dice.once_in(2));
                match dice.below(5) {
                    0 => {
                        cuts.cut(false); // a takeover is measured
                        longest = longest.max(stop(fleet, &mut dice, true));
                        injected += 1;
                    }
                    1 => injected += kill_one(fleet, &mut dice),
                    2 => injected += reset_connections(&cuts, &mut dice),
                    3 => break_off(&BreakOff(&fleet.sql)),
                    _ => injected += end_connections(fleet),
                }
            }
            cuts.cut(false);
        });
        injected += cuts.counted().iter().sum::<u64>() + BreakOff(&fleet.sql).count();
        fleet.world.over.store(true, Ordering::Relaxed);
        outcome.is_clean(
            "mixed: stops, kills, connections ended, cut and reset, transactions broken off, three nodes",
            injected,
            Some(longest),
        );
        assert!(longest <= LEASE + AFTER_LEASE, "the work was taken over only after {longest:?}");
    }
}
