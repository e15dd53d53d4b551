//! Transactions: tried again where the database asks for it, and settled where its answer is lost.
//!
//! A transaction that wrote has a row of its own in `committed`. If the connection breaks before the answer to COMMIT
//! arrives, the node writes the same row on another connection, as one that prevents. The database makes it wait for the
//! first transaction's end. If the row is the transaction's, it has committed. If not, it never will.

use std::ops::Deref;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Client;

use super::open::PostgresStore;
use super::random::random_uuid;
use super::tries::{is_lost, settle};
use crate::Result;

/// Returns how a transaction begins that may be idle for so long between two statements. If its node stops in the
/// middle, the database ends it then, and its rows are free again.
fn begin(idle: Duration) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {}; \
         SET LOCAL lock_timeout = 10000",
        idle.as_millis()
    )
}

/// How a transaction begins that reads all of it as it was at one moment.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A transaction under way. One that is dropped before its end is undone with its connection.
pub(super) struct Transaction {
    client: Option<Object>,
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
            drop(Object::take(client)); // closed, which undoes the transaction
        }
    }
}

/// Runs work in a transaction, again if the database asks for it. `$work` uses the transaction `$tx`.
macro_rules! transaction {
    ($store:expr, $tx:ident => $work:expr) => {{
        let mut tries = $crate::postgres::tries::Tries::default();
        loop {
            let done = match $store.begin().await {
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

/// Runs reads on a connection, again if that breaks.
macro_rules! reading {
    ($store:expr, $client:ident => $work:expr) => {{
        let mut tries = $crate::postgres::tries::Tries::default();
        loop {
            let done = match $store.connection().await {
                Ok($client) => $work,
                Err(error) => Err(error),
            };
            if let Some(done) = tries.after(done).await {
                break done;
            }
        }
    }};
}

pub(super) use {reading, transaction};

impl PostgresStore {
    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction> {
        self.begin_with(&begin(self.idle_max)).await
    }

    /// Begins a transaction that only reads, and sees everything as it was at one moment. It ends with
    /// [`Transaction::undo`].
    pub(super) async fn begin_snapshot(&self) -> Result<Transaction> {
        self.begin_with(BEGIN_SNAPSHOT).await
    }

    async fn begin_with(&self, sql: &str) -> Result<Transaction> {
        let tx = Transaction { client: Some(self.connection().await?) };
        tx.batch_execute(sql).await?;
        Ok(tx)
    }
}

impl Transaction {
    /// Undoes the transaction, whether or not its work was done.
    pub(super) async fn undo<T>(mut self, done: Result<T>) -> Result<T> {
        let client = self.client.take().expect("a transaction has its connection until it ends");
        if client.batch_execute("ROLLBACK").await.is_err() {
            drop(Object::take(client));
        }
        done
    }

    /// Ends the transaction: commits it if its work was done, and undoes it if not.
    pub(super) async fn end<T>(mut self, store: &PostgresStore, done: Result<T>) -> Result<T> {
        let done = match done {
            Ok(done) => done,
            failed => return self.undo(failed).await,
        };
        let client = self.client.take().expect("a transaction has its connection until it ends");
        let id = random_uuid()?;
        let commit = format!(
            "INSERT INTO committed (id, at) VALUES ('{id}', (extract(epoch FROM now()) * 1000)::bigint); COMMIT"
        );
        let Err(error) = client.batch_execute(&commit).await else { return Ok(done) };
        drop(Object::take(client));
        let error = error.into();
        if is_lost(&error) && settle(&store.pool, id).await? { Ok(done) } else { Err(error) }
    }
}
