//! A look at the database now and then: whether it takes writes again, whether it keeps what it is given, and whether it
//! has a new primary.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::connect::connection;
use super::durability::weaknesses;
use super::health::Health;
use super::primary::Look;
use super::random::random_uuid;
use super::statement::execute;
use crate::Result;
use crate::contract::upkeep::Weakness;

/// How often a write is tried while the last one failed.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// How often a new primary is looked for.
const PRIMARY_EVERY: Duration = Duration::from_secs(1);

/// How often weaknesses are looked for.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// Looks until it is dropped.
pub(super) struct Lookout {
    found: Arc<Mutex<Vec<Weakness>>>,
    tasks: [AbortHandle; 2],
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Lookout {
    /// Looks for weaknesses, and goes on in the background.
    pub(super) async fn start(pool: Pool, health: Arc<Health>, primary: Arc<dyn Look>) -> Self {
        let found = Arc::new(Mutex::new(Vec::new()));
        look(&pool, &found).await;
        let looking = tokio::spawn(look_for_primary(pool.clone(), primary));
        let task = tokio::spawn(look_out(pool, health, found.clone()));
        Self { found, tasks: [looking.abort_handle(), task.abort_handle()] }
    }

    /// Returns the weaknesses that the last look found.
    pub(super) fn found(&self) -> Vec<Weakness> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks for a new primary. The connections of the pool may all hang at the old one, so it uses none of them.
async fn look_for_primary(pool: Pool, primary: Arc<dyn Look>) {
    let mut ticks = interval(PRIMARY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !pool.is_closed() {
        ticks.tick().await;
        primary.look().await;
    }
}

async fn look_out(pool: Pool, health: Arc<Health>, found: Arc<Mutex<Vec<Weakness>>>) {
    let mut ticks = interval(TRY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Instant::now() + LOOK_EVERY;
    while !pool.is_closed() {
        ticks.tick().await;
        if health.is_unwritable() && matches!(within(try_write(&pool)).await, Some(Ok(()))) {
            health.note(&Ok(()));
        }
        if Instant::now() >= next {
            look(&pool, &found).await;
            next = Instant::now() + LOOK_EVERY;
        }
    }
}

/// Looks for weaknesses. If the database cannot be asked, those that were found before stay.
async fn look(pool: &Pool, found: &Mutex<Vec<Weakness>>) {
    let asked = within(async {
        let client = connection(pool).await?;
        weaknesses(&client).await
    });
    if let Some(Ok(now)) = asked.await {
        *found.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// Writes a row that is forgotten like those of other transactions.
async fn try_write(pool: &Pool) -> Result<()> {
    let client = connection(pool).await?;
    let sql = "INSERT INTO committed (id, at) VALUES ($1, (extract(epoch FROM now()) * 1000)::bigint)";
    execute(&client, sql, &[&random_uuid()?]).await?;
    Ok(())
}

/// Returns what is done in time. `None` if it is not: its connection is then closed, not used again.
async fn within<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(LOOK_MAX, work).await.ok()
}
