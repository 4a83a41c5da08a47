//! Sends prepared datagrams at a rate.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use vxscope_benches::{Frames, Traffic};
use vxscope_sim::traffic::Pace;

/// Ethernet, IPv4 and UDP headers, which the socket writes itself.
const HEADERS: usize = 14 + 20 + 8;
/// Conversations, and datagrams before they begin again.
const FLOWS: u32 = 1_000;
const DATAGRAMS: u64 = 100_000;

/// Datagrams in a burst, and the pause behind it.
const BURST: u64 = 512;
const PAUSE: Duration = Duration::from_millis(4);

/// Datagrams, one behind the other.
pub(crate) struct Sender {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Sender {
    pub(crate) fn new(frames: Frames, quick: bool) -> io::Result<Self> {
        let packets = if quick { DATAGRAMS / 50 } else { DATAGRAMS };
        Self::with_flows(frames, FLOWS, packets)
    }

    /// So many datagrams of so many conversations, as far as each of them has one.
    pub(crate) fn with_flows(frames: Frames, flows: u32, packets: u64) -> io::Result<Self> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let traffic = Traffic {
            frames,
            flows,
            packets,
        };
        traffic.each(|_, packet| {
            bytes.extend_from_slice(packet.get(HEADERS..).unwrap_or_default());
            ends.push(bytes.len());
            Ok(())
        })?;
        Ok(Self { bytes, ends })
    }

    /// Datagrams, before they begin again.
    pub(crate) fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Each datagram once.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let ranges = starts.zip(&self.ends);
        ranges.filter_map(|(from, to)| self.bytes.get(*from..*to))
    }

    /// Sends so many, in bursts with pauses in which whoever shares the processor comes to it.
    pub(crate) fn send_bursts(&self, port: u16, count: u64) -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        let mut sent = 0;
        loop {
            let mut from = 0;
            for end in &self.ends {
                if sent == count {
                    return Ok(());
                }
                let datagram = self.bytes.get(from..*end).unwrap_or_default();
                from = *end;
                socket.send(datagram)?;
                sent += 1;
                if sent.is_multiple_of(BURST) {
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Sends again and again for so long; returns how many left, and how long that took.
    pub(crate) fn send(&self, port: u16, rate: u64, time: Duration) -> io::Result<(u64, Duration)> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        let mut pace = Pace::new(rate);
        let (mut sent, start) = (0, now());
        loop {
            let mut from = 0;
            for end in &self.ends {
                let elapsed = wait(&mut pace, start);
                if elapsed >= time {
                    return Ok((sent, elapsed));
                }
                let datagram = self.bytes.get(from..*end).unwrap_or_default();
                from = *end;
                if socket.send(datagram)? == datagram.len() {
                    sent += 1;
                }
            }
        }
    }
}

/// Waits for the next turn.
fn wait(pace: &mut Pace, start: Instant) -> Duration {
    loop {
        let elapsed = start.elapsed();
        match pace.poll_turn(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)) {
            0 => return elapsed,
            wait => thread::sleep(Duration::from_nanos(wait)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a sender in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
