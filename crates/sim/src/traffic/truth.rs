//! What was sent, counted where it was made.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// Everything sent. Prints as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Packets.
    pub sent: u64,
    /// Bytes of the packets, from the outer Ethernet header.
    pub bytes: u64,
    /// Packets that were damaged on purpose; they are part of every other count.
    pub malformed: u64,
    /// One for each source, in the order of their addresses.
    pub per_source: Vec<SourceTruth>,
}

/// What one mirror source sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceTruth {
    /// Source address of the IP header that carries the VXLAN.
    pub outer_ip: IpAddr,
    /// VNI of its session.
    pub vni: u32,
    /// Packets.
    pub packets: u64,
    /// Bytes of the packets, from the outer Ethernet header.
    pub bytes: u64,
    /// Bytes of the mirrored frames, as far as they were not cut off.
    pub inner_bytes: u64,
    /// Conversations of which at least one packet was sent.
    pub flows: u64,
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = if f.alternate() {
            serde_json::to_string_pretty(self)
        } else {
            serde_json::to_string(self)
        };
        f.write_str(&json.map_err(|_| fmt::Error)?)
    }
}
