//! Several nodes on one database, on real clusters of PostgreSQL, while they and the database come to harm: nothing
//! that was accepted is lost, and nothing is done twice.

#![expect(clippy::print_stdout, reason = "figures to read with --nocapture")]

mod fleet;
mod program;

use std::time::{Duration, Instant};

use fleet::dice::Dice;
use fleet::load::under_load;
use fleet::wire::wire;
use fleet::{AFTER_LEASE, Fleet, LEASE, until, within};

/// How long a fault lasts that has no end of its own.
const SHORT: Duration = Duration::from_secs(5);

/// Two or three nodes without a fault. Returns after as many orders as make a load.
fn busy(fleet: &Fleet, orders: i64) {
    let enough = || (fleet.sql.whole("SELECT count(*) FROM orders", &[])[0] >= orders).then_some(());
    until("enough orders are accepted", enough);
}

#[test]
fn two_and_three_nodes_share_the_work_and_each_order_runs_once() {
    for nodes in [2, 3] {
        let Some(mut fleet) = Fleet::of(nodes) else { return };
        let outcome = under_load(&mut fleet, |fleet, _| busy(fleet, 300));
        outcome.is_clean(&format!("none, {nodes} nodes"), 0, "");
        assert!(fleet.ran().iter().all(|ran| *ran > 0), "one did all the work: {:?}", fleet.ran());
    }
}

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
    let left = || fleet.sql.count(orders, &[&waiting]) + fleet.sql.count(notifications, &[&claimed]);
    within(Duration::from_secs(30), "another node takes the work over", || (left() == 0).then_some(()));
    let took = stopped.elapsed();
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
    let took = format!("taken over after {:.1} s, with a lease of 2 s", longest.as_secs_f64());
    outcome.is_clean("SIGSTOP for 1.5 leases", 2, &took);
    assert!(longest <= LEASE + AFTER_LEASE, "{took}");
}

#[test]
fn a_node_that_is_killed_and_started_again_and_again_loses_nothing() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let mut kills = 0;
    let outcome = under_load(&mut fleet, |fleet, dice| {
        let begun = Instant::now();
        while begun.elapsed() < SHORT {
            std::thread::sleep(dice.millis(50, 500)); // killed at any instant; the seed repeats it
            fleet.kill(1);
            std::thread::sleep(dice.millis(0, 200));
            fleet.start(1);
            kills += 1;
        }
    });
    outcome.is_clean("SIGKILL of one node", kills, "");
}

#[test]
fn connections_that_the_database_ends_cost_nothing() {
    let Some(mut fleet) = Fleet::of(2) else { return };
    let mut ended = 0;
    let outcome = under_load(&mut fleet, |fleet, _| {
        let begun = Instant::now();
        while begun.elapsed() < SHORT {
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM
                           (SELECT pid FROM pg_stat_activity WHERE usename LIKE 'node%' AND datname = current_database()
                            ORDER BY random() LIMIT 3) chosen";
            ended += fleet.sql.count(sql, &[]);
            std::thread::sleep(Duration::from_millis(200)); // how often it happens, not how long it takes
        }
    });
    outcome.is_clean("pg_terminate_backend every 200 ms", ended, "");
}

#[test]
fn a_commit_whose_answer_is_lost_is_on_the_disk_once() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    let (through, cuts) = wire(fleet.port(), fleet.seed);
    for _ in 0..2 {
        fleet.add(&through.to_string());
    }
    fleet.subscribe();
    let outcome = under_load(&mut fleet, |_, _| {
        cuts.cut(true);
        std::thread::sleep(SHORT); // so long it cuts
        cuts.cut(false);
    });
    let [before, between, after] = cuts.counted();
    let told = format!("{before} before, {between} between, {after} after");
    outcome.is_clean("connection cut around COMMIT", before + between + after, &told);
    assert!(before > 0 && between > 0, "{told}");
}
