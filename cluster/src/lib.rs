//! PostgreSQL clusters for tests and the benchmark: started in a temporary folder, stopped, started again, copied to
//! a standby, and gone with the process that started them. And a proxy before one.
//!
//! Everything here blocks until it is done. Not here: a client, and anything that ships.

mod binaries;
mod home;
mod settings;
pub mod wire;

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

pub use crate::binaries::{Binaries, VARIABLE};
use crate::home::Home;
pub use crate::settings::Settings;

/// The database that every cluster has, and the user that owns it. Nobody is asked for a password.
pub const NAME: &str = "onhook";

/// The environment variable that names the store of tests that could run on each: `sqlite`, which it is by default, or
/// `postgres`.
pub const STORE: &str = "ONHOOK_TEST_STORE";

/// Connections to the cluster that tests share: a machine with many cores runs many at a time, each with a server.
const SHARED_CONNECTIONS_MAX: &str = "1000";

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);
/// PostgreSQL reports that it is ready by a line in a file.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A socket's path has at most 107 bytes, of which PostgreSQL's own name takes up to 15.
const FOLDER_MAX: usize = 90;
/// Ports below those that the system gives to connections, so that a stopped cluster finds its own free again.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
const PORTS_TRIED: usize = 50;

/// How a server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It waits until every client has gone.
    Smart,
    /// It ends its clients' sessions, whose transactions are rolled back, and writes everything out.
    Fast,
    /// It ends at once, as in a crash: the next start recovers from the log.
    Immediate,
}

impl Mode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::TERM,
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}

/// A PostgreSQL cluster in a temporary folder of its own. Dropping it stops the server and removes the folder; so does
/// the end of this process, however it ends.
pub struct Cluster {
    binaries: Binaries,
    settings: Settings,
    port: u16,
    /// `None` while it is stopped.
    server: Option<Child>,
    /// How many fresh databases it has made.
    databases: AtomicU64,
    home: Home,
}

impl Cluster {
    /// Makes a cluster with the database `onhook`, starts it, and waits until it takes connections: on a Unix socket
    /// and on a free port of the loopback address.
    ///
    /// # Errors
    /// A program of PostgreSQL fails, or the server is not ready within a minute; the message has what it wrote.
    pub fn start(binaries: &Binaries, settings: Settings) -> Result<Self> {
        let home = folder(binaries, settings.parent())?;
        copy_of_new(binaries, &home.path().join("data"))?;
        let cluster = Self::run(binaries, settings, home)?;
        cluster.create_database(NAME)?;
        Ok(cluster)
    }

    /// Returns the URL of the database `onhook`, by the loopback address.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// Returns the folder of the Unix socket, which clients call its host.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.home.path()
    }

    /// Returns the port, which the name of the Unix socket has too. It stays the same when the cluster starts again.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the server's first process, of which the others are children. `None` while it is stopped.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Makes a new, empty database and returns its URL, so that many tests share one cluster. It goes with the cluster.
    ///
    /// # Errors
    /// The server does not run, or is a standby.
    pub fn fresh_database(&self) -> Result<String> {
        // The port, since a promoted standby has the databases of the cluster it was made from.
        let name = format!("fresh_{}_{}", self.port, self.databases.fetch_add(1, Ordering::Relaxed));
        self.create_database(&name)?;
        Ok(self.url_of(&name))
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// The server has stopped already, or does not within 30 seconds: it then still runs.
    pub fn stop(&mut self, mode: Mode) -> Result<()> {
        let server = self.server.as_mut().context("the cluster is stopped already")?;
        ensure!(end(server, mode)?, "PostgreSQL does not stop ({mode:?})");
        self.server = None;
        self.home.guard(None)
    }

    /// Starts a stopped server with its data, settings and port.
    ///
    /// # Errors
    /// The server still runs, or is not ready within a minute; the message has what it wrote.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "the cluster runs: stop it first");
        self.serve()
    }

    /// Copies this cluster into a standby that follows it under `name`, and starts that. `name` is what
    /// `synchronous_standby_names` calls it. The standby has this cluster's settings, but waits for no standby itself.
    ///
    /// # Errors
    /// As for [`Cluster::start`], or `name` is not made of letters, digits and `_`.
    pub fn standby(&self, name: &str) -> Result<Self> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        ensure!(!name.is_empty() && name.chars().all(plain), "{name:?} is no name for a standby");
        let home = folder(&self.binaries, self.settings.parent())?;
        let primary = format!(
            "host={} port={} user={NAME} application_name={name}",
            self.socket().display(),
            self.port
        );
        let mut copy = self.binaries.command("pg_basebackup", home.path());
        copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        copy.arg("--dbname").arg(primary).arg("--pgdata").arg(home.path().join("data"));
        binaries::run(&mut copy)?;
        Self::run(&self.binaries, self.settings.for_standby(), home)
    }

    /// Makes a primary of a standby, and waits until it takes writes.
    ///
    /// # Errors
    /// The server does not run, or is no standby.
    pub fn promote(&self) -> Result<()> {
        let mut promote = self.binaries.command("pg_ctl", self.home.path());
        binaries::run(promote.args(["promote", "--wait", "--pgdata"]).arg(self.data()))
    }

    /// Starts the data in `home` on a port that is free.
    fn run(binaries: &Binaries, settings: Settings, home: Home) -> Result<Self> {
        let (binaries, databases) = (binaries.clone(), AtomicU64::new(0));
        let mut cluster = Self { binaries, settings, port: 0, server: None, databases, home };
        for _ in 0..PORTS_TRIED {
            cluster.port = free_port()?;
            match cluster.serve() {
                // Another process has taken the port since.
                Err(_) if cluster.log().contains("could not create any TCP/IP sockets") => {}
                ran => return ran.map(|()| cluster),
            }
        }
        bail!("each of {PORTS_TRIED} free ports was taken before PostgreSQL listened on it")
    }

    fn serve(&mut self) -> Result<()> {
        let mut postgres = self.binaries.command("postgres", self.home.path());
        postgres.arg("-D").arg(self.data());
        for value in self.settings.values() {
            postgres.arg("-c").arg(value);
        }
        postgres.arg("-c").arg("listen_addresses=127.0.0.1");
        postgres.arg("-c").arg(format!("port={}", self.port));
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.home.path().display()));
        postgres.process_group(0); // an interrupt at the terminal is for this process
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(self.log_file())?);
        let server = postgres.spawn().context("starting postgres")?;
        let id = server.id();
        let server = self.server.insert(server);
        self.home.guard(Some(id))?;

        // Its first line is the process: a file that a crash has left behind has another one.
        let status = self.home.path().join("data/postmaster.pid");
        let ready = || {
            let said = fs::read_to_string(&status).unwrap_or_default();
            let mut lines = said.lines().map(str::trim);
            lines.next() == Some(&id.to_string()) && lines.nth(6) == Some("ready")
        };
        let began = Instant::now();
        while !ready() {
            let ended = server.try_wait()?.is_some();
            if ended || began.elapsed() > START_MAX {
                self.kill();
                bail!("PostgreSQL does not start: {}", self.log().trim());
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Ends the server, whatever it does.
    fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // Both fail only if the server has ended by itself.
        if !end(&mut server, Mode::Immediate).unwrap_or(false) {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = self.home.guard(None); // without a guard there is none to tell
    }

    fn create_database(&self, name: &str) -> Result<()> {
        let mut create = self.binaries.command("createdb", self.home.path());
        create.env("PGOPTIONS", "-c synchronous_commit=local"); // the standbys may not be there yet
        create.arg("--host").arg(self.socket()).arg("--port").arg(self.port.to_string());
        create.args(["--username", NAME, "--maintenance-db=postgres", "--template=template0", name]);
        binaries::run(&mut create)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{NAME}@127.0.0.1:{}/{database}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Returns what the server has written since its last start.
    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the cluster that all tests of this process share, started at the first call. It goes with the process.
///
/// # Errors
/// As for [`Binaries::find`], which a test may print with `skipped: …`.
///
/// # Panics
/// If PostgreSQL is installed and does not start.
pub fn shared() -> Result<&'static Cluster> {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let binaries = Binaries::find().map_err(|why| format!("{why:#}"))?;
        let settings = Settings::quick().with("max_connections", SHARED_CONNECTIONS_MAX);
        Ok(Cluster::start(&binaries, settings).expect("PostgreSQL is installed, so it starts"))
    });
    shared.as_ref().map_err(|why| anyhow!("{why}"))
}

/// Returns the URL of a new database in the shared cluster, if tests run on PostgreSQL. `None` if they run on SQLite.
///
/// # Errors
/// `ONHOOK_TEST_STORE` names another store, or a database cannot be made: a test that was to run on PostgreSQL fails
/// where that is missing.
pub fn chosen_database() -> Result<Option<String>> {
    if postgres_is_chosen()? { shared()?.fresh_database().map(Some) } else { Ok(None) }
}

/// Returns whether [`STORE`] says that tests have their data in PostgreSQL.
///
/// # Errors
/// It names another store.
pub fn postgres_is_chosen() -> Result<bool> {
    let chosen = std::env::var_os(STORE).unwrap_or_default();
    match chosen.to_str() {
        Some("" | "sqlite") => Ok(false),
        Some("postgres") => Ok(true),
        _ => bail!("{STORE} is {}: it can be sqlite or postgres", chosen.display()),
    }
}

/// Stops a server. Returns whether it has ended within 30 seconds.
fn end(server: &mut Child, mode: Mode) -> Result<bool> {
    if server.try_wait()?.is_none() {
        let id = Pid::from_raw(i32::try_from(server.id())?).context("a process has a positive id")?;
        kill_process(id, mode.signal())?;
    }
    let began = Instant::now();
    while server.try_wait()?.is_none() {
        if began.elapsed() > STOP_MAX {
            return Ok(false);
        }
        sleep(LOOK_EVERY);
    }
    Ok(true)
}

/// Makes a folder for a cluster, which belongs to the cluster's user.
fn folder(binaries: &Binaries, parent: &Path) -> Result<Home> {
    let home = Home::new(parent)?;
    let length = home.path().as_os_str().len();
    ensure!(length <= FOLDER_MAX, "{} is too long for a socket: use a shorter folder", home.path().display());
    binaries.give(home.path())?;
    Ok(home)
}

/// Makes a new cluster's data, as a copy of the first that this process has made: that takes a tenth of the time.
fn copy_of_new(binaries: &Binaries, data: &Path) -> Result<()> {
    static FIRST: Mutex<Option<(PathBuf, Home)>> = Mutex::new(None);

    let mut first = FIRST.lock().map_err(|_| anyhow!("making the first cluster has failed"))?;
    let home = match first.take().filter(|(folder, _)| folder == binaries.folder()) {
        Some((_, home)) => home,
        None => {
            let home = folder(binaries, &std::env::temp_dir())?;
            let mut initdb = binaries.command("initdb", home.path());
            initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", NAME]);
            binaries::run(initdb.arg("--pgdata").arg(home.path().join("data")))?;
            home
        }
    };
    let mut copy = binaries.other_command("cp", home.path());
    binaries::run(copy.args(["-R", "-p"]).arg(home.path().join("data")).arg(data))?;
    *first = Some((binaries.folder().to_owned(), home));
    Ok(())
}

/// Returns a port of the loopback address that is free now.
fn free_port() -> Result<u16> {
    for _ in 0..PORTS_TRIED {
        let chance = RandomState::new().build_hasher().finish();
        let port = PORTS.start + u16::try_from(chance % u64::from(PORTS.end - PORTS.start))?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port was found among {PORTS_TRIED} between {} and {}", PORTS.start, PORTS.end)
}
