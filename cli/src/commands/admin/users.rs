//! `onhook admin user`.

use std::io::{IsTerminal, Read};

use anyhow::Context;
use onhook_core::account::Role;
use onhook_core::account::user::{self, PASSWORD_MAX, PASSWORD_MIN, Right};
use onhook_core::ids::AccountId;
use serde_json::{Value, json};

use crate::client::{Ask, escaped};
use crate::config::{File, word};
use crate::exit::Exit;
use crate::reach::Absent;
use crate::session::{Changing, Common, Session, named_if_missing};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of users shows.
const COLUMNS: [Column; 4] =
    [("USER", "/name"), ("ACCOUNT", "/account"), ("ROLE", "/role"), ("RIGHTS", "/rights")];

#[derive(clap::Subcommand)]
pub(crate) enum User {
    /// Make a user; its password is asked for, twice, and does not show
    #[command(after_help = r#"Example:
  printf %s "$PASSWORD" | onhook admin user create username \
    --account 9900000 --role order --password-stdin \
    --reason "a program of theirs" --data-dir /var/lib/onhook"#)]
    Create {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        /// Its account; none for a user of the role operator
        #[arg(long)]
        account: Option<AccountId>,
        /// What it may do
        #[arg(long, value_parser = word(Role::ALL, Role::word))]
        role: Role,
        /// What it may do beside that; may be said again
        #[arg(long = "right", value_name = "RIGHT", value_parser = word(Right::ALL, Right::word))]
        rights: Vec<Right>,
        /// Read the password from a pipe; a line break at its end is not part of it
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// List all users, or those of an account
    #[command(after_help = "Example:\n  onhook admin user list --data-dir /var/lib/onhook")]
    List {
        /// The account
        #[arg(long)]
        account: Option<AccountId>,
        #[command(flatten)]
        common: Common,
    },
    /// Give a user another password, which is asked for, twice, and does not show
    #[command(after_help = r#"Example:
  printf %s "$PASSWORD" | onhook admin user password username \
    --password-stdin --reason "the old one was lost" \
    --data-dir /var/lib/onhook"#)]
    Password {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        /// Read the password from a pipe; a line break at its end is not part of it
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// Give a user another role
    #[command(after_help = r#"Example:
  onhook admin user role username admin --reason "their new administrator" \
    --data-dir /var/lib/onhook"#)]
    Role {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        /// What it may do; an operator stays one, and nobody becomes one
        #[arg(value_parser = word(Role::ALL, Role::word))]
        role: Role,
        #[command(flatten)]
        changing: Changing,
    },
    /// Give a user these rights beside its role, and no others
    #[command(after_help = r#"Example:
  onhook admin user rights username unlock --reason "they sell the vans" \
    --data-dir /var/lib/onhook"#)]
    Rights {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        /// Its rights; none takes all away
        #[arg(value_parser = word(Right::ALL, Right::word))]
        rights: Vec<Right>,
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove a user
    #[command(after_help = r#"Example:
  onhook admin user remove username --reason "they have left" \
    --data-dir /var/lib/onhook"#)]
    Remove {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        #[command(flatten)]
        changing: Changing,
    },
}

/// Returns rights as the API writes them.
fn words(rights: &[Right]) -> Value {
    rights.iter().map(|right| right.word()).collect()
}

impl User {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { name, account, role, rights, password_stdin, changing } => {
                anyhow::ensure!(user::is_name(&name), user::NAME_RULE);
                match (account, role) {
                    (Some(_), Role::Operator) => {
                        anyhow::bail!("an operator has no account: leave --account out")
                    }
                    (None, Role::Read | Role::Order | Role::Admin) => {
                        anyhow::bail!("a user of role {role} has an account: say --account ID")
                    }
                    _ => {}
                }
                // The first user of all may be made before there are data.
                let absent = if account.is_some() { Absent::Refused } else { Absent::Made };
                let password = read_password(password_stdin)?;
                let made = async |session: &mut Session<'_>| {
                    let mut body = session.why();
                    body["name"] = json!(name);
                    body["password"] = json!(password);
                    body["account"] = json!(account.map(|account| account.to_string()));
                    body["role"] = json!(role.word());
                    body["rights"] = words(&rights);
                    session.show(&Ask::post("users", body), |_| vec![format!("user {name}")]).await?;
                    Ok(Exit::Done)
                };
                changing.run_on(absent, config, terminal, made).await
            }
            Self::List { account, common } => {
                let ask = Ask::get("users").with("account", account);
                let listed = async |session: &mut Session<'_>| session.list(&ask, &COLUMNS, None).await;
                common.run(config, terminal, listed).await
            }
            Self::Password { name, password_stdin, changing } => {
                let password = read_password(password_stdin)?;
                let told = format!("user {name} has another password");
                let change = ("password", json!(password));
                let changed = async |session: &mut Session<'_>| put(session, &name, change, told).await;
                changing.run(config, terminal, changed).await
            }
            Self::Role { name, role, changing } => {
                let told = format!("user {name} has the role {role}");
                let change = ("role", json!(role.word()));
                let changed = async |session: &mut Session<'_>| put(session, &name, change, told).await;
                changing.run(config, terminal, changed).await
            }
            Self::Rights { name, rights, changing } => {
                let named: Vec<&str> = rights.iter().map(|right| right.word()).collect();
                let told = match named.as_slice() {
                    [] => format!("user {name} has no rights beside its role"),
                    named => format!("user {name} has the rights {}", named.join(", ")),
                };
                let change = ("rights", words(&rights));
                let changed = async |session: &mut Session<'_>| put(session, &name, change, told).await;
                changing.run(config, terminal, changed).await
            }
            Self::Remove { name, changing } => {
                let removed = async |session: &mut Session<'_>| {
                    let ask = Ask::delete(&path(&name)).with("reason", session.reason());
                    let gone = session.show(&ask, |_| vec![format!("user {name} is removed")]).await;
                    named_if_missing(gone, || missing(&name)).map(|_| Exit::Done)
                };
                changing.run(config, terminal, removed).await
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("users/{}", escaped(name))
}

fn missing(name: &str) -> String {
    format!("there is no user {name}")
}

/// Changes one thing of a user, and tells so.
async fn put(
    session: &mut Session<'_>,
    name: &str,
    (key, value): (&str, Value),
    told: String,
) -> anyhow::Result<Exit> {
    let mut body = session.why();
    body[key] = value;
    let changed = session.show(&Ask::patch(&path(name), body), |_| vec![told]).await;
    named_if_missing(changed, || missing(name)).map(|_| Exit::Done)
}

/// Reads a password, from the keyboard or from a pipe.
fn read_password(from_pipe: bool) -> anyhow::Result<String> {
    let password = if std::io::stdin().is_terminal() {
        typed_password()?
    } else {
        anyhow::ensure!(
            from_pipe,
            "there is no terminal to ask for the password on: say --password-stdin, and pipe it in"
        );
        piped_password()?
    };
    anyhow::ensure!(
        (PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()),
        "a password has {PASSWORD_MIN} to {PASSWORD_MAX} bytes"
    );
    anyhow::ensure!(
        !password.contains(char::is_control),
        "a password is one line without control characters"
    );
    Ok(password)
}

/// Reads a password that is typed twice and not shown.
fn typed_password() -> anyhow::Result<String> {
    let ask = |prompt: &str| rpassword::prompt_password(prompt).context("cannot read the password");
    let password = ask("Password: ")?;
    anyhow::ensure!(password == ask("The same again: ")?, "the two passwords differ: try again");
    Ok(password)
}

/// Reads a password from standard input, without the line break at its end.
fn piped_password() -> anyhow::Result<String> {
    let mut password = String::new();
    let limit = u64::try_from(PASSWORD_MAX + 3)?;
    std::io::stdin().take(limit).read_to_string(&mut password).context("cannot read the password")?;
    let line = password.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&password).to_owned())
}
