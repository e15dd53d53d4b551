//! Passwords as argon2id hashes. One check costs some 26 ms and 19 MiB.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Returns the argon2id hash of a password, in PHC form, with a salt of its own.
///
/// # Errors
/// If the system has no random numbers.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// Returns true if a hash in PHC form is that of a password.
pub(crate) fn verify_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_fits_its_password_only() {
        let hash = hash_password("password").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password("password", &hash));
        assert!(!verify_password("Password", &hash));
        assert!(!verify_password("password", "not a hash"));
    }
}
