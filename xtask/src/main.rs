//! The developers' chores: `cargo xtask VERB`, one verb a chore, one file a verb.
//!
//! `cargo xtask test` is everything that a machine checks before a change is accepted, so what is green
//! here is green there. Not here: anything the `onhook` binary needs in order to be built or to run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

mod arrows;
mod clients;
mod deny;
mod described;
mod docs;
mod floors;
mod kill;
mod month;
mod nodes;
mod package;
mod pytest;
mod snapshots;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use workspace::Workspace;

/// The developers' chores
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
enum Chore {
    /// Check everything, exactly as continuous integration does
    ///
    /// Stops at the first step that fails. The last line says how many passed and how many failed.
    Test,
    /// Check that no crate uses what the diagram forbids, and no file one that stands above it
    Arrows,
    /// Run real client libraries against a server started for them, and the fixture for pytest
    Clients,
    /// Ask a server whatever its OpenAPI document allows, and more, and compare the answers with it
    Described(described::Described),
    /// Kill a busy server again and again, and check what it left each time
    Kill(kill::Kill),
    /// Let a million numbers live for weeks, and count again what the server reported
    Month(month::Month),
    /// Do nodes that share a database harm for minutes, and write what was lost into docs/reliability.md
    Nodes(nodes::Nodes),
    /// Write the pages that are made from the code
    Docs(docs::Docs),
    /// Build the wheel, the npm package and the folder for an image
    Package(package::Package),
    /// Check licences, banned crates and where dependencies come from
    Deny(deny::Deny),
}

fn main() -> ExitCode {
    match run(&Chore::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Test => return Ok(test::run(&workspace)),
        Chore::Arrows => {
            arrows::run(&workspace)?;
            floors::run(&workspace)?;
        }
        Chore::Clients => {
            clients::run(&workspace)?;
            pytest::run(&workspace)?;
        }
        Chore::Described(described) => described.run(&workspace)?,
        Chore::Kill(kill) => kill.run(&workspace)?,
        Chore::Month(month) => month.run(&workspace)?,
        Chore::Nodes(nodes) => nodes.run(&workspace)?,
        Chore::Docs(docs) => docs.run(&workspace)?,
        Chore::Package(package) => package.run(&workspace)?,
        Chore::Deny(deny) => deny.run(&workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}
