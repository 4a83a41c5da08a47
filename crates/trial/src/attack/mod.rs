//! Attacks with labels: what an attacker does where and when, which evidence that leaves, and
//! which signs go before it.
//!
//! Nothing here knows a policy. How long attacks may be is an argument, so that they can be set
//! beside the bounds that a policy promises.

mod draw_attack;
mod sight;

use std::ops::Range;

use vxscope_units::EvidenceClass;

use crate::activity::Event;

pub use draw_attack::{Mix, draw_attacks, draw_placebos};
pub use sight::{Sight, evidence_at, sight};

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Tries many hosts and ports.
    Scan,
    /// Tries many passwords.
    BruteForce,
    /// Moves from host to host.
    Lateral,
    /// Calls home now and then.
    Beacon,
    /// Sends data out, slowly.
    Exfiltration,
    /// Breaks in and takes what there is.
    SmashAndGrab,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Scan,
        Self::BruteForce,
        Self::Lateral,
        Self::Beacon,
        Self::Exfiltration,
        Self::SmashAndGrab,
    ];

    /// The name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::BruteForce => "brute_force",
            Self::Lateral => "lateral",
            Self::Beacon => "beacon",
            Self::Exfiltration => "exfiltration",
            Self::SmashAndGrab => "smash_and_grab",
        }
    }
}

/// How a leg's packets lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Without a pause; a new flow begins at the start, and every so many ms if given.
    Steady(Option<u64>),
    /// A burst of `burst` ms every `period` ms, each a flow.
    Bursts {
        /// From start to start.
        period: u64,
        /// How long each lasts.
        burst: u64,
    },
}

/// What an attack does on one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The source.
    pub source: u32,
    /// The source at the other end, if it is of the fleet: its mirror shows the leg as well.
    pub peer: Option<u32>,
    /// When.
    pub span: Range<u64>,
    /// The class that its packets belong to.
    pub traffic: EvidenceClass,
    /// The class that a detector needs.
    pub evidence: EvidenceClass,
    /// How its packets lie in time.
    pub pattern: Pattern,
    /// How many ms of it in a row a detector needs at most, wherever they lie.
    pub needed: u64,
}

impl Leg {
    /// How long it lasts, ms.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.span.end - self.span.start
    }
}

/// One attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// What it is.
    pub kind: Kind,
    /// What it does where; seen if one of them is.
    pub legs: Vec<Leg>,
    /// What a sensor could see of it as relevant events, before and while it goes on.
    pub signs: Vec<Event>,
    /// Whether some signs come before it begins.
    pub precursors: bool,
}

impl Attack {
    /// When its first leg begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.legs
            .iter()
            .map(|leg| leg.span.start)
            .min()
            .unwrap_or(0)
    }

    /// When its last leg ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.legs.iter().map(|leg| leg.span.end).max().unwrap_or(0)
    }
}
