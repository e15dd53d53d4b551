//! The server's socket on its machine: a file in the data folder, or elsewhere, that only the server's own user may open.
//!
//! A server that was killed leaves the file behind. The next one removes it, but only under a lock, so that no server
//! takes the socket of another that runs: the lock of the data folder, or one of the socket's own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The name of the socket in a data folder.
pub const NAME: &str = "onhook.sock";
/// Most bytes of a socket's path: the system's address of a socket has 108, with a zero at the end.
pub const PATH_MAX: usize = 107;
/// The mode of the socket's file.
const MODE: u32 = 0o600;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path is longer than the system allows.
    #[error("the path {} has {} bytes, and a socket's has at most {PATH_MAX}", .0.display(), .0.as_os_str().len())]
    TooLong(PathBuf),
    /// Another server has it.
    #[error("another server has the socket {}", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} is there, and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// The system does not let us.
    #[error("cannot make the socket {}", .0.display())]
    System(PathBuf, #[source] io::Error),
}

/// What keeps two servers from one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The caller has locked the folder that the socket is in.
    Folder,
    /// A file beside the socket, with `.lock` after its name, which is locked as long as the socket is there.
    File,
}

/// A socket that takes connections.
#[derive(Debug)]
pub struct Socket {
    pub(crate) listener: UnixListener,
    pub(crate) place: Place,
}

/// The socket's file. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Device and number of the file, so that no other one is removed.
    file: (u64, u64),
    lock: Option<File>,
}

impl Socket {
    /// Makes the socket at this path. A file that a killed server has left there is removed.
    ///
    /// The process must not let others open its new files (`umask`), or somebody could connect in the moment before the
    /// socket gets its mode.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(path: &Path, guard: Guard) -> Result<Self, SocketError> {
        let system = |error| SocketError::System(path.to_owned(), error);
        if path.as_os_str().len() > PATH_MAX {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        let lock = match guard {
            Guard::Folder => None,
            Guard::File => Some(lock(path)?),
        };
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(system)?,
            Ok(_) => return Err(SocketError::NoSocket(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(system(error)),
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(system)?;
        let file = fs::symlink_metadata(path).map_err(system)?;
        let place = Place { path: path.to_owned(), file: (file.dev(), file.ino()), lock };
        Ok(Self { listener, place })
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(file) = &self.lock {
            // Closing the file is not enough: a process that is being spawned also has it until it executes.
            let _ = file.unlock();
        }
    }
}

/// Locks the file beside a socket.
fn lock(path: &Path) -> Result<File, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let system = |error| SocketError::System(path.to_owned(), error);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(MODE).open(name).map_err(system)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SocketError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(system(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_is_being_spawned_does_not_keep_the_socket_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::bind(&path, Guard::File).unwrap();
        let spawned = socket.place.lock.as_ref().unwrap().try_clone().unwrap();
        let error = Socket::bind(&path, Guard::File).unwrap_err();
        assert!(matches!(error, SocketError::InUse(_)), "{error:?}");
        drop(socket);
        Socket::bind(&path, Guard::File).unwrap();
        drop(spawned);
    }
}
