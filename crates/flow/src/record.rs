//! What a finished flow leaves behind: the record that EVE and conn.log are written from.

use std::net::IpAddr;
use std::sync::Arc;

use vxscope_units::{GradeMark, Identity, MirrorSource, Timestamp};

use crate::community_id::CommunityId;
use crate::tcp::{ConnState, History, TcpPhase};

vxscope_units::reasons! {
    /// Why a flow ended.
    pub enum CloseReason {
        /// Both ends sent FIN.
        Fin = "fin",
        /// An end sent RST.
        Rst = "rst",
        /// Silent for its timeout.
        Idle = "idle",
        /// Reached the longest age a record may have; the conversation goes on as a new flow.
        Active = "active",
        /// Its place in the table was needed.
        Evicted = "evicted",
        /// A SYN opened a new conversation on the same tuple.
        TcpReuse = "tcp_reuse",
        /// The sensor stopped, or the capture ended.
        Shutdown = "shutdown",
    }
}

/// Which way a flow's first packet crossed the mirrored interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crossing {
    /// Towards the mirrored interface.
    Ingress,
    /// Away from the mirrored interface.
    Egress,
    /// Neither address nor MAC is known to be the interface's.
    Unknown,
}

/// Packets and bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Captured layer-2 bytes (what Suricata counts).
    pub bytes: u64,
    /// Bytes by the IP header's length field (what Zeek calls `ip_bytes`).
    pub ip_bytes: u64,
    /// Transport payload: UDP and ICMP by length fields, TCP by sequence numbers as Zeek counts it.
    pub payload_bytes: u64,
}

/// The state of a TCP flow when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpRecord {
    /// OR of the flags the originator sent.
    pub originator_flags: u8,
    /// OR of the flags the responder sent.
    pub responder_flags: u8,
    /// How far the handshake and the close came.
    pub phase: TcpPhase,
    /// Bytes that sequence numbers show to be missing (`missed_bytes` in Zeek).
    pub missed_bytes: u64,
}

/// One finished flow. Originator: the sender of the first packet, except where TCP flags show
/// that the answer was seen first.
#[derive(Clone, Debug)]
pub struct FlowRecord {
    /// Hash of (seed, source, key, start, opening record index), below 2⁵³.
    pub flow_id: u64,
    /// Whose mirror it was seen on.
    pub source: MirrorSource,
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
    /// Type and code of the first ICMP message.
    pub icmp: Option<(u8, u8)>,
    /// Type and code of the first ICMP message the responder sent.
    pub icmp_response: Option<(u8, u8)>,
    /// VLAN ids of the first packet's inner frame, outermost first.
    pub vlan: [u16; 2],
    /// How many of `vlan` are set (0–2).
    pub vlan_count: u8,
    /// Time of the first packet.
    pub start: Timestamp,
    /// The latest packet's time, never before `start`.
    pub end: Timestamp,
    /// When the record was made (capture time in replay).
    pub closed: Timestamp,
    /// Originator to responder.
    pub forward: Traffic,
    /// Responder to originator.
    pub reverse: Traffic,
    /// Only for TCP.
    pub tcp: Option<TcpRecord>,
    /// Zeek's `conn_state`.
    pub conn_state: ConnState,
    /// Zeek's `history`; empty for ICMP and protocols without ports.
    pub history: History,
    /// Community ID v1, seed 0.
    pub community_id: CommunityId,
    /// Why it ended.
    pub reason: CloseReason,
    /// How the first packet crossed the mirrored interface.
    pub crossing: Crossing,
    /// Index of the input record at which it was closed: the order of all outputs.
    pub closed_at: u64,
    /// Packets of it that arrived after it was closed (absorbed, and part of the counts).
    pub late_packets: u64,
    /// What of its source was not mirrored meanwhile, said by whoever looks after the mirrors.
    pub mark: Option<GradeMark>,
    /// Who its source is to AWS, said by the bind table.
    pub identity: Option<Arc<Identity>>,
}

impl FlowRecord {
    /// Order of records in every output, whatever the number of workers.
    #[must_use]
    pub fn order(&self) -> (u64, u64) {
        (self.closed_at, self.flow_id)
    }
}
