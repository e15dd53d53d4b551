//! `onhook call`.

use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use onhook_wire::ops::records::number_of;
use serde_json::Value;

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, text};
use crate::terminal::Terminal;

/// Say where a call to a number goes, and who pays for it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook call 5405514342 --data-dir /var/lib/onhook")]
pub(crate) struct CallTo {
    /// The number, as switches write it: E.164, ten digits, with dashes, as a SIP address
    #[arg(value_parser = number)]
    number: Number,
    /// The instant of the call [default: now]
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    #[command(flatten)]
    common: Common,
}

impl CallTo {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { number, at, common } = self;
        let ask = Ask::get(&format!("calls/{}", escaped(&number.to_string()))).with("at", at);
        common
            .run(config, terminal, async |session| session.show(&ask, lines).await.map(|_| Exit::Done))
            .await
    }
}

/// Reads a number as rating does.
fn number(text: &str) -> Result<Number, &'static str> {
    number_of(text).ok_or("no telephone number: ten digits, or + and E.164")
}

/// Returns where a call goes and who pays, a line each.
fn lines(call: &Value) -> Vec<String> {
    let of = |at: &str| text(call, at);
    let goes = match call["deliver"] {
        Value::Null => format!("vacant: SIP {}, Q.850 {}", of("/sip_code"), of("/q850_cause")),
        _ => format!(
            "delivered to account {}, site {}, peer {}",
            of("/deliver/account"),
            of("/deliver/site"),
            of("/deliver/peer")
        ),
    };
    let pays = match call["chargeable"] {
        Value::Null => "charged to nobody".to_owned(),
        _ => format!("charged to account {}", of("/chargeable/account")),
    };
    vec![format!("{} at {}: {goes}, {pays}", of("/number"), of("/at")), format!("  {}", of("/why"))]
}
