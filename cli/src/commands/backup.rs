//! `onhook backup`.

use onhook_core::job::Kind;
use serde_json::json;

use super::check;
use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::jobs::ended;
use crate::session::{Changing, Common, Session, text};
use crate::table::Column;
use crate::terminal::{Terminal, Unit};

/// What a list of backups shows.
const COLUMNS: [Column; 6] = [
    ("BACKUP", "/id"),
    ("MADE", "/made_at"),
    ("STATE", "/state"),
    ("BYTES", "/bytes"),
    ("PATH", "/path"),
    ("REASON", "/reason"),
];

/// Copy all data while the server runs, to a folder that opens as a data folder
///
/// The backup is in backup_dir, or in backups in the data folder, under its name and its id. It holds all that
/// was answered before. Data in a database are copied by the database's own tools.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = r#"Example:
  onhook backup --name nightly --reason "each night" \
    --data-dir /var/lib/onhook"#)]
pub(crate) struct Backup {
    #[command(subcommand)]
    act: Option<Act>,
    /// How its folder's name begins: letters, digits, hyphens and underscores
    #[arg(long, default_value = "backup", value_hint = clap::ValueHint::Other)]
    name: String,
    #[command(flatten)]
    changing: Changing,
}

#[derive(clap::Subcommand)]
pub(crate) enum Act {
    /// List backups, the newest first
    #[command(after_help = "Example:\n  onhook backup list --data-dir /var/lib/onhook")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Prove that a backup is whole, and that all in it is right
    ///
    /// Exit status: 0 nothing is wrong, 1 something is, 2 it could not be verified.
    #[command(after_help = "Example:\n  onhook backup verify 1 --data-dir /var/lib/onhook")]
    Verify {
        /// The backup's id
        backup: String,
        #[command(flatten)]
        common: Common,
    },
}

impl Backup {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self.act {
            None => {
                let name = self.name;
                let made = async |session: &mut Session<'_>| make(session, &name).await;
                self.changing.run(config, terminal, made).await
            }
            Some(Act::List { common }) => {
                let listed = async |session: &mut Session<'_>| {
                    session.list(&Ask::get("backups"), &COLUMNS, None).await
                };
                common.run(config, terminal, listed).await
            }
            Some(Act::Verify { backup, common }) => {
                let verified = async |session: &mut Session<'_>| {
                    let ask = Ask::post(&format!("backups/{}/verify", escaped(&backup)), json!({}));
                    let made = session.ask(&ask).await?;
                    let whole = check::of_server(session, &made).await?;
                    check::tell(session, &whole)
                };
                common.run(config, terminal, verified).await
            }
        }
    }
}

async fn make(session: &mut Session<'_>, name: &str) -> anyhow::Result<Exit> {
    let mut body = session.why();
    body["name"] = json!(name);
    let made = session.ask(&Ask::post("backups", body)).await?;
    let bar = session.terminal.bar(&Unit::Time("the data are copied"), None);
    let path = format!("backups/{}", escaped(&text(&made, "/id")));
    let backup = ended(session, Kind::Backup, &path, |_| {}).await?;
    bar.finish_and_clear();
    anyhow::ensure!(backup["state"] == "done", "the backup failed: {}", text(&backup, "/why"));
    session.tell(&backup, |backup| {
        let of = |at: &str| text(backup, at);
        let bytes = backup["bytes"].as_u64().map_or_else(String::new, |bytes| format!("{bytes} bytes, "));
        vec![of("/path"), format!("  backup {}: {bytes}{}", of("/id"), of("/sha256"))]
    })?;
    Ok(Exit::Done)
}
