//! Copying the store while it is in use.
//!
//! The writer copies the database page by page between its transactions (`writer`), so no read keeps the log from being
//! written home. What it writes meanwhile goes to the copy, too. The copy is then made ready in a folder of another name,
//! and gets its own when everything in it is on disk.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use onhook_core::audit::digest::Digest;
use onhook_core::check::Finding;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use super::open::{FILE, SqliteStore, make_folder, private};
use super::spool::{self, blocking};
use crate::contract::backups::{Backups, Copied};
use crate::contract::upkeep::{Report, Upkeep, Watch};
use crate::error::corrupt;
use crate::{Result, StoreError};

/// The file in a backup that says what it is.
pub const MANIFEST: &str = "backup.json";

/// Bytes that are read at once.
const PART: usize = 1 << 20;

fn failed(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    corrupt(format!("{} cannot be {what}: {error}", path.display()))
}

/// Removes a folder with what is in it, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removed", folder, &error)),
        _ => Ok(()),
    }
}

/// Makes an empty folder with an empty database for the copy.
fn prepare(within: &Path, name: &str) -> Result<PathBuf> {
    make_folder(within).map_err(|error| failed("made", within, &error))?;
    let part = within.join(format!(".{name}.part"));
    remove(&part)?;
    remove(&within.join(name))?;
    make_folder(&part).map_err(|error| failed("made", &part, &error))?;
    let file = part.join(FILE);
    private().create_new(true).open(&file).map_err(|error| failed("made", &file, &error))?;
    Ok(part)
}

/// Takes out of a copy what belongs to the server that made it: its leases, and jobs that only it can end. Returns the
/// last position of its events, 0 for none.
fn make_its_own(file: &Path) -> Result<u64> {
    let copy = Connection::open(file)?;
    copy.execute_batch(
        "DELETE FROM lease; DELETE FROM job WHERE ended_at IS NULL AND kind IN ('check', 'backup');",
    )?;
    let position: i64 =
        copy.query_row("SELECT coalesce(max(last_position), 0) FROM seal", [], |row| row.get(0))?;
    copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| StoreError::from(error))?;
    Ok(position.unsigned_abs())
}

/// Returns how many bytes a file has, and their SHA-256 in hexadecimal digits.
///
/// # Errors
/// As reading it.
pub fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut bytes, mut sha256, mut part) = (0, Sha256::new(), vec![0; PART]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok((bytes, Digest::from(sha256).hex()));
        }
        sha256.update(&part[..read]);
        bytes += u64::try_from(read).unwrap_or(0);
    }
}

/// Makes sure that a file or folder is on disk.
fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| failed("written", path, &error))
}

/// Writes what a copy is beside it, and gives it its name.
fn complete(within: &Path, part: &Path, name: &str) -> Result<Copied> {
    let file = part.join(FILE);
    let position = make_its_own(&file)?;
    let (bytes, sha256) = digest(&file).map_err(|error| failed("read", &file, &error))?;
    let manifest = part.join(MANIFEST);
    let said = serde_json::json!({ "bytes": bytes, "sha256": sha256 }).to_string();
    let written = private().create_new(true).open(&manifest).and_then(|mut to| {
        std::io::Write::write_all(&mut to, said.as_bytes())?;
        Ok(())
    });
    written.map_err(|error| failed("written", &manifest, &error))?;
    for path in [&file, &manifest, part] {
        sync(path)?;
    }
    let folder = within.join(name);
    fs::rename(part, &folder).map_err(|error| failed("renamed", part, &error))?;
    sync(within)?;
    Ok(Copied { folder, bytes, sha256, position })
}

#[async_trait]
impl Backups for SqliteStore {
    fn folder(&self) -> Option<PathBuf> {
        Some(self.folder.clone())
    }

    async fn back_up(&self, within: PathBuf, name: String) -> Result<Copied> {
        let (at, called) = (within.clone(), name.clone());
        let part = blocking(move || prepare(&at, &called)).await?;
        let imports = self.writer.copy(part.join(FILE)).await;
        let part_made = part.clone();
        let spools = self.folder.clone();
        let done = match imports {
            Ok(()) => {
                blocking(move || {
                    spool::copy(&spools, &part)?;
                    complete(&within, &part, &name)
                })
                .await
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            let _ = blocking(move || remove(&part_made)).await; // the next try removes it, too
        }
        done
    }

    async fn check_backup(&self, backup: Copied, watch: Watch) -> Result<Report> {
        let Copied { folder, bytes, sha256, .. } = backup;
        let gone =
            |folder: &Path| StoreError::Conflict(format!("there is no backup in {}", folder.display()));
        let opened = blocking(move || {
            let file = folder.join(FILE);
            let found = digest(&file).map_err(|_| gone(&folder))?;
            if found != (bytes, sha256) {
                let what = format!("it has {} bytes with another SHA-256 than when it was made", found.0);
                return Ok(Err(Finding::new(file.display(), what)));
            }
            match Self::open_if_there(&folder) {
                Ok(store) => Ok(Ok(store)),
                Err(error) => Err(StoreError::Conflict(error.to_string())),
            }
        });
        match opened.await? {
            Err(finding) => Ok(Report { findings: vec![finding], ..Report::default() }),
            Ok(store) => {
                let report = store.check_watched(true, watch).await;
                store.close().await;
                report
            }
        }
    }
}
