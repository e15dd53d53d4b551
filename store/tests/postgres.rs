//! The store in a PostgreSQL database: the suite of all stores, on a real cluster.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use onhook_cluster::{Binaries, Cluster, Settings};
use onhook_store::Store;
use onhook_store::conformance::Opener;
use onhook_store::postgres::PostgresStore;

/// A new database.
struct Fresh(String);

#[async_trait]
impl Opener for Fresh {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::open(&self.0).await.unwrap())
    }

    async fn open_twice(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (self.open().await, self.open().await)
    }
}

/// Returns a new database in the cluster that all tests of this process share. `None` where PostgreSQL's programs are
/// missing; the first test says so.
fn fresh() -> Option<Fresh> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| match Binaries::find() {
        Ok(binaries) => Some(Cluster::start(&binaries, Settings::quick()).unwrap()),
        Err(why) => {
            println!("skipped: {why:#}");
            None
        }
    });
    Some(Fresh(cluster.as_ref()?.fresh_database().unwrap()))
}

mod conforms {
    use super::*;
    onhook_store::conformance!({
        let Some(fresh) = fresh() else { return };
        fresh
    });
}
