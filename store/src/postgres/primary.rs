//! Which of the servers that an address names takes writes.
//!
//! All are asked at the same time, so one that hangs keeps nobody waiting. After a failover the old primary may still run
//! and take writes, but what it takes is not what the new one has. PostgreSQL begins a new timeline with each promotion,
//! with a larger number. So of two servers that take writes, the one of the later timeline is the primary. Once a node has
//! seen it, the node uses no server of an earlier one, and closes the connections that it has there. What waits on them
//! is settled at the primary, as after any connection that breaks.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Connect;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::Host;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{CancelToken, Client, Config, Error, SimpleQueryMessage, Socket};
use tracing::{info, warn};

use super::given_up::Cancel;

/// How long one of several servers may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How long others may still answer once one takes writes: theirs may be the later timeline.
const OTHERS_MAX: Duration = Duration::from_millis(200);

/// Connects to the primary of some servers.
#[derive(Clone)]
pub(super) struct Primary<T> {
    /// How each server is reached.
    servers: Arc<[Config]>,
    tls: T,
    known: Arc<Known>,
}

/// What a node has seen of the servers.
#[derive(Default)]
struct Known {
    /// The latest timeline. 0 if the servers do not tell.
    latest: AtomicU32,
    /// The tasks of open connections, each with its server's timeline.
    open: Mutex<Vec<(u32, AbortHandle)>>,
}

/// A connection to a server that takes writes.
struct Connected {
    timeline: u32,
    client: Client,
    /// Moves its bytes. It ends with the client.
    task: JoinHandle<()>,
}

/// Looks for another primary.
#[async_trait]
pub(super) trait Look: Send + Sync {
    /// Asks all servers, and closes the connections to an old primary if there is a new one. Does nothing if there is only
    /// one server.
    async fn look(&self);
}

impl<T> Primary<T> {
    /// Makes what connects to the servers of an address.
    pub(super) fn of(config: &Config, tls: T) -> Self {
        Self { servers: servers(config).into(), tls, known: Arc::default() }
    }
}

impl<T> Primary<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    /// Asks all servers. Returns a connection to that of the latest timeline among those that take writes. Does not return
    /// if none of them answers.
    async fn newest(&self) -> Result<Connected, Error> {
        let mut asked = JoinSet::new();
        for server in self.servers.iter() {
            let (server, tls) = (server.clone(), self.tls.clone());
            asked.spawn(async move { timeout(ANSWER_MAX, ask(&server, tls)).await });
        }
        let (mut found, mut failed): (Option<Connected>, _) = (None, None);
        let mut until = Instant::now() + ANSWER_MAX + OTHERS_MAX;
        while let Ok(Some(answer)) = timeout_at(until, asked.join_next()).await {
            match answer {
                Ok(Ok(Ok(connected))) => {
                    until = until.min(Instant::now() + OTHERS_MAX);
                    if found.as_ref().is_none_or(|best| best.timeline < connected.timeline) {
                        found = Some(connected);
                    }
                }
                Ok(Ok(Err(error))) => failed = Some(error),
                Ok(Err(_)) | Err(_) => {} // it does not answer
            }
        }
        match (found, failed) {
            (Some(found), _) => Ok(found),
            (None, Some(error)) => Err(error),
            (None, None) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl<T> Look for Primary<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    async fn look(&self) {
        if self.servers.len() > 1
            && let Ok(Ok(newest)) = timeout(2 * ANSWER_MAX, self.newest()).await
        {
            self.known.note(newest.timeline, None);
        }
    }
}

#[async_trait]
impl<T> Cancel for Primary<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Send,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    async fn cancel(&self, session: CancelToken) -> Result<(), Error> {
        session.cancel_query(self.tls.clone()).await
    }
}

impl<T> Connect for Primary<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async {
            if let [only] = &self.servers[..] {
                return open(only, self.tls.clone()).await;
            }
            let Connected { timeline, client, task } = self.newest().await?;
            if !self.known.note(timeline, Some(task.abort_handle())) {
                task.abort(); // an old primary: the connection is found to be closed, and another one is made
            }
            Ok((client, task))
        })
    }
}

impl Known {
    /// Notes that a server of this timeline takes writes, and a connection to it. Closes those to servers of earlier ones.
    /// Returns false if it is itself of an earlier one.
    fn note(&self, timeline: u32, connection: Option<AbortHandle>) -> bool {
        let before = self.latest.fetch_max(timeline, Ordering::SeqCst);
        if timeline < before {
            return false;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(of, task)| {
            if *of < timeline {
                task.abort();
            }
            *of >= timeline && !task.is_finished()
        });
        open.extend(connection.map(|task| (timeline, task)));
        if before > 0 && before < timeline {
            info!(
                database.timeline = timeline,
                "the database has a new primary: connections to the old one are closed"
            );
        }
        true
    }
}

/// Connects to one server.
async fn open<T>(server: &Config, tls: T) -> Result<(Client, JoinHandle<()>), Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = server.connect(tls).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            warn!(%error, "a connection to the database broke: {error}");
        }
    });
    Ok((client, task))
}

/// Connects to one server, and asks it for its timeline.
async fn ask<T>(server: &Config, tls: T) -> Result<Connected, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, task) = open(server, tls).await?;
    // The name of a log file begins with the timeline. A database without such files refuses this.
    let named = client.simple_query("SELECT pg_walfile_name(pg_current_wal_insert_lsn())").await;
    let timeline = named.ok().and_then(|rows| {
        let name = rows.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        u32::from_str_radix(name?.get(..8)?, 16).ok()
    });
    Ok(Connected { timeline: timeline.unwrap_or(0), client, task })
}

/// Returns how each server of an address is reached. The whole address if it is not in order, so that using it fails.
fn servers(config: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let fits = |length: usize| length == 0 || length == count;
    if count < 2 || !fits(hosts.len()) || !fits(addresses.len()) || !(ports.len() == 1 || fits(ports.len())) {
        return vec![config.clone()];
    }
    (0..count)
        .map(|at| {
            let mut server = without_servers(config);
            match hosts.get(at) {
                Some(Host::Tcp(name)) => drop(server.host(name)),
                Some(Host::Unix(folder)) => drop(server.host_path(folder)),
                None => {}
            }
            if let Some(address) = addresses.get(at) {
                server.hostaddr(*address);
            }
            if let Some(port) = ports.get(at).or(ports.first()) {
                server.port(*port);
            }
            server
        })
        .collect()
}

/// Returns all that an address says, but its servers.
fn without_servers(config: &Config) -> Config {
    let mut copy = Config::new();
    config.get_user().map(|user| copy.user(user));
    config.get_password().map(|password| copy.password(password));
    config.get_dbname().map(|name| copy.dbname(name));
    config.get_options().map(|options| copy.options(options));
    config.get_application_name().map(|name| copy.application_name(name));
    config.get_connect_timeout().map(|most| copy.connect_timeout(*most));
    config.get_tcp_user_timeout().map(|most| copy.tcp_user_timeout(*most));
    config.get_keepalives_interval().map(|interval| copy.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| copy.keepalives_retries(retries));
    copy.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_reached_as_the_address_says_it_of_all() {
        let all = "postgres://onhook:secret@a.example.net,b.example.net:5433/data\
                   ?connect_timeout=7&sslmode=require&target_session_attrs=read-write&tcp_user_timeout=9\
                   &keepalives_idle=3&keepalives_interval=2&keepalives_retries=4&application_name=n&options=-c%20a%3Db\
                   &channel_binding=disable&keepalives=1";
        let one = |server: &str| all.replace("a.example.net,b.example.net:5433", server).parse().unwrap();
        let expected: [Config; 2] = [one("a.example.net:5432"), one("b.example.net:5433")];
        assert_eq!(servers(&all.parse().unwrap()), expected);
    }

    #[test]
    fn an_address_of_one_server_or_out_of_order_stays_whole() {
        for address in
            ["postgres://a/data", "host=a,b hostaddr=127.0.0.1 user=u", "host=a,b,c port=1,2 user=u"]
        {
            let config: Config = address.parse().unwrap();
            assert_eq!(servers(&config), [config]);
        }
        let same_port: Config = "host=a,b port=7 user=u".parse().unwrap();
        assert!(servers(&same_port).iter().all(|server| server.get_ports() == [7]));
    }

    #[tokio::test]
    async fn a_later_timeline_closes_the_connections_of_earlier_ones_and_none_goes_back() {
        let known = Known::default();
        let task = || tokio::spawn(std::future::pending::<()>());
        let (first, second) = (task(), task());
        assert!(known.note(1, Some(first.abort_handle())));
        assert!(known.note(2, Some(second.abort_handle())));
        assert!(first.await.unwrap_err().is_cancelled(), "that of the old primary");
        assert!(!known.note(1, None), "the old primary takes writes, too");
        assert!(known.note(2, None));
        assert!(!second.is_finished());
    }
}
