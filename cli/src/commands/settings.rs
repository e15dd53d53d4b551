//! `onhook settings` and `onhook trust-clock`.

use serde_json::{Map, Value, json};

use crate::client::Ask;
use crate::config::File;
use crate::exit::Exit;
use crate::reach::Opening;
use crate::session::{Changing, Common, Reasoned, Session, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of settings shows.
const COLUMNS: [Column; 5] = [
    ("SETTING", "/key"),
    ("VALUE", "/value"),
    ("SET BY", "/set_by"),
    ("SET AT", "/set_at"),
    ("MIND", "/warning"),
];

/// List the settings that change while the server runs, and who has set them; or change them
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:\n  onhook settings --data-dir /var/lib/onhook")]
pub(crate) struct Settings {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
pub(crate) enum Act {
    /// Change settings, all of them or none
    ///
    /// What the configuration of a server sets is changed there.
    #[command(
        after_help = "Example:\n  onhook settings set held_days=30 --reason \"decisions take longer\" \\\n    --data-dir /var/lib/onhook"
    )]
    Set {
        /// A setting and its value in JSON, such as held_days=30; null goes back to the default
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = assignment)]
        values: Vec<(String, Value)>,
        #[command(flatten)]
        changing: Changing,
    },
}

/// Believe the machine's clock from now on, though it is far from the data's last use: you have looked at it
///
/// A server that runs is told so, and goes on without a restart. Exit status: 0 the clock is believed, 1 it is
/// still not, 2 it could not be done.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook trust-clock --reason \"the machine was off for two weeks\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct TrustClock {
    #[command(flatten)]
    reasoned: Reasoned,
}

/// Reads a setting and its value. A value that is no JSON is a text.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("it is a setting and its value, such as held_days=30")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    Ok((key.to_owned(), value))
}

impl Settings {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self.act {
            None => {
                let listed = async |session: &mut Session<'_>| {
                    session.list(&Ask::get("settings"), &COLUMNS, None).await
                };
                self.common.run(config, terminal, listed).await
            }
            Some(Act::Set { values, changing }) => {
                let mut all = Map::new();
                for (key, value) in values {
                    anyhow::ensure!(!all.contains_key(&key), "{key} is said twice");
                    all.insert(key, value);
                }
                let set = async |session: &mut Session<'_>| {
                    let mut body = session.why();
                    body["values"] = json!(all);
                    let changed = session.ask(&Ask::patch("settings", body)).await?;
                    let items = changed["items"].as_array().into_iter().flatten();
                    let named =
                        items.filter(|item| item["key"].as_str().is_some_and(|key| all.contains_key(key)));
                    session.items(&COLUMNS, &named.cloned().collect::<Vec<_>>(), true)?;
                    Ok(Exit::Done)
                };
                changing.run(config, terminal, set).await
            }
        }
    }
}

impl TrustClock {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let trusted = async |session: &mut Session<'_>| {
            let ask = Ask::post("clock/trust", session.why());
            let told =
                |clock: &Value| vec![format!("it is {}: {}", text(clock, "/now"), text(clock, "/state"))];
            let clock = session.show(&ask, told).await?;
            Ok(if clock["believed"] == true { Exit::Done } else { Exit::NotWell })
        };
        // Without a server, it is this command that does not look at the clock first.
        self.reasoned.run(Opening::default(), config, terminal, trusted).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_key_and_a_value_in_json_or_a_text() {
        assert_eq!(assignment("held_days=30"), Ok(("held_days".into(), json!(30))));
        assert_eq!(assignment("wire_purge=null"), Ok(("wire_purge".into(), Value::Null)));
        assert_eq!(assignment("wire_purge=as it is"), Ok(("wire_purge".into(), json!("as it is"))));
        assert!(assignment("held_days").is_err());
    }
}
