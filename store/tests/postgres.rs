//! The store in a PostgreSQL database: the suite of all stores, and tests of its own, on a real cluster.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

mod good;
mod openers;

use std::slice::from_ref;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use onhook_core::account::{AccountKind, Class};
use onhook_core::audit::line::LineFilter;
use onhook_core::ids::AccountId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::notify::subscription::{Digest, Email, NewSubscription, OrderType, Receiver, Subject};
use onhook_core::number::Number;
use onhook_core::order::{Kind, NewOrder, Refusal, Status};
use onhook_store::StoreError;
use onhook_store::audit::{Lookout, feed, known, positions, seal_all, seal_next, verify};
use onhook_store::contract::accounts::{Accounts, NewAccount};
use onhook_store::contract::audit::{Audit, SEALER};
use onhook_store::contract::deliveries::Deliveries;
use onhook_store::contract::imports::{Imports, Line, Lines};
use onhook_store::contract::leases::{Leases, NODE};
use onhook_store::contract::nodes::{Node, Nodes};
use onhook_store::contract::numbers::Numbers;
use onhook_store::contract::orders::Orders;
use onhook_store::contract::premises::{Removed, SitesAndPeers};
use onhook_store::contract::subscriptions::Subscriptions;
use onhook_store::contract::upkeep::Upkeep;
use onhook_store::postgres::{ConnectError, PostgresStore, newest_schema};
use tokio_postgres::NoTls;

use good::{
    DAMAGE, UNDER_A_SEAL, account, assert_found, assert_seals_are_followed, fill, new_order, now, number,
    put_ten_in_service,
};

mod conforms {
    onhook_store::conformance!({
        let Some(fresh) = crate::openers::database() else { return };
        fresh
    });
}

/// Changes a database behind its stores' backs.
async fn change(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

async fn ten_in_service(fresh: &openers::Database) -> PostgresStore {
    let store = PostgresStore::open(&fresh.0).await.unwrap();
    put_ten_in_service(&store).await;
    store
}

/// Damage that only this store's tables can have, or only in its SQL.
const OWN_DAMAGE: [(&str, &str); 5] = [
    ("DELETE FROM due WHERE number = 19195550101", "and nothing notes that"),
    ("UPDATE due SET due_at = due_at - 1 WHERE number = 19195550101", "Z, and is due at "),
    ("INSERT INTO due (due_at, number) VALUES (5, 19195550109)", "05Z, and is never due"),
    (
        "INSERT INTO users (folded, name, account, role, password_hash, generation, created_at)
         VALUES ('a', 'a', 1, 'operator', '', 0, 0)",
        "its role does not go with its account",
    ),
    (
        "INSERT INTO idempotency (account, key, digest, order_seq) VALUES (1, 'a', '', 77)",
        "an idempotency key",
    ),
];

#[tokio::test]
async fn the_checker_sees_what_was_tampered_with() {
    for (sql, found) in DAMAGE.into_iter().chain(OWN_DAMAGE) {
        let Some(fresh) = openers::database() else { return };
        let store = PostgresStore::open(&fresh.0).await.unwrap();
        fill(&store).await;
        change(&fresh.0, sql).await;
        assert_found(&store, sql, found).await;
    }
}

#[tokio::test]
async fn a_deep_check_beside_others_follows_the_seals() {
    let Some(fresh) = openers::database() else { return };
    let store = PostgresStore::open(&fresh.0).await.unwrap();
    fill(&store).await;
    seal_all(&store, now()).await.unwrap();
    assert_eq!(store.check_beside(true, Arc::new(|_| ())).await.unwrap().findings, vec![]);
    change(&fresh.0, UNDER_A_SEAL).await;
    assert_seals_are_followed(&store).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_unchanged() {
    let Some(fresh) = openers::database() else { return };
    ten_in_service(&fresh).await.close().await;
    change(&fresh.0, "UPDATE schema_version SET version = 99").await;
    let Err(ConnectError::Database { why, .. }) = PostgresStore::open(&fresh.0).await else {
        panic!("opened a newer schema")
    };
    assert!(why.contains("schema 99") && why.contains("knows schemas up to"), "{why}");
    change(&fresh.0, &format!("UPDATE schema_version SET version = {}", newest_schema())).await;
    let store = PostgresStore::open(&fresh.0).await.unwrap();
    assert_eq!(store.check(true).await.unwrap().numbers, 10);
}

#[tokio::test]
async fn an_order_that_brings_the_worker_down_is_set_aside_and_the_others_run() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    // The area does not exist, so judging this number panics.
    change(&fresh.0, "UPDATE number SET area = 77 WHERE number = 19195550101").await;
    let id = store.accept(new_order(&[number(1)])).await.unwrap().id;
    store.accept(new_order(&[number(2)])).await.unwrap();
    let mut ended = Vec::new();
    for _ in 0..5 {
        let step = store.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
        ended.extend(step.ended.into_iter().map(|order| order.status));
    }
    assert_eq!(ended, [Status::Complete, Status::Failed]);
    let order = store.order(account(), Kind::Disconnect, id).await.unwrap().unwrap();
    assert_eq!(order.failed[0].why, Refusal::SetAside);
}

/// Makes a second account, with number 20 in service.
async fn second_account(store: &PostgresStore) -> AccountId {
    let id = AccountId::new(2).unwrap();
    let new = NewAccount { id, name: "two".into(), kind: AccountKind::EndUser, class: Class::Unknown };
    store.create_account(new, Doer::offline(now())).await.unwrap();
    store.create_site(id, "a site".into(), now()).await.unwrap();
    let theirs = NewNumber { state: State::InService, account: Some(id), ..NewNumber::available(number(20)) };
    let lines = Box::new([(1, Ok(theirs))].into_iter());
    store.import(lines, Intake::of("test"), now(), Arc::default()).await.unwrap();
    id
}

/// An order of an account for a number.
fn order_of(account: AccountId, number: Number) -> Arc<NewOrder> {
    Arc::new(NewOrder { account, ..(*new_order(&[number])).clone() })
}

/// Locks number 1 while `work` runs, which begins when somebody waits for it.
async fn beside_one_that_waits(url: &str, waiter: impl Future<Output = ()>, work: impl Future<Output = ()>) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT 1 FROM number WHERE number = 19195550101 FOR UPDATE").await.unwrap();
    tokio::join!(waiter, async {
        let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND database =
                         (SELECT oid FROM pg_database WHERE datname = current_database())
                     UNION ALL SELECT 1 FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while client.query(waits, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        work.await;
        client.batch_execute("COMMIT").await.unwrap();
    });
    drop(client);
    connection.await.unwrap().unwrap();
}

/// What holds up the orders of one account must not hold up those of others.
#[tokio::test]
async fn nodes_share_the_accounts_whose_orders_wait() {
    let Some(fresh) = openers::database() else { return };
    let one = ten_in_service(&fresh).await;
    let other = PostgresStore::open(&fresh.0).await.unwrap();
    let second = second_account(&one).await;
    for node in [1, 2] {
        let name = format!("{NODE}{node}");
        one.take_lease(&name, std::time::Duration::from_mins(1)).await.unwrap().unwrap();
    }
    assert_eq!(one.pace().nodes, 1, "it has not looked yet");
    one.accept(new_order(&[number(1)])).await.unwrap();
    one.accept(order_of(second, number(20))).await.unwrap();
    let held_up = async {
        assert_eq!(one.run_orders(now(), 10, 10, Arc::default()).await.unwrap().ended.len(), 1);
    };
    beside_one_that_waits(&fresh.0, held_up, async {
        let step = other.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
        assert_eq!(step.ended.len(), 1, "the other account's order");
    })
    .await;
    // Nothing waits now, and there are as many nodes as before.
    other.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
    assert_eq!((one.pace().nodes, other.pace().nodes), (2, 2));
    assert_eq!(one.check(true).await.unwrap().findings, vec![]);
}

/// A step leaves accounts whose orders it cannot take to the next one, which does not wait for it. An account's orders run
/// one after another all the same.
#[tokio::test]
async fn steps_of_a_node_run_orders_of_different_accounts_side_by_side() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    let second = second_account(&store).await;
    let mut first = Vec::new();
    for n in 1..=3 {
        first.push(store.accept(new_order(&[number(n)])).await.unwrap().id);
    }
    for _ in 0..2 {
        store.accept(order_of(second, number(20))).await.unwrap();
    }
    let step = async || store.run_orders(now(), 1, 10, Arc::default()).await.unwrap();
    let ran = std::sync::Mutex::new(Vec::new());
    let held_up = async {
        let step = step().await;
        assert!(step.more);
        ran.lock().unwrap().extend(step.ended.into_iter().map(|ended| ended.id));
    };
    beside_one_that_waits(&fresh.0, held_up, async {
        for _ in 0..2 {
            let step = step().await;
            assert_eq!((step.ended.len(), step.busy), (1, true), "the other account's");
            assert!(!first.contains(&step.ended[0].id));
        }
        let step = step().await;
        assert_eq!((step.ended.len(), step.more, step.busy), (0, false, true), "nothing but what runs");
    })
    .await;
    for _ in 0..2 {
        let next = step().await;
        ran.lock().unwrap().extend(next.ended.into_iter().map(|ended| ended.id));
    }
    assert_eq!(*ran.lock().unwrap(), first, "in the order of their arrival");
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

/// The pool may grow while a step tries the orders that wait for numbers. Who finds their mark locked looks again.
#[tokio::test]
async fn a_step_says_that_another_one_tries_the_orders_that_wait_for_numbers() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    store.accept(new_order(&[number(1)])).await.unwrap();
    change(&fresh.0, "UPDATE orders SET status = 4; UPDATE counter SET value = 7 WHERE name = 'pool_grown'")
        .await;
    let (other, connection) = tokio_postgres::connect(&fresh.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    let mark = "BEGIN; SELECT 1 FROM counter WHERE name = 'back_orders_after' FOR UPDATE";
    other.batch_execute(mark).await.unwrap();
    let step = store.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
    assert_eq!((step.ended.len(), step.more, step.busy), (0, false, true));
}

/// A step that began before a subscription ended may write a notification for it yet, which must not be left without it.
#[tokio::test]
async fn a_subscription_that_has_ended_is_not_forgotten_while_its_account_is_told_something() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    let new = NewSubscription {
        account: account(),
        subject: Subject::Orders(OrderType::Disconnects, None),
        receiver: Receiver::Email(Email { address: "ops@example.com".into(), digest: Digest::None }),
        expires_at: Some(now().plus_millis(-1)),
    };
    store.subscribe(new, now()).await.unwrap();
    let (step, connection) = tokio_postgres::connect(&fresh.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    step.batch_execute("BEGIN; SELECT 1 FROM queue WHERE account = 1 FOR UPDATE").await.unwrap();
    assert_eq!(store.expire_subscriptions(now(), 10).await.unwrap().len(), 1);
    assert_eq!(store.forget_deliveries(now(), 10).await.unwrap(), 0);
    step.batch_execute("COMMIT").await.unwrap();
    assert_eq!(store.forget_deliveries(now(), 10).await.unwrap(), 1);
}

/// A node draws its number early and commits late. Others get their positions meanwhile, and it gets the next one.
#[tokio::test]
async fn an_event_that_is_committed_late_gets_a_later_position() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    let (client, connection) = tokio_postgres::connect(&fresh.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    let late = "BEGIN;
                INSERT INTO event (seq, at, kind, detail) VALUES (nextval('event_seq'), 0, 'exported', '{\"late\":true}');
                INSERT INTO unsealed (seq, seqs) SELECT currval('event_seq'), int8send(currval('event_seq'))";
    client.batch_execute(late).await.unwrap();
    store.create_site(account(), "another".into(), now()).await.unwrap();
    let lease = store.take_lease(SEALER, Duration::from_mins(1)).await.unwrap().unwrap();
    let before = u64::try_from(seal_next(&store, lease, now()).await.unwrap()).unwrap();
    // A report begins to read now: it could read what is committed next, and is told of it.
    let mut lookout = Lookout::new(before, known(&store, before).await.unwrap().last());
    assert_eq!(lookout.late(&store).await.unwrap(), []);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(lookout.late(&store).await.unwrap().len(), 1);
    assert_eq!(seal_next(&store, lease, now()).await.unwrap(), 1);
    let fed = feed(&store, before - 1, 10, &LineFilter::default()).await.unwrap();
    let [(site, made), (last, late)] = fed.lines.as_slice() else { panic!("{fed:?}") };
    assert_eq!((*site, *last, made.kind, late.kind), (before, before + 1, "site_created", "exported"));
    assert!(late.seq < made.seq, "it was written first");
    let found = positions(&store, [late.seq, made.seq]).await.unwrap();
    assert_eq!((found[&late.seq], found[&made.seq]), (before + 1, before));
    let then = known(&store, before).await.unwrap();
    assert!(then.has(made.seq) && !then.has(late.seq), "a report of then does not know it");
    for position in [before, before + 1] {
        assert_eq!(store.last_sealed(position).await.unwrap(), made.seq, "the late one is earlier");
    }
    assert_eq!(verify(&store, Vec::new()).await.unwrap().faults, []);
}

/// What reads an import's file may have an error of its own. Half of the file is no import.
#[tokio::test]
async fn an_import_whose_reader_panics_brings_nothing() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    let lines = (0..LINES).map(|n| match n {
        9_000 => panic!("on purpose"),
        n => available(n),
    });
    let import = |lines: Lines| store.import(lines, Intake::of("more"), now(), Arc::default());
    let failed = import(Box::new(lines)).await.unwrap_err();
    let cause = std::error::Error::source(&failed).unwrap().to_string();
    assert!(cause.contains("the lines of an import cannot be read to their end"), "{cause}");
    assert!(store.facts(nth(0)).await.unwrap().is_none());
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
    assert_eq!(import(Box::new((0..10).map(available))).await.unwrap().numbers, 10);
}

/// An import reads an account's sites when it first needs them, and may take minutes.
#[tokio::test]
async fn an_import_to_a_site_that_is_removed_meanwhile_is_refused() {
    let Some(fresh) = openers::database() else { return };
    let store = ten_in_service(&fresh).await;
    let site = store.create_site(account(), "another".into(), now()).await.unwrap().id;
    let (at_last, is_at_last) = tokio::sync::oneshot::channel();
    let (removed, is_removed) = mpsc::channel();
    let mut at_last = Some(at_last);
    let lines = (0..LINES).map(move |n| {
        // Lines are read a few thousand ahead. When the last is read, the first have been looked at.
        if n == LINES - 1 {
            at_last.take().unwrap().send(()).unwrap();
            is_removed.recv().unwrap();
        }
        let (state, account, site) = (State::InService, Some(account()), Some(site));
        (n, Ok(NewNumber { state, account, site, ..NewNumber::available(nth(n)) }))
    });
    let (imported, ()) =
        tokio::join!(store.import(Box::new(lines), Intake::of("more"), now(), Arc::default()), async {
            is_at_last.await.unwrap();
            assert_eq!(
                store
                    .remove_site(account(), site, onhook_core::lifecycle::provenance::Doer::offline(now()))
                    .await
                    .unwrap(),
                Removed::Gone
            );
            removed.send(()).unwrap();
        });
    let refused = imported.unwrap_err();
    let said =
        "nothing was imported: account 1 was closed meanwhile, or a site or peer of it deleted. Import again";
    assert!(matches!(&refused, StoreError::Conflict(why) if why == said), "{refused:?}");
    assert!(store.facts(nth(0)).await.unwrap().is_none());
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

/// Its file may be a pipe, and its transaction is as open as any other one meanwhile.
#[tokio::test]
async fn an_import_that_waits_for_its_file_is_not_taken_for_one_that_has_stopped() {
    let Some(fresh) = openers::database() else { return };
    let idle_max = std::time::Duration::from_secs(1);
    let store = PostgresStore::open(&fresh.0).await.unwrap().free_after(2 * idle_max);
    let lines = (0..10).map(move |n| {
        if n == 9 {
            std::thread::sleep(3 * idle_max); // the database would end the transaction meanwhile
        }
        available(n)
    });
    let imported = store.import(Box::new(lines), Intake::of("a pipe"), now(), Arc::default()).await.unwrap();
    assert_eq!(imported.numbers, 10);
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

/// As many lines as are looked at in four turns.
const LINES: u64 = 20_000;

fn nth(n: u64) -> Number {
    Number::from_digits(12_125_550_000 + n).unwrap()
}

fn available(n: u64) -> Line {
    (n, Ok(NewNumber::available(nth(n))))
}

#[tokio::test]
async fn nodes_see_each_other_while_their_notes_last() {
    let Some(fresh) = openers::database() else { return };
    let store = PostgresStore::open(&fresh.0).await.unwrap();
    let node = |id: &str, zone: &str| Node {
        id: id.to_owned(),
        name: format!("machine {id}"),
        goes_by: [("time_zone".to_owned(), zone.into())].into(),
    };
    let (one, two, other_zone) = (node("1", "UTC"), node("2", "UTC"), node("2", "Pacific/Honolulu"));
    let long = Duration::from_mins(1);
    assert_eq!(store.note_node(&one, long).await.unwrap(), []);
    assert_eq!(store.note_node(&two, long).await.unwrap(), from_ref(&one));
    assert_eq!(store.note_node(&other_zone, long).await.unwrap(), from_ref(&one));
    assert_eq!(store.note_node(&one, long).await.unwrap(), from_ref(&other_zone));

    change(&fresh.0, "UPDATE node SET goes_by = 'another form' WHERE id = '2'").await;
    let unread = Node { goes_by: [].into(), ..two };
    assert_eq!(store.note_node(&one, long).await.unwrap(), [unread]);

    store.forget_node("machine 2").await.unwrap();
    assert_eq!(store.note_node(&one, Duration::ZERO).await.unwrap(), [], "it was forgotten");
    assert_eq!(store.note_node(&other_zone, long).await.unwrap(), [], "the note of the other is over");
}

/// Returns a statement for another engine in PostgreSQL's words: without what says how rows are spread.
fn in_postgres_words(statement: &str) -> String {
    let mut words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let table = words.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" SPLIT AT VALUES "));
    if let Some((table, _)) = table {
        return format!("SELECT 1 FROM {table}");
    }
    if let Some((before, after)) = words.split_once(" SPLIT AT VALUES ((") {
        let (_, rest) = after.split_once("))").unwrap_or(("", ""));
        words = format!("{before}{rest}");
    }
    if let Some((table, key)) = words.split_once(" ALTER PRIMARY KEY USING COLUMNS ") {
        let name = table.trim_start_matches("ALTER TABLE ");
        words = format!("{table} DROP CONSTRAINT {name}_pkey, ADD PRIMARY KEY {key}");
    }
    words = words.replace(" USING HASH WITH (bucket_count = 16)", "");
    words.replace(" ASC", "").replace(" HASH", "")
}

#[tokio::test]
async fn what_is_run_for_other_engines_fits_the_tables_and_their_grammar() {
    for engine in ["citus", "cockroach", "yugabyte"] {
        let Some(fresh) = openers::database() else { return };
        PostgresStore::open(&fresh.0).await.unwrap().close().await;
        // Citus has it. Here it only looks for the column.
        change(
            &fresh.0,
            "CREATE FUNCTION create_distributed_table(its_table regclass, by_column text, colocate_with regclass DEFAULT NULL)
             RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN EXECUTE format('SELECT %I FROM %s', by_column, its_table); END $$",
        )
        .await;
        let path = format!("{}/../deploy/{engine}.sql", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let statements: String =
            text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        let mut all = String::new();
        for statement in statements.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            // Each engine's CREATE INDEX ends with its WHERE.
            let behind = statement.split_once(" WHERE ").map_or("", |(_, behind)| behind);
            let clauses = ["SPLIT", "USING", "WITH", "INCLUDE", "STORING", "TABLESPACE"];
            let out_of_order = clauses.iter().find(|clause| behind.contains(**clause));
            assert_eq!(out_of_order, None, "{engine}: {statement}");
            all += &format!("{};\n", in_postgres_words(statement));
        }
        change(&fresh.0, &all).await;
    }
}
