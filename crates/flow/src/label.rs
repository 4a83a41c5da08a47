//! What a flow is taken to be: a number that its packets bear for whoever accounts for them.
//!
//! The table carries labels and asks for them at a few points of a flow's life; what they mean is
//! the business of whoever answers.

use std::net::IpAddr;

use vxscope_units::{MirrorSource, SourceId, Timestamp};

use crate::record::Crossing;

/// A flow's label, and whether whoever gave it wants to be asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label(u8);

/// The label is for the time being.
const OPEN: u8 = 0x80;

impl Label {
    /// Labels that somebody may give, without the two below.
    pub const GIVEN_MAX: usize = 10;
    /// All labels.
    pub const COUNT: usize = Self::GIVEN_MAX + 2;
    /// Of frames in no flow, and of flows that nobody labels.
    pub const NONE: Self = Self(0);
    /// Of a flow that nobody has answered yet: its bytes are labelled once that is decided.
    pub const UNDECIDED: Self = Self(1 | OPEN);

    /// The label of this number; `None` from [`Label::GIVEN_MAX`] on.
    #[must_use]
    pub const fn new(number: usize) -> Option<Self> {
        if number >= Self::GIVEN_MAX {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below GIVEN_MAX")]
        Some(Self(number as u8 + 2))
    }

    /// The same label, for the time being: its giver is asked again.
    #[must_use]
    pub const fn for_now(self) -> Self {
        Self(self.0 | OPEN)
    }

    /// Whether its giver is to be asked again.
    #[inline]
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.0 & OPEN != 0
    }

    /// Position among all labels, below [`Label::COUNT`].
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 & !OPEN) as usize
    }

    /// The number it was made of; `None` for the two that have none.
    #[must_use]
    pub const fn number(self) -> Option<usize> {
        self.index().checked_sub(2)
    }
}

/// Packets of one side after which a flow that nobody answers is no attempt any more: a TCP
/// connection attempt has seven, the rest is traffic of which one sees one direction.
pub const ATTEMPT_PACKETS_MAX: u32 = 7;

/// Captured bytes, or bytes by IP headers, that one side of a flow sends between two times of
/// being [`Milestone::Large`].
pub const LARGE_BYTES: u64 = 1 << 23;

/// A point in a flow's life at which it is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// Its first packet is there, and not counted yet.
    Opened,
    /// The first packet of the other side is there, and not counted yet. Only if the label is open.
    Answered {
        /// TCP flags of that packet; 0 for other protocols.
        tcp_flags: u8,
    },
    /// It has [`ATTEMPT_PACKETS_MAX`] packets of one side and none of the other, or its packets
    /// began to cross the interface in another direction, or to come from another source of one
    /// VNI. Only if the label is open.
    OneWay,
    /// One side sent another [`LARGE_BYTES`]. Only if the label is not open.
    Large,
    /// It ends. Only if the label is open.
    Ended,
}

/// What is known of a flow in the middle of its life.
#[derive(Clone, Copy, Debug)]
pub struct FlowSoFar {
    /// As in its record.
    pub flow_id: u64,
    /// Row of the mirror source.
    pub source: SourceId,
    /// Whose mirror it is seen on.
    pub mirror: MirrorSource,
    /// The originator's address.
    pub originator: IpAddr,
    /// The responder's address.
    pub responder: IpAddr,
    /// The originator's port; ICMP: the type.
    pub originator_port: u16,
    /// The responder's port; ICMP: the answer's type, or the code if there is no answer.
    pub responder_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// How the originator's packets cross the mirrored interface.
    pub crossing: Crossing,
    /// How the packets so far crossed it: while nobody answered, all of them the same way.
    pub crossed: Crossing,
    /// Whether the responder sent the first packet.
    pub flipped: bool,
    /// Packets counted, both sides.
    pub packets: u64,
    /// Captured bytes counted, both sides.
    pub bytes: u64,
    /// OR of the flags that the originator sent; 0 if not TCP.
    pub originator_flags: u8,
    /// Its label.
    pub label: Label,
    /// The worker's clock.
    pub now: Timestamp,
    /// Position in the input.
    pub at: u64,
}

impl Crossing {
    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ingress => Self::Egress,
            Self::Egress => Self::Ingress,
            Self::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Label;

    #[test]
    fn labels_have_places_of_their_own_and_come_back_as_numbers() {
        let given = (0..Label::GIVEN_MAX).map(|number| Label::new(number).unwrap());
        let all: Vec<_> = [Label::NONE, Label::UNDECIDED]
            .into_iter()
            .chain(given)
            .collect();
        let places: Vec<_> = all.iter().map(|label| label.index()).collect();
        assert_eq!(places, (0..Label::COUNT).collect::<Vec<_>>());
        assert_eq!(Label::new(3).unwrap().for_now().number(), Some(3));
        assert_eq!(Label::new(Label::GIVEN_MAX), None);
        assert!(Label::UNDECIDED.is_open() && Label::UNDECIDED.number().is_none());
        assert!(!Label::NONE.is_open() && Label::NONE.number().is_none());
    }
}
