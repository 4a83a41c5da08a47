//! Sources, decisions, pins and flows, a page at a time.

use std::cmp::Reverse;
use std::net::IpAddr;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use vxscope_report::{MirrorRow, SourceStatus};
use vxscope_units::Vni;

use super::access::Access;
use super::query::Query;
use crate::coverage::CoverageSearch;
use crate::decisions::Wanted;
use crate::flow_search::{FLOWS_MAX, FlowSearch};
use crate::history::Series;
use crate::hub::{Shared, json as bytes};

/// Sources on a page, at most and if nobody says how many.
const SOURCES_MAX: usize = 1_000;
const SOURCES_USUAL: usize = 50;
/// Pairs of sources on a page, at most.
const PAIRS_MAX: usize = 1_024;
/// Decisions in an answer.
const DECISIONS_MAX: usize = 500;
const USUAL: usize = 100;

/// What sources can be sorted by.
const ORDERS: [&str; 5] = ["rate", "packets", "bytes", "grade", "address"];

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    source: &'a SourceStatus,
    /// Bytes a second in the last tick.
    rate: f32,
    series: Series,
    /// Absent if nobody looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<MirrorRow>,
}

/// Whose coverage is asked for, and of which time.
pub(super) fn coverage(query: Option<&str>) -> Result<CoverageSearch, String> {
    let query = Query::parse(query, &["source", "from", "to"])?;
    let text = |name| query.text(name).map(str::to_owned);
    Ok(CoverageSearch {
        source: text("source").ok_or("source: an address, a name or an interface is needed")?,
        from: text("from"),
        to: text("to"),
    })
}

/// Sources, with what is known of their mirrors.
pub(super) fn sources(
    shared: &Shared,
    query: Option<&str>,
    access: Access,
) -> Result<Bytes, String> {
    let names = ["search", "grade", "sort", "limit", "offset"];
    let query = Query::parse(query, &names)?;
    let limit = query.limit(SOURCES_USUAL, SOURCES_MAX)?;
    let offset: usize = query.get("offset")?.unwrap_or(0);
    let order = query.choice("sort", &ORDERS)?.unwrap_or("rate");
    let grades = [
        "full",
        "truncated",
        "essential",
        "sentinel",
        "off",
        "lowered",
    ];
    let grade = query.choice("grade", &grades)?;
    let search = query.text("search").map(str::to_ascii_lowercase);

    let (shown, oversight) = (shared.latest(), shared.oversight());
    let history = shared.history();
    let mirror = |source: &SourceStatus| oversight.find(source.key());
    let mut rows: Vec<(&SourceStatus, Option<&MirrorRow>)> = shown
        .snapshot
        .sources
        .iter()
        .map(|source| (&**source, mirror(source)))
        .filter(|(source, mirror)| {
            search
                .as_deref()
                .is_none_or(|it| answers(source, *mirror, it))
                && grade.is_none_or(|it| has_grade(*mirror, it))
        })
        .collect();
    let packets = |it: &SourceStatus| Reverse(it.report.signals.packets);
    match order {
        "address" => rows.sort_by_key(|(it, _)| it.key()),
        "packets" => rows.sort_by_key(|(it, _)| (packets(it), it.key())),
        "bytes" => rows.sort_by_key(|(it, _)| (Reverse(it.bytes), it.key())),
        "grade" => rows.sort_by_key(|(it, mirror)| {
            let rank = mirror.map_or(usize::MAX, |mirror| rank(&mirror.grade));
            (rank, packets(it), it.key())
        }),
        _ => {
            // Rates are whole and never negative, so their bits are in their order.
            let rate = |it: &SourceStatus| Reverse(history.rate(it.key()).to_bits());
            rows.sort_by_key(|(it, _)| (rate(it), packets(it), it.key()));
        }
    }
    let total = rows.len();
    let page = rows.into_iter().skip(offset).take(limit);
    let page: Vec<Row<'_>> = page
        .map(|(source, mirror)| Row {
            source,
            rate: history.rate(source.key()),
            series: history.series(source.key()),
            mirror: mirror.map(|mirror| visible(mirror, access)),
        })
        .collect();
    Ok(bytes(
        &json!({"total": total, "offset": offset, "sources": page}),
    ))
}

fn answers(source: &SourceStatus, mirror: Option<&MirrorRow>, search: &str) -> bool {
    let eni = source.report.eni.as_deref().unwrap_or_default();
    let interface = mirror.map_or("", |mirror| &mirror.interface);
    let (address, vni) = (source.report.outer_ip.to_string(), source.report.vni);
    let name = source.name.as_deref().unwrap_or_default();
    address.contains(search)
        || name.to_ascii_lowercase().contains(search)
        || eni.contains(search)
        || interface.contains(search)
        || search.strip_prefix("vni:") == Some(&vni.to_string())
}

fn has_grade(mirror: Option<&MirrorRow>, grade: &str) -> bool {
    let there = mirror.map_or("full", |mirror| &mirror.grade);
    match grade {
        "lowered" => there != "full",
        grade => there == grade,
    }
}

/// The lowest first: who looks for blind spots wants them on top.
fn rank(grade: &str) -> usize {
    let order = ["off", "sentinel", "essential", "truncated", "full"];
    let place = order.iter().position(|it| *it == grade);
    place.unwrap_or(order.len())
}

/// Without what is to come, for those who may not know it.
fn visible(mirror: &MirrorRow, access: Access) -> MirrorRow {
    MirrorRow {
        until: mirror.until.filter(|_| access.future),
        ..mirror.clone()
    }
}

/// How dynamic mirroring stands, without its mirrors.
pub(super) fn oversight(shared: &Shared) -> Bytes {
    shared.oversight().totals.clone()
}

/// The latest decisions first.
pub(super) fn decisions(
    shared: &Shared,
    query: Option<&str>,
    access: Access,
) -> Result<Bytes, String> {
    let names = ["source", "vni", "interface", "outcome", "before", "limit"];
    let query = Query::parse(query, &names)?;
    let outcomes = [
        "granted",
        "refused",
        "imagined",
        "kept",
        "forced",
        "effective",
        "alerted",
    ];
    let wanted = Wanted {
        address: query.get::<IpAddr>("source")?,
        vni: query.get("vni")?.map(network).transpose()?,
        interface: query.text("interface").map(str::to_owned),
        outcome: query.choice("outcome", &outcomes)?.map(str::to_owned),
        before: query.get("before")?,
        limit: query.limit(USUAL, DECISIONS_MAX)?,
    };
    let (total, found) = shared.decisions.find(&wanted);
    let listed: Vec<Value> = found.iter().map(|one| one.json(access.future)).collect();
    let next = match found.last() {
        Some(last) if found.len() == wanted.limit => json!(last.seq),
        _ => Value::Null,
    };
    Ok(bytes(
        &json!({"total": total, "decisions": listed, "next": next}),
    ))
}

fn network(vni: u32) -> Result<u32, String> {
    let known = Vni::try_new(vni).map(Vni::get);
    known.ok_or_else(|| format!("vni={vni}: has 24 bits at most"))
}

/// Sources that somebody or something keeps full.
pub(super) fn pins(shared: &Shared) -> Bytes {
    let oversight = shared.oversight();
    let pinned = oversight.oversight.mirrors.iter().filter(|it| it.pinned);
    let pins: Vec<Value> = pinned
        .map(|it| json!({"outer_ip": it.outer_ip, "vni": it.vni, "interface": it.interface}))
        .collect();
    bytes(&json!({"pins": pins}))
}

/// Packets that were mirrored at both of their ends: sums, and pairs of sources, the busiest
/// first. Without sums if nobody looks.
pub(super) fn duplicates(shared: &Shared, query: Option<&str>) -> Result<Bytes, String> {
    let query = Query::parse(query, &["limit", "offset"])?;
    let limit = query.limit(USUAL, PAIRS_MAX)?;
    let offset: usize = query.get("offset")?.unwrap_or(0);
    let snapshot = &shared.latest().snapshot;
    let pairs = snapshot.duplicate_pairs.iter().skip(offset).take(limit);
    Ok(bytes(&json!({
        "totals": snapshot.status.duplicates,
        "offset": offset,
        "pairs": pairs.collect::<Vec<_>>(),
    })))
}

/// Flows that have ended, the latest first.
pub(super) fn flows(shared: &Shared, query: Option<&str>) -> Result<Bytes, String> {
    let query = Query::parse(query, &["search", "before", "limit"])?;
    let search = FlowSearch {
        terms: FlowSearch::parse(query.text("search").unwrap_or_default())?,
        before: query.get("before")?,
        limit: query.limit(USUAL, FLOWS_MAX)?,
    };
    Ok(bytes(&shared.sensor().flows(&search)))
}
