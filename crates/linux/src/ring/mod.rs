//! A packet ring: the kernel copies an interface's packets into memory that this process reads.
//!
//! `AF_PACKET` with `TPACKET_V3` (Documentation/networking/packet_mmap.rst). The ring is a circle
//! of blocks. The kernel fills one, and hands it over when it is full or some time has passed; the
//! reader gives it back when it has read it. While a block is handed over the kernel does not
//! touch it, and when all are, it drops and counts.
//!
//! ```text
//!  block  ┌ status, packets, where the first starts ┐ packet ┐ packet ┐ …
//!  packet └ next, stamp, lengths, VLAN ┘ address ┘ bytes from the IP header on
//! ```
//!
//! The socket is a `SOCK_DGRAM` one, so that filters and steering programs read from the IP header
//! on, whatever the link layer is, and VLAN tags that the kernel has taken off are told apart.

mod block;
mod map;
mod socket;

pub use block::{Frame, Frames};
pub use socket::{Counts, PacketRing, RingSize};
