//! `onhook serve`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::parser::ValueSource;
use onhook_core::lifecycle::policy::{Policy, Profile};
use onhook_core::setting::Setting;
use onhook_server::callback::{IpNet, Rules};
use onhook_server::http::socket::{self, Guard, Socket, SocketError};
use onhook_server::{Server, Settings, Source, demo_data, seeding};
use onhook_store::{Store, postgres, sqlite};
use onhook_wire::ops::seed_file;
use tokio::net::TcpListener;

use super::emulator::is_csv;
use crate::config::{self, File};
use crate::exit::Exit;
use crate::stop::Stop;
use crate::target::{Home, now};
use crate::terminal::Terminal;

/// Run the server
///
/// Prints one line, "listening on http://ADDRESS", once it answers. SIGTERM and SIGINT end it in order: what
/// was accepted is on disk and goes on with the next start.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook serve --emulator --data-dir ./data")]
pub(crate) struct Serve {
    /// Where to listen [default: 127.0.0.1:9080]
    #[arg(long, value_name = "ADDRESS", env = "ONHOOK_LISTEN", value_parser = config::address)]
    listen: Option<SocketAddr>,
    /// The folder with onhook's data; made if it is not there
    #[arg(long, value_name = "DIR", env = "ONHOOK_DATA_DIR", value_hint = clap::ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// The database with onhook's data, instead of a folder, such as postgres://onhook@db.example.com/onhook; several
    /// servers can share it
    #[arg(long, value_name = "URL", env = "ONHOOK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The socket for commands on this machine [default: onhook.sock in the data folder; none on a database]
    #[arg(long, value_name = "PATH", env = "ONHOOK_SOCKET", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// Base of links and Location headers, as clients reach this server [default: http://ADDRESS]
    #[arg(long, value_name = "URL", env = "ONHOOK_PUBLIC_URL")]
    public_url: Option<String>,
    /// Requests a second that one account has in each group of routes, 0 for no limit [default: 1000]
    #[arg(long, value_name = "N", env = "ONHOOK_RATE_LIMIT", value_parser = config::whole)]
    rate_limit: Option<u32>,
    /// Pool numbers that searches show one account in an hour, 0 for no limit [default: 50000, with
    /// --emulator 0]
    #[arg(long, value_name = "N", env = "ONHOOK_SHOWN_LIMIT", value_parser = config::whole)]
    shown_limit: Option<u32>,
    /// The vendor's id in details of searches and orders [default: 49]
    #[arg(long, value_name = "N", env = "ONHOOK_SEARCH_VENDOR_ID")]
    search_vendor_id: Option<u32>,
    /// The vendor's name there [default: Bandwidth CLEC]
    #[arg(long, value_name = "NAME", env = "ONHOOK_SEARCH_VENDOR_NAME")]
    search_vendor_name: Option<String>,
    /// The tier of numbers there, 0 to 5 [default: 0]
    #[arg(long, value_name = "N", env = "ONHOOK_SEARCH_TIER")]
    search_tier: Option<u8>,
    /// MiB of the data folder's disk to keep free: with less, new orders are refused [default: 64, and on a
    /// small disk a tenth of it]
    #[arg(long, value_name = "MIB", env = "ONHOOK_DISK_RESERVE_MIB")]
    disk_reserve_mib: Option<u32>,
    /// The folder for backups that are made while the server runs [default: backups in the data folder]
    #[arg(long, value_name = "DIR", env = "ONHOOK_BACKUP_DIR", value_hint = clap::ValueHint::DirPath)]
    backup_dir: Option<PathBuf>,
    /// The time zone whose days a regulated hold counts, such as America/New_York [default: UTC]
    #[arg(long, value_name = "ZONE", env = "ONHOOK_TIME_ZONE")]
    time_zone: Option<String>,
    /// Let subscriptions lead to these addresses, too, such as 10.1.0.0/16; may be said again
    #[arg(long, value_name = "CIDR", env = "ONHOOK_CALLBACK_ALLOW", value_delimiter = ',')]
    callback_allow: Vec<IpNet>,
    /// Let subscriptions lead to this port, too, besides 443 and 8443; may be said again
    #[arg(long, value_name = "PORT", env = "ONHOOK_CALLBACK_PORT", value_delimiter = ',', value_parser = config::port)]
    callback_port: Vec<u16>,
    /// Let subscriptions lead to plain http, and to ports 80 and 8080
    #[arg(long)]
    callback_http: bool,
    /// The mail server for subscriptions by mail, such as smtps://user:password@mail.example.com
    #[arg(long, value_name = "URL", env = "ONHOOK_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// The sender of these mails
    #[arg(long, value_name = "ADDRESS", env = "ONHOOK_SMTP_FROM")]
    smtp_from: Option<String>,
    /// Be a stand-in for developers: the guide's account and user in a new folder, and a clock that moves
    #[arg(long)]
    emulator: bool,
    /// Keep the emulator's data in memory, for this run alone: no --data-dir is needed
    #[arg(long, requires = "emulator", conflicts_with_all = ["data_dir", "database_url"])]
    ephemeral: bool,
    /// Fill the emulator at its first start with accounts, users and numbers from a file: YAML, or CSV as an import
    /// takes it. A reset goes back to them
    #[arg(long, value_name = "FILE", requires = "emulator")]
    seed: Option<PathBuf>,
    /// Make the emulator's ids and secrets from this number, so that they repeat
    #[arg(long, value_name = "N", requires = "emulator")]
    id_seed: Option<u64>,
    /// Let the emulator's magic numbers, 555-0170 to 555-0196, do nothing
    #[arg(long, requires = "emulator")]
    no_magic: bool,
    /// Believe the system's clock though it is far from the store's last use
    #[arg(long)]
    trust_clock: bool,
    /// Minutes that releases wait after a start when the store was last in use more than a day ago [default: 10]
    #[arg(long, value_name = "MINUTES", env = "ONHOOK_RELEASE_WAIT")]
    release_wait: Option<u32>,
    /// Seconds that the work of a server that died waits for another one on the same database [default: 10]
    #[arg(long, value_name = "SECONDS", env = "ONHOOK_LEASE_SECONDS")]
    lease_seconds: Option<u32>,
    /// Listen on addresses that others reach although this server speaks no TLS: a proxy in front of it does
    #[arg(long)]
    behind_proxy: bool,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Json, env = "ONHOOK_LOG_FORMAT")]
    log_format: LogFormat,
    /// Which log lines are written
    #[arg(long, value_name = "FILTER", default_value = "info", env = "ONHOOK_LOG")]
    log: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Serve {
    /// Runs the server. `said` is what was said on the command line, or in its variables.
    pub(crate) async fn run(
        self,
        file: File,
        said: Option<&clap::ArgMatches>,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let configured = configured(said, &file);
        let policy = Arc::new(file.policy(self.time_zone.as_deref())?);
        let reports = file.reports()?;
        let home = if self.ephemeral {
            Home::in_memory()?
        } else {
            Home::of(self.data_dir.as_ref(), self.database_url.as_ref(), &file)?
        };
        let listen = self.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9_080)));
        anyhow::ensure!(
            listen.ip().is_loopback() || self.behind_proxy,
            "{listen} can be reached by others, and passwords would travel in the clear: put a proxy that speaks \
             TLS in front and say --behind-proxy, or listen on 127.0.0.1"
        );
        let public_url = self.public_url.or(file.public_url).map(|url| config::base_url(&url)).transpose()?;
        let defaults = Settings::default();
        let settings = Settings {
            public_url,
            rate_limit: self.rate_limit.or(file.rate_limit).map_or(defaults.rate_limit, config::limit),
            shown_limit: match self.shown_limit.or(file.shown_limit) {
                Some(limit) => config::limit(limit),
                None if self.emulator => None,
                None => defaults.shown_limit,
            },
            configured,
            vendor: config::vendor(
                self.search_vendor_id.or(file.search_vendor_id),
                self.search_vendor_name.or(file.search_vendor_name),
                self.search_tier.or(file.search_tier),
            )?,
            connections_max: config::connections(file.connections_max.unwrap_or(defaults.connections_max))?,
            emulator: self.emulator,
            magic: !self.no_magic,
            id_seed: self.id_seed,
            trust_clock: self.trust_clock,
            release_wait_ms: match self.release_wait.or(file.release_wait) {
                Some(minutes) => config::release_wait_ms(minutes)?,
                None => defaults.release_wait_ms,
            },
            lease: self.lease_seconds.or(file.lease_seconds).map_or(Ok(defaults.lease), config::lease)?,
            callbacks: Rules {
                allow: [self.callback_allow, file.callback_allow].concat(),
                ports: [self.callback_port, file.callback_ports].concat(),
                http: self.callback_http || file.callback_http,
                ..Rules::default()
            },
            backup_dir: self.backup_dir.or(file.backup_dir),
            policy,
            reports,
            mail: config::mail(self.smtp_url.or(file.smtp_url), self.smtp_from.or(file.smtp_from))?,
            ..defaults
        };
        let zone = self.time_zone.or(file.time_zone);
        let mut told = told(&settings, zone.as_deref(), &file.profiles);
        told.extend(self.id_seed.map(|seed| format!("id_seed={seed}")));
        told.extend(self.no_magic.then(|| "no_magic".to_owned()));
        told.extend(self.ephemeral.then(|| "ephemeral".to_owned()));
        told.extend(self.behind_proxy.then(|| "behind_proxy".to_owned()));
        let reserve = self.disk_reserve_mib.or(file.disk_reserve_mib);
        told.extend(reserve.map(|mib| format!("disk_reserve_mib={mib}")));
        let socket = self.socket.or(file.socket);
        told.extend(socket.as_ref().map(|path| format!("socket={}", path.display())));
        let reserve = reserve.map(config::mib);
        start_log(self.log_format, &self.log)?;
        if self.trust_clock && !self.emulator {
            tracing::warn!(
                "--trust-clock: this start does not ask whether the system's clock is near the store's last use. It is \
                 for one start: take it out of units and scripts, or a wrong clock is believed at the next one, too"
            );
        }
        let store = home.open_for_server(reserve, settings.lease).await?;
        if let Home::Folder(folder) = &home {
            warn_of_others(folder);
        }
        if self.emulator {
            let fresh = demo_data::seed(&*store, now(), settings.policy.clone()).await?;
            match &self.seed {
                Some(file) if fresh => plant(&*store, file, settings.policy.clone()).await?,
                Some(file) => terminal.remark(&format!(
                    "{home} has data already: {} was not read. It fills an emulator at its first start",
                    file.display()
                )),
                None => {}
            }
        }
        match (self.emulator, self.ephemeral || demo_data::is_emulators(&*store).await?) {
            (true, false) => anyhow::bail!(
                "{} holds an operator's data: with --emulator its clock could be moved, and numbers released \
                 early. Give the emulator a folder or a database of its own, and start it there once before you add \
                 accounts",
                home
            ),
            (false, true) => anyhow::bail!(
                "{} was made with --emulator, and everybody knows its passwords: say --emulator, or start \
                 with a new folder or database",
                home
            ),
            _ => {}
        }
        if store.users().await?.is_empty() {
            terminal.remark(&format!(
                "nobody can sign in yet. Make an account and a user, while this server runs:\n  \
                 onhook admin account create 1 --name \"My account\" {0}\n  \
                 onhook admin user create NAME --account 1 --role admin {0}",
                home.arguments()
            ));
        }
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let mut server =
            onhook_server::start(listener, store, settings).await.map_err(|e| anyhow::anyhow!(e))?;
        serve_socket(&mut server, socket.as_deref(), &home)?;
        let mut stop = Stop::listen()?; // a program that reads the next line may send a signal at once
        let version = env!("CARGO_PKG_VERSION");
        let schema = match home {
            Home::Folder(_) | Home::Memory(_) => sqlite::schema::newest(),
            Home::Database(..) => postgres::newest_schema(),
        };
        let set = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
        tracing::info!(
            version, schema, set, data = %home, address = %server.address,
            "onhook {version} answers on {} with the data in {} (schema {schema}); set beside the defaults: {set}",
            server.address, home
        );
        terminal.line(&format!("listening on http://{}", server.address))?;
        stop.asked().await;
        tracing::info!("stopping");
        tokio::select! {
            () = server.stop() => {}
            () = stop.asked() => tracing::warn!("a second signal: stopping at once"),
        }
        Ok(Exit::Done)
    }
}

/// Fills a new emulator from a file.
async fn plant(store: &dyn Store, file: &Path, policy: Arc<Policy>) -> anyhow::Result<()> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let seed = if is_csv(file) { seed_file::read_csv(text) } else { seed_file::read_yaml(&text) };
    let seed = seed.with_context(|| format!("{name} is no seed"))?;
    seeding::plant(store, seed, now(), policy).await.with_context(|| format!("{name} was not taken"))
}

/// Returns those of the settings which operators change while the server runs that are given at start, and where.
fn configured(said: Option<&clap::ArgMatches>, file: &File) -> BTreeMap<Setting, Source> {
    let in_file = file.sets().into_iter().map(|setting| (setting, Source::File));
    let flags = [(Setting::RateLimit, "rate_limit"), (Setting::ShownLimit, "shown_limit")];
    let said = flags.into_iter().filter_map(|(setting, name)| match said?.value_source(name)? {
        ValueSource::CommandLine => Some((setting, Source::Flag)),
        ValueSource::EnvVariable => Some((setting, Source::Variable)),
        _ => None,
    });
    in_file.chain(said).collect()
}

/// Returns the settings that are not the default, for the log. Secrets are left out.
fn told(settings: &Settings, time_zone: Option<&str>, profiles: &[Profile]) -> Vec<String> {
    let usual = Settings::default();
    let Settings { public_url, rate_limit, shown_limit, connections_max, emulator, trust_clock, .. } =
        settings;
    let Rules { allow, http, ports, .. } = &settings.callbacks;
    let limit =
        |name: &str, limit: Option<NonZeroU32>| format!("{name}={}", limit.map_or(0, NonZeroU32::get));
    let flag = |name: &str, is_set: bool| is_set.then(|| name.to_owned());
    let names: Vec<&str> = profiles.iter().map(|profile| &*profile.name).collect();
    [
        public_url.as_ref().map(|url| format!("public_url={url}")),
        (*rate_limit != usual.rate_limit).then(|| limit("rate_limit", *rate_limit)),
        (*shown_limit != usual.shown_limit).then(|| limit("shown_limit", *shown_limit)),
        (*connections_max != usual.connections_max).then(|| format!("connections_max={connections_max}")),
        (!allow.is_empty()).then(|| format!("callback_allow={allow:?}")),
        (!ports.is_empty()).then(|| format!("callback_ports={ports:?}")),
        flag("callback_http", *http),
        settings.mail.as_ref().map(|mail| format!("smtp_url, smtp_from={}", mail.from)),
        settings.backup_dir.as_ref().map(|folder| format!("backup_dir={}", folder.display())),
        time_zone.map(|zone| format!("time_zone={zone}")),
        (!names.is_empty()).then(|| format!("profiles={names:?}")),
        (settings.release_wait_ms != usual.release_wait_ms)
            .then(|| format!("release_wait={}", settings.release_wait_ms / 60_000)),
        (settings.lease != usual.lease).then(|| format!("lease_seconds={}", settings.lease.as_secs())),
        (settings.vendor != usual.vendor).then(|| format!("search_vendor={:?}", settings.vendor)),
        (settings.reports != usual.reports).then(|| format!("reports={:?}", settings.reports)),
        flag("emulator", *emulator),
        flag("trust_clock", *trust_clock),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Lets the server answer at the socket of this name, or at the one in its data folder. Without that one it serves on.
fn serve_socket(server: &mut Server, named: Option<&Path>, home: &Home) -> anyhow::Result<()> {
    let (path, guard) = match (named, home) {
        (Some(path), _) => (path.to_owned(), Guard::File),
        (None, Home::Folder(folder)) => (folder.join(socket::NAME), Guard::Folder),
        (None, Home::Memory(folder)) => (folder.path().join(socket::NAME), Guard::Folder),
        (None, Home::Database(..)) => return Ok(()),
    };
    match Socket::bind(&path, guard) {
        Ok(socket) => server.serve_socket(socket),
        Err(error) if named.is_none() || matches!(error, SocketError::TooLong(_)) => {
            let error = anyhow::Error::from(error);
            tracing::warn!(
                "commands on this machine do not reach this server: {error:#}. Say --socket PATH, here and to the commands"
            );
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Warns if other users may enter the data folder.
fn warn_of_others(data_dir: &Path) {
    let Ok(found) = std::fs::metadata(data_dir) else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let folder = data_dir.display();
        tracing::warn!("others may enter the data folder {folder} (mode {mode:o}): chmod 700 {folder}");
    }
}

fn start_log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).context("the log filter cannot be read")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error))
}
