//! Acts on numbers: `onhook disconnect`, `reconnect`, `move`, `purge`, `lock`, `unlock`, `extend`, `keep`, `unkeep` and
//! `release`. On one number some of them are done at once; all others are planned.

use onhook_core::ids::{PeerId, SiteId};
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::planned::{Planned, Targets};
use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Changing, Session, text};
use crate::terminal::Terminal;

/// Disconnect numbers: they age, and nobody has them
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook disconnect --filter site=1 --account 9900000 --partial \\\n    --reason \"the site was closed\" --data-dir /var/lib/onhook"
)]
pub(crate) struct Disconnect {
    /// What happens at the end of aging: normal, or soft-remove for numbers that then leave
    #[arg(long, value_parser = ["normal", "soft-remove"])]
    mode: Option<String>,
    /// Whether they then go to their owner's inventory
    #[arg(long, value_parser = ["TRUE", "FALSE", "UNCHANGED"])]
    protected: Option<String>,
    /// The order's name
    #[arg(long, value_hint = clap::ValueHint::Other)]
    name: Option<String>,
    /// The account's own id of the order
    #[arg(long, value_hint = clap::ValueHint::Other)]
    customer_order_id: Option<String>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Put aging numbers back where they were in service
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook reconnect 7034343704 --account 9900000 --yes \\\n    --reason \"it was disconnected by mistake\" --data-dir /var/lib/onhook"
)]
pub(crate) struct Reconnect {
    /// The order's name
    #[arg(long, value_hint = clap::ValueHint::Other)]
    name: Option<String>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Move numbers in service to another site and peer of their account
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook move 5405514342 --site 1 --account 9900000 --partial \\\n    --reason \"the site was split\" --data-dir /var/lib/onhook"
)]
pub(crate) struct Move {
    /// Where they go
    #[arg(long)]
    site: SiteId,
    /// The peer there [default: the site's default one]
    #[arg(long)]
    peer: Option<PeerId>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Purge numbers: they leave at once, and do not come back
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook purge 5405514342 --account 9900000 --yes \\\n    --reason \"it never was ours\" --data-dir /var/lib/onhook"
)]
pub(crate) struct Purge {
    /// The order's name
    #[arg(long, value_hint = clap::ValueHint::Other)]
    name: Option<String>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Lock numbers in service: they cannot be disconnected until they are unlocked
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook lock 5405514342 --reason \"it is printed on our vans\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Lock {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// End locks of numbers
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook unlock 5405514342 --reason \"the vans are sold\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Unlock {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Let aging numbers age longer
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook extend 7034343704 --days 30 --past-ceiling \\\n    --reason \"a waiver after a disaster\" --data-dir /var/lib/onhook"
)]
#[group(id = "later", required = true, multiple = false, args = ["release_at", "days"])]
pub(crate) struct Extend {
    /// Until this instant
    #[arg(long, value_name = "INSTANT")]
    release_at: Option<Timestamp>,
    /// By so many days
    #[arg(long, value_name = "N")]
    days: Option<u16>,
    /// Even if it is then longer than the longest hold of their profile
    #[arg(long)]
    past_ceiling: bool,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Keep aging numbers from release, however long they have aged
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook keep 7034343704 --reason \"a dispute about it is open\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Keep {
    /// Until this instant [default: until they are unkept]
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// End keeps of numbers
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook unkeep 7034343704 --reason \"the dispute is settled\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Unkeep {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Release aging numbers before their time, but not before the law lets them go; two persons are needed
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook release 7034343704 --reason \"it is wanted\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Release {
    /// When [default: as soon as the law lets them go]
    #[arg(long, value_name = "INSTANT")]
    release_at: Option<Timestamp>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    changing: Changing,
}

/// Parameters of an act: those that have a value.
fn params(pairs: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Map<String, Value> {
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn instant(at: Option<Timestamp>) -> Option<Value> {
    at.map(|at| json!(at.to_string()))
}

impl Disconnect {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = params([
            ("mode", self.mode.map(Value::from)),
            ("protected", self.protected.map(Value::from)),
            ("name", self.name.map(Value::from)),
            ("customer_order_id", self.customer_order_id.map(Value::from)),
        ]);
        planned(self.changing, (config, terminal), Planned { act: "disconnect", params }, self.targets).await
    }
}

impl Reconnect {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = params([("name", self.name.map(Value::from))]);
        planned(self.changing, (config, terminal), Planned { act: "reconnect", params }, self.targets).await
    }
}

impl Move {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = params([
            ("site", Some(json!(self.site.to_string()))),
            ("peer", self.peer.map(|peer| json!(peer.to_string()))),
        ]);
        planned(self.changing, (config, terminal), Planned { act: "move", params }, self.targets).await
    }
}

impl Purge {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = params([("name", self.name.map(Value::from))]);
        planned(self.changing, (config, terminal), Planned { act: "purge", params }, self.targets).await
    }
}

impl Lock {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let planned = Planned { act: "lock", params: Map::new() };
        act(self.changing, (config, terminal), "lock", planned, self.targets, |number| {
            format!("{} is locked", text(number, "/number"))
        })
        .await
    }
}

impl Unlock {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let planned = Planned { act: "unlock", params: Map::new() };
        act(self.changing, (config, terminal), "unlock", planned, self.targets, |number| {
            format!("{} is no longer locked", text(number, "/number"))
        })
        .await
    }
}

impl Extend {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = params([
            ("release_at", instant(self.release_at)),
            ("days", self.days.map(Value::from)),
            ("past_ceiling", Some(json!(self.past_ceiling))),
        ]);
        let planned = Planned { act: "extend", params };
        act(self.changing, (config, terminal), "extend", planned, self.targets, released).await
    }
}

impl Keep {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = params([("until", instant(self.until))]);
        let planned = Planned { act: "keep", params };
        act(self.changing, (config, terminal), "keep", planned, self.targets, |number| {
            let until = number.pointer("/kept/until").and_then(Value::as_str).unwrap_or("further notice");
            format!("{} is kept from release until {until}", text(number, "/number"))
        })
        .await
    }
}

impl Unkeep {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let planned = Planned { act: "unkeep", params: Map::new() };
        act(self.changing, (config, terminal), "unkeep", planned, self.targets, released).await
    }
}

impl Release {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let planned =
            Planned { act: "release_early", params: params([("release_at", instant(self.release_at))]) };
        act(self.changing, (config, terminal), "release", planned, self.targets, released).await
    }
}

/// Returns when a number is released, in a sentence.
fn released(number: &Value) -> String {
    format!("{} is released at {}", text(number, "/number"), text(number, "/release_at"))
}

async fn planned(
    changing: Changing,
    (config, terminal): (&File, &mut Terminal),
    planned: Planned,
    targets: Targets,
) -> anyhow::Result<Exit> {
    changing.run(config, terminal, async |session| planned.run(session, targets).await).await
}

/// Does an act at once if it is about one number, and tells what the number then is. Else it is planned.
async fn act(
    changing: Changing,
    (config, terminal): (&File, &mut Terminal),
    route: &str,
    planned: Planned,
    targets: Targets,
    told: impl FnOnce(&Value) -> String,
) -> anyhow::Result<Exit> {
    changing
        .run(config, terminal, async |session| match targets.single() {
            Some(number) => single(session, route, planned.params, number, told).await,
            None => planned.run(session, targets).await,
        })
        .await
}

async fn single(
    session: &mut Session<'_>,
    route: &str,
    params: Map<String, Value>,
    number: Number,
    told: impl FnOnce(&Value) -> String,
) -> anyhow::Result<Exit> {
    let mut body = session.why();
    if let Value::Object(body) = &mut body {
        body.extend(params);
    }
    let ask = Ask::post(&format!("numbers/{}/{route}", escaped(&number.to_string())), body);
    // A number, or the plan that waits for another person.
    let shown = session
        .show(&ask, |shown| match shown["hash"].as_str() {
            None => vec![told(shown)],
            Some(_) => {
                vec![format!("another person is to agree: onhook plans approve {}", text(shown, "/id"))]
            }
        })
        .await?;
    Ok(if shown["hash"].is_null() { Exit::Done } else { Exit::NotWell })
}
