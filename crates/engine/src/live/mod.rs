//! Live: mirrored traffic from UDP sockets, until somebody says stop.
//!
//! The kernel steers every datagram to its worker. Stop: every worker shuts its sockets, drains
//! them, closes its flows and hands everything over; then the files get their names, the summary
//! last. What was received is in the outputs or in a counter.

mod company;
mod crew;
mod ending;
mod ground;
mod observer;
mod receiving;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use vxscope_api::Certificates;
use vxscope_capture::udp::{Container, UdpGroup};
use vxscope_config::Config;
use vxscope_wire::Tunnel;

use self::company::Company;
use self::crew::Crew;
use self::ending::{Ending, Writer};
use self::ground::Ground;
pub use self::observer::{Observer, Started, Status};
use self::observer::{Seen, watch};
use self::receiving::Receiving;
use crate::accounting::{self, Stage};
use crate::error::EngineError;
use crate::learned::Keeping;
use crate::neighbour::Neighbours;
use crate::replay::Outcome;
use crate::reread::Reread;
use crate::serving::Serving;
use crate::stewarding::Stewardship;
use crate::stop::Stop;

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
    let (mut ground, mut account, serving) = Ground::prepare(live, stop, observer)?;
    let mut receiving = Receiving::open(live, &ground, &mut account, observer)?;
    let mut company = Company::gather(live, &ground, &receiving, &serving.hub())?;
    company.warnings.extend(ground.loaded.warning.take());
    let keeping = Keeping::start(
        &ground.dir,
        live.config.signals.keep_seconds,
        (ground.desk.clone(), ground.loaded.shelf.clone()),
        ground.clock,
    )?;
    observer.handle_start(&started(live, &ground, &receiving, &company, &serving));
    let mut neighbours = Neighbours::new(live.address, &receiving.opened.groups);
    let interval = Duration::from_millis(live.config.report.interval_milliseconds.into());
    let workers = receiving.workers.len();
    let (line, tellers) = accounting::connect(workers, interval, &ground.front.pulse);
    let (statuses, shown) = bounded(1);
    let accounting = Stage {
        account,
        line,
        board: company.sinks.board.clone(),
        interval,
        clock: ground.clock,
        stop,
        hub: serving.hub(),
        commands: company.commands.clone(),
        statuses,
        reports: company.stewarded.reports,
        witness: company.witness,
        overseer: company.overseer,
    };
    let expected = company.sinks.expected.clone();
    company.sinks.start()?;
    let writer = Writer::start(receiving.lines, company.sinks)?;
    let seats = receiving.workers.into_iter().zip(receiving.opened.sources);
    let ends = tellers.into_iter().zip(company.readers);
    let crew = Crew {
        stations: crew::stations(seats.zip(ends), receiving.is_held),
        accounting,
        stewarding: company.stewarding,
    };
    let seen = Seen {
        pulse: ground.front.pulse.clone(),
        statuses: shown,
        notices: company.stewarded.notices,
    };
    let worked = crew.work(&ground, stop, || {
        watch(
            &seen,
            &mut neighbours,
            &mut receiving.presence,
            ground.clock,
            observer,
        );
    })?;
    let ending = Ending {
        ground,
        writer,
        expected,
        keeping,
        neighbours,
        presence: receiving.presence,
        archive: company.archive,
        detectors: company.detectors,
        look_back: company.look_back,
        commands: company.commands,
        serving,
    };
    ending.conclude(worked)
}

/// What there is to say before the first packet.
fn started(
    live: &Live,
    ground: &Ground,
    receiving: &Receiving,
    company: &Company,
    serving: &Serving,
) -> Started {
    let opened = &receiving.opened;
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
    warnings.extend(company.warnings.iter().cloned());
    Started {
        plan: ground.plan,
        backend: opened.backend,
        declined: opened.declined.clone(),
        steered: opened.steered.clone(),
        vxlan_port: opened.groups.first().map(|group| group.port),
        listening: opened.groups.iter().map(line).collect(),
        answering: serving.answering(),
        inherited: opened.inherited,
        warnings,
        commands: company.commands.clone(),
    }
}
