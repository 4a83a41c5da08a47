//! What a run tells while it goes on: a few lines at the start, and on a terminal a live table.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::HumanCount;
use vxscope_config::LogFormat;
use vxscope_engine::{
    Backend, Commands, Inherited, Live, Observer, Outcome, Started, Status, Steered,
};
use vxscope_log::{Limit, TOLD, Verdict};
use vxscope_steward::{Decided, Notice};
use vxscope_units::ByteSize;

use crate::mirroring::Mirroring;
use crate::service::{self, Service};
use crate::table::{Room, Table};

/// Where a terminal does not say how large it is.
const ROOM: Room = Room {
    columns: 80,
    lines: 24,
};
const LABEL: usize = 10;

/// Standard error, and what stands there.
#[derive(Debug)]
pub(crate) struct Screen {
    live: Live,
    table: Table,
    lines: usize,
    mirroring: Option<Mirroring>,
    service: Service,
    /// Asked for by SIGHUP.
    reload: Option<Arc<AtomicBool>>,
    commands: Option<Commands>,
    begun: Instant,
    /// Of warnings, by their words: an interface that comes and goes says the same each second.
    limit: Limit<String>,
}

impl Screen {
    #[expect(clippy::disallowed_methods, reason = "the clock of the screen")]
    pub(crate) fn new(live: &Live) -> Self {
        Self {
            live: live.clone(),
            table: Table::default(),
            lines: 0,
            mirroring: None,
            service: Service::default(),
            reload: None,
            commands: None,
            begun: Instant::now(),
            limit: Limit::default(),
        }
    }

    /// Looks at the files of the mirrors' rules once a second, too.
    pub(crate) fn watch(&mut self, mirroring: Option<Mirroring>) {
        self.mirroring = mirroring;
    }

    /// Tells a service manager how it goes, and reads the configuration again when it asks.
    pub(crate) fn serve(&mut self, service: Service, hangup: Arc<AtomicBool>) {
        self.service = service;
        self.reload = Some(hangup);
    }

    /// The run ends.
    pub(crate) fn stopping(&self) {
        self.service.tell("STOPPING=1");
    }

    /// Whether lines are for programs: then nothing but the log is on standard error.
    fn logs(&self) -> bool {
        self.live.config.log.format == LogFormat::Json
    }

    /// Something to know.
    fn say(&mut self, what: &str) {
        match self.logs() {
            true => tracing::info!(target: TOLD, "{what}"),
            false => {
                self.clear();
                show(&format!("{what}\n"));
            }
        }
    }

    /// Takes the live table away.
    pub(crate) fn clear(&mut self) {
        if self.lines > 0 {
            show(&format!("\x1b[{}A\x1b[J", self.lines));
            self.lines = 0;
        }
    }
}

impl Screen {
    /// A decision about a mirror, as a line above the table.
    pub(crate) fn tell(&mut self, notice: &Notice) {
        let says = match notice.decided {
            Decided::Granted(_) | Decided::Refused(..) | Decided::Forced { .. } => true,
            Decided::Imagined(_) | Decided::Alerted { .. } => true,
            Decided::Effective(_) => !notice.is_enrolment(),
            Decided::Kept(_) => false,
        };
        if says {
            self.clear();
            let time = notice.at.to_string();
            let time = time.get(11..21).unwrap_or_default();
            show(&format!("{time} {}\n", notice.sentence()));
        }
    }
}

impl Observer for Screen {
    fn take_held(&mut self) -> Vec<(String, OwnedFd)> {
        self.service.take_held()
    }

    fn release_held(&mut self) {
        self.say("the sockets of the run before are not what is configured now; they are closed");
        self.service.release();
    }

    fn hold(&mut self, name: &str, socket: BorrowedFd<'_>) -> bool {
        self.service.hold(name, socket)
    }

    fn handle_start(&mut self, started: &Started) {
        self.table = Table::new(started.commands.bind_table());
        match self.logs() {
            true => log_start(&self.live, started),
            false => show(&banner(&self.live, started)),
        }
        self.commands = Some(started.commands.clone());
        if self.reload.is_some() && self.live.config.security.seal {
            for open in service::seal() {
                self.handle_warning(&open);
            }
        }
        self.service.tell("READY=1\nSTATUS=receiving");
    }

    fn handle_waiting(&mut self, why: &str) {
        self.say(why);
    }

    fn handle_warning(&mut self, warning: &str) {
        let verdict = self.limit.observe(warning.to_owned(), self.begun.elapsed());
        let Verdict::Write {
            left_out,
            elsewhere,
        } = verdict
        else {
            return;
        };
        let mut warning = warning.to_owned();
        if left_out > 0 {
            let _ = write!(warning, " (said {left_out} times more)");
        }
        if elsewhere > 0 {
            let _ = write!(warning, " ({elsewhere} other warnings were left out)");
        }
        match self.logs() {
            true => tracing::warn!(target: TOLD, "{warning}"),
            false => {
                self.clear();
                show(&self::warning(&warning));
            }
        }
    }

    fn handle_look(&mut self, heartbeat_age: Duration) {
        self.service.beat(heartbeat_age);
        if let (Some(hangup), Some(reread), Some(commands)) =
            (&self.reload, &self.live.reread, &self.commands)
            && hangup.swap(false, Ordering::Relaxed)
        {
            let said = reread.run(commands).unwrap_or_else(|refused| refused);
            self.say(&format!("reload: {said}"));
        }
    }

    fn handle_notice(&mut self, notice: &Notice) {
        if io::stderr().is_terminal() && !self.logs() {
            self.tell(notice);
        }
    }

    fn handle_status(&mut self, status: &Status) {
        let said = self.mirroring.as_mut().map(Mirroring::look);
        for line in said.into_iter().flatten() {
            self.say(&line);
        }
        if io::stderr().is_terminal() && !self.logs() {
            let text = self.table.render(status, room());
            // In one write, so that nobody sees the old table go before the new one comes.
            let back = match self.lines {
                0 => String::new(),
                lines => format!("\x1b[{lines}A\x1b[J"),
            };
            self.lines = text.lines().count();
            show(&format!("{back}{text}"));
        }
    }
}

/// What runs, where it listens, what it reserved, where it writes, and what to do about less
/// than was asked for.
fn banner(live: &Live, started: &Started) -> String {
    let mut text = format!(
        "vxscope {}: a VXLAN sensor for AWS VPC Traffic Mirroring\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:LABEL$}{value}");
    };
    for (number, listening) in started.listening.iter().enumerate() {
        line(if number == 0 { "listening" } else { "" }, listening);
    }
    if let Some(interface) = &live.interface {
        line("", &format!("only what comes through {interface}"));
    }
    for (number, answering) in started.answering.iter().enumerate() {
        line(if number == 0 { "answering" } else { "" }, answering);
    }
    let plan = &started.plan;
    let (workers, ports) = (plan.workers.get(), started.listening.len());
    let steered = match workers {
        1 => "1 worker".to_owned(),
        _ => format!(
            "{workers} workers, a flow stays on one: {}",
            steered(started)
        ),
    };
    let buffers = match started.backend {
        Backend::Udp => u64::from(workers) * ports as u64,
        Backend::PacketRing => u64::from(workers),
    };
    line("receive", &format!("{}, {steered}", way(started.backend)));
    if let Some(declined) = &started.declined {
        line("", &format!("no packet ring: {declined}"));
    }
    if let Some(inherited) = &started.inherited {
        line("", &took_over(inherited));
    }
    line(
        "memory",
        &format!(
            "rings {}, flow tables up to {} for {} flows,",
            ByteSize::bytes(plan.ring_bytes()),
            mebibytes(plan.table_bytes()),
            HumanCount(plan.limits.flows_max as u64 * u64::from(workers)),
        ),
    );
    let buffer = live.config.capture.receive_buffer;
    line("", &format!("receive buffers {buffers} x {buffer}"));
    let kinds: Vec<String> = live
        .config
        .export
        .kinds
        .iter()
        .map(ToString::to_string)
        .collect();
    let kinds = match kinds.as_slice() {
        [] => "the summary alone".to_owned(),
        kinds => kinds.join(", "),
    };
    line("writing", &format!("{kinds} to {}", live.out.display()));
    for warning in &started.warnings {
        text.push_str(&self::warning(warning));
    }
    text.push_str("interrupt (Ctrl-C) to stop in order, twice to stop at once\n");
    text
}

/// What the banner says, for programs.
fn log_start(live: &Live, started: &Started) {
    let kinds = live.config.export.kinds.iter();
    let kinds: Vec<String> = kinds.map(ToString::to_string).collect();
    tracing::info!(
        target: TOLD,
        version = env!("CARGO_PKG_VERSION"),
        listening = started.listening.join(", "),
        answering = started.answering.join(", "),
        interface = live.interface.as_deref(),
        receive = way(started.backend),
        workers = started.plan.workers.get(),
        ring_bytes = started.plan.ring_bytes(),
        writing = kinds.join(", "),
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

fn room() -> Room {
    Term::stderr()
        .size_checked()
        .map_or(ROOM, |(lines, columns)| Room {
            // The last column and line would make the terminal scroll.
            columns: usize::from(columns).saturating_sub(1),
            lines: usize::from(lines).saturating_sub(1),
        })
}

/// A line that somebody should see. A journal gets its priority with it, as `sd-daemon(3)` has it.
fn warning(text: &str) -> String {
    let has_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal();
    let priority = if has_journal { "<4>" } else { "" };
    format!("{priority}warning: {text}\n")
}

/// Who cannot be told is not told; the run goes on.
fn show(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
