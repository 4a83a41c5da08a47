//! Several workers' chunks of frames back into input order, in runs as long as possible.

use std::collections::VecDeque;
use std::ops::Range;

use crate::chunk::FrameChunk;
use crate::merge::Progress;

/// Merges chunks by record index. Like [`Merge`](crate::Merge), but what comes out are runs of
/// frames that lie next to each other in one chunk, so a run is one write, not one per frame.
///
/// `C` owns or shares a chunk: `FrameChunk`, `Box<FrameChunk>`, `Arc<FrameChunk>`. It holds what
/// the slowest worker is behind; [`FrameMerge::lagging`] and the size of the pool bound that.
#[derive(Debug)]
pub struct FrameMerge<C> {
    lanes: Vec<Lane<C>>,
    progress: Progress,
}

#[derive(Debug)]
struct Lane<C> {
    chunks: VecDeque<C>,
    /// The next frame of the first chunk.
    position: usize,
}

impl<C: AsRef<FrameChunk>> FrameMerge<C> {
    /// For workers `0..workers`.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let lanes = (0..workers)
            .map(|_| Lane {
                chunks: VecDeque::new(),
                position: 0,
            })
            .collect();
        Self {
            lanes,
            progress: Progress::new(workers),
        }
    }

    /// Takes a worker's next chunk, which may be empty and only say how far the worker has come
    /// ([`FrameChunk::through`]).
    ///
    /// # Panics
    /// There is no such worker: a mistake of the caller.
    pub fn push(&mut self, worker: usize, chunk: C) {
        if let Some(through) = chunk.as_ref().through() {
            self.progress.reach(worker, through);
        }
        let lane = self
            .lanes
            .get_mut(worker)
            .expect("the number of workers is fixed at start");
        lane.chunks.push_back(chunk);
    }

    /// Says how far a worker has come without a chunk.
    pub fn advance(&mut self, worker: usize, through: u64) {
        self.progress.reach(worker, through);
    }

    /// The worker has ended and will bring nothing more.
    pub fn close(&mut self, worker: usize) {
        self.progress.close(worker);
    }

    /// Hands every run whose turn has certainly come to `write`, in order, and every chunk that
    /// is used up to `recycle`.
    pub fn drain_ready(
        &mut self,
        mut write: impl FnMut(&C, Range<usize>),
        mut recycle: impl FnMut(C),
    ) {
        loop {
            for lane in &mut self.lanes {
                lane.retire(&mut recycle);
            }
            let Some((worker, limit)) = self.next_run() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(worker) else {
                return;
            };
            let Some(chunk) = lane.chunks.front() else {
                return;
            };
            let end = chunk.as_ref().position_above(lane.position, limit);
            write(chunk, lane.position..end);
            lane.position = end;
        }
    }

    /// The worker that holds the others up; `None` once all have ended.
    #[must_use]
    pub fn lagging(&self) -> Option<usize> {
        self.progress.lagging()
    }

    /// Chunks waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.chunks.len()).sum()
    }

    /// Whether none are waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.chunks.is_empty())
    }

    /// The worker whose frame is next, and the last index of the run that may be written: below
    /// every other worker's next frame, and passed by all.
    fn next_run(&self) -> Option<(usize, u64)> {
        let passed = self.progress.passed_all_to()?;
        let (mut first, mut second): (Option<(u64, usize)>, _) = (None, None);
        for (worker, lane) in self.lanes.iter().enumerate() {
            let Some(head) = lane.head().map(|index| (index, worker)) else {
                continue;
            };
            if first.is_none_or(|it| head < it) {
                second = first.replace(head);
            } else if second.is_none_or(|it| head < it) {
                second = Some(head);
            }
        }
        let (index, worker) = first?;
        // Two workers never hold the same index: a record goes to one of them.
        let below_second = second.map_or(u64::MAX, |(index, _)| index.saturating_sub(1));
        let limit = passed.min(below_second).max(index);
        (index <= passed).then_some((worker, limit))
    }
}

impl<C: AsRef<FrameChunk>> Lane<C> {
    fn head(&self) -> Option<u64> {
        self.chunks.front()?.as_ref().index(self.position)
    }

    fn retire(&mut self, recycle: &mut impl FnMut(C)) {
        while self
            .chunks
            .front()
            .is_some_and(|chunk| self.position >= chunk.as_ref().len())
        {
            self.chunks.pop_front().map(&mut *recycle);
            self.position = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use vxscope_units::Timestamp;

    use super::FrameMerge;
    use crate::chunk::FrameChunk;
    use crate::testing::source;

    #[test]
    fn frames_that_lie_together_come_out_as_one_run() {
        let mut merge = FrameMerge::new(2);
        merge.push(0, Arc::new(chunk(&[1, 2, 3, 7, 8], 8)));
        merge.push(1, Arc::new(chunk(&[4, 5, 9], 9)));
        let mut runs = Vec::new();
        let mut recycled = 0;
        merge.drain_ready(|_, run| runs.push(run), |_| recycled += 1);
        assert_eq!(runs, [0..3, 0..2, 3..5]);
        assert_eq!((recycled, merge.len(), merge.lagging()), (1, 1, Some(0)));
        merge.close(0);
        merge.close(1);
        merge.drain_ready(|_, run| runs.push(run), |_| recycled += 1);
        assert_eq!((runs.len(), recycled, merge.is_empty()), (4, 2, true));
    }

    #[test]
    fn a_single_worker_needs_nobody_to_wait_for() {
        let mut merge = FrameMerge::new(1);
        merge.push(0, Box::new(chunk(&[0, 1, 1, 6], 6)));
        let mut runs = Vec::new();
        merge.drain_ready(|_, run| runs.push(run), drop);
        assert_eq!((runs.len(), runs.first()), (1, Some(&(0..4))));
    }

    #[test]
    fn empty_chunks_and_advances_move_the_others_on() {
        let mut merge = FrameMerge::new(3);
        merge.push(0, chunk(&[5], 5));
        let mut written = 0;
        merge.push(1, chunk(&[], 5));
        merge.push(2, FrameChunk::with_capacity(0));
        merge.drain_ready(|_, run| written += run.len(), drop);
        assert_eq!(written, 0);
        merge.advance(2, 5);
        merge.drain_ready(|_, run| written += run.len(), drop);
        assert_eq!((written, merge.is_empty()), (1, true));
    }

    proptest! {
        /// Whoever got which record and however chunks are cut and delivered, frames come out
        /// in input order, each once, and each chunk is given back once.
        #[test]
        fn frames_come_out_in_input_order(
            workers in 1usize..5,
            owners in prop::collection::vec(0usize..8, 0..200),
            cuts in prop::collection::vec((0usize..8, 0usize..9), 0..120),
        ) {
            let mut streams = vec![Vec::new(); workers];
            for (index, owner) in owners.iter().enumerate() {
                streams[owner % workers].push(index as u64);
            }
            let total = owners.len();
            let mut merge = FrameMerge::new(workers);
            let (mut pushed, mut recycled) = (0, 0);
            let mut result = Vec::new();
            let finale = (0..workers).map(|worker| (worker, total));
            for (worker, take) in cuts.into_iter().chain(finale) {
                let stream = &mut streams[worker % workers];
                let rest = stream.split_off(take.min(stream.len()));
                let due = std::mem::replace(stream, rest);
                let next = stream.first().copied().unwrap_or(total as u64);
                let mut chunk = chunk(&due, 0);
                if let Some(through) = next.checked_sub(1) {
                    chunk.set_through(through);
                    merge.push(worker % workers, chunk);
                    pushed += 1;
                }
                merge.drain_ready(
                    |chunk, run| result.extend(chunk.frames(run).map(|frame| frame.index)),
                    |_| recycled += 1,
                );
            }
            prop_assert_eq!(result, (0..total as u64).collect::<Vec<_>>());
            prop_assert_eq!((pushed, merge.len()), (recycled, 0));
        }
    }

    fn chunk(indices: &[u64], through: u64) -> FrameChunk {
        let mut chunk = FrameChunk::with_capacity(0);
        for index in indices {
            assert!(chunk.push(*index, Timestamp::ZERO, source(1), &index.to_le_bytes(), 0));
        }
        chunk.set_through(through);
        chunk
    }
}
