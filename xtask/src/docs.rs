//! Pages that are written from the code, so that they cannot say anything else.
//!
//! A crate prints its page as an example; this writes it to where it is read, or compares. So the chores
//! need none of the crates that they judge.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::workspace::{self, Workspace};

/// A page: where it is, and the crate and its example that print it.
struct Page {
    path: &'static str,
    package: &'static str,
    example: &'static str,
}

const PAGES: &[Page] = &[Page { path: "docs/errors.md", package: "onhook-wire", example: "errors" }];

#[derive(clap::Args)]
pub(crate) struct Docs {
    /// Write nothing; fail when a page is not what it would be
    #[arg(long)]
    pub(crate) check: bool,
}

impl Docs {
    /// # Errors
    /// A page could not be made; with `--check`, one differs.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        for page in PAGES {
            let written = page.print(workspace)?;
            let path = PathBuf::from(workspace.root()).join(page.path);
            if self.check {
                let there = fs::read_to_string(&path).unwrap_or_default();
                ensure!(there == written, "{} is not what the code says: `cargo xtask docs`", page.path);
                println!("{} is what the code says", page.path);
            } else {
                fs::write(&path, written).with_context(|| path.display().to_string())?;
                println!("wrote {}", page.path);
            }
        }
        Ok(())
    }
}

impl Page {
    fn print(&self, workspace: &Workspace) -> Result<String> {
        let arguments = ["run", "--quiet", "--locked", "--package", self.package, "--example", self.example];
        let mut command = workspace.cargo(&arguments);
        workspace::announce(&command);
        let output = command.output().with_context(|| workspace::readable(&command))?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}\n{told}", workspace::readable(&command), output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}
