//! What the tests ask the database themselves, beside the nodes.

use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

/// A connection of the test's own.
pub(crate) struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    /// Connects to the database at this address.
    pub(crate) fn of(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread for the connection");
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(url, NoTls)).expect("the database is there");
        runtime.spawn(connection);
        Self { runtime, client }
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap_or_else(|why| panic!("{sql}: {why:?}"));
    }

    /// Returns the rows of a query.
    pub(crate) fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.runtime.block_on(self.client.query(sql, values)).unwrap_or_else(|why| panic!("{sql}: {why:?}"))
    }

    /// Returns the first column of a query, whole numbers.
    pub(crate) fn whole(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<i64> {
        self.rows(sql, values).iter().map(|row| row.get(0)).collect()
    }

    /// Returns the first column of a query, texts.
    pub(crate) fn texts(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<String> {
        self.rows(sql, values).iter().map(|row| row.get(0)).collect()
    }

    /// Returns the number that a query counts.
    pub(crate) fn count(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> u64 {
        self.whole(sql, values)[0].unsigned_abs()
    }
}
