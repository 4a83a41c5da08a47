//! A flood of tuples that were chosen to collide, beside one of tuples that were not.
//!
//! `cargo bench -p vxscope-benches --bench collisions [-- --quick] [--rounds N]`. Who chooses them knows the
//! hash, all limits and the bytes of a key, but not the seed, which is random in a live sensor: the
//! tuples collide under another one. The third row is what he could do if he knew it. The flow
//! table's part of a packet alone, which is all that they can make slower; CPU time, in turn.
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use foldhash::fast::FixedState;
use vxscope_benches::{Cpu, Ratio, Request, Table, Unrecorded, Work, at_most, interleave, median};
use vxscope_flow::{Crossing, FlowLimits, FlowScope, Flows, Packet, Prepared, Timeouts};
use vxscope_units::{MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::{Addresses, FrameView, parse_frame};

/// Flows of a table, half of which the flood opens.
const FLOWS_MAX: usize = 1 << 14;
const TUPLES: usize = FLOWS_MAX / 2;
/// The index has twice as many places as flows; the chosen tuples start in one of so many parts.
const PARTS: u64 = 128;
const PLACES: u64 = 2 * FLOWS_MAX as u64;
/// What the attacker takes for the seed, and what it is.
const GUESSED: u64 = 1;
const SEED: u64 = 0x5bd1_e995_9d3c_7a11;
/// Packets that are looked up together, as a worker does.
const PASS: usize = 32;
/// How often each tuple comes in one measurement.
const TIMES: usize = 20;
const ROUNDS: usize = 31;
/// At most this many times the CPU time of tuples that were not chosen.
const GOAL: f64 = 1.5;

const DESTINATION: u32 = 0xac10_0001;
const PORTS: u32 = 0x8000 << 16 | 53;
const UDP: u64 = 17;

fn main() -> io::Result<()> {
    let request = Request::from_command_line(ROUNDS)?;
    let random: Vec<u32> = (1_u32..)
        .take(TUPLES)
        .map(|it| it.wrapping_mul(0x9e37_79b1) >> 8)
        .collect();
    let chosen = chosen();
    let [mut plain, mut blind, mut known] = [(&random, SEED), (&chosen, SEED), (&chosen, GUESSED)]
        .map(|(tuples, seed)| Flood::new(tuples, seed));
    let probes = [&plain, &blind, &known].map(|flood| flood.flows.longest_probe());
    if probes[2] < TUPLES / 2 {
        let text = format!("the chosen tuples do not collide: {} places", probes[2]);
        return Err(io::Error::other(text));
    }
    let works: &mut [&mut Work<'_>] = &mut [
        &mut || plain.measure(),
        &mut || blind.measure(),
        &mut || known.measure(),
    ];
    let times = interleave(request.rounds, works)?;
    let mut table = Table::new(&["tuples", "longest probe", "ns/packet", "ratio", "goal"]);
    let names = ["not chosen", "chosen, seed unknown", "chosen, seed known"];
    for (number, (name, probe)) in names.into_iter().zip(probes).enumerate() {
        let of = |at: usize| times.get(at).map(Vec::as_slice).unwrap_or_default();
        let ratio = Ratio::of(of(number), of(0));
        let nanos = median(of(number), Cpu::total).as_nanos() as f64;
        table.push(&[
            name.to_owned(),
            probe.to_string(),
            format!("{:.1}", nanos / (TUPLES * TIMES) as f64),
            ratio.to_string(),
            if number == 1 {
                request.judged(at_most(GOAL, ratio.median))
            } else {
                String::new()
            },
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Source addresses whose flows start in one part of the index under the guessed seed.
fn chosen() -> Vec<u32> {
    let hasher = FixedState::with_seed(GUESSED);
    let start = |address: &u32| {
        let mut hasher = hasher.build_hasher();
        hasher.write_u64(u64::from(*address) << 32 | u64::from(DESTINATION));
        hasher.write_u64(u64::from(PORTS) << 32 | UDP);
        hasher.finish() % PLACES
    };
    let addresses = 0x0a00_0000..DESTINATION;
    addresses
        .filter(|it| start(it) < PLACES / PARTS)
        .take(TUPLES)
        .collect()
}

/// A flow table, and what comes.
struct Flood {
    flows: Flows,
    tuples: Vec<u32>,
    view: FrameView,
    index: u64,
}

impl Flood {
    fn new(tuples: &[u32], hash_seed: u64) -> Self {
        let limits = FlowLimits {
            scope: FlowScope::Source,
            flows_max: FLOWS_MAX,
            sources_max: 16,
            source_flows_max: FLOWS_MAX,
            timeouts: Timeouts::default(),
            active_timeout: 0,
            id_seed: 0,
            hash_seed,
            rings: None,
            closed_max: 0,
        };
        let mut flood = Self {
            flows: Flows::try_new(limits).expect("memory for a few flows"),
            tuples: tuples.to_vec(),
            view: parse_frame(&FRAME, 0),
            index: 0,
        };
        flood.observe();
        assert_eq!(flood.flows.live(), TUPLES, "every flow is open");
        flood
    }

    fn measure(&mut self) -> io::Result<Cpu> {
        let before = Cpu::of_thread()?;
        (0..TIMES).for_each(|_| self.observe());
        Ok(Cpu::of_thread()?.since(before))
    }

    fn observe(&mut self) {
        let source = SourceId::default();
        let mirror = MirrorSource {
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 16)),
            vni: Vni::ZERO,
        };
        let now = Timestamp::new(1_767_225_600, 0);
        for pass in self.tuples.chunks(PASS) {
            let mut views = [self.view; PASS];
            let mut prepared = [Prepared::default(); PASS];
            for ((view, prepared), address) in views.iter_mut().zip(&mut prepared).zip(pass) {
                view.tuple.addresses = Addresses::V4 {
                    source: *address,
                    destination: DESTINATION,
                };
                self.flows.prepare(prepared, source, mirror.vni, view);
            }
            for prepared in prepared.iter_mut().take(pass.len()) {
                self.flows.prefetch(prepared);
            }
            for (prepared, view) in prepared.iter().zip(views).take(pass.len()) {
                self.index += 1;
                let packet = Packet {
                    index: self.index,
                    timestamp: now,
                    now,
                    source,
                    mirror,
                    view,
                    crossing: Crossing::Unknown,
                };
                black_box(
                    self.flows
                        .observe(prepared, &packet, &FRAME, &mut Unrecorded),
                );
            }
        }
    }
}

/// UDP from port 32,768 to 53 behind IPv4 and Ethernet.
const FRAME: [u8; 64] = {
    let head = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 17, 0, 0, 10,
        0, 0, 1, 172, 16, 0, 1, 0x80, 0, 0, 53, 0, 30, 0, 0,
    ];
    let mut frame = [0; 64];
    let mut at = 0;
    while at < head.len() {
        frame[at] = head[at];
        at += 1;
    }
    frame
};
