//! The lines of an import, and the transaction that takes them.
//!
//! Reading lines blocks: they are in a file, or a person writes them. A thread of its own reads them, a few ahead of the
//! database. While there are none, a statement now and then shows the database that the import still runs. The database
//! ends the transaction of one that does not, as it does with all others, and its rows are free again.

use std::time::Duration;

use super::client::Client;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::open::PostgresStore;
use super::statement::execute;
use super::transaction::Transaction;
use super::tries::Tries;
use crate::Result;
use crate::error::corrupt;

/// The lines of an import, some at a time.
pub(super) struct Chunks<T> {
    /// How long nothing may be said to the database.
    silence_max: Duration,
    chunks: mpsc::Receiver<Vec<T>>,
    reader: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Chunks<T> {
    /// Begins to read lines, `size` at a time, for a transaction that may be idle for `idle_max`.
    pub(super) fn read(lines: Box<dyn Iterator<Item = T> + Send>, size: usize, idle_max: Duration) -> Self {
        let (to, chunks) = mpsc::channel(1);
        let reader = spawn_blocking(move || {
            let mut lines = lines.fuse();
            loop {
                let some: Vec<T> = lines.by_ref().take(size).collect();
                if some.is_empty() || to.blocking_send(some).is_err() {
                    return;
                }
            }
        });
        Self { silence_max: idle_max / 3, chunks, reader: Some(reader) }
    }

    /// Returns the next lines. `None` after the last. `client` is kept from being idle for too long until then.
    ///
    /// # Errors
    /// `Broken` if reading them panicked: there may be more. Those of the database.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Option<Vec<T>>> {
        let some = loop {
            match timeout(self.silence_max, self.chunks.recv()).await {
                Ok(some) => break some,
                Err(_) => execute(client, "SELECT 1", &[]).await?,
            };
        };
        if some.is_some() {
            return Ok(some);
        }
        if let Some(reader) = self.reader.take() {
            reader.await.map_err(|_| corrupt("the lines of an import cannot be read to their end"))?;
        }
        Ok(None)
    }
}

impl PostgresStore {
    /// Begins the transaction of an import. One import runs at a time, so two never bring the same number.
    pub(super) async fn begin_import(&self) -> Result<Transaction> {
        let mut tries = Tries::default();
        loop {
            let begun = match self.begin().await {
                Ok(tx) => {
                    let sql = "SELECT 1 FROM counter WHERE name = 'imports' FOR UPDATE";
                    execute(&tx, sql, &[]).await.map(|_| tx)
                }
                Err(error) => Err(error),
            };
            if let Some(begun) = tries.after(begun).await {
                return self.noted(begun);
            }
        }
    }

    /// Ends the transaction of an import. It is not tried again, since its lines have been read.
    pub(super) async fn end_import<T>(&self, tx: Transaction, done: Result<T>) -> Result<T> {
        let ended = tx.end(self, done).await;
        self.noted(ended)
    }
}
