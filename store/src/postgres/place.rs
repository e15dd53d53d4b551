//! Which database an address names, as errors tell it, and what to do about what that database says.

use std::fmt;

use deadpool_postgres::PoolError;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

use super::address::ConnectError;
use crate::StoreError;

/// The port of a server whose address names none.
const PORT: u16 = 5432;

/// What to do if a part of a password was taken for something else.
const ESCAPED: &str = "In a URL, the characters /, @ and : of a password are written %2F, %40 and %3A";

/// A database and its servers, without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(String);

impl Place {
    /// Returns what an address names. If a part of the password may have been taken for the server's name, nothing of the
    /// address is repeated.
    pub(super) fn of(url: &str, config: &Config) -> Self {
        let place = url.split_once('?').map_or(url, |(place, _)| place);
        if place.contains("://") && place.matches('@').count() > 1 {
            return Self("the database".to_owned());
        }
        let ports = config.get_ports();
        let addresses = config.get_hostaddrs();
        let mut hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(folder) => folder.display().to_string(),
            })
            .collect();
        if hosts.is_empty() {
            hosts = addresses.iter().map(ToString::to_string).collect();
        }
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        let servers: Vec<String> =
            hosts.iter().enumerate().map(|(at, host)| format!("{host}:{}", port(at))).collect();
        let name =
            config.get_dbname().or(config.get_user()).map_or_else(String::new, |name| format!(" {name}"));
        Self(format!("the database{name} at {}", servers.join(", ")))
    }

    /// Returns why the database cannot be used, and what to do about it.
    pub(super) fn unusable(&self, error: &StoreError) -> ConnectError {
        let why = match error {
            _ if takes_no_writes(error) => "this server takes no writes (a standby?)".to_owned(),
            StoreError::Broken(cause) if cause.is::<PoolError>() => "it does not answer in time".to_owned(),
            error => error.why(),
        };
        let database = self.to_string();
        ConnectError::Database { database, why, hint: hint(error).unwrap_or_default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a server was reached, and is none that takes writes.
pub(super) fn takes_no_writes(error: &StoreError) -> bool {
    matches!(error, StoreError::Broken(_)) && error.why().contains("database does not allow writes")
}

/// Returns what to do about an error, as a sentence to append. `None` if that is not known.
fn hint(error: &StoreError) -> Option<String> {
    let StoreError::Broken(cause) = error else { return None };
    let error = cause.downcast_ref::<Error>()?;
    let hint = match error.code() {
        Some(&SqlState::INVALID_PASSWORD) => format!("Are user and password right? {ESCAPED}"),
        Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "Is the user right, and does pg_hba.conf let it in from here?".to_owned()
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => {
            "Make it: CREATE DATABASE … OWNER … ENCODING 'UTF8' TEMPLATE template0".to_owned()
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            "Let onhook's user own the database: ALTER DATABASE … OWNER TO …".to_owned()
        }
        Some(_) => return None,
        None => {
            let cause = std::error::Error::source(error)?.to_string();
            if !cause.contains("failed to lookup address") {
                return None;
            }
            format!("Is the server's name right? {ESCAPED}")
        }
    };
    Some(format!(". {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> String {
        Place::of(url, &url.parse().unwrap()).to_string()
    }

    #[test]
    fn a_database_is_named_with_its_servers_and_without_its_password() {
        for (url, wanted) in [
            ("postgres://u:hidden@a/b", "the database b at a:5432"),
            (
                "postgres://u:hidden@a.example.net:1,b.example.net:2/b?sslmode=disable",
                "the database b at a.example.net:1, b.example.net:2",
            ),
            ("postgresql://u:hid%40den@[::1]:7", "the database u at ::1:7"),
            (
                "host=/run/postgresql port=7 user=u password=hidden dbname=b",
                "the database b at /run/postgresql:7",
            ),
            ("hostaddr=127.0.0.1 user=u password='hid@den'", "the database u at 127.0.0.1:5432"),
        ] {
            assert_eq!(place(url), wanted);
        }
        for url in ["postgres://u:hid@den@a/b", "postgres://u:pass@hid/den@a/b"] {
            assert_eq!(place(url), "the database");
        }
    }
}
