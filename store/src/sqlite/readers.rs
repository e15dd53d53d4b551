//! Reads: a few read-only connections, each used by one caller at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::warn;

use super::aside::step_aside;
use super::mutex::lock;
use super::row;
use crate::error::corrupt;
use crate::{Result, StoreError, Unwritable};

/// How SQLite opens the file: no other process uses it, and the log's index is in this process's memory.
pub(super) const VFS: &str = "unix-excl";

/// How many reads run at once. More reads wait for their turn.
const READERS: usize = 4;

/// Each connection's page cache, in KiB: room for the upper levels of the trees of ten million rows. More would
/// gain little: the next commit makes it void, and the system has the file in memory, too.
const CACHE_KIB: i64 = 8_192;

/// Steps of the engine between two checks of a read's length.
const LOOK_EVERY: i32 = 1_000;

/// Checks after which a read is long: some milliseconds of work, more than a page of a few hundred rows takes.
const LOOKS_MAX: i64 = 40;

/// Checks after which a read is more than one of a few rows.
const FEW_LOOKS: i64 = 2;

/// A read of a few rows that takes longer than this has probably waited for the disk.
const FEW_MAX: Duration = Duration::from_millis(10);

/// How often a read lets other work of its thread go first, while another thread has the one turn: it has that for some
/// microseconds. Waking a third thread costs more.
const WAITS_MAX: usize = 8;

/// How long no read is done on its caller's own thread after one that has waited for the disk.
const REST: Duration = Duration::from_secs(1);

/// The connections.
///
/// A query does not tell how much it will read: a page of ten may be found at once, or after a million rows. So each
/// read begins as a short one. A read that turns out to be long is stopped, and begun again when a turn for long reads
/// is free. There are few of these turns, so that connections and a processor stay free for short reads, which never
/// wait for a long one to end. The work of a long read before it was stopped is lost. That is little, and the price of
/// one rule for all.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Reader>>>,
    turns: Arc<Semaphore>,
    long_turns: Arc<Semaphore>,
    /// The one turn to read on a caller's own thread. There is none on a single processor.
    here: Option<Semaphore>,
    /// Until when there is none.
    resting: Mutex<Option<Instant>>,
}

/// A connection, and the checks of its read.
struct Reader {
    connection: Connection,
    looks: Arc<Looks>,
}

/// The checks of one read.
#[derive(Default)]
struct Looks {
    done: AtomicI64,
    most: AtomicI64,
}

impl Looks {
    /// Begins a read that may have `most` checks.
    fn begin(&self, most: i64) {
        self.done.store(0, Ordering::Relaxed);
        self.most.store(most, Ordering::Relaxed);
    }

    /// Returns whether the read has to stop here.
    ///
    /// A read of a few rows never lets other threads go first. The thread that reads them also serves, and all that it
    /// serves would wait for those threads. The engine counts the steps of a statement from one use to the next, so a
    /// read of a few rows may have a check as well.
    fn look(&self) -> bool {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done > FEW_LOOKS {
            step_aside();
        }
        self.exceeded()
    }

    /// Returns whether there were more checks than the read may have.
    fn exceeded(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.most.load(Ordering::Relaxed)
    }
}

/// The result of a read on its caller's own thread.
enum Here<T> {
    /// It ended.
    Ended(Result<T>),
    /// Another thread that serves has the one turn.
    Busy,
    /// It is one for another thread.
    Elsewhere,
}

/// The result of a read.
enum Read<T> {
    /// It ended.
    Ended(Result<T>),
    /// It would have taken longer than it may.
    TooLong,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let idle = (0..READERS).map(|_| Reader::open(path)).collect::<Result<Vec<_>>>()?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Half of the processors or half of the connections, whichever is less, but at least one.
        let long = (processors / 2).clamp(1, READERS / 2);
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
            turns: Arc::new(Semaphore::new(READERS)),
            long_turns: Arc::new(Semaphore::new(long)),
            here: (processors > 1).then(|| Semaphore::new(1)),
            resting: Mutex::new(None),
        })
    }

    /// Runs `read` in one read transaction, on a thread where it may block. Runs a long read twice.
    pub(super) async fn read<T, R>(&self, read: R) -> Result<T>
    where
        T: Send + 'static,
        R: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
    {
        let read = Arc::new(read);
        if let Read::Ended(result) = self.begin(read.clone(), LOOKS_MAX, None).await {
            return result;
        }
        let turn = self.long_turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        match self.begin(read, i64::MAX, Some(turn)).await {
            Read::Ended(result) => result,
            Read::TooLong => Err(corrupt("a read has no end")),
        }
    }

    /// Runs `read`, of a few rows by their keys, in one read transaction. Most of the time these rows are in memory, and
    /// reading them takes less time than waking another thread, so this thread reads them. It may wait for the disk all
    /// the same. So only one thread that serves does this at a time, and none does for a while after a read that took
    /// long: a disk that hangs holds up one of them, and the others serve.
    pub(super) async fn read_few<T, R>(&self, read: R) -> Result<T>
    where
        T: Send + 'static,
        R: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
    {
        for _ in 0..WAITS_MAX {
            match self.read_here(&read) {
                Here::Ended(result) => return result,
                Here::Busy => tokio::task::yield_now().await,
                Here::Elsewhere => break,
            }
        }
        self.read(read).await
    }

    /// Runs `read` on this thread, if that may be now.
    fn read_here<T>(&self, read: impl Fn(&Connection) -> Result<T>) -> Here<T> {
        let Some(here) = &self.here else { return Here::Elsewhere };
        let begun = Instant::now();
        if lock(&self.resting).is_some_and(|until| begun < until) {
            return Here::Elsewhere;
        }
        let Ok(_here) = here.try_acquire() else { return Here::Busy };
        let Ok(_turn) = self.turns.try_acquire() else { return Here::Elsewhere };
        let done = run(&self.idle, read, FEW_LOOKS);
        if begun.elapsed() > FEW_MAX {
            *lock(&self.resting) = Some(Instant::now() + REST);
        }
        match done {
            Read::Ended(result) => Here::Ended(result),
            Read::TooLong => Here::Elsewhere,
        }
    }

    /// Runs `read` until its checks are used up. The turn for long reads is given back when it ends, whether or not a
    /// caller still waits for it.
    async fn begin<T, R>(&self, read: Arc<R>, looks: i64, long_turn: Option<OwnedSemaphorePermit>) -> Read<T>
    where
        T: Send + 'static,
        R: Fn(&Connection) -> Result<T> + Send + Sync + 'static,
    {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Read::Ended(Err(StoreError::Closed));
        };
        let idle = self.idle.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = run(&idle, &*read, looks);
            drop((turn, long_turn));
            done
        });
        done.await.unwrap_or_else(|error| Read::Ended(Err(StoreError::Broken(Box::new(error)))))
    }

    /// Waits for the reads under way and closes the connections.
    pub(super) async fn close(&self) {
        if self.turns.acquire_many(u32::try_from(READERS).unwrap_or(1)).await.is_ok() {
            self.turns.close();
            self.long_turns.close();
        }
        lock(&self.idle).clear();
    }
}

/// Runs `read` on an idle connection, of which the caller has a turn.
fn run<T>(idle: &Mutex<Vec<Reader>>, read: impl Fn(&Connection) -> Result<T>, looks: i64) -> Read<T> {
    let Some(reader) = lock(idle).pop() else { return Read::Ended(Err(StoreError::Closed)) };
    // A read that panics must not take its connection with it.
    let done = catch_unwind(AssertUnwindSafe(|| reader.run(read, looks)));
    lock(idle).push(reader);
    done.unwrap_or_else(|_| Read::Ended(Err(corrupt("a read panicked"))))
}

impl Reader {
    fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        let looks = Arc::<Looks>::default();
        looks.begin(i64::MAX);
        let looked = looks.clone();
        connection.progress_handler(LOOK_EVERY, Some(move || looked.look()))?;
        Ok(Self { connection, looks })
    }

    fn run<T>(&self, read: impl Fn(&Connection) -> Result<T>, looks: i64) -> Read<T> {
        self.looks.begin(looks);
        let result = self.transaction(read);
        match result {
            Ok(Some(value)) => Read::Ended(Ok(value)),
            Ok(None) => Read::TooLong,
            Err(error) => Read::Ended(Err(of_a_read(error))),
        }
    }

    /// Runs `read` in one read transaction. Returns `None` if its checks are used up.
    fn transaction<T>(&self, read: impl Fn(&Connection) -> Result<T>) -> Result<Option<T>> {
        let transaction = ReadTransaction::begin(&self.connection)?;
        let value = read(&self.connection);
        let too_long = self.looks.exceeded();
        self.looks.begin(i64::MAX); // the end of the transaction must not be stopped
        match value {
            Ok(value) => transaction.end().map(|()| Some(value)),
            Err(_) if too_long => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One state of the database for all statements until its end. Its two statements stay prepared: to parse them takes as
/// long as to find a row. Dropping it ends it, too.
struct ReadTransaction<'c>(&'c Connection);

impl<'c> ReadTransaction<'c> {
    fn begin(connection: &'c Connection) -> Result<Self> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }

    fn end(self) -> Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for ReadTransaction<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("ROLLBACK")
        {
            warn!(%error, "a read transaction does not end: {error}");
        }
    }
}

/// Returns a read's error. A connection that only reads can only run out of disk for temporary files.
fn of_a_read(error: StoreError) -> StoreError {
    match row::engine_error(&error).map(|error| error.code) {
        Some(rusqlite::ErrorCode::DiskFull) => Unwritable::Temporary.into(),
        _ => error,
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, VFS)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    rusqlite::vtab::array::load_module(&connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::super::aside;
    use super::*;

    /// Reads rows one by one.
    fn look_at(connection: &Connection, rows: u32) -> Result<u32> {
        let sql = "WITH RECURSIVE seen(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seen WHERE n < ?)
                   SELECT max(n) FROM seen";
        Ok(connection.prepare_cached(sql)?.query_row([rows], |row| row.get(0))?)
    }

    fn readers() -> (tempfile::TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("onhook.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (n)").unwrap();
        let readers = Arc::new(Readers::open(&path).unwrap());
        (folder, readers)
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), what).await.expect("it waits for a long one")
    }

    #[tokio::test]
    async fn a_short_read_does_not_wait_for_long_ones_however_many_there_are() {
        let (_folder, readers) = readers();
        let (begun, mut beginning) = tokio::sync::mpsc::unbounded_channel();
        let mut ends = Vec::new();
        let long: Vec<_> = (0..READERS * 4)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                ends.push(end);
                let (readers, begun, ended) = (readers.clone(), begun.clone(), Mutex::new(ended));
                tokio::spawn(async move {
                    let read = move |connection: &Connection| {
                        let seen = look_at(connection, 1_000_000)?;
                        let _ = begun.send(());
                        let _ = lock(&ended).recv();
                        Ok(seen)
                    };
                    readers.read(read).await
                })
            })
            .collect();
        // One of the long reads runs now, and all others have been asked for.
        soon(beginning.recv()).await.unwrap();
        for _ in 0..READERS * 4 {
            assert_eq!(soon(readers.read(|connection| look_at(connection, 10))).await.unwrap(), 10);
        }
        drop(ends);
        for long in long {
            assert_eq!(soon(long).await.unwrap().unwrap(), 1_000_000);
        }
    }

    #[tokio::test]
    async fn a_read_of_a_few_rows_is_done_here_and_any_other_elsewhere() {
        let (_folder, readers) = readers();
        let own = std::thread::current().id();
        let rested = || *lock(&readers.resting) = None; // a busy machine makes any read slow
        let read = async |rows| {
            let read =
                move |connection: &Connection| Ok((look_at(connection, rows)?, std::thread::current().id()));
            let (seen, thread) = readers.read_few(read).await.unwrap();
            assert_eq!(seen, rows);
            thread == own
        };
        let several = readers.here.is_some();
        assert_eq!(read(10).await, several);
        rested();
        assert!(!read(100_000).await, "it is no read of a few rows");
        rested();
        // One is done here already.
        let turn = readers.here.as_ref().map(Semaphore::try_acquire);
        assert!(!read(10).await);
        drop(turn);
        // All connections are busy.
        let turns = readers.turns.acquire_many(4).await.unwrap();
        assert!(matches!(readers.read_here(|_| Ok(())), Here::Elsewhere));
        drop(turns);
        assert_eq!(read(10).await, several);
        rested();
        // The disk is slow.
        let slow = |_: &Connection| {
            std::thread::sleep(FEW_MAX * 2);
            Ok(())
        };
        readers.read_few(slow).await.unwrap();
        if let Some(until) = &mut *lock(&readers.resting) {
            *until += Duration::from_secs(3_600);
        }
        assert!(!read(10).await);
        assert_eq!(lock(&readers.resting).is_some(), several);
    }

    #[tokio::test]
    async fn a_read_of_a_few_rows_lets_no_other_thread_go_first() {
        let (_folder, readers) = readers();
        let read = |rows: u32, most: i64| {
            let before = aside::times();
            for _ in 0..100 {
                run(&readers.idle, |connection| look_at(connection, rows), most);
            }
            aside::times() - before
        };
        assert_eq!(read(10, FEW_LOOKS), 0);
        assert_eq!(read(10, LOOKS_MAX), 0, "neither does one on a thread for reads");
        assert_eq!(read(100_000, FEW_LOOKS), 100, "it stops at the first check that is one too many");
        assert!(read(100_000, i64::MAX) > 100);
    }

    #[tokio::test]
    async fn a_long_read_is_begun_twice_and_a_short_one_or_a_wrong_one_once() {
        let (_folder, readers) = readers();
        for (rows, times) in [(10, 1), (300, 1), (1_000_000, 2)] {
            let begun = Arc::new(AtomicUsize::new(0));
            let count = begun.clone();
            let read = move |connection: &Connection| {
                count.fetch_add(1, Ordering::Relaxed);
                look_at(connection, rows)
            };
            assert_eq!(readers.read(read).await.unwrap(), rows);
            assert_eq!(begun.load(Ordering::Relaxed), times, "{rows} rows");
        }
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        let read = move |_: &Connection| -> Result<()> {
            count.fetch_add(1, Ordering::Relaxed);
            Err(StoreError::Conflict("no".into()))
        };
        assert!(matches!(readers.read(read).await, Err(StoreError::Conflict(_))));
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        // A read that panics must leave its connection to the next one.
        for _ in 0..READERS * 2 {
            let read = |_: &Connection| -> Result<()> { panic!("on purpose") };
            assert!(matches!(readers.read(read).await, Err(StoreError::Broken(_))));
        }
        assert_eq!(readers.read(|connection| look_at(connection, 10)).await.unwrap(), 10);
    }
}
