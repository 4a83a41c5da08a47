//! Replay: captures in, outputs out.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use vxscope_account::Statement;
use vxscope_capture::{Batch, Block, CaptureError, Input, Walk};
use vxscope_config::Config;
use vxscope_export::Summary;
use vxscope_flow::{Admission, CommunityId};

use crate::clock::Stopwatch;
use crate::error::EngineError;
use crate::handoff::Hands;
use crate::outlet::Wanted;
use crate::plan::{self, Plan};
use crate::reader::{self, Rules};
use crate::start::{self, Takes, join, spawn};
use crate::summary::{self, Finished, Kernel};
use crate::worker::{Worker, WorkerReport};
use crate::writer;

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
    let hands = match start::writes_itself(&replay.config) {
        true => Hands::Own,
        false => Hands::Finite,
    };
    let sinks = start::sinks(start::Setting {
        config: &replay.config,
        dir: start::folder(&replay.out)?,
        desk: &desk,
        extract: !replay.extract.is_empty(),
        hands: hands.clone(),
        ears: &[],
        is_stewarded: false,
    })?;
    let inputs = opened?;
    let dir = sinks.dir.clone();
    let wishes = start::wishes(&replay.config, Arc::new(wanted(&replay.extract)));
    let chunks = start::chunks(&replay.config, &hands);
    let (mut lines, mut outlets) = start::connect(&wishes, &plan, chunks);
    let sinks = if matches!(hands, Hands::Own) {
        start::hand_over(sinks, &mut lines, &mut outlets)?;
        None
    } else {
        Some(sinks)
    };
    let takes = if replay.bare {
        Takes::OwnBare
    } else {
        Takes::Own
    };
    let rules = start::rules(&plan, takes, &admission);
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
        Some(mut sinks) => std::thread::scope(|scope| {
            sinks.start()?;
            let write = || writer::write(&lines, sinks, &mut |outcome| closed.push(outcome));
            let writer = spawn(scope, "writer", write)?;
            let walked = walk(inputs, workers, rules, &progress)?;
            Ok::<_, EngineError>((join(writer), walked))
        })?,
        None => {
            let mut walked = walk(inputs, workers, rules, &progress)?;
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

/// All workers over all inputs. A worker alone needs nobody who sorts.
fn walk(
    inputs: Vec<Input>,
    mut workers: Vec<Worker>,
    rules: Option<Rules>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Walked, EngineError> {
    let meter = Meter {
        progress,
        batches: 0,
        bytes_before: 0,
        packets_before: 0,
    };
    let Some(rules) = rules else {
        let worker = workers.pop().ok_or(EngineError::NoInput)?;
        let (report, error) = work(worker, inputs, meter);
        return Ok(Walked {
            reports: vec![report],
            error,
        });
    };
    let (reader, feeds) = reader::start(rules, inputs, workers.len(), meter);
    let reports = std::thread::scope(|scope| {
        let both = workers.into_iter().zip(&feeds).enumerate();
        let threads = both.map(|(number, (worker, feed))| {
            let run = || reader::work(worker, feed, &reader);
            spawn(scope, &format!("worker-{number}"), run)
        });
        let threads = threads.collect::<Result<Vec<_>, _>>();
        // Whoever has begun would wait for who has not, and be waited for.
        let threads = threads.inspect_err(|_| reader::end(&reader))?;
        Ok::<_, EngineError>(threads.into_iter().map(join).collect())
    })?;
    Ok(Walked {
        reports,
        error: reader::into_error(reader),
    })
}

/// One worker over all inputs, up to the end or the first error.
fn work(
    mut worker: Worker,
    inputs: Vec<Input>,
    mut meter: Meter<'_>,
) -> (WorkerReport, Option<CaptureError>) {
    let all = inputs.into_iter().try_for_each(|mut input| {
        let mut walk = input.walk();
        while let Some(block) = input.next_block()? {
            walk_block(&mut worker, &mut walk, &block, &mut meter)?;
        }
        meter.next_input(&walk);
        Ok(())
    });
    (worker.finish(), all.err())
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

/// Tells now and then how far reading is.
pub(crate) struct Meter<'a> {
    progress: &'a (dyn Fn(u64, u64) + Sync),
    batches: u64,
    bytes_before: u64,
    packets_before: u64,
}

impl Meter<'_> {
    #[inline]
    pub(crate) fn count(&mut self, walk: &Walk) {
        self.batches += 1;
        if self.batches.is_multiple_of(PROGRESS_EVERY) {
            let bytes = self.bytes_before + walk.offset();
            (self.progress)(bytes, self.packets_before + walk.records_walked());
        }
    }

    pub(crate) fn next_input(&mut self, walk: &Walk) {
        self.bytes_before += walk.offset();
        self.packets_before += walk.records_walked();
    }
}
