//! `onhook explain`.

use onhook_core::lifecycle::explain;
use onhook_core::number::Number;
use onhook_store::contract::numbers::Facts;
use serde_json::Value;

use crate::client::{Ask, Problem, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, text};
use crate::terminal::Terminal;

/// Say where a number is, why, since when and until when
///
/// Exit status: 0 found, 1 not in this store, 2 it could not be read.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook explain 5405514342 --data-dir /var/lib/onhook")]
pub(crate) struct Explain {
    /// The number: ten digits, or + and E.164
    number: Number,
    #[command(flatten)]
    common: Common,
}

impl Explain {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { number, common } = self;
        let explained = async |session: &mut crate::session::Session<'_>| {
            let ask = Ask::get(&format!("numbers/{}/explanation", escaped(&number.to_string())));
            match session.show(&ask, lines).await {
                Ok(_) => Ok(Exit::Done),
                Err(error)
                    if error.downcast_ref::<Problem>().and_then(Problem::code)
                        == Some("number_not_found") =>
                {
                    session.terminal.remark(&format!("{number} is not in this store"));
                    Ok(Exit::NotWell)
                }
                Err(error) => Err(error),
            }
        };
        common.run(config, terminal, explained).await
    }
}

/// Returns where a number is and why, then what happened to it, a line each.
fn lines(told: &Value) -> Vec<String> {
    let imported = told["imported_at"].as_str().map(|at| format!("  {at}  imported"));
    let events = told["events"].as_array().into_iter().flatten();
    let events = events.map(|event| {
        format!("  {}  {} (by {})", text(event, "/at"), text(event, "/what"), text(event, "/by"))
    });
    std::iter::once(text(told, "/sentence")).chain(imported).chain(events).collect()
}

/// Returns where a number is and why, in one sentence.
pub(super) fn sentence(facts: &Facts) -> String {
    explain::sentence(&facts.entry, facts.since, facts.hold.as_ref())
}
