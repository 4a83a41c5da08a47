//! Allocations per packet: those that a replay makes for more packets of the same flows.
//!
//! `cargo bench -p vxscope-benches --bench allocations`. What is made once, or once for each flow
//! record, falls out of the difference between a short and a long capture of the same flows.
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use std::alloc::System;
use std::io;
use std::path::Path;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use vxscope_benches::{
    Exports, Frames, Table, Traffic, configuration, folder, replay_once, verdict,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FLOWS: u32 = 1_000;
const PACKETS: [u64; 2] = [100_000, 300_000];
/// More than this many allocations in 200,000 packets are no longer chance: buffers of a writer
/// that grew once more.
const FREE: usize = 20;

fn main() -> io::Result<()> {
    let folder = folder()?;
    let heading = ["work", "short", "long", "allocations/packet", "goal"];
    let mut table = Table::new(&heading);
    let mut missed = false;
    for (workers, exports) in [1, 2].into_iter().flat_map(|workers| {
        let exports = Exports::ALL.into_iter();
        exports.map(move |exports| (workers, exports))
    }) {
        let mut counts = [0; 2];
        for (count, packets) in counts.iter_mut().zip(PACKETS) {
            *count = allocations(workers, exports, packets, folder.path())?;
        }
        let [short, long] = counts;
        let more = long.saturating_sub(short);
        let difference = PACKETS[1] - PACKETS[0];
        let met = more <= FREE;
        missed |= !met;
        table.push(&[
            format!("{workers} worker(s), {}", exports.name()),
            short.to_string(),
            long.to_string(),
            format!("{:.4}", more as f64 / difference as f64),
            format!("0: {}", verdict(met)),
        ]);
    }
    println!("{table}");
    if missed {
        return Err(io::Error::other("packets allocate"));
    }
    Ok(())
}

/// Allocations and reallocations of one replay, all threads.
fn allocations(workers: u16, exports: Exports, packets: u64, folder: &Path) -> io::Result<usize> {
    let traffic = Traffic {
        frames: Frames::Imix,
        flows: FLOWS,
        packets,
    };
    let capture = traffic.write(folder)?;
    let mut config = configuration(exports, FLOWS);
    config.workers = workers.try_into().map_err(io::Error::other)?;
    let out = folder.join("out");
    let region = Region::new(ALLOCATOR);
    let once = replay_once(&config, &capture.paths, &out)?;
    let change = region.change();
    drop(once);
    Ok(change.allocations + change.reallocations)
}
