//! A worker's way out: frames in pooled chunks, flow records and facts in batches, over one bounded
//! channel.
//!
//! A replay is a finite source: the worker waits when the writer is behind, and sheds nothing. A
//! live source never waits: what finds no room is shed and counted, and capture goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError};
use vxscope_export::{ExtractedFlow, FrameChunk, Offered, Ordered, Packets, Shed, SinkCount};
use vxscope_flow::{CommunityId, FlowRecord, Packet, StoredFrames};
use vxscope_signals::{Book, Fact};
use vxscope_units::Timestamp;

use crate::clock::Drift;
use crate::stop::Deadline;
use crate::writer::Writer;

/// Records and facts sent together.
pub(crate) const ITEMS: usize = 256;
/// Batches of records of a live input that may wait in one place, of all workers together. Flows
/// that began together end together, or are due for an interim record: what 100,000 of them tell
/// within a moment has to fit, and that many take some 50 MB while they wait. Beyond, records are
/// shed and counted.
pub(crate) const BATCHES_WAITING: usize = 512;
/// How often a worker that waits at its end looks whether its time is up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    fn is_wanted(&self, record: &FlowRecord) -> bool {
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
    fn new(record: &FlowRecord, frames: &StoredFrames<'_>) -> Self {
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

/// What a worker sends on.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    pub(crate) frames: bool,
    pub(crate) records: bool,
    pub(crate) extract: Arc<Wanted>,
    /// How far the input goes on between two reports of a worker: others wait for them.
    pub(crate) report_every: u64,
    /// What to do when the writer is behind.
    pub(crate) pace: Pace,
}

/// What a worker does when the writer is behind.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// Waits: the input is finite and can wait, too.
    Wait,
    /// Sheds and counts: the input is live.
    Shed {
        /// When to stop waiting at the end, where even a live worker waits.
        deadline: Arc<Deadline>,
    },
    /// Waits until then, and then sheds: a live input ended.
    Until(Arc<Deadline>),
}

/// What did not get to the writer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// Of the sinks for frames.
    pub(crate) frames: SinkCount,
    /// Of each sink for flow records.
    pub(crate) records: SinkCount,
    /// Of the sinks for never hits.
    pub(crate) never_hits: SinkCount,
    /// Facts: events that nobody will know of.
    pub(crate) facts: u64,
}

impl Lost {
    /// What a sink did not get.
    pub(crate) fn of(&self, offered: Offered) -> SinkCount {
        match offered {
            Offered::Frames => self.frames,
            Offered::Records => self.records,
            Offered::RecordsAndAnomalies => {
                let mut both = self.records;
                both.merge(&self.never_hits);
                both
            }
        }
    }
}

/// How deliveries get to the files.
#[derive(Debug)]
enum Way {
    /// Through a channel, to the writer's thread.
    Line(Sender<Delivery>),
    /// This worker is the only one and writes itself: what it copied is still in its processor's
    /// cache then. Chunks go back to the pool.
    Own(Box<Writer>, Sender<FrameChunk>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Outlet {
    wishes: Wishes,
    way: Way,
    pool: Receiver<FrameChunk>,
    chunk: Option<FrameChunk>,
    items: Vec<Item>,
    reported: u64,
    reached: u64,
    lost: Lost,
    drift: Drift,
}

impl Outlet {
    /// `pool` must hold this worker's empty chunks.
    pub(crate) fn new(
        wishes: Wishes,
        sender: Sender<Delivery>,
        pool: Receiver<FrameChunk>,
    ) -> Self {
        Self {
            wishes,
            way: Way::Line(sender),
            pool,
            chunk: None,
            items: Vec::with_capacity(ITEMS),
            reported: 0,
            reached: 0,
            lost: Lost::default(),
            drift: Drift::NONE,
        }
    }

    /// Lets the only worker of a finite input write its files itself.
    pub(crate) fn write_itself(&mut self, writer: Writer, pool: Sender<FrameChunk>) {
        self.way = Way::Own(Box::new(writer), pool);
    }

    /// The writer, if the worker had it; the rest is done.
    pub(crate) fn into_writer(self) -> Option<Box<Writer>> {
        match self.way {
            Way::Line(_) => None,
            Way::Own(writer, _) => Some(writer),
        }
    }

    /// Records say when a flow ended by the wall clock, which is this far from the run's own.
    pub(crate) fn set_drift(&mut self, drift: Drift) {
        self.drift = drift;
    }

    /// What did not get to the writer so far.
    pub(crate) fn lost(&self) -> Lost {
        self.lost
    }

    pub(crate) fn wants_records(&self) -> bool {
        self.wishes.records || !self.wishes.extract.is_empty()
    }

    /// Whether frames go anywhere.
    #[inline]
    pub(crate) fn wants_frames(&self) -> bool {
        self.wishes.frames
    }

    /// A decapsulated frame: what is kept of it.
    #[inline]
    pub(crate) fn frame(&mut self, packet: &Packet, frame: &[u8]) {
        if self
            .chunk
            .as_mut()
            .is_some_and(|chunk| push(chunk, packet, frame))
        {
            return;
        }
        self.frame_anew(packet, frame);
    }

    /// A frame for which a chunk is needed first.
    #[cold]
    #[inline(never)]
    fn frame_anew(&mut self, packet: &Packet, frame: &[u8]) {
        let index = packet.index / 2;
        self.send_chunk(index.saturating_sub(1));
        let mut reason = Shed::PoolEmpty;
        if self.chunk.is_none() {
            self.chunk = match &self.wishes.pace {
                Pace::Wait => self.pool.recv().ok(),
                Pace::Shed { .. } => self.pool.try_recv().ok(),
                Pace::Until(deadline) => {
                    reason = Shed::Deadline;
                    receive_until(&self.pool, deadline)
                }
            };
        }
        match &mut self.chunk {
            None => self.lost.frames.add_shed(reason, 1),
            Some(chunk) => {
                if !push(chunk, packet, frame) {
                    self.lost.frames.add_shed(Shed::TooLong, 1);
                }
            }
        }
    }

    /// A flow ended.
    pub(crate) fn record(&mut self, record: &FlowRecord, frames: &StoredFrames<'_>) {
        if self.wishes.extract.is_wanted(record) {
            self.send(Delivery::Extracted(Box::new(Extraction::new(
                record, frames,
            ))));
        }
        if self.wishes.records {
            let mut record = record.clone();
            record.closed = self.drift.wall(record.closed);
            self.item(Item::Flow(record));
        }
    }

    /// Facts that did not get to the writer so far.
    pub(crate) fn facts_lost(&self) -> u64 {
        self.lost.facts
    }

    /// Something happened in a source's traffic.
    pub(crate) fn fact(&mut self, fact: Fact) {
        self.item(Item::Fact(fact, self.drift.wall(fact.now)));
    }

    fn item(&mut self, item: Item) {
        let (position, _) = item.order();
        self.items.push(item);
        if self.items.len() == ITEMS {
            // Others may follow at this very position.
            self.send_items(position.saturating_sub(1));
        }
    }

    /// All input records up to `index` have been walked.
    #[inline]
    pub(crate) fn reach(&mut self, index: u64) {
        self.reached = index;
        if index.saturating_sub(self.reported) >= self.wishes.report_every {
            self.report();
        }
    }

    /// Hands over what there is, and says how far the input has been walked.
    pub(crate) fn report(&mut self) {
        self.reported = self.reached;
        self.send_chunk(self.reached);
        self.send_items(position_after(self.reached));
        self.send(Delivery::Reached(self.reached));
    }

    /// The input ended, and what was received must not be missing from the output: from now on
    /// even a live worker waits for the writer, as long as a stop may take.
    pub(crate) fn end(&mut self) {
        if let Pace::Shed { deadline } = &self.wishes.pace {
            self.wishes.pace = Pace::Until(deadline.clone());
        }
    }

    /// Hands over what is left, and says what could not be. Dropping the outlet afterwards ends
    /// the worker's deliveries.
    pub(crate) fn finish(&mut self) -> Lost {
        self.end();
        self.send_chunk(self.reached);
        self.send_items(u64::MAX);
        self.send(Delivery::End);
        self.lost
    }

    fn send_chunk(&mut self, through: u64) {
        if let Some(mut chunk) = self.chunk.take() {
            chunk.set_through(through);
            self.send(Delivery::Frames(chunk));
        }
    }

    fn send_items(&mut self, through: u64) {
        if !self.items.is_empty() {
            let items = std::mem::replace(&mut self.items, Vec::with_capacity(ITEMS));
            self.send(Delivery::Items(items, through));
        }
    }

    fn send(&mut self, delivery: Delivery) {
        let sender = match &mut self.way {
            Way::Own(writer, pool) => return writer.take(0, pool, delivery),
            Way::Line(sender) => sender,
        };
        match &self.wishes.pace {
            // Without a writer nothing is written, and its own error says why.
            Pace::Wait => _ = sender.send(delivery),
            Pace::Shed { .. } => {
                if let Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) =
                    sender.try_send(delivery)
                {
                    self.lose(refused, Shed::QueueFull);
                }
            }
            Pace::Until(deadline) => {
                if let Some(refused) = send_until(sender, delivery, deadline) {
                    self.lose(refused, Shed::Deadline);
                }
            }
        }
    }

    fn lose(&mut self, refused: Delivery, reason: Shed) {
        match refused {
            Delivery::Frames(mut chunk) => {
                self.lost.frames.add_shed(reason, chunk.len() as u64);
                chunk.clear();
                self.chunk = Some(chunk);
            }
            Delivery::Items(items, _) => {
                for item in items {
                    match item {
                        Item::Flow(_) => self.lost.records.add_shed(reason, 1),
                        Item::Fact(fact, _) => {
                            self.lost.facts += 1;
                            let is_output = u64::from(Book::is_output(&fact));
                            self.lost.never_hits.add_shed(reason, is_output);
                        }
                    }
                }
            }
            // Said again with the next report.
            Delivery::Reached(_) => {}
            // A writer that is too far behind to hear of the end notices that the worker is gone.
            Delivery::Extracted(_) | Delivery::End => {}
        }
    }
}

/// Puts what is kept of a frame into a chunk, if there is room.
#[inline]
fn push(chunk: &mut FrameChunk, packet: &Packet, frame: &[u8]) -> bool {
    chunk.push(
        packet.index / 2,
        packet.timestamp,
        packet.mirror,
        frame,
        packet.view.original_len,
    )
}

/// Waits for room until the deadline; gives the delivery back if there was none.
fn send_until(
    sender: &Sender<Delivery>,
    mut delivery: Delivery,
    deadline: &Deadline,
) -> Option<Delivery> {
    loop {
        match sender.send_timeout(delivery, LOOK_EVERY) {
            Ok(()) => return None,
            Err(SendTimeoutError::Timeout(refused)) if !deadline.is_cut() => delivery = refused,
            Err(SendTimeoutError::Timeout(refused) | SendTimeoutError::Disconnected(refused)) => {
                return Some(refused);
            }
        }
    }
}

/// Waits for a chunk until the deadline.
fn receive_until(pool: &Receiver<FrameChunk>, deadline: &Deadline) -> Option<FrameChunk> {
    loop {
        match pool.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) if !deadline.is_cut() => {}
            received => return received.ok(),
        }
    }
}

/// Positions count each input record twice: its tick, then the packet itself.
pub(crate) fn position_after(index: u64) -> u64 {
    index.saturating_mul(2).saturating_add(1)
}
