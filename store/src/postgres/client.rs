//! A connection, and the statements that have names on it.
//!
//! A statement with a name is parsed and planned once. For a short one that writes many rows, that is more than half of its
//! work. But it lives in one session of the database, and a pooler between onhook and the database may give each
//! transaction another one, which others use too. So each connection leaves a mark in its session, and each transaction
//! looks for it as it begins: names are used only in a session that this connection was the last to mark. Once a mark is
//! missing, there is such a pooler, and the node uses no more names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, SimpleQueryMessage, Statement};
use tracing::info;
use uuid::Uuid;

use super::given_up::GivenUp;
use super::random::random_uuid;
use crate::{Result, StoreError};

/// A connection of the pool. Dropping it gives it back, unless someone has stopped waiting for an answer: what was asked
/// still runs there, and the next caller would wait for its end. Such a connection is closed, and what runs there is
/// cancelled, unless it may be a commit.
pub(super) struct Client {
    object: Option<Object>,
    given_up: Arc<GivenUp>,
    /// Answers that are not there yet.
    awaited: AtomicUsize,
    /// True if statements have names, for now.
    named: bool,
    /// True if what is asked may be cancelled.
    cancels: bool,
}

impl Drop for Client {
    fn drop(&mut self) {
        if *self.awaited.get_mut() > 0 {
            self.leave();
        }
    }
}

impl Client {
    /// Makes one of a connection, on which statements have no names.
    pub(super) fn of(object: Object, given_up: Arc<GivenUp>) -> Self {
        Self { object: Some(object), given_up, awaited: AtomicUsize::new(0), named: false, cancels: false }
    }

    /// Finds out whether what is given up on connections to this place can be cancelled.
    pub(super) async fn look(&self) {
        self.given_up.look(self.object()).await;
    }

    /// Returns the connection for statements that are cancelled if nobody waits for them any more: they read, or stand in
    /// a transaction before its end.
    pub(super) fn cancelling(self) -> Self {
        self.set(true)
    }

    /// Returns the connection for statements that commit. A commit is not cancelled: one that waits for a standby would
    /// show what no standby has.
    pub(super) fn committing(self) -> Self {
        self.set(false)
    }

    fn set(mut self, cancels: bool) -> Self {
        self.cancels = cancels;
        self
    }

    /// Closes the connection, which undoes what is under way there.
    pub(super) fn close(mut self) {
        self.leave();
    }

    /// Takes the connection out of the pool for good.
    fn leave(&mut self) {
        let Some(connection) = self.object.take().map(Object::take) else { return };
        if self.cancels && *self.awaited.get_mut() > 0 {
            self.given_up.end(connection);
        }
    }

    fn object(&self) -> &Object {
        self.object.as_ref().expect("a client has its connection until it is dropped")
    }

    /// Waits for an answer.
    async fn answered<T>(&self, answer: impl Future<Output = T>) -> T {
        self.awaited.fetch_add(1, Ordering::Relaxed);
        let answer = answer.await; // a caller may drop this here
        self.awaited.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    /// Runs statements that have no values.
    pub(super) async fn batch_execute(&self, sql: &str) -> std::result::Result<(), Error> {
        self.answered(self.object().batch_execute(sql)).await
    }

    /// As [`Client::batch_execute`], and returns what they find as texts.
    pub(super) async fn simple_query(
        &self,
        sql: &str,
    ) -> std::result::Result<Vec<SimpleQueryMessage>, Error> {
        self.answered(self.object().simple_query(sql)).await
    }

    /// Runs a statement with values and their types. Returns its rows.
    pub(super) async fn query_typed(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> std::result::Result<Vec<Row>, Error> {
        self.answered(self.object().query_typed(sql, values)).await
    }

    /// As [`Client::query_typed`], and returns how many rows it wrote.
    pub(super) async fn execute_typed(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> std::result::Result<u64, Error> {
        self.answered(self.object().execute_typed(sql, values)).await
    }

    /// Runs a statement that has a name. Returns its rows.
    pub(super) async fn query(
        &self,
        statement: &Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> std::result::Result<Vec<Row>, Error> {
        self.answered(self.object().query(statement, values)).await
    }

    /// Ends the use of names, with the transaction.
    pub(super) fn end_names(&mut self) {
        self.named = false;
    }

    /// Returns the statement that has a name on this connection. `None` if it is to be sent without one.
    pub(super) async fn named(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>> {
        if !self.named {
            return Ok(None);
        }
        Ok(Some(self.answered(self.object().prepare_typed_cached(sql, types)).await?))
    }
}

/// Returns how a transaction begins that may be idle for so long between two statements. If its node stops in the
/// middle, the database ends it then, and its rows are free again.
///
/// It waits for a lock no longer than that. A node that stops may have one transaction that is idle, and another one that
/// waits for it and has its lock when the first has ended. The second one's wait began before. So both have ended after
/// twice the time.
pub(super) fn begin(idle: Duration) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {}; \
         SET LOCAL lock_timeout = {}",
        idle.as_millis(),
        idle.as_millis()
    )
}

/// Whether a node gives names to statements.
pub(super) struct Names {
    /// Set when a pooler was found, or a database that knows no marks.
    off: AtomicBool,
    /// A part of the mark that no other node has.
    node: Uuid,
}

impl Names {
    /// Returns the names of a node that has found no pooler yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self { off: AtomicBool::new(false), node: random_uuid()? })
    }

    /// Begins a transaction with this SQL, in which statements have names if that is safe. Returns the first column of what
    /// the SQL finds.
    pub(super) async fn begin(&self, client: &mut Client, begin: &str) -> Result<Vec<String>> {
        if self.off.load(Ordering::Relaxed) {
            return found(client, begin).await;
        }
        // The session's process is in the mark, in case something carries settings from one session to another.
        let mark = format!("'{} {} ' || pg_backend_pid()", self.node, Object::id(client.object()));
        if client.object().statement_cache.size() == 0 {
            // Nothing has a name yet, so this is the only session where something of this connection will have one.
            let set = format!("SELECT set_config('onhook.session', {mark}, false)");
            match client.batch_execute(&set).await {
                Ok(()) => {}
                Err(error) if error.code().is_some_and(is_refusal) => {
                    self.turn_off("the database refuses the mark of a session");
                    return found(client, begin).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let begin = format!("{begin}; SELECT current_setting('onhook.session', true) = {mark}");
        let mut found = found(client, &begin).await?;
        client.named = found.pop().is_some_and(|same| same == "t");
        if !client.named {
            self.turn_off("a pooler changes the sessions of connections");
        }
        Ok(found)
    }

    /// Forgets the names on a connection if an error says that they mean something else there, or nothing.
    pub(super) fn look_at(&self, client: &Client, error: &StoreError) {
        match fault(error) {
            Some(Fault::Lost) => self.turn_off("the database has lost the name of a statement"),
            Some(Fault::Changed) => {}
            None => return,
        }
        client.object().statement_cache.clear();
    }

    fn turn_off(&self, why: &str) {
        if !self.off.swap(true, Ordering::Relaxed) {
            info!("statements are sent without names from now on: {why}");
        }
    }
}

/// Runs statements, and returns the first column of what they find. Null is an empty text.
async fn found(client: &Client, sql: &str) -> Result<Vec<String>> {
    let messages = client.simple_query(sql).await?;
    let first = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(first).collect())
}

/// True if a statement is not known, or not allowed: the next try would be refused as well.
fn is_refusal(code: &SqlState) -> bool {
    ["0A", "22", "42"].iter().any(|class| code.code().starts_with(class))
}

/// Returns the code of the database's own error.
pub(super) fn code(error: &StoreError) -> Option<&SqlState> {
    let StoreError::Broken(cause) = error else { return None };
    cause.downcast_ref::<Error>()?.code()
}

/// What can be wrong with the name of a statement.
enum Fault {
    /// It means nothing in this session, or something else.
    Lost,
    /// Its tables have changed.
    Changed,
}

fn fault(error: &StoreError) -> Option<Fault> {
    let StoreError::Broken(cause) = error else { return None };
    let error = cause.downcast_ref::<Error>()?.as_db_error()?;
    let code = error.code();
    if [&SqlState::INVALID_SQL_STATEMENT_NAME, &SqlState::DUPLICATE_PSTATEMENT].contains(&code) {
        Some(Fault::Lost)
    } else if *code == SqlState::FEATURE_NOT_SUPPORTED && error.message().contains("cached plan") {
        Some(Fault::Changed)
    } else {
        None
    }
}

/// True if an error is about the name of a statement: nothing was written, and the next try may do without.
pub(super) fn is_of_name(error: &StoreError) -> bool {
    fault(error).is_some()
}
