//! `onhook numbers`.

use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::Timestamp;

use crate::client::Ask;
use crate::config::{File, word};
use crate::exit::Exit;
use crate::session::Common;
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of numbers shows.
const COLUMNS: [Column; 9] = [
    ("NUMBER", "/number"),
    ("STATE", "/state"),
    ("ACCOUNT", "/account"),
    ("FORMER", "/former_account"),
    ("SITE", "/site"),
    ("PEER", "/peer"),
    ("AREA", "/area/name"),
    ("RELEASE", "/release_at"),
    ("LOCKED", "/locked"),
];

/// List numbers, by digits
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook numbers --state Aging --data-dir /var/lib/onhook")]
pub(crate) struct Numbers {
    /// Only numbers in this state; may be said again
    #[arg(long, value_delimiter = ',', value_parser = word(State::ALL, State::word))]
    state: Vec<State>,
    /// Only numbers of this account, aging ones too
    #[arg(long)]
    account: Option<AccountId>,
    /// Only numbers at this site, or that aged from there
    #[arg(long)]
    site: Option<SiteId>,
    /// Only numbers at this peer, or that aged from there
    #[arg(long)]
    peer: Option<PeerId>,
    /// Only numbers of the area with this id
    #[arg(long, value_name = "ID")]
    area: Option<u32>,
    /// Only numbers that begin with these digits, with the country code
    #[arg(long, value_name = "DIGITS")]
    prefix: Option<String>,
    /// Only numbers that are released before this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    /// Only numbers that are locked, or only others
    #[arg(long, value_name = "BOOL")]
    locked: Option<bool>,
    /// Only numbers that are protected, or only others
    #[arg(long, value_name = "BOOL")]
    protected: Option<bool>,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl Numbers {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let states: Vec<&str> = self.state.iter().map(|state| state.word()).collect();
        let ask = Ask::get("numbers")
            .with("state", (!states.is_empty()).then(|| states.join(",")))
            .with("account", self.account)
            .with("site", self.site)
            .with("peer", self.peer)
            .with("area", self.area)
            .with("prefix", self.prefix)
            .with("until", self.until)
            .with("locked", self.locked)
            .with("protected", self.protected);
        let limit = self.limit;
        self.common.run(config, terminal, async |session| session.list(&ask, &COLUMNS, limit).await).await
    }
}
