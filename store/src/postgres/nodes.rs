//! The nodes that run on the database, and the settings by which each of them goes.

use std::time::Duration;

use async_trait::async_trait;

use super::client::Client;
use super::open::PostgresStore;
use super::row::get;
use super::statement::{NOW, Value, execute, rows};
use super::transaction::reading;
use crate::Result;
use crate::contract::nodes::{NODES_MAX, Node, Nodes};

async fn note(client: &Client, node: &Node, lasts: Duration) -> Result<Vec<Node>> {
    let goes_by = serde_json::to_string(&node.goes_by)?;
    let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
    let sql = format!(
        "INSERT INTO node (id, name, goes_by, until) VALUES ($1, $2, $3, {NOW} + $4)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, goes_by = excluded.goes_by, until = excluded.until"
    );
    let values: [&dyn Value; 4] = [&node.id, &node.name, &goes_by, &lasts];
    execute(client, &sql, &values).await?;
    execute(client, &format!("DELETE FROM node WHERE until <= {NOW}"), &[]).await?;
    let sql =
        format!("SELECT id, name, goes_by FROM node WHERE id <> $1 ORDER BY name, id LIMIT {NODES_MAX}");
    let mut others = Vec::new();
    for row in &rows(client, &sql, &[&node.id]).await? {
        // What another version has written and this one cannot read is not compared.
        let goes_by = serde_json::from_str(get(row, 2)?).unwrap_or_default();
        others.push(Node { id: get(row, 0)?, name: get(row, 1)?, goes_by });
    }
    Ok(others)
}

// Each statement may run twice if the connection breaks.
#[async_trait]
impl Nodes for PostgresStore {
    async fn note_node(&self, node: &Node, lasts: Duration) -> Result<Vec<Node>> {
        reading!(self, client => note(&client, node, lasts).await)
    }

    async fn forget_node(&self, name: &str) -> Result<()> {
        reading!(self, client => execute(&client, "DELETE FROM node WHERE name = $1", &[&name]).await.map(|_| ()))
    }
}
