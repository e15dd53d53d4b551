//! Imports of numbers: queries, results, and the trait.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::Premises;
use onhook_core::audit::deed::Deed;
use onhook_core::ids::AccountId;
use onhook_core::import::{BadLine, BadLines, Intake, NewNumber};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::Exchange;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use serde_json::Value;

use crate::Result;
use crate::contract::jobs::{Job, JobId, Noted};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;

/// A record of an import: the number of its first line, and its number or why it cannot be read.
pub type Line = (u64, std::result::Result<NewNumber, BadLine>);

/// The records of an import, in turn.
pub type Lines = Box<dyn Iterator<Item = Line> + Send>;

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many numbers are new in the store; or how many exchanges are new or replaced.
    pub numbers: u64,
    /// How many removed numbers are back.
    pub restored: u64,
    /// The lines that were refused.
    pub bad: BadLines,
}

/// What the store has of the numbers on some lines.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Those that are there.
    pub there: HashMap<Number, Entry>,
    /// The histories of those that have left.
    pub gone: HashMap<Number, History>,
    /// The sites and peers of the lines' accounts. An account that does not exist is absent.
    pub premises: HashMap<AccountId, Premises>,
}

/// Some lines of an import that are to be written, all of them or none.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Numbers, each with its line.
    Numbers(Vec<(u64, NewNumber)>),
    /// Exchanges. They replace known ones with the same digits.
    Exchanges(Vec<Exchange>),
}

/// Imports of numbers and exchanges.
///
/// An import from a file is a job. Its file is staged, then each line is checked, and only then the lines are written, a
/// piece at a time and each in a transaction of its own: orders go on in between. Each step names the lease under
/// which it is done. What is noted of the job (`found`) says how far it is, and is written in the same transaction.
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

    /// Keeps the next part of a job's file. `part` counts from 0.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over.
    async fn stage(&self, lease: LeaseToken, job: JobId, part: u32, bytes: Vec<u8>) -> Result<()>;

    /// Makes sure that a job's file is on disk, and lets its lines be checked. With `once`, it is done once. Returns
    /// `None` if the job has ended meanwhile.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over.
    async fn staged(
        &self,
        lease: LeaseToken,
        job: JobId,
        found: Value,
        once: Option<Once<Option<Job>>>,
    ) -> Result<Option<Job>>;

    /// Returns a job's file, to be read on a thread that may block.
    async fn staging(&self, job: JobId) -> Result<Box<dyn Read + Send>>;

    /// Removes the files of jobs that have ended.
    async fn tidy_staging(&self) -> Result<()>;

    /// Returns what the store has of the numbers on some lines.
    async fn look_up(&self, numbers: Vec<NewNumber>) -> Result<Looked>;

    /// Forgets the bad lines of a job, whose check begins anew.
    async fn forget_bad_lines(&self, lease: LeaseToken, job: JobId) -> Result<()>;

    /// Notes bad lines of a job, each with what is wrong with it, and how far the job is. Returns false if it has ended
    /// meanwhile. A line that was good may be bad when it is to be written.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over.
    async fn note_bad_lines(
        &self,
        lease: LeaseToken,
        job: JobId,
        bad: Vec<(u64, String)>,
        noted: Noted,
    ) -> Result<bool>;

    /// Returns bad lines of a job after a line, in order, at most `size`.
    async fn bad_lines(&self, job: JobId, after: u64, size: usize) -> Result<Vec<(u64, String)>>;

    /// Lets the lines of a job be written, and writes the import as a deed. Returns the number of its event, and `None` if the job has ended meanwhile.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over.
    async fn begin_writing(
        &self,
        lease: LeaseToken,
        job: JobId,
        deed: Deed,
        found: Value,
    ) -> Result<Option<i64>>;

    /// Writes a piece of a job, which is being written. `event` is the import's event, and `noted` how far the job is
    /// then.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over.
    async fn write_piece(
        &self,
        lease: LeaseToken,
        job: JobId,
        piece: Piece,
        event: i64,
        noted: Noted,
        policy: Arc<Policy>,
    ) -> Result<()>;
}
