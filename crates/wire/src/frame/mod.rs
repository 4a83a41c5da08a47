//! The inner Ethernet frame: a fast path for the common shapes, etherparse for the rest.

mod fast;
mod slow;
#[cfg(test)]
mod tests;

use crate::ether;
use crate::view::FrameView;

/// How many VLAN tags are skipped. Provider stacks have two or three; a frame with more than this
/// is [`Class::NonIp`], its `ether_type` the next tag's.
pub const VLAN_TAGS_MAX: u8 = 8;

/// How many IPv6 extension headers are skipped. RFC 8200 §4.1 needs seven at most; a packet with
/// more is [`Class::Malformed`].
pub const IPV6_EXTENSIONS_MAX: usize = 8;

// One view is written per packet and kept for a batch: two cache lines at most.
const _: () = assert!(size_of::<FrameView>() <= 128);

/// Reads an Ethernet frame; never fails, [`FrameView::class`] says how far it came.
///
/// `original_hint` is the frame's length on the wire as the caller knows it (the outer headers'
/// claim, a capture's original length; 0 if unknown). It counts where no IP length does.
///
/// Fields are filled as far as they were read: a [`Class::Truncated`] frame has its addresses if
/// they are there. Checksums are never looked at. Lengths are those of the headers:
///
/// * a frame that is cut is [`Class::Ip`] if its addresses are there and, for TCP, UDP, SCTP (4
///   bytes) and ICMP (2 bytes) that are no later fragment, its ports; TCP fields are zero unless
///   14 bytes of the header are there, the window unless 16 are;
/// * `payload_len` is what follows the TCP header (0 if its data offset is not known, below 5 or
///   beyond the packet), the 8 bytes of UDP (by the shorter of both lengths) or ICMP, the 12 of
///   SCTP, and the IP payload for everything else, later fragments included.
#[must_use]
pub fn parse_frame(frame: &[u8], original_hint: u32) -> FrameView {
    let mut view = FrameView::default();
    read_frame(frame, original_hint, &mut view);
    view
}

/// [`parse_frame`] into a view that is there already: a view that moves costs as much as reading
/// the frame.
#[inline(never)]
pub fn read_frame(frame: &[u8], original_hint: u32, view: &mut FrameView) {
    // Nothing comes after the calls, so nothing has to be kept for it.
    if !fast::read_ipv4(frame, view) {
        read_other(frame, original_hint, view);
    }
}

#[inline(never)]
fn read_other(frame: &[u8], original_hint: u32, view: &mut FrameView) {
    if !fast::read_other(frame, view) {
        *view = slow::parse(frame, original_hint);
    }
}

/// The two halves of [`parse_frame`] by themselves, to hold one against the other.
pub mod oracle {
    use crate::view::FrameView;

    /// The hand-written path: `None` for all but the common shapes.
    #[must_use]
    pub fn fast(frame: &[u8]) -> Option<FrameView> {
        let mut view = FrameView::default();
        let is_read =
            super::fast::read_ipv4(frame, &mut view) || super::fast::read_other(frame, &mut view);
        is_read.then_some(view)
    }

    /// The path through etherparse, which takes every frame.
    #[must_use]
    pub fn slow(frame: &[u8], original_hint: u32) -> FrameView {
        super::slow::parse(frame, original_hint)
    }
}

/// A view that says nothing but the lengths.
fn blank(frame: &[u8], original_hint: u32) -> FrameView {
    let captured_len = length(frame.len());
    let original_len = captured_len.max(original_hint);
    FrameView {
        captured_len,
        original_len,
        truncated: captured_len < original_len,
        ..FrameView::default()
    }
}

/// A length as views store it; saturates, which no real frame reaches.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A header's place as views store it. The limits above keep it far below 64 KiB.
fn offset(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

const _: () = {
    let link = ether::HEADER_LEN + VLAN_TAGS_MAX as usize * ether::TAG_LEN;
    assert!(link + 40 + IPV6_EXTENSIONS_MAX * 256 * 8 <= u16::MAX as usize);
};
