//! Packet rings: what a packet costs from the interface on, worker and kernel together.
//!
//! On loopback the kernel delivers in the sender's time. So sender and receiver share one
//! processor, in bursts, and what counts is the CPU time of both, less that of a run in which a
//! program drops everything at the ingress: there nothing is left but the sender and the way to
//! the interface. Packets per CPU second are what one core carries when it is saturated.

use std::env;
use std::io;
use std::process::Command;

use vxscope_benches::{Cpu, Frames, Ratio, Request, Table, at_least, at_most, median};

use crate::per_packet;
use crate::receiver::{Receiver, Work};
use crate::sender::Sender;

/// Set in the network of its own.
pub(crate) const INSIDE: &str = "VXSCOPE_BENCH_NETWORK";
/// Packets of one measurement, and of its warm-up.
const PACKETS: u64 = 200_000;
/// At most this many times the bare reader's CPU time.
const CPU_GOAL: f64 = 1.15;
/// At least this many times the packets that a bare receive loop gets for a CPU second.
const RATE_GOAL: f64 = 3.0;

/// Runs this program again, on one processor of a network of its own.
pub(crate) fn in_a_network_of_its_own() -> io::Result<()> {
    let can = Command::new("unshare").args(["--net", "true"]).output();
    if !can.is_ok_and(|tried| tried.status.success()) {
        println!("Packet rings: skipped; they take root, for a network of their own.");
        return Ok(());
    }
    let script = "ip link set lo up && exec taskset -c 0 \"$@\"";
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", script, "sh"])
        .arg(env::current_exe()?)
        .args(env::args().skip(1))
        .env(INSIDE, "1")
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("packet rings: {status}")));
    }
    Ok(())
}

/// Measures, and prints the table.
pub(crate) fn compare(request: &Request) -> io::Result<()> {
    let mut table = Table::new(&[
        "frames, work",
        "ns/packet",
        "of it the receiver's",
        "against the bare reader",
        "packets per CPU second against the loop",
        "goals",
    ]);
    for frames in Frames::ALL {
        if request.wants(frames.name()) {
            eprintln!("{}, packet rings", frames.name());
            measure(request, frames, &mut table)?;
        }
    }
    println!("{table}");
    Ok(())
}

fn measure(request: &Request, frames: Frames, table: &mut Table) -> io::Result<()> {
    let sender = Sender::new(frames, request.quick)?;
    let packets = if request.quick { PACKETS / 50 } else { PACKETS };
    let mut all = Work::RINGS.map(|_| Vec::new());
    let mut own = Work::RINGS.map(|_| Vec::new());
    for round in 0..=request.rounds {
        let mut base = Cpu::default();
        for ((work, all), own) in Work::RINGS.into_iter().zip(&mut all).zip(&mut own) {
            let (both, receiver) = once(work, &sender, packets)?;
            if work == Work::Drop {
                base = both;
            }
            // The first round only warms up.
            if round > 0 || request.quick {
                all.push(per_packet(both.since(base), packets));
                own.push(per_packet(receiver, packets));
            }
        }
    }
    let [_, receive_loop, bare, _] = &all;
    for ((work, times), own) in Work::RINGS.into_iter().zip(&all).zip(&own).skip(1) {
        let nanos = |times: &[Cpu]| {
            let picoseconds = median(times, Cpu::total).as_nanos() as f64;
            format!("{:.0}", picoseconds / 1_000.0)
        };
        let (cost, rate) = (Ratio::of(times, bare), Ratio::of(receive_loop, times));
        let goals = match work {
            Work::Ring => [
                at_most(CPU_GOAL, cost.median),
                at_least(RATE_GOAL, rate.median),
            ]
            .join("; "),
            _ => String::new(),
        };
        table.push(&[
            format!("{}, {}", frames.name(), work.name()),
            nanos(times),
            nanos(own),
            cost.to_string(),
            rate.to_string(),
            request.judged(goals),
        ]);
    }
    Ok(())
}

/// CPU time of sender and receiver together, and the receiver's part.
fn once(work: Work, sender: &Sender, packets: u64) -> io::Result<(Cpu, Cpu)> {
    let mut receiver = Receiver::start(work)?;
    sender.send_bursts(receiver.port(), packets / 4)?;
    receiver.mark()?;
    let before = Cpu::of_process()?;
    sender.send_bursts(receiver.port(), packets)?;
    let sent = Cpu::of_process()?.since(before);
    let result = receiver.stop()?;
    let (total, counted) = (packets / 4 + packets, result.received + result.dropped);
    if work != Work::Drop && counted != total {
        let name = work.name();
        return Err(io::Error::other(format!(
            "{name}: {total} sent, {counted} counted"
        )));
    }
    if result.dropped > 0 {
        eprintln!("  {}: {} of {total} lost", work.name(), result.dropped);
    }
    let both = Cpu {
        user: sent.user + result.cpu.user,
        kernel: sent.kernel + result.cpu.kernel,
    };
    Ok((both, result.cpu))
}
