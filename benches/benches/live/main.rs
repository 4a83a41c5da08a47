//! Live receive, beside a loop that does nothing but receive.
//!
//! `cargo bench -p vxscope-benches --bench live [-- WORDS] [--quick] [--rounds N]`: only frames
//! whose name contains each of the words; `--quick` (also `--test`) only shows that it works.
//!
//! Both receive through the same sockets with the same options and batches, each in a process of
//! its own, which is this program again. What is compared is the CPU time of that process from
//! the end of a warm-up to its own; the sender's is the parent's. Then the same through packet
//! rings (see `ring`), in a network of its own, for root. The word `look-back` asks instead for
//! look-backs under a ladder of loads (see `look_back`).
#![expect(clippy::print_stdout, reason = "the tables are what this is for")]
#![expect(
    clippy::print_stderr,
    reason = "it takes minutes; this says how far it is"
)]

mod look_back;
mod receiver;
mod ring;
mod sender;

use std::env;
use std::io;
use std::time::Duration;

use vxscope_benches::{Cpu, Frames, Ratio, Request, Table, at_most, median};

use receiver::{Receiver, Work};
use sender::Sender;

/// Packets a second for the comparison of CPU time: far below loss, also on a busy machine.
const RATE: u64 = 40_000;
/// Part of the time that is sent before it counts. Memory that is touched for the first time costs
/// the more the longer nobody used it, where a hypervisor takes it back meanwhile.
const WARM_UP: u32 = 4;
/// Rates among which the edge of loss is looked for.
const RATES: (u64, u64) = (20_000, 1_280_000);
/// Halvings of that range: the last two rates differ by four percent of it.
const HALVINGS: u32 = 6;
/// A rate is too high if packets are lost every time: a pause in which others had the machine
/// says nothing about the receiver.
const TRIES: u32 = 3;
/// Share of packets that may be missing at the edge.
const LOSS_MAX: f64 = 0.001;
/// At most this many times the loop's CPU time.
const GOAL: f64 = 1.1;

fn main() -> io::Result<()> {
    if let Some(work) = env::var_os(receiver::ROLE) {
        return receiver::serve(&work.to_string_lossy());
    }
    let mut request = Request::from_command_line(5)?;
    if env::var_os(ring::INSIDE).is_some() {
        return ring::compare(&request);
    }
    if request.take_word(look_back::NAME) {
        return look_back(&request);
    }
    let mut report = Report::new();
    for frames in Frames::ALL {
        if request.wants(frames.name()) {
            eprintln!("{}", frames.name());
            let sender = Sender::new(frames, request.quick)?;
            compare(&request, frames, &sender, &mut report)?;
            find_edges(&request, frames, &sender, &mut report)?;
        }
    }
    if request.quick {
        println!("Once and shortly: shows that it works, measures nothing.\n");
    }
    println!("{}\n{}", report.cpu, report.edge);
    ring::in_a_network_of_its_own()
}

/// How long one measurement sends.
fn time(request: &Request) -> Duration {
    Duration::from_millis(if request.quick { 100 } else { 3_000 })
}

/// A ladder of loads for each kind of frames.
fn look_back(request: &Request) -> io::Result<()> {
    for frames in Frames::ALL {
        if request.wants(frames.name()) {
            println!(
                "{}",
                look_back::climb(frames, request.quick, time(request))?
            );
        }
    }
    Ok(())
}

/// CPU time per packet, all works in turn.
fn compare(
    request: &Request,
    frames: Frames,
    sender: &Sender,
    report: &mut Report,
) -> io::Result<()> {
    let mut times = Work::ALL.map(|_| Vec::new());
    let mut packets = 0;
    for round in 0..=request.rounds {
        for (work, times) in Work::ALL.into_iter().zip(&mut times) {
            let run = Run::new(work, sender, RATE, time(request))?;
            if run.lost > 0 {
                eprintln!("  {}: {} of {} lost", work.name(), run.lost, run.sent);
            }
            // The first round only warms up.
            if round > 0 || request.quick {
                times.push(per_packet(run.cpu, run.sent));
                packets = run.sent;
            }
        }
    }
    let [bare, ..] = &times;
    for (work, times) in Work::ALL.into_iter().zip(&times) {
        let part = |part: fn(Cpu) -> Duration| {
            let picoseconds = median(times, part).as_nanos() as f64;
            format!("{:.0}", picoseconds / 1_000.0)
        };
        let ratio = Ratio::of(times, bare);
        let goal = request.judged(at_most(GOAL, ratio.median));
        let (ratio, goal) = match work {
            Work::Loop => (String::new(), String::new()),
            _ => (ratio.to_string(), goal),
        };
        report.cpu.push(&[
            format!("{}, {}", frames.name(), work.name()),
            packets.to_string(),
            part(Cpu::total),
            part(|cpu| cpu.kernel),
            ratio,
            goal,
        ]);
    }
    Ok(())
}

/// The highest rate at which nearly nothing is lost, works in turn at each step.
fn find_edges(
    request: &Request,
    frames: Frames,
    sender: &Sender,
    report: &mut Report,
) -> io::Result<()> {
    let mut edges = Work::ALL.map(|_| Edge::new());
    for _ in 0..HALVINGS {
        for (work, edge) in Work::ALL.into_iter().zip(&mut edges) {
            let mut run = Run::new(work, sender, edge.next_rate(), time(request))?;
            for _ in 1..TRIES {
                if run.is_lossless() {
                    break;
                }
                run = Run::new(work, sender, edge.next_rate(), time(request))?;
            }
            edge.learn(&run);
        }
    }
    let [bare, ..] = &edges;
    for (work, edge) in Work::ALL.into_iter().zip(&edges) {
        let limit = if edge.is_senders { "≥ " } else { "" };
        report.edge.push(&[
            format!("{}, {}", frames.name(), work.name()),
            format!("{limit}{:.0}", edge.reached / 1_000.0),
            format!("{:.2}", edge.reached / bare.reached),
        ]);
    }
    Ok(())
}

/// Where loss begins, as far as it is known.
struct Edge {
    low: f64,
    high: f64,
    /// The highest rate that was really sent without loss.
    reached: f64,
    /// The sender could not send more: loss begins somewhere above.
    is_senders: bool,
}

impl Edge {
    const fn new() -> Self {
        Self {
            low: RATES.0 as f64,
            high: RATES.1 as f64,
            reached: 0.0,
            is_senders: false,
        }
    }

    /// The middle by ratio.
    fn next_rate(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two rates that fit"
        )]
        let rate = (self.low * self.high).sqrt() as u64;
        rate
    }

    fn learn(&mut self, run: &Run) {
        let asked = self.next_rate() as f64;
        if run.is_lossless() {
            self.low = asked;
            self.is_senders = run.rate < asked * 0.9;
            self.reached = self.reached.max(run.rate);
        } else {
            self.high = asked;
            self.is_senders = false;
        }
    }
}

/// One receiver and what was sent to it.
struct Run {
    sent: u64,
    lost: u64,
    /// As it was really sent, packets a second.
    rate: f64,
    cpu: Cpu,
}

impl Run {
    fn is_lossless(&self) -> bool {
        self.lost as f64 <= self.sent as f64 * LOSS_MAX
    }

    fn new(work: Work, sender: &Sender, rate: u64, time: Duration) -> io::Result<Self> {
        let mut receiver = Receiver::start(work)?;
        let (before, _) = sender.send(receiver.port(), rate.min(RATE), time / WARM_UP)?;
        receiver.mark()?;
        let (sent, took) = sender.send(receiver.port(), rate, time)?;
        let result = receiver.stop()?;
        if result.received + result.dropped != before + sent {
            return Err(io::Error::other(format!(
                "{}: {before} and {sent} sent, {} received and {} dropped",
                work.name(),
                result.received,
                result.dropped
            )));
        }
        Ok(Self {
            sent,
            lost: result.dropped,
            rate: sent as f64 / took.as_secs_f64(),
            cpu: result.cpu,
        })
    }
}

/// What one packet took: in picoseconds, which stand here as nanoseconds, because a duration has
/// no smaller unit.
fn per_packet(cpu: Cpu, packets: u64) -> Cpu {
    let each = |time: Duration| {
        let picoseconds = time.as_nanos() * 1_000 / u128::from(packets.max(1));
        Duration::from_nanos(u64::try_from(picoseconds).unwrap_or(u64::MAX))
    };
    Cpu {
        user: each(cpu.user),
        kernel: each(cpu.kernel),
    }
}

/// The two tables.
struct Report {
    cpu: Table,
    edge: Table,
}

impl Report {
    fn new() -> Self {
        Self {
            cpu: Table::new(&[
                "frames, work",
                "packets",
                "ns/packet",
                "of it kernel",
                "ratio (least–greatest)",
                "goal",
            ]),
            edge: Table::new(&["frames, work", "k packets/s at the edge of loss", "ratio"]),
        }
    }
}
