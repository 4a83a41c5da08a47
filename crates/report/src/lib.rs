//! What a sensor tells about its mirror sources, tick by tick: the words between the account of a
//! packet and the decision about a mirror.
//!
//! All counters are cumulative since the epoch began, so that a lost report costs time and no
//! truth; a report that does not come means *unknown*, never zero.

mod mirrors;
mod signals;
mod status;
mod view;

pub use mirrors::{MirrorState, MirrorStatus};
pub use signals::{
    CanaryReport, Category, Direction, EDGES_MAX, Edge, EventKind, Protocol, SIGHTINGS_MAX,
    Sighting, Signals,
};

pub use status::{
    CaptureStatus, DuplicatePairStatus, DuplicateStatus, FlowStatus, FrameStatus, LATENCY_BOUNDS,
    Latency, PacketStatus, Reasons, RingStatus, SignalStatus, SinkStatus, SourceName, SourceStatus,
    StageStatus, State, Status, StrayStatus, WorkerStatus,
};

pub use view::{BlindWindow, FlowPage, FlowRow, MirrorRow, Oversight};

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Version of the format of [`Report`].
pub const SCHEMA: u32 = 1;

/// One tick of one sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Who reports: the sensor's name.
    pub sensor: String,
    /// Changes whenever the counters began at zero again: start of the process, µs since 1970.
    pub epoch: u64,
    /// Counts the reports of an epoch from 0, without gaps.
    pub seq: u64,
    /// Begin of the tick, µs since 1970: the `to` of the report before.
    pub from: u64,
    /// End of the tick, µs since 1970.
    pub to: u64,
    /// Datagrams received, cumulative.
    pub received: u64,
    /// Datagrams that the kernel dropped, cumulative. Whose they were nobody knows, so a tick in
    /// which this grows is a tick of loss for every source.
    pub kernel_dropped: u64,
    /// Every source whose counters moved since the last report, and all of them in the first of
    /// an epoch and every [`FULL_EVERY`] reports.
    pub sources: Vec<SourceReport>,
    /// Whether `sources` has all of them.
    pub full: bool,
}

/// Every how many reports all sources are in one.
pub const FULL_EVERY: u64 = 60;

/// One source at the end of a tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Outer source address.
    pub outer_ip: IpAddr,
    /// Network identifier of the mirror session, below 2²⁴.
    pub vni: u32,
    /// The mirrored interface, if the bind table knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eni: Option<String>,
    /// What its traffic showed.
    pub signals: Signals,
}
