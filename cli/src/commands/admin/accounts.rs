//! `onhook admin account`.

use onhook_core::account::{AccountKind, Class};
use onhook_core::ids::AccountId;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::config::{File, word};
use crate::exit::Exit;
use crate::reach::Absent;
use crate::session::{Changing, Common, Session, named_if_missing, text};
use crate::table::Column;
use crate::terminal::{Terminal, count};

/// What a list of accounts shows.
const COLUMNS: [Column; 7] = [
    ("ACCOUNT", "/id"),
    ("KIND", "/kind"),
    ("CLASS", "/class"),
    ("STATE", "/state"),
    ("IN SERVICE", "/numbers/InService"),
    ("AGING", "/numbers/Aging"),
    ("NAME", "/name"),
];

#[derive(clap::Subcommand)]
pub(crate) enum Account {
    /// Make an account
    #[command(after_help = r#"Example:
  onhook admin account create 9900000 --name "An account" \
    --reason "a new customer" --data-dir /var/lib/onhook"#)]
    Create {
        /// Its id, a whole number
        id: AccountId,
        /// Its name
        #[arg(long, value_hint = clap::ValueHint::Other)]
        name: String,
        /// What it is to the number plan
        #[arg(long, default_value_t = AccountKind::EndUser, value_parser = word(AccountKind::ALL, AccountKind::word))]
        kind: AccountKind,
        /// Whose lines its numbers are; the longest hold hangs on it
        #[arg(long, default_value_t = Class::Unknown, value_parser = word(Class::ALL, Class::word))]
        class: Class,
        #[command(flatten)]
        changing: Changing,
    },
    /// List all accounts, by id
    #[command(after_help = "Example:\n  onhook admin account list --data-dir /var/lib/onhook")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show an account, with how many numbers it has
    #[command(after_help = "Example:\n  onhook admin account show 9900000 --data-dir /var/lib/onhook")]
    Show {
        /// The account
        id: AccountId,
        #[command(flatten)]
        common: Common,
    },
    /// Change an account: what is not named stays
    #[command(after_help = r#"Example:
  onhook admin account change 9900000 --class residential \
    --reason "it sells to homes" --data-dir /var/lib/onhook"#)]
    Change {
        /// The account
        id: AccountId,
        #[command(flatten)]
        changes: Changes,
        #[command(flatten)]
        changing: Changing,
    },
    /// Close an account: nobody signs in to it, and it gets no number any more
    ///
    /// It must have no numbers but aging ones. Its id is never used again.
    #[command(after_help = r#"Example:
  onhook admin account close 9900000 --reason "it has left" \
    --data-dir /var/lib/onhook"#)]
    Close {
        /// The account
        id: AccountId,
        #[command(flatten)]
        changing: Changing,
    },
    /// Open a closed account again
    #[command(after_help = r#"Example:
  onhook admin account reopen 9900000 --reason "it is back" \
    --data-dir /var/lib/onhook"#)]
    Reopen {
        /// The account
        id: AccountId,
        #[command(flatten)]
        changing: Changing,
    },
}

/// What is changed of an account.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Changes {
    /// Its name
    #[arg(long, value_hint = clap::ValueHint::Other)]
    name: Option<String>,
    /// What it is to the number plan, for what happens later
    #[arg(long, value_parser = word(AccountKind::ALL, AccountKind::word))]
    kind: Option<AccountKind>,
    /// Whose lines its numbers are, for what happens later
    #[arg(long, value_parser = word(Class::ALL, Class::word))]
    class: Option<Class>,
    /// How long its disconnect orders wait before they run; an empty text goes back to the setting
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    cancel_window_seconds: Option<Value>,
    /// Whether the operator reports its disconnects to the Reassigned Numbers Database
    #[arg(long, value_name = "BOOL")]
    reports_rnd: Option<bool>,
    /// Its name in reports to regulators; an empty text removes it
    #[arg(long, value_name = "TEXT", value_hint = clap::ValueHint::Other)]
    legal_name: Option<String>,
}

/// Reads a number of seconds, or an empty text as null.
fn seconds(text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    text.parse::<u32>().map(|seconds| json!(seconds)).map_err(|_| "it is a whole number of seconds".into())
}

impl Changes {
    /// Puts the changes to the body of a request.
    fn put(self, body: &mut Value) {
        let Self { name, kind, class, cancel_window_seconds, reports_rnd, legal_name } = self;
        let legal_name = legal_name.map(|name| if name.is_empty() { Value::Null } else { json!(name) });
        for (key, value) in [
            ("name", name.map(|name| json!(name))),
            ("kind", kind.map(|kind| json!(kind.word()))),
            ("class", class.map(|class| json!(class.word()))),
            ("cancel_window_seconds", cancel_window_seconds),
            ("reports_rnd", reports_rnd.map(|reports| json!(reports))),
            ("legal_name", legal_name),
        ] {
            if let Some(value) = value {
                body[key] = value;
            }
        }
    }
}

impl Account {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let path = |id: AccountId, act: &str| format!("accounts/{id}{act}");
        match self {
            Self::Create { id, name, kind, class, changing } => {
                let made = async |session: &mut Session<'_>| {
                    let mut body = session.why();
                    body["id"] = json!(id.to_string());
                    body["name"] = json!(name);
                    body["kind"] = json!(kind.word());
                    body["class"] = json!(class.word());
                    session.show(&Ask::post("accounts", body), |_| vec![format!("account {id}")]).await?;
                    Ok(Exit::Done)
                };
                changing.run_on(Absent::Made, config, terminal, made).await
            }
            Self::List { common } => {
                let listed = async |session: &mut Session<'_>| {
                    session.list(&Ask::get("accounts"), &COLUMNS, None).await
                };
                common.run(config, terminal, listed).await
            }
            Self::Show { id, common } => {
                let shown = async |session: &mut Session<'_>| {
                    show(session, id, &Ask::get(&path(id, "")), lines).await
                };
                common.run(config, terminal, shown).await
            }
            Self::Change { id, changes, changing } => {
                let changed = async |session: &mut Session<'_>| {
                    let mut body = session.why();
                    changes.put(&mut body);
                    show(session, id, &Ask::patch(&path(id, ""), body), lines).await
                };
                changing.run(config, terminal, changed).await
            }
            Self::Close { id, changing } => {
                let closed = async |session: &mut Session<'_>| {
                    let ask = Ask::post(&path(id, "/close"), session.why());
                    show(session, id, &ask, |_| vec![format!("account {id} is closed")]).await
                };
                changing.run(config, terminal, closed).await
            }
            Self::Reopen { id, changing } => {
                let reopened = async |session: &mut Session<'_>| {
                    let ask = Ask::post(&path(id, "/reopen"), session.why());
                    show(session, id, &ask, |_| vec![format!("account {id} is open")]).await
                };
                changing.run(config, terminal, reopened).await
            }
        }
    }
}

/// Asks for an account that must be there, and shows it.
async fn show(
    session: &mut Session<'_>,
    id: AccountId,
    ask: &Ask,
    lines: impl FnOnce(&Value) -> Vec<String>,
) -> anyhow::Result<Exit> {
    let shown = session.show(ask, lines).await;
    named_if_missing(shown, || format!("account {id}")).map(|_| Exit::Done)
}

/// Returns an account in a few lines.
fn lines(account: &Value) -> Vec<String> {
    let of = |at: &str| text(account, at);
    let numbers = |state: &str| account["numbers"][state].as_u64().unwrap_or_default();
    let mut lines = vec![
        format!(
            "account {}, {}: {}, {}, {}",
            of("/id"),
            of("/name"),
            of("/kind"),
            of("/class"),
            of("/state")
        ),
        format!(
            "  {} in service, {} aging, {} reserved, {} protected",
            count(numbers("InService"), "number"),
            numbers("Aging"),
            numbers("Reserved"),
            numbers("Protected")
        ),
    ];
    if let Some(seconds) = account["cancel_window_seconds"].as_u64() {
        lines.push(format!("  its disconnect orders wait for {}", count(seconds, "second")));
    }
    if account["reports_rnd"] == false {
        lines.push("  it reports its disconnects itself".to_owned());
    }
    if let Some(name) = account["legal_name"].as_str() {
        lines.push(format!("  in reports: {name}"));
    }
    lines
}
