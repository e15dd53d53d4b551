//! Transactions: tried again where the database asks for it, and settled where its answer is lost.
//!
//! A transaction that wrote has a row of its own in `committed`. If the connection breaks before the answer to COMMIT
//! arrives, the node writes the same row on another connection, as one that prevents. The database makes it wait for the
//! first transaction's end. If the row is the transaction's, it has committed. If not, it never will.

use std::ops::Deref;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::client::{Client, begin};
use super::connect::WAIT_MAX;
use super::open::PostgresStore;
use super::random::random_uuid;
use super::tries::{is_lost, settle};
use crate::{Result, StoreError};

/// How a transaction begins that reads all of it as it was at one moment.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A transaction under way. One that is dropped before its end is undone with its connection.
pub(super) struct Transaction {
    client: Option<Client>,
    /// Its place among those that write at once.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Deref for Transaction {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("a transaction has its connection until it ends")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            client.close();
        }
    }
}

/// Runs work in a transaction, again if the database asks for it. `$work` uses the transaction `$tx`. After `often`, those
/// of its statements that run often have names if they can.
macro_rules! transaction {
    ($store:expr, $tx:ident => $work:expr) => {
        $crate::postgres::transaction::transaction!($store, begin, $tx => $work)
    };
    ($store:expr, often $tx:ident => $work:expr) => {
        $crate::postgres::transaction::transaction!($store, begin_often, $tx => $work)
    };
    ($store:expr, $begin:ident, $tx:ident => $work:expr) => {{
        let mut tries = $crate::postgres::tries::Tries::default();
        loop {
            let done = match $store.$begin().await {
                Ok($tx) => {
                    let done = $work;
                    $tx.end($store, done).await
                }
                Err(error) => Err(error),
            };
            if let Some(done) = tries.after(done).await {
                break $store.noted(done);
            }
        }
    }};
}

/// Runs reads on a connection, again if that breaks. A read that nobody waits for any more is cancelled.
macro_rules! reading {
    ($store:expr, $client:ident => $work:expr) => {
        $crate::postgres::transaction::on_a_connection!($store.reader(), $client => $work)
    };
}

/// Runs statements that each commit by themselves, again if the connection breaks: what was done is done once more.
macro_rules! committing {
    ($store:expr, $client:ident => $work:expr) => {
        $crate::postgres::transaction::on_a_connection!($store.connection(), $client => $work)
    };
}

/// Runs something on a connection, again if that breaks.
macro_rules! on_a_connection {
    ($connection:expr, $client:ident => $work:expr) => {{
        let mut tries = $crate::postgres::tries::Tries::default();
        loop {
            let done = match $connection.await {
                Ok($client) => $work,
                Err(error) => Err(error),
            };
            if let Some(done) = tries.after(done).await {
                break done;
            }
        }
    }};
}

pub(super) use {committing, on_a_connection, reading, transaction};

impl PostgresStore {
    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction> {
        let turn = self.turn().await?;
        self.begin_with(&begin(self.idle_max), Some(turn)).await
    }

    /// Begins a transaction in which statements that run often have names if they can.
    pub(super) async fn begin_often(&self) -> Result<Transaction> {
        let turn = self.turn().await?;
        let mut client = self.reader().await?;
        match self.names.begin(&mut client, &begin(self.idle_max)).await {
            Ok(_) => Ok(Transaction { client: Some(client), _turn: Some(turn) }),
            Err(error) => {
                client.close(); // a transaction may have begun
                Err(error)
            }
        }
    }

    /// Begins a transaction that only reads, and sees everything as it was at one moment. It ends with
    /// [`Transaction::undo`].
    pub(super) async fn begin_snapshot(&self) -> Result<Transaction> {
        self.begin_with(BEGIN_SNAPSHOT, None).await
    }

    /// Waits until one more may write. Those that wait for a row, or for their commit, keep connections of the pool, and
    /// reads and leases need some as well.
    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        self.health.not_silent()?;
        let turn = timeout(WAIT_MAX, self.writers.clone().acquire_owned()).await;
        turn.map_err(|_| StoreError::Full)?.map_err(|_| StoreError::Closed)
    }

    async fn begin_with(&self, sql: &str, turn: Option<OwnedSemaphorePermit>) -> Result<Transaction> {
        let tx = Transaction { client: Some(self.reader().await?), _turn: turn };
        tx.batch_execute(sql).await?;
        Ok(tx)
    }
}

impl Transaction {
    /// Undoes the transaction, whether or not its work was done.
    pub(super) async fn undo<T>(mut self, done: Result<T>) -> Result<T> {
        let client = self.client.take().expect("a transaction has its connection until it ends");
        match client.batch_execute("ROLLBACK").await {
            Ok(()) => drop(client),
            Err(_) => client.close(),
        }
        done
    }

    /// Ends the transaction: commits it if its work was done, and undoes it if not.
    pub(super) async fn end<T>(mut self, store: &PostgresStore, done: Result<T>) -> Result<T> {
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                store.names.look_at(&self, &error);
                return self.undo(Err(error)).await;
            }
        };
        let id = random_uuid()?;
        let client = self.client.take().expect("a transaction has its connection until it ends").committing();
        let commit = format!(
            "INSERT INTO committed (id, at) VALUES ('{id}', (extract(epoch FROM now()) * 1000)::bigint); COMMIT"
        );
        let under_way = store.health.commit();
        let committed = client.batch_execute(&commit).await;
        under_way.ended(&committed);
        let Err(error) = committed else { return Ok(done) };
        client.close();
        let error = error.into();
        if is_lost(&error) && settle(&store.pool, id).await? { Ok(done) } else { Err(error) }
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "tests say why they are skipped")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::postgres::row::get;
    use crate::postgres::statement::{execute, often, rows};

    /// Opens a store in a new database. `None` where PostgreSQL's programs are missing.
    async fn store() -> Option<PostgresStore> {
        let cluster = onhook_cluster::shared().inspect_err(|why| println!("skipped: {why:#}")).ok()?;
        Some(PostgresStore::open(&cluster.fresh_database().unwrap()).await.unwrap())
    }

    /// Runs a statement in a transaction whose statements have names if they can, and returns how many columns its row has.
    async fn columns(store: &PostgresStore, sql: &str) -> usize {
        let found: Result<usize> = transaction!(store, often tx => {
            often(&tx, sql, &[]).await.map(|found| found[0].len())
        });
        found.unwrap()
    }

    /// Returns how many statements of the connection that was used last have names.
    async fn named(store: &PostgresStore) -> i64 {
        let client = store.connection().await.unwrap();
        let found = rows(&client, "SELECT count(*) FROM pg_prepared_statements", &[]).await.unwrap();
        get(&found[0], 0).unwrap()
    }

    /// Does something to the session of the connection that was used last.
    async fn change(store: &PostgresStore, sql: &str) {
        execute(&store.connection().await.unwrap(), sql, &[]).await.unwrap();
    }

    /// Returns how long a transaction of a store waits for a lock.
    async fn lock_timeout(store: &PostgresStore) -> String {
        let found: Result<String> = transaction!(store, tx => {
            rows(&tx, "SHOW lock_timeout", &[]).await.and_then(|found| get(&found[0], 0))
        });
        found.unwrap()
    }

    /// What a node has locked that stops is free in time, even if one of its transactions gets a lock when another one ends.
    #[tokio::test]
    async fn a_transaction_waits_for_a_lock_for_half_the_time_in_which_all_must_be_free() {
        let Some(store) = store().await else { return };
        assert_eq!(lock_timeout(&store).await, "5s");
        let store = store.free_after(Duration::from_millis(1_400));
        assert_eq!(lock_timeout(&store).await, "700ms");
    }

    /// The next caller would wait for the end of what still runs there.
    #[tokio::test]
    async fn a_connection_with_an_answer_that_nobody_waits_for_is_not_used_again() {
        let Some(store) = store().await else { return };
        let session = async || {
            let found =
                rows(&store.connection().await.unwrap(), "SELECT pg_backend_pid()::bigint", &[]).await;
            get::<i64>(&found.unwrap()[0], 0).unwrap()
        };
        let first = session().await;
        assert_eq!(session().await, first);
        let client = store.connection().await.unwrap();
        let asked = execute(&client, "SELECT pg_sleep(60)", &[]);
        assert!(tokio::time::timeout(Duration::ZERO, asked).await.is_err());
        drop(client);
        assert_ne!(session().await, first);
    }

    /// Waits until something is so. A minute is only the bound of a test that hangs.
    async fn until(so: impl AsyncFn() -> bool) {
        let is_so = async {
            while !so().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), is_so).await.unwrap();
    }

    /// Returns how many sessions run a statement with this text.
    async fn running(store: &PostgresStore, text: &str) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1
                     AND state <> 'idle'";
        let found = rows(&store.connection().await.unwrap(), sql, &[&format!("%{text}%")]).await;
        get(&found.unwrap()[0], 0).unwrap()
    }

    /// Begins something, and gives it up when a session runs a statement with this text.
    async fn give_up<T>(store: &PostgresStore, text: &str, work: impl Future<Output = T>) {
        tokio::select! {
            _ = work => panic!("{text} has ended"),
            () = until(async || running(store, text).await > 0) => {}
        }
    }

    /// A database has only so many sessions.
    #[tokio::test]
    async fn what_is_given_up_is_cancelled_in_the_database_whatever_stands_behind_it() {
        let Some(store) = store().await else { return };
        let sleep = async |client: &Client, name: &str| {
            execute(client, &format!("SELECT pg_sleep(600) AS {name}"), &[]).await
        };
        give_up(&store, "a_read", async {
            let read: Result<u64> = reading!(store, client => sleep(&client, "a_read").await);
            read
        })
        .await;
        give_up(&store, "first_of_two", async {
            let both: Result<(u64, u64)> = reading!(store, client => {
                crate::postgres::statement::together!(sleep(&client, "first_of_two"), sleep(&client, "second_of_two"))
            });
            both
        })
        .await;
        give_up(&store, "in_a_transaction", async {
            let done: Result<u64> = transaction!(&store, tx => sleep(&tx, "in_a_transaction").await);
            done
        })
        .await;
        for name in ["a_read", "_of_two", "in_a_transaction"] {
            until(async || running(&store, name).await == 0).await;
        }
    }

    /// One that waits for a standby would be seen from then on, though no standby has it.
    #[tokio::test]
    async fn a_commit_that_is_given_up_is_not_cancelled() {
        let Some(store) = store().await else { return };
        change(&store, "CREATE TABLE slow (name text)").await;
        change(
            &store,
            "CREATE FUNCTION sleeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_advisory_xact_lock(1);
                 RETURN NULL;
             END $$",
        )
        .await;
        change(
            &store,
            "CREATE CONSTRAINT TRIGGER sleeps AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION sleeps()",
        )
        .await;
        let other = store.connection().await.unwrap();
        execute(&other, "SELECT pg_advisory_lock(1)", &[]).await.unwrap();
        give_up(&store, "; COMMIT", async {
            let done: Result<u64> =
                transaction!(&store, tx => execute(&tx, "INSERT INTO slow VALUES ('at its end')", &[]).await);
            done
        })
        .await;
        give_up(&store, "INTO slow", async {
            let sql = "INSERT INTO slow VALUES ('by itself')";
            let done: Result<u64> = committing!(store, client => execute(&client, sql, &[]).await);
            done
        })
        .await;
        // What is given up later is gone before.
        give_up(&store, "pg_sleep", async {
            let read: Result<u64> =
                reading!(store, client => execute(&client, "SELECT pg_sleep(600)", &[]).await);
            read
        })
        .await;
        until(async || running(&store, "pg_sleep").await == 0).await;
        execute(&other, "SELECT pg_advisory_unlock(1)", &[]).await.unwrap();
        until(async || {
            let found = rows(&other, "SELECT count(*) FROM slow", &[]).await.unwrap();
            get::<i64>(&found[0], 0).unwrap() == 2
        })
        .await;
    }

    #[tokio::test]
    async fn statements_have_names_until_another_connection_has_marked_the_session() {
        let Some(store) = store().await else { return };
        for named_now in [1, 2, 2] {
            columns(&store, &format!("SELECT {named_now}")).await;
            assert_eq!(named(&store).await, named_now);
        }
        // As a pooler's other client does.
        change(&store, "SELECT set_config('onhook.session', 'another', false)").await;
        columns(&store, "SELECT 3").await;
        assert_eq!(named(&store).await, 2, "the new statement has none");
    }

    #[tokio::test]
    async fn a_statement_whose_name_is_lost_runs_without_one() {
        let Some(store) = store().await else { return };
        columns(&store, "SELECT 1").await;
        change(&store, "DEALLOCATE ALL").await;
        assert_eq!(columns(&store, "SELECT 1").await, 1);
        assert_eq!(named(&store).await, 0, "there is a pooler, or somebody as rude");
    }

    #[tokio::test]
    async fn a_statement_whose_table_has_changed_is_prepared_again() {
        let Some(store) = store().await else { return };
        change(&store, "CREATE TABLE changes AS SELECT 1 AS one").await;
        assert_eq!(columns(&store, "SELECT * FROM changes").await, 1);
        change(&store, "ALTER TABLE changes ADD COLUMN two bigint").await;
        assert_eq!(columns(&store, "SELECT * FROM changes").await, 2);
        assert_eq!(named(&store).await, 1);
    }
}
