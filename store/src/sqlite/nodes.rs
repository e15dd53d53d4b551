//! A folder has one server, so no nodes are noted.

use super::open::SqliteStore;
use crate::contract::nodes::Nodes;

impl Nodes for SqliteStore {}
