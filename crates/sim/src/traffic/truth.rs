//! What was sent, counted where it was made.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// Everything sent. Prints as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Packets that left: those of all sources, and the corrupted and forged ones.
    pub sent: u64,
    /// Bytes of the packets: from the outer Ethernet header in a capture, of UDP's payload where
    /// sockets sent them.
    pub bytes: u64,
    /// Packets that should have left, and which the kernel did not take.
    pub not_sent: u64,
    /// Packets that scenario malformed damaged; they are part of every other count.
    pub malformed: u64,
    /// What was done to packets on request.
    pub faults: FaultCounts,
    /// One for each source, in the order of their addresses.
    pub per_source: Vec<SourceTruth>,
    /// One for each address and VNI that only forged packets have, in order.
    pub forged_sources: Vec<ForgedTruth>,
}

/// What one mirror source sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceTruth {
    /// Source address of the IP header that carries the VXLAN.
    pub outer_ip: IpAddr,
    /// VNI of its session.
    pub vni: u32,
    /// Packets that left as they were made, and their duplicates.
    pub packets: u64,
    /// Bytes of these packets, counted as in [`Truth::bytes`].
    pub bytes: u64,
    /// Bytes of their mirrored frames, as far as they were not cut off.
    pub inner_bytes: u64,
    /// Conversations of which at least one of these packets left.
    pub flows: u64,
    /// Packets that left corrupted; they are in no other count of the source.
    pub corrupt: u64,
}

/// What was sent in the name of somebody who is no mirror source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForgedTruth {
    /// Source address of the IP header that carries the VXLAN.
    pub outer_ip: IpAddr,
    /// VNI.
    pub vni: u32,
    /// Packets.
    pub packets: u64,
    /// Bytes of the packets, counted as in [`Truth::bytes`].
    pub bytes: u64,
    /// Bytes of the frames in them.
    pub inner_bytes: u64,
}

/// How often each fault was done. With nothing unsent, packets made − `loss` + `duplicate` +
/// `forged` = packets sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// Packets that were made and did not leave.
    pub loss: u64,
    /// Packets that left after one that was made later (as in RFC 4737, duplicates apart).
    pub reorder: u64,
    /// Packets that left a second time.
    pub duplicate: u64,
    /// Packets with some bytes changed or cut off. A receiver may be able to read them still.
    pub corrupt: u64,
    /// Their bytes.
    pub corrupt_bytes: u64,
    /// Packets of nobody, beside those that were asked for.
    pub forged: u64,
    /// Their bytes.
    pub forged_bytes: u64,
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
