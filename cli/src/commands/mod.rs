//! One room a command.

mod admin;
mod check;
mod completions;
mod csv_file;
mod demo;
mod explain;
mod export;
mod import;
mod import_exchanges;
mod serve;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use onhook_core::hold::Policy;
use onhook_core::release::ClockGuard;
use onhook_core::time::Timestamp;
use onhook_server::clock::Clock;
use onhook_server::emulator;
use onhook_store::Store;
use onhook_store::sqlite::{OpenError, SqliteStore};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Exit;
use crate::terminal::Terminal;

/// What can be done.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Serve(Box<serve::Serve>),
    #[command(subcommand)]
    Admin(admin::Admin),
    Import(import::Import),
    ImportExchanges(import_exchanges::ImportExchanges),
    Export(export::Export),
    Check(check::Check),
    Explain(explain::Explain),
    Completions(completions::Completions),
}

impl Command {
    pub(crate) async fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Command::Demo(demo) => demo.run(terminal).await,
            Command::Serve(serve) => serve.run(terminal).await,
            Command::Admin(admin) => admin.run(terminal).await,
            Command::Import(import) => import.run(terminal).await,
            Command::ImportExchanges(import) => import.run(terminal).await,
            Command::Export(export) => export.run(terminal).await,
            Command::Check(check) => check.run(terminal).await,
            Command::Explain(explain) => explain.run(terminal).await,
            Command::Completions(completions) => completions.run(terminal),
        }
    }
}

/// The data folder that a command works on.
#[derive(clap::Args)]
pub(crate) struct DataDir {
    /// The folder with onhook's data; no server may be running on it
    #[arg(long, value_name = "DIR", env = "ONHOOK_DATA_DIR")]
    data_dir: PathBuf,
}

impl DataDir {
    /// The store in the folder, which must have one.
    fn open(&self) -> anyhow::Result<SqliteStore> {
        SqliteStore::open_if_there(&self.data_dir, Arc::new(Policy::default())).map_err(opening)
    }

    /// The store in the folder, made if it is new.
    fn open_or_make(&self) -> anyhow::Result<SqliteStore> {
        SqliteStore::open(&self.data_dir, Arc::new(Policy::default())).map_err(opening)
    }
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
    /// The store in the folder, which must have one.
    async fn open(&self) -> anyhow::Result<SqliteStore> {
        self.guarded(self.data_dir.open()?).await
    }

    /// The store in the folder, made if it is new.
    async fn open_or_make(&self) -> anyhow::Result<SqliteStore> {
        self.guarded(self.data_dir.open_or_make()?).await
    }

    /// The store, unless the system's clock cannot be believed: a wrong time that is written now would have the
    /// next server release numbers early. The use is remembered, as a server does.
    async fn guarded(&self, store: SqliteStore) -> anyhow::Result<SqliteStore> {
        let now = Clock::new(0).reading();
        let (seen, moved_ms) = store.clock().await?;
        let mut guard =
            if self.trust_clock { ClockGuard::trusting(now) } else { ClockGuard::new(seen, now, 0) };
        let state = guard.look(now);
        // An emulator's clock is there to be moved, and its folder to be left lying for months.
        if !state.is_believed() && emulator::is_emulators(&store).await? {
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

/// Why a data folder cannot be opened, and what to do about it.
fn opening(error: OpenError) -> anyhow::Error {
    let hint = match &error {
        OpenError::InUse(_) => ": stop that one first",
        OpenError::Missing(_) => ": is --data-dir right?",
        OpenError::Folder(..) | OpenError::Database(_) => return error.into(),
    };
    anyhow::anyhow!("{error}{hint}")
}

/// What asks a running command to end: SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens from here on; without it, either signal ends the process at once.
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Returns when one has come.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What time it is.
fn now() -> Timestamp {
    Clock::new(0).now()
}
