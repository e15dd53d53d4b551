//! `onhook forecast`.

use onhook_core::ids::AccountId;
use onhook_core::time::Date;

use crate::client::Ask;
use crate::config::File;
use crate::exit::Exit;
use crate::session::Common;
use crate::table::Column;
use crate::terminal::Terminal;

/// What a forecast shows.
const COLUMNS: [Column; 7] = [
    ("DAY", "/day"),
    ("AREA", "/area"),
    ("NUMBERS", "/numbers"),
    ("TO POOL", "/to_pool"),
    ("TO OWNER", "/to_owner"),
    ("AWAY", "/away"),
    ("KEPT", "/kept"),
];

/// Tell how many numbers end their aging on which day, and where they go
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook forecast --by area --data-dir /var/lib/onhook")]
pub(crate) struct ForecastOf {
    /// The first day, such as 2027-01-01 [default: today]
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// The day after the last one, at most 400 days later [default: 90 days later]
    #[arg(long, value_name = "DAY")]
    until: Option<Date>,
    /// A line for each day, for each area that has any, or for each area that has any on a day
    #[arg(long, value_parser = ["day", "area", "day,area"], default_value = "day")]
    by: String,
    /// Only numbers of the area with this id
    #[arg(long, value_name = "ID")]
    area: Option<u32>,
    /// Only numbers that this account gave up
    #[arg(long)]
    account: Option<AccountId>,
    #[command(flatten)]
    common: Common,
}

impl ForecastOf {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let ask = Ask::get("forecast")
            .with("from", self.from)
            .with("until", self.until)
            .with("by", Some(self.by))
            .with("area", self.area)
            .with("account", self.account);
        self.common.run(config, terminal, async |session| session.list(&ask, &COLUMNS, None).await).await
    }
}
