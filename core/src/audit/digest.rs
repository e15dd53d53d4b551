//! SHA-256 digests, and the text in which they are shown: `sha256:` and 64 small hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// How the text of a digest begins.
const SCHEME: &str = "sha256:";

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Returns the digest of bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the digest of digests, joined as bytes in their order.
    #[must_use]
    pub fn of_all(digests: &[Digest]) -> Self {
        let mut all = Sha256::new();
        for digest in digests {
            all.update(digest.0);
        }
        all.into()
    }

    /// Returns its 64 small hexadecimal digits, without what the text begins with.
    #[must_use]
    pub fn hex(self) -> String {
        self.to_string().split_off(SCHEME.len())
    }
}

impl From<Sha256> for Digest {
    /// Ends a digest that was made part by part.
    fn from(parts: Sha256) -> Self {
        Self(parts.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is sha256: and 64 hexadecimal digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.strip_prefix(SCHEME).ok_or(NoDigest)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoDigest);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).ok_or(NoDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_shown() {
        let digest = Digest::of("onhook");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let none = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of_all(&[]).to_string(), none);
        for wrong in ["", "sha256:", &none[..70], &none.replace('e', "g"), &none[7..]] {
            assert_eq!(wrong.parse::<Digest>(), Err(NoDigest), "{wrong}");
        }
    }
}
