//! The rows of `sources.json` and `quarantine.json`.

use vxscope_account::{Row, Statement};
use vxscope_export::{QuarantineSummary, SourceSummary};
use vxscope_flow::Crossing;
use vxscope_report::{Category, EventKind, Signals};
use vxscope_signals::{Book, Events, signals};
use vxscope_units::{BindTable, Binding, MirrorSource};

/// A row for each source, and one for those beyond the limit.
pub(super) fn source_rows(
    statement: &Statement,
    table: &BindTable,
    book: &Book,
) -> Vec<SourceSummary> {
    let named = statement.rows.iter().map(|(source, row)| {
        let signals = signals(row, book.events(*source));
        source_row(Some(*source), row, table.find(*source), &signals)
    });
    let overflow = &statement.overflow;
    let overflow = (overflow.packets > 0).then(|| {
        let signals = signals(overflow, Events::without_memory());
        source_row(None, overflow, None, &signals)
    });
    named.chain(overflow).collect()
}

fn source_row(
    source: Option<MirrorSource>,
    row: &Row,
    binding: Option<&Binding>,
    signals: &Signals,
) -> SourceSummary {
    let categories = Category::ALL.iter();
    let kinds = EventKind::ALL.iter();
    SourceSummary {
        outer_ip: source.map(|source| source.address),
        vni: source.map(|source| source.vni.get()),
        packets: row.packets,
        bytes: row.bytes,
        ip_bytes: row.ip_bytes,
        ingress_bytes: row.cells.crossed(Crossing::Ingress),
        egress_bytes: row.cells.crossed(Crossing::Egress),
        unknown_direction_bytes: row.cells.crossed(Crossing::Unknown),
        truncated: row.truncated,
        flows: row.flows,
        first_seen: row.first_seen.unwrap_or_default(),
        last_seen: row.last_seen.unwrap_or_default(),
        eni: binding.and_then(|binding| binding.eni.clone()),
        instance: binding.and_then(|binding| binding.instance.clone()),
        vpc: binding.and_then(|binding| binding.vpc.clone()),
        account: binding.and_then(|binding| binding.account.clone()),
        name: binding.and_then(|binding| binding.name.clone()),
        role: binding.and_then(|binding| binding.role.clone()),
        categories: categories
            .map(|it| (it.name(), signals.bytes_of(*it)))
            .collect(),
        failed: signals.failed,
        dns_queries: signals.dns_queries,
        events: kinds
            .map(|it| (it.name(), signals.events_of(*it)))
            .collect(),
        saturated: signals.saturated,
    }
}

pub(super) fn quarantine_rows(statement: &Statement) -> Vec<QuarantineSummary> {
    let rows = statement.quarantine.iter();
    rows.map(|(source, row)| QuarantineSummary {
        outer_ip: source.map(|source| source.address),
        vni: source.map(|source| source.vni.get()),
        packets: row.packets,
        bytes: row.bytes,
        first_seen: row.first_seen.unwrap_or_default(),
        last_seen: row.last_seen.unwrap_or_default(),
    })
    .collect()
}
