//! A database's address: where it is, and how its certificate is checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error(
        "the database's address cannot be read. It has the form postgres://user:password@host:5432/database, in which the \
         characters /, @ and : of a password are written %2F, %40 and %3A"
    )]
    Address(#[source] tokio_postgres::Error),
    /// There is nothing in the address.
    #[error("the database's address is empty. It has the form postgres://user:password@host:5432/database")]
    Empty,
    /// The address is one of something else.
    #[error(
        "an address that begins with {0} is none of a PostgreSQL database: that has the form \
         postgres://user:password@host:5432/database"
    )]
    Scheme(String),
    /// The address asks for a check that there is not.
    #[error(
        "the database's address says sslmode={0}, which is not known here: say verify-full, which checks the \
         certificate and the name in it, or disable on a network that nobody else can use"
    )]
    SslMode(String),
    /// The certificates of the authorities cannot be read.
    #[error(
        "the certificates in {file} (sslrootcert) cannot be used: {why}. It is a PEM file with the certificate of \
         the authority that signed the database's"
    )]
    Certificates {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The pool cannot be made.
    #[error("no connections to the database can be kept: {0}")]
    Pool(String),
    /// It does not have everything yet that is moved there.
    #[error(
        "the database holds an unfinished migration: run onhook migrate again with the same --from, or start with an \
         empty database"
    )]
    Unfinished,
    /// onhook has no tables there, and was not to make them.
    #[error("there is no onhook data in {0}")]
    Missing(String),
    /// Its tables are those of an older program, and were not to be changed.
    #[error(
        "{database} has schema {at}, and this onhook has schema {newest}. What only reads does not change that: start a \
         server of this version there once, or run a command of it that writes"
    )]
    Older {
        /// Which one, and where it is.
        database: String,
        /// Its schema.
        at: i64,
        /// This program's.
        newest: i64,
    },
    /// Not every text can be stored there as it is.
    #[error(
        "{database} has the encoding {encoding}, and onhook needs UTF8. Make one that has it: CREATE DATABASE … ENCODING \
         'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// Which one, and where it is.
        database: String,
        /// Its encoding.
        encoding: String,
    },
    /// Tables of onhook cannot be made, since others have their names.
    #[error(
        "{database} has tables of another program: {tables}. Nothing was made there. Give onhook a database of its own, \
         with CREATE DATABASE"
    )]
    Foreign {
        /// Which one, and where it is.
        database: String,
        /// Some of them.
        tables: String,
    },
    /// The database cannot be reached or used.
    #[error("{database} cannot be used: {why}{hint}")]
    Database {
        /// Which one, and where it is.
        database: String,
        /// What went wrong.
        why: String,
        /// What to do about it, as a sentence to append. Empty if that is not known.
        hint: String,
    },
}

/// The ways in which the URL of a database begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Returns whether a text is the address of a database, and not the path of a folder. It is one if it is the URL of a
/// database, or if it begins with a name and `=`, as PostgreSQL's own programs take it (`host=db dbname=onhook`). A path
/// of such a form is written with `./` before it.
///
/// # Errors
/// If it is a URL of something else: nobody means a folder by that.
pub fn is_address(text: &str) -> Result<bool, ConnectError> {
    if has_names(text) {
        return Ok(true);
    }
    match scheme(text) {
        Some(scheme) if SCHEMES.contains(&scheme) => Ok(true),
        Some(scheme) => Err(ConnectError::Scheme(scheme.to_owned())),
        None => Ok(false),
    }
}

/// Returns whether a text begins with a name and `=`.
fn has_names(text: &str) -> bool {
    let name = text.split_once('=').map_or("", |(name, _)| name.trim());
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Returns how a URL begins: its scheme, and what separates that from the rest. `None` if the text is no URL. `postgres:`
/// without the two slashes is taken for a mistyped one.
fn scheme(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once(':')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_ours = || SCHEMES.iter().any(|ours| ours.trim_end_matches("://").eq_ignore_ascii_case(name));
    let slashes = if rest.starts_with("//") { 2 } else { 0 };
    (is_name && (slashes == 2 || is_ours())).then(|| text.get(..name.len() + 1 + slashes)).flatten()
}

/// The authorities whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authorities {
    /// The system's.
    OfTheSystem,
    /// Those in a PEM file.
    In(PathBuf),
}

/// A database's address.
pub(super) struct Address {
    /// Where it is. TLS is either not used, used if the server offers it, or required.
    pub(super) config: Config,
    /// Who vouches for it.
    pub(super) authorities: Authorities,
}

impl Address {
    /// Reads an address. Of a URL's parameters, `sslrootcert` and `sslmode=verify-full` are read here; the rest are the
    /// client's. A certificate is always checked in full, so `require` and `verify-full` mean the same. With
    /// `sslrootcert` and without `sslmode`, TLS is required.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(url: &str) -> Result<Self, ConnectError> {
        if url.trim().is_empty() {
            return Err(ConnectError::Empty);
        }
        is_address(url)?;
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (mut rest, mut authorities, mut mode) = (Vec::new(), Authorities::OfTheSystem, None);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslrootcert" => {
                    let file = percent_decode_str(value).decode_utf8_lossy();
                    mode = mode.or(Some("require"));
                    authorities = match &*file {
                        "system" => Authorities::OfTheSystem,
                        file => Authorities::In(file.into()),
                    };
                }
                "sslmode" => mode = Some(value),
                _ => rest.push(parameter),
            }
        }
        let place = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
        let mut config: Config = place.parse().map_err(ConnectError::Address)?;
        match mode {
            None => {}
            Some("disable") => drop(config.ssl_mode(SslMode::Disable)),
            Some("prefer") => drop(config.ssl_mode(SslMode::Prefer)),
            Some("require" | "verify-full") => drop(config.ssl_mode(SslMode::Require)),
            Some(other) => return Err(ConnectError::SslMode(other.to_owned())),
        }
        Ok(Self { config, authorities })
    }
}

impl Authorities {
    /// Returns how a server's certificate is checked: against these authorities, by the name in the address.
    ///
    /// # Errors
    /// If the file cannot be read or has no certificate.
    pub(super) fn tls(&self) -> Result<ClientConfig, ConnectError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::OfTheSystem => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Self::In(file) => {
                add(&mut roots, file).map_err(|why| ConnectError::Certificates { file: file.clone(), why })?
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth())
    }
}

/// Adds the certificates in a file. Returns what is wrong with it.
fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: &str) -> (SslMode, Authorities) {
        let url = format!("postgres://onhook:p%40ss@a.example.com,b.example.com:5433/onhook{parameters}");
        let address = Address::read(&url).unwrap();
        assert_eq!(address.config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(address.config.get_hosts().len(), 2);
        (address.config.get_ssl_mode(), address.authorities)
    }

    #[test]
    fn an_address_says_how_the_certificate_is_checked() {
        use Authorities::{In, OfTheSystem};
        let file = || In("/etc/onhook/ca.pem".into());
        assert_eq!(read(""), (SslMode::Prefer, OfTheSystem));
        assert_eq!(read("?sslmode=disable"), (SslMode::Disable, OfTheSystem));
        assert_eq!(read("?sslmode=require&connect_timeout=3"), (SslMode::Require, OfTheSystem));
        assert_eq!(read("?sslmode=verify-full&sslrootcert=system"), (SslMode::Require, OfTheSystem));
        assert_eq!(read("?sslrootcert=%2Fetc/onhook/ca.pem&sslmode=verify-full"), (SslMode::Require, file()));
        assert_eq!(read("?sslrootcert=/etc/onhook/ca.pem"), (SslMode::Require, file()));
    }

    #[test]
    fn an_address_is_told_from_a_folder_and_one_of_something_else_is_refused() {
        for address in ["postgres://a/b", "postgresql://u:p@a/b", "host=a dbname=b", "service = 'a://b'"] {
            assert!(is_address(address).unwrap(), "{address}");
        }
        for folder in ["/var/lib/onhook", "data", "./a=b", "a/b=c", "/a://b", "c:", "Data=1"] {
            assert!(!is_address(folder).unwrap(), "{folder}");
        }
        for (other, begins) in [
            ("postgress://u:secret@a/b", "postgress://"),
            ("mysql://u:secret@a/b", "mysql://"),
            ("Postgres://u:secret@a/b", "Postgres://"),
            ("postgres:/u:secret@a/b", "postgres:"),
        ] {
            let why = is_address(other).unwrap_err().to_string();
            assert!(why.starts_with(&format!("an address that begins with {begins} is none")), "{why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn what_an_address_says_wrong_is_named() {
        let why = |url| Address::read(url).err().unwrap().to_string();
        assert!(why("postgres://a/b?sslmode=verify-ca").contains("sslmode=verify-ca"));
        assert_eq!([why(""), why(" ")], [""; 2].map(|_| ConnectError::Empty.to_string()));
        assert!(why("mysql://u:secret@a/b").starts_with("an address that begins with mysql:// is none"));
        assert!(why("postgres://u:p/ss@a:b/b").contains("are written %2F, %40 and %3A"));
        assert!(why("postgres://a/b?nothing=1").contains("has the form postgres://"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let why = |file: &Path| Authorities::In(file.to_owned()).tls().unwrap_err().to_string();
        assert!(why(&file).contains("ca.pem"), "{}", why(&file));
        std::fs::write(&file, "nothing").unwrap();
        assert!(why(&file).contains("there is no certificate in it"), "{}", why(&file));
    }
}
