//! What a second worker adds where the input comes sharded, as the kernel shards it live.
//!
//! `cargo bench -p vxscope-benches --bench sharded [-- WORDS] [--quick] [--rounds N]`. A capture is sorted
//! beforehand by the steering function. One worker replays all of it; then two, each in a process
//! of its own, replay their parts at the same time. Each time is the difference between reading
//! the files three times and once, so that reserving memory falls out. CPU time says what the
//! workers cost each other where both have a processor; wall time also needs two idle ones.
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vxscope_benches::{
    Capture, Cpu, Exports, Frames, Ratio, Request, Table, Traffic, at_least, configuration, folder,
    replay_once,
};
use vxscope_wire::steer::Steering;
use vxscope_wire::{Options, Tunnel, decapsulate_datagram, parse_frame};

const FLOWS: u32 = 100_000;
const WORKERS: NonZeroU16 = NonZeroU16::new(2).unwrap();
const SEED: u32 = 0x7368_6172;
/// Ethernet, IPv4 and UDP headers around a datagram.
const HEADERS: usize = 14 + 20 + 8;
/// At least this many times as fast as one worker.
const GOAL: f64 = 1.9;
/// How often the files are read, the fewer times subtracted.
const TIMES: [usize; 2] = [1, 3];
/// What a process is told: to replay the capture so many times.
const ONCE: &str = "--once";

/// What one or several workers took, the slowest of them.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    cpu: Duration,
    wall: Duration,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [ONCE, times, capture, out] = arguments.as_slice() {
        return once(times, capture.into(), out.as_ref());
    }
    let request = Request::from_command_line(5)?;
    let mut table = Table::new(&[
        "frames",
        "CPU: one / busier of two",
        "wall: one / two",
        "goal by CPU",
        "goal by wall",
    ]);
    for frames in Frames::ALL {
        if !request.wants(frames.name()) {
            continue;
        }
        let (cpu, wall) = compare(Traffic::new(frames, FLOWS, request.quick), request.rounds)?;
        table.push(&[
            frames.name().to_owned(),
            cpu.to_string(),
            wall.to_string(),
            request.judged(at_least(GOAL, cpu.median)),
            request.judged(at_least(GOAL, wall.median)),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn compare(traffic: Traffic, rounds: usize) -> io::Result<(Ratio, Ratio)> {
    let folder = folder()?;
    let steering = Steering::new(SEED, WORKERS);
    let whole = [traffic.write(folder.path())?];
    let parts = (0..WORKERS.get().into())
        .map(|part| {
            traffic.write_some(folder.path(), |packet| {
                worker(steering, packet) == Some(part)
            })
        })
        .collect::<io::Result<Vec<Capture>>>()?;
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let one = marginal(&whole, folder.path())?;
        let two = marginal(&parts, folder.path())?;
        // The first round only warms up.
        if round > 0 {
            ones.push(one);
            twos.push(two);
        }
    }
    let part = |part: fn(&Took) -> Duration| {
        let of = |times: &[Took]| -> Vec<Cpu> { times.iter().map(|it| used(part(it))).collect() };
        Ratio::of(&of(&ones), &of(&twos))
    };
    Ok((part(|it| it.cpu), part(|it| it.wall)))
}

fn used(time: Duration) -> Cpu {
    Cpu {
        user: time,
        kernel: Duration::ZERO,
    }
}

/// The worker that a packet is for.
fn worker(steering: Steering, packet: &[u8]) -> Option<usize> {
    let sender = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let datagram = packet.get(HEADERS..)?;
    let opened = decapsulate_datagram(Tunnel::Vxlan, sender, datagram, &Options::default()).ok()?;
    let view = parse_frame(opened.frame, opened.original_len);
    Some(steering.arrival(&view, opened.frame, opened.source.vni))
}

/// All captures at the same time, a process for each: what more of them takes.
fn marginal(captures: &[Capture], folder: &Path) -> io::Result<Took> {
    let mut took = [Took::default(); 2];
    for (took, times) in took.iter_mut().zip(TIMES) {
        let children = captures.iter().enumerate().map(|(number, capture)| {
            let path = capture.paths.first().ok_or(io::ErrorKind::NotFound)?;
            start(times, path, &folder.join(format!("out{number}")))
        });
        let children: Vec<Child> = children.collect::<io::Result<_>>()?;
        for child in children {
            let of_child = ended(child)?;
            took.cpu = took.cpu.max(of_child.cpu);
            took.wall = took.wall.max(of_child.wall);
        }
    }
    let [short, long] = took;
    Ok(Took {
        cpu: long.cpu.saturating_sub(short.cpu),
        wall: long.wall.saturating_sub(short.wall),
    })
}

fn start(times: usize, capture: &Path, out: &Path) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .args([ONCE, &times.to_string()])
        .args([capture, out])
        .stdout(Stdio::piped())
        .spawn()
}

fn ended(child: Child) -> io::Result<Took> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(str::parse);
    let (Some(Ok(cpu)), Some(Ok(wall))) = (numbers.next(), numbers.next()) else {
        return Err(io::Error::other(format!(
            "a worker ended: {}",
            output.status
        )));
    };
    Ok(Took {
        cpu: Duration::from_nanos(cpu),
        wall: Duration::from_nanos(wall),
    })
}

/// In a process of its own: prints the nanoseconds of CPU and of wall time.
#[expect(clippy::disallowed_methods, reason = "wall time is what it measures")]
fn once(times: &str, capture: PathBuf, out: &Path) -> io::Result<()> {
    let times = times.parse().map_err(io::Error::other)?;
    let config = configuration(Exports::None, FLOWS);
    let begin = Instant::now();
    let done = replay_once(&config, &vec![capture; times], out)?;
    let (cpu, wall) = (done.cpu.total(), begin.elapsed());
    println!("{} {}", cpu.as_nanos(), wall.as_nanos());
    Ok(())
}
