//! Datagrams of one port, looked at together.

use std::net::IpAddr;

use vxscope_linux::udp::DatagramBatch;
use vxscope_units::Timestamp;
use vxscope_wire::Tunnel;

use crate::live::Arrival;

/// Up to [`UdpBatch::CAPACITY`] datagrams that came for one kind of tunnel. Allocated once
/// (about 300 KiB) and filled again and again by [`UdpSource::receive`](super::UdpSource::receive).
#[derive(Debug)]
pub struct UdpBatch {
    pub(super) slots: DatagramBatch,
    pub(super) tunnel: Tunnel,
    /// Whether there was a wait before they came.
    pub(crate) waited: bool,
}

/// One datagram as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'b> {
    /// When it arrived, by the kernel's clock.
    pub timestamp: Timestamp,
    /// Who sent it.
    pub source: IpAddr,
    /// The UDP payload, at most [`UdpBatch::PAYLOAD_MAX`] bytes of it.
    pub payload: &'b [u8],
    /// Bytes the payload had; more than there are if it was longer than that.
    pub original_len: u32,
}

impl UdpBatch {
    /// How many datagrams a batch holds.
    pub const CAPACITY: usize = vxscope_linux::udp::BATCH_DATAGRAMS;

    /// How much of a datagram is kept. An MTU of 9,001 leaves 8,973 bytes.
    pub const PAYLOAD_MAX: usize = vxscope_linux::udp::SLOT_BYTES;

    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: DatagramBatch::new(),
            tunnel: Tunnel::Vxlan,
            waited: false,
        }
    }

    /// Which tunnel the datagrams came for.
    #[must_use]
    #[inline]
    pub const fn tunnel(&self) -> Tunnel {
        self.tunnel
    }

    /// How many datagrams there are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The datagrams, in the order of their arrival.
    #[inline]
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = UdpDatagram<'_>> {
        self.slots.iter().map(|datagram| UdpDatagram {
            timestamp: Timestamp::from_nanos(datagram.stamp_ns),
            source: datagram.source,
            payload: datagram.payload,
            original_len: datagram.original_len,
        })
    }
}

impl UdpBatch {
    /// The datagrams, as any live input has them.
    #[inline]
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        let tunnel = self.tunnel;
        self.datagrams().map(move |datagram| Arrival {
            timestamp: datagram.timestamp,
            bytes: datagram.payload.len() as u64,
            opened: Ok((tunnel, datagram)),
        })
    }
}

impl Default for UdpBatch {
    fn default() -> Self {
        Self::new()
    }
}
