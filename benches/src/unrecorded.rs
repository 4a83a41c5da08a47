//! Flows that nobody is told of.

use vxscope_flow::{CloseReason, Closing, FlowRecord, StoredFrames};
use vxscope_units::SourceId;

/// Takes no record: what the flow table costs without what comes after it.
#[derive(Clone, Copy, Debug)]
pub struct Unrecorded;

impl Closing for Unrecorded {
    fn handle_closed(&mut self, _: &FlowRecord, _: &StoredFrames<'_>) {}

    fn wants_records(&self) -> bool {
        false
    }

    fn count_closed(&mut self, _: SourceId, _: CloseReason) {}
}
