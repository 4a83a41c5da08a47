//! What a run says before the first packet and at its end: a banner for people, objects for
//! programs.

use std::fmt::Write as _;
use std::path::Path;

use indicatif::HumanCount;
use vxscope_engine::{Backend, Inherited, Live, Outcome, Started, Steered};
use vxscope_log::TOLD;
use vxscope_units::ByteSize;

use crate::screen::warning;

const LABEL: usize = 10;

/// What runs, where it listens, what it reserved, where it writes, and what to do about less
/// than was asked for.
pub(crate) fn banner(live: &Live, started: &Started) -> String {
    let mut text = format!(
        "vxscope {}: a VXLAN sensor for AWS VPC Traffic Mirroring\n",
        env!("CARGO_PKG_VERSION")
    );
    let interface = live.interface.iter();
    let interface = interface.map(|it| format!("only what comes through {it}"));
    let listening = started.listening.iter().cloned().chain(interface);
    let rows = rows("listening", listening)
        .chain(rows("answering", started.answering.iter().cloned()))
        .chain(rows("receive", receive(started)))
        .chain(rows("memory", memory(live, started)))
        .chain(rows("writing", [writing(live)]));
    for (label, value) in rows {
        let _ = writeln!(text, "  {label:LABEL$}{value}");
    }
    text.extend(started.warnings.iter().map(|it| warning(it)));
    text.push_str("interrupt (Ctrl-C) to stop in order, twice to stop at once\n");
    text
}

/// Lines of which the first has a label.
fn rows(
    label: &'static str,
    values: impl IntoIterator<Item = String>,
) -> impl Iterator<Item = (&'static str, String)> {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(values)
}

fn receive(started: &Started) -> Vec<String> {
    let steered = match started.plan.workers.get() {
        1 => "1 worker".to_owned(),
        workers => format!(
            "{workers} workers, a flow stays on one: {}",
            steered(started)
        ),
    };
    let mut lines = vec![format!("{}, {steered}", way(started.backend))];
    let declined = started.declined.iter();
    lines.extend(declined.map(|it| format!("no packet ring: {it}")));
    lines.extend(started.inherited.iter().map(took_over));
    lines
}

fn memory(live: &Live, started: &Started) -> [String; 2] {
    let plan = &started.plan;
    let (workers, ports) = (u64::from(plan.workers.get()), started.listening.len());
    let buffers = match started.backend {
        Backend::Udp => workers * ports as u64,
        Backend::PacketRing => workers,
    };
    let buffer = live.config.capture.receive_buffer;
    [
        format!(
            "rings {}, flow tables up to {} for {} flows,",
            ByteSize::bytes(plan.ring_bytes()),
            mebibytes(plan.table_bytes()),
            HumanCount(plan.limits.flows_max as u64 * workers),
        ),
        format!("receive buffers {buffers} x {buffer}"),
    ]
}

fn writing(live: &Live) -> String {
    let kinds = match kinds(live) {
        none if none.is_empty() => "the summary alone".to_owned(),
        kinds => kinds,
    };
    format!("{kinds} to {}", live.out.display())
}

fn kinds(live: &Live) -> String {
    let kinds = live.config.export.kinds.iter();
    let kinds: Vec<String> = kinds.map(ToString::to_string).collect();
    kinds.join(", ")
}

/// What the banner says, for programs.
pub(crate) fn log_start(live: &Live, started: &Started) {
    tracing::info!(
        target: TOLD,
        version = env!("CARGO_PKG_VERSION"),
        listening = started.listening.join(", "),
        answering = started.answering.join(", "),
        interface = live.interface.as_deref(),
        receive = way(started.backend),
        workers = started.plan.workers.get(),
        ring_bytes = started.plan.ring_bytes(),
        writing = kinds(live),
        out = %live.out.display(),
        took_over = started.inherited.as_ref().map(took_over),
        no_packet_ring = started.declined,
        steered = started.steered.as_ref().map(Steered::name),
        no_ebpf = started.steered.as_ref().and_then(Steered::declined),
        "receiving"
    );
    for warning in &started.warnings {
        tracing::warn!(target: TOLD, "{warning}");
    }
}

/// What datagrams come through.
const fn way(backend: Backend) -> &'static str {
    match backend {
        Backend::Udp => "UDP sockets in batches",
        Backend::PacketRing => "packet rings",
    }
}

/// The end of a run, for programs. `summary.json` has the rest.
pub(crate) fn log_end(outcome: &Outcome, out: &Path) {
    let summary = &outcome.summary;
    tracing::info!(
        target: TOLD,
        received = summary.packets.received,
        kernel_dropped = summary.packets.kernel_dropped,
        decapsulated = summary.packets.decapsulated,
        seconds = summary.elapsed_seconds,
        is_balanced = outcome.unbalanced.is_empty(),
        out = %out.display(),
        "ended"
    );
    for warning in &summary.warnings {
        tracing::warn!(target: TOLD, "{warning}");
    }
}

fn steered(started: &Started) -> String {
    let by = "steered by the kernel";
    match &started.steered {
        None => by.to_owned(),
        Some(steered) => match steered.declined() {
            None => format!("{by}, {}", steered.name()),
            Some(declined) => format!("{by}, {}; no ebpf: {declined}", steered.name()),
        },
    }
}

fn took_over(inherited: &Inherited) -> String {
    let Inherited {
        sockets,
        waiting_bytes,
        dropped,
    } = inherited;
    let waiting = ByteSize::kib(waiting_bytes.div_ceil(1 << 10));
    format!(
        "{sockets} sockets of the run before, in which {waiting} waited; \
         dropped there so far: {dropped}"
    )
}

fn mebibytes(bytes: u64) -> ByteSize {
    ByteSize::mib(bytes.div_ceil(1 << 20))
}
