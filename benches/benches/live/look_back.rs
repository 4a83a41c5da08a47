//! Looking back at flows of a sensor under load: how long it takes, and what it costs.
//!
//! At each step of a ladder of loads one sensor that nobody asks and one that is asked all the
//! time, by VNI and tuple, of flows of the traffic. Both have all outputs. Two times are told: until
//! the packets are found and copied, as the sensor says, and until the client has them, which
//! takes a line in the audit log on the disk.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use vxscope_api::Client;
use vxscope_benches::{Frames, Table, verdict};
use vxscope_wire::{FrameView, Options, Tunnel, decapsulate_datagram, protocol, read_frame};

use crate::receiver::{Received, Receiver, Work};
use crate::sender::{Sender, now};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "look-back";
/// Packets a second that are asked for; the last is as fast as the sender can.
const RATES: [u64; 7] = [0, 25_000, 50_000, 100_000, 200_000, 400_000, 10_000_000];
const FLOWS: u32 = 100_000;
const DATAGRAMS: u64 = 400_000;
/// Every how many datagrams one is asked about.
const STRIDE: usize = 97;
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(2);
const GOAL_MILLIS: f64 = 50.0;

/// Runs the ladder and prints its table.
pub(crate) fn climb(frames: Frames, quick: bool, time: Duration) -> io::Result<Table> {
    let packets = if quick { DATAGRAMS / 50 } else { DATAGRAMS };
    let sender = Sender::with_flows(frames, FLOWS, packets)?;
    let questions = questions(&sender);
    let heading = [
        "load",
        "k packets/s sent",
        "dropped, nobody asks",
        "dropped, asked",
        "look-backs",
        "found, ms: half / 99 % / all within",
        "at the client, ms",
        "goal",
    ];
    let mut table = Table::new(&heading);
    for rate in RATES {
        let alone = Step::new(&sender, rate, time, &[])?;
        let asked = Step::new(&sender, rate, time, &questions)?;
        let load = match rate {
            0 => "none".to_owned(),
            10_000_000 => "all that the sender can".to_owned(),
            rate => format!("{} k packets/s", rate / 1_000),
        };
        let (mut found, mut told) = (asked.found, asked.told);
        let (text, longest) = spread(&mut found);
        table.push(&[
            format!("{}, {load}", frames.name()),
            format!("{:.0}", asked.sent as f64 / asked.took.as_secs_f64() / 1e3),
            alone.received.dropped.to_string(),
            asked.received.dropped.to_string(),
            found.len().to_string(),
            text,
            spread(&mut told).0,
            format!("< {GOAL_MILLIS}: {}", verdict(longest < GOAL_MILLIS)),
        ]);
    }
    Ok(table)
}

/// One sensor under one load.
struct Step {
    sent: u64,
    took: Duration,
    received: Received,
    /// Milliseconds of each look-back: as the sensor says, and as the client sees it.
    found: Vec<f64>,
    told: Vec<f64>,
}

impl Step {
    fn new(sender: &Sender, rate: u64, time: Duration, questions: &[Value]) -> io::Result<Self> {
        // On a disk, as the audit log is.
        let out = tempfile::tempdir()?;
        let receiver = Receiver::start_in(Work::All, out.path())?;
        let port = receiver.port();
        // Once round, so that every flow is there.
        sender.send_bursts(port, sender.len())?;
        let ended = AtomicBool::new(false);
        let (sent, asked) = thread::scope(|scope| {
            let asking = scope.spawn(|| ask(out.path(), questions, &ended));
            let sent = match rate {
                0 => {
                    thread::sleep(time);
                    Ok((0, time))
                }
                rate => sender.send(port, rate, time),
            };
            ended.store(true, Ordering::Relaxed);
            (sent, asking.join())
        });
        let (sent, took) = sent?;
        let (found, told) = asked.map_err(|_| io::ErrorKind::Other)??;
        let received = receiver.stop()?;
        if received.received + received.dropped != sender.len() + sent {
            return Err(io::Error::other("packets that nobody counted"));
        }
        Ok(Self {
            sent,
            took,
            received,
            found,
            told,
        })
    }
}

/// Asks about one flow after the other until the end.
fn ask(
    out: &std::path::Path,
    questions: &[Value],
    ended: &AtomicBool,
) -> io::Result<(Vec<f64>, Vec<f64>)> {
    let (mut found, mut told) = (Vec::new(), Vec::new());
    if questions.is_empty() {
        return Ok((found, told));
    }
    let mut client = Client::connect(&out.join("control.sock")).map_err(io::Error::other)?;
    for question in questions.iter().cycle() {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let began = now();
        let (head, captures) = client
            .extract(&question.to_string())
            .map_err(io::Error::other)?;
        told.push(began.elapsed().as_secs_f64() * 1e3);
        if captures.is_empty() {
            return Err(io::Error::other(format!("{question}: no packets")));
        }
        let micros = head["micros"].as_u64().unwrap_or(u64::MAX);
        found.push(micros as f64 / 1e3);
        thread::sleep(PAUSE);
    }
    Ok((found, told))
}

/// The flows of some of the datagrams, as a client names them.
fn questions(sender: &Sender) -> Vec<Value> {
    let options = Options::default();
    let datagrams = sender.datagrams().step_by(STRIDE);
    let questions = datagrams.filter_map(|datagram| {
        let from = IpAddr::from(Ipv4Addr::LOCALHOST);
        let opened = decapsulate_datagram(Tunnel::Vxlan, from, datagram, &options).ok()?;
        let mut view = FrameView::default();
        let length = u32::try_from(opened.frame.len()).ok()?;
        read_frame(opened.frame, length, &mut view);
        let proto = match view.tuple.protocol {
            protocol::TCP => "tcp",
            protocol::UDP => "udp",
            _ => return None,
        };
        let (source, destination) = view.tuple.addresses.pair();
        Some(json!({
            "extract": {
                "vni": opened.source.vni.get(),
                "proto": proto,
                "src_ip": source,
                "src_port": view.tuple.source_port,
                "dest_ip": destination,
                "dest_port": view.tuple.destination_port,
            },
            "reason": "bench",
        }))
    });
    questions.collect()
}

/// Half, 99 of a hundred and all are within these milliseconds; and the longest.
fn spread(millis: &mut [f64]) -> (String, f64) {
    millis.sort_by(f64::total_cmp);
    let at = |share: usize| {
        let place = (millis.len() * share / 100).min(millis.len().saturating_sub(1));
        millis.get(place).copied().unwrap_or(f64::NAN)
    };
    let [half, most, all] = [50, 99, 100].map(at);
    (format!("{half:.2} / {most:.2} / {all:.2}"), all)
}
