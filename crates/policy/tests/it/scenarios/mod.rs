//! What raises a source, and what keeps it up.

mod edges;
mod orders;
mod paid;
mod quiet;
mod unknown;
mod wakes;

use vxscope_policy::Observation;
use vxscope_report::EventKind;

use crate::world::talk;

fn with(kind: EventKind, count: u32) -> Observation<'static> {
    let mut observation = talk();
    observation.events[kind.index()] = count;
    observation
}
