//! `summary.json` and `sources.json`: what a run saw, in numbers that balance.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Serialize, Serializer};
use vxscope_units::{MirrorSource, Timestamp};

use crate::duplicate::DuplicateSummary;
use crate::error::ExportError;
use crate::file::OutputDir;
use crate::reasons::Reasons;
use crate::sink::SinkCount;

/// Version of `summary.json`; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// `summary.json`, written last. Fields are in the file's order; nothing in it depends on the
/// number of workers, and nothing but `elapsed_seconds` on the machine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was read.
    pub input: InputSummary,
    /// What became of every packet.
    pub packets: PacketSummary,
    /// What became of every decapsulated frame's copy.
    pub rings: RingSummary,
    /// What the decapsulated frames were.
    pub frames: FrameSummary,
    /// Flow records.
    pub flows: FlowSummary,
    /// Each sink's ledger by its name in `--export`.
    pub sinks: BTreeMap<String, SinkCount>,
    /// The ledgers of single readers, for sinks that may have several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<ReaderSummary>,
    /// What sinks counted beside their ledgers, by sink and name; what is 0 is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Reasons>,
    /// Packets that were mirrored at both ends, if somebody looked (`handoff.duplicates`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<DuplicateSummary>,
    /// What was done for those who wanted packets of the past: extractions, flows, packets, bytes,
    /// pins, what was refused; what did not occur is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub look_back: BTreeMap<String, u64>,
    /// What was relevant in the traffic.
    pub signals: SignalSummary,
    /// Fragments that moved from worker to worker; absent if none did, as in every replay.
    #[serde(skip_serializing_if = "StraySummary::is_zero")]
    pub strays: StraySummary,
    /// What became of the mirrors, if somebody looked after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirrors: Option<MirrorSummary>,
    /// Mirror sources seen.
    pub sources: u64,
    /// How long the run took; the only number that differs between two runs on one capture.
    pub elapsed_seconds: f64,
    /// What the user should know before using the outputs, as whole sentences.
    pub warnings: Vec<String>,
    /// Which VLAN id in the outputs stands for which source (`export.decap.vlan`, `handoff.vlan` =
    /// "map").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<VlanSummary>,
}

/// One reader of a sink.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReaderSummary {
    /// The sink.
    pub sink: String,
    /// Where it reads: a path or an address.
    pub reader: String,
    /// Its ledger.
    #[serde(flatten)]
    pub count: SinkCount,
}

/// Law: `sent = received`; `shed` frames are `untracked` as `stray_shed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StraySummary {
    /// Copies sent to the worker that has the flow.
    pub sent: u64,
    /// Copies that came there.
    pub received: u64,
    /// Fragments of which no copy could be sent.
    pub shed: u64,
}

impl StraySummary {
    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// What was read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InputSummary {
    /// Records of the files, or datagrams received.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Why reading ended early; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<InputError>,
}

/// Where and why an input could not be read further.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InputError {
    /// The file as the user named it.
    pub file: String,
    /// Position in it, in bytes from its start.
    pub offset: u64,
    /// What is wrong there.
    pub message: String,
}

/// Laws: `received = decapsulated + Σ rejected`, `decapsulated = tracked + Σ untracked`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PacketSummary {
    /// In replay: records of the files.
    pub received: u64,
    /// Those with a frame inside.
    pub decapsulated: u64,
    /// The others, by reason.
    pub rejected: Reasons,
    /// Frames that belong to no flow, by reason.
    pub untracked: Reasons,
    /// Lost before us, by the kernel's own count.
    pub kernel_dropped: u64,
    /// Live, with a named interface: packets of any kind that it dropped before they reached a
    /// socket or a ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_dropped: Option<u64>,
}

/// Law: `decapsulated = stored + Σ unstored`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RingSummary {
    /// Frames that a ring holds or held.
    pub stored: u64,
    /// Frames that were never stored, by reason.
    pub unstored: Reasons,
}

/// What the decapsulated frames were.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FrameSummary {
    /// Captured bytes.
    pub bytes: u64,
    /// Bytes by the IP headers' length fields.
    pub ip_bytes: u64,
    /// Frames cut short by the mirror.
    pub truncated: u64,
    /// Frames without an IP packet.
    pub non_ip: u64,
    /// IP fragments.
    pub fragments: u64,
}

/// Flow records.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FlowSummary {
    /// Flows that began.
    pub opened: u64,
    /// Flows that ended, by reason.
    pub closed: Reasons,
}

/// What was relevant in the traffic of all sources.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SignalSummary {
    /// Relevant events by kind.
    pub events: Reasons,
    /// Facts that did not get to where events are made of them.
    pub facts_shed: u64,
    /// Facts about sources for which `signals.memory` had no room.
    pub facts_unheld: u64,
}

/// What became of the mirrors of all sources that somebody looked after.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MirrorSummary {
    /// `manual`, `shadow` or `dynamic`.
    pub mode: &'static str,
    /// Sources that were looked after at the end.
    pub sources: u64,
    /// Of these, below full at the end.
    pub lowered: u64,
    /// Wishes of the policy that were granted, by their reasons.
    pub granted: Reasons,
    /// Wishes that the gate refused, by its reasons.
    pub refused: Reasons,
    /// Sources that the gate brought back by itself, by its reasons.
    pub forced: Reasons,
    /// Calls of the mirror API that did something, by action.
    pub calls: Reasons,
    /// Seconds for which each class of evidence was not mirrored on purpose, all sources together.
    pub blind_seconds: BTreeMap<&'static str, f64>,
    /// The longest that any class of any source was hidden beyond its bound.
    pub overrun_max_seconds: f64,
    /// Dollars spent, least and most.
    pub spent_usd: (f64, f64),
    /// Dollars saved against mirrors that are always full, least and most.
    pub saved_usd: (f64, f64),
    /// Lines of `decisions.ndjson` that found no room on the way there.
    pub decisions_forgotten: u64,
}

/// One VLAN id of `decap.pcap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct VlanSummary {
    /// 802.1Q VLAN id, 1–4094.
    pub vlan: u16,
    /// The source's address.
    pub outer_ip: IpAddr,
    /// The source's VNI.
    pub vni: u32,
}

impl From<(u16, MirrorSource)> for VlanSummary {
    fn from((vlan, source): (u16, MirrorSource)) -> Self {
        Self {
            vlan,
            outer_ip: source.address,
            vni: source.vni.get(),
        }
    }
}

/// One row of `sources.json`: what one mirror source sent. Per-source sums equal the totals of
/// the summary.
#[derive(Clone, Debug, Serialize)]
pub struct SourceSummary {
    /// The source's address; null in the row of all sources beyond `sources_max`.
    pub outer_ip: Option<IpAddr>,
    /// The source's VNI; null in that row, too.
    pub vni: Option<u32>,
    /// Frames.
    pub packets: u64,
    /// Captured bytes.
    pub bytes: u64,
    /// Bytes by the IP headers' length fields.
    pub ip_bytes: u64,
    /// Captured bytes towards the mirrored interface.
    pub ingress_bytes: u64,
    /// Captured bytes away from it.
    pub egress_bytes: u64,
    /// Captured bytes of which that is not known.
    pub unknown_direction_bytes: u64,
    /// Frames cut short by the mirror.
    pub truncated: u64,
    /// Flows that began.
    pub flows: u64,
    /// Time of its first frame.
    #[serde(serialize_with = "as_text")]
    pub first_seen: Timestamp,
    /// Time of its latest frame.
    #[serde(serialize_with = "as_text")]
    pub last_seen: Timestamp,
    /// The mirrored network interface, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eni: Option<String>,
    /// The instance that it is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its VPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// Its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What people call it, where it is listed under a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The mirrored machine's role, where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Captured bytes by what they are for; their sum is `bytes`.
    pub categories: Reasons,
    /// Flows that nobody answered, or that were refused.
    pub failed: u64,
    /// DNS queries.
    pub dns_queries: u64,
    /// Relevant events by kind.
    pub events: Reasons,
    /// Whether what is new could not always be told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub saturated: bool,
}

/// One row of `quarantine.json`: what one unknown mirror source sent. The sums are
/// `packets.rejected.quarantined` of the summary; nothing else counts these frames.
#[derive(Clone, Debug, Serialize)]
pub struct QuarantineSummary {
    /// The source's address; null in the row of all beyond the quarantine's limit.
    pub outer_ip: Option<IpAddr>,
    /// The source's VNI; null in that row, too.
    pub vni: Option<u32>,
    /// Frames.
    pub packets: u64,
    /// Captured bytes.
    pub bytes: u64,
    /// Time of the first frame.
    #[serde(serialize_with = "as_text")]
    pub first_seen: Timestamp,
    /// Time of the latest frame.
    #[serde(serialize_with = "as_text")]
    pub last_seen: Timestamp,
}

/// Writes `summary.json`. Do it last: it says that the other files are complete.
///
/// # Errors
/// The file cannot be written.
pub fn write_summary(dir: &OutputDir, summary: &Summary) -> Result<(), ExportError> {
    write_json(dir, "summary.json", summary)
}

/// Writes `sources.json`, by VNI and address whatever the order given, the overflow row last.
///
/// # Errors
/// The file cannot be written.
pub fn write_sources(dir: &OutputDir, sources: &[SourceSummary]) -> Result<(), ExportError> {
    let mut rows: Vec<_> = sources.iter().collect();
    rows.sort_by_key(|row| (row.vni.is_none(), row.vni, row.outer_ip));
    write_json(dir, "sources.json", &rows)
}

/// Writes `quarantine.json` in the order of `sources.json`; without rows there is no such file.
///
/// # Errors
/// The file cannot be written.
pub fn write_quarantine(dir: &OutputDir, rows: &[QuarantineSummary]) -> Result<(), ExportError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.vni.is_none(), row.vni, row.outer_ip));
    write_json(dir, "quarantine.json", &rows)
}

/// A JSON document for people and programs: indented, with a newline at the end.
pub(crate) fn write_json<T: Serialize + ?Sized>(
    dir: &OutputDir,
    name: &str,
    value: &T,
) -> Result<(), ExportError> {
    let mut file = dir.create_file(name)?;
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| ExportError::io("write", file.target(), error.into()))?;
    text.push(b'\n');
    file.write(&text)?;
    file.finish()
}

/// As `2026-11-21T02:00:00.000000+0000`, the form of `eve.json`.
pub(crate) fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[cfg(test)]
mod tests;
