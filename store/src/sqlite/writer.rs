//! The one writer: many callers, one connection, one commit for all that waits.
//!
//! An fsync costs more than a thousand row changes, so the orders that have gathered while the last commit
//! was under way are accepted in the next one together. Any other job has a transaction of its own, so
//! that one that fails takes nothing with it; a savepoint for each would do the same, but copies every page
//! that it touches. Nobody is answered before the commit has returned. The queue has an end; when it is
//! full, callers hear so at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use onhook_core::hold::Policy;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::ids::OrderIds;
use super::memory::Memory;
use super::row::corrupt;
use crate::{Result, StoreError};

/// Most jobs that wait.
pub(super) const QUEUE_MAX: usize = 4_096;
/// Most jobs in one commit.
const BATCH_MAX: usize = 1_024;

/// What a job works with: the open transaction and what the writer remembers.
pub(super) struct Tables<'a> {
    pub(super) connection: &'a Connection,
    pub(super) memory: &'a mut Memory,
    pub(super) policy: &'a Policy,
    pub(super) ids: &'a OrderIds,
}

/// With whom a job shares its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    /// With others of this kind: it fails before it has written anything, or because the engine does.
    Shared,
    /// With nobody: when it fails, what it wrote is undone.
    Alone,
}

/// Something to be done in a transaction, and somebody who waits for it.
trait Job: Send {
    /// With whom.
    fn company(&self) -> Company;
    /// Does it, and remembers what came of it. Whether it is to be kept.
    fn run(&mut self, tables: &mut Tables<'_>) -> bool;
    /// Why it failed, for all that share its transaction.
    fn failure(&self) -> StoreError;
    /// Tells whoever waits; `committed` is what became of the transaction.
    fn answer(self: Box<Self>, committed: &std::result::Result<(), CommitError>);
}

/// Why nothing of a batch was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommitError {
    /// No room on the disk; certainly not written.
    Full,
    /// Not known whether it was written.
    Broken,
}

struct Pending<T, W> {
    company: Company,
    work: Option<W>,
    done: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnOnce(&mut Tables<'_>) -> Result<T> + Send> Job for Pending<T, W> {
    fn company(&self) -> Company {
        self.company
    }

    fn run(&mut self, tables: &mut Tables<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let done = catch_unwind(AssertUnwindSafe(|| work(tables)));
        let done = done.unwrap_or_else(|_| Err(corrupt("a job of the writer panicked")));
        let keep = done.is_ok();
        self.done = Some(done);
        keep
    }

    fn failure(&self) -> StoreError {
        match &self.done {
            Some(Err(StoreError::Full)) => StoreError::Full,
            _ => corrupt("a job failed after it had written"),
        }
    }

    fn answer(self: Box<Self>, committed: &std::result::Result<(), CommitError>) {
        let done = match (committed, self.done) {
            (Err(CommitError::Full), _) => Err(StoreError::Full),
            (Err(CommitError::Broken), _) => Err(corrupt("the commit failed")),
            (Ok(()), Some(done)) => done,
            (Ok(()), None) => Err(corrupt("the job was not done")),
        };
        // Whoever asked may be gone; what was asked is done all the same.
        let _ = self.reply.send(done);
    }
}

/// What callers hold.
pub(super) struct Writer {
    queue: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    broken: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the writer's thread on a connection that nobody else has.
    pub(super) fn start(
        connection: Connection,
        memory: Memory,
        policy: Arc<Policy>,
        ids: Arc<OrderIds>,
    ) -> Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let broken = Arc::new(AtomicBool::new(false));
        let run = Run { connection, memory, policy, ids, broken: broken.clone() };
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run.run(queue))
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        Ok(Self {
            queue: std::sync::Mutex::new(Some(sender)),
            thread: std::sync::Mutex::new(Some(thread)),
            broken,
        })
    }

    /// Has `work` done in a transaction of its own and waits until it is on disk.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Company::Alone, work).await
    }

    /// Has `work` done in a transaction with others and waits until it is on disk. It must not fail by its
    /// own fault once it has written something.
    pub(super) async fn write_together<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Company::Shared, work).await
    }

    async fn queue<T, W>(&self, company: Company, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.healthy()?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { company, work: Some(work), done: None, reply });
        let sent = match &*lock(&self.queue) {
            Some(queue) => queue.try_send(job),
            None => return Err(StoreError::Closed),
        };
        match sent {
            Ok(()) => answer.await.unwrap_or(Err(corrupt("the writer ended"))),
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
        }
    }

    /// How many jobs wait.
    pub(super) fn queued(&self) -> usize {
        lock(&self.queue).as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Whether it still writes.
    pub(super) fn healthy(&self) -> Result<()> {
        match self.broken.load(Ordering::Acquire) {
            true => Err(corrupt("a commit failed; restart to find out what is on disk")),
            false => Ok(()),
        }
    }

    /// Takes no more jobs, writes those that wait and closes the connection.
    pub(super) fn close(&self) {
        drop(lock(&self.queue).take());
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// The lock, even when a thread panicked while it held it: what is in there is an `Option` that is
/// whole at any time.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Run {
    connection: Connection,
    memory: Memory,
    policy: Arc<Policy>,
    ids: Arc<OrderIds>,
    broken: Arc<AtomicBool>,
}

impl Run {
    /// Commits together what waits and may be together. Ends when every sender is gone and the queue is
    /// empty.
    fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = queue.blocking_recv() {
            let mut alone = None;
            let mut next = Some(first);
            while let Some(job) = next {
                if job.company() == Company::Alone {
                    alone = Some(job);
                    break;
                }
                batch.push(job);
                next = if batch.len() < BATCH_MAX { queue.try_recv().ok() } else { None };
            }
            self.finish(&mut batch);
            batch.extend(alone);
            self.finish(&mut batch);
        }
    }

    fn finish(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        if batch.is_empty() {
            return;
        }
        let committed = match self.broken.load(Ordering::Acquire) {
            false => self.commit(batch),
            true => Err(CommitError::Broken),
        };
        for job in batch.drain(..) {
            job.answer(&committed); // only now: nobody hears of success before the disk has it
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> std::result::Result<(), CommitError> {
        let done = self.transaction(batch);
        let Err(error) = done else { return Ok(()) };
        let outcome = match &error {
            StoreError::Full => CommitError::Full,
            _ => CommitError::Broken,
        };
        error!(error = ?error, jobs = batch.len(), "a commit failed: {error}");
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            self.broken.store(true, Ordering::Release);
        }
        match Memory::load(&self.connection) {
            Ok(memory) => self.memory = memory,
            Err(_) => self.broken.store(true, Ordering::Release),
        }
        if outcome == CommitError::Broken {
            // After a failed fsync nobody knows what the disk has: no second try on this handle.
            self.broken.store(true, Ordering::Release);
        }
        Err(outcome)
    }

    fn transaction(&mut self, batch: &mut [Box<dyn Job>]) -> Result<()> {
        let statement = |connection: &Connection, sql: &str| -> Result<()> {
            connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        statement(&self.connection, "BEGIN IMMEDIATE").map_err(|error| {
            error!(error = ?error, "no transaction can be begun: {error}");
            StoreError::Full // certainly nothing was written
        })?;
        for job in batch.iter_mut() {
            let before = self.connection.total_changes();
            let mut tables = Tables {
                connection: &self.connection,
                memory: &mut self.memory,
                policy: &self.policy,
                ids: &self.ids,
            };
            let keep = job.run(&mut tables);
            if self.connection.is_autocommit() {
                // The engine gave the whole transaction up, as it does when the disk is full.
                return Err(StoreError::Full);
            }
            if keep || self.connection.total_changes() == before {
                continue;
            }
            if job.company() == Company::Shared {
                return Err(job.failure());
            }
            statement(&self.connection, "ROLLBACK")?;
            self.memory = Memory::load(&self.connection)?;
            return Ok(()); // it is the only one, and knows why it failed
        }
        statement(&self.connection, "COMMIT")
    }
}
