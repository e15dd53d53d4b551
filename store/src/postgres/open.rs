//! How the store in a database is opened, and what a node keeps of it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::client::{Client, Names};
use tokio::sync::Semaphore;
use tokio_postgres::config::TargetSessionAttrs;

use super::address::{Address, ConnectError};
use super::connect::{self, Connections, connection, connection_for_leases};
use super::hands::Hands;
use super::health::Health;
use super::intake::Intake;
use super::known::Known;
use super::lookout::Lookout;
use super::place::{Place, takes_no_writes};
use super::primary::Look;
use super::random::random;
use super::schema::{Fault, migrate, newest_schema, refuse_newer, schema};
use super::statement::{execute, row};
use crate::contract::orders::Script;
use crate::contract::transfer::MARK;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::postgres::row::get;
use crate::{Result, StoreError};

/// A store in a database of the PostgreSQL protocol. Any number of nodes can use the same one.
pub struct PostgresStore {
    pub(super) pool: Connections,
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

/// What a database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The store that is there, or a new one.
    Make,
    /// The store that is there.
    Use,
    /// As `Use`, and nothing is written.
    Read,
    /// As `Make`, and it need not have everything yet.
    Transfer,
}

/// How long a transaction may be idle, unless something else is said.
const IDLE_MAX: Duration = Duration::from_secs(5);

impl PostgresStore {
    /// Opens the store in the database at an address, and brings it to the newest schema. Makes the tables if there are
    /// none.
    ///
    /// # Errors
    /// [`ConnectError`]: the database cannot be reached or used. Nothing was changed.
    pub async fn open(url: &str) -> std::result::Result<Self, ConnectError> {
        Self::open_with(url, Purpose::Make).await
    }

    /// Opens an existing store, and brings it to the newest schema.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], and `Missing` if there is no store.
    pub async fn open_if_there(url: &str) -> std::result::Result<Self, ConnectError> {
        Self::open_with(url, Purpose::Use).await
    }

    /// Opens an existing store for someone who only reads. Nothing is written. If none of the servers takes writes, another
    /// one that answers is read, such as a standby.
    ///
    /// # Errors
    /// As [`PostgresStore::open_if_there`], and `Older` if the store has an older schema.
    pub async fn open_to_read(url: &str) -> std::result::Result<Self, ConnectError> {
        Self::open_with(url, Purpose::Read).await
    }

    /// Opens the store that data is moved to, also if it does not have everything yet. Makes the tables if there are none.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], but not `Unfinished`.
    pub async fn open_for_transfer(url: &str) -> std::result::Result<Self, ConnectError> {
        Self::open_with(url, Purpose::Transfer).await
    }

    async fn open_with(url: &str, purpose: Purpose) -> std::result::Result<Self, ConnectError> {
        let address = Address::read(url)?;
        let place = Place::of(url, &address.config);
        let unusable = |error: StoreError| place.unusable(&error);
        let (pool, primary, client) = match reached(&address, TargetSessionAttrs::ReadWrite).await? {
            (pool, primary, Ok(client)) => (pool, primary, client),
            (_, _, Err(error)) if purpose == Purpose::Read && may_be_read(&address, &error) => {
                let (pool, primary, client) = reached(&address, TargetSessionAttrs::Any).await?;
                (pool, primary, client.map_err(unusable)?)
            }
            (_, _, Err(error)) => return Err(unusable(error)),
        };
        prepare(&client, purpose).await.map_err(|fault| match fault {
            Unready::Missing => ConnectError::Missing(place.to_string()),
            Unready::Encoding(encoding) => ConnectError::Encoding { database: place.to_string(), encoding },
            Unready::Older(at) => {
                ConnectError::Older { database: place.to_string(), at, newest: newest_schema() }
            }
            Unready::Fault(Fault::Foreign(tables)) => {
                ConnectError::Foreign { database: place.to_string(), tables }
            }
            Unready::Fault(Fault::Store(error)) => unusable(error),
        })?;
        let marked = row(&client, "SELECT 1 FROM meta WHERE key = $1", &[&MARK]).await.map_err(unusable)?;
        if marked.is_some() && purpose != Purpose::Transfer {
            return Err(ConnectError::Unfinished);
        }
        let makes = purpose != Purpose::Read;
        let order_key = key(&client, "order_key", makes).await.map_err(unusable)?;
        let token_key = key(&client, "token_key", makes).await.map_err(unusable)?;
        client.look().await;
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
            writers: Arc::new(Semaphore::new(connect::WRITERS_MAX)),
            closed: Mutex::new(false),
        })
    }

    /// Sets after what time, instead of 10 s, everything is free again that a node had locked when it stopped. For half of
    /// that a transaction waits for a lock at most, and for half of it it may be idle.
    #[must_use]
    pub fn free_after(self, most: Duration) -> Self {
        Self { idle_max: most / 2, ..self }
    }

    /// Returns a connection for statements that commit.
    pub(super) async fn connection(&self) -> Result<Client> {
        self.not_closed()?;
        connection(&self.pool).await
    }

    /// Returns a connection for what is cancelled if nobody waits for it any more: reads, and transactions before their end.
    pub(super) async fn reader(&self) -> Result<Client> {
        self.connection().await.map(Client::cancelling)
    }

    /// Returns a connection that keeps leases. Nothing else waits for it.
    pub(super) async fn keeper(&self) -> Result<Client> {
        self.not_closed()?;
        connection_for_leases(&self.pool).await
    }

    fn not_closed(&self) -> Result<()> {
        match *self.closed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            true => Err(StoreError::Closed),
            false => Ok(()),
        }
    }

    /// Notes whether a write was done, for the store's health, and returns it.
    pub(super) fn noted<T>(&self, done: Result<T>) -> Result<T> {
        self.health.note(&done);
        done
    }
}

/// Returns a pool of connections to the servers of an address, and the first connection or why there is none.
async fn reached(
    address: &Address,
    servers: TargetSessionAttrs,
) -> std::result::Result<(Connections, Arc<dyn Look>, Result<Client>), ConnectError> {
    let (pool, primary) = connect::pool(address, servers)?;
    let client = connection(&pool).await;
    Ok((pool, primary, client))
}

/// Returns whether a server may still be read of which none takes writes.
fn may_be_read(address: &Address, error: &StoreError) -> bool {
    takes_no_writes(error) || address.config.get_hosts().len().max(address.config.get_hostaddrs().len()) > 1
}

/// Why a database is not as its purpose asks.
enum Unready {
    Missing,
    /// It has this encoding.
    Encoding(String),
    /// It has this schema.
    Older(i64),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Unready {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

/// Sees to it that the database holds any text, and has the tables of this program.
async fn prepare(client: &Client, purpose: Purpose) -> std::result::Result<(), Unready> {
    // What is there can be read whatever its encoding, and moved away.
    if purpose != Purpose::Read {
        let found = row(client, "SELECT current_setting('server_encoding', true)", &[]).await?;
        let encoding: Option<String> = found.map(|row| get(&row, 0)).transpose()?.flatten();
        if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("UTF8")) {
            return Err(Unready::Encoding(encoding));
        }
    }
    if matches!(purpose, Purpose::Make | Purpose::Transfer) {
        return Ok(migrate(client).await?);
    }
    let at = schema(client).await?.ok_or(Unready::Missing)?;
    if purpose == Purpose::Use {
        return Ok(migrate(client).await?);
    }
    refuse_newer(at).map_err(Fault::from)?;
    if at < newest_schema() { Err(Unready::Older(at)) } else { Ok(()) }
}

/// Returns the store's key of this name. It is made once: if two nodes open a new store at the same time, both read the
/// key that was written first.
async fn key<const N: usize>(client: &Client, name: &str, makes: bool) -> Result<[u8; N]> {
    if makes {
        let made = random::<N>()?.to_vec();
        let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        execute(client, sql, &[&name, &made]).await?;
    }
    let found = row(client, "SELECT value FROM meta WHERE key = $1", &[&name]).await?;
    let found: Option<Vec<u8>> = found.map(|row| get(&row, 0)).transpose()?;
    found.and_then(|key| key.try_into().ok()).ok_or_else(|| corrupt(format!("{name} is missing")))
}
