//! Packages that carry the program: a wheel, an npm package, and the folder that an image is built from.
//!
//! Not here: how the emulator is used from tests, which is in docs/emulator.md.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::clients::{self, Server};
use crate::workspace::{self, Workspace};

/// The profile of what is given away.
const DIST: &str = "dist";
/// The profile of what is only tried.
const DEV: &str = "dev";

/// Build the wheel, the npm package and the folder for an image
#[derive(clap::Args)]
pub(crate) struct Package {
    /// How the program is built
    #[arg(long, default_value = DIST, value_parser = [DIST, "release", DEV])]
    profile: String,
    /// Only try them: build them as a developer does, install each into an empty folder, and ask the program there
    #[arg(long = "try", conflicts_with_all = ["profile", "out"])]
    tried: bool,
    /// Where they go [default: xtask/package in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The folder in which packages are built before they are moved to where they go.
const FRESH: &str = ".new";

/// What was built.
struct Packages {
    program: PathBuf,
    wheel: PathBuf,
    npm: PathBuf,
    container: PathBuf,
}

impl Package {
    /// Builds the packages.
    ///
    /// # Errors
    /// A tool is missing or fails.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        if self.tried {
            return tried(workspace);
        }
        // The folder in the target folder has what was built last and nothing else. Another one is its owner's.
        let (out, is_own) = match &self.out {
            Some(out) => (out.clone(), false),
            None => (workspace.scratch("package"), true),
        };
        // Within that folder, so that what is whole is moved and not copied.
        let fresh = clients::empty(out.join(FRESH))?;
        let built = build(workspace, &self.profile, &fresh)?;
        for path in put(&[&built.wheel, &built.npm, &built.container], &out, is_own)? {
            println!("{}", path.display());
        }
        Ok(())
    }
}

/// Builds the packages of the dev profile, installs each into an empty folder, and asks the program that is there.
///
/// # Errors
/// A tool is missing or fails, or a program does not answer.
pub(crate) fn tried(workspace: &Workspace) -> Result<()> {
    let folder = clients::empty(workspace.scratch("package"))?;
    let built = build(workspace, DEV, &folder.join("out"))?;

    let python = folder.join("python");
    let mut pip = clients::pip(workspace);
    workspace::run(pip.args(["--no-index", "--target"]).arg(&python).arg(&built.wheel))?;
    answers(&mut workspace.command(python.join("bin/onhook")), &folder.join("python.log"))?;

    let node = clients::empty(folder.join("node"))?;
    let mut npm = workspace.command("npm");
    npm.args(["install", "--offline", "--no-audit", "--no-fund", "--prefix"]).arg(&node).arg(&built.npm);
    workspace::run(npm.current_dir(&node))?;
    answers(&mut workspace.command(node.join("node_modules/.bin/onhook")), &folder.join("node.log"))?;

    if !workspace.command("id").arg("-u").output()?.stdout.starts_with(b"0") {
        println!("skipped: only root can run the image's steps in a root folder of their own");
        return Ok(());
    }
    let root = clients::empty(folder.join("root"))?;
    image(workspace, &built, &root)?;
    let mut inside = workspace.command("chroot");
    inside.args(["--userspec=65532:65532"]).arg(&root).arg("/usr/local/bin/onhook");
    answers(&mut inside, &folder.join("image.log"))
}

/// Starts an emulator in memory, and asks whether it is ready.
fn answers(program: &mut Command, log: &Path) -> Result<()> {
    program.args(["serve", "--emulator", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let server = Server::start(program, log)?;
    let mut curl = Command::new("curl");
    workspace::run(curl.args(["--silent", "--show-error", "--fail"]).arg(format!("{}/readyz", server.url)))?;
    println!();
    server.stop()
}

fn build(workspace: &Workspace, profile: &str, out: &Path) -> Result<Packages> {
    let program = workspace.build_onhook_as(profile)?;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    Ok(Packages {
        wheel: wheel(workspace, profile, out)?,
        npm: npm(workspace, &program, out)?,
        container: container(workspace, &program, out)?,
        program,
    })
}

/// Moves what was built from its fresh folder, which goes, to `out`. It takes the place of what has the same name there,
/// or, if the folder is our own, of everything. Returns where it is.
fn put(built: &[&Path], out: &Path, is_own: bool) -> Result<Vec<PathBuf>> {
    let moved: Vec<PathBuf> = built.iter().filter_map(|path| Some(out.join(path.file_name()?))).collect();
    for entry in fs::read_dir(out).with_context(|| out.display().to_string())? {
        let path = entry?.path();
        if !path.ends_with(FRESH) && (is_own || moved.contains(&path)) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| path.display().to_string())?;
        }
    }
    for (from, to) in built.iter().zip(&moved) {
        fs::rename(from, to).with_context(|| to.display().to_string())?;
    }
    fs::remove_dir_all(out.join(FRESH)).with_context(|| out.display().to_string())?;
    Ok(moved)
}

/// Builds the wheel with maturin, which has a folder of its own.
fn wheel(workspace: &Workspace, profile: &str, out: &Path) -> Result<PathBuf> {
    let source = workspace.root().join("packages/python");
    let tools = clients::packages(workspace, &source, &clients::empty(workspace.scratch("maturin"))?)?;
    let mut maturin = workspace.command(tools.join("bin/maturin"));
    maturin.args(["build", "--locked", "--profile", profile, "--manifest-path"]);
    maturin.arg(workspace.root().join("cli/Cargo.toml")).arg("--out").arg(out);
    workspace::run(maturin.current_dir(&source))?;
    one(out, ".whl")
}

/// Builds the npm package.
fn npm(workspace: &Workspace, program: &Path, out: &Path) -> Result<PathBuf> {
    let source = workspace.root().join("packages/npm");
    let folder = clients::empty(out.join("npm"))?;
    fs::create_dir(folder.join("bin"))?;
    for name in ["README.md", "bin/onhook.js"] {
        fs::copy(source.join(name), folder.join(name)).with_context(|| name.to_owned())?;
    }
    fs::copy(program, folder.join("bin/onhook"))?;
    for name in ["bin/onhook", "bin/onhook.js"] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("npm has no name here for the processor {other}"),
    };
    let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let told = fs::read_to_string(source.join("package.json"))?;
    let version = env!("CARGO_PKG_VERSION");
    let told = told.replace("\"VERSION\"", &format!("\"{version}\""));
    let told = told.replace("\"OS\"", &format!("\"{os}\"")).replace("\"CPU\"", &format!("\"{cpu}\""));
    fs::write(folder.join("package.json"), told)?;
    let mut pack = workspace.command("npm");
    workspace::run(pack.args(["pack", "--silent", "--pack-destination"]).arg(out).current_dir(&folder))?;
    fs::remove_dir_all(&folder)?;
    one(out, ".tgz")
}

/// Makes the folder that an image is built from.
fn container(workspace: &Workspace, program: &Path, out: &Path) -> Result<PathBuf> {
    let folder = clients::empty(out.join("container"))?;
    for name in ["Containerfile", "compose.yaml"] {
        fs::copy(workspace.root().join("packages/container").join(name), folder.join(name))?;
    }
    fs::copy(program, folder.join("onhook"))?;
    Ok(folder)
}

/// Does in an empty folder what the image's steps do, with this machine's libraries: the program finds there what it
/// needs, as a user without rights.
fn image(workspace: &Workspace, built: &Packages, root: &Path) -> Result<()> {
    let steps = fs::read_to_string(built.container.join("Containerfile"))?;
    for step in
        ["COPY onhook /usr/local/bin/onhook", "USER 65532", "HEALTHCHECK", "\nENTRYPOINT [\"onhook\"]"]
    {
        ensure!(steps.contains(step), "the Containerfile does not say {step}");
    }
    for folder in ["usr/local/bin", "tmp", "dev/shm", "var/lib/onhook"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for folder in ["tmp", "dev/shm", "var/lib/onhook"] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o1777))?;
    }
    let target = root.join("usr/local/bin/onhook");
    fs::copy(built.container.join("onhook"), &target)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
    let linked = workspace.command("ldd").arg(&built.program).output().context("ldd could not be started")?;
    for word in
        String::from_utf8_lossy(&linked.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        let library = root.join(word.trim_start_matches('/'));
        fs::create_dir_all(library.parent().context("a folder")?)?;
        fs::copy(word, &library).with_context(|| word.to_owned())?;
    }
    Ok(())
}

/// Returns the only file in a folder that ends so.
fn one(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "{} has {} files that end with {ending}", folder.display(), found.len());
    Ok(found.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves a wheel and a folder to where an older version's are, beside something else. Returns what is there then.
    fn beside_an_older_version(is_own: bool) -> Vec<String> {
        let out = tempfile::tempdir().expect("a folder");
        let at = |name: &str| out.path().join(name);
        for name in ["container", ".new/container"] {
            fs::create_dir_all(at(name)).expect("room");
        }
        for name in ["onhook-1.whl", "note.txt", "container/old", ".new/onhook-2.whl", ".new/container/new"] {
            fs::write(at(name), name).expect("room");
        }
        let built = [at(".new/onhook-2.whl"), at(".new/container")];
        let moved = put(&[&built[0], &built[1]], out.path(), is_own).expect("moved");
        assert_eq!(moved, [at("onhook-2.whl"), at("container")]);
        assert!(at("container/new").exists() && !at("container/old").exists());
        let there = fs::read_dir(out.path()).expect("a folder");
        let mut names: Vec<String> =
            there.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn packages_are_put_beside_those_of_an_older_version_or_in_their_place() {
        assert_eq!(beside_an_older_version(true), ["container", "onhook-2.whl"]);
        let kept = ["container", "note.txt", "onhook-1.whl", "onhook-2.whl"];
        assert_eq!(beside_an_older_version(false), kept);
    }
}
