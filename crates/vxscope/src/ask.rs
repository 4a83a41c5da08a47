//! `vxscope status` and `vxscope sources`: what a running sensor says, for people or programs.

use std::fmt::Write;

use indicatif::{HumanCount, HumanDuration};
use serde_json::Value;
use vxscope_api::{Client, ClientError, Health};
use vxscope_report::{CaptureStatus, DuplicateStatus, Latency, SourceStatus, Status};

use crate::arguments::AskArguments;
use crate::failure::Failure;
use crate::print;
use crate::report::{align, reasons};

const LABEL: usize = 11;

/// How it stands.
pub(crate) fn status(arguments: &AskArguments) -> Result<(), Failure> {
    let mut client = Client::connect(&arguments.socket).map_err(failed)?;
    if arguments.json {
        return print_json(&mut client, r#"{"get":"status"}"#);
    }
    let status = client.status().map_err(failed)?;
    let health = client.health().map_err(failed)?;
    print(&status_text(&status, &health))
}

/// Its sources.
pub(crate) fn sources(arguments: &AskArguments) -> Result<(), Failure> {
    let mut client = Client::connect(&arguments.socket).map_err(failed)?;
    if arguments.json {
        return print_json(&mut client, r#"{"get":"sources"}"#);
    }
    let sources = client.sources().map_err(failed)?;
    print(&sources_text(&sources))
}

fn failed(error: ClientError) -> Failure {
    Failure::Failed(error.to_string())
}

fn print_json(client: &mut Client, request: &str) -> Result<(), Failure> {
    let answer: Value = client.ask(request).map_err(failed)?;
    print(&format!("{answer}\n"))
}

fn status_text(status: &Status, health: &Health) -> String {
    let mut text = format!(
        "sensor {}, vxscope {}, {} for {}\n",
        status.sensor,
        status.version,
        status.state.name(),
        HumanDuration(std::time::Duration::from_secs_f64(status.elapsed_seconds)),
    );
    for (label, value) in lines(status, health) {
        let _ = writeln!(text, "{label:LABEL$}{value}");
    }
    text
}

fn lines(status: &Status, health: &Health) -> Vec<(&'static str, String)> {
    let packets = &status.packets;
    let count = |count| HumanCount(count).to_string();
    let mut lines = vec![
        (
            "packets",
            format!(
                "{} received, {} decapsulated, {} dropped by the kernel",
                count(packets.received),
                count(packets.decapsulated),
                count(packets.kernel_dropped)
            ),
        ),
        ("receive", receive(&status.capture)),
        ("rejected", reasons(&packets.rejected)),
        (
            "flows",
            format!(
                "{} opened, {} open; closed: {}",
                count(status.flows.opened),
                count(status.flows.open),
                reasons(&status.flows.closed)
            ),
        ),
        ("untracked", reasons(&packets.untracked)),
        (
            "rings",
            format!(
                "{} stored; unstored: {}",
                count(status.rings.stored),
                reasons(&status.rings.unstored)
            ),
        ),
        ("look back", look_back(status)),
    ];
    let twice = status.duplicates.iter();
    lines.extend(twice.map(|it| ("duplicates", duplicates(it))));
    for (name, sink) in &status.sinks {
        let written = count(sink.written);
        let shed = reasons(&sink.shed);
        lines.push(("sink", format!("{name}: {written} written; shed: {shed}")));
    }
    lines.push(("sources", count(status.sources)));
    lines.push(("latency", latency(&status.latency)));
    lines.extend(stages(status).map(|text| ("stages", text)));
    lines.push(("workers", workers(status, health)));
    lines
}

fn duplicates(twice: &DuplicateStatus) -> String {
    let count = |count| HumanCount(count).to_string();
    format!(
        "{} packets came twice, from {} pairs of sources; {} kept back, {} forgotten too soon",
        count(twice.frames),
        count(twice.pairs),
        count(twice.suppressed),
        count(twice.forgotten)
    )
}

/// By which way, and why not by the better one.
fn receive(capture: &CaptureStatus) -> String {
    let mut text = capture.backend.clone();
    if let Some(declined) = &capture.declined {
        let _ = write!(text, "; no packet ring: {declined}");
    }
    if let Some(steered) = &capture.steered {
        let _ = write!(text, "; steered by {steered}");
    }
    if let Some(declined) = &capture.steering_declined {
        let _ = write!(text, ", no ebpf: {declined}");
    }
    if let Some(dropped) = capture.interface_dropped {
        let _ = write!(text, "; {} dropped by the interface", HumanCount(dropped));
    }
    text
}

fn look_back(status: &Status) -> String {
    let seconds =
        |span: Option<f64>| span.map_or_else(|| "empty".to_owned(), |span| format!("{span:.1} s"));
    let rings = &status.rings;
    format!(
        "head log {}, tail log {}",
        seconds(rings.head_seconds),
        seconds(rings.tail_seconds)
    )
}

fn latency(latency: &Latency) -> String {
    if latency.count == 0 {
        return "nothing measured yet".to_owned();
    }
    format!(
        "half within {}, 99 % within {}, all within {}",
        span(latency.p50),
        span(latency.p99),
        span(latency.max)
    )
}

/// Nanoseconds of a packet in each stage, of a sample; nothing before there is one.
fn stages(status: &Status) -> Option<String> {
    let timed = status.stages.iter().filter(|stage| stage.packets > 0);
    let shown = timed.map(|stage| {
        let nanos = stage.seconds * 1e9 / stage.packets as f64;
        format!("{} {nanos:.0} ns", stage.name)
    });
    let shown: Vec<_> = shown.collect();
    (!shown.is_empty()).then(|| format!("{} a packet, sampled", shown.join(", ")))
}

fn span(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{seconds:.1} s"),
        0.001.. => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

fn workers(status: &Status, health: &Health) -> String {
    let received = status.workers.iter().map(|worker| worker.received);
    let received: Vec<String> = received.map(|it| HumanCount(it).to_string()).collect();
    let seen = span(health.heartbeat_seconds);
    match health.healthy {
        true => format!("received {}; all seen within {seen}", received.join(" + ")),
        false => format!("STALLED: one was last seen {seen} ago"),
    }
}

fn sources_text(sources: &[SourceStatus]) -> String {
    let heads = [
        "source",
        "vni",
        "packets",
        "bytes",
        "flows",
        "failed",
        "truncated",
    ];
    let mut table = vec![heads.map(str::to_owned)];
    let mut busiest: Vec<_> = sources.iter().collect();
    busiest.sort_by_key(|it| (std::cmp::Reverse(it.report.signals.packets), it.key()));
    for source in busiest {
        let signals = &source.report.signals;
        let counts = [
            signals.packets,
            source.bytes,
            signals.flows,
            signals.failed,
            signals.truncated,
        ];
        let [packets, bytes, flows, failed, cut] = counts.map(|it| HumanCount(it).to_string());
        let (address, vni) = (source.report.outer_ip, source.report.vni);
        table.push([
            address.to_string(),
            vni.to_string(),
            packets,
            bytes,
            flows,
            failed,
            cut,
        ]);
    }
    align(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits_them() {
        for (seconds, text) in [
            (0.0, "0 µs"),
            (0.000_042, "42 µs"),
            (0.001_5, "1.5 ms"),
            (61.25, "61.2 s"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_worker_that_hangs_shows() {
        let health = Health {
            healthy: false,
            heartbeat_seconds: 7.0,
        };
        let text = status_text(&Status::default(), &health);
        assert!(
            text.ends_with("workers    STALLED: one was last seen 7.0 s ago\n"),
            "{text}"
        );
    }
}
