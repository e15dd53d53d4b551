//! Jobs: what is asked of the store that outlasts a request, and how far it is.
//!
//! A job belongs to no node. The node with the lease for its kind runs it, and each note of how far it is names that
//! lease's token. So a node that stopped in the middle leaves its job to the next one.

use async_trait::async_trait;
use onhook_core::audit::deed::Deed;
use onhook_core::job::{Kind, NotTaken, State};
use onhook_core::lifecycle::provenance::Author;
use onhook_core::time::Timestamp;
use serde_json::Value;

use crate::Result;
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;

/// A job's id. Later jobs have larger ones, whatever their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// A job to be taken.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What it does.
    pub kind: Kind,
    /// Who asks for it, and under what.
    pub author: Author,
    /// What it is to do.
    pub asked: Value,
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: Kind,
    /// How far it is.
    pub state: State,
    /// When it was taken.
    pub made_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who asked for it, and under what.
    pub author: Author,
    /// What it is to do.
    pub asked: Value,
    /// What is known so far, or what came of it. Null at first.
    pub found: Value,
}

impl Job {
    /// Returns what came of it as it is found once somebody was told of it.
    pub(crate) fn found_told(&self) -> Value {
        let mut found = self.found.clone();
        if let Value::Object(found) = &mut found {
            found.insert(TOLD.to_owned(), true.into());
        }
        found
    }

    /// Returns whether somebody was told what came of it.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.found.get(TOLD) == Some(&Value::Bool(true))
    }
}

/// The key of what came of a job under which it says that somebody was told.
const TOLD: &str = "told";

/// A job that was taken, or why it was not.
pub type Taken = std::result::Result<Job, NotTaken>;

/// What is noted of a job that is under way.
#[derive(Clone, Debug)]
pub struct Noted {
    /// How far it is.
    pub state: State,
    /// What is known so far, or what came of it.
    pub found: Value,
    /// When that is noted.
    pub at: Timestamp,
    /// What was done with it.
    pub deed: Option<Deed>,
}

impl Noted {
    /// Returns what is noted where nothing else was done.
    #[must_use]
    pub fn new(state: State, found: Value, at: Timestamp) -> Self {
        Self { state, found, at, deed: None }
    }
}

/// Jobs.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Takes a job, unless too many of its kind have not ended. With `once`, it is done once. A making of a report that
    /// answers the same request ([`answers_again`](onhook_core::job::answers_again)) is returned instead of a new one:
    /// requests are the same if what is `asked` has the same `request`.
    async fn add_job(&self, new: NewJob, once: Option<Once<Taken>>, now: Timestamp) -> Result<Taken>;

    /// Returns a job of this kind.
    async fn job(&self, kind: Kind, id: JobId) -> Result<Option<Job>>;

    /// Returns jobs of a kind before `before`, the newest first, at most `size`.
    async fn jobs(&self, kind: Kind, before: Option<JobId>, size: usize) -> Result<Vec<Job>>;

    /// Returns the oldest job of a kind that has not ended: the one that is to be run.
    async fn next_job(&self, kind: Kind) -> Result<Option<Job>>;

    /// Notes how far a job is, and writes the deed. Returns false, and notes nothing, if its state does not lead there: it has ended
    /// meanwhile.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over.
    async fn note_job(&self, lease: LeaseToken, id: JobId, noted: Noted) -> Result<bool>;

    /// Notes that somebody was told what came of a job, and returns it. `None` if there is none of this kind.
    async fn tell_job(&self, kind: Kind, id: JobId, once: Option<Once<Option<Job>>>) -> Result<Option<Job>>;

    /// Ends a job of which nothing is written yet. Returns the job as it then is, and whether it was ended. `None` if
    /// there is none of this kind.
    async fn cancel_job(&self, kind: Kind, id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>>;
}
