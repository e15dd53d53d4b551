//! The data that a command works on: its folder, its store, and the time that it writes there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use onhook_core::clock::ClockGuard;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::time::Timestamp;
use onhook_server::clock::Clock;
use onhook_server::demo_data;
use onhook_store::contract::upkeep::Upkeep;
use onhook_store::sqlite::{OpenError, SqliteStore};

use crate::config::File;

/// The data folder that a command works on.
#[derive(clap::Args)]
pub(crate) struct DataDir {
    /// The folder with onhook's data; no server may be running on it
    #[arg(long, value_name = "DIR", env = "ONHOOK_DATA_DIR", value_hint = clap::ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
}

impl DataDir {
    /// Returns the folder. A file whose hold profiles cannot be used is refused, also for a command that has no use for
    /// them.
    fn folder<'a>(&'a self, file: &'a File) -> anyhow::Result<&'a Path> {
        policy(file)?;
        folder(self.data_dir.as_ref(), file)
    }

    /// Opens the store in the folder. There must be one.
    pub(crate) fn open(&self, file: &File) -> anyhow::Result<SqliteStore> {
        SqliteStore::open_if_there(self.folder(file)?).map_err(opening)
    }

    /// Opens the store in the folder. Makes it if it does not exist.
    pub(crate) fn open_or_make(&self, file: &File) -> anyhow::Result<SqliteStore> {
        SqliteStore::open(self.folder(file)?).map_err(opening)
    }

    /// Opens the store in the folder for a dry run. If there is none, it makes an empty one in a temporary folder,
    /// which is removed when the second value is dropped.
    fn open_for_dry_run(&self, file: &File) -> anyhow::Result<(SqliteStore, Option<tempfile::TempDir>)> {
        match SqliteStore::open_if_there(self.folder(file)?) {
            Ok(store) => Ok((store, None)),
            Err(OpenError::Missing(_)) => {
                let empty = tempfile::tempdir().context("cannot make a temporary folder")?;
                let store = SqliteStore::open(empty.path()).map_err(opening)?;
                Ok((store, Some(empty)))
            }
            Err(error) => Err(opening(error)),
        }
    }
}

/// Returns the data folder from the command line, the environment or the configuration file.
pub(crate) fn folder<'a>(named: Option<&'a PathBuf>, file: &'a File) -> anyhow::Result<&'a Path> {
    let folder = named.or(file.data_dir.as_ref());
    Ok(folder.context("say where the data is: --data-dir DIR, or data_dir in a file that --config names")?)
}

/// Returns the policy for holds, for commands that have no flags for it.
pub(crate) fn policy(file: &File) -> anyhow::Result<Arc<Policy>> {
    Ok(Arc::new(file.policy(None)?))
}

/// The data folder that a command writes to.
#[derive(clap::Args)]
pub(crate) struct WrittenDir {
    #[command(flatten)]
    data_dir: DataDir,
    /// Believe the system's clock though it is far from the data's last use
    #[arg(long)]
    trust_clock: bool,
}

impl WrittenDir {
    /// Opens the store in the folder. There must be one.
    pub(crate) async fn open(&self, file: &File) -> anyhow::Result<SqliteStore> {
        self.guarded(self.data_dir.open(file)?).await
    }

    /// Opens the store in the folder. Makes it if it does not exist.
    pub(crate) async fn open_or_make(&self, file: &File) -> anyhow::Result<SqliteStore> {
        self.guarded(self.data_dir.open_or_make(file)?).await
    }

    /// Opens the store in the folder for an import. Makes it if it does not exist. A dry run writes nothing, whatever
    /// the clock is; see [`DataDir::open_for_dry_run`].
    pub(crate) async fn open_for_import(
        &self,
        file: &File,
        dry_run: bool,
    ) -> anyhow::Result<(SqliteStore, Option<tempfile::TempDir>)> {
        if dry_run {
            self.data_dir.open_for_dry_run(file)
        } else {
            Ok((self.open_or_make(file).await?, None))
        }
    }

    /// Returns the store, unless the system's clock cannot be believed: a wrong time written now would make the next
    /// server release numbers early. The use is stored, as a server does.
    async fn guarded(&self, store: SqliteStore) -> anyhow::Result<SqliteStore> {
        let now = Clock::new(0).reading();
        let (seen, moved_ms) = store.clock().await?;
        let mut guard =
            if self.trust_clock { ClockGuard::trusting(now) } else { ClockGuard::new(seen, now, 0) };
        let state = guard.look(now);
        // An emulator's clock is meant to be moved, and its folder may lie unused for months.
        if !state.is_believed() && demo_data::is_emulators(&store).await? {
            guard = ClockGuard::trusting(now);
        }
        let Some(seen) = guard.remember(now) else {
            store.close().await;
            anyhow::bail!(
                "{state}: nothing was written. Set the machine's clock right; if it is right, say --trust-clock"
            );
        };
        store.remember_clock(seen, moved_ms).await?;
        Ok(store)
    }
}

/// Returns why a data folder cannot be opened, and what to do about it.
pub(crate) fn opening(error: OpenError) -> anyhow::Error {
    let hint = match &error {
        OpenError::InUse(_) => ": stop that one first".to_owned(),
        OpenError::Missing(_) => ": is --data-dir right?".to_owned(),
        OpenError::Denied(folder) => match owner(folder) {
            Some((path, name)) => {
                let what =
                    if path.starts_with(folder) { "it".to_owned() } else { path.display().to_string() };
                format!(": {what} belongs to {name}. Run this as that user: sudo -u {name} onhook …")
            }
            None => String::new(),
        },
        OpenError::Folder(..) | OpenError::Database(_) => return error.into(),
    };
    anyhow::anyhow!("{error}{hint}")
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
