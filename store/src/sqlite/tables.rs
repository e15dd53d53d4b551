//! What a job of the writer works with.

use rusqlite::Connection;

use super::cached::Cached;
use crate::order_ids::OrderIds;

/// What a job works with: the open transaction, and what the writer remembers.
pub(super) struct Tables<'a> {
    pub(super) connection: &'a Connection,
    pub(super) cached: &'a mut Cached,
    pub(super) ids: &'a OrderIds,
}
