//! How a sensor stands: the words of its status, for people, programs and metrics.
//!
//! Counters are cumulative since the epoch of the reports began. Reasons stand by the names that
//! `summary.json` uses; one that did not occur is there with 0.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{SCHEMA, SourceReport};

/// Counts by reason.
pub type Reasons = BTreeMap<String, u64>;

/// How a sensor stands at the end of a tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The sensor's name, as in its reports.
    pub sensor: String,
    /// The version of the program.
    pub version: String,
    /// What it is doing.
    pub state: State,
    /// When the counters began at zero, µs since 1970.
    pub epoch: u64,
    /// Number of the report of the same tick.
    pub seq: u64,
    /// When this was true, µs since 1970.
    pub time: u64,
    /// Since the sockets were opened, by the monotonic clock.
    pub elapsed_seconds: f64,
    /// How it receives.
    #[serde(default)]
    pub capture: CaptureStatus,
    /// What became of datagrams.
    pub packets: PacketStatus,
    /// What became of frames on their way to the rings.
    pub rings: RingStatus,
    /// What frames are like.
    pub frames: FrameStatus,
    /// Fragments that one worker handed to another.
    #[serde(default)]
    pub strays: StrayStatus,
    /// Flows.
    pub flows: FlowStatus,
    /// How well relevant events can be told.
    #[serde(default)]
    pub signals: SignalStatus,
    /// What was done for those who want packets of the past.
    #[serde(default)]
    pub look_back: Reasons,
    /// What became of what intrusion detectors wrote.
    #[serde(default)]
    pub detectors: Reasons,
    /// Packets that were mirrored at both of their ends, if somebody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<DuplicateStatus>,
    /// Outputs by name.
    pub sinks: BTreeMap<String, SinkStatus>,
    /// Mirror sources with a row of their own.
    pub sources: u64,
    /// Worker threads.
    pub workers: Vec<WorkerStatus>,
    /// From a datagram's arrival in the kernel to its entry in the ledger.
    pub latency: Latency,
    /// Seconds in which mirrored packets were not seen, though they were to be, by cause:
    /// `sensor_down` from the last word of the run before to this one, `loss` in the ticks in
    /// which the kernel dropped some.
    #[serde(default)]
    pub blind_seconds: BTreeMap<String, f64>,
    /// What packets cost in each stage of a worker, of a sample of all batches.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
}

/// What the packets of a sample took in one stage: seconds / packets is the cost of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageStatus {
    /// `receive`, `open`, `track` or `rest`.
    pub name: String,
    /// Packets that were timed there.
    pub packets: u64,
    /// What they took, all workers together.
    pub seconds: f64,
}

/// What a sensor is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It receives.
    #[default]
    Running,
    /// It no longer receives, and finishes what it has.
    Stopping,
    /// Everything is counted and written.
    Stopped,
}

impl State {
    /// The name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// How a sensor receives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStatus {
    /// `udp` or `packet-ring`; empty until the input is open.
    pub backend: String,
    /// Why it is not the packet ring, if that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
    /// `ebpf` or `cbpf`: the program by which the kernel chooses among the sockets of a port;
    /// `None` for one worker or a packet ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steered: Option<String>,
    /// Why it is `cbpf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering_declined: Option<String>,
    /// Packets of any kind that the interface dropped before they reached a socket or a ring;
    /// `None` without a named interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_dropped: Option<u64>,
}

/// What became of datagrams: received = decapsulated + Σ rejected, decapsulated = tracked +
/// Σ untracked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketStatus {
    /// Datagrams received.
    pub received: u64,
    /// Bytes of their UDP payloads.
    pub received_bytes: u64,
    /// Frames that came out of them.
    pub decapsulated: u64,
    /// Datagrams without a frame.
    pub rejected: Reasons,
    /// Frames that belong to a flow.
    pub tracked: u64,
    /// Frames that belong to none.
    pub untracked: Reasons,
    /// Datagrams that the kernel dropped because a receive buffer was full.
    pub kernel_dropped: u64,
}

/// The rings: decapsulated = stored + Σ unstored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RingStatus {
    /// Memory reserved for them.
    pub bytes: u64,
    /// Bytes that records take, by store: `head`, `tail`, `private`.
    #[serde(default)]
    pub used: Reasons,
    /// Bytes that there are for records, by store.
    #[serde(default)]
    pub sizes: Reasons,
    /// Frames put into a ring.
    pub stored: u64,
    /// Frames in no ring.
    pub unstored: Reasons,
    /// How far flows' beginnings reach back, in the worker where it is least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_seconds: Option<f64>,
    /// How far what followed them reaches back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail_seconds: Option<f64>,
}

/// What the frames are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameStatus {
    /// Captured bytes.
    pub bytes: u64,
    /// Bytes by the inner IP headers.
    pub ip_bytes: u64,
    /// Cut before they reached us.
    pub truncated: u64,
    /// Not IP.
    pub non_ip: u64,
    /// Fragments of inner packets.
    pub fragments: u64,
    /// Of sources beyond the limit, which share one row: what `sources` lack to all frames.
    pub overflow: u64,
}

/// Fragments that the kernel could not steer to the worker of their flow, and that were copied to
/// it: sent = received once all have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayStatus {
    /// Copied to another worker.
    pub sent: u64,
    /// Arrived there.
    pub received: u64,
    /// Not copied, because the other worker was too far behind; untracked as such.
    pub shed: u64,
}

/// Flows: opened = open + Σ closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowStatus {
    /// Opened so far.
    pub opened: u64,
    /// Not closed yet.
    pub open: u64,
    /// Closed, by reason.
    pub closed: Reasons,
}

/// What limits the telling of relevant events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalStatus {
    /// Facts that did not get to where events are made of them.
    pub facts_shed: u64,
    /// Facts about sources for which there was no memory.
    pub facts_unheld: u64,
    /// Sources of which "new" can no longer be told.
    pub saturated_sources: u64,
    /// Memory for what was seen before, in bytes.
    pub memory_bytes: u64,
    /// What became of the alerts of intrusion detectors.
    #[serde(default)]
    pub alerts: Reasons,
    /// Canaries through mirrors: sent, copies that came back, and those that should have.
    #[serde(default)]
    pub canaries: Reasons,
}

/// An output's ledger: offered = written + Σ shed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Records that reached it.
    pub offered: u64,
    /// Records in it.
    pub written: u64,
    /// Records given up.
    pub shed: Reasons,
}

/// Packets that were mirrored at both of their ends: frames = frames of all pairs +
/// `pairs_omitted_frames`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateStatus {
    /// Frames that were another source's copy of one that came within a second before.
    pub frames: u64,
    /// Of these, kept from other programs.
    pub suppressed: u64,
    /// Frames that were forgotten within their second: their copies were not noticed.
    pub forgotten: u64,
    /// Pairs of sources that are counted one by one.
    pub pairs: u64,
    /// Frames of further pairs.
    pub pairs_omitted_frames: u64,
}

/// Two sources that mirror the same packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicatePairStatus {
    /// The sources, by address and VNI.
    pub sources: [SourceName; 2],
    /// Packets that both mirrored.
    pub frames: u64,
}

/// A mirror source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceName {
    /// Source address of the header that carries its frames.
    pub outer_ip: IpAddr,
    /// Its VNI.
    pub vni: u32,
}

/// One worker thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that the kernel dropped at its sockets.
    pub kernel_dropped: u64,
    /// Ticks at which it could not hand over its counters, because the one who merges them was
    /// behind. They went with the next tick.
    pub ticks_late: u64,
}

/// How long datagrams took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Datagrams measured.
    pub count: u64,
    /// All of them together, in seconds.
    pub sum: f64,
    /// Seconds that half of them did not exceed, within 1 % or half a microsecond.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// How many did not exceed each of [`LATENCY_BOUNDS`].
    pub buckets: Vec<u64>,
}

/// Bounds of [`Latency::buckets`], in seconds, as they are printed.
pub const LATENCY_BOUNDS: [(&str, u64); 14] = [
    ("0.00001", 10_000),
    ("0.000025", 25_000),
    ("0.00005", 50_000),
    ("0.0001", 100_000),
    ("0.00025", 250_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.1", 100_000_000),
    ("0.25", 250_000_000),
    ("1.0", 1_000_000_000),
];

/// One source as it stands: what it reports, and what the ledger knows besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name and signals.
    #[serde(flatten)]
    pub report: SourceReport,
    /// What people call it, if the bind table says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The instance that its interface is attached to, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// Its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Captured bytes.
    pub bytes: u64,
    /// Bytes by the inner IP headers.
    pub ip_bytes: u64,
    /// Captured bytes towards the mirrored interface.
    pub ingress_bytes: u64,
    /// Captured bytes away from it.
    pub egress_bytes: u64,
    /// Captured bytes whose direction is not known.
    pub unknown_direction_bytes: u64,
    /// Arrival of the first frame, µs since 1970.
    pub first_seen: u64,
    /// Arrival of the last.
    pub last_seen: u64,
}

impl SourceStatus {
    /// Outer address and VNI, the order of lists.
    #[must_use]
    pub const fn key(&self) -> (IpAddr, u32) {
        (self.report.outer_ip, self.report.vni)
    }
}

impl Status {
    /// Of a sensor that has just begun.
    #[must_use]
    pub fn new(sensor: String, version: String, epoch: u64) -> Self {
        Self {
            schema: SCHEMA,
            sensor,
            version,
            epoch,
            time: epoch,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signals;

    #[test]
    fn a_source_is_one_flat_object() {
        let source = SourceStatus {
            report: SourceReport {
                outer_ip: IpAddr::from([10, 0, 0, 1]),
                vni: 7,
                eni: None,
                signals: Signals::default(),
            },
            name: None,
            instance: None,
            vpc: None,
            account: None,
            bytes: 60,
            ip_bytes: 46,
            ingress_bytes: 60,
            egress_bytes: 0,
            unknown_direction_bytes: 0,
            first_seen: 1,
            last_seen: 2,
        };
        let json = serde_json::to_string(&source).unwrap();
        assert!(
            json.starts_with(r#"{"outer_ip":"10.0.0.1","vni":7,"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<SourceStatus>(&json).unwrap(), source);
    }

    #[test]
    fn bounds_are_printed_as_they_are() {
        for (printed, nanos) in LATENCY_BOUNDS {
            let seconds: f64 = printed.parse().unwrap();
            assert!((seconds * 1e9 - nanos as f64).abs() < 0.5, "{printed}");
        }
        assert!(LATENCY_BOUNDS.is_sorted_by_key(|(_, nanos)| *nanos));
    }
}
