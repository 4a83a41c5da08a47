//! One worker: a batch of records in; frames decapsulated, tracked, stored and counted.
//!
//! Every worker walks every record and takes its own, so all see the same clock, the same
//! fragments and the same learned addresses. Passes over a batch overlap cache misses: open and
//! hash all, fetch, then touch.

use std::time::Duration;

use arrayvec::ArrayVec;
use vxscope_account::{Frame, Ledger, Row, Statement};
use vxscope_capture::live::{Arrival, LiveBatch};
use vxscope_flow::{
    Admission, CloseReason, Closing, FlowRecord, FlowSoFar, Flows, Fragments, Joined, Label,
    Milestone, Packet, Payloads, Prepared, RingFill, Sources, StoredFrames, Verdict,
};
use vxscope_memory::prefetch_bytes;
use vxscope_pcap::Record;
use vxscope_units::{LinkType, MirrorSource, SourceId, Timestamp, Unknown, Vni};
use vxscope_wire::steer::Steering;
use vxscope_wire::{
    Decapsulated, Options, Reject, Tunnel, decapsulate_datagram, decapsulate_record, ethernet,
    read_frame,
};

use crate::accounting::{Stages, Step};
use crate::clock::Drift;
use crate::command::Command;
use crate::follower::{Follower, is_dns};
use crate::look_back::{Retriever, Watches};
use crate::outlet::{Lost, Outlet};
use crate::stray::Strays;

mod stray;

pub(crate) use stray::Coming;
use stray::{SHED, Stays, may_stray, send_on};

/// Records handled in one set of passes: enough to overlap misses, few enough to stay in L1.
pub(crate) const PASS: usize = 16;

/// The source of bare frames: no outer address, VNI 0.
pub(crate) const BARE: MirrorSource = MirrorSource {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    vni: Vni::ZERO,
};

/// Bytes of an Ethernet header, the least that a frame has.
const ETHERNET_HEADER: usize = 14;

/// Which of the workers this is and what it opens.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) number: usize,
    /// Whether it counts what came and what was rejected: one of those that walk the same
    /// records does, and each of those that receive on their own.
    pub(crate) counts_input: bool,
    /// Who takes which frame; `None` if all that come are this worker's.
    pub(crate) steering: Option<Steering>,
    pub(crate) options: Options,
    pub(crate) bare: bool,
}

/// State of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    role: Role,
    sources: Sources,
    fragments: Fragments,
    flows: Flows,
    ledger: Ledger,
    follower: Follower,
    outlet: Outlet,
    clock: Clock,
    scratch: Vec<u8>,
    pass: Box<Pass>,
    /// Live, the lines to the other workers, if there are any.
    strays: Option<Strays>,
    /// Who wants packets of the past, and packets to come.
    retriever: Retriever,
    watches: Watches,
    /// The stamp of the newest datagram.
    newest: Timestamp,
}

/// The capture's clock: the largest stamp so far, which ticks at each whole second it passes.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    now: Timestamp,
    /// From when on it ticks again; the first stamp always does.
    next_second: Timestamp,
    next_index: u64,
}

impl Clock {
    /// Moves to a later time; the second that this brings, if it is another one.
    #[inline]
    fn reach(&mut self, now: Timestamp) -> Option<u64> {
        self.now = self.now.max(now);
        if now < self.next_second {
            return None;
        }
        let second = now.seconds();
        self.next_second = Timestamp::new(second.saturating_add(1), 0);
        Some(second)
    }
}

/// Frames between the passes: their places stay, so that each is read into its own and not moved.
#[derive(Debug, Default)]
struct Pass {
    pending: [Pending; PASS],
    taken: usize,
}

/// The frames' bytes, in the order of [`Pass::pending`].
type Frames<'a> = ArrayVec<&'a [u8], PASS>;

/// A frame between the passes.
#[derive(Debug, Default)]
struct Pending {
    packet: Packet,
    prepared: Prepared,
    joined: Joined,
    reserved_bits: bool,
}

/// The second that a record's stamp brought.
#[derive(Clone, Copy, Debug)]
struct Tick {
    index: u64,
    second: u64,
}

/// What a worker made of its input.
#[derive(Debug)]
pub(crate) struct WorkerReport {
    pub(crate) statement: Statement,
    pub(crate) longest_probe: usize,
    /// How far head and tail log reached back at the end.
    pub(crate) look_back: [Option<Duration>; 2],
    /// What did not get to the writer.
    pub(crate) lost: Lost,
}

impl Worker {
    pub(crate) fn new(
        role: Role,
        sources: Sources,
        fragments: Fragments,
        flows: Flows,
        ledger: Ledger,
        follower: Follower,
        outlet: Outlet,
    ) -> Self {
        let (clock, scratch, pass) = (Clock::default(), Vec::new(), Box::default());
        Self {
            retriever: Retriever::new(role.number),
            watches: Watches::new(),
            newest: Timestamp::ZERO,
            role,
            sources,
            fragments,
            flows,
            ledger,
            follower,
            outlet,
            clock,
            scratch,
            pass,
            strays: None,
        }
    }

    /// Handles up to [`PASS`] records at a time, in input order. `ahead` is what follows them in
    /// memory and will be read next: it is fetched bit by bit meanwhile, because the chain of
    /// record lengths would otherwise wait for every one of them.
    pub(crate) fn handle(&mut self, records: &[Record<'_>], mut ahead: &[u8]) {
        let all_ethernet = || {
            records
                .iter()
                .all(|record| record.link == LinkType::Ethernet)
        };
        if self.role.bare && !all_ethernet() {
            self.handle_reframed(records);
            return;
        }
        for pass in records.chunks(PASS) {
            let (mut frames, mut ticks) = (Frames::new(), ArrayVec::new());
            for record in pass {
                ahead = fetch_ahead(ahead, record);
                let opened = if self.role.bare {
                    bare(record.data, record.original_len)
                } else {
                    decapsulate_record(record.link, record.data, &self.role.options)
                };
                if let Some(source) = self.judge(record, &opened) {
                    let index = self.receive(record, &mut ticks);
                    self.open(index, record.timestamp, source, opened, &mut frames);
                }
            }
            self.touch(&frames, &ticks);
        }
    }

    /// Bare records of other link types become Ethernet frames in a scratch buffer, one by one.
    fn handle_reframed(&mut self, records: &[Record<'_>]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for record in records {
            let (mut frames, mut ticks) = (Frames::new(), ArrayVec::new());
            let opened = ethernet(record.link, record.data, &mut scratch).and_then(|frame| {
                // On the wire the other link header was as much longer or shorter as it is here.
                let (record_len, frame_len) = (record.data.len() as u64, frame.len() as u64);
                let original_len = u64::from(record.original_len) + frame_len;
                let original_len = original_len.saturating_sub(record_len);
                bare(frame, u32::try_from(original_len).unwrap_or(u32::MAX))
            });
            if let Some(source) = self.judge(record, &opened) {
                let index = self.receive(record, &mut ticks);
                self.open(index, record.timestamp, source, opened, &mut frames);
            }
            self.touch(&frames, &ticks);
        }
        self.scratch = scratch;
    }

    /// Handles what was received; `now` is the worker's clock, which never goes back.
    ///
    /// The order of live outputs is that of handling: a datagram's index is the clock's
    /// nanosecond, so that all workers' indices can be compared whatever the wall clock does.
    pub(crate) fn handle_batch(
        &mut self,
        batch: &LiveBatch<'_>,
        now: Timestamp,
        stages: &mut Stages,
    ) {
        match batch {
            LiveBatch::Udp(batch) => self.handle_arrivals(batch.arrivals(), now, stages),
            LiveBatch::Ring(batch) => self.handle_arrivals(batch.arrivals(), now, stages),
        }
    }

    fn handle_arrivals<'b>(
        &mut self,
        arrivals: impl Iterator<Item = Arrival<'b>>,
        now: Timestamp,
        stages: &mut Stages,
    ) {
        let mut ticks = self.begin(now);
        let mut frames = Frames::new();
        for arrival in arrivals {
            self.ledger.receive(arrival.bytes);
            let opened = open_arrival(&arrival, &self.role.options);
            let Some(source) = self.row(&opened, arrival.timestamp) else {
                continue;
            };
            let index = self.clock.next_index;
            self.clock.next_index += 1;
            self.newest = self.newest.max(arrival.timestamp);
            self.open(index, arrival.timestamp, source, opened, &mut frames);
            if frames.is_full() {
                stages.end(Step::Open, frames.len());
                self.touch(&frames, &ticks);
                stages.end(Step::Track, frames.len());
                frames.clear();
                ticks.clear();
            }
        }
        stages.end(Step::Open, frames.len());
        self.touch(&frames, &ticks);
        stages.end(Step::Track, frames.len());
    }

    /// Moves the clock of a live run, which may tick.
    fn begin(&mut self, now: Timestamp) -> ArrayVec<Tick, PASS> {
        self.clock.next_index = self.clock.next_index.max(now.as_nanos());
        let mut ticks = ArrayVec::new();
        if let Some(second) = self.clock.reach(now) {
            let index = self.clock.next_index;
            // There is room for the one tick of a batch.
            let _ = ticks.try_push(Tick { index, second });
        }
        ticks
    }

    /// See [`Outlet::set_drift`].
    pub(crate) fn set_drift(&mut self, drift: Drift) {
        self.outlet.set_drift(drift);
    }

    /// A live input is about to end: see [`Outlet::end`].
    pub(crate) fn end(&mut self) {
        self.outlet.end();
    }

    /// Counts what was received and nobody has the time to open any more.
    pub(crate) fn refuse_batch(&mut self, batch: &LiveBatch<'_>) {
        match batch {
            LiveBatch::Udp(batch) => self.refuse_arrivals(batch.arrivals()),
            LiveBatch::Ring(batch) => self.refuse_arrivals(batch.arrivals()),
        }
    }

    fn refuse_arrivals<'b>(&mut self, arrivals: impl Iterator<Item = Arrival<'b>>) {
        for arrival in arrivals {
            self.ledger.receive(arrival.bytes);
            self.ledger.reject(Reject::Deadline);
        }
    }

    /// What is not counted by source, and every source's row that changed since the last call.
    pub(crate) fn take_changes(
        &mut self,
        changes: &mut Vec<(Option<MirrorSource>, Row)>,
    ) -> Statement {
        self.ledger.take_changes(&self.sources, changes)
    }

    /// How far head and tail log reach back.
    pub(crate) fn look_back(&self) -> [Option<Duration>; 2] {
        let now = self.clock.now;
        self.flows
            .oldest_stored()
            .map(|oldest| oldest.map(|oldest| Duration::from_nanos(now.nanos_since(oldest))))
    }

    /// How full its rings are.
    pub(crate) fn ring_fill(&self) -> RingFill {
        self.flows.ring_fill()
    }

    /// What did not get to the writer so far.
    pub(crate) fn lost(&self) -> Lost {
        self.outlet.lost()
    }

    /// Does what the sensor was told.
    pub(crate) fn obey(&mut self, command: Command) {
        match command {
            Command::Admit(admission) => self.admit(admission),
            Command::Inquire(inquiry) => {
                if let Some(watch) = &inquiry.watch {
                    self.watches.add(watch.clone());
                }
                self.retriever.begin(*inquiry, self.newest);
            }
            Command::Unwatch(pin) => self.watches.remove(pin),
        }
    }

    /// A turn for whoever wants packets, between two batches; whether there is more to do.
    #[inline]
    pub(crate) fn look_back_a_turn(&mut self, elapsed: Duration) -> bool {
        if self.watches.are_there() {
            self.watches.tick(elapsed);
        }
        self.retriever.turn(&self.flows, &self.sources)
    }

    /// Touches the memory of the rings before the first packet does.
    pub(crate) fn prefault(&mut self) {
        self.flows.prefault();
    }

    /// How much of each source's payload is kept.
    pub(crate) fn set_payloads(&mut self, payloads: Payloads) {
        self.sources.set_payloads(payloads);
    }

    /// Which sources are known from now on.
    pub(crate) fn admit(&mut self, admission: Admission) {
        self.follower.admit(admission.table.clone());
        self.sources.admit(admission);
    }

    /// Counts a record; see [`Worker::row`].
    #[inline]
    fn judge(
        &mut self,
        record: &Record<'_>,
        opened: &Result<Decapsulated<'_>, Reject>,
    ) -> Option<SourceId> {
        if self.role.counts_input {
            self.ledger.receive(record.data.len() as u64);
        }
        self.row(opened, record.timestamp)
    }

    /// The row of an opened frame's source. `None` if the source is unknown: its frame is counted
    /// and done with. It moves no clock and takes no index, so everything else is as if it had
    /// never come.
    #[inline]
    fn row(
        &mut self,
        opened: &Result<Decapsulated<'_>, Reject>,
        timestamp: Timestamp,
    ) -> Option<SourceId> {
        let Ok(opened) = opened else {
            return Some(SourceId::default());
        };
        match self.sources.intern(opened.source) {
            Verdict::Known(source) => Some(source),
            Verdict::Unknown(source) => {
                self.refuse(source, opened.frame.len() as u64, timestamp);
                None
            }
        }
    }

    #[inline(never)]
    fn refuse(&mut self, source: SourceId, bytes: u64, timestamp: Timestamp) {
        if !self.role.counts_input {
            return;
        }
        match self.sources.unknown() {
            Unknown::Quarantine => self.ledger.quarantine(source, bytes, timestamp),
            Unknown::Accept | Unknown::Drop => self.ledger.reject(Reject::UnknownSource),
        }
    }

    /// Gives a record its index and moves the clock.
    #[inline]
    fn receive(&mut self, record: &Record<'_>, ticks: &mut ArrayVec<Tick, PASS>) -> u64 {
        let index = self.clock.next_index;
        self.clock.next_index += 1;
        if let Some(second) = self.clock.reach(record.timestamp) {
            // A pass has no more ticks than records, so there is room.
            let _ = ticks.try_push(Tick { index, second });
        }
        index
    }

    /// First pass: reads the frame, joins fragments, decides whose it is, hashes its key.
    #[inline(always)]
    fn open<'a>(
        &mut self,
        index: u64,
        timestamp: Timestamp,
        source: SourceId,
        opened: Result<Decapsulated<'a>, Reject>,
        frames: &mut Frames<'a>,
    ) {
        let opened = match opened {
            Ok(decapsulated) => decapsulated,
            Err(reason) => {
                if self.role.counts_input {
                    self.ledger.reject(reason);
                }
                return;
            }
        };
        let (mirror, frame) = (opened.source, opened.frame);
        // A pass has no more frames than records, so there is a place.
        let Some(pending) = self.pass.pending.get_mut(self.pass.taken) else {
            return;
        };
        let packet = &mut pending.packet;
        read_frame(frame, opened.original_len, &mut packet.view);
        packet.now = self.clock.now;
        pending.joined = self.fragments.join(mirror, &mut packet.view, packet.now);
        packet.source = source;
        self.sources.learn(packet.source, &packet.view, frame);
        if let Some(steering) = &self.role.steering
            && steering.worker(&packet.view, frame, mirror.vni) != self.role.number
        {
            return;
        }
        let mut stays = Stays::Here;
        if may_stray(pending.joined, &opened)
            && let Some(strays) = &mut self.strays
        {
            stays = send_on(strays, pending, &opened, timestamp);
            self.ledger.strays_mut().sent += u64::from(stays == Stays::Gone);
            self.ledger.strays_mut().shed += u64::from(stays == Stays::Shed);
            if stays == Stays::Gone {
                return;
            }
        }
        let packet = &mut pending.packet;
        packet.index = at_packet(index);
        packet.timestamp = timestamp;
        packet.mirror = mirror;
        packet.crossing = self.sources.crossing(packet.source, &packet.view, frame);
        pending.reserved_bits = opened.reserved_bits;
        pending.prepared = match stays {
            Stays::Here | Stays::Gone => self.flows.prepare(packet.source, mirror, &packet.view),
            Stays::Shed => SHED,
        };
        if frames.try_push(frame).is_ok() {
            self.pass.taken += 1;
        }
    }

    /// Second and third pass: fetches the entries, then counts, stores and exports in order.
    fn touch(&mut self, frames: &Frames<'_>, ticks: &ArrayVec<Tick, PASS>) {
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
        let pending = pass.pending.get(..pass.taken).unwrap_or_default();
        for one in pending {
            flows.prefetch(&one.prepared);
        }
        let mut ends = Ends {
            ledger,
            follower,
            outlet,
            watches,
        };
        let mut ticks = ticks.iter().peekable();
        for (one, frame) in pending.iter().zip(frames) {
            while let Some(tick) = ticks.next_if(|tick| at_tick(tick.index) < one.packet.index) {
                flows.tick(tick.second, at_tick(tick.index), &mut ends);
            }
            let kept = sources.kept(one.packet.source, &one.packet.view, frame);
            observe(flows, &mut ends, one, frame, kept);
        }
        for tick in ticks {
            flows.tick(tick.second, at_tick(tick.index), &mut ends);
        }
        pass.taken = 0;
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
        }
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
    ends.outlet.frame(
        packet.index / 2,
        packet.timestamp,
        packet.mirror,
        kept,
        packet.view.original_len,
    );
}

/// Bytes fetched ahead for one record at most. A longer record's body is a run that the
/// processor's own prefetcher finds.
const AHEAD_MAX: usize = 512;

/// Fetches as many bytes ahead as this record took, so that the next batch is there in time.
#[inline]
fn fetch_ahead<'a>(ahead: &'a [u8], record: &Record<'_>) -> &'a [u8] {
    let length = record.data.len() + 16;
    prefetch_bytes(ahead, length.min(AHEAD_MAX));
    ahead.get(length..).unwrap_or_default()
}

/// Closings at a tick come before those at the packet that brought it, in every output.
fn at_tick(index: u64) -> u64 {
    index.saturating_mul(2)
}

/// See [`at_tick`].
fn at_packet(index: u64) -> u64 {
    index.saturating_mul(2).saturating_add(1)
}

/// The frame in what was received.
#[inline(always)]
fn open_arrival<'b>(arrival: &Arrival<'b>, options: &Options) -> Result<Decapsulated<'b>, Reject> {
    let (tunnel, datagram) = arrival.opened?;
    let opened = decapsulate_datagram(tunnel, datagram.source, datagram.payload, options)?;
    // What did not fit the receive slot is missing from the frame, not from its length.
    let there = length(datagram.payload);
    let cut = datagram.original_len.saturating_sub(there);
    Ok(Decapsulated {
        original_len: opened.original_len.saturating_add(cut),
        ..opened
    })
}

/// A record as the frame of one source, held to the same least length as a mirrored one.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn bare(frame: &[u8], original_len: u32) -> Result<Decapsulated<'_>, Reject> {
    if frame.len() < ETHERNET_HEADER {
        return Err(Reject::InnerTruncated);
    }
    Ok(Decapsulated {
        source: BARE,
        frame,
        original_len,
        reserved_bits: false,
        tunnel: Tunnel::Vxlan,
        depth: 0,
    })
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
