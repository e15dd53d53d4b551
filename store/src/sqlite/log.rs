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

/// Bytes before the first frame of a log, and before the page in a frame (sqlite.org/fileformat2.html, section 4).
const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The log of a database that is open. Only the thread that commits may have it: nobody appends meanwhile.
pub(super) struct Log {
    file: File,
    bytes: u64,
    page_bytes: u64,
}

impl Log {
    /// The log of the database at `path`, which is open, has been read and has pages of this size.
    pub(super) fn open(path: &Path, page_bytes: u64) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let mut file = OpenOptions::new().write(true).open(name)?;
        let bytes = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, bytes, page_bytes })
    }

    /// How many frames a log of so many bytes has.
    pub(super) fn frames(&self, bytes: u64) -> u64 {
        bytes / (FRAME_HEADER_BYTES + self.page_bytes)
    }

    /// Bytes of the file, whatever of it is in use.
    pub(super) fn len(&mut self) -> Result<u64> {
        self.file.seek(SeekFrom::End(0))
    }

    /// Makes the file as short as what is in use, its first `frames`, allows: what is behind them is zeros, or
    /// frames of before the log was last begun anew, and nobody reads it.
    pub(super) fn trim(&mut self, frames: u64) -> Result<()> {
        let used = HEADER_BYTES + frames * (FRAME_HEADER_BYTES + self.page_bytes);
        if self.len()? > used {
            self.file.set_len(used)?;
        }
        self.bytes = self.bytes.min(used);
        Ok(())
    }

    /// Makes the file longer by some zeros, to hear from the system itself whether it takes a write.
    ///
    /// # Errors
    /// Why it takes none.
    pub(super) fn probe(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&ZEROS)
    }

    /// After a commit: when it made the file longer, makes it longer still, by as much again as there is or by
    /// [`AHEAD_BYTES`]. A log that stays small stays small.
    pub(super) fn stay_ahead(&mut self) -> Result<()> {
        // Not by asking for the metadata: the next write would then have a time of its own, and its fsync
        // that time to write.
        let written = self.file.seek(SeekFrom::End(0))?;
        if written <= self.bytes {
            self.bytes = written; // the log may have been made shorter
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
