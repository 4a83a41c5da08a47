//! What every way out with a thread and a queue of its own can do.

use std::fmt;
use std::ops::Range;

use vxscope_flow::FlowRecord;
use vxscope_units::Timestamp;

use crate::anomaly::Anomaly;
use crate::chunk::FrameChunk;
use crate::grade::GradeChange;
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

/// What sinks of records are handed, in the order of the input.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A flow ended.
    Flow(FlowRecord),
    /// Something happened in a flow that an analyst wants to read.
    Anomaly(Anomaly),
    /// A mirror session has another grade. It is nobody's record, so no sink counts it.
    Grade(GradeChange),
}

impl Entry {
    /// The record of an ended flow, if it is one.
    #[must_use]
    pub const fn flow(&self) -> Option<&FlowRecord> {
        match self {
            Self::Flow(record) => Some(record),
            Self::Anomaly(_) | Self::Grade(_) => None,
        }
    }

    /// Whether it is among what a sink is offered.
    #[must_use]
    pub fn is_among(&self, offered: Offered) -> bool {
        match self {
            Self::Flow(_) => offered != Offered::Frames,
            Self::Anomaly(_) => offered == Offered::RecordsAndAnomalies,
            Self::Grade(_) => false,
        }
    }
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

    /// Takes records of ended flows, and whatever else it writes among them.
    fn records(&mut self, entries: &[Entry]) {
        let _ = entries;
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
