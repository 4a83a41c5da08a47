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

/// The shell of a chunk that nobody else reads goes where the next chunk finds it; else whoever is
/// the last to read it gives the chunk back.
pub(crate) fn release(mut owned: Arc<Owned>, shells: &Sender<Arc<Owned>>) {
    if let Some(last) = Arc::get_mut(&mut owned) {
        last.give_back();
        // Beyond what is kept, they are made anew.
        let _ = shells.try_send(owned);
    }
}

/// Frames of a chunk that somebody else may use, too.
#[derive(Debug)]
struct Run {
    /// Which of the bundle's chunks.
    chunk: usize,
    worker: usize,
    positions: Range<usize>,
    /// They came twice, and other programs are not to have them again.
    is_copy: bool,
}

/// Runs of frames in the order of the input, and the chunks they are in: one of a worker, however
/// many runs it is cut into.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    chunks: Vec<Arc<Owned>>,
    runs: Vec<Run>,
}

impl Bundle {
    pub(super) const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a run, if there is not yet another chunk of its worker.
    pub(super) fn push(
        &mut self,
        owned: &Arc<Owned>,
        positions: Range<usize>,
        is_copy: bool,
    ) -> bool {
        let held = self.chunks.iter().position(|it| it.worker == owned.worker);
        let chunk = match held {
            Some(at) if self.chunks.get(at).is_some_and(|it| Arc::ptr_eq(it, owned)) => at,
            Some(_) => return false,
            None => {
                self.chunks.push(owned.clone());
                self.chunks.len() - 1
            }
        };
        self.runs.push(Run {
            chunk,
            worker: owned.worker,
            positions,
            is_copy,
        });
        true
    }

    /// Whether one part of a sink is to have all of it.
    pub(super) fn is_for(&self, lane: Lane) -> bool {
        let mut runs = self.runs.iter();
        runs.all(|run| lane.takes(run.worker, run.is_copy))
    }

    /// Becomes what one part of a sink is to have of another bundle. It holds no chunk of which it
    /// reads nothing: a part that stalls must take none from the others' workers.
    pub(super) fn copy(&mut self, from: &Self, lane: Lane) {
        let runs = from.runs.iter();
        for run in runs.filter(|run| lane.takes(run.worker, run.is_copy)) {
            if let Some(owned) = from.chunks.get(run.chunk) {
                self.push(owned, run.positions.clone(), run.is_copy);
            }
        }
    }

    /// Nobody here reads its chunks any more.
    pub(super) fn clear(&mut self, shells: &Sender<Arc<Owned>>) {
        self.runs.clear();
        self.chunks
            .drain(..)
            .for_each(|owned| release(owned, shells));
    }

    fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.positions.len() as u64).sum()
    }

    fn deliver(&self, way: &mut dyn WayOut) {
        for run in &self.runs {
            if let Some(owned) = self.chunks.get(run.chunk) {
                way.frames(&owned.chunk, run.positions.clone());
            }
        }
    }
}

/// What is handed over at once.
#[derive(Debug)]
pub(super) enum Handed {
    Frames(Bundle),
    Entries(Arc<Vec<Entry>>),
}

impl Handed {
    /// What of it is among what a sink is offered.
    pub(super) fn len(&self, offered: Offered) -> u64 {
        match self {
            Self::Frames(bundle) => bundle.len(),
            Self::Entries(entries) => {
                let among = entries.iter().filter(|entry| entry.is_among(offered));
                among.count() as u64
            }
        }
    }

    pub(super) fn deliver(&self, way: &mut dyn WayOut) {
        match self {
            Self::Frames(bundle) => bundle.deliver(way),
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
    /// A flow belongs to one worker, but its record is for the whole sink.
    pub(super) fn takes_records(self) -> bool {
        self.offered != Offered::Frames && self.number == 0
    }

    /// A flow belongs to one worker, so all its frames go one way.
    pub(super) fn takes(self, worker: usize, is_copy: bool) -> bool {
        self.offered == Offered::Frames
            && worker % self.of == self.number
            && (self.takes_copies || !is_copy)
    }
}
