//! Flow tables, their timeouts, and the rings of packets.

use vxscope_units::ByteSize;

use super::{Key, SIZE_MAX};
use crate::field::choice;

section! {
    /// Flow tables.
    pub struct Flow at |config| config.flow;

    /// Where two conversations with the same addresses and ports are the same flow: within one
    /// mirror "source" (outer address and VNI), or within one "vni" for packet brokers with
    /// several senders.
    scope: FlowScope = FlowScope::Source, ["flow" "scope"] ();

    /// Flows kept at once, all workers together. At the limit a source over its share gets no
    /// new flow (`untracked` as `source_budget`); for any other the oldest of 8 flows is closed
    /// as `evicted`.
    flows_max: u64 = 1_048_576, ["flow" "flows_max"] 8..=134_217_728;

    /// Mirror sources with a row of their own. Those beyond are counted together in one row
    /// named `overflow`.
    sources_max: u32 = 16_384, ["flow" "sources_max"] 1..=16_777_215;

    /// Part of the flow table that one source may hold while another is active.
    source_share: f64 = 0.5, ["flow" "source_share"] 0.01..=1.0;

    /// Fragmented inner packets remembered at once, in each worker, to know the ports of later
    /// fragments. At the limit the oldest is forgotten; its later fragments then have no ports.
    fragments_max: u32 = 16_384, ["flow" "fragments_max"] 16..=4_194_304;

    /// Seconds after which a flow that is still active is closed as `active` and goes on as a
    /// new one; 0 never does.
    active_timeout_seconds: u32 = 0, ["flow" "active_timeout_seconds"] 0..=604_800;

    => /// Seconds of silence after which a flow is closed as `idle`.
    timeouts: Timeouts,
}

choice! {
    /// Where two conversations with the same addresses and ports are the same flow.
    pub enum FlowScope {
        /// Within one mirror source: outer source address and VNI.
        Source = "source",
        /// Within one VNI, whoever sent it.
        Vni = "vni",
    }
}

section! {
    /// Seconds of silence after which a flow is closed as `idle`, by transport protocol. The
    /// defaults are Suricata's.
    pub struct Timeouts at |config| config.flow.timeouts;

    => /// TCP.
    tcp: TcpTimeouts,
    => /// UDP.
    udp: PairTimeouts,
    => /// ICMP and `ICMPv6`.
    icmp: PairTimeouts,
    => /// Every other protocol.
    other: PairTimeouts,
}

section! {
    /// Seconds of silence after which a TCP flow is closed as `idle`.
    pub struct TcpTimeouts at |config| config.flow.timeouts.tcp;

    /// Seconds of silence that end a TCP flow whose handshake is not complete.
    new: u32 = 60, ["flow.timeouts" "tcp.new"] 1..=TIMEOUT_MAX;

    /// Seconds of silence that end an established TCP flow.
    established: u32 = 600, ["flow.timeouts" "tcp.established"] 1..=TIMEOUT_MAX;

    /// Seconds for which a closed TCP flow still absorbs late packets.
    closed: u32 = 60, ["flow.timeouts" "tcp.closed"] 1..=TIMEOUT_MAX;
}

/// Seconds of silence after which a flow without handshake is closed as `idle`.
#[derive(Clone, Debug, PartialEq)]
pub struct PairTimeouts {
    /// Seconds of silence that end a flow with packets from one side only.
    ///
    /// Default: `30`.
    pub new: u32,
    /// Seconds of silence that end a flow with packets from both sides.
    ///
    /// Default: `300`.
    pub established: u32,
}

impl Default for PairTimeouts {
    fn default() -> Self {
        Self {
            new: 30,
            established: 300,
        }
    }
}

/// The longest timeout: a week.
const TIMEOUT_MAX: u64 = 604_800;

/// The rows of one protocol's [`PairTimeouts`].
macro_rules! pair_timeouts {
    ($title:literal, $new:literal, $established:literal, $protocol:ident) => {
        &[
            key!(
                "flow.timeouts",
                $new,
                [concat!(
                    " Seconds of silence that end ",
                    $title,
                    " flow with packets from one side only."
                )],
                u32,
                1..=TIMEOUT_MAX,
                |config| config.flow.timeouts.$protocol.new
            ),
            key!(
                "flow.timeouts",
                $established,
                [concat!(
                    " Seconds of silence that end ",
                    $title,
                    " flow with packets from both sides."
                )],
                u32,
                1..=TIMEOUT_MAX,
                |config| config.flow.timeouts.$protocol.established
            ),
        ]
    };
}

pub(super) const UDP_KEYS: &[Key] = pair_timeouts!("a UDP", "udp.new", "udp.established", udp);
pub(super) const ICMP_KEYS: &[Key] =
    pair_timeouts!("an ICMP", "icmp.new", "icmp.established", icmp);
pub(super) const OTHER_KEYS: &[Key] =
    pair_timeouts!("any other", "other.new", "other.established", other);

section! {
    /// Rings of recent packets: the first packets of every flow, and a rolling window of the last.
    pub struct Rings at |config| config.rings;

    /// Whether packets are kept. If not, every packet is `unstored` as `disabled`.
    enabled: bool = true, ["rings" "enabled"] ();

    /// Memory for kept packets, all workers together. When it is full the oldest packets are
    /// overwritten.
    memory: ByteSize = ByteSize::mib(256), ["rings" "memory"] ByteSize::mib(1)..=SIZE_MAX;

    /// Bytes of each flow's beginning that go to the head log, where they are kept long.
    head: ByteSize = ByteSize::kib(16), ["rings" "head"] ByteSize::kib(1)..=ByteSize::mib(64);

    /// Bytes that follow the head and go to the tail log. A flow beyond both moves to a private
    /// ring, so that large flows never push small ones out.
    tail: ByteSize = ByteSize::kib(64), ["rings" "tail"] ByteSize::kib(1)..=ByteSize::mib(64);

    /// Size of one private ring: the window of last bytes of a large flow. Holds at least head
    /// and tail together.
    private: ByteSize = ByteSize::kib(256), ["rings" "private"] ByteSize::kib(4)..=ByteSize::mib(256);

    /// Part of the memory for the pool of private rings. When all are taken, later packets of
    /// further large flows are `unstored`; with 0 there are none.
    private_share: f64 = 0.25, ["rings" "private_share"] 0.0..=0.9;

    /// Part of the rest of the memory for the head log; what is left is the tail log.
    head_share: f64 = 0.5, ["rings" "head_share"] 0.05..=0.95;
}
