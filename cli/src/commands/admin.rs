//! `onhook admin`.

use onhook_core::account::user::Rights;
use std::io::{IsTerminal, Read};

use anyhow::Context;
use onhook_core::account::details::{PEER_NAME_MAX, PeerChange, SITE_NAME_MAX};
use onhook_core::account::premises::Stays;
use onhook_core::account::user::{self, Asker, PASSWORD_MAX, PASSWORD_MIN};
use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::name::{self, ACCOUNT_NAME_MAX};
use onhook_server::auth::hash_password;
use onhook_store::Store;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::premises::Removed;
use onhook_store::contract::users::{NewUser, UserChange, UserChanged};

use crate::config::{File, word};
use crate::exit::Exit;
use crate::target::{Target, WrittenTarget, close_sealed, now};
use crate::terminal::Terminal;

/// Make, list, change and remove accounts, sites, peers and users
#[derive(clap::Subcommand)]
pub(crate) enum Admin {
    /// Accounts: the customers
    #[command(subcommand)]
    Account(AccountCommand),
    /// Sites: the sub-accounts of an account
    #[command(subcommand)]
    Site(SiteCommand),
    /// Peers: the SIP locations under a site
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Users: who signs in
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(clap::Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account
    #[command(after_help = r#"Example:
  onhook admin account create 9900000 --name "An account" \
    --data-dir /var/lib/onhook"#)]
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
        target: WrittenTarget,
    },
    /// List all accounts: id, kind, class and name, parted by tabs
    #[command(after_help = "Example:\n  onhook admin account list --data-dir /var/lib/onhook")]
    List {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum SiteCommand {
    /// Make a site; the first one of an account is its default
    #[command(after_help = r#"Example:
  onhook admin site create --account 9900000 --name "Main site" \
    --data-dir /var/lib/onhook"#)]
    Create {
        /// The account
        #[arg(long)]
        account: AccountId,
        /// Its name
        #[arg(long, value_hint = clap::ValueHint::Other)]
        name: String,
        #[command(flatten)]
        target: WrittenTarget,
    },
    /// List all sites, or those of an account: id, account, default or -, and name, parted by tabs
    #[command(after_help = r#"Example:
  onhook admin site list --account 9900000 --data-dir /var/lib/onhook"#)]
    List {
        /// The account
        #[arg(long)]
        account: Option<AccountId>,
        #[command(flatten)]
        target: Target,
    },
    /// Make a site the default of its account, instead of the one that is
    #[command(after_help = r#"Example:
  onhook admin site default 1 --account 9900000 --data-dir /var/lib/onhook"#)]
    Default {
        /// The site
        id: SiteId,
        /// Its account
        #[arg(long)]
        account: AccountId,
        #[command(flatten)]
        target: WrittenTarget,
    },
    /// Remove a site that has no peers and no numbers in service, and is not the default of others
    #[command(after_help = r#"Example:
  onhook admin site remove 1 --account 9900000 --data-dir /var/lib/onhook"#)]
    Remove {
        /// The site
        id: SiteId,
        /// Its account
        #[arg(long)]
        account: AccountId,
        #[command(flatten)]
        target: WrittenTarget,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum PeerCommand {
    /// Make a peer; the first one of a site is its default
    #[command(after_help = r#"Example:
  onhook admin peer create --account 9900000 --site 1 --name "Main peer" \
    --data-dir /var/lib/onhook"#)]
    Create {
        /// The account
        #[arg(long)]
        account: AccountId,
        /// The site that it is under
        #[arg(long)]
        site: SiteId,
        /// Its name
        #[arg(long, value_hint = clap::ValueHint::Other)]
        name: String,
        #[command(flatten)]
        target: WrittenTarget,
    },
    /// List all peers, or those of an account: id, account, site, default or -, and name, parted by tabs
    #[command(after_help = r#"Example:
  onhook admin peer list --account 9900000 --data-dir /var/lib/onhook"#)]
    List {
        /// The account
        #[arg(long)]
        account: Option<AccountId>,
        #[command(flatten)]
        target: Target,
    },
    /// Make a peer the default of its site, instead of the one that is
    #[command(after_help = r#"Example:
  onhook admin peer default 1 --account 9900000 --site 1 \
    --data-dir /var/lib/onhook"#)]
    Default(OnePeer),
    /// Remove a peer that has no numbers in service and is not the default of others
    #[command(after_help = r#"Example:
  onhook admin peer remove 1 --account 9900000 --site 1 \
    --data-dir /var/lib/onhook"#)]
    Remove(OnePeer),
}

#[derive(clap::Args)]
pub(crate) struct OnePeer {
    /// The peer
    id: PeerId,
    /// Its account
    #[arg(long)]
    account: AccountId,
    /// The site that it is under
    #[arg(long)]
    site: SiteId,
    #[command(flatten)]
    target: WrittenTarget,
}

#[derive(clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user; its password is asked for, twice, and does not show
    #[command(after_help = r#"Example:
  printf %s "$PASSWORD" | onhook admin user create username \
    --account 9900000 --role order --password-stdin \
    --data-dir /var/lib/onhook"#)]
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
        /// Read the password from a pipe; a line break at its end is not part of it
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        target: WrittenTarget,
    },
    /// List all users: name, account or -, and role, parted by tabs
    #[command(after_help = "Example:\n  onhook admin user list --data-dir /var/lib/onhook")]
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Give a user another password, which is asked for, twice, and does not show
    #[command(after_help = r#"Example:
  printf %s "$PASSWORD" | onhook admin user password username \
    --password-stdin --data-dir /var/lib/onhook"#)]
    Password {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        /// Read the password from a pipe; a line break at its end is not part of it
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        target: WrittenTarget,
    },
    /// Give a user another role
    #[command(after_help = r#"Example:
  onhook admin user role username admin --data-dir /var/lib/onhook"#)]
    Role {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        /// What it may do; an operator stays one, and nobody becomes one
        #[arg(value_parser = word(Role::ALL, Role::word))]
        role: Role,
        #[command(flatten)]
        target: WrittenTarget,
    },
    /// Remove a user
    #[command(after_help = "Example:\n  onhook admin user remove username --data-dir /var/lib/onhook")]
    Remove {
        /// The name that it signs in with
        #[arg(value_hint = clap::ValueHint::Other)]
        name: String,
        #[command(flatten)]
        target: WrittenTarget,
    },
}

impl Admin {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Admin::Account(command) => command.run(config, terminal).await,
            Admin::Site(command) => command.run(config, terminal).await,
            Admin::Peer(command) => command.run(config, terminal).await,
            Admin::User(command) => command.run(config, terminal).await,
        }
    }
}

impl AccountCommand {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { id, name, kind, class, target } => {
                let store = target.open_or_make(config).await?;
                let name = named(name, ACCOUNT_NAME_MAX)?;
                let account =
                    store.create_account(NewAccount { id, name, kind, class }, Doer::offline(now())).await?;
                close_sealed(&*store).await;
                terminal.line(&format!("account {}", account.id))?;
            }
            Self::List { target } => {
                let store = target.open(config).await?;
                for a in store.accounts().await? {
                    terminal.line(&format!("{}\t{}\t{}\t{}", a.id, a.kind, a.class, a.name))?;
                }
            }
        }
        Ok(Exit::Done)
    }
}

impl SiteCommand {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { account, name, target } => {
                let store = target.open(config).await?;
                let site = store.create_site(account, named(name, SITE_NAME_MAX)?, now()).await?;
                close_sealed(&*store).await;
                terminal.line(&format!("site {}", site.id))?;
            }
            Self::List { account, target } => {
                let store = target.open(config).await?;
                for s in store.sites(account).await? {
                    terminal.line(&format!(
                        "{}\t{}\t{}\t{}",
                        s.id,
                        s.account,
                        default(s.is_default),
                        s.name
                    ))?;
                }
            }
            Self::Default { id, account, target } => {
                let store = target.open(config).await?;
                let there = store.make_default_site(account, id, Doer::offline(now())).await?;
                close_sealed(&*store).await;
                anyhow::ensure!(there, "account {account} has no site {id}");
                terminal.line(&format!("site {id} is the default of account {account}"))?;
            }
            Self::Remove { id, account, target } => {
                let store = target.open(config).await?;
                let removed = store.remove_site(account, id, Doer::offline(now())).await?;
                close_sealed(&*store).await;
                gone(removed, &format!("account {account} has no site {id}"))?;
                terminal.line(&format!("site {id} is removed"))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl PeerCommand {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { account, site, name, target } => {
                let store = target.open(config).await?;
                let peer = store.create_peer(account, site, named(name, PEER_NAME_MAX)?, now()).await?;
                close_sealed(&*store).await;
                terminal.line(&format!("peer {}", peer.id))?;
            }
            Self::List { account, target } => {
                let store = target.open(config).await?;
                for p in store.peers(account).await? {
                    let is_default = default(p.is_default);
                    terminal
                        .line(&format!("{}\t{}\t{}\t{is_default}\t{}", p.id, p.account, p.site, p.name))?;
                }
            }
            Self::Default(OnePeer { id, account, site, target }) => {
                let store = target.open(config).await?;
                let wants = PeerChange { is_default: Some(true), ..PeerChange::default() };
                let changed = store.change_peer(account, site, id, wants, Doer::offline(now())).await?;
                close_sealed(&*store).await;
                anyhow::ensure!(changed.is_some(), "site {site} of account {account} has no peer {id}");
                terminal.line(&format!("peer {id} is the default of site {site}"))?;
            }
            Self::Remove(OnePeer { id, account, site, target }) => {
                let store = target.open(config).await?;
                let removed = store.remove_peer(account, site, id, Doer::offline(now())).await?;
                close_sealed(&*store).await;
                gone(removed, &format!("site {site} of account {account} has no peer {id}"))?;
                terminal.line(&format!("peer {id} is removed"))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl UserCommand {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { name, account, role, password_stdin, target } => {
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
                let password = read_password(password_stdin)?;
                let store = match account {
                    Some(_) => target.open(config).await?,
                    None => target.open_or_make(config).await?,
                };
                let password_hash = hash_password(&password).map_err(|error| anyhow::anyhow!("{error}"))?;
                store
                    .create_user(
                        NewUser { name: name.clone(), account, role, rights: Rights::NONE, password_hash },
                        now(),
                    )
                    .await?;
                close_sealed(&*store).await;
                terminal.line(&format!("user {name}"))?;
            }
            Self::List { target } => {
                let store = target.open(config).await?;
                for u in store.users().await? {
                    let account = u.account.map_or_else(|| "-".to_owned(), |id| id.to_string());
                    terminal.line(&format!("{}\t{account}\t{}", u.name, u.role))?;
                }
            }
            Self::Password { name, password_stdin, target } => {
                let store = target.open(config).await?;
                let password = read_password(password_stdin)?;
                let hash = hash_password(&password).map_err(|error| anyhow::anyhow!("{error}"))?;
                change(
                    &*store,
                    &name,
                    UserChange::Set { password_hash: Some(hash), role: None, rights: None },
                )
                .await?;
                terminal.line(&format!("user {name} has another password"))?;
            }
            Self::Role { name, role, target } => {
                let store = target.open(config).await?;
                change(
                    &*store,
                    &name,
                    UserChange::Set { password_hash: None, role: Some(role), rights: None },
                )
                .await?;
                terminal.line(&format!("user {name} has the role {role}"))?;
            }
            Self::Remove { name, target } => {
                let store = target.open(config).await?;
                change(&*store, &name, UserChange::Removed).await?;
                terminal.line(&format!("user {name} is removed"))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Changes a user with the rights of a person on the machine itself, and closes the store.
async fn change(store: &dyn Store, name: &str, change: UserChange) -> anyhow::Result<()> {
    let changed =
        store.change_user(Asker::AtTheMachine, name.to_owned(), change, Doer::offline(now())).await?;
    close_sealed(store).await;
    match changed {
        UserChanged::Done => Ok(()),
        UserChanged::Refused(why) => Err(why).with_context(|| format!("user {name} is as before")),
    }
}

/// Returns an error if a site or peer was not removed, and why.
fn gone(removed: Removed, unknown: &str) -> anyhow::Result<()> {
    match removed {
        Removed::Gone => Ok(()),
        Removed::Unknown => anyhow::bail!("{unknown}"),
        Removed::Stays(Stays::Peers) => anyhow::bail!("it has peers: remove them first"),
        Removed::Stays(Stays::Numbers) => {
            anyhow::bail!("numbers are in service there: move or disconnect them first")
        }
        Removed::Stays(Stays::Default) => {
            anyhow::bail!("it is the default one: make another the default first")
        }
    }
}

fn default(is_default: bool) -> &'static str {
    if is_default { "default" } else { "-" }
}

fn named(name: String, most: usize) -> anyhow::Result<String> {
    name::check(&name, most).with_context(|| format!("the name {name:?} cannot be taken"))?;
    Ok(name)
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
