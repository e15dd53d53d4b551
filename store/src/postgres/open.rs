//! How the store in a database is opened, and what a node keeps of it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::client::{Client, Names};
use deadpool_postgres::Pool;
use tokio::sync::Semaphore;

use super::address::{Address, ConnectError};
use super::connect::{self, connection};
use super::hands::Hands;
use super::health::Health;
use super::intake::Intake;
use super::known::Known;
use super::lookout::Lookout;
use super::place::Place;
use super::random::random;
use super::schema::migrate;
use super::statement::{execute, row};
use crate::contract::orders::Script;
use crate::contract::transfer::MARK;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::postgres::row::get;
use crate::{Result, StoreError};

/// A store in a database of the PostgreSQL protocol. Any number of nodes can use the same one.
pub struct PostgresStore {
    pub(super) pool: Pool,
    pub(super) ids: Arc<OrderIds>,
    pub(super) token_key: [u8; 32],
    /// What an emulator says of single orders.
    pub(super) script: OnceLock<Arc<dyn Script>>,
    pub(super) health: Arc<Health>,
    pub(super) intake: Intake,
    pub(super) lookout: Lookout,
    /// Whether statements have names.
    pub(super) names: Arc<Names>,
    /// The accounts whose orders this node runs.
    pub(super) hands: Hands,
    /// Accounts that were found.
    pub(super) accounts: Known,
    /// How long a transaction may be idle before the database ends it, and how long it waits for a lock.
    pub(super) idle_max: Duration,
    /// How many transactions may write at once. It is less than the pool has connections.
    pub(super) writers: Arc<Semaphore>,
    /// Set when the store is closed.
    pub(super) closed: Mutex<bool>,
}

/// Most transactions that write at once, beside the statements of new orders.
const WRITERS_MAX: usize = 10;

/// How long a transaction may be idle, unless something else is said.
const IDLE_MAX: Duration = Duration::from_secs(5);

impl PostgresStore {
    /// Opens the store in the database at an address, and brings it to the newest schema.
    ///
    /// # Errors
    /// [`ConnectError`]: the database cannot be reached or used. Nothing was changed.
    pub async fn open(url: &str) -> std::result::Result<Self, ConnectError> {
        Self::open_with(url, false).await
    }

    /// Opens the store that data is moved to, also if it does not have everything yet.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], but not `Unfinished`.
    pub async fn open_for_transfer(url: &str) -> std::result::Result<Self, ConnectError> {
        Self::open_with(url, true).await
    }

    async fn open_with(url: &str, unfinished: bool) -> std::result::Result<Self, ConnectError> {
        let address = Address::read(url)?;
        let place = Place::of(url, &address.config);
        let (pool, primary) = connect::pool(&address)?;
        let unusable = |error: StoreError| place.unusable(&error);
        let client = connection(&pool).await.map_err(unusable)?;
        migrate(&client).await.map_err(unusable)?;
        let marked = row(&client, "SELECT 1 FROM meta WHERE key = $1", &[&MARK]).await.map_err(unusable)?;
        if marked.is_some() && !unfinished {
            return Err(ConnectError::Unfinished);
        }
        let order_key = key(&client, "order_key").await.map_err(unusable)?;
        let token_key = key(&client, "token_key").await.map_err(unusable)?;
        drop(client);
        let ids = Arc::new(OrderIds::new(order_key, random().map_err(unusable)?));
        let health = Arc::new(Health::default());
        let names = Arc::new(Names::new().map_err(unusable)?);
        let intake = Intake::start(pool.clone(), names.clone(), ids.clone(), health.clone());
        let lookout = Lookout::start(pool.clone(), health.clone(), primary).await;
        Ok(Self {
            pool,
            ids,
            token_key,
            script: OnceLock::new(),
            health,
            intake,
            lookout,
            names,
            hands: Hands::default(),
            accounts: Known::default(),
            idle_max: IDLE_MAX,
            writers: Arc::new(Semaphore::new(WRITERS_MAX)),
            closed: Mutex::new(false),
        })
    }

    /// Sets after what time, instead of 10 s, everything is free again that a node had locked when it stopped. For half of
    /// that a transaction waits for a lock at most, and for half of it it may be idle.
    #[must_use]
    pub fn free_after(self, most: Duration) -> Self {
        Self { idle_max: most / 2, ..self }
    }

    /// Returns a connection.
    pub(super) async fn connection(&self) -> Result<Client> {
        if *self.closed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(StoreError::Closed);
        }
        connection(&self.pool).await
    }

    /// Notes whether a write was done, for the store's health, and returns it.
    pub(super) fn noted<T>(&self, done: Result<T>) -> Result<T> {
        self.health.note(&done);
        done
    }
}

/// Returns the store's key of this name. It is made once: if two nodes open a new store at the same time, both read the
/// key that was written first.
async fn key<const N: usize>(client: &Client, name: &str) -> Result<[u8; N]> {
    let made = random::<N>()?.to_vec();
    execute(client, "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", &[&name, &made])
        .await?;
    let found = row(client, "SELECT value FROM meta WHERE key = $1", &[&name]).await?;
    let found: Option<Vec<u8>> = found.map(|row| get(&row, 0)).transpose()?;
    found.and_then(|key| key.try_into().ok()).ok_or_else(|| corrupt(format!("{name} is missing")))
}
