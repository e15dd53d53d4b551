//! Keeps the log's file longer than its content.
//!
//! SQLite appends each commit to its write-ahead log. When a file grows, each fsync also makes the file system commit
//! its own journal, for the new length and the new blocks. Overwriting existing blocks costs about half. So zeros are
//! written ahead of the log, and the next commit's fsync syncs them too. SQLite reads the log up to the first frame
//! that is not of this log, and zeros are not such a frame (sqlite.org/fileformat2.html, section 4.1).

use std::fs::{File, OpenOptions};
use std::io::{Result, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Most bytes that are added to the file at once. With more, fewer commits wait for the file system's journal, and
/// each of those waits longer for the zeros.
const AHEAD_BYTES: u64 = 1 << 20;

/// Bytes before the first frame of a log, and before the page in a frame (sqlite.org/fileformat2.html, section 4).
const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The log of an open database. Only the committing thread may hold it, so nobody appends meanwhile.
pub(super) struct Log {
    file: File,
    bytes: u64,
    page_bytes: u64,
}

impl Log {
    /// Opens the log of the database at `path`, which is open, has been read and has pages of this size.
    pub(super) fn open(path: &Path, page_bytes: u64) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let mut file = OpenOptions::new().write(true).open(name)?;
        let bytes = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, bytes, page_bytes })
    }

    /// Returns how many frames a log of `bytes` bytes has.
    pub(super) fn frames(&self, bytes: u64) -> u64 {
        bytes / (FRAME_HEADER_BYTES + self.page_bytes)
    }

    /// Returns the length of the file in bytes, with what is not in use.
    pub(super) fn len(&mut self) -> Result<u64> {
        self.file.seek(SeekFrom::End(0))
    }

    /// Cuts the file after its first `frames`, which are in use. The rest is zeros, or frames from before the log last
    /// began anew, and nobody reads it.
    pub(super) fn trim(&mut self, frames: u64) -> Result<()> {
        let used = HEADER_BYTES + frames * (FRAME_HEADER_BYTES + self.page_bytes);
        if self.len()? > used {
            self.file.set_len(used)?;
        }
        self.bytes = self.bytes.min(used);
        Ok(())
    }

    /// Adds some zeros to the file, so that the system says whether it takes a write.
    ///
    /// # Errors
    /// The system's reason if it takes none.
    pub(super) fn probe(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&ZEROS)
    }

    /// Called after a commit. If the commit made the file longer, this doubles it or adds [`AHEAD_BYTES`], whichever
    /// is less. A log that stays small stays small.
    pub(super) fn stay_ahead(&mut self) -> Result<()> {
        // Seeks instead of asking for the metadata: after that the next write would get a new timestamp, and its fsync
        // would have to write it.
        let written = self.file.seek(SeekFrom::End(0))?;
        if written <= self.bytes {
            self.bytes = written; // the log may have been cut
            return Ok(());
        }
        self.bytes = written; // also without room, so that there is no second try before it has grown again
        let ahead = usize::try_from(written.min(AHEAD_BYTES)).unwrap_or(ZEROS.len());
        for begun in (0..ahead).step_by(ZEROS.len()) {
            self.file.write_all(&ZEROS[..ZEROS.len().min(ahead - begun)])?;
        }
        self.bytes = self.file.stream_position()?;
        Ok(())
    }
}
