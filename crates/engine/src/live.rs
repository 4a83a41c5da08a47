//! Live: mirrored traffic from UDP sockets, until somebody says stop.
//!
//! The kernel steers every datagram to its worker. Stop: every worker shuts its sockets, drains
//! them, closes its flows and hands everything over; then the files get their names, the summary
//! last. What was received is in the outputs or in a counter.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use vxscope_account::Statement;
use vxscope_api::{Certificates, Hub};
use vxscope_capture::InterfaceDrops;
use vxscope_capture::live::{self as input, Backend, LiveError, LiveOpened, LiveSource};
use vxscope_capture::udp::{Container, Inherited, Interface, UdpGroup, UdpSettings};
use vxscope_config::{Backend as Choice, Config};
use vxscope_export::{GradeChange, OutputDir, SinkOutcome};
use vxscope_flow::Admission;
use vxscope_report::{CaptureStatus, Report};
use vxscope_steward::Notice;
use vxscope_units::Unknown;
use vxscope_wire::Tunnel;
use vxscope_wire::steer::Steering;

use crate::accounting::{self, About, Account, Canaries, Pulse, Stage};
use crate::clock::LiveClock;
use crate::command::{Commands, Others};
use crate::detectors::{Detectors, Saver, Tenants};
use crate::error::EngineError;
use crate::evidence::{Archive, Evidence, FOLDER, Witness};
use crate::flow_book::FlowBook;
use crate::handoff::Hands;
use crate::journal::last_word;
use crate::learned::{Keeping, Loaded, Shelf};
use crate::look_back::LookBack;
use crate::neighbour::Neighbours;
use crate::outlet::{Pace, Wanted, Wishes};
use crate::overseer::Overseer;
use crate::plan::{self, Plan};
use crate::presence::Presence;
use crate::replay::{Outcome, Walked};
use crate::reread::Reread;
use crate::serving::{Front, Serving};
use crate::start;
use crate::station::{self, Station};
use crate::stewarding::{self, Stewardship};
use crate::stop::{Deadline, Stop};
use crate::stray;
use crate::summary::{self, Ended, Finished, Kernel};
use crate::worker::Worker;
use crate::writer::{self, Line, Sinks, Written};

/// How long frames and records may wait for the writer: bounds how old the newest line of an
/// output is, and how far apart the workers' frames are merged.
const REPORT_EVERY_NANOS: u64 = 100_000_000;
/// How often somebody looks whether it is time to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long writing the summary may take once everything else has ended.
const SUMMARY_MAX: Duration = Duration::from_secs(2);

/// What to receive, and where to write.
#[derive(Clone, Debug)]
pub struct Live {
    /// Everything that can be configured.
    pub config: Config,
    /// Address to listen on; `::` or `0.0.0.0` for all.
    pub address: IpAddr,
    /// Port to listen on instead of the configured ones for VXLAN. 0: one of the kernel's choice,
    /// and nothing else is listened on, as a demonstration wants it.
    pub vxlan_port: Option<u16>,
    /// Interface that datagrams must come through; waited for if it is not there yet.
    pub interface: Option<String>,
    /// The folder of the outputs; made if it is not there.
    pub out: PathBuf,
    /// Who looks after the mirrors, over a simulated API; nobody by default.
    pub steward: Option<Stewardship>,
    /// Reads the configuration again, where that is possible.
    pub reread: Option<Reread>,
    /// What HTTP is encrypted with; in the clear without.
    pub certificates: Option<Certificates>,
}

/// What a run says before the first packet.
#[derive(Clone, Debug)]
pub struct Started {
    /// What was reserved.
    pub plan: Plan,
    /// How it receives.
    pub backend: Backend,
    /// Why it is not the packet ring, if that was tried.
    pub declined: Option<String>,
    /// The first port for VXLAN.
    pub vxlan_port: Option<u16>,
    /// Where it listens: address, port, what comes there.
    pub listening: Vec<String>,
    /// Where it answers.
    pub answering: Vec<String>,
    /// What was taken over from the run before.
    pub inherited: Option<Inherited>,
    /// What is less than was asked for, and what to do about it.
    pub warnings: Vec<String>,
    /// The way to tell the running sensor something.
    pub commands: Commands,
}

/// How a run stands, at each tick.
#[derive(Clone, Debug)]
pub struct Status {
    /// Since the sockets were opened.
    pub elapsed: Duration,
    /// The ledger by source.
    pub statement: Statement,
    /// Datagrams that the kernel dropped.
    pub kernel_dropped: u64,
}

/// Who looks at a run.
pub trait Observer {
    /// Sockets of the run before that somebody has held, each with its name.
    fn take_held(&mut self) -> Vec<(String, OwnedFd)> {
        Vec::new()
    }

    /// The sockets of the run before are not what is wanted now, and are closed here; returns
    /// when nobody has them any more.
    fn release_held(&mut self) {}

    /// A socket that somebody may hold under this name, for the run after this one. Whether
    /// somebody does.
    fn hold(&mut self, _name: &str, _socket: BorrowedFd<'_>) -> bool {
        false
    }

    /// The sockets are open.
    fn handle_start(&mut self, started: &Started);

    /// A tick passed. One who takes longer than a tick is shown the latest.
    fn handle_status(&mut self, status: &Status);

    /// Nothing is received yet, and why.
    fn handle_waiting(&mut self, _why: &str) {}

    /// Something was decided about a mirror, or a mirror is another one.
    fn handle_notice(&mut self, _notice: &Notice) {}

    /// Several times a second, with the time since the worker that is furthest behind came round.
    fn handle_look(&mut self, _heartbeat_age: Duration) {}

    /// Something that somebody should know at once, and that the summary repeats.
    fn handle_warning(&mut self, _warning: &str) {}
}

/// Receives until `stop` is asked for, then ends in order, within `capture.stop_seconds`.
///
/// # Errors
/// The sockets cannot be opened, memory cannot be reserved, outputs cannot be made, or the kernel
/// fails a socket; in the last case the outputs are complete up to there.
pub fn run(
    live: &Live,
    stop: &Arc<Stop>,
    observer: &mut dyn Observer,
) -> Result<Outcome, EngineError> {
    let plan = Plan::try_new(&live.config)?.that_remembers(&live.config);
    let admission = plan::admission(&live.config)?;
    let payloads = plan::payloads(&live.config)?;
    let interface = live
        .interface
        .as_deref()
        .map(|name| wait_for(name, stop, observer))
        .transpose()?;
    let clock = LiveClock::start();
    let limit = Duration::from_secs(live.config.capture.stop_seconds.into());
    let deadline = Arc::new(Deadline::new(stop.clone(), clock, limit));
    let dir = start::folder(&live.out)?;
    let interval = Duration::from_millis(live.config.report.interval_milliseconds.into());
    let pulse = Arc::new(Pulse::new(clock, plan.workers.get().into()));
    let keep_seconds = live.config.signals.keep_seconds;
    let mut loaded = match keep_seconds {
        0 => Loaded::default(),
        _ => Loaded::read(&dir, clock.at(Duration::ZERO)),
    };
    let desk = plan.desk(&live.config, loaded.seed.unwrap_or(plan.limits.hash_seed))?;
    loaded.tell(&desk);
    let drops = interface
        .as_ref()
        .map(|it| InterfaceDrops::watch(it.name()));
    let about = about(live, &plan, clock, drops.clone());
    let mut account = Account::new(about, desk.clone());
    let first = account.snapshot(clock.at(Duration::ZERO), Duration::ZERO, &[], false);
    let front = Arc::new(Front {
        pulse: pulse.clone(),
        desk: desk.clone(),
        flows: Arc::new(FlowBook::new(live.config.api.flows_max)),
        commands: OnceLock::new(),
        look_back: OnceLock::new(),
        orders: live.steward.as_ref().map(|it| it.orders.clone()),
        reread: live.reread.clone(),
        journal: live.config.report.coverage.then(|| live.out.join(FOLDER)),
        clock,
        overseer: Mutex::default(),
    });
    let serving = Serving::start(live, front.clone(), first)?;
    let wishes = Wishes {
        report_every: REPORT_EVERY_NANOS,
        pace: Pace::Shed {
            deadline: deadline.clone(),
        },
        ..start::wishes(&live.config, Arc::new(Wanted::default()))
    };
    let hands = Hands::Live(deadline.clone(), plan.batches_waiting());
    let chunks = start::chunks(&live.config, &hands);
    let (lines, outlets) = start::connect(&wishes, &plan, chunks);
    let mut workers = start::workers(
        &plan,
        start::Takes::All,
        (&admission, &payloads),
        &desk,
        outlets,
    )?;
    let canaries = Canaries::new(&live.config.canary);
    for (worker, canaries) in workers.iter_mut().zip(canaries.iter().cycle()) {
        worker.know_canaries(canaries.canary().clone());
    }
    account.keep_canaries(canaries);
    let settings = settings(live, &plan, interface.clone());
    let opened = match take_over(&settings, backend(&live.config), observer)? {
        // Packets wait already: what they are put into becomes memory as they come.
        Some(opened) => opened,
        None => {
            workers.iter_mut().for_each(Worker::prefault);
            input::open(&settings, backend(&live.config))?
        }
    };
    let is_held = hold(&opened, &settings, observer);
    let rebinder = opened.rebinder()?;
    let mut presence = Presence::new(interface.as_ref().map(|it| (it, rebinder)));
    connect(&mut workers, &plan, &opened.sources);
    account.receive_by(CaptureStatus {
        backend: opened.backend.name().to_owned(),
        declined: opened.declined.clone(),
        interface_dropped: None,
    });
    // A run that cannot start must not cost the files of the one before.
    let crashed = dir.keep_crashed()?;
    let ears: Vec<SocketAddr> = opened
        .groups
        .iter()
        .map(|it| (live.address, it.port).into())
        .collect();
    let mut sinks = start::sinks(start::Setting {
        config: &live.config,
        dir: dir.clone(),
        desk: &desk,
        extract: false,
        hands,
        ears: &ears,
        is_stewarded: live.steward.is_some(),
    })?;
    sinks.book = Some(front.flows.clone());
    let evidence = live.config.report.coverage;
    let evidence = evidence.then(|| Evidence::start(&live.out)).transpose()?;
    let (evidence, archive) = evidence.unzip();
    let witness = evidence.clone().map(|evidence| {
        let sensor = &live.config.report.sensor;
        Witness::new(evidence, sensor, clock.at(clock.elapsed()))
    });
    let (changes, noted) = bounded(stewarding::QUEUE);
    sinks.grade_changes = Some(noted);
    let overseer = Overseer::new(serving.hub(), evidence.clone(), changes.clone(), clock);
    front.oversee_by(Some(overseer.clone()));
    let witnesses = Witnesses {
        hub: serving.hub(),
        evidence,
        changes,
        shelf: loaded.shelf.clone(),
    };
    let (stewarding, stewarded) = steward(live, witnesses, clock, &dir)?;
    let expected = sinks.expected.clone();
    let board = sinks.board.clone();
    let doubts = doubts(&admission, &plan);
    let (commands, readers) = Commands::new(
        opened.sources.iter().map(LiveSource::waker).collect(),
        admission.table,
        live.config.sources.unknown,
        Others {
            desk: desk.clone(),
            orders: live.steward.as_ref().map(|it| it.orders.clone()),
            clock,
        },
    );
    // Nobody was there before to set it.
    let _ = front.commands.set(commands.clone());
    let look_back = LookBack::start(
        &live.config.look_back,
        dir.path(),
        commands.clone(),
        clock,
        desk.look_back.clone(),
    )?;
    let look_back = Arc::new(look_back);
    let _ = front.look_back.set(look_back.clone());
    let saver = Saver {
        counts: desk.detectors.clone(),
        look_back: look_back.clone(),
        commands: commands.clone(),
        tenants: Tenants::new(&live.config, sinks.vlans.book.clone()),
        clock,
        pin: Duration::from_secs(live.config.detectors.pin_seconds.into()),
        known: Arc::default(),
    };
    let detectors = Detectors::start(&live.config.detectors, clock, saver)?;
    let mut started = started(live, plan, &opened, commands.clone());
    started.warnings.extend(doubts);
    started.warnings.append(&mut sinks.warnings);
    if !crashed.is_empty() {
        let (names, out) = (crashed.join(", "), live.out.display());
        let warning =
            format!("the run before did not end; what it wrote is kept in {out}: {names}");
        started.warnings.push(warning);
    }
    started.warnings.extend(loaded.warning.take());
    let keeping = (desk.clone(), loaded.shelf);
    let keeping = Keeping::start(&dir, keep_seconds, keeping, clock)?;
    let (line, tellers) = accounting::connect(workers.len(), interval, &pulse);
    started.answering = serving.answering();
    observer.handle_start(&started);
    let mut neighbours = Neighbours::new(live.address, &opened.groups);
    let (statuses, shown) = bounded(1);
    let stage = Stage {
        account,
        line,
        board,
        interval,
        clock,
        stop,
        hub: serving.hub(),
        commands: commands.clone(),
        statuses,
        reports: stewarded.reports,
        witness,
        overseer,
    };
    sinks.start()?;
    let writer = Writer::start(lines, sinks)?;
    let (served, mut account, minutes) = std::thread::scope(|scope| {
        let accounting = start::spawn(scope, "accounting", move || {
            start::give_up();
            stage.run()
        })?;
        let stewarding = stewarding
            .map(|stage| {
                start::spawn(scope, "steward", move || {
                    start::give_up();
                    stage.run()
                })
            })
            .transpose()?;
        let mut threads = Vec::new();
        let seats = workers
            .into_iter()
            .zip(opened.sources)
            .zip(tellers)
            .zip(readers);
        for (number, (((worker, source), teller), commands)) in seats.enumerate() {
            let name = format!("worker-{number}");
            let station = Station {
                worker,
                source,
                commands,
                teller,
                is_held,
            };
            let deadline = &*deadline;
            let serve = move || {
                start::give_up();
                station.serve(stop, deadline, clock)
            };
            threads.push(start::spawn(scope, &name, serve)?);
        }
        let seen = Seen {
            pulse: pulse.clone(),
            statuses: shown,
            notices: stewarded.notices,
        };
        watch(&seen, &mut neighbours, &mut presence, clock, observer);
        let served: Vec<_> = threads.into_iter().map(start::join).collect();
        let account = start::join(accounting);
        Ok::<_, EngineError>((served, account, stewarding.map(start::join)))
    })?;
    front.oversee_by(None);
    detectors.end();
    look_back.end(|| deadline.is_over());
    let (written, closed) = writer.wait(&deadline);
    if let Some(keeping) = keeping {
        keeping.finish();
    }
    let left = expected
        .into_iter()
        .filter(|(name, _)| closed.iter().all(|outcome| outcome.name != *name))
        .collect();
    let (walked, mut kernel, error) = gather(served);
    kernel.interface_dropped = drops.as_ref().and_then(InterfaceDrops::count);
    let finished = Finished {
        walked,
        written,
        closed,
        left,
        elapsed: clock.elapsed(),
        kernel,
        table: commands.bind_table(),
        desk,
    };
    let mut ended = summary::conclude(plan, finished);
    let warnings = &mut ended.outcome.summary.warnings;
    warnings.extend(neighbours.finish());
    warnings.extend(presence.finish());
    warnings.extend(archive.as_ref().and_then(Archive::finish));
    if let Some((mirrors, error)) = minutes {
        ended.outcome.summary.mirrors = Some(mirrors);
        ended.outcome.sink_errors.extend(error);
    }
    let outcome = write_down(ended, &dir)?;
    let (elapsed, sinks) = (clock.elapsed(), &outcome.summary.sinks);
    serving.conclude(account.conclude(clock.at(elapsed), elapsed, &outcome.statement, sinks));
    match error {
        Some(error) => Err(error.into()),
        None => Ok(outcome),
    }
}

/// Goes on with the sockets of the run before, if there are any and they fit. Else nobody has them
/// any more.
fn take_over(
    settings: &UdpSettings,
    backend: Option<Backend>,
    observer: &mut dyn Observer,
) -> Result<Option<LiveOpened>, LiveError> {
    let held = observer.take_held();
    if held.is_empty() {
        return Ok(None);
    }
    let opened = input::take_over(settings, backend, held)?;
    if opened.is_none() {
        observer.release_held();
    }
    Ok(opened)
}

/// Offers the sockets to whoever may hold them; whether somebody has all of them.
fn hold(opened: &LiveOpened, settings: &UdpSettings, observer: &mut dyn Observer) -> bool {
    let holdings = opened.holdings(settings).into_iter();
    let held: Vec<bool> = holdings
        .map(|(name, socket)| observer.hold(&name, socket))
        .collect();
    !held.is_empty() && held.into_iter().all(|it| it)
}

/// What the workers report, what the kernel kept from them, and why one failed.
fn gather(served: Vec<station::Served>) -> (Walked, Kernel, Option<LiveError>) {
    let (mut kernel, mut reports, mut error) = (Kernel::default(), Vec::new(), None);
    for (report, result) in served {
        reports.push(report);
        match result {
            Ok(of_worker) => {
                kernel.dropped += of_worker.dropped;
                kernel.refused += of_worker.refused;
            }
            Err(failed) => error = Some(failed),
        }
    }
    let walked = Walked {
        reports,
        error: None,
    };
    (walked, kernel, error)
}

/// Looks an interface up, and says so if it is not there yet.
fn wait_for(
    name: &str,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Interface, EngineError> {
    if let Err(missing) = Interface::find(name) {
        observer.handle_waiting(&format!("{missing}; waiting for it"));
    }
    Ok(Interface::wait(name, LOOK_EVERY, || !stop.is_requested())?)
}

/// The writer's thread, which a disk that hangs may keep for good: it is waited for, but not for
/// longer than a stop may take.
struct Writer {
    closed: Receiver<SinkOutcome>,
    ended: Receiver<Written>,
}

impl Writer {
    fn start(lines: Vec<Line>, sinks: Sinks) -> Result<Self, EngineError> {
        let (outcomes, closed) = bounded(sinks.expected.len().max(1));
        let (sender, ended) = bounded(1);
        start::detach("writer", move || {
            let written = writer::write(&lines, sinks, &mut |outcome| {
                // One for each sink; who does not wait any more does not read it.
                let _ = outcomes.try_send(outcome);
            });
            let _ = sender.try_send(written);
        })?;
        Ok(Self { closed, ended })
    }

    /// What it wrote, and the files that it closed.
    fn wait(&self, deadline: &Deadline) -> (Written, Vec<SinkOutcome>) {
        let written = loop {
            match self.ended.recv_timeout(LOOK_EVERY) {
                Err(RecvTimeoutError::Timeout) if !deadline.is_over() => {}
                result => break result.unwrap_or_default(),
            }
        };
        (written, self.closed.try_iter().collect())
    }
}

/// Writes the summary. A disk that hangs does not keep the process from ending.
fn write_down(ended: Ended, dir: &OutputDir) -> Result<Outcome, EngineError> {
    let (sender, done) = bounded(1);
    let ended = Arc::new(ended);
    let (to_write, folder) = (ended.clone(), dir.clone());
    start::detach("summary", move || {
        let result = to_write.write(&folder);
        drop(to_write);
        let _ = sender.try_send(result);
    })?;
    let result = done.recv_timeout(SUMMARY_MAX);
    let mut outcome =
        Arc::try_unwrap(ended).map_or_else(|shared| shared.outcome.clone(), |ended| ended.outcome);
    match result {
        Ok(result) => result?,
        Err(_) => outcome.cut.push(format!(
            "{}: summary.json could not be written in time; the disk may hang",
            dir.path().display()
        )),
    }
    Ok(outcome)
}

fn about(live: &Live, plan: &Plan, clock: LiveClock, interface: Option<InterfaceDrops>) -> About {
    let epoch = clock.at(Duration::ZERO);
    let before = live.config.report.coverage;
    let before = before.then(|| last_word(&live.out.join(FOLDER))).flatten();
    let down = before.map_or(0, |it| (epoch.as_nanos() / 1_000).saturating_sub(it));
    About {
        sensor: live.config.report.sensor.clone(),
        epoch,
        down: Duration::from_micros(down),
        ring_bytes: plan.ring_bytes(),
        workers: plan.workers.get().into(),
        capture: CaptureStatus::default(),
        interface,
    }
}

/// What was asked for; `None` is the best there is.
fn backend(config: &Config) -> Option<Backend> {
    match config.capture.backend {
        Choice::Udp => Some(Backend::Udp),
        Choice::PacketRing => Some(Backend::PacketRing),
        Choice::Auto => None,
    }
}

fn settings(live: &Live, plan: &Plan, interface: Option<Interface>) -> UdpSettings {
    let group = |tunnel| move |port| UdpGroup { port, tunnel };
    let vxlan: Vec<u16> = match live.vxlan_port {
        Some(port) => vec![port],
        None => plan.options.vxlan_ports.iter().collect(),
    };
    let geneve = plan
        .options
        .geneve_ports
        .iter()
        .filter(|port| !vxlan.contains(port) && live.vxlan_port != Some(0));
    UdpSettings {
        address: live.address,
        groups: vxlan
            .iter()
            .copied()
            .map(group(Tunnel::Vxlan))
            .chain(geneve.map(group(Tunnel::Geneve)))
            .collect(),
        interface,
        workers: plan.workers,
        seed: plan.steering_seed,
        receive_buffer: live.config.capture.receive_buffer,
    }
}

/// Lets every worker send strays to every other.
fn connect(workers: &mut [Worker], plan: &Plan, sources: &[LiveSource]) {
    if plan.workers.get() < 2 {
        return;
    }
    let wakers: Vec<_> = sources.iter().map(LiveSource::waker).collect();
    let steering = Steering::new(plan.steering_seed, plan.workers);
    for (worker, strays) in workers.iter_mut().zip(stray::connect(steering, &wakers)) {
        worker.connect(strays);
    }
}

/// What will surprise whoever configured this.
fn doubts(admission: &Admission, plan: &Plan) -> Vec<String> {
    let mut doubts = Vec::new();
    if plan.options.depth > 0 && plan.workers.get() > 1 {
        doubts.push(
            "decapsulation.depth is above 0 and there are several workers: the kernel cannot \
             steer by what is inside nested tunnels, so workers copy such frames to each other, \
             and fragments in them may lose their ports; workers.count = 1 avoids both"
                .to_owned(),
        );
    }
    if admission.table.is_empty() && admission.unknown != Unknown::Accept {
        doubts.push(
            "no source is known yet and sources.unknown is not accept: \
             until a bind table comes, nothing is kept; list sources as [[source]]"
                .to_owned(),
        );
    }
    doubts
}

fn started(live: &Live, plan: Plan, opened: &LiveOpened, commands: Commands) -> Started {
    let line = |group: &UdpGroup| {
        let name = match group.tunnel {
            Tunnel::Vxlan => "VXLAN",
            Tunnel::Geneve => "GENEVE",
        };
        format!("{name} on {} UDP port {}", live.address, group.port)
    };
    let mut warnings: Vec<String> = opened.warnings.iter().map(ToString::to_string).collect();
    if let Some(container) = Container::detect().filter(|_| !live.address.is_loopback()) {
        warnings.extend(container.advice(&opened.warnings));
    }
    warnings.extend(opened.ring_warnings.iter().map(ToString::to_string));
    Started {
        plan,
        backend: opened.backend,
        declined: opened.declined.clone(),
        vxlan_port: opened.groups.first().map(|group| group.port),
        listening: opened.groups.iter().map(line).collect(),
        answering: Vec::new(),
        inherited: opened.inherited,
        warnings,
        commands,
    }
}

/// The lines to and from whoever looks after the mirrors. Without anybody nothing comes.
struct Stewarded {
    reports: Option<Sender<Arc<Report>>>,
    notices: Receiver<Notice>,
}

/// Who is told of mirrors.
struct Witnesses {
    hub: Hub,
    evidence: Option<Evidence>,
    /// The writer.
    changes: Sender<GradeChange>,
    shelf: Shelf,
}

/// Prepares who looks after the mirrors, if somebody does.
fn steward(
    live: &Live,
    witnesses: Witnesses,
    clock: LiveClock,
    dir: &OutputDir,
) -> Result<(Option<stewarding::Stage>, Stewarded), EngineError> {
    let (notices, told) = bounded(stewarding::QUEUE);
    let Some(stewardship) = live.steward.clone() else {
        let stewarded = Stewarded {
            reports: None,
            notices: told,
        };
        return Ok((None, stewarded));
    };
    let (reports, taken) = bounded(stewarding::QUEUE);
    let exchange = stewarding::Exchange {
        reports: taken,
        changes: witnesses.changes,
        notices,
        shelf: witnesses.shelf,
        evidence: witnesses.evidence,
    };
    let minutes = stewarding::Minutes::create(dir)?;
    let overview = stewarding::Overview::new(witnesses.hub);
    let stage = stewarding::Stage::new(stewardship, clock, exchange, minutes, overview);
    let stewarded = Stewarded {
        reports: Some(reports),
        notices: told,
    };
    Ok((Some(stage), stewarded))
}

/// What there is to see of a run.
struct Seen {
    pulse: Arc<Pulse>,
    statuses: Receiver<Status>,
    notices: Receiver<Notice>,
}

/// Shows statuses as they come, and looks around in between, until the accounting has ended.
fn watch(
    seen: &Seen,
    neighbours: &mut Neighbours,
    presence: &mut Presence,
    clock: LiveClock,
    observer: &mut dyn Observer,
) {
    loop {
        let status = seen.statuses.recv_timeout(LOOK_EVERY);
        for notice in seen.notices.try_iter() {
            observer.handle_notice(&notice);
        }
        match status {
            Ok(status) => observer.handle_status(&status),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        observer.handle_look(seen.pulse.age());
        let elapsed = clock.elapsed();
        for warning in neighbours
            .poll(elapsed)
            .into_iter()
            .chain(presence.poll(elapsed))
        {
            observer.handle_warning(&warning);
        }
    }
}
