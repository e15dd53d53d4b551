//! Where is the workspace, and how are programs started in it?
//!
//! Every call of cargo goes through [`Workspace::cargo`]: the same cargo, target folder and current folder,
//! whatever folder the chore was called in.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Message, Metadata, MetadataCommand};

/// The workspace that the chore was called in.
pub(crate) struct Workspace {
    /// What cargo says about the members. Nothing about their dependencies' own dependencies.
    pub(crate) metadata: Metadata,
    cargo: OsString,
}

impl Workspace {
    /// The workspace around the current folder.
    pub(crate) fn find() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let metadata = MetadataCommand::new()
            .cargo_path(&cargo)
            .no_deps()
            .other_options(["--locked".to_owned()])
            .exec()
            .context("cargo could not describe the workspace")?;
        Ok(Self { metadata, cargo })
    }

    /// Returns the folder that holds the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// A folder for what a chore leaves behind, inside the target folder.
    pub(crate) fn scratch(&self, chore: &str) -> PathBuf {
        self.metadata.target_directory.as_std_path().join("xtask").join(chore)
    }

    /// A program, to be run at the root. The developer's own `ONHOOK_…` settings are kept from it, but not where
    /// PostgreSQL is.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(self.root());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("ONHOOK_") && name != onhook_cluster::VARIABLE {
                command.env_remove(name);
            }
        }
        command
    }

    /// Cargo, the one that runs this chore. It finds `CARGO_TARGET_DIR` where the chore found it.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.cargo);
        command.args(arguments);
        command
    }

    /// Builds the `onhook` binary of the dev profile and says where it is.
    pub(crate) fn build_onhook(&self) -> Result<PathBuf> {
        self.build_onhook_as("dev")
    }

    /// Builds the `onhook` binary of a profile and says where it is.
    pub(crate) fn build_onhook_as(&self, profile: &str) -> Result<PathBuf> {
        let package = ["build", "--locked", "--package", "onhook", "--bin", "onhook", "--profile", profile];
        let mut command = self.cargo(&package);
        command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
        announce(&command);
        let output = command.spawn()?.wait_with_output()?;
        ensure!(output.status.success(), "{} ended with {}", readable(&command), output.status);
        for message in Message::parse_stream(output.stdout.as_slice()) {
            if let Message::CompilerArtifact(artifact) = message?
                && let Some(binary) = artifact.executable
                && artifact.target.name == "onhook"
            {
                return Ok(binary.into_std_path_buf());
            }
        }
        bail!("cargo built no binary called onhook");
    }
}

/// Shows the command and runs it to its end. Anything except success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("{} could not be started", readable(command)))?;
    ensure!(status.success(), "{} ended with {status}", readable(command));
    Ok(())
}

/// Shows what is about to run, so that a person can run it again by hand.
pub(crate) fn announce(command: &Command) {
    println!("$ {}", readable(command));
}

/// The command as one would type it, the program by its short name.
pub(crate) fn readable(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}
