//! The only place that prints: answers to standard output, remarks to standard error.

use std::io::{self, IsTerminal, Write};

/// Where a command writes.
pub(crate) struct Terminal {
    out: io::Stdout,
    progress: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { out: io::stdout(), progress: io::stderr().is_terminal() }
    }

    /// A line of the answer.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// The answer's stream, for what is not lines of text.
    pub(crate) fn stream(&mut self) -> &mut impl Write {
        &mut self.out
    }

    /// Something worth saying that is not the answer. One that cannot be said is let go.
    pub(crate) fn remark(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// A bar for something of this many steps; hidden where nobody looks.
    pub(crate) fn bar(&self, steps: Option<u64>) -> indicatif::ProgressBar {
        match (self.progress, steps) {
            (false, _) => indicatif::ProgressBar::hidden(),
            (true, Some(steps)) => indicatif::ProgressBar::new(steps),
            (true, None) => indicatif::ProgressBar::new_spinner(),
        }
    }
}

/// Whether an error is that nobody reads our output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    let csv_pipe = |e: &csv::Error| matches!(e.kind(), csv::ErrorKind::Io(e) if pipe(e));
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(pipe)
            || cause.downcast_ref::<csv::Error>().is_some_and(csv_pipe)
    })
}
