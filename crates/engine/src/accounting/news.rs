//! From a worker to the accounting stage: boxes that go there with news and come back empty.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_account::{Row, Statement};
use vxscope_capture::live::{LiveBatch, LiveError, LiveSource};
use vxscope_flow::RingFill;
use vxscope_units::MirrorSource;

use super::latency::Latencies;
use super::pulse::Pulse;
use super::stages::{Costs, Stages};
use super::tick_at;
use crate::clock;
use crate::outlet::Lost;
use crate::worker::Worker;

/// Boxes of each worker: one under way, one being emptied. A worker without a box at a tick goes
/// on, counts the tick as late, and tells everything at the next.
const BOXES: usize = 2;

/// What changed at one worker since it last told; counters are cumulative, latencies are not.
#[derive(Debug)]
pub(super) struct News {
    pub(super) number: usize,
    pub(super) tick: u64,
    /// What is not counted by source.
    pub(super) statement: Statement,
    /// Rows that changed; the `None` is that of all sources beyond the limit.
    pub(super) changes: Vec<(Option<MirrorSource>, Row)>,
    pub(super) latencies: Latencies,
    pub(super) kernel_dropped: u64,
    pub(super) ticks_late: u64,
    pub(super) look_back: [Option<Duration>; 2],
    pub(super) ring_fill: RingFill,
    pub(super) lost: Lost,
    pub(super) costs: Costs,
}

/// The stage's end of the line from all workers.
pub(crate) struct Line {
    pub(super) news: Receiver<Box<News>>,
    returns: Vec<Sender<Box<News>>>,
}

impl Line {
    /// There is room for every box, and a worker that is gone needs none.
    pub(super) fn give_back(&self, empty: Box<News>) {
        if let Some(worker) = self.returns.get(empty.number) {
            let _ = worker.try_send(empty);
        }
    }
}

/// One worker's end: tells at each tick, and gives signs of life in between.
pub(crate) struct Teller {
    number: usize,
    interval: Duration,
    pulse: Arc<Pulse>,
    sender: Sender<Box<News>>,
    boxes: Receiver<Box<News>>,
    latencies: Latencies,
    /// The worker's stopwatch.
    pub(crate) stages: Stages,
    told: u64,
    /// When the next tick is due.
    next: Duration,
    ticks_late: u64,
}

/// The line, and the end of each worker.
pub(crate) fn connect(
    workers: usize,
    interval: Duration,
    pulse: &Arc<Pulse>,
) -> (Line, Vec<Teller>) {
    // One more for each: what is told at the end finds room whatever the stage does.
    let (sender, news) = bounded(workers * (BOXES + 1));
    let mut returns = Vec::new();
    let mut tellers = Vec::new();
    for number in 0..workers {
        let (empty, boxes) = bounded(BOXES);
        for _ in 0..BOXES {
            let _ = empty.try_send(Box::new(News::new(number)));
        }
        returns.push(empty);
        tellers.push(Teller {
            number,
            interval,
            pulse: pulse.clone(),
            sender: sender.clone(),
            boxes,
            latencies: Latencies::new(),
            stages: Stages::new(pulse.clock()),
            told: 0,
            next: interval,
            ticks_late: 0,
        });
    }
    (Line { news, returns }, tellers)
}

impl Teller {
    /// A batch is in the ledger. The kernel stamps by the wall clock, so that is read here.
    #[inline]
    pub(crate) fn measure(&mut self, batch: &LiveBatch<'_>) {
        let Some(oldest) = batch.oldest() else {
            return;
        };
        let nanos = clock::wall().nanos_since(oldest);
        self.latencies.record(nanos, batch.len() as u64);
    }

    /// The worker came round. If a tick passed, tells what changed.
    ///
    /// # Errors
    /// The kernel does not say what it dropped.
    #[inline]
    pub(crate) fn beat(
        &mut self,
        elapsed: Duration,
        worker: &mut Worker,
        source: &mut LiveSource,
    ) -> Result<(), LiveError> {
        self.pulse.beat(self.number, elapsed);
        if elapsed >= self.next {
            self.tick(elapsed, worker, source)?;
        }
        Ok(())
    }

    #[cold]
    fn tick(
        &mut self,
        elapsed: Duration,
        worker: &mut Worker,
        source: &mut LiveSource,
    ) -> Result<(), LiveError> {
        self.told = tick_at(elapsed, self.interval);
        let next = self.interval.as_nanos() * (u128::from(self.told) + 1);
        self.next = Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX));
        match self.boxes.try_recv() {
            Ok(news) => self.tell(news, worker, source.dropped()?),
            Err(_) => self.ticks_late += 1,
        }
        Ok(())
    }

    /// Tells what changed since the last tick; the worker handles nothing more.
    pub(crate) fn end(&mut self, worker: &mut Worker, kernel_dropped: u64) {
        let news = self.boxes.try_recv();
        let news = news.unwrap_or_else(|_| Box::new(News::new(self.number)));
        self.tell(news, worker, kernel_dropped);
    }

    fn tell(&mut self, mut news: Box<News>, worker: &mut Worker, kernel_dropped: u64) {
        std::mem::swap(&mut news.latencies, &mut self.latencies);
        news.statement = worker.take_changes(&mut news.changes);
        news.tick = self.told;
        news.kernel_dropped = kernel_dropped;
        news.ticks_late = self.ticks_late;
        news.look_back = worker.look_back();
        news.ring_fill = worker.ring_fill();
        news.lost = worker.lost();
        news.costs = self.stages.costs();
        // There is room for every box, and the stage lives as long as its workers.
        let _ = self.sender.try_send(news);
    }
}

impl News {
    fn new(number: usize) -> Self {
        Self {
            number,
            tick: 0,
            statement: Statement::default(),
            changes: Vec::new(),
            latencies: Latencies::new(),
            kernel_dropped: 0,
            ticks_late: 0,
            look_back: [None; 2],
            ring_fill: RingFill::default(),
            lost: Lost::default(),
            costs: Costs::default(),
        }
    }
}
