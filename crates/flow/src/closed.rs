//! Flows that ended and can still be looked up: a fixed number, the oldest forgotten first. Their
//! packets lie in the rings until they are overwritten, which has its own pace.

use std::io;

use vxscope_memory::FixedVec;
use vxscope_units::{MirrorSource, Timestamp};
use vxscope_wire::Tuple;

use crate::community_id::CommunityId;
use crate::ring::RingState;

/// A flow as somebody who looks for its packets sees it, open or closed.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// As in the flow's record.
    pub flow_id: u64,
    /// Whose mirror it was seen on.
    pub source: MirrorSource,
    /// From originator to responder.
    pub tuple: Tuple,
    /// Packets of both directions so far.
    pub packets: u64,
    /// Time of the first packet.
    pub start: Timestamp,
    /// The latest packet's time.
    pub end: Timestamp,
    /// Whether it goes on.
    pub open: bool,
    pub(crate) ring: RingState,
}

impl Sighting {
    /// Community ID v1, seed 0.
    #[must_use]
    pub fn community_id(&self) -> CommunityId {
        CommunityId::new(0, &self.tuple)
    }
}

/// Memory of one closed flow.
pub const BYTES_PER_CLOSED_FLOW: usize = size_of::<Sighting>();

/// The flows that ended last. The n-th to end has the number n.
#[derive(Debug)]
pub(crate) struct ClosedFlows {
    flows: FixedVec<Sighting>,
    /// How many have ended.
    count: u64,
}

impl ClosedFlows {
    pub(crate) fn try_new(closed_max: usize) -> io::Result<Self> {
        Ok(Self {
            flows: FixedVec::with_capacity(closed_max)?,
            count: 0,
        })
    }

    /// Keeps a flow that ended; the oldest makes room.
    #[inline]
    pub(crate) fn push(&mut self, flow: Sighting) {
        if self.flows.capacity() == 0 {
            return;
        }
        if self.flows.push(flow).is_err() {
            let place = self.place(self.count);
            if let Some(oldest) = self.flows.get_mut(place) {
                *oldest = flow;
            }
        }
        self.count += 1;
    }

    /// How many have ended, the forgotten ones included.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The flow of a number; `None` if it is forgotten or has not ended yet.
    pub(crate) fn get(&self, number: u64) -> Option<&Sighting> {
        let is_kept = number < self.count && self.count - number <= self.flows.len() as u64;
        self.flows.get(self.place(number)).filter(|_| is_kept)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder is below the capacity, which is an address range"
    )]
    fn place(&self, number: u64) -> usize {
        (number % (self.flows.capacity() as u64).max(1)) as usize
    }
}
