//! `vxscope demo`: a sensor and its mirrored interfaces on one machine, to look at.
//!
//! The interfaces are sockets on loopback: some made by the generator, each with something to
//! show, two that send the bundled recording of real programs, and one that the sensor does not
//! know. Nothing leaves the machine, and nothing is needed on it. A steward looks after the mirrors,
//! over a simulated API: what it pauses is not sent, and comes back.

mod cast;
mod farm;
mod recording;
mod steward;

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::HumanCount;
use vxscope_config::Config;
use vxscope_engine::{Live, Mirrors, Observer, Outcome, Started, Status, Stop};
use vxscope_steward::Notice;

use crate::arguments::DemoArguments;
use crate::failure::Failure;
use crate::generate::live::now;
use crate::generate::session::Sessions;
use crate::replay::{conclude, failure};
use crate::report::report;
use crate::screen::Screen;
use crate::{print, signal};
use cast::{Actor, CAST, FORGER};
use farm::Farm;
use recording::{Recording, TENANTS};

/// How often what is due is sent: little at once, so that a small receive buffer holds it.
const STEP: Duration = Duration::from_millis(5);

/// Runs sensor and traffic, then prints what was to be seen.
pub(crate) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let out = std::env::temp_dir().join(format!("vxscope-demo-{}", std::process::id()));
    let config = Config::parse(&configuration());
    let mut config = config.map_err(|problems| Failure::Configuration {
        file: None,
        problems,
    })?;
    "demo".clone_into(&mut config.report.sensor);
    config.api.listen = arguments.api;
    let mirrors = Mirrors::default();
    let live = Live {
        steward: Some(steward::stewardship(mirrors.clone())?),
        reread: None,
        certificates: None,
        config,
        address: Ipv4Addr::LOCALHOST.into(),
        vxlan_port: Some(0),
        interface: None,
        out,
    };
    let (stop, count) = (signal::stop()?, Count::default());
    let (opened, port) = sync_channel(1);
    let mut stage = Stage {
        screen: Screen::new(&live),
        opened,
    };
    let (outcome, traffic) = thread::scope(|scope| {
        let (stop, count) = (&stop, &count);
        let traffic = scope.spawn(move || {
            let sessions = Sessions::here(mirrors);
            let result = send_all(&port, arguments.seconds, stop, sessions, count);
            stop.begin();
            result
        });
        let outcome = vxscope_engine::run(&live, stop, &mut stage);
        // A sensor that did not start hangs up, and the traffic ends.
        drop(stage.opened);
        stage.screen.clear();
        (outcome, traffic.join())
    });
    let outcome = outcome.map_err(|error| failure(&error))?;
    traffic.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let sent = count.sent.into_inner();
    print(&format!(
        "{}\n{}\n{}",
        shown(&outcome, &live, count.withheld.into_inner()),
        balance(&outcome, sent),
        report(&outcome, &live.out, false)
    ))?;
    let packets = &outcome.summary.packets;
    let seen = packets.received + packets.kernel_dropped + outcome.kernel_refused;
    if sent != seen {
        return Err(Failure::Failed(format!(
            "{sent} datagrams were sent and {seen} seen; this is a defect of vxscope"
        )));
    }
    conclude(outcome)
}

/// Known sources with names, and everybody else in quarantine.
fn configuration() -> String {
    // Short enough that flows end while somebody looks.
    let mut text = String::from(
        "sources.unknown = \"quarantine\"\nflow.timeouts.tcp.closed = 3\nlook_back.http = true\n",
    );
    let made = CAST.iter().filter(|it| it.name != FORGER);
    let made = made.map(|it| (it.name, it.address, it.vni));
    let recorded = TENANTS
        .iter()
        .map(|(name, last, vni)| (*name, recording::address(*last), *vni));
    let named = made.chain(recorded);
    let named = named.map(|(name, address, vni)| (name.to_owned(), address.into(), vni));
    for (name, address, vni) in named.chain(farm::machines()) {
        let _ = write!(
            text,
            "[[source]]\nname = \"{name}\"\naddress = \"{address}\"\nvni = {vni}\n"
        );
    }
    text
}

/// What there was to be seen, in a few sentences.
fn shown(outcome: &Outcome, live: &Live, withheld: u64) -> String {
    let statement = &outcome.statement;
    let quarantined: u64 = statement.quarantine.values().map(|row| row.packets).sum();
    let out = live.out.display();
    format!(
        "What you saw\n\
         * {} mirrored interfaces sent {} flows. Inside they have the same addresses, and\n  \
         they were kept apart by their source address and VNI.\n\
         * {} forged packets from a source that nobody listed: counted, and in no flow.\n\
         * tenant-a and tenant-b are a recording of real programs: curl, dig, ssh, nmap.\n\
         * Dynamic mirroring, an hour in seconds: sources that showed nothing new were paused\n  \
         for up to {} s ({} packets not mirrored), and those that others saw do something\n  \
         new were woken. decisions.ndjson has every reason in numbers.\n\
         * Every packet is in exactly one counter below. Look further:\n    \
         jq -c 'select(.flow.pkts_toserver > 100)' {out}/eve.json\n    \
         jq -r 'select(.outcome != \"kept\").sentence' {out}/decisions.ndjson\n    \
         tshark -r {out}/decap.pcap -q -z conv,ip\n",
        HumanCount(statement.rows.len() as u64),
        HumanCount(outcome.summary.flows.opened),
        HumanCount(quarantined),
        steward::BLIND_MAX.as_secs(),
        HumanCount(withheld),
    )
}

fn balance(outcome: &Outcome, sent: u64) -> String {
    let packets = &outcome.summary.packets;
    let mut text = format!(
        "sent {} = received {} + dropped by the kernel {}",
        HumanCount(sent),
        HumanCount(packets.received),
        HumanCount(packets.kernel_dropped),
    );
    if outcome.kernel_refused > 0 {
        let refused = HumanCount(outcome.kernel_refused);
        let _ = write!(text, " + sent after the stop {refused}");
    }
    text.push('\n');
    text
}

/// Passes the port on to the traffic, and everything to the screen.
struct Stage {
    screen: Screen,
    opened: SyncSender<u16>,
}

impl Observer for Stage {
    fn handle_start(&mut self, started: &Started) {
        self.screen.handle_start(started);
        if let Some(port) = started.vxlan_port {
            // The traffic waits for nothing else, so there is room.
            let _ = self.opened.try_send(port);
        }
    }

    fn handle_warning(&mut self, warning: &str) {
        self.screen.handle_warning(warning);
    }

    fn handle_notice(&mut self, notice: &Notice) {
        self.screen.tell(notice);
    }

    fn handle_status(&mut self, status: &Status) {
        self.screen.handle_status(status);
    }
}

/// What became of what the interfaces sent and received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Mirrored.
    sent: u64,
    /// Not mirrored.
    withheld: u64,
}

/// The sum of it.
#[derive(Debug, Default)]
struct Count {
    sent: AtomicU64,
    withheld: AtomicU64,
}

impl Count {
    fn add(&self, more: Sent) {
        self.sent.fetch_add(more.sent, Ordering::Relaxed);
        self.withheld.fetch_add(more.withheld, Ordering::Relaxed);
    }
}

/// Sends everything once the sensor listens, until the time is over or somebody stops it.
fn send_all(
    port: &Receiver<u16>,
    seconds: u64,
    stop: &Stop,
    mut sessions: Sessions,
    count: &Count,
) -> Result<(), Failure> {
    let Ok(port) = port.recv() else { return Ok(()) };
    let target = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let actors = CAST.iter().map(|member| Actor::try_new(*member, seconds));
    let mut actors: Vec<Actor> = actors.collect::<Result<_, _>>()?;
    let mut recording = Recording::try_new()?;
    let mut farm = Farm::try_new(seconds)?;
    let (start, mut before) = (now(), 0.0);
    while before < seconds as f64 && !stop.is_requested() {
        thread::sleep(STEP);
        let elapsed = start.elapsed().as_secs_f64().min(seconds as f64);
        let time = elapsed / seconds as f64;
        let step = elapsed - before;
        for actor in &mut actors {
            count.add(actor.send(time, step, target, &mut sessions));
        }
        count.add(recording.send(time, target, &mut sessions));
        count.add(farm.send(time, step, target, &mut sessions));
        before = elapsed;
    }
    Ok(())
}

fn no_socket(address: IpAddr, error: &io::Error) -> Failure {
    Failure::Failed(format!("{address}: no socket: {error}"))
}
