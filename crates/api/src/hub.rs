//! Between the sensor and those who ask: the latest snapshot, and a short backlog of reports.
//!
//! Whoever publishes never waits: a snapshot replaces the one before, and of the backlog the
//! oldest report, which followers that were too slow find missing and counted.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::command::{Command, Done};
use crate::coverage::CoverageSearch;
use crate::decisions::{DecisionBook, Told};
use crate::flow_search::FlowSearch;
use crate::history::History;
use crate::http::EVENT_CLIENTS_MAX;
use crate::look_back::{Answer, Asker, EXTRACTIONS_MAX, LookBackRequest, Refusal, hold};
use crate::metrics::Format;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use vxscope_report::{
    DuplicatePairStatus, FlowPage, MirrorRow, MirrorStatus, Oversight, Report, SourceStatus, Status,
};

/// Reports kept for followers that are behind. One that is further behind misses the oldest; its
/// next line says how many in `skipped`.
pub const BACKLOG: usize = 8;

/// How long the sensor may take for a command; then the client is told that it is not known
/// whether it was taken.
const COMMAND_MAX: Duration = Duration::from_secs(5);

/// The same for packets of the past; a search through all flows takes part of a second.
const LOOK_BACK_MAX: Duration = Duration::from_secs(15);

/// Large requests at a time: what they hold is bounded by so many of the largest. A further one
/// is refused.
pub(crate) const LARGE_REQUESTS_MAX: usize = 2;

/// Who reads the journal of coverage at a time: it is a file of a month. A further one is refused.
const JOURNAL_READERS_MAX: usize = 1;

/// The sensor, as far as it can be asked directly.
pub trait Sensor: Send + Sync + 'static {
    /// How long ago the worker that is furthest behind was last seen at work.
    fn heartbeat_age(&self) -> Duration;

    /// Does what a client of the control socket commands. May take a while; other clients are
    /// served meanwhile.
    ///
    /// # Errors
    /// Why it is not done, for people.
    fn handle(&self, command: Command) -> Result<Done, String>;

    /// How the mirrors stand. May take a while, as [`Self::handle`] may.
    ///
    /// # Errors
    /// Why nobody knows, for people.
    fn mirrors(&self) -> Result<MirrorStatus, String>;

    /// Flows that have ended, the latest first. Takes no longer than looking at all of them.
    fn flows(&self, _search: &FlowSearch) -> FlowPage {
        FlowPage::default()
    }

    /// What of a source was seen when, as JSON. May take a while, as [`Self::handle`] may.
    ///
    /// # Errors
    /// Why nobody knows; by default because nobody writes it down.
    fn coverage(&self, _search: &CoverageSearch) -> Result<serde_json::Value, Refusal> {
        Err(Refusal::not_found("no coverage is written down here"))
    }

    /// Gives packets of the past, or pins them. May take a while, as [`Self::handle`] may.
    ///
    /// # Errors
    /// Why not; by default because no packets are kept.
    fn look_back(&self, _request: LookBackRequest, _asker: Asker) -> Result<Answer, Refusal> {
        Err(Refusal::failed("no packets are kept here"))
    }
}

/// Whether a sensor's workers work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Whether every worker was seen at work within [`HEARTBEAT_MAX`].
    pub healthy: bool,
    /// How long ago that was with the one that is furthest behind.
    pub heartbeat_seconds: f64,
}

/// A worker comes round in 20 ms, also without traffic and under any load. One that does not for
/// so long hangs, and a load balancer should send its traffic elsewhere.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

impl Health {
    pub(crate) fn json(&self) -> Bytes {
        json(self)
    }
}

/// How a sensor stands at a tick.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Everything but the sources.
    pub status: Status,
    /// All sources, by address and VNI.
    pub sources: Vec<Arc<SourceStatus>>,
    /// Pairs of sources that mirror the same packets, the busiest first.
    pub duplicate_pairs: Vec<DuplicatePairStatus>,
    /// What changed since the report before, if a report is due.
    pub report: Option<Report>,
}

/// Where the sensor publishes. Clones are the same hub.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(crate) shared: Arc<Shared>,
}

impl Hub {
    /// Makes this what everybody sees from now on, and tells followers of the report.
    pub fn publish(&self, snapshot: Snapshot) {
        let has_report = snapshot.report.is_some();
        if has_report {
            let (time, sources) = (snapshot.status.time, &snapshot.sources);
            self.shared.history().record(time, sources);
        }
        let shown = Arc::new(Shown::new(snapshot));
        self.shared.replace(shown.clone());
        if has_report {
            // Without followers nobody misses it.
            let _ = self.shared.reports.send(shown);
        }
    }

    /// Makes this what everybody sees of the mirrors from now on.
    pub fn oversee(&self, oversight: Oversight) {
        let overseen = Arc::new(Overseen::new(oversight));
        let mut latest = lock(&self.shared.oversight);
        *latest = overseen;
    }

    /// Something was decided about a mirror.
    pub fn tell(&self, told: Told) {
        self.shared.decisions.tell(told);
    }

    /// Ends the server: followers get what is in the backlog, and everybody is disconnected.
    pub fn close(&self) {
        self.shared.closed.send_replace(true);
    }
}

/// What hub and server share.
pub(crate) struct Shared {
    sensor: Arc<dyn Sensor>,
    latest: Mutex<Arc<Shown>>,
    reports: broadcast::Sender<Arc<Shown>>,
    closed: watch::Sender<bool>,
    pub(crate) counters: Counters,
    /// Who reads a large request.
    pub(crate) large: Semaphore,
    /// Who follows events over HTTP.
    pub(crate) event_clients: Arc<Semaphore>,
    pub(crate) decisions: DecisionBook,
    history: Mutex<History>,
    oversight: Mutex<Arc<Overseen>>,
    /// Who looks back.
    looking_back: Arc<Semaphore>,
    /// Who reads the journal of coverage.
    reading_journal: Arc<Semaphore>,
}

/// An answer and its captures, which keep their place until they are taken.
pub(crate) struct Given {
    pub(crate) answer: Answer,
    pub(crate) captures: Vec<Bytes>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(sensor: Arc<dyn Sensor>) -> Self {
        Self {
            sensor,
            latest: Mutex::default(),
            reports: broadcast::Sender::new(BACKLOG),
            closed: watch::Sender::new(false),
            counters: Counters::default(),
            large: Semaphore::new(LARGE_REQUESTS_MAX),
            event_clients: Arc::new(Semaphore::new(EVENT_CLIENTS_MAX)),
            decisions: DecisionBook::new(),
            history: Mutex::default(),
            oversight: Mutex::new(Arc::new(Overseen::new(Oversight::default()))),
            looking_back: Arc::new(Semaphore::new(EXTRACTIONS_MAX)),
            reading_journal: Arc::new(Semaphore::new(JOURNAL_READERS_MAX)),
        }
    }

    pub(crate) fn sensor(&self) -> &dyn Sensor {
        &*self.sensor
    }

    /// How much each source sent lately. Held for a moment, by the API's thread and the one that
    /// publishes.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// How the mirrors stand.
    pub(crate) fn oversight(&self) -> Arc<Overseen> {
        lock(&self.oversight).clone()
    }

    pub(crate) fn health(&self) -> Health {
        let age = self.sensor.heartbeat_age();
        Health {
            healthy: age < HEARTBEAT_MAX,
            heartbeat_seconds: age.as_secs_f64(),
        }
    }

    /// Lets the sensor do what is commanded, on a thread that may wait.
    pub(crate) async fn command(self: &Arc<Self>, command: Command) -> Result<Bytes, String> {
        self.ask(|sensor| sensor.handle(command).map(|done| json(&done)))
            .await
    }

    /// Asks the sensor how its mirrors stand.
    pub(crate) async fn mirrors(self: &Arc<Self>) -> Result<Bytes, String> {
        self.ask(|sensor| sensor.mirrors().map(|status| json(&status)))
            .await
    }

    /// Asks the sensor for packets of the past, or to keep some.
    pub(crate) async fn look_back(
        self: &Arc<Self>,
        request: LookBackRequest,
        asker: Asker,
    ) -> Result<Given, Refusal> {
        let Ok(permit) = self.looking_back.clone().try_acquire_owned() else {
            return Err(Refusal::busy(format!(
                "{EXTRACTIONS_MAX} others look back already; try again"
            )));
        };
        let shared = self.clone();
        let done = spawn_blocking(move || {
            let mut answer = shared.sensor.look_back(request, asker)?;
            let captures = hold(std::mem::take(&mut answer.captures), permit);
            Ok(Given { answer, captures })
        });
        match timeout(LOOK_BACK_MAX, done).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Refusal::failed("the sensor did not answer in time")),
        }
    }

    /// Asks the sensor what of a source was seen when.
    pub(crate) async fn coverage(
        self: &Arc<Self>,
        search: CoverageSearch,
    ) -> Result<Bytes, Refusal> {
        let Ok(permit) = self.reading_journal.clone().try_acquire_owned() else {
            return Err(Refusal::busy("somebody else reads the journal; try again"));
        };
        let shared = self.clone();
        let done = spawn_blocking(move || {
            let found = shared.sensor.coverage(&search);
            drop(permit);
            found.map(|found| json(&found))
        });
        match timeout(LOOK_BACK_MAX, done).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Refusal::failed("the journal was not read in time")),
        }
    }

    async fn ask(
        self: &Arc<Self>,
        ask: impl FnOnce(&dyn Sensor) -> Result<Bytes, String> + Send + 'static,
    ) -> Result<Bytes, String> {
        let shared = self.clone();
        let done = spawn_blocking(move || ask(&*shared.sensor));
        match timeout(COMMAND_MAX, done).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err("the sensor did not take it in time".to_owned()),
        }
    }

    fn replace(&self, shown: Arc<Shown>) {
        *lock(&self.latest) = shown;
    }

    pub(crate) fn latest(&self) -> Arc<Shown> {
        lock(&self.latest).clone()
    }

    /// Every report from the next on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Shown>> {
        self.reports.subscribe()
    }

    /// Returns once the hub is closed.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

/// What clients did, since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) control: Door,
    pub(crate) http: Door,
    /// The listener for load balancers.
    pub(crate) health: Door,
    /// Requests over HTTP without the token or the scope that they need.
    pub(crate) denied: AtomicU64,
    /// Reports that followers missed.
    pub(crate) skipped: AtomicU64,
}

/// What clients of one listener did.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// Connected now.
    pub(crate) clients: AtomicU64,
    /// Turned away because there were too many.
    pub(crate) refused: AtomicU64,
    /// Lost their place to somebody else while they asked for nothing.
    pub(crate) evicted: AtomicU64,
    /// Requests that were answered, errors included.
    pub(crate) requests: AtomicU64,
    /// Did not speak TLS where it is spoken, or not as it is.
    pub(crate) strangers: AtomicU64,
    /// Disconnected because they did not get on.
    pub(crate) stalled: AtomicU64,
}

/// One more, for a number that nobody needs in step with another.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the mirrors stand, and what that looks like without each of them.
#[derive(Debug)]
pub(crate) struct Overseen {
    pub(crate) oversight: Oversight,
    pub(crate) totals: Bytes,
}

impl Overseen {
    /// Mirrors are put in order, so that one can be found.
    fn new(mut oversight: Oversight) -> Self {
        oversight.mirrors.sort_by_key(MirrorRow::key);
        let mut totals = serde_json::json!(oversight);
        if let serde_json::Value::Object(fields) = &mut totals {
            fields.remove("mirrors");
        }
        Self {
            oversight,
            totals: json(&totals),
        }
    }

    /// The mirror of a source, if somebody looks after it.
    pub(crate) fn find(&self, source: (IpAddr, u32)) -> Option<&MirrorRow> {
        let mirrors = &self.oversight.mirrors;
        let place = mirrors.binary_search_by_key(&source, MirrorRow::key);
        place.ok().and_then(|place| mirrors.get(place))
    }
}

/// A snapshot, and what it looks like once somebody asked: made once for all who ask.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) snapshot: Snapshot,
    status: OnceLock<Bytes>,
    sources: OnceLock<Bytes>,
    report: OnceLock<Bytes>,
    /// By format.
    metrics: [OnceLock<Bytes>; 2],
}

impl Shown {
    fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            ..Self::default()
        }
    }

    /// The status as JSON.
    pub(crate) fn status(&self) -> Bytes {
        let make = || json(&self.snapshot.status);
        self.status.get_or_init(make).clone()
    }

    /// All sources as a JSON array.
    pub(crate) fn sources(&self) -> Bytes {
        let make = || {
            let sources = self.snapshot.sources.iter();
            json(&sources.map(AsRef::as_ref).collect::<Vec<&SourceStatus>>())
        };
        self.sources.get_or_init(make).clone()
    }

    /// The metrics in this format, made by `make` the first time.
    pub(crate) fn metrics(&self, format: Format, make: impl FnOnce() -> Bytes) -> Bytes {
        let [prometheus, open_metrics] = &self.metrics;
        let made = match format {
            Format::Prometheus => prometheus,
            Format::OpenMetrics => open_metrics,
        };
        made.get_or_init(make).clone()
    }

    /// The report as JSON; `null` if there is none.
    pub(crate) fn report(&self) -> Bytes {
        let make = || json(&self.snapshot.report);
        self.report.get_or_init(make).clone()
    }
}

/// Our own words have string keys and finite numbers, so this does not fail; if it did, `null`
/// says that nothing is known.
pub(crate) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from)
}
