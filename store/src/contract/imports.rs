//! Imports of numbers: queries, results, and the trait.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::import::{BadLine, BadLines, Intake, NewNumber};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::time::Timestamp;

use crate::Result;

/// A record of an import: the number of its first line, and its number or why it cannot be read.
pub type Line = (u64, std::result::Result<NewNumber, BadLine>);

/// The records of an import, in turn.
pub type Lines = Box<dyn Iterator<Item = Line> + Send>;

/// The result of an import, or of a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many numbers are new in the store; or how many exchanges are new or replaced.
    pub numbers: u64,
    /// How many removed numbers are back.
    pub restored: u64,
    /// The lines that were refused.
    pub bad: BadLines,
}

/// Imports of numbers.
#[async_trait]
pub trait Imports: Send + Sync {
    /// Imports numbers in one transaction. A removed number is taken back, with an event of its own. A partial intake
    /// leaves bad lines out.
    ///
    /// # Errors
    /// `Import` if a line is bad and the intake is not partial. Nothing was written.
    async fn import(
        &self,
        lines: Lines,
        intake: Intake,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Imported>;
}
