//! Requests that onhook makes because a client has said so: to the URLs of subscriptions.
//!
//! A subscription says where this machine connects to, from inside a network that its maker may not be in. So a URL is judged when it is registered and again at each attempt: how it is written
//! ([`target`]), which address each of its host's is ([`address`]), which port. The host is resolved once an
//! attempt, all of its addresses must pass, and the connection goes to one of those that passed
//! ([`send`]); no proxy, no redirect, no address that was looked up again in between. What cannot be
//! resolved is refused. What is allowed beyond that the operator says, never a client.

pub mod address;
pub(crate) mod send;
pub(crate) mod signing;
pub mod target;
pub(crate) mod tls;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
pub use ipnet::IpNet;
use onhook_core::notify::notification::DeliveryFailure;
use tokio::net::TcpStream;

use self::target::{Scheme, Target};

/// How long a resolver may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);
/// Most addresses of a host; one that has more is refused.
const ADDRESSES_MAX: usize = 64;
/// Ports that may be told over TLS.
const PORTS: [u16; 2] = [443, 8443];
/// Ports that may be told in the clear, too, where that is allowed.
const PORTS_HTTP: [u16; 2] = [80, 8080];

/// The network as callbacks see it: handed in, so that what is refused can be shown without one.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// All addresses of a host.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
    /// A connection to an address.
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream>;
    /// Whether an address is one of this machine's.
    fn is_ours(&self, address: IpAddr) -> bool;
}

/// The system's resolver and sockets.
#[derive(Clone, Copy, Debug)]
pub struct System;

#[async_trait]
impl Network for System {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(to).await
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        // Connecting a UDP socket sends nothing; to itself a machine goes from the address that it goes to.
        let any: SocketAddr = match address {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let from = UdpSocket::bind(any).and_then(|socket| {
            socket.connect((address, 9))?;
            socket.local_addr()
        });
        from.is_ok_and(|from| from.ip() == address)
    }
}

/// A network that can be kept in settings.
#[derive(Clone)]
pub struct Reach(pub Arc<dyn Network>);

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reach")
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self(Arc::new(System))
    }
}

/// What the operator allows beyond the public internet over TLS.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Addresses that may be told though they are not public.
    pub allow: Vec<IpNet>,
    /// Whether plain HTTP may be spoken.
    pub http: bool,
    /// Ports besides the usual ones.
    pub ports: Vec<u16>,
    /// Whether this machine's loopback may be told, on any port and in the clear: the emulator's receivers
    /// are there.
    pub loopback: bool,
    /// Where this server listens: it is never told, whatever else is allowed.
    pub own: Option<SocketAddr>,
    /// Host and port of this server's public URL, likewise.
    pub own_url: Option<(String, u16)>,
}

impl Rules {
    /// Whether an address may be connected to.
    fn permit(&self, target: &Target, ip: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
        let real = address::canonical(ip);
        let is_own =
            self.own.is_some_and(|own| own.port() == target.port && reaches(own.ip(), real, &is_ours));
        if is_own || address::is_teredo(ip) {
            return false;
        }
        if self.loopback && real.is_loopback() {
            return true;
        }
        let allowed = |ip: IpAddr| self.allow.iter().any(|net| net.contains(&ip));
        self.usual(target)
            && (allowed(ip) || address::is_public(ip, &allowed) && (allowed(real) || !is_ours(real)))
    }

    /// Whether scheme and port are among the usual ones.
    fn usual(&self, target: &Target) -> bool {
        let scheme = target.scheme == Scheme::Https || self.http;
        let port = PORTS.contains(&target.port)
            || (self.http && PORTS_HTTP.contains(&target.port))
            || self.ports.contains(&target.port);
        scheme && port
    }
}

/// Whether a connection to `address` reaches a socket that listens on `own`. One that listens everywhere is
/// reached by all of loopback, and by every address of this machine.
fn reaches(own: IpAddr, address: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
    let everywhere = own.is_unspecified() && (address.is_loopback() || is_ours(address));
    own == address || address.is_unspecified() || everywhere
}

/// Judges and tells.
pub struct Callbacks {
    rules: Rules,
    network: Arc<dyn Network>,
    tls: tls::Roots,
}

impl Callbacks {
    /// By these rules, on this network.
    #[must_use]
    pub fn new(rules: Rules, network: Reach) -> Self {
        Self { rules, network: network.0, tls: tls::Roots::default() }
    }

    /// Whether a URL may be told, as far as can be known now.
    ///
    /// # Errors
    /// Why not, as a class: what was found there is not said.
    pub async fn admit(&self, url: &str) -> Result<(), DeliveryFailure> {
        let target = Target::parse(url).ok_or(DeliveryFailure::Blocked)?;
        self.addresses(&target).await.map(drop)
    }

    /// The addresses of a target, each of which may be connected to. The resolver is asked once.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, DeliveryFailure> {
        let own = self.rules.own_url.as_ref().is_some_and(|(host, port)| {
            *port == target.port && host.trim_end_matches('.').eq_ignore_ascii_case(&target.host)
        });
        if own || !(self.rules.loopback || self.rules.usual(target)) {
            return Err(DeliveryFailure::Blocked);
        }
        let found = match target.address {
            Some(ip) => vec![ip],
            // Nobody else says what these are (RFC 6761, 6.3).
            None if target.is_localhost() => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            None => match tokio::time::timeout(RESOLVE_WAIT, self.network.resolve(&target.host)).await {
                Ok(Ok(found)) if !found.is_empty() && found.len() <= ADDRESSES_MAX => found,
                _ => return Err(DeliveryFailure::Unresolved),
            },
        };
        let permitted = found.iter().all(|ip| self.rules.permit(target, *ip, |ip| self.network.is_ours(ip)));
        if permitted {
            Ok(found.into_iter().map(|ip| SocketAddr::new(ip, target.port)).collect())
        } else {
            Err(DeliveryFailure::Blocked)
        }
    }
}

#[cfg(test)]
mod tests;
