//! The pcapng file format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>.
//!
//! ```text
//! block    type 4 | total length 4 | body, padded to 4 | total length 4
//! section  section header block, then interface, packet and other blocks in any order
//! ```
//!
//! Interfaces of one section may differ in link type, snap length and clock (libpcap refuses such
//! files, Wireshark reads them).

mod interface;
mod section;
mod writer;

pub(crate) use section::Section;
pub use writer::{InterfaceDescription, InterfaceStatistics, Packet, Writer};

/// Block types.
mod block {
    /// Section header; the same bytes in either byte order.
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    /// Interface description.
    pub(super) const INTERFACE: u32 = 1;
    /// Packet block, obsolete since 2004 and still written by some.
    pub(super) const PACKET: u32 = 2;
    /// Simple packet block.
    pub(super) const SIMPLE: u32 = 3;
    /// Interface statistics.
    pub(super) const STATISTICS: u32 = 5;
    /// Enhanced packet block.
    pub(super) const ENHANCED: u32 = 6;
}

/// Option codes.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SECTION_APPLICATION: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_DESCRIPTION: u16 = 3;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const INTERFACE_OFFSET: u16 = 14;
    pub(super) const STATISTICS_RECEIVED: u16 = 4;
    pub(super) const STATISTICS_DROPPED: u16 = 5;
}

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
