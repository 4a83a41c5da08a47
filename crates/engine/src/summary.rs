//! The end of a run: the workers' ledgers become `sources.json` and `summary.json`.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vxscope_account::{Counted, Counts, Statement};
use vxscope_capture::CaptureError;
use vxscope_export::summary::{
    FlowSummary, FrameSummary, InputError, InputSummary, PacketSummary, ReaderSummary, RingSummary,
    SCHEMA, SignalSummary, StraySummary, VlanSummary,
};
use vxscope_export::{
    DuplicateTally, Extracted, Offered, OutputDir, QuarantineSummary, Reasons, Shed, SinkCount,
    SinkOutcome, SourceSummary, Summary, write_quarantine, write_sources, write_summary,
};
use vxscope_flow::{CloseReason, Unstored, Untracked};
use vxscope_units::BindTable;
use vxscope_wire::Reject;

use crate::error::EngineError;
use crate::follower::Desk;
use crate::look_back::{Counts as LookedBack, Happened};
use crate::plan::Plan;
use crate::replay::{Outcome, Walked};
use crate::worker::WorkerReport;
use crate::writer::Written;
use rows::{quarantine_rows, source_rows};

/// Everything that a run left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) walked: Walked,
    pub(crate) written: Written,
    /// Files that were closed, or could not be written.
    pub(crate) closed: Vec<SinkOutcome>,
    /// Sinks whose files a live run could not close in time, by name.
    pub(crate) left: Vec<(String, Offered)>,
    pub(crate) elapsed: Duration,
    pub(crate) kernel: Kernel,
    /// What is known of mirror sources at the end.
    pub(crate) table: Arc<BindTable>,
    /// What became of the facts.
    pub(crate) desk: Arc<Desk>,
}

/// What the kernel kept from us.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kernel {
    /// Dropped because a receive buffer was full.
    pub(crate) dropped: u64,
    /// Refused before the sockets were open, or while they were being shut.
    pub(crate) refused: u64,
    /// Dropped by the interface, if one was named.
    pub(crate) interface_dropped: Option<u64>,
}

/// A run in numbers that nobody has written down yet.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) rows: Vec<SourceSummary>,
    pub(crate) quarantine: Vec<QuarantineSummary>,
}

impl Ended {
    /// Writes `sources.json` and `quarantine.json`, then `summary.json`.
    pub(crate) fn write(&self, dir: &OutputDir) -> Result<(), EngineError> {
        write_sources(dir, &self.rows)?;
        write_quarantine(dir, &self.quarantine)?;
        write_summary(dir, &self.outcome.summary)?;
        Ok(())
    }
}

/// Adds everything up.
pub(crate) fn conclude(plan: Plan, finished: Finished) -> Ended {
    let Finished {
        walked,
        written,
        closed,
        left,
        elapsed,
        kernel,
        table,
        desk,
    } = finished;
    let mut statement = Statement::default();
    for report in &walked.reports {
        statement.merge(&report.statement);
    }
    let mut unbalanced: Vec<String> = statement
        .unbalanced_at_end()
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut summary = summary(&statement, elapsed);
    summary.packets.kernel_dropped = kernel.dropped;
    summary.packets.interface_dropped = kernel.interface_dropped;
    summary.input.error = walked.error.as_ref().map(input_error);
    let mut sink_errors = Vec::new();
    for outcome in &closed {
        if let Some(error) = &outcome.error {
            sink_errors.push(error.to_string());
        }
        let mut count = outcome.count;
        count.merge(&lost(outcome.offered, &walked.reports));
        summary.sinks.insert(outcome.name.clone(), count);
        let readers = outcome.readers.iter().cloned();
        summary.readers.extend(readers.map(|it| ReaderSummary {
            sink: outcome.name.clone(),
            reader: it.name,
            count: it.count,
        }));
        let details = outcome.details.iter().filter(|(_, count)| *count > 0);
        let details: Reasons = details.copied().collect();
        if !details.is_empty() {
            summary.details.insert(outcome.name.clone(), details);
        }
        check_offered(outcome, count.offered(), &statement, &mut unbalanced);
    }
    for (name, offered) in &left {
        // Nobody knows how far the file is, so nothing counts as written.
        let mut count = lost(*offered, &walked.reports);
        let there = there(*offered, &statement).0;
        count.add_shed(Shed::Deadline, there.saturating_sub(count.offered()));
        summary.sinks.insert(name.clone(), count);
    }
    let cut = cut(&statement, &summary, &left);
    summary.warnings.extend(cut.iter().cloned());
    let others = [&written.extract_error, &written.vlan_error];
    sink_errors.extend(others.into_iter().flatten().map(ToString::to_string));
    summary.warnings.extend(written.warning);
    summary.duplicates = desk.duplicates.as_ref().map(DuplicateTally::summary);
    summary.look_back = looked_back(&desk.look_back, &written.extracted);
    summary.vlans = written.vlans.into_iter().map(VlanSummary::from).collect();
    let whole = written
        .extracted
        .iter()
        .filter(|extracted| extracted.complete)
        .count();
    summary.warnings.extend(silent(&table, &statement));
    let book = desk.book();
    let rows = source_rows(&statement, &table, &book);
    summary.signals = SignalSummary {
        events: events(&rows),
        facts_shed: walked.reports.iter().map(|it| it.lost.facts).sum(),
        facts_unheld: book.unheld(),
    };
    drop(book);
    let quarantine = quarantine_rows(&statement);
    let outcome = Outcome {
        summary,
        statement,
        unbalanced,
        sink_errors,
        cut,
        extracted: (!written.extracted.is_empty()).then_some((written.extracted.len(), whole)),
        plan,
        kernel_refused: kernel.refused,
        look_back: look_back(&walked.reports),
        longest_probe: walked
            .reports
            .iter()
            .map(|report| report.longest_probe)
            .max()
            .unwrap_or(0),
    };
    Ended {
        outcome,
        rows,
        quarantine,
    }
}

/// What was done for those who wanted packets of the past; what a replay was asked for with it.
fn looked_back(counts: &LookedBack, extracted: &[Extracted]) -> BTreeMap<String, u64> {
    let sum = |of: fn(&Extracted) -> u64| extracted.iter().map(of).sum();
    counts.add(Happened::Extracted, u64::from(!extracted.is_empty()));
    counts.add(Happened::Flows, extracted.len() as u64);
    counts.add(Happened::Packets, sum(|it| it.packets_found));
    counts.add(Happened::Bytes, sum(|it| it.bytes_found));
    let counts = counts.read().into_iter();
    counts.filter(|(_, count)| *count > 0).collect()
}

/// What the workers could not hand over to a sink.
fn lost(offered: Offered, reports: &[WorkerReport]) -> SinkCount {
    let mut count = SinkCount::default();
    for report in reports {
        count.merge(&report.lost.of(offered));
    }
    count
}

/// What the end of the time for a stop cost, for people.
fn cut(statement: &Statement, summary: &Summary, left: &[(String, Offered)]) -> Vec<String> {
    let mut cut = Vec::new();
    let unopened = statement.rejected.get(Reject::Deadline);
    if unopened > 0 {
        cut.push(format!(
            "the stop ended before {unopened} received datagrams were opened (rejected as \
             deadline); a longer capture.stop_seconds lets it finish"
        ));
    }
    for (name, count) in &summary.sinks {
        let shed = count.shed(Shed::Deadline);
        if left.iter().any(|(left, _)| left == name) {
            cut.push(format!(
                "{name} could not be closed in time; what was written of it is under its hidden \
                 name, and the disk may hang"
            ));
        } else if shed > 0 {
            cut.push(format!(
                "the stop ended before {shed} records were written to {name} (shed as deadline); \
                 a longer capture.stop_seconds or a faster disk lets it finish"
            ));
        }
    }
    cut
}

/// What can be promised for every worker: the shortest.
fn look_back(reports: &[WorkerReport]) -> [Option<Duration>; 2] {
    let shortest = |log: usize| {
        reports
            .iter()
            .filter_map(|report| report.look_back[log])
            .min()
    };
    [shortest(0), shortest(1)]
}

/// What a sink is to be offered, and what that is: frames, or ended flows.
fn there(offered: Offered, statement: &Statement) -> (u64, &'static str) {
    match offered {
        Offered::Frames => (statement.decapsulated, "decapsulated"),
        Offered::Records => (statement.totals().closed.sum(), "flows closed"),
        Offered::RecordsAndAnomalies => {
            let totals = statement.totals();
            let there = totals.closed.sum() + totals.never_hits;
            (there, "flows closed + never hits")
        }
    }
}

/// What a sink was offered is what there was.
fn check_offered(
    outcome: &SinkOutcome,
    count: u64,
    statement: &Statement,
    unbalanced: &mut Vec<String>,
) {
    let (there, what) = there(outcome.offered, statement);
    let name = &outcome.name;
    if count != there {
        unbalanced.push(format!("{name} offered = {what}: {count} is not {there}"));
    }
}

fn summary(statement: &Statement, elapsed: Duration) -> Summary {
    let totals = statement.totals();
    Summary {
        schema: SCHEMA,
        input: InputSummary {
            packets: statement.received,
            bytes: statement.received_bytes,
            error: None,
        },
        packets: PacketSummary {
            received: statement.received,
            decapsulated: statement.decapsulated,
            rejected: reasons::<Reject, _>(&statement.rejected),
            untracked: reasons::<Untracked, _>(&totals.untracked),
            kernel_dropped: 0,
            interface_dropped: None,
        },
        rings: RingSummary {
            stored: totals.stored,
            unstored: reasons::<Unstored, _>(&totals.unstored),
        },
        frames: FrameSummary {
            bytes: totals.bytes,
            ip_bytes: totals.ip_bytes,
            truncated: totals.truncated,
            non_ip: totals.non_ip,
            fragments: totals.fragments(),
        },
        flows: FlowSummary {
            opened: totals.flows,
            closed: reasons::<CloseReason, _>(&totals.closed),
        },
        strays: StraySummary {
            sent: statement.strays.sent,
            received: statement.strays.received,
            shed: statement.strays.shed,
        },
        sources: (statement.rows.len() + usize::from(statement.overflow.packets > 0)) as u64,
        elapsed_seconds: elapsed.as_secs_f64(),
        ..Summary::default()
    }
}

fn reasons<R: Counted, const N: usize>(counts: &Counts<N>) -> Reasons {
    counts.occurred::<R>().collect()
}

/// Relevant events of all sources.
fn events(rows: &[SourceSummary]) -> Reasons {
    let mut events = Reasons::default();
    for row in rows {
        events.merge(&row.events);
    }
    events
}

/// A sentence for each binding that should have been heard and was not. A source that was heard
/// counts for the binding that names it.
fn silent(table: &BindTable, statement: &Statement) -> Vec<String> {
    let heard: BTreeSet<usize> = statement
        .rows
        .keys()
        .filter_map(|source| table.place(*source))
        .collect();
    let expected = table.bindings().iter().enumerate();
    let missing = expected.filter(|(place, it)| it.expected && !heard.contains(place));
    missing
        .map(|(_, binding)| match &binding.name {
            Some(name) => {
                format!("Source {name} ({binding}) is expected, and nothing came from it.")
            }
            None => format!("Source {binding} is expected, and nothing came from it."),
        })
        .collect()
}

fn input_error(error: &CaptureError) -> InputError {
    InputError {
        file: error.file().to_owned(),
        offset: error.offset(),
        message: error.message(),
    }
}
