//! The data that a command works on: its folder or its database, its store, and the time that it writes there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use onhook_core::clock::{ClockGuard, ClockState};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::notify::subscription::Secret;
use onhook_core::time::Timestamp;
use onhook_server::clock::Clock;
use onhook_server::demo_data;
use onhook_store::Store;
use onhook_store::contract::upkeep::Weakness;
use onhook_store::postgres::{self, ConnectError, PostgresStore};
use onhook_store::sqlite::{OpenError, SqliteStore};

use crate::config::File;

/// The flag that names a data folder.
pub(crate) const DATA_DIR: &str = "--data-dir";

/// Where the data is.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// In a folder, which one process has at a time.
    Folder(PathBuf),
    /// In a database, which any number of processes share: its address, which can hold a password, and where the address
    /// was said.
    Database(Secret, &'static str),
    /// In a folder in memory, which goes with the process.
    Memory(Arc<tempfile::TempDir>),
}

impl Home {
    /// Returns where the data is, from the command line, the environment or the configuration file.
    pub(crate) fn of(
        data_dir: Option<&PathBuf>,
        database_url: Option<&String>,
        file: &File,
    ) -> anyhow::Result<Self> {
        let named = |folder: Option<&PathBuf>, url: Option<&String>, said: fn(&str) -> &'static str| match (
            folder, url,
        ) {
            (Some(folder), None) => Ok(Some(Self::Folder(folder.clone()))),
            (None, Some(url)) => Ok(Some(Self::Database(Secret::new(url.clone()), said(url)))),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => anyhow::bail!(
                "the data is either in a folder or in a database: say --data-dir or --database-url, not both \
                 (their variables are ONHOOK_DATA_DIR and ONHOOK_DATABASE_URL)"
            ),
        };
        let by_flag = |url: &str| of_flag_or_variable(url, "--database-url", "ONHOOK_DATABASE_URL");
        let found = match named(data_dir, database_url, by_flag)? {
            Some(home) => Some(home),
            None => {
                named(file.data_dir.as_ref(), file.database_url.as_ref(), |_| "database_url in the file")?
            }
        };
        found.context(
            "say where the data is: --data-dir DIR or --database-url URL, or data_dir or database_url in a file that \
             --config names",
        )
    }

    /// Returns a new folder for data that nobody misses: in memory where the system has a place for that, else among its
    /// temporary files. It is removed when the last copy is dropped.
    pub(crate) fn in_memory() -> anyhow::Result<Self> {
        let mut folder = tempfile::Builder::new();
        let prefix = format!("onhook-{}-", std::process::id());
        folder.prefix(&prefix);
        let made = folder.tempdir_in("/dev/shm").or_else(|_| folder.tempdir());
        Ok(Self::Memory(Arc::new(made.context("cannot make a temporary folder")?)))
    }

    /// Returns what the text of a flag or its variable names: a database if it is the address of one, else a folder.
    pub(crate) fn named(text: &str, flag: &'static str, variable: &'static str) -> anyhow::Result<Self> {
        let said = of_flag_or_variable(text, flag, variable);
        Ok(match postgres::is_address(text).context(said)? {
            true => Self::Database(Secret::new(text), said),
            false => Self::Folder(PathBuf::from(text)),
        })
    }

    /// Opens the store that everything is moved to, also if it does not have everything yet. Makes a folder that does
    /// not exist.
    pub(crate) async fn open_for_transfer(&self) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Folder(folder) => Ok(Arc::new(SqliteStore::open_for_transfer(folder).map_err(opening)?)),
            Self::Memory(folder) => {
                Ok(Arc::new(SqliteStore::open_forgetful(folder.path()).map_err(opening)?))
            }
            Self::Database(url, said) => {
                Ok(Arc::new(PostgresStore::open_for_transfer(url.expose()).await.context(*said)?))
            }
        }
    }

    /// Opens the store in the database. Nothing else has to be there.
    async fn open_database(url: &Secret, said: &'static str) -> anyhow::Result<PostgresStore> {
        PostgresStore::open(url.expose()).await.context(said)
    }

    /// Opens the store for a command. There must be one. `flag` is what named a folder.
    pub(crate) async fn open(&self, flag: &str) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Database(url, said) => opened(PostgresStore::open_if_there(url.expose()).await, said),
            _ => self.open_folder(flag),
        }
    }

    /// Opens the store for a command that only reads. There must be one. In a database, nothing is written for that, and a
    /// standby will do. `flag` is what named a folder.
    pub(crate) async fn open_to_read(&self, flag: &str) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Database(url, said) => opened(PostgresStore::open_to_read(url.expose()).await, said),
            _ => self.open_folder(flag),
        }
    }

    /// Opens the store in a folder or in memory.
    fn open_folder(&self, flag: &str) -> anyhow::Result<Arc<dyn Store>> {
        let opening = |error| opening_by(error, flag);
        match self {
            Self::Folder(folder) => Ok(Arc::new(SqliteStore::open_if_there(folder).map_err(opening)?)),
            Self::Memory(folder) => {
                Ok(Arc::new(SqliteStore::open_forgetful(folder.path()).map_err(opening)?))
            }
            Self::Database(..) => anyhow::bail!("{self} is no folder"),
        }
    }

    /// Opens the store for a command. Returns `None` if there is none.
    pub(crate) async fn open_if_any(&self) -> anyhow::Result<Option<Arc<dyn Store>>> {
        match self {
            Self::Database(url, said) => match PostgresStore::open_if_there(url.expose()).await {
                Err(ConnectError::Missing(_)) => Ok(None),
                opened => Ok(Some(Arc::new(opened.context(*said)?))),
            },
            Self::Folder(folder) if !folder.join(onhook_store::sqlite::FILE).exists() => Ok(None),
            _ => self.open_folder(DATA_DIR).map(Some),
        }
    }

    /// Opens the store for a command. Makes a folder that does not exist.
    pub(crate) async fn open_or_make(&self) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Folder(folder) => Ok(Arc::new(SqliteStore::open(folder).map_err(opening)?)),
            Self::Memory(folder) => {
                Ok(Arc::new(SqliteStore::open_forgetful(folder.path()).map_err(opening)?))
            }
            Self::Database(url, said) => Ok(Arc::new(Self::open_database(url, said).await?)),
        }
    }

    /// Opens the store for a server. In a folder, less than `reserve` bytes of free disk stop intake. In a database,
    /// what a node has locked that stops in the middle is free again when its lease, which lasts for `lease`, has run
    /// out.
    pub(crate) async fn open_for_server(
        &self,
        reserve: Option<u64>,
        lease: Duration,
    ) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Folder(folder) => {
                Ok(Arc::new(SqliteStore::open_keeping(folder, reserve).map_err(opening)?))
            }
            Self::Memory(folder) => {
                Ok(Arc::new(SqliteStore::open_forgetful(folder.path()).map_err(opening)?))
            }
            Self::Database(url, said) => {
                Ok(Arc::new(Self::open_database(url, said).await?.free_after(lease)))
            }
        }
    }

    /// Returns the arguments that name it, for another command. A password in an address is left out.
    pub(crate) fn arguments(&self) -> String {
        match self {
            Self::Folder(folder) => format!("--data-dir {}", folder.display()),
            Self::Memory(folder) => format!("--data-dir {}", folder.path().display()),
            Self::Database(..) => format!("--database-url {self}"),
        }
    }
}

impl std::fmt::Display for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Memory(folder) => write!(f, "{} (removed at the end)", folder.path().display()),
            Self::Database(url, _) => f.write_str(&without_password(url.expose())),
        }
    }
}

/// Returns where a text was said: in the variable, if that says the same, and else in the flag.
fn of_flag_or_variable(text: &str, flag: &'static str, variable: &'static str) -> &'static str {
    if std::env::var_os(variable).is_some_and(|set| set == text) { variable } else { flag }
}

/// Returns an address without its password. An address of another form than a URL may hold one anywhere, and so may one
/// with a second `@`.
fn without_password(url: &str) -> String {
    let place = url.split_once('?').map_or(url, |(place, _)| place);
    let parsed = reqwest::Url::parse(url).ok().filter(|_| place.matches('@').count() <= 1);
    let Some(mut url) = parsed else { return "the database".to_owned() };
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// Returns the policy for holds, for commands that have no flags for it.
pub(crate) fn policy(file: &File) -> anyhow::Result<Arc<Policy>> {
    Ok(Arc::new(file.policy(None)?))
}

/// Refuses to write, and closes the store, if the system's clock cannot be believed: a wrong time written now would make
/// the next server release numbers early. The use is stored, as a server does.
pub(crate) async fn look_at_clock(store: &dyn Store, trust: bool) -> anyhow::Result<()> {
    let now = Clock::new(0).reading();
    let (seen, moved_ms) = store.clock().await?;
    let mut guard = if trust { ClockGuard::trusting(now) } else { ClockGuard::new(seen, now, 0) };
    let state = guard.look(now).beside(Weakness::clock_ahead_ms(&store.durability().await?));
    // An emulator's clock is meant to be moved, and its folder may lie unused for months.
    if !state.is_believed() && demo_data::is_emulators(store).await? {
        guard = ClockGuard::trusting(now);
    } else if matches!(state, ClockState::Apart { .. }) {
        store.close().await;
        anyhow::bail!("{state}: nothing was written. Synchronize both machines' clocks with NTP");
    }
    let Some(seen) = guard.remember(now) else {
        store.close().await;
        anyhow::bail!(
            "{state}: nothing was written. Set the machine's clock right; if it is right, say --trust-clock"
        );
    };
    Ok(store.remember_clock(seen, moved_ms).await?)
}

/// Returns a store that was opened in a database, or why it was not, and where the address was said.
fn opened(opened: Result<PostgresStore, ConnectError>, said: &'static str) -> anyhow::Result<Arc<dyn Store>> {
    match opened {
        Ok(store) => Ok(Arc::new(store)),
        Err(error @ ConnectError::Missing(_)) => Err(anyhow::anyhow!("{error}: is {said} right?")),
        Err(error) => Err(anyhow::Error::from(error).context(said)),
    }
}

/// Returns why the folder of `--data-dir` cannot be opened, and what to do about it.
pub(crate) fn opening(error: OpenError) -> anyhow::Error {
    opening_by(error, DATA_DIR)
}

/// Why a data folder cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{error}{hint}")]
pub(crate) struct Unopened {
    pub(crate) error: OpenError,
    hint: String,
}

/// Returns why a data folder cannot be opened that a flag has named, and what to do about it.
fn opening_by(error: OpenError, flag: &str) -> anyhow::Error {
    let hint = match &error {
        OpenError::InUse(_) => ": stop that one first".to_owned(),
        OpenError::Missing(_) => format!(": is {flag} right?"),
        OpenError::Denied(folder) => match owner(folder) {
            Some((path, name)) => {
                let what =
                    if path.starts_with(folder) { "it".to_owned() } else { path.display().to_string() };
                format!(": {what} belongs to {name}. Run this as that user: sudo -u {name} onhook …")
            }
            None => String::new(),
        },
        OpenError::Unfinished(_) | OpenError::Folder(..) | OpenError::Database(_) => return error.into(),
    };
    Unopened { error, hint }.into()
}

/// Returns the user who owns the data in a folder, as an argument of sudo. If the data is missing or cannot be read,
/// returns the owner of the folder above, and that folder.
#[cfg(unix)]
fn owner(folder: &Path) -> Option<(PathBuf, String)> {
    use std::os::unix::fs::MetadataExt;
    let database = folder.join(onhook_store::sqlite::FILE);
    let found = database.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?.uid())));
    let (path, uid) = found?;
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    Some((path.to_owned(), named.unwrap_or_else(|| format!("'#{uid}'"))))
}

/// Only Unix tells the owner.
#[cfg(not(unix))]
fn owner(_folder: &Path) -> Option<(PathBuf, String)> {
    None
}

/// Returns the time now.
pub(crate) fn now() -> Timestamp {
    Clock::new(0).now()
}
