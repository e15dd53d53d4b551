//! Connections to the database: the address, TLS, and the pool.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use rustls::ClientConfig;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error(
        "the database's address cannot be read. It has the form postgres://user:password@host:5432/database"
    )]
    Address(#[source] tokio_postgres::Error),
    /// The pool cannot be made.
    #[error("no connections to the database can be kept: {0}")]
    Pool(String),
    /// It does not have everything yet that is moved there.
    #[error(
        "the database holds an unfinished migration: run onhook migrate again with the same --from, or start with an \
         empty database"
    )]
    Unfinished,
    /// The database cannot be reached or used.
    #[error("the database cannot be used: {0}")]
    Database(String),
}

/// Most connections of a node.
const CONNECTIONS_MAX: usize = 16;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a caller waits for a free connection.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Returns a pool of connections to the database at an address. Connections are made when they are needed.
///
/// # Errors
/// If the address cannot be read.
pub(super) fn pool(url: &str) -> Result<Pool, ConnectError> {
    let mut config: Config = url.parse().map_err(ConnectError::Address)?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_MAX);
    }
    config.application_name("onhook");
    // A peer that is gone without a word is noticed within some ten seconds.
    config.keepalives_idle(Duration::from_secs(5));
    config.keepalives_interval(Duration::from_secs(2));
    config.keepalives_retries(3);
    config.tcp_user_timeout(Duration::from_secs(10));
    // The primary, if the address names several servers.
    config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, recycling)
    } else {
        Manager::from_config(config, MakeRustlsConnect::new(tls()), recycling)
    };
    let builder = Pool::builder(manager).max_size(CONNECTIONS_MAX).runtime(Runtime::Tokio1);
    let builder = builder.wait_timeout(Some(WAIT_MAX)).create_timeout(Some(CONNECT_MAX));
    builder.build().map_err(|error| ConnectError::Pool(error.to_string()))
}

/// Returns how the server's certificate is checked: against the system's authorities, by the name in the address.
fn tls() -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Returns why there is no connection.
pub(super) fn no_connection(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Full,
        PoolError::Closed => StoreError::Closed,
        PoolError::Backend(error) => error.into(),
        error => StoreError::Broken(Box::new(error)),
    }
}
