//! Link-layer header types of captures (<https://www.tcpdump.org/linktypes.html>).

/// What the bytes of a captured record start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// BSD loopback, address family in host byte order (0).
    Null,
    /// Ethernet II / 802.3 (1).
    Ethernet,
    /// PPP, RFC 1661 framing, with or without the HDLC prefix `ff 03` (9).
    Ppp,
    /// PPP in HDLC-like framing (50).
    PppHdlc,
    /// Cisco PPP with HDLC framing, or Cisco HDLC (104).
    CiscoHdlc,
    /// `OpenBSD` loopback, address family in network byte order (108).
    Loop,
    /// An IP packet without link-layer header (12, 14, 101).
    RawIp,
    /// Linux cooked capture v1, 16 bytes (113).
    LinuxSll,
    /// An IPv4 packet without link-layer header (228).
    RawIp4,
    /// An IPv6 packet without link-layer header (229).
    RawIp6,
    /// Linux cooked capture v2, 20 bytes (276).
    LinuxSll2,
    /// A type this sensor does not read.
    Other(u32),
}

impl LinkType {
    /// From the number in a capture file's header; the upper bits (FCS length) are the caller's.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            9 => Self::Ppp,
            50 => Self::PppHdlc,
            104 => Self::CiscoHdlc,
            108 => Self::Loop,
            12 | 14 | 101 => Self::RawIp,
            113 => Self::LinuxSll,
            228 => Self::RawIp4,
            229 => Self::RawIp6,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }

    /// The number to write into a capture file.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Ppp => 9,
            Self::PppHdlc => 50,
            Self::CiscoHdlc => 104,
            Self::Loop => 108,
            Self::RawIp => 101,
            Self::LinuxSll => 113,
            Self::RawIp4 => 228,
            Self::RawIp6 => 229,
            Self::LinuxSll2 => 276,
            Self::Other(number) => number,
        }
    }
}
