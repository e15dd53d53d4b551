//! New stores for the suite and for moves between them.

#![allow(dead_code, clippy::print_stdout, reason = "each test binary uses a part of it")]

use std::sync::Arc;

use async_trait::async_trait;
use onhook_cluster::shared;
use onhook_store::Store;
use onhook_store::conformance::Opener;
use onhook_store::postgres::PostgresStore;
use onhook_store::sqlite::SqliteStore;
use tempfile::TempDir;

/// A store in a folder, which is removed when this is dropped.
pub(crate) struct Folder(pub(crate) TempDir);

/// Returns a new folder.
pub(crate) fn folder() -> Folder {
    Folder(tempfile::tempdir().unwrap())
}

#[async_trait]
impl Opener for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.0.path()).unwrap())
    }

    async fn open_for_transfer(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_for_transfer(self.0.path()).unwrap())
    }

    /// One process has the folder, so two nodes are two clones of one handle.
    async fn open_twice(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        let store = self.open().await;
        (store.clone(), store)
    }
}

/// A store in a database.
pub(crate) struct Database(pub(crate) String);

#[async_trait]
impl Opener for Database {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::open(&self.0).await.unwrap())
    }

    async fn open_for_transfer(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::open_for_transfer(&self.0).await.unwrap())
    }

    async fn open_twice(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (self.open().await, self.open().await)
    }
}

/// Returns a new database in the cluster that all tests of this process share. `None` where PostgreSQL's programs are
/// missing.
pub(crate) fn database() -> Option<Database> {
    let cluster = shared().inspect_err(|why| println!("skipped: {why:#}")).ok()?;
    Some(Database(cluster.fresh_database().unwrap()))
}
