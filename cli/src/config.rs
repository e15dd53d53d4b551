//! Configuration: a file, the environment and flags. Flags override the environment, which overrides the file.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use onhook_core::lifecycle::policy::{Policy, Profile};
use onhook_core::notify::subscription::Secret;
use onhook_core::report::nruf::PortedOut;
use onhook_core::report::rnd_file::{Column, DateFormat, NumberFormat};
use onhook_core::setting::{ReportSettings, Setting, Values};
use onhook_server::callback::IpNet;
use onhook_server::mail::MailSettings;
use onhook_wire::search::{TIER_MAX, VENDOR_NAME_MAX, Vendor};
use serde_json::{Value, json};

/// Most connections that can be set: more than a machine has ports.
const CONNECTIONS_MAX: usize = 1_000_000;
/// Most minutes that releases may wait after a start: a day.
const RELEASE_WAIT_MAX: u32 = 1_440;

/// How many seconds a lease may last.
const LEASE_SECONDS: std::ops::RangeInclusive<u32> = 2..=60;

/// `onhook.toml`. An unknown key is an error that names it.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Where to listen.
    #[serde(default, deserialize_with = "listen")]
    pub(crate) listen: Option<SocketAddr>,
    /// The folder with the data.
    pub(crate) data_dir: Option<PathBuf>,
    /// The database with the data, instead of a folder. The URL may contain its password.
    pub(crate) database_url: Option<String>,
    /// The socket for commands on this machine, instead of the one in the data folder.
    pub(crate) socket: Option<PathBuf>,
    /// Base of links and `Location` headers.
    pub(crate) public_url: Option<String>,
    /// Requests a second of one account in each group of routes. 0 is no limit.
    pub(crate) rate_limit: Option<u32>,
    /// Pool numbers that searches show one account in an hour. 0 is no limit.
    pub(crate) shown_limit: Option<u32>,
    /// The vendor's id in details of searches and orders.
    pub(crate) search_vendor_id: Option<u32>,
    /// The vendor's name in details of searches and orders.
    pub(crate) search_vendor_name: Option<String>,
    /// The tier of numbers in details of searches and orders.
    pub(crate) search_tier: Option<u8>,
    /// Most open connections.
    pub(crate) connections_max: Option<usize>,
    /// Minutes that releases wait after a start if much time has passed unseen.
    pub(crate) release_wait: Option<u32>,
    /// Seconds that a lease lasts: what one worker does for all nodes.
    pub(crate) lease_seconds: Option<u32>,
    /// The folder for backups.
    pub(crate) backup_dir: Option<PathBuf>,
    /// MiB of the disk that are kept free. With less, nothing new is taken.
    pub(crate) disk_reserve_mib: Option<u32>,
    /// Addresses that subscriptions may use though they are not public.
    #[serde(default)]
    pub(crate) callback_allow: Vec<IpNet>,
    /// Ports that subscriptions may use besides the usual ones.
    #[serde(default)]
    pub(crate) callback_ports: Vec<u16>,
    /// Whether subscriptions may use plain HTTP.
    #[serde(default)]
    pub(crate) callback_http: bool,
    /// The mail server. The URL may contain its password.
    pub(crate) smtp_url: Option<String>,
    /// The sender of mails.
    pub(crate) smtp_from: Option<String>,
    /// The time zone whose days a regulated hold counts.
    pub(crate) time_zone: Option<String>,
    /// Who reports disconnects, if a request does not say: 3 to 10 letters and digits.
    pub(crate) rnd_company: Option<String>,
    /// The first line of a file of disconnects. Empty for none.
    pub(crate) rnd_header: Option<String>,
    /// Its columns.
    pub(crate) rnd_columns: Option<Vec<Column>>,
    /// How it writes days.
    pub(crate) rnd_date_format: Option<DateFormat>,
    /// How it writes numbers.
    pub(crate) rnd_tn_format: Option<NumberFormat>,
    /// Its name.
    pub(crate) rnd_file_name: Option<String>,
    /// Most lines that it has.
    pub(crate) rnd_row_limit: Option<u32>,
    /// The day of a month through which its report has everything.
    pub(crate) rnd_cutoff_day: Option<i8>,
    /// The carrier's code in the use of numbers.
    pub(crate) nruf_ocn: Option<String>,
    /// Blocks with at most so many percent of their numbers taken are to be given back.
    pub(crate) nruf_donate_percent: Option<u8>,
    /// What a number is counted as that went to another carrier.
    pub(crate) nruf_ported_out: Option<PortedOut>,
    /// Hold profiles. They replace built-in ones of the same name.
    #[serde(default)]
    pub(crate) profiles: Vec<Profile>,
}

impl File {
    /// Reads a file. Without one, nothing is set.
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} cannot be used", path.display()))
    }

    /// Returns how reports for regulators are made.
    pub(crate) fn reports(&self) -> anyhow::Result<ReportSettings> {
        let mut values = Values::default();
        for (setting, value) in self.of_reports() {
            values.set(setting, &value).map_err(|rule| anyhow::anyhow!("{setting} is {value}: {rule}"))?;
        }
        if self.rnd_header.is_some()
            && self.rnd_columns.is_some()
            && let Some(told) = values.reports.rnd_form.mismatch()
        {
            anyhow::bail!(told);
        }
        Ok(values.reports)
    }

    /// Returns what is set of how reports are made.
    pub(crate) fn of_reports(&self) -> Vec<(Setting, Value)> {
        let all = [
            (Setting::RndCompany, self.rnd_company.as_ref().map(|of| json!(of))),
            (Setting::RndHeader, self.rnd_header.as_ref().map(|of| json!(of))),
            (Setting::RndColumns, self.rnd_columns.as_ref().map(|of| json!(of))),
            (Setting::RndDateFormat, self.rnd_date_format.map(|of| json!(of))),
            (Setting::RndTnFormat, self.rnd_tn_format.map(|of| json!(of))),
            (Setting::RndFileName, self.rnd_file_name.as_ref().map(|of| json!(of))),
            (Setting::RndRowLimit, self.rnd_row_limit.map(|of| json!(of))),
            (Setting::RndCutoffDay, self.rnd_cutoff_day.map(|of| json!(of))),
            (Setting::NrufOcn, self.nruf_ocn.as_ref().map(|of| json!(of))),
            (Setting::NrufDonatePercent, self.nruf_donate_percent.map(|of| json!(of))),
            (Setting::NrufPortedOut, self.nruf_ported_out.map(|of| json!(of))),
        ];
        all.into_iter().filter_map(|(setting, value)| Some((setting, value?))).collect()
    }

    /// Returns those of the settings which operators change while a server runs that the file sets.
    pub(crate) fn sets(&self) -> Vec<Setting> {
        let limits = [
            (Setting::RateLimit, self.rate_limit.is_some()),
            (Setting::ShownLimit, self.shown_limit.is_some()),
        ];
        let limits = limits.into_iter().filter_map(|(setting, is_set)| is_set.then_some(setting));
        limits.chain(self.of_reports().into_iter().map(|(setting, _)| setting)).collect()
    }

    /// Returns the policy for holds.
    pub(crate) fn policy(&self, time_zone: Option<&str>) -> anyhow::Result<Policy> {
        let zone = time_zone.or(self.time_zone.as_deref()).unwrap_or("UTC");
        Ok(Policy::new(self.profiles.clone(), zone)?)
    }
}

/// Reads an address to listen on. Of a name's addresses it takes the first IPv4 one, if there is one.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let name = text
        .rsplit_once(':')
        .filter(|(name, port)| !name.is_empty() && !name.contains([':', '/']) && port.parse::<u16>().is_ok());
    let Some((name, _)) = name else {
        return Err("it is an address and a port, such as 127.0.0.1:9080 or localhost:9080".to_owned());
    };
    let found = text.to_socket_addrs().map_err(|error| format!("{name} leads to no address: {error}"))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("{name} leads to no address"))
}

fn listen<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Option<SocketAddr>, D::Error> {
    let text: String = serde::Deserialize::deserialize(text)?;
    address(&text).map(Some).map_err(serde::de::Error::custom)
}

/// Reads a whole number.
pub(crate) fn whole(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("it is a whole number from 0 to {}", u32::MAX))
}

/// Reads a port.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("it is a port, a whole number from 1 to {}", u16::MAX))
}

/// Reads one of the words of an enum. A shell can complete them.
pub(crate) fn word<T>(all: &'static [T], of: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err: std::error::Error + Send + Sync + 'static> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|word| of(*word))).try_map(|text| text.parse::<T>())
}

/// The user who asks a server over the network. Not a flag: others on the machine can read flags.
pub(crate) const USER: &str = "ONHOOK_USER";
/// The user's password.
pub(crate) const PASSWORD: &str = "ONHOOK_PASSWORD";

/// The prefix of the environment variables that onhook reads.
const PREFIX: &str = "ONHOOK_";
/// Most letters by which an unknown variable may differ from the suggested one.
const SLIPS_MAX: usize = 3;

/// Returns remarks about variables with onhook's prefix that `command` does not know.
pub(crate) fn unknown_variables(
    command: &clap::Command,
    set: impl Iterator<Item = std::ffi::OsString>,
) -> Vec<String> {
    let mut known = BTreeSet::from([USER, PASSWORD].map(str::to_owned));
    name_variables(command, &mut known);
    let mut remarks: Vec<String> = set
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .map(|name| {
            let near = known.iter().map(|known| (strsim::damerau_levenshtein(known, &name), known)).min();
            match near.filter(|(slips, _)| *slips <= SLIPS_MAX) {
                Some((_, near)) => format!("the variable {name} is ignored: is {near} meant?"),
                None => format!("the variable {name} is ignored: onhook has no such setting"),
            }
        })
        .collect();
    remarks.sort();
    remarks
}

fn name_variables(command: &clap::Command, known: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(names.map(|name| name.to_string_lossy().into_owned()));
    for command in command.get_subcommands() {
        name_variables(command, known);
    }
}

/// Returns the base of links, without a slash at its end.
pub(crate) fn base_url(text: &str) -> anyhow::Result<String> {
    let base = text.trim_end_matches('/');
    let plain = base.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
    let fits = reqwest::Url::parse(base)
        .is_ok_and(|url| plain && matches!(url.scheme(), "http" | "https") && url.has_host());
    anyhow::ensure!(fits, "the public URL {text:?} is none: it is one such as https://numbers.example.net");
    Ok(base.to_owned())
}

/// Converts MiB to bytes.
pub(crate) fn mib(mib: u32) -> u64 {
    u64::from(mib) << 20
}

/// Returns how many connections may be open at once.
pub(crate) fn connections(max: usize) -> anyhow::Result<usize> {
    anyhow::ensure!(
        (1..=CONNECTIONS_MAX).contains(&max),
        "connections_max is {max}: it is a number from 1 to {CONNECTIONS_MAX}"
    );
    Ok(max)
}

/// Returns how many milliseconds releases wait after a start.
pub(crate) fn release_wait_ms(minutes: u32) -> anyhow::Result<i64> {
    anyhow::ensure!(
        minutes <= RELEASE_WAIT_MAX,
        "release_wait is {minutes}: it is a number of minutes from 0 to {RELEASE_WAIT_MAX}"
    );
    Ok(i64::from(minutes) * 60_000)
}

/// Returns how long a lease lasts.
pub(crate) fn lease(seconds: u32) -> anyhow::Result<Duration> {
    anyhow::ensure!(
        LEASE_SECONDS.contains(&seconds),
        "lease_seconds is {seconds}: it is a number from {} to {}",
        LEASE_SECONDS.start(),
        LEASE_SECONDS.end()
    );
    Ok(Duration::from_secs(seconds.into()))
}

/// Returns the vendor in details of searches and orders. Values that are not set are those of the samples in the API's
/// documents.
pub(crate) fn vendor(id: Option<u32>, name: Option<String>, tier: Option<u8>) -> anyhow::Result<Vendor> {
    let samples = Vendor::default();
    let vendor = Vendor {
        id: id.unwrap_or(samples.id),
        name: name.unwrap_or(samples.name),
        tier: tier.unwrap_or(samples.tier),
    };
    anyhow::ensure!(
        (1..=VENDOR_NAME_MAX).contains(&vendor.name.chars().count())
            && !vendor.name.chars().any(char::is_control),
        "search_vendor_name is {:?}: it is a text of 1 to {VENDOR_NAME_MAX} characters",
        vendor.name
    );
    anyhow::ensure!(
        vendor.tier <= TIER_MAX,
        "search_tier is {}: it is a number from 0 to {TIER_MAX}",
        vendor.tier
    );
    Ok(vendor)
}

/// Returns the mail server and the sender: both or none.
pub(crate) fn mail(url: Option<String>, from: Option<String>) -> anyhow::Result<Option<MailSettings>> {
    match (url, from) {
        (None, None) => Ok(None),
        (Some(url), Some(from)) => Ok(Some(MailSettings { url: Secret::new(url), from })),
        (Some(_), None) => anyhow::bail!("a mail server needs a sender: say --smtp-from ADDRESS, too"),
        (None, Some(_)) => anyhow::bail!("a sender needs a mail server: say --smtp-url URL, too"),
    }
}

/// Returns the limit of a rate. 0 is no limit.
pub(crate) fn limit(rate: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(rate)
}
