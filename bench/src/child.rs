//! Servers as separate processes: the program runs itself again with a hidden command.
//!
//! A child writes one line to its standard output: the address it serves, `done`, or what went wrong. It ends when its
//! standard input ends, so it does not outlive a killed parent.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::ChildStdout;
use tokio::time::timeout;

/// A running child. Dropping it kills it and waits for its end.
pub(crate) struct Running {
    /// The address it serves.
    pub(crate) addr: SocketAddr,
    process: Process,
}

impl Running {
    /// Returns its process.
    pub(crate) fn process(&self) -> u32 {
        self.process.0.id()
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a child that serves, and waits until it reports its address.
pub(crate) async fn serve(arguments: &[&OsStr], patience: Duration) -> Result<Running> {
    let (process, line) = start(arguments, patience).await?;
    let addr = line.parse().map_err(|_| anyhow!("{line}"))?;
    Ok(Running { addr, process })
}

/// Runs a child that does one thing, and waits until it reports `done`.
pub(crate) async fn run(arguments: &[&OsStr], patience: Duration) -> Result<()> {
    let (_process, line) = start(arguments, patience).await?;
    if line == "done" { Ok(()) } else { Err(anyhow!("{line}")) }
}

async fn start(arguments: &[&OsStr], patience: Duration) -> Result<(Process, String)> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0) // the parent handles an interrupt at the terminal
        .spawn()
        .with_context(|| format!("starting {arguments:?}"))?;
    let stdout = child.stdout.take().context("the child's output is piped")?;
    let process = Process(child);
    let mut line = String::new();
    timeout(patience, BufReader::new(ChildStdout::from_std(stdout)?).read_line(&mut line))
        .await
        .with_context(|| format!("{arguments:?} was not ready in {patience:?}"))??;
    let line = line.trim();
    Ok((process, if line.is_empty() { format!("{arguments:?} ended silently") } else { line.to_owned() }))
}

/// Called in a child: writes `line` to the parent.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush().context("telling the parent")
}

/// Called in a child: returns when the parent has ended.
pub(crate) async fn parent_ended() {
    // An error ends the wait just as well.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}
