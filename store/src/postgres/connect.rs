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

/// Most connections of a node.
const CONNECTIONS_MAX: usize = 16;

/// Most transactions of a node that write at once, beside the statements of new orders. Reads and leases need the other
/// connections.
pub(super) const WRITERS_MAX: usize = 10;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a caller waits for a free connection, and for its turn to write.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

/// Connections to the database that are used again and again.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    given_up: Arc<GivenUp>,
}

impl Connections {
    /// Makes no more connections, and closes those that are given back.
    pub(super) fn close(&self) {
        self.pool.close();
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
    type Reaching = (Manager, Arc<dyn Look>, Arc<dyn Cancel>);
    let (manager, primary, cancels): Reaching = if config.get_ssl_mode() == SslMode::Disable {
        let primary = Arc::new(Primary::of(&config, NoTls));
        (Manager::from_connect(config, Primary::clone(&primary), recycling), primary.clone(), primary)
    } else {
        let primary = Arc::new(Primary::of(&config, MakeRustlsConnect::new(authorities.tls()?)));
        (Manager::from_connect(config, Primary::clone(&primary), recycling), primary.clone(), primary)
    };
    let builder = Pool::builder(manager).max_size(CONNECTIONS_MAX).runtime(Runtime::Tokio1);
    // The one that was used last comes first: what its session has prepared and cached is used more often.
    let builder = builder.queue_mode(QueueMode::Lifo);
    let builder = builder.wait_timeout(Some(WAIT_MAX)).create_timeout(Some(CONNECT_MAX));
    let pool = builder.build().map_err(|error| ConnectError::Pool(error.to_string()))?;
    Ok((Connections { pool, given_up: Arc::new(GivenUp::new(cancels)) }, primary))
}

/// Returns one of the connections.
pub(super) async fn connection(of: &Connections) -> Result<Client> {
    let object = of.pool.get().await.map_err(no_connection)?;
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
