//! A file that a command writes: it gets its name when it is whole.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::terminal::Terminal;

/// Where a command writes what it was asked for.
pub(crate) enum Output {
    /// To standard output.
    Stream,
    /// To a file with this path. Until it is whole it stands beside, under another name; dropped before that, it is
    /// removed.
    File(NamedTempFile, PathBuf),
}

impl Output {
    /// Begins a file, or standard output if none is named.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Stream) };
        let cannot = || format!("cannot write {}", path.display());
        let name = path.file_name().with_context(cannot)?.to_string_lossy().into_owned();
        let beside = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new();
        let file = file.prefix(&format!(".{name}.")).suffix(".part").tempfile_in(beside);
        Ok(Self::File(file.with_context(cannot)?, path.to_owned()))
    }

    /// Returns whether a bar would stand between the lines of what is written.
    pub(crate) fn is_watched(&self, terminal: &Terminal) -> bool {
        matches!(self, Self::Stream) && terminal.is_watched()
    }

    /// Writes what follows.
    pub(crate) fn write(&mut self, terminal: &mut Terminal, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stream => Ok(terminal.stream().write_all(bytes)?),
            Self::File(file, path) => {
                file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }

    /// Makes sure that all of it is on the disk, and gives a file its name.
    pub(crate) fn end(self, terminal: &mut Terminal) -> anyhow::Result<()> {
        match self {
            Self::Stream => Ok(terminal.stream().flush()?),
            Self::File(file, path) => {
                let named = || -> io::Result<()> {
                    file.as_file().sync_all()?;
                    file.persist(&path)?;
                    Ok(())
                };
                named().with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }
}

/// Writes a whole file.
pub(crate) fn written(terminal: &mut Terminal, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = Output::open(Some(path))?;
    output.write(terminal, bytes)?;
    output.end(terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_one_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.csv");
        let mut terminal = Terminal::new();
        std::fs::write(&path, "before").unwrap();
        let mut given_up = Output::open(Some(&path)).unwrap();
        given_up.write(&mut terminal, b"half").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        drop(given_up);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        written(&mut terminal, &path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(Output::open(Some(&folder.path().join("none/numbers.csv"))).is_err());
    }
}
