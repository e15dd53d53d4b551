//! Numbers that an operator brings. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::import::{BadLine, BadLines, Intake, NewNumber};
use onhook_core::time::Timestamp;

use crate::Result;

/// A line of an import: its place in the file, and its number or why it cannot be read.
pub type Line = (u64, std::result::Result<NewNumber, BadLine>);

/// The numbers that an import reads, one after another, with the line each begins on.
pub type Lines = Box<dyn Iterator<Item = Line> + Send>;

/// What an import did, or without being written would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many numbers or exchanges are in the store now that were not before; of exchanges, those too that
    /// gave way.
    pub numbers: u64,
    /// How many numbers that had left are back.
    pub restored: u64,
    /// The lines that were refused.
    pub bad: BadLines,
}

/// Numbers that an operator brings.
#[async_trait]
pub trait Imports: Send + Sync {
    /// Takes numbers in, all in one transaction. One that had left is taken back, by an event of its own. Bad
    /// lines are left out where the intake is partial.
    ///
    /// # Errors
    /// `Import` when a line is bad and the intake is not partial; nothing was written.
    async fn import(&self, lines: Lines, intake: Intake, now: Timestamp) -> Result<Imported>;
}
