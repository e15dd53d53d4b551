//! Is the workspace fit to be shared? The steps of continuous integration, in its order.

use std::fmt::Write as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;
use onhook_cluster::{Binaries, Cluster};

use crate::clients::Database;
use crate::snapshots::Opened;
use crate::workspace::{self, Workspace};
use crate::{arrows, clients, deny, described, docs, floors, package, pytest};

/// What is checked: the cheapest first, and what later steps build on before them.
const STEPS: &[Step<Workspace>] = &[
    Step { name: "formatting", run: formatting },
    Step { name: "arrows", run: |workspace| arrows::run(workspace).map(|()| Outcome::Passed) },
    Step { name: "floors", run: |workspace| floors::run(workspace).map(|()| Outcome::Passed) },
    Step { name: "clippy", run: clippy },
    Step { name: "tests", run: tests },
    Step { name: "on PostgreSQL", run: tests_on_postgres },
    Step { name: "docs", run: pages },
    Step { name: "onhook binary", run: |workspace| workspace.build_onhook().map(|_| Outcome::Passed) },
    Step { name: "node client", run: node_client },
    Step { name: "python client", run: python_client },
    Step { name: "pytest fixture", run: pytest_fixture },
    Step { name: "as described", run: described },
    Step { name: "packages", run: packages },
    Step { name: "deny", run: dependencies },
];

struct Step<On> {
    name: &'static str,
    run: fn(&On) -> Result<Outcome>,
}

/// How a step that did not fail ended.
#[derive(Debug)]
enum Outcome {
    Passed,
    /// Nothing was checked, for this reason.
    Skipped(String),
}

struct Report {
    name: &'static str,
    result: Result<Outcome>,
    took: Duration,
}

/// Runs the steps. The last line on standard output is `N passed, N failed`, whatever happened.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let reports = walk(STEPS, workspace);
    print!("\n{}", summary(STEPS, &reports));
    match reports.iter().any(|report| report.result.is_err()) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Runs one step after the other, up to and including the first that fails.
fn walk<On>(steps: &[Step<On>], on: &On) -> Vec<Report> {
    let mut reports = Vec::new();
    for step in steps {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let result = (step.run)(on);
        match &result {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::Skipped(reason)) => println!("skipped: {reason}"),
            Err(error) => eprintln!("error: {error:#}"),
        }
        let failed = result.is_err();
        reports.push(Report { name: step.name, result, took: start.elapsed() });
        if failed {
            break;
        }
    }
    reports
}

/// One line a step, then the closing line. A step that was skipped counts as neither.
fn summary<On>(steps: &[Step<On>], reports: &[Report]) -> String {
    let mut text = String::new();
    let mut line =
        |name: &str, what: &str| writeln!(text, "{name:<14} {what}").expect("a String takes any text");
    let (mut passed, mut failed) = (0, 0);
    for Report { name, result, took } in reports {
        let seconds = took.as_secs_f64();
        match result {
            Ok(Outcome::Passed) => {
                passed += 1;
                line(name, &format!("passed   {seconds:>7.1} s"));
            }
            Ok(Outcome::Skipped(reason)) => line(name, &format!("skipped  {reason}")),
            Err(_) => {
                failed += 1;
                line(name, &format!("FAILED   {seconds:>7.1} s"));
            }
        }
    }
    for step in &steps[reports.len()..] {
        line(step.name, "not run");
    }
    text + &format!("{passed} passed, {failed} failed\n")
}

fn formatting(workspace: &Workspace) -> Result<Outcome> {
    workspace::run(&mut workspace.cargo(&["fmt", "--all", "--", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy(workspace: &Workspace) -> Result<Outcome> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    workspace::run(&mut workspace.cargo(&arguments))?;
    Ok(Outcome::Passed)
}

/// Every test of every crate: unit, property, golden, conformance, end to end, and documentation.
fn tests(workspace: &Workspace) -> Result<Outcome> {
    let mut command = cargo_test(workspace, &["--workspace"]);
    let opened = Opened::by(&mut command, workspace)?;
    workspace::run(&mut command)?;
    opened.refuse_others(workspace)?;
    Ok(Outcome::Passed)
}

/// The tests of the command line, by their files: true for those that are run on each store. The others are about a
/// folder, about nodes on a database, or about a server in memory, or they run on both stores by themselves. `kill` has
/// its like among the nodes, which are killed on a database.
const OF_THE_COMMAND_LINE: &[(&str, bool)] = &[
    ("audit", false),
    ("commands", true),
    ("databases", false),
    ("demo", true),
    ("disk", false),
    ("documents", false),
    ("files", true),
    ("jobs", true),
    ("kill", false),
    ("migrate", false),
    ("month", true),
    ("nodes", false),
    ("plans", true),
    ("proxies", false),
    ("reach", true),
    ("suite", false),
    ("suites", false),
    ("switches", true),
    ("told", true),
];

/// The server's tests once more, with their data in a database, and those of the command line: each answer has to be the
/// same. A test that is about a folder ends at its first line there.
fn tests_on_postgres(workspace: &Workspace) -> Result<Outcome> {
    if let Err(why) = Binaries::find() {
        return Ok(Outcome::Skipped(format!("{why:#}")));
    }
    // The whole workspace, as the step before: for a part of it, what it needs would be built once more.
    let mut which = vec!["--workspace", "--test", "main"];
    let of_each = OF_THE_COMMAND_LINE.iter().filter(|(_, each)| *each);
    which.extend(of_each.flat_map(|(file, _)| ["--test", file]));
    workspace::run(cargo_test(workspace, &which).env(onhook_cluster::STORE, "postgres"))?;
    Ok(Outcome::Passed)
}

fn cargo_test(workspace: &Workspace, which: &[&str]) -> Command {
    let mut command = workspace.cargo(&[&["test", "--locked"], which].concat());
    // A snapshot that differs is a failure here: it is never written anew, and no setting may accept it.
    command.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
    command
}

fn node_client(workspace: &Workspace) -> Result<Outcome> {
    clients::node(workspace, &each_store()?).map(|()| Outcome::Passed)
}

fn packages(workspace: &Workspace) -> Result<Outcome> {
    package::tried(workspace).map(|()| Outcome::Passed)
}

fn python_client(workspace: &Workspace) -> Result<Outcome> {
    clients::python(workspace, &each_store()?).map(|()| Outcome::Passed)
}

/// The fixture that the page about the emulator shows.
fn pytest_fixture(workspace: &Workspace) -> Result<Outcome> {
    if let Some(why) = clients::no_python(workspace, pytest::PYTHON_AT_LEAST) {
        return Ok(Outcome::Skipped(why));
    }
    pytest::run(workspace).map(|()| Outcome::Passed)
}

/// Whatever is asked, the server answers as its own document says, on each store.
fn described(workspace: &Workspace) -> Result<Outcome> {
    if let Some(why) = clients::no_python(workspace, described::PYTHON_AT_LEAST) {
        return Ok(Outcome::Skipped(why));
    }
    described::Described { seconds: described::SECONDS, seed: 1 }.on(workspace, &each_store()?)?;
    Ok(Outcome::Passed)
}

/// Returns what a client's test runs against: a server with a data folder, and, where PostgreSQL is installed, one with
/// a database.
fn each_store() -> Result<Vec<Database>> {
    let shared = onhook_cluster::shared().inspect_err(|why| println!("skipped on PostgreSQL: {why:#}"));
    let database = shared.ok().map(Cluster::fresh_database).transpose()?;
    Ok([None].into_iter().chain(database.map(Some)).collect())
}

/// Checks that the pages written from the code are up to date.
fn pages(workspace: &Workspace) -> Result<Outcome> {
    docs::Docs { check: true }.run(workspace)?;
    Ok(Outcome::Passed)
}

fn dependencies(workspace: &Workspace) -> Result<Outcome> {
    if !deny::is_installed(workspace) {
        return Ok(Outcome::Skipped(deny::NOT_INSTALLED.to_owned()));
    }
    deny::Deny { advisories: false }.run(workspace)?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    const GOOD: Step<()> = Step { name: "good", run: |()| Ok(Outcome::Passed) };
    const ABSENT: Step<()> = Step { name: "absent", run: |()| Ok(Outcome::Skipped("no tool".to_owned())) };
    const BAD: Step<()> = Step { name: "bad", run: |()| bail!("on purpose") };

    fn told(steps: &[Step<()>]) -> String {
        let mut reports = walk(steps, &());
        for report in &mut reports {
            report.took = Duration::from_millis(1_250);
        }
        summary(steps, &reports)
    }

    #[test]
    fn the_first_failure_is_the_last_step() {
        assert_eq!(
            told(&[GOOD, BAD, GOOD, ABSENT]),
            "good           passed       1.2 s\n\
             bad            FAILED       1.2 s\n\
             good           not run\n\
             absent         not run\n\
             1 passed, 1 failed\n"
        );
    }

    #[test]
    fn each_test_of_the_command_line_is_run_on_each_store_or_known_not_to_be() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests");
        let files =
            std::fs::read_dir(folder).expect("it is there").map(|file| file.expect("it is there").path());
        let rust = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
        let mut names: Vec<String> =
            rust.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        let known: Vec<&str> = OF_THE_COMMAND_LINE.iter().map(|(file, _)| *file).collect();
        assert_eq!(names, known);
    }

    #[test]
    fn a_skipped_step_counts_as_neither_and_stops_nothing() {
        assert_eq!(
            told(&[ABSENT, GOOD]),
            "absent         skipped  no tool\n\
             good           passed       1.2 s\n\
             1 passed, 0 failed\n"
        );
    }
}
