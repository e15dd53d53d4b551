//! The commands of the documents for operators, run as a stranger would: in an empty folder, one after the other.
//!
//! Blocks that are marked `sh run` belong to it. All blocks of a page are one script, so that a later one can use what
//! an earlier one has set. It ends at the first command that fails.

#![expect(clippy::print_stdout, reason = "tests say why they are skipped")]

mod program;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use onhook_cluster::Binaries;

use crate::program::copy_to;

/// What begins a block that is run, and what ends it.
const BEGIN: &str = "```sh run";
const END: &str = "```";

/// Most seconds that a page may take: a server that does not start would be waited for without an end.
const MOST: &str = "600";

/// Before the page's own commands: the first that fails ends it, with the logs, and nothing outlives it.
const PRELUDE: &str = r#"
set -eu -o pipefail
trap 'code=$?
      set +e
      [ $code -eq 0 ] || tail -n 20 *.log
      for job in $(jobs -p); do kill -KILL "$job"; done
      for data in */postmaster.pid; do
          [ ! -f "$data" ] || pg_ctl --pgdata="${data%/*}" --mode=immediate --wait stop
      done
      exit $code' EXIT
set -x
"#;

/// A page of the documents.
struct Page {
    name: &'static str,
    blocks: Vec<String>,
}

impl Page {
    fn read(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let mut blocks = Vec::new();
        let mut lines = text.lines();
        while lines.any(|line| line == BEGIN) {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != END).collect();
            blocks.push(block.join("\n"));
        }
        assert!(!blocks.is_empty(), "{name} has no block that is marked {BEGIN:?}");
        Self { name, blocks }
    }

    /// Runs the page's commands with these variables, as the user that PostgreSQL runs as.
    fn run(&self, binaries: &Binaries, variables: &[(&str, u16)]) {
        let folder = tempfile::Builder::new().prefix("onhook-page-").tempdir().expect("a temporary folder");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("room for a folder");
        // The program may lie where only this user can go.
        copy_to(&bin.join("onhook"));
        binaries.give(folder.path()).expect("the folder can be given away");
        let script = format!("PATH={}:$PATH\n{PRELUDE}{}\n", bin.display(), self.blocks.join("\n"));
        let mut shell = binaries.with_path("timeout", folder.path());
        let of_others = |name: &std::ffi::OsStr| {
            ["ONHOOK_", "PG"].iter().any(|of| name.as_encoded_bytes().starts_with(of.as_bytes()))
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| of_others(name)) {
            shell.env_remove(name);
        }
        shell.envs(variables.iter().map(|(name, value)| (name, value.to_string())));
        // The output is a file: a process that was left over would keep a pipe open.
        let log = folder.path().join("output");
        let output = File::create(&log).expect("room for the output");
        let errors = output.try_clone().expect("a second handle");
        let shell =
            shell.args([MOST, "bash", "-c", &script]).stdin(Stdio::null()).stdout(output).stderr(errors);
        let ended = shell.status().expect("there is a bash");
        let said = fs::read(&log).unwrap_or_default();
        assert!(ended.success(), "docs/{}: {ended}\n{}", self.name, String::from_utf8_lossy(&said));
    }
}

/// How many ports of this process's range were looked at: no two pages get the same one.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// Returns ports of the loopback address that are free now, below those that the system gives to connections.
fn free_ports(names: &[&'static str]) -> Vec<(&'static str, u16)> {
    let mut free = std::iter::repeat_with(|| {
        let next = std::process::id().wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        12_000 + u16::try_from(next % 20_000).expect("it is small")
    })
    .take(20_000)
    .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    names.iter().map(|name| (*name, free.next().expect("a port is free"))).collect()
}

/// Returns PostgreSQL's programs, or says why this machine cannot run the pages.
fn binaries() -> Option<Binaries> {
    let binaries = Binaries::find().inspect_err(|why| println!("skipped: {why:#}")).ok()?;
    for program in ["bash", "curl", "openssl", "psql"] {
        if Command::new(program).arg("version").output().is_err() {
            println!("skipped: {program} is not installed");
            return None;
        }
    }
    Some(binaries)
}

#[test]
fn the_commands_of_the_page_about_two_nodes_do_what_it_says() {
    let Some(binaries) = binaries() else { return };
    let ports = free_ports(&["db_a", "db_b", "db_c", "node_1", "node_2"]);
    Page::read("deploy.md").run(&binaries, &ports);
}

#[test]
fn the_commands_of_the_page_about_calls_do_what_it_says() {
    let Some(binaries) = binaries() else { return };
    Page::read("calls.md").run(&binaries, &free_ports(&["port"]));
}

#[test]
fn the_commands_of_the_page_about_bills_do_what_it_says() {
    let Some(binaries) = binaries() else { return };
    Page::read("billing.md").run(&binaries, &free_ports(&["port"]));
}

#[test]
fn the_commands_of_the_page_about_reports_do_what_it_says() {
    let Some(binaries) = binaries() else { return };
    Page::read("reports.md").run(&binaries, &free_ports(&["port"]));
}

#[test]
fn the_commands_of_the_page_about_mistakes_do_what_it_says() {
    let Some(binaries) = binaries() else { return };
    Page::read("operations.md").run(&binaries, &free_ports(&["port"]));
}

#[test]
fn the_unit_beside_the_pages_is_one_that_systemd_reads() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/onhook.service");
    let unit = fs::read_to_string(unit).expect("docs/deploy.md names it");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("onhook.service");
    fs::write(&copy, unit.replace("/usr/bin/onhook", env!("CARGO_BIN_EXE_onhook"))).expect("room for it");
    match Command::new("systemd-analyze").arg("verify").arg(&copy).output() {
        Ok(verified) => {
            let said = String::from_utf8_lossy(&verified.stderr).into_owned();
            assert!(!said.contains("onhook.service"), "{said}");
        }
        Err(why) => println!("skipped: systemd-analyze is not installed ({why})"),
    }
}
