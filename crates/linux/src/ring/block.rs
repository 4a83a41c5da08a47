//! The packets of a block that the kernel has handed over.

use std::mem::offset_of;

use libc::{tpacket_block_desc, tpacket_hdr_v1, tpacket_hdr_variant1, tpacket3_hdr};

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'r> {
    /// The bytes that were kept, from the IP header on.
    pub packet: &'r [u8],
    /// Bytes there were.
    pub original_len: u32,
    /// When the kernel had it, in nanoseconds since 1970.
    pub stamp_ns: u64,
    /// The control information of the VLAN tag that the kernel has taken off.
    pub vlan: Option<u16>,
    /// Whether the kernel or the interface vouches for the transport checksum.
    pub checksum_ok: bool,
}

/// The packets that are left of a block, in the order of their arrival.
#[derive(Clone, Debug, Default)]
pub struct Frames<'r> {
    block: &'r [u8],
    next: usize,
    left: usize,
}

/// Where the fields stand.
const HEADER: usize = offset_of!(tpacket_block_desc, hdr);
const PACKETS: usize = HEADER + offset_of!(tpacket_hdr_v1, num_pkts);
const FIRST: usize = HEADER + offset_of!(tpacket_hdr_v1, offset_to_first_pkt);
const TAG: usize = offset_of!(tpacket3_hdr, hv1) + offset_of!(tpacket_hdr_variant1, tp_vlan_tci);
/// Where the offset of a packet's first byte stands.
const START: usize = offset_of!(tpacket3_hdr, tp_mac);
/// All fields of a packet's header that are read are in so many bytes.
const FIELDS: usize = 36;
const _: () = assert!(TAG + 4 <= FIELDS && START + 2 <= FIELDS);
const NANOS: u64 = 1_000_000_000;

impl<'r> Frames<'r> {
    /// Of a whole block.
    #[inline]
    pub(super) fn new(block: &'r [u8]) -> Self {
        let word = |at: usize| block.get(at..).and_then(|it| it.first_chunk());
        let word = |at| word(at).map_or(0, |word| u32::from_ne_bytes(*word) as usize);
        Self {
            block,
            next: word(FIRST),
            left: word(PACKETS),
        }
    }

    /// Where the next packet starts and how many are left; see [`Frames::resume`].
    #[inline]
    pub(super) const fn place(&self) -> (usize, usize) {
        (self.next, self.left)
    }

    /// The packets of a block from a place on.
    #[inline]
    pub(super) const fn resume(block: &'r [u8], (next, left): (usize, usize)) -> Self {
        Self { block, next, left }
    }

    /// These packets up to a place, which is further on in the same block.
    #[inline]
    pub(super) const fn until(mut self, (_, left): (usize, usize)) -> Self {
        self.left = self.left.saturating_sub(left);
        self
    }

    /// How many packets are left.
    #[must_use]
    #[inline]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Moves on by one packet without reading it.
    #[inline]
    pub(super) fn skip_one(&mut self) {
        let step = self.block.get(self.next..).and_then(|it| it.first_chunk());
        let step = step.map_or(0, |step| u32::from_ne_bytes(*step) as usize);
        self.next = self.next.saturating_add(step);
        self.left = self.left.saturating_sub(1);
    }
}

impl<'r> Iterator for Frames<'r> {
    type Item = Frame<'r>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'r>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let header = self.block.get(self.next..)?;
        let fields = header.first_chunk::<FIELDS>()?;
        let word = |at: usize| match fields.get(at..).and_then(|it| it.first_chunk()) {
            Some(word) => u32::from_ne_bytes(*word),
            None => 0,
        };
        let status = word(offset_of!(tpacket3_hdr, tp_status));
        let start = fields.get(START..).and_then(|it| it.first_chunk())?;
        let kept = word(offset_of!(tpacket3_hdr, tp_snaplen)) as usize;
        let seconds = u64::from(word(offset_of!(tpacket3_hdr, tp_sec)));
        let frame = Frame {
            packet: header
                .get(usize::from(u16::from_ne_bytes(*start))..)?
                .get(..kept)?,
            original_len: word(offset_of!(tpacket3_hdr, tp_len)),
            stamp_ns: seconds * NANOS + u64::from(word(offset_of!(tpacket3_hdr, tp_nsec))),
            vlan: (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
                // The kernel leaves 16 bits in a word.
                u16::try_from(word(TAG)).unwrap_or(u16::MAX)
            }),
            checksum_ok: status & (libc::TP_STATUS_CSUM_VALID | libc::TP_STATUS_CSUMNOTREADY) != 0,
        };
        let step = word(offset_of!(tpacket3_hdr, tp_next_offset)) as usize;
        self.next = self.next.saturating_add(step);
        Some(frame)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Frames, PACKETS};

    #[test]
    fn what_a_block_says_is_not_believed_beyond_its_end() {
        let mut block = vec![0_u8; 4_096];
        let put = |block: &mut Vec<u8>, at: usize, value: u32| {
            block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        };
        put(&mut block, PACKETS, 3);
        put(&mut block, FIRST, 64);
        // Kept bytes reach beyond the block.
        put(&mut block, 64 + 12, 5_000);
        assert_eq!(Frames::new(&block).count(), 0);
        put(&mut block, 64 + 12, 20);
        put(&mut block, 64, 5_000);
        // The first is there, the next is not.
        assert_eq!(Frames::new(&block).count(), 1);
        put(&mut block, FIRST, u32::MAX);
        assert_eq!(Frames::new(&block).count(), 0);
        assert_eq!(Frames::new(&[]).count(), 0);
    }
}
