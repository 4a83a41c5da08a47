//! What goes from the writer to the sinks: chunks of frames that several of them read, and records
//! in the order of the input.

use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::Sender;
use vxscope_export::{Entry, FrameChunk, Offered, WayOut};

/// A chunk, whose it is, and where it goes back to.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) worker: usize,
    pub(crate) chunk: FrameChunk,
    /// `None` once it is there.
    pub(crate) pool: Option<Sender<FrameChunk>>,
}

impl Owned {
    /// The chunk goes back to its worker.
    pub(crate) fn give_back(&mut self) {
        if let Some(pool) = self.pool.take() {
            let mut chunk = std::mem::replace(&mut self.chunk, FrameChunk::empty());
            chunk.clear();
            // There is room for every chunk, and a worker that is gone needs none.
            let _ = pool.try_send(chunk);
        }
    }
}

/// Once nobody reads it any more.
impl Drop for Owned {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Frames of a chunk that somebody else may use, too.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) owned: Arc<Owned>,
    pub(super) positions: Range<usize>,
    /// They came twice, and other programs are not to have them again.
    pub(super) is_copy: bool,
}

/// What is handed over at once.
#[derive(Clone, Debug)]
pub(super) enum Handed {
    Frames(Arc<Vec<Run>>),
    Entries(Arc<Vec<Entry>>),
}

impl Handed {
    /// What of it is among what a sink is offered.
    pub(super) fn len(&self, offered: Offered) -> u64 {
        match self {
            Self::Frames(runs) => runs.iter().map(|run| run.positions.len() as u64).sum(),
            Self::Entries(entries) => {
                let among = entries.iter().filter(|entry| entry.is_among(offered));
                among.count() as u64
            }
        }
    }

    pub(super) fn deliver(&self, way: &mut dyn WayOut) {
        match self {
            Self::Frames(runs) => {
                for run in runs.iter() {
                    way.frames(&run.owned.chunk, run.positions.clone());
                }
            }
            Self::Entries(entries) => way.records(entries),
        }
    }
}

/// What one part of a sink is to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    /// Which of the sink's parts this is, and of how many.
    pub(super) number: usize,
    pub(super) of: usize,
    pub(super) offered: Offered,
    /// Whether frames that came twice are among it.
    pub(super) takes_copies: bool,
}

impl Lane {
    /// Whether this kind of thing goes this way.
    pub(super) fn is_for(self, handed: &Handed) -> bool {
        match handed {
            Handed::Frames(_) => self.offered == Offered::Frames,
            // A flow belongs to one worker, but its record is for the whole sink.
            Handed::Entries(_) => self.offered != Offered::Frames && self.number == 0,
        }
    }

    /// What of it is to go this way, if anything.
    pub(super) fn part(self, handed: &Handed) -> Option<Handed> {
        if !self.is_for(handed) {
            return None;
        }
        match handed {
            Handed::Frames(runs) if !runs.iter().all(|run| self.takes(run)) => {
                let taken = runs.iter().filter(|run| self.takes(run));
                let taken: Vec<Run> = taken.cloned().collect();
                (!taken.is_empty()).then(|| Handed::Frames(Arc::new(taken)))
            }
            handed => Some(handed.clone()),
        }
    }

    /// A flow belongs to one worker, so all its frames go one way.
    pub(super) fn takes(self, run: &Run) -> bool {
        run.owned.worker % self.of == self.number && (self.takes_copies || !run.is_copy)
    }
}
