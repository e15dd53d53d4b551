//! Chance: the system's, or, for an emulator, one that repeats.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::Result;
use crate::error::corrupt;

/// Where ids, secrets and random orders come from.
#[derive(Debug, Default)]
pub struct Chance(Mutex<Option<Seeded>>);

#[derive(Debug)]
struct Seeded {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// Repeats from now on what it gave after this seed before.
    pub fn seed(&self, seed: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seeded { seed, drawn: 0 });
    }

    /// Returns random bytes.
    ///
    /// # Errors
    /// If the system has none.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => getrandom::fill(&mut bytes).map_err(|error| corrupt(error.to_string()))?,
            Some(seeded) => {
                for part in bytes.chunks_mut(32) {
                    seeded.drawn += 1;
                    part.copy_from_slice(&of_seed(seeded.seed, "drawn", seeded.drawn)[..part.len()]);
                }
            }
        }
        Ok(bytes)
    }

    /// Returns a random version 4 UUID.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn uuid(&self) -> Result<uuid::Uuid> {
        Ok(uuid::Builder::from_random_bytes(self.bytes()?).into_uuid())
    }
}

/// Returns the bytes that a seed stands for, by what they are for.
pub(crate) fn of_seed(seed: u64, what: &str, n: u64) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(seed.to_be_bytes());
    digest.update(n.to_be_bytes());
    digest.update(what.as_bytes());
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_another_one_does_not() {
        let drawn = |seed: Option<u64>| {
            let chance = Chance::default();
            seed.into_iter().for_each(|seed| chance.seed(seed));
            (chance.uuid().unwrap(), chance.bytes::<40>().unwrap())
        };
        assert_eq!(drawn(Some(42)), drawn(Some(42)));
        assert_ne!(drawn(Some(42)), drawn(Some(43)));
        assert_ne!(drawn(None), drawn(None));
    }
}
