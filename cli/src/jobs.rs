//! Jobs, waited for: checks, backups, imports and reports.

use std::time::{Duration, Instant};

use onhook_core::job::Kind;
use serde_json::Value;

use crate::client::{Ask, Problem};
use crate::session::Session;

/// How soon it is asked again how far a job is.
const FIRST: Duration = Duration::from_millis(20);
/// How soon at most: each time it is asked later.
const LAST: Duration = Duration::from_millis(500);
/// How long a server is waited for that does not answer meanwhile: it may be started again, and goes on then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a job has ended, and returns it. `seen` is told how far it is. Without a server this process does it.
pub(crate) async fn ended(
    session: &mut Session<'_>,
    kind: Kind,
    path: &str,
    mut seen: impl FnMut(&Value),
) -> anyhow::Result<Value> {
    session.do_jobs(kind);
    let passes = |error: &anyhow::Error| error.downcast_ref::<Problem>().is_none_or(Problem::may_pass);
    let mut wait = FIRST;
    let mut answered = Instant::now();
    loop {
        match session.ask(&Ask::get(path)).await {
            Ok(job) => {
                answered = Instant::now();
                seen(&job);
                // A report is shown as what it is, and not as the job that makes it.
                let is_over = matches!(job["state"].as_str(), Some("ready" | "failed"));
                if is_over || !job["ended_at"].is_null() {
                    return Ok(job);
                }
            }
            Err(error) if passes(&error) && answered.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST);
    }
}
