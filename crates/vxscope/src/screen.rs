//! What a run tells while it goes on: a few lines at the start, and on a terminal a live table.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use console::Term;
use vxscope_config::LogFormat;
use vxscope_engine::{Commands, Live, Observer, Started, Status};
use vxscope_log::{Limit, TOLD, Verdict};
use vxscope_steward::{Decided, Notice};

use crate::banner::{banner, log_start};
use crate::mirroring::Mirroring;
use crate::service::{self, Service};
use crate::table::{Room, Table};

/// Where a terminal does not say how large it is.
const ROOM: Room = Room {
    columns: 80,
    lines: 24,
};

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
pub(crate) fn warning(text: &str) -> String {
    let has_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal();
    let priority = if has_journal { "<4>" } else { "" };
    format!("{priority}warning: {text}\n")
}

/// Who cannot be told is not told; the run goes on.
fn show(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
