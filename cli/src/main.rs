//! The `onhook` program: reads its arguments, runs one command, and says how it went.

mod commands;
mod config;
mod terminal;

use clap::Parser;

use crate::terminal::Terminal;

/// Requests are many small allocations on several threads, and the system's allocator takes an eighth of the
/// time of an accept (`onhook-bench --only accept`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the life of telephone numbers after someone hangs up for good
///
/// Exit status of every command: 0 done; 1 answered, but not all is well; 2 wrong usage, or it could not
/// be done.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Onhook {
    #[command(subcommand)]
    command: commands::Command,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Done.
    Done,
    /// Answered, but not all is well.
    NotWell,
}

fn main() -> std::process::ExitCode {
    // Whatever is made is for this user alone: it holds password hashes.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let onhook = Onhook::parse();
    let mut terminal = Terminal::new();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(onhook.command.run(&mut terminal)));
    match done {
        Ok(Exit::Done) => 0.into(),
        Ok(Exit::NotWell) => 1.into(),
        // Whoever read our output has seen enough.
        Err(error) if terminal::is_broken_pipe(&error) => 0.into(),
        Err(error) => {
            terminal.remark(&format!("onhook: {error:#}"));
            2.into()
        }
    }
}
