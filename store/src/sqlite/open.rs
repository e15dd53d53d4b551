//! How the store in a folder is opened, and which process has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tracing::warn;

use super::cached::Cached;
use super::disk::Disk;
use super::log::Log;
use super::readers::{Readers, VFS};
use super::row;
use super::schema::{check_engine, migrate};
use super::writer::Writer;
use crate::contract::orders::Script;
use crate::contract::transfer::MARK;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::{Result, StoreError, Unwritable};

/// The name of the database in the data folder.
pub const FILE: &str = "onhook.db";

const LOCK: &str = "onhook.lock";

/// Bytes of a page. A random number dirties a page of its own, so a commit writes, sums and syncs one page for each
/// number. Half of SQLite's usual size costs less there, and lists and imports are not slower.
const PAGE_BYTES: i64 = 2_048;

/// The writer's page cache, in KiB: room for the upper levels of the trees and what the last commits have touched. The system
/// has the rest of the file in memory. A larger one costs more than it saves: when pages of a tree change places, which
/// they often do, the engine goes through the whole cache at the end of the transaction (`pcache1TruncateUnsafe`; only
/// files beyond 1 GiB are spared), and no other thread has this processor meanwhile.
const CACHE_KIB: i64 = 12_288;

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder open.
    #[error("the data folder {} is in use by another onhook", .0.display())]
    InUse(PathBuf),
    /// The folder does not exist, and was not to be made.
    #[error("there is no onhook data in {}", .0.display())]
    Missing(PathBuf),
    /// It does not have everything yet that is moved there.
    #[error(
        "the data folder {} holds an unfinished migration: run onhook migrate again with the same --from, or start with \
         an empty folder", .0.display()
    )]
    Unfinished(PathBuf),
    /// This user may not read or write it.
    #[error("the data folder {} may not be used by this user", .0.display())]
    Denied(PathBuf),
    /// The folder or its lock cannot be used.
    #[error("cannot use the data folder {}", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The database cannot be used.
    #[error("cannot open the database")]
    Database(#[from] StoreError),
}

impl OpenError {
    fn of(folder: &Path, error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            Self::Denied(folder.to_owned())
        } else {
            Self::Folder(folder.to_owned(), error)
        }
    }
}

/// What a folder is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The store that is there.
    Use,
    /// The store that is there, or a new one.
    Make,
    /// As `Make`, and it need not have everything yet.
    Transfer,
    /// As `Make`, for data that nobody misses: nothing is forced to the disk.
    Forget,
}

/// A store in a folder.
pub struct SqliteStore {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
    pub(super) ids: Arc<OrderIds>,
    pub(super) token_key: [u8; 32],
    /// What an emulator says of single orders.
    pub(super) script: OnceLock<Arc<dyn Script>>,
    /// The folder that it is in.
    pub(super) folder: PathBuf,
    /// Held while the store is open. Dropping the file releases it.
    pub(super) lock: std::sync::Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the store in `folder`, and brings it to the newest schema. Makes the folder if it does not exist.
    ///
    /// # Errors
    /// [`OpenError`]: another process has the folder, or the store cannot be used. Nothing was changed.
    pub fn open(folder: &Path) -> std::result::Result<Self, OpenError> {
        Self::open_keeping(folder, None)
    }

    /// Opens the store as [`SqliteStore::open`] does, but takes nothing new while less than `reserve` bytes of the
    /// disk are free. `None` stands for [`RESERVE_BYTES`] or a tenth of the disk, whichever is less.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_keeping(folder: &Path, reserve: Option<u64>) -> std::result::Result<Self, OpenError> {
        make_folder(folder).map_err(|error| OpenError::of(folder, error))?;
        Self::open_existing(folder, Purpose::Make, reserve)
    }

    /// Opens the store that data is moved to, also if it does not have everything yet. Makes the folder if it does not
    /// exist.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], but not `Unfinished`.
    pub fn open_for_transfer(folder: &Path) -> std::result::Result<Self, OpenError> {
        make_folder(folder).map_err(|error| OpenError::of(folder, error))?;
        Self::open_existing(folder, Purpose::Transfer, Some(0))
    }

    /// Opens a store whose data need not survive a crash of the machine, such as one in a folder that goes with its
    /// process: nothing is forced to the disk. Makes the folder if it does not exist.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_forgetful(folder: &Path) -> std::result::Result<Self, OpenError> {
        make_folder(folder).map_err(|error| OpenError::of(folder, error))?;
        Self::open_existing(folder, Purpose::Forget, Some(0))
    }

    /// Opens an existing store for a person's command, which may write as long as there is any room.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], and `Missing` if there is no store.
    pub fn open_if_there(folder: &Path) -> std::result::Result<Self, OpenError> {
        match fs::metadata(folder.join(FILE)) {
            Ok(file) if file.is_file() => Self::open_existing(folder, Purpose::Use, Some(0)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(OpenError::Denied(folder.to_owned()))
            }
            _ => Err(OpenError::Missing(folder.to_owned())),
        }
    }

    fn open_existing(
        folder: &Path,
        purpose: Purpose,
        reserve: Option<u64>,
    ) -> std::result::Result<Self, OpenError> {
        let lock = lock(folder)?;
        check_engine()?;
        let disk = Disk::of(folder, reserve);
        Self::open_locked(lock, purpose, disk).map_err(|error| match error {
            OpenError::Database(error) => OpenError::Database(of_an_opening(error, folder)),
            error => error,
        })
    }

    fn open_locked(lock: File, purpose: Purpose, disk: Disk) -> std::result::Result<Self, OpenError> {
        let folder = disk.folder();
        let unusable = |error| OpenError::of(&folder, error);
        let path = folder.join(FILE);
        let new = purpose != Purpose::Use && !path.exists();
        if new {
            // Made before the engine does it: the log gets the mode of the database.
            private().create_new(true).open(&path).map_err(unusable)?;
        } else if let Err(error) = OpenOptions::new().read(true).open(&path) {
            // The engine would only say that it cannot open the file.
            return Err(unusable(error));
        }
        let mut connection = connect(&path)?;
        if purpose == Purpose::Forget {
            connection.pragma_update(None, "synchronous", "OFF").map_err(StoreError::from)?;
        }
        migrate(&mut connection)?;
        if new && purpose != Purpose::Forget {
            // The file's name must be on disk before anything in the file is confirmed to a caller.
            let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
            sync(&folder)
                .and_then(|()| folder.canonicalize()?.parent().map_or(Ok(()), sync))
                .map_err(unusable)?;
        }
        if purpose != Purpose::Transfer && row::meta::<String>(&connection, MARK)?.is_some() {
            return Err(OpenError::Unfinished(folder));
        }
        forget_leases(&connection);
        let cached = Cached::load(&connection)?;
        let readers = Readers::open(&path)?;
        let ids = Arc::new(OrderIds::new(row::key(&connection, "order_key")?, row::random()?));
        let token_key = row::key(&connection, "token_key")?;
        let log = Log::open(&path, left_alone(&connection)?).map_err(unusable)?;
        let writer = Writer::start(connection, (log, disk), cached, ids.clone())?;
        Ok(Self {
            writer,
            readers,
            ids,
            token_key,
            script: OnceLock::new(),
            folder,
            lock: std::sync::Mutex::new(Some(lock)),
        })
    }
}

/// Forgets the leases of the process that had the folder before, so that after a crash releases and deliveries go on at
/// once. If that cannot be written, the leases run out by themselves.
fn forget_leases(connection: &Connection) {
    if let Err(error) = connection.execute("DELETE FROM lease", []) {
        warn!(%error, "the leases of the last run cannot be forgotten, and are waited for, for some seconds: {error}");
    }
}

/// Returns why the database cannot be opened, in words if the cause is known.
fn of_an_opening(error: StoreError, folder: &Path) -> StoreError {
    let disk = Disk::of(folder, Some(0));
    let no_room = disk.room().is_some_and(|room| room.free == 0);
    let folder = folder.to_owned();
    match row::engine_error(&error).map(|error| error.code) {
        Some(ErrorCode::DiskFull) => disk.full().into(),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if no_room => disk.full().into(),
        Some(ErrorCode::ReadOnly) => Unwritable::ReadOnly { folder }.into(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Unwritable::Locked { folder }.into(),
        _ => error,
    }
}

pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Returns options for a file that no other user may read. The database holds password hashes, the key of the orders'
/// ids, and the key of the tokens.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock(folder: &Path) -> std::result::Result<File, OpenError> {
    let unusable = |error| OpenError::of(folder, error);
    let mut options = private();
    options.create(true).truncate(false);
    let file = options.open(folder.join(LOCK)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, VFS)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?; // for a new file; an existing one keeps its own
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(corrupt(format!("the file system allows no write-ahead log (journal mode {mode})")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Makes a connection wait for no lock: no other process has the database, so it could only wait for this process's
/// own readers. Returns the bytes of a page.
fn left_alone(connection: &Connection) -> Result<u64> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    let page_bytes: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok(page_bytes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::super::aside;
    use super::*;

    /// Returns how often this thread has stepped aside during a hundred thousand steps of the engine.
    fn times(connection: &Connection) -> Result<u32> {
        let sql = "WITH RECURSIVE seen(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seen WHERE n < 10000)
                   SELECT max(n) FROM seen";
        let before = aside::times();
        let _: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(aside::times() - before)
    }

    #[tokio::test]
    async fn long_work_lets_short_work_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        assert!(store.readers.read(times).await.unwrap() >= 10);
        assert!(store.writer.write(|tables| times(tables.connection)).await.unwrap() >= 10);
    }
}
