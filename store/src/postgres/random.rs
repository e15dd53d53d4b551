//! Chance.

use uuid::Uuid;

use crate::Result;
use crate::error::corrupt;

/// Returns random bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| corrupt(error.to_string()))?;
    Ok(bytes)
}

/// Returns a version 4 UUID.
pub(super) fn random_uuid() -> Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(random()?).into_uuid())
}
