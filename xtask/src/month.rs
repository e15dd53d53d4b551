//! Does a second program, which shares no code with the server, count what the server reports after weeks of work?
//!
//! The test itself is `cli/tests/month.rs`; this runs it with more numbers than the ordinary tests do.

use anyhow::Result;

use crate::workspace::{self, Workspace};

#[derive(clap::Args)]
pub(crate) struct Month {
    /// How many numbers there are
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    numbers: u32,
    /// Plays a run again: the seed that a failed run printed
    #[arg(long)]
    seed: Option<u64>,
}

impl Month {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let mut command =
            workspace.cargo(&["test", "--release", "--locked", "-p", "onhook", "--test", "month"]);
        command.args(["--", "--nocapture"]);
        command.env("ONHOOK_MONTH_NUMBERS", self.numbers.to_string());
        if let Some(seed) = self.seed {
            command.env("ONHOOK_SEED", seed.to_string());
        }
        workspace::run(&mut command)
    }
}
