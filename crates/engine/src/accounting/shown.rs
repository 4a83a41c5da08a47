//! Parts of the account in the words of the status.

use vxscope_account::{Counted, Counts, Row};
use vxscope_export::{DuplicateSummary, Shed, SinkCount};
use vxscope_flow::Crossing;
use vxscope_report::{
    DuplicatePairStatus, DuplicateStatus, Reasons, SinkStatus, SourceName, SourceReport,
    SourceStatus,
};
use vxscope_signals::{Events, signals};
use vxscope_units::{Binding, MirrorSource, Timestamp};

pub(super) fn sink(name: &str, count: &SinkCount) -> (String, SinkStatus) {
    let shed = Shed::ALL
        .iter()
        .map(|it| (it.name().to_owned(), count.shed(*it)));
    let status = SinkStatus {
        offered: count.offered(),
        written: count.written(),
        shed: shed.collect(),
    };
    (name.to_owned(), status)
}

/// Packets that came twice: sums, and by pairs of sources.
pub(super) fn duplicates(
    summary: &DuplicateSummary,
) -> (DuplicateStatus, Vec<DuplicatePairStatus>) {
    let totals = DuplicateStatus {
        frames: summary.frames,
        suppressed: summary.suppressed,
        forgotten: summary.forgotten,
        pairs: summary.pairs.len() as u64,
        pairs_omitted_frames: summary.pairs_omitted_frames,
    };
    let name = |source: MirrorSource| SourceName {
        outer_ip: source.address,
        vni: source.vni.get(),
    };
    let pairs = summary.pairs.iter().map(|pair| DuplicatePairStatus {
        sources: pair.sources.map(name),
        frames: pair.frames,
    });
    (totals, pairs.collect())
}

/// Every reason, so that one that occurs for the first time is no new name to anybody.
pub(super) fn reasons<R: Counted, const N: usize>(counts: &Counts<N>) -> Reasons {
    let all = R::REASONS.iter();
    all.map(|it| (it.key().to_owned(), counts.get(*it)))
        .collect()
}

pub(super) fn source_status(
    source: MirrorSource,
    binding: Option<&Binding>,
    row: &Row,
    events: Events,
) -> SourceStatus {
    SourceStatus {
        report: SourceReport {
            outer_ip: source.address,
            vni: source.vni.get(),
            eni: binding.and_then(|binding| binding.eni.clone()),
            signals: signals(row, events),
        },
        name: binding.and_then(|binding| binding.name.clone()),
        instance: binding.and_then(|binding| binding.instance.clone()),
        vpc: binding.and_then(|binding| binding.vpc.clone()),
        account: binding.and_then(|binding| binding.account.clone()),
        bytes: row.bytes,
        ip_bytes: row.ip_bytes,
        ingress_bytes: row.cells.crossed(Crossing::Ingress),
        egress_bytes: row.cells.crossed(Crossing::Egress),
        unknown_direction_bytes: row.cells.crossed(Crossing::Unknown),
        first_seen: row.first_seen.map_or(0, micros),
        last_seen: row.last_seen.map_or(0, micros),
    }
}

pub(super) fn micros(timestamp: Timestamp) -> u64 {
    timestamp.as_nanos() / 1_000
}
