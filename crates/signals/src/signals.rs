//! From a source's account and events to its signals.

use vxscope_account::Row;
use vxscope_flow::{Crossing, Label};
use vxscope_report::{Category, Direction, Signals};

use crate::label::label_of;
use crate::state::Events;

/// One source's signals: what all workers counted (their rows, merged) and what the book made of
/// their facts.
#[must_use]
pub fn signals(row: &Row, events: Events) -> Signals {
    let mut signals = Signals {
        packets: row.packets,
        bytes: [Direction::Ingress, Direction::Egress, Direction::Unknown]
            .map(|direction| bytes(row, crossing_of(direction))),
        undecided: row.cells.labelled(Label::UNDECIDED),
        flows: row.flows,
        failed: row.failed,
        dns_queries: row.dns_queries,
        truncated: row.truncated,
        ..Signals::default()
    };
    events.put_into(&mut signals);
    signals
}

impl Events {
    /// Replaces the events of signals.
    pub fn put_into(self, signals: &mut Signals) {
        signals.events = self.counts;
        signals.saturated = self.saturated;
        signals.sightings = self.sightings;
        signals.sightings_omitted = self.sightings_omitted;
        signals.edges = self.edges;
        signals.edges_omitted = self.edges_omitted;
    }
}

fn crossing_of(direction: Direction) -> Crossing {
    match direction {
        Direction::Ingress => Crossing::Ingress,
        Direction::Egress => Crossing::Egress,
        Direction::Unknown => Crossing::Unknown,
    }
}

/// Bytes of one direction by category; frames in no flow are [`Category::Other`].
fn bytes(row: &Row, crossing: Crossing) -> [u64; Category::COUNT] {
    let mut bytes = [0; Category::COUNT];
    for (category, cell) in Category::ALL.iter().zip(&mut bytes) {
        *cell = row.cells.get(crossing, label_of(*category));
        if *category == Category::Other {
            *cell += row.cells.get(crossing, Label::NONE);
        }
    }
    bytes
}
