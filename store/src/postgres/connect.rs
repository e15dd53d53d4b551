//! Connections to the database: the pool.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, TimeoutType,
};
use tokio_postgres::NoTls;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, ConnectError};
use super::client::Client;
use super::given_up::{Cancel, GivenUp};
use super::primary::{Look, Primary};
use crate::{Result, StoreError};

/// Most connections of a node, beside those by which it keeps its leases.
pub(super) const CONNECTIONS_MAX: usize = 16;

/// Most connections by which a node keeps its leases. A renewal takes a moment, and the second one is there for when the
/// first is slow.
const FOR_LEASES_MAX: usize = 2;

/// Most transactions of a node that write at once, beside the statements of new orders. Reads need the other connections.
pub(super) const WRITERS_MAX: usize = 10;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a caller waits for a free connection, and for its turn to write.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

/// Connections to the database that are used again and again.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    /// Those by which leases are kept: a lease must not be lost because others wait on all connections.
    for_leases: Pool,
    given_up: Arc<GivenUp>,
}

impl Connections {
    /// Makes no more connections, and closes those that are given back.
    pub(super) fn close(&self) {
        self.pool.close();
        self.for_leases.close();
    }

    /// True if no more connections are made.
    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

/// Returns connections to the database that an address names, and what looks for another primary among its servers.
/// Connections are made when they are needed, to `servers`: those that take writes, or any.
///
/// # Errors
/// If the certificates cannot be read that the address names.
pub(super) fn pool(
    address: &Address,
    servers: TargetSessionAttrs,
) -> std::result::Result<(Connections, Arc<dyn Look>), ConnectError> {
    let Address { config, authorities } = address;
    let mut config = config.clone();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_MAX);
    }
    config.application_name("onhook");
    // A peer that is gone without a word is noticed within some ten seconds.
    config.keepalives_idle(Duration::from_secs(5));
    config.keepalives_interval(Duration::from_secs(2));
    config.keepalives_retries(3);
    config.tcp_user_timeout(Duration::from_secs(10));
    config.target_session_attrs(servers);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    type Reaching = (Box<dyn Fn() -> Manager>, Arc<dyn Look>, Arc<dyn Cancel>);
    let (manager, primary, cancels): Reaching = if config.get_ssl_mode() == SslMode::Disable {
        let primary = Arc::new(Primary::of(&config, NoTls));
        let by = Primary::clone(&primary);
        let manager = move || Manager::from_connect(config.clone(), by.clone(), recycling.clone());
        (Box::new(manager), primary.clone(), primary)
    } else {
        let primary = Arc::new(Primary::of(&config, MakeRustlsConnect::new(authorities.tls()?)));
        let by = Primary::clone(&primary);
        let manager = move || Manager::from_connect(config.clone(), by.clone(), recycling.clone());
        (Box::new(manager), primary.clone(), primary)
    };
    let pool = |most| {
        let builder = Pool::builder(manager()).max_size(most).runtime(Runtime::Tokio1);
        // The one that was used last comes first: what its session has prepared and cached is used more often.
        let builder = builder.queue_mode(QueueMode::Lifo);
        let builder = builder.wait_timeout(Some(WAIT_MAX)).create_timeout(Some(CONNECT_MAX));
        builder.build().map_err(|error| ConnectError::Pool(error.to_string()))
    };
    let (pool, for_leases) = (pool(CONNECTIONS_MAX)?, pool(FOR_LEASES_MAX)?);
    Ok((Connections { pool, for_leases, given_up: Arc::new(GivenUp::new(cancels)) }, primary))
}

/// Returns one of the connections.
pub(super) async fn connection(of: &Connections) -> Result<Client> {
    of_pool(&of.pool, of).await
}

/// Returns one of the connections by which leases are kept.
pub(super) async fn connection_for_leases(of: &Connections) -> Result<Client> {
    of_pool(&of.for_leases, of).await
}

async fn of_pool(pool: &Pool, of: &Connections) -> Result<Client> {
    let object = pool.get().await.map_err(no_connection)?;
    Ok(Client::of(object, of.given_up.clone()))
}

/// Returns why there is no connection.
fn no_connection(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Full,
        PoolError::Closed => StoreError::Closed,
        PoolError::Backend(error) => error.into(),
        error => StoreError::Broken(Box::new(error)),
    }
}
