//! The file of an import, as the store keeps it: whether an end of it is the end of the file, or of the store.
//!
//! Who reads lines takes a reader that fails for a bad line, and the next one for the end. A file that the store cannot
//! give whole is neither.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use onhook_store::StoreError;

/// A file that keeps the error that broke it off.
pub(crate) struct Staged {
    file: Box<dyn Read + Send>,
    broken: Broken,
}

/// The error that broke a file off, once there is one.
#[derive(Clone, Default)]
pub(crate) struct Broken(Arc<Mutex<Option<StoreError>>>);

impl Staged {
    /// Returns the file, and what tells whether it was broken off.
    pub(crate) fn new(file: Box<dyn Read + Send>) -> (Self, Broken) {
        let broken = Broken::default();
        (Self { file, broken: broken.clone() }, broken)
    }
}

impl Broken {
    /// Takes the error.
    ///
    /// # Errors
    /// That of the store, if it broke the file off.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Read for Staged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error; // it is read again
            }
            let shown = io::Error::new(error.kind(), error.to_string());
            let error = error.downcast().unwrap_or_else(|error| StoreError::Broken(Box::new(error)));
            *self.broken.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            shown
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bytes, then an error, then more.
    struct Torn(u8);

    impl Read for Torn {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(io::ErrorKind::Interrupted.into()),
                3 => Err(io::Error::other(StoreError::Full)),
                _ => {
                    buffer[..3].copy_from_slice(b"abc");
                    Ok(3)
                }
            }
        }
    }

    #[test]
    fn the_store_s_error_is_kept_for_who_asks() {
        let (mut file, broken) = Staged::new(Box::new(Torn(0)));
        let mut text = String::new();
        assert!(file.read_to_string(&mut text).is_err());
        assert!(matches!(broken.check(), Err(StoreError::Full)));
        let (mut whole, unbroken) = Staged::new(Box::new(io::Cursor::new("abc")));
        whole.read_to_string(&mut text).unwrap();
        assert!(unbroken.check().is_ok());
    }
}
