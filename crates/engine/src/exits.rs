//! From the configured ways out to the sinks that have a thread of their own.

use vxscope_config::{Config, ExportKind};
use vxscope_export::stream::{Haste, OverIpEnd, PcapOverIp, PcapStream};
use vxscope_export::{
    CONN_JSON, ExportError, Ipfix, LineLog, NETFLOW_EVE, OCSF, Offered, OutputDir, VPC_FLOW_LOGS,
    WayOut,
};

use crate::handoff::Exit;
use crate::writer::vlan_mode;

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

/// Opens every way out that has a thread of its own.
pub(crate) fn open(
    config: &Config,
    dir: &OutputDir,
    haste: Haste,
) -> Result<Vec<Exit>, ExportError> {
    let mut exits = Vec::new();
    let lines = |format| -> Result<Box<dyn WayOut>, ExportError> {
        Ok(Box::new(LineLog::create(dir, format)?))
    };
    let vlan = vlan_mode(config.handoff.vlan);
    let room = config.handoff.reader_buffer.as_usize();
    for way in &config.export.kinds {
        let target = way.target.as_deref().unwrap_or_default();
        let open: Box<dyn WayOut> = match way.kind {
            // Files that the writer itself keeps.
            ExportKind::Eve | ExportKind::ConnLog | ExportKind::Decap => continue,
            ExportKind::ConnJson => lines(CONN_JSON)?,
            ExportKind::NetflowEve => lines(NETFLOW_EVE)?,
            ExportKind::VpcFlowLogs => lines(VPC_FLOW_LOGS)?,
            ExportKind::Ocsf => lines(OCSF)?,
            ExportKind::Ipfix => Box::new(Ipfix::open(target, config.export.ipfix.domain)?),
            ExportKind::PcapStream => Box::new(PcapStream::open(target, vlan, room, haste)?),
            ExportKind::PcapOverIp => {
                let end = OverIpEnd::parse(target);
                Box::new(PcapOverIp::open(&end, vlan, room, haste)?)
            }
        };
        exits.push(Exit {
            name: way.to_string(),
            offered: offered(way.kind),
            way: open,
        });
    }
    Ok(exits)
}
