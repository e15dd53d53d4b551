//! Files of imports that have not ended, in the data folder.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::open::{make_folder, private};
use crate::contract::jobs::JobId;
use crate::error::corrupt;
use crate::{Result, StoreError};

/// The folder in the data folder.
const FOLDER: &str = "imports";

/// Runs what blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| StoreError::Broken(Box::new(error)))?
}

fn file(folder: &Path, job: JobId) -> PathBuf {
    folder.join(FOLDER).join(format!("{}.csv", job.0))
}

fn failed<T>(done: std::io::Result<T>, path: &Path) -> Result<T> {
    done.map_err(|error| corrupt(format!("the file of an import, {}: {error}", path.display())))
}

/// Adds a part to the file of an import. The first one begins it.
pub(super) fn append(folder: &Path, job: JobId, part: u32, bytes: &[u8]) -> Result<()> {
    let path = file(folder, job);
    failed(make_folder(&folder.join(FOLDER)), &path)?;
    let mut options = private();
    if part == 0 {
        options.create(true).truncate(true)
    } else {
        options.append(true)
    };
    failed(options.open(&path).and_then(|mut file| file.write_all(bytes)), &path)
}

/// Makes sure that the file of an import is on disk.
pub(super) fn sync(folder: &Path, job: JobId) -> Result<()> {
    let path = file(folder, job);
    if !path.exists() {
        append(folder, job, 0, &[])?; // nothing was sent
    }
    let synced = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    failed(synced(&path).and_then(|()| synced(&folder.join(FOLDER))).and_then(|()| synced(folder)), &path)
}

/// Opens the file of an import.
pub(super) fn open(folder: &Path, job: JobId) -> Result<Box<dyn Read + Send>> {
    let path = file(folder, job);
    Ok(Box::new(BufReader::with_capacity(1 << 20, failed(File::open(&path), &path)?)))
}

/// Removes all files but that of an import that has not ended.
pub(super) fn tidy(folder: &Path, open: Option<JobId>) -> Result<()> {
    let all = folder.join(FOLDER);
    let Ok(files) = fs::read_dir(&all) else { return Ok(()) }; // there are none
    let kept = open.map(|job| file(folder, job));
    for found in files {
        let path = failed(found, &all)?.path();
        if Some(&path) != kept.as_ref() {
            failed(fs::remove_file(&path), &path)?;
        }
    }
    Ok(())
}

/// Puts the files into a copy of the data folder. They are not written any more.
pub(super) fn copy(folder: &Path, to: &Path) -> Result<()> {
    let all = folder.join(FOLDER);
    let Ok(files) = fs::read_dir(&all) else { return Ok(()) }; // there are none
    let into = to.join(FOLDER);
    failed(make_folder(&into), &into)?;
    for found in files {
        let path = failed(found, &all)?.path();
        let Some(name) = path.file_name() else { continue };
        let copy = into.join(name);
        // Another file system has a copy, the same one another name of the file.
        failed(fs::hard_link(&path, &copy).or_else(|_| fs::copy(&path, &copy).map(drop)), &copy)?;
    }
    failed(File::open(&into).and_then(|folder| folder.sync_all()), &into)
}
