//! Workers and the sockets they receive from.

use std::net::SocketAddr;
use std::sync::Arc;

use vxscope_capture::live::{self as input, Backend, LiveError, LiveOpened, LiveSource};
use vxscope_capture::udp::{Interface, Steered, UdpGroup, UdpSettings};
use vxscope_config::{Backend as Choice, Config};
use vxscope_report::CaptureStatus;
use vxscope_wire::Tunnel;
use vxscope_wire::steer::Steering;

use super::ground::Ground;
use super::{Live, Observer, REPORT_EVERY_NANOS};
use crate::accounting::{Account, Canaries};
use crate::error::EngineError;
use crate::handoff::Hands;
use crate::outlet::{Pace, Wanted, Wishes};
use crate::plan::Plan;
use crate::presence::Presence;
use crate::start;
use crate::stray;
use crate::worker::Worker;
use crate::writer::Line;

/// See the module.
pub(super) struct Receiving {
    pub(super) workers: Vec<Worker>,
    /// From the workers to the writer.
    pub(super) lines: Vec<Line>,
    pub(super) hands: Hands,
    pub(super) opened: LiveOpened,
    /// Whether somebody holds the sockets for the next run.
    pub(super) is_held: bool,
    pub(super) presence: Presence,
}

impl Receiving {
    /// Reserves the workers' memory, then opens the sockets or goes on with those of the run
    /// before.
    pub(super) fn open(
        live: &Live,
        ground: &Ground,
        account: &mut Account,
        observer: &mut dyn Observer,
    ) -> Result<Self, EngineError> {
        let (plan, interface) = (&ground.plan, ground.interface.as_ref());
        let hands = Hands::Live(ground.deadline.clone(), plan.batches_waiting());
        let (mut workers, lines) = workers(live, ground, &hands)?;
        let canaries = Canaries::new(&live.config.canary);
        for (worker, canaries) in workers.iter_mut().zip(canaries.iter().cycle()) {
            worker.know_canaries(canaries.canary().clone());
        }
        account.keep_canaries(canaries);
        let settings = settings(live, plan, interface.cloned());
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
        connect(&mut workers, plan, &opened.sources);
        let steered = opened.steered.as_ref();
        let steering_declined = steered.and_then(Steered::declined);
        account.receive_by(CaptureStatus {
            backend: opened.backend.name().to_owned(),
            declined: opened.declined.clone(),
            steered: steered.map(|it| it.name().to_owned()),
            steering_declined: steering_declined.map(str::to_owned),
            interface_dropped: None,
        });
        Ok(Self {
            workers,
            lines,
            hands,
            presence: Presence::new(interface.map(|it| (it, rebinder))),
            opened,
            is_held,
        })
    }

    /// Where the sensor listens.
    pub(super) fn ears(&self, live: &Live) -> Vec<SocketAddr> {
        let groups = self.opened.groups.iter();
        groups.map(|it| (live.address, it.port).into()).collect()
    }
}

fn workers(
    live: &Live,
    ground: &Ground,
    hands: &Hands,
) -> Result<(Vec<Worker>, Vec<Line>), EngineError> {
    let wishes = Wishes {
        report_every: REPORT_EVERY_NANOS,
        pace: Pace::Shed {
            deadline: ground.deadline.clone(),
        },
        ..start::wishes(&live.config, Arc::new(Wanted::default()))
    };
    let chunks = start::chunks(&live.config, hands);
    let (lines, outlets) = start::connect(&wishes, &ground.plan, chunks);
    let rules = (&ground.admission, &ground.payloads);
    let takes = start::Takes::All;
    let workers = start::workers(&ground.plan, takes, rules, &ground.desk, outlets)?;
    Ok((workers, lines))
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
