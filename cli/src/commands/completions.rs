//! `onhook completions`.

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Print a shell's completions
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook completions bash > /etc/bash_completion.d/onhook")]
pub(crate) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Prints the completions of the whole command line.
    pub(crate) fn run(self, mut line: clap::Command, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut line, "onhook", &mut text);
        std::io::Write::write_all(terminal.stream(), &text)?;
        Ok(Exit::Done)
    }
}
