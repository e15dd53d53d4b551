//! The log's file, kept longer than what is in it.
//!
//! SQLite appends each commit to its write-ahead log. A file that grows makes the file system commit its own
//! journal at each fsync, for the new length and the new blocks; writing over blocks that are there already
//! costs about half. So zeros are written ahead of the log, and the next commit's fsync takes them along.
//! SQLite reads the log up to the first frame that is not of this log, and zeros are none
//! (sqlite.org/fileformat2.html, section 4.1).

use std::fs::{File, OpenOptions};
use std::io::{Result, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Most bytes by which the file is made longer at once. The more, the fewer commits wait for the file system's
/// journal, and the longer one of them waits for the zeros.
const AHEAD_BYTES: u64 = 1 << 20;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The log of a database that is open. Only the thread that commits may have it: nobody appends meanwhile.
pub(super) struct Log {
    file: File,
    bytes: u64,
}

impl Log {
    /// The log of the database at `path`, which is open and has been read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let mut file = OpenOptions::new().write(true).open(name)?;
        let bytes = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, bytes })
    }

    /// After a commit: when it made the file longer, makes it longer still, by as much again as there is or by
    /// [`AHEAD_BYTES`]. A log that stays small stays small.
    pub(super) fn stay_ahead(&mut self) -> Result<()> {
        // Not by asking for the metadata: the next write would then have a time of its own, and its fsync
        // that time to write.
        let written = self.file.seek(SeekFrom::End(0))?;
        if written <= self.bytes {
            return Ok(());
        }
        self.bytes = written; // also when there is no room: no second try before it has grown again
        let ahead = usize::try_from(written.min(AHEAD_BYTES)).unwrap_or(ZEROS.len());
        for begun in (0..ahead).step_by(ZEROS.len()) {
            self.file.write_all(&ZEROS[..ZEROS.len().min(ahead - begun)])?;
        }
        self.bytes = self.file.stream_position()?;
        Ok(())
    }
}
