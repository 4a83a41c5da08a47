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
    pub(crate) way: Box<dyn WayOut>,
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
    /// `None` once nothing more is to come.
    sender: Option<Sender<Handed>>,
    /// What found no room.
    lost: SinkCount,
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
        let queues = exits
            .into_iter()
            .map(|exit| Queue::start(exit, deadline.clone(), board));
        Ok(Self {
            queues: queues.collect::<Result<_, _>>()?,
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
            queue.send(handed.clone(), is_live);
        }
    }

    /// Nothing more is to come: waits for every sink, but in a live run not for longer than a
    /// stop may take. Tells `closed` of each that has ended.
    pub(crate) fn finish(mut self, closed: &mut dyn FnMut(SinkOutcome)) {
        self.pass_on();
        self.queues.iter_mut().for_each(|queue| queue.sender = None);
        for queue in self.queues {
            if let Some(mut outcome) = queue.wait(self.deadline.as_deref()) {
                outcome.count.merge(&queue.lost);
                closed(SinkOutcome {
                    name: queue.name,
                    ..outcome
                });
            }
        }
    }
}

impl Queue {
    fn start(
        exit: Exit,
        deadline: Option<Arc<Deadline>>,
        board: &Board,
    ) -> Result<Self, EngineError> {
        let (sender, handed) = bounded(QUEUE);
        let (outcome, ended) = bounded(1);
        let Exit { name, offered, way } = exit;
        let seat = board.seat(&name, offered);
        start::detach("sink", move || {
            let _ = outcome.try_send(serve(way, &handed, deadline.as_deref(), &seat));
        })?;
        let seat = board.seat(&name, offered);
        Ok(Self {
            name,
            offered,
            sender: Some(sender),
            lost: SinkCount::default(),
            seat,
            ended,
        })
    }

    fn send(&mut self, handed: Handed, is_live: bool) {
        let Some(sender) = &self.sender else { return };
        let refused = if is_live {
            match sender.try_send(handed) {
                Ok(()) => return,
                Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => refused,
            }
        } else {
            match sender.send(handed) {
                Ok(()) => return,
                Err(refused) => refused.0,
            }
        };
        self.lost.add_shed(Shed::QueueFull, refused.len());
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
    handed: &Receiver<Handed>,
    deadline: Option<&Deadline>,
    seat: &Seat,
) -> SinkOutcome {
    let mut late = SinkCount::default();
    let clock = LiveClock::start();
    let mut ticked = Duration::ZERO;
    loop {
        match handed.recv_timeout((ticked + TICK_EVERY).saturating_sub(clock.elapsed())) {
            Ok(handed) if deadline.is_some_and(Deadline::is_cut) => {
                late.add_shed(Shed::Deadline, handed.len());
            }
            Ok(Handed::Frames(runs)) => {
                for (owned, run) in runs.iter() {
                    way.frames(&owned.chunk, run.clone());
                }
            }
            Ok(Handed::Records(records)) => way.records(&records),
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
