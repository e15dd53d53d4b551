//! What a job of the writer works with.

use onhook_core::lifecycle::policy::Policy;
use rusqlite::Connection;

use super::cached::Memory;
use crate::order_ids::OrderIds;

/// What a job works with: the open transaction and what the writer remembers.
pub(super) struct Tables<'a> {
    pub(super) connection: &'a Connection,
    pub(super) memory: &'a mut Memory,
    pub(super) policy: &'a Policy,
    pub(super) ids: &'a OrderIds,
}
