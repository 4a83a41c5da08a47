//! Ways out with a thread and a bounded queue of their own: one that stalls costs nobody else
//! anything.
//!
//! ```text
//!            ┌─ queue ─> thread: pcap-over-ip
//! writer ────┼─ queue ─> thread: tap             chunks are shared, and go back to their worker
//!            └─ queue ─> thread: ipfix           when the last thread has let go of them
//! ```
//! Of a finite input the writer waits for room; of a live one it sheds and counts per sink.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use vxscope_export::{FrameChunk, Offered, Shed, SinkCount, SinkOutcome, WayOut};
use vxscope_flow::FlowRecord;

use crate::accounting::{Board, Seat};
use crate::clock::{self, LiveClock};
use crate::error::EngineError;
use crate::start;
use crate::stop::Deadline;
use crate::writer::Owned;

/// Bundles that wait for one sink. Each holds on to at most [`CHUNKS_HELD`] chunks of a worker.
const QUEUE: usize = 4;
/// Chunks of one worker that a bundle may hold on to.
const CHUNKS_HELD: usize = 2;
/// Chunks that a worker has for each sink of frames with a queue, so that one that stalls takes
/// none from the others: those that wait, and those in the sink's hands.
pub(crate) const CHUNKS_PER_SINK: usize = CHUNKS_HELD * (QUEUE + 1);
/// Records that are handed over together, at most.
const RECORDS: usize = 256;
/// Time between two ticks of a sink.
const TICK_EVERY: Duration = Duration::from_millis(100);

/// Frames of a chunk that somebody else may use, too.
type Run = (Arc<Owned>, Range<usize>);

/// What goes to a sink.
#[derive(Clone, Debug)]
enum Handed {
    Frames(Arc<Vec<Run>>),
    Records(Arc<Vec<FlowRecord>>),
}

/// A way out, its name in the summary, and what it is offered.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) name: String,
    pub(crate) offered: Offered,
    /// Its parts, each with a thread and a queue of its own: each takes the frames of some workers.
    pub(crate) lanes: Vec<Box<dyn WayOut>>,
}

/// Which of a sink's parts this is.
#[derive(Clone, Copy, Debug)]
struct Lane {
    number: usize,
    of: usize,
}

impl Lane {
    /// A flow belongs to one worker, so all its frames go one way.
    fn takes(self, owned: &Owned) -> bool {
        owned.worker % self.of == self.number
    }

    /// What of it is to go this way, if anything.
    fn part(self, handed: &Handed) -> Option<Handed> {
        match handed {
            Handed::Frames(runs) if self.of > 1 => {
                let taken = runs.iter().filter(|(owned, _)| self.takes(owned));
                let taken: Vec<Run> = taken.cloned().collect();
                (!taken.is_empty()).then(|| Handed::Frames(Arc::new(taken)))
            }
            Handed::Records(_) if self.number > 0 => None,
            handed => Some(handed.clone()),
        }
    }
}

/// What goes through a queue.
#[derive(Debug)]
struct Parcel {
    handed: Handed,
    /// What found no room between the parcel before and this one.
    missed: u64,
}

/// The writer's end of all queues.
#[derive(Debug, Default)]
pub(crate) struct Handoff {
    queues: Vec<Queue>,
    bundle: Vec<Run>,
    /// The chunks that the bundle holds on to, each once.
    held: Vec<Arc<Owned>>,
    records: Vec<FlowRecord>,
    deadline: Option<Arc<Deadline>>,
}

#[derive(Debug)]
struct Queue {
    name: String,
    offered: Offered,
    lane: Lane,
    /// `None` once nothing more is to come.
    sender: Option<Sender<Parcel>>,
    /// What found no room.
    lost: SinkCount,
    /// The part of it that the sink has not been told of.
    missed: u64,
    seat: Seat,
    ended: Receiver<SinkOutcome>,
}

impl Handoff {
    /// Starts a thread for each way out, which shows on the board what it counts. With a deadline
    /// the input is live.
    pub(crate) fn start(
        exits: Vec<Exit>,
        deadline: Option<Arc<Deadline>>,
        board: &Board,
    ) -> Result<Self, EngineError> {
        let mut queues = Vec::new();
        for Exit {
            name,
            offered,
            lanes,
        } in exits
        {
            let of = lanes.len();
            for (number, way) in lanes.into_iter().enumerate() {
                let lane = Lane { number, of };
                let seats = [(); 2].map(|()| board.seat(&name, offered));
                let named = (name.clone(), offered, lane);
                queues.push(Queue::start(named, way, deadline.clone(), seats)?);
            }
        }
        Ok(Self {
            queues,
            deadline,
            ..Self::default()
        })
    }

    fn wants(&self, offered: Offered) -> bool {
        self.queues.iter().any(|queue| queue.offered == offered)
    }

    /// Takes a run of frames, in input order.
    pub(crate) fn frames(&mut self, chunk: &Arc<Owned>, positions: Range<usize>) {
        if !self.wants(Offered::Frames) {
            return;
        }
        // A bundle holds few chunks, however many runs they are cut into.
        let is_held = self.held.iter().any(|held| Arc::ptr_eq(held, chunk));
        if !is_held {
            let of_worker = self.held.iter().filter(|held| held.worker == chunk.worker);
            if of_worker.count() >= CHUNKS_HELD {
                self.send_frames();
            }
            self.held.push(chunk.clone());
        }
        self.bundle.push((chunk.clone(), positions));
    }

    /// Frames that no sink is to have.
    pub(crate) fn shed_frames(&mut self, reason: Shed, frames: u64) {
        let sinks = self.queues.iter_mut().filter(|it| it.lane.number == 0);
        for queue in sinks.filter(|it| it.offered == Offered::Frames) {
            queue.lost.add_shed(reason, frames);
            queue.seat.show(&queue.lost);
        }
    }

    /// Takes a record, in the order of the records' positions.
    pub(crate) fn record(&mut self, record: &FlowRecord) {
        if self.wants(Offered::Records) {
            self.records.push(record.clone());
            if self.records.len() >= RECORDS {
                self.send_records();
            }
        }
    }

    /// Hands over what has come together.
    pub(crate) fn pass_on(&mut self) {
        self.send_frames();
        self.send_records();
    }

    fn send_frames(&mut self) {
        self.held.clear();
        if !self.bundle.is_empty() {
            let bundle = Arc::new(std::mem::take(&mut self.bundle));
            self.send(Offered::Frames, &Handed::Frames(bundle));
        }
    }

    fn send_records(&mut self) {
        if !self.records.is_empty() {
            let records = Arc::new(std::mem::take(&mut self.records));
            self.send(Offered::Records, &Handed::Records(records));
        }
    }

    fn send(&mut self, offered: Offered, handed: &Handed) {
        let is_live = self.deadline.is_some();
        let queues = self.queues.iter_mut();
        for queue in queues.filter(|queue| queue.offered == offered) {
            if let Some(part) = queue.lane.part(handed) {
                queue.send(part, is_live);
            }
        }
    }

    /// Nothing more is to come: waits for every sink, but in a live run not for longer than a
    /// stop may take. Tells `closed` of each that has ended.
    pub(crate) fn finish(mut self, closed: &mut dyn FnMut(SinkOutcome)) {
        self.pass_on();
        self.queues.iter_mut().for_each(|queue| queue.sender = None);
        let mut whole: Option<SinkOutcome> = None;
        for queue in self.queues {
            let Some(mut outcome) = queue.wait(self.deadline.as_deref()) else {
                // Nothing is known of this part, so nothing can be said of the sink.
                whole = None;
                continue;
            };
            outcome.count.merge(&queue.lost);
            outcome.name = queue.name;
            let is_last = queue.lane.number + 1 == queue.lane.of;
            let outcome = match whole.take() {
                Some(before) if before.name == outcome.name => joined(before, outcome),
                None if queue.lane.number > 0 => continue,
                _ => outcome,
            };
            if is_last {
                closed(outcome);
            } else {
                whole = Some(outcome);
            }
        }
    }
}

/// Two parts of a sink in one.
fn joined(mut sink: SinkOutcome, part: SinkOutcome) -> SinkOutcome {
    sink.count.merge(&part.count);
    sink.readers.extend(part.readers);
    sink.details.extend(part.details);
    sink.error = sink.error.or(part.error);
    sink
}

impl Queue {
    fn start(
        (name, offered, lane): (String, Offered, Lane),
        way: Box<dyn WayOut>,
        deadline: Option<Arc<Deadline>>,
        [sinks, ours]: [Seat; 2],
    ) -> Result<Self, EngineError> {
        let (sender, parcels) = bounded(QUEUE);
        let (outcome, ended) = bounded(1);
        start::detach("sink", move || {
            let _ = outcome.try_send(serve(way, &parcels, deadline.as_deref(), &sinks));
        })?;
        Ok(Self {
            name,
            offered,
            lane,
            sender: Some(sender),
            lost: SinkCount::default(),
            missed: 0,
            seat: ours,
            ended,
        })
    }

    fn send(&mut self, handed: Handed, is_live: bool) {
        let Some(sender) = &self.sender else { return };
        let missed = std::mem::take(&mut self.missed);
        let parcel = Parcel { handed, missed };
        let refused = if is_live {
            match sender.try_send(parcel) {
                Ok(()) => return,
                Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => refused,
            }
        } else {
            match sender.send(parcel) {
                Ok(()) => return,
                Err(refused) => refused.0,
            }
        };
        let lost = refused.handed.len();
        self.missed = missed + lost;
        self.lost.add_shed(Shed::QueueFull, lost);
        self.seat.show(&self.lost);
    }

    fn wait(&self, deadline: Option<&Deadline>) -> Option<SinkOutcome> {
        loop {
            match self.ended.recv_timeout(TICK_EVERY) {
                Err(RecvTimeoutError::Timeout) if deadline.is_none_or(|it| !it.is_over()) => {}
                ended => return ended.ok(),
            }
        }
    }
}

impl Handed {
    /// Frames or records in it.
    fn len(&self) -> u64 {
        match self {
            Self::Frames(runs) => runs.iter().map(|(_, run)| run.len() as u64).sum(),
            Self::Records(records) => records.len() as u64,
        }
    }
}

/// One sink's thread: delivers until nothing more comes.
fn serve(
    mut way: Box<dyn WayOut>,
    parcels: &Receiver<Parcel>,
    deadline: Option<&Deadline>,
    seat: &Seat,
) -> SinkOutcome {
    let mut late = SinkCount::default();
    let clock = LiveClock::start();
    let mut ticked = Duration::ZERO;
    loop {
        match parcels.recv_timeout((ticked + TICK_EVERY).saturating_sub(clock.elapsed())) {
            Ok(Parcel { handed, .. }) if deadline.is_some_and(Deadline::is_cut) => {
                late.add_shed(Shed::Deadline, handed.len());
            }
            Ok(Parcel { handed, missed }) => {
                if missed > 0 {
                    way.missed(missed);
                }
                deliver(way.as_mut(), &handed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let mut count = way.count();
        count.merge(&late);
        seat.show(&count);
        if clock.elapsed() >= ticked + TICK_EVERY {
            ticked = clock.elapsed();
            // Not that of the thread's start: the wall clock may have been set meanwhile.
            way.tick(clock::wall());
        }
    }
    let mut outcome = way.finish();
    outcome.count.merge(&late);
    outcome
}

fn deliver(way: &mut dyn WayOut, handed: &Handed) {
    match handed {
        Handed::Frames(runs) => {
            for (owned, run) in runs.iter() {
                way.frames(&owned.chunk, run.clone());
            }
        }
        Handed::Records(records) => way.records(records),
    }
}

/// A chunk goes back to its worker once nobody reads it any more.
impl Drop for Owned {
    fn drop(&mut self) {
        let mut chunk = std::mem::replace(&mut self.chunk, FrameChunk::empty());
        chunk.clear();
        // There is room for every chunk, and a worker that is gone needs none.
        let _ = self.pool.try_send(chunk);
    }
}

#[cfg(test)]
mod tests;
