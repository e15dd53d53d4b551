//! The machine that the figures were measured on, read from it at run time.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::measure::float;

const FLUSHES: usize = 200;

/// Returns the facts, in the order in which they are shown.
pub(crate) fn facts(dir: &Path) -> Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string());
    Ok(vec![
        ("date", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("onhook", version()),
        ("processor", field("/proc/cpuinfo", "model name").unwrap_or_else(unknown)),
        ("cores", cores),
        ("memory", field("/proc/meminfo", "MemTotal").map_or_else(unknown, gibibytes)),
        ("kernel", read("/proc/sys/kernel/osrelease").unwrap_or_else(unknown)),
        ("file system", file_system(dir).unwrap_or_else(unknown)),
        ("a durable 4 KiB append", format!("{:.2} ms", flush(dir)?.as_secs_f64() * 1e3)),
        ("load before the run", load().map_or_else(unknown, |load| format!("{load:.2}"))),
        ("SQLite", rusqlite::version().to_owned()),
        ("compiler", said("rustc", &["--version"])),
    ])
}

/// Returns how many processes wanted a core in the last minute. Other processes affect every figure.
pub(crate) fn load() -> Option<f64> {
    read("/proc/loadavg")?.split(' ').next()?.parse().ok()
}

/// What the machine's host and kernel have taken since the machine started (proc(5), `/proc/stat` and `/proc/vmstat`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// Ticks of all processors, and those in which the host ran something else.
    ticks: u64,
    stolen: u64,
    /// Pages of files that were dropped from memory and had to be read again.
    read_again: u64,
}

impl Taken {
    pub(crate) fn now() -> Self {
        let ticks: Vec<u64> = read("/proc/stat")
            .and_then(|stat| stat.lines().next().map(str::to_owned))
            .map(|line| line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect())
            .unwrap_or_default();
        let read_again = read("/proc/vmstat").and_then(|counts| {
            counts.lines().find_map(|line| line.strip_prefix("workingset_refault_file ")?.parse().ok())
        });
        Self {
            ticks: ticks.iter().take(8).sum(), // those after are counted in the first ones, too
            stolen: ticks.get(7).copied().unwrap_or_default(),
            read_again: read_again.unwrap_or_default(),
        }
    }

    /// Returns the facts of what has been taken since `before`. They make the slowest answers slower, of whatever server.
    pub(crate) fn since(self, before: Self) -> [(&'static str, String); 2] {
        let part = |part: u64, of: u64| 100.0 * float(part) / float(of.max(1));
        let stolen = part(self.stolen.saturating_sub(before.stolen), self.ticks.saturating_sub(before.ticks));
        [
            ("processor time that the host took meanwhile", format!("{stolen:.2} %")),
            (
                "pages of files that the kernel dropped and read again meanwhile",
                self.read_again.saturating_sub(before.read_again).to_string(),
            ),
        ]
    }
}

/// Refuses a folder in memory: data there is never durable.
pub(crate) fn ensure_disk(dir: &Path) -> Result<()> {
    let system = file_system(dir).unwrap_or_else(unknown);
    ensure!(
        !["tmpfs", "ramfs"].contains(&system.as_str()),
        "{} is in memory ({system}), where nothing is durable: use --dir",
        dir.display()
    );
    Ok(())
}

/// Returns the type of the file system that holds `dir`: that of the longest mount point above it.
fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| dir.starts_with(point))
        .max_by_key(|(point, _)| point.len()) // the later of two on one point, which hides the other
        .map(|(_, system)| system.to_owned())
}

/// Returns the median time until an append is on disk. Microseconds mean that the disk doesn't wait, and that no
/// figure for durable work is worth much.
fn flush(dir: &Path) -> Result<Duration> {
    let path = dir.join("flush");
    let mut file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let began = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[FLUSHES / 2])
}

fn version() -> String {
    let build = if cfg!(debug_assertions) { ", NOT A RELEASE BUILD" } else { "" };
    let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=10"]);
    format!("{} ({commit}{build})", env!("CARGO_PKG_VERSION"))
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(unknown, |said| said.trim().to_owned())
}

/// Lets a process's highest use of memory be counted anew.
pub(crate) fn forget_peak(process: u32) -> Result<()> {
    let path = format!("/proc/{process}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("writing {path}"))
}

/// Returns the most memory that a process had at once, in KiB.
pub(crate) fn peak(process: u32) -> Result<u64> {
    let said = field(&format!("/proc/{process}/status"), "VmHWM").context("the server has ended")?;
    said.trim_end_matches(" kB").parse().with_context(|| format!("reading {said}"))
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path)?;
    let (_, value) =
        text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

fn gibibytes(kibibytes: String) -> String {
    let count = kibibytes.split(' ').next().and_then(|count| count.parse::<u32>().ok());
    count.map_or(kibibytes, |count| format!("{:.1} GiB", f64::from(count) / f64::from(1 << 20)))
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
