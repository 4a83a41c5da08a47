//! What every way out with a thread and a queue of its own can do.

use std::fmt;
use std::ops::Range;

use vxscope_flow::FlowRecord;
use vxscope_units::Timestamp;

use crate::chunk::FrameChunk;
use crate::sink::{SinkCount, SinkOutcome};

/// What a sink is offered; its ledger is held against the sensor's count of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Decapsulated frames.
    Frames,
    /// Records of ended flows.
    Records,
    /// Records of ended flows, and what happened in flows that an analyst wants to read.
    RecordsAndAnomalies,
}

/// A sink that the engine gives a thread and a bounded queue of its own, so that one that stalls
/// costs nobody else anything.
///
/// Both kinds of input come in the order of the input's records, the same for any number of
/// workers. Calls may wait for the world outside, but for a fraction of a second at most: at the
/// end of a run somebody waits for them. What cannot be delivered is shed and counted, so that
/// `offered = written + Σ shed` after every call.
pub trait WayOut: Send + fmt::Debug {
    /// Takes the frames of `chunk` at `positions`.
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        let _ = (chunk, positions);
    }

    /// Takes records of ended flows.
    fn records(&mut self, records: &[FlowRecord]) {
        let _ = records;
    }

    /// Comes several times a second, also when there is nothing to take: time to reconnect, to
    /// rotate, to flush. `now` is the clock's time.
    fn tick(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// So many frames or records of the input were not handed over before the next that is: the
    /// queue was full. They are counted elsewhere; a sink that can tells its readers.
    fn missed(&mut self, count: u64) {
        let _ = count;
    }

    /// The ledger so far.
    fn count(&self) -> SinkCount;

    /// Delivers what is left and closes.
    fn finish(self: Box<Self>) -> SinkOutcome;
}
