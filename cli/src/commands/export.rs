//! `onhook export`.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::{Date, Timestamp};

use crate::client::Ask;
use crate::config::{File, word};
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{Recorded, Session};
use crate::stop::Stop;
use crate::terminal::{Terminal, Unit};

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Numbers, in the form that import reads
    Numbers,
    /// The periods for which accounts pay for numbers
    Periods,
}

/// Write all numbers as CSV, in the form that import reads; or the periods for which accounts pay for them
///
/// It is read in pages while orders go on. A number that is soft-removed is written like any aging one: an
/// import does not know that it was to leave. An export is recorded.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook export --out numbers.csv --data-dir /var/lib/onhook",
    mut_arg("json", |json| json.hide(true))
)]
pub(crate) struct Export {
    /// What is exported
    #[arg(value_enum, default_value_t = What::Numbers)]
    what: What,
    /// The file to write, which gets its name when it is whole [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Only those of this account
    #[arg(long)]
    account: Option<AccountId>,
    /// Only numbers in this state; may be said again
    #[arg(long, value_delimiter = ',', value_parser = word(State::ALL, State::word))]
    state: Vec<State>,
    /// Only numbers that begin with these digits, with the country code
    #[arg(long, value_name = "DIGITS")]
    prefix: Option<String>,
    /// Only periods that end after this instant, or the beginning of this day
    #[arg(long, value_name = "INSTANT|DAY", value_parser = moment)]
    from: Option<String>,
    /// Only periods that begin before this instant, or the beginning of this day
    #[arg(long, value_name = "INSTANT|DAY", value_parser = moment)]
    until: Option<String>,
    #[command(flatten)]
    recorded: Recorded,
}

/// Reads an instant or a day, which begins in the server's time zone.
fn moment(text: &str) -> Result<String, &'static str> {
    let is_day = text.len() == "2027-01-01".len() && text.parse::<Date>().is_ok();
    if is_day || text.parse::<Timestamp>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("it is a day such as 2027-01-01, or an instant such as 2027-01-01T00:00:00.000Z")
    }
}

impl Export {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { what, out, account, state, prefix, from, until, recorded } = self;
        recorded.answers_csv()?;
        let states: Vec<&str> = state.iter().map(|state| state.word()).collect();
        let (path, unit) = match what {
            What::Numbers => {
                anyhow::ensure!(from.is_none() && until.is_none(), "--from and --until are for periods");
                ("exports/numbers", Unit::Of("numbers"))
            }
            What::Periods => {
                let narrowed = !states.is_empty() || prefix.is_some();
                anyhow::ensure!(!narrowed, "--state and --prefix are for numbers");
                ("exports/periods", Unit::Of("periods"))
            }
        };
        let ask = Ask::get(path)
            .with("state", (!states.is_empty()).then(|| states.join(",")))
            .with("account", account)
            .with("prefix", prefix)
            .with("from", from)
            .with("until", until);
        let exported = async |session: &mut Session<'_>| {
            save(session, &ask, out.as_deref(), (unit, None)).await?;
            Ok(Exit::Done)
        };
        recorded.run(config, terminal, exported).await
    }
}

/// Writes what is asked for to a file, or to standard output, and counts its lines in a bar.
pub(super) async fn save(
    session: &mut Session<'_>,
    ask: &Ask,
    out: Option<&Path>,
    (unit, total): (Unit, Option<u64>),
) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let mut output = Output::open(out)?;
    let (numbers, mut parts) = session.stream(ask, None).await?;
    let bar = if output.is_watched(session.terminal) {
        indicatif::ProgressBar::hidden()
    } else {
        session.terminal.bar(&unit, total.or(numbers))
    };
    loop {
        let part = tokio::select! {
            part = parts.next() => part,
            () = stop.asked() => anyhow::bail!("interrupted: what was written is not whole"),
        };
        let Some(part) = part.transpose()? else { break };
        let lines = part.iter().filter(|byte| **byte == b'\n').count();
        bar.inc(u64::try_from(lines).unwrap_or_default());
        output.write(session.terminal, &part)?;
    }
    bar.finish_and_clear();
    output.end(session.terminal)
}
