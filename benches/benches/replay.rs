//! Replay end to end, beside what any program must do, and beside other programs.
//!
//! `cargo bench -p vxscope-benches --bench replay [-- WORDS] [--quick] [--rounds N]`: only rows
//! whose name contains each of the words; `--quick` (also `--test`) only shows that it works.
#![expect(clippy::print_stdout, reason = "the table is what this is for")]
#![expect(
    clippy::print_stderr,
    reason = "it takes minutes; this says how far it is"
)]

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use vxscope_benches::{
    Capture, Cpu, Exports, Frames, Measured, Peer, Ratio, Request, Store, Table, Traffic, at_least,
    at_most, bundled, configuration, copy_each, folder, interleave, median, replay_once,
    wait_for_lines, walk,
};
use vxscope_engine::Outcome;
use vxscope_linux::MappedFile;

const FLOWS: [u32; 3] = [1_000, 100_000, 1_000_000];
/// Where the goals are set, and where peers run.
const GOAL_FLOWS: u32 = 100_000;
/// How many times as many packets per CPU second as nfpcapd, at 64 bytes: without and with flow
/// records. Longer packets cost mostly their copy, which nfpcapd does not make.
const PEER_GOALS: [f64; 2] = [8.0, 5.0];
/// Lines that are waited for in each round, a tenth of a second or so.
const LINES: u32 = 1_000_000;

fn main() -> io::Result<()> {
    let request = Request::from_command_line(5)?;
    let folder = folder()?;
    let mut report = Report::new();
    for frames in Frames::ALL {
        for flows in FLOWS {
            let name = format!("{}, {} flows", frames.name(), thousands(flows));
            if !request.wants(&name) {
                continue;
            }
            eprintln!("{name}");
            let traffic = Traffic::new(frames, flows, request.quick);
            let capture = traffic.write(folder.path())?;
            let goal = (flows == GOAL_FLOWS && !request.quick).then(|| goal(frames));
            let row = Row {
                name: &name,
                capture: &capture,
                flows,
                goal,
                peers: flows == GOAL_FLOWS,
                peer_goals: frames == Frames::Small && !request.quick,
            };
            row.measure(&request, folder.path(), &mut report)?;
        }
    }
    let name = "two-tenants.pcap";
    if request.wants(name) {
        eprintln!("{name}");
        let capture = bundled(name, if request.quick { 10_000 } else { 1_000_000 })?;
        let row = Row {
            name,
            capture: &capture,
            flows: GOAL_FLOWS,
            goal: None,
            peers: false,
            peer_goals: false,
        };
        row.measure(&request, folder.path(), &mut report)?;
    }
    if request.quick {
        println!(
            "A fiftieth of the flows and packets, once: shows that it works, measures nothing.\n"
        );
    }
    println!("{}\n{}", report.replay, report.peers);
    Ok(())
}

/// At most this many times the ceiling.
const fn goal(frames: Frames) -> f64 {
    match frames {
        Frames::Small => 4.0,
        Frames::Imix => 1.8,
        Frames::Large => 1.7,
    }
}

/// The two tables.
struct Report {
    replay: Table,
    peers: Table,
}

impl Report {
    fn new() -> Self {
        Self {
            replay: Table::new(&[
                "capture, exports",
                "B/frame",
                "stored",
                "ns/packet",
                "of it kernel",
                "a line",
                "map, walk",
                "ceiling",
                "ratio (least–greatest)",
                "goal",
            ]),
            peers: Table::new(&[
                "capture, program",
                "ns/packet",
                "vxscope",
                "packets per CPU second: vxscope / program",
                "goal",
            ]),
        }
    }
}

/// One capture, measured in every way.
struct Row<'a> {
    name: &'a str,
    capture: &'a Capture,
    flows: u32,
    goal: Option<f64>,
    peers: bool,
    peer_goals: bool,
}

impl Row<'_> {
    fn measure(&self, request: &Request, folder: &Path, report: &mut Report) -> io::Result<()> {
        let out = folder.join("out");
        let mut outcomes: [Option<Outcome>; 3] = [const { None }; 3];
        let [none, eve, decap] = &mut outcomes;
        let replay = |exports, kept: &mut Option<Outcome>| {
            let config = configuration(exports, self.flows);
            let once = replay_once(&config, &self.capture.paths, &out)?;
            *kept = Some(once.outcome);
            Ok(once.cpu)
        };
        let ceiling = RefCell::new(Ceiling::try_new(self.capture)?);
        let times = interleave(
            request.rounds,
            &mut [
                &mut || ceiling.borrow_mut().copy(),
                &mut || replay(Exports::None, none),
                &mut || replay(Exports::Eve, eve),
                &mut || replay(Exports::Decap, decap),
                &mut || mapped_anew(self.capture),
                &mut || waited(&ceiling.borrow().store),
            ],
        )?;
        drop(ceiling);
        let [ceiling, works @ .., mapped, lines] = times.as_slice() else {
            return Ok(());
        };
        for ((exports, work), outcome) in Exports::ALL.into_iter().zip(works).zip(&outcomes) {
            let goal = self.goal.filter(|_| exports == Exports::None);
            let ratio = Ratio::of(work, ceiling);
            report.replay.push(&[
                format!("{}, {}", self.name, exports.name()),
                (self.capture.frame_bytes / self.capture.packets).to_string(),
                outcome.as_ref().map_or_else(String::new, stored),
                self.ns(work),
                self.part_ns(work, |cpu| cpu.kernel),
                ns_each(median(lines, Cpu::total), u64::from(LINES)),
                self.ns(mapped),
                self.ns(ceiling),
                ratio.to_string(),
                goal.map_or_else(String::new, |goal| at_most(goal, ratio.median)),
            ]);
        }
        if self.peers {
            self.measure_peers(request, folder, report)?;
        }
        Ok(())
    }

    /// Peers in turn with a replay each: one writes flows, or frames, as the peer does.
    fn measure_peers(
        &self,
        request: &Request,
        folder: &Path,
        report: &mut Report,
    ) -> io::Result<()> {
        let Some(path) = self.capture.paths.first() else {
            return Ok(());
        };
        let out = folder.join("out");
        for (peer, exports, goals) in [
            (
                Peer::Nfpcapd,
                &[Exports::None, Exports::Eve][..],
                &PEER_GOALS[..],
            ),
            (Peer::Softflowd, &[Exports::None, Exports::Eve], &[]),
            (Peer::Editcap, &[Exports::Decap], &[]),
        ] {
            let name = format!("{}, {}", self.name, peer.name());
            if !matches!(peer.run(path, folder)?, Measured::Cpu(_)) {
                let mut cells = vec![String::new(); 5];
                cells[0] = format!("{name}: not installed, or it failed");
                report.peers.push(&cells);
                continue;
            }
            for (at, exports) in exports.iter().enumerate() {
                let config = configuration(*exports, self.flows);
                let times = interleave(
                    // A round of peers takes seconds, and factors matter, not per cents.
                    request.rounds.min(3),
                    &mut [
                        &mut || match peer.run(path, folder)? {
                            Measured::Cpu(cpu) => Ok(cpu),
                            other => Err(io::Error::other(format!("{}: {other:?}", peer.name()))),
                        },
                        &mut || Ok(replay_once(&config, &self.capture.paths, &out)?.cpu),
                    ],
                )?;
                let [theirs, ours] = times.as_slice() else {
                    return Ok(());
                };
                let ratio = Ratio::of(theirs, ours);
                let goal = goals.get(at).filter(|_| self.peer_goals);
                report.peers.push(&[
                    name.clone(),
                    self.ns(theirs),
                    format!("{}, {}", self.ns(ours), exports.name()),
                    ratio.to_string(),
                    goal.map_or_else(String::new, |goal| at_least(*goal, ratio.median)),
                ]);
            }
        }
        Ok(())
    }

    fn ns(&self, times: &[Cpu]) -> String {
        self.part_ns(times, Cpu::total)
    }

    fn part_ns(&self, times: &[Cpu], part: fn(Cpu) -> Duration) -> String {
        ns_each(median(times, part), self.capture.packets)
    }
}

fn ns_each(time: Duration, pieces: u64) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e9 / pieces as f64)
}

/// Maps the files as a replay does, walks their records, and unmaps them: what the kernel takes for
/// their pages, and the rest of what reading them costs a program that does nothing with them.
fn mapped_anew(capture: &Capture) -> io::Result<Cpu> {
    let before = Cpu::of_process()?;
    for path in &capture.paths {
        let _ = walk(&MappedFile::open(&File::open(path)?)?);
    }
    Ok(Cpu::of_process()?.since(before))
}

/// What [`LINES`] of memory cost that nobody fetched.
fn waited(store: &Store) -> io::Result<Cpu> {
    let before = Cpu::of_process()?;
    wait_for_lines(store, LINES);
    Ok(Cpu::of_process()?.since(before))
}

/// The walk that copies each record once. Its files are mapped and its store is touched before:
/// what the kernel does for fresh pages varies sevenfold from run to run, so a ceiling that
/// contained it would be no measure. A replay does contain it.
struct Ceiling {
    files: Vec<MappedFile>,
    store: Store,
    times: usize,
}

impl Ceiling {
    fn try_new(capture: &Capture) -> io::Result<Self> {
        let store = Store::try_new()?;
        // A capture is either one file, or the same one many times.
        let first = capture.paths.iter().take(1);
        let files = first.map(|path| MappedFile::open(&File::open(path)?));
        Ok(Self {
            files: files.collect::<io::Result<_>>()?,
            store,
            times: capture.paths.len(),
        })
    }

    fn copy(&mut self) -> io::Result<Cpu> {
        let before = Cpu::of_process()?;
        for _ in 0..self.times {
            for file in &self.files {
                let _ = copy_each(file, &mut self.store);
            }
        }
        Ok(Cpu::of_process()?.since(before))
    }
}

/// The share of the frames that went into rings.
fn stored(outcome: &Outcome) -> String {
    let summary = &outcome.summary;
    let share = summary.rings.stored as f64 / summary.packets.decapsulated.max(1) as f64;
    format!("{:.0} %", share * 100.0)
}

fn thousands(number: u32) -> String {
    match number {
        1_000_000.. => format!("{} M", number / 1_000_000),
        _ => format!("{} k", number / 1_000),
    }
}
