//! What leaves: the packets that were made, after the faults that were asked for.

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;

use vxscope_units::Timestamp;

use super::corrupt::corrupt;
use super::faults::{Fate, Faults, FaultsError};
use super::identity::{FORGED, forged_address, forged_vni, mirror_address, outer_address, vni};
use super::spec::{Carrier, Spec, SpecError};
use super::tally::Account;
use super::truth::Truth;
use super::tunnel::{rewrite_address, rewrite_vni};
use super::{Generator, Packet};
use crate::random::{Random, hash};

/// A packet that is late leaves after at most so many that were made later.
const LATE_MAX: u64 = 4;

vxscope_units::reasons! {
    /// What a datagram is to its receiver.
    pub enum Kind {
        /// As a source sent it.
        Genuine = "genuine",
        /// The same again.
        Duplicate = "duplicate",
        /// With some bytes changed or cut off.
        Corrupt = "corrupt",
        /// From nobody who is a source.
        Forged = "forged",
    }
}

/// One packet that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Number of the packet in the order in which they were made, from 0. Duplicates and forged
    /// packets have the number of the one they are copies of.
    pub made: u64,
    /// When it leaves.
    pub timestamp: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Which source made it, or the packet that it is a copy of.
    pub source: u32,
    /// Which socket it leaves through: an index into [`Stream::senders`].
    pub sender: usize,
    /// Source address of the IP header that carries the VXLAN.
    pub outer_ip: IpAddr,
    /// VNI; what it was before, if it is corrupt.
    pub vni: u32,
    /// Bytes, counted as in [`Truth::bytes`].
    pub bytes: usize,
    /// Bytes of the inner frame; what it had before, if it is corrupt.
    pub inner_bytes: usize,
    pub(crate) flow: u32,
    pub(crate) damaged: bool,
}

impl Datagram {
    /// The same, cut by so many bytes on its way out.
    #[must_use]
    pub fn without_end(self, cut: usize) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(cut),
            inner_bytes: self.inner_bytes.saturating_sub(cut),
            ..self
        }
    }
}

/// Makes the packets of one [`Spec`] and does [`Faults`] to them. The same seed gives the same
/// datagrams, and the packets are those that [`Generator`] makes whatever the faults.
///
/// ```
/// use vxscope_sim::traffic::{Faults, Spec, Stream};
///
/// let faults: Faults = "loss=0.1,forged=0.2".parse().unwrap();
/// let mut stream = Stream::try_new(Spec::default(), faults).unwrap();
/// let mut buffer = Vec::new();
/// while let Some(datagram) = stream.next_datagram(&mut buffer) {
///     stream.handle_sent(&datagram);
/// }
/// let truth = stream.truth();
/// assert_eq!(truth.sent, 10_000 - truth.faults.loss + truth.faults.forged);
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    spec: Spec,
    faults: Faults,
    generator: Generator,
    random: Random,
    account: Account,
    made: u64,
    now: Timestamp,
    /// Those that are late, with the packet after which each leaves; at most [`LATE_MAX`].
    late: Vec<(u64, Copied)>,
    /// Those that leave before another packet is made; a few at most.
    ready: VecDeque<Copied>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
}

/// A packet that waits.
#[derive(Clone, Debug)]
struct Copied {
    datagram: Datagram,
    bytes: Vec<u8>,
}

/// Why a stream cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The traffic.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The faults.
    #[error(transparent)]
    Faults(#[from] FaultsError),
}

impl Stream {
    /// Prepares the flows: time and memory grow with their number.
    ///
    /// # Errors
    /// The first number that is out of range.
    pub fn try_new(spec: Spec, faults: Faults) -> Result<Self, StreamError> {
        faults.check()?;
        let generator = Generator::try_new(spec.clone())?;
        Ok(Self {
            faults,
            generator,
            random: Random::new(hash(spec.seed, 1)),
            account: Account::new(&spec),
            made: 0,
            now: spec.start,
            late: Vec::new(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            spec,
        })
    }

    /// How datagrams leave.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.spec.carrier
    }

    /// The addresses that sockets need, none for a capture.
    #[must_use]
    pub fn senders(&self) -> Vec<IpAddr> {
        let carrier = self.spec.carrier;
        match carrier {
            Carrier::Capture => Vec::new(),
            Carrier::Shared(address) => vec![address],
            Carrier::Loopback => {
                let forgers = if self.faults.forged > 0.0 { FORGED } else { 0 };
                let sources = (0..self.spec.sources).map(|source| outer_address(carrier, source));
                let forgers = (0..forgers).map(|which| forged_address(carrier, which));
                sources.chain(forgers).map(IpAddr::V4).collect()
            }
        }
    }

    /// Replaces the buffer's contents by the next packet that leaves, from its outer Ethernet
    /// header; sockets leave out the first [`Carrier::headers`] bytes. `None` after the last.
    /// Tell [`Stream::handle_sent`] or [`Stream::handle_not_sent`] what became of it.
    pub fn next_datagram(&mut self, buffer: &mut Vec<u8>) -> Option<Datagram> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                self.spare.push(mem::replace(buffer, next.bytes));
                let timestamp = self.now;
                return Some(Datagram {
                    timestamp,
                    ..next.datagram
                });
            }
            if let Some(packet) = self.generator.next_packet(buffer) {
                let leaves = self.decide(&packet, buffer);
                self.release(self.made);
                self.made += 1;
                if leaves.is_some() {
                    return leaves;
                }
            } else if self.late.is_empty() {
                return None;
            } else {
                self.release(u64::MAX);
            }
        }
    }

    /// The datagram left.
    pub fn handle_sent(&mut self, datagram: &Datagram) {
        self.account.count(datagram);
    }

    /// The datagram should have left and could not.
    pub fn handle_not_sent(&mut self) {
        self.account.miss();
    }

    /// What left so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.account.truth(&self.spec)
    }

    /// What becomes of the packet in the buffer: what leaves now, if anything does.
    fn decide(&mut self, packet: &Packet, buffer: &mut Vec<u8>) -> Option<Datagram> {
        self.now = packet.timestamp;
        let datagram = self.genuine(packet);
        // Where the headers are damaged already, nobody could say whose packet it is.
        if self.random.share() < self.faults.forged && !packet.damaged {
            self.forge(datagram, buffer);
        }
        match self.faults.fate(&mut self.random) {
            Fate::Leave => Some(datagram),
            Fate::Loss => {
                self.account.lose();
                None
            }
            Fate::Reorder => {
                let after = self.made + 1 + self.random.below(LATE_MAX);
                let copied = self.copy(datagram, buffer);
                self.late.push((after, copied));
                None
            }
            Fate::Duplicate => {
                let kind = Kind::Duplicate;
                let copied = self.copy(Datagram { kind, ..datagram }, buffer);
                self.ready.push_front(copied);
                Some(datagram)
            }
            Fate::Corrupt => Some(self.corrupt(datagram, buffer)),
        }
    }

    fn genuine(&self, packet: &Packet) -> Datagram {
        let sender = match self.spec.carrier {
            Carrier::Loopback => usize::try_from(packet.source).unwrap_or(0),
            Carrier::Capture | Carrier::Shared(_) => 0,
        };
        Datagram {
            made: self.made,
            timestamp: packet.timestamp,
            kind: Kind::Genuine,
            source: packet.source,
            sender,
            outer_ip: mirror_address(&self.spec, packet.source),
            vni: vni(&self.spec, packet.source),
            bytes: packet.outer_length - self.spec.carrier.headers(),
            inner_bytes: packet.inner_length,
            flow: packet.flow,
            damaged: packet.damaged,
        }
    }

    fn corrupt(&mut self, datagram: Datagram, buffer: &mut Vec<u8>) -> Datagram {
        let tunnel = self.generator.tunnel.len();
        if !corrupt(buffer, tunnel, &mut self.random) {
            return datagram;
        }
        Datagram {
            kind: Kind::Corrupt,
            bytes: buffer.len() - self.spec.carrier.headers(),
            ..datagram
        }
    }

    /// A copy of the packet, from another address or with another VNI.
    fn forge(&mut self, datagram: Datagram, buffer: &[u8]) {
        let kind = Kind::Forged;
        let mut copied = self.copy(Datagram { kind, ..datagram }, buffer);
        let tunnel = self.generator.tunnel.len();
        let which = u32::try_from(self.random.below(u64::from(FORGED))).unwrap_or(0);
        let Copied { datagram, bytes } = &mut copied;
        if self.random.coin() && !self.spec.one_address() {
            let address = forged_address(self.spec.carrier, which);
            rewrite_address(bytes, tunnel, address);
            datagram.outer_ip = IpAddr::V4(address);
            if self.spec.carrier == Carrier::Loopback {
                datagram.sender = usize::try_from(self.spec.sources + which).unwrap_or(0);
            }
        } else {
            datagram.vni = forged_vni(&self.spec, which);
            rewrite_vni(bytes, tunnel, datagram.vni);
        }
        self.ready.push_back(copied);
    }

    /// Lets those leave that were late until this packet.
    fn release(&mut self, made: u64) {
        let due = self.late.extract_if(.., |(after, _)| *after <= made);
        self.ready.extend(due.map(|(_, copied)| copied));
    }

    fn copy(&mut self, datagram: Datagram, buffer: &[u8]) -> Copied {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(buffer);
        Copied { datagram, bytes }
    }
}
