//! PostgreSQL's programs, and the user that they run as.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The environment variable that names the folder of PostgreSQL's programs.
pub const VARIABLE: &str = "ONHOOK_POSTGRES_BIN";

/// Where Debian and its relatives install each version.
const INSTALLED: &str = "/usr/lib/postgresql";
const NEEDED: [&str; 5] = ["initdb", "postgres", "pg_ctl", "pg_basebackup", "createdb"];

/// PostgreSQL's programs in one folder, and the user that they run as.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
    /// The user and group to change to, since PostgreSQL refuses root. `None` is the user of this process.
    user: Option<(u32, u32)>,
}

impl Binaries {
    /// Finds the programs: in the folder that `ONHOOK_POSTGRES_BIN` names, or else the newest version in
    /// `/usr/lib/postgresql`.
    ///
    /// # Errors
    /// PostgreSQL is not installed there. The message says in one sentence what is missing and how to get it, so that
    /// a test can print `skipped: {error}`.
    pub fn find() -> Result<Self> {
        if let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
            return Self::at(folder).with_context(|| format!("{VARIABLE} is set"));
        }
        let folder = newest(Path::new(INSTALLED)).with_context(|| {
            format!(
                "PostgreSQL's server programs are not in {INSTALLED}: install them (on Debian and Ubuntu `apt \
                 install postgresql`), or name their folder in {VARIABLE}"
            )
        })?;
        Self::at(folder)
    }

    /// Takes the programs in `folder`.
    ///
    /// # Errors
    /// A program is missing there, or this process is root and the system has neither a user `postgres` nor `nobody`.
    pub fn at(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        for program in NEEDED {
            ensure!(folder.join(program).exists(), "there is no {program} in {}", folder.display());
        }
        Ok(Self { folder, user: user()? })
    }

    /// Returns a command for the program, run in `dir` as the cluster's user.
    pub(crate) fn command(&self, program: &str, dir: &Path) -> Command {
        self.other_command(self.folder.join(program), dir)
    }

    /// Returns a command for a program that is not PostgreSQL's, run in `dir` as the cluster's user.
    pub(crate) fn other_command(&self, program: impl AsRef<OsStr>, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(dir);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Returns a command for a program that is not PostgreSQL's, run in `dir` as the cluster's user, with PostgreSQL's
    /// programs first in its `PATH`.
    #[must_use]
    pub fn with_path(&self, program: &str, dir: &Path) -> Command {
        let mut command = self.other_command(program, dir);
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.clone()).chain(std::env::split_paths(&others));
        // A folder with a colon in its name cannot be in a path. Then PostgreSQL's programs are found by it alone.
        let path = std::env::join_paths(folders).unwrap_or_else(|_| self.folder.clone().into_os_string());
        command.env("PATH", path).env("HOME", dir);
        command
    }

    /// Makes the cluster's user the owner of `path`.
    ///
    /// # Errors
    /// `path` is not there, or this process may not give it away.
    pub fn give(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.user else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("giving {} away", path.display()))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Runs a command to its end.
///
/// # Errors
/// It does not start, or it fails; the message has what it wrote to its standard error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    // An interrupt at the terminal is for this process, which then stops what it started.
    let done = command.process_group(0).output().with_context(|| format!("starting {program}"))?;
    ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

fn newest(installed: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(installed).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    newest.map(|(_, folder)| folder)
}

fn user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let ids = ids("postgres").or_else(|| ids("nobody"));
    Ok(Some(ids.context("PostgreSQL refuses root, and there is neither a user postgres nor nobody")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_largest_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path()), None);
        for version in ["9", "15", "16"] {
            fs::create_dir_all(dir.path().join(version).join("bin")).unwrap();
        }
        for version in ["9", "15"] {
            fs::write(dir.path().join(version).join("bin/initdb"), "").unwrap();
        }
        assert_eq!(newest(dir.path()), Some(dir.path().join("15/bin")));
    }

    #[test]
    fn a_folder_without_the_programs_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Binaries::at(dir.path()).unwrap_err().to_string();
        assert_eq!(refused, format!("there is no initdb in {}", dir.path().display()));
    }
}
