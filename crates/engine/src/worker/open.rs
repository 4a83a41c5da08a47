//! The first pass: records and datagrams are opened, their frames read and told apart.
//!
//! What AWS mirrors over IPv4 goes the short way: it is recognised, and its source known again,
//! without anything larger than a register. Everything else takes the long one.

use arrayvec::ArrayVec;
use vxscope_capture::live::{Arrival, LiveBatch};
use vxscope_flow::{Joined, Verdict};
use vxscope_memory::{LINE, prefetch_line};
use vxscope_pcap::Record;
use vxscope_units::{LinkType, SourceId, Timestamp, Unknown};
use vxscope_wire::{
    Decapsulated, Options, Plain, Reject, Tunnel, decapsulate_datagram, decapsulate_record,
    ethernet, plain_datagram, plain_record, read_frame,
};

use super::clock::{Tick, at_packet};
use super::stray::{CANARY, SHED, Stays, send_on};
use super::{BARE, Frames, PASS, Worker};
use crate::accounting::{Stages, Step};

/// Bytes of an Ethernet header, the least that a frame has.
const ETHERNET_HEADER: usize = 14;
/// Bytes in front of a record in a capture.
const RECORD_HEADER: usize = 16;
/// Bytes fetched ahead for one record at most. A longer record's body is a run that the
/// processor's own prefetcher finds.
const AHEAD_MAX: usize = 512;

/// Frames between the one that is opened and the one whose entries are fetched: some 300 ns.
const BEHIND: usize = 4;

/// A frame of a known source. Whose it is, where no row says so, lies in its place of the pass.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    frame: &'a [u8],
    original_len: u32,
    source: SourceId,
    reserved_bits: bool,
    /// It was in more than one tunnel.
    nested: bool,
    /// As far as it is known already.
    owner: Owner,
}

impl<'a> Taken<'a> {
    /// A plain one that is this worker's for certain.
    #[inline]
    pub(super) fn own(frame: &'a [u8], source: SourceId) -> Self {
        Self {
            frame,
            original_len: length(frame),
            source,
            reserved_bits: false,
            nested: false,
            owner: Owner::This,
        }
    }
}

/// Whose a frame is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// This worker's.
    This,
    /// Another's, and there is nothing in it for this one.
    Other,
    /// Its view will tell.
    Unknown,
}

/// What came out of a record or a datagram.
enum Opened<'a> {
    Taken(Taken<'a>),
    Rejected(Reject),
    /// A frame of an unknown source, counted and done with.
    Refused,
}

impl Worker {
    /// Handles up to [`PASS`] records at a time, in input order. `ahead` is what follows them in
    /// memory and will be read next: it is fetched bit by bit meanwhile, because the chain of
    /// record lengths would otherwise wait for every one of them.
    pub(crate) fn handle(&mut self, records: &[Record<'_>], ahead: &[u8]) {
        let is_ethernet = |record: &Record<'_>| record.link == LinkType::Ethernet;
        if self.role.bare && !records.iter().all(is_ethernet) {
            self.receive(records);
            for record in records {
                self.handle_reframed(record);
            }
            return;
        }
        let mut ahead = Ahead::of(ahead);
        for pass in records.chunks(PASS) {
            self.receive(pass);
            let (mut frames, mut ticks) = (Frames::new(), ArrayVec::new());
            for record in pass {
                ahead.fetch(record);
                self.handle_record(record, &mut frames, &mut ticks);
            }
            self.touch(&frames, &ticks);
        }
    }

    /// A bare record of another link type becomes an Ethernet frame in a scratch buffer.
    pub(super) fn handle_reframed(&mut self, record: &Record<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        {
            let (mut frames, mut ticks) = (Frames::new(), ArrayVec::new());
            let opened = self.judge(reframed(record, &mut scratch), record.timestamp);
            self.pass_on(record.timestamp, opened, &mut frames, &mut ticks);
            self.touch(&frames, &ticks);
        }
        self.scratch = scratch;
    }

    /// Opens a record, and takes its frame into the pass if it is this worker's.
    #[inline(always)]
    pub(super) fn handle_record<'a>(
        &mut self,
        record: &Record<'a>,
        frames: &mut Frames<'a>,
        ticks: &mut ArrayVec<Tick, PASS>,
    ) {
        match self.recognise_record(record) {
            Some(taken) => self.take(record.timestamp, &taken, frames, ticks),
            None => self.open_record(record, frames, ticks),
        }
    }

    /// Numbers a record that is recognised, and takes its frame into the pass if it is this worker's.
    #[inline(always)]
    pub(super) fn take<'a>(
        &mut self,
        timestamp: Timestamp,
        taken: &Taken<'a>,
        frames: &mut Frames<'a>,
        ticks: &mut ArrayVec<Tick, PASS>,
    ) {
        let index = self.number(timestamp, ticks);
        if taken.owner != Owner::Other {
            self.read(index, timestamp, taken, frames);
        }
    }

    fn receive(&mut self, records: &[Record<'_>]) {
        if self.role.counts_input {
            let bytes = records.iter().map(|record| record.data.len() as u64).sum();
            self.ledger.receive_many(records.len() as u64, bytes);
        }
    }

    /// Gives a record its index and moves the clock.
    #[inline(always)]
    fn number(&mut self, timestamp: Timestamp, ticks: &mut ArrayVec<Tick, PASS>) -> u64 {
        let index = self.clock.next_index;
        self.clock.next_index += 1;
        if let Some(second) = self.clock.reach(timestamp) {
            // A pass has no more ticks than records, so there is room.
            let _ = ticks.try_push(Tick { index, second });
        }
        index
    }

    /// Numbers a record that took the long way, and takes its frame into the pass.
    fn pass_on<'a>(
        &mut self,
        timestamp: Timestamp,
        opened: Opened<'a>,
        frames: &mut Frames<'a>,
        ticks: &mut ArrayVec<Tick, PASS>,
    ) {
        match opened {
            Opened::Refused => {}
            Opened::Rejected(reason) => {
                self.number(timestamp, ticks);
                self.reject(reason);
            }
            Opened::Taken(taken) => {
                let index = self.number(timestamp, ticks);
                self.read(index, timestamp, &taken, frames);
            }
        }
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
            let plain = plain_arrival(&arrival, &self.role.options);
            match plain.and_then(|plain| self.recognise(&plain)) {
                Some(taken) => self.take_arrival(arrival.timestamp, &taken, &mut frames),
                None => self.open_arrival(&arrival, &mut frames),
            }
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

    /// A datagram that takes the long way.
    #[inline(never)]
    fn open_arrival<'b>(&mut self, arrival: &Arrival<'b>, frames: &mut Frames<'b>) {
        let opened = opened_arrival(arrival, &self.role.options);
        match self.judge(opened, arrival.timestamp) {
            Opened::Refused => {}
            Opened::Rejected(reason) => {
                self.number_arrival(arrival.timestamp);
                self.reject(reason);
            }
            Opened::Taken(taken) => self.take_arrival(arrival.timestamp, &taken, frames),
        }
    }

    #[inline(always)]
    fn take_arrival<'b>(
        &mut self,
        timestamp: Timestamp,
        taken: &Taken<'b>,
        frames: &mut Frames<'b>,
    ) {
        let index = self.number_arrival(timestamp);
        self.read(index, timestamp, taken, frames);
    }

    #[inline(always)]
    fn number_arrival(&mut self, timestamp: Timestamp) -> u64 {
        let index = self.clock.next_index;
        self.clock.next_index += 1;
        self.newest = self.newest.max(timestamp);
        index
    }

    /// Moves the clock of a live run, which may tick.
    pub(super) fn begin(&mut self, now: Timestamp) -> ArrayVec<Tick, PASS> {
        self.clock.next_index = self.clock.next_index.max(now.as_nanos());
        let mut ticks = ArrayVec::new();
        if let Some(second) = self.clock.reach(now) {
            let index = self.clock.next_index;
            // There is room for the one tick of a batch.
            let _ = ticks.try_push(Tick { index, second });
        }
        ticks
    }

    #[inline(always)]
    fn recognise_record<'a>(&self, record: &Record<'a>) -> Option<Taken<'a>> {
        if self.role.bare {
            return None;
        }
        let plain = plain_record(record.link, record.data, &self.role.options)?;
        self.recognise(&plain)
    }

    /// A frame of a source that was seen lately.
    #[inline(always)]
    fn recognise<'a>(&self, plain: &Plain<'a>) -> Option<Taken<'a>> {
        let source = self.sources.known(plain.address, plain.vni)?;
        let owner = match &self.role.steering {
            None => Owner::This,
            Some(steering) => match steering.plain_worker(plain.frame, plain.vni) {
                Some(number) if number == self.role.number => Owner::This,
                Some(_) if self.sources.is_learned(source) => Owner::Other,
                _ => Owner::Unknown,
            },
        };
        Some(Taken {
            owner,
            ..Taken::own(plain.frame, source)
        })
    }

    #[inline(never)]
    fn open_record<'a>(
        &mut self,
        record: &Record<'a>,
        frames: &mut Frames<'a>,
        ticks: &mut ArrayVec<Tick, PASS>,
    ) {
        let opened = if self.role.bare {
            bare(record.data, record.original_len)
        } else {
            decapsulate_record(record.link, record.data, &self.role.options)
        };
        let opened = self.judge(opened, record.timestamp);
        self.pass_on(record.timestamp, opened, frames, ticks);
    }

    /// The row of an opened frame's source. A frame of an unknown one is counted and done with: it
    /// moves no clock and takes no index, so everything else is as if it had never come.
    #[inline(never)]
    fn judge<'a>(
        &mut self,
        opened: Result<Decapsulated<'a>, Reject>,
        timestamp: Timestamp,
    ) -> Opened<'a> {
        let opened = match opened {
            Ok(opened) => opened,
            Err(reason) => return Opened::Rejected(reason),
        };
        match self.sources.intern(opened.source) {
            Verdict::Known(source) => {
                if let Some(pending) = self.pass.pending.get_mut(self.pass.taken) {
                    pending.packet.mirror = opened.source;
                }
                Opened::Taken(Taken {
                    frame: opened.frame,
                    original_len: opened.original_len,
                    source,
                    reserved_bits: opened.reserved_bits,
                    nested: opened.depth > 0,
                    owner: Owner::Unknown,
                })
            }
            Verdict::Unknown(source) => {
                self.refuse(source, opened.frame.len() as u64, timestamp);
                Opened::Refused
            }
        }
    }

    #[inline(never)]
    pub(super) fn refuse(&mut self, source: SourceId, bytes: u64, timestamp: Timestamp) {
        if !self.role.counts_input {
            return;
        }
        match self.sources.unknown() {
            Unknown::Quarantine => self.ledger.quarantine(source, bytes, timestamp),
            Unknown::Accept | Unknown::Drop => self.ledger.reject(Reject::UnknownSource),
        }
    }

    #[inline(never)]
    fn reject(&mut self, reason: Reject) {
        if self.role.counts_input {
            self.ledger.reject(reason);
        }
    }

    /// Reads the frame, joins fragments, decides whose it is, hashes its key.
    #[inline(always)]
    fn read<'a>(
        &mut self,
        index: u64,
        timestamp: Timestamp,
        taken: &Taken<'a>,
        frames: &mut Frames<'a>,
    ) {
        let frame = taken.frame;
        // A pass has no more frames than records, so there is a place.
        let Some(pending) = self.pass.pending.get_mut(self.pass.taken) else {
            return;
        };
        let packet = &mut pending.packet;
        read_frame(frame, taken.original_len, &mut packet.view);
        packet.now = self.clock.now;
        packet.timestamp = timestamp;
        packet.source = taken.source;
        // Without a row it is where the long way left it.
        if let Some(mirror) = self.sources.get(taken.source) {
            packet.mirror = *mirror;
        }
        pending.joined = self
            .fragments
            .join(&packet.mirror, &mut packet.view, packet.now);
        packet.crossing = self.sources.cross(taken.source, &packet.view, frame);
        if taken.owner == Owner::Unknown
            && let Some(steering) = &self.role.steering
            && steering.worker(&packet.view, frame, packet.mirror.vni) != self.role.number
        {
            return;
        }
        pending.reserved_bits = taken.reserved_bits;
        packet.index = at_packet(index);
        let mut stays = Stays::Here;
        if (pending.joined != Joined::Whole || taken.nested)
            && let Some(strays) = &mut self.strays
        {
            stays = send_on(strays, pending, frame);
            self.ledger.strays_mut().sent += u64::from(stays == Stays::Gone);
            self.ledger.strays_mut().shed += u64::from(stays == Stays::Shed);
            if stays == Stays::Gone {
                return;
            }
        }
        let packet = &pending.packet;
        match stays {
            Stays::Here | Stays::Gone => self.flows.prepare(
                &mut pending.prepared,
                packet.source,
                packet.mirror.vni,
                &packet.view,
            ),
            Stays::Shed => pending.prepared = SHED,
        }
        if let Some(canary) = &self.canary
            && canary.is_in(&packet.view, frame, packet.mirror.address)
        {
            pending.prepared = CANARY;
        }
        if frames.try_push(frame).is_ok() {
            self.pass.taken += 1;
            self.fetch_behind();
        }
    }

    /// Fetches the entries of the frame that is [`BEHIND`] this one: its bucket is there by now, and
    /// its entries have time until they are touched. All at once they would queue for the few misses
    /// that a processor has under way, with nothing to do meanwhile.
    #[inline(always)]
    fn fetch_behind(&mut self) {
        let pass = &mut *self.pass;
        if pass.taken > BEHIND
            && let Some(pending) = pass.pending.get_mut(pass.fetched)
        {
            self.flows.prefetch(&mut pending.prepared);
            pass.fetched += 1;
        }
    }
}

/// What will be read next, fetched line by line.
pub(crate) struct Ahead<'a> {
    bytes: &'a [u8],
    /// Up to where lines have been asked for.
    asked_for: usize,
    wanted: usize,
}

impl<'a> Ahead<'a> {
    /// Of what follows a batch in memory.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            asked_for: 0,
            wanted: 0,
        }
    }

    /// Fetches as many bytes ahead as a record took, so that the next batch is there in time.
    #[inline(always)]
    pub(crate) fn fetch(&mut self, record: &Record<'_>) {
        // Wherever it points, a wish is no access; and no offset comes near the end of addresses.
        let length = record.data.len().wrapping_add(RECORD_HEADER);
        let end = self.wanted.wrapping_add(length.min(AHEAD_MAX));
        self.wanted = self.wanted.wrapping_add(length);
        while self.asked_for < end {
            prefetch_line(self.bytes, self.asked_for);
            self.asked_for = self.asked_for.wrapping_add(LINE);
        }
        if length > AHEAD_MAX {
            self.asked_for = self.wanted;
        }
    }
}

/// The frame in what was received, if it came the way most come.
#[inline(always)]
fn plain_arrival<'b>(arrival: &Arrival<'b>, options: &Options) -> Option<Plain<'b>> {
    let (tunnel, datagram) = arrival.opened.ok()?;
    let is_whole = datagram.original_len == length(datagram.payload);
    is_whole.then(|| plain_datagram(tunnel, datagram.source, datagram.payload, options))?
}

/// The frame in what was received.
fn opened_arrival<'b>(
    arrival: &Arrival<'b>,
    options: &Options,
) -> Result<Decapsulated<'b>, Reject> {
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

#[inline]
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The Ethernet frame that a record of another link type stands for.
fn reframed<'a>(record: &Record<'a>, scratch: &'a mut Vec<u8>) -> Result<Decapsulated<'a>, Reject> {
    let frame = ethernet(record.link, record.data, scratch)?;
    // On the wire the other link header was as much longer or shorter as it is here.
    let (record_len, frame_len) = (record.data.len() as u64, frame.len() as u64);
    let original_len = u64::from(record.original_len) + frame_len;
    let original_len = original_len.saturating_sub(record_len);
    bare(frame, u32::try_from(original_len).unwrap_or(u32::MAX))
}

/// A record as the frame of one source, held to the same least length as a mirrored one.
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
