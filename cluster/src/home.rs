//! A temporary folder that goes with this process, and the server in it too, even if this process is killed.
//!
//! A small shell, the guard, waits for the end of its standard input, which only this process holds open: the kernel
//! closes it however this process ends. The guard then stops the server and removes the folder. The kernel's own
//! signal at a parent's death would not do, since it is sent when the *thread* ends that started the child, and each
//! test has a thread.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Reads a line whenever the server changes: its process, or nothing when it has ended. Waits up to 30 s for its end.
const GUARD: &str = r#"
    while read -r line; do server=$line; done
    if [ -n "$server" ] && kill -QUIT "$server"; then
        tries=0
        while kill -0 "$server" && [ $((tries += 1)) -le 300 ]; do sleep 0.1; done
    fi
    rm -rf -- "$1""#;

/// A temporary folder. Dropping it stops the server that the guard knows of, and removes the folder.
pub(crate) struct Home {
    path: PathBuf,
    guard: Child,
}

impl Home {
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("onhook-cluster-")
            .tempdir_in(parent)
            .with_context(|| format!("making a folder in {}", parent.display()))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(folder.path())
            .current_dir("/")
            .process_group(0) // an interrupt at the terminal must not end it first
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting sh")?;
        Ok(Self { path: folder.keep(), guard }) // from here on the guard removes it
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the guard which process is the server, or that there is none.
    pub(crate) fn guard(&mut self, server: Option<u32>) -> Result<()> {
        let line = server.map(|id| id.to_string()).unwrap_or_default();
        let stdin = self.guard.stdin.as_mut().context("the guard's input is piped")?;
        writeln!(stdin, "{line}").context("the guard of the cluster has ended")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait(); // fails only if nothing is left to wait for
    }
}
