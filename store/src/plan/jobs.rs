//! Which making of a report answers a request.

use onhook_core::job::{Kind, answers_again};
use onhook_core::time::Timestamp;

use crate::contract::jobs::{Job, NewJob};

/// Returns the making that answers a request for the same report at `now`, of all that there are, the newest first.
#[must_use]
pub fn answering(new: &NewJob, now: Timestamp, makings: Vec<Job>) -> Option<Job> {
    let answers = |job: &Job| {
        new.kind == Kind::Report
            && job.asked.get("request") == new.asked.get("request")
            && answers_again(job.state, job.ended_at, job.is_told(), now)
    };
    makings.into_iter().find(answers)
}
