//! Do nodes that share a database lose nothing, and do nothing twice, whatever happens to them and to it?
//!
//! The tests themselves are `cli/tests/nodes.rs`; this mixes their faults for longer than the ordinary tests do, and
//! writes what was injected and lost into `docs/reliability.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::{self, Workspace};

/// The page, and the lines in it between which the table stands.
const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- cargo xtask nodes: begin -->\n";
const END: &str = "<!-- cargo xtask nodes: end -->";
const HEAD: &str = "\
| fault | runs | injected | orders accepted | of these, first unknown | lost | done twice | refused, but written | notifications lost or recorded twice | longest wait, s |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

#[derive(clap::Args)]
pub(crate) struct Nodes {
    /// For how many minutes the faults are mixed, after each has been tested by itself
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Takes the build of `cargo xtask test`, which is slower and need not be made
    #[arg(long)]
    dev: bool,
    /// Plays a run again: the seed that a failed run printed
    #[arg(long)]
    seed: Option<u64>,
}

impl Nodes {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let table = workspace.scratch("nodes").join("table");
        fs::create_dir_all(workspace.scratch("nodes"))?;
        fs::write(&table, "")?;
        let build: &[&str] = if self.dev { &["--workspace"] } else { &["--release", "-p", "onhook"] };
        let mut command = workspace.cargo(&[&["test", "--locked", "--test", "nodes"], build].concat());
        command.args(["--", "--include-ignored", "--nocapture", "--test-threads=1"]);
        command.env("ONHOOK_NODES_MINUTES", self.minutes.to_string()).env("ONHOOK_NODES_TABLE", &table);
        if let Some(seed) = self.seed {
            command.env("ONHOOK_SEED", seed.to_string());
        }
        if let Some(programs) = std::env::var_os("ONHOOK_POSTGRES_BIN") {
            command.env("ONHOOK_POSTGRES_BIN", programs);
        }
        let passed = workspace::run(&mut command);
        // Also what was lost belongs there, if a test failed.
        let lines = fs::read_to_string(&table)?;
        ensure!(!lines.is_empty(), "nothing was tested: are PostgreSQL's programs installed?");
        let page = workspace.root().join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("reading {PAGE}"))?;
        fs::write(page, with_table(&text, &summed(&lines)?, &self.words())?)?;
        passed
    }

    /// Returns the command as it is typed.
    fn words(&self) -> String {
        format!("cargo xtask nodes --minutes {}{}", self.minutes, if self.dev { " --dev" } else { "" })
    }
}

/// Returns the table, with the lines of the same fault as one: counts are added, of waits the longest stays.
fn summed(lines: &str) -> Result<String> {
    let mut rows: BTreeMap<&str, ([u64; 8], f64)> = BTreeMap::new();
    for line in lines.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [fault, counts @ .., longest] = cells.as_slice() else { continue };
        let (sums, most) = rows.entry(fault).or_default();
        sums[0] += 1;
        for (sum, count) in sums.iter_mut().skip(1).zip(counts) {
            *sum += count.parse::<u64>().with_context(|| format!("no count in {line}"))?;
        }
        *most = most.max(longest.parse().unwrap_or(0.0));
    }
    let mut table = HEAD.to_owned();
    for (fault, (sums, longest)) in rows {
        let sums: Vec<String> = sums.iter().map(u64::to_string).collect();
        let longest = if longest > 0.0 { format!("{longest:.1}") } else { "–".to_owned() };
        writeln!(table, "| {fault} | {} | {longest} |", sums.join(" | "))?;
    }
    Ok(table)
}

/// Returns the page with another table.
fn with_table(page: &str, table: &str, command: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no {}", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no {END}"))?;
    Ok(format!("{before}{BEGIN}\n`{command}` wrote this table.\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_fault_are_one_row_of_sums_and_the_longest_wait() {
        let lines = "| a | 1 | 10 | 2 | 0 | 0 | 0 | 0 | 2.4 |\n| a | 2 | 20 | 1 | 1 | 0 | 0 | 0 | 2.1 |\n\
                     | b | 0 | 5 | 0 | 0 | 0 | 0 | 0 |  |\n";
        let table = summed(lines).unwrap();
        let rows =
            "| a | 2 | 3 | 30 | 3 | 1 | 0 | 0 | 0 | 2.4 |\n| b | 1 | 0 | 5 | 0 | 0 | 0 | 0 | 0 | – |\n";
        assert_eq!(table, format!("{HEAD}{rows}"));
        let page = format!("# A\n\n{BEGIN}old\n{END}\nend\n");
        let written = with_table(&page, &table, "cargo xtask nodes").unwrap();
        assert!(
            written.contains(rows) && !written.contains("old") && written.ends_with("\nend\n"),
            "{written}"
        );
        assert_eq!(with_table(&written, &table, "cargo xtask nodes").unwrap(), written);
    }
}
