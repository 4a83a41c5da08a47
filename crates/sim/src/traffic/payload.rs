//! Bytes that frames carry, and their Internet checksum without reading them again.

use crate::random::Random;

/// Longest payload of one datagram, rounded up.
const LENGTH_MAX: usize = 9_216;
/// Payloads start at this many different words.
const STARTS: usize = 2_048;
const BLOCK: usize = LENGTH_MAX + 2 * STARTS;

/// A block of random bytes that payloads are cut from, and the running sums of its 16-bit words.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    /// Sum of the words before each word. 6,656 words of 65,535 stay below 2³².
    sums: Vec<u32>,
}

/// A piece of the block. Starts at a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    start: usize,
    length: usize,
}

const _: () = assert!((BLOCK / 2) * 0xffff < u32::MAX as usize);

impl Payload {
    pub(crate) fn new(random: &mut Random) -> Self {
        let bytes: Vec<u8> = (0..BLOCK).map(|_| random.byte()).collect();
        let mut sum = 0;
        let mut sums = vec![0];
        for word in bytes.as_chunks::<2>().0 {
            sum += u32::from(u16::from_be_bytes(*word));
            sums.push(sum);
        }
        Self { bytes, sums }
    }

    /// `length` bytes, at most [`LENGTH_MAX`], from a place that `number` decides.
    pub(crate) fn cut(number: u64, length: usize) -> Cut {
        let start = usize::try_from(number % STARTS as u64).unwrap_or(0) * 2;
        Cut {
            start,
            length: length.min(LENGTH_MAX),
        }
    }

    pub(crate) fn bytes(&self, cut: Cut) -> &[u8] {
        self.bytes
            .get(cut.start..cut.start + cut.length)
            .unwrap_or_default()
    }

    /// Sum of the 16-bit words, an odd last byte padded with zero.
    pub(crate) fn sum(&self, cut: Cut) -> u32 {
        let sum = |byte: usize| self.sums.get(byte / 2).copied().unwrap_or(0);
        let words = sum(cut.start + cut.length) - sum(cut.start);
        let odd = match self.bytes(cut).as_chunks::<2>() {
            (_, [last]) => u32::from(*last) << 8,
            _ => 0,
        };
        words + odd
    }
}

impl Cut {
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// The part from `offset`, an even number, of at most `length` bytes.
    pub(crate) fn part(self, offset: usize, length: usize) -> Self {
        let offset = offset.min(self.length);
        Self {
            start: self.start + offset,
            length: length.min(self.length - offset),
        }
    }
}

/// Sum of the 16-bit words of a header.
pub(crate) fn sum_words(bytes: &[u8]) -> u32 {
    let (words, odd) = bytes.as_chunks::<2>();
    let sum: u32 = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)))
        .sum();
    sum + odd.first().map_or(0, |byte| u32::from(*byte) << 8)
}

/// The Internet checksum (RFC 1071) of a sum of words.
#[expect(
    clippy::cast_possible_truncation,
    reason = "folded twice, the sum has 16 bits"
)]
pub(crate) fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    !(((once & 0xffff) + (once >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::{Payload, fold, sum_words};
    use crate::random::Random;

    #[test]
    fn running_sums_equal_sums_of_the_bytes() {
        let payload = Payload::new(&mut Random::new(7));
        for number in 0..3_000 {
            let cut = Payload::cut(number * 977, usize::try_from(number * 3).unwrap());
            let bytes = payload.bytes(cut);
            assert_eq!(bytes.len(), cut.len());
            assert_eq!(payload.sum(cut), sum_words(bytes));
        }
    }

    #[test]
    fn folds_like_the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum_words(&bytes)), !0xddf2);
    }
}
