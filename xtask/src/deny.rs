//! May the dependencies be shipped? This looks at licences, sources and banned crates.
//!
//! The rules are in `deny.toml`.

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::workspace::{self, Workspace};

/// The message of every step that needs the tool.
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

/// Returns whether `cargo deny` is installed.
pub(crate) fn is_installed(workspace: &Workspace) -> bool {
    let mut command = workspace.cargo(&["deny", "--version"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
