//! CSV files to import: opening them, and naming their bad lines.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::Context;
use onhook_core::import::BadLines;
use onhook_store::StoreError;
use onhook_store::contract::imports::Imported;

use crate::exit::Exit;
use crate::terminal::{Terminal, Unit, count};

/// A file, and the bar that shows how much of it has been read.
pub(super) struct CsvFile {
    input: Box<dyn Read + Send>,
    pub(super) bar: indicatif::ProgressBar,
}

impl CsvFile {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path, terminal: &Terminal) -> anyhow::Result<Self> {
        let (input, size): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), None)
        } else {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
            (Box::new(file), size)
        };
        let bar = terminal.bar(&Unit::Bytes, size);
        let input = BufReader::with_capacity(1 << 20, bar.wrap_read(input));
        Ok(Self { input: Box::new(input), bar })
    }

    /// Returns the content of the file. It is there once.
    pub(super) fn input(&mut self) -> Box<dyn Read + Send> {
        std::mem::replace(&mut self.input, Box::new(std::io::empty()))
    }
}

/// Prints what is wrong with the refused lines: how many of each kind, and the first of them.
pub(super) fn name_bad_lines(terminal: &Terminal, bad: &BadLines) {
    for kind in bad.kinds() {
        let of_many = kind.count > 1;
        if of_many {
            terminal.remark(&format!("{}: {}", count(kind.count, "line"), kind.what));
        }
        for (line, why) in &kind.first {
            terminal.remark(&format!("{}line {line}: {why}", if of_many { "  " } else { "" }));
        }
        let named = u64::try_from(kind.first.len()).unwrap_or(u64::MAX);
        if kind.count > named {
            terminal.remark(&format!("  … and {} more", kind.count - named));
        }
    }
    if bad.others() > 0 {
        terminal.remark(&format!("{}: bad in yet other ways", count(bad.others(), "line")));
    }
}

/// Prints what a command did with its file, or would do, in one line after the bad lines. `done` names what was
/// imported.
pub(super) fn tell(
    terminal: &mut Terminal,
    result: Result<Imported, StoreError>,
    dry_run: bool,
    done: impl FnOnce(&Imported) -> String,
) -> anyhow::Result<Exit> {
    let (bad, told) = match result {
        Ok(imported) => {
            let told = done(&imported);
            (imported.bad, told)
        }
        Err(StoreError::Import(bad)) => {
            let lines = count(bad.count(), "line");
            let are = if bad.count() == 1 { "is" } else { "are" };
            (bad, format!("nothing imported, {lines} {are} bad"))
        }
        Err(error) => return Err(error.into()),
    };
    name_bad_lines(terminal, &bad);
    let dry = if dry_run { "dry run, nothing is written: " } else { "" };
    terminal.line(&format!("{dry}{told}"))?;
    Ok(if bad.count() == 0 { Exit::Done } else { Exit::NotWell })
}
