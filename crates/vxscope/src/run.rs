//! `vxscope run`: mirrored traffic from the network, until interrupted.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use indicatif::{HumanCount, HumanFloatCount};
use vxscope_account::Statement;
use vxscope_engine::{Live, Observer, Started, Status};
use vxscope_units::MirrorSource;

use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::replay::{conclude, failure};
use crate::report::{align, report};
use crate::{configuration, print, signal};

/// Most sources in the live table.
const SOURCES_SHOWN: usize = 15;

/// Receives until SIGINT or SIGTERM, then prints the result.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let stop = signal::stop()?;
    let live = Live {
        config: configuration::with_options(&arguments.options)?,
        address: arguments.listen.ip(),
        vxlan_port: Some(arguments.listen.port()),
        interface: arguments.interface.clone(),
        out: arguments.out.clone(),
    };
    let mut screen = Screen::default();
    let outcome =
        vxscope_engine::run(&live, &stop, &mut screen).map_err(|error| failure(&error))?;
    screen.clear();
    print(&report(&outcome, &live.out, false))?;
    conclude(outcome)
}

/// What is told while it runs: a few lines at the start, and on a terminal a live table.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    lines: usize,
    before: Option<Status>,
}

impl Observer for Screen {
    fn handle_start(&mut self, started: &Started) {
        let mut text = format!("vxscope {}: {}\n", env!("CARGO_PKG_VERSION"), started.plan);
        for line in &started.listening {
            let _ = writeln!(text, "listening for {line}");
        }
        for warning in &started.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text.push_str("interrupt (Ctrl-C) to stop\n");
        show(&text);
    }

    fn handle_waiting(&mut self, why: &str) {
        show(&format!("{why}\n"));
    }

    fn handle_warning(&mut self, warning: &str) {
        self.clear();
        show(&format!("warning: {warning}\n"));
    }

    fn handle_status(&mut self, status: &Status) {
        if io::stderr().is_terminal() {
            let text = self.table(status);
            self.clear();
            self.lines = text.lines().count();
            show(&text);
        }
        self.before = Some(status.clone());
    }
}

impl Screen {
    /// Takes the live table away.
    pub(crate) fn clear(&mut self) {
        if self.lines > 0 {
            show(&format!("\x1b[{}A\x1b[J", self.lines));
            self.lines = 0;
        }
    }

    /// The busiest sources and their rates since the second before.
    fn table(&self, status: &Status) -> String {
        let mut rows: Vec<_> = status.statement.rows.iter().collect();
        rows.sort_by_key(|(source, row)| (std::cmp::Reverse(row.packets), **source));
        let seconds = self.before.as_ref().map_or(status.elapsed, |before| {
            status.elapsed.saturating_sub(before.elapsed)
        });
        let per_second = |count: u64| count as f64 / seconds.as_secs_f64().max(0.001);
        let heads = ["source", "vni", "packets", "packets/s", "Mbit/s", "flows"];
        let mut table = vec![heads.map(str::to_owned)];
        for (source, row) in rows.iter().take(SOURCES_SHOWN) {
            let (packets, bytes) = self.counts_before(source);
            let megabits = per_second(row.bytes.saturating_sub(bytes)) * 8.0 / 1e6;
            table.push([
                source.address.to_string(),
                source.vni.to_string(),
                HumanCount(row.packets).to_string(),
                HumanFloatCount(per_second(row.packets.saturating_sub(packets)).round())
                    .to_string(),
                format!("{megabits:.1}"),
                HumanCount(row.flows).to_string(),
            ]);
        }
        let mut text = align(&table);
        let _ = writeln!(text, "{}", totals(&status.statement, status.kernel_dropped));
        text
    }

    fn counts_before(&self, source: &MirrorSource) -> (u64, u64) {
        let before = self.before.as_ref();
        let row = before.and_then(|before| before.statement.rows.get(source));
        row.map_or((0, 0), |row| (row.packets, row.bytes))
    }
}

fn totals(statement: &Statement, kernel_dropped: u64) -> String {
    let totals = statement.totals();
    format!(
        "{} sources, {} received, {} rejected, {} flows, {} dropped by the kernel",
        statement.rows.len(),
        HumanCount(statement.received),
        HumanCount(statement.rejected.sum()),
        HumanCount(totals.flows),
        HumanCount(kernel_dropped),
    )
}

/// Who cannot be told is not told; the run goes on.
fn show(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
