//! `onhook areas`.

use serde_json::Value;

use crate::client::Ask;
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of areas shows.
const COLUMNS: [Column; 8] = [
    ("AREA", "/id"),
    ("NAME", "/name"),
    ("SUPPLY", "/supply"),
    ("DEMAND/DAY", "/demand_per_day"),
    ("DAYS OF SUPPLY", "/days_of_supply"),
    ("AGING", "/aging"),
    ("NEXT RELEASE", "/next_release_at"),
    ("HOLD NOW", "/hold_now/0/days"),
];
/// How long numbers of an area would age now.
const HOLDS: [Column; 3] = [("PROFILE", "/profile"), ("CLASS", "/class"), ("DAYS", "/days")];
/// How long they would age by supply.
const CURVE: [Column; 2] = [("DAYS OF SUPPLY", "/days_of_supply"), ("DAYS", "/days")];

/// List areas with supply and demand, or show one and how long its numbers would age now
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook areas --sort days_of_supply --data-dir /var/lib/onhook")]
pub(crate) struct Areas {
    /// The area's id; all areas if it is left out
    area: Option<u32>,
    /// Show how long the area's numbers age as its supply grows
    #[arg(long, requires = "area")]
    curve: bool,
    /// Only areas with numbers that begin with these digits, with the country code
    #[arg(long, value_name = "DIGITS", conflicts_with = "area")]
    prefix: Option<String>,
    /// Only areas of this state or province
    #[arg(long, conflicts_with = "area")]
    region: Option<String>,
    /// The order: by name, the scarcest first, or the one with the most aging numbers first
    #[arg(long, value_parser = ["name", "days_of_supply", "aging"], conflicts_with = "area")]
    sort: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Areas {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { area, curve, prefix, region, sort, common } = self;
        common
            .run(config, terminal, async |session| {
                let Some(area) = area else {
                    let ask = Ask::get("areas").with("prefix", prefix).with("region", region);
                    return session.list(&ask.with("sort", sort), &COLUMNS, None).await;
                };
                let ask = Ask::get(&format!("areas/{area}")).with("curve", curve.then_some(true));
                let shown = session.show(&ask, lines).await?;
                if !session.is_json() {
                    for (columns, at) in [(&HOLDS[..], "hold_now"), (&CURVE, "curve")] {
                        session.items(columns, shown[at].as_array().map_or(&[][..], Vec::as_slice), true)?;
                    }
                }
                Ok(Exit::Done)
            })
            .await
    }
}

/// Returns an area in a few lines.
fn lines(area: &Value) -> Vec<String> {
    let of = |at: &str| text(area, at);
    let mut lines = vec![format!("area {}: {}", of("/id"), of("/name"))];
    if area.get("supply").is_some() {
        lines.push(format!(
            "  {} in the pool, {} activations a day, days of supply: {}",
            of("/supply"),
            of("/demand_per_day"),
            of("/days_of_supply")
        ));
        lines.push(format!("  {} aging, the next release: {}", of("/aging"), of("/next_release_at")));
    }
    lines
}
