//! Where a command works: at a server over the network, at the socket of one on this machine, or on the data itself, in
//! its own process, if no server has it. The rules, the texts and the events are the same everywhere.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use onhook_core::notify::subscription::Secret;
use onhook_server::http::socket;
use onhook_server::{Offline, Settings, Source, demo_data};
use onhook_store::sqlite::OpenError;
use reqwest::Url;
use tokio::net::UnixStream;

use crate::client::Client;
use crate::config::{self, File, PASSWORD, USER};
use crate::target::{DATA_DIR, Home, Unopened, look_at_clock, opening, policy};

/// How long a command waits for a folder that another process has: a command that ends, or a server that starts.
const FOLDER_WAIT: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a command works.
#[derive(clap::Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Reach {
    /// A server, such as https://numbers.example.net. ONHOOK_USER and ONHOOK_PASSWORD sign in
    #[arg(long, value_name = "URL", env = "ONHOOK_SERVER")]
    server: Option<String>,
    /// Sign in with user and password of this file (TOML, mode 0600)
    #[arg(long, value_name = "FILE", env = "ONHOOK_CREDENTIALS", value_hint = clap::ValueHint::FilePath)]
    credentials: Option<PathBuf>,
    /// Send the password over plain http to another machine
    #[arg(long)]
    insecure: bool,
    /// The socket of a server on this machine
    #[arg(long, value_name = "PATH", env = "ONHOOK_SOCKET", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// The folder with onhook's data. The server that has it is asked; without one the folder is opened
    #[arg(long, value_name = "DIR", env = "ONHOOK_DATA_DIR", value_hint = clap::ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// The database with onhook's data, such as postgres://onhook@db.example.com/onhook
    #[arg(long, value_name = "URL", env = "ONHOOK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// User and password, as a file has them.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    user: String,
    password: String,
}

/// What becomes of data that are not there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Absent {
    /// The command is refused.
    #[default]
    Refused,
    /// It is made.
    Made,
    /// An empty one in memory stands in for it.
    StoodIn,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    /// True if the command writes: then the system's clock is looked at first.
    pub(crate) writes: bool,
    /// True if the system's clock is believed, however far it is from the data's last use.
    pub(crate) trust_clock: bool,
    /// What becomes of data that are not there.
    pub(crate) absent: Absent,
}

impl Reach {
    /// Connects to where the command works.
    pub(crate) async fn connect(self, file: &File, how: Opening) -> anyhow::Result<Client> {
        let Self { mut server, mut socket, mut data_dir, mut database_url, .. } = self;
        // A flag goes before a variable.
        let is_flag = |name: &str, value: Option<&std::ffi::OsStr>| {
            value.is_some_and(|value| std::env::var_os(name).is_none_or(|set| set != value))
        };
        let by_server = is_flag("ONHOOK_SERVER", server.as_deref().map(AsRef::as_ref));
        let by_socket = is_flag("ONHOOK_SOCKET", socket.as_deref().map(AsRef::as_ref));
        let by_data = is_flag("ONHOOK_DATA_DIR", data_dir.as_deref().map(AsRef::as_ref))
            || is_flag("ONHOOK_DATABASE_URL", database_url.as_deref().map(AsRef::as_ref));
        anyhow::ensure!(
            !(by_server && (by_socket || by_data)),
            "--server is one place, and --socket, --data-dir and --database-url are another: say where"
        );
        if by_socket || by_data {
            server = None;
            socket = socket.filter(|_| by_socket);
            data_dir = data_dir.filter(|_| by_data);
            database_url = database_url.filter(|_| by_data);
        }
        if let Some(server) = server {
            return asked_by_network(&server, self.credentials.as_deref(), self.insecure, how);
        }
        let named = data_dir.is_some() || database_url.is_some();
        let socket = socket.or_else(|| file.socket.clone().filter(|_| !named));
        policy(file)?;
        let home = Home::of(data_dir.as_ref(), database_url.as_ref(), file);
        if let Some(path) = socket {
            match UnixStream::connect(&path).await {
                Ok(_) => {
                    refuse_trust(how)?;
                    return Client::by_socket(&path);
                }
                // Without a server, what it would have is opened.
                Err(_) if home.is_ok() => {}
                Err(error) => {
                    let why = format!("no server answers at the socket {}", path.display());
                    return Err(anyhow::Error::from(error).context(why));
                }
            }
        }
        let home = home?;
        match &home {
            Home::Folder(folder) => by_folder(&home, folder, file, how).await,
            Home::Memory(_) | Home::Database(..) => offline(&home, file, how).await,
        }
    }
}

/// Refuses `--trust-clock` where a server has a clock of its own.
fn refuse_trust(how: Opening) -> anyhow::Result<()> {
    anyhow::ensure!(
        !how.trust_clock,
        "--trust-clock is for data that no server has: a server goes by its own clock"
    );
    Ok(())
}

/// Returns a client of the server that has a folder, or of the folder itself if none has.
async fn by_folder(home: &Home, folder: &Path, file: &File, how: Opening) -> anyhow::Result<Client> {
    let path = folder.join(socket::NAME);
    let begun = Instant::now();
    loop {
        match UnixStream::connect(&path).await {
            Ok(_) => {
                refuse_trust(how)?;
                return Client::by_socket(&path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(opening(OpenError::Denied(folder.to_owned())));
            }
            Err(_) => {}
        }
        match offline(home, file, how).await {
            Ok(client) => return Ok(client),
            Err(error) => match error.downcast_ref::<Unopened>().map(|unopened| &unopened.error) {
                Some(OpenError::InUse(_)) if begun.elapsed() < FOLDER_WAIT => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Some(OpenError::InUse(_)) => anyhow::bail!(
                    "another onhook has the data folder {} and does not answer at {}. If it is a server, its log says \
                     why it has no socket there: say --socket PATH or --server URL",
                    folder.display(),
                    path.display()
                ),
                _ => return Err(error),
            },
        }
    }
}

/// Opens the store in this process.
async fn offline(home: &Home, file: &File, how: Opening) -> anyhow::Result<Client> {
    let (home, store) = match how.absent {
        Absent::Made => (home.clone(), home.open_or_make().await?),
        Absent::Refused if how.writes => (home.clone(), home.open(DATA_DIR).await?),
        Absent::Refused => (home.clone(), home.open_to_read(DATA_DIR).await?),
        Absent::StoodIn => match home.open_if_any().await? {
            Some(store) => (home.clone(), store),
            None => {
                let memory = Home::in_memory()?;
                let store = memory.open_or_make().await?;
                (memory, store)
            }
        },
    };
    if how.writes {
        look_at_clock(&*store, how.trust_clock).await?;
    }
    let emulator = demo_data::is_emulators(&*store).await?;
    let usual = Settings::default();
    let settings = Settings {
        policy: policy(file)?,
        rate_limit: file.rate_limit.map_or(usual.rate_limit, config::limit),
        shown_limit: match file.shown_limit {
            Some(limit) => config::limit(limit),
            None if emulator => None,
            None => usual.shown_limit,
        },
        backup_dir: file.backup_dir.clone(),
        reports: file.reports()?,
        configured: file.sets().into_iter().map(|setting| (setting, Source::File)).collect(),
        emulator,
        trust_clock: how.trust_clock,
        ..usual
    };
    let offline = Offline::new(store, settings).await.map_err(|error| anyhow::anyhow!(error))?;
    Ok(Client::of_this_process(offline, home))
}

/// Returns a client that signs in at a server.
fn asked_by_network(
    server: &str,
    file: Option<&Path>,
    insecure: bool,
    how: Opening,
) -> anyhow::Result<Client> {
    refuse_trust(how)?;
    let wrong = || format!("{server:?} is no server: it is one such as https://numbers.example.net");
    let url = Url::parse(server).with_context(wrong)?;
    anyhow::ensure!(matches!(url.scheme(), "http" | "https") && url.has_host(), wrong());
    anyhow::ensure!(
        url.username().is_empty() && url.password().is_none(),
        "a password in --server can be read by others on this machine: say {USER} and {PASSWORD}, or --credentials FILE"
    );
    anyhow::ensure!(url.query().is_none() && url.fragment().is_none(), wrong());
    anyhow::ensure!(
        url.scheme() == "https" || insecure || is_this_machine(&url),
        "{server} would carry the password to another machine in the clear: use https, or say --insecure"
    );
    let (user, password) = credentials(file)?;
    Client::by_network(&url, user, password)
}

/// Returns whether a URL leads to this machine.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns user and password, from a file or from the environment.
fn credentials(file: Option<&Path>) -> anyhow::Result<(String, Secret)> {
    if let Some(path) = file {
        let read = || {
            let file = std::fs::File::open(path)?;
            let mode = file.metadata()?.permissions().mode() & 0o777;
            Ok::<_, std::io::Error>((mode, std::io::read_to_string(file)?))
        };
        let (mode, text) = read().with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(
            mode & 0o077 == 0,
            "others may read the password in {0} (mode {mode:o}): chmod 600 {0}",
            path.display()
        );
        // What is wrong there is not repeated: it may be the password.
        let found: Credentials = toml::from_str(&text).map_err(|_| {
            anyhow::anyhow!("{} is to have two lines: user = \"…\" and password = \"…\"", path.display())
        })?;
        return Ok((found.user, Secret::new(found.password)));
    }
    match (std::env::var(USER), std::env::var(PASSWORD)) {
        (Ok(user), Ok(password)) if !user.is_empty() => Ok((user, Secret::new(password))),
        _ => anyhow::bail!("say who asks: {USER} and {PASSWORD} in the environment, or --credentials FILE"),
    }
}
