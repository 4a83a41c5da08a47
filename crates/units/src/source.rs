//! Who sent the copy: the mirrored interface's address and the VNI of its session.

use std::fmt;
use std::net::IpAddr;

/// A VXLAN network identifier, 24 bits (RFC 7348 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// The VNI of frames that came without encapsulation.
    pub const ZERO: Self = Self(0);

    /// `None` above 24 bits.
    #[must_use]
    pub const fn try_new(value: u32) -> Option<Self> {
        if value < 1 << 24 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// From the three bytes of the header, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// The number, below 2²⁴.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mirror source: the source address of the IP header that directly carries the VXLAN, and
/// the VNI. Never the VNI alone: some deployments give all sessions the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirrorSource {
    /// Outer source address (behind a Gateway Load Balancer: the one inside GENEVE).
    pub address: IpAddr,
    /// Network identifier of the mirror session.
    pub vni: Vni,
}

impl fmt::Display for MirrorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} vni {}", self.address, self.vni)
    }
}

/// A mirror source interned by one worker: a dense index into that worker's rows.
///
/// Ids of two workers name different sources; outputs use [`MirrorSource`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

impl SourceId {
    /// From a row number; the caller owns the rows.
    #[must_use]
    pub const fn new(row: u32) -> Self {
        Self(row)
    }

    /// The row as it is stored in keys, below 2²⁴.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The row as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
