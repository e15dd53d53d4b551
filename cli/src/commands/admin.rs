//! `onhook admin`.

mod accounts;
mod premises;
mod users;

use crate::config::File;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// Make, list, change and remove accounts, sites, peers and users
#[derive(clap::Subcommand)]
pub(crate) enum Admin {
    /// Accounts: the customers
    #[command(subcommand)]
    Account(accounts::Account),
    /// Sites: the sub-accounts of an account
    #[command(subcommand)]
    Site(premises::SiteCommand),
    /// Peers: the SIP locations under a site
    #[command(subcommand)]
    Peer(premises::PeerCommand),
    /// Users: who signs in
    #[command(subcommand)]
    User(users::User),
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
