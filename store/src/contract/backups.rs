//! Backups: the whole store copied to another folder while it is in use.
//!
//! A database has tools of its own for that, which know more than its clients. So only a store in a folder does this.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::Result;
use crate::contract::upkeep::{Report, Watch};

/// A backup that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes of its database.
    pub bytes: u64,
    /// The SHA-256 of its database, in hexadecimal digits.
    pub sha256: String,
    /// The last position that an event of it has. 0 if none has one yet.
    pub position: u64,
}

/// Backups.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Returns the folder with the store's data. `None` for a database: it is backed up by its own tools.
    fn folder(&self) -> Option<PathBuf>;

    /// Copies the store to a new folder `name` in `within`, which opens as a data folder. It has everything that was
    /// written before this was called. It gets its name when it is complete. What is left of an earlier try with this
    /// name is removed first.
    ///
    /// # Errors
    /// `Conflict` if the store is a database.
    async fn back_up(&self, within: PathBuf, name: String) -> Result<Copied>;

    /// Checks a backup: that its database is what it was, and that every invariant holds in it.
    ///
    /// # Errors
    /// `Conflict` if the store is a database, or if the backup is missing or in use.
    async fn check_backup(&self, backup: Copied, watch: Watch) -> Result<Report>;
}
