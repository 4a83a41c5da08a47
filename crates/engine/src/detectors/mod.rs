//! Intrusion detectors: their alerts are followed, find their flow and source, save the packets
//! from before, pin the flow, and are told to whoever looks after the mirrors.
//!
//! ```text
//!  eve.json, notice.log, socket ─> reader: lines, malformed counted ─queue─> saver: flow, source,
//!                                   rate limited, the rest shed               pin, capture, event
//! ```

mod counts;
mod follow;
mod saver;
mod socket;
mod tenants;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, TrySendError, bounded};
use vxscope_alert::{Alert, Line, Malformed, eve, notice};
use vxscope_config::Detectors as Settings;

use crate::clock::LiveClock;
use crate::error::EngineError;
use crate::start;
pub(crate) use counts::{Counts, Outcome};
use follow::Follow;
pub(crate) use saver::Saver;
use socket::Socket;
pub(crate) use tenants::Tenants;

/// How often files and sockets are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Alerts that wait to be saved; further ones are shed.
const QUEUE: usize = 256;

/// An alert on its way to the saver, and where it was read.
pub(crate) type Heard = (Box<Alert>, &'static str);

/// The threads; they end with the run.
#[derive(Debug)]
pub(crate) struct Detectors(Arc<AtomicBool>);

impl Detectors {
    /// Starts to follow what is configured; nothing is started where nothing is.
    ///
    /// # Errors
    /// A socket cannot be made, or a thread.
    pub(crate) fn start(
        settings: &Settings,
        clock: LiveClock,
        saver: Saver,
    ) -> Result<Self, EngineError> {
        let ended = Arc::new(AtomicBool::new(false));
        let mut feeds = Vec::new();
        if !settings.eve.is_empty() {
            feeds.push(Feed::new(
                Input::File(Follow::new(&settings.eve)),
                Format::Eve,
                "eve",
            ));
        }
        if !settings.eve_socket.is_empty() {
            let socket = Socket::open(Path::new(&settings.eve_socket))?;
            feeds.push(Feed::new(Input::Socket(socket), Format::Eve, "eve_socket"));
        }
        if !settings.zeek_notice.is_empty() {
            let format = Format::Notice(notice::Reader::default());
            let file = Follow::new(&settings.zeek_notice);
            feeds.push(Feed::new(Input::File(file), format, "zeek_notice"));
        }
        if feeds.is_empty() {
            return Ok(Self(ended));
        }
        let (queue, heard) = bounded(QUEUE);
        let desk = Reading {
            counts: saver.counts.clone(),
            bucket: Bucket::new(settings.alerts_per_minute),
            clock,
            queue,
            tell: saver.clone(),
        };
        let stop = ended.clone();
        start::detach("detectors", move || desk.run(feeds, &stop))?;
        start::detach("alerts", move || {
            while let Ok((alert, feed)) = heard.recv() {
                saver.save(&alert, feed);
            }
        })?;
        Ok(Self(ended))
    }

    /// The run ends; what is read from now on finds nobody.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

enum Input {
    File(Follow),
    Socket(Socket),
}

enum Format {
    Eve,
    Notice(notice::Reader),
}

struct Feed {
    input: Input,
    format: Format,
    name: &'static str,
}

impl Feed {
    const fn new(input: Input, format: Format, name: &'static str) -> Self {
        Self {
            input,
            format,
            name,
        }
    }
}

impl Format {
    fn read(&mut self, line: &[u8]) -> Result<Line, Malformed> {
        match self {
            Self::Eve => eve::read(line),
            Self::Notice(reader) => reader.read(line),
        }
    }
}

/// The reader's thread.
struct Reading {
    counts: Arc<Counts>,
    bucket: Bucket,
    clock: LiveClock,
    queue: Sender<Heard>,
    tell: Saver,
}

impl Reading {
    fn run(mut self, mut feeds: Vec<Feed>, ended: &AtomicBool) {
        // Nobody sends: this is a sleep that reads no clock.
        let (_keep, never) = bounded::<()>(0);
        while !ended.load(Ordering::Relaxed) {
            for feed in &mut feeds {
                self.look(feed);
            }
            if let Err(RecvTimeoutError::Disconnected) = never.recv_timeout(LOOK_EVERY) {
                return;
            }
        }
    }

    fn look(&mut self, feed: &mut Feed) {
        let Feed {
            input,
            format,
            name,
        } = feed;
        let mut take = |line: Result<&[u8], Malformed>| match line.and_then(|it| format.read(it)) {
            Ok(Line::Other) => {}
            Ok(Line::Alert(alert)) => self.hear(alert, name),
            Err(why) => self.counts.malformed(why),
        };
        let looked = match input {
            Input::File(file) => file.poll(&mut take),
            Input::Socket(socket) => socket.poll(&mut take),
        };
        if looked.is_err() {
            self.counts.add(Outcome::Unreadable);
        }
    }

    fn hear(&mut self, alert: Box<Alert>, feed: &'static str) {
        self.counts.add(Outcome::Heard);
        let allowed = self.bucket.allow(self.clock.elapsed());
        let shed = match allowed {
            true => match self.queue.try_send((alert, feed)) {
                Ok(()) => return,
                Err(TrySendError::Full(shed) | TrySendError::Disconnected(shed)) => shed.0,
            },
            false => alert,
        };
        // Its packets are not saved; that it happened is told all the same.
        self.counts.add(Outcome::Shed);
        self.tell.tell_of_shed(&shed);
    }
}

/// A token bucket of one minute's alerts.
#[derive(Debug)]
struct Bucket {
    per_minute: u64,
    /// In 60,000ths of an alert, what a millisecond gives at one a minute.
    left: u64,
    filled: Duration,
}

const WHOLE: u64 = 60_000;

impl Bucket {
    fn new(per_minute: u32) -> Self {
        let per_minute = u64::from(per_minute);
        Self {
            per_minute,
            left: per_minute * WHOLE,
            filled: Duration::ZERO,
        }
    }

    fn allow(&mut self, elapsed: Duration) -> bool {
        let since = elapsed.saturating_sub(self.filled);
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            let more = millis.saturating_mul(self.per_minute);
            self.left = self.left.saturating_add(more).min(self.per_minute * WHOLE);
            self.filled = elapsed;
        }
        match self.left.checked_sub(WHOLE) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_alerts_and_no_more() {
        let mut bucket = Bucket::new(60);
        let mut taken = |at| (0..1_000).filter(|_| bucket.allow(at)).count();
        assert_eq!(taken(Duration::ZERO), 60);
        assert_eq!(taken(Duration::from_millis(999)), 0);
        assert_eq!(taken(Duration::from_secs(10)), 10);
        assert_eq!(taken(Duration::from_secs(1_000)), 60);
    }
}
