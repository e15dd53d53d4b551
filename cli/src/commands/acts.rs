//! Acts on a number: `onhook lock`, `unlock`, `extend`, `keep` and `unkeep`.

use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Changing, text};
use crate::terminal::Terminal;

/// Lock a number in service: no disconnect takes it, by whatever door
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook lock 5405514342 --reason \"it is printed on our vans\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Lock {
    /// The number: ten digits, or + and E.164
    number: Number,
    #[command(flatten)]
    changing: Changing,
}

/// End a number's lock
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook unlock 5405514342 --reason \"the vans are sold\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Unlock {
    /// The number: ten digits, or + and E.164
    number: Number,
    #[command(flatten)]
    changing: Changing,
}

/// Let an aging number age longer
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook extend 7034343704 --days 30 --reason \"a waiver after a disaster\" \\\n    --past-ceiling --data-dir /var/lib/onhook"
)]
#[group(id = "later", required = true, multiple = false, args = ["release_at", "days"])]
pub(crate) struct Extend {
    /// The number: ten digits, or + and E.164
    number: Number,
    /// Until this instant
    #[arg(long, value_name = "INSTANT")]
    release_at: Option<Timestamp>,
    /// By so many days
    #[arg(long, value_name = "N")]
    days: Option<u16>,
    /// Even if it is then longer than its profile's longest hold
    #[arg(long)]
    past_ceiling: bool,
    #[command(flatten)]
    changing: Changing,
}

/// Keep an aging number from release, however long it has aged
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook keep 7034343704 --reason \"a dispute about it is open\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Keep {
    /// The number: ten digits, or + and E.164
    number: Number,
    /// Until this instant [default: until it is unkept]
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    #[command(flatten)]
    changing: Changing,
}

/// End a number's keep
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook unkeep 7034343704 --reason \"the dispute is settled\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Unkeep {
    /// The number: ten digits, or + and E.164
    number: Number,
    #[command(flatten)]
    changing: Changing,
}

impl Lock {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        act(self.changing, (config, terminal), "lock", self.number, json!({}), |number| {
            format!("{} is locked", text(number, "/number"))
        })
        .await
    }
}

impl Unlock {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        act(self.changing, (config, terminal), "unlock", self.number, json!({}), |number| {
            format!("{} is no longer locked", text(number, "/number"))
        })
        .await
    }
}

impl Extend {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let mut params = json!({ "past_ceiling": self.past_ceiling });
        if let Some(at) = self.release_at {
            params["release_at"] = json!(at.to_string());
        }
        if let Some(days) = self.days {
            params["days"] = json!(days);
        }
        act(self.changing, (config, terminal), "extend", self.number, params, released).await
    }
}

impl Keep {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let params = json!({ "until": self.until.map(|at| at.to_string()) });
        act(self.changing, (config, terminal), "keep", self.number, params, |number| {
            let until = number.pointer("/kept/until").and_then(Value::as_str).unwrap_or("further notice");
            format!("{} is kept from release until {until}", text(number, "/number"))
        })
        .await
    }
}

impl Unkeep {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        act(self.changing, (config, terminal), "unkeep", self.number, json!({}), released).await
    }
}

/// Returns when a number is released, in a sentence.
fn released(number: &Value) -> String {
    format!("{} is released at {}", text(number, "/number"), text(number, "/release_at"))
}

/// Does an act on a number, and tells what it then is.
async fn act(
    changing: Changing,
    (config, terminal): (&File, &mut Terminal),
    act: &str,
    number: Number,
    params: Value,
    told: impl FnOnce(&Value) -> String,
) -> anyhow::Result<Exit> {
    changing
        .run(config, terminal, async |session| {
            let mut body = session.why();
            if let (Value::Object(body), Value::Object(params)) = (&mut body, params) {
                body.extend(params);
            }
            let ask = Ask::post(&format!("numbers/{}/{act}", escaped(&number.to_string())), body);
            session.show(&ask, |number| vec![told(number)]).await?;
            Ok(Exit::Done)
        })
        .await
}
