//! Ways out with a thread and a bounded queue of their own: one that stalls costs nobody else
//! anything.
//!
//! ```text
//!            ┌─ queue ─> thread: decap
//! writer ────┼─ queue ─> thread: tap             chunks are shared, and go back to their worker
//!            ├─ queue ─> thread: eve             when the last thread has let go of them
//!            └─ queue ─> thread: ipfix
//! ```
//! Of a finite input the writer waits for room; of a live one it sheds and counts per sink.

mod parcel;
mod queue;

use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_export::{Entry, Offered, Shed, SinkOutcome, WayOut};

use crate::accounting::Board;
use crate::error::EngineError;
use crate::outlet::ITEMS;
use crate::stop::Deadline;
use parcel::{Bundle, Handed, Lane};
pub(crate) use parcel::{Owned, release};
use queue::{QUEUE, Queue};

/// Chunks that a worker of a live input has for each sink of frames, so that one that stalls takes
/// none from the others: those that wait, and the one in the sink's hands.
pub(crate) const CHUNKS_PER_SINK: usize = QUEUE + 1;
/// Shells of chunks that are kept for the next ones: what a bundle of a sink or two lets go of at
/// once. Others are made anew.
const SHELLS: usize = 64;

/// A way out, its name in the summary, and what it is offered.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) name: String,
    pub(crate) offered: Offered,
    /// Whether it gets frames that came twice where other programs do not.
    pub(crate) takes_copies: bool,
    /// Its parts, each with a thread and a queue of its own: each takes the frames of some workers.
    pub(crate) lanes: Vec<Box<dyn WayOut>>,
}

/// Whose input it is, and who does the sinks' work.
#[derive(Clone, Debug)]
pub(crate) enum Hands {
    /// A live input's: each sink's own thread, until then, with room for so many batches of records.
    Live(Arc<Deadline>, usize),
    /// A finite input's: each sink's own thread.
    Finite,
    /// A finite input's: whoever hands over.
    Own,
}

impl Hands {
    fn deadline(&self) -> Option<&Arc<Deadline>> {
        match self {
            Self::Live(deadline, _) => Some(deadline),
            Self::Finite | Self::Own => None,
        }
    }
}

/// The writer's end of all queues.
#[derive(Debug)]
pub(crate) struct Handoff {
    /// Ways out that have not begun.
    exits: Vec<Exit>,
    queues: Vec<Queue>,
    bundle: Bundle,
    /// Where whoever is the last to read a chunk leaves what held it, and where it is found.
    shells: (Sender<Arc<Owned>>, Receiver<Arc<Owned>>),
    entries: Vec<Entry>,
    hands: Hands,
}

impl Handoff {
    pub(crate) fn new(exits: Vec<Exit>, hands: Hands) -> Self {
        Self {
            exits,
            queues: Vec::new(),
            bundle: Bundle::default(),
            shells: bounded(SHELLS),
            entries: Vec::new(),
            hands,
        }
    }

    /// Starts a thread for each way out, which shows on the board what it counts. Until then a run
    /// that cannot begin leaves no file behind.
    pub(crate) fn start(&mut self, board: &Board) -> Result<(), EngineError> {
        for exit in std::mem::take(&mut self.exits) {
            let of = exit.lanes.len();
            for (number, way) in exit.lanes.into_iter().enumerate() {
                let lane = Lane {
                    number,
                    of,
                    offered: exit.offered,
                    takes_copies: exit.takes_copies,
                };
                let seats = [(); 2].map(|()| board.seat(&exit.name, exit.offered));
                let named = (exit.name.clone(), lane);
                let shells = self.shells.0.clone();
                self.queues.push(match &self.hands {
                    Hands::Own => Queue::own(named, way, shells, seats),
                    hands => Queue::start(named, way, hands, shells, seats)?,
                });
            }
        }
        Ok(())
    }

    /// Whether some sink is offered frames, or anything else.
    fn wants(&self, is_wanted: impl Fn(Lane) -> bool) -> bool {
        self.queues.iter().any(|queue| is_wanted(queue.lane))
    }

    /// Takes a run of frames, in input order.
    pub(crate) fn frames(&mut self, chunk: &Arc<Owned>, positions: Range<usize>) {
        if self.wants(|lane| lane.offered == Offered::Frames) {
            self.bundle(chunk, positions, false);
        }
    }

    /// Takes a run of frames that came twice, and that other programs are not to have again.
    pub(crate) fn copies(&mut self, chunk: &Arc<Owned>, positions: Range<usize>) {
        let others = self.queues.iter_mut().filter(|queue| {
            let lane = queue.lane;
            lane.offered == Offered::Frames && lane.number == 0 && !lane.takes_copies
        });
        others.for_each(|queue| queue.shed(Shed::Duplicate, positions.len() as u64));
        if self.wants(|lane| lane.offered == Offered::Frames && lane.takes_copies) {
            self.bundle(chunk, positions, true);
        }
    }

    fn bundle(&mut self, chunk: &Arc<Owned>, positions: Range<usize>, is_copy: bool) {
        // Nobody else is to have it, so nothing has to be carried there.
        if matches!(self.hands, Hands::Own) {
            let queues = self.queues.iter_mut();
            return queues.for_each(|queue| queue.write(chunk, positions.clone(), is_copy));
        }
        if !self.bundle.push(chunk, positions.clone(), is_copy) {
            self.send_frames();
            self.bundle.push(chunk, positions, is_copy);
        }
    }

    /// What held a chunk that is back with its worker.
    pub(crate) fn shell(&self) -> Option<Arc<Owned>> {
        self.shells.1.try_recv().ok()
    }

    /// Where it comes from.
    pub(crate) fn shells(&self) -> Sender<Arc<Owned>> {
        self.shells.0.clone()
    }

    /// Takes a record, or what goes among them, in the order of their positions.
    pub(crate) fn entry(&mut self, entry: Entry) {
        if self.wants(|lane| lane.offered != Offered::Frames) {
            if self.entries.capacity() == 0 {
                self.entries.reserve_exact(ITEMS);
            }
            self.entries.push(entry);
            if self.entries.len() >= ITEMS {
                self.send_entries();
            }
        }
    }

    /// Hands over what has come together.
    pub(crate) fn pass_on(&mut self) {
        self.send_frames();
        self.send_entries();
    }

    fn send_frames(&mut self) {
        if self.bundle.is_empty() {
            return;
        }
        let is_live = self.hands.deadline().is_some();
        let mut takers = self
            .queues
            .iter_mut()
            .filter(|it| it.lane.offered == Offered::Frames);
        let last = takers.next_back();
        for queue in takers {
            queue.send_part(&self.bundle, is_live);
        }
        if let Some(queue) = last {
            queue.send_rest(&mut self.bundle, is_live);
        }
    }

    fn send_entries(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let entries = Arc::new(std::mem::take(&mut self.entries));
        let is_live = self.hands.deadline().is_some();
        for queue in self.queues.iter_mut().filter(|it| it.lane.takes_records()) {
            queue.send(Handed::Entries(entries.clone()), is_live);
        }
    }

    /// Nothing more is to come: waits for every sink, but in a live run not for longer than a
    /// stop may take. Tells `closed` of each that has ended.
    pub(crate) fn finish(mut self, closed: &mut dyn FnMut(SinkOutcome)) {
        self.pass_on();
        self.queues.iter_mut().for_each(Queue::close);
        let mut whole: Option<SinkOutcome> = None;
        for queue in self.queues {
            let lane = queue.lane;
            let Some(outcome) = queue.wait(self.hands.deadline().map(|it| &**it)) else {
                // Nothing is known of this part, so nothing can be said of the sink.
                whole = None;
                continue;
            };
            let outcome = match whole.take() {
                Some(before) if before.name == outcome.name => joined(before, outcome),
                None if lane.number > 0 => continue,
                _ => outcome,
            };
            if lane.number + 1 == lane.of {
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

#[cfg(test)]
mod tests;
