//! The servers that share a store, and the settings by which each of them goes, so that they can tell whether they differ.
//!
//! What is noted here decides nothing. A store without nodes, such as a folder, which has one server, notes nothing.

use std::time::Duration;

use async_trait::async_trait;
use onhook_core::setting::GoesBy;

use crate::Result;

/// Most other nodes that are returned.
pub const NODES_MAX: u32 = 100;

/// A node, as it has noted itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What no other node has, and no other run of this one.
    pub id: String,
    /// By what an operator knows it: its machine and its address.
    pub name: String,
    /// The settings by which it goes.
    pub goes_by: GoesBy,
}

/// The nodes that run. Their time is measured by the store.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Notes a node for as long as `lasts`, from now on. Returns the other nodes whose notes last, at most [`NODES_MAX`].
    async fn note_node(&self, _node: &Node, _lasts: Duration) -> Result<Vec<Node>> {
        Ok(Vec::new())
    }

    /// Forgets the nodes of this name.
    async fn forget_node(&self, _name: &str) -> Result<()> {
        Ok(())
    }
}
