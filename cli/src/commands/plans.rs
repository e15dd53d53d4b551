//! `onhook plans`.

use onhook_core::ids::AccountId;
use serde_json::{Value, json};

use super::planned;
use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Changing, Common, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of plans shows.
const COLUMNS: [Column; 8] = [
    ("PLAN", "/id"),
    ("ACT", "/act"),
    ("ACCOUNT", "/account"),
    ("STATE", "/state"),
    ("GO", "/counts/go"),
    ("REFUSED", "/counts/refused"),
    ("BY", "/made_by/user"),
    ("ENDS", "/expires_at"),
];

/// List, show, apply, approve and withdraw plans: acts on many numbers that wait to be done
#[derive(clap::Subcommand)]
pub(crate) enum Plans {
    /// List plans, the newest first
    #[command(after_help = "Example:\n  onhook plans list --state open --data-dir /var/lib/onhook")]
    List {
        /// Only plans in this state
        #[arg(long, value_parser = ["open", "applied", "expired", "withdrawn"])]
        state: Option<String>,
        /// Only plans of this act, such as disconnect
        #[arg(long, value_hint = clap::ValueHint::Other)]
        act: Option<String>,
        /// Only plans for numbers of this account
        #[arg(long)]
        account: Option<AccountId>,
        /// Only plans of this series
        #[arg(long, value_hint = clap::ValueHint::Other)]
        series: Option<String>,
        /// Show at most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        #[command(flatten)]
        common: Common,
    },
    /// Show a plan, and what would happen to each of its numbers
    #[command(
        after_help = "Example:\n  onhook plans show 1f6c3a52-7c0f-4f0e-9a51-3e8f6a3f7d21 \\\n    --data-dir /var/lib/onhook"
    )]
    Show {
        /// The plan's id
        plan: String,
        #[command(flatten)]
        common: Common,
    },
    /// Apply a plan as it was shown
    #[command(
        after_help = "Example:\n  onhook plans apply 1f6c3a52-7c0f-4f0e-9a51-3e8f6a3f7d21 \\\n    --data-dir /var/lib/onhook"
    )]
    Apply {
        /// The plan's id
        plan: String,
        /// The hash that was shown with it [default: the hash that it has now]
        #[arg(long)]
        hash: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Agree to a plan that another person has made
    #[command(
        after_help = "Example:\n  onhook plans approve 1f6c3a52-7c0f-4f0e-9a51-3e8f6a3f7d21 --apply \\\n    --reason \"seen and agreed\" --data-dir /var/lib/onhook"
    )]
    Approve {
        /// The plan's id
        plan: String,
        /// The hash that was shown with it [default: the hash that it has now]
        #[arg(long)]
        hash: Option<String>,
        /// Apply it, too
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// Withdraw a plan: it is not applied any more
    #[command(
        after_help = "Example:\n  onhook plans withdraw 1f6c3a52-7c0f-4f0e-9a51-3e8f6a3f7d21 \\\n    --reason \"the site stays\" --data-dir /var/lib/onhook"
    )]
    Withdraw {
        /// The plan's id
        plan: String,
        #[command(flatten)]
        changing: Changing,
    },
}

impl Plans {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let path = |plan: &str, act: &str| format!("plans/{}{act}", escaped(plan));
        match self {
            Plans::List { state, act, account, series, limit, common } => {
                let ask = Ask::get("plans").with("state", state).with("act", act);
                let ask = ask.with("account", account).with("series", series);
                common.run(config, terminal, async |session| session.list(&ask, &COLUMNS, limit).await).await
            }
            Plans::Show { plan, common } => {
                common
                    .run(config, terminal, async |session| {
                        session.show(&Ask::get(&path(&plan, "")), whole).await?;
                        if session.is_json() { Ok(Exit::Done) } else { planned::items(session, &plan).await }
                    })
                    .await
            }
            Plans::Apply { plan, hash, common } => {
                common
                    .run(config, terminal, async |session| {
                        let found = session.ask(&Ask::get(&path(&plan, ""))).await?;
                        let hash = hash.unwrap_or_else(|| text(&found, "/hash"));
                        let whole = found["counts"]["refused"].as_u64() == Some(0);
                        planned::applied(session, &plan, &hash, whole).await
                    })
                    .await
            }
            Plans::Approve { plan, hash, apply, changing } => {
                changing
                    .run(config, terminal, async |session| {
                        let hash = match hash {
                            Some(hash) => hash,
                            None => text(&session.ask(&Ask::get(&path(&plan, ""))).await?, "/hash"),
                        };
                        let mut body = session.why();
                        body["hash"] = json!(hash);
                        body["apply"] = json!(apply);
                        let told = |done: &Value| {
                            vec![format!("plan {plan} is approved, and {}", text(done, "/state"))]
                        };
                        session.show(&Ask::post(&path(&plan, "/approve"), body), told).await?;
                        Ok(Exit::Done)
                    })
                    .await
            }
            Plans::Withdraw { plan, changing } => {
                changing
                    .run(config, terminal, async |session| {
                        let ask = Ask::post(&path(&plan, "/withdraw"), session.why());
                        session.show(&ask, |_| vec![format!("plan {plan} is withdrawn")]).await?;
                        Ok(Exit::Done)
                    })
                    .await
            }
        }
    }
}

/// Returns a plan in lines, with who made it and what it waits for.
fn whole(plan: &Value) -> Vec<String> {
    let of = |at: &str| text(plan, at);
    let mut lines = planned::summary(plan);
    lines.push(format!(
        "  {}, made by {} at {}: {}",
        of("/state"),
        of("/made_by/user"),
        of("/made_at"),
        of("/reason")
    ));
    let needed = plan["approvals"]["needed"].as_u64().unwrap_or_default();
    if needed > 0 {
        let given = plan["approvals"]["given"].as_array().map_or(0, Vec::len);
        lines.push(format!("  approvals: {given} of {needed}"));
    }
    lines.push(format!("  ends {}, {}", of("/expires_at"), of("/hash")));
    lines
}
