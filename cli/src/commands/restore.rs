//! `onhook restore`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use onhook_store::contract::upkeep::Upkeep;
use onhook_store::sqlite::{FILE, MANIFEST, SqliteStore, digest};

use crate::exit::Exit;
use crate::target::opening;
use crate::terminal::{Terminal, count};

/// The folder of a backup with the files of imports that were under way.
const IMPORTS: &str = "imports";

/// Put a backup into a new data folder
///
/// The folder must be new or empty, so nothing is ever overwritten. The backup stays as it is. Everything that
/// happened after the backup was made is not in the new folder.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook restore /var/backups/onhook/nightly-7 --data-dir /var/lib/onhook-restored"
)]
pub(crate) struct Restore {
    /// The folder of the backup
    #[arg(value_hint = clap::ValueHint::DirPath)]
    backup: PathBuf,
    /// The new data folder
    #[arg(long, value_name = "DIR", env = "ONHOOK_DATA_DIR", value_hint = clap::ValueHint::DirPath)]
    data_dir: PathBuf,
}

/// What a backup says of itself.
#[derive(serde::Deserialize)]
struct Manifest {
    bytes: u64,
    sha256: String,
}

impl Restore {
    pub(crate) async fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { backup, data_dir } = self;
        let manifest = backup.join(MANIFEST);
        let said = fs::read(&manifest)
            .with_context(|| format!("{} is no backup: it has no {MANIFEST}", backup.display()))?;
        let said: Manifest = serde_json::from_slice(&said)
            .with_context(|| format!("{} cannot be read", manifest.display()))?;
        make_empty(&data_dir)?;
        let imports = backup.join(IMPORTS);
        if imports.is_dir() {
            let into = data_dir.join(IMPORTS);
            DirBuilder::new().mode(0o700).create(&into)?;
            for file in fs::read_dir(&imports)? {
                let file = file?;
                copy(&file.path(), &into.join(file.file_name()))?;
            }
            sync(&into)?;
        }
        // The database has its name last: a restore that broke off leaves a folder that no command takes for data.
        let part = data_dir.join(format!("{FILE}.part"));
        copy(&backup.join(FILE), &part)?;
        let (bytes, sha256) = digest(&part)?;
        anyhow::ensure!(
            (bytes, &sha256) == (said.bytes, &said.sha256),
            "the backup in {} is not what it was when it was made: take another one",
            backup.display()
        );
        fs::rename(&part, data_dir.join(FILE))?;
        sync(&data_dir)?;
        let store = SqliteStore::open_if_there(&data_dir).map_err(opening)?;
        let totals = store.totals(crate::target::now()).await?;
        store.close().await;
        let numbers = totals.by_state.iter().map(|(_, numbers)| numbers).sum();
        let folder = data_dir.display();
        terminal.line(&format!("{} restored to {folder}", count::<u64>(numbers, "number")))?;
        Ok(Exit::Done)
    }
}

/// Makes the folder, or sees that it is empty.
fn make_empty(folder: &Path) -> anyhow::Result<()> {
    match fs::read_dir(folder) {
        Ok(mut there) => anyhow::ensure!(
            there.next().is_none(),
            "{} is not empty, and a restore overwrites nothing: say a new folder",
            folder.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    }
    Ok(())
}

/// Copies a file, for its owner alone, and waits until it is on disk.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = || -> io::Result<()> {
        let mut from = File::open(from)?;
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(&mut from, &mut to)?;
        to.sync_all()
    };
    copied().with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))
}

/// Waits until a folder is on disk.
fn sync(folder: &Path) -> anyhow::Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("{} cannot be written", folder.display()))
}
