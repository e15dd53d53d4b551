//! The one writer: many callers, one connection, one commit for all that waits.
//!
//! An fsync costs more than a thousand row changes, so the orders that wait, and those that come while these
//! are written, are accepted in one commit. A job that may fail halfway is the first of its transaction, so
//! that undoing it takes nothing of others with it; a savepoint for each would do the same, but copies every
//! page that it touches. Nobody is answered before the commit has returned. The queue has an end; when it is
//! full, callers hear so at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use onhook_core::hold::Policy;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error};

use super::ids::OrderIds;
use super::log::Log;
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

/// Where in a transaction a job may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Anywhere: it fails before it has written anything, or because the engine does.
    Any,
    /// Before all others: when it fails, what it wrote is undone, and nobody else is there yet.
    First,
}

/// Something to be done in a transaction, and somebody who waits for it.
trait Job: Send {
    /// Where it may stand.
    fn place(&self) -> Place;
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
    place: Place,
    work: Option<W>,
    done: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnOnce(&mut Tables<'_>) -> Result<T> + Send> Job for Pending<T, W> {
    fn place(&self) -> Place {
        self.place
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
        log: Log,
        memory: Memory,
        policy: Arc<Policy>,
        ids: Arc<OrderIds>,
    ) -> Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let broken = Arc::new(AtomicBool::new(false));
        let run = Run { connection, log, memory, policy, ids, broken: broken.clone() };
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

    /// Has `work` done and waits until it is on disk. When it fails, what it has written is undone.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Place::First, work).await
    }

    /// Has `work` done in one transaction with what was asked before it and waits until it is on disk. It must
    /// not fail by its own fault once it has written something.
    pub(super) async fn write_together<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Place::Any, work).await
    }

    async fn queue<T, W>(&self, place: Place, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.healthy()?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { place, work: Some(work), done: None, reply });
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
    log: Log,
    memory: Memory,
    policy: Arc<Policy>,
    ids: Arc<OrderIds>,
    broken: Arc<AtomicBool>,
}

/// Jobs in the order in which they come.
struct Arrivals {
    queue: mpsc::Receiver<Box<dyn Job>>,
    /// The next one, which was taken and could not go along with those before it.
    held: Option<Box<dyn Job>>,
}

impl Arrivals {
    /// The next job; none when every sender is gone and the queue is empty.
    fn next(&mut self) -> Option<Box<dyn Job>> {
        self.held.take().or_else(|| self.queue.blocking_recv())
    }

    /// Another one that is there already and shares its transaction; after none, the transaction ends.
    fn another(&mut self) -> Option<Box<dyn Job>> {
        let job = self.queue.try_recv().ok()?;
        match job.place() {
            Place::Any => Some(job),
            Place::First => {
                self.held = Some(job);
                None
            }
        }
    }
}

impl Run {
    /// Commits together what comes together and may be together.
    fn run(mut self, queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut arrivals = Arrivals { queue, held: None };
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = arrivals.next() {
            batch.push(first);
            let committed = match self.broken.load(Ordering::Acquire) {
                false => self.commit(&mut batch, &mut arrivals),
                true => Err(CommitError::Broken),
            };
            for job in batch.drain(..) {
                job.answer(&committed); // only now: nobody hears of success before the disk has it
            }
            if let Err(error) = self.log.stay_ahead() {
                debug!(%error, "the log cannot be made longer ahead of time: {error}");
            }
        }
    }

    fn commit(
        &mut self,
        batch: &mut Vec<Box<dyn Job>>,
        arrivals: &mut Arrivals,
    ) -> std::result::Result<(), CommitError> {
        let done = self.transaction(batch, arrivals);
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

    /// Runs the first job, and those that come meanwhile and may be together with it.
    fn transaction(&mut self, batch: &mut Vec<Box<dyn Job>>, arrivals: &mut Arrivals) -> Result<()> {
        let statement = |connection: &Connection, sql: &str| -> Result<()> {
            connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        statement(&self.connection, "BEGIN IMMEDIATE").map_err(|error| {
            error!(error = ?error, "no transaction can be begun: {error}");
            StoreError::Full // certainly nothing was written
        })?;
        while let Some(job) = batch.last_mut() {
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
            if !keep && self.connection.total_changes() != before {
                if job.place() == Place::Any {
                    return Err(job.failure());
                }
                statement(&self.connection, "ROLLBACK")?;
                self.memory = Memory::load(&self.connection)?;
                return Ok(()); // it is the only one, and knows why it failed
            }
            if batch.len() == BATCH_MAX {
                break;
            }
            match arrivals.another() {
                Some(job) => batch.push(job),
                None => break,
            }
        }
        statement(&self.connection, "COMMIT")
    }
}
