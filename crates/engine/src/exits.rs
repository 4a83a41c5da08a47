//! From the configured ways out to the sinks.

use std::net::SocketAddr;
use std::path::PathBuf;

use vxscope_config::{Config, ExportKind, Forward, Split, TruncatedFrames, Way};
use vxscope_export::files::{CaptureFiles, FileFormat, FileSettings};
use vxscope_export::stream::{Haste, OverIpEnd, PcapOverIp, PcapStream};
use vxscope_export::{
    CONN_JSON, ConnLog, DecapWriter, EveLog, EveOptions, Ipfix, LineLog, NETFLOW_EVE, Names, OCSF,
    Offered, OutputDir, Rotation, Tags, Tap, TapSettings, Truncated, VPC_FLOW_LOGS, VlanBook,
    Vxlan, WayOut,
};

use crate::error::EngineError;
use crate::handoff::Exit;
use crate::look_up::look_up;
use crate::plan;
use crate::vlans;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// What the configured outputs are offered, by the names that they have in the summary.
pub(crate) fn expected(config: &Config) -> Vec<(String, Offered)> {
    let ways = config.export.kinds.iter();
    ways.map(|way| (way.to_string(), offered(way.kind)))
        .collect()
}

/// Sinks that hold on to chunks of frames.
pub(crate) fn frame_queues(config: &Config) -> usize {
    let kinds = config.export.kinds.iter().map(|way| way.kind);
    kinds.filter(|kind| kind.takes_frames()).count()
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
    /// Which source has which VLAN id, where that tells them apart.
    pub(crate) vlans: &'a VlanBook,
    /// What sources are called.
    pub(crate) names: Names,
    /// Where the sensor itself listens.
    pub(crate) ears: &'a [SocketAddr],
    /// Whether records say what of a flow's time was not mirrored.
    pub(crate) is_marked: bool,
}

/// Opens every way out. Also says what is less than was asked for.
pub(crate) fn open(opening: &Opening<'_>) -> Result<(Vec<Exit>, Vec<String>), EngineError> {
    let (mut exits, mut warnings) = (Vec::new(), Vec::new());
    for way in &opening.config.export.kinds {
        exits.push(Exit {
            name: way.to_string(),
            offered: offered(way.kind),
            // A record of what was received, not an input of somebody's analysis.
            takes_copies: way.kind == ExportKind::Decap,
            lanes: opening.lanes(way, &mut warnings)?,
        });
    }
    Ok((exits, warnings))
}

impl Opening<'_> {
    /// The parts of a sink.
    fn lanes(
        &self,
        way: &Way,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Box<dyn WayOut>>, EngineError> {
        let target = way.target.as_deref().unwrap_or_default();
        let config = self.config;
        let tags = self.tags(config.handoff.vlan);
        let room = config.handoff.reader_buffer.as_usize();
        let lines = |format| LineLog::create(self.dir, format, self.rotation());
        Ok(match way.kind {
            ExportKind::Eve => {
                let strict = config.export.eve.strict;
                let options = EveOptions { strict };
                one(EveLog::create(self.dir, options, self.rotation())?)
            }
            ExportKind::ConnLog => one(ConnLog::create(self.dir, self.rotation(), self.is_marked)?),
            ExportKind::Decap => one(DecapWriter::create(
                self.dir,
                self.tags(config.export.decap.vlan),
            )?),
            ExportKind::ConnJson => one(lines(CONN_JSON)?),
            ExportKind::NetflowEve => one(lines(NETFLOW_EVE)?),
            ExportKind::VpcFlowLogs => one(lines(VPC_FLOW_LOGS)?),
            ExportKind::Ocsf => one(lines(OCSF)?),
            ExportKind::Ipfix => one(Ipfix::open(target, config.export.ipfix.domain, look_up)?),
            ExportKind::PcapStream => one(PcapStream::open(target, tags, room, self.haste)?),
            ExportKind::PcapOverIp => {
                let end = OverIpEnd::parse(target);
                one(PcapOverIp::open(&end, tags, room, self.haste, look_up)?)
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

    /// How an output tells sources apart.
    fn tags(&self, mode: vxscope_config::VlanMode) -> Tags {
        Tags {
            mode: vlans::mode(mode),
            book: self.vlans.clone(),
        }
    }

    /// When files of records end.
    fn rotation(&self) -> Rotation {
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
        let lanes = Tap::open(name, &self.tags(handoff.vlan), &settings)?;
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
        let tags = self.tags(self.config.handoff.vlan);
        Ok(CaptureFiles::open(folder, tags, settings)?)
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
