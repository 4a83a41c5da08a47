//! Replay: captures in, outputs out. Every worker walks every record and takes its own.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_account::Statement;
use vxscope_capture::{Batch, Block, CaptureError, Input, Walk};
use vxscope_config::Config;
use vxscope_export::Summary;
use vxscope_flow::{Admission, CommunityId};

use crate::clock::Stopwatch;
use crate::error::EngineError;
use crate::outlet::Wanted;
use crate::plan::{self, Plan};
use crate::start::{self, Takes, join, spawn};
use crate::summary::{self, Finished, Kernel};
use crate::worker::{Worker, WorkerReport};
use crate::writer;

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
#[derive(Clone, Debug)]
pub struct Outcome {
    /// As in `summary.json`.
    pub summary: Summary,
    /// The ledger by source.
    pub statement: Statement,
    /// Laws of the ledger that do not hold; none in a sound sensor.
    pub unbalanced: Vec<String>,
    /// Files that could not be written, as sentences.
    pub sink_errors: Vec<String>,
    /// What a live run gave up because the stop had to end, as sentences.
    pub cut: Vec<String>,
    /// How many flows were extracted, and how many of them whole.
    pub extracted: Option<(usize, usize)>,
    /// What was reserved.
    pub plan: Plan,
    /// The most index entries one insertion had to look at: far above 50, somebody collides hashes.
    pub longest_probe: usize,
    /// Datagrams that came before the sockets were open or while they were being shut: never
    /// received, and not lost by being too slow. 0 in a replay.
    pub kernel_refused: u64,
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
            && self.cut.is_empty()
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
    // Bare frames come from no mirror source that could be known.
    let admission = if replay.bare {
        Admission::default()
    } else {
        plan::admission(&replay.config)?
    };
    let desk = plan.desk(&replay.config, replay.config.seed)?;
    let opened = open(&replay.inputs);
    // After the inputs are open, because one may lie in the output folder; before the first
    // error is returned, so that no earlier run's outputs pass for this one's.
    let sinks = start::sinks(
        &replay.config,
        start::folder(&replay.out)?,
        &desk,
        !replay.extract.is_empty(),
        None,
        &[],
    )?;
    let inputs = opened?;
    let dir = sinks.dir.clone();
    let wishes = start::wishes(&replay.config, Arc::new(wanted(&replay.extract)));
    let itself = start::writes_itself(&replay.config);
    let chunks = start::chunks(&replay.config, itself);
    let (mut lines, mut outlets) = start::connect(&wishes, &plan, chunks);
    let sinks = if itself {
        start::hand_over(sinks, &mut lines, &mut outlets);
        None
    } else {
        Some(sinks)
    };
    let takes = if replay.bare {
        Takes::OwnBare
    } else {
        Takes::Own
    };
    let payloads = plan::payloads(&replay.config)?;
    let workers = start::workers(&plan, takes, (&admission, &payloads), &desk, outlets)?;
    let bytes_total = inputs.iter().map(Input::total_bytes).sum();
    let progress = |bytes, packets| {
        progress(Progress {
            bytes,
            bytes_total,
            packets,
        })
    };
    let mut closed = Vec::new();
    let (written, walked) = match sinks {
        Some(sinks) => std::thread::scope(|scope| {
            let write = || writer::write(&lines, sinks, &mut |outcome| closed.push(outcome));
            let writer = spawn(scope, "writer", write)?;
            let walked = walk(inputs, workers, &progress)?;
            Ok::<_, EngineError>((join(writer), walked))
        })?,
        None => {
            let mut walked = walk(inputs, workers, &progress)?;
            let writer = walked.reports.first_mut().and_then(|it| it.writer.take());
            let written = writer.map(|it| it.finish(&mut |outcome| closed.push(outcome)));
            (written.unwrap_or_default(), walked)
        }
    };
    let finished = Finished {
        walked,
        written,
        closed,
        left: Vec::new(),
        elapsed: stopwatch.elapsed(),
        kernel: Kernel::default(),
        table: admission.table,
        desk,
    };
    let ended = summary::conclude(plan, finished);
    ended.write(&dir)?;
    Ok(ended.outcome)
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

/// The flows whose packets are wanted.
fn wanted(extract: &[Extract]) -> Wanted {
    let mut wanted = Wanted::default();
    for extract in extract {
        match extract {
            Extract::CommunityId(id) => wanted.communities.push(*id),
            Extract::Flow(id) => _ = wanted.flows.insert(*id),
        }
    }
    wanted
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
