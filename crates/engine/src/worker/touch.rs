//! The second pass: frames are tracked, counted, stored and exported, in order.

use arrayvec::ArrayVec;
use vxscope_account::{Frame, Ledger};
use vxscope_flow::{
    CloseReason, Closing, FlowRecord, FlowSoFar, Flows, Label, Milestone, StoredFrames,
};
use vxscope_units::SourceId;

use super::clock::{Tick, at_tick};
use super::{Frames, PASS, Pending, Worker, WorkerReport};
use crate::follower::{Follower, is_dns};
use crate::look_back::Watches;
use crate::outlet::Outlet;

/// Frames between the one that is touched and the one whose place in a ring is fetched, and what
/// else it touches.
const SOON: usize = 4;

impl Worker {
    /// Second pass over the frames that were opened, and the ticks between them.
    pub(super) fn touch(&mut self, frames: &Frames<'_>, ticks: &ArrayVec<Tick, PASS>) {
        let Self {
            pass,
            flows,
            ledger,
            follower,
            outlet,
            clock,
            sources,
            watches,
            ..
        } = self;
        let pending = pass.pending.get_mut(..pass.taken).unwrap_or_default();
        for one in pending.iter_mut().skip(pass.fetched) {
            flows.prefetch(&mut one.prepared);
        }
        let mut ends = Ends {
            ledger,
            follower,
            outlet,
            watches,
        };
        let mut ticks = ticks.as_slice();
        let mut soon = pending.iter();
        for one in soon.by_ref().take(SOON) {
            flows.prefetch_more(&one.prepared, &one.packet.view.tcp);
        }
        for (one, frame) in pending.iter().zip(frames) {
            if let Some(later) = soon.next() {
                flows.prefetch_more(&later.prepared, &later.packet.view.tcp);
            }
            if !ticks.is_empty() {
                tick_before(one.packet.index, &mut ticks, flows, &mut ends);
            }
            let kept = sources.kept(one.packet.source, &one.packet.view, frame);
            observe(flows, &mut ends, one, frame, kept);
        }
        tick_before(u64::MAX, &mut ticks, flows, &mut ends);
        (pass.taken, pass.fetched) = (0, 0);
        if let Some(last) = clock.next_index.checked_sub(1) {
            outlet.reach(last);
        }
    }

    /// The input ended: closes all flows and hands everything over.
    pub(crate) fn finish(mut self) -> WorkerReport {
        self.outlet.end();
        let look_back = self.look_back();
        let mut ends = Ends {
            ledger: &mut self.ledger,
            follower: &mut self.follower,
            outlet: &mut self.outlet,
            watches: &mut self.watches,
        };
        let end = at_tick(self.clock.next_index);
        self.flows.close_all(self.clock.now, end, &mut ends);
        self.watches.finish();
        let lost = self.outlet.finish();
        WorkerReport {
            statement: self.ledger.named(&self.sources),
            longest_probe: self.flows.longest_probe(),
            look_back,
            lost,
            writer: self.outlet.into_writer(),
        }
    }
}

/// The ticks that come before a position.
#[inline(never)]
fn tick_before(position: u64, ticks: &mut &[Tick], flows: &mut Flows, ends: &mut Ends<'_>) {
    while let [tick, later @ ..] = *ticks
        && at_tick(tick.index) < position
    {
        flows.tick(tick.second, at_tick(tick.index), ends);
        *ticks = later;
    }
}

/// Takes a frame into its flow, counts it, and exports what is kept of it.
#[inline(always)]
fn observe(flows: &mut Flows, ends: &mut Ends<'_>, pending: &Pending, frame: &[u8], kept: &[u8]) {
    let packet = &pending.packet;
    let observed = flows.observe(&pending.prepared, packet, kept, ends);
    let counted = Frame {
        view: &packet.view,
        timestamp: packet.timestamp,
        crossing: packet.crossing,
        joined: pending.joined,
        reserved_bits: pending.reserved_bits,
        observed,
    };
    ends.ledger.count(packet.source, &counted);
    if is_dns(observed.label) {
        let (ledger, outlet) = (&mut *ends.ledger, &mut *ends.outlet);
        ends.follower.handle_dns(packet, frame, ledger, outlet);
    }
    if ends.watches.are_there() {
        ends.watches.observe(packet, kept);
    }
    if ends.outlet.wants_frames() {
        ends.outlet.frame(packet, kept);
    }
}

/// Where flows go: into the ledger, to who follows them, and to the outputs.
struct Ends<'a> {
    ledger: &'a mut Ledger,
    follower: &'a mut Follower,
    outlet: &'a mut Outlet,
    watches: &'a mut Watches,
}

impl Closing for Ends<'_> {
    fn handle_closed(&mut self, record: &FlowRecord, frames: &StoredFrames<'_>) {
        self.outlet.record(record, frames);
    }

    fn wants_records(&self) -> bool {
        self.outlet.wants_records()
    }

    fn count_closed(&mut self, source: SourceId, reason: CloseReason) {
        self.ledger.close(source, reason);
    }

    fn handle_milestone(&mut self, flow: &FlowSoFar, milestone: Milestone) -> Label {
        let (ledger, outlet) = (&mut *self.ledger, &mut *self.outlet);
        self.follower
            .handle_milestone(flow, milestone, ledger, outlet)
    }
}
