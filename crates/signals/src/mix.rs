//! A small keyed hash for what is remembered only as a hash.

use std::net::IpAddr;

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): every input bit moves every output bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Hash of a few words under a seed.
pub(crate) fn hash(seed: u64, words: impl IntoIterator<Item = u64>) -> u64 {
    let mut hash = mix(seed);
    // As a loop: a fold over an array's words is left as calls.
    for word in words {
        hash = mix(hash ^ word);
    }
    hash
}

/// Hash of a text under a seed.
#[must_use]
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let (chunks, tail) = bytes.as_chunks::<8>();
    let word = |hash, chunk: &[u8; 8]| mix(hash ^ u64::from_le_bytes(*chunk));
    let hash = chunks.iter().fold(mix(seed), word);
    let tail = tail
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(mix(hash ^ tail) ^ bytes.len() as u64)
}

/// An address as two words; the families are apart.
pub(crate) fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [u64::MAX, u64::from(address.to_bits())],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the two halves of the address"
            )]
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{hash, hash_bytes};

    #[test]
    fn the_seed_the_order_and_the_length_count() {
        let hashes = [
            hash(1, [1, 2]),
            hash(2, [1, 2]),
            hash(1, [2, 1]),
            hash_bytes(1, b"a"),
            hash_bytes(1, b"\0a"),
            hash_bytes(1, b"aaaaaaaa"),
            hash_bytes(1, b"aaaaaaaa\0"),
        ];
        for (number, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..number].contains(hash), "{number}");
        }
    }
}
