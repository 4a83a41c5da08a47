//! `vxscope demo`: a sensor and its mirrored interfaces on one machine, to look at.
//!
//! The interfaces are sockets on loopback: six made by the generator, and two that send the
//! bundled recording of real programs of two tenants with equal addresses. Nothing leaves the
//! machine, and nothing is needed on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::HumanCount;
use vxscope_config::Config;
use vxscope_engine::{Live, Observer, Started, Status};
use vxscope_pcap::{Reader, Step};
use vxscope_sim::traffic::{Carrier, Faults, Spec, Stream};

use crate::arguments::DemoArguments;
use crate::failure::Failure;
use crate::generate::live::Sender;
use crate::replay::{conclude, failure};
use crate::report::report;
use crate::screen::Screen;
use crate::{print, signal};

/// Packets a second of the generator: enough to see rates, little enough for any machine.
const RATE: u64 = 4_000;
const SOURCES: u32 = 6;
/// The recording, and the Ethernet, IPv4 and UDP headers in front of each of its datagrams.
const RECORDING: &[u8] = include_bytes!("../../../pcaps/two-tenants.pcap");
const HEADERS: usize = 14 + 20 + 8;
/// Where the outer source address of a recorded datagram ends.
const SOURCE_END: usize = 14 + 15;

/// Runs sensor and traffic, then prints the result.
pub(crate) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let out = std::env::temp_dir().join(format!("vxscope-demo-{}", std::process::id()));
    let mut config = Config::default();
    config.report.sensor = "demo".to_owned();
    let live = Live {
        config,
        address: Ipv4Addr::LOCALHOST.into(),
        vxlan_port: Some(0),
        interface: None,
        out,
    };
    let (stop, sent) = (signal::stop()?, AtomicU64::new(0));
    let (opened, port) = sync_channel(1);
    let mut stage = Stage {
        screen: Screen::new(&live),
        opened,
    };
    let (outcome, traffic) = thread::scope(|scope| {
        let (stop, sent) = (&stop, &sent);
        let traffic = scope.spawn(move || {
            let result = send_all(&port, arguments.seconds, sent);
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
    let (received, dropped) = (
        outcome.summary.packets.received,
        outcome.summary.packets.kernel_dropped,
    );
    let (sent, seen) = (sent.into_inner(), received + dropped);
    print(&format!(
        "sent {} = received {} + dropped by the kernel {}\n\n{}",
        HumanCount(sent),
        HumanCount(received),
        HumanCount(dropped),
        report(&outcome, &live.out, false)
    ))?;
    if sent != seen {
        return Err(Failure::Failed(format!(
            "{sent} datagrams were sent and {seen} seen; this is a defect of vxscope"
        )));
    }
    conclude(outcome)
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

    fn handle_status(&mut self, status: &Status) {
        self.screen.handle_status(status);
    }
}

/// Sends everything once the sensor listens, and counts what was sent.
fn send_all(port: &Receiver<u16>, seconds: u64, sent: &AtomicU64) -> Result<(), Failure> {
    let Ok(port) = port.recv() else { return Ok(()) };
    let target = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    thread::scope(|scope| {
        let recorded = scope.spawn(|| send_recorded(target, seconds, sent));
        let made = send_made(target, seconds, sent);
        let recorded = recorded.join();
        recorded.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        made
    })
}

/// The generator's traffic.
fn send_made(target: SocketAddr, seconds: u64, sent: &AtomicU64) -> Result<(), Failure> {
    let spec = Spec {
        sources: SOURCES,
        flows: 800,
        packets: RATE * seconds,
        rate: RATE,
        carrier: Carrier::Loopback,
        ..Spec::default()
    };
    let wrong = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let mut stream = Stream::try_new(spec, Faults::default()).map_err(|error| wrong(&error))?;
    let mut sender = Sender::new(&stream, target, RATE)?;
    let mut buffer = Vec::new();
    while let Some(datagram) = stream.next_datagram(&mut buffer) {
        if sender.send(&datagram, &buffer)? {
            stream.handle_sent(&datagram);
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// The recording's datagrams, spread evenly, each from a socket that stands for its source.
fn send_recorded(target: SocketAddr, seconds: u64, sent: &AtomicU64) -> Result<(), Failure> {
    let mut sockets: Vec<(u8, UdpSocket)> = Vec::new();
    let datagrams = recorded();
    let pause = Duration::from_secs(seconds) / u32::try_from(datagrams.len().max(1)).unwrap_or(1);
    for datagram in datagrams {
        let Some(last) = datagram.get(SOURCE_END).copied() else {
            continue;
        };
        if sockets.iter().all(|(source, _)| *source != last) {
            sockets.push((last, socket(last)?));
        }
        let socket = sockets.iter().find(|(source, _)| *source == last);
        let payload = datagram.get(HEADERS..).unwrap_or_default();
        if socket.is_some_and(|(_, socket)| socket.send_to(payload, target).is_ok()) {
            sent.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(pause);
    }
    Ok(())
}

fn socket(last: u8) -> Result<UdpSocket, Failure> {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 200, last));
    UdpSocket::bind((address, 0))
        .map_err(|error| Failure::Failed(format!("{address}: no socket: {error}")))
}

fn recorded() -> Vec<&'static [u8]> {
    let (mut reader, mut rest, mut datagrams) = (Reader::new(), RECORDING, Vec::new());
    while let Ok(step) = reader.read(rest) {
        let consumed = match step {
            Step::Record { consumed, record } => {
                datagrams.push(record.data);
                consumed
            }
            Step::Skip { consumed } => consumed,
            Step::NeedMore { .. } => break,
        };
        rest = rest.get(consumed..).unwrap_or_default();
    }
    datagrams
}
