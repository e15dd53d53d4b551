//! Orders' ids without an index: a version 4 UUID that is its order's sequence number, encrypted.
//!
//! A random UUID needs a unique index, and each new id dirties another page of it. Here 74 of a UUID's free
//! bits are a keyed digest of the sequence number and of a number that is drawn at each start, and the other 48 are
//! the sequence number, covered by what the cipher under the store's own key makes of those 74: SIV, the synthetic IV of
//! RFC 5297, with one block for each half. It costs two blocks and can be read back. Nobody without the key can
//! tell the ids from random ones, or guess one.
//!
//! The number drawn at each start is for a store that was set back to an older copy: the sequence numbers are given
//! out again, the ids are not.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use onhook_core::ids::{OrderId, OrderSeq};

use crate::chance::Chance;

/// What a block is encrypted for.
const DIGEST: u8 = 0;

const COVER: u8 = 1;

/// Makes and reads ids. An emulator that goes back to an earlier state changes the key.
pub(crate) struct OrderIds {
    inside: RwLock<Inside>,
    /// Where the other ids of the store come from.
    pub(crate) chance: Chance,
}

#[derive(Clone)]
struct Inside {
    cipher: Aes128,
    drawn: [u8; 9],
}

impl OrderIds {
    /// With the store's key, and with bytes that are drawn at each start.
    pub(crate) fn new(key: [u8; 16], drawn: [u8; 9]) -> Self {
        Self {
            inside: RwLock::new(Inside { cipher: Aes128::new(&key.into()), drawn }),
            chance: Chance::default(),
        }
    }

    /// Goes on with another key, and with other drawn bytes if there are any.
    pub(crate) fn set_key(&self, key: [u8; 16], drawn: Option<[u8; 9]>) {
        let mut inside = self.inside.write().unwrap_or_else(PoisonError::into_inner);
        let drawn = drawn.unwrap_or(inside.drawn);
        *inside = Inside { cipher: Aes128::new(&key.into()), drawn };
    }

    fn inside(&self) -> RwLockReadGuard<'_, Inside> {
        self.inside.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the order with this sequence number.
    pub(crate) fn id(&self, seq: OrderSeq) -> OrderId {
        let inside = self.inside();
        let mut seq_bytes = [0; 6];
        seq_bytes.copy_from_slice(&seq.0.to_be_bytes()[2..]);
        let mut digested = [0; 15];
        digested[..6].copy_from_slice(&seq_bytes);
        digested[6..].copy_from_slice(&inside.drawn);
        let digest = free_bits(inside.encrypt(DIGEST, &digested)[..10].try_into().expect("ten bytes"));
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&inside.cover(seq_bytes, &digest));
        bytes[6..].copy_from_slice(&digest);
        OrderId(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The sequence number that an id of this store stands for. An id that was made elsewhere stands for one
    /// too: the caller compares the id of the order that is there.
    pub(crate) fn seq(&self, id: OrderId) -> Option<OrderSeq> {
        let bytes = id.0.as_bytes();
        if !is_version_4(bytes) {
            return None;
        }
        let covered = bytes[..6].try_into().expect("six bytes");
        let digest = free_bits(bytes[6..].try_into().expect("ten bytes"));
        let mut seq = [0; 8];
        seq[2..].copy_from_slice(&self.inside().cover(covered, &digest));
        Some(OrderSeq(i64::from_be_bytes(seq)))
    }
}

impl Inside {
    /// Covers a sequence number, or uncovers it again.
    fn cover(&self, seq_bytes: [u8; 6], digest: &[u8; 10]) -> [u8; 6] {
        let cover = self.encrypt(COVER, digest);
        std::array::from_fn(|byte| seq_bytes[byte] ^ cover[byte])
    }

    /// Two functions of one cipher: no block of one `purpose` is a block of the other.
    fn encrypt(&self, purpose: u8, bytes: &[u8]) -> [u8; 16] {
        let mut block = [0; 16];
        block[..bytes.len()].copy_from_slice(bytes);
        block[15] = purpose;
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }
}

/// The last ten bytes of a UUID without its version and variant.
fn free_bits(mut bytes: [u8; 10]) -> [u8; 10] {
    bytes[0] &= 0x0f;
    bytes[2] &= 0x3f;
    bytes
}

fn is_version_4(bytes: &[u8; 16]) -> bool {
    bytes[6] >> 4 == 4 && bytes[8] >> 6 == 0b10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(key: u8, drawn: u8) -> OrderIds {
        OrderIds::new([key; 16], [drawn; 9])
    }

    #[test]
    fn an_id_is_a_version_4_uuid_and_leads_back_to_its_sequence_number() {
        let ids = ids(7, 9);
        let mut seen = std::collections::HashSet::new();
        for seq in (0..500).chain([1 << 31, (1 << 48) - 1]) {
            let id = ids.id(OrderSeq(seq));
            assert_eq!((id.0.get_version_num(), id.0.get_variant()), (4, uuid::Variant::RFC4122));
            assert_eq!(ids.seq(id), Some(OrderSeq(seq)));
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn another_start_or_another_key_gives_other_ids() {
        let id = ids(7, 9).id(OrderSeq(1));
        assert_ne!(id, ids(7, 10).id(OrderSeq(1)));
        assert_ne!(id, ids(8, 9).id(OrderSeq(1)));
        assert_eq!(ids(7, 10).seq(id), Some(OrderSeq(1)), "ids of an earlier start are read too");
        assert_eq!(ids(7, 9).seq(OrderId(uuid::Uuid::nil())), None);
    }
}
