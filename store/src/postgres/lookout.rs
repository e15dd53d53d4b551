//! A look at the database now and then: whether it takes writes again, whether it keeps what it is given, and whether it
//! has a new primary.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::background::Background;
use super::connect::{Connections, connection};
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

/// How long one look may take. After that its connection is closed, not used again.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// How long the first try may take, and the last ones: each that is given up lets the next one take twice as long. It leaves
/// a session behind, which waits for its standby as long as that is away, and a database has only so many.
const TRY_FIRST: Duration = Duration::from_secs(10);
const TRY_MAX: Duration = Duration::from_mins(10);

/// Looks until it is dropped.
pub(super) struct Lookout {
    found: Arc<Mutex<Vec<Weakness>>>,
    background: Arc<Background>,
    tasks: [AbortHandle; 3],
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Lookout {
    /// Looks for weaknesses, and goes on in the background.
    pub(super) async fn start(pool: Connections, health: Arc<Health>, primary: Arc<dyn Look>) -> Self {
        let found = Arc::new(Mutex::new(Vec::new()));
        look(&pool, &found).await;
        let background = Arc::new(Background::default());
        let (of_primary, of_weaknesses, finds) = (pool.clone(), pool.clone(), found.clone());
        let tasks = [
            background.keep("the look for a new primary", move || {
                look_for_primary(of_primary.clone(), primary.clone())
            }),
            background.keep("the look for weaknesses of the database", move || {
                look_for_weaknesses(of_weaknesses.clone(), finds.clone())
            }),
            background.keep("the try of writes", move || try_writes(pool.clone(), health.clone())),
        ];
        Self { found, background, tasks }
    }

    /// Returns how often each look was broken off by a fault, and begun again.
    pub(super) fn restarted(&self) -> Vec<(&'static str, u64)> {
        self.background.restarted()
    }

    /// Returns the weaknesses that the last look found.
    pub(super) fn found(&self) -> Vec<Weakness> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks for a new primary. The connections of the pool may all hang at the old one, so it uses none of them.
async fn look_for_primary(pool: Connections, primary: Arc<dyn Look>) {
    let mut ticks = interval(PRIMARY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !pool.is_closed() {
        ticks.tick().await;
        primary.look().await;
    }
}

async fn look_for_weaknesses(pool: Connections, found: Arc<Mutex<Vec<Weakness>>>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // the first look is done
    while !pool.is_closed() {
        ticks.tick().await;
        look(&pool, &found).await;
    }
}

/// Tries whether the database takes writes again, whenever it did not.
async fn try_writes(pool: Connections, health: Arc<Health>) {
    let mut ticks = interval(TRY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut most = TRY_FIRST;
    while !pool.is_closed() {
        ticks.tick().await;
        if health.get().is_ok() {
            most = TRY_FIRST;
            continue;
        }
        let commit = health.commit();
        match timeout(most, try_write(&pool)).await {
            Ok(tried) => {
                commit.ended(&tried);
                if tried.is_ok() {
                    health.note(&tried);
                }
            }
            Err(_) => most = TRY_MAX.min(2 * most),
        }
    }
}

/// Looks for weaknesses. If the database cannot be asked, those that were found before stay.
async fn look(pool: &Connections, found: &Mutex<Vec<Weakness>>) {
    let asked = timeout(LOOK_MAX, async {
        let client = connection(pool).await?.cancelling();
        weaknesses(&client).await
    });
    if let Ok(Ok(now)) = asked.await {
        *found.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// Writes a row that is forgotten like those of other transactions.
async fn try_write(pool: &Connections) -> Result<()> {
    let client = connection(pool).await?;
    let sql = "INSERT INTO committed (id, at) VALUES ($1, (extract(epoch FROM now()) * 1000)::bigint)";
    execute(&client, sql, &[&random_uuid()?]).await?;
    Ok(())
}
