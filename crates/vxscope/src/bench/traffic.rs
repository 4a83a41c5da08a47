//! Prepared datagrams, sent at a rate.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use vxscope_sim::traffic::{Carrier, Faults, Pace, Size, Spec, Stream};

use crate::failure::Failure;
use crate::generate::live::now;

/// Datagrams before they begin again, and conversations in them.
const DATAGRAMS: u64 = 20_000;
const FLOWS: u32 = 1_000;
/// Datagrams between two looks at the clock's end.
const LOOK_EVERY: usize = 64;

/// See the module.
pub(super) struct Traffic {
    bytes: Vec<u8>,
    /// Where each datagram ends, who sends it, and bytes of the frame inside.
    datagrams: Vec<(usize, usize, u64)>,
    sockets: Vec<UdpSocket>,
}

/// What left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) packets: u64,
    pub(super) frame_bytes: u64,
    pub(super) time: Duration,
}

impl Traffic {
    pub(super) fn new(size: Size) -> Result<Self, Failure> {
        let spec = Spec {
            size,
            flows: FLOWS,
            packets: DATAGRAMS,
            carrier: Carrier::Loopback,
            ..Spec::default()
        };
        let stream = Stream::try_new(spec, Faults::default());
        let mut stream = stream.map_err(|error| Failure::Usage(error.to_string()))?;
        let sockets = stream.senders().into_iter().map(|address| {
            UdpSocket::bind((address, 0))
                .map_err(|error| Failure::Failed(format!("{address}: no socket: {error}")))
        });
        let sockets = sockets.collect::<Result<_, _>>()?;
        let headers = stream.carrier().headers();
        let (mut bytes, mut datagrams, mut packet) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(datagram) = stream.next_datagram(&mut packet) {
            let payload = packet.get(headers..).unwrap_or_default();
            bytes.extend_from_slice(payload);
            let frame = payload.len().saturating_sub(VXLAN_HEADER) as u64;
            datagrams.push((bytes.len(), datagram.sender, frame));
        }
        Ok(Self {
            bytes,
            datagrams,
            sockets,
        })
    }

    /// Sends again and again for so long, or until somebody ends it.
    pub(super) fn send(
        &self,
        target: SocketAddr,
        rate: u64,
        time: Duration,
        is_ended: impl Fn() -> bool,
    ) -> Result<Sent, Failure> {
        let (mut pace, mut sent, start) = (Pace::new(rate), Sent::default(), now());
        loop {
            let mut from = 0;
            for (number, (end, sender, frame)) in self.datagrams.iter().enumerate() {
                let mut elapsed = start.elapsed();
                loop {
                    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
                    match pace.poll_turn(nanos) {
                        0 => break,
                        wait => thread::sleep(Duration::from_nanos(wait)),
                    }
                    elapsed = start.elapsed();
                }
                sent.time = elapsed;
                if elapsed >= time || (number.is_multiple_of(LOOK_EVERY) && is_ended()) {
                    return Ok(sent);
                }
                let payload = self.bytes.get(from..*end).unwrap_or_default();
                from = *end;
                let Some(socket) = self.sockets.get(*sender) else {
                    continue;
                };
                // What the kernel has no room for has not left, and is not counted.
                if socket.send_to(payload, target).is_ok() {
                    sent.packets += 1;
                    sent.frame_bytes += frame;
                }
            }
        }
    }
}

/// Bytes before the frame.
const VXLAN_HEADER: usize = 8;
