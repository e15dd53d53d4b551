//! Is every golden file still read by a test? One that no test reads looks like a promise, but nothing keeps it.
//!
//! While tests run, insta writes down each snapshot that it opens; what lies in the tree beside those is
//! unreferenced.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Folders that hold nothing of the project's own.
const NOT_OURS: &[&str] = &[".git", "node_modules", "target"];

/// Where the tests write down which snapshots they opened.
pub(crate) struct Opened {
    list: PathBuf,
}

impl Opened {
    /// Makes the tests that `command` runs write the list, starting with an empty one.
    pub(crate) fn by(command: &mut Command, workspace: &Workspace) -> Result<Self> {
        let folder = workspace.scratch("tests");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let list = folder.join("snapshots-opened");
        fs::write(&list, "").with_context(|| list.display().to_string())?;
        command.env("INSTA_SNAPSHOT_REFERENCES_FILE", &list);
        Ok(Self { list })
    }

    /// Compares the list with the tree, once every test has run.
    ///
    /// # Errors
    /// A snapshot in the tree isn't in the list; the message names each.
    pub(crate) fn refuse_others(&self, workspace: &Workspace) -> Result<()> {
        let opened = fs::read_to_string(&self.list).with_context(|| self.list.display().to_string())?;
        let opened = opened.lines().filter_map(|path| fs::canonicalize(path).ok()).collect::<BTreeSet<_>>();
        let mut found = BTreeSet::new();
        collect(&fs::canonicalize(workspace.root())?, &mut found)?;
        let others = found.difference(&opened).map(|path| path.display().to_string()).collect::<Vec<_>>();
        ensure!(others.is_empty(), "no test reads these snapshots:\n  {}", others.join("\n  "));
        Ok(())
    }
}

/// Every snapshot in `folder` and the folders in it. Links are not followed.
fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                collect(&path, found)?;
            }
        } else if path.extension() == Some(OsStr::new("snap")) {
            found.insert(path);
        }
    }
    Ok(())
}
