//! `onhook admin site` and `onhook admin peer`.

use onhook_core::ids::{AccountId, PeerId, SiteId};
use serde_json::{Value, json};

use crate::client::Ask;
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Changing, Common, Session, named_if_missing, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of sites shows.
const SITES: [Column; 4] =
    [("SITE", "/id"), ("ACCOUNT", "/account"), ("DEFAULT", "/is_default"), ("NAME", "/name")];
/// What a list of peers shows.
const PEERS: [Column; 5] = [
    ("PEER", "/id"),
    ("ACCOUNT", "/account"),
    ("SITE", "/site"),
    ("DEFAULT", "/is_default"),
    ("NAME", "/name"),
];

#[derive(clap::Subcommand)]
pub(crate) enum SiteCommand {
    /// Make a site; the first one of an account is its default
    #[command(after_help = r#"Example:
  onhook admin site create --account 9900000 --name "Main site" \
    --reason "a new office" --data-dir /var/lib/onhook"#)]
    Create {
        /// The account
        #[arg(long)]
        account: AccountId,
        #[command(flatten)]
        named: New,
        #[command(flatten)]
        changing: Changing,
    },
    /// List all sites, or those of an account
    #[command(after_help = r#"Example:
  onhook admin site list --account 9900000 --data-dir /var/lib/onhook"#)]
    List {
        /// The account
        #[arg(long)]
        account: Option<AccountId>,
        #[command(flatten)]
        common: Common,
    },
    /// Change a site's name or description
    #[command(after_help = r#"Example:
  onhook admin site change 1 --account 9900000 --name "First site" \
    --reason "there is a second one" --data-dir /var/lib/onhook"#)]
    Change {
        #[command(flatten)]
        site: OneSite,
        #[command(flatten)]
        named: Changed,
        #[command(flatten)]
        changing: Changing,
    },
    /// Make a site the default of its account, instead of the one that is
    #[command(after_help = r#"Example:
  onhook admin site default 1 --account 9900000 \
    --reason "numbers go there from now on" --data-dir /var/lib/onhook"#)]
    Default {
        #[command(flatten)]
        site: OneSite,
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove a site that has no peers and no numbers in service, and is not the default of others
    #[command(after_help = r#"Example:
  onhook admin site remove 1 --account 9900000 \
    --reason "the office is closed" --data-dir /var/lib/onhook"#)]
    Remove {
        #[command(flatten)]
        site: OneSite,
        #[command(flatten)]
        changing: Changing,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum PeerCommand {
    /// Make a peer; the first one of a site is its default
    #[command(after_help = r#"Example:
  onhook admin peer create --account 9900000 --site 1 --name "Main peer" \
    --reason "a new gateway" --data-dir /var/lib/onhook"#)]
    Create {
        /// The account
        #[arg(long)]
        account: AccountId,
        /// The site that it is under
        #[arg(long)]
        site: SiteId,
        #[command(flatten)]
        named: New,
        #[command(flatten)]
        changing: Changing,
    },
    /// List all peers, or those of an account or site
    #[command(after_help = r#"Example:
  onhook admin peer list --account 9900000 --data-dir /var/lib/onhook"#)]
    List {
        /// The account
        #[arg(long)]
        account: Option<AccountId>,
        /// The site
        #[arg(long)]
        site: Option<SiteId>,
        #[command(flatten)]
        common: Common,
    },
    /// Change a peer's name or description
    #[command(after_help = r#"Example:
  onhook admin peer change 1 --account 9900000 --site 1 --name "First peer" \
    --reason "there is a second one" --data-dir /var/lib/onhook"#)]
    Change {
        #[command(flatten)]
        peer: OnePeer,
        #[command(flatten)]
        named: Changed,
        #[command(flatten)]
        changing: Changing,
    },
    /// Make a peer the default of its site, instead of the one that is
    #[command(after_help = r#"Example:
  onhook admin peer default 1 --account 9900000 --site 1 \
    --reason "numbers go there from now on" --data-dir /var/lib/onhook"#)]
    Default {
        #[command(flatten)]
        peer: OnePeer,
        #[command(flatten)]
        changing: Changing,
    },
    /// Remove a peer that has no numbers in service and is not the default of others
    #[command(after_help = r#"Example:
  onhook admin peer remove 1 --account 9900000 --site 1 \
    --reason "the gateway is gone" --data-dir /var/lib/onhook"#)]
    Remove {
        #[command(flatten)]
        peer: OnePeer,
        #[command(flatten)]
        changing: Changing,
    },
}

/// How something new is called.
#[derive(clap::Args)]
pub(crate) struct New {
    /// Its name
    #[arg(long, value_hint = clap::ValueHint::Other)]
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", value_hint = clap::ValueHint::Other)]
    description: Option<String>,
}

/// How something is called from now on.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Changed {
    /// Its name
    #[arg(long, value_hint = clap::ValueHint::Other)]
    name: Option<String>,
    /// What it is for; an empty text removes it
    #[arg(long, value_name = "TEXT", value_hint = clap::ValueHint::Other)]
    description: Option<String>,
}

impl Changed {
    /// Puts the names to the body of a request.
    fn put(self, body: &mut Value) {
        if let Some(name) = self.name {
            body["name"] = json!(name);
        }
        if let Some(description) = self.description {
            body["description"] = json!(description);
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct OneSite {
    /// The site
    id: SiteId,
    /// Its account
    #[arg(long)]
    account: AccountId,
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
}

/// A site or a peer, and where it must be: ids are easily taken for one another.
struct Place {
    path: String,
    name: String,
    missing: String,
    within: Vec<(&'static str, String)>,
}

impl OneSite {
    fn place(&self) -> Place {
        let Self { id, account } = self;
        Place {
            path: format!("sites/{id}"),
            name: format!("site {id}"),
            missing: format!("account {account} has no site {id}"),
            within: vec![("account", account.to_string())],
        }
    }
}

impl OnePeer {
    fn place(&self) -> Place {
        let Self { id, account, site } = self;
        Place {
            path: format!("peers/{id}"),
            name: format!("peer {id}"),
            missing: format!("site {site} of account {account} has no peer {id}"),
            within: vec![("account", account.to_string()), ("site", site.to_string())],
        }
    }
}

impl Place {
    /// Looks whether it is where it is said to be.
    async fn look(&self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let found = named_if_missing(session.ask(&Ask::get(&self.path)).await, || self.missing.clone())?;
        let there = self.within.iter().all(|(key, id)| found[*key] == **id);
        anyhow::ensure!(there, "{}", self.missing);
        Ok(())
    }

    async fn change(self, session: &mut Session<'_>, changed: Changed) -> anyhow::Result<Exit> {
        self.look(session).await?;
        let mut body = session.why();
        changed.put(&mut body);
        let told = |now: &Value| vec![format!("{} is called {}", self.name, text(now, "/name"))];
        session.show(&Ask::patch(&self.path, body), told).await.map(|_| Exit::Done)
    }

    async fn make_default(self, session: &mut Session<'_>) -> anyhow::Result<Exit> {
        self.look(session).await?;
        let mut body = session.why();
        body["is_default"] = json!(true);
        let (key, of) = self.within.last().map_or(("account", ""), |(key, id)| (*key, id.as_str()));
        let told = |_: &Value| vec![format!("{} is the default of {key} {of}", self.name)];
        session.show(&Ask::patch(&self.path, body), told).await.map(|_| Exit::Done)
    }

    async fn remove(self, session: &mut Session<'_>) -> anyhow::Result<Exit> {
        self.look(session).await?;
        let ask = Ask::delete(&self.path).with("reason", session.reason());
        session.show(&ask, |_| vec![format!("{} is removed", self.name)]).await.map(|_| Exit::Done)
    }
}

/// Makes something with a name.
async fn make(
    session: &mut Session<'_>,
    (path, what): (&str, &str),
    (account, site): (AccountId, Option<SiteId>),
    named: New,
) -> anyhow::Result<Exit> {
    let mut body = session.why();
    body["account"] = json!(account.to_string());
    body["name"] = json!(named.name);
    if let Some(description) = named.description {
        body["description"] = json!(description);
    }
    if let Some(site) = site {
        body["site"] = json!(site.to_string());
    }
    let told = |made: &Value| vec![format!("{what} {}", text(made, "/id"))];
    session.show(&Ask::post(path, body), told).await.map(|_| Exit::Done)
}

impl SiteCommand {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { account, named, changing } => {
                let made = async |session: &mut Session<'_>| {
                    make(session, ("sites", "site"), (account, None), named).await
                };
                changing.run(config, terminal, made).await
            }
            Self::List { account, common } => {
                let ask = Ask::get("sites").with("account", account);
                let listed = async |session: &mut Session<'_>| session.list(&ask, &SITES, None).await;
                common.run(config, terminal, listed).await
            }
            Self::Change { site, named, changing } => {
                let changed = async |session: &mut Session<'_>| site.place().change(session, named).await;
                changing.run(config, terminal, changed).await
            }
            Self::Default { site, changing } => {
                let changed = async |session: &mut Session<'_>| site.place().make_default(session).await;
                changing.run(config, terminal, changed).await
            }
            Self::Remove { site, changing } => {
                let removed = async |session: &mut Session<'_>| site.place().remove(session).await;
                changing.run(config, terminal, removed).await
            }
        }
    }
}

impl PeerCommand {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Create { account, site, named, changing } => {
                let made = async |session: &mut Session<'_>| {
                    make(session, ("peers", "peer"), (account, Some(site)), named).await
                };
                changing.run(config, terminal, made).await
            }
            Self::List { account, site, common } => {
                let ask = Ask::get("peers").with("account", account).with("site", site);
                let listed = async |session: &mut Session<'_>| session.list(&ask, &PEERS, None).await;
                common.run(config, terminal, listed).await
            }
            Self::Change { peer, named, changing } => {
                let changed = async |session: &mut Session<'_>| peer.place().change(session, named).await;
                changing.run(config, terminal, changed).await
            }
            Self::Default { peer, changing } => {
                let changed = async |session: &mut Session<'_>| peer.place().make_default(session).await;
                changing.run(config, terminal, changed).await
            }
            Self::Remove { peer, changing } => {
                let removed = async |session: &mut Session<'_>| peer.place().remove(session).await;
                changing.run(config, terminal, removed).await
            }
        }
    }
}
