//! The free space on the disk of the data folder, and what it means for the store.

use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use crate::Unwritable;

/// Free bytes below which the store takes nothing new, unless the operator sets another figure.
pub const RESERVE_BYTES: u64 = 64 << 20;
/// On a smaller disk the reserve is the disk's size divided by this.
const RESERVE_PART: u64 = 10;
/// Bytes of the log after which a commit also writes its pages to the database, on a disk with room for that. A larger
/// log writes a page to the database less often. A smaller one is read faster at a start after a crash.
const LOG_BYTES: u64 = 512 << 20;
/// The limit of the log on the smallest disk.
const LOG_BYTES_MIN: u64 = 256 << 10;
/// The log may use one part in this many of the space that is free without it. A checkpoint can need as much again in
/// the database, and there must be room for that.
const LOG_PART: u64 = 4;
/// After a failed write, the free space must grow by this much before the next try.
const MORE_BYTES: u64 = 1 << 20;

/// The space of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that a user without privileges may still write.
    pub(super) free: u64,
    /// Bytes of the whole disk.
    pub(super) size: u64,
    /// Whether it is mounted read-only.
    pub(super) read_only: bool,
}

/// The disk of a data folder.
pub(super) struct Disk {
    folder: PathBuf,
    reserve: Option<u64>,
}

impl Disk {
    /// Returns the disk that `folder` is on. `reserve` is how many bytes have to be free for anything new. `None` is
    /// the default.
    pub(super) fn of(folder: &Path, reserve: Option<u64>) -> Self {
        Self { folder: folder.to_owned(), reserve }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Returns the space of the disk. `None` if the system does not say.
    pub(super) fn room(&self) -> Option<Room> {
        let found = rustix::fs::statvfs(&self.folder).ok()?;
        let size = found.f_blocks.saturating_mul(found.f_frsize);
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let read_only = found.f_flag.contains(StatVfsMountFlags::RDONLY);
        (size > 0).then_some(Room { free, size, read_only })
    }

    /// Returns why the store cannot take writes with this `room`. `before` is the reason until now.
    pub(super) fn judge(&self, room: Room, before: Option<&Unwritable>) -> Option<Unwritable> {
        let folder = self.folder();
        let reserve = self.reserve.unwrap_or_else(|| reserve(room.size));
        let needed = match before {
            Some(Unwritable::Full { needed, .. }) => reserve.max(*needed),
            _ => reserve,
        };
        match before {
            _ if room.read_only => Some(Unwritable::ReadOnly { folder }),
            _ if room.free < needed => Some(Unwritable::Full { folder, free: room.free, needed }),
            Some(Unwritable::Full { .. }) | None => None,
            // Free space does not tell whether these have passed. A file system that was made read-only after an error
            // may call itself writable.
            Some(other) => Some(other.clone()),
        }
    }

    /// Returns the reason why a write found no room.
    pub(super) fn full(&self) -> Unwritable {
        let room = self.room();
        let free = room.map_or(0, |room| room.free);
        let reserve = self.reserve.unwrap_or_else(|| room.map_or(0, |room| reserve(room.size)));
        let needed = reserve.max(free.saturating_add(MORE_BYTES).min(RESERVE_BYTES));
        if free < needed {
            return Unwritable::Full { folder: self.folder(), free, needed };
        }
        Unwritable::Temporary // this disk has room: the engine wrote to another one
    }
}

/// Returns how many bytes are kept free on a disk of this size, unless the operator sets another figure.
fn reserve(size: u64) -> u64 {
    RESERVE_BYTES.min(size / RESERVE_PART)
}

/// Returns the limit of a log of `log` bytes, on a disk with `free` bytes free.
pub(super) fn log_max(free: u64, log: u64) -> u64 {
    (free.saturating_add(log) / LOG_PART).clamp(LOG_BYTES_MIN, LOG_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(free: u64, size: u64) -> Room {
        Room { free, size, read_only: false }
    }

    fn full(free: u64, needed: u64) -> Option<Unwritable> {
        Some(Unwritable::Full { folder: "/data".into(), free, needed })
    }

    #[test]
    fn a_disk_is_full_before_the_engine_finds_no_room() {
        let disk = Disk::of(Path::new("/data"), None);
        assert_eq!(disk.judge(room(64 * MIB, 1_000 * MIB), None), None);
        assert_eq!(disk.judge(room(64 * MIB - 1, 1_000 * MIB), None), full(64 * MIB - 1, 64 * MIB));
        // A small disk keeps a tenth free.
        assert_eq!(disk.judge(room(6 * MIB, 60 * MIB), None), None);
        assert_eq!(disk.judge(room(6 * MIB - 1, 60 * MIB), None), full(6 * MIB - 1, 6 * MIB));
    }

    #[test]
    fn what_the_operator_says_holds_on_any_disk() {
        let disk = |reserve| Disk::of(Path::new("/data"), Some(reserve));
        assert_eq!(disk(0).judge(room(0, 60 * MIB), None), None);
        assert_eq!(disk(50 * MIB).judge(room(49 * MIB, 60 * MIB), None), full(49 * MIB, 50 * MIB));
    }

    #[test]
    fn it_goes_on_once_there_is_more_room_than_when_a_write_failed() {
        let disk = Disk::of(Path::new("/data"), Some(0));
        let before = full(MIB, 2 * MIB);
        assert_eq!(disk.judge(room(2 * MIB - 1, 60 * MIB), before.as_ref()), full(2 * MIB - 1, 2 * MIB));
        assert_eq!(disk.judge(room(2 * MIB, 60 * MIB), before.as_ref()), None);
    }

    #[test]
    fn a_disk_that_takes_no_writes_is_not_full() {
        let disk = Disk::of(Path::new("/data"), None);
        let read_only = Some(Unwritable::ReadOnly { folder: "/data".into() });
        assert_eq!(disk.judge(Room { read_only: true, ..room(0, MIB) }, None), read_only);
        assert_eq!(disk.judge(room(MIB, MIB), read_only.as_ref()), read_only);
        let quota = Some(Unwritable::Quota { folder: "/data".into() });
        assert_eq!(disk.judge(room(MIB, MIB), quota.as_ref()), quota);
    }

    #[test]
    fn the_log_follows_the_disk() {
        assert_eq!(log_max(1 << 40, 0), 512 * MIB);
        assert_eq!(log_max(9 * MIB, 51 * MIB), 15 * MIB);
        assert_eq!(log_max(0, 0), 256 << 10);
    }
}
