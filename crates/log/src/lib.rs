//! Log lines on standard error: text for people, or one JSON object a line for programs.
//!
//! What packets do is counted, not logged. What is logged could still repeat: each place in the
//! program writes at most [`LINES_MAX`] lines a minute, and the next line that it may write says
//! how many were left out. What an operator has to be told ([`TOLD`]) is never left out.
//!
//! ```
//! let format = vxscope_log::Format::Json;
//! vxscope_log::start(format, "warn");
//! tracing::warn!(disk = "/var", "no room");
//! // {"timestamp":"…","level":"WARN","target":"…","message":"no room","fields":{"disk":"/var"}}
//! ```

mod limit;
mod line;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};
use vxscope_units::Timestamp;

pub use limit::{LINES_MAX, Limit, PERIOD, Verdict};
use line::Line;

/// Chooses what is logged, as in `VXSCOPE_LOG=debug`.
pub const VARIABLE: &str = "VXSCOPE_LOG";

/// The target of what an operator has to be told: a start and what came of it, the answer to a
/// reload, an end. Many matters share few places in the program there, so none is left out; whoever
/// logs to it asks a [`Limit`] first where something could repeat itself.
pub const TOLD: &str = "vxscope::run";

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Time, level, place, message, fields.
    #[default]
    Text,
    /// One object: `timestamp`, `level`, `target`, `message`, `fields`; `left_out` if lines were.
    Json,
}

/// From now on everything that is logged goes to standard error. `usual` is the filter where
/// [`VARIABLE`] says nothing. A second call in a process changes nothing.
pub fn start(format: Format, usual: &str) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let log = Log {
        format,
        has_journal: std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal(),
        begun: now(),
        limit: Mutex::default(),
    };
    let _ = registry().with(log.with_filter(filter)).try_init();
}

/// Nothing is left out.
const WHOLE: Verdict = Verdict::Write {
    left_out: 0,
    elsewhere: 0,
};

/// Where lines are made.
struct Log {
    format: Format,
    /// Whether a line begins with its priority, as `sd-daemon(3)` has it; a journal takes it off.
    has_journal: bool,
    begun: Instant,
    limit: Mutex<Limit>,
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let verdict = match *metadata.level() {
            // Whoever asked for these wants all of them.
            Level::DEBUG | Level::TRACE => WHOLE,
            _ if metadata.target() == TOLD => WHOLE,
            Level::ERROR | Level::WARN | Level::INFO => {
                let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
                limit.observe(metadata.callsite(), self.begun.elapsed())
            }
        };
        let Verdict::Write {
            left_out,
            elsewhere,
        } = verdict
        else {
            return;
        };
        let line = Line::new(wall(), event, left_out + elsewhere);
        let text = match self.format {
            Format::Text => line.text(),
            Format::Json => line.json(),
        };
        let priority = match self.has_journal {
            true => line::priority(metadata.level()),
            false => "",
        };
        // In one write, so that lines of two threads do not mix. Who cannot be told is not.
        let _ = io::stderr()
            .lock()
            .write_all(format!("{priority}{text}\n").as_bytes());
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of the log")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the clock of the log")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
