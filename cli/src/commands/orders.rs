//! `onhook orders`.

use onhook_core::ids::AccountId;
use onhook_core::order::{Kind, Status};
use onhook_core::time::Timestamp;

use crate::client::Ask;
use crate::config::{File, word};
use crate::exit::Exit;
use crate::session::Common;
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of orders shows.
const COLUMNS: [Column; 9] = [
    ("ORDER", "/id"),
    ("KIND", "/kind"),
    ("ACCOUNT", "/account"),
    ("STATUS", "/status"),
    ("NUMBERS", "/counts/numbers"),
    ("WENT", "/counts/went"),
    ("USER", "/by/user"),
    ("MADE", "/created_at"),
    ("NAME", "/name"),
];

/// List orders, the newest first
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook orders --status PARTIAL --data-dir /var/lib/onhook")]
pub(crate) struct Orders {
    /// Only orders of this account
    #[arg(long)]
    account: Option<AccountId>,
    /// Only orders of this kind
    #[arg(long, value_parser = word(Kind::ALL, Kind::word))]
    kind: Option<Kind>,
    /// Only orders in this status
    #[arg(long, value_parser = word(Status::ALL, Status::word))]
    status: Option<Status>,
    /// Only orders of this user
    #[arg(long, value_hint = clap::ValueHint::Other)]
    user: Option<String>,
    /// Only orders that arrived then or later
    #[arg(long, value_name = "INSTANT")]
    created_from: Option<Timestamp>,
    /// Only orders that arrived before
    #[arg(long, value_name = "INSTANT")]
    created_until: Option<Timestamp>,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl Orders {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let ask = Ask::get("orders")
            .with("account", self.account)
            .with("kind", self.kind)
            .with("status", self.status)
            .with("user", self.user)
            .with("created_from", self.created_from)
            .with("created_until", self.created_until);
        let limit = self.limit;
        self.common.run(config, terminal, async |session| session.list(&ask, &COLUMNS, limit).await).await
    }
}
