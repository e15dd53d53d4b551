//! The only place that prints: answers to standard output, remarks to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar moves while its count stands still.
const TICK: Duration = Duration::from_millis(250);

/// How often a log is told how far a command is.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Where a command writes.
pub(crate) struct Terminal {
    out: io::Stdout,
    progress: bool,
}

/// What a bar counts.
pub(crate) enum Unit {
    /// Bytes, shown in KiB, MiB and so on.
    Bytes,
    /// Things with this name, in the plural.
    Of(&'static str),
    /// Nothing that is known: only how long it has taken, and what is done.
    Time(&'static str),
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { out: io::stdout(), progress: io::stderr().is_terminal() }
    }

    /// Prints a line of the answer.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Returns the answer's stream, for output that is not lines of text.
    pub(crate) fn stream(&mut self) -> &mut impl Write {
        &mut self.out
    }

    /// Returns whether the answer is shown on a terminal, where a bar would be in its way.
    pub(crate) fn is_watched(&self) -> bool {
        self.out.is_terminal()
    }

    /// Returns how many characters fit in a line, if the answer is shown on a terminal.
    pub(crate) fn width(&self) -> Option<u16> {
        let shown = self.out.is_terminal().then(|| terminal_size::terminal_size_of(&self.out))?;
        shown.map(|(width, _)| width.0)
    }

    /// Prints a remark that is not part of the answer. An error in printing it is ignored.
    pub(crate) fn remark(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Returns a function that prints a remark on what is done, of how much, once a minute: in the log of a command that
    /// takes hours. It prints nothing where a bar is shown.
    pub(crate) fn told(&self, what: &'static str) -> impl Fn(u64, u64) + Send + Sync + use<> {
        let (is_silent, last) = (self.progress, Mutex::new(Instant::now()));
        move |done, total| {
            let Ok(mut last) = last.lock() else { return };
            if !is_silent && last.elapsed() >= TOLD_EVERY {
                *last = Instant::now();
                let _ = writeln!(io::stderr(), "{done} of {total} {what}");
            }
        }
    }

    /// Returns a bar for this many units, with its rate and the time left. It is hidden if standard error is not a
    /// terminal.
    pub(crate) fn bar(&self, unit: &Unit, total: Option<u64>) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(
            ProgressStyle::with_template(&template(unit, total.is_some())).expect("the templates are tested"),
        );
        bar.tick(); // drawn once, however soon the command ends
        bar.enable_steady_tick(TICK);
        bar
    }
}

/// Returns the format of a bar.
fn template(unit: &Unit, known: bool) -> String {
    match (unit, known) {
        (Unit::Bytes, true) => {
            "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left".to_owned()
        }
        (Unit::Bytes, false) => "{spinner} {binary_bytes}, {binary_bytes_per_sec}".to_owned(),
        (Unit::Time(what), _) => format!("{{spinner}} {what}, {{elapsed}}"),
        (Unit::Of(what), true) => {
            format!("{{wide_bar}} {{human_pos}} of {{human_len}} {what}, {{per_sec:0}}, {{eta}} left")
        }
        (Unit::Of(what), false) => format!("{{spinner}} {{human_pos}} {what}, {{per_sec}}"),
    }
}

/// Returns a number with its thing, such as `1 line` or `2 lines`.
pub(crate) fn count<N: Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Returns whether an error means that nobody reads our output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(pipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_unit_and_its_rate() {
        for (unit, known, wanted) in [
            (Unit::Bytes, true, "binary_bytes_per_sec}, {eta} left"),
            (Unit::Bytes, false, "binary_bytes_per_sec}"),
            (Unit::Of("numbers"), true, "{human_len} numbers, {per_sec:0}, {eta} left"),
            (Unit::Of("numbers"), false, "numbers, {per_sec}"),
            (Unit::Time("it is copied"), false, "it is copied, {elapsed}"),
        ] {
            let template = template(&unit, known);
            assert!(template.contains(wanted), "{template}");
            ProgressStyle::with_template(&template).expect("it is well formed");
        }
    }

    #[test]
    fn one_thing_is_singular() {
        let told = [count(0_u64, "line"), count(1_u64, "line"), count(2_u64, "line")];
        assert_eq!(told, ["0 lines", "1 line", "2 lines"]);
    }
}
