//! The audit trail: what was done beside the changes of single numbers, and the trait.

use async_trait::async_trait;
use onhook_core::audit::deed::{Deed, Recorded};
use onhook_core::ids::EventSeq;

use crate::Result;

/// The audit trail.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Writes down what was done where nothing else is written with it, such as an export. What is written with an act
    /// is written in the act's own transaction.
    async fn write_deeds(&self, deeds: Vec<Deed>) -> Result<()>;

    /// Returns deeds behind `after`, in the order of their sequence numbers, at most `size`.
    async fn deeds(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>>;
}
