//! `onhook emulator`: the controls of an emulator that runs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, Session, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of snapshots shows.
const SNAPSHOTS: [Column; 4] =
    [("SNAPSHOT", "/name"), ("AT", "/at"), ("NUMBERS", "/numbers"), ("ORDERS", "/orders")];
/// What a list of paces shows.
const PACES: [Column; 4] = [("ACCOUNT", "/account"), ("MODE", "/mode"), ("MS", "/ms"), ("READS", "/reads")];
/// What a list of fault rules shows.
const FAULTS: [Column; 4] = [("FAULT", "/id"), ("HITS", "/hits"), ("MATCH", "/match"), ("DO", "/do")];
/// What the log of requests shows.
const REQUESTS: [Column; 6] = [
    ("AT", "/at"),
    ("STATUS", "/status"),
    ("MS", "/took_ms"),
    ("METHOD", "/method"),
    ("PATH", "/path"),
    ("FAULT", "/fault"),
];
/// What a list of caught mail shows.
const MAIL: [Column; 3] = [("AT", "/at"), ("TO", "/to"), ("SUBJECT", "/subject")];
/// What a list of callbacks shows.
const CALLBACKS: [Column; 4] =
    [("AT", "/at"), ("ORDER", "/order"), ("RECEIVER", "/receiver"), ("OUTCOME", "/outcome")];

/// Turn an emulator's clock, fill it, go back, stage faults, and see what it was asked
///
/// It needs an emulator that runs: onhook serve --emulator.
#[derive(clap::Subcommand)]
pub(crate) enum Emulator {
    Clock(Clock),
    Reset(Reset),
    Seed(Seed),
    #[command(subcommand)]
    Snapshot(Snapshot),
    Pace(Pace),
    #[command(subcommand)]
    Fault(Fault),
    Requests(Requests),
    Mail(Mail),
    Callbacks(Callbacks),
}

/// Show the clock, or move it ahead: each thing that becomes due runs at its own instant
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("change").args(["advance_days", "advance_ms", "set", "rate"]))]
#[command(after_help = "Example:\n  onhook emulator clock --advance-days 91 --data-dir ./data")]
pub(crate) struct Clock {
    /// Move it ahead by days of 24 hours
    #[arg(long, value_name = "DAYS")]
    advance_days: Option<u32>,
    /// Move it ahead by milliseconds
    #[arg(long, value_name = "MS")]
    advance_ms: Option<u64>,
    /// Move it ahead to an instant
    #[arg(long, value_name = "INSTANT")]
    set: Option<String>,
    /// Let it go so many times as fast as the machine's clock; 0 stands still
    #[arg(long, value_name = "TIMES")]
    rate: Option<f64>,
    #[command(flatten)]
    common: Common,
}

/// Make everything as it was when the emulator began
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook emulator reset --id-seed 42 --data-dir ./data")]
pub(crate) struct Reset {
    /// Make ids and secrets from this number from now on, so that they repeat
    #[arg(long, value_name = "N")]
    id_seed: Option<u64>,
    /// Begin at this instant
    #[arg(long, value_name = "INSTANT")]
    now: Option<String>,
    /// Let the clock go so many times as fast as the machine's; 0 stands still
    #[arg(long, value_name = "TIMES")]
    rate: Option<f64>,
    #[command(flatten)]
    common: Common,
}

/// Add accounts, users and numbers from a file, all of it or nothing
///
/// The file is YAML, or CSV with numbers alone as an import takes it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook emulator seed seed.yaml --replace --data-dir ./data")]
pub(crate) struct Seed {
    /// The file. One that ends in .csv is CSV
    file: PathBuf,
    /// Let a reset go back to what is there then
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    common: Common,
}

/// Keep everything as it is under a name, and go back to it
#[derive(clap::Subcommand)]
pub(crate) enum Snapshot {
    /// List the snapshots, the oldest first
    #[command(after_help = "Example:\n  onhook emulator snapshot list --data-dir ./data")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Keep everything as it is
    #[command(after_help = "Example:\n  onhook emulator snapshot keep before --data-dir ./data")]
    Keep {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Make everything as it was
    #[command(after_help = "Example:\n  onhook emulator snapshot restore before --data-dir ./data")]
    Restore {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Forget a snapshot
    #[command(after_help = "Example:\n  onhook emulator snapshot remove before --data-dir ./data")]
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Common,
    },
}

/// Show how long new orders stay RECEIVED, or set it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook emulator pace --after-reads 2 --data-dir ./data")]
#[command(group = clap::ArgGroup::new("mode").args(["at_once", "after_ms", "after_reads"]))]
pub(crate) struct Pace {
    /// They run at once, as at the beginning
    #[arg(long)]
    at_once: bool,
    /// They run after milliseconds of the emulator's clock
    #[arg(long, value_name = "MS")]
    after_ms: Option<u64>,
    /// They run when they have been read so often
    #[arg(long, value_name = "READS")]
    after_reads: Option<u32>,
    /// Only those of this account
    #[arg(long, requires = "mode")]
    account: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Stage faults
#[derive(clap::Subcommand)]
pub(crate) enum Fault {
    /// List the rules, with how often each has acted
    #[command(after_help = "Example:\n  onhook emulator fault list --data-dir ./data")]
    List {
        /// List the magic numbers instead
        #[arg(long)]
        built_in: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Add a rule
    #[command(
        after_help = "Example:\n  onhook emulator fault add --match method=POST --match count=1 \\\n    '{\"reply\": {\"status\": 503}}' --data-dir ./data"
    )]
    Add {
        /// What it does, in JSON
        #[arg(value_parser = document)]
        deed: Value,
        /// What a request must be: a key and its value, such as path=/accounts/*/disconnects
        #[arg(long = "match", value_name = "KEY=VALUE", value_parser = condition)]
        on: Vec<(String, Value)>,
        #[command(flatten)]
        common: Common,
    },
    /// Remove a rule, or all of them
    #[command(after_help = "Example:\n  onhook emulator fault remove --data-dir ./data")]
    Remove {
        /// The rule's id; all rules without one
        id: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// List the last requests to the Phone Number API, the newest first
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook emulator requests --status 201 --limit 10 --data-dir ./data")]
pub(crate) struct Requests {
    /// Only those with this method
    #[arg(long)]
    method: Option<String>,
    /// Only those with this path without prefix, with * for a part
    #[arg(long)]
    path: Option<String>,
    /// Only those that were answered with this status
    #[arg(long)]
    status: Option<u16>,
    /// Only those with this account in their path
    #[arg(long)]
    account: Option<String>,
    /// Only those that name this number
    #[arg(long)]
    number: Option<String>,
    /// Only those with this text in path or bodies
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Only those that made this order or asked for it
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Only those from this instant on
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Say only how many there are
    #[arg(long)]
    count: bool,
    /// Forget all requests so far
    #[arg(long, conflicts_with = "count")]
    forget: bool,
    #[command(flatten)]
    common: Common,
}

/// List the mail that was caught, the newest first
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook emulator mail --data-dir ./data")]
pub(crate) struct Mail {
    /// Only mail to this address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Forget all mail so far
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    common: Common,
}

/// List every attempt to tell a subscriber, the newest first
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook emulator callbacks --data-dir ./data")]
pub(crate) struct Callbacks {
    /// Only those about this order
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Only those to a URL that begins so
    #[arg(long, value_name = "URL")]
    receiver: Option<String>,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    common: Common,
}

fn document(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|why| format!("it is no JSON: {why}"))
}

/// Returns whether the file of a seed is CSV, by the end of its name.
pub(super) fn is_csv(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// Reads a condition. `count` and `probability` are numbers, all others are texts.
fn condition(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("it is a key and its value, such as method=POST")?;
    let value = match key {
        "count" | "probability" => serde_json::from_str(value).map_err(|_| format!("{key} is a number"))?,
        _ => json!(value),
    };
    Ok((key.to_owned(), value))
}

impl Emulator {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Clock(clock) => clock.run(config, terminal).await,
            Self::Reset(reset) => reset.run(config, terminal).await,
            Self::Seed(seed) => seed.run(config, terminal).await,
            Self::Snapshot(snapshot) => snapshot.run(config, terminal).await,
            Self::Pace(pace) => pace.run(config, terminal).await,
            Self::Fault(fault) => fault.run(config, terminal).await,
            Self::Requests(requests) => requests.run(config, terminal).await,
            Self::Mail(mail) => mail.run(config, terminal).await,
            Self::Callbacks(callbacks) => callbacks.run(config, terminal).await,
        }
    }
}

/// Runs a command at an emulator that runs.
async fn at(
    common: Common,
    config: &File,
    terminal: &mut Terminal,
    command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let run = async |session: &mut Session<'_>| {
        anyhow::ensure!(
            !session.is_offline(),
            "no emulator runs there: start one with onhook serve --emulator"
        );
        command(session).await?;
        Ok(Exit::Done)
    };
    common.run(config, terminal, run).await
}

/// Shows a list that has no pages.
async fn whole(session: &mut Session<'_>, ask: &Ask, columns: &[Column]) -> anyhow::Result<()> {
    let listed = session.ask(ask).await?;
    let items = listed["items"].as_array().map_or(&[][..], Vec::as_slice);
    session.items(columns, items, true)
}

/// Shows a list page by page.
async fn list(
    session: &mut Session<'_>,
    ask: &Ask,
    columns: &[Column],
    most: Option<usize>,
) -> anyhow::Result<()> {
    session.list(ask, columns, most).await.map(drop)
}

/// Returns the clock in a line.
fn time(clock: &Value) -> String {
    let moved = clock["moved_ms"].as_i64().unwrap_or_default();
    format!(
        "it is {}, {moved} ms ahead of the machine's clock, at rate {}",
        text(clock, "/now"),
        text(clock, "/rate")
    )
}

/// Returns the keys that have a value, as a body.
fn body<const N: usize>(keys: [(&str, Option<Value>); N]) -> Value {
    let said = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(said.collect::<Map<_, _>>())
}

impl Clock {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { advance_days, advance_ms, set, rate, common } = self;
        let change = body([
            ("advance_days", advance_days.map(|days| json!(days))),
            ("advance_ms", advance_ms.map(|ms| json!(ms))),
            ("set", set.map(|at| json!(at))),
            ("rate", rate.map(|rate| json!(rate))),
        ]);
        let moves = change.as_object().is_some_and(|change| !change.is_empty());
        let ask = match moves {
            true => Ask::post("emulator/clock", change),
            false => Ask::get("emulator/clock"),
        };
        at(common, config, terminal, async |session| session.show(&ask, told).await.map(drop)).await
    }
}

/// Returns the clock in a line, and in another what ran while it moved.
fn told(clock: &Value) -> Vec<String> {
    let mut lines = vec![time(clock)];
    let ran = clock["ran"].as_object().into_iter().flatten();
    let ran: Vec<String> = ran
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    if !ran.is_empty() {
        lines.push(format!("ran: {}", ran.join(", ")));
    }
    lines
}

impl Reset {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { id_seed, now, rate, common } = self;
        let begin = body([
            ("id_seed", id_seed.map(|seed| json!(seed))),
            ("now", now.map(|now| json!(now))),
            ("rate", rate.map(|rate| json!(rate))),
        ]);
        at(common, config, terminal, async |session| {
            session.show(&Ask::post("emulator/reset", begin), told).await.map(drop)
        })
        .await
    }
}

impl Seed {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { file, replace, common } = self;
        let name = file.display();
        let bytes = tokio::fs::read(&file).await.with_context(|| format!("{name} cannot be read"))?;
        let of_type = if is_csv(&file) { "text/csv" } else { "application/yaml" };
        let ask = Ask::post("emulator/seed", Value::Null).with("replace", replace.then_some(true));
        at(common, config, terminal, async |session| {
            let body = stream::iter([Ok(Bytes::from(bytes))]).boxed();
            let (_, answer) = session.stream(&ask, Some((of_type, body))).await?;
            let answer: Vec<Bytes> = answer.try_collect().await?;
            let added: Value = serde_json::from_slice(&answer.concat()).context("the answer is no JSON")?;
            session.tell(&added, |added| {
                let [accounts, users, numbers] =
                    ["/accounts", "/users", "/numbers"].map(|at| text(added, at));
                vec![format!("added: {accounts} accounts, {users} users, {numbers} numbers")]
            })
        })
        .await
    }
}

impl Snapshot {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let one = |name: &str| format!("emulator/snapshots/{}", escaped(name));
        match self {
            Self::List { common } => {
                at(common, config, terminal, async |session| {
                    whole(session, &Ask::get("emulator/snapshots"), &SNAPSHOTS).await
                })
                .await
            }
            Self::Keep { name, common } => {
                let ask = Ask::post("emulator/snapshots", json!({ "name": name }));
                let kept = |made: &Value| {
                    vec![format!("{} is kept, as of {}", text(made, "/name"), text(made, "/at"))]
                };
                at(common, config, terminal, async |session| session.show(&ask, kept).await.map(drop)).await
            }
            Self::Restore { name, common } => {
                let ask = Ask::post(&format!("{}/restore", one(&name)), json!({}));
                at(common, config, terminal, async |session| session.show(&ask, told).await.map(drop)).await
            }
            Self::Remove { name, common } => {
                let ask = Ask::delete(&one(&name));
                at(common, config, terminal, async |session| session.ask(&ask).await.map(drop)).await
            }
        }
    }
}

impl Pace {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { at_once, after_ms, after_reads, account, common } = self;
        let mode = match (at_once, after_ms, after_reads) {
            (true, ..) => Some("at_once"),
            (_, Some(_), _) => Some("after_ms"),
            (.., Some(_)) => Some("after_reads"),
            _ => None,
        };
        let set = mode.map(|mode| {
            body([
                ("mode", Some(json!(mode))),
                ("ms", after_ms.map(|ms| json!(ms))),
                ("reads", after_reads.map(|reads| json!(reads))),
                ("account", account.map(|account| json!(account))),
            ])
        });
        at(common, config, terminal, async |session| match set {
            None => whole(session, &Ask::get("emulator/pace"), &PACES).await,
            Some(set) => {
                let pace = session.ask(&Ask::put("emulator/pace", set)).await?;
                session.items(&PACES, &[pace], true)
            }
        })
        .await
    }
}

impl Fault {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::List { built_in, common } => {
                let ask = Ask::get("emulator/faults").with("built_in", built_in.then_some(true));
                at(common, config, terminal, async |session| whole(session, &ask, &FAULTS).await).await
            }
            Self::Add { deed, on, common } => {
                let mut conditions = Map::new();
                for (key, value) in on {
                    anyhow::ensure!(!conditions.contains_key(&key), "{key} is said twice");
                    conditions.insert(key, value);
                }
                let ask = Ask::post("emulator/faults", json!({ "match": conditions, "do": deed }));
                at(common, config, terminal, async |session| {
                    let rule = session.ask(&ask).await?;
                    session.items(&FAULTS, &[rule], true)
                })
                .await
            }
            Self::Remove { id, common } => {
                let path =
                    id.map_or("emulator/faults".to_owned(), |id| format!("emulator/faults/{}", escaped(&id)));
                let ask = Ask::delete(&path);
                at(common, config, terminal, async |session| session.ask(&ask).await.map(drop)).await
            }
        }
    }
}

impl Requests {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self {
            method,
            path,
            status,
            account,
            number,
            contains,
            order,
            since,
            limit,
            count,
            forget,
            common,
        } = self;
        if forget {
            let ask = Ask::delete("emulator/requests");
            return at(common, config, terminal, async |session| session.ask(&ask).await.map(drop)).await;
        }
        let ask = Ask::get(if count { "emulator/requests/count" } else { "emulator/requests" })
            .with("method", method)
            .with("path", path)
            .with("status", status)
            .with("account", account)
            .with("number", number)
            .with("contains", contains)
            .with("order", order)
            .with("since", since);
        at(common, config, terminal, async |session| {
            if count {
                return session.show(&ask, |counted| vec![text(counted, "/count")]).await.map(drop);
            }
            list(session, &ask, &REQUESTS, limit).await
        })
        .await
    }
}

impl Mail {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { to, forget, common } = self;
        at(common, config, terminal, async |session| {
            if forget {
                return session.ask(&Ask::delete("emulator/mail")).await.map(drop);
            }
            whole(session, &Ask::get("emulator/mail").with("to", to), &MAIL).await
        })
        .await
    }
}

impl Callbacks {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { order, receiver, limit, common } = self;
        let ask = Ask::get("emulator/callbacks").with("order", order).with("receiver", receiver);
        at(common, config, terminal, async |session| list(session, &ask, &CALLBACKS, limit).await).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_key_and_a_text_or_a_number() {
        assert_eq!(condition("count=1"), Ok(("count".into(), json!(1))));
        assert_eq!(condition("account=9900000"), Ok(("account".into(), json!("9900000"))));
        assert!(condition("method").is_err() && condition("count=often").is_err());
    }
}
