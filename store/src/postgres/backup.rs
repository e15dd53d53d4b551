//! Backups are the database's own matter.

use std::path::PathBuf;

use async_trait::async_trait;

use super::open::PostgresStore;
use crate::contract::backups::{Backups, Copied};
use crate::contract::upkeep::{Report, Watch};
use crate::{Result, StoreError};

fn own_tools() -> StoreError {
    StoreError::Conflict("a database is backed up with its own tools".to_owned())
}

#[async_trait]
impl Backups for PostgresStore {
    fn folder(&self) -> Option<PathBuf> {
        None
    }

    async fn back_up(&self, _within: PathBuf, _name: String) -> Result<Copied> {
        Err(own_tools())
    }

    async fn check_backup(&self, _backup: Copied, _watch: Watch) -> Result<Report> {
        Err(own_tools())
    }
}
