//! What every run is made of before its first packet: sinks, lines, workers, threads.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use crossbeam_channel::bounded;
use vxscope_account::Ledger;
use vxscope_config::{Config, ExportKind, Way};
use vxscope_export::stream::Haste;
use vxscope_export::{
    CHUNK_BYTES, Duplicates, FrameChunk, GradeBook, OutputDir, Overlap, VlanMode,
};
use vxscope_flow::{Admission, Flows, Fragments, Payloads, Sources};
use vxscope_linux::privilege::{self, Kept};
use vxscope_wire::steer::Steering;

use crate::accounting::Board;
use crate::error::EngineError;
use crate::exits;
use crate::follower::{Desk, Follower};
use crate::handoff::{CHUNKS_PER_SINK, Handoff, Hands};
use crate::outlet::{Outlet, Pace, Wanted, Wishes};
use crate::plan::{self, Plan};
use crate::reader::Rules;
use crate::vlans::{self, Vlans};
use crate::worker::{Role, Worker};
use crate::writer::{Line, Sinks, Writer};

/// Empty chunks that each worker owns. Two would do; more ride out what the others are late.
const CHUNKS: usize = 8;
/// Deliveries under way from one worker of a finite input, which waits where there is no room.
const DELIVERIES: usize = 8;
/// Input records after which a worker says how far it is, so that others need not wait for it.
const REPORT_EVERY: u64 = 8192;

/// Which of the input a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// What a reader gives it of the records.
    Own,
    /// The same, and records are bare frames.
    OwnBare,
    /// All that comes: the kernel has steered it here.
    All,
}

/// The folder of the outputs, for this run alone.
pub(crate) fn folder(out: &Path) -> Result<OutputDir, EngineError> {
    let mut dir = OutputDir::create(out)?;
    dir.lock()?;
    Ok(dir)
}

/// What a run is, for its sinks.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dir: OutputDir,
    pub(crate) desk: &'a Arc<Desk>,
    /// Whether flows are to be extracted.
    pub(crate) extract: bool,
    pub(crate) hands: Hands,
    /// Where the sensor itself listens.
    pub(crate) ears: &'a [SocketAddr],
    /// Whether somebody looks after the mirrors.
    pub(crate) is_stewarded: bool,
}

/// Opens the output files, after removing those of an earlier run.
pub(crate) fn sinks(setting: Setting<'_>) -> Result<Sinks, EngineError> {
    let Setting {
        config,
        dir,
        desk,
        hands,
        ..
    } = setting;
    let is_live = matches!(hands, Hands::Live(..));
    // What cannot be gone on with must not cost the files of the run before.
    let vlans = Vlans::open(config, &dir, is_live)?;
    if is_live {
        vxscope_export::keep_finished(&dir)?;
    }
    dir.remove_stale()?;
    let opening = exits::Opening {
        config,
        dir: &dir,
        haste: if is_live { Haste::Live } else { Haste::Finite },
        vlans: &vlans.book,
        names: desk.names.clone(),
        ears: setting.ears,
        is_marked: setting.is_stewarded,
    };
    let (exits, warnings) = exits::open(&opening)?;
    Ok(Sinks {
        overlap: overlap(config),
        handoff: Handoff::new(exits, hands),
        vlans,
        duplicates: duplicates(config, is_live, desk),
        warnings,
        expected: exits::expected(config),
        desk: desk.clone(),
        extract: setting.extract,
        dir,
        board: Board::default(),
        grade_changes: None,
        grades: GradeBook::default(),
        book: None,
    })
}

/// Who looks whether `decap.pcap` mixes tenants, if it can.
fn overlap(config: &Config) -> Option<Overlap> {
    let mode = vlans::mode(config.export.decap.vlan);
    let is_written = config.export.kinds.contains(&Way::of(ExportKind::Decap));
    (is_written && mode != VlanMode::Map).then(|| Overlap::new(mode))
}

/// Who looks for packets that came twice, if somebody is to. A replay does so in the same way each
/// time.
fn duplicates(config: &Config, is_live: bool, desk: &Desk) -> Option<Duplicates> {
    let suppress = config.handoff.duplicates == vxscope_config::Duplicates::Suppress;
    let seed = if is_live { plan::random() } else { config.seed };
    let tally = desk.duplicates.clone()?;
    Some(Duplicates::new(suppress, seed, tally))
}

/// What workers send on; for a finite input.
pub(crate) fn wishes(config: &Config, extract: Arc<Wanted>) -> Wishes {
    let kinds = &config.export.kinds;
    Wishes {
        // Packets that came twice are found on the way to other programs, also if none asks.
        frames: kinds.iter().any(|way| way.kind.takes_frames())
            || config.handoff.duplicates != vxscope_config::Duplicates::Off,
        // Frames alone need them, too: overlaps are found in flow records.
        records: !kinds.is_empty(),
        extract,
        // With one worker nobody waits for its progress.
        report_every: if config.workers.get() == 1 {
            u64::MAX
        } else {
            REPORT_EVERY
        },
        pace: Pace::Wait,
    }
}

/// Whether the worker of a replay writes its files itself: it is the only one, and all it writes
/// are frames, which cost more to hand to another processor than to write.
pub(crate) fn writes_itself(config: &Config) -> bool {
    let mut kinds = config.export.kinds.iter();
    config.workers.get() == 1 && kinds.all(|way| *way == Way::of(ExportKind::Decap))
}

/// Chunks that each worker has. One that writes itself has its one chunk back at once, still in its
/// processor's cache; one of a finite input waits for one to come back.
pub(crate) fn chunks(config: &Config, hands: &Hands) -> usize {
    match hands {
        Hands::Own => 1,
        Hands::Finite => CHUNKS,
        Hands::Live(..) => CHUNKS + CHUNKS_PER_SINK * exits::frame_queues(config),
    }
}

/// How the records of a replay are sorted; `None` if one worker takes all.
pub(crate) fn rules(plan: &Plan, takes: Takes, admission: &Admission) -> Option<Rules> {
    let mut sources = Sources::new(plan.limits.sources_max, plan.limits.hash_seed);
    sources.admit(admission.clone());
    (plan.workers.get() > 1).then(|| Rules {
        steering: Steering::new(plan.steering_seed, plan.workers),
        options: plan.options,
        bare: takes == Takes::OwnBare,
        sources,
    })
}

/// Gives the writer to the only worker.
pub(crate) fn hand_over(
    mut sinks: Sinks,
    lines: &mut Vec<Line>,
    outlets: &mut [Outlet],
) -> Result<(), EngineError> {
    sinks.start()?;
    if let (Some(line), [outlet]) = (lines.pop(), outlets) {
        outlet.write_itself(Writer::new(1, sinks), line.pool);
    }
    Ok(())
}

/// The lines between workers and writer, with as many chunks for each worker.
pub(crate) fn connect(wishes: &Wishes, plan: &Plan, chunks: usize) -> (Vec<Line>, Vec<Outlet>) {
    let deliveries = match wishes.pace {
        Pace::Wait => DELIVERIES,
        // A worker's share of the flows; frames are bounded by their chunks.
        Pace::Shed { .. } | Pace::Until(_) => {
            DELIVERIES + plan.batches_waiting() / usize::from(plan.workers.get())
        }
    };
    let lines = (0..plan.workers.get()).map(|_| {
        let (sender, deliveries) = bounded(deliveries);
        let (pool, empty) = bounded(chunks);
        for _ in 0..if wishes.frames { chunks } else { 0 } {
            // The queue is as long as there are chunks, so none is refused.
            let _ = pool.try_send(FrameChunk::with_capacity(CHUNK_BYTES));
        }
        (
            Line { deliveries, pool },
            Outlet::new(wishes.clone(), sender, empty),
        )
    });
    lines.unzip()
}

/// One worker for each outlet, its memory reserved.
pub(crate) fn workers(
    plan: &Plan,
    takes: Takes,
    (admission, payloads): (&Admission, &Payloads),
    desk: &Arc<Desk>,
    outlets: Vec<Outlet>,
) -> Result<Vec<Worker>, EngineError> {
    let numbered = outlets.into_iter().enumerate();
    numbered
        .map(|(number, outlet)| {
            let mut worker = worker(plan, takes, number, desk, outlet)?;
            worker.set_payloads(payloads.clone());
            worker.admit(admission.clone());
            Ok(worker)
        })
        .collect()
}

fn worker(
    plan: &Plan,
    takes: Takes,
    number: usize,
    desk: &Arc<Desk>,
    outlet: Outlet,
) -> Result<Worker, EngineError> {
    let limits = plan.limits;
    let shares = takes != Takes::All && plan.workers.get() > 1;
    let role = Role {
        counts_input: takes == Takes::All || number == 0,
        number,
        steering: shares.then(|| Steering::new(plan.steering_seed, plan.workers)),
        options: plan.options,
        bare: takes == Takes::OwnBare,
    };
    Ok(Worker::new(
        role,
        Sources::new(limits.sources_max, limits.hash_seed),
        Fragments::new(plan.fragments_max, limits.hash_seed),
        Flows::try_new(limits).map_err(EngineError::Memory)?,
        Ledger::new(limits.sources_max),
        Follower::new(desk.clone(), limits.sources_max),
        outlet,
    ))
}

/// Gives up the capabilities of a thread that needs none: who parses what attackers send, and who
/// answers whoever asks. Where the kernel does not let it, it has none that it may give up.
pub(crate) fn give_up() {
    let kept = Kept {
        network: false,
        files: privilege::is_root(),
    };
    let _ = privilege::drop_capabilities(kept);
}

/// Starts a thread under a name that nobody has to wait for.
pub(crate) fn detach<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, EngineError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(EngineError::Thread)
}

/// Starts a thread under a name.
pub(crate) fn spawn<'scope, 'env, T: Send + 'scope>(
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
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
