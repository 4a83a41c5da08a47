//! From the configured ways out to the sinks that have a thread of their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use vxscope_config::{Config, ExportKind, Forward, Split, TruncatedFrames, Way};
use vxscope_export::files::{CaptureFiles, FileFormat, FileSettings};
use vxscope_export::stream::{Haste, OverIpEnd, PcapOverIp, PcapStream};
use vxscope_export::{
    CONN_JSON, Ipfix, LineLog, NETFLOW_EVE, Names, OCSF, Offered, OutputDir, Rotation, Tags, Tap,
    TapSettings, Truncated, VPC_FLOW_LOGS, Vxlan, WayOut,
};

use crate::error::EngineError;
use crate::handoff::Exit;
use crate::plan;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// What the configured outputs are offered, by the names that they have in the summary.
pub(crate) fn expected(config: &Config) -> Vec<(String, Offered)> {
    let ways = config.export.kinds.iter();
    ways.map(|way| (way.to_string(), offered(way.kind)))
        .collect()
}

/// Sinks with a thread of their own that hold on to chunks of frames.
pub(crate) fn frame_queues(config: &Config) -> usize {
    let kinds = config.export.kinds.iter().map(|way| way.kind);
    kinds
        .filter(|kind| kind.takes_frames() && !is_writers(*kind))
        .count()
}

/// Whether the writer itself keeps it.
fn is_writers(kind: ExportKind) -> bool {
    matches!(
        kind,
        ExportKind::Eve | ExportKind::ConnLog | ExportKind::Decap
    )
}

/// Frames or records.
fn offered(kind: ExportKind) -> Offered {
    match kind {
        ExportKind::Eve => Offered::RecordsAndAnomalies,
        frames if frames.takes_frames() => Offered::Frames,
        _ => Offered::Records,
    }
}

/// What the sinks are opened with.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dir: &'a OutputDir,
    pub(crate) haste: Haste,
    /// How the hand-off tells sources apart.
    pub(crate) tags: Tags,
    /// What sources are called.
    pub(crate) names: Names,
    /// Where the sensor itself listens.
    pub(crate) ears: &'a [SocketAddr],
}

/// Opens every way out that has a thread of its own. Also says what is less than was asked for.
pub(crate) fn open(opening: &Opening<'_>) -> Result<(Vec<Exit>, Vec<String>), EngineError> {
    let (mut exits, mut warnings) = (Vec::new(), Vec::new());
    for way in &opening.config.export.kinds {
        let lanes = opening.lanes(way, &mut warnings)?;
        if !lanes.is_empty() {
            exits.push(Exit {
                name: way.to_string(),
                offered: offered(way.kind),
                lanes,
            });
        }
    }
    Ok((exits, warnings))
}

impl Opening<'_> {
    /// The threads' parts of a sink; none if the writer itself keeps it.
    fn lanes(
        &self,
        way: &Way,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Box<dyn WayOut>>, EngineError> {
        let target = way.target.as_deref().unwrap_or_default();
        let (config, tags) = (self.config, self.tags.clone());
        let room = config.handoff.reader_buffer.as_usize();
        let lines = |format| LineLog::create(self.dir, format, self.rotation());
        Ok(match way.kind {
            ExportKind::Eve | ExportKind::ConnLog | ExportKind::Decap => Vec::new(),
            ExportKind::ConnJson => one(lines(CONN_JSON)?),
            ExportKind::NetflowEve => one(lines(NETFLOW_EVE)?),
            ExportKind::VpcFlowLogs => one(lines(VPC_FLOW_LOGS)?),
            ExportKind::Ocsf => one(lines(OCSF)?),
            ExportKind::Ipfix => one(Ipfix::open(target, config.export.ipfix.domain)?),
            ExportKind::PcapStream => one(PcapStream::open(target, tags, room, self.haste)?),
            ExportKind::PcapOverIp => {
                let end = OverIpEnd::parse(target);
                one(PcapOverIp::open(&end, tags, room, self.haste)?)
            }
            ExportKind::Pcap => one(self.files(target, FileFormat::Pcap)?),
            ExportKind::Pcapng => one(self.files(target, FileFormat::Pcapng)?),
            ExportKind::Tap => self.tap(target, warnings)?,
            ExportKind::Vxlan => {
                let marked = match config.handoff.forward {
                    Forward::All => None,
                    Forward::Marked => Some(plan::listed(config)?),
                };
                one(Vxlan::open(target, marked, self.ears)?)
            }
        })
    }

    /// When files of records end.
    pub(crate) fn rotation(&self) -> Rotation {
        let files = &self.config.export.files;
        Rotation {
            bytes_max: some(files.rotate_bytes.get()),
            nanos_max: some(u64::from(files.rotate_seconds) * NANOS_PER_SECOND),
            haste: self.haste,
        }
    }

    /// One part for each worker.
    fn tap(
        &self,
        name: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Box<dyn WayOut>>, EngineError> {
        let handoff = &self.config.handoff;
        let settings = TapSettings {
            mtu: handoff.tap.mtu,
            lanes: self.config.workers.get().into(),
            truncated: match handoff.truncated {
                TruncatedFrames::Drop => Truncated::Drop,
                TruncatedFrames::Pass => Truncated::Pass,
                TruncatedFrames::OwnTap => Truncated::OwnTap,
            },
            haste: self.haste,
        };
        let lanes = Tap::open(name, &self.tags, &settings)?;
        warnings.extend(lanes.first().into_iter().flat_map(Tap::warnings).cloned());
        let boxed = |lane| -> Box<dyn WayOut> { Box::new(lane) };
        Ok(lanes.into_iter().map(boxed).collect())
    }

    fn files(&self, folder: &str, format: FileFormat) -> Result<CaptureFiles, EngineError> {
        let files = &self.config.handoff.files;
        let suricata = (!files.suricata_socket.is_empty()).then(|| {
            let output = match files.suricata_output.as_str() {
                "" => folder,
                output => output,
            };
            (PathBuf::from(&files.suricata_socket), PathBuf::from(output))
        });
        let settings = FileSettings {
            format,
            by_source: files.split == Split::Source,
            bytes_max: files.rotate_bytes.get(),
            nanos_max: some(u64::from(files.rotate_seconds) * NANOS_PER_SECOND),
            packets_max: some(files.rotate_packets),
            budget: some(files.budget.get()),
            open_max: usize::try_from(files.open_max).unwrap_or(usize::MAX),
            suricata,
            names: self.names.clone(),
            haste: self.haste,
        };
        Ok(CaptureFiles::open(folder, self.tags.clone(), settings)?)
    }
}

/// A limit that is none where it is 0.
fn some(limit: u64) -> Option<u64> {
    (limit > 0).then_some(limit)
}

/// A sink with one thread.
fn one(way: impl WayOut + 'static) -> Vec<Box<dyn WayOut>> {
    vec![Box::new(way)]
}
