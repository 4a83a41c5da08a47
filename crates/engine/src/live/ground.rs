//! What a run stands on before it has sockets: its plan, folder, clock, and who answers.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use vxscope_capture::InterfaceDrops;
use vxscope_capture::udp::Interface;
use vxscope_export::OutputDir;
use vxscope_flow::{Admission, Payloads};
use vxscope_report::CaptureStatus;

use super::{LOOK_EVERY, Live, Observer};
use crate::accounting::{About, Account, Pulse};
use crate::clock::LiveClock;
use crate::error::EngineError;
use crate::evidence::FOLDER;
use crate::flow_book::FlowBook;
use crate::follower::Desk;
use crate::journal::last_word;
use crate::learned::Loaded;
use crate::plan::{self, Plan};
use crate::serving::{Front, Serving};
use crate::start;
use crate::stop::{Deadline, Stop};

/// See the module.
pub(super) struct Ground {
    pub(super) plan: Plan,
    pub(super) admission: Admission,
    pub(super) payloads: Payloads,
    pub(super) interface: Option<Interface>,
    pub(super) drops: Option<InterfaceDrops>,
    pub(super) clock: LiveClock,
    pub(super) deadline: Arc<Deadline>,
    pub(super) dir: OutputDir,
    pub(super) desk: Arc<Desk>,
    /// What the run before had learned.
    pub(super) loaded: Loaded,
    pub(super) front: Arc<Front>,
}

impl Ground {
    /// Reads what there is to read, and lets clients ask; waits for the interface.
    pub(super) fn prepare(
        live: &Live,
        stop: &Arc<Stop>,
        observer: &mut dyn Observer,
    ) -> Result<(Self, Account, Serving), EngineError> {
        let config = &live.config;
        let plan = Plan::try_new(config)?.that_remembers(config);
        let admission = plan::admission(config)?;
        let payloads = plan::payloads(config)?;
        let interface = live
            .interface
            .as_deref()
            .map(|name| wait_for(name, stop, observer))
            .transpose()?;
        let clock = LiveClock::start();
        let limit = Duration::from_secs(config.capture.stop_seconds.into());
        let deadline = Arc::new(Deadline::new(stop.clone(), clock, limit));
        let dir = start::folder(&live.out)?;
        let mut loaded = match config.signals.keep_seconds {
            0 => Loaded::default(),
            _ => Loaded::read(&dir, clock.at(Duration::ZERO)),
        };
        let desk = plan.desk(config, loaded.seed.unwrap_or(plan.limits.hash_seed))?;
        loaded.tell(&desk);
        let drops = interface
            .as_ref()
            .map(|it| InterfaceDrops::watch(it.name()));
        let about = about(live, &plan, clock, drops.clone());
        let mut account = Account::new(about, desk.clone());
        let front = Arc::new(front(live, &plan, &desk, clock));
        let first = account.snapshot(clock.at(Duration::ZERO), Duration::ZERO, &[], false);
        let serving = Serving::start(live, front.clone(), first)?;
        let ground = Self {
            plan,
            admission,
            payloads,
            interface,
            drops,
            clock,
            deadline,
            dir,
            desk,
            loaded,
            front,
        };
        Ok((ground, account, serving))
    }
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

/// What clients reach, with places for what comes later.
fn front(live: &Live, plan: &Plan, desk: &Arc<Desk>, clock: LiveClock) -> Front {
    Front {
        pulse: Arc::new(Pulse::new(clock, plan.workers.get().into())),
        desk: desk.clone(),
        flows: Arc::new(FlowBook::new(live.config.api.flows_max)),
        commands: OnceLock::new(),
        look_back: OnceLock::new(),
        orders: live.steward.as_ref().map(|it| it.orders.clone()),
        reread: live.reread.clone(),
        journal: live.config.report.coverage.then(|| live.out.join(FOLDER)),
        clock,
        overseer: Mutex::default(),
    }
}
