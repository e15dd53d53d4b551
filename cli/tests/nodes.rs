//! Several nodes on one database, on real clusters of PostgreSQL, while they and the database come to harm: nothing
//! that was accepted is lost, and nothing is done twice.

#![expect(clippy::print_stdout, reason = "figures to read with --nocapture")]

mod fleet;
mod program;

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fleet::dice::Dice;
use fleet::http::proxy;
use fleet::load::{Outcome, post_one, post_without_key, under_load, under_load_at};
use fleet::sql::Sql;
use fleet::wire::wire;
use fleet::{
    ACCOUNTS, AFTER_LEASE, Fleet, LEASE, PASSWORD, basic, prepare, programs, quick, turn, until, user_of,
    within,
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
    outcome.is_clean("a node stopped (SIGSTOP) for 1.5 leases of 2 s", 2, Some(longest));
    assert!(longest <= LEASE + AFTER_LEASE, "the work was taken over only after {longest:?}");
}

/// Kills the last node and starts it again, for a while. Returns how often.
fn kill_one(fleet: &mut Fleet, dice: &mut Dice) -> u64 {
    let (begun, last) = (Instant::now(), fleet.len() - 1);
    let mut kills = 0;
    while begun.elapsed() < SHORT {
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

/// Ends connections of the nodes every 200 ms, for a while. Returns how many.
fn end_connections(fleet: &Fleet) -> u64 {
    let (begun, mut ended) = (Instant::now(), 0);
    while begun.elapsed() < SHORT {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM
                       (SELECT pid FROM pg_stat_activity WHERE usename LIKE 'node%' AND datname = current_database()
                        ORDER BY random() LIMIT 3) chosen";
        ended += fleet.sql.count(sql, &[]);
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

/// Fails over to a standby, under load. Returns for how long no order was accepted.
fn fail_over() -> Option<(Outcome, Duration)> {
    let turn = turn();
    let (mut primary, standby) = pair()?;
    let mut fleet = Fleet::on(&primary.url(), primary.port(), turn);
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    for _ in 0..2 {
        fleet.add(&hosts);
    }
    fleet.subscribe();
    let mut stopped = Instant::now();
    let outcome = under_load(&mut fleet, |fleet, _| {
        busy(fleet, 100);
        stopped = Instant::now();
        primary.stop(Mode::Immediate).expect("it runs");
        standby.promote().expect("it follows");
        (fleet.sql, fleet.url) = (Sql::of(&standby.url()), standby.url());
        let there = fleet.sql.whole("SELECT count(*) FROM orders", &[])[0];
        busy(fleet, there + 50);
    });
    let mut ended: Vec<Instant> = outcome.answers.clone();
    ended.sort_unstable();
    let gaps = ended.windows(2).filter(|two| two[1] > stopped).map(|two| two[1] - two[0]);
    let gap = gaps.max().expect("orders are accepted again");
    Some((outcome, gap))
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_nothing_that_was_accepted() {
    let Some((outcome, gap)) = fail_over() else { return };
    outcome.is_clean("the primary crashed and its synchronous standby promoted", 1, Some(gap));
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
        until("the order waits for the standby", || waits(&fleet.sql, "%INTO idempotency%"));
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

/// A connection pooler between the nodes and the database. Dropping it ends it.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts pgbouncer in transaction mode, and returns it with its host and port. `None` if it is not installed.
fn pgbouncer(fleet: &Fleet) -> Option<(Pooler, String)> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let program = "pgbouncer";
    Command::new(program).arg("--version").stdout(Stdio::null()).status().ok()?;
    let (config, users) = (fleet.path("pgbouncer.ini"), fleet.path("users"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\npool_mode = transaction\nauth_type = trust\nauth_file = {}\ndefault_pool_size = 8\n",
        fleet.port(),
        users.display()
    );
    std::fs::write(&config, text).expect("room");
    std::fs::write(&users, "\"node_0\" \"\"\n\"node_1\" \"\"\n").expect("room");
    let folder = config.parent().expect("it is in a folder");
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
    Some((pooler, hosts))
}

#[test]
fn nodes_work_behind_a_pooler_that_gives_each_transaction_another_connection() {
    let Some(mut fleet) = Fleet::without_nodes() else { return };
    let Some((_pooler, hosts)) = pgbouncer(&fleet) else {
        println!("skipped: pgbouncer is not installed (on Debian and Ubuntu `apt install pgbouncer`)");
        return;
    };
    for _ in 0..2 {
        fleet.add(&hosts);
    }
    fleet.subscribe();
    let mut ended = 0;
    let outcome = under_load(&mut fleet, |fleet, _| ended = end_connections(fleet));
    outcome.is_clean("connections ended behind pgbouncer in transaction mode", ended, None);
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

/// How many minutes the faults are mixed for, in the long form.
const MINUTES: &str = "ONHOOK_NODES_MINUTES";

#[test]
#[ignore = "the long form: `cargo xtask nodes`"]
fn faults_of_all_kinds_in_any_order_lose_nothing() {
    let minutes = std::env::var(MINUTES).map_or(1, |text| text.parse().expect("a number"));
    let (begun, mut dice) = (Instant::now(), Dice::of(fleet::dice::seed(), 99, 0));
    while begun.elapsed() < Duration::from_mins(minutes) {
        if dice.once_in(6) {
            let Some((outcome, gap)) = fail_over() else { return };
            outcome.is_clean("mixed: the primary crashed and its synchronous standby promoted", 1, Some(gap));
            continue;
        }
        let Some(mut fleet) = Fleet::without_nodes() else { return };
        let (through, cuts) = wire(fleet.port(), dice.below(1 << 40));
        for _ in 0..3 {
            fleet.add(&through.to_string());
        }
        fleet.subscribe();
        let (mut injected, mut longest) = (0, Duration::ZERO);
        let outcome = under_load(&mut fleet, |fleet, _| {
            for _ in 0..3 {
                cuts.cut(dice.once_in(2));
                match dice.below(3) {
                    0 => {
                        cuts.cut(false); // a takeover is measured
                        longest = longest.max(stop(fleet, &mut dice, true));
                        injected += 1;
                    }
                    1 => injected += kill_one(fleet, &mut dice),
                    _ => injected += end_connections(fleet),
                }
            }
            cuts.cut(false);
        });
        injected += cuts.counted().iter().sum::<u64>();
        fleet.world.over.store(true, Ordering::Relaxed);
        outcome.is_clean(
            "mixed: stops, kills, connections ended and cut, three nodes",
            injected,
            Some(longest),
        );
        assert!(longest <= LEASE + AFTER_LEASE, "the work was taken over only after {longest:?}");
    }
}
