//! `onhook man`.

use std::path::PathBuf;

use anyhow::Context;

use crate::exit::Exit;
use crate::terminal::{Terminal, count};

/// Write the manual pages, one for each command
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook man --out /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The folder for them; made if it is not there
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: PathBuf,
}

impl Man {
    /// Writes the pages of the whole command line.
    pub(crate) fn run(self, line: clap::Command, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let folder = self.out;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let line = with_variables(line.disable_help_subcommand(true));
        clap_mangen::generate_to(line, &folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        let pages = std::fs::read_dir(&folder).map_or(0, |files| files.flatten().count());
        let pages = u64::try_from(pages).unwrap_or(u64::MAX);
        terminal.line(&format!("{} in {}", count(pages, "manual page"), folder.display()))?;
        Ok(Exit::Done)
    }
}

/// Returns the command line with each flag's variable in its help, which the pages would leave out.
fn with_variables(line: clap::Command) -> clap::Command {
    let named = |arg: clap::Arg| match (arg.get_env(), arg.get_help()) {
        (Some(name), Some(help)) => {
            let help = format!("{help} [env: {}]", name.display());
            arg.help(help)
        }
        _ => arg,
    };
    line.mut_args(named).mut_subcommands(with_variables)
}
