//! Where a request is from. Someone on the machine itself has no password: the system has let them in.

use std::net::{IpAddr, Ipv4Addr};

use onhook_core::lifecycle::provenance::Credential;

/// Where a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The network: the address at the other end of the connection.
    Network(IpAddr),
    /// The server's socket on its machine: the id of the system's user who has opened it.
    Socket(u32),
    /// This process: the command line, on data that no server has.
    Process,
}

impl Origin {
    /// Returns by what someone on the machine itself is let in. `None` for the network, where callers sign in.
    #[must_use]
    pub fn machine(self) -> Option<Credential> {
        match self {
            Origin::Network(_) => None,
            Origin::Socket(_) => Some(Credential::Socket),
            Origin::Process => Some(Credential::Offline),
        }
    }

    /// Returns the address that is kept with an act.
    #[must_use]
    pub fn address(self) -> Option<Box<str>> {
        match self {
            Origin::Network(address) => Some(address.to_string().into()),
            Origin::Socket(user) => Some(format!("uid {user}").into()),
            Origin::Process => None,
        }
    }

    /// Returns the address by which tries to sign in are counted.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match self {
            Origin::Network(address) => address,
            Origin::Socket(_) | Origin::Process => Ipv4Addr::LOCALHOST.into(),
        }
    }
}
