//! One file for each command.

mod admin;
mod check;
mod completions;
mod csv_file;
mod demo;
mod explain;
mod export;
mod import;
mod import_exchanges;
mod migrate;
mod serve;

use std::path::Path;

use crate::config::File;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// What can be done.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Serve(Box<serve::Serve>),
    #[command(subcommand)]
    Admin(admin::Admin),
    Import(import::Import),
    ImportExchanges(import_exchanges::ImportExchanges),
    Export(export::Export),
    Check(check::Check),
    Migrate(migrate::Migrate),
    Explain(explain::Explain),
    Completions(completions::Completions),
}

impl Command {
    /// Runs the command. `line` is the whole command line, `config` a configuration file.
    pub(crate) async fn run(
        self,
        line: clap::Command,
        config: Option<&Path>,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        if let Command::Completions(completions) = self {
            return completions.run(line, terminal); // whatever the configuration is
        }
        let file = File::read(config)?;
        match self {
            Command::Demo(demo) => demo.run(&file, terminal).await,
            Command::Serve(serve) => serve.run(file, terminal).await,
            Command::Admin(admin) => admin.run(&file, terminal).await,
            Command::Import(import) => import.run(&file, terminal).await,
            Command::ImportExchanges(import) => import.run(&file, terminal).await,
            Command::Export(export) => export.run(&file, terminal).await,
            Command::Check(check) => check.run(&file, terminal).await,
            Command::Migrate(migrate) => migrate.run(terminal).await,
            Command::Explain(explain) => explain.run(&file, terminal).await,
            Command::Completions(_) => Ok(Exit::Done),
        }
    }
}
