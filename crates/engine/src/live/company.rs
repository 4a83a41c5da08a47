//! Who works beside the workers: who writes, who answers, who watches, who looks after the mirrors.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_api::Hub;
use vxscope_capture::live::LiveSource;
use vxscope_export::{GradeChange, OutputDir};
use vxscope_flow::Admission;
use vxscope_report::Report;
use vxscope_steward::Notice;
use vxscope_units::Unknown;

use super::Live;
use super::ground::Ground;
use super::receiving::Receiving;
use crate::clock::LiveClock;
use crate::command::{Command, Commands, Others};
use crate::detectors::{Detectors, Saver, Tenants};
use crate::error::EngineError;
use crate::evidence::{Archive, Evidence, Witness};
use crate::learned::Shelf;
use crate::look_back::LookBack;
use crate::overseer::Overseer;
use crate::plan::Plan;
use crate::start;
use crate::stewarding;
use crate::writer::Sinks;

/// See the module.
pub(super) struct Company {
    pub(super) sinks: Sinks,
    pub(super) commands: Commands,
    /// One for each worker.
    pub(super) readers: Vec<Receiver<Command>>,
    pub(super) archive: Option<Archive>,
    pub(super) witness: Option<Witness>,
    pub(super) overseer: Overseer,
    pub(super) stewarding: Option<stewarding::Stage>,
    pub(super) stewarded: Stewarded,
    pub(super) look_back: Arc<LookBack>,
    pub(super) detectors: Detectors,
    /// What is less than was asked for.
    pub(super) warnings: Vec<String>,
}

impl Company {
    /// Opens the outputs, now that nothing else can keep the run from starting, and connects all.
    pub(super) fn gather(
        live: &Live,
        ground: &Ground,
        receiving: &Receiving,
        hub: &Hub,
    ) -> Result<Self, EngineError> {
        let (config, front, clock) = (&live.config, &ground.front, ground.clock);
        // A run that cannot start must not cost the files of the one before.
        let crashed = ground.dir.keep_crashed()?;
        let mut sinks = sinks(live, ground, receiving)?;
        let (evidence, archive) = evidence(live)?.unzip();
        let witness = evidence.clone().map(|evidence| {
            Witness::new(evidence, &config.report.sensor, clock.at(clock.elapsed()))
        });
        let (changes, noted) = bounded(stewarding::QUEUE);
        sinks.grade_changes = Some(noted);
        let overseer = Overseer::new(hub.clone(), evidence.clone(), changes.clone(), clock);
        front.oversee_by(Some(overseer.clone()));
        let witnesses = Witnesses {
            hub: hub.clone(),
            evidence,
            changes,
            shelf: ground.loaded.shelf.clone(),
        };
        let (stewarding, stewarded) = steward(live, witnesses, clock, &ground.dir)?;
        let (commands, readers) = commands(live, ground, receiving);
        // Nobody was there before to set it.
        let _ = front.commands.set(commands.clone());
        let look_back = LookBack::start(
            &config.look_back,
            ground.dir.path(),
            commands.clone(),
            clock,
            ground.desk.look_back.clone(),
        )?;
        let look_back = Arc::new(look_back);
        let _ = front.look_back.set(look_back.clone());
        let saver = Saver {
            counts: ground.desk.detectors.clone(),
            look_back: look_back.clone(),
            commands: commands.clone(),
            tenants: Tenants::new(config, sinks.vlans.book.clone()),
            clock,
            pin: Duration::from_secs(config.detectors.pin_seconds.into()),
            known: Arc::default(),
        };
        let detectors = Detectors::start(&config.detectors, clock, saver)?;
        let mut warnings = doubts(&ground.admission, &ground.plan);
        warnings.append(&mut sinks.warnings);
        warnings.extend(kept(live, &crashed));
        Ok(Self {
            sinks,
            commands,
            readers,
            archive,
            witness,
            overseer,
            stewarding,
            stewarded,
            look_back,
            detectors,
            warnings,
        })
    }
}

fn sinks(live: &Live, ground: &Ground, receiving: &Receiving) -> Result<Sinks, EngineError> {
    let mut sinks = start::sinks(start::Setting {
        config: &live.config,
        dir: ground.dir.clone(),
        desk: &ground.desk,
        extract: false,
        hands: receiving.hands.clone(),
        ears: &receiving.ears(live),
        is_stewarded: live.steward.is_some(),
    })?;
    sinks.book = Some(ground.front.flows.clone());
    Ok(sinks)
}

/// Who writes down what was seen, if somebody is to.
fn evidence(live: &Live) -> Result<Option<(Evidence, Archive)>, EngineError> {
    let is_kept = live.config.report.coverage;
    is_kept.then(|| Evidence::start(&live.out)).transpose()
}

/// The way to every worker.
fn commands(
    live: &Live,
    ground: &Ground,
    receiving: &Receiving,
) -> (Commands, Vec<Receiver<Command>>) {
    let sources = &receiving.opened.sources;
    Commands::new(
        sources.iter().map(LiveSource::waker).collect(),
        ground.admission.table.clone(),
        live.config.sources.unknown,
        Others {
            desk: ground.desk.clone(),
            orders: live.steward.as_ref().map(|it| it.orders.clone()),
            clock: ground.clock,
        },
    )
}

fn kept(live: &Live, crashed: &[String]) -> Option<String> {
    let (names, out) = (crashed.join(", "), live.out.display());
    (!crashed.is_empty())
        .then(|| format!("the run before did not end; what it wrote is kept in {out}: {names}"))
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

/// The lines to and from whoever looks after the mirrors. Without anybody nothing comes.
pub(super) struct Stewarded {
    pub(super) reports: Option<Sender<Arc<Report>>>,
    pub(super) notices: Receiver<Notice>,
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
