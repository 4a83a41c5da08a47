//! What goes from a worker to the writer, in the order of the input.

use std::collections::BTreeSet;

use vxscope_export::{ExtractedFlow, FrameChunk, Ordered, Packets};
use vxscope_flow::{CommunityId, FlowRecord, StoredFrames};
use vxscope_signals::Fact;
use vxscope_units::Timestamp;

/// What a worker sends to the writer.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Frames, and no further one up to the chunk's `through`.
    Frames(FrameChunk),
    /// Flow records and facts, and no further one of this position or before.
    Items(Vec<Item>, u64),
    /// The packets of one flow, as asked for.
    Extracted(Box<Extraction>),
    /// Input records walked: nothing further is to come up to this one.
    Reached(u64),
    /// Nothing further is to come.
    End,
}

/// What a worker tells in the order of the input.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A flow ended.
    Flow(FlowRecord),
    /// A fact about a source's traffic, and when by the wall clock.
    Fact(Fact, Timestamp),
}

impl Ordered for Item {
    fn order(&self) -> (u64, u64) {
        match self {
            Self::Flow(record) => record.order(),
            Self::Fact(fact, _) => fact.order(),
        }
    }
}

/// Flows whose packets are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) flows: BTreeSet<u64>,
    pub(crate) communities: Vec<CommunityId>,
}

impl Wanted {
    pub(super) fn is_wanted(&self, record: &FlowRecord) -> bool {
        self.flows.contains(&record.flow_id) || self.communities.contains(&record.community_id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.communities.is_empty()
    }
}

/// What the rings still held of a flow when it ended.
#[derive(Debug)]
pub(crate) struct Extraction {
    pub(crate) flow: ExtractedFlow,
    pub(crate) packets_seen: u64,
    pub(crate) packets: Packets,
}

impl Extraction {
    pub(super) fn new(record: &FlowRecord, frames: &StoredFrames<'_>) -> Self {
        let flow = ExtractedFlow {
            flow_id: record.flow_id,
            community_id: record.community_id,
            source: record.source,
            protocol: record.protocol,
            originator: (record.originator, record.originator_port),
            responder: (record.responder, record.responder_port),
        };
        let mut packets = Packets::default();
        frames.visit(&mut |stored| {
            packets.push(stored.timestamp, stored.frame, stored.original_len);
        });
        Self {
            flow,
            packets_seen: record.forward.packets + record.reverse.packets,
            packets,
        }
    }
}
