//! Does a server answer as its own OpenAPI document says, whatever is asked?
//!
//! Schemathesis makes requests from the document, good ones and bad ones, for some time. A failure of the server, a status,
//! a type or a form of a reply that the document does not have is a failure here. Then the checker looks at what is left.

use anyhow::{Result, bail};

use crate::clients::{self, Database};
use crate::workspace::Workspace;

/// The minor version of the oldest Python 3 that it runs on.
pub(crate) const PYTHON_AT_LEAST: u32 = 11;
/// For how many seconds it asks, if nobody says otherwise.
pub(crate) const SECONDS: u32 = 45;

/// Ask a server whatever its OpenAPI document allows, and more, and compare the answers with it
#[derive(clap::Args)]
pub(crate) struct Described {
    /// For how long requests are made
    #[arg(long, default_value_t = SECONDS)]
    pub(crate) seconds: u32,
    /// From what requests are made: the same seed makes the same ones
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Described {
    /// Asks the server on the store that `ONHOOK_TEST_STORE` names.
    ///
    /// # Errors
    /// Python is missing, an answer is not as described, or the checker finds something.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        if let Some(why) = clients::no_python(workspace, PYTHON_AT_LEAST) {
            bail!("{why}");
        }
        self.on(workspace, &[onhook_cluster::chosen_database()?])
    }

    /// Asks a server for each database.
    ///
    /// # Errors
    /// As [`Described::run`].
    pub(crate) fn on(&self, workspace: &Workspace, databases: &[Database]) -> Result<()> {
        let client = workspace.root().join("tests/clients/described");
        let folder = clients::empty(workspace.scratch("clients/described"))?;
        let packages = clients::packages(workspace, &client, &folder)?;
        let mut test = workspace.command("python3");
        test.arg("-B").arg(client.join("described.py"));
        test.args([self.seconds.to_string(), self.seed.to_string()]);
        test.current_dir(&folder).env("PYTHONPATH", &packages).env("PYTHONNOUSERSITE", "1");
        clients::against_servers(workspace, &folder, test, databases)
    }
}
