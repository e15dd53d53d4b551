//! The `onhook` program: reads its arguments, runs one command, and reports how it ended.

mod client;
mod commands;
mod config;
mod exit;
mod jobs;
mod output;
mod reach;
mod session;
mod stop;
mod table;
mod target;
mod terminal;

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::client::Problem;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// Requests make many small allocations on several threads. The system's allocator takes an eighth of the time of an
/// accept (`onhook-bench --only accept`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the life of telephone numbers after someone hangs up for good
///
/// Exit status of every command: 0 done; 1 done, but not all is well, or refused; 2 wrong usage, or it could
/// not be done.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Onhook {
    /// A configuration file (TOML); flags and ONHOOK_ variables go before it
    #[arg(long, value_name = "FILE", env = "ONHOOK_CONFIG", global = true, value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: commands::Command,
}

/// Returns the command line. Each value may be a negative number, so that an error says which values are allowed, not
/// that there is no such flag.
fn command() -> clap::Command {
    fn negative(command: clap::Command) -> clap::Command {
        let allow = |arg: clap::Arg| {
            let takes_values = arg.get_action().takes_values();
            arg.allow_negative_numbers(takes_values)
        };
        command.mut_args(allow).mut_subcommands(negative)
    }
    negative(Onhook::command())
}

fn main() -> std::process::ExitCode {
    // All files that onhook makes are for this user alone: the store holds password hashes.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Only fails if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let command = command();
    let matches = command.clone().get_matches();
    let onhook = Onhook::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut terminal = Terminal::new();
    for remark in config::unknown_variables(&command, std::env::vars_os().map(|(name, _)| name)) {
        terminal.remark(&format!("onhook: {remark}"));
    }
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let done = onhook.command.run((command, &matches), onhook.config.as_deref(), &mut terminal);
            let done = runtime.block_on(done);
            runtime.shutdown_background(); // a read of standard input may still wait for its end
            done
        });
    match done {
        Ok(Exit::Done) => 0.into(),
        Ok(Exit::NotWell) => 1.into(),
        // The reader of our output has stopped reading.
        Err(error) if terminal::is_broken_pipe(&error) => 0.into(),
        Err(error) => {
            terminal.remark(&format!("onhook: {error:#}"));
            let problem = error.downcast_ref::<Problem>();
            for line in problem.map(Problem::lines).unwrap_or_default() {
                terminal.remark(&line);
            }
            if problem.is_some_and(Problem::is_refusal) { 1.into() } else { 2.into() }
        }
    }
}
