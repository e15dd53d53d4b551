//! Where a test's data is: in a folder, or, if `ONHOOK_TEST_STORE` says so, in a database.

use std::sync::Arc;

use onhook_store::Store;
use onhook_store::postgres::PostgresStore;
use onhook_store::sqlite::SqliteStore;
use tempfile::TempDir;

/// The place of a test's data, which no other test has.
pub(super) enum Home {
    Folder(TempDir),
    Database(String),
}

impl Home {
    pub(super) fn new() -> Self {
        match onhook_cluster::chosen_database().unwrap() {
            Some(url) => Self::Database(url),
            None => Self::Folder(tempfile::tempdir().unwrap()),
        }
    }

    /// Returns whether all writes wait for one writer in this process. Those to a database wait only for others of the same
    /// rows, and for the network.
    pub(super) fn has_one_writer(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Opens the store. The store in a folder is opened once at a time.
    pub(super) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Folder(folder) => Arc::new(SqliteStore::open(folder.path()).unwrap()),
            Self::Database(url) => Arc::new(PostgresStore::open(url).await.unwrap()),
        }
    }
}
