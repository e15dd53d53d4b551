//! Do real clients, unchanged but for their base URL, get along with a running server?
//!
//! For each: starts an emulator on a free port with an empty data folder or database, runs the client's test
//! against it, asks it to end, and runs the checker on its data. Not here: what a client does, which is in
//! `tests/clients/`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::workspace::{self, Workspace};

const NODE_AT_LEAST: u32 = 20;
const NODE_NEEDS: &str = "the node client's test needs Node.js 20 or newer and npm";
/// The minor version of the oldest Python 3 that the library's requirements run on.
const PYTHON_AT_LEAST: u32 = 9;
const PYTHON_NEEDS: &str = "the python client's test needs Python 3.9 or newer and pip";
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the server prints on standard output once it takes requests, before its address.
const READY: &str = "listening on ";
const LOG_LINES_SHOWN: usize = 40;

/// The database of a server that a test runs against. `None` is a server with a data folder.
pub(crate) type Database = Option<String>;

/// Runs the tests of all clients, against servers on the store that `ONHOOK_TEST_STORE` names.
///
/// # Errors
/// As [`node`] and [`python`]; or the store cannot be had.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    node(workspace, &[onhook_cluster::chosen_database()?])?;
    python(workspace, &[onhook_cluster::chosen_database()?])
}

/// Runs the npm client's test, once for each database.
///
/// # Errors
/// A tool is missing, the client's test fails, the server does not start or end as it should, or the checker
/// finds something.
pub(crate) fn node(workspace: &Workspace, databases: &[Database]) -> Result<()> {
    let client = workspace.root().join("tests/clients/node");
    node_is_there(workspace)?;
    let lock = client.join("package-lock.json");
    no_addresses(&fs::read_to_string(&lock).with_context(|| lock.display().to_string())?)?;
    let mut npm = workspace.command("npm");
    workspace::run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&client))?;
    let mut test = workspace.command("node");
    // One story after the other: they share the account.
    test.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).current_dir(&client);
    let folder = empty(workspace.scratch("clients/node"))?;
    against_servers(workspace, &folder, test, databases)
}

/// Runs the PyPI client's test, once for each database. The library and what it needs go into a folder of their own, and not into the
/// machine's Python: that works where the module `venv` is missing, too.
///
/// # Errors
/// As [`node`].
pub(crate) fn python(workspace: &Workspace, databases: &[Database]) -> Result<()> {
    let client = workspace.root().join("tests/clients/python");
    python_is_there(workspace)?;
    let folder = empty(workspace.scratch("clients/python"))?;
    let packages = packages(workspace, &client, &folder)?;
    let mut test = workspace.command("python3");
    test.args(["-B", "-m", "unittest", "--verbose", "--failfast"])
        .current_dir(&client)
        .env("PYTHONPATH", &packages)
        .env("PYTHONNOUSERSITE", "1");
    against_servers(workspace, &folder, test, databases)
}

/// Returns pip, about to install what is said next.
pub(crate) fn pip(workspace: &Workspace) -> Command {
    let mut pip = workspace.command("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip
}

/// Installs what `requirements.txt` in a client's folder names, and returns where it is.
///
/// # Errors
/// As pip.
pub(crate) fn packages(workspace: &Workspace, client: &Path, folder: &Path) -> Result<PathBuf> {
    let packages = folder.join("packages");
    let mut pip = pip(workspace);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--requirement"])
        .arg(client.join("requirements.txt"))
        .arg("--target")
        .arg(&packages);
    workspace::run(&mut pip)?;
    Ok(packages)
}

/// Returns the folder, emptied.
///
/// # Errors
/// It cannot be removed or made.
pub(crate) fn empty(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Runs a client's test against an emulator for each database, and each time the checker. The folder has the data of a
/// server without a database.
///
/// # Errors
/// The test fails, the server does not start or end as it should, or the checker finds something.
pub(crate) fn against_servers(
    workspace: &Workspace,
    folder: &Path,
    mut test: Command,
    databases: &[Database],
) -> Result<()> {
    let onhook = workspace.build_onhook()?;
    let (data, log) = (folder.join("data"), folder.join("server.log"));
    for database in databases {
        let on_data = |arguments: &[&str]| {
            let mut command = workspace.command(&onhook);
            command.args(arguments);
            match database {
                Some(url) => command.args(["--database-url", url]),
                None => command.arg("--data-dir").arg(&data),
            };
            command
        };
        let mut exchange = || {
            let serve = &["serve", "--emulator", "--listen", "127.0.0.1:0", "--log-format", "text"];
            let server = Server::start(&mut on_data(serve), &log)?;
            workspace::run(test.env("ONHOOK_URL", &server.url))?;
            server.stop()
        };
        exchange().inspect_err(|_| show_end_of(&log))?;
        workspace::run(&mut on_data(&["check", "--deep"]))?;
    }
    Ok(())
}

fn node_is_there(workspace: &Workspace) -> Result<()> {
    let version = version_of(workspace.command("node"), NODE_NEEDS)?;
    let major = numbers(&version).first().copied();
    ensure!(major.is_some_and(|major| major >= NODE_AT_LEAST), "node is {version}; {NODE_NEEDS}");
    version_of(workspace.command("npm"), NODE_NEEDS)?;
    Ok(())
}

/// Returns why Python 3 of at least this minor version cannot be used here. `None` if it can.
pub(crate) fn no_python(workspace: &Workspace, at_least: u32) -> Option<String> {
    let needs = format!("it needs Python 3.{at_least} or newer and pip");
    match version_of(workspace.command("python3"), &needs) {
        Ok(version) if is_python(&version, at_least) => None,
        Ok(version) => Some(format!("python3 is {version}; {needs}")),
        Err(why) => Some(format!("{why:#}")),
    }
}

fn python_is_there(workspace: &Workspace) -> Result<()> {
    let version = version_of(workspace.command("python3"), PYTHON_NEEDS)?;
    ensure!(is_python(&version, PYTHON_AT_LEAST), "python3 is {version}; {PYTHON_NEEDS}");
    let mut pip = workspace.command("python3");
    pip.args(["-m", "pip"]);
    version_of(pip, PYTHON_NEEDS)?;
    Ok(())
}

/// Returns whether `python3 --version` names a Python 3 of at least this minor version.
fn is_python(version: &str, at_least: u32) -> bool {
    match numbers(version)[..] {
        [3, minor, ..] => minor >= at_least,
        _ => false,
    }
}

/// Returns the numbers in the last word of a tool's version.
fn numbers(version: &str) -> Vec<u32> {
    let last = version.split_whitespace().last().unwrap_or_default().trim_start_matches('v');
    last.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Returns a tool's version as it prints it. If the tool is missing, the error says what is needed.
fn version_of(mut command: Command, needs: &str) -> Result<String> {
    let output = command.arg("--version").output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("{} is not installed; {needs}", command.get_program().display()),
        _ => anyhow!(error).context(format!("{} could not be started", workspace::readable(&command))),
    })?;
    let ended = output.status;
    ensure!(ended.success(), "`{}` ended with {ended}; {needs}", workspace::readable(&command));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A lock file fixes versions and hashes; each machine decides where they are fetched from.
fn no_addresses(lock: &str) -> Result<()> {
    let with_address = lock.lines().position(|line| line.trim_start().starts_with("\"resolved\":"));
    if let Some(index) = with_address {
        bail!(
            "package-lock.json, line {}: an address is recorded; make the file again in its own folder, where \
             .npmrc leaves addresses out: `rm package-lock.json; npm install --package-lock-only`",
            index + 1
        );
    }
    Ok(())
}

/// A running server. It is ended when dropped, unless it has ended before.
pub(crate) struct Server {
    process: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Server {
    /// Starts `command` and waits until it says where it listens. Its standard error goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        workspace::announce(command);
        let log = File::create(log).with_context(|| log.display().to_string())?;
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", workspace::readable(command)))?;
        let output = process.stdout.take().expect("standard output is a pipe");
        let mut server = Self { process, url: String::new() };

        let (say, hear) = sync_channel(1);
        thread::spawn(move || {
            // Reads to the end, even if nobody uses it any more: a full pipe would block the server.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match hear.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(url) = line.strip_prefix(READY) {
                        server.url = url.trim_end().to_owned();
                        return Ok(server);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the server did not print `{READY}…` within {} s", READY_WITHIN.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the server closed its standard output without having printed `{READY}…`")
                }
            }
        }
    }

    /// Asks the server to end. It must end in time and with success.
    pub(crate) fn stop(mut self) -> Result<()> {
        let mut kill = Command::new("kill");
        workspace::run(kill.args(["-TERM", &self.process.id().to_string()]))?;
        let deadline = Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "after SIGTERM the server ended with {status}");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the server still runs {} s after SIGTERM",
                STOPPED_WITHIN.as_secs()
            );
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // This fails only if the server has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn show_end_of(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().collect::<Vec<_>>();
    let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    if !shown.is_empty() {
        eprintln!("the server's last words, from {}:\n{}", log.display(), shown.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_too_old_is_refused() {
        for (version, is) in [
            ("Python 3.9.18", true),
            ("Python 3.13.0rc1", true),
            ("Python 3.8.18", false),
            ("Python 2.7.18", false),
            ("Python 4.9.0", false),
            ("", false),
        ] {
            assert_eq!(is_python(version, PYTHON_AT_LEAST), is, "{version}");
        }
    }

    #[test]
    fn a_lock_file_with_an_address_is_refused() {
        let clean = "{\n  \"version\": \"2.0.0\",\n  \"integrity\": \"sha512-…\"\n}";
        let dirty = "{\n  \"version\": \"2.0.0\",\n  \"resolved\": \"https://packages.example/x.tgz\"\n}";
        assert!(no_addresses(clean).is_ok());
        let message = no_addresses(dirty).expect_err("it has an address").to_string();
        assert!(message.starts_with("package-lock.json, line 3:"), "{message}");
    }
}
