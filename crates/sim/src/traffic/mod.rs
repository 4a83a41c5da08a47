//! A seeded stream of mirrored traffic, made packet by packet.
//!
//! Outer headers are those of a real AWS session: UDP checksum 0, TTL 255, IP id 0, DF clear,
//! flags 0x08, one outer source address and VNI per mirrored interface, and one outer source port
//! per inner flow, the same for both directions. Inner conversations have right sequence numbers,
//! lengths and checksums; frames that are cut have no transport checksum, as AWS leaves them.

mod conversation;
mod corrupt;
mod fault;
mod faults;
mod frame;
mod identity;
mod pace;
mod payload;
mod plan;
mod spec;
mod stream;
mod tally;
mod transport;
mod truth;
mod tunnel;

use vxscope_units::Timestamp;

use crate::random::Random;
use conversation::Flow;
use frame::Frame;
use identity::Identity;
use payload::Payload;
use tally::Tally;
use tunnel::Tunnel;

pub use faults::{Faults, FaultsError};
pub use pace::Pace;
pub use spec::{Carrier, Scenario, Size, Spec, SpecError};
pub use stream::{Datagram, Kind, Stream, StreamError};
pub use truth::{FaultCounts, ForgedTruth, SourceTruth, Truth};

/// One packet that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was sent.
    pub timestamp: Timestamp,
    /// Which source mirrored it: an index into [`Truth::per_source`].
    pub source: u32,
    /// The conversation as this source sees it: a number below twice [`Spec::flows`].
    pub flow: u32,
    /// Whether scenario malformed damaged it.
    pub damaged: bool,
    /// Bytes of the packet, from the outer Ethernet header.
    pub outer_length: usize,
    /// Bytes of the inner frame that are in the packet.
    pub inner_length: usize,
    /// Bytes of the inner frame before it was cut.
    pub inner_original_length: usize,
}

/// Makes the packets of one [`Spec`], without an allocation per packet.
#[derive(Clone, Debug)]
pub struct Generator {
    spec: Spec,
    tunnel: Tunnel,
    payload: Payload,
    random: Random,
    flows: Vec<Flow>,
    /// Numbers of the flows with packets left, but for the elephant.
    alive: Vec<u32>,
    sent: u64,
    malformed: u64,
    tallies: Vec<Tally>,
    second: SecondView,
}

/// A frame that the other end's session mirrors next.
#[derive(Clone, Debug, Default)]
struct SecondView {
    due: Option<Departure>,
    frame: Vec<u8>,
}

/// What is known of a frame when it leaves.
#[derive(Clone, Copy, Debug)]
struct Departure {
    source: u32,
    flow: u32,
    flow_hash: u64,
    opens_flow: bool,
    original_length: usize,
}

impl Generator {
    /// Prepares the flows: time and memory grow with their number.
    ///
    /// # Errors
    /// The first number of the specification that is out of range.
    pub fn try_new(spec: Spec) -> Result<Self, SpecError> {
        spec.check()?;
        let mut random = Random::new(spec.seed);
        let elephants = u32::from(spec.scenario == Scenario::Elephant);
        Ok(Self {
            tunnel: Tunnel::new(&spec),
            payload: Payload::new(&mut random),
            random,
            flows: plan::flows(&spec),
            alive: (elephants..spec.flows).collect(),
            sent: 0,
            malformed: 0,
            tallies: vec![Tally::default(); usize::try_from(spec.sources).unwrap_or(0)],
            second: SecondView::default(),
            spec,
        })
    }

    /// Replaces the buffer's contents by the next packet, from its outer Ethernet header. `None`
    /// after the last.
    pub fn next_packet(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        if self.sent == self.spec.packets {
            return None;
        }
        buffer.clear();
        let departure = match self.second.due.take() {
            Some(departure) => self.write_copy(buffer, departure),
            None => self.write_next(buffer)?,
        };
        let damaged = self.spec.scenario == Scenario::Malformed
            && fault::damage(buffer, self.tunnel.len(), &mut self.random);
        self.malformed += u64::from(damaged);
        Some(self.count(buffer.len(), departure, damaged))
    }

    /// What was sent so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        Truth {
            sent: self.sent,
            bytes: self.tallies.iter().map(|tally| tally.bytes).sum(),
            malformed: self.malformed,
            per_source: tally::per_source(&self.spec, &self.tallies),
            ..Truth::default()
        }
    }

    /// The next packet of any flow, as the sender's session mirrors it.
    fn write_next(&mut self, buffer: &mut Vec<u8>) -> Option<Departure> {
        let number = self.choose()?;
        let identity = Identity::new(&self.spec, number);
        let flow = self.flows.get_mut(usize::try_from(number).ok()?)?;
        let opens_flow = flow.step == 0;
        let segment = flow.next(&identity, self.spec.size, &mut self.random);
        let sender = match identity.twin {
            Some(twin) if !segment.from_local => (twin, identity.source),
            Some(twin) => (identity.source, twin),
            None => (identity.source, identity.source),
        };
        let source = sender.0;
        let frame = Frame::new(&identity, &segment, source);
        let original_length = frame.len();
        let departure = Departure {
            source,
            flow: view(number, source, &identity),
            flow_hash: identity.hash,
            opens_flow,
            original_length,
        };
        let cut = original_length > self.tunnel.frame_max;
        self.write_tunnel(buffer, departure);
        frame.write(buffer, &self.payload, !cut);
        buffer.truncate(self.tunnel.len() + self.tunnel.frame_max);
        if identity.twin.is_some() {
            self.keep_copy(
                buffer,
                Departure {
                    source: sender.1,
                    flow: view(number, sender.1, &identity),
                    ..departure
                },
            );
        }
        Some(departure)
    }

    fn write_tunnel(&self, buffer: &mut Vec<u8>, departure: Departure) {
        let length = departure.original_length.min(self.tunnel.frame_max);
        let Departure {
            source, flow_hash, ..
        } = departure;
        self.tunnel
            .write(buffer, &self.spec, source, flow_hash, length);
    }

    fn keep_copy(&mut self, buffer: &[u8], departure: Departure) {
        let frame = buffer.get(self.tunnel.len()..).unwrap_or_default();
        self.second.frame.clear();
        self.second.frame.extend_from_slice(frame);
        self.second.due = Some(departure);
    }

    /// The frame that was written last, as the receiver's session mirrors it.
    fn write_copy(&self, buffer: &mut Vec<u8>, departure: Departure) -> Departure {
        self.write_tunnel(buffer, departure);
        let macs = frame::macs(departure.source, false);
        let rest = self.second.frame.get(macs.len()..).unwrap_or_default();
        buffer.extend_from_slice(&macs);
        buffer.extend_from_slice(rest);
        departure
    }

    /// A flow with packets left.
    fn choose(&mut self) -> Option<u32> {
        let elephant = self.spec.scenario == Scenario::Elephant
            && self.flows.first().is_some_and(|flow| flow.left > 0);
        if elephant && (self.alive.is_empty() || self.random.coin()) {
            return Some(0);
        }
        let index = self.random.index(self.alive.len());
        let number = *self.alive.get(index)?;
        let flow = self.flows.get(usize::try_from(number).ok()?)?;
        if flow.left == 1 {
            self.alive.swap_remove(index);
        }
        Some(number)
    }

    fn count(&mut self, outer_length: usize, departure: Departure, damaged: bool) -> Packet {
        let inner_length = outer_length.saturating_sub(self.tunnel.len());
        let row = usize::try_from(departure.source).unwrap_or(usize::MAX);
        if let Some(tally) = self.tallies.get_mut(row) {
            tally.add(outer_length - self.spec.carrier.headers(), inner_length);
            tally.flows += u64::from(departure.opens_flow);
        }
        let elapsed = u128::from(self.sent) * 1_000_000_000 / u128::from(self.spec.rate);
        let timestamp = self
            .spec
            .start
            .plus_nanos(u64::try_from(elapsed).unwrap_or(u64::MAX));
        self.sent += 1;
        Packet {
            timestamp,
            source: departure.source,
            flow: departure.flow,
            damaged,
            outer_length,
            inner_length,
            inner_original_length: departure.original_length,
        }
    }
}

/// A number for a flow as `source` sees it.
fn view(flow: u32, source: u32, identity: &Identity) -> u32 {
    flow * 2 + u32::from(source != identity.source)
}
