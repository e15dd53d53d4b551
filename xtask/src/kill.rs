//! Does everything that was answered with a 2xx survive the process being killed, many times over?
//!
//! The test itself is `cli/tests/kill.rs`; this runs it for longer than the ordinary tests do.

use anyhow::Result;

use crate::workspace::{self, Workspace};

#[derive(clap::Args)]
pub(crate) struct Kill {
    /// How many times the server is killed
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Plays a run again: the seed that a failed run printed
    #[arg(long)]
    seed: Option<u64>,
}

impl Kill {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let mut command =
            workspace.cargo(&["test", "--release", "--locked", "-p", "onhook", "--test", "kill"]);
        command.args(["--", "--nocapture"]);
        command.env("ONHOOK_KILL_ROUNDS", self.rounds.to_string());
        if let Some(seed) = self.seed {
            command.env("ONHOOK_SEED", seed.to_string());
        }
        workspace::run(&mut command)
    }
}
