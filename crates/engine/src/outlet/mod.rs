//! A worker's way out: frames in pooled chunks, flow records and facts in batches, over one bounded
//! channel.
//!
//! A replay is a finite source: the worker waits when the writer is behind, and sheds nothing. A
//! live source never waits: what finds no room is shed and counted, and capture goes on.

mod delivery;
mod pace;

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use vxscope_export::{FrameChunk, Ordered, Shed};
use vxscope_flow::{FlowRecord, Packet, StoredFrames};
use vxscope_signals::{Book, Fact};

use crate::clock::Drift;
use crate::writer::Writer;
pub(crate) use delivery::{Delivery, Extraction, Item, Wanted};
pub(crate) use pace::{Lost, Pace};
use pace::{receive_until, send_until};

/// Records and facts sent together.
pub(crate) const ITEMS: usize = 256;
/// Batches of records of a live input that may wait in one place, of all workers together, at most
/// and at least. Flows that began together end together, or are due for an interim record: what
/// 100,000 of them tell within a moment has to fit, and that many take some 40 MB while they wait.
/// Beyond, records are shed and counted.
const BATCHES: std::ops::RangeInclusive<usize> = 8..=512;

/// Batches of records that may wait in one place: what all flows there may be tell at once, as far
/// as [`BATCHES`] go.
pub(crate) fn batches_waiting(flows_max: usize) -> usize {
    flows_max
        .div_ceil(ITEMS)
        .clamp(*BATCHES.start(), *BATCHES.end())
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

/// Positions count each input record twice: its tick, then the packet itself.
pub(crate) fn position_after(index: u64) -> u64 {
    index.saturating_mul(2).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use vxscope_config::Config;
    use vxscope_flow::Crossing;
    use vxscope_signals::{Fact, FactKind};
    use vxscope_units::{MirrorSource, Timestamp, Vni};

    use super::{Delivery, ITEMS, Outlet, Pace, Wishes};
    use crate::clock::LiveClock;
    use crate::plan::Plan;
    use crate::start;
    use crate::stop::{Deadline, Stop};

    #[test]
    fn a_burst_has_room_on_its_way_to_a_writer_that_stands_still() {
        let plan = Plan::try_new(&Config::default()).unwrap();
        let (lines, mut outlets) = start::connect(&live(), &plan, 0);
        let share = 100_000_usize.div_ceil(outlets.len());
        for outlet in &mut outlets {
            tell(outlet, share);
            assert_eq!(outlet.facts_lost(), 0);
        }
        // What is beyond is lost, and counted to the last one.
        let beyond = 100_000;
        outlets.iter_mut().for_each(|outlet| tell(outlet, beyond));
        for (line, outlet) in lines.iter().zip(&mut outlets) {
            outlet.report();
            let came: usize = line.deliveries.try_iter().map(|it| items(&it)).sum();
            let lost = usize::try_from(outlet.facts_lost()).unwrap();
            assert!(lost > 0);
            assert_eq!(came + lost, share + beyond);
        }
    }

    fn tell(outlet: &mut Outlet, facts: usize) {
        (0..facts).for_each(|_| outlet.fact(FACT));
    }

    fn items(delivery: &Delivery) -> usize {
        match delivery {
            Delivery::Items(items, _) => {
                assert!(items.len() <= ITEMS);
                items.len()
            }
            _ => 0,
        }
    }

    fn live() -> Wishes {
        let stop = Arc::new(Stop::new());
        let limit = Duration::from_secs(60);
        let deadline = Arc::new(Deadline::new(stop, LiveClock::start(), limit));
        Wishes {
            frames: false,
            records: true,
            extract: Arc::default(),
            report_every: u64::MAX,
            pace: Pace::Shed { deadline },
        }
    }

    const ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const FACT: Fact = Fact {
        kind: FactKind::Failure,
        mirror: MirrorSource {
            address: ADDRESS,
            vni: Vni::ZERO,
        },
        flow_id: 1,
        originator: ADDRESS,
        responder: ADDRESS,
        originator_port: 1,
        responder_port: 2,
        protocol: 6,
        crossing: Crossing::Ingress,
        now: Timestamp::ZERO,
        at: 1,
    };
}
