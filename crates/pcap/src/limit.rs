//! The limits of both formats; they are those of libpcap, so what it refuses is refused here.

use vxscope_units::LinkType;

/// Most bytes that one record of a network link may hold (libpcap `MAXIMUM_SNAPLEN`).
///
/// A damaged length field is the usual reason for more; reading on would be guessing. BIG TCP
/// frames as captured today (about 80 kB, at most 512 KiB by the kernel's own limit) are cut to
/// this by the programs that capture them. A record that claims more ends the input with
/// [`RecordLength`](crate::PcapError::RecordLength).
pub const CAPTURED_BYTES_MAX: u32 = 262_144;

/// Most interfaces one section of a pcapng file may describe.
///
/// Bounds the reader's memory (2.5 MiB) against a file of nothing but interface blocks; a mirror
/// target writes one a VNI and sees a few hundred. More end the input with
/// [`InterfaceCount`](crate::PcapError::InterfaceCount).
pub const INTERFACES_MAX: usize = 65_536;

/// Smallest bound on the length of one pcapng block (libpcap `INITIAL_MAX_BLOCKSIZE`).
///
/// A stream reader must hold a block before it can skip it. Longer blocks end the input with
/// [`BlockTooLong`](crate::PcapError::BlockTooLong).
pub(crate) const BLOCK_BYTES_MAX: u32 = 16 << 20;

/// What a packet block may hold beside the packet: its header and its options.
const BLOCK_OVERHEAD_MAX: u32 = 131_072 + 64;

/// Most captured bytes of one record of this link type (libpcap `max_snaplen_for_dlt`).
pub(crate) const fn captured_bytes_max(link: LinkType) -> u32 {
    const DBUS: u32 = 231;
    const USB_PCAP: u32 = 249;
    const EBHSCR: u32 = 279;
    match link.number() {
        DBUS => 128 << 20,
        EBHSCR => 8 << 20,
        USB_PCAP => 1 << 20,
        _ => CAPTURED_BYTES_MAX,
    }
}

/// The bound on blocks once an interface of this link type is known.
pub(crate) fn block_bytes_max(link: LinkType) -> u32 {
    BLOCK_BYTES_MAX.max(captured_bytes_max(link).saturating_add(BLOCK_OVERHEAD_MAX))
}
