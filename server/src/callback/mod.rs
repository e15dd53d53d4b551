//! Callbacks: requests to the URLs of subscriptions, which clients choose.
//!
//! A subscription decides where this machine connects to, from inside a network that the client may not be in. So a URL
//! is checked when it is registered and again at each attempt: its form ([`target`]), the addresses of its host
//! ([`address`]), its port. The host is resolved once an attempt, and all of its addresses must pass. The connection
//! goes to one of these addresses ([`send`]), without a proxy, a redirect or a second look-up. A host that cannot be
//! resolved is refused. Only the operator can allow more, never a client.

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

/// Longest time a resolver may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);
/// Most addresses of a host. A host with more is refused.
const ADDRESSES_MAX: usize = 64;
/// Ports that are allowed with TLS.
const PORTS: [u16; 2] = [443, 8443];
/// Ports that are allowed as well if plain HTTP is.
const PORTS_HTTP: [u16; 2] = [80, 8080];

/// The network for callbacks. It is passed in, so that refusals can be tested without a network.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Returns all addresses of a host.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
    /// Returns a connection to an address.
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream>;
    /// Returns whether an address is one of this machine's.
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
        // Connecting a UDP socket sends nothing. A machine connects to an address of its own from that same address.
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
    /// Addresses that are allowed although they are not public.
    pub allow: Vec<IpNet>,
    /// True if plain HTTP is allowed.
    pub http: bool,
    /// Ports besides the usual ones.
    pub ports: Vec<u16>,
    /// True if this machine's loopback is allowed, on any port and with plain HTTP: the emulator's receivers are there.
    pub loopback: bool,
    /// The address that this server listens on. It is always refused, whatever else is allowed.
    pub own: Option<SocketAddr>,
    /// Host and port of this server's public URL. They are always refused too.
    pub own_url: Option<(String, u16)>,
    /// The beginning of the path of an emulator's receiver, up to its name. There alone this server calls itself.
    pub receiver: Option<&'static str>,
}

impl Rules {
    /// Returns whether an address may be connected to.
    fn permit(&self, target: &Target, ip: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
        let real = address::canonical(ip);
        let is_own =
            self.own.is_some_and(|own| own.port() == target.port && reaches(own.ip(), real, &is_ours));
        if address::is_teredo(ip) {
            return false;
        }
        if is_own {
            return self.reaches_receiver(target);
        }
        if self.loopback && real.is_loopback() {
            return true;
        }
        let allowed = |ip: IpAddr| self.allow.iter().any(|net| net.contains(&ip));
        self.usual(target)
            && (allowed(ip) || address::is_public(ip, &allowed) && (allowed(real) || !is_ours(real)))
    }

    /// Returns whether a target is the receiver of an emulator.
    fn reaches_receiver(&self, target: &Target) -> bool {
        let name = self.receiver.and_then(|path| target.path.strip_prefix(path));
        name.is_some_and(|name| !name.is_empty() && !name.contains(['/', '?', '%']))
    }

    /// Returns whether scheme and port are among the usual ones.
    fn usual(&self, target: &Target) -> bool {
        let scheme = target.scheme == Scheme::Https || self.http;
        let port = PORTS.contains(&target.port)
            || (self.http && PORTS_HTTP.contains(&target.port))
            || self.ports.contains(&target.port);
        scheme && port
    }
}

/// Returns whether a connection to `address` reaches a socket that listens on `own`. A socket that listens everywhere
/// is reached by all of loopback, and by every address of this machine.
fn reaches(own: IpAddr, address: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
    let everywhere = own.is_unspecified() && (address.is_loopback() || is_ours(address));
    own == address || address.is_unspecified() || everywhere
}

/// Checks URLs and sends notifications to them.
pub struct Callbacks {
    rules: Rules,
    network: Arc<dyn Network>,
    tls: tls::Roots,
}

impl Callbacks {
    /// Returns callbacks by these rules, on this network.
    #[must_use]
    pub fn new(rules: Rules, network: Reach) -> Self {
        Self { rules, network: network.0, tls: tls::Roots::default() }
    }

    /// Checks whether a URL is allowed, as far as can be known now.
    ///
    /// # Errors
    /// The class of the reason. It does not tell what was found there.
    pub async fn admit(&self, url: &str) -> Result<(), DeliveryFailure> {
        let target = Target::parse(url).ok_or(DeliveryFailure::Blocked)?;
        self.addresses(&target).await.map(drop)
    }

    /// Returns the addresses of a target, each of which may be connected to. The resolver is asked once.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, DeliveryFailure> {
        let own = self.rules.own_url.as_ref().is_some_and(|(host, port)| {
            *port == target.port && host.trim_end_matches('.').eq_ignore_ascii_case(&target.host)
        });
        let own = own && !self.rules.reaches_receiver(target);
        if own || !(self.rules.loopback || self.rules.usual(target)) {
            return Err(DeliveryFailure::Blocked);
        }
        let found = match target.address {
            Some(ip) => vec![ip],
            // No resolver decides what these are (RFC 6761, 6.3).
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
