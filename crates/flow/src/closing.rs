//! How a flow leaves the table: its record and what the rings still hold of it.

use vxscope_units::SourceId;

use crate::entry::Cold;
use crate::label::{FlowSoFar, Label, Milestone};
use crate::record::{CloseReason, FlowRecord};
use crate::ring::{Rings, StoredFrame};

/// Who follows flows: labels them, and takes them when they are closed.
pub trait Closing {
    /// A flow ended. `frames` visits what the rings still hold of it, oldest first.
    fn handle_closed(&mut self, record: &FlowRecord, frames: &StoredFrames<'_>);

    /// Whether records are wanted at all; if not, they are not made, only `reason` is told.
    fn wants_records(&self) -> bool;

    /// A flow ended, whether or not its record is wanted.
    fn count_closed(&mut self, source: SourceId, reason: CloseReason);

    /// A flow is at a point at which it is labelled. Bytes that bore another label until now are
    /// the follower's to move. At [`Milestone::Ended`] the answer has no effect.
    fn handle_milestone(&mut self, _flow: &FlowSoFar, _milestone: Milestone) -> Label {
        Label::NONE
    }
}

/// The frames of one flow that the rings still hold.
#[derive(Clone, Copy, Debug)]
pub struct StoredFrames<'a> {
    pub(crate) rings: Option<&'a Rings>,
    pub(crate) cold: &'a Cold,
}

impl StoredFrames<'_> {
    /// Visits the frames, oldest first.
    pub fn visit(&self, visit: &mut dyn FnMut(StoredFrame<'_>)) {
        if let Some(rings) = self.rings {
            let mut reader = rings.reader(&self.cold.ring, self.cold.flow_id);
            while rings.read(&mut reader, usize::MAX, visit) {}
        }
    }
}
