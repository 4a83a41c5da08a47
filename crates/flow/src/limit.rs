//! How long flows live and how many there may be.

use vxscope_wire::protocol;

use crate::ring::RingSizes;
use crate::tcp::TcpPhase;

vxscope_units::reasons! {
    /// Why a decapsulated frame belongs to no flow.
    pub enum Untracked {
        /// Neither IPv4 nor IPv6.
        NonIp = "non_ip",
        /// The inner IP header contradicts itself.
        MalformedIp = "malformed_ip",
        /// Cut off before the addresses or the ports.
        Truncated = "truncated",
        /// The table is full and the source holds its share of it.
        SourceBudget = "source_budget",
        /// The table is full and no entry near the clock hand may be evicted for this source.
        TableFull = "table_full",
        /// More sources than `sources_max`: the overflow row has no flows.
        SourceLimit = "source_limit",
        /// A canary of ours through the mirror, or the answer to it: evidence of nothing else.
        Canary = "canary",
        /// Live: a fragment whose flow another worker has, when no copy could be sent there.
        StrayShed = "stray_shed",
    }
}

/// Whose conversation a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowScope {
    /// Of one mirror source: an east-west conversation mirrored at both ends is two flows.
    Source,
    /// Of one VNI: for packet brokers that send one network through several addresses.
    Vni,
}

/// Seconds of silence after which a flow of one protocol is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Only one side was seen, or the TCP handshake is not complete.
    pub new: u32,
    /// Both sides were seen, or the TCP handshake is complete.
    pub established: u32,
    /// TCP after FIN or RST; the others have no such state and ignore it.
    pub closed: u32,
}

/// Timeouts by protocol; the defaults are Suricata's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP.
    pub tcp: Timeout,
    /// UDP.
    pub udp: Timeout,
    /// ICMP and `ICMPv6`.
    pub icmp: Timeout,
    /// Everything else.
    pub other: Timeout,
}

impl Default for Timeouts {
    fn default() -> Self {
        let datagrams = Timeout {
            new: 30,
            established: 300,
            closed: 30,
        };
        let tcp = Timeout {
            new: 60,
            established: 600,
            closed: 60,
        };
        Self {
            tcp,
            udp: datagrams,
            icmp: datagrams,
            other: datagrams,
        }
    }
}

impl Timeouts {
    /// The timeout of a TCP flow in this phase.
    #[inline]
    pub(crate) fn of_tcp(&self, phase: TcpPhase, closed: bool) -> u32 {
        match phase {
            _ if closed => self.tcp.closed,
            TcpPhase::None | TcpPhase::SynSent | TcpPhase::SynRecv => self.tcp.new,
            _ => self.tcp.established,
        }
    }

    /// The timeout of any other flow.
    #[inline]
    pub(crate) fn of_datagrams(&self, protocol: u8, answered: bool) -> u32 {
        let timeout = match protocol {
            protocol::UDP => &self.udp,
            protocol::ICMP | protocol::ICMPV6 => &self.icmp,
            _ => &self.other,
        };
        if answered {
            timeout.established
        } else {
            timeout.new
        }
    }
}

/// Limits and seeds of one worker's flow tables.
#[derive(Clone, Copy, Debug)]
pub struct FlowLimits {
    /// Whose conversation a flow is.
    pub scope: FlowScope,
    /// Flows of both families together. Reached: see [`Untracked`], or the oldest of eight is evicted.
    pub flows_max: usize,
    /// Sources with rows of their own.
    pub sources_max: u32,
    /// Flows one source may hold in a full table while another holds any.
    pub source_flows_max: usize,
    /// Seconds of silence.
    pub timeouts: Timeouts,
    /// Longest age of a record in seconds; 0: none.
    pub active_timeout: u32,
    /// Seed of flow ids: the same in every worker.
    pub id_seed: u64,
    /// Seed of hash tables; never shows in an output.
    pub hash_seed: u64,
    /// Rings, or `None` for none.
    pub rings: Option<RingSizes>,
    /// Closed flows that can still be looked up; at the limit the oldest is forgotten. 0 where
    /// nobody can ask, as in a replay.
    pub closed_max: usize,
}
