//! The result of a run as a person reads it.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, HumanFloatCount};
use serde::Serialize;
use serde_json::Value;
use vxscope_engine::Outcome;
use vxscope_export::{MirrorSummary, OUTPUT_NAMES, Summary};
use vxscope_units::EvidenceClass;

/// Most sources in the table; the rest is in `sources.json`.
const SOURCES_SHOWN: usize = 10;
const LABEL: usize = 11;

/// A few lines that end with the state of the ledger.
pub(crate) fn report(outcome: &Outcome, out: &Path, extracts: bool) -> String {
    let summary = &outcome.summary;
    let mut text = headline(summary);
    text.push('\n');
    text.push_str(&sources(outcome));
    text.push('\n');
    for (label, value) in lines(outcome, out, extracts) {
        let _ = writeln!(text, "{label:LABEL$}{value}");
    }
    for warning in &summary.warnings {
        let _ = writeln!(text, "{:LABEL$}{warning}", "warning");
    }
    text.push_str(&ledger(&outcome.unbalanced));
    text
}

fn headline(summary: &Summary) -> String {
    let packets = summary.packets.received;
    let rate = packets as f64 / summary.elapsed_seconds.max(1e-6);
    format!(
        "{} packets, {} in {:.2} s ({} packets/s)\n",
        HumanCount(packets),
        HumanBytes(summary.input.bytes),
        summary.elapsed_seconds,
        HumanFloatCount(rate.round()),
    )
}

/// The busiest sources, then how many more there are.
fn sources(outcome: &Outcome) -> String {
    let mut rows: Vec<_> = outcome.statement.rows.iter().collect();
    rows.sort_by_key(|(source, row)| (std::cmp::Reverse(row.packets), **source));
    let mut table = vec![["source", "vni", "packets", "bytes", "flows"].map(str::to_owned)];
    for (source, row) in rows.iter().take(SOURCES_SHOWN) {
        table.push([
            source.address.to_string(),
            source.vni.to_string(),
            HumanCount(row.packets).to_string(),
            HumanCount(row.bytes).to_string(),
            HumanCount(row.flows).to_string(),
        ]);
    }
    let overflow = &outcome.statement.overflow;
    if overflow.packets > 0 {
        table.push([
            "overflow".to_owned(),
            "any".to_owned(),
            HumanCount(overflow.packets).to_string(),
            HumanCount(overflow.bytes).to_string(),
            HumanCount(overflow.flows).to_string(),
        ]);
    }
    let mut text = align(&table);
    if let Some(more) = rows
        .len()
        .checked_sub(SOURCES_SHOWN)
        .filter(|more| *more > 0)
    {
        let _ = writeln!(text, "and {more} more in sources.json");
    }
    text
}

fn lines(outcome: &Outcome, out: &Path, extracts: bool) -> Vec<(&'static str, String)> {
    let summary = &outcome.summary;
    let packets = &summary.packets;
    let flows = format!(
        "{} opened; closed: {}",
        HumanCount(summary.flows.opened),
        reasons(&summary.flows.closed)
    );
    let rings = &summary.rings;
    let rings = format!(
        "{} stored; unstored: {}",
        HumanCount(rings.stored),
        reasons(&rings.unstored)
    );
    let mut lines = Vec::new();
    if outcome.kernel_refused > 0 || packets.kernel_dropped > 0 {
        lines.push((
            "kernel",
            format!(
                "{} dropped; {} refused while the sockets were being opened or shut",
                HumanCount(packets.kernel_dropped),
                HumanCount(outcome.kernel_refused)
            ),
        ));
    }
    lines.extend([
        (
            "frames",
            format!(
                "{} decapsulated{}",
                HumanCount(packets.decapsulated),
                frames(summary)
            ),
        ),
        ("rejected", reasons(&packets.rejected)),
        ("flows", flows),
        ("untracked", reasons(&packets.untracked)),
        ("rings", rings),
        ("look back", look_back(outcome)),
    ]);
    for (name, count) in &summary.sinks {
        let shed = serde_json::to_value(count)
            .map(|count| reasons(&count["shed"]))
            .unwrap_or_default();
        let written = HumanCount(count.written());
        lines.push(("sink", format!("{name}: {written} written; shed: {shed}")));
    }
    for reader in &summary.readers {
        let count = &reader.count;
        let (name, written) = (&reader.reader, HumanCount(count.written()));
        let shed = HumanCount(count.offered() - count.written());
        lines.push(("reader", format!("{name}: {written} sent; {shed} not")));
    }
    match outcome.extracted {
        Some((flows, whole)) => {
            lines.push(("extracted", format!("flows found: {flows}, whole: {whole}")));
        }
        None if !extracts => {}
        None => lines.push((
            "extracted",
            "no flow that was asked for is in a ring".to_owned(),
        )),
    }
    lines.extend(summary.mirrors.as_ref().map(mirrors));
    lines.push(("outputs", outputs(out)));
    lines
}

/// What became of the mirrors.
fn mirrors(mirrors: &MirrorSummary) -> (&'static str, String) {
    let blind = mirrors.blind_seconds.get(EvidenceClass::Flow.name());
    let text = format!(
        "{}: granted {}; refused {}; brought back by the gate {}; flows not mirrored for {:.1} s; \
         at most {:.1} s over a bound",
        mirrors.mode,
        reasons(&mirrors.granted),
        reasons(&mirrors.refused),
        reasons(&mirrors.forced),
        blind.copied().unwrap_or(0.0),
        mirrors.overrun_max_seconds,
    );
    ("mirrors", text)
}

/// What is special about the frames, if anything is.
fn frames(summary: &Summary) -> String {
    let frames = &summary.frames;
    let special = [
        (frames.truncated, "truncated"),
        (frames.non_ip, "not IP"),
        (frames.fragments, "fragments"),
    ];
    let shown = special.iter().filter(|(count, _)| *count > 0);
    shown
        .map(|(count, what)| format!(", {} {what}", HumanCount(*count)))
        .collect()
}

/// `fin 78, shutdown 22`, the largest first; `none` without any.
pub(crate) fn reasons(counts: &impl Serialize) -> String {
    let Ok(Value::Object(counts)) = serde_json::to_value(counts) else {
        return "none".to_owned();
    };
    let mut counts: Vec<(String, u64)> = counts
        .into_iter()
        .map(|(reason, count)| (reason, count.as_u64().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if counts.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{reason} {}", HumanCount(*count)))
        .collect();
    shown.join(", ")
}

/// The files that are there: the usual ones, then the extracted flows.
fn outputs(out: &Path) -> String {
    let usual = OUTPUT_NAMES
        .into_iter()
        .filter(|name| out.join(name).exists());
    let mut names: Vec<String> = usual.map(str::to_owned).collect();
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let others = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut flows: Vec<String> = others
        .filter(|name| name.starts_with("extract-") && name.ends_with(".pcap"))
        .collect();
    flows.sort();
    names.append(&mut flows);
    format!("{}: {}", out.display(), names.join(", "))
}

fn ledger(unbalanced: &[String]) -> String {
    match unbalanced {
        [] => "ledger: balanced\n".to_owned(),
        laws => format!("ledger: NOT balanced: {}\n", laws.join("; ")),
    }
}

/// Columns as wide as their longest cell, the first to the left, the others to the right.
pub(crate) fn align<const N: usize>(table: &[[String; N]]) -> String {
    let width = |column: usize| {
        table
            .iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in table {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

/// How far back kept packets reach: flows' beginnings, and what followed.
fn look_back(outcome: &Outcome) -> String {
    let [head, tail] = outcome.look_back;
    let seconds = |span: Option<Duration>| {
        span.map_or_else(
            || "empty".to_owned(),
            |span| format!("{:.1} s", span.as_secs_f64()),
        )
    };
    format!("head log {}, tail log {}", seconds(head), seconds(tail))
}

#[cfg(test)]
mod tests {
    use super::{align, ledger, reasons};
    use std::collections::BTreeMap;

    #[test]
    fn reasons_are_sorted_by_how_often_they_occurred() {
        let counts = BTreeMap::from([("a", 5), ("b", 1_000), ("c", 5), ("d", 0)]);
        assert_eq!(reasons(&counts), "b 1,000, a 5, c 5");
        assert_eq!(reasons(&BTreeMap::<String, u64>::new()), "none");
    }

    #[test]
    fn a_ledger_that_does_not_balance_says_which_law_broke() {
        assert_eq!(ledger(&[]), "ledger: balanced\n");
        let laws = ["1 is not 2".to_owned(), "3 is not 4".to_owned()];
        assert_eq!(
            ledger(&laws),
            "ledger: NOT balanced: 1 is not 2; 3 is not 4\n"
        );
    }

    #[test]
    fn columns_line_up() {
        let table = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(align(&table), "a    bb\nccc   d\n");
    }
}
