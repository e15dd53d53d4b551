//! Why a store did not do what it was asked.

use std::path::PathBuf;

use onhook_core::ids::AccountId;
use onhook_core::import::BadLines;

/// Why a store did not do what it was asked; each variant wants another reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written, the queue is full: try later.
    #[error("the write queue is full")]
    Full,
    /// Nothing was written: the disk, or what is before it, takes no writes. The store goes on by itself when
    /// that has passed.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The store is closed or closing; nothing was written.
    #[error("the store is closed")]
    Closed,
    /// The idempotency key was used for another request; nothing was written.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The user has a reply under the key of this request; nothing was written. Read it.
    #[error("the key of the request is taken")]
    KeyTaken,
    /// The lease under which it was to be done is over; nothing was written. Take it again.
    #[error("the lease is over")]
    LeaseLost,
    /// What is to be made exists, or what it needs does not; nothing was written. Says which.
    #[error("{0}")]
    Conflict(String),
    /// An import had bad lines and was not to be partial; nothing was written. Says which.
    #[error("nothing was imported, bad lines: {}", .0.count())]
    Import(BadLines),
    /// It failed. Unless the operation only reads, whether it was written is not known.
    #[error("the store failed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Returns what went wrong, with every cause behind it: what a database says of an error stands there.
    #[must_use]
    pub fn why(&self) -> String {
        let StoreError::Broken(cause) = self else { return self.to_string() };
        let mut why = cause.to_string();
        let mut source = cause.source();
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        why
    }

    /// What is to be made needs an account that does not exist.
    pub(crate) fn no_account(account: AccountId) -> Self {
        StoreError::Conflict(format!("no account {account}"))
    }

    /// An account is to be made that exists.
    pub(crate) fn account_exists(account: AccountId) -> Self {
        StoreError::Conflict(format!("account {account} exists"))
    }

    /// Something is to be removed that the lines of an import may name.
    pub(crate) fn import_runs() -> Self {
        StoreError::Conflict("an import is under way: try again when it has ended".to_owned())
    }

    /// A user is to be made whose name is taken.
    pub(crate) fn user_exists(name: &str) -> Self {
        StoreError::Conflict(format!("user {name} exists"))
    }
}

/// Why nothing can be written for now, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// There is no room, or less than is to be kept free.
    #[error(
        "the disk of {} is full: {} are free, and {} have to be. Delete or move other files, or make it larger",
        folder.display(), mib(*free), mib(*needed)
    )]
    Full {
        /// The data folder.
        folder: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be free before anything new is taken.
        needed: u64,
    },
    /// The user that the process runs as may have no more of the disk.
    #[error("the disk of {} is full for this user, whose quota is used up: raise the quota", folder.display())]
    Quota {
        /// The data folder.
        folder: PathBuf,
    },
    /// The file system or the database file may only be read.
    #[error(
        "{} is not writable: the file system is mounted read-only, or onhook.db may not be written by this user. \
         The system's log says why a file system was made read-only",
        folder.display()
    )]
    ReadOnly {
        /// The data folder.
        folder: PathBuf,
    },
    /// Another program has the database.
    #[error("the database in {} is locked by another program: end that one", folder.display())]
    Locked {
        /// The data folder.
        folder: PathBuf,
    },
    /// A large list is sorted in a file for a moment, and there is no room for it.
    #[error("the disk for temporary files (TMPDIR, or /var/tmp) is full: make room there")]
    Temporary,
    /// The engine could not begin, or gave up before it had written anything for good.
    #[error("the database in {} cannot be written: {why}", folder.display())]
    Engine {
        /// The data folder.
        folder: PathBuf,
        /// What the engine says.
        why: String,
    },
    /// The database server cannot be reached, restarts, or takes no writes for now.
    #[error("the database takes no writes for now: {why}")]
    Database {
        /// What was seen.
        why: String,
    },
}

/// Bytes as a person reads them, in MiB.
fn mib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Why a write was not done, for the count of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The disk is full.
    DiskFull,
    /// The database may not be written, or another program has it.
    NotWritable,
    /// Too many writes waited already.
    QueueFull,
    /// The disk failed, or what is on it makes no sense.
    Io,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 4] = [Cause::DiskFull, Cause::NotWritable, Cause::QueueFull, Cause::Io];

    /// A word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Cause::DiskFull => "disk_full",
            Cause::NotWritable => "not_writable",
            Cause::QueueFull => "queue_full",
            Cause::Io => "io",
        }
    }
}

impl Unwritable {
    /// What it counts as.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Unwritable::Full { .. } | Unwritable::Quota { .. } | Unwritable::Temporary => Cause::DiskFull,
            Unwritable::ReadOnly { .. } | Unwritable::Locked { .. } => Cause::NotWritable,
            Unwritable::Engine { .. } | Unwritable::Database { .. } => Cause::Io,
        }
    }
}

/// What a store's operations give.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What the store holds makes no sense.
pub(crate) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Broken(what.into().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("db error")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_says_every_cause() {
        let inner = std::io::Error::other("relation \"number\" does not exist");
        let error = StoreError::Broken(Box::new(Outer(inner)));
        assert_eq!(error.why(), "db error: relation \"number\" does not exist");
        assert_eq!(StoreError::Full.why(), "the write queue is full");
    }
}
