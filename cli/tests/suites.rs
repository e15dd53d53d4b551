//! The test suites of `docs/emulator.md`, run as a developer would: with the program in the path, and nothing else.

#![expect(clippy::print_stdout, reason = "tests say why they are skipped")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Returns the block of the page that is marked so.
fn block(mark: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/emulator.md");
    let text = fs::read_to_string(&path).expect("the page is there");
    let (_, behind) = text.split_once(&format!("```{mark}\n")).expect("the page has this suite");
    behind.split_once("\n```").expect("the suite has an end").0.to_owned()
}

/// Runs a suite with a tool that is in the path, or says that it is not there.
fn passes(mark: &str, name: &str, tool: &str, arguments: &[&str]) {
    if Command::new(tool).arg("--version").output().is_err() {
        println!("skipped: {tool} is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(name), block(mark)).expect("room for the suite");
    let program = Path::new(env!("CARGO_BIN_EXE_onhook")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let ran = Command::new(tool)
        .args(arguments)
        .arg(name)
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", program.display()))
        .output()
        .expect("the tool starts");
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ran.status.success(), "{}\n{}", said[0], said[1]);
}

#[test]
fn the_suite_for_python_passes() {
    passes("python run", "test_emulator.py", "python3", &["-B"]);
}

#[test]
fn the_suite_for_node_passes() {
    passes("js run", "emulator.test.mjs", "node", &["--test"]);
}

#[test]
fn the_suite_for_rust_is_the_one_beside_this_test() {
    let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite.rs"));
    assert_eq!(block("rust run") + "\n", file.expect("it is there"), "docs/emulator.md shows another one");
}
