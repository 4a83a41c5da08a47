//! All workers' news merged: the ledger as it stands, and what is told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use vxscope_account::{Row, Statement};
use vxscope_api::Snapshot;
use vxscope_capture::InterfaceDrops;
use vxscope_export::{Offered, SinkCount};
use vxscope_flow::{CloseReason, RingFill, StoreFill, Unstored, Untracked};
use vxscope_report::{
    CaptureStatus, EventKind, FULL_EVERY, FlowStatus, FrameStatus, PacketStatus, Reasons, Report,
    RingStatus, SCHEMA, SignalStatus, SinkStatus, SourceReport, SourceStatus, State, Status,
    StrayStatus, WorkerStatus,
};
use vxscope_units::{BindTable, MirrorSource, Timestamp};
use vxscope_wire::Reject;

use super::canaries::Canaries;
use super::latency::Latencies;
use super::news::News;
use super::shown::{duplicates, micros, reasons, sink, source_status};
use super::stages::Costs;
use crate::follower::Desk;
use crate::outlet::Lost;

/// What does not change during a run.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The sensor's name.
    pub(crate) sensor: String,
    /// When the run began.
    pub(crate) epoch: Timestamp,
    pub(crate) ring_bytes: u64,
    pub(crate) workers: usize,
    /// How it receives, once it does.
    pub(crate) capture: CaptureStatus,
    /// What the interface drops, if one is named.
    pub(crate) interface: Option<InterfaceDrops>,
    /// From the last word of the run before to this one, where there was one.
    pub(crate) down: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Account {
    about: About,
    desk: Arc<Desk>,
    state: State,
    workers: Vec<Latest>,
    merged: Statement,
    sources: BTreeMap<MirrorSource, Arc<SourceStatus>>,
    /// Sources that changed since the last report.
    changed: BTreeSet<MirrorSource>,
    latencies: Latencies,
    /// What is known of sources.
    table: Arc<BindTable>,
    seq: u64,
    /// Where the next report begins.
    from: Timestamp,
    /// Datagrams that the kernel had dropped there.
    dropped_before: u64,
    /// All ticks in which it dropped some.
    lossy: Duration,
    /// Where any are sent.
    canaries: Option<Canaries>,
}

/// What one worker told so far.
#[derive(Debug, Default)]
struct Latest {
    tick: u64,
    statement: Statement,
    status: WorkerStatus,
    look_back: [Option<Duration>; 2],
    ring_fill: RingFill,
    lost: Lost,
    costs: Costs,
}

impl Account {
    pub(crate) fn new(about: About, desk: Arc<Desk>) -> Self {
        let from = about.epoch;
        Self {
            workers: (0..about.workers).map(|_| Latest::default()).collect(),
            about,
            desk,
            state: State::Running,
            merged: Statement::default(),
            sources: BTreeMap::new(),
            changed: BTreeSet::new(),
            latencies: Latencies::new(),
            table: Arc::default(),
            seq: 0,
            from,
            dropped_before: 0,
            lossy: Duration::ZERO,
            canaries: None,
        }
    }

    /// Takes news over, and gives the box back empty.
    pub(super) fn handle(&mut self, mut news: Box<News>) -> Box<News> {
        self.latencies.merge(&news.latencies);
        news.latencies.clear();
        let Some(latest) = self.workers.get_mut(news.number) else {
            return news;
        };
        let (rows, overflow) = (take(&mut latest.statement.rows), latest.statement.overflow);
        latest.statement = Statement {
            rows,
            overflow,
            ..take(&mut news.statement)
        };
        for (source, row) in news.changes.drain(..) {
            match source {
                Some(source) => {
                    latest.statement.rows.insert(source, row);
                    self.changed.insert(source);
                }
                None => latest.statement.overflow = row,
            }
        }
        latest.tick = news.tick;
        latest.status = WorkerStatus {
            received: latest.statement.received,
            kernel_dropped: news.kernel_dropped,
            ticks_late: news.ticks_late,
        };
        (latest.look_back, latest.lost) = (news.look_back, news.lost);
        latest.costs = news.costs;
        latest.ring_fill = news.ring_fill;
        news
    }

    /// What is known of sources from now on; a new table changes every one of them.
    pub(super) fn know(&mut self, table: Arc<BindTable>) {
        if !Arc::ptr_eq(&self.table, &table) {
            self.table = table;
            self.changed.extend(self.sources.keys());
        }
    }

    /// Canaries are sent from now on.
    pub(crate) fn keep_canaries(&mut self, canaries: Option<Canaries>) {
        self.canaries = canaries;
    }

    /// A tick: sends those that are due to known sources that are not lowered.
    pub(super) fn send_canaries(
        &mut self,
        now: Timestamp,
        is_lowered: &dyn Fn(MirrorSource) -> bool,
    ) {
        let (table, state) = (&self.table, self.state);
        if let (Some(canaries), State::Running) = (&mut self.canaries, state) {
            let is_mirrored = |source| table.find(source).is_some() && !is_lowered(source);
            let changed = canaries.tick(now, &self.merged.rows, is_mirrored);
            self.changed.extend(changed);
        }
    }

    /// From now on the run is stopping.
    pub(super) fn stop(&mut self) {
        self.state = State::Stopping;
    }

    /// How the run receives.
    pub(crate) fn receive_by(&mut self, capture: CaptureStatus) {
        self.about.capture = capture;
    }

    /// The tick that all workers have told of.
    pub(super) fn told(&self) -> u64 {
        self.workers.iter().map(|it| it.tick).min().unwrap_or(0)
    }

    /// The ledger as of the last snapshot.
    pub(super) fn statement(&self) -> &Statement {
        &self.merged
    }

    /// Datagrams that the kernel dropped.
    pub(super) fn kernel_dropped(&self) -> u64 {
        self.workers.iter().map(|it| it.status.kernel_dropped).sum()
    }

    /// How everything stands; with a report, the ones that changed count as told.
    pub(crate) fn snapshot(
        &mut self,
        now: Timestamp,
        elapsed: Duration,
        written: &[(String, Offered, SinkCount)],
        with_report: bool,
    ) -> Snapshot {
        self.merge();
        let report = with_report.then(|| self.report(now));
        let mut status = self.status(now, elapsed);
        status.sinks = self.sinks(written);
        self.complete(status, report)
    }

    /// The last snapshot, by what the run ended with: all sources are in its report.
    pub(crate) fn conclude(
        &mut self,
        now: Timestamp,
        elapsed: Duration,
        ended: &Statement,
        sinks: &BTreeMap<String, SinkCount>,
    ) -> Snapshot {
        self.state = State::Stopped;
        self.merged = ended.clone();
        self.changed = ended.rows.keys().copied().collect();
        self.show_changed();
        let report = Report {
            full: true,
            sources: self.reported(now, true),
            ..self.report(now)
        };
        let mut status = self.status(now, elapsed);
        status.sinks = sinks.iter().map(|(name, it)| sink(name, it)).collect();
        self.complete(status, Some(report))
    }

    /// Adds the lists.
    fn complete(&self, mut status: Status, report: Option<Report>) -> Snapshot {
        let came_twice = self.desk.duplicates.as_ref();
        let came_twice = came_twice.map(|tally| duplicates(&tally.summary()));
        let (totals, duplicate_pairs) = came_twice.unzip();
        status.duplicates = totals;
        Snapshot {
            status,
            sources: self.sources.values().cloned().collect(),
            duplicate_pairs: duplicate_pairs.unwrap_or_default(),
            report,
        }
    }

    /// Adds the workers up. Rows that did not change stay as they are.
    fn merge(&mut self) {
        let rows = take(&mut self.merged.rows);
        self.merged = Statement::default();
        for worker in &mut self.workers {
            let theirs = take(&mut worker.statement.rows);
            self.merged.merge(&worker.statement);
            worker.statement.rows = theirs;
        }
        self.merged.rows = rows;
        for source in &self.changed {
            let theirs = self.workers.iter();
            let theirs = theirs.filter_map(|it| it.statement.rows.get(source));
            let sum = theirs.fold(None, |sum: Option<Row>, row| {
                let mut sum = sum.unwrap_or_default();
                sum.merge(row);
                Some(sum)
            });
            self.merged.rows.extend(sum.map(|sum| (*source, sum)));
        }
        self.show_changed();
    }

    fn show_changed(&mut self) {
        let book = self.desk.book();
        // A fact may come later than the last packet of its flow.
        self.changed.extend(book.news());
        // Of a source that has sent nothing to this run there is an alert to tell, and no row.
        let nothing = Row::default();
        for source in &self.changed {
            let row = self.merged.rows.get(source).unwrap_or(&nothing);
            let events = book.events(*source).without_lists();
            let binding = self.table.find(*source);
            let mut shown = source_status(*source, binding, row, events);
            let canaries = self.canaries.as_ref();
            shown.report.signals.canary = canaries.and_then(|it| it.of(*source, row));
            let shown = Arc::new(shown);
            let alerts = shown.report.signals.events[EventKind::Alert.index()];
            if row.packets == 0 && alerts == 0 {
                continue;
            }
            if self.sources.insert(*source, shown).is_none() {
                self.desk.see(*source);
            }
        }
    }

    /// Counts the tick that ends now if packets were lost in it.
    fn note_loss(&mut self, now: Timestamp) {
        let dropped = self.kernel_dropped();
        if dropped > self.dropped_before {
            let nanos = now.as_nanos().saturating_sub(self.from.as_nanos());
            self.lossy += Duration::from_nanos(nanos);
            self.dropped_before = dropped;
        }
    }

    fn blind_seconds(&self) -> BTreeMap<String, f64> {
        let causes = [("sensor_down", self.about.down), ("loss", self.lossy)];
        let seconds = causes.map(|(cause, time)| (cause.to_owned(), time.as_secs_f64()));
        seconds.into()
    }

    fn report(&mut self, now: Timestamp) -> Report {
        self.note_loss(now);
        let full = self.seq.is_multiple_of(FULL_EVERY);
        let report = Report {
            schema: SCHEMA,
            sensor: self.about.sensor.clone(),
            epoch: micros(self.about.epoch),
            seq: self.seq,
            from: micros(self.from),
            to: micros(now),
            received: self.merged.received,
            kernel_dropped: self.kernel_dropped(),
            sources: self.reported(now, full),
            full,
        };
        self.changed.clear();
        self.seq += 1;
        self.from = now;
        report
    }

    fn reported(&self, now: Timestamp, full: bool) -> Vec<SourceReport> {
        let mut book = self.desk.book();
        if full {
            book.tick(now);
        }
        let report = |(source, shown): (&MirrorSource, &Arc<SourceStatus>)| {
            let mut report = shown.report.clone();
            if self.changed.contains(source) {
                book.take_lists(*source).put_into(&mut report.signals);
            }
            report
        };
        if full {
            return self.sources.iter().map(report).collect();
        }
        let changed = self.changed.iter();
        let changed = changed.filter_map(|it| self.sources.get_key_value(it));
        changed.map(report).collect()
    }

    fn status(&self, now: Timestamp, elapsed: Duration) -> Status {
        let (merged, totals) = (&self.merged, self.merged.totals());
        let [head_seconds, tail_seconds] = self.look_back();
        Status {
            state: self.state,
            seq: self.seq.saturating_sub(1),
            time: micros(now),
            elapsed_seconds: elapsed.as_secs_f64(),
            capture: CaptureStatus {
                interface_dropped: self
                    .about
                    .interface
                    .as_ref()
                    .and_then(InterfaceDrops::count),
                ..self.about.capture.clone()
            },
            packets: PacketStatus {
                received: merged.received,
                received_bytes: merged.received_bytes,
                decapsulated: merged.decapsulated,
                rejected: reasons::<Reject, _>(&merged.rejected),
                tracked: totals.tracked,
                untracked: reasons::<Untracked, _>(&totals.untracked),
                kernel_dropped: self.kernel_dropped(),
            },
            rings: RingStatus {
                bytes: self.about.ring_bytes,
                used: self.stores(|store| store.used),
                sizes: self.stores(|store| store.size),
                stored: totals.stored,
                unstored: reasons::<Unstored, _>(&totals.unstored),
                head_seconds,
                tail_seconds,
            },
            frames: FrameStatus {
                bytes: totals.bytes,
                ip_bytes: totals.ip_bytes,
                truncated: totals.truncated,
                non_ip: totals.non_ip,
                fragments: totals.fragments(),
                overflow: merged.overflow.packets,
            },
            strays: StrayStatus {
                sent: merged.strays.sent,
                received: merged.strays.received,
                shed: merged.strays.shed,
            },
            flows: FlowStatus {
                opened: totals.flows,
                open: totals.flows.saturating_sub(totals.closed.sum()),
                closed: reasons::<CloseReason, _>(&totals.closed),
            },
            signals: self.signals(),
            look_back: self.desk.look_back.read(),
            detectors: self.desk.detectors.read(),
            sources: self.sources.len() as u64,
            workers: self.workers.iter().map(|it| it.status).collect(),
            latency: self.latencies.status(),
            stages: self.costs().status(),
            blind_seconds: self.blind_seconds(),
            ..Status::new(
                self.about.sensor.clone(),
                env!("CARGO_PKG_VERSION").to_owned(),
                micros(self.about.epoch),
            )
        }
    }

    /// Bytes of all workers' rings, by store.
    fn stores(&self, of: fn(StoreFill) -> u64) -> Reasons {
        let sum = |store: fn(&RingFill) -> StoreFill| {
            let fills = self.workers.iter().map(|it| of(store(&it.ring_fill)));
            fills.sum::<u64>()
        };
        let stores = [
            ("head", sum(|fill| fill.head)),
            ("tail", sum(|fill| fill.tail)),
            ("private", sum(|fill| fill.private)),
        ];
        let named = stores.map(|(name, bytes)| (name.to_owned(), bytes));
        named.into()
    }

    fn costs(&self) -> Costs {
        let mut costs = Costs::default();
        self.workers.iter().for_each(|it| costs.merge(&it.costs));
        costs
    }

    fn signals(&self) -> SignalStatus {
        let book = self.desk.book();
        let saturated = self.sources.values();
        let saturated = saturated.filter(|it| it.report.signals.saturated);
        SignalStatus {
            facts_shed: self.workers.iter().map(|it| it.lost.facts).sum(),
            facts_unheld: book.unheld(),
            saturated_sources: saturated.count() as u64,
            memory_bytes: book.memory_bytes(),
            alerts: self.desk.alerts.counts(),
            canaries: self.canary_counts(),
        }
    }

    fn canary_counts(&self) -> Reasons {
        let (sent, missed) = self.canaries.as_ref().map_or((0, 0), Canaries::counts);
        let returned = self.merged.totals().untracked.get(Untracked::Canary);
        let counts = [("sent", sent), ("returned", returned), ("missed", missed)];
        counts.map(|(what, count)| (what.to_owned(), count)).into()
    }

    /// What can be promised for every worker: the shortest, in seconds.
    fn look_back(&self) -> [Option<f64>; 2] {
        let shortest = |log: usize| {
            let each = self.workers.iter().filter_map(|it| it.look_back[log]);
            each.min().map(|span| span.as_secs_f64())
        };
        [shortest(0), shortest(1)]
    }

    /// What the writer counted, and what did not get to it.
    fn sinks(&self, written: &[(String, Offered, SinkCount)]) -> BTreeMap<String, SinkStatus> {
        let all = written.iter().map(|(name, offered, count)| {
            let mut count = *count;
            for worker in &self.workers {
                count.merge(&worker.lost.of(*offered));
            }
            sink(name, &count)
        });
        all.collect()
    }
}
