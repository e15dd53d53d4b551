//! Does the fixture for pytest in docs/emulator.md work as it is shown?
//!
//! Its two blocks become the files that they are for a developer. pytest is installed into a folder of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::clients;
use crate::workspace::{self, Workspace};

/// The minor version of the oldest Python 3 that pytest runs on.
pub(crate) const PYTHON_AT_LEAST: u32 = 10;
/// The page, and the marks of its blocks with the names of their files.
const PAGE: &str = "docs/emulator.md";
const FILES: [(&str, &str); 2] = [("python conftest", "conftest.py"), ("python pytest", "test_onhook.py")];

/// Runs the page's test with its fixture.
///
/// # Errors
/// pytest cannot be installed, a block is not there, or a test fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = clients::empty(workspace.scratch("clients/pytest"))?;
    let packages = clients::packages(workspace, &workspace.root().join("tests/clients/pytest"), &folder)?;
    let page = fs::read_to_string(workspace.root().join(PAGE)).context(PAGE)?;
    let suite = clients::empty(folder.join("suite"))?;
    for (mark, name) in FILES {
        fs::write(suite.join(name), block(&page, mark)?).with_context(|| name.to_owned())?;
    }
    let program = workspace.build_onhook()?;
    let beside = program.parent().map(Path::as_os_str).unwrap_or_default().to_os_string();
    let mut path = beside;
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut test = workspace.command("python3");
    test.args(["-B", "-m", "pytest", "--verbose", "-p", "no:cacheprovider"]).current_dir(&suite);
    test.env("PATH", path).env("PYTHONPATH", &packages).env("PYTHONNOUSERSITE", "1");
    workspace::run(&mut test)
}

/// Returns the block of a page that is marked so.
fn block<'a>(page: &'a str, mark: &str) -> Result<&'a str> {
    let found = page.split_once(&format!("```{mark}\n")).and_then(|(_, behind)| behind.split_once("\n```"));
    let (block, _) = found.with_context(|| format!("{PAGE} has no block marked {mark}"))?;
    ensure!(!block.is_empty(), "the block marked {mark} is empty");
    Ok(block)
}
