//! Several workers' streams back into one, in the order of the input.
//!
//! Each worker says with every delivery how far it has come. An item is certain to be next when
//! every worker has passed its index, so the result does not depend on how the workers ran.

use std::collections::VecDeque;

use vxscope_flow::FlowRecord;

/// A place in every output: an input record's index, then an id among those of one index.
pub trait Ordered {
    /// `(index, id)`; no two items of all workers have the same.
    fn order(&self) -> (u64, u64);
}

impl Ordered for FlowRecord {
    fn order(&self) -> (u64, u64) {
        Self::order(self)
    }
}

/// Merges streams of single items, such as flow records.
///
/// It holds what the slowest worker is behind. To bound that, take deliveries from
/// [`Merge::lagging`] while [`Merge::len`] is above your limit.
#[derive(Debug)]
pub struct Merge<T> {
    lanes: Vec<VecDeque<T>>,
    progress: Progress,
}

impl<T: Ordered> Merge<T> {
    /// For workers `0..workers`.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let lanes = (0..workers).map(|_| VecDeque::new()).collect();
        Self {
            lanes,
            progress: Progress::new(workers),
        }
    }

    /// Takes a delivery: items in order, and the promise that `worker` will bring no item whose
    /// index is `through` or lower from now on. Items of one index that no other worker has, as
    /// those of one packet, stay in the order in which they come.
    ///
    /// # Panics
    /// There is no such worker: a mistake of the caller.
    pub fn push(&mut self, worker: usize, items: impl IntoIterator<Item = T>, through: u64) {
        let lane = self
            .lanes
            .get_mut(worker)
            .expect("the number of workers is fixed at start");
        for item in items {
            debug_assert!(
                self.progress.may_bring(worker, item.order().0),
                "promise broken"
            );
            debug_assert!(
                lane.back()
                    .is_none_or(|last| last.order().0 <= item.order().0)
            );
            lane.push_back(item);
        }
        self.progress.reach(worker, through);
    }

    /// The worker has ended and will bring nothing more.
    pub fn close(&mut self, worker: usize) {
        self.progress.close(worker);
    }

    /// The next item, once nothing can come before it.
    pub fn pop_ready(&mut self) -> Option<T> {
        let heads = self.lanes.iter_mut().filter(|lane| !lane.is_empty());
        let lane = heads.min_by_key(|lane| lane.front().map(Ordered::order))?;
        let (index, _) = lane.front()?.order();
        if self.progress.passed(index) {
            lane.pop_front()
        } else {
            None
        }
    }

    /// The worker that holds the others up; `None` once all have ended.
    #[must_use]
    pub fn lagging(&self) -> Option<usize> {
        self.progress.lagging()
    }

    /// Items waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// Whether none are waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }
}

/// How far each worker has come.
#[derive(Debug)]
pub(crate) struct Progress {
    workers: Vec<Reached>,
}

/// Ordered by how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Nothing,
    Through(u64),
    End,
}

impl Progress {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: vec![Reached::Nothing; workers],
        }
    }

    /// A worker never falls back: an older promise changes nothing.
    pub(crate) fn reach(&mut self, worker: usize, through: u64) {
        if let Some(reached) = self.workers.get_mut(worker) {
            *reached = (*reached).max(Reached::Through(through));
        }
    }

    pub(crate) fn close(&mut self, worker: usize) {
        if let Some(reached) = self.workers.get_mut(worker) {
            *reached = Reached::End;
        }
    }

    /// Whether no worker can bring this index any more.
    pub(crate) fn passed(&self, index: u64) -> bool {
        self.workers
            .iter()
            .all(|reached| *reached >= Reached::Through(index))
    }

    /// The highest index that no worker can bring any more; `None` if there is none.
    pub(crate) fn passed_all_to(&self) -> Option<u64> {
        match self.workers.iter().min()? {
            Reached::Nothing => None,
            Reached::Through(index) => Some(*index),
            Reached::End => Some(u64::MAX),
        }
    }

    pub(crate) fn lagging(&self) -> Option<usize> {
        let open = self
            .workers
            .iter()
            .enumerate()
            .filter(|(_, it)| **it != Reached::End);
        open.min_by_key(|(_, reached)| **reached)
            .map(|(worker, _)| worker)
    }

    fn may_bring(&self, worker: usize, index: u64) -> bool {
        self.workers
            .get(worker)
            .is_some_and(|reached| *reached < Reached::Through(index))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Merge, Ordered};

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Item(u64, u64);

    impl Ordered for Item {
        fn order(&self) -> (u64, u64) {
            (self.0, self.1)
        }
    }

    #[test]
    fn an_item_waits_for_every_worker() {
        let mut merge = Merge::new(2);
        merge.push(0, [Item(0, 5), Item(3, 1)], 3);
        assert_eq!((merge.pop_ready(), merge.lagging()), (None, Some(1)));
        merge.push(1, [Item(0, 4)], 2);
        assert_eq!(merge.pop_ready(), Some(Item(0, 4)));
        assert_eq!(merge.pop_ready(), Some(Item(0, 5)));
        assert_eq!((merge.pop_ready(), merge.len()), (None, 1));
        merge.close(1);
        assert_eq!(
            (merge.pop_ready(), merge.is_empty()),
            (Some(Item(3, 1)), true)
        );
        merge.close(0);
        assert_eq!(merge.lagging(), None);
    }

    #[test]
    fn the_last_index_there_is_comes_out_at_the_end() {
        let mut merge = Merge::new(1);
        merge.push(0, [Item(u64::MAX, 0)], 0);
        assert_eq!(merge.pop_ready(), None);
        merge.close(0);
        assert_eq!(merge.pop_ready(), Some(Item(u64::MAX, 0)));
    }

    proptest! {
        /// However items are dealt to workers and deliveries interleave, the result is the
        /// sorted input, and nothing comes out before its time.
        #[test]
        fn the_result_is_the_sorted_input(
            workers in 1usize..5,
            items in prop::collection::btree_map((0u64..60, 0u64..4), 0usize..8, 0..80),
            turns in prop::collection::vec((0usize..8, 1u64..20), 0..60),
        ) {
            let mut streams = vec![Vec::new(); workers];
            for ((index, id), worker) in &items {
                streams[worker % workers].push(Item(*index, *id));
            }
            let mut merge = Merge::new(workers);
            let mut reached = vec![0; workers];
            let mut result: Vec<Item> = Vec::new();
            for (worker, step) in turns {
                let worker = worker % workers;
                reached[worker] += step;
                let due = streams[worker].partition_point(|item| item.0 < reached[worker]);
                let rest = streams[worker].split_off(due);
                let due = std::mem::replace(&mut streams[worker], rest);
                merge.push(worker, due, reached[worker] - 1);
                while let Some(item) = merge.pop_ready() {
                    prop_assert!(streams.iter().flatten().all(|later| item < *later));
                    result.push(item);
                }
            }
            for (worker, stream) in streams.into_iter().enumerate() {
                merge.push(worker, stream, 60);
                merge.close(worker);
            }
            result.extend(std::iter::from_fn(|| merge.pop_ready()));
            let sorted: Vec<_> = items.into_keys().map(|(index, id)| Item(index, id)).collect();
            prop_assert_eq!(result, sorted);
        }
    }
}
