//! May the dependencies be shipped: their licences, their sources, and none that is banned?
//!
//! The rules are in `deny.toml`.

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::workspace::{self, Workspace};

/// Said wherever the tool would have been used.
pub(crate) const NOT_INSTALLED: &str = "cargo-deny is not installed";

#[derive(clap::Args)]
pub(crate) struct Deny {
    /// Look for known weaknesses as well, which needs the network
    #[arg(long)]
    pub(crate) advisories: bool,
}

impl Deny {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        if !is_installed(workspace) {
            bail!("{NOT_INSTALLED}: `cargo install --locked cargo-deny`");
        }
        let mut command = workspace.cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]);
        if self.advisories {
            command.arg("advisories");
        }
        workspace::run(&mut command)
    }
}

/// Whether `cargo deny` answers.
pub(crate) fn is_installed(workspace: &Workspace) -> bool {
    let mut command = workspace.cargo(&["deny", "--version"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
