//! UDP sockets as a mirror target needs them: batched receive with kernel timestamps, exact drop
//! counts, groups of sockets that a BPF program steers, and a gate that shuts without losing what
//! came before.
//!
//! Drops are read with `SO_MEMINFO`. The other count there is, `SO_RXQ_OVFL`, comes with a
//! datagram and says how many were lost *before that datagram was queued*: at the end of a burst,
//! when nothing more follows, it never tells.

mod batch;
mod socket;
#[cfg(test)]
mod tests;

pub use batch::{BATCH_DATAGRAMS, Datagram, DatagramBatch, SLOT_BYTES};
pub use socket::UdpSocket;
