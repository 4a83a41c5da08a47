//! Replay: captures in, outputs out. Every worker walks every record and takes its own.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_account::{Ledger, Statement};
use vxscope_capture::{Batch, Block, CaptureError, Input, Walk};
use vxscope_config::{Config, ExportKind};
use vxscope_export::{
    CHUNK_BYTES, ConnLog, DecapWriter, EveLog, EveOptions, FrameChunk, OutputDir, Overlap, Summary,
    VlanMode,
};
use vxscope_flow::{CommunityId, Flows, Fragments, Sources};
use vxscope_wire::steer::Steering;

use crate::clock::Stopwatch;
use crate::error::EngineError;
use crate::outlet::{Outlet, Wanted, Wishes};
use crate::plan::Plan;
use crate::summary::{self, Finished};
use crate::worker::{Role, Worker, WorkerReport};
use crate::writer::{self, Line, Sinks};

/// Empty chunks that each worker owns. Two would do; more ride out a slow disk.
const CHUNKS: usize = 8;
/// Deliveries under way from one worker.
const DELIVERIES: usize = 8;
/// Blocks of a stream that a worker may be behind.
const BLOCKS: usize = 4;
/// Batches between two looks at the progress bar.
const PROGRESS_EVERY: u64 = 256;

/// What to replay, and where to.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Everything that can be configured.
    pub config: Config,
    /// Captures, in order; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// The folder of the outputs; made if it is not there.
    pub out: PathBuf,
    /// Take records as frames of one source instead of opening tunnels.
    pub bare: bool,
    /// Flows whose packets are wanted.
    pub extract: Vec<Extract>,
}

/// A flow to extract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extract {
    /// Every flow with this Community ID, whatever its source.
    CommunityId(CommunityId),
    /// The flow with this id.
    Flow(u64),
}

impl FromStr for Extract {
    type Err = String;

    /// `community-id=1:…` or `flow=<number>`, as in `eve.json`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, value) = text.split_once('=').unwrap_or((text, ""));
        match kind {
            "community-id" => value.parse().map(Self::CommunityId).map_err(|_| {
                format!("\"{value}\" is not a Community ID v1; it looks like 1:wCb3OG7yAFWelaUydu0D+125CLM=")
            }),
            "flow" => value.parse().map(Self::Flow).map_err(|_| {
                format!("\"{value}\" is not a flow id; take the number flow_id of eve.json")
            }),
            _ => Err(format!("\"{text}\" names no flow; write community-id=1:… or flow=<flow_id>")),
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes of the inputs that were walked.
    pub bytes: u64,
    /// Bytes of all inputs, if known.
    pub bytes_total: Option<u64>,
    /// Records that were walked.
    pub packets: u64,
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// As in `summary.json`.
    pub summary: Summary,
    /// The ledger by source.
    pub statement: Statement,
    /// Laws of the ledger that do not hold; none in a sound sensor.
    pub unbalanced: Vec<String>,
    /// Files that could not be written, as sentences.
    pub sink_errors: Vec<String>,
    /// How many flows were extracted, and how many of them whole.
    pub extracted: Option<(usize, usize)>,
    /// What was reserved.
    pub plan: Plan,
    /// The most index entries one insertion had to look at: far above 50, somebody collides hashes.
    pub longest_probe: usize,
    /// How far the head logs and the tail logs reached back at the end, in every worker; `None`
    /// where nothing was stored.
    pub look_back: [Option<Duration>; 2],
}

impl Outcome {
    /// Whether everything was read, written and balances.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.summary.input.error.is_none()
            && self.unbalanced.is_empty()
            && self.sink_errors.is_empty()
    }
}

/// Runs a replay to its end. A malformed capture ends the input; everything before it is
/// processed and written, and the error is part of the outcome.
///
/// # Errors
/// The inputs cannot be opened, memory cannot be reserved, or outputs cannot be made.
pub fn replay(
    replay: &Replay,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Outcome, EngineError> {
    let stopwatch = Stopwatch::start();
    let plan = Plan::try_new(&replay.config)?;
    let inputs = open(&replay.inputs)?;
    let sinks = sinks(replay)?;
    let dir = sinks.dir.clone();
    let (lines, outlets) = connect(replay, &plan);
    let workers = outlets
        .into_iter()
        .enumerate()
        .map(|(number, outlet)| worker(number, replay.bare, &plan, outlet))
        .collect::<Result<Vec<_>, _>>()?;
    let bytes_total = inputs.iter().map(Input::total_bytes).sum();
    let progress = |bytes, packets| {
        progress(Progress {
            bytes,
            bytes_total,
            packets,
        })
    };
    let (written, walked) = std::thread::scope(|scope| {
        let writer = spawn(scope, "writer", move || writer::write(&lines, sinks))?;
        let walked = walk(inputs, workers, &progress)?;
        Ok::<_, EngineError>((join(writer), walked))
    })?;
    let finished = Finished {
        walked,
        written,
        elapsed: stopwatch.elapsed(),
    };
    summary::conclude(&dir, plan, finished)
}

/// What all workers found, and where reading ended early.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) reports: Vec<WorkerReport>,
    pub(crate) error: Option<CaptureError>,
}

fn open(paths: &[PathBuf]) -> Result<Vec<Input>, EngineError> {
    if paths.is_empty() {
        return Err(EngineError::NoInput);
    }
    Ok(paths
        .iter()
        .map(|path| vxscope_capture::open(path))
        .collect::<Result<_, _>>()?)
}

fn sinks(replay: &Replay) -> Result<Sinks, EngineError> {
    let dir = OutputDir::create(&replay.out)?;
    dir.remove_stale()?;
    let export = &replay.config.export;
    let mode = writer::vlan_mode(export.decap.vlan);
    let wants = |kind| export.kinds.contains(&kind);
    let decap = wants(ExportKind::Decap)
        .then(|| DecapWriter::create(&dir, mode))
        .transpose()?;
    let options = EveOptions {
        strict: export.eve.strict,
    };
    Ok(Sinks {
        eve: wants(ExportKind::Eve)
            .then(|| EveLog::create(&dir, options))
            .transpose()?,
        conn_log: wants(ExportKind::ConnLog)
            .then(|| ConnLog::create(&dir))
            .transpose()?,
        overlap: (decap.is_some() && mode != VlanMode::Map).then(|| Overlap::new(mode)),
        extract: !replay.extract.is_empty(),
        decap,
        dir,
    })
}

/// The lines between workers and writer.
fn connect(replay: &Replay, plan: &Plan) -> (Vec<Line>, Vec<Outlet>) {
    let kinds = &replay.config.export.kinds;
    let mut wanted = Wanted::default();
    for extract in &replay.extract {
        match extract {
            Extract::CommunityId(id) => wanted.communities.push(*id),
            Extract::Flow(id) => _ = wanted.flows.insert(*id),
        }
    }
    let wishes = Wishes {
        frames: kinds.contains(&ExportKind::Decap),
        // Frames alone need them, too: overlaps are found in flow records.
        records: !kinds.is_empty(),
        extract: Arc::new(wanted),
        alone: plan.workers.get() == 1,
    };
    let lines = (0..plan.workers.get()).map(|_| {
        let (sender, deliveries) = bounded(DELIVERIES);
        let (pool, chunks) = bounded(CHUNKS);
        for _ in 0..if wishes.frames { CHUNKS } else { 0 } {
            // The queue is as long as there are chunks, so none is refused.
            let _ = pool.try_send(FrameChunk::with_capacity(CHUNK_BYTES));
        }
        (
            Line { deliveries, pool },
            Outlet::new(wishes.clone(), sender, chunks),
        )
    });
    lines.unzip()
}

fn worker(number: usize, bare: bool, plan: &Plan, outlet: Outlet) -> Result<Worker, EngineError> {
    let limits = plan.limits;
    let role = Role {
        number,
        steering: Steering::new(plan.steering_seed, plan.workers),
        options: plan.options,
        bare,
    };
    let flows = Flows::try_new(limits).map_err(EngineError::Memory)?;
    Ok(Worker::new(
        role,
        usize::from(plan.workers.get()),
        Sources::new(limits.sources_max, limits.hash_seed),
        Fragments::new(plan.fragments_max, limits.hash_seed),
        flows,
        Ledger::new(limits.sources_max),
        outlet,
    ))
}

/// All workers over all inputs. With one worker, and for files, nobody hands blocks around.
fn walk(
    inputs: Vec<Input>,
    mut workers: Vec<Worker>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Walked, EngineError> {
    let names: Vec<Walk> = inputs.iter().map(Input::walk).collect();
    if workers.len() == 1
        && let Some(worker) = workers.pop()
    {
        let feed = Feed::Own(inputs.into_iter());
        let (report, error) = work(worker, names, feed, Some(progress));
        return Ok(Walked {
            reports: vec![report],
            error,
        });
    }
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        let mut threads = Vec::new();
        for (number, worker) in workers.into_iter().enumerate() {
            let (sender, blocks) = bounded(BLOCKS);
            senders.push(sender);
            let names = names.clone();
            let progress = (number == 0).then_some(progress);
            let feed = Feed::Shared(blocks);
            let name = format!("worker-{number}");
            threads.push(spawn(scope, &name, move || {
                work(worker, names, feed, progress)
            })?);
        }
        let read_error = publish(inputs, &senders);
        drop(senders);
        let (reports, errors): (Vec<_>, Vec<_>) = threads.into_iter().map(join).unzip();
        // All workers walk the same bytes and stop at the same place.
        let error = errors.into_iter().flatten().next().or(read_error);
        Ok(Walked { reports, error })
    })
}

/// A block of one of the inputs.
type Shared = (usize, Arc<Block>);

/// Gives every worker every block, until the inputs end or all workers have stopped.
fn publish(inputs: Vec<Input>, workers: &[Sender<Shared>]) -> Option<CaptureError> {
    for (number, mut input) in inputs.into_iter().enumerate() {
        loop {
            match input.next_block() {
                Ok(Some(block)) => {
                    let sent = workers
                        .iter()
                        .filter(|w| w.send((number, block.clone())).is_ok());
                    if sent.count() == 0 {
                        return None;
                    }
                }
                Ok(None) => break,
                Err(error) => return Some(error),
            }
        }
    }
    None
}

/// Where a worker's blocks come from.
enum Feed {
    Own(std::vec::IntoIter<Input>),
    Shared(Receiver<Shared>),
}

/// One worker over all blocks, up to the end or the first error.
fn work(
    mut worker: Worker,
    mut walks: Vec<Walk>,
    feed: Feed,
    progress: Option<&(dyn Fn(u64, u64) + Sync)>,
) -> (WorkerReport, Option<CaptureError>) {
    let mut meter = Meter {
        progress,
        batches: 0,
        bytes_before: 0,
        packets_before: 0,
    };
    let error = match feed {
        Feed::Own(inputs) => inputs
            .zip(&mut walks)
            .try_for_each(|(mut input, walk)| {
                while let Some(block) = input.next_block()? {
                    walk_block(&mut worker, walk, &block, &mut meter)?;
                }
                meter.next_input(walk);
                Ok(())
            })
            .err(),
        Feed::Shared(blocks) => blocks
            .iter()
            .try_for_each(|(number, block)| {
                let Some(walk) = walks.get_mut(number) else {
                    return Ok(());
                };
                walk_block(&mut worker, walk, &block, &mut meter)?;
                if block.is_last() {
                    meter.next_input(walk);
                }
                Ok(())
            })
            .err(),
    };
    (worker.finish(), error)
}

fn walk_block(
    worker: &mut Worker,
    walk: &mut Walk,
    block: &Block,
    meter: &mut Meter<'_>,
) -> Result<(), CaptureError> {
    let mut batch = Batch::new();
    while walk.fill(block, &mut batch)? > 0 {
        worker.handle(batch.records(), walk.ahead(block));
        meter.count(walk);
    }
    Ok(())
}

/// Tells now and then how far the first worker is.
struct Meter<'a> {
    progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    batches: u64,
    bytes_before: u64,
    packets_before: u64,
}

impl Meter<'_> {
    #[inline]
    fn count(&mut self, walk: &Walk) {
        self.batches += 1;
        if self.batches.is_multiple_of(PROGRESS_EVERY)
            && let Some(progress) = self.progress
        {
            let bytes = self.bytes_before + walk.offset();
            progress(bytes, self.packets_before + walk.records_walked());
        }
    }

    fn next_input(&mut self, walk: &Walk) {
        self.bytes_before += walk.offset();
        self.packets_before += walk.records_walked();
    }
}

fn spawn<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, EngineError> {
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, body)
        .map_err(EngineError::Thread)
}

/// A panic in a thread is a defect; it goes on in whoever waits.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
