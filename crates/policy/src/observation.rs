//! What one source showed in one tick, in the form that a decision reads: no text, no heap.

use vxscope_report::EventKind;
use vxscope_units::EvidenceClass;

use crate::SourceKey;

/// One source in the last tick of its sensor. Every number is of the tick alone.
///
/// What the source's grade hides is not in it; a source of which nothing was seen needs none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation<'a> {
    /// Frames.
    pub packets: u64,
    /// Bytes by what they were for.
    pub bytes: Bytes,
    /// Of all bytes, those towards the interface.
    pub ingress_bytes: u64,
    /// Of all bytes, those away from it. What neither address nor MAC tells is in neither.
    pub egress_bytes: u64,
    /// Relevant events by [`EventKind::index`].
    pub events: [u32; EventKind::COUNT],
    /// Whether the sensor can no longer tell what is new.
    pub saturated: bool,
    /// Whether there were more edges than could be told.
    pub edges_omitted: bool,
    /// The events whose other side is a source too, as far as they were told one by one; they are
    /// counted in `events` as well.
    pub sightings: &'a [Sighted],
    /// The sources it had flows with.
    pub edges: &'a [SourceKey],
}

/// Bytes of a source by what a grade would keep of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// DNS and ports that should never be used: all that a sentinel shows.
    pub dns_never: u64,
    /// Management: with the former, all that essential shows.
    pub management: u64,
    /// Long transfers that nobody can look into.
    pub bulk: u64,
    /// The rest.
    pub other: u64,
}

impl Bytes {
    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        (self.dns_never.saturating_add(self.management))
            .saturating_add(self.bulk.saturating_add(self.other))
    }
}

/// An event that another source had part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighted {
    /// What it is.
    pub kind: EventKind,
    /// The other side.
    pub peer: SourceKey,
}

/// The class of evidence that must be visible for an event to be noticed.
///
/// A login with a visible password needs the flow: its ports are only partly in the management
/// filter, so the grade that certainly shows it is asked for.
#[must_use]
pub const fn class_of(kind: EventKind) -> EvidenceClass {
    match kind {
        EventKind::FirstEdge
        | EventKind::NewService
        | EventKind::ManyFailures
        | EventKind::CleartextLogin => EvidenceClass::Flow,
        EventKind::FirstDomain | EventKind::NeverHit => EvidenceClass::DnsNever,
        EventKind::ManagementLogin => EvidenceClass::Management,
        EventKind::Alert => EvidenceClass::Payload,
    }
}

/// Events by the class they need.
#[must_use]
pub(crate) fn by_class(events: &[u32; EventKind::COUNT]) -> [u32; EvidenceClass::COUNT] {
    let mut classes = [0_u32; EvidenceClass::COUNT];
    for kind in EventKind::ALL {
        let cell = &mut classes[class_of(*kind).index()];
        *cell = cell.saturating_add(events[kind.index()]);
    }
    classes
}
