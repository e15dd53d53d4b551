//! The one writer: many callers, one connection, one commit for all waiting jobs.
//!
//! An fsync costs more than a thousand row changes. So all waiting orders, and those that arrive while these are
//! written, are accepted in one commit. A job that may fail halfway is the first of its transaction, so that undoing
//! it undoes no other job. A savepoint for each job would do the same, but copies every page that it touches. No
//! caller is answered before the commit has returned. The queue is bounded: when it is full, callers get an error at
//! once.
//!
//! A copy of the database is made between the transactions, some pages at a time. What is written meanwhile goes to the
//! copy, too, since both go through this connection.
//!
//! When the disk is nearly full, the log is written to the database and its space is given back. New work is refused
//! while less than a reserve is free, so that accepted work can still be done.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, warn};

use super::aside::step_aside;
use super::cached::Cached;
use super::disk::{Disk, log_max};
use super::health::{Health, broken};
use super::log::Log;
use super::mutex::lock;
use super::row::engine_error;
use super::tables::Tables;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::{Cause, Result, StoreError, Unwritable};

/// Most jobs in the queue.
const QUEUE_MAX: usize = 4_096;

/// Most jobs in one commit.
const BATCH_MAX: usize = 1_024;

/// Most jobs between two checks of the disk.
const LOOK_EVERY: usize = 64;

/// Steps of the engine after which the writer lets other threads go first: some hundred microseconds of work.
const ASIDE_EVERY: std::ffi::c_int = 2_000;

/// Pages that are copied between two transactions.
const COPIED: std::ffi::c_int = 64;

/// Whether a job may share its transaction with earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grouping {
    /// The job may share. It fails before it has written anything, or because the engine fails.
    Shared,
    /// The job is the first. If it fails, its writes are undone, and no other job is affected.
    Alone,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// New work from a caller: refused while less than the reserve is free.
    Intake,
    /// The store's own work on what it has accepted: done as long as there is any room.
    Own,
}

/// Work to do in a transaction, with a caller who waits for it.
trait Job: Send {
    /// Returns whether it may share a transaction.
    fn grouping(&self) -> Grouping;
    /// Returns what it is for.
    fn purpose(&self) -> Purpose;
    /// Runs it and remembers its result. Returns whether to keep its writes.
    fn run(&mut self, tables: &mut Tables<'_>) -> bool;
    /// Returns whether it failed because the engine did.
    fn engine_failed(&self) -> bool;
    /// Returns why it failed, for all jobs that share its transaction.
    fn failure(&mut self) -> StoreError;
    /// Answers the caller. `committed` is the result of the transaction.
    fn answer(self: Box<Self>, committed: &std::result::Result<(), CommitError>);
}

/// How far a transaction got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not begun.
    Begin,
    /// It has begun, and nothing is to be kept yet.
    Work,
    /// The engine was told to commit.
    Commit,
}

/// Why nothing of a batch was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CommitError {
    /// It was certainly not written.
    Unwritable(Unwritable),
    /// It is not known whether it was written.
    Broken(String),
}

impl CommitError {
    fn cause(&self) -> Cause {
        match self {
            CommitError::Unwritable(why) => why.cause(),
            CommitError::Broken(_) => Cause::Io,
        }
    }
}

struct Pending<T, W> {
    grouping: Grouping,
    purpose: Purpose,
    work: Option<W>,
    done: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnOnce(&mut Tables<'_>) -> Result<T> + Send> Job for Pending<T, W> {
    fn grouping(&self) -> Grouping {
        self.grouping
    }

    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn run(&mut self, tables: &mut Tables<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let done = catch_unwind(AssertUnwindSafe(|| work(tables)));
        let done = done.unwrap_or_else(|_| Err(corrupt("a job of the writer panicked")));
        let keep = done.is_ok();
        self.done = Some(done);
        keep
    }

    fn engine_failed(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        let Some(Err(error)) = &self.done else { return false };
        engine_error(error).is_some_and(|error| {
            matches!(error.code, Code::DiskFull | Code::SystemIoFailure | Code::ReadOnly | Code::CannotOpen)
        })
    }

    fn failure(&mut self) -> StoreError {
        match self.done.take() {
            Some(Err(error)) if engine_error(&error).is_some() => error,
            Some(Err(error)) => corrupt(format!("a job failed after it had written: {error}")),
            _ => corrupt("the engine gave a transaction up"),
        }
    }

    fn answer(self: Box<Self>, committed: &std::result::Result<(), CommitError>) {
        let done = match (committed, self.done) {
            (Err(CommitError::Unwritable(why)), _) => Err(why.clone().into()),
            (Err(CommitError::Broken(why)), _) => Err(broken(why)),
            (Ok(()), Some(done)) => done,
            (Ok(()), None) => Err(corrupt("the job was not done")),
        };
        // The caller may be gone. The work is done all the same.
        let _ = self.reply.send(done);
    }
}

/// The handle that callers hold.
pub(super) struct Writer {
    queue: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    health: Arc<Health>,
    copying: Arc<std::sync::Mutex<Option<Copying>>>,
}

/// A copy of the database that is asked for.
struct Copying {
    /// The file that it goes to: an empty one.
    to: PathBuf,
    reply: oneshot::Sender<Result<()>>,
}

impl Writer {
    /// Starts the writer's thread on a connection of its own.
    pub(super) fn start(
        mut connection: Connection,
        (log, disk): (Log, Disk),
        cached: Cached,
        ids: Arc<OrderIds>,
    ) -> Result<Self> {
        let aside = || {
            step_aside();
            false // and go on
        };
        connection.progress_handler(ASIDE_EVERY, Some(aside))?;
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let health = Arc::new(Health::default());
        let copying = Arc::new(std::sync::Mutex::new(None));
        let mut run = Run {
            connection: Box::new(connection),
            log,
            disk,
            cached,
            ids,
            health: health.clone(),
            looked: 0,
            log_max: 0,
            copying: Arc::clone(&copying),
        };
        run.look();
        if run.health.unwritable().is_some() {
            run.make_room();
        }
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run.on_its_thread().run(queue))
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        Ok(Self {
            queue: std::sync::Mutex::new(Some(sender)),
            thread: std::sync::Mutex::new(Some(thread)),
            health,
            copying,
        })
    }

    /// Copies the database to an empty file, and waits until it is whole. Nothing is synced. If the caller is gone, the
    /// copy is given up.
    ///
    /// # Errors
    /// `Conflict` if another copy is being made.
    pub(super) async fn copy(&self, to: PathBuf) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if lock(&self.copying).replace(Copying { to, reply }).is_some() {
            return Err(StoreError::Conflict("another copy is being made".to_owned()));
        }
        self.write_together(Purpose::Own, |_| Ok(())).await?; // wakes the writer
        answer.await.unwrap_or(Err(corrupt("the writer ended")))
    }

    /// Runs `work` for a caller and waits until it is on disk. If it fails, its writes are undone.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Grouping::Alone, Purpose::Intake, work).await
    }

    /// Runs the store's own work, as [`Writer::write`] does for a caller.
    pub(super) async fn write_own<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Grouping::Alone, Purpose::Own, work).await
    }

    /// Runs `work` in one transaction with earlier jobs and waits until it is on disk. It must not fail by its own
    /// fault once it has written something.
    pub(super) async fn write_together<T, W>(&self, purpose: Purpose, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.queue(Grouping::Shared, purpose, work).await
    }

    async fn queue<T, W>(&self, grouping: Grouping, purpose: Purpose, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.health.unbroken().inspect_err(|_| self.health.count(Cause::Io, 1))?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { grouping, purpose, work: Some(work), done: None, reply });
        let sent = match &*lock(&self.queue) {
            Some(queue) => queue.try_send(job),
            None => return Err(StoreError::Closed),
        };
        match sent {
            Ok(()) => answer.await.unwrap_or(Err(corrupt("the writer ended"))),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.health.count(Cause::QueueFull, 1);
                Err(StoreError::Full)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
        }
    }

    /// Returns how many jobs wait.
    pub(super) fn queued(&self) -> usize {
        lock(&self.queue).as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Returns whether the store takes writes.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Takes no more jobs, writes those that wait, and closes the connection.
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

struct Run<C> {
    connection: C,
    log: Log,
    disk: Disk,
    cached: Cached,
    ids: Arc<OrderIds>,
    health: Arc<Health>,
    /// Jobs since the disk was last checked.
    looked: usize,
    /// The limit of the log in bytes, as set in the engine.
    log_max: u64,
    copying: Arc<std::sync::Mutex<Option<Copying>>>,
}

/// Jobs in the order in which they arrive.
struct Arrivals {
    queue: mpsc::Receiver<Box<dyn Job>>,
    /// The next job. It was taken from the queue, but could not join the transaction before it.
    held: Option<Box<dyn Job>>,
}

impl Arrivals {
    /// Returns the next job. `None` if every sender is gone and the queue is empty.
    fn next(&mut self) -> Option<Box<dyn Job>> {
        self.held.take().or_else(|| self.queue.blocking_recv())
    }

    /// Returns a job that waits.
    ///
    /// # Errors
    /// If every sender is gone and the queue is empty.
    fn waiting(&mut self) -> std::result::Result<Option<Box<dyn Job>>, StoreError> {
        match self.held.take().map_or_else(|| self.queue.try_recv(), Ok) {
            Ok(job) => Ok(Some(job)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(StoreError::Closed),
        }
    }

    /// Returns a waiting job that may join the transaction. `None` ends the transaction. With `own`, only the store's
    /// own work may join.
    fn another(&mut self, own: bool) -> Option<Box<dyn Job>> {
        let job = self.queue.try_recv().ok()?;
        if job.grouping() == Grouping::Shared && (!own || job.purpose() == Purpose::Own) {
            return Some(job);
        }
        self.held = Some(job);
        None
    }
}

impl Run<Box<Connection>> {
    /// Shares the connection with copies of the database, which only this thread can do.
    fn on_its_thread(self) -> Run<Rc<Connection>> {
        let Self { connection, log, disk, cached, ids, health, looked, log_max, copying } = self;
        let connection = Rc::from(connection);
        Run { connection, log, disk, cached, ids, health, looked, log_max, copying }
    }
}

impl Run<Rc<Connection>> {
    /// Commits waiting jobs together, where they may share.
    fn run(mut self, queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut arrivals = Arrivals { queue, held: None };
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = arrivals.next() {
            self.turn(first, &mut batch, &mut arrivals);
            let asked = lock(&self.copying).take();
            if let Some(Copying { to, reply }) = asked {
                let connection = Rc::clone(&self.connection);
                let copied = self.copy(&connection, &to, &reply, (&mut batch, &mut arrivals));
                let _ = reply.send(copied); // the caller may be gone
            }
        }
        self.end();
    }

    /// Copies the database, and commits what arrives meanwhile.
    fn copy(
        &mut self,
        connection: &Connection,
        to: &Path,
        reply: &oneshot::Sender<Result<()>>,
        (batch, arrivals): (&mut Vec<Box<dyn Job>>, &mut Arrivals),
    ) -> Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(to, flags)?;
        // It is nothing until it is whole, and then its caller syncs it.
        copy.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
        copy.pragma_update(None, "synchronous", "OFF")?;
        let backup = Backup::new(connection, &mut copy)?;
        loop {
            match backup.step(COPIED)? {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                _ => std::thread::yield_now(), // locked for a moment
            }
            if reply.is_closed() {
                return Err(StoreError::Closed);
            }
            if let Some(job) = arrivals.waiting()? {
                self.turn(job, batch, arrivals);
            }
        }
    }
}

impl<C: Deref<Target = Connection>> Run<C> {
    /// Commits a job with those that may share its transaction, and answers them.
    fn turn(&mut self, first: Box<dyn Job>, batch: &mut Vec<Box<dyn Job>>, arrivals: &mut Arrivals) {
        let purpose = first.purpose();
        let refused = self.refuses(first.grouping(), purpose);
        batch.push(first);
        let committed = match refused {
            None => self.commit(batch, arrivals),
            Some(why) => Err(why),
        };
        if let Err(why) = &committed {
            self.health.count(why.cause(), batch.len());
        }
        self.looked += batch.len();
        for job in batch.drain(..) {
            job.answer(&committed); // only now: no caller hears of success before it is on disk
        }
        if self.health.get().is_ok()
            && let Err(error) = self.log.stay_ahead()
        {
            debug!(%error, "the log cannot be made longer ahead of time: {error}");
        }
    }

    /// Returns why a job is refused, if it is. Checks the disk first when that is due.
    fn refuses(&mut self, grouping: Grouping, purpose: Purpose) -> Option<CommitError> {
        if let Some(why) = self.health.broken() {
            return Some(CommitError::Broken(why.to_owned()));
        }
        let before = self.health.unwritable();
        if grouping == Grouping::Alone || self.looked >= LOOK_EVERY || before.is_some() {
            self.look();
        }
        // Once when the trouble begins, then with the store's own work, which is tried every second.
        if before.is_none() || purpose == Purpose::Own {
            match self.health.unwritable() {
                Some(Unwritable::Full { .. }) => self.make_room(),
                Some(Unwritable::Quota { .. } | Unwritable::ReadOnly { .. }) if self.log.probe().is_ok() => {
                    self.health.set(None);
                }
                _ => {}
            }
        }
        match self.health.unwritable() {
            Some(why) if purpose == Purpose::Intake && !passes(&why) => Some(CommitError::Unwritable(why)),
            _ => None,
        }
    }

    /// Checks the free space of the disk, and sets the limit of the log by it.
    fn look(&mut self) {
        self.looked = 0;
        let Some(room) = self.disk.room() else { return };
        let before = self.health.unwritable();
        let now = self.disk.judge(room, before.as_ref());
        if now != before {
            self.health.set(now);
        }
        let log_max = log_max(room.free, self.log.len().unwrap_or(0));
        if log_max.abs_diff(self.log_max) > self.log_max / 8 {
            match self.bound_log(log_max) {
                Ok(()) => self.log_max = log_max,
                Err(error) => warn!(%error, "the log's bound cannot be changed: {error}"),
            }
        }
    }

    /// Sets the limit of the log. A commit that leaves it longer than `bytes` writes it to the database. When the log
    /// begins anew, it is cut to `bytes`.
    fn bound_log(&self, bytes: u64) -> rusqlite::Result<()> {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.connection.pragma_update(None, "wal_autocheckpoint", signed(self.log.frames(bytes)))?;
        self.connection.pragma_update(None, "journal_size_limit", signed(bytes))
    }

    /// Writes the log to the database, gives its space back, and checks the disk again.
    fn make_room(&mut self) {
        match self.write_home() {
            Ok(()) => self.look(),
            Err(error) => debug!(%error, "the log cannot be written home: {}", error.why()),
        }
    }

    /// Writes the log to the database, and cuts the log as far as that allows. Reads under way can keep the log from
    /// being emptied, but not from being written.
    fn write_home(&mut self) -> Result<()> {
        let frames: i64 = self.connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?;
        // Cut before anything is written: the database may need that space.
        self.log
            .trim(u64::try_from(frames).unwrap_or(0))
            .map_err(|error| StoreError::Broken(Box::new(error)))?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Called before the connection is closed.
    fn end(&mut self) {
        if self.health.broken().is_none()
            && let Err(error) = self.write_home()
        {
            warn!(
                %error,
                "the log cannot be written home ({}): it stays in {}, and is read at the next start",
                error.why(),
                self.disk.folder().display()
            );
        }
    }

    fn commit(
        &mut self,
        batch: &mut Vec<Box<dyn Job>>,
        arrivals: &mut Arrivals,
    ) -> std::result::Result<(), CommitError> {
        let Err((stage, error)) = self.transaction(batch, arrivals) else {
            if self.health.unwritable().is_some_and(|why| passes(&why)) {
                self.health.set(None);
            }
            return Ok(());
        };
        let why = self.judge(stage, &error);
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            self.break_for_good("what was begun cannot be undone");
        }
        match Cached::load(&self.connection) {
            Ok(cached) => self.cached = cached,
            Err(error) => self.break_for_good(&error.why()),
        }
        match &why {
            // After a failed fsync nobody knows what is on disk: no second try on this handle.
            CommitError::Broken(why) => self.break_for_good(why),
            CommitError::Unwritable(why) => {
                self.health.set(Some(why.clone()));
                if matches!(why, Unwritable::Full { .. }) {
                    self.make_room();
                }
            }
        }
        Err(why)
    }

    fn break_for_good(&self, why: &str) {
        if self.health.broken().is_none() {
            error!("a commit failed, and nothing is written any more: {why}. Look at the disk, and restart");
        }
        self.health.break_for_good(why);
    }

    /// Returns what a failed transaction at this stage means. The engine does not pass on the system's reason for a
    /// failed write, so the system is asked again.
    fn judge(&mut self, stage: Stage, error: &StoreError) -> CommitError {
        use rusqlite::ErrorCode as Code;
        use rusqlite::ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};
        let folder = self.disk.folder();
        let Some(engine) = engine_error(error).copied() else { return CommitError::Broken(error.why()) };
        let why = match engine.code {
            Code::DiskFull => self.disk.full(),
            Code::ReadOnly => Unwritable::ReadOnly { folder },
            Code::DatabaseBusy | Code::DatabaseLocked if stage == Stage::Begin => {
                Unwritable::Locked { folder }
            }
            Code::SystemIoFailure if engine.extended_code == SQLITE_IOERR_WRITE => {
                use std::io::ErrorKind as Kind;
                match self.log.probe().map_err(|error| error.kind()) {
                    Err(Kind::StorageFull) => self.disk.full(),
                    Err(Kind::QuotaExceeded) => Unwritable::Quota { folder },
                    Err(Kind::ReadOnlyFilesystem) => Unwritable::ReadOnly { folder },
                    _ => return CommitError::Broken(error.why()),
                }
            }
            // Before the commit, only the head of a log that begins anew is synced.
            _ if stage != Stage::Commit && engine.extended_code != SQLITE_IOERR_FSYNC => {
                Unwritable::Engine { folder, why: error.why() }
            }
            _ => return CommitError::Broken(error.why()),
        };
        CommitError::Unwritable(why)
    }

    /// Runs the first job, and arriving jobs that may share its transaction.
    fn transaction(
        &mut self,
        batch: &mut Vec<Box<dyn Job>>,
        arrivals: &mut Arrivals,
    ) -> std::result::Result<(), (Stage, StoreError)> {
        let statement = |connection: &Connection, sql: &str| -> Result<()> {
            connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        let own = self.health.unwritable().is_some();
        statement(&self.connection, "BEGIN IMMEDIATE").map_err(|error| (Stage::Begin, error))?;
        let failed = |error| (Stage::Work, error);
        while let Some(job) = batch.last_mut() {
            let before = self.connection.total_changes();
            let mut tables =
                Tables { connection: &self.connection, cached: &mut self.cached, ids: &self.ids };
            let keep = job.run(&mut tables);
            // The engine rolls the whole transaction back if the disk is full or fails.
            if self.connection.is_autocommit() || job.engine_failed() {
                return Err(failed(job.failure()));
            }
            if !keep && self.connection.total_changes() != before {
                if job.grouping() == Grouping::Shared {
                    return Err(failed(job.failure()));
                }
                statement(&self.connection, "ROLLBACK").map_err(failed)?;
                self.cached = Cached::load(&self.connection).map_err(failed)?;
                return Ok(()); // it is the only job, and knows why it failed
            }
            if batch.len() == BATCH_MAX {
                break;
            }
            match arrivals.another(own) {
                Some(job) => batch.push(job),
                None => break,
            }
        }
        statement(&self.connection, "COMMIT").map_err(|error| (Stage::Commit, error))
    }
}

/// True if a transaction that ends well shows that the trouble has passed, even if it wrote nothing. For the other
/// reasons, a check of the disk or a write tells.
fn passes(why: &Unwritable) -> bool {
    match why {
        Unwritable::Locked { .. }
        | Unwritable::Temporary
        | Unwritable::Engine { .. }
        | Unwritable::Database { .. } => true,
        Unwritable::Full { .. } | Unwritable::Quota { .. } | Unwritable::ReadOnly { .. } => false,
    }
}
