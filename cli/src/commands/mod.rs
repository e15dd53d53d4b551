//! One file for each command.

mod acts;
mod admin;
mod areas;
mod audit;
mod backup;
mod call;
mod check;
mod completions;
mod deliveries;
mod demo;
mod emulator;
mod events;
mod explain;
mod export;
mod file_import;
mod forecast;
mod import;
mod import_exchanges;
mod man;
mod migrate;
mod numbers;
mod orders;
mod planned;
mod plans;
mod rate;
mod report;
mod restore;
mod serve;
mod settings;
mod status;
mod undo;

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
    Backup(backup::Backup),
    #[command(subcommand)]
    Audit(audit::Audit),
    Migrate(migrate::Migrate),
    Numbers(numbers::Numbers),
    Restore(restore::Restore),
    Explain(explain::Explain),
    Disconnect(acts::Disconnect),
    Reconnect(acts::Reconnect),
    Move(acts::Move),
    Purge(acts::Purge),
    Lock(acts::Lock),
    Unlock(acts::Unlock),
    Extend(acts::Extend),
    Keep(acts::Keep),
    Unkeep(acts::Unkeep),
    Release(acts::Release),
    #[command(subcommand)]
    Plans(plans::Plans),
    Orders(orders::Orders),
    Status(status::StatusOf),
    Undo(undo::Undo),
    Areas(areas::Areas),
    Forecast(forecast::ForecastOf),
    Call(call::CallTo),
    Rate(rate::Rate),
    #[command(subcommand)]
    Report(report::Report),
    Events(events::Events),
    ChangedHands(events::ChangedHands),
    Deliveries(deliveries::Deliveries),
    Settings(settings::Settings),
    TrustClock(settings::TrustClock),
    #[command(subcommand)]
    Emulator(emulator::Emulator),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs the command. `line` is the whole command line, `said` what was said on it, `config` a configuration file.
    pub(crate) async fn run(
        self,
        (line, said): (clap::Command, &clap::ArgMatches),
        config: Option<&Path>,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        match self {
            // Whatever the configuration is.
            Command::Completions(completions) => return completions.run(line, terminal),
            Command::Man(man) => return man.run(line, terminal),
            _ => {}
        }
        let file = File::read(config)?;
        match self {
            Command::Demo(demo) => demo.run(&file, terminal).await,
            Command::Serve(serve) => serve.run(file, said.subcommand_matches("serve"), terminal).await,
            Command::Admin(admin) => admin.run(&file, terminal).await,
            Command::Import(import) => import.run(&file, terminal).await,
            Command::ImportExchanges(import) => import.run(&file, terminal).await,
            Command::Export(export) => export.run(&file, terminal).await,
            Command::Audit(audit) => audit.run(&file, terminal).await,
            Command::Check(check) => check.run(&file, terminal).await,
            Command::Backup(backup) => backup.run(&file, terminal).await,
            Command::Migrate(migrate) => migrate.run(terminal).await,
            Command::Numbers(numbers) => numbers.run(&file, terminal).await,
            Command::Restore(restore) => restore.run(terminal).await,
            Command::Explain(explain) => explain.run(&file, terminal).await,
            Command::Disconnect(disconnect) => disconnect.run(&file, terminal).await,
            Command::Reconnect(reconnect) => reconnect.run(&file, terminal).await,
            Command::Move(moved) => moved.run(&file, terminal).await,
            Command::Purge(purge) => purge.run(&file, terminal).await,
            Command::Lock(lock) => lock.run(&file, terminal).await,
            Command::Unlock(unlock) => unlock.run(&file, terminal).await,
            Command::Extend(extend) => extend.run(&file, terminal).await,
            Command::Keep(keep) => keep.run(&file, terminal).await,
            Command::Unkeep(unkeep) => unkeep.run(&file, terminal).await,
            Command::Release(release) => release.run(&file, terminal).await,
            Command::Plans(plans) => plans.run(&file, terminal).await,
            Command::Orders(orders) => orders.run(&file, terminal).await,
            Command::Status(status) => status.run(&file, terminal).await,
            Command::Undo(undo) => undo.run(&file, terminal).await,
            Command::Areas(areas) => areas.run(&file, terminal).await,
            Command::Forecast(forecast) => forecast.run(&file, terminal).await,
            Command::Rate(rate) => rate.run(&file, terminal).await,
            Command::Call(call) => call.run(&file, terminal).await,
            Command::Report(report) => report.run(&file, terminal).await,
            Command::Events(events) => events.run(&file, terminal).await,
            Command::ChangedHands(asked) => asked.run(&file, terminal).await,
            Command::Deliveries(deliveries) => deliveries.run(&file, terminal).await,
            Command::Settings(settings) => settings.run(&file, terminal).await,
            Command::TrustClock(trust) => trust.run(&file, terminal).await,
            Command::Emulator(emulator) => emulator.run(&file, terminal).await,
            Command::Completions(_) | Command::Man(_) => Ok(Exit::Done),
        }
    }
}
