//! How much of a source is mirrored, and which evidence that leaves visible.

use std::fmt;
use std::time::Duration;

/// How much of one source its mirror session copies, from everything to nothing.
///
/// All but [`Grade::Off`] are one in-place `ModifyTrafficMirrorSession` and keep paying the
/// session-hour; only `Off` (`DeleteTrafficMirrorSession`) saves it. Ordered: a greater grade
/// shows no class of evidence less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Grade {
    /// The session is deleted.
    Off,
    /// Filter: DNS and ports that should never be used.
    Sentinel,
    /// Filter: DNS, management, ports that should never be used.
    Essential,
    /// The source's own filter, each packet cut at `PacketLength`.
    Truncated,
    /// The filter that the source's tag names. No decision mirrors a packet that it would not.
    #[default]
    Full,
}

impl Grade {
    /// Every grade, lowest first.
    pub const ALL: [Self; 5] = [
        Self::Off,
        Self::Sentinel,
        Self::Essential,
        Self::Truncated,
        Self::Full,
    ];

    /// The name in records, configuration and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Sentinel => "sentinel",
            Self::Essential => "essential",
            Self::Truncated => "truncated",
            Self::Full => "full",
        }
    }

    /// The grade of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grade| grade.name() == name)
    }

    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether a source at this grade shows evidence of that class.
    #[must_use]
    pub const fn shows(self, class: EvidenceClass) -> bool {
        match self {
            Self::Off => false,
            Self::Sentinel => matches!(class, EvidenceClass::DnsNever),
            Self::Essential => {
                matches!(class, EvidenceClass::DnsNever | EvidenceClass::Management)
            }
            Self::Truncated => !matches!(class, EvidenceClass::Payload),
            Self::Full => true,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one can learn from a mirrored source; blind time is counted for each class apart.
///
/// The design's *control* class (DNS, management, never) is two classes here, because a sentinel
/// shows the one and not the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EvidenceClass {
    /// Whole packets, as a signature needs them.
    Payload,
    /// Who talks to whom, when, how much.
    Flow,
    /// Management and login protocols.
    Management,
    /// DNS, and ports that should never be used.
    DnsNever,
}

impl EvidenceClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Payload, Self::Flow, Self::Management, Self::DnsNever];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in records, configuration and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Flow => "flow",
            Self::Management => "management",
            Self::DnsNever => "dns_never",
        }
    }

    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for EvidenceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What must be said of a time in which a source was not mirrored in full, so that "not seen" is
/// not taken for "did not happen".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GradeMark {
    /// The lowest grade that the source had meanwhile.
    pub grade: Grade,
    /// How much of the time flows were not mirrored.
    pub not_mirrored: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_shows_what_its_filter_lets_through() {
        let table = [
            (Grade::Off, ""),
            (Grade::Sentinel, "dns_never"),
            (Grade::Essential, "management dns_never"),
            (Grade::Truncated, "flow management dns_never"),
            (Grade::Full, "payload flow management dns_never"),
        ];
        for (grade, classes) in table {
            let shown: Vec<_> = EvidenceClass::ALL
                .into_iter()
                .filter(|class| grade.shows(*class))
                .map(EvidenceClass::name)
                .collect();
            assert_eq!(shown.join(" "), classes, "{grade}");
        }
    }

    #[test]
    fn names_lead_back() {
        for (index, grade) in Grade::ALL.into_iter().enumerate() {
            assert_eq!(Grade::from_name(grade.name()), Some(grade));
            assert_eq!(grade.index(), index);
        }
        assert_eq!(Grade::from_name("on"), None);
    }
}
